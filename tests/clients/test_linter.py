#!/usr/bin/env python3
"""openapi.yaml through a linter for OpenAPI 3.1 (package.json pins it, redocly.yaml has the rules)."""
import json
import os
import subprocess

import support

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(HERE, "..", "..", "openapi.yaml")


def lint(path):
    """The linter's exit status and findings."""
    done = subprocess.run([os.path.join(HERE, "node_modules", ".bin", "redocly"), "lint", "--format", "json", "--config",
                           os.path.join(HERE, "redocly.yaml"), path],
                          env=support.environment({"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.stdout.lstrip().startswith(b"{"), done.stderr.decode()
    return done.returncode, json.loads(done.stdout.decode())["problems"]


def test_the_document_passes():
    """No error and no warning."""
    status, problems = lint(DOCUMENT)
    assert (status, problems) == (0, []), [(one["ruleId"], one["message"]) for one in problems]


def test_a_broken_document_does_not():
    """The linter sees what it is there for: a reference to nowhere, an id given twice, an example that does not fit."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    for old, new, rule in (("schemas/Decision\"", "schemas/Nowhere\"", "no-unresolved-refs"),
                           ("operationId: getVersion", "operationId: getIndex", "operation-operationId-unique"),
                           ("example: {key: alice, cost: 1}", "example: {key: alice, cost: \"1\"}", "no-invalid-media-type-examples")):
        assert old in text, old
        with support.folder() as folder:
            path = os.path.join(folder, "openapi.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(old, new, 1))
            status, problems = lint(path)
        assert status != 0 and rule in [one["ruleId"] for one in problems], (rule, problems)


if __name__ == "__main__":
    support.main(globals())
