#!/usr/bin/env python3
"""Durable transitions of payments a second over HTTP, with group commit and with groups of one, in alternating rounds on the same disk; then
the start with many payments on disk, and the memory of many live ones.

Usage: payments.py BUILD_DIR [--rounds N] [--seconds S] [--clients 1,8,64,256] [--stored N] [--live N]"""
import argparse
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))
import support
from kit.report import Line, print_lines, save, say

GOALS = {64: (6, 3)}  # clients: goal and floor of grouped by single


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench payments", description=__doc__.split("\n")[0])
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--seconds", type=float, default=3, metavar="S")
    parser.add_argument("--clients", default="1,8,64,256", metavar="N[,N]")
    parser.add_argument("--stored", type=int, default=1_000_000, metavar="N", help="payments on disk for the start")
    parser.add_argument("--live", type=int, default=100_000, metavar="N", help="payments in memory")
    return parser.parse_args()


def wrk(service, script, clients, seconds, *more):
    """Returns: requests a second, p99 in ms, answers that were not 2xx."""
    command = ["wrk", "-t1", "-c%d" % clients, "-d%.0fs" % seconds, "--latency", "-s", os.path.join(HERE, "wrk", script),
               "http://127.0.0.1:%d" % service.port, *more]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
            int(bad[1]) if bad else 0)


def transitions(args):
    rounds = {}
    for turn in range(args.rounds):
        for name, most in (("grouped", 512), ("single", 1)) if turn % 2 else (("single", 1), ("grouped", 512)):
            with support.Service("--store-group-max", str(most)) as service:
                for clients in map(int, args.clients.split(",")):
                    rate, p99, bad = wrk(service, "create_payment.lua", clients, args.seconds)
                    assert bad == 0, "%d answers were no 2xx" % bad
                    rounds.setdefault(clients, {}).setdefault(name, []).append((rate, p99))
                    say(bench="payments", clients=clients, commit=name, round=turn, rate=rate, p99_ms=p99)
    lines = []
    for clients, by in rounds.items():
        for name in ("grouped", "single"):
            lines.append(Line("%d clients, %s: transitions" % (clients, name), statistics.median(r for r, _ in by[name]), "1/s"))
            lines.append(Line("%d clients, %s: p99" % (clients, name), statistics.median(p for _, p in by[name]), "ms"))
        ratio = statistics.median(a / b for (a, _), (b, _) in zip(by["grouped"], by["single"]))
        lines.append(Line("%d clients: grouped by single" % clients, ratio, "x", *GOALS.get(clients, (None, None))))
    return lines


def fill(data, count):
    """Writes payments into the database as the service left it: a row and its first event each."""
    ids = ["pay_%024d" % i for i in range(count)]
    db = sqlite3.connect(database(data))
    db.executemany("INSERT INTO payments VALUES(?, 10000, 'USD', 0, 0, 0, 0, 0, NULL, '{}', 1, ?, ?, NULL, 0, 0, 0, 0)",
                   ((name, 1700000000000 + i, 1700000000000 + i) for i, name in enumerate(ids)))
    db.executemany("INSERT INTO payments_events VALUES(?, 1, 0, ?, 'bench', 0, '', 10000, 'USD', '')",
                   ((name, 1700000000000 + i) for i, name in enumerate(ids)))
    db.commit()
    db.close()
    return ids


def database(data):
    found = [name for name in os.listdir(data) if name.endswith((".db", ".sqlite", ".sqlite3"))]
    assert len(found) == 1, os.listdir(data)
    return os.path.join(data, found[0])


def resident(service):
    with open("/proc/%d/statm" % service.process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def many(args):
    with support.folder() as data:
        with support.Service(data=data):
            pass
        ids = fill(data, args.stored)
        begun = time.monotonic()
        with support.Service("--payments-idle-ms", "600000", "--payments-live-max", "10000000", data=data) as service:
            lines = [Line("start with %d payments" % args.stored, time.monotonic() - begun, "s")]
            with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
                file.write("\n".join(ids[:args.live]) + "\n")
                file.flush()
                before = resident(service)
                while support.metric(service, "troupe_payments_live") < args.live:
                    wrk(service, "wake_payment.lua", 64, 5, file.name)
                lines.append(Line("a live payment, of %d" % args.live, (resident(service) - before) / args.live, "bytes"))
    return lines


def main():
    args = arguments()
    support.BINARY = os.path.join(args.build, "trouped")
    lines = transitions(args) + many(args)
    print()
    print_lines(lines)
    save({"lines": [line.document() for line in lines]}, "payments")
    return 1 if any(line.verdict() == "BELOW FLOOR" for line in lines) else 0


sys.exit(main())
