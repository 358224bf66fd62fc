#!/usr/bin/env python3
"""Settings of the service that change while it runs: entries trouped.<setting> of the configuration."""
import json
import os
import time

import support
from test_profiles import Source
from support import eventually, folder, pointers, problem

ROOT = "/v1/config"


def put(service, name, value, status=(200, 201), **more):
    answer = service.request("PUT", "%s/trouped.%s" % (ROOT, name), {"value": value, **more})
    assert answer.status in status, answer
    return answer.json()


def drop(service, name):
    answer = service.request("DELETE", "%s/trouped.%s" % (ROOT, name))
    assert answer.status == 204, answer


def refused(service, name, value, *words):
    before = service.get(ROOT).json()
    answer = service.request("PUT", "%s/trouped.%s" % (ROOT, name), {"value": value})
    problem(answer, 422, "invalid-request")
    detail = answer.json()["errors"][0]["detail"]
    assert pointers(answer) == ["/value"] and all(word in detail for word in words), detail
    assert service.get(ROOT).json() == before
    return detail


def test_log_level():
    """The level changes at once, is an entry with its source, and what was said at start comes back."""
    with support.Service() as service:
        assert put(service, "log_level", "error", (201,))["revision"] == 2
        assert service.request("PUT", ROOT + "/colour", {"value": 1}).json()["revision"] == 3
        document = service.get(ROOT + "/trouped.log_level").json()
        assert (document["value"], document["source"], document["version"]) == ("error", "override", 1), document
        assert service.get(ROOT).json()["values"]["trouped.log_level"] == "error"
        drop(service, "log_level")  # logged again, and lines keep their order
        eventually(lambda: len(service.events("config.changed")) > 1)
        assert [line["revision"] for line in service.events("config.changed")] == [1, 4]
        problem(service.get(ROOT + "/trouped.log_level"), 404, "config-key-not-found")


def test_access_log():
    """Which requests are logged, and which are slow."""
    with support.Service("--access-log", "off") as service:
        assert service.get("/v1/rate-limits").status == 200
        put(service, "access_log", "all")
        assert service.get("/v1/rate-limits").status == 200
        eventually(lambda: service.events("request.finished"))
        put(service, "access_log", "errors")
        put(service, "slow_request_ms", 150)
        assert service.get("/v1/demo/activity/1").status == 200  # takes 200 ms
        eventually(lambda: [line for line in service.events("request.finished") if "demo" in json.dumps(line)])


def test_limits_of_requests(service):
    """Bodies, depth, values, deadlines: the new bound holds from the next request on, the old one when it is deleted."""
    def policy(body):
        return service.request("PUT", ROOT + "/probe", body)

    large, deep, many = {"value": "x" * 3000}, {"value": [[[[[1]]]]]}, {"value": list(range(200))}
    for name, low, body, status in (("max_body_bytes", 1024, large, 413), ("json_max_depth", 4, deep, 400),
                                    ("json_max_tokens", 100, many, 400)):
        assert policy(body).status in (200, 201)
        put(service, name, low)
        assert policy(body).status == status, name
        drop(service, name)
        assert policy(body).status in (200, 201), name


def test_body_limit_while_a_body_comes(service):
    """A bound that sinks below what has come already refuses the rest of a body in chunks."""
    with service.connect() as connection:
        connection.send(b"PUT /v1/config/probe HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n800\r\n" + b" " * 0x800 + b"\r\n")
        time.sleep(0.05)  # so that, as a rule, it has come; either way the answer is the same
        put(service, "max_body_bytes", 1024)
        connection.send(b"800\r\n" + b" " * 0x800 + b"\r\n0\r\n\r\n")
        assert connection.read().status == 413
    drop(service, "max_body_bytes")


def test_request_timeout(service):
    """A request that has no time of its own is judged by the new deadline."""
    put(service, "request_timeout_ms", 50)
    problem(service.get("/v1/demo/activity/1"), 504, "timeout")
    drop(service, "request_timeout_ms")
    assert service.get("/v1/demo/activity/1").status == 200


def test_inflight():
    """Requests in work: with one allowed, a second one is refused."""
    with support.Service() as service:
        put(service, "max_inflight", 1)
        with service.connect() as connection:
            connection.send(support.compose("GET", "/v1/profiles/1"))
            eventually(lambda: service.get("/v1/rate-limits").status == 503)
            assert connection.read().status == 200
        # a request counts until its end, which comes a moment after its answer
        eventually(lambda: service.request("DELETE", ROOT + "/trouped.max_inflight").status == 204)
        assert service.get("/v1/rate-limits").status == 200


def test_keepalive(service):
    """A connection ends after the number of requests that is allowed now."""
    put(service, "max_keepalive_requests", 2)
    with service.connect() as connection:
        for last in (False, True):
            connection.send(support.compose("GET", "/version"))
            assert (connection.read().header("Connection") == "close") is last
    drop(service, "max_keepalive_requests")


def test_time_outs_of_connections(service):
    """A silent connection is closed after the new time."""
    put(service, "header_timeout_ms", 50)
    put(service, "idle_timeout_ms", 60)
    with service.connect() as connection:
        connection.send(support.compose("GET", "/version"))
        assert connection.read().status == 200
        assert connection.is_closed()
    with service.connect() as connection:
        connection.send(b"GET /version HTTP/1.1\r\nHost: lo")
        assert connection.is_closed()
    drop(service, "header_timeout_ms")
    drop(service, "idle_timeout_ms")


def test_limits_of_services():
    """Webhooks and configuration keys: as many as are allowed now."""
    with support.Service("--allow-private-addresses") as service:
        hook = {"url": "http://127.0.0.1:1/", "events": ["*"]}
        put(service, "max_webhooks", 0)
        problem(service.request("PUT", "/v1/webhooks/one", hook), 507, "storage-full")
        drop(service, "max_webhooks")
        assert service.request("PUT", "/v1/webhooks/one", hook).status == 201
        put(service, "max_config_keys", 1)
        problem(service.request("PUT", ROOT + "/another", {"value": 1}), 422, "invalid-request")
        drop(service, "max_config_keys")
        assert service.request("PUT", ROOT + "/another", {"value": 1}).status == 201


def test_refused(service):
    """What a start refuses is refused with its words; so is what cannot change, or does not exist."""
    start = support.Service("--max-inflight", "0", wait=False)
    assert start.wait() == 64
    words = [line for line in start.log() if "max-inflight" in line][0].split("max-inflight: ")[1]
    start.remove_data()
    assert refused(service, "max_inflight", 0, "an integer from 1 to") == "setting max_inflight: " + words
    refused(service, "max_inflight", "many", "is a string", "an integer")
    refused(service, "max_inflight", None, "is null")
    refused(service, "log_level", "loud", "debug, info, warn or error")
    refused(service, "workers", 2, "cannot change while the service runs")
    refused(service, "admin_token", ["me"], "cannot change while the service runs")
    refused(service, "log_levle", "info", "no such setting", "log_level")
    refused(service, "log-level", "info", "no such setting", "log_level")
    refused(service, "", 1, "no such setting")
    answer = service.request("PATCH", ROOT, {"puts": {"fine": 1, "trouped.log_level": 7}})
    problem(answer, 422, "invalid-request")
    assert pointers(answer) == ["/puts/trouped.log_level"]
    problem(service.get(ROOT + "/fine"), 404, "config-key-not-found")


def ask(service, query="", headers=None):
    answer = service.get("/v1/profiles/7?timeout_ms=2000" + query, headers=headers)
    assert answer.status == 200, answer
    return answer.json()


def test_sources():
    """Sources come, change and go; counters and breakers of those that stay go on, over a kill -9 too they are there."""
    source = Source()
    with folder() as where:
        data = os.path.join(where, "data")
        service = support.Service("--allow-private-addresses", data=data)
        url = source.url("text")
        assert put(service, "source", {"extra": url}, (201,))["value"] == {"extra": url}
        for _ in range(2):
            document = ask(service, "&sources=user,extra")
            found = document["_meta"]["sources"]
            assert found["extra"]["reason"] == "not_json" and found["user"]["status"] == "ok", found
            assert document["extra"] is None
        put(service, "source", {"extra": url, "hang": source.url("hang"), "preferences": ""})
        items = {item["name"]: item for item in service.get("/v1/profile-sources").json()["items"]}
        assert set(items) == {"user", "recent_activity", "extra", "hang"}, items
        assert items["extra"]["error"] == 2 and items["user"]["ok"] == 2 and items["hang"]["error"] == 0, items
        assert "preferences" not in ask(service, "&sources=user")
        problem(service.get("/v1/profiles/7?sources=preferences"), 422, "invalid-request")
        service.kill()
        with support.Service("--allow-private-addresses", data=data) as service:
            assert ask(service, "&sources=extra")["_meta"]["sources"]["extra"]["reason"] == "not_json"
            drop(service, "source")
            items = {item["name"]: item for item in service.get("/v1/profile-sources").json()["items"]}
            assert set(items) == {"user", "preferences", "recent_activity"}
            assert ask(service)["_meta"]["complete"] is True
            put(service, "source", ["extra=" + url])  # comes again: its counters were not lost
            items = {item["name"]: item for item in service.get("/v1/profile-sources").json()["items"]}
            assert items["extra"]["error"] == 1 and items["extra"]["breaker"]["state"] == "closed", items


def test_sources_of_a_request_in_flight():
    """A request finishes with the sources it began with."""
    source = Source()
    with support.Service("--allow-private-addresses", "--source", "hang=" + source.url("hang")) as service:
        with service.connect() as connection:
            connection.send(support.compose("GET", "/v1/profiles/7?timeout_ms=1000"))
            eventually(lambda: source.connections() == 1)
            put(service, "source", {"hang": "", "user": source.url("text")})
            document = connection.read().json()
        assert document["_meta"]["sources"]["hang"]["status"] == "timeout", document
        assert document["user"]["id"] == "7", document
        now = ask(service)["_meta"]["sources"]
        assert "hang" not in now and now["user"]["reason"] == "not_json", now


def test_private_sources():
    """A source set at run time reaches no private address; those of the operator do, also beside it."""
    source = Source()
    mine = "mine=" + source.url("text")
    with support.Service("--source", mine) as service:
        put(service, "source", [mine, "theirs=" + source.url("text"), "local=http://localhost:%d/text" % source.port])
        found = ask(service)["_meta"]["sources"]
        assert found["mine"]["reason"] == "not_json", found
        assert found["theirs"]["reason"] == found["local"]["reason"] == "refused_private", found
        assert found["user"]["status"] == "ok", found
        refused(service, "source", {"x": "self:/v1/config"}, "allow_private_addresses")


def test_refused_sources(service):
    """Sources are judged as at start, and those that were are kept."""
    refused(service, "source", 7, "is a number")
    refused(service, "source", ["no"], "is not NAME=URL")
    refused(service, "source", {"x": "ftp://example.org/"}, "the URL")
    refused(service, "source", {"x y": "http://example.org/"}, "is not NAME=URL")
    refused(service, "source", {"s%d" % i: "http://example.org/%d" % i for i in range(65)}, "too many sources")
    assert len(service.get("/v1/profile-sources").json()["items"]) == 3


def test_places_of_sources():
    """There is room for so many different sources until a restart; then the old list is kept, and known ones still come."""
    with support.Service() as service:
        lists = [{"s%d" % i: "http://example.org/%d/%d" % (turn, i) for i in range(61)} for turn in range(5)]
        for one in lists[:4]:
            put(service, "source", one)
        refused(service, "source", lists[4], "too many different sources")
        put(service, "source", lists[0])
        assert len(service.get("/v1/profile-sources").json()["items"]) == 64
        assert ask(service, "&sources=user")["_meta"]["complete"] is True


def test_many_at_once(service):
    """PATCH changes settings with other keys, all or nothing; rollback brings an old value to force again."""
    answer = service.request("PATCH", ROOT, {"puts": {"trouped.json_max_depth": 4, "trouped.json_max_tokens": 5000}})
    assert answer.status == 200, answer
    deep = {"value": [[[[[1]]]]]}
    assert service.request("PUT", ROOT + "/probe", deep).status == 400
    put(service, "json_max_depth", 20)
    assert service.request("PUT", ROOT + "/probe", deep).status in (200, 201)
    version = answer.json()["versions"]["trouped.json_max_depth"]
    answer = service.request("POST", ROOT + "/trouped.json_max_depth/rollback", {"version": version})
    assert answer.status == 200 and answer.json()["value"] == 4, answer
    assert service.request("PUT", ROOT + "/probe", deep).status == 400
    answer = service.request("POST", ROOT + "/reload")  # drops overrides
    assert answer.status == 200, answer
    assert service.request("PUT", ROOT + "/probe", deep).status in (200, 201)


def test_durable():
    """Over a kill -9 the override holds; deleted, what the file says holds, also for the next start."""
    with folder() as where:
        file = os.path.join(where, "settings.json")
        with open(file, "w") as out:
            json.dump({"json_max_depth": 5}, out)
        data = os.path.join(where, "data")
        levels = {"value": [[[1]]]}  # four deep
        deeper = {"value": [[[[[1]]]]]}
        service = support.Service("--config", file, data=data)
        assert service.request("PUT", ROOT + "/probe", deeper).status == 400
        put(service, "json_max_depth", 10)
        assert service.request("PUT", ROOT + "/probe", deeper).status == 201
        service.kill()
        with support.Service("--config", file, data=data) as service:
            assert service.request("PUT", ROOT + "/probe", deeper).status == 200
            assert service.request("POST", ROOT + "/reload?keep_overrides=true").status == 200
            assert service.request("PUT", ROOT + "/probe", deeper).status == 200
            drop(service, "json_max_depth")
            assert service.request("PUT", ROOT + "/probe", deeper).status == 400
            assert service.request("PUT", ROOT + "/probe", levels).status == 200
        with support.Service("--config", file, data=data) as service:
            assert service.request("PUT", ROOT + "/probe", deeper).status == 400


def test_agent_restarts():
    """An agent that died and came back holds the same."""
    with support.Service("--json-max-depth", "5") as service:
        deeper = {"value": [[[[[1]]]]]}
        put(service, "json_max_depth", 10)
        assert service.request("POST", "/v1/processes/config/exit", {"reason": "kill"}).status == 202
        eventually(lambda: service.request("PUT", ROOT + "/probe", deeper).status in (200, 201))


def test_layers_have_no_settings():
    """A flag, a variable and a file say a setting itself, and not as a key of the configuration."""
    start = support.Service(env={"TROUPE_CONFIG_TROUPED__LOG_LEVEL": "debug"}, wait=False)
    assert start.wait() == 64
    assert [line for line in start.log() if "settings of the service" in line], start.log()
    start.remove_data()


if __name__ == "__main__":
    support.main(globals())
