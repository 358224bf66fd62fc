"""A payment gateway for tests: speaks api/payments/GATEWAY.md, keeps a ledger of its own, and misbehaves when told to.

    fake_gateway.py --ledger FILE [--port N] [--token TOKEN]

Prints its port on the first line. The ledger is append-only, one JSON object a line, synced before the answer: what is in it happened.
`{"id","payment","kind","amount","currency","result":"applied|declined|void"}`; a second request for an id adds nothing.

Switches: POST /control with {"kind":"authorize|capture|refund|cancel|query|*","times":N, ...} makes the next N such requests
    delay_before_ms, delay_after_ms    wait before it is applied / after it, before the answer
    drop "before" | "after" | "half"   close the connection before applying / after it / in the middle of the answer
    status N, retry_after N            answer with this status; applied only with "apply": true
    garbage true                       an answer that is no JSON; wrong_amount, wrong_id, wrong_currency "EUR": one that is wrong
    pending true                       202 pending, to queries as well; applied a moment later (decide_ms)
    twice true                         the whole answer twice on the connection
GET /control: how many requests there were, by kind. POST /control {"reset":true} forgets all switches.
"""
import argparse
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DECLINED = {"tok_declined": "card_declined", "tok_insufficient_funds": "insufficient_funds", "tok_expired_card": "expired_card"}


CONTENT = ("id", "payment", "kind", "amount", "currency")


class Mismatch(Exception):
    """A known id with another content."""


class Ledger:
    """What happened, in memory and in the file. All of it under one lock."""

    def __init__(self, path):
        self.file = open(path, "a+", encoding="utf-8")
        self.file.seek(0)
        self.entries, self.pending = {}, {}
        for line in self.file:
            entry = json.loads(line)
            self.entries[entry["id"]] = entry
        self.lock = threading.Lock()

    def append(self, entry):
        self.file.write(json.dumps(entry) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.entries[entry["id"]] = entry
        return entry

    def judge(self, asked):
        """Why it is declined, or None."""
        mine = [entry for entry in self.entries.values() if entry["payment"] == asked["payment"] and entry["result"] == "applied"]
        total = {kind: sum(entry["amount"] for entry in mine if entry["kind"] == kind) for kind in ("authorize", "capture", "refund", "cancel")}
        if asked["kind"] == "authorize":
            return "already_authorized" if total["authorize"] else DECLINED.get(asked.get("card_token"))
        if not total["authorize"] or total["cancel"]:
            return "not_authorized"
        if asked["kind"] == "refund":
            return None if asked["amount"] <= (total["capture"] or total["authorize"]) - total["refund"] else "amount_too_large"
        return "already_captured" if total["capture"] or total["refund"] else None

    def known(self, asked):
        """The entry of an id, None when there is none. Raises: another content under the same id."""
        entry = self.entries.get(asked["id"]) or self.pending.get(asked["id"])
        if entry and any(entry[key] != asked[key] for key in CONTENT):
            raise Mismatch
        return entry

    def hold(self, asked):
        """Takes it on without deciding."""
        with self.lock:
            if not self.known(asked):
                self.pending[asked["id"]] = {**{key: asked[key] for key in CONTENT}, "result": "pending", "asked": asked}

    def carry_out(self, asked):
        with self.lock:
            if self.known(asked) and asked["id"] in self.entries:
                return self.entries[asked["id"]]
            self.pending.pop(asked["id"], None)
            code = self.judge(asked)
            entry = {key: asked[key] for key in CONTENT}
            return self.append({**entry, "result": "declined", "decline_code": code} if code else {**entry, "result": "applied"})

    def fence(self, asked):
        """What is known of it; void from now on when nothing is."""
        with self.lock:
            return self.known(asked) or self.append({**{key: asked[key] for key in CONTENT}, "result": "void"})


class Switches:
    def __init__(self):
        self.lock = threading.Lock()
        self.waiting, self.counts = [], {}

    def set(self, switch):
        with self.lock:
            if switch.get("reset"):
                self.waiting = []
            else:
                self.waiting.append(dict(switch, times=switch.get("times", 1)))

    def take(self, kind):
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            for switch in self.waiting:
                if switch["kind"] in (kind, "*") and switch["times"] > 0:
                    switch["times"] -= 1
                    return switch
            return {}


def shown(entry):
    """An entry as the protocol shows it."""
    if entry["result"] == "applied":
        return 200, {"id": entry["id"], "status": "applied", "amount": entry["amount"], "currency": entry["currency"],
                     "reference": "ch_" + entry["id"][3:]}
    if entry["result"] == "declined":
        return 402, {"id": entry["id"], "status": "declined", "decline_code": entry["decline_code"]}
    if entry["result"] == "pending":
        return 202, {"id": entry["id"], "status": "pending"}
    return 409, {"id": entry["id"], "status": "void"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ledger = switches = token = None

    def log_message(self, *_):
        pass

    def answer(self, status, document, fields=()):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drop(self):
        self.close_connection = True
        self.connection.close()

    def do_GET(self):
        self.answer(200, self.switches.counts)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control":
            self.switches.set(json.loads(body))
            self.answer(200, {})
            return
        if self.token and self.headers.get("Authorization") != "Bearer " + self.token:
            self.answer(401, {})
            return
        asked = json.loads(body)
        if self.headers.get("Idempotency-Key") != asked["id"]:
            self.answer(400, {"error": "the key is not the id"})
            return
        query = self.path == "/operations/%s/query" % asked["id"]
        try:
            self.serve(asked, query, self.switches.take("query" if query else asked["kind"]))
        except Mismatch:
            self.answer(400, {"error": "this id is another operation"})

    def serve(self, asked, query, switch):
        time.sleep(switch.get("delay_before_ms", 0) / 1000)
        if switch.get("drop") == "before":
            self.drop()
            return
        if "status" in switch and not switch.get("apply"):
            self.answer(switch["status"], {}, [("Retry-After", str(switch["retry_after"]))] if "retry_after" in switch else ())
            return
        if switch.get("pending") and not query:
            self.ledger.hold(asked)
            threading.Timer(switch.get("decide_ms", 700) / 1000, self.ledger.carry_out, (asked,)).start()
            self.tell(self.ledger.pending[asked["id"]], {})
            return
        entry = self.ledger.fence(asked) if query else self.ledger.carry_out(asked)
        time.sleep(switch.get("delay_after_ms", 0) / 1000)
        if switch.get("drop") == "after":
            self.drop()
            return
        self.tell(entry, switch)

    def tell(self, entry, switch):
        status, document = shown(entry)
        if "status" in switch:
            self.answer(switch["status"], {})
        elif switch.get("garbage"):
            self.answer(200, b"<html>")
        elif switch.get("wrong_amount"):
            self.answer(status, {**document, "amount": entry["amount"] + 1})
        elif switch.get("wrong_currency"):
            self.answer(status, {**document, "currency": switch["wrong_currency"]})
        elif switch.get("wrong_id"):
            self.answer(status, {**document, "id": "op_" + "0" * 24})
        elif switch.get("drop") == "half":
            body = json.dumps(document).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            self.drop()
        else:
            self.answer(status, document)
            if switch.get("twice"):
                self.answer(status, document)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that has gone away is what these tests are about: nothing to tell."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token")
    args = parser.parse_args()
    Handler.ledger, Handler.switches, Handler.token = Ledger(args.ledger), Switches(), args.token
    server = Server(("127.0.0.1", args.port), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
