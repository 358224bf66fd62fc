#!/usr/bin/env python3
"""kill -9 under load, many times on one data directory. Fails when a level comes back that was saved for certain.

Usage: durability.py BUILD_DIR [LIVES [SEED]] (default 100 lives, a seed of its own; it is printed)."""
import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
import crash_loop
import support


def main():
    support.BINARY = os.path.join(sys.argv[1], "trouped")
    lives = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 31)
    print(json.dumps({"bench": "durability", **crash_loop.crash_loop(lives, seed)}))


main()
