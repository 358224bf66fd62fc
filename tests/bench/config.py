#!/usr/bin/env python3
"""Reads of the configuration against a static reply of the same service: /v1/config/timeout and /healthz under wrk, in turns, medians and
their ratio; then the same reads while 1000 watchers wait.

usage: config.py BUILD_DIR [--rounds 5] [--seconds 2] [--connections 32]"""
import argparse
import os
import re
import resource
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
import support  # noqa: the path comes first

WATCHERS = 1000
KEY = "/v1/config/timeout"
STATIC = "/healthz"


def spent(service):
    """Processor seconds of the service so far."""
    with open("/proc/%d/stat" % service.process.pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(service, path, options):
    """Requests a second, and processor microseconds a request."""
    before = spent(service)
    out = subprocess.run(["wrk", "-t1", "-c%d" % options.connections, "-d%ds" % options.seconds, "-H", "Host: localhost",
                          "http://127.0.0.1:%d%s" % (service.port, path)], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    return float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1)), (spent(service) - before) / requests * 1e6


def rounds(service, options):
    found = {STATIC: [], KEY: []}
    for i in range(options.rounds):
        for path in (STATIC, KEY) if i % 2 == 0 else (KEY, STATIC):
            found[path].append(load(service, path, options))
    return [[statistics.median(values) for values in zip(*found[path])] for path in (STATIC, KEY)]


def watchers(service):
    sockets = []
    for i in range(WATCHERS):
        one = service.connect()
        fields = {"Accept": "text/event-stream"} if i % 2 == 0 else None
        one.send(support.compose("GET", "/v1/config?watch=true&wait_ms=300000", headers=fields))
        sockets.append(one)
    support.eventually(lambda: support.metric(service, "troupe_config_watchers") == WATCHERS)
    return sockets


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    support.BINARY = os.path.abspath(os.path.join(options.build, "trouped"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard) if hard != resource.RLIM_INFINITY else 8192, hard))
    with support.Service("--max-connections", "4000") as service:
        load(service, KEY, options)
        static, key = rounds(service, options)
        print("static reply: %.0f a second, %.1f us of processor each" % tuple(static))
        print("one key:      %.0f a second, %.1f us of processor each" % tuple(key))
        print("ratio: %.2f by throughput, %.2f by processor (goal 0.95, floor 0.8)" % (key[0] / static[0], static[1] / key[1]))
        sockets = watchers(service)
        beside_static, beside = rounds(service, options)
        print("one key beside %d watchers: %.0f a second, %.1f us each; %.2f of without; static %.2f of without"
              % (WATCHERS, beside[0], beside[1], beside[0] / key[0], beside_static[0] / static[0]))
        for one in sockets:
            one.close()


if __name__ == "__main__":
    main()
