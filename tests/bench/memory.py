#!/usr/bin/env python3
"""What memory holds, at full size: a million gen_servers, a table of a million keys, and five million distinct keys over HTTP.

Fails when a bound is broken. Usage: memory.py BUILD_DIR [SERVERS [MAX_KEYS]] (default a million each)."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
import attack
import support


def main():
    build = sys.argv[1]
    servers, max_keys = (sys.argv[2:] + ["1000000", "1000000"][len(sys.argv) - 2:])[:2]
    support.BINARY = os.path.join(build, "trouped")
    inside = subprocess.run([os.path.join(build, "bench", "memory"), servers, max_keys], check=False)
    print(json.dumps({"bench": "memory", "what": "keys over HTTP", **attack.attack(int(max_keys))}))
    sys.exit(inside.returncode)


main()
