"""More distinct keys than max_keys, in batches: what stays, what is denied, what it costs.

Used small by test_memory.py and large by ../bench/memory.py."""
import os
import signal
import time

import support
from support import metric

ROOT = "/v1/rate-limits"
SLOW = {"limit": 5, "refill": {"amount": 1, "every_ms": 86400000}}  # nothing is full again meanwhile
TIMES = 5         # distinct keys offered, in max_keys
BATCH = 1000
LEVELS_A_SECOND = 5000  # that even a slow disk takes
LINE_BYTES = 49   # a key's line and its tag
KEY_BYTES = 96    # a key in the tables may take so much ...
TABLES_BYTES = 1 << 20  # ... beside the first pages of the tables
FIXED_BYTES = 64 << 20  # ... beside what the service needs with none: threads, stacks, pools, connections


def resident_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def table_bytes(service, max_keys):
    table = metric(service, "troupe_rate_limit_table_bytes")
    return table if table >= LINE_BYTES * max_keys else 0


def batches(service, policy, first, count):
    """Takes one token from each of count keys. Returns: how many were let in."""
    let_in = 0
    with service.connect() as connection:
        for begin in range(first, first + count, BATCH):
            checks = [{"policy": policy, "key": "k%d" % i} for i in range(begin, min(begin + BATCH, first + count))]
            connection.send(support.compose("POST", ROOT + "/check", {"checks": checks}))
            response = connection.read()
            assert response.status == 200, response
            for result in response.json()["results"]:
                assert result["allowed"] or result["code"] == "limiter-full", result
                let_in += result["allowed"]
    return let_in


def attack(max_keys, watch_resident=True):
    """Drains a key, offers TIMES x max_keys others, and asserts what must hold. Returns: the numbers seen."""
    with support.folder() as data:
        with support.Service("--max-keys", str(max_keys), data=data) as service:
            assert service.request("PUT", ROOT + "/slow", SLOW).status == 201
            for _ in range(SLOW["limit"]):
                assert service.post(ROOT + "/slow/keys/victim/check").status == 200
            support.problem(service.post(ROOT + "/slow/keys/victim/check"), 429, "rate-limited")
            seen = offer(service, max_keys, watch_resident)
            support.problem(service.post(ROOT + "/slow/keys/victim/check"), 429, "rate-limited")
            support.problem(service.post(ROOT + "/slow/keys/new/check"), 503, "limiter-full")
            assert service.post(ROOT + "/slow/keys/k0/check").status == 200  # a known key goes on
            begin = time.monotonic()
            service.signal(signal.SIGTERM)
            assert service.process.wait(support.PATIENCE + max_keys / LEVELS_A_SECOND) == 0, seen
            seen["stop_seconds"] = round(time.monotonic() - begin, 1)
        with support.Service("--max-keys", str(max_keys), data=data) as service:
            assert metric(service, "troupe_rate_limit_keys") == max_keys, seen
            support.problem(service.post(ROOT + "/slow/keys/victim/check"), 429, "rate-limited")
            seen["start_ms"] = service.ready["start_ms"]
            service.kill()  # what it would save again is saved
    return seen


def offer(service, max_keys, watch_resident):
    before = resident_bytes(service.process.pid)
    let_in = batches(service, "slow", 0, TIMES * max_keys)
    # The gauge is brought up to date when levels are saved; it cannot be below what the lines alone take.
    table = support.eventually(lambda: table_bytes(service, max_keys), support.PATIENCE + max_keys / LEVELS_A_SECOND)
    grown = resident_bytes(service.process.pid) - before
    seen = {"max_keys": max_keys, "offered": TIMES * max_keys, "let_in": let_in, "table_bytes": int(table),
            "table_bytes_a_key": round(table / max_keys, 1), "resident_bytes_grown": grown}
    # Exactly as many as there is room for, the victim among them; it was not dropped to let others in.
    assert let_in == max_keys - 1, seen
    assert metric(service, "troupe_rate_limit_keys") == max_keys, seen
    assert table <= KEY_BYTES * max_keys + TABLES_BYTES, seen
    if watch_resident:
        assert grown <= KEY_BYTES * max_keys + FIXED_BYTES, seen
    return seen
