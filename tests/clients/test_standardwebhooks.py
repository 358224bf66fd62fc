#!/usr/bin/env python3
"""Deliveries of webhooks as the library of Standard Webhooks sees them (package.json pins it)."""
import json
import os
import subprocess

import receiver
import support
from support import eventually

HERE = os.path.dirname(os.path.abspath(__file__))


def verify(lines):
    """What the library says of each."""
    done = subprocess.run(["node", os.path.join(HERE, "verify.js")], input="".join(json.dumps(line) + "\n" for line in lines),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=True, universal_newlines=True)
    return done.stdout.splitlines()


def line(delivery, secret):
    return {"secret": secret, "headers": delivery.fields, "body": delivery.body.decode()}


def test_the_library_verifies():
    """What was sent passes, during a rotation with either secret; with another secret, or changed, it does not."""
    with receiver.Receiver() as there, support.Service("--allow-private-addresses") as service:
        target, body = "/v1/webhooks/shop", {"url": there.url(), "events": ["*"]}
        old = service.request("PUT", target, body).json()["secret"]
        new = service.request("PUT", target, {**body, "rotate_secret": True}).json()["secret"]
        there.secrets["/hook"] = [new]
        payment = service.post("/v1/payments", {"amount": 1, "currency": "USD", "metadata": {"name": "\u00e4\u2028\U0001f600"}})
        assert service.post("/v1/payments/%s/cancel" % payment.json()["id"]).status == 200
        eventually(lambda: len(there.all_taken()) == 2)
        taken = there.all_taken()
        assert verify([line(one, secret) for one in taken for secret in (new, old)]) == ["ok"] * 4
        changed = line(taken[0], new)
        changed["body"] += " "
        stale = line(taken[0], new)
        stale["headers"] = {**stale["headers"], "webhook-timestamp": str(int(taken[0].timestamp) + 1)}
        other = "whsec_" + "A" * 43 + "="
        said = verify([changed, stale, line(taken[0], other)])
        assert len(said) == 3 and "ok" not in said, said


if __name__ == "__main__":
    support.main(globals())
