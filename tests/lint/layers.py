#!/usr/bin/env python3
"""layers.py ROOT: the direction of #include lines. api -> server -> runtime, and libraries stay in their room.

The rules are the two tables below: who may include a room, and who may include a library's header. A file is
judged by the most specific part of its path; tests may include what the room they test may include."""
import fnmatch
import re
import sys

import tree

# Files (patterns) -> prefixes of our headers they may include. The first pattern that fits counts.
# A pattern's * crosses folders.
ROOMS = [
    ("runtime/include/*", ["troupe/"]),
    ("runtime/examples/*", ["troupe/"]),
    ("runtime/*", ["runtime/", "troupe/"]),
    ("server/main.c", ["server/", "api/", "runtime/", "troupe/"]),
    ("server/app.c", ["server/", "api/", "runtime/", "troupe/"]),
    ("server/*", ["server/", "runtime/", "troupe/"]),
    ("api/*", ["api/", "server/", "runtime/", "troupe/"]),
    ("tests/runtime/*", ["tests/", "runtime/", "troupe/"]),
    ("tests/server/test_app*", ["tests/", "api/", "server/", "runtime/", "troupe/"]),
    ("tests/server/*", ["tests/", "server/", "runtime/", "troupe/"]),
    ("tests/conformance/*", ["tests/", "runtime/", "troupe/"]),
    ("tests/*", ["tests/", "api/", "server/", "runtime/", "troupe/"]),
]
OURS = ("runtime/", "server/", "api/", "tests/", "troupe/")

# Header of a library -> files (patterns) that may include it. A file that builds or reads documents of its own
# with cJSON is added to its line.
LIBRARIES = {
    "microhttpd.h": ["server/http/*", "tests/server/*", "tests/bench/*"],
    "curl.h": ["server/client/*"],
    "sqlite3.h": ["server/store/*", "tests/server/*", "tests/bench/*"],
    "cJSON.h": ["server/json.c", "server/json.h", "server/json_*", "server/settings_*", "tests/server/*",
                "tests/api/*", "tests/conformance/runner/*"],
    "criterion.h": ["tests/*"],
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def fits(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def judge(name, header, quoted):
    """Why the file may not include the header, or None."""
    library = header.rsplit("/", 1)[-1]
    if library in LIBRARIES and not fits(name, LIBRARIES[library]):
        return "only %s may include %s" % (", ".join(LIBRARIES[library]), library)
    if quoted and not header.startswith(OURS):
        return 'ours are included by their path from the root ("runtime/core/x.h"), libraries with <>'
    if not header.startswith(OURS):
        return None
    if header.startswith("troupe/") and quoted:
        return "public headers are included as <troupe/...>"
    for pattern, allowed in ROOMS:
        if fnmatch.fnmatchcase(name, pattern):
            if header.startswith(tuple(allowed)):
                return None
            return "%s may include only %s" % (pattern, ", ".join(allowed))
    return None


def check(root):
    names = tree.files(root, (".c", ".h", ".S"))
    findings = []
    for name in names:
        text = tree.read(root, name) or ""
        for match in INCLUDE.finditer(text):
            reason = judge(name, match.group(2), match.group(1) == '"')
            if reason:
                line = text.count("\n", 0, match.start()) + 1
                findings.append("%s:%d: includes %s: %s" % (name, line, match.group(2), reason))
    return len(names), findings


if __name__ == "__main__":
    sys.exit(tree.run("layers", check))
