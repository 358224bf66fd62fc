#!/usr/bin/env python3
"""check_excerpts.py ROOT: the C code of runtime/README.md is what stands in the examples, and every example is mentioned.

Each ```c block is an excerpt, line by line, of the file that the nearest `examples/NAME.c` before it names."""
import os
import re
import sys


def excerpts(text):
    """(name of the example, lines) of each block of C."""
    example = None
    block = None
    for line in text.split("\n"):
        if block is not None:
            if line.startswith("```"):
                yield example, block
                block = None
            else:
                block.append(line)
        elif line == "```c":
            block = []
        else:
            named = re.findall(r"`examples/(\w+\.c)`", line)
            example = named[-1] if named else example


def contains(lines, part):
    return any(lines[i:i + len(part)] == part for i in range(len(lines) - len(part) + 1))


def main(root):
    folder = os.path.join(root, "runtime", "examples")
    with open(os.path.join(root, "runtime", "README.md"), encoding="utf-8") as file:
        text = file.read()
    findings = []
    count = 0
    for example, block in excerpts(text):
        count += 1
        path = os.path.join(folder, example or "")
        if not example or not os.path.isfile(path):
            findings.append("an excerpt of no example: %s" % block[0])
            continue
        with open(path, encoding="utf-8") as file:
            if not contains(file.read().split("\n"), block):
                findings.append("not in examples/%s: %s ..." % (example, block[0].strip()))
    for name in sorted(os.listdir(folder)):
        if "examples/" + name not in text:
            findings.append("examples/%s is not mentioned" % name)
    print("\n".join(findings + ["%d excerpts, %d findings" % (count, len(findings))]))
    return 1 if findings or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
