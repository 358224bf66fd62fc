"""The lines of the result: what was measured, the goal, the floor, and how it stands."""
import json
import os
import statistics
import sys
import time


def say(**fields):
    """One JSON line, while the run goes on."""
    print(json.dumps({name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}), flush=True)


class Line:
    """One measured number. Goal and floor are least values, or greatest ones when `most` is set; None: not judged."""

    def __init__(self, what, value, unit, goal=None, floor=None, most=False):
        self.what, self.value, self.unit = what, value, unit
        self.goal, self.floor, self.most = goal, floor, most

    def reaches(self, bound):
        return self.value <= bound if self.most else self.value >= bound

    def verdict(self):
        if self.goal is None:
            return ""
        if self.reaches(self.goal):
            return "goal met"
        return "missed" if self.floor is None else "above floor" if self.reaches(self.floor) else "BELOW FLOOR"

    def document(self):
        return {"what": self.what, "value": self.value, "unit": self.unit, "goal": self.goal, "floor": self.floor,
                "verdict": self.verdict() or None}


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 0.1 else f"{value:.2f}"


def print_servers(samples):
    """samples: {(workload, server): [round, ...]}"""
    print(f"\n{'workload':10} {'server':18} {'requests/s':>12} {'CPU us/request':>16} {'switches/request':>18}")
    for (workload, server), rounds in samples.items():
        middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        print(f"{workload:10} {server:18} {middle['requests_per_s']:12,.0f} {middle['cpu_us_per_request']:16.2f} "
              f"{middle['switches_per_request']:18.3f}")


def print_lines(lines):
    width = max(len(line.what) for line in lines)
    print(f"\n{'':{width}} {'value':>12} {'unit':12} {'goal':>10} {'floor':>10}")
    for line in lines:
        bound = "<= " if line.most and line.goal is not None else ""
        print(f"{line.what:{width}} {number(line.value):>12} {line.unit:12} {bound + number(line.goal):>10} "
              f"{number(line.floor):>10}  {line.verdict()}".rstrip())


def save(document, name):
    """Writes build/bench/NAME-<time>.json, and NAME.json for the newest."""
    folder = os.path.join("build", "bench")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json")
    for one in (path, os.path.join(folder, name + ".json")):
        with open(one, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
    print(f"\nwritten to {path}", file=sys.stderr)
