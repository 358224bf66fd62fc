"""Webhooks from outside: their resource, and deliveries of real payments to a receiver that verifies, fails, hangs and dies."""
import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import support
from support import eventually, pointers, problem
from test_payments import authorize, changes, create, do, settled

ROOT = "/v1/webhooks"
PRIVATE = ("--allow-private-addresses", "true", "--webhook-retry-first-ms", "100", "--webhook-timeout-ms", "1000")


class Receiver:
    """An HTTP server that notes what it is sent. `answers`: statuses for the next requests, 0 = hang, -1 = close; then 204."""

    def __init__(self):
        self.lock, self.requests, self.answers = threading.Lock(), [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    status = receiver.answers.pop(0) if receiver.answers else 204
                    receiver.requests.append((status, dict(self.headers.items()), body))
                if status == 0:
                    time.sleep(2)
                if status <= 0:
                    self.connection.close()
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """Connections that end early are what these tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/hook" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def taken(self, payment=None):
        """What was answered with 2xx, in order: (id, type, document)."""
        with self.lock:
            good = [(fields, body) for status, fields, body in self.requests if 200 <= status < 300]
        found = [(fields["webhook-id"], json.loads(body)) for fields, body in good]
        return [(name, document["type"], document) for name, document in found if payment in (None, document["data"]["id"])]


def put(service, name, url, **more):
    return service.request("PUT", "%s/%s" % (ROOT, name), {"url": url, "events": ["payment.*"], **more})


def is_signed(secret, fields, body):
    key = base64.b64decode(secret[len("whsec_"):])
    text = ("%s.%s." % (fields["webhook-id"], fields["webhook-timestamp"])).encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return wanted in fields["webhook-signature"].split(" ")


def test_the_resource(service):
    """201 with the secret, once; then without it; versions, lists, 404, 412, 422."""
    made = put(service, "books", "https://example.org/hook")
    assert made.status == 201 and made.json()["secret"].startswith("whsec_"), made
    again = service.get(ROOT + "/books")
    assert again.status == 200 and "secret" not in again.json() and again.header("ETag") == made.header("ETag")
    same = put(service, "books", "https://example.org/hook")
    assert same.status == 200 and "secret" not in same.json()
    assert [hook["name"] for hook in service.get(ROOT).json()["items"]] == ["books"]
    turned = put(service, "books", "https://example.org/hook", rotate_secret=True)
    assert turned.status == 200 and turned.json()["secret"] != made.json()["secret"]
    problem(service.request("PUT", ROOT + "/books", {"url": "https://example.org/", "events": ["payment.*"]}, headers={"If-Match": '"999"'}),
            412, "version-conflict")
    for change, pointer in (({"url": "ftp://example.org/"}, "/url"), ({"url": "http://127.0.0.1/"}, "/url"), ({"url": "http://[::1]/"}, "/url"),
                            ({"url": "http://10.1.2.3/"}, "/url"), ({"url": 1}, "/url"), ({"events": []}, "/events"), ({"more": 1}, "/more"),
                            ({"secret": "x"}, "/secret")):
        response = service.request("PUT", ROOT + "/other", {"url": "https://example.org/", "events": ["payment.*"], **change})
        assert pointers(response) == [pointer], response
    problem(service.get(ROOT + "/nobody"), 404, "webhook-not-found")
    problem(service.get(ROOT + "/nobody/deliveries"), 404, "webhook-not-found")
    assert service.request("DELETE", ROOT + "/books").status == 204
    problem(service.request("DELETE", ROOT + "/books"), 404, "webhook-not-found")


def test_payments_are_told_in_order():
    """Every change of a payment arrives signed, in order, among failures of all kinds; the log tells of each attempt."""
    with Receiver() as receiver, support.Service(*PRIVATE) as service:
        secret = put(service, "books", receiver.url).json()["secret"]
        receiver.answers = [500, -1, 302, 0, 503]
        payments = [create(service) for _ in range(4)]
        for payment in payments:
            assert authorize(service, payment).status == 200
            assert do(service, payment, "capture").status == 200
        for payment in payments:
            told = eventually(lambda payment=payment: (lambda taken: len(taken) == 3 and taken)(receiver.taken(payment)), 60, "events are missing")
            assert [kind for _, kind, _ in told] == changes(service, payment)
            assert len({name for name, _, _ in told}) == 3
        with receiver.lock:
            assert all(is_signed(secret, fields, body) for _, fields, body in receiver.requests)
        log = service.get(ROOT + "/books/deliveries?limit=500").json()["items"]
        assert len(log) == len(receiver.requests) and {row["outcome"] for row in log} == {"delivered", "failed"}
        assert secret not in "\n".join(service.log())


def test_gone_is_the_end():
    """410 disables the webhook; nothing more is sent until it is put again."""
    with Receiver() as receiver, support.Service(*PRIVATE) as service:
        put(service, "books", receiver.url)
        receiver.answers = [410]
        create(service)
        eventually(lambda: service.get(ROOT + "/books").json()["state"] != "enabled", 30, "still enabled")
        count = len(receiver.requests)
        create(service)
        put(service, "books", receiver.url)
        create(service)
        eventually(lambda: len(receiver.taken()) >= 1, 30, "nothing came")
        assert count == 1


def test_kill_9_loses_nothing():
    """Events that were acknowledged arrive after kill -9, again with the same id if need be."""
    with Receiver() as receiver, support.folder() as data:
        with support.Service(*PRIVATE, data=data) as service:
            put(service, "books", receiver.url)
            receiver.answers = [500] * 2
            payment = create(service)
            authorize(service, payment)
            service.kill()
        with support.Service(*PRIVATE, data=data) as service:
            settled(service, payment)
            eventually(lambda: len({name for name, _, _ in receiver.taken(payment)}) == 2, 60, "events are missing")
            first = {}
            for name, kind, _ in receiver.taken(payment):
                first.setdefault(name, kind)
            assert list(first.values()) == changes(service, payment)


def test_private_addresses_are_refused_where_they_count():
    """A name that leads to a private address is not connected to."""
    with support.Service("--webhook-retry-first-ms", "100") as service:
        assert put(service, "books", "http://localhost:1/hook").status in (201, 422)
        create(service)
        if service.get(ROOT + "/books").status == 200:
            log = eventually(lambda: service.get(ROOT + "/books/deliveries").json()["items"], 30, "no attempt")
            assert {row["failure"] for row in log} == {"refused_private"}


if __name__ == "__main__":
    support.main(globals())
