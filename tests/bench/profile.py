#!/usr/bin/env python3
"""Instructions a request of the real service, counted by callgrind: a number without noise, and who spends it.

./dev bench profile [get|post|batch]... [--requests 1000] [--top 25]. One worker, one connection. What happens before the first
counted request and after the last one does not count. The kernel's part is not in it: compare CPU time with ./dev bench.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

from kit import report, servers

# Paths and bodies; the batch asks for a hundred keys.
REQUESTS = {
    "get": (servers.CHECK, None),
    "post": ("/v1/rate-limits/bench/check", {"key": "key-00001", "cost": 1}),
    "batch": ("/v1/rate-limits/check", {"checks": [{"policy": "bench", "key": f"key-{i:05}", "cost": 1} for i in range(100)]}),
}


class Profiled(servers.Troupe):
    """The service under callgrind, which counts nothing until it is told to."""
    name = "troupe under callgrind"

    def command(self):
        return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.folder}/callgrind.out", *super().command()]

    def control(self, what):
        subprocess.run(["callgrind_control", what, str(self.process.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def send(server, kind, count, folder):
    path, body = REQUESTS[kind]
    command = ["h2load", "--h1", "-c1", "-t1", f"-n{count}"]
    if body is not None:
        file = os.path.join(folder, kind + ".json")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(body, out, separators=(",", ":"))
        command += ["-d", file, "-H", "Content-Type: application/json"]
    out = subprocess.run([*command, server.url(path)], capture_output=True, text=True, check=True).stdout
    if f" {count} 2xx" not in out:
        sys.exit(f"bench: BROKEN: not all answers were 2xx:\n{out}")


def annotate(file):
    """Reads a dump of callgrind: all instructions, and [instructions, "function  (where)"] of each function by itself.

    callgrind_annotate would add to processes that were parked during the whole time (calls=0) what others did meanwhile.
    """
    names, costs, here, total, inner = {}, {}, {}, 0, False
    with open(file, encoding="utf-8") as dump:
        for line in dump:
            name = re.match(r"(ob|fl|fi|fe|fn|cfn|cob|cfi|cfl)=(\(\d+\))(?: (.*))?", line)
            cost = re.match(r"[-+*\d]\S* (\d+)$", line)
            if name:
                # One table of names for objects, one for files, one for functions.
                table = "file" if name[1][-2:] in ("fl", "fi", "fe") else name[1][-2:]
                if name[3]:
                    names[table, name[2]] = name[3]
                here[name[1]] = names[table, name[2]]
            elif line.startswith("calls="):
                inner = True
            elif line.startswith("summary:"):
                total = int(line.split()[1])
            elif cost:
                place = here["fn"], here["fl"], here["ob"]
                costs[place] = costs.get(place, 0) + (0 if inner else int(cost[1]))
                inner = False
    rows = [(count, f"{function}  ({os.path.basename(library) if '.so' in library else file.removeprefix(os.getcwd() + '/')})")
            for (function, file, library), count in costs.items() if count > 0]
    return total, sorted(rows, reverse=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench profile", description=__doc__.split("\n")[0])
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("kinds", nargs="*", metavar="get|post|batch", help="default: all three")
    parser.add_argument("--requests", type=int, default=1000, metavar="N")
    parser.add_argument("--top", type=int, default=25, metavar="N", help="functions shown")
    args = parser.parse_args()
    unknown = set(args.kinds) - set(REQUESTS)
    if unknown:
        parser.error("get, post or batch; not " + ", ".join(unknown))
    result = []
    with tempfile.TemporaryDirectory(prefix="troupe-bench-") as folder:
        server = Profiled(args.build, folder, 1)
        try:
            server.start()
            for part, kind in enumerate(args.kinds or REQUESTS, 1):
                send(server, kind, max(200, args.requests // 5), folder)  # pages, caches and lazy binding
                server.control("--zero")
                send(server, kind, args.requests, folder)
                server.control("--dump")
                total, rows = annotate(f"{folder}/callgrind.out.{part}")
                result.append({"request": kind, "instructions": total / args.requests,
                               "functions": [{"instructions": count / args.requests, "function": place} for count, place in rows[:200]]})
                report.say(bench="profile", request=kind, instructions_per_request=total / args.requests)
                for count, place in rows[:args.top]:
                    print(f"{count / args.requests:12,.1f} {count / total * 100:6.2f} %  {place}")
        finally:
            server.stop()
    report.save({"bench": "profile", "requests": args.requests, "results": result}, "profile")


if __name__ == "__main__":
    main()
