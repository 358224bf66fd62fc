#!/usr/bin/env python3
"""notes.py ROOT: each folder of runtime/ and server/ with C sources has a NOTES.md of at most two pages.

Examples and public headers explain themselves and need none."""
import os
import sys

import tree

LINES_MAX = 120
EXEMPT = ("runtime/examples", "runtime/include")


def check(root):
    names = tree.files(root)
    folders = {os.path.dirname(name) for name in names
               if name.startswith(("runtime/", "server/")) and name.endswith(".c")}
    folders = sorted(folder for folder in folders if not folder.startswith(EXEMPT))
    findings = ["%s: has no NOTES.md" % folder for folder in folders if folder + "/NOTES.md" not in names]
    for name in names:
        if os.path.basename(name) == "NOTES.md":
            lines = (tree.read(root, name) or "").count("\n")
            if lines > LINES_MAX:
                findings.append("%s: %d lines, more than two pages (%d)" % (name, lines, LINES_MAX))
            if lines == 0:
                findings.append("%s: is empty" % name)
    return len(folders), findings


if __name__ == "__main__":
    sys.exit(tree.run("notes", check))
