#!/usr/bin/env python3
"""headers.py ROOT: every header compiles alone, and twice in one file. Public headers must not need _GNU_SOURCE."""
import concurrent.futures
import os
import subprocess
import sys

import tree

MODULES = ["libuv", "libmicrohttpd", "libcjson", "sqlite3", "criterion"]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wvla", "-Werror"]


def library_flags():
    flags = []
    for module in MODULES:
        answer = subprocess.run(["pkg-config", "--cflags", module], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, check=False)
        if answer.returncode == 0:
            flags += answer.stdout.decode().split()
    return flags


def compile_alone(root, name, flags):
    """What the compiler says about a file that holds nothing but this header, or None."""
    public = name.startswith("runtime/include/")
    command = [os.environ.get("CC", "gcc"), "-std=gnu17", "-fsyntax-only", *WARNINGS, "-I.", "-Iruntime/include"]
    command += [] if public else ["-D_GNU_SOURCE="] + flags
    # A header with definitions for tests brings static functions that nobody calls here.
    command += ["-Wno-unused-function", "-x", "c", "-"]
    source = '#include "%s"\n#include "%s"\n' % (name, name)
    answer = subprocess.run(command, input=source.encode(), cwd=root, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, check=False)
    if answer.returncode == 0:
        return None
    first = answer.stdout.decode("utf-8", "replace").strip().splitlines()[:6]
    return "%s: does not compile alone:\n    %s" % (name, "\n    ".join(first))


def check(root):
    names = tree.files(root, (".h",))
    flags = library_flags()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        answers = pool.map(lambda name: compile_alone(root, name, flags), names)
        return len(names), [answer for answer in answers if answer]


if __name__ == "__main__":
    sys.exit(tree.run("headers", check))
