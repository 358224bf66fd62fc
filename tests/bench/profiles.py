#!/usr/bin/env python3
"""Profiles in wall time: what three sources of 100, 150 and 200 ms take; whether 500 requests that wait for slow sources move
the rate limiter's p99; what many requests on bad sources leave behind.

usage: profiles.py BUILD_DIR [--requests 10000] [--checks 4000] [--rounds 9]"""
import argparse
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
import support  # noqa: the path comes first
from test_profiles import Source  # noqa

WAITING = 500
CLIENTS = 16
REST = 0.5  # seconds
BAD = ("hang", "garbage", "text", "huge", "500", "refuse")  # huge: 300 MB


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def ask(connection, target):
    connection.send(support.compose("GET", target))
    return connection.read()


def serial_times(service, count):
    times = []
    with service.connect() as connection:
        for _ in range(count):
            began = time.monotonic()
            assert ask(connection, "/v1/profiles/1").status == 200
            times.append((time.monotonic() - began) * 1000)
    return times


def check_times(service, count):
    """Begins when the bench's own threads, which share an interpreter with the clock, have come to rest."""
    times = []
    time.sleep(REST)
    with service.connect() as connection:
        for i in range(count):
            began = time.perf_counter()
            answer = ask(connection, "/v1/rate-limits/default/keys/k%d/check" % (i % 1000))
            times.append((time.perf_counter() - began) * 1e6)
            assert answer.status == 200, answer
    return times


def guard(service, name):
    items = service.get("/v1/profile-sources").json()["items"]
    return [item for item in items if item["name"] == name][0]["breaker"]


def in_flight(service):
    sockets = []
    for i in range(WAITING):
        one = socket.create_connection(("127.0.0.1", service.port))
        one.sendall(support.compose("GET", "/v1/profiles/%d?timeout_ms=30000&sources=hang" % i))
        sockets.append(one)
    support.eventually(lambda: guard(service, "hang")["in_flight"] >= WAITING, what="requests wait for the slow source")
    return sockets


def rounds_beside(service, source, rounds, checks):
    alone, beside = [], []
    check_times(service, checks // 4)
    for _ in range(rounds):
        alone.append(check_times(service, checks))
        sockets = in_flight(service)
        beside.append(check_times(service, checks))
        for one in sockets:
            one.close()
        support.eventually(lambda: source.connections() == 0)
    return alone, beside


def many(service, count):
    def client(share):
        with service.connect() as connection:
            for _ in range(share):
                answer = ask(connection, "/v1/profiles/1?timeout_ms=40&sources=" + ",".join(BAD))
                found = answer.json()["_meta"]["sources"]
                assert answer.status == 200 and answer.header("X-Complete") == "false", answer
                assert all(found[name]["status"] in ("error", "timeout") for name in BAD), found
                assert all(answer.json()[name] is None for name in BAD), answer
    threads = [threading.Thread(target=client, args=(count // CLIENTS,)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def state(service):
    pid = service.process.pid
    with open("/proc/%d/status" % pid) as status:
        resident = [int(line.split()[1]) for line in status if line.startswith("VmRSS")][0]
    return len(os.listdir("/proc/%d/fd" % pid)), resident, len(service.get("/v1/processes?limit=500").json()["items"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--checks", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    support.BINARY = os.path.abspath(os.path.join(options.build, "trouped"))
    source = Source()
    flags = []
    for name in BAD[:-1]:
        flags += ["--source", "%s=%s" % (name, source.url(name))]
    flags += ["--source", "refuse=http://127.0.0.1:1/{user_id}"]
    with support.Service(*flags, "--mailbox-max=100000") as service:
        times = []
        with support.Service() as plain:
            times = serial_times(plain, 20)
        print("a profile of 100, 150 and 200 ms: median %.1f ms, most %.1f ms" % (percentile(times, 0.5), max(times)))
        alone, beside = rounds_beside(service, source, options.rounds, options.checks)
        for share in (0.5, 0.99):
            # The median of the rounds: a time slice of another program of the machine (3 to 4 ms) is the p99 of the round it falls in.
            before, after = ([percentile(one, share) for one in rounds] for rounds in (alone, beside))
            print("check, p%g of each round, us: alone %s; beside %s"
                  % (share * 100, " ".join("%.0f" % one for one in before), " ".join("%.0f" % one for one in after)))
            before, after = percentile(before, 0.5), percentile(after, 0.5)
            print("check, p%g: %.0f us alone, %.0f us beside %d waiting requests: %.2f"
                  % (share * 100, before, after, WAITING, after / before))
        many(service, options.requests // 10)
        before = state(service)
        many(service, options.requests)
        support.eventually(lambda: source.connections() == 0 and state(service)[0] <= before[0] + 8,
                           what="descriptors come back: %d before, %d after" % (before[0], state(service)[0]))
        after = state(service)
        print("%d requests on bad sources: descriptors %d -> %d, resident %d -> %d KiB, processes %d -> %d"
              % (options.requests, before[0], after[0], before[1], after[1], before[2], after[2]))


if __name__ == "__main__":
    main()
