#!/usr/bin/env python3
"""words.py ROOT: no marks of unfinished work, and no paths of the machine it was written on.

A temporary path is allowed in a test, on a line that makes a file with mktemp, mkstemp or mkdtemp, or holds the
six X of the template that they fill in."""
import re
import sys

import tree

# In two halves, so that this file passes its own check.
MARKS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE = re.compile(r"(?<![\w./$}-])/(wo" + r"rk|ro" + r"ot|ho" + r"me)(?=[/\s\"'`),;:]|$)")
TEMPORARY = re.compile(r"(?<![\w.$}-])/t" + r"mp(?=[/\s\"'`),;:]|$)")
MAKES_TEMPORARY = re.compile(r"mk(d|s)?temp|XXXXXX")
RECORDED = ("tests/conformance/scenarios/", "tests/conformance/golden/", "LICENSE")


def judge(name, line):
    """Why the line may not stand, or None."""
    match = MARKS.search(line)
    if match:
        return "'%s' marks unfinished work" % match.group(0)
    match = MACHINE.search(line)
    if match:
        return "'%s' is a path of one machine" % match.group(0)
    if TEMPORARY.search(line) and not (name.startswith("tests/") and MAKES_TEMPORARY.search(line)):
        return "a temporary path that no mktemp made"
    return None


def check(root):
    names = [name for name in tree.files(root) if not name.startswith(RECORDED)]
    findings = []
    for name in names:
        for number, line in enumerate((tree.read(root, name) or "").splitlines(), 1):
            reason = judge(name, line)
            if reason:
                findings.append("%s:%d: %s" % (name, number, reason))
    return len(names), findings


if __name__ == "__main__":
    sys.exit(tree.run("words", check))
