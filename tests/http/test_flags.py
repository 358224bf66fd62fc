#!/usr/bin/env python3
"""Feature flags from outside: documents and conditions, lists, refusals with pointers, OFREP, limits, durability."""
import collections
import threading
import urllib.parse

import support
from support import pointers, problem

ROOT = "/v1/flags"
OFREP = "/ofrep/v1/evaluate/flags"
ON_OFF = {"on": True, "off": False}


def flag(targeting=None, **more):
    made = {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "off", **more}
    return made if targeting is None else {**made, "targeting": targeting}


def path(root, key):
    return "%s/%s" % (root, urllib.parse.quote(key, safe=""))


def put(service, key, document, status=(200, 201), **more):
    response = service.request("PUT", path(ROOT, key), document, **more)
    assert response.status in status, response
    return response


def evaluate(service, key, context=None, status=200):
    response = service.post(path(OFREP, key), None if context is None else {"context": context})
    assert response.status == status and response.header("Content-Type").startswith("application/json"), response
    return response.json()


def test_documents_and_conditions(service):
    """A document comes back as it was put; versions are ETags, conditions hold; what is gone is 404, and its versions go on."""
    document = flag({"if": [{"==": [{"var": "a"}, 1]}, "on"]}, metadata={"n": 1.5})
    made = put(service, "doc", document, status=(201,), headers={"If-None-Match": "*"})
    assert made.json() == document
    got = service.get(ROOT + "/doc")
    assert got.json() == document and got.header("ETag") == made.header("ETag")
    assert service.get(ROOT + "/doc", headers={"If-None-Match": got.header("ETag")}).status == 304
    problem(put(service, "doc", document, status=(412,), headers={"If-None-Match": "*"}), 412, "version-conflict")
    second = put(service, "doc", document, status=(200,), headers={"If-Match": got.header("ETag")})
    problem(put(service, "doc", document, status=(412,), headers={"If-Match": got.header("ETag")}), 412, "version-conflict")
    assert service.request("DELETE", ROOT + "/doc", headers={"If-Match": second.header("ETag")}).status == 204
    for method in ("GET", "DELETE"):
        problem(service.request(method, ROOT + "/doc"), 404, "flag-not-found")
    third = put(service, "doc", document, status=(201,))
    assert int(third.header("ETag").strip('"')) > int(second.header("ETag").strip('"'))


def test_races_have_one_winner(service):
    """Of many conditional puts on one version exactly one is done."""
    tag = put(service, "race", flag()).header("ETag")
    seen = collections.Counter()
    lock = threading.Lock()

    def one():
        status = service.request("PUT", ROOT + "/race", flag(), headers={"If-Match": tag}).status
        with lock:
            seen[status] += 1
    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {200: 1, 412: 15}, seen


def test_list():
    """Pages by key, each flag once."""
    with support.Service() as service:
        keys = ["k%02d" % i for i in range(7)]
        for key in reversed(keys):
            put(service, key, flag())
        seen, target = [], ROOT + "?limit=3"
        while target:
            page = service.get(target).json()
            seen += [item["key"] for item in page["items"]]
            assert all(item["flag"] == flag() for item in page["items"])
            target = page["next_cursor"] and ROOT + "?limit=3&cursor=" + urllib.parse.quote(page["next_cursor"], safe="")
        assert seen == keys, seen


def test_refusals_name_the_place(service):
    """What is wrong with a document is told with its pointer, and nothing changes."""
    deep = "x"
    for _ in range(29):
        deep = {"!": deep}
    for document, pointer in (
            (flag(state="on"), "/state"), (flag(defaultVariant="none"), "/defaultVariant"),
            (flag(variants={"a": 1, "b": "1"}), "/variants/b"), (flag(variants={"a": None}), "/variants/a"),
            (flag(variants={}), "/variants"), (flag(variants=[]), "/variants"), (flag(extra=1), "/extra"),
            (flag(targeting="on"), "/targeting"), (flag({"nope": 1}), "/targeting/nope"),
            (flag({"if": [{"==": [1]}, "on"]}), "/targeting/if/0/=="), (flag({"$ref": "shared"}), "/targeting/$ref"),
            (flag({"a": 1, "b": 2}), "/targeting"), (flag({"cat": ["a", {}]}), "/targeting/cat/1"),
            (flag({"fractional": [["on", -1], ["off", 1]]}), "/targeting/fractional/0/1"),
            (flag({"fractional": [{"var": "a"}, "on"]}), "/targeting/fractional/1"),
            (flag({"fractional": [["on", 2147483647], ["off", 1]]}), "/targeting/fractional"),
            (flag({"cat": ["x"] * 5000}), None), (flag(metadata={"a": {}}), "/metadata/a")):
        answer = put(service, "bad", document, status=(422,))
        problem(answer, 422, "invalid-request")
        assert pointer is None or pointers(answer) == [pointer], (pointer, answer.json())
    assert put(service, "deep", flag({"cat": [deep]}), status=(201, 422, 400)).status != 500
    problem(service.get(ROOT + "/bad"), 404, "flag-not-found")


def test_hostile_bodies(service):
    """Ten thousand nested, no JSON, huge keys, wrong types: clear answers, and the service goes on."""
    json_type = {"Content-Type": "application/json"}
    nested = b"[" * 10000 + b"]" * 10000
    problem(service.request("PUT", ROOT + "/h", nested, headers=json_type), 400, "invalid-json")
    problem(service.request("PUT", ROOT + "/h", b'{"state":"ENABLED","state":"ENABLED"}', headers=json_type), 400, "invalid-json")
    problem(service.request("PUT", path(ROOT, "(a+)+$" * 60), flag()), 422, "invalid-request")
    problem(service.request("PUT", path(ROOT, "a\x01b"), flag()), 422, "invalid-request")
    put(service, "(a+)+$[^*]?", flag())
    assert evaluate(service, "(a+)+$[^*]?")["reason"] == "STATIC"
    for body, code in ((nested, "PARSE_ERROR"), (b"{", "PARSE_ERROR"), (b"[]", "INVALID_CONTEXT"), (b"7", "INVALID_CONTEXT"),
                       (b'{"context":[]}', "INVALID_CONTEXT"), (b'{"context":{"targetingKey":7}}', "INVALID_CONTEXT")):
        for target in (OFREP, OFREP + "/h"):
            answer = service.request("POST", target, body, headers=json_type)
            assert answer.status == 400 and answer.json()["errorCode"] == code, (body[:20], answer)


def test_evaluation(service):
    """Reasons and errors are OFREP's."""
    put(service, "plain", flag(metadata={"team": "shop"}))
    assert evaluate(service, "plain") == {"key": "plain", "reason": "STATIC", "variant": "off", "value": False, "metadata": {"team": "shop"}}
    put(service, "rule", flag({"if": [{"sem_ver": [{"var": "v"}, ">=", "1.2.0"]}, "on", None]}))
    assert evaluate(service, "rule", {"v": "1.10.0"}) == {"key": "rule", "reason": "TARGETING_MATCH", "variant": "on", "value": True}
    assert evaluate(service, "rule", {"v": "1.2.0-rc.1"})["reason"] == "DEFAULT"
    put(service, "off", flag(state="DISABLED"))
    assert evaluate(service, "off") == {"key": "off", "reason": "DISABLED"}
    put(service, "wrong", flag({"cat": ["no", "ne"]}))
    assert evaluate(service, "wrong", {}, 400)["errorCode"] == "GENERAL"
    assert evaluate(service, "nowhere", {}, 404)["errorCode"] == "FLAG_NOT_FOUND"
    put(service, "self", flag({"if": [{"==": [{"var": "$flagd.flagKey"}, "self"]}, {"if": [{">": [{"var": "$flagd.timestamp"}, 1700000000]}, "on"]}]}))
    assert evaluate(service, "self")["variant"] == "on"


def test_fractional_is_sticky(service):
    """The same key gets the same share; a share of nothing is nobody's; without a key it is an error."""
    put(service, "split", flag({"fractional": [["on", 25], ["off", 75]]}))
    first = [evaluate(service, "split", {"targetingKey": "u%d" % i}) for i in range(200)]
    assert [evaluate(service, "split", {"targetingKey": "u%d" % i}) for i in range(200)] == first
    assert {one["reason"] for one in first} == {"SPLIT"}
    assert 20 <= sum(one["value"] for one in first) <= 80
    assert evaluate(service, "split", {}, 400)["errorCode"] == "TARGETING_KEY_MISSING"


def test_bulk_has_a_tag():
    """All flags in one answer; its tag covers flags and context; errors stand beside values."""
    with support.Service() as service:
        put(service, "a", flag({"if": [{"==": [{"var": "x"}, 1]}, "on"]}))
        put(service, "b", flag({"fractional": [["on"], ["off"]]}))
        answer = service.post(OFREP, {"context": {"x": 1}})
        items = {item["key"]: item for item in answer.json()["flags"]}
        assert items["a"]["value"] is True and items["b"]["errorCode"] == "TARGETING_KEY_MISSING"
        tag = {"If-None-Match": answer.header("ETag")}
        same = service.request("POST", OFREP, {"context": {"x": 1}}, headers=tag)
        assert same.status == 304 and same.body == b"" and same.header("ETag") == tag["If-None-Match"]
        assert service.request("POST", OFREP, {"context": {"x": 2}}, headers=tag).status == 200
        put(service, "c", flag())
        assert service.request("POST", OFREP, {"context": {"x": 1}}, headers=tag).status == 200


def test_evaluation_is_bounded(service):
    """A rule that would take for ever is given up, and says so."""
    numbers = [list(range(20))] * 20
    put(service, "loop", flag({"reduce": [{"var": "list"}, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "x"]}))
    assert evaluate(service, "loop", {"list": [1] * 100}, 400)["errorCode"] == "GENERAL"
    put(service, "twice", flag({"map": [{"var": "list"}, {"map": [{"var": ""}, {"cat": [{"var": ""}, "x"]}]}]}))
    assert evaluate(service, "twice", {"list": numbers * 100}, 400)["errorCode"] == "GENERAL"


def test_limits_and_tokens():
    """One flag too many is 422, one too long too; clients read and evaluate, admins write."""
    with support.Service("--max-flags", "2", "--max-flag-bytes", "256", "--admin-token", "a", "--client-token", "c") as service:
        admin, client = ({"Authorization": "Bearer " + token} for token in "ac")
        for key in ("a", "b"):
            assert service.request("PUT", path(ROOT, key), flag(), headers=admin).status == 201
        problem(service.request("PUT", ROOT + "/c", flag(), headers=admin), 422, "invalid-request")
        problem(service.request("PUT", ROOT + "/a", flag(variants={"on": True, "off" * 100: False, "off": False}), headers=admin), 422,
                "invalid-request")
        problem(service.request("PUT", ROOT + "/a", flag(), headers=client), 403, "forbidden")
        assert service.get(ROOT + "/a", headers=client).status == 200
        assert service.request("POST", OFREP + "/a", {}, headers=client).status == 200
        assert service.request("POST", OFREP, {}).status == 401


def test_survives_kills():
    """What was acknowledged is there after kill -9, with its version; what was deleted is not."""
    with support.folder() as where:
        tags = {}
        for round_ in range(3):
            with support.Service(data=where) as service:
                for key, tag in tags.items():
                    assert service.get(path(ROOT, key)).header("ETag") == tag
                assert round_ == 0 or service.get(ROOT + "/gone").status == 404
                put(service, "gone", flag())
                for i in range(20):
                    key = "r%d.%d" % (round_, i)
                    tags[key] = put(service, key, flag({"==": [{"var": "x"}, i]}, variants={"true": 1, "false": 0}, defaultVariant="true")).header("ETag")
                assert service.request("DELETE", ROOT + "/gone").status == 204
                assert evaluate(service, "r0.3", {"x": 3})["value"] == 1
                service.kill()


if __name__ == "__main__":
    support.main(globals())
