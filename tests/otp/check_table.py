#!/usr/bin/env python3
"""Fails when a row of tests/otp/README.md names a test or a scenario that is not there, or names none.

    check_table.py [README]

A row is `| case | where |`. A place is `file:test` (tests/runtime/file.c has a test of that name) or
`family/name` (tests/conformance/scenarios/family/name.jsonl). A row without a place says why: "not here: ...".
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
PLACE = re.compile(r"`([a-z_]+[:/][a-z0-9_]+)`")
DEFINITION = re.compile(r"^(?:SCENE|TREE_TEST|Test|PLAIN_TEST)\((?:\w+,\s*)?(\w+)", re.MULTILINE)


def tests_of(name, known={}):
    """The tests that tests/runtime/NAME.c defines."""
    if name not in known:
        path = TESTS / "runtime" / f"{name}.c"
        known[name] = set(DEFINITION.findall(path.read_text())) if path.exists() else set()
    return known[name]


def is_there(place):
    """Is there such a test or scenario?"""
    if ":" in place:
        name, test = place.split(":")
        return test in tests_of(name)
    return (TESTS / "conformance" / "scenarios" / f"{place}.jsonl").exists()


def rows_of(text):
    """Number, case and place of each row."""
    for number, line in enumerate(text.splitlines(), 1):
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) == 4 and cells[1].strip() not in ("case", "---"):
            yield number, cells[1].strip(), cells[2].strip()


def main():
    readme = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "README.md"
    count = 0
    bad = 0
    for number, case, where in rows_of(readme.read_text()):
        count += 1
        places = PLACE.findall(where)
        missing = [place for place in places if not is_there(place)]
        if missing or not (places or where.startswith("not here: ")):
            bad += 1
            print(f"{readme.name}:{number}: {case}: {', '.join(missing) or 'names no place'}")
    print(f"{count} cases, {bad} without their place")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
