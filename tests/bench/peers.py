#!/usr/bin/env python3
"""The runtime against the BEAM and Go, ./dev bench --peers: the same workloads with the same sizes and counts, in alternating rounds.

A ratio is the median of the ratios of the rounds: the peer's time by ours, by the clock and by CPU time. The status is 1 when a line is
below its floor by both, or something is broken. NOTES.md says what was found out, peers/ has the programs.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

from kit import report
from kit.report import Line, say

HERE = os.path.dirname(os.path.abspath(__file__))
# operations in a round: about half a second for the slowest
COUNTS = {"ping_pong": 300_000, "ring": 500_000, "stream": 1_000_000, "fan_in": 1_000_000, "call_1": 200_000, "call_16": 200_000,
          "spawn": 200_000, "fan_out": 200_000, "timers": 500_000, "statem": 500_000}
IDLE = {"ours": 1_000_000, "beam": 100_000, "go": 100_000}
GOALS = {"beam": (10, 5), "go": (2, 1)}  # goal, floor
BYTES_GOAL, BYTES_FLOOR = 384, 768
PATIENCE = 600


class Broken(Exception):
    """A program that did not do its work."""


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench --peers", description=__doc__.split("\n")[0])
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="times the operations of a round")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--only", metavar="NAME[,NAME]", help="some of: " + ", ".join([*COUNTS, "idle"]))
    parser.add_argument("--peers", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.names = args.only.split(",") if args.only else [*COUNTS, "idle"]
    unknown = [name for name in args.names if name not in COUNTS and name != "idle"]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    return args


def commands(args):
    """Compiles the peers that are installed. Returns: {program: its command line, to which workload and count are added}, missing."""
    room = os.path.abspath("build/bench/peers")
    os.makedirs(room, exist_ok=True)
    found, missing = {"ours": lambda name, count: ([os.path.join(args.build, "bench/peers"), name, count, str(args.workers)], {})}, []
    if shutil.which("erlc"):
        subprocess.run(["erlc", "-o", room, *(os.path.join(HERE, "peers", name) for name in ("peers.erl", "lamp.erl"))], check=True)
        erl = ["erl", "+S", f"{args.workers}:{args.workers}", "+sbt", "db", "+P", "2000000", "-noshell", "-noinput", "-pa", room, "-run", "peers", "main"]
        found["beam"] = lambda name, count: ([*erl, name, count], {})
    else:
        missing.append("beam")
    if shutil.which("go"):
        subprocess.run(["go", "build", "-o", os.path.join(room, "peers"), os.path.join(HERE, "peers", "peers.go")], check=True,
                       env={**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": os.path.join(room, "cache")})
        found["go"] = lambda name, count: ([os.path.join(room, "peers"), name, count], {"GOMAXPROCS": str(args.workers)})
    else:
        missing.append("go")
    return found, missing


def run(program, name, count):
    command, env = program(name, str(count))
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=PATIENCE, env={**os.environ, **env})
    try:
        return json.loads(answer.stdout.decode().strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise Broken(f"{' '.join(command)}: status {answer.returncode}") from error


class Comparison:
    def __init__(self, args):
        self.args = args
        self.programs, self.missing = commands(args)
        self.rounds = {}  # workload: [{program: {wall, cpu}}]
        self.lines = []

    def measure(self, name):
        count = max(1000, int(COUNTS[name] * self.args.scale) // 1000 * 1000)
        rounds = self.rounds[name] = []
        for turn in range(self.args.rounds):
            order = list(self.programs)
            order = order[turn % len(order):] + order[:turn % len(order)]
            sample = {}
            for who in order:
                got = run(self.programs[who], name, count)
                sample[who] = {"wall_ns": got["seconds"] * 1e9 / got["ops"], "cpu_ns": got["cpu_seconds"] * 1e9 / got["ops"]}
                say(bench="peers", workload=name, program=who, round=turn, **sample[who])
            rounds.append(sample)
        for who in self.programs:
            if who != "ours":
                goal, floor = GOALS[who]
                self.lines += [Line(f"{name}: {who}'s {what[:-3]} time by ours",
                                    statistics.median(one[who][what] / max(one["ours"][what], 1e-9) for one in rounds), "x", goal, floor)
                               for what in ("wall_ns", "cpu_ns")]

    def measure_idle(self):
        for who, program in self.programs.items():
            got = run(program, "idle", max(10_000, int(IDLE[who] * self.args.scale)))["bytes"]
            say(bench="peers", workload="idle", program=who, bytes=got)
            bounds = (BYTES_GOAL, BYTES_FLOOR) if who == "ours" else (None, None)
            self.lines.append(Line(f"idle server, {who}", got, "bytes", *bounds, most=True))

    def print_rounds(self):
        print(f"\n{'workload':10} {'program':8} {'ns an operation':>16} {'CPU ns':>10}")
        for name, rounds in self.rounds.items():
            for who in self.programs:
                middle = [statistics.median(one[who][what] for one in rounds) for what in ("wall_ns", "cpu_ns")]
                print(f"{name:10} {who:8} {middle[0]:16,.0f} {middle[1]:10,.0f}")

    def below_floor(self):
        """Others may share the machine: what is below its floor by the clock and by CPU time is."""
        low = [line.what.rsplit("'s ", 1)[0] for line in self.lines if line.verdict() == "BELOW FLOOR"]
        return sorted({what for what in low if low.count(what) == 2 or what.startswith("idle")})


def main():
    args = arguments()
    comparison = Comparison(args)
    before = os.getloadavg()
    for name in args.names:
        if name == "idle":
            comparison.measure_idle()
        else:
            comparison.measure(name)
    comparison.print_rounds()
    report.print_lines(comparison.lines)
    for who in comparison.missing:
        print(f"not installed, left out: {who}")
    report.save({"lines": [line.document() for line in comparison.lines], "rounds": comparison.rounds, "workers": args.workers,
                 "load": {"before": before, "after": os.getloadavg()}}, "peers")
    low = comparison.below_floor()
    for what in low:
        print(f"below its floor: {what}", file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as broken:
        print(f"peers: {broken}", file=sys.stderr)
        sys.exit(1)
