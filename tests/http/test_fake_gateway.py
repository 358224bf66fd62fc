"""The fake gateway keeps the promises of GATEWAY.md that the tests with it rest on. (It is a program of its own: the service is not asked.)"""
import http.client
import json
import os

import support
from gateway import Gateway

OPERATION = {"id": "op_" + "1" * 24, "payment": "pay_" + "1" * 24, "kind": "authorize", "amount": 10, "currency": "USD", "card_token": "tok_visa"}


def post(gateway, path, body, key=None):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.request("POST", path, json.dumps(body), {"Idempotency-Key": key or body["id"]})
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    return answer.status, document.get("status")


def ask(gateway, **change):
    return post(gateway, "/operations", {**OPERATION, **change})


def query(gateway, **change):
    body = {**OPERATION, **change}
    return post(gateway, "/operations/%s/query" % body["id"], body)


def test_an_id_is_applied_once():
    """The same answer again, one line in the ledger; another content is 400; the ledger outlives the program."""
    with support.folder() as folder:
        ledger = os.path.join(folder, "ledger")
        with Gateway(ledger) as gateway:
            assert ask(gateway) == ask(gateway) == (200, "applied")
            assert ask(gateway, amount=11)[0] == 400 and query(gateway, currency="EUR")[0] == 400
            assert post(gateway, "/operations", OPERATION, key="other")[0] == 400
            assert len(gateway.ledger()) == 1
        with Gateway(ledger) as gateway:
            assert query(gateway) == ask(gateway) == (200, "applied")
            assert len(gateway.ledger()) == 1


def test_a_query_is_a_fence():
    """What a query found absent is void for ever; what is pending is not."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        assert query(gateway) == ask(gateway) == (409, "void")
        other = {"id": "op_" + "2" * 24, "payment": "pay_" + "2" * 24}
        gateway.next("authorize", 1, pending=True, decide_ms=500)
        assert ask(gateway, **other) == query(gateway, **other) == (202, "pending")
        support.eventually(lambda: query(gateway, **other) == (200, "applied"), 10, "never decided")
        assert [entry["result"] for entry in gateway.ledger()] == ["void", "applied"]


def test_it_judges():
    """Declined cards, captures of nothing, refunds above what is held."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        ids = iter("op_%024d" % i for i in range(1, 100))
        assert ask(gateway, id=next(ids), kind="capture") == (402, "declined")
        assert ask(gateway, id=next(ids), card_token="tok_declined") == (402, "declined")
        assert ask(gateway, id=next(ids)) == (200, "applied")
        assert ask(gateway, id=next(ids), kind="capture") == (200, "applied")
        assert ask(gateway, id=next(ids), kind="capture") == (402, "declined")
        assert ask(gateway, id=next(ids), kind="refund", amount=6) == (200, "applied")
        assert ask(gateway, id=next(ids), kind="refund", amount=6) == (402, "declined")
        assert ask(gateway, id=next(ids), kind="refund", amount=4) == (200, "applied")


if __name__ == "__main__":
    support.main(globals())
