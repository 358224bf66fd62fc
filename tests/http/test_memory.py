#!/usr/bin/env python3
"""Memory is bounded from outside: keys beyond max_keys cost nothing and push nobody out."""
import os

import attack
import support


def test_keys_beyond_max_keys_cost_nothing():
    """Five times max_keys distinct keys: a key drained before is still denied, tables and resident memory stay bounded."""
    # AddressSanitizer keeps what was freed, so there only the tables' own books count.
    attack.attack(10000, watch_resident="ASAN_OPTIONS" not in os.environ)


if __name__ == "__main__":
    support.main(globals())
