#!/usr/bin/env python3
"""GET check over HTTP against bare libmicrohttpd with the same headers, body and worker count.

Alternating rounds in one run; medians. The server's CPU time per request is the number to compare, requests per second
depend on who else uses the machine. Usage: http.py BUILD_DIR [--rounds 5] [--seconds 3] [--connections 64] [--workers N]
"""
import sys

sys.path.pop(0)  # this folder: the name of this file is that of a standard module
import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Server:
    def __init__(self, name, argv, port, url):
        self.name, self.port, self.url = name, port, url
        self.process = subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.rates, self.cpus, self.errors = [], [], 0

    def round(self, seconds, connections):
        before = cpu_seconds(self.process.pid)
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{self.port}{self.url}"],
                             capture_output=True, text=True, check=True).stdout
        used = cpu_seconds(self.process.pid) - before
        requests = int(next(l for l in out.splitlines() if "requests in" in l).split()[0])
        rate = float(next(l for l in out.splitlines() if "Requests/sec" in l).split()[1])
        if "Non-2xx" in out:
            self.errors += 1
        self.rates.append(rate)
        self.cpus.append(used / requests * 1e6)
        print(json.dumps({"bench": "http", "server": self.name, "requests_per_s": round(rate), "cpu_us_per_request": round(self.cpus[-1], 3)}),
              flush=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def put_policy(port):
    policy = {"limit": 2_000_000_000, "refill": {"amount": 2_000_000_000, "every_ms": 1000}}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/rate-limits/bench", json.dumps(policy).encode(), method="PUT",
                                     headers={"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        ports = [free_port() for _ in range(3)]
        check = "/v1/rate-limits/bench/keys/alice/check"
        bare = os.path.join(args.build, "bench", "bare")
        servers = [
            Server("troupe check", [os.path.join(args.build, "trouped"), "--listen", f"127.0.0.1:{ports[0]}", "--data", data, "--workers",
                                    str(args.workers)], ports[0], check),
            Server("bare, own loops", [bare, str(ports[1]), str(args.workers), "loops"], ports[1], "/"),
            Server("bare, thread pool", [bare, str(ports[2]), str(args.workers), "pool"], ports[2], "/"),
        ]
        try:
            for server in servers:
                wait_for(server.port)
            put_policy(ports[0])
            for _ in range(args.rounds):
                for server in servers:
                    server.round(args.seconds, args.connections)
        finally:
            for server in servers:
                server.stop()
    print(f"\n{'server':20} {'requests/s':>12} {'CPU us/request':>15}   (medians of {args.rounds}, {args.workers} workers, "
          f"{args.connections} connections)")
    for server in servers:
        print(f"{server.name:20} {statistics.median(server.rates):12.0f} {statistics.median(server.cpus):15.3f}"
              + ("   ERRORS: answers that were not 2xx" if server.errors else ""))
    ruler = max(servers[1:], key=lambda s: statistics.median(s.rates))
    rate = statistics.median(servers[0].rates) / statistics.median(ruler.rates)
    cpu = statistics.median(ruler.cpus) / statistics.median(servers[0].cpus)
    print(f"ratio to '{ruler.name}': {rate:.3f} of its throughput, {cpu:.3f} by CPU")
    print(json.dumps({"bench": "http", "ruler": ruler.name, "throughput_ratio": round(rate, 3), "cpu_ratio": round(cpu, 3)}))
    sys.exit(1 if any(s.errors for s in servers) else 0)


if __name__ == "__main__":
    main()
