"""Load generators: wrk (closed loop, for the peak), pace and h2load (a fixed rate, for latency)."""
import json
import os
import re
import subprocess

from kit.servers import HERE

KEYS = 10_000
BATCH = 100


class Broken(Exception):
    """An answer that is not 2xx, or a connection that failed: the measurement is void."""


def wrk(server, kind, keys, seconds, connections):
    """Requests a second, CPU microseconds and context switches a request of the server under wrk's full load."""
    script = os.path.join(HERE, "requests.lua")
    spent, switched = server.cpu_seconds(), server.switches()
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, server.url(""), "--", kind, str(keys)],
                         capture_output=True, text=True, check=True).stdout
    if not server.alive():
        raise Broken(f"{server.name} has died: {server.said()}")
    spent, switched = server.cpu_seconds() - spent, server.switches() - switched
    for sign in ("Non-2xx", "Socket errors"):
        if sign in out:
            raise Broken(f"{server.name}: " + next(line.strip() for line in out.splitlines() if sign in line))
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1))
    return {"requests": requests, "requests_per_s": rate, "cpu_us_per_request": spent / requests * 1e6,
            "switches_per_request": switched / requests}


def percentile(values, part):
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * part))]


def latencies(values):
    values.sort()
    return {"p50_us": percentile(values, 0.5), "p99_us": percentile(values, 0.99), "p999_us": percentile(values, 0.999)}


def pace(build, server, rate, seconds, connections, path):
    """An even rate; latency counts from the moment a request was due."""
    done = subprocess.run([os.path.join(build, "bench", "pace"), str(server.port), str(int(rate)), str(seconds), str(connections),
                           path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"{server.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def h2load(server, rate, seconds, connections, path, folder):
    """h2load --rps counts a client, wakes up every 10 ms and then sends what is due at once: bursts of `connections` requests.
    Latency counts from the sending."""
    log = os.path.join(folder, "h2load.log")
    if os.path.exists(log):
        os.unlink(log)  # it appends
    each = max(1, round(rate / connections))
    out = subprocess.run(["h2load", "--h1", "-t1", f"-c{connections}", f"-D{seconds}", f"--rps={each}", f"--log-file={log}",
                          server.url(path)], capture_output=True, text=True, check=True).stdout
    with open(log, encoding="ascii") as file:
        rows = [line.split("\t") for line in file]
    bad = [row for row in rows if not row[1].startswith("2")]
    if bad or not rows:
        raise Broken(f"{server.name}: {len(bad)} of {len(rows)} answers to h2load were not 2xx\n{out}")
    return {"asked_per_s": each * connections, "kept": len(rows) / seconds / (each * connections),
            **latencies([int(row[2]) for row in rows])}
