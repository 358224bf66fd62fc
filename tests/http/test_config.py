"""Configuration from outside: layers, versions, conditions, PATCH, history, rollback, reload, secrets, limits, durability."""
import json
import os
import threading
import uuid

import support
from support import eventually, folder, pointers, problem

ROOT = "/v1/config"
ENTRY = {"key", "value", "version", "revision", "source", "secret", "updated_at"}


def fresh(prefix="k"):
    return "%s.%s" % (prefix, uuid.uuid4().hex[:12])


def entry(service, key, query="", **more):
    response = service.get("%s/%s%s" % (ROOT, key.replace("/", "%2F"), query), **more)
    assert response.status == 200, response
    document = response.json()
    assert set(document) == ENTRY and response.header("ETag") == '"%d"' % document["version"], document
    return document


def put(service, key, value, status=None, headers=None, **more):
    response = service.request("PUT", "%s/%s" % (ROOT, key.replace("/", "%2F")), {"value": value, **more}, headers=headers)
    assert response.status in ((200, 201) if status is None else (status,)), response
    return response.json()


def patch(service, status=200, **body):
    response = service.request("PATCH", ROOT, body)
    assert response.status == status, response
    return response.json()


def revision(service):
    return service.get(ROOT).json()["revision"]


# ---- layers --------------------------------------------------------------------------------------------------------

def test_built_in():
    """As the guide has it: api_key (secret, null without API_KEY), timeout 5000, retry_attempts 3; version 1, in the history."""
    with support.Service() as service:
        response = service.get(ROOT)
        assert response.json() == {"revision": 1, "values": {"api_key": None, "retry_attempts": 3, "timeout": 5000}}
        assert response.header("ETag") == '"1"'
        assert service.get(ROOT, headers={"If-None-Match": '"1"'}).status == 304
        timeout = entry(service, "timeout")
        assert (timeout["value"], timeout["version"], timeout["revision"], timeout["source"]) == (5000, 1, 1, "default")
        assert entry(service, "api_key")["secret"] is True
        items = service.get(ROOT + "/timeout/history").json()["items"]
        assert items == [timeout], items


def test_later_layers_win():
    """Built in < file < environment < --env-file < override; values that are JSON are JSON, others strings; __ is a dot."""
    with folder() as where:
        settings, variables = os.path.join(where, "s.json"), os.path.join(where, "env")
        with open(settings, "w", encoding="utf-8") as file:
            json.dump({"config": {"timeout": 1, "retry_attempts": 4, "a": {"b": [1.5, None]}}}, file)
        with open(variables, "w", encoding="utf-8") as file:
            file.write("# a comment\n\nOTHER=x\nexport TROUPE_CONFIG_LAST='two'\nTROUPE_CONFIG_DB__PORT=5433\n")
        env = {"API_KEY": "123", "TROUPE_CONFIG_TIMEOUT": "2", "TROUPE_CONFIG_LAST": "one", "TROUPE_CONFIG_DB__HOST": "db"}
        with support.Service("--config", settings, "--env-file", variables, env=env) as service:
            assert service.get(ROOT).json()["values"] == {
                "a": {"b": [1.5, None]}, "api_key": None, "db.host": "db", "db.port": 5433, "last": "two",
                "retry_attempts": 4, "timeout": 2}
            assert [entry(service, key)["source"] for key in ("a", "timeout", "last")] == ["file", "environment", "environment"]
            assert entry(service, "api_key", "?reveal=true")["value"] == "123"
            put(service, "timeout", 3)
            assert entry(service, "timeout")["source"] == "override"
            assert service.request("DELETE", ROOT + "/timeout").status == 204
            now = entry(service, "timeout")
            assert (now["value"], now["source"], now["version"]) == (2, "environment", 3)
            assert service.get(ROOT + "?prefix=db.").json()["values"] == {"db.host": "db", "db.port": 5433}


def test_bad_layers_stop_the_start():
    """A bad key or value in a layer: exit 64 and a line that names the place and no value."""
    with folder() as where:
        for content, env, word in (({"config": {"bad key": 1}}, {}, "/config/bad key"),
                                   ({"config": {"k": "hush" * 5000}}, {}, "/config/k"),
                                   ({}, {"TROUPE_CONFIG_A B": "hush"}, "TROUPE_CONFIG_A B")):
            settings = os.path.join(where, "s.json")
            with open(settings, "w", encoding="utf-8") as file:
                json.dump(content, file)
            done = support.run("--data", os.path.join(where, "d"), "--config", settings, "--listen", "127.0.0.1:0", env=env)
            assert done.returncode == 64 and word in done.stderr and "hush" not in done.stderr, (done.returncode, done.stderr)


def test_start_compares_layers():
    """What the layers say anew at a start gets versions and a revision; what they say as before gets none."""
    with folder() as data:
        with support.Service(data=data, env={"TROUPE_CONFIG_A": "1", "TROUPE_CONFIG_B": "1"}) as service:
            before = revision(service)
        with support.Service(data=data, env={"TROUPE_CONFIG_A": "1", "TROUPE_CONFIG_B": "1"}) as service:
            assert revision(service) == before
        with support.Service(data=data, env={"TROUPE_CONFIG_A": "2"}) as service:
            assert revision(service) == before + 1
            assert (entry(service, "a")["version"], entry(service, "a")["revision"]) == (2, before + 1)
            problem(service.get(ROOT + "/b"), 404, "config-key-not-found")
            assert service.get(ROOT + "/b/history").json()["items"][0]["deleted"] is True
        with support.Service(data=data, env={"TROUPE_CONFIG_B": "7"}) as service:
            assert entry(service, "b")["version"] == 3  # versions of a key that came back go on


# ---- one key -------------------------------------------------------------------------------------------------------

def test_put_and_conditions(service):
    """PUT creates (201) or replaces (200); If-Match and If-None-Match hold; a stored null is not a missing key."""
    key = fresh()
    target = "%s/%s" % (ROOT, key)
    problem(service.get(target), 404, "config-key-not-found")
    problem(service.request("PUT", target, {"value": 1}, headers={"If-Match": '"1"'}), 412, "version-conflict")
    made = put(service, key, None, 201, {"If-None-Match": "*"})
    assert set(made) == ENTRY and (made["value"], made["version"], made["source"]) == (None, 1, "override")
    assert entry(service, key) == made
    problem(service.request("PUT", target, {"value": 1}, headers={"If-None-Match": "*"}), 412, "version-conflict")
    second = put(service, key, {"deep": [1, "x", 0.5, True]}, 200, {"If-Match": '"1"'})
    assert second["version"] == 2 and second["revision"] > made["revision"]
    problem(service.request("PUT", target, {"value": 1}, headers={"If-Match": '"1"'}), 412, "version-conflict")
    assert service.get(target, headers={"If-None-Match": '"2"'}).status == 304
    problem(service.request("DELETE", target, headers={"If-Match": '"1"'}), 412, "version-conflict")
    assert service.request("DELETE", target, headers={"If-Match": '"2"'}).status == 204
    problem(service.request("DELETE", target), 404, "config-key-not-found")
    problem(service.get(target), 404, "config-key-not-found")
    assert put(service, key, 1, 201)["version"] == 4


def test_keys_are_data(service):
    """A slash is a part of a key; other bytes are 422; "reload" and "history" are keys like others."""
    for key in ("a/b", "reload", "history", "x" * 256):
        assert put(service, key, key)["key"] == key and entry(service, key)["value"] == key
    assert pointers(service.get(ROOT + "/a%20b")) == ["/key"]
    assert pointers(service.request("PUT", ROOT + "/" + "x" * 257, {"value": 1})) == ["/key"]
    assert pointers(service.request("PUT", ROOT + "/k", {"secret": 1, "more": 2})) == ["/more", "/secret", "/value"]
    assert pointers(service.request("PUT", ROOT + "/k", {"value": "x" * 16384})) == ["/value"]
    assert service.request("PUT", ROOT + "/k", {"value": "x" * 16382}).status in (200, 201)
    assert pointers(service.get(ROOT + "?reveal=yes")) == ["/reveal"]


def test_numbers_come_back_as_they_were(service):
    """Integers are exact, other numbers keep their text."""
    for text in (b"9007199254740991", b"-0.1", b"1e400", b"1.0"):
        response = service.request("PUT", ROOT + "/number", b'{"value":' + text + b"}", headers={"Content-Type": "application/json"})
        assert response.status in (200, 201) and b'"value":' + text + b"," in response.body, response
        assert b'"value":' + text + b"," in service.get(ROOT + "/number").body


# ---- PATCH ---------------------------------------------------------------------------------------------------------

def test_patch_is_all_or_nothing(service):
    """One revision for all steps; a conflict or a missing key changes nothing and names the keys."""
    one, other, gone = fresh(), fresh(), fresh()
    before = revision(service)
    done = patch(service, puts={one: 1, other: 2, gone: 3}, expect={one: 0})
    assert done == {"revision": before + 1, "versions": {one: 1, other: 1, gone: 1}}
    done = patch(service, puts={one: 10}, deletes=[gone], expect={one: 1, other: 1})
    assert done == {"revision": before + 2, "versions": {one: 2, gone: None}}
    response = service.request("PATCH", ROOT, {"puts": {one: 11}, "expect": {one: 1, other: 1, gone: 5}})
    assert sorted(problem(response, 409, "config-conflict")["keys"]) == sorted([one, gone])
    response = service.request("PATCH", ROOT, {"puts": {one: 11}, "deletes": [gone]})
    assert problem(response, 404, "config-key-not-found")["keys"] == [gone]
    assert entry(service, one)["value"] == 10 and revision(service) == before + 2


def test_patch_shape(service):
    """Wrong shapes are 422 with a pointer, and change nothing."""
    before = revision(service)
    for body, pointer in (({"puts": {"a b": 1}}, "/puts/a b"), ({"puts": {"a": 1}, "deletes": ["a"]}, "/deletes/0"),
                          ({"deletes": [1]}, "/deletes/0"), ({"expect": {"a": -1}}, "/expect/a"), ({"expect": {"a": "1"}}, "/expect/a"),
                          ({"puts": []}, "/puts"), ({"put": {}}, "/put"), ({"puts": {"a": "x" * 20000}}, "/puts/a"),
                          ({"puts": {"big.%d" % i: "x" * 16000 for i in range(5)}}, "/puts/big.3")):
        assert pointers(service.request("PATCH", ROOT, body)) == [pointer], body
    assert revision(service) == before


# ---- history -------------------------------------------------------------------------------------------------------

def test_history_and_rollback(service):
    """History is newest first and in pages; a rollback is a new version with the old value."""
    key = fresh()
    for value in range(1, 6):
        put(service, key, value)
    target = "%s/%s" % (ROOT, key)
    seen, cursor = [], ""
    while True:
        page = service.get(target + "/history?limit=2" + cursor).json()
        seen += [(item["version"], item["value"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert seen == [(n, n) for n in range(5, 0, -1)], seen
    response = service.post(target + "/rollback", {"version": 2})
    assert response.status == 200 and (response.json()["value"], response.json()["version"]) == (2, 6), response
    problem(service.post(target + "/rollback", {"version": 9}), 404, "config-version-not-found")
    problem(service.post(target + "/rollback", {"version": 2}, headers={"If-Match": '"5"'}), 412, "version-conflict")
    assert pointers(service.post(target + "/rollback", {"version": 0})) == ["/version"]
    assert service.request("DELETE", target).status == 204
    assert service.post(target + "/rollback", {"version": 7}).status == 422  # it was gone then
    assert service.post(target + "/rollback", {"version": 1}).status == 201
    problem(service.get("%s/%s/history" % (ROOT, fresh())), 404, "config-key-not-found")


def test_history_is_bounded():
    """Beyond max_config_history old versions go; the one that holds stays, however old."""
    with support.Service("--max-config-history", "5") as service:
        for value in range(20):
            put(service, "busy", value)
        versions = [item["version"] for item in service.get(ROOT + "/busy/history").json()["items"]]
        assert versions == [20, 19, 18, 17, 16], versions
        assert [item["version"] for item in service.get(ROOT + "/timeout/history").json()["items"]] == [1]
        put(service, "timeout", 1)  # what was kept because it held goes now
        assert [item["version"] for item in service.get(ROOT + "/timeout/history").json()["items"]] == [2]


# ---- reload --------------------------------------------------------------------------------------------------------

def test_reload():
    """A reload reads the layers anew, drops overrides unless kept; a bad layer changes nothing; SIGHUP keeps overrides."""
    with folder() as where:
        variables = os.path.join(where, "env")

        def write(text):
            with open(variables, "w", encoding="utf-8") as file:
                file.write(text)
        write("TROUPE_CONFIG_A=1\nTROUPE_CONFIG_B=1\n")
        with support.Service("--env-file", variables) as service:
            put(service, "timeout", 9)
            write("TROUPE_CONFIG_A=2\nTROUPE_CONFIG_C=1\n")
            done = service.post(ROOT + "/reload?keep_overrides=true").json()
            assert (done["added"], done["changed"], done["removed"], done["dropped_overrides"]) == (["c"], ["a"], ["b"], []), done
            assert entry(service, "timeout")["value"] == 9
            done = service.post(ROOT + "/reload").json()
            assert (done["changed"], done["dropped_overrides"]) == (["timeout"], ["timeout"]), done
            assert [item["value"] for item in service.get(ROOT + "/timeout/history").json()["items"]] == [5000, 9, 5000]
            before = service.get(ROOT).json()
            write("TROUPE_CONFIG_A=3\nhush\n")
            document = problem(service.post(ROOT + "/reload"), 422, "config-invalid")
            assert "line 2" in document["detail"] and "hush" not in document["detail"], document
            service.signal(support.signal.SIGHUP)
            eventually(lambda: len(service.events("config.reload_failed")) == 2, what="config.reload_failed")
            assert service.get(ROOT).json() == before
            put(service, "timeout", 9)
            write("TROUPE_CONFIG_A=3\n")
            service.signal(support.signal.SIGHUP)
            eventually(lambda: entry(service, "a")["value"] == 3)
            assert entry(service, "timeout")["value"] == 9


# ---- secrets and access --------------------------------------------------------------------------------------------

def test_secrets_are_not_told():
    """A secret's value is in no answer, log or problem unless an admin asks; clients read and do not write."""
    admin, client = {"Authorization": "Bearer a"}, {"Authorization": "Bearer c"}
    with support.Service("--log-level", "debug", "--access-log", "all", env={
            "API_KEY": "hush-0", "TROUPE_ADMIN_TOKEN": "a", "TROUPE_CLIENT_TOKEN": "c"}) as service:
        answers = [service.request("PUT", ROOT + "/s", {"value": "hush-1", "secret": True}, headers=admin),
                   service.request("PUT", ROOT + "/s", {"value": "hush-2"}, headers=admin),  # stays one
                   service.request("PATCH", ROOT, {"puts": {"s": "hush-3"}}, headers=admin),
                   service.post(ROOT + "/s/rollback", {"version": 1}, headers=admin),
                   service.get(ROOT, headers=admin), service.get(ROOT + "/s", headers=client),
                   service.get(ROOT + "/api_key", headers=client), service.get(ROOT + "/s/history", headers=client),
                   service.get("/v1/processes/config", headers=admin), service.post(ROOT + "/reload?keep_overrides=true", headers=admin)]
        assert all(answer.status in (200, 201) and b"hush" not in answer.body for answer in answers), answers
        assert service.get(ROOT + "/s?reveal=true", headers=admin).json()["value"] == "hush-1"
        assert service.get(ROOT + "?reveal=true", headers=admin).json()["values"]["api_key"] == "hush-0"
        history = service.get(ROOT + "/s/history?reveal=true", headers=admin).json()["items"]
        assert [item["value"] for item in history] == ["hush-1", "hush-3", "hush-2", "hush-1"]
        for target in (ROOT, ROOT + "/s", ROOT + "/s/history"):
            problem(service.get(target + "?reveal=true", headers=client), 403, "forbidden")
            problem(service.get(target), 401, "unauthorized")
        for method, target, body in (("PUT", "/s", {"value": 1}), ("DELETE", "/s", None), ("PATCH", "", {}),
                                     ("POST", "/reload", None), ("POST", "/s/rollback", {"version": 1})):
            problem(service.request(method, ROOT + target, body, headers=client), 403, "forbidden")
        assert not [line for line in service.log() if "hush" in line]


# ---- limits, faults, concurrency -----------------------------------------------------------------------------------

def test_number_of_keys():
    """One key more than max_config_keys is 422; keys that are there can still be changed."""
    with support.Service("--max-config-keys", "4") as service:
        put(service, "fourth", 1, 201)
        assert pointers(service.request("PUT", ROOT + "/fifth", {"value": 1})) == [""]
        assert pointers(service.request("PATCH", ROOT, {"puts": {"fifth": 1, "fourth": 2}})) == [""]
        assert put(service, "fourth", 3, 200)["version"] == 2
        done = patch(service, puts={"fifth": 1}, deletes=["fourth"])
        assert done["versions"] == {"fifth": 1, "fourth": None}


def test_survives_kills():
    """What was acknowledged is there after kill -9; the agent killed comes back with all of it; revisions go on."""
    with folder() as data:
        service = support.Service(data=data)
        for value in range(5):
            last = put(service, "kept", value)
        service.process.kill()
        service.wait()
        with support.Service(data=data) as service:
            assert entry(service, "kept") == last and revision(service) == last["revision"]
            before = service.find("config")["pid"]
            assert service.post("/v1/processes/config/exit", {"reason": "kill"}).status == 202
            assert entry(service, "kept") == last  # reads need no process
            eventually(lambda: service.get("/readyz").status == 200 and service.find("config")["pid"] != before)
            assert put(service, "kept", 9)["revision"] == last["revision"] + 1


def test_readers_and_writers(service):
    """Readers never see a revision go back or half of a change, while writers change two keys at once."""
    stop = threading.Event()
    failures = []
    written = []

    def write(name):
        for n in range(40):
            written.append(patch(service, puts={"pair.a": [name, n], "pair.b": [name, n]})["revision"])

    def read():
        last = 0
        with service.connect() as connection:
            while not stop.is_set():
                connection.send(support.compose("GET", ROOT + "?prefix=pair."))
                document = connection.read().json()
                values = document["values"]
                if document["revision"] < last or values.get("pair.a") != values.get("pair.b"):
                    failures.append((last, document))
                last = document["revision"]
    readers = [threading.Thread(target=read) for _ in range(8)]
    writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not failures, failures[0]
    assert len(set(written)) == 160  # each change was a revision of its own


if __name__ == "__main__":
    support.main(globals())
