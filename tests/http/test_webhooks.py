"""Webhooks from outside: the resource, its secrets, and deliveries to receivers that verify, fail, hang, drop, redirect and leave;
kill -9 of the service in between."""
import contextlib
import itertools
import json
import random
import signal
import threading
import time
import uuid

import receiver
import support
from receiver import Receiver, payment_of, type_of
from support import Service, eventually, metric, pointers, problem

ROOT = "/v1/webhooks"
FAST = ("--allow-private-addresses", "--webhook-retry-first-ms", "10")
SERVICE_ARGS = FAST
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def new_name():
    return "hook-" + uuid.uuid4().hex[:12]


def put(service, name, url, events=("payment.*",), **more):
    headers = more.pop("headers", None)
    return service.request("PUT", "%s/%s" % (ROOT, name), {"url": url, "events": list(events), **more}, headers=headers)


def get(service, name):
    response = service.get("%s/%s" % (ROOT, name))
    assert response.status == 200, response
    return response.json()


def deliveries(service, name):
    return service.get("%s/%s/deliveries?limit=500" % (ROOT, name)).json()["items"]


@contextlib.contextmanager
def hook(service, to, name=None, path=None, **more):
    """A webhook to a receiver, which knows its secret; it is removed at the end, unless the service is gone by then."""
    name = name or new_name()
    path = path or "/" + name
    response = put(service, name, to.url(path), **more)
    assert response.status == 201, response
    to.secrets[path] = [response.json()["secret"]]
    yield name
    if service.process.poll() is None:
        assert service.request("DELETE", "%s/%s" % (ROOT, name)).status == 204


def create(service, **more):
    response = service.post("/v1/payments", {"amount": 1000, "currency": "USD", **more})
    assert response.status == 201, response
    return response.json()["id"]


def do(service, payment, event, body=None):
    return service.post("/v1/payments/%s/%s" % (payment, event), body)


def changes(service, payment):
    """The state changes of a payment, as its events tell."""
    items = service.get("/v1/payments/%s/events?limit=500" % payment).json()["items"]
    return [event["type"] for event in items if event["type"].startswith("payment.")]


def walk(service):
    """A payment's whole life."""
    payment = create(service, refunds="multiple")
    do(service, payment, "authorize", {"card_token": "tok_declined"})
    do(service, payment, "authorize", {"card_token": "tok_visa"})
    do(service, payment, "capture")
    do(service, payment, "refund", {"amount": 400})
    do(service, payment, "refund", {"amount": 600})
    return payment


# ---- the resource --------------------------------------------------------------------------------------------------

def test_the_resource(service):
    """201 with the secret once, 200 without, ETag, lists in pages, 204, 404."""
    name = new_name()
    made = put(service, name, "http://127.0.0.1:9/x", ["payment.captured", "payment.refunded"])
    assert made.status == 201, made
    shown = made.json()
    secret = shown.pop("secret")
    assert secret.startswith("whsec_") and len(secret) == 6 + 44, secret
    assert shown == {"name": name, "url": "http://127.0.0.1:9/x", "events": ["payment.captured", "payment.refunded"],
                     "state": "enabled", "disabled_at": None, "failing_since": None, "waiting": 0, "dropped": 0,
                     "version": shown["version"], "created_at": shown["created_at"], "updated_at": shown["created_at"]}
    read = service.get("%s/%s" % (ROOT, name))
    assert (read.status, read.json(), read.header("ETag")) == (200, shown, '"%d"' % shown["version"])
    assert service.request("GET", "%s/%s" % (ROOT, name), headers={"If-None-Match": read.header("ETag")}).status == 304
    again = put(service, name, "http://127.0.0.1:9/y", ["*"])
    assert again.status == 200 and "secret" not in again.json() and again.json()["version"] > shown["version"], again
    for document in service.get(ROOT + "?limit=500").json()["items"]:
        assert "secret" not in document
    other = new_name()
    assert put(service, other, "http://127.0.0.1:9/").status == 201
    names, target = [], ROOT + "?limit=1"
    for _ in range(100):
        page = service.get(target).json()
        names += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        target = "%s?limit=1&cursor=%s" % (ROOT, page["next_cursor"])
    assert names == sorted(names) and {name, other} <= set(names)
    for one in (name, other):
        assert service.request("DELETE", "%s/%s" % (ROOT, one)).status == 204
        for target in ("%s/%s" % (ROOT, one), "%s/%s/deliveries" % (ROOT, one)):
            problem(service.get(target), 404, "webhook-not-found")
        problem(service.request("DELETE", "%s/%s" % (ROOT, one)), 404, "webhook-not-found")


def test_preconditions(service):
    """If-Match and If-None-Match are judged, also across removal and creation anew."""
    name = new_name()
    url = "http://127.0.0.1:9/"
    problem(put(service, name, url, headers={"If-Match": '"1"'}), 412, "version-conflict")
    etag = put(service, name, url, headers={"If-None-Match": "*"}).header("ETag")
    problem(put(service, name, url, headers={"If-None-Match": "*"}), 412, "version-conflict")
    newer = put(service, name, url, headers={"If-Match": etag})
    assert newer.status == 200, newer
    target = "%s/%s" % (ROOT, name)
    problem(service.request("DELETE", target, headers={"If-Match": etag}), 412, "version-conflict")
    assert service.request("DELETE", target, headers={"If-Match": newer.header("ETag")}).status == 204
    assert put(service, name, url).header("ETag") not in (etag, newer.header("ETag"))
    service.request("DELETE", target)


def test_bad_bodies(service):
    """422 with the pointer of what does not fit, and nothing is made."""
    name = new_name()
    good = {"url": "http://127.0.0.1:9/", "events": ["payment.*"]}
    for change, pointer in (({"url": "ftp://example.org/"}, "/url"), ({"url": "nothing"}, "/url"), ({"url": ""}, "/url"),
                            ({"url": "http://user:pw@example.org/"}, "/url"), ({"url": "file:///etc/passwd"}, "/url"),
                            ({"url": "http://example.org/" + "x" * 2048}, "/url"), ({"url": 1}, "/url"),
                            ({"events": []}, "/events"), ({"events": ["payment"] * 33}, "/events"), ({"events": "x"}, "/events"),
                            ({"events": ["*.x"]}, "/events/0"), ({"events": ["a", 7]}, "/events/1"), ({"secret": "x"}, "/secret"),
                            ({"secret": "whsec_" + "A" * 28}, "/secret"), ({"more": 1}, "/more"),
                            ({"secret": SECRET, "rotate_secret": True}, "/rotate_secret")):
        response = service.request("PUT", "%s/%s" % (ROOT, name), {**good, **change})
        assert pointers(response) == [pointer], (change, response)
        assert "AAAA" not in response.body.decode()
    assert pointers(service.request("PUT", "%s/%s" % (ROOT, name), {"url": good["url"]})) == ["/events"]
    assert pointers(put(service, "a%20b", good["url"])) == ["/name"]
    problem(service.get("%s/%s" % (ROOT, name)), 404, "webhook-not-found")


def test_access_and_number():
    """Admins only; beyond max_webhooks a new one is 507, an old one can still be changed."""
    tokens = ("--admin-token", "boss", "--client-token", "guest", "--max-webhooks", "1")
    with Service("--allow-private-addresses", *tokens) as service:
        for method, target in (("GET", ROOT), ("GET", ROOT + "/a"), ("DELETE", ROOT + "/a"), ("GET", ROOT + "/a/deliveries")):
            problem(service.request(method, target), 401, "unauthorized")
            problem(service.request(method, target, headers={"Authorization": "Bearer guest"}), 403, "forbidden")
        boss = {"Authorization": "Bearer boss"}
        assert put(service, "a", "http://127.0.0.1:9/", headers=boss).status == 201
        problem(put(service, "b", "http://127.0.0.1:9/", headers=boss), 507, "storage-full")
        assert put(service, "a", "http://127.0.0.1:9/", headers=boss).status == 200


# ---- where they may lead -------------------------------------------------------------------------------------------

def test_private_addresses():
    """Refused as text at the PUT, and by the address connected to at each delivery."""
    with Receiver() as there, Service("--webhook-retry-first-ms", "10") as service:
        for url in ("http://127.0.0.1:9/", "http://[::1]/", "http://localhost/", "https://10.0.0.1/", "http://169.254.169.254/"):
            assert pointers(put(service, "private", url)) == ["/url"], url
        sly = "http://2130706433:%d/" % there.port  # 127.0.0.1 to whoever resolves it
        assert put(service, "sly", sly).status == 201
        create(service)
        found = eventually(lambda: deliveries(service, "sly"))
        assert (found[-1]["failure"], found[-1]["status"]) == ("refused_private", None), found
        assert there.all_seen() == []


# ---- deliveries ----------------------------------------------------------------------------------------------------

def test_every_change_arrives_once_and_in_order(service):
    """A payment's life arrives as its events tell, signed, each message with an id of its own."""
    with Receiver() as there, hook(service, there) as name:
        payments = [walk(service) for _ in range(4)]
        expected = {payment: changes(service, payment) for payment in payments}
        assert expected[payments[0]] == ["payment." + word for word in
                                         ("created", "declined", "authorized", "captured", "refunded", "refunded")]
        eventually(lambda: there.by_payment() == expected)
        eventually(lambda: get(service, name)["waiting"] == 0)
        ids = [delivery.id for delivery in there.all_taken()]
        assert len(ids) == len(set(ids)) == sum(map(len, expected.values()))
        one = [delivery for delivery in there.all_taken() if payment_of(delivery) == payments[0]][-1]
        assert json.loads(one.body.decode())["data"] == service.get("/v1/payments/" + payments[0]).json()
        log = deliveries(service, name)
        assert sorted(item["id"] for item in log) == sorted(ids)
        assert all((item["outcome"], item["status"], item["failure"], item["attempt"], item["next_attempt_at"]) ==
                   ("delivered", 204, None, 1, None) for item in log), log


def test_only_what_is_wanted(service):
    """Two webhooks get what their patterns say, the same message under the same id."""
    with Receiver() as there, hook(service, there, events=["payment.cancelled"]) as some, hook(service, there, events=["*"]) as every:
        payment = create(service)
        do(service, payment, "cancel")
        eventually(lambda: len(there.all_taken()) == 3)
        got = lambda path: [(delivery.id, type_of(delivery)) for delivery in there.all_taken() if delivery.path == "/" + path]
        assert [kind for _, kind in got(every)] == ["payment.created", "payment.cancelled"]
        assert got(some) == got(every)[1:]


def test_failures_are_tried_again(service):
    """A dropped connection, 500, a redirect: the same id and body again, newer timestamps, and nobody follows the redirect."""
    with Receiver() as elsewhere, Receiver() as there, hook(service, there) as name:
        ways = iter([None, 500, (302, {"Location": elsewhere.url()})])
        there.answer = lambda delivery: next(ways, 204)
        create(service)
        eventually(there.all_taken)
        seen = there.all_seen()
        assert len(seen) == 4 and len({(one.id, one.body) for one in seen}) == 1
        stamps = [int(one.timestamp) for one in seen]
        assert stamps == sorted(stamps) and stamps[-1] > stamps[0]
        assert elsewhere.all_seen() == []
        eventually(lambda: get(service, name)["failing_since"] is None)
        log = deliveries(service, name)[::-1]
        assert [item["outcome"] for item in log] == ["failed"] * 3 + ["delivered"]
        assert [item["status"] for item in log] == [None, 500, 302, 204] and log[0]["failure"] == "lost"
        assert [item["attempt"] for item in log] == [1, 2, 3, 4]
        assert all(item["next_attempt_at"] > item["at"] for item in log[:3])


def test_one_payment_holds_up_itself_only(service):
    """While one payment's event fails, its later ones wait, and all others go."""
    with Receiver() as there, hook(service, there):
        poisoned = create(service)
        eventually(there.all_taken)
        there.answer = lambda delivery: 500 if payment_of(delivery) == poisoned and poisoned else 204
        do(service, poisoned, "authorize", {"card_token": "tok_visa"})
        do(service, poisoned, "capture")
        others = [walk(service) for _ in range(3)]
        expected = {payment: changes(service, payment) for payment in others}
        eventually(lambda: all(there.by_payment().get(payment) == expected[payment] for payment in others))
        assert {type_of(one) for one in there.all_seen() if payment_of(one) == poisoned} == {"payment.created", "payment.authorized"}
        there.answer = lambda delivery: 204
        eventually(lambda: there.by_payment()[poisoned] == changes(service, poisoned))


def test_retry_after(service):
    """A receiver that says when is not asked before."""
    with Receiver() as there, hook(service, there):
        times = []

        def answer(_):
            times.append(time.monotonic())
            return (503, {"Retry-After": "2"}) if len(times) == 1 else 204
        there.answer = answer
        create(service)
        eventually(there.all_taken)
        assert times[1] - times[0] >= 1.9, times


def test_a_receiver_that_hangs():
    """An attempt has its time; another webhook does not notice."""
    args = ("--webhook-timeout-ms", "400", "--webhook-concurrency", "2")
    release = threading.Event()
    with Receiver() as slow, Receiver() as quick, Service(*FAST, *args) as service:
        slow.answer = lambda delivery: release.wait(support.PATIENCE) and 204
        with hook(service, slow) as slow_name, hook(service, quick):
            payments = [create(service) for _ in range(12)]
            eventually(lambda: len(quick.by_payment()) == len(payments))
            eventually(lambda: [item for item in deliveries(service, slow_name) if item["failure"] == "timeout"])
            release.set()
            eventually(lambda: get(service, slow_name)["waiting"] == 0)


def test_gone(service):
    """410 disables, with a line in the log; a PUT goes on with what waits."""
    with Receiver(lambda delivery: 410) as there, hook(service, there) as name:
        first = create(service)
        eventually(lambda: get(service, name)["state"] == "gone")
        assert get(service, name)["disabled_at"] is not None
        eventually(lambda: [line for line in service.events("webhook.disabled") if line["webhook"] == name])
        missed = create(service)
        there.answer = lambda delivery: 204
        assert put(service, name, there.url("/" + name)).status == 200
        later = create(service)
        eventually(lambda: later in there.by_payment() and first in there.by_payment())
        assert missed not in there.by_payment()
        assert [item["outcome"] for item in deliveries(service, name)].count("gone") == 1


def test_failing_for_long_disables():
    """Without one success for webhook_disable_after_ms."""
    with Receiver(lambda delivery: 500) as there, Service(*FAST, "--webhook-disable-after-ms", "300") as service:
        with hook(service, there) as name:
            create(service)
            eventually(lambda: get(service, name)["state"] == "failing")
            eventually(lambda: [line["webhook"] for line in service.events("webhook.disabled")] == [name])
            eventually(lambda: metric(service, "troupe_webhook_disables_total") == 1)
            eventually(lambda: metric(service, "troupe_webhooks_enabled") == 0)


def test_a_full_outbox():
    """Events beyond webhook_outbox_max are left out and counted; payments go on; what was kept arrives."""
    with Receiver(lambda delivery: 500) as there, Service(*FAST, "--webhook-outbox-max", "3") as service:
        with hook(service, there) as name:
            payments = [create(service) for _ in range(8)]
            state = get(service, name)
            assert (state["waiting"], state["dropped"]) == (3, 5), state
            eventually(lambda: metric(service, "troupe_webhook_events_dropped_total") == 5)
            eventually(lambda: service.events("webhook.filled"))
            eventually(lambda: metric(service, "troupe_webhook_outbox_events") == 3)
            assert metric(service, "troupe_webhook_outbox_oldest_seconds") > 0
            there.answer = lambda delivery: 204
            there.secrets["/again"] = there.secrets["/" + name]
            put(service, name, there.url("/again"))  # what waits is due at once
            eventually(lambda: get(service, name)["waiting"] == 0)
            assert set(there.by_payment()) == set(payments[:3])


# ---- secrets -------------------------------------------------------------------------------------------------------

def test_secrets(service):
    """One's own secret; rotation signs with both for a time; no secret is ever in the log."""
    with Receiver() as there:
        name = new_name()
        path = "/" + name
        assert put(service, name, there.url(path), secret=SECRET).json()["secret"] == SECRET
        there.secrets[path] = [SECRET]
        create(service)
        eventually(lambda: len(there.all_taken()) == 1)
        assert len(there.all_taken()[0].signatures) == 1
        rotated = put(service, name, there.url(path), rotate_secret=True)
        fresh = rotated.json()["secret"]
        assert rotated.status == 200 and fresh != SECRET
        create(service)
        eventually(lambda: len(there.all_taken()) == 2)
        last = there.all_taken()[-1]
        assert last.signatures == [receiver.sign(secret, last.id, last.timestamp, last.body) for secret in (fresh, SECRET)]
        assert "secret" not in service.get("%s/%s" % (ROOT, name)).json()
        log = "\n".join(service.log())
        assert SECRET not in log and fresh not in log and eventually(lambda: service.events("webhook.changed"))
        service.request("DELETE", "%s/%s" % (ROOT, name))


def test_a_replaced_secret_has_its_time():
    """With no overlap the old secret signs no more."""
    with Receiver() as there, Service(*FAST, "--webhook-secret-overlap-ms", "0") as service, hook(service, there) as name:
        fresh = put(service, name, there.url("/" + name), rotate_secret=True).json()["secret"]
        there.secrets["/" + name] = [fresh]
        create(service)
        eventually(there.all_taken)
        assert len(there.all_taken()[0].signatures) == 1


# ---- crashes -------------------------------------------------------------------------------------------------------

def test_killed_between_the_answer_and_its_note():
    """The receiver has it, the service does not know: it comes again with the same id."""
    with support.folder() as data, Receiver() as there:
        service = Service(*FAST, data=data)
        with hook(service, there) as name:
            def kill(_):
                service.signal(signal.SIGKILL)
                service.process.wait(support.PATIENCE)
                return 204
            there.answer = kill
            with contextlib.suppress(AssertionError, OSError):  # the answer may be lost with the service
                create(service)
            eventually(there.all_taken)
        there.answer = lambda delivery: 204
        service.kill()
        with Service(*FAST, data=data) as service:
            eventually(lambda: len(there.all_taken()) >= 2)
            eventually(lambda: get(service, name)["waiting"] == 0)
            assert len({(one.id, one.body) for one in there.all_taken()}) == 1


def make_payments(service, made):
    """Lives of payments until the service is gone."""
    with contextlib.suppress(AssertionError, OSError, ValueError):
        for _ in itertools.count():
            made.append(create(service))
            do(service, made[-1], "authorize", {"card_token": "tok_visa"})
            do(service, made[-1], random.choice(["capture", "cancel"]))


def test_kill_9_again_and_again():
    """Through kill -9 at any moment and a receiver that fails now and then, every durable change arrives, in order."""
    with support.folder() as data, Receiver() as there:
        there.answer = lambda delivery: random.choices([204, 500, 503, None], [90, 4, 3, 3])[0]
        made = []
        for round_number in range(5):
            service = Service(*FAST, data=data)
            if round_number == 0:
                response = put(service, "all", there.url("/all"))
                there.secrets["/all"] = [response.json()["secret"]]
            threads = [threading.Thread(target=make_payments, args=(service, made)) for _ in range(3)]
            for thread in threads:
                thread.start()
            before = len(there.all_seen())
            eventually(lambda: len(there.all_seen()) >= before + random.randrange(5, 40))
            service.signal(signal.SIGKILL)
            for thread in threads:
                thread.join(support.PATIENCE)
            service.kill()
        there.answer = lambda delivery: 204
        with Service(*FAST, data=data) as service:
            settled = lambda: all(item["operation"] is None for item in service.get("/v1/payments?limit=500").json()["items"])
            eventually(settled)
            there.secrets["/all?again"] = there.secrets["/all"]
            put(service, "all", there.url("/all?again"))  # what failed again and again is due at once
            eventually(lambda: get(service, "all")["waiting"] == 0)
            target, payments = "/v1/payments?limit=500", []
            while target:
                page = service.get(target).json()
                payments += [item["id"] for item in page["items"]]
                target = page["next_cursor"] and "/v1/payments?limit=500&cursor=" + page["next_cursor"]
            assert set(made) <= set(payments)
            assert there.by_payment() == {payment: changes(service, payment) for payment in payments}
            assert get(service, "all")["dropped"] == 0


def test_processes_killed(service):
    """Kills of manager, deliverers and lanes are answered by the tree; everything arrives, in order."""
    with Receiver() as there, hook(service, there):
        made = []
        for name in ("webhooks.manager", "webhooks.deliverers", "webhooks.manager", "webhooks.deliverers"):
            made += [walk(service) for _ in range(2)]
            response = service.post("/v1/processes/%s/exit" % name, {"reason": "kill"})
            assert response.status == 202, response
        expected = {payment: changes(service, payment) for payment in made}
        eventually(lambda: there.by_payment() == expected)


if __name__ == "__main__":
    support.main(globals())
