#!/usr/bin/env python3
"""Feature flags through OpenFeature's SDKs with the OFREP providers (package.json pins them)."""
import os
import subprocess

import support

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = 15


def test_the_providers_pass_their_flows():
    """Values of each type, defaults on errors, targeting, stickiness, the web provider's bulk, polling with ETag, a change event."""
    with support.Service() as service:
        done = subprocess.run(["node", os.path.join(HERE, "flags.js"), "http://127.0.0.1:%d" % service.port],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
                              universal_newlines=True)
        print(done.stdout, end="")
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("ok ") == CASES, done.stdout


if __name__ == "__main__":
    support.main(globals())
