"""Rate limits from outside, one request at a time: policies, overrides, checks, looks, resets, gates, bad input."""
import contextlib
import os
import sqlite3
import threading
import time
import uuid

import support
from support import eventually, pointers, problem

ROOT = "/v1/rate-limits"
DAY_MS = 86400000
SLOW = {"limit": 5, "refill": {"amount": 1, "every_ms": DAY_MS}}


def fresh(prefix="k"):
    return "%s-%s" % (prefix, uuid.uuid4().hex[:12])


def make(service, body, name=None):
    name = name or fresh("p")
    response = service.request("PUT", "%s/%s" % (ROOT, name), body)
    assert response.status == 201, response
    return name


def check(service, policy, key, cost=None):
    body = {"key": key} if cost is None else {"key": key, "cost": cost}
    return service.post("%s/%s/check" % (ROOT, policy), body)


def peek(service, policy, key):
    response = service.get("%s/%s/keys/%s" % (ROOT, policy, key))
    assert response.status == 200, response
    return response.json()


# ---- checks --------------------------------------------------------------------------------------------------------

def test_decision_says_what_is_left(service):
    """A check answers the decision and the header fields of the contract."""
    key = fresh()
    response = check(service, "default", key)
    assert response.status == 200, response
    assert response.json() == {"allowed": True, "policy": "default", "key": key, "cost": 1, "limit": 100, "remaining": 99,
                               "retry_after_ms": 0, "reset_ms": 100}
    assert response.header("RateLimit-Policy") == '"default";q=100;w=10'
    assert response.header("RateLimit") == '"default";r=99;t=0'
    assert response.header("Retry-After") is None
    assert response.header("Cache-Control") == "no-store"


def test_denied_is_a_problem_with_the_same_members(service):
    """A denial is 429 rate-limited with the decision's members, takes nothing and says when to come again."""
    policy = make(service, {"limit": 10, "refill": {"amount": 1, "every_ms": 2500}})
    key = fresh()
    assert check(service, policy, key, 10).status == 200
    response = check(service, policy, key, 2)
    document = problem(response, 429, "rate-limited")
    assert document["allowed"] is False and document["policy"] == policy and document["key"] == key
    assert (document["cost"], document["limit"], document["remaining"]) == (2, 10, 0)
    assert 4000 < document["retry_after_ms"] <= 5000 and 24000 < document["reset_ms"] <= 25000
    assert response.header("Retry-After") == "5"
    assert response.header("RateLimit-Policy") == '"%s";q=10;w=25' % policy
    assert response.header("RateLimit") == '"%s";r=0;t=3' % policy


def test_curl_forms_are_the_same_check(service):
    """POST, GET and HEAD of /keys/{key}/check take a token each; ?cost= is the cost."""
    policy, key = make(service, SLOW), fresh()
    target = "%s/%s/keys/%s/check" % (ROOT, policy, key)
    assert service.post(target).json()["remaining"] == 4
    assert service.get(target).json()["remaining"] == 3
    assert service.request("HEAD", target).status == 200
    assert service.get(target + "?cost=2").json()["remaining"] == 0
    assert service.get(target).status == 429


def test_key_is_data(service):
    """A key with separators, blanks or other scripts is one key, the same in path and body."""
    policy = make(service, SLOW)
    for key, path in (("a/b", "a%2Fb"), ("a b", "a%20b"), ("\u00fc\u4e2d", "%C3%BC%E4%B8%AD"), ("check", "check"),
                      ("k" * 256, "k" * 256)):
        assert check(service, policy, key).json()["remaining"] == 4
        response = service.post("%s/%s/keys/%s/check" % (ROOT, policy, path))
        assert response.json()["remaining"] == 3 and response.json()["key"] == key, response
    assert peek(service, policy, "a%20b")["remaining"] == 3
    problem(service.get("%s/%s/keys/a%%00b" % (ROOT, policy)), 400, "invalid-path")
    problem(service.get("%s/%s/keys/%%ff" % (ROOT, policy)), 400, "invalid-path")


def test_policies_do_not_share_keys(service):
    """The same key under two policies is two buckets."""
    one, other = make(service, SLOW), make(service, SLOW)
    assert check(service, one, "x", 5).status == 200
    assert check(service, one, "x").status == 429
    assert check(service, other, "x", 5).status == 200


def test_peek_is_pure(service):
    """Any number of looks changes nothing; an absent key is full."""
    policy = make(service, {"limit": 20, "refill": {"amount": 10, "every_ms": 1000}})
    key = fresh()
    assert peek(service, policy, key)["remaining"] == 20
    assert check(service, policy, key, 20).status == 200
    time.sleep(1.05)
    seen = [peek(service, policy, key)["remaining"] for _ in range(50)]
    assert all(10 <= one <= 14 for one in seen) and seen == sorted(seen), seen
    left = seen[-1]
    passed = 0
    while check(service, policy, key).status == 200:
        passed += 1
    assert left <= passed <= left + 2, (left, passed)


def test_a_look_is_no_denial(service):
    """A look at an empty bucket says when to come again in its body; Retry-After is for denials."""
    policy = make(service, SLOW)
    assert check(service, policy, "a", 5).status == 200
    look = service.get("%s/%s/keys/a" % (ROOT, policy))
    assert (look.status, look.json()["allowed"], look.header("Retry-After")) == (200, False, None)
    assert look.json()["retry_after_ms"] > 0
    denied = check(service, policy, "a")
    assert denied.status == 429 and denied.header("Retry-After") == str(DAY_MS // 1000)


def test_reset_fills(service):
    """DELETE of a key gives 204 and a full bucket, whether it was known or not."""
    policy, key = make(service, SLOW), fresh()
    assert check(service, policy, key, 5).status == 200
    for _ in range(2):
        assert service.request("DELETE", "%s/%s/keys/%s" % (ROOT, policy, key)).status == 204
        assert peek(service, policy, key)["remaining"] == 5


def test_default_cost_is_the_policys(service):
    """A check without a cost takes default_cost."""
    policy = make(service, dict(SLOW, default_cost=3))
    assert check(service, policy, "a").json()["cost"] == 3
    assert check(service, policy, "a").status == 429
    assert check(service, policy, "a", 2).status == 200


def test_cost_above_the_limit_can_never_pass(service):
    """422 cost-exceeds-limit without Retry-After; nothing is taken."""
    policy = make(service, SLOW)
    for cost in (6, 2147483648, 2 ** 53 - 1):
        response = check(service, policy, "a", cost)
        document = problem(response, 422, "cost-exceeds-limit")
        assert document["errors"][0]["pointer"] == "/cost"
        assert response.header("Retry-After") is None
    problem(service.get("%s/%s/keys/a/check?cost=6" % (ROOT, policy)), 422, "cost-exceeds-limit")
    assert peek(service, policy, "a")["remaining"] == 5


def test_limit_zero_denies_everything(service):
    """A limit of 0: 429 with retry_after_ms null and no Retry-After; a look is 200."""
    policy = make(service, {"limit": 0, "refill": {"amount": 1, "every_ms": 1000}})
    response = check(service, policy, "a")
    document = problem(response, 429, "rate-limited")
    assert document["retry_after_ms"] is None and document["remaining"] == 0
    assert response.header("Retry-After") is None
    assert response.header("RateLimit") == '"%s";r=0' % policy
    assert peek(service, policy, "a")["allowed"] is False


def test_shadow_decides_and_admits(service):
    """mode shadow counts what it would have denied, and admits."""
    policy = make(service, dict(SLOW, mode="shadow"))

    def shadow_denied():
        for line in service.get("/metrics").body.decode().split("\n"):
            if line.startswith('troupe_rate_limit_decisions_total{result="shadow_denied"}'):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError("no such metric")
    before = shadow_denied()
    for _ in range(8):
        assert check(service, policy, "a").status == 200
    assert shadow_denied() - before == 3


def test_interval_style_ticks_for_all_keys_at_once(service):
    """style interval gives `amount` at every multiple of every_ms, the same moment for all keys."""
    policy = make(service, {"limit": 4, "refill": {"amount": 2, "every_ms": 700, "style": "interval"}})
    for key in ("a", "b"):
        assert check(service, policy, key, 4).status == 200
    eventually(lambda: peek(service, policy, "a")["remaining"] >= 2)
    assert peek(service, policy, "b")["remaining"] == peek(service, policy, "a")["remaining"] in (2, 4)


# ---- bad input -----------------------------------------------------------------------------------------------------

def test_bad_input_is_refused_and_changes_nothing(service):
    """The 13 bad inputs: each its status, all problems, and the service goes on."""
    policy = make(service, {"limit": 100, "refill": {"amount": 1, "every_ms": DAY_MS}})
    target = "%s/%s/check" % (ROOT, policy)

    def raw(text, media="application/json"):
        return service.post(target, text.encode(), headers={"Content-Type": media})
    for cost in ("-1", "1.5", '"1"', "9223372036854775808", "9" * 400, "9" * 90000, "1e400", "0", "true", "null", "1.0", "1e2"):
        response = raw('{"key":"a","cost":%s}' % cost)
        assert pointers(response) == ["/cost"], (cost, response)
    problem(raw('{"key":"a","cost":101}'), 422, "cost-exceeds-limit")
    problem(raw('{"key":"a","cost":NaN}'), 400, "invalid-json")
    large = {"Content-Type": "application/json", "Content-Length": "3000000"}
    problem(service.request("POST", target, headers=large), 413, "payload-too-large")  # as soon as the head says so
    assert pointers(raw('{"key":""}')) == ["/key"]
    assert pointers(raw('{"key":"%s"}' % ("k" * 300))) == ["/key"]
    assert pointers(raw("{}")) == ["/key"]
    assert pointers(raw('{"key":"a","more":1}')) == ["/more"]
    assert pointers(raw("[]")) == [""]
    problem(service.post(ROOT + "/nothing/check", {"key": "a"}), 404, "policy-not-found")
    problem(service.get("%s/nothing/keys/a" % ROOT), 404, "policy-not-found")
    wrong = service.get(target)
    problem(wrong, 405, "method-not-allowed")
    assert "POST" in wrong.header("Allow")
    problem(raw('{"key":"a"}', "text/plain"), 415, "unsupported-media-type")
    problem(raw(""), 400, "invalid-json")
    problem(raw('{"key":"a","key":"b"}'), 400, "invalid-json")
    assert pointers(service.get("%s/%s/keys/a/check?cost=x" % (ROOT, policy))) == ["/cost"]
    assert pointers(service.get("%s/%s/keys/a/check?coast=1" % (ROOT, policy))) == ["/coast"]
    assert pointers(service.get("%s/%s/keys/%s/check" % (ROOT, policy, "k" * 257))) == ["/key"]
    assert peek(service, policy, "a")["remaining"] == 100
    assert service.get("/healthz").status == 200


def test_shape_is_judged_before_existence(service):
    """A bad body for a policy that is not there is 422, not 404."""
    assert pointers(service.post(ROOT + "/nothing/check", {"key": ""})) == ["/key"]


# ---- policies ------------------------------------------------------------------------------------------------------

def test_policy_has_defaults_and_reads_back(service):
    """PUT answers the whole document with its ETag; GET gives the same, 304 for the one who has it."""
    name = fresh("p")
    created = service.request("PUT", "%s/%s" % (ROOT, name), dict(SLOW, name=name))
    assert created.status == 201
    assert created.json() == {"name": name, "algorithm": "token_bucket", "limit": 5, "default_cost": 1, "mode": "enforce",
                              "refill": {"amount": 1, "every_ms": DAY_MS, "style": "gradual"}}
    read = service.get("%s/%s" % (ROOT, name))
    assert (read.status, read.json(), read.header("ETag")) == (200, created.json(), created.header("ETag"))
    again = service.get("%s/%s" % (ROOT, name), headers={"If-None-Match": read.header("ETag")})
    assert again.status == 304 and again.header("ETag") == read.header("ETag")


def test_identical_put_changes_nothing(service):
    """The same PUT again is 200 with the same ETag; another one has another, never an old one."""
    name = make(service, SLOW)
    target = "%s/%s" % (ROOT, name)
    tag = service.get(target).header("ETag")
    same = service.request("PUT", target, SLOW)
    assert (same.status, same.header("ETag")) == (200, tag)
    tags = {tag}
    for limit in (6, 5, 6):
        response = service.request("PUT", target, dict(SLOW, limit=limit))
        assert response.status == 200 and response.header("ETag") not in tags
        tags.add(response.header("ETag"))
    assert service.request("DELETE", target).status == 204
    assert service.request("PUT", target, SLOW).header("ETag") not in tags


def test_conditions_are_kept(service):
    """If-Match and If-None-Match guard PUT and DELETE."""
    name = fresh("p")
    target = "%s/%s" % (ROOT, name)
    problem(service.request("PUT", target, SLOW, headers={"If-Match": '"1"'}), 412, "version-conflict")
    first = service.request("PUT", target, SLOW, headers={"If-None-Match": "*"})
    assert first.status == 201
    problem(service.request("PUT", target, SLOW, headers={"If-None-Match": "*"}), 412, "version-conflict")
    second = service.request("PUT", target, dict(SLOW, limit=7), headers={"If-Match": first.header("ETag")})
    assert second.status == 200
    stale = {"If-Match": first.header("ETag")}
    problem(service.request("PUT", target, dict(SLOW, limit=8), headers=stale), 412, "version-conflict")
    problem(service.request("DELETE", target, headers=stale), 412, "version-conflict")
    assert service.get(target).json()["limit"] == 7
    assert service.request("DELETE", target, headers={"If-Match": second.header("ETag")}).status == 204
    problem(service.get(target), 404, "policy-not-found")


def test_only_one_of_many_conditional_puts_wins(service):
    """Of twenty clients with the same ETag one writes."""
    name = make(service, SLOW)
    target = "%s/%s" % (ROOT, name)
    tag = service.get(target).header("ETag")
    results = []

    def put(limit):
        response = service.request("PUT", target, dict(SLOW, limit=limit), headers={"If-Match": tag})
        results.append(response.status)
    threads = [threading.Thread(target=put, args=(100 + i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200] + [412] * 19, results


def test_bad_policies_are_refused_with_pointers(service):
    """Ranges, types, missing and unknown members, a wrong name: 422 with where."""
    target = "%s/%s" % (ROOT, fresh("p"))

    def put(body):
        return pointers(service.request("PUT", target, body))
    refill = SLOW["refill"]
    assert put({"limit": 2 ** 31, "refill": refill}) == ["/limit"]
    assert put({"limit": -1, "refill": refill}) == ["/limit"]
    assert put({"limit": 5, "refill": {"amount": 0, "every_ms": 0}}) == ["/refill/amount", "/refill/every_ms"]
    assert put({"limit": 5, "refill": {"amount": 1, "every_ms": 31622400001}}) == ["/refill/every_ms"]
    assert put({"limit": 5, "refill": {"amount": 1}}) == ["/refill/every_ms"]
    assert put({"limit": 5}) == ["/refill"]
    assert put({"refill": refill}) == ["/limit"]
    assert put(dict(SLOW, default_cost=6)) == ["/default_cost"]
    assert put(dict(SLOW, mode="off")) == ["/mode"]
    assert put(dict(SLOW, algorithm="gcra")) == ["/algorithm"]
    assert put(dict(SLOW, burst=1)) == ["/burst"]
    assert put(dict(SLOW, name="another")) == ["/name"]
    assert put({"limit": 5, "refill": {"amount": 1, "every_ms": 1, "style": "x", "y": 1}}) == ["/refill/style", "/refill/y"]
    for name in ("a%20b", "x" * 65, "%C3%BC"):
        assert "/name" in pointers(service.request("PUT", "%s/%s" % (ROOT, name), SLOW)), name
    problem(service.get(target), 404, "policy-not-found")


def test_default_can_be_replaced_not_removed(service):
    """The built-in policy: DELETE is 409, PUT changes it live."""
    problem(service.request("DELETE", ROOT + "/default"), 409, "policy-protected")
    key = fresh()
    assert check(service, "default", key, 60).status == 200
    body = {"limit": 50, "refill": {"amount": 10, "every_ms": 1000}}
    assert service.request("PUT", ROOT + "/default", body).status == 200
    try:
        assert peek(service, "default", key)["limit"] == 50
        assert peek(service, "default", fresh())["remaining"] == 50
    finally:
        body["limit"] = 100
        assert service.request("PUT", ROOT + "/default", body).status == 200


def test_a_change_is_felt_by_the_next_check(service):
    """level := clamp(level + new - old, 0, new), at once, for every key."""
    policy = make(service, {"limit": 10, "refill": {"amount": 1, "every_ms": DAY_MS}})
    keys = [fresh() for _ in range(40)]
    for key in keys:
        assert check(service, policy, key, 7).status == 200
    for limit, left in ((12, 5), (9, 2), (6, 0), (10, 4)):
        assert service.request("PUT", "%s/%s" % (ROOT, policy), {"limit": limit, "refill": {"amount": 1, "every_ms": DAY_MS}}).status == 200
        assert {peek(service, policy, key)["remaining"] for key in keys[:8]} == {left}, limit
        assert peek(service, policy, fresh())["remaining"] == limit
    for key in keys:
        assert check(service, policy, key, 4).status == 200
        assert check(service, policy, key).status == 429


def test_removed_policy_takes_its_keys_along(service):
    """DELETE, then the same name again: full buckets, other overrides gone."""
    policy = make(service, SLOW)
    target = "%s/%s" % (ROOT, policy)
    assert check(service, policy, "a", 5).status == 200
    assert service.request("PUT", target + "/overrides/vip", {"limit": 9, "refill": SLOW["refill"]}).status == 201
    assert service.request("DELETE", target).status == 204
    problem(check(service, policy, "a"), 404, "policy-not-found")
    problem(service.request("DELETE", target), 404, "policy-not-found")
    make(service, SLOW, policy)
    assert peek(service, policy, "a")["remaining"] == 5
    assert peek(service, policy, "vip")["remaining"] == 5
    problem(service.get(target + "/overrides/vip"), 404, "override-not-found")


def test_list_is_paged(service):
    """GET lists policies by name; limit and cursor walk through all of them once."""
    names = {make(service, SLOW) for _ in range(7)} | {"default"}
    found = []
    target = ROOT + "?limit=3"
    while target:
        response = service.get(target)
        assert response.status == 200, response
        page = response.json()
        assert len(page["items"]) <= 3
        found += [item["name"] for item in page["items"]]
        target = page["next_cursor"] and "%s?limit=3&cursor=%s" % (ROOT, page["next_cursor"])
        assert (response.header("Link") is not None) == bool(target)
    assert found == sorted(set(found)) and names <= set(found)
    assert pointers(service.get(ROOT + "?limit=0")) == ["/limit"]
    for cursor in ("00", "6100", "ff", "61" * 65):
        assert pointers(service.get("%s?cursor=%s" % (ROOT, cursor))) == ["/cursor"], cursor


# ---- overrides -----------------------------------------------------------------------------------------------------

def test_override_gives_a_key_its_own_numbers(service):
    """201, 200, 204; only that key; the level goes over when it begins and when it ends."""
    policy = make(service, SLOW)
    target = "%s/%s/overrides/vip" % (ROOT, policy)
    assert check(service, policy, "vip", 3).status == 200
    created = service.request("PUT", target, {"limit": 50, "refill": SLOW["refill"]})
    assert created.status == 201
    assert created.json() == {"policy": policy, "key": "vip", "limit": 50, "mode": "enforce", "expires_at": None,
                              "refill": {"amount": 1, "every_ms": DAY_MS, "style": "gradual"}}
    assert service.get(target).json() == created.json()
    assert peek(service, policy, "vip")["remaining"] == 47
    assert peek(service, policy, "other")["remaining"] == 5
    assert check(service, policy, "vip", 40).header("RateLimit-Policy").startswith('"%s";q=50;' % policy)
    assert service.request("PUT", target, {"limit": 45, "refill": SLOW["refill"]}).status == 200
    assert peek(service, policy, "vip")["remaining"] == 2
    assert service.request("DELETE", target).status == 204
    after = peek(service, policy, "vip")
    assert (after["limit"], after["remaining"]) == (5, 0)
    problem(service.request("DELETE", target), 404, "override-not-found")
    problem(service.get(target), 404, "override-not-found")


def test_override_outlives_a_change_of_its_policy(service):
    """The key's own numbers do not follow the policy's."""
    policy = make(service, SLOW)
    target = "%s/%s" % (ROOT, policy)
    assert service.request("PUT", target + "/overrides/vip", {"limit": 50, "refill": SLOW["refill"]}).status == 201
    assert service.request("PUT", target, dict(SLOW, limit=9)).status == 200
    assert peek(service, policy, "vip")["limit"] == 50
    assert peek(service, policy, "a")["limit"] == 9


def test_override_expires(service):
    """expires_in_ms ends it: the key goes back to its policy, at the level it had come to."""
    policy = make(service, SLOW)
    target = "%s/%s/overrides/vip" % (ROOT, policy)
    created = service.request("PUT", target, {"limit": 50, "refill": SLOW["refill"], "expires_in_ms": 400})
    assert created.status == 201 and created.json()["expires_at"].endswith("Z")
    assert check(service, policy, "vip", 48).json()["remaining"] == 2
    eventually(lambda: service.get(target).status == 404)
    eventually(lambda: peek(service, policy, "vip")["limit"] == 5)
    assert peek(service, policy, "vip")["remaining"] == 0


def test_override_conditions_are_kept(service):
    """An override has an ETag that every write changes; If-Match and If-None-Match guard PUT, DELETE and GET."""
    target = "%s/%s/overrides/vip" % (ROOT, make(service, SLOW))
    problem(service.request("PUT", target, SLOW, headers={"If-Match": "*"}), 412, "version-conflict")
    problem(service.get(target), 404, "override-not-found")
    first = service.request("PUT", target, SLOW, headers={"If-None-Match": "*"})
    assert first.status == 201
    tag = first.header("ETag")
    assert service.get(target).header("ETag") == tag
    assert service.get(target, headers={"If-None-Match": tag}).status == 304
    problem(service.get(target, headers={"If-Match": '"x"'}), 412, "version-conflict")
    problem(service.request("PUT", target, SLOW, headers={"If-None-Match": "*"}), 412, "version-conflict")
    second = service.request("PUT", target, dict(SLOW, limit=7), headers={"If-Match": tag})
    assert second.status == 200 and second.header("ETag") not in (None, tag)
    for method, body in (("PUT", dict(SLOW, limit=8)), ("DELETE", None)):
        problem(service.request(method, target, body, headers={"If-Match": tag}), 412, "version-conflict")
        problem(service.request(method, target, body, headers={"If-Match": "W/" + second.header("ETag")}), 412,
                "version-conflict")
    assert service.get(target).json()["limit"] == 7
    assert service.request("DELETE", target, headers={"If-Match": second.header("ETag")}).status == 204
    problem(service.request("DELETE", target, headers={"If-Match": "*"}), 404, "override-not-found")
    again = service.request("PUT", target, SLOW, headers={"If-None-Match": second.header("ETag")})
    assert again.status == 201 and again.header("ETag") not in (tag, second.header("ETag"))


def test_overrides_of_an_older_directory_get_versions():
    """A data directory from before overrides had versions is taken over; each has an ETag that was never given."""
    with support.folder() as folder:
        with support.Service(data=folder) as service:
            target = "%s/%s/overrides/" % (ROOT, make(service, SLOW))
            for key in ("a", "b"):
                assert service.request("PUT", target + key, SLOW).status == 201
        with contextlib.closing(sqlite3.connect(os.path.join(folder, "troupe.db"))) as store:
            with store:
                store.execute("ALTER TABLE rate_limits_overrides DROP COLUMN version")
                store.execute("UPDATE store_schemas SET version = 1 WHERE name = 'rate_limits'")
        with support.Service(data=folder) as service:
            read = [service.get(target + key) for key in ("a", "b")]
            assert [one.json()["limit"] for one in read] == [5, 5]
            tags = [one.header("ETag") for one in read]
            tags.append(service.request("PUT", target + "a", dict(SLOW, limit=6), headers={"If-Match": tags[0]}).header("ETag"))
            tags.append(service.request("PUT", target + "b", dict(SLOW, limit=6), headers={"If-Match": tags[1]}).header("ETag"))
            assert None not in tags and len(set(tags)) == 4, tags


def test_only_one_of_many_conditional_overrides_wins(service):
    """Of twenty clients that create one, one does."""
    target = "%s/%s/overrides/vip" % (ROOT, make(service, SLOW))
    results = []

    def put(limit):
        response = service.request("PUT", target, dict(SLOW, limit=limit), headers={"If-None-Match": "*"})
        results.append(response.status)
    threads = [threading.Thread(target=put, args=(100 + i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [201] + [412] * 19, results


def test_bad_overrides_are_refused(service):
    """Shapes and ranges; an unknown policy is 404."""
    target = "%s/default/overrides/x" % ROOT
    assert pointers(service.request("PUT", target, {"limit": 1})) == ["/refill"]
    assert pointers(service.request("PUT", target, dict(SLOW, expires_in_ms=0))) == ["/expires_in_ms"]
    assert pointers(service.request("PUT", target, dict(SLOW, name="x"))) == ["/name"]
    assert pointers(service.request("PUT", "%s/default/overrides/%s" % (ROOT, "k" * 257), SLOW)) == ["/key"]
    problem(service.request("PUT", "%s/nothing/overrides/x" % ROOT, SLOW), 404, "policy-not-found")
    problem(service.get("%s/nothing/overrides/x" % ROOT), 404, "policy-not-found")


# ---- gates ---------------------------------------------------------------------------------------------------------

def test_gate_answers_with_status_and_fields_only(service):
    """204, then 429 or the status asked for; empty bodies; any method."""
    policy = make(service, SLOW)
    target = "%s/%s/gate?key=one" % (ROOT, policy)
    for method in ("GET", "POST", "PUT", "BREW", "OPTIONS"):
        response = service.request(method, target)
        assert (response.status, response.body) == (204, b""), (method, response)
    response = service.get(target)
    assert (response.status, response.body) == (429, b"")
    assert response.header("Retry-After") == str(DAY_MS // 1000)
    assert response.header("RateLimit-Policy") == '"%s";q=5;w=%d' % (policy, 5 * DAY_MS // 1000)
    response = service.get(target + "&deny=403")
    assert (response.status, response.body) == (403, b"") and response.header("RateLimit") is not None
    assert peek(service, policy, "one")["remaining"] == 0


def test_gate_takes_its_key_from_a_header(service):
    """?key_header= and /by-header/ read the client's own field; a missing one is 400."""
    policy = make(service, SLOW)
    by_query = "%s/%s/gate?key_header=X-Api-Key" % (ROOT, policy)
    by_path = "%s/%s/gate/by-header/x-api-key" % (ROOT, policy)
    assert service.get(by_query, headers={"x-api-key": "secret"}).status == 204
    for rest in ("", "/", "/products/1?a=%zz&a=2", "/a/b/c/d/e"):
        assert service.get(by_path + rest, headers={"X-Api-Key": "secret"}).status == 204, rest
    assert service.get(by_query, headers={"x-api-key": " secret "}).status == 429
    assert check(service, policy, "secret").status == 429
    for target in (by_query, by_path):
        response = service.get(target)
        assert (response.status, response.body) == (400, b""), target
    assert service.get(by_query, headers={"x-api-key": "k" * 257}).status == 422
    for query in ("", "?key=a&key_header=b", "?key=a&deny=200", "?key=a&deny=x", "?key=a&other=1"):
        response = service.get("%s/%s/gate%s" % (ROOT, policy, query))
        assert (response.status, response.body) == (422, b""), query
    assert service.get("%s/nothing/gate?key=a" % ROOT).status == 404


def test_gate_for_envoy_passes_with_200(service):
    """Envoy lets pass on 200 alone; else /gate/envoy/ is as /gate/by-header/."""
    policy = make(service, SLOW)
    target = "%s/%s/gate/envoy/x-api-key" % (ROOT, policy)
    for method, rest in (("GET", ""), ("POST", "/"), ("PUT", "/products/1?a=%zz&a=2"), ("OPTIONS", "/a//b"), ("BREW", "/a/../b")):
        response = service.request(method, target + rest, headers={"X-Api-Key": "secret"})
        assert (response.status, response.body) == (200, b""), (method, rest, response)
        assert response.header("RateLimit") is not None and response.header("RateLimit-Policy") is not None
    response = service.get(target + "/products", headers={"X-Api-Key": "secret"})
    assert (response.status, response.body) == (429, b"") and response.header("Retry-After") == str(DAY_MS // 1000)
    assert service.get(target).status == 400
    assert service.get("%s/nothing/gate/envoy/x-api-key/" % ROOT, headers={"X-Api-Key": "a"}).status == 404


def test_gate_counts_the_key_of_a_body_no_twice(service):
    """A proxy's body is ignored."""
    policy = make(service, SLOW)
    assert service.post("%s/%s/gate?key=b" % (ROOT, policy), b"a=1&b=2").status == 204
    assert peek(service, policy, "b")["remaining"] == 4


# ---- access --------------------------------------------------------------------------------------------------------

def test_clients_ask_and_admins_change():
    """With tokens: checks, looks and gates take the client's, changes the admin's."""
    with support.Service("--client-token", "c", "--admin-token", "a") as service:
        client, admin = {"Authorization": "Bearer c"}, {"Authorization": "Bearer a"}
        target = ROOT + "/default"
        for ask in (client, admin):
            assert service.post(target + "/check", {"key": "k"}, headers=ask).status == 200
            assert service.get(target + "/keys/k", headers=ask).status == 200
            assert service.get(target + "/gate?key=k", headers=ask).status == 204
        problem(service.post(target + "/check", {"key": "k"}), 401, "unauthorized")
        for method, path, body in (("PUT", "", SLOW), ("DELETE", "", None), ("DELETE", "/keys/k", None),
                                   ("PUT", "/overrides/k", SLOW), ("DELETE", "/overrides/k", None)):
            problem(service.request(method, target + path, body, headers=client), 403, "forbidden")
        assert service.request("DELETE", target + "/keys/k", headers=admin).status == 204


if __name__ == "__main__":
    support.main(globals())
