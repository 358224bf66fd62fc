#!/usr/bin/env python3
"""check_rules.py TESTS_FOLDER: RULES.md has the 25 rules, each named by a test, and every test it speaks of is there."""
import os
import re
import sys


def sources(folder):
    texts = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".c"):
            with open(os.path.join(folder, name)) as file:
                texts.append(file.read())
    return "".join(texts)


def missing(root, line, code):
    """What a line of the table speaks of and is not there."""
    scenarios = os.path.join(root, "conformance", "scenarios")
    for name in re.findall(r"\b(?<!/)(rule_\d\d_\w+)", line):
        if name + ")" not in code:
            yield name
    for family, name in re.findall(r"\b([a-z_]+)/([a-z]\w+)", line):
        if not os.path.exists(os.path.join(scenarios, family, name + ".jsonl")):
            yield family + "/" + name
    for suite, name in re.findall(r"\b(\w+)::(\w+)", line):
        if "(%s, %s)" % (suite, name) not in code:
            yield suite + "::" + name


def main(root):
    with open(os.path.join(root, "otp", "RULES.md")) as file:
        lines = [line for line in file if re.match(r"\| \d+ \|", line)]
    code = sources(os.path.join(root, "runtime"))
    findings = ["rule %d has no line of its own" % i for i in range(1, 26)
                if sum(line.startswith("| %d |" % i) for line in lines) != 1]
    for number, line in enumerate(lines, 1):
        if "rule_%02d_" % number not in line.split("|")[3]:
            findings.append("rule %d is named by no test" % number)
        findings += ["rule %d: there is no %s" % (number, name) for name in missing(root, line, code)]
    for finding in findings:
        print(finding)
    print("%d rules, %d findings" % (len(lines), len(findings)))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
