#!/usr/bin/env python3
"""test_fuzz.py RUNNER: random scenarios and the shrinker, without a BEAM: the runner stands for the oracle too.

A runner that is wrong on purpose must be found out, and what shows it made small."""
import contextlib
import io
import os
import stat
import subprocess
import sys
import tempfile
import unittest

import fuzz
import generator
import shrink
import sides

RUNNER = ""

# Calls a kill what is an ordinary end, as a runtime without the rule of untrappable kills would.
WRONG = """#!/bin/sh
%s "$@" | sed 's/ exit killed$/ exit kill/'
"""


def contains(*parts):
    return lambda candidates: [all(part in ops for part in parts) for ops in candidates]


class Shrinking(unittest.TestCase):
    def setUp(self):
        self.ops = [{"note": "n"}, ["unordered", "*"]] + [["op", i] for i in range(20)]

    def test_leaves_the_ops_that_matter_and_those_that_hide_races(self):
        small = shrink.Shrinker(contains(["op", 3], ["op", 17])).shrink(self.ops)
        self.assertEqual(small, [{"note": "n"}, ["unordered", "*"], ["op", 3], ["op", 17]])

    def test_makes_arguments_simpler(self):
        big = ["start", "gs", "s", {"trap": True, "on": {"a": [["ret", 7], ["log", 1]]}, "keep": 1}]
        judge = lambda candidates: [any(op[0] == "start" and "keep" in op[-1] for op in ops if isinstance(op, list))
                                    for ops in candidates]
        small = shrink.Shrinker(judge).shrink([{"note": "n"}, big, ["wait", 100]])
        self.assertEqual(small, [{"note": "n"}, ["start", {"keep": 1}]])

    def test_stops_when_the_budget_is_spent(self):
        asked = []

        def judge(candidates):
            asked.extend(candidates)
            return [False] * len(candidates)
        self.assertEqual(shrink.Shrinker(judge, budget=7).shrink(self.ops), self.ops)
        self.assertEqual(len(asked), 7)


class Generating(unittest.TestCase):
    def test_the_same_seed_gives_the_same_scenario_and_another_another(self):
        for family in generator.FAMILIES:
            self.assertEqual(generator.scenario(5, family), generator.scenario(5, family))
            self.assertNotEqual(generator.scenario(5, family), generator.scenario(6, family))

    def test_seeds_in_a_row_have_all_families(self):
        self.assertEqual({generator.family_of(seed) for seed in range(100, 100 + len(generator.TURNS))}, set(generator.FAMILIES))

    def test_scenarios_of_every_family_are_played(self):
        with tempfile.TemporaryDirectory() as folder:
            for family in generator.FAMILIES:
                for seed in range(4):
                    path = os.path.join(folder, "%s-%d.jsonl" % (family, seed))
                    with open(path, "w") as file:
                        file.write(generator.text(generator.scenario(seed, family)))
                    answer = subprocess.run([RUNNER, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
                    self.assertIn(answer.returncode, (0, sides.SKIPPED), path)
                    self.assertNotIn(b"BAD STEP", answer.stdout)


class Masking(unittest.TestCase):
    DEFECT = "3 ctl smcast = ok\n3 m cast e1 in a\n4 m info {timeout,#?,{timeout,h}} in b\n5 m info x in b\n"

    def test_the_known_defect_hides_what_follows_it(self):
        self.assertTrue(fuzz.masked(self.DEFECT, "3 ctl smcast = ok\n3 m cast e1 in a\n4 m {timeout,h} ht in b\n"))

    def test_it_hides_nothing_before_its_op_and_no_end_of_the_runner(self):
        self.assertFalse(fuzz.masked(self.DEFECT, "3 ctl smcast = ok\n4 m {timeout,h} ht in b\n"))
        self.assertFalse(fuzz.masked(self.DEFECT, "3 ctl smcast = ok\n3 m cast e1 in a\n(status 1) abort\n"))

    def test_a_defect_of_the_runner_and_a_timeout_with_a_name_hide_nothing(self):
        self.assertFalse(fuzz.masked("3 ctl smcast = ok\n", self.DEFECT))
        named = "4 m info {timeout,#t1,x} in b\n"
        self.assertFalse(fuzz.masked(named, "4 m {timeout,h} ht in b\n"))
        self.assertFalse(fuzz.masked(self.DEFECT, self.DEFECT))


class Fuzzing(unittest.TestCase):
    def setUp(self):
        room = tempfile.TemporaryDirectory()
        self.addCleanup(room.cleanup)
        self.folder = room.name

    def fuzz(self, *args):
        """Runs fuzz.py. Gives (exit status, output)."""
        output = io.StringIO()
        old, sys.argv = sys.argv, ["fuzz.py", *args]
        try:
            with contextlib.redirect_stdout(output):
                return fuzz.main(), output.getvalue()
        finally:
            sys.argv = old

    def wrong_runner(self):
        path = os.path.join(self.folder, "wrong.sh")
        with open(path, "w") as file:
            file.write(WRONG % RUNNER)
        os.chmod(path, stat.S_IRWXU)
        return path

    def test_a_runner_agrees_with_itself(self):
        status, output = self.fuzz(RUNNER, str(len(generator.TURNS)), "--seed", "1", "--oracle", RUNNER, "--out", self.folder)
        self.assertEqual(status, 0, output)
        self.assertIn(" 0 differ", output)

    def test_a_wrong_runner_is_found_out_and_shown_small(self):
        wrong, out = self.wrong_runner(), os.path.join(self.folder, "out")
        status, output = self.fuzz(wrong, "6", "--seed", "1", "--family", "process", "--oracle", RUNNER, "--out", out)
        self.assertEqual(status, 1, output)
        small = [name for name in os.listdir(out) if name.endswith(".jsonl") and "full" not in name]
        self.assertTrue(small, output)
        for name in small:
            base = os.path.join(out, name[:-len(".jsonl")])
            with open(base + ".jsonl") as file:
                ops = file.read().splitlines()
            # The note, unordered, a process, its end by kill: nothing less shows it.
            self.assertLessEqual(len(ops), 4, ops)
            with open(base + ".oracle.txt") as file:
                self.assertIn(" exit killed\n", file.read())
            with open(base + ".runner.txt") as file:
                self.assertIn(" exit kill\n", file.read())
            self.assertIn("--replay %s.jsonl" % base, output)
            self.assertEqual(self.fuzz(wrong, "--replay", base + ".jsonl", "--oracle", RUNNER)[0], 1)
            self.assertEqual(self.fuzz(RUNNER, "--replay", base + ".jsonl", "--oracle", RUNNER)[0], 0)


if __name__ == "__main__":
    RUNNER = os.path.abspath(sys.argv.pop(1))
    unittest.main()
