"""Payments from outside: the contract's table, amounts, keys, waiting, the sandbox's tokens, what survives kill -9."""
import contextlib
import itertools
import os
import threading
import time
import uuid

import support
from support import eventually, metric, pointers, problem

ROOT = "/v1/payments"
AMOUNT = 1000


def create(service, amount=AMOUNT, key=None, **more):
    body = {"amount": amount, "currency": "USD", **more}
    response = service.request("POST", ROOT, body, headers=key and {"Idempotency-Key": key})
    assert response.status == 201, response
    return response.json()["id"]


def do(service, payment, event, body=None, key=None, headers=None):
    headers = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
    return service.request("POST", "%s/%s/%s" % (ROOT, payment, event), body, headers=headers)


def authorize(service, payment, token="tok_visa", **more):
    return do(service, payment, "authorize", {"card_token": token}, **more)


def get(service, payment):
    response = service.get("%s/%s" % (ROOT, payment))
    assert response.status == 200, response
    return response.json()


def events(service, payment):
    return service.get("%s/%s/events?limit=500" % (ROOT, payment)).json()["items"]


def changes(service, payment):
    return [event["type"] for event in events(service, payment) if event["type"].startswith("payment.")]


def settled(service, payment):
    """The payment once no operation of it is open."""
    return eventually(lambda: (lambda now: now["operation"] is None and now)(get(service, payment)), 30, "an open operation")


# ---- creation and reading ------------------------------------------------------------------------------------------

def test_creation_answers_the_payment(service):
    """201 with Location, ETag and every member of the contract."""
    response = service.post(ROOT, {"amount": 10000, "currency": "USD", "reference": "order 7", "metadata": {"b": 1.50, "a": [None]}})
    assert response.status == 201, response
    payment = response.json()
    assert payment == {"id": payment["id"], "amount": 10000, "currency": "USD", "state": "pending", "authorized_amount": 0,
                       "captured_amount": 0, "refunded_amount": 0, "operation": None, "refunds": "single", "reference": "order 7",
                       "metadata": {"b": 1.50, "a": [None]}, "version": 1, "created_at": payment["created_at"],
                       "updated_at": payment["created_at"]}
    assert response.header("Location") == "%s/%s" % (ROOT, payment["id"])
    assert response.header("ETag") == '"1"'
    again = service.get(response.header("Location"))
    assert (again.status, again.json(), again.header("ETag")) == (200, payment, '"1"')
    assert service.request("GET", response.header("Location"), headers={"If-None-Match": '"1"'}).status == 304


def test_bad_creations_change_nothing(service):
    """Shapes, amounts, currencies: 422 with pointers; media type and JSON before."""
    before = len(service.get(ROOT + "?limit=500").json()["items"])
    good = {"amount": 1, "currency": "USD"}
    for change, pointer in (({"amount": 0}, "/amount"), ({"amount": -1}, "/amount"), ({"amount": 10**12 + 1}, "/amount"),
                            ({"amount": "1"}, "/amount"), ({"amount": None}, "/amount"), ({"currency": "usd"}, "/currency"),
                            ({"currency": "QQQ"}, "/currency"), ({"currency": ""}, "/currency"), ({"reference": ""}, "/reference"),
                            ({"reference": "x" * 129}, "/reference"), ({"metadata": []}, "/metadata"),
                            ({"metadata": {"k": "x" * 5000}}, "/metadata"), ({"refunds": "many"}, "/refunds"), ({"more": 1}, "/more")):
        response = service.post(ROOT, {**good, **change})
        problem(response, 422, "invalid-request")
        assert pointers(response) == [pointer], response
    json_type = {"Content-Type": "application/json"}
    problem(service.request("POST", ROOT, b'{"amount":1.0,"currency":"USD"}', headers=json_type), 422, "invalid-request")
    problem(service.request("POST", ROOT, b'{"amount":', headers=json_type), 400, "invalid-json")
    problem(service.request("POST", ROOT, b'{}'), 415, "unsupported-media-type")
    assert len(service.get(ROOT + "?limit=500").json()["items"]) == before
    assert create(service, 10**12, currency="JPY")


def test_unknown_payments(service):
    """404 payment-not-found, whatever the id looks like; the shape is judged first."""
    for name in ("pay_" + "0" * 24, "pay_x", "x", "pay_" + "0" * 25):
        target = "%s/%s" % (ROOT, name)
        problem(service.get(target), 404, "payment-not-found")
        problem(service.get(target + "/events"), 404, "payment-not-found")
        problem(service.get(target + "/state-machine"), 404, "payment-not-found")
        problem(service.post(target + "/capture"), 404, "payment-not-found")
        problem(service.post(target + "/authorize", {"card_token": "tok_visa"}), 404, "payment-not-found")
        problem(service.post(target + "/authorize", {"card": 1}), 422, "invalid-request")
        problem(service.post(target + "/refund", {"amount": 1.5}), 422, "invalid-request")


def test_lists(service):
    """Newest first, in pages that neither repeat nor leave out, by state, reference and time."""
    reference = "list-" + uuid.uuid4().hex
    made = [create(service, reference=reference) for _ in range(7)]
    do(service, made[3], "cancel")
    seen, target = [], "%s?reference=%s&limit=3" % (ROOT, reference)
    for pages in itertools.count(1):
        page = service.get(target)
        assert page.status == 200 and len(page.json()["items"]) <= 3, page
        seen += [payment["id"] for payment in page.json()["items"]]
        if page.json()["next_cursor"] is None:
            break
        assert 'rel="next"' in page.header("Link")
        target = "%s?reference=%s&limit=3&cursor=%s" % (ROOT, reference, page.json()["next_cursor"])
    assert sorted(seen) == sorted(made) and pages == 3
    cancelled = service.get("%s?reference=%s&state=cancelled" % (ROOT, reference)).json()["items"]
    assert [payment["id"] for payment in cancelled] == [made[3]]
    after = get(service, made[-1])["created_at"]
    assert service.get("%s?reference=%s&created_after=%s" % (ROOT, reference, after)).json()["items"] == []
    for query in ("state=paid", "created_after=today", "limit=0", "cursor=x", "reference=", "other=1"):
        problem(service.get("%s?%s" % (ROOT, query)), 422, "invalid-request")


# ---- the table -----------------------------------------------------------------------------------------------------

class Model:
    """The table of the contract, written down a second time."""

    def __init__(self, multiple):
        self.multiple = multiple
        self.state, self.authorized, self.captured, self.refunded = "pending", 0, 0, 0

    def apply(self, event, amount=None):
        """Returns the status and the code of the answer."""
        if self.state == "pending":
            if event == "authorize":
                self.state, self.authorized = "authorized", AMOUNT
            elif event == "cancel":
                self.state = "cancelled"
            else:
                return 409, "invalid-event"
        elif self.state == "authorized":
            if event == "capture":
                self.state, self.captured = "captured", self.authorized
            elif event == "cancel":
                self.state = "cancelled"
            elif event != "refund":
                return 409, "invalid-event"
            elif not 0 < amount <= self.authorized:
                return 422, "invalid-amount"
            else:
                self.state, self.authorized, self.refunded = "refunded", self.authorized - amount, self.refunded + amount
        elif self.state in ("captured", "partially_refunded") and event == "refund":
            if not 0 < amount <= self.captured:
                return 422, "invalid-amount"
            self.captured, self.refunded = self.captured - amount, self.refunded + amount
            self.state = "partially_refunded" if self.multiple and self.captured else "refunded"
        else:
            return 409, "terminal-state"
        return 200, None

    def seen(self):
        return self.state, self.authorized, self.captured, self.refunded


EVENTS = [("authorize", None), ("capture", None), ("cancel", None)] + [
    ("refund", amount) for amount in (-1, 0, 1, AMOUNT // 2, AMOUNT, AMOUNT + 1)]


def play(service, sequence, multiple):
    payment, model = create(service, refunds="multiple" if multiple else "single"), Model(multiple)
    for event, amount in sequence:
        body = {"card_token": "tok_visa"} if event == "authorize" else {"amount": amount} if event == "refund" else None
        status, code = model.apply(event, amount)
        response = do(service, payment, event, body)
        assert response.status == status, (sequence, event, amount, response)
        if code:
            problem(response, status, code)
    now = get(service, payment)
    assert (now["state"], now["authorized_amount"], now["captured_amount"], now["refunded_amount"]) == model.seen(), (sequence, now)
    assert now["version"] == len(events(service, payment))


def test_every_short_sequence(service):
    """All sequences of two events, and of three that get beyond the first state, against a model (longer ones: test_payment_table)."""
    for sequence in itertools.product(EVENTS, repeat=2):
        play(service, sequence, multiple=False)
    for tail in itertools.product(EVENTS, repeat=2):
        play(service, (("authorize", None), *tail), multiple=False)
        play(service, (("authorize", None), ("capture", None), *tail), multiple=True)


def test_the_walk_of_the_guide(service):
    """authorize, capture, refund(5000) of 10000; the events say each change once, in order."""
    payment = create(service, 10000)
    for event, body in (("authorize", {"card_token": "tok_visa"}), ("capture", {}), ("refund", {"amount": 5000})):
        assert do(service, payment, event, body).status == 200
    now = get(service, payment)
    assert (now["state"], now["captured_amount"], now["refunded_amount"]) == ("refunded", 5000, 5000)
    told = events(service, payment)
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1)) and now["version"] == len(told)
    assert changes(service, payment) == ["payment.created", "payment.authorized", "payment.captured", "payment.refunded"]
    assert [event["type"] for event in told].count("operation.started") == 3
    first = service.get("%s/%s/events?limit=2" % (ROOT, payment)).json()
    rest = service.get("%s/%s/events?limit=500&cursor=%s" % (ROOT, payment, first["next_cursor"])).json()
    assert first["items"] + rest["items"] == told and rest["next_cursor"] is None


def test_diagrams(service):
    """mermaid, dot and JSON of the table; the payment's own marks its state."""
    plain = service.get(ROOT + "/state-machine")
    assert plain.status == 200 and plain.body.startswith(b"stateDiagram-v2") and b"captured --> partially_refunded" in plain.body
    assert service.get(ROOT + "/state-machine?format=dot").body.startswith(b"digraph")
    states = service.get(ROOT + "/state-machine?format=json").json()
    assert "partially_refunded" in str(states)
    payment = create(service)
    one, other = (service.get("%s/%s/state-machine?format=mermaid" % (ROOT, payment)).body, plain.body)
    assert one != other and b"pending" in one
    problem(service.get(ROOT + "/state-machine?format=png"), 422, "invalid-request")


def test_versions(service):
    """If-Match is judged against the version; a mismatch is 412 and nothing happens."""
    payment = create(service)
    problem(authorize(service, payment, headers={"If-Match": '"7"'}), 412, "version-conflict")
    assert get(service, payment)["version"] == 1
    response = authorize(service, payment, headers={"If-Match": '"1"'})
    assert response.status == 200 and response.header("ETag") == '"%d"' % response.json()["version"]


# ---- the sandbox's tokens ------------------------------------------------------------------------------------------

def test_declined_cards(service):
    """402 card-declined with the code; the payment stays pending and can be authorized afterwards."""
    for token, code in (("tok_declined", "card_declined"), ("tok_insufficient_funds", "insufficient_funds"),
                        ("tok_expired_card", "expired_card"), ("tok_nobody", "invalid_token")):
        payment = create(service)
        assert problem(authorize(service, payment, token), 402, "card-declined")["decline_code"] == code
        assert get(service, payment)["state"] == "pending"
        assert authorize(service, payment).status == 200
        assert changes(service, payment) == ["payment.created", "payment.declined", "payment.authorized"]


def test_card_tokens_are_kept_nowhere():
    """A token that is somebody's own is neither in the data directory nor in the log, whatever became of it."""
    with support.folder() as data:
        with support.Service("--log-level", "debug", "--access-log", "all", data=data) as service:
            payment = create(service)
            problem(authorize(service, payment, "tok_of_a_real_card", key="real"), 402, "card-declined")
            assert authorize(service, payment).status == 200
            log = "\n".join(service.log())
        kept = b"".join(open(os.path.join(data, name), "rb").read() for name in os.listdir(data))
        assert b"tok_visa" in kept and b"tok_of_a_real_card" not in kept
        assert "tok_of_a_real_card" not in log and "tok_visa" not in log


def test_operations_that_fail_later(service):
    """402 gateway-declined, state kept."""
    payment = create(service)
    authorize(service, payment, "tok_capture_fails")
    problem(do(service, payment, "capture"), 402, "gateway-declined")
    assert get(service, payment)["state"] == "authorized"
    payment = create(service)
    authorize(service, payment, "tok_refund_fails")
    assert do(service, payment, "capture").status == 200
    problem(do(service, payment, "refund", {"amount": 1}), 402, "gateway-declined")
    assert (get(service, payment)["state"], get(service, payment)["captured_amount"]) == ("captured", AMOUNT)


def test_a_lost_connection_is_found_out(service):
    """tok_flaky: applied, then dropped. The reconciler learns it, and the client that still waits hears it."""
    payment = create(service)
    response = authorize(service, payment, "tok_flaky")
    assert response.status in (200, 202), response
    assert settled(service, payment)["state"] == "authorized"
    assert [event["type"] for event in events(service, payment)] == ["payment.created", "operation.started", "operation.unknown",
                                                                     "payment.authorized"]


def test_a_silent_gateway(service):
    """tok_timeout: 202 after five seconds, unknown after ten, then pending again; other events are refused; the key runs anew."""
    payment = create(service)
    begun = time.monotonic()
    response = authorize(service, payment, "tok_timeout", key="silent")
    assert response.status == 202 and time.monotonic() - begun >= 4.5, response
    assert response.json()["operation"]["kind"] == "authorize"
    again = authorize(service, payment, "tok_timeout", key="silent")
    assert (again.status, again.body, again.header("Idempotent-Replayed")) == (202, response.body, "true")
    unknown = service.get("%s/%s?wait_ms=20000&version=2" % (ROOT, payment)).json()
    assert unknown["version"] == 3 and unknown["operation"]["status"] == "unknown"
    problem(do(service, payment, "cancel"), 409, "operation-in-progress")
    assert settled(service, payment)["state"] == "pending"
    assert [event["type"] for event in events(service, payment)][-1] == "operation.failed"
    assert do(service, payment, "cancel", key="silent").status == 200  # another request: the key was freed with the failure


def test_events_wait_for_an_open_operation(service):
    """tok_slow: what comes meanwhile waits for its turn, in order; the state it finds then decides."""
    payment, answers = create(service), {}

    def later(name, event):
        answers[name] = do(service, payment, event)

    first = threading.Thread(target=lambda: answers.update(slow=authorize(service, payment, "tok_slow")))
    first.start()
    eventually(lambda: get(service, payment)["operation"], 10, "no operation")
    others = []
    for name, event in (("capture", "capture"), ("cancel", "cancel")):
        others.append(threading.Thread(target=later, args=(name, event)))
        others[-1].start()
        others[-1].join(0.3)  # their order on the way is not the point, but that both wait
    for thread in (first, *others):
        thread.join()
    assert answers["slow"].status == 200
    assert sorted((answers["capture"].status, answers["cancel"].status)) == [200, 409]
    assert changes(service, payment) in (["payment.created", "payment.authorized", "payment.captured"],
                                         ["payment.created", "payment.authorized", "payment.cancelled"])


# ---- keys ----------------------------------------------------------------------------------------------------------

def test_keys_replay_the_first_answer(service):
    """Same key, same request: the same bytes, marked; another request: 422; bare and quoted are one key."""
    first = service.request("POST", ROOT, {"amount": 5, "currency": "USD"}, headers={"Idempotency-Key": '"replay-1"'})
    again = service.request("POST", ROOT, {"amount": 5, "currency": "USD"}, headers={"Idempotency-Key": "replay-1"})
    assert (first.status, again.status, first.body) == (201, 201, again.body)
    assert first.header("Idempotent-Replayed") is None and again.header("Idempotent-Replayed") == "true"
    other = service.request("POST", ROOT, {"amount": 6, "currency": "USD"}, headers={"Idempotency-Key": "replay-1"})
    problem(other, 422, "idempotency-key-reused")
    payment = first.json()["id"]
    problem(authorize(service, payment, key="replay-1"), 422, "idempotency-key-reused")
    for field in ('""', '"a', "x" * 256, '"' + "x" * 256 + '"'):
        problem(service.request("POST", ROOT, {"amount": 5, "currency": "USD"}, headers={"Idempotency-Key": field}), 400, "bad-request")


def test_which_answers_are_kept(service):
    """Kept: 2xx, 402, the table's 409s, invalid-amount. Not kept: the other refusals."""
    payment = create(service)
    for event, body, status in (("capture", None, 409), ("authorize", {"card_token": "tok_declined"}, 402)):
        key = "kept-%s-%s" % (event, payment)
        first, again = do(service, payment, event, body, key=key), do(service, payment, event, body, key=key)
        assert (first.status, again.status, first.body) == (status, status, again.body)
        assert again.header("Idempotent-Replayed") == "true"
    authorize(service, payment)
    key = "amount-" + payment
    first, again = (do(service, payment, "refund", {"amount": 0}, key=key) for _ in range(2))
    assert (first.status, first.body, again.header("Idempotent-Replayed")) == (422, again.body, "true")
    key = "shape-" + payment
    problem(do(service, payment, "refund", {"amount": "x"}, key=key), 422, "invalid-request")
    assert do(service, payment, "refund", {"amount": 1}, key=key).status == 200  # the first was not kept


def race(count, act):
    answers, threads = [None] * count, []
    barrier = threading.Barrier(count)

    def run(i):
        barrier.wait()
        answers[i] = act(i)

    for i in range(count):
        threads.append(threading.Thread(target=run, args=(i,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return answers


def test_eight_clients_with_one_key(service):
    """One authorization, whoever asks: the others are told that the key is in use, or get the same answer."""
    payment = create(service)
    answers = race(8, lambda i: authorize(service, payment, key="eight-" + payment))
    good = [answer for answer in answers if answer.status == 200]
    assert good and all(answer.body == good[0].body for answer in good)
    for answer in answers:
        if answer.status != 200:
            problem(answer, 409, "idempotency-key-in-use")
    assert changes(service, payment) == ["payment.created", "payment.authorized"]
    assert len(events(service, payment)) == 3


def test_eight_clients_with_eight_keys(service):
    """One capture: the others find it done."""
    payment = create(service)
    authorize(service, payment)
    answers = race(8, lambda i: do(service, payment, "capture", key="own-%d-%s" % (i, payment)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    assert changes(service, payment) == ["payment.created", "payment.authorized", "payment.captured"]


def test_creations_with_one_key(service):
    """Eight creations under one key make one payment."""
    reference = "one-" + uuid.uuid4().hex
    body = {"amount": 3, "currency": "USD", "reference": reference}
    answers = race(8, lambda i: service.request("POST", ROOT, body, headers={"Idempotency-Key": reference}))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len(service.get("%s?reference=%s" % (ROOT, reference)).json()["items"]) == 1


def test_two_refunds_of_sixty_percent(service):
    """One of them fits; the ledger agrees."""
    payment = create(service, refunds="multiple")
    authorize(service, payment)
    do(service, payment, "capture")
    answers = race(2, lambda i: do(service, payment, "refund", {"amount": AMOUNT * 6 // 10}))
    assert sorted(answer.status for answer in answers) == [200, 422]
    now = get(service, payment)
    assert (now["state"], now["captured_amount"], now["refunded_amount"]) == ("partially_refunded", 400, 600)


def test_capture_against_cancel(service):
    """One winner."""
    for _ in range(5):
        payment = create(service)
        authorize(service, payment)
        answers = race(2, lambda i: do(service, payment, ("capture", "cancel")[i]))
        assert sorted(answer.status for answer in answers) == [200, 409]
        winner = ("captured", "cancelled")[[answer.status for answer in answers].index(200)]
        assert get(service, payment)["state"] == winner


def test_long_poll(service):
    """wait_ms answers when the version is newer, and with the same one when time is up."""
    payment = create(service)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(service.get("%s/%s?wait_ms=20000&version=2" % (ROOT, payment))))
    waiting.start()
    authorize(service, payment)
    waiting.join()
    assert answers[0].status == 200 and answers[0].json()["version"] == 3
    same = service.get("%s/%s?wait_ms=100" % (ROOT, payment))
    assert same.status == 200 and same.json()["version"] == 3
    for query in ("wait_ms=-1", "wait_ms=60001", "version=x"):
        problem(service.get("%s/%s?%s" % (ROOT, payment, query)), 422, "invalid-request")


# ---- processes and crashes -----------------------------------------------------------------------------------------

def test_the_pool_of_connections(service):
    """Ten workers under their names; one that is killed is replaced, and lists go on."""
    for i in range(1, 11):
        assert service.get("/v1/processes/db_connection.%d" % i).status == 200
    before = service.get("/v1/processes/db_connection.3").json()["pid"]
    service.post("/v1/processes/db_connection.3/exit", {"reason": "kill"})
    eventually(lambda: service.get("/v1/processes/db_connection.3").json().get("pid", before) != before, 10, "no new worker")
    for _ in range(30):
        assert service.get(ROOT).status == 200


def test_a_killed_machine_comes_back(service):
    """A payment whose process is killed goes on from its events."""
    payment = create(service)
    authorize(service, payment)
    machines = [child["pid"] for child in support.node(service.tree(), "payments.machines")["children"]]
    assert machines
    for pid in machines:
        service.post("/v1/processes/%s/exit" % pid, {"reason": "kill"})
    assert do(service, payment, "capture").status == 200
    assert changes(service, payment) == ["payment.created", "payment.authorized", "payment.captured"]


def ask_in_vain(service, payment):
    with contextlib.suppress(AssertionError, OSError):
        authorize(service, payment, "tok_slow")


def test_everything_survives_kill_9():
    """Acknowledged changes, kept answers and open operations are there after kill -9; what was open is found out."""
    with support.folder() as data:
        crash_and_look(data)


def crash_and_look(data):
    with support.Service(data=data) as service:
        done, slow = create(service), create(service)
        first = authorize(service, done, key="before-the-crash")
        waiting = threading.Thread(target=ask_in_vain, args=(service, slow))
        waiting.start()
        eventually(lambda: get(service, slow)["operation"], 10, "no operation")
        service.kill()
        waiting.join()
    with support.Service(data=data) as service:
        again = authorize(service, done, key="before-the-crash")
        assert (again.status, again.body, again.header("Idempotent-Replayed")) == (200, first.body, "true")
        assert settled(service, slow)["state"] == "pending"  # the sandbox had not applied it, and now never will
        assert [event["type"] for event in events(service, slow)][-2:] == ["operation.unknown", "operation.failed"]
        assert authorize(service, slow).status == 200
        assert metric(service, "troupe_payment_stale_machines_total") == 0


def test_passivation():
    """A payment nobody asks for leaves memory, and comes back."""
    with support.Service("--payments-idle-ms", "200") as service:
        payment = create(service)
        authorize(service, payment)
        assert metric(service, "troupe_payments_live") == 1
        eventually(lambda: metric(service, "troupe_payments_live") == 0, 20, "it stays")
        assert do(service, payment, "capture").status == 200


if __name__ == "__main__":
    support.main(globals())
