#!/usr/bin/env python3
"""The standard comparison, ./dev bench: the service against its peers, its latency at half load, and what it costs at rest.

All servers are up, one is loaded at a time, in rounds; each round begins with another server. A ratio is the median of the ratios of the
rounds. The status is 1 when something is broken (an answer that is not 2xx, a server that died), never because of speed.
README.md of this folder says what each line is.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from kit import load, report, servers
from kit.report import Line, say

HOT, MANY = 1, load.KEYS
WORKLOADS = {"get-hot": ("get", HOT), "get": ("get", MANY), "post": ("post", MANY), "batch": ("batch", MANY)}
PARTS = (*WORKLOADS, "process", "latency", "idle")


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n")[0],
                                     epilog="./dev bench list names the single benchmarks; tests/bench/README.md explains the lines.")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s instead of 5 of 2 s")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--seconds", type=int, metavar="N", help="of load on one server in one round")
    parser.add_argument("--connections", type=int, default=64, metavar="N")
    parser.add_argument("--workers", type=int, metavar="N", help="of the service and of each peer (default: one for each CPU that they have)")
    parser.add_argument("--shared", action="store_true", help="servers and load generators share all CPUs, instead of the last one being "
                        "the generators' alone")
    parser.add_argument("--only", metavar="PART[,PART]", help="some of: " + ", ".join(PARTS))
    parser.add_argument("--beam", action="store_true", help="with the BEAM; its packages are fetched when they are missing")
    args = parser.parse_args()
    available = len(servers.CPUS) if args.shared else servers.part_cpus()
    args.workers = args.workers or available
    args.rounds = args.rounds or (3 if args.quick else 5)
    args.seconds = args.seconds or (1 if args.quick else 2)
    args.parts = args.only.split(",") if args.only else PARTS
    unknown = [part for part in args.parts if part not in PARTS]
    if unknown:
        parser.error(f"--only knows {', '.join(PARTS)}; not {', '.join(unknown)}")
    return args


class Comparison:
    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.samples = {}  # (workload, server): [round, ...]
        self.lines = []
        self.latency = []
        self.left_out = []
        self.troupe = servers.Troupe(args.build, folder, args.workers)
        self.bares = [servers.Bare(args.build, folder, args.workers, mode) for mode in ("loops", "pool")]
        self.nginx = servers.Nginx(folder, args.workers)
        self.beam = servers.Beam(folder, args.workers, os.path.abspath("build/bench/beam"))
        self.servers = []

    def start(self):
        if self.args.beam:
            self.beam.fetch()
        for server in (self.troupe, *self.bares, self.nginx, self.beam):
            try:
                server.start()
            except servers.Missing as missing:
                self.left_out.append(f"{server.name}: {missing}")
                continue
            self.servers.append(server)
            status, body = server.get()
            if status != 200:
                raise load.Broken(f"{server.name} answers {status}: {body[:200]}")

    def stop(self):
        for server in self.servers:
            server.stop()

    # ---- peaks ----

    def load(self, workload):
        kind, keys = WORKLOADS[workload]
        taking = [server for server in self.servers if kind in server.methods]
        for turn in range(self.args.rounds):
            first = turn % len(taking)
            for server in taking[first:] + taking[:first]:
                sample = load.wrk(server, kind, keys, self.args.seconds, self.args.connections)
                self.samples.setdefault((workload, server.name), []).append(sample)
                say(bench="standard", workload=workload, server=server.name, round=turn, **sample)

    def median(self, workload, server, what):
        return statistics.median(sample[what] for sample in self.samples[workload, server.name])

    def ratios(self, workload, peer, goal, floor, label):
        """By throughput, and by CPU time a request; 1 is as good as the peer, more is better."""
        rounds = list(zip(self.samples[workload, self.troupe.name], self.samples[workload, peer.name]))
        wall = statistics.median(ours["requests_per_s"] / theirs["requests_per_s"] for ours, theirs in rounds)
        cpu = statistics.median(theirs["cpu_us_per_request"] / ours["cpu_us_per_request"] for ours, theirs in rounds)
        self.lines.append(Line(f"{workload} against {label}, by requests/s", wall, "ratio", goal, floor))
        self.lines.append(Line(f"{workload} against {label}, by CPU a request", cpu, "ratio", goal, floor))

    def compare(self, workload):
        goals = {"get-hot": (0.90, 0.80), "get": (0.90, 0.80), "post": (0.80, 0.65), "batch": (None, None)}[workload]
        bare = max(self.bares, key=lambda server: self.median(workload, server, "requests_per_s"))
        self.ratios(workload, bare, *goals, bare.name)
        if (workload, self.nginx.name) in self.samples:
            self.ratios(workload, self.nginx, 1.0, 0.9, self.nginx.name)
        if (workload, self.beam.name) in self.samples:
            self.ratios(workload, self.beam, None, None, self.beam.name)
        if workload == "batch":
            per_cpu = load.BATCH * 1e6 / self.median(workload, self.troupe, "cpu_us_per_request")
            per_wall = load.BATCH * self.median(workload, self.troupe, "requests_per_s")
            self.lines.append(Line("batch of 100 over HTTP, a CPU second", per_cpu, "decisions/s", 1e6, 0.5e6))
            self.lines.append(Line("batch of 100 over HTTP, a second", per_wall, "decisions/s"))

    # ---- the rest ----

    def in_process(self):
        """Without HTTP, on one worker."""
        out = subprocess.run([os.path.join(self.args.build, "bench", "limiter"), "1"], capture_output=True, text=True, check=True).stdout
        sample = json.loads(out)
        say(bench="standard", workload="process", **sample)
        self.lines += [
            Line("batch of 100 in process, a CPU second", sample["batch_decisions_per_cpu_s"], "decisions/s", 5e6, 2e6),
            Line("batch of 100 in process, a second", sample["batch_decisions_per_s"], "decisions/s"),
            Line("check by call in process, a CPU second", sample["checks_per_cpu_s"], "decisions/s"),
        ]

    def half_load(self):
        """The same rate for the service and for the bare library: half of the service's peak."""
        if ("get-hot", self.troupe.name) not in self.samples:
            self.load("get-hot")
        rate = self.median("get-hot", self.troupe, "requests_per_s") / 2
        seconds = max(3, self.args.seconds)
        makers = {
            "even": lambda server: load.pace(self.args.build, server, rate, seconds, self.args.connections, servers.CHECK),
            "h2load": lambda server: load.h2load(server, rate, seconds, self.args.connections, servers.CHECK, self.folder),
        }
        for turn in range(self.args.rounds):
            for maker, make in makers.items():
                for server in (self.troupe, self.bares[0]):
                    sample = {"generator": maker, "server": server.name, "round": turn, **make(server)}
                    self.latency.append(sample)
                    say(bench="standard", workload="latency", **sample)
        for maker in makers:
            for server in (self.troupe, self.bares[0]):
                self.latency_lines(maker, server)

    def latency_lines(self, maker, server):
        rounds = [one for one in self.latency if (one["generator"], one["server"]) == (maker, server.name)]
        kept = statistics.median(one["kept"] for one in rounds)
        label = f"{server.name} at half load, {maker}, "
        for name, what in (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9")):
            judged = what == "p99" and server is self.troupe
            self.lines.append(Line(label + what, statistics.median(one[name] for one in rounds), "us", 1000 if judged else None, most=True))
        if maker == "even":
            lag = statistics.median(one["own_lag_p99_us"] for one in rounds)
            self.lines.append(Line(label + "of it the generator's own, p99", lag, "us"))
        if kept < 0.98:
            self.lines.append(Line(label + "kept only", kept, "of the rate"))

    def idle(self):
        """Nobody asks anything; two seconds for what the load has left to do."""
        time.sleep(2)
        seconds = 10
        ticks, spent, switches = self.troupe.cpu_ticks(), self.troupe.cpu_seconds(), self.troupe.switches()
        time.sleep(seconds)
        spent, switches = self.troupe.cpu_seconds() - spent, self.troupe.switches() - switches
        by_ticks = (self.troupe.cpu_ticks() - ticks) / os.sysconf("SC_CLK_TCK") / seconds * 100
        say(bench="standard", workload="idle", cpu_percent_by_ticks=by_ticks, cpu_us_per_s=spent * 1e6 / seconds,
            switches_per_s=switches / seconds)
        self.lines += [Line("idle, CPU by ticks of 10 ms", round(by_ticks, 1), "%", 0.0, most=True),
                       Line("idle, CPU by the scheduler's count", spent * 1e6 / seconds, "us/s"),
                       Line("idle, context switches", switches / seconds, "1/s")]

    def run(self):
        for workload in WORKLOADS:
            if workload in self.args.parts:
                self.load(workload)
                self.compare(workload)
        for part, measure in (("process", self.in_process), ("latency", self.half_load), ("idle", self.idle)):
            if part in self.args.parts:
                measure()
        for server in self.servers:
            if not server.alive():
                raise load.Broken(f"{server.name} has died")


def main():
    args = arguments()
    begin, load_before = time.time(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as folder:
        os.chmod(folder, 0o755)  # nginx's workers are nobody's when it is started by root
        comparison = Comparison(args, folder)
        try:
            comparison.start()
            comparison.run()
        except load.Broken as broken:
            sys.exit(f"bench: BROKEN: {broken}")
        finally:
            comparison.stop()
    where = {**servers.machine(), "load_before": load_before, "load_after": os.getloadavg()[0]}
    report.print_servers(comparison.samples)
    report.print_lines(comparison.lines)
    print(f"\nmedians of {args.rounds} rounds of {args.seconds} s, {args.workers} workers, {args.connections} connections, {where['cpus']} CPUs, "
          f"{'all shared with' if args.shared else 'one of them for'} the load generator; load average {where['load_before']:.1f} before, {where['load_after']:.1f} after; "
          f"{time.time() - begin:.0f} s")
    if where["load_before"] > where["cpus"]:
        print("the machine was busy before the run began: trust the lines by CPU, not those by the clock")
    for text in comparison.left_out:
        print("left out: " + text)
    report.save({"bench": "standard", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin)), "machine": where,
                 "options": {name: getattr(args, name) for name in ("rounds", "seconds", "connections", "workers", "shared")},
                 "lines": [line.document() for line in comparison.lines], "latency": comparison.latency,
                 "rounds": [{"workload": workload, "server": server, **sample}
                            for (workload, server), rounds in comparison.samples.items() for sample in rounds],
                 "left_out": comparison.left_out}, "standard")


if __name__ == "__main__":
    main()
