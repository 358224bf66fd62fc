#!/usr/bin/env python3
"""Many at once, slow and silent ones among them: they are cut at their deadlines or kept within limits, and a client
that behaves is served all along.

TEST_CROWD=IDLE/HALF sets how many idle connections and half-open requests there are; ./dev soak connections takes
10000/1000."""
import contextlib
import os
import resource
import socket
import threading
import time

import hostile
import support
from support import PATIENCE, compose, eventually
from test_hostile import metric

IDLE, HALF = (int(part) for part in os.environ.get("TEST_CROWD", "1000/200").split("/"))
SANITIZED = "ASAN_OPTIONS" in os.environ  # its memory says nothing
SPARE_FILES = 300  # of a process, beside its connections
DRIP_EVERY = 0.05  # seconds: the clients' slowness is what is tested
DEADLINE_MS = 1000
TCP_ESTABLISHED = 1


class Neighbour:
    """A client that behaves: in a with statement it asks one thing after the other, and all answers must be right."""

    def __init__(self, service):
        self.service = service
        self.answers = 0
        self.slowest = 0.0
        self.failure = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.stopped.is_set():
                with self.service.connect() as connection:
                    for i in range(50):
                        self.ask(connection, "GET", "/version", None, 200)
                        self.ask(connection, "POST", "/v1/rate-limits/default/check", {"key": "n%d-%d" % (self.answers, i)}, 200)
                        self.ask(connection, "GET", "/v1/processes?limit=3", None, 200)
        except Exception as error:  # noqa: told at the end
            self.failure = error

    def ask(self, connection, method, target, body, wanted):
        started = time.monotonic()
        connection.send(compose(method, target, body))
        answer = connection.read()
        assert answer is not None and answer.status == wanted, (target, answer)
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.answers += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopped.set()
        self.thread.join()
        if kind is None:
            assert self.failure is None, "after %d answers: %r" % (self.answers, self.failure)
            assert self.answers >= 150, "only %d answers" % self.answers


# ---- slow ones -------------------------------------------------------------------------------------------------------

class Slow:
    """A client that sends one byte now and then, or takes one, and is to be cut."""

    def __init__(self, service, kind, first, drip=b"", takes=65536):
        self.kind = kind
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if takes < 65536:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", service.port))
        self.started = time.monotonic()
        self.socket.sendall(first)
        self.socket.setblocking(False)
        self.drip = drip
        self.at = 0
        self.takes = takes
        self.got = b""
        self.ended = None

    def is_cut(self):
        """Asks the kernel: a slow reader has bytes before it reads the end."""
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_ESTABLISHED

    def turn(self):
        """One byte more; notes when the other side has ended."""
        cut = self.is_cut()
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.got += self.socket.recv(self.takes)
        if cut:
            self.ended = time.monotonic() - self.started
        elif self.drip:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self.at += self.socket.send(self.drip[self.at % len(self.drip):][:1])


def slow_clients(service, count):
    """count of each kind."""
    head = b"GET /version HTTP/1.1\r\nHost: localhost\r\nX: "
    body = hostile.post_head("Content-Length: 100000\r\n")
    chunks = hostile.post_head("Transfer-Encoding: chunked\r\n")
    reader = compose("GET", "/openapi.json") * 400
    kinds = [
        ("first byte, and then nothing", b"G", b""),
        ("request line, drip by drip", b"", b"GET /" + b"a" * 1000),
        ("head, drip by drip", head, b"y"),
        ("fields, drip by drip", head + b"y\r\n", b"Y: z\r\n"),
        ("head, and then nothing", head, b""),
        ("body, drip by drip", body, b" "),
        ("body, and then nothing", body + b"{", b""),
        ("chunks, drip by drip", chunks, b"1\r\n \r\n"),
        ("one endless chunk size", chunks, b"0"),
        ("reads nothing", reader, b"", 0),
        ("reads byte by byte", reader, b"", 1),
        ("idle after an answer", compose("GET", "/version"), b""),
        ("silent from the start", b"", b""),
    ]
    return [Slow(service, *kind) for kind in kinds for _ in range(count)]


def test_slow_clients_are_cut():
    """Slow heads, bodies, readers and idle connections are cut at their deadlines, and a neighbour is served all along."""
    deadlines = [word for name in ("header", "body", "idle") for word in ("--%s-timeout-ms" % name, str(DEADLINE_MS))]
    with support.Service(*deadlines) as service, Neighbour(service):
        clients = slow_clients(service, 5)
        give_up = time.monotonic() + PATIENCE
        while any(client.ended is None for client in clients) and time.monotonic() < give_up:
            for client in clients:
                if client.ended is None:
                    client.turn()
            time.sleep(DRIP_EVERY)
        left = sorted({client.kind for client in clients if client.ended is None})
        assert not left, "not cut: %s" % left
        for client in clients:
            # The service reads its clock once a turn; a deadline may seem a little early.
            assert client.ended > 0.8 * DEADLINE_MS / 1000, "%s: cut after %.2f s" % (client.kind, client.ended)
            if client.takes == 65536:
                wanted = b"HTTP/1.1 200" if client.kind == "idle after an answer" else b""
                assert client.got[:12] == wanted, (client.kind, client.got[:100])
            client.socket.close()
        assert metric(service, "troupe_http_connections_cut_total") >= len(clients)
        eventually(lambda: metric(service, "troupe_http_connections") <= 3, what="only the neighbour to be left")


# ---- many ------------------------------------------------------------------------------------------------------------

def allow_files(wanted):
    """Raises this process's limit of open files, which the service inherits. Returns: how many there may be."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def resident_bytes(service):
    with open("/proc/%d/statm" % service.process.pid) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def half_open(i):
    """The first part of a request: of its request line, its head, its body, or its chunks."""
    body = hostile.post_head("Content-Length: 1000\r\n", b"{")
    chunks = hostile.post_head("Transfer-Encoding: chunked\r\n", b"5\r\n{")
    head = b"GET /version HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 6000
    return (b"GET /ver", head, body, chunks)[i % 4]


def crowd(service, idle, half):
    """Opens them all; every second idle one has had an answer, the others never said anything."""
    connections = []
    for i in range(idle):
        connection = service.connect()
        connections.append(connection)
        if i % 2:
            connection.send(compose("GET", "/healthz"))
            assert connection.read().status == 200
    for i in range(half):
        connection = service.connect()
        connections.append(connection)
        connection.send(half_open(i))
    return connections


def test_crowd_disturbs_nobody():
    """Thousands of idle connections and half-open requests: a neighbour gets all its answers, memory is stated and bounded."""
    allowed = allow_files(IDLE + HALF + SPARE_FILES)
    idle = min(IDLE, (allowed - SPARE_FILES) * IDLE // (IDLE + HALF))
    half = min(HALF, (allowed - SPARE_FILES) * HALF // (IDLE + HALF))
    patient = [word for name in ("header", "body", "idle") for word in ("--%s-timeout-ms" % name, "3600000")]
    with support.Service("--max-connections", str(idle + half + 100), *patient) as service:
        with Neighbour(service) as alone:
            eventually(lambda: alone.answers >= 300 or alone.failure)
        before = resident_bytes(service)
        with Neighbour(service) as neighbour:
            started = time.monotonic()
            connections = crowd(service, idle, half)
            opening = time.monotonic() - started
            eventually(lambda: metric(service, "troupe_http_connections") >= idle + half)
            neighbour.slowest, begin = 0.0, neighbour.answers
            eventually(lambda: neighbour.answers >= begin + 300 or neighbour.failure)
        each = (resident_bytes(service) - before) / (idle + half)
        print("%d idle, %d half open (%d files allowed) in %.1f s: %.1f KiB each; slowest answer %.1f ms, alone %.1f ms" % (
            idle, half, allowed, opening, each / 1024, neighbour.slowest * 1000, alone.slowest * 1000))
        # The pool of a head is 8 KiB, a body begins with 1 KiB, a request is a few KiB: twice that is room enough.
        assert SANITIZED or each < 32 * 1024, "%.0f bytes for each connection" % each
        assert metric(service, "troupe_http_connections_cut_total") == 0
        for connection in connections:
            connection.close()
        eventually(lambda: metric(service, "troupe_http_connections") <= 2, what="all of them to be forgotten")
        assert service.get("/version").status == 200


# ---- limits ----------------------------------------------------------------------------------------------------------

def test_connection_limit():
    """Over max-connections others wait, unanswered, until a place is free; nobody inside is disturbed."""
    with support.Service("--max-connections", "20") as service:
        inside = [service.connect() for _ in range(20)]
        for connection in inside:
            connection.send(compose("GET", "/version"))
            assert connection.read().status == 200
        outside = [service.connect() for _ in range(10)]
        for connection in outside:
            connection.send(compose("GET", "/version"))
        for connection in inside * 5:
            connection.send(compose("GET", "/version"))
            assert connection.read().status == 200
        for connection in outside:
            connection.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                raise AssertionError("answered over the limit: %r" % connection.socket.recv(100))
            connection.socket.settimeout(PATIENCE)
        for connection in inside:
            connection.close()
        for connection in outside:
            assert connection.read().status == 200
            connection.close()


def test_connection_limit_of_an_address():
    """Over max-connections-per-ip an address is closed at once, and another address is served."""
    def connect(address):
        connection = support.Connection.__new__(support.Connection)
        connection.buffer = b""
        connection.socket = socket.create_connection(("127.0.0.1", service.port), PATIENCE, (address, 0))
        return connection

    def version(connection):
        with contextlib.suppress(ConnectionError):
            connection.send(compose("GET", "/version"))
        return connection.read()
    with support.Service("--max-connections-per-ip", "10") as service:
        inside = [connect("127.0.0.2") for _ in range(10)]
        assert all(version(connection).status == 200 for connection in inside)
        for _ in range(10):
            with connect("127.0.0.2") as refused:
                assert version(refused) is None
        with connect("127.0.0.3") as other:
            assert version(other).status == 200
        assert metric(service, "troupe_http_connections_refused_total") == 10
        inside.pop().close()
        eventually(lambda: version(connect("127.0.0.2")) is not None, what="a place for that address")
        for connection in inside:
            connection.close()


if __name__ == "__main__":
    support.main(globals())
