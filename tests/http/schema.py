"""Checks an answer against the OpenAPI document: the part of JSON Schema that the document uses.

A keyword that is not known here is an error, so that nothing is taken for checked that is not."""
import json
import re

ANNOTATIONS = {"description", "example", "examples", "default", "title"}
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


def resolve(document, item):
    """What a $ref means; anything else as it is."""
    while "$ref" in item:
        at = document
        for part in item["$ref"].lstrip("#/").split("/"):
            at = at[part]
        item = at
    return item


def is_valid(document, schema, value):
    try:
        check(document, schema, value, "")
    except AssertionError:
        return False
    return True


def check_number(schema, value, where):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        assert value >= schema.get("minimum", value), "%s: %r is too small" % (where, value)
        assert value <= schema.get("maximum", value), "%s: %r is too large" % (where, value)


def check_string(schema, value, where):
    if isinstance(value, str):
        assert len(value) >= schema.get("minLength", 0), "%s: too short" % where
        assert len(value) <= schema.get("maxLength", len(value)), "%s: too long" % where
        assert re.search(schema.get("pattern", ""), value), "%s: %r does not match" % (where, value)


def check_array(document, schema, value, where):
    if isinstance(value, list):
        assert len(value) >= schema.get("minItems", 0), "%s: too few" % where
        assert len(value) <= schema.get("maxItems", len(value)), "%s: too many" % where
        for i, item in enumerate(value):
            check(document, schema.get("items", {}), item, "%s/%d" % (where, i))


def check_object(document, schema, value, where):
    if isinstance(value, dict):
        missing = set(schema.get("required", [])) - set(value)
        assert not missing, "%s: %s missing" % (where, sorted(missing))
        properties = schema.get("properties", {})
        for name, member in value.items():
            if name in properties:
                check(document, properties[name], member, where + "/" + name)
            else:
                assert schema.get("additionalProperties", True), "%s: %s is unknown" % (where, name)


KNOWN = {"type", "enum", "const", "allOf", "oneOf", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems",
         "maxItems", "items", "required", "properties", "additionalProperties"} | ANNOTATIONS


def check(document, schema, value, where):
    """Raises AssertionError when value does not fit."""
    schema = resolve(document, schema)
    assert set(schema) <= KNOWN, "unknown keywords %s" % sorted(set(schema) - KNOWN)
    types = schema.get("type", list(TYPES))
    types = types if isinstance(types, list) else [types]
    assert any(TYPES[name](value) for name in types), "%s: %r is not %s" % (where, value, types)
    assert value in schema.get("enum", [value]), "%s: %r is not in %s" % (where, value, schema.get("enum"))
    assert value == schema.get("const", value), "%s: %r is not %r" % (where, value, schema.get("const"))
    for part in schema.get("allOf", []):
        check(document, part, value, where)
    if "oneOf" in schema:
        fitting = sum(is_valid(document, part, value) for part in schema["oneOf"])
        assert fitting == 1, "%s: fits %d of oneOf" % (where, fitting)
    check_number(schema, value, where)
    check_string(schema, value, where)
    check_array(document, schema, value, where)
    check_object(document, schema, value, where)


def check_answer(document, operation, answer):
    """Status, fields, media type and body of an answer, against an operation's responses."""
    name = operation["operationId"]
    assert str(answer.status) in operation["responses"], "%s: %d is not documented" % (name, answer.status)
    response = resolve(document, operation["responses"][str(answer.status)])
    for field, meant in response.get("headers", {}).items():
        value = answer.header(field)
        if value is not None:
            check(document, resolve(document, meant)["schema"], value, "%s %s" % (name, field))
    content = response.get("content")
    if content is None:
        assert answer.body == b"", "%s: %d has a body" % (name, answer.status)
        return
    kind = answer.header("Content-Type").split(";")[0]
    assert kind in content, "%s: %s is not documented" % (name, kind)
    if kind.endswith("json"):
        check(document, content[kind]["schema"], json.loads(answer.body.decode()), name)
