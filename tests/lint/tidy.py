#!/usr/bin/env python3
"""tidy.py BUILD_DIR: clang-tidy with the committed .clang-tidy over the sources of runtime/, server/ and api/.

BUILD_DIR is configured with clang and holds compile_commands.json. A file that passed is not judged again until
its text after preprocessing, the configuration or clang-tidy changes: BUILD_DIR/tidy-passed remembers."""
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys

ROOMS = ("runtime/", "server/", "api/")


def fingerprint(entry, configuration):
    """A digest of everything that the verdict on this file depends on; None when it cannot be preprocessed."""
    command = shlex.split(entry["command"])
    command = command[:command.index("-o")] + command[command.index("-o") + 2:]
    command[command.index("-c")] = "-E"
    # Comments are kept: NOLINT is one.
    answer = subprocess.run(command + ["-CC"], cwd=entry["directory"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False)
    if answer.returncode != 0:
        return None
    return hashlib.sha256(configuration + answer.stdout).hexdigest()


def judge(entry, build, passed, configuration):
    """(fingerprint if it passed, what clang-tidy said)."""
    mark = fingerprint(entry, configuration)
    if mark is not None and mark in passed:
        return mark, ""
    answer = subprocess.run(["clang-tidy", "-p", build, "--quiet", entry["file"]], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, check=False)
    if answer.returncode == 0:
        return mark, ""
    return None, answer.stdout.decode("utf-8", "replace") or answer.stderr.decode("utf-8", "replace")


def main():
    if len(sys.argv) != 2:
        print("usage: tidy.py BUILD_DIR", file=sys.stderr)
        return 64
    build = sys.argv[1]
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as stream:
        entries = json.load(stream)
    top = os.getcwd()
    entries = [entry for entry in entries if os.path.relpath(entry["file"], top).startswith(ROOMS)
               and entry["file"].endswith(".c")]
    with open(".clang-tidy", "rb") as stream:
        configuration = stream.read()
    configuration += subprocess.run(["clang-tidy", "--version"], stdout=subprocess.PIPE, check=True).stdout
    memory = os.path.join(build, "tidy-passed")
    passed = set()
    if os.path.exists(memory):
        with open(memory, encoding="utf-8") as stream:
            passed = set(stream.read().split())

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        verdicts = list(pool.map(lambda entry: judge(entry, build, passed, configuration), entries))
    for _, said in verdicts:
        if said:
            print(said.replace(top + "/", ""), end="")
    with open(memory, "w", encoding="utf-8") as stream:
        stream.write("\n".join(sorted({mark for mark, _ in verdicts if mark})))
    failed = sum(1 for _, said in verdicts if said)
    print("tidy: %d files, %d with findings" % (len(entries), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
