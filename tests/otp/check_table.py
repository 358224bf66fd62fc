#!/usr/bin/env python3
"""Fails when a row of tests/otp/README.md names a test or a scenario that is not there, or names none; when it leaves one out for
another reason than those that count; when the totals at its end are not those of the rows; and when less than 85 % of the cases are held.

    check_table.py [README]
    check_table.py --totals [README]     prints the totals as they have to be

A row is `| case | where |`. A place is `file:test` (tests/runtime/file.c has a test of that name) or
`family/name` (tests/conformance/scenarios/family/name.jsonl). A row without a place says why, by one of REASONS: "not here: ...".
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
PLACE = re.compile(r"`([a-z_]+[:/][a-z0-9_]+)`")
DEFINITION = re.compile(r"^(?:SCENE|TREE_TEST|Test|PLAIN_TEST|UNIQUE|DUPLICATE|LOCKS)\((?:\w+,\s*)?(\w+)", re.MULTILINE)
NOT_HERE = "not here: "
REASONS = ("needs distribution", "code loading", "Erlang terms", "OTP removed it")
HELD_AT_LEAST = 85  # of 100 cases


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
    """Number, suite, case and place of each row."""
    suite = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            suite = line[3:]
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) == 4 and cells[1].strip() not in ("case", "---"):
            yield number, suite, cells[1].strip(), cells[2].strip()


def total_line(suite, places):
    held = sum(not place.startswith(NOT_HERE) for place in places)
    return f"| {suite} | {len(places)} | {held} | {len(places) - held} |"


def totals_of(text):
    """The lines of the table of totals, and how many cases of a hundred are held."""
    suites = {}
    for _, suite, _, where in rows_of(text):
        suites.setdefault(suite, []).append(where)
    places = [where for each in suites.values() for where in each]
    held = sum(not where.startswith(NOT_HERE) for where in places)
    lines = [total_line(suite, each) for suite, each in suites.items()]
    return lines + [total_line("**all**", places)], 100 * held // max(len(places), 1)


def findings_of(text):
    """What is wrong, with the number of its line."""
    for number, _, case, where in rows_of(text):
        places = PLACE.findall(where)
        missing = [place for place in places if not is_there(place)]
        if missing or not (places or where.startswith(NOT_HERE)):
            yield f"{number}: {case}: {', '.join(missing) or 'names no place'}"
        if where.startswith(NOT_HERE) and not where[len(NOT_HERE):].startswith(REASONS):
            yield f"{number}: {case}: left out for a reason that does not count"
    totals, held = totals_of(text)
    printed = [line for line in text.splitlines() if re.match(r"\|.*\| \d+ \| \d+ \| \d+ \|$", line)]
    if printed != totals:
        yield "the totals are not those of the rows: take the lines of check_table.py --totals"
    if held < HELD_AT_LEAST:
        yield f"only {held} % are held"


def main():
    args = [arg for arg in sys.argv[1:] if arg != "--totals"]
    readme = pathlib.Path(args[0]) if args else HERE / "README.md"
    text = readme.read_text()
    totals, _ = totals_of(text)
    if "--totals" in sys.argv:
        print("\n".join(totals))
        return 0
    findings = list(findings_of(text))
    for finding in findings:
        print(f"{readme.name}: {finding}")
    print(f"{totals[-1]} {len(findings)} findings")
    return 1 if findings or not list(rows_of(text)) else 0


if __name__ == "__main__":
    sys.exit(main())
