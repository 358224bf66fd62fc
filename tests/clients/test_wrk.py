#!/usr/bin/env python3
"""The recipes of tests/bench/wrk, a second each: every answer is 2xx, and the service counts what they say they do."""
import os
import re
import subprocess

import support
from proxy import program

RECIPES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "wrk")
LARGE = {"limit": 2000000000, "refill": {"amount": 2000000000, "every_ms": 1000}}
CHECKS = {"check_get": 1, "check_post": 1, "hot_key": 1, "batch": 100}  # checks a request


def decisions(service):
    found = re.findall(r'(?m)^troupe_rate_limit_decisions_total\{result="allowed"\} (\d+)$', service.get("/metrics").body.decode())
    assert len(found) == 1, found
    return int(found[0])


def test_recipes(service):
    """Each of them."""
    names = sorted(name[:-4] for name in os.listdir(RECIPES) if name.endswith(".lua"))
    assert names == sorted(CHECKS), names
    assert service.request("PUT", "/v1/rate-limits/load", LARGE).status == 201
    for name in names:
        before = decisions(service)
        done = subprocess.run([program("wrk"), "-t2", "-c8", "-d1s", "-s", os.path.join(RECIPES, name + ".lua"),
                               "http://127.0.0.1:%d" % service.port], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=support.PATIENCE, check=False, universal_newlines=True)
        requests = re.search(r"(\d+) requests in", done.stdout)
        assert done.returncode == 0 and requests and int(requests.group(1)) > 0, done.stdout
        assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
        # wrk leaves some requests unread at its end
        taken = (decisions(service) - before) / CHECKS[name]
        assert int(requests.group(1)) <= taken <= int(requests.group(1)) + 8, (name, taken, done.stdout)


if __name__ == "__main__":
    support.main(globals())
