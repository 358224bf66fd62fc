#!/usr/bin/env python3
"""scripts.py ROOT: shell scripts parse (and satisfy shellcheck where it is installed), Python files compile,
JSON files are JSON, and a shell script with a #! line is executable."""
import ast
import json
import os
import shutil
import subprocess
import sys

import tree


def complaint(command, root):
    answer = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return None if answer.returncode == 0 else answer.stdout.decode("utf-8", "replace").strip()


def judge_shell(root, name):
    return complaint(["bash", "-n", name], root) or (
        shutil.which("shellcheck") and complaint(["shellcheck", "-S", "warning", name], root))


def judge_python(root, name):
    try:
        ast.parse(tree.read(root, name) or "", name)
    except SyntaxError as error:
        return "%s:%s: %s" % (name, error.lineno, error.msg)
    return None


def judge_json(root, name):
    try:
        json.loads(tree.read(root, name) or "")
    except ValueError as error:
        return "%s: %s" % (name, error)
    return None


def check(root):
    checked, findings = 0, []
    for name in tree.files(root):
        text = tree.read(root, name) or ""
        first = text.split("\n", 1)[0]
        judge = None
        if name.endswith(".sh") or (first.startswith("#!") and first.endswith("sh")):
            judge = judge_shell
        elif name.endswith(".py"):
            judge = judge_python
        elif name.endswith(".json"):
            judge = judge_json
        if judge is None:
            continue
        checked += 1
        reason = judge(root, name)
        if reason:
            findings.append(reason)
        if judge is judge_shell and first.startswith("#!") and not os.access(os.path.join(root, name), os.X_OK):
            findings.append("%s: has a #! line but is not executable" % name)
    return checked, findings


if __name__ == "__main__":
    sys.exit(tree.run("scripts", check))
