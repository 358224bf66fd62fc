"""Payments with a gateway behind HTTP that misbehaves: what was acknowledged is in its ledger exactly once, all else at most once and
truthfully told."""
import contextlib
import itertools
import os
import threading

import support
from gateway import Gateway
from support import eventually, metric, problem
from test_payments import AMOUNT, authorize, changes, create, do, events, get, settled

HASTY = ("--gateway-timeout-ms", "600")
FULL = os.environ.get("TROUPE_GATEWAY_FULL") == "1"  # ./dev crash


@contextlib.contextmanager
def world(*args, token=None):
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger"), token) as gateway:
        with support.Service("--gateway", gateway.url, *HASTY, *args) as service:
            yield gateway, service


def agrees(gateway, service, payment):
    """The payment says what the ledger says."""
    now = settled(service, payment)
    total = {kind: sum(entry["amount"] for entry in gateway.applied(payment, kind)) for kind in ("authorize", "capture", "refund", "cancel")}
    for kind in ("authorize", "capture", "cancel"):
        assert len(gateway.applied(payment, kind)) <= 1, gateway.ledger(payment)
    assert now["refunded_amount"] == total["refund"], (now, gateway.ledger(payment))
    assert (now["state"] != "pending") == bool(total["authorize"]) or now["state"] == "cancelled", (now, gateway.ledger(payment))
    assert bool(total["capture"]) == (now["captured_amount"] + (now["refunded_amount"] if total["capture"] else 0) > 0), now
    return now


def walk_through(gateway, service, payment):
    """authorize, capture, refund, whatever the answers are; each is made again with its key until it is a final one."""
    for event, body in (("authorize", {"card_token": "tok_visa"}), ("capture", None), ("refund", {"amount": AMOUNT})):
        for attempt in itertools.count():
            response = do(service, payment, event, body, key="%s-%s" % (event, payment))
            settled(service, payment)
            if response.status == 200:
                break
            assert response.status in (202, 409, 503) and attempt < 40, response
    return agrees(gateway, service, payment)


def test_the_plain_way():
    """All four operations, with the amounts and the references of the gateway; declined cards; its own token."""
    with world("--gateway-token", "secret", token="secret") as (gateway, service):
        payment = create(service)
        assert authorize(service, payment).status == 200
        assert do(service, payment, "capture").status == 200
        assert do(service, payment, "refund", {"amount": 400}).status == 200
        assert [(entry["kind"], entry["amount"], entry["result"]) for entry in gateway.ledger(payment)] == [
            ("authorize", AMOUNT, "applied"), ("capture", AMOUNT, "applied"), ("refund", 400, "applied")]
        assert events(service, payment)[2]["data"]["gateway_reference"].startswith("ch_")
        other = create(service)
        assert problem(authorize(service, other, "tok_expired_card"), 402, "card-declined")["decline_code"] == "expired_card"
        assert authorize(service, other).status == 200
        assert do(service, other, "cancel").status == 200 and gateway.applied(other, "cancel")
        assert "secret" not in "\n".join(service.log())


MISCHIEF = [{"drop": "before"}, {"drop": "after"}, {"drop": "half"}, {"status": 500}, {"status": 500, "apply": True},
            {"status": 429, "retry_after": 1}, {"status": 503, "retry_after": 1}, {"garbage": True}, {"wrong_id": True},
            {"pending": True}, {"twice": True}, {"delay_before_ms": 1000}, {"delay_after_ms": 1000}]


def test_every_mischief_at_every_operation():
    """Each kind of failure, once and three times, at each operation and with a query that fails first: one effect, told truly."""
    with world() as (gateway, service):
        payments = []
        for i, mischief in enumerate(MISCHIEF):
            for times in (1, 3) if FULL else (1 + 2 * (i % 2),):
                gateway.control(reset=True)
                for kind in ("authorize", "capture", "refund"):
                    gateway.next(kind, times, **mischief)
                gateway.next("query", 1, drop="before")
                payments.append(create(service))
                now = walk_through(gateway, service, payments[-1])
                assert (now["state"], now["refunded_amount"]) == ("refunded", AMOUNT), (mischief, now)
                assert changes(service, payments[-1]) == ["payment.created", "payment.authorized", "payment.captured", "payment.refunded"]


def test_an_impatient_proxy_moves_nothing_twice():
    """408, 425, 499 and other statuses in the middle, while the gateway applies: one refund, also when the client asks again."""
    with world() as (gateway, service):
        payment = create(service, refunds="multiple")
        walk_to_captured(service, payment)
        for i, status in enumerate((408, 425, 499, 418, 302, 500, 503)):
            gateway.next("refund", 1, status=status, apply=True)
            eventually(lambda i=i: do(service, payment, "refund", {"amount": 10}, key="refund-%d" % i).status == 200, 30, "never done")
            assert len(gateway.applied(payment, "refund")) == i + 1, (status, gateway.ledger(payment))
        assert get(service, payment)["refunded_amount"] == 70


def test_a_refusal_at_the_door_is_final():
    """400, 401, 403, 404, 405, 413, 415, 422: nothing was looked at, so nothing is open; 503, and the key runs anew."""
    with world() as (gateway, service):
        payment = create(service)
        for status in (400, 401, 403, 404, 405, 413, 415, 422):
            gateway.next("authorize", 1, status=status)
            problem(authorize(service, payment, key="door"), 503, "gateway-unavailable")
            assert get(service, payment)["operation"] is None
        assert authorize(service, payment, key="door").status == 200
        assert len(gateway.ledger(payment)) == 1


def walk_to_captured(service, payment):
    assert authorize(service, payment).status == 200
    assert do(service, payment, "capture").status == 200


def test_pending_operations_are_asked_for_until_they_are_decided():
    """202 pending, and pending to queries: unknown, then what the gateway decided; no fence falls on it meanwhile."""
    with world() as (gateway, service):
        payment = create(service)
        gateway.next("authorize", 1, pending=True, decide_ms=1500)
        response = authorize(service, payment)
        assert response.status == 200, response
        assert gateway.counts()["query"] >= 2
        assert [entry["result"] for entry in gateway.ledger(payment)] == ["applied"]
        assert agrees(gateway, service, payment)["state"] == "authorized"


def test_sigterm_with_an_operation_open():
    """C21: a stop waits for the answer under way; one that may not wait leaves the operation, which is found out afterwards."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        for drain_ms, waits in (("10000", True), ("100", False)):
            data = os.path.join(folder, "data-" + drain_ms)
            answers = []
            with support.Service("--gateway", gateway.url, "--drain-timeout-ms", drain_ms, data=data) as service:
                payment = create(service)
                gateway.next("authorize", 1, delay_after_ms=1500)
                client = threading.Thread(target=lambda: answers.append(ask_and_tell(service, payment)))
                client.start()
                eventually(lambda: gateway.ledger(payment), 10, "not applied")
                service.stop()
                client.join()
            assert not waits or answers == [200], answers
            with support.Service("--gateway", gateway.url, data=data) as service:
                assert settled(service, payment)["state"] == "authorized"
                eventually(lambda: authorize(service, payment, key="term-" + payment).status == 200, 30, "no answer")
                assert len(gateway.applied(payment)) == 1


def ask_and_tell(service, payment):
    with contextlib.suppress(AssertionError, OSError):
        return authorize(service, payment, key="term-" + payment).status
    return None


def test_late_copies_move_nothing():
    """A request that is applied only after the query said void, would be: the fence holds it off."""
    with world() as (gateway, service):
        payment = create(service)
        gateway.next("authorize", 1, delay_before_ms=2000)
        response = authorize(service, payment)
        assert response.status in (202, 503), response
        assert settled(service, payment)["state"] == "pending"
        assert [entry["result"] for entry in gateway.ledger(payment)] == ["void"]
        assert authorize(service, payment).status == 200
        assert len(gateway.applied(payment)) == 1


def test_wrong_amounts_are_never_believed():
    """An answer with another amount is reported, and the operation stays unknown until the gateway makes sense."""
    with world() as (gateway, service):
        payment = create(service)
        gateway.next("authorize", 1, wrong_amount=True)
        gateway.next("query", 1, wrong_currency="EUR")
        gateway.next("query", 1, wrong_currency="USDX")
        gateway.next("query", 1, wrong_amount=True)
        assert authorize(service, payment).status in (200, 202)
        assert settled(service, payment)["state"] == "authorized"
        assert service.events("payment.disagreed")
        assert [event["data"].get("reason") for event in events(service, payment) if event["type"] == "operation.unknown"] == ["integrity_failure"]


def test_a_gateway_that_is_not_there():
    """503 gateway-unavailable and nothing open; then the breaker refuses before anything is noted; when it is back all goes on."""
    with support.folder() as folder:
        gateway = Gateway(os.path.join(folder, "ledger"))
        with support.Service("--gateway", gateway.url, *HASTY) as service:
            payment = create(service)
            assert authorize(service, payment).status == 200
            port = gateway.port
            gateway.stop()
            for _ in range(12):
                problem(do(service, payment, "capture"), 503, "gateway-unavailable")
            quiet = len(events(service, payment))
            problem(do(service, payment, "capture"), 503, "gateway-unavailable")
            assert len(events(service, payment)) == quiet
            with Gateway(os.path.join(folder, "ledger"), port=port) as back:
                eventually(lambda: do(service, payment, "capture").status == 200, 60, "still refused")
                assert len(back.applied(payment, "capture")) == 1


def test_races_with_a_slow_gateway():
    """Capture against cancel, two refunds of 60 %, eight clients with one key: the ledger has one of each."""
    with world() as (gateway, service):
        payment = create(service, refunds="multiple")
        gateway.next("*", 100, delay_after_ms=100)
        statuses = []
        clients = [threading.Thread(target=lambda: statuses.append(authorize(service, payment, key="one").status)) for _ in range(8)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert statuses.count(200) >= 1 and set(statuses) <= {200, 409} and len(gateway.ledger(payment)) == 1
        pair = [threading.Thread(target=do, args=(service, payment, event)) for event in ("capture", "cancel")]
        for client in pair:
            client.start()
        for client in pair:
            client.join()
        assert len(gateway.applied(payment, "capture")) + len(gateway.applied(payment, "cancel")) == 1
        if get(service, payment)["state"] == "captured":
            pair = [threading.Thread(target=do, args=(service, payment, "refund", {"amount": AMOUNT * 6 // 10})) for _ in range(2)]
            for client in pair:
                client.start()
            for client in pair:
                client.join()
            assert [entry["amount"] for entry in gateway.applied(payment, "refund")] == [AMOUNT * 6 // 10]
        agrees(gateway, service, payment)


def test_kill_9_with_operations_open():
    """kill -9 while the gateway is applying: after the restart the truth is found out, and the same keys get it."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        data = os.path.join(folder, "data")
        for mischief in ({"delay_before_ms": 1000}, {"delay_after_ms": 1000}, {"drop": "after"}):
            with support.Service("--gateway", gateway.url, *HASTY, data=data) as service:
                payment = create(service)
                gateway.next("authorize", 1, **mischief)
                client = threading.Thread(target=ask_in_vain, args=(service, payment))
                client.start()
                eventually(lambda: get(service, payment)["operation"], 10, "no operation")
                service.kill()
                client.join()
            with support.Service("--gateway", gateway.url, *HASTY, data=data) as service:
                settled(service, payment)
                eventually(lambda: authorize(service, payment, key="again-" + payment).status == 200, 30, "never authorized")
                assert agrees(gateway, service, payment)["state"] == "authorized"
                assert metric(service, "troupe_payment_operations_unknown") == 0


def ask_in_vain(service, payment):
    with contextlib.suppress(AssertionError, OSError):
        authorize(service, payment, key="again-" + payment)


if __name__ == "__main__":
    support.main(globals())
