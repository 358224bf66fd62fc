#!/usr/bin/env python3
"""/metrics through promtool: no error, and no warning either."""
import shutil
import subprocess

import support


def promtool(text):
    """Its exit status and what it says."""
    path = shutil.which("promtool")
    assert path, "promtool is not installed; ./dev test --clients would install it"
    done = subprocess.run([path, "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=support.PATIENCE, check=False)
    return done.returncode, done.stdout.decode()


def test_metrics_pass():
    """At start, and after requests of many kinds."""
    with support.Service() as service:
        assert promtool(service.get("/metrics").body) == (0, "")
        limits = "/v1/rate-limits"
        assert service.request("PUT", limits + "/p", {"limit": 1, "refill": {"amount": 1, "every_ms": 1000}}).status == 201
        for target in ("/p/keys/a/check", "/p/keys/a/check", "/p/keys/a", "/p/gate?key=a", "/none/keys/a/check", "/p/keys/%00"):
            service.get(limits + target)
        service.post(limits + "/check", {"checks": [{"policy": "p", "key": "b"}]})
        service.post("/v1/processes/rate_limits.partition.0/exit", {"reason": "kill"})
        support.eventually(lambda: service.get("/readyz").status == 200)
        assert promtool(service.get("/metrics").body) == (0, "")


def test_bad_metrics_do_not():
    """It sees what it is there for."""
    status, words = promtool(b"# TYPE requests counter\nrequests 1\n")
    assert status != 0 and "_total" in words and "help" in words, (status, words)


if __name__ == "__main__":
    support.main(globals())
