"""Rate limits under load and through accidents: exactness, honesty of Retry-After, suspended and killed partitions, max_keys,
restarts, batches."""
import http.client
import threading
import time
import uuid

import support
from support import eventually, metric, pointers, problem

ROOT = "/v1/rate-limits"
DAY_MS = 86400000
DAILY = {"amount": 1, "every_ms": DAY_MS}
SECONDS = 2.0


def fresh(prefix="k"):
    return "%s-%s" % (prefix, uuid.uuid4().hex[:12])


def make(service, body, name=None):
    name = name or fresh("p")
    assert service.request("PUT", "%s/%s" % (ROOT, name), body).status == 201
    return name


def peek(service, policy, key):
    response = service.get("%s/%s/keys/%s" % (ROOT, policy, key))
    assert response.status == 200, response
    return response.json()


class Client(threading.Thread):
    """Asks for one target over one connection until told to stop; counts statuses and the longest answer."""

    def __init__(self, service, target, stop, pause=0.0):
        super().__init__(daemon=True)
        self.service, self.target, self.stop, self.pause = service, target, stop, pause
        self.statuses, self.longest, self.broken = {}, 0.0, 0

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=support.PATIENCE)
        while not self.stop.is_set():
            begin = time.monotonic()
            try:
                connection.request("POST", self.target, headers={"Host": "localhost"})
                response = connection.getresponse()
                response.read()
                self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
            except (OSError, http.client.HTTPException):
                self.broken += 1
                connection.close()
            self.longest = max(self.longest, time.monotonic() - begin)
            if self.pause:
                time.sleep(self.pause)
        connection.close()


def total(clients, status):
    return sum(client.statuses.get(status, 0) for client in clients)


def partition_of(service, policy, key):
    """The partition whose message counter grows by this key's looks. Nobody else may ask meanwhile."""
    before = messages(service)
    for _ in range(20):
        peek(service, policy, key)
    grown = {name: count - before[name] for name, count in messages(service).items()}
    found = [name for name, count in grown.items() if count >= 20]
    assert len(found) == 1, grown
    return found[0]


def messages(service):
    response = service.get("/v1/processes?limit=500")
    assert response.status == 200, response
    return {item["name"]: item["messages"] for item in response.json()["items"]
            if (item["name"] or "").startswith("rate_limits.partition.")}


def keys_by_partition(service, policy, wanted):
    """Keys of `wanted` different partitions."""
    found = {}
    while len(found) < wanted:
        key = fresh()
        found.setdefault(partition_of(service, policy, key), key)
    return found


# ---- exactness -----------------------------------------------------------------------------------------------------

def exact(service, clients):
    key = fresh()
    target = "%s/default/keys/%s/check" % (ROOT, key)
    stop = threading.Event()
    crowd = [Client(service, target, stop) for _ in range(clients)]
    begin = time.monotonic()
    for client in crowd:
        client.start()
    first = time.monotonic()
    time.sleep(SECONDS)
    stop.set()
    for client in crowd:
        client.join()
    end = time.monotonic()
    admitted, denied = total(crowd, 200), total(crowd, 429)
    assert sum(client.broken for client in crowd) == 0
    assert set().union(*[client.statuses for client in crowd]) <= {200, 429}
    assert denied > 0
    # The bucket's clock began between begin and the first answers, and ended before `end`.
    assert admitted <= 100 + int(10 * (end - begin)) + 1, (admitted, end - begin)
    assert admitted >= 100 + int(10 * SECONDS) - 1, (admitted, first - begin, end - begin)


def test_exact_for_one_client(service):
    """One client on one key: admitted = limit + rate x time, +-1."""
    exact(service, 1)


def test_exact_for_32_clients(service):
    """32 clients on one key: the same."""
    exact(service, 32)


def test_exact_for_128_clients(service):
    """128 clients on one key: the same."""
    exact(service, 128)


def test_retry_after_is_honest(service):
    """Again and again: drained, waited retry_after_ms, passed; a little earlier it would not have."""
    policy = make(service, {"limit": 3, "refill": {"amount": 20, "every_ms": 1000}})
    target = "%s/%s/keys/%s/check" % (ROOT, policy, fresh())
    early = honest = 0
    with service.connect() as connection:
        def ask():
            connection.send(support.compose("POST", target))
            return connection.read()
        for _ in range(60):
            status = 200
            while status == 200:
                before = time.monotonic()
                response = ask()
                status = response.status
            after = time.monotonic()
            wait_ms = problem(response, 429, "rate-limited")["retry_after_ms"]
            assert 1 <= wait_ms <= 50 and response.header("Retry-After") == "1"
            if wait_ms > 25:
                time.sleep((wait_ms - 22) / 1000)
                status = ask().status
                if time.monotonic() - before < (wait_ms - 1) / 1000:  # more cannot have passed between the two decisions
                    assert status == 429
                    early += 1
                elif status == 200:
                    continue
            time.sleep(max(0.0, after + wait_ms / 1000 - time.monotonic()))
            assert ask().status == 200
            honest += 1
    assert early > 0 and honest >= 50, (early, honest)


# ---- processes -----------------------------------------------------------------------------------------------------

def test_decisions_are_made_by_the_partitions(service):
    """The messages of all partitions grow by the checks made."""
    policy = make(service, {"limit": 1000, "refill": DAILY})
    before = sum(messages(service).values())
    for i in range(300):
        assert service.post("%s/%s/keys/m%d/check" % (ROOT, policy, i)).status == 200
    grown = sum(messages(service).values()) - before
    assert 300 <= grown <= 300 + 60, grown  # the saver asks now and then


def test_suspended_partition_stalls_its_keys_only():
    """Its keys get 503 with Retry-After at the deadline; others are answered; resumed, it serves."""
    with support.Service("--request-timeout-ms", "700") as service:
        policy = make(service, {"limit": 1000, "refill": DAILY})
        (held, key), (_, other) = list(keys_by_partition(service, policy, 2).items())
        assert service.post("/v1/processes/%s/suspend" % held).status in (200, 202, 204)
        begin = time.monotonic()
        response = service.post("%s/%s/keys/%s/check" % (ROOT, policy, key))
        problem(response, 503, "unavailable")
        assert response.header("Retry-After") == "1" and time.monotonic() - begin >= 0.6
        assert service.post("%s/%s/keys/%s/check" % (ROOT, policy, other)).status == 200
        batch = {"checks": [{"policy": policy, "key": key}, {"policy": policy, "key": other}]}
        problem(service.post(ROOT + "/check", batch), 503, "unavailable")
        late = service.request("PUT", "%s/%s" % (ROOT, policy), {"limit": 1000, "refill": DAILY, "default_cost": 2})
        problem(late, 503, "unavailable")
        assert late.header("Retry-After") == "1" and "read again" in late.json()["detail"], late
        left = peek(service, policy, other)["remaining"]
        problem(service.post(ROOT + "/check", dict(batch, mode="all_or_nothing")), 503, "unavailable")
        eventually(lambda: peek(service, policy, other)["remaining"] == left)
        assert service.post("/v1/processes/%s/resume" % held).status in (200, 202, 204)
        eventually(lambda: service.post("%s/%s/keys/%s/check" % (ROOT, policy, key)).status == 200)
        eventually(lambda: service.get("%s/%s" % (ROOT, policy)).json()["default_cost"] == 2)
        # What was asked meanwhile and could not be answered was at most those three checks.
        assert peek(service, policy, key)["remaining"] >= 1000 - 8


def test_partition_killed_under_load():
    """Levels are neither lost nor refilled, other partitions never notice, nothing hangs."""
    with support.Service("--server-max-restarts", "1000") as service:
        policy = make(service, {"limit": 1000000, "refill": DAILY})
        (victim, key), (_, other) = list(keys_by_partition(service, policy, 2).items())
        stop = threading.Event()
        crowd = [Client(service, "%s/%s/keys/%s/check" % (ROOT, policy, key), stop) for _ in range(8)]
        others = [Client(service, "%s/%s/keys/%s/check" % (ROOT, policy, other), stop) for _ in range(4)]
        for client in crowd + others:
            client.start()
        pids = set()
        for _ in range(30):
            pids.add(service.find(victim)["pid"])
            response = service.post("/v1/processes/%s/exit" % victim, {"reason": "kill"})
            assert response.status in (202, 404), response
            time.sleep(0.03)
        eventually(lambda: service.get("/v1/processes/" + victim).status == 200)
        stop.set()
        for client in crowd + others:
            client.join()
        assert len(pids) > 10
        assert set().union(*[client.statuses for client in others]) == {200}
        assert set().union(*[client.statuses for client in crowd]) <= {200, 503}
        assert sum(client.broken for client in crowd + others) == 0
        assert max(client.longest for client in crowd + others) < 6
        admitted, unknown = total(crowd, 200), total(crowd, 503)
        taken = 1000000 - peek(service, policy, key)["remaining"]
        assert admitted <= taken <= admitted + unknown, (admitted, taken, unknown)
        assert 1000000 - peek(service, policy, other)["remaining"] == total(others, 200)


def test_other_processes_killed():
    """policies and saver are restarted and go on with what is durable."""
    with support.Service("--server-max-restarts", "1000") as service:
        for i in range(10):
            policy = make(service, {"limit": 5 + i, "refill": DAILY})
            for name in ("rate_limits.policies", "rate_limits.saver"):
                pid = service.find(name)["pid"]
                assert service.post("/v1/processes/%s/exit" % name, {"reason": "kill"}).status == 202
                eventually(lambda: service.get("/v1/processes/" + name).status == 200 and service.find(name)["pid"] != pid)
            assert service.get("%s/%s" % (ROOT, policy)).json()["limit"] == 5 + i
            assert service.request("PUT", "%s/%s" % (ROOT, policy), {"limit": 50, "refill": DAILY}).status == 200
            assert peek(service, policy, "a")["remaining"] == 50


def test_policies_killed_in_the_middle_of_changes():
    """Whatever a client was told holds, and no partition is left with other numbers than the store."""
    with support.Service("--server-max-restarts", "10000", "--request-timeout-ms", "3000") as service:
        policy = make(service, {"limit": 1, "refill": DAILY})
        stop = threading.Event()

        def killer():
            while not stop.is_set():
                service.post("/v1/processes/rate_limits.policies/exit", {"reason": "kill"})
                time.sleep(0.004)
        thread = threading.Thread(target=killer)
        thread.start()
        told = 0
        try:
            for limit in range(2, 80):
                response = service.request("PUT", "%s/%s" % (ROOT, policy), {"limit": limit, "refill": DAILY})
                assert response.status in (200, 503), response
                told += response.status == 200
                if response.status == 200:
                    assert service.get("%s/%s" % (ROOT, policy)).json()["limit"] == limit
        finally:
            stop.set()
            thread.join()
        assert told > 0

        def settled():
            limit = service.get("%s/%s" % (ROOT, policy)).json()["limit"]
            return service.request("PUT", "%s/%s" % (ROOT, policy), {"limit": limit, "refill": DAILY}).status == 200 and limit
        limit = eventually(settled)
        assert {peek(service, policy, fresh())["limit"] for _ in range(64)} == {limit}


# ---- max_keys ------------------------------------------------------------------------------------------------------

def test_max_keys_is_exact_and_known_keys_go_on():
    """The key after the last one gets 503 limiter-full with Retry-After; dropped are full buckets only."""
    with support.Service("--max-keys", "200") as service:
        slow = make(service, {"limit": 100, "refill": DAILY})
        quick = make(service, {"limit": 100, "refill": {"amount": 1000, "every_ms": 1000}})
        for i in range(200):
            assert service.post("%s/%s/keys/s%d/check" % (ROOT, slow, i)).status == 200, i
        response = service.post("%s/%s/keys/new/check" % (ROOT, slow))
        problem(response, 503, "limiter-full")
        assert int(response.header("Retry-After")) >= 1
        assert service.get("%s/%s/gate?key=new2" % (ROOT, slow)).status == 503
        assert peek(service, slow, "new")["remaining"] == 100
        for i in range(200):
            assert service.post("%s/%s/keys/s%d/check" % (ROOT, slow, i)).json()["remaining"] == 98
        for i in range(100):
            assert service.request("DELETE", "%s/%s/keys/s%d" % (ROOT, slow, i)).status == 204
        for i in range(100):
            assert service.post("%s/%s/keys/q%d/check" % (ROOT, quick, i)).status == 200, i
        time.sleep(0.05)  # now these are full again, in whatever partition: there is room for a hundred others

        def passes(i):
            return service.post("%s/%s/keys/t%d/check" % (ROOT, slow, i)).status == 200
        for i in range(100):
            eventually(lambda: passes(i))
        problem(service.post("%s/%s/keys/new/check" % (ROOT, slow)), 503, "limiter-full")
        assert peek(service, slow, "s150")["remaining"] == 98
        assert [one["max_keys"] for one in service.events("limiter.filled")] == [200]


# ---- restarts ------------------------------------------------------------------------------------------------------

def test_everything_survives_a_drained_stop():
    """Policies, versions, overrides, levels of slow and of quick buckets."""
    with support.folder() as data:
        with support.Service(data=data) as service:
            slow = make(service, {"limit": 5, "refill": DAILY})
            minute = make(service, {"limit": 60, "refill": {"amount": 60, "every_ms": 6000}})
            assert service.request("PUT", ROOT + "/default", {"limit": 7, "refill": DAILY}).status == 200
            assert service.request("PUT", "%s/%s/overrides/vip" % (ROOT, slow), {"limit": 50, "refill": DAILY}).status == 201
            soon = {"limit": 50, "refill": DAILY, "expires_in_ms": 200}
            assert service.request("PUT", "%s/%s/overrides/soon" % (ROOT, slow), soon).status == 201
            tag = service.get("%s/%s" % (ROOT, slow)).header("ETag")
            for policy, key, cost in ((slow, "a", 4), (slow, "vip", 44), (minute, "m", 60), ("default", "d", 7)):
                assert service.get("%s/%s/keys/%s/check?cost=%d" % (ROOT, policy, key, cost)).status == 200
        time.sleep(0.3)
        with support.Service(data=data) as service:
            assert service.get("%s/%s" % (ROOT, slow)).header("ETag") == tag
            assert peek(service, slow, "a")["remaining"] == 1
            assert peek(service, slow, "vip")["remaining"] == 6
            assert peek(service, slow, "soon")["limit"] == 5
            assert service.get("%s/%s/overrides/soon" % (ROOT, slow)).status == 404
            assert metric(service, "troupe_rate_limit_overrides") == 1
            assert 1 <= peek(service, minute, "m")["remaining"] < 60
            assert peek(service, "default", "d")["remaining"] == 0
            assert service.request("DELETE", "%s/%s/keys/a" % (ROOT, slow)).status == 204
        with support.Service(data=data) as service:
            assert peek(service, slow, "a")["remaining"] == 5


def test_crash_gives_back_the_last_second_at_most():
    """kill -9: what was saved stays taken; a reset stays reset; acknowledged policies are there."""
    with support.folder() as data:
        service = support.Service("--save-interval-ms", "100", data=data)
        try:
            slow = make(service, {"limit": 5, "refill": DAILY})
            for key in ("a", "b"):
                assert service.get("%s/%s/keys/%s/check?cost=5" % (ROOT, slow, key)).status == 200

            eventually(lambda: metric(service, "troupe_rate_limit_saved_levels_total") >= 2)
            assert service.request("DELETE", "%s/%s/keys/b" % (ROOT, slow)).status == 204
            late = make(service, {"limit": 3, "refill": DAILY})
        finally:
            service.kill()
        with support.Service(data=data) as service:
            assert service.get("%s/%s/keys/a/check" % (ROOT, slow)).status == 429
            assert peek(service, slow, "b")["remaining"] == 5
            assert service.get("%s/%s" % (ROOT, late)).json()["limit"] == 3


# ---- batches -------------------------------------------------------------------------------------------------------

def batch(service, checks, mode="independent"):
    return service.post(ROOT + "/check", {"mode": mode, "checks": checks})


def items(policy, keys, cost=1):
    return [{"policy": policy, "key": key, "cost": cost} for key in keys]


def test_independent_batch(service):
    """Each for itself, results in the given order, equal keys in their order."""
    policy = make(service, {"limit": 5, "refill": DAILY})
    keys = [fresh() for _ in range(60)]
    asked = items(policy, keys, 2) + items(policy, keys, 4) + items(policy, keys, 3) + [{"policy": "default", "key": keys[0]}]
    response = batch(service, asked)
    assert response.status == 200, response
    document = response.json()
    results = document["results"]
    assert document["allowed"] is False and len(results) == 181
    assert [one["key"] for one in results] == [one["key"] for one in asked]
    assert [one["allowed"] for one in results] == [True] * 60 + [False] * 60 + [True] * 61
    assert [one["remaining"] for one in results[:60]] == [3] * 60
    assert all(one["retry_after_ms"] > 0 and one["remaining"] == 3 for one in results[60:120])
    assert results[180]["policy"] == "default" and results[180]["remaining"] == 99


def test_all_or_nothing_takes_all_or_nothing(service):
    """429 names the violated ones and takes nothing; costs of one key add up."""
    policy, wide = make(service, {"limit": 5, "refill": DAILY}), make(service, {"limit": 50, "refill": {"amount": 1, "every_ms": 1000}})
    keys = [fresh() for _ in range(20)]
    response = batch(service, items(policy, keys, 3), "all_or_nothing")
    assert response.status == 200 and response.json()["allowed"] is True
    assert {one["remaining"] for one in response.json()["results"]} == {2}
    asked = items(wide, keys, 10) + [{"policy": policy, "key": keys[3], "cost": 3}, {"policy": policy, "key": keys[7], "cost": 2}]
    response = batch(service, asked, "all_or_nothing")
    document = problem(response, 429, "rate-limited")
    assert document["violated"] == [20] and document["allowed"] is False
    assert document["retry_after_ms"] > DAY_MS / 2 and int(response.header("Retry-After")) > DAY_MS / 2000
    for key in keys:
        assert peek(service, policy, key)["remaining"] == 2 and peek(service, wide, key)["remaining"] == 50
    twice = items(policy, [keys[0], keys[1], keys[0]])
    assert batch(service, twice, "all_or_nothing").status == 200
    assert (peek(service, policy, keys[0])["remaining"], peek(service, policy, keys[1])["remaining"]) == (0, 1)
    document = problem(batch(service, items(policy, [keys[2], keys[2], keys[2]]), "all_or_nothing"), 429, "rate-limited")
    assert document["violated"] == [2] and peek(service, policy, keys[2])["remaining"] == 2


def test_bad_batches_take_nothing(service):
    """Bad items, unknown policies, costs that can never pass: 422 with where."""
    policy = make(service, {"limit": 5, "refill": DAILY})
    good = {"policy": policy, "key": "good"}
    for mode in ("independent", "all_or_nothing"):
        assert pointers(batch(service, [good, good, good, {"policy": "nothing", "key": "a"}], mode)) == ["/checks/3"]
        assert pointers(batch(service, [good, {"policy": policy}], mode)) == ["/checks/1/key"]
        assert pointers(batch(service, [good, {"policy": policy, "key": "", "cost": 0}], mode)) == ["/checks/1/cost", "/checks/1/key"]
        assert pointers(batch(service, [good, 7], mode)) == ["/checks/1"]
        assert pointers(batch(service, [], mode)) == ["/checks"]
        assert pointers(batch(service, [good] * 1001, mode)) == ["/checks"]
        document = problem(batch(service, [good, dict(good, cost=6)], mode), 422, "cost-exceeds-limit")
        assert document["errors"][0]["pointer"] == "/checks/1/cost"
    assert pointers(batch(service, [good], "some")) == ["/mode"]
    problem(batch(service, [dict(good, cost=3), dict(good, cost=3)], "all_or_nothing"), 422, "cost-exceeds-limit")
    assert peek(service, policy, "good")["remaining"] == 5
    assert batch(service, [good] * 1000).status == 200


def test_a_cost_above_an_override_takes_nothing(service):
    """With overrides about, a cost that can never pass still fails an independent batch as a whole, and only such a cost."""
    policy = make(service, {"limit": 5, "refill": DAILY})
    for key, limit in (("small", 2), ("large", 50)):
        assert service.request("PUT", "%s/%s/overrides/%s" % (ROOT, policy, key), {"limit": limit, "refill": DAILY}).status == 201
    others = [{"policy": policy, "key": "other-%d" % i} for i in range(20)]  # in several partitions

    def ask(key, cost):
        return batch(service, others + [{"policy": policy, "key": key, "cost": cost}], "independent")
    for key, cost, limit in (("small", 3, 2), ("plain", 6, 5), ("large", 51, 50)):
        document = problem(ask(key, cost), 422, "cost-exceeds-limit")
        assert document["errors"] == [{"pointer": "/checks/20/cost", "detail": "the limit is %d" % limit}], document
        assert peek(service, policy, key)["remaining"] == limit
    assert {peek(service, policy, one["key"])["remaining"] for one in others} == {5}
    answer = ask("large", 6)
    assert answer.status == 200 and answer.json()["allowed"] is True, answer
    assert len(answer.json()["results"]) == 21 and peek(service, policy, "large")["remaining"] == 44
    assert {peek(service, policy, one["key"])["remaining"] for one in others} == {4}


def test_opposite_batches_with_kills():
    """Two opposite all-or-nothing batches in a loop while partitions are killed: no deadlock, no half-taken batch."""
    with support.Service("--server-max-restarts", "100000", "--request-timeout-ms", "4000") as service:
        policy = make(service, {"limit": 2000000000, "refill": DAILY})
        keys = list(keys_by_partition(service, policy, 4).values())
        stop = threading.Event()
        counts, halves, lock = {}, [], threading.Lock()

        def asker(order):
            with service.connect() as connection:
                while not stop.is_set():
                    body = {"mode": "all_or_nothing", "checks": items(policy, order)}
                    connection.send(support.compose("POST", ROOT + "/check", body))
                    status = connection.read().status
                    with lock:
                        counts[status] = counts.get(status, 0) + 1

        def watcher():
            with service.connect() as connection:
                while not stop.is_set():
                    for order in (keys, keys[::-1]):
                        seen = []
                        for key in order:
                            connection.send(support.compose("GET", "%s/%s/keys/%s" % (ROOT, policy, key)))
                            response = connection.read()
                            seen.append(response.json()["remaining"] if response.status == 200 else None)
                        known = [one for one in seen if one is not None]
                        # Looked at one after the other, each may only have been taken from more often than the one before.
                        if known != sorted(known, reverse=True):
                            halves.append(seen)

        def killer():
            names = sorted(messages(service))
            turn = 0
            while not stop.is_set():
                service.post("/v1/processes/%s/exit" % names[turn % len(names)], {"reason": "kill"})
                turn += 1
                time.sleep(0.01)
        threads = [threading.Thread(target=asker, args=(order,)) for order in (keys, keys[::-1], keys, keys[::-1])]
        threads += [threading.Thread(target=watcher), threading.Thread(target=killer)]
        for thread in threads:
            thread.start()
        time.sleep(4)
        stop.set()
        for thread in threads:
            thread.join(support.PATIENCE)
        assert not any(thread.is_alive() for thread in threads), "something hangs"
        assert set(counts) <= {200, 503} and counts.get(200, 0) > 50, counts
        assert halves == [], halves[:5]
        eventually(lambda: service.get("/readyz").status == 200)
        left = {peek(service, policy, key)["remaining"] for key in keys}
        assert len(left) == 1, left
        taken = 2000000000 - left.pop()
        assert counts[200] <= taken <= counts[200] + counts.get(503, 0), (taken, counts)


if __name__ == "__main__":
    support.main(globals())
