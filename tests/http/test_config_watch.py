"""Watching the configuration from outside: long polls, streams, resuming, what is compacted, limits, the end of the service."""
import json
import resource
import selectors
import signal
import threading
import time

import support
from support import compose, eventually, metric, pointers, problem

ROOT = "/v1/config"
STREAM = {"Accept": "text/event-stream"}


def put(service, key, value, **more):
    response = service.request("PUT", "%s/%s" % (ROOT, key), {"value": value, **more})
    assert response.status in (200, 201), response
    return response.json()


def revision(service):
    return service.get(ROOT).json()["revision"]


def watch(service, query="", **more):
    return service.get(ROOT + "?watch=true" + query, **more)


class Stream:
    """One event stream: parsed as it comes, chunks taken apart."""

    def __init__(self, service, query="", headers=None):
        self.connection = service.connect()
        self.connection.send(compose("GET", ROOT + query, headers={**STREAM, **(headers or {})}))
        self.head = None
        self.raw = b""
        self.text = b""
        self.ended = False
        self.events = []
        self.last = None

    def feed(self, data):
        """Takes bytes of the connection; no bytes: its end."""
        self.ended = self.ended or not data
        self.raw += data
        if self.head is None and b"\r\n\r\n" in self.raw:
            top, self.raw = self.raw.split(b"\r\n\r\n", 1)
            self.head = top.decode("latin-1")
            assert " 200 " in self.head and "text/event-stream" in self.head, self.head
        while self.head is not None and b"\r\n" in self.raw:
            size, rest = self.raw.split(b"\r\n", 1)
            length = int(size, 16)
            if len(rest) < length + 2:
                break
            self.text += rest[:length]
            self.raw = rest[length + 2:]
            self.ended = self.ended or length == 0
        while b"\n\n" in self.text:
            block, self.text = self.text.split(b"\n\n", 1)
            self.take(block.decode())

    def take(self, block):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        self.last = fields.get("id", self.last)
        if "data" in fields:
            self.events.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))

    def until(self, done):
        while not done(self) and not self.ended:
            self.feed(self.connection.socket.recv(65536))
        assert done(self), (self.head, self.events, self.ended)
        return self

    def __enter__(self):
        return self.until(lambda stream: stream.last is not None)

    def __exit__(self, *_):
        self.connection.close()


# ---- long polls ----------------------------------------------------------------------------------------------------

def test_poll_answers_what_changed():
    """What was since comes at once; each change is a key and its entry, null when it is gone; each revision in its order."""
    with support.Service() as service:
        one = put(service, "a", 1)
        put(service, "a", 2)
        service.request("DELETE", ROOT + "/a")
        now = revision(service)
        document = watch(service, "&since=%d" % (one["revision"] - 1)).json()
        assert document["revision"] == now and [change["key"] for change in document["changes"]] == ["a"] * 3
        entries = [change["entry"] for change in document["changes"]]
        assert entries[0] == one and entries[1]["value"] == 2 and entries[2] is None, entries
        document = watch(service, "&since=0&prefix=ti").json()
        assert [change["key"] for change in document["changes"]] == ["timeout"], document


def test_poll_waits_for_the_next_change():
    with support.Service() as service:
        now = revision(service)
        with service.connect() as connection:
            connection.send(compose("GET", ROOT + "?watch=true"))
            eventually(lambda: metric(service, "troupe_config_watchers") == 1)
            entry = put(service, "late", [1])
            assert connection.read().json() == {"revision": now + 1, "changes": [{"key": "late", "entry": entry}]}
            connection.send(compose("GET", ROOT + "?prefix=timeout"))  # the connection is kept
            assert connection.read().status == 200
        eventually(lambda: metric(service, "troupe_config_watchers") == 0)


def test_poll_ends_without_news():
    """204 at the end of wait_ms; its tag is the revision that was looked at, further than since when the prefix had nothing."""
    with support.Service() as service:
        start = revision(service)
        put(service, "other", 1)
        response = watch(service, "&since=%d&prefix=mine&wait_ms=50" % start)
        assert response.status == 204 and response.header("ETag") == '"%d"' % (start + 1), response.fields
        assert watch(service, "&wait_ms=0").status == 204


def test_bad_questions():
    with support.Service() as service:
        assert pointers(watch(service, "&since=-1&wait_ms=x")) == ["/since", "/wait_ms"]
        assert pointers(watch(service, "&since=9223372036854775808&wait_ms=300001")) == ["/since", "/wait_ms"]
        assert pointers(watch(service, "&reveal=true")) == ["/reveal"]
        assert pointers(service.get(ROOT + "?watch=maybe")) == ["/watch"]
        assert pointers(service.get(ROOT + "?since=1")) == ["/since"]
        assert service.get(ROOT, headers={**STREAM, "Last-Event-ID": "x"}).status == 422


def test_revisions_that_are_not_kept():
    """Behind the history, and never given out: 410 for a poll; a resumed stream is told and goes on."""
    with support.Service("--max-config-history", "3") as service:
        for i in range(10):
            put(service, "k", i)
        now = revision(service)
        assert problem(watch(service, "&since=%d" % (now + 1)), 410, "revision-compacted")["revision"] == now
        service.signal(signal.SIGHUP)
        eventually(lambda: service.events("config.reloaded"))
        with Stream(service, headers={"Last-Event-ID": str(now + 100)}) as stream:
            stream.until(lambda one: one.events)
            assert stream.events == [("resync", now, {"revision": now})], stream.events


def test_changes_are_kept_over_a_restart():
    """The latest revisions come from the history; what is older is compacted."""
    with support.folder() as data:
        with support.Service("--max-config-history", "4", data=data) as service:
            for i in range(10):
                put(service, "k", i)
            now = revision(service)
        with support.Service("--max-config-history", "4", data=data) as service:
            document = watch(service, "&since=%d" % (now - 3)).json()
            assert [change["entry"]["value"] for change in document["changes"]] == [7, 8, 9], document
            problem(watch(service, "&since=1"), 410, "revision-compacted")
            with Stream(service, "?since=%d" % (now - 2)) as stream:
                stream.until(lambda one: len(one.events) == 2)


def test_much_is_forgotten():
    """More than is kept in memory: the oldest are compacted, and nobody waits for them."""
    with support.Service() as service:
        text = "x" * 16000
        for i in range(300):
            put(service, "k%d" % (i % 3), text)
        problem(watch(service, "&since=1"), 410, "revision-compacted")
        assert len(watch(service, "&since=%d" % (revision(service) - 2)).json()["changes"]) == 2


def test_secrets_are_in_no_change():
    """Also the older versions of a key that is a secret now."""
    with support.Service() as service:
        start = revision(service)
        put(service, "pin", "public-1234")
        put(service, "pin", "secret-5678", secret=True)
        text = watch(service, "&since=%d" % start).body.decode()
        with Stream(service, "?since=%d" % start) as stream:
            stream.until(lambda one: len(one.events) == 2)
        for shown in (text, json.dumps(stream.events)):
            assert "1234" not in shown and "5678" not in shown and '"pin"' in shown, shown


def test_too_many_watchers():
    with support.Service("--max-config-watchers", "1") as service:
        with Stream(service):
            response = watch(service)
            problem(response, 503, "overloaded")
            assert response.header("Retry-After") is not None
        eventually(lambda: watch(service, "&wait_ms=0").status == 204)


# ---- streams -------------------------------------------------------------------------------------------------------

def test_stream_resumes():
    """id is the revision; Last-Event-ID goes on behind it, and wins over since."""
    with support.Service() as service:
        with Stream(service) as stream:
            first = put(service, "s", 1)
            stream.until(lambda one: one.events)
            assert stream.events == [("change", first["revision"], {
                "revision": first["revision"], "changes": [{"key": "s", "entry": first}]})]
        second, third = put(service, "s", 2), put(service, "t", 3)
        with Stream(service, "?since=0", {"Last-Event-ID": stream.last}) as again:
            again.until(lambda one: len(one.events) == 2)
            assert [event[1] for event in again.events] == [second["revision"], third["revision"]]
        with Stream(service, "?since=0&prefix=t") as some:
            some.until(lambda one: len(one.events) == 2)
            assert [event[1] for event in some.events] == [1, third["revision"]], some.events


def test_clients_that_leave():
    """Nothing is left of them, whether they polled or streamed."""
    with support.Service() as service:
        streams = [Stream(service) for _ in range(5)]
        polls = [service.connect() for _ in range(5)]
        for poll in polls:
            poll.send(compose("GET", ROOT + "?watch=true&wait_ms=300000"))
        eventually(lambda: metric(service, "troupe_config_watchers") == 10)
        for one in streams:
            one.connection.close()
        for poll in polls:
            poll.close()
        eventually(lambda: metric(service, "troupe_config_watchers") == 0)


def test_slow_reader_is_cut():
    """Who does not read has the time of every reader; its neighbour misses nothing."""
    with support.Service("--body-timeout-ms", "1000") as service:
        slow = Stream(service)
        with Stream(service) as quick:
            count = 600  # more than the kernel's buffers hold
            reader = threading.Thread(target=quick.until, args=(lambda one: len(one.events) == count,), daemon=True)
            reader.start()
            text = "y" * 16000
            for i in range(count):
                put(service, "big", text)
            reader.join(support.PATIENCE)
            assert [event[0] for event in quick.events] == ["change"] * count
            eventually(lambda: metric(service, "troupe_config_watchers") == 1)
        slow.connection.close()


def test_stop_ends_watchers():
    """SIGTERM: polls are answered 204, streams end in order, and the service does not wait for its grace."""
    with support.Service("--drain-timeout-ms", "60000") as service:
        with Stream(service) as stream, service.connect() as poll:
            poll.send(compose("GET", ROOT + "?watch=true&wait_ms=300000"))
            eventually(lambda: metric(service, "troupe_config_watchers") == 2)
            began = time.monotonic()
            service.signal(signal.SIGTERM)
            assert poll.read().status == 204
            stream.until(lambda one: one.ended)
            assert service.wait() == 0
            assert time.monotonic() - began < 30  # half of the grace


def test_agent_that_dies():
    """Watchers stay; its successor goes on with their revisions."""
    with support.Service() as service:
        with Stream(service) as stream:
            pid = service.find("config")["pid"]
            assert service.post("/v1/processes/%s/exit" % pid, {"reason": "kill"}).status in (200, 202, 204)
            eventually(lambda: service.request("PUT", ROOT + "/z", {"value": 1}).status == 201)
            stream.until(lambda one: one.events)
            assert stream.events[0][0] == "change" and stream.events[0][2]["changes"][0]["key"] == "z"


# ---- many ----------------------------------------------------------------------------------------------------------

WATCHERS = 1000
CHANGES = 20


def test_thousand_watchers():
    """Each of a thousand streams is told every revision once, in its order."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
                                                resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with support.Service("--max-connections", "2000", "--max-connections-per-ip", "0") as service:
        streams = [Stream(service) for _ in range(WATCHERS)]
        selector = selectors.DefaultSelector()
        for stream in streams:
            selector.register(stream.connection.socket, selectors.EVENT_READ, stream)

        def pump(done):
            deadline = time.monotonic() + support.PATIENCE
            while not all(done(stream) for stream in streams):
                assert time.monotonic() < deadline, "not all were told"
                for key, _ in selector.select(1):
                    key.data.feed(key.fileobj.recv(65536))
                    if key.data.ended:
                        raise AssertionError("a stream ended")
        pump(lambda stream: stream.last is not None)
        start = revision(service)
        for i in range(CHANGES):
            put(service, "k%d" % (i % 3), i)
        pump(lambda stream: len(stream.events) >= CHANGES or any(event[0] == "resync" for event in stream.events))
        for stream in streams:
            assert [event[1] for event in stream.events] == list(range(start + 1, start + CHANGES + 1)), stream.events
            stream.connection.close()
        eventually(lambda: metric(service, "troupe_config_watchers") == 0)


if __name__ == "__main__":
    support.main(globals())
