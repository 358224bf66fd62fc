#!/usr/bin/env python3
"""server/LIMITS.md says what is so: its settings, values, constants, codes and metrics are those of the service."""
import json
import os
import re

import support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def rows():
    """The cells of every row: limit, value, set by, what is seen, counted in."""
    found = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in text_of("server/LIMITS.md").splitlines()
             if line.startswith("| ") and not line.startswith("| limit ")]
    assert len(found) > 30 and all(len(cells) == 5 for cells in found), [cells for cells in found if len(cells) != 5]
    return found


def names(cell):
    return re.findall(r"`([A-Za-z0-9_]+)`", cell)


def sources():
    for room in ("server", "api"):
        for folder, _, files in os.walk(os.path.join(ROOT, room)):
            for name in files:
                if name.endswith((".h", ".c")):
                    yield os.path.join(folder, name)


def constants():
    """The numbers that #define and enum give to names in capitals."""
    found = {}
    for path in sources():
        for name, text in re.findall(r"(?:^#define +|[{ ])([A-Z][A-Z0-9_]+)(?: =)? +(.+?)(?:,|/\*| };|$)", text_of(path), re.M):
            text = re.sub(r"U?INT64_C\((\d+)\)|\b(\d+)[uUlL]*\b", r"\1\2", text).strip(" ,()")
            shift = re.fullmatch(r"(\d+)(?:\)? << (\d+))?", text)
            if shift:
                found.setdefault(name, set()).add(int(shift[1]) << int(shift[2] or 0))
    return found


def test_settings_and_values():
    """Every setting named exists, has the value shown, and every number among the settings is named."""
    effective = json.loads(support.run("--check-config").stdout)
    reference = text_of("server/SETTINGS.md")
    reserved = {section.split("`")[0] for section in reference.split("### `")[1:] if "- Reserved:" in section}
    seen = set()
    for limit, value, by, _, _ in rows():
        for name in names(by):
            if name in effective:
                assert int(value.split(" ")[0]) == effective[name], (limit, value, effective[name])
                seen.add(name)
            elif not by.startswith("its "):
                assert name.isupper(), "%s: %s is no setting" % (limit, name)
    numbers = {name for name, value in effective.items() if isinstance(value, int) and not isinstance(value, bool)}
    assert len(numbers) > 20 and seen == numbers - reserved, seen ^ (numbers - reserved)


def test_constants():
    """Every constant named is in the source, with that value."""
    known = constants()
    checked = 0
    for limit, value, by, _, _ in rows():
        for name in names(by):
            if name.isupper():
                assert known.get(name) == {int(value)}, (limit, name, known.get(name))
                checked += 1
    assert checked > 10


def test_codes():
    """Every status and code is one of the table of problems."""
    table = {(int(status), code) for status, code in re.findall(r'X\(\w+, (\d+), "([a-z-]+)"', text_of("server/problem.h"))}
    said = {(int(status), code) for row in rows() for status, code in re.findall(r"`(\d{3}) ([a-z-]+)`", row[3])}
    assert len(said) > 8 and said <= table, said - table


def test_metrics():
    """Every metric named is there."""
    with support.Service() as service:
        there = set(re.findall(r"^# TYPE (\S+)", service.get("/metrics").body.decode(), re.M))
    said = {name for row in rows() for name in names(row[4])}
    assert len(said) > 8 and said <= there, said - there


if __name__ == "__main__":
    support.main(globals())
