"""A receiver of webhooks for tests: checks every signature, keeps what came, and behaves as it is told."""
import base64
import collections
import hashlib
import hmac
import http.server
import json
import socketserver
import threading
import time

TOLERANCE_S = 300

Delivery = collections.namedtuple("Delivery", "id timestamp signatures path body fields")


def sign(secret, message, timestamp, body):
    """The signature of Standard Webhooks, from its description."""
    key = base64.b64decode(secret[len("whsec_"):], validate=True)
    digest = hmac.new(key, b"%s.%s.%s" % (message.encode(), timestamp.encode(), body), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Receiver:
    """answer(delivery) gives a status, or (status, {field: value}), or None: drop the connection without a word.
    Deliveries are noted before it is called, and in `taken` when it said 2xx."""

    def __init__(self, answer=None):
        receiver = self
        self.answer = answer or (lambda delivery: 204)
        self.lock = threading.Lock()
        self.seen, self.taken, self.wrong = [], [], []
        self.secrets = {}  # path -> those of which one must have signed

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.handle(self, body)

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a service that was killed under way

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path="/hook"):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def handle(self, request, body):
        delivery = Delivery(request.headers["webhook-id"], request.headers["webhook-timestamp"],
                            request.headers["webhook-signature"].split(" "), request.path, body,
                            dict(request.headers.items()))
        with self.lock:
            self.seen.append(delivery)
        self.judge(delivery)
        said = self.answer(delivery)
        if said is None:
            request.close_connection = True
            return
        status, fields = said if isinstance(said, tuple) else (said, {})
        if 200 <= status <= 299:
            with self.lock:
                self.taken.append(delivery)
        request.send_response(status)
        for name, value in fields.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0") if status != 204 else None
        request.end_headers()

    def judge(self, delivery):
        good = [sign(secret, delivery.id, delivery.timestamp, delivery.body)
                for secret in self.secrets.get(delivery.path, ())]
        fresh = abs(time.time() - int(delivery.timestamp)) <= TOLERANCE_S
        document = json.loads(delivery.body.decode())
        shaped = set(document) == {"type", "timestamp", "data"} and delivery.fields["Content-Type"] == "application/json"
        if not (set(good) & set(delivery.signatures) and fresh and shaped):
            with self.lock:
                self.wrong.append(delivery)

    def all_seen(self):
        with self.lock:
            return list(self.seen)

    def all_taken(self):
        with self.lock:
            return list(self.taken)

    def by_payment(self):
        """What was taken: payment -> types in the order they first came, each message once."""
        found, known = collections.defaultdict(list), {}
        for delivery in self.all_taken():
            assert known.setdefault(delivery.id, delivery.body) == delivery.body, "two bodies of one message"
            if [delivery.id for one in found[payment_of(delivery)] if one[0] == delivery.id] == []:
                found[payment_of(delivery)].append((delivery.id, type_of(delivery)))
        return {payment: [kind for _, kind in messages] for payment, messages in found.items()}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.server.shutdown()
        self.server.server_close()
        assert kind is not None or not self.wrong, "badly signed, old or misshapen: %r" % self.wrong[:3]


def type_of(delivery):
    return json.loads(delivery.body.decode())["type"]


def payment_of(delivery):
    return json.loads(delivery.body.decode())["data"]["id"]
