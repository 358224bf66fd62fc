#!/usr/bin/env python3
"""Profiles from outside: the built-in sources, and sources that hang, crash, refuse, lie or send too much."""
import os
import socket
import threading

import support
from support import eventually, problem

PARTS = {"user", "preferences", "recent_activity"}


class Source:
    """A server whose connections are kept open or answered as the path of their request says."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.open = set()
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        with self.lock:
            self.open.add(one)
        try:
            with one:
                head = one.recv(65536)
                path = head.split(b" ")[1].decode() if head else ""
                if path.startswith("/hang"):
                    while one.recv(65536):
                        pass
                elif path.startswith("/garbage"):
                    one.sendall(b"\x00\x01 no HTTP\r\n\r\n")
                elif path.startswith("/text"):
                    one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nno JSON")
                elif path.startswith("/huge"):
                    one.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                    for _ in range(300 * 16):
                        one.sendall(bytes(65536))
                elif path.startswith("/500"):
                    one.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(one)

    def connections(self):
        with self.lock:
            return len(self.open)

    def url(self, what):
        return "http://127.0.0.1:%d/%s/{user_id}" % (self.port, what)


def profile(service, query="", user="42"):
    return service.get("/v1/profiles/%s%s" % (user, query))


def statuses(document):
    return {name: part["status"] for name, part in document["_meta"]["sources"].items()}


def test_complete(service):
    """All three parts, in parallel, with what became of each."""
    answer = profile(service)
    document = answer.json()
    assert answer.status == 200 and answer.header("X-Complete") == "true", answer
    assert set(document) == PARTS | {"_meta"} and document["user"]["id"] == "42"
    assert isinstance(document["recent_activity"], list) and document["_meta"]["complete"] is True
    assert statuses(document) == dict.fromkeys(PARTS, "ok")
    assert document["_meta"]["elapsed_ms"] >= 200


def test_user_is_escaped(service):
    """A user id is data in a source's URL: it opens no path and no query."""
    answer = profile(service, user="a%2Fb%3Fc%20%C3%A9")
    assert answer.status == 200 and answer.json()["user"]["id"] == "a/b?c \u00e9", answer


def test_chosen_sources(service):
    """Sources that were not asked for are skipped; unknown ones and bad numbers are refused."""
    document = profile(service, "?sources=user,preferences").json()
    assert statuses(document) == {"user": "ok", "preferences": "ok", "recent_activity": "skipped"}
    assert document["recent_activity"] == [] and document["_meta"]["complete"] is True
    for query in ("?sources=nobody", "?timeout_ms=0", "?timeout_ms=30001", "?timeout_ms=x", "?mode=odd", "?sources=", "?x=1"):
        problem(profile(service, query), 422, "invalid-request")


def test_long_user(service):
    """A user id is in the path, and so says the answer that refuses it."""
    assert profile(service, user="u" * 256).status == 200
    answer = profile(service, user="u" * 257)
    problem(answer, 422, "invalid-request")
    assert answer.json()["errors"] == [{"pointer": "/user_id", "detail": "is longer than 256 bytes"}], answer


def test_late(service):
    """What is late gives its fallback; in strict mode that is a 504."""
    answer = profile(service, "?timeout_ms=20")
    document = answer.json()
    assert answer.status == 200 and answer.header("X-Complete") == "false", answer
    assert document["user"] == {} and document["preferences"] == {} and document["recent_activity"] == []
    assert statuses(document) == dict.fromkeys(PARTS, "timeout")
    problem(profile(service, "?timeout_ms=20&mode=strict"), 504, "timeout")
    assert profile(service, "?mode=strict").status == 200


def test_demo_and_sources(service):
    """The addresses that are shown answer a client."""
    items = service.get("/v1/profile-sources").json()["items"]
    assert {item["name"] for item in items} == PARTS
    for item in items:
        path = "/" + item["url"].split("/", 3)[3].replace("{user_id}", "7")
        assert service.get(path).status == 200, item
        assert item["breaker"]["state"] == "closed" and item["breaker"]["in_flight"] == 0, item


def bad_service(source, *names):
    flags = []
    for name in names:
        url = "http://127.0.0.1:1/{user_id}" if name == "refuse" else source.url(name)
        flags += ["--source", "%s=%s" % (name, url)]
    return support.Service(*flags)


def test_bad_sources():
    """Hanging, refusing, garbage, no JSON, 300 MB, 500: each its status, the others unharmed, nothing left behind."""
    source = Source()
    bad = ("hang", "refuse", "garbage", "text", "huge", "500")
    with bad_service(source, *bad) as service:
        for _ in range(3):
            answer = profile(service, "?timeout_ms=1500")
            document = answer.json()
            found = statuses(document)
            assert answer.status == 200 and answer.header("X-Complete") == "false", answer
            assert all(found[name] == "ok" for name in PARTS), found
            assert found["hang"] == "timeout" and all(found[name] == "error" for name in bad[1:]), found
            assert all(document[name] is None for name in bad), document
        problem(profile(service, "?mode=strict&sources=user,text"), 502, "source-failed")
        eventually(lambda: source.connections() == 0, what="connections to the sources are closed")
        assert service.get("/v1/processes?limit=500").json()["items"]


def test_breaker():
    """A source that keeps failing is not asked any more, and that is said."""
    source = Source()
    with bad_service(source, "500") as service:
        for _ in range(12):
            assert profile(service, "?sources=500").status == 200
        document = profile(service, "?sources=500").json()
        assert document["_meta"]["sources"]["500"]["reason"] == "breaker_open", document
        item = [one for one in service.get("/v1/profile-sources").json()["items"] if one["name"] == "500"][0]
        assert item["breaker"]["state"] == "open" and item["breaker"]["opened"] == 1, item
        eventually(lambda: service.events("breaker.opened"))


def test_client_leaves():
    """A client that goes away ends its request's tasks, and they their connections."""
    source = Source()
    with bad_service(source, "hang") as service:
        connection = service.connect()
        connection.send(b"GET /v1/profiles/1?timeout_ms=30000&sources=hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: source.connections() == 1)
        connection.close()
        eventually(lambda: source.connections() == 0)


def test_descriptors():
    """Many requests leave no descriptor and no process."""
    source = Source()
    with bad_service(source, "hang", "text") as service:
        def descriptors():
            return len(os.listdir("/proc/%d/fd" % service.process.pid))
        profile(service, "?timeout_ms=60")
        for _ in range(60):
            profile(service, "?timeout_ms=60")
        eventually(lambda: source.connections() == 0)
        # connections that are kept for the built-in sources are few, as requests came one after the other
        eventually(lambda: descriptors() < 80, what="descriptors: %d" % descriptors())
        labels = [one["label"] for one in service.get("/v1/processes?limit=500").json()["items"]]
        assert not [label for label in labels if "profile_fetch" in label], labels


def test_tokens():
    """With tokens the built-in sources are asked with one."""
    with support.Service("--client-token", "secret-client") as service:
        assert profile(service).status == 401
        answer = service.get("/v1/profiles/1", headers={"Authorization": "Bearer secret-client"})
        assert answer.status == 200 and answer.header("X-Complete") == "true", answer


def test_unix_only():
    """A service that only listens on a unix socket reaches its own sources there."""
    with support.folder() as place:
        with support.Service(listen="unix:%s/socket" % place) as service:
            def get(target):
                with support.Connection(place + "/socket") as connection:
                    connection.send(support.compose("GET", target))
                    return connection.read()
            answer = get("/v1/profiles/42")
            assert answer.status == 200 and answer.header("X-Complete") == "true", answer
            assert get("/v1/profile-sources").json()["items"][0]["unix_socket"].endswith("/socket")


if __name__ == "__main__":
    support.main(globals())
