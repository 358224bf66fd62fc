#!/usr/bin/env python3
"""Hostile bytes: every row of hostile.py, whole and byte by byte; slow clients; limits on what is held and kept."""
import json
import select
import socket

import hostile
import support
from hostile import CLOSED, FOLLOW, SERVED
from support import PATIENCE, compose, eventually, problem

PIECES_MAX = 5000  # rows with more bytes than that come in about so many pieces
SERVICE_ARGS = ("--access-log", "all", "--log-level", "debug")


# ---- the rows --------------------------------------------------------------------------------------------------------

def tell(connection, data, piece):
    """Sends data in pieces, and takes what is answered meanwhile; stops when the other side has ended."""
    sent = 0
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while sent < len(data):
        readable, writable, _ = select.select([connection.socket], [connection.socket], [], PATIENCE)
        assert readable or writable, "the other side neither reads nor writes"
        if readable and not connection.more():
            return
        try:
            sent += connection.socket.send(data[sent:sent + piece], socket.MSG_DONTWAIT) if writable else 0
        except BlockingIOError:
            pass
        except ConnectionError:
            return


def expect_answer(connection, row, wanted, last):
    status, _, code = wanted.partition(" ")
    if status == "100":
        return connection.interim()
    answer = connection.read(head=row.head)
    assert answer is not None, "closed without an answer"
    if code and code != "-":
        problem(answer, int(status), code)
    assert answer.status == int(status), answer
    assert code == "-" or answer.header("X-Content-Type-Options") == "nosniff", answer.fields
    for name, value in row.fields.items() if last else ():
        assert answer.header(name) == value, answer.fields
    return answer


def check_row(service, row, piece):
    with service.connect() as connection:
        tell(connection, row.data + FOLLOW, piece)
        seen = connection.buffer
        for i, wanted in enumerate(row.answers):
            expect_answer(connection, row, wanted, i + 1 == len(row.answers))
        if row.then == SERVED:
            follow = connection.read()
            assert follow is not None and follow.status == 200, follow
            assert follow.header("X-Request-Id") == "follow", follow.fields
            assert connection.buffer == b"", "more than was asked for: %r" % connection.buffer[:200]
        elif row.answers and row.answers[-1].endswith(" -"):
            while connection.more():  # the library may say its head twice
                pass
            assert b"follow" not in connection.buffer, "the next request was read"
        else:
            assert connection.is_closed()
        assert row.never is None or row.never not in seen + connection.buffer, "it has %r" % row.never


def check_rows(service, rows, piece_of):
    failures = []
    for row in rows:
        try:
            check_row(service, row, piece_of(row))
        except AssertionError as error:
            failures.append("%s: %s" % (row.name, error))
    assert not failures, "%d of %d rows:\n  %s" % (len(failures), len(rows), "\n  ".join(failures))


def whole(row):
    return len(row.data) + len(FOLLOW)


def byte_by_byte(row):
    return max(1, len(row.data) // PIECES_MAX)


def test_rows_whole(service):
    """Each row gets its one answer, and the connection goes on or ends as it must."""
    check_rows(service, hostile.rows, whole)


def test_rows_byte_by_byte(service):
    """The same when each byte comes by itself."""
    check_rows(service, hostile.rows, byte_by_byte)


def test_rows_of_other_settings():
    """What a setting limits is limited there, to the byte, field, level, value or request."""
    for flags, rows in (hostile.small, hostile.few):
        with support.Service(*flags) as service:
            check_rows(service, rows, whole)
            check_rows(service, rows, byte_by_byte)


def test_log_after_rows(service):
    """Whatever the rows brought, each line of the log is one JSON object, and no byte of a client ends one."""
    check_rows(service, [row for row in hostile.rows if len(row.data) < 2000], whole)
    service.get("/version", headers={"X-Request-Id": "the-last-one"})
    eventually(lambda: any(line.get("request_id") == "the-last-one" for line in service.events("request.finished")),
               what="the last request's line")
    for line in service.log():
        assert isinstance(json.loads(line).get("event"), str), line


def test_limits_are_counted():
    """What is refused at a limit is counted by its code."""
    wanted = {"payload-too-large": 2, "header-fields-too-large": 1, "invalid-json": 2}
    with support.Service(*hostile.small[0]) as service:
        check_rows(service, hostile.small[1], whole)
        for code, count in wanted.items():
            assert metric(service, 'troupe_http_problems_total{code="%s"}' % code) == count, code


# ---- work and memory -------------------------------------------------------------------------------------------------

def metric(service, name):
    """What a metric stands at, named with its labels."""
    for line in service.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split(" ")[1])
    raise AssertionError("there is no metric %s" % name)


def limiters(service):
    return [node["pid"] for node in support.nodes(service.tree()) if node["name"].startswith("rate_limits.partition.")]


def test_inflight_with_bodies_outstanding():
    """Requests that all waited for their last byte are in work max-inflight at a time; the others are 503 at once."""
    clients, places = 60, 20
    with support.Service("--max-inflight", str(places)) as service:
        stopped = limiters(service)
        assert stopped and all(service.post("/v1/processes/%s/suspend" % pid).status == 200 for pid in stopped)
        connections = [service.connect() for _ in range(clients)]
        for i, connection in enumerate(connections):
            connection.send(compose("POST", "/v1/rate-limits/default/check", {"key": "k%d" % i})[:-1])
        for _ in range(20):  # heads are read meanwhile
            assert service.get("/version").status == 200
        for connection in connections:
            connection.send(b"}")
        answers = [connection.read() for connection in connections]
        codes = [answer.json()["code"] for answer in answers]
        assert codes.count("overloaded") == clients - places and codes.count("unavailable") == places, codes
        for answer in answers:
            assert answer.status == 503 and int(answer.header("Retry-After")) >= 1
        for connection in connections:
            connection.send(compose("GET", "/healthz"))
            assert connection.read().status == 200, "the connection does not go on"
            connection.close()
        eventually(lambda: metric(service, "troupe_http_requests_in_flight") == 1, what="all places to be free but one")
        assert metric(service, "troupe_http_overloaded_total") == clients - places
        assert all(service.post("/v1/processes/%s/resume" % pid).status == 200 for pid in stopped)


def test_memory_of_bodies():
    """Bodies and the JSON read from them are held up to max-held-bytes; over it large ones are 503, small ones are taken."""
    json_type = {"Content-Type": "application/json"}
    large = hostile.GOOD.ljust(100000)
    tree = b"[" + b"1," * 49999 + b"1]"
    with support.Service("--max-held-bytes", "1048576") as service:
        with service.connect() as holder:
            whole_body = compose("POST", hostile.EXIT, hostile.GOOD.ljust(1000000), json_type)
            holder.send(whole_body[:-1])
            eventually(lambda: metric(service, "troupe_http_held_bytes") >= 1000000, what="the body to be held")
            for data, then in ((compose("POST", hostile.EXIT, large, json_type), SERVED),
                               (hostile.chunked(hostile.chunk(large) + b"0\r\n\r\n"), CLOSED)):
                row = hostile.Row("over the memory", data, ["503 overloaded"], then, {"Retry-After": "1"}, None, False)
                check_rows(service, [row], whole)
                check_rows(service, [row], byte_by_byte)
            problem(service.post(hostile.EXIT, {"reason": "normal"}), 404, "process-not-found")
            holder.send(whole_body[-1:])
            problem(holder.read(), 404, "process-not-found")
        problem(service.post(hostile.EXIT, large, headers=json_type), 404, "process-not-found")
        problem(service.post(hostile.EXIT, tree, headers=json_type), 503, "overloaded")
        with service.connect() as slow, service.connect() as leaver:
            slow.send(whole_body[:500000])
            leaver.send(whole_body[:300000])
            eventually(lambda: metric(service, "troupe_http_held_bytes") >= 800000, what="both bodies to be held")
        eventually(lambda: metric(service, "troupe_http_held_bytes") == 0, what="all memory to be given back")
        assert metric(service, "troupe_http_overloaded_total") == 5


def test_announced_length_holds_nothing():
    """A length that is announced and not sent takes no memory from others."""
    json_type = {"Content-Type": "application/json"}
    body = hostile.GOOD.ljust(500000)
    with support.Service("--max-held-bytes", "1048576") as service:
        connections = [service.connect() for _ in range(50)]
        for connection in connections:
            connection.send(hostile.post_head("Content-Length: 1048576\r\n", b"{"))
        for _ in range(5):
            problem(service.post(hostile.EXIT, body, headers=json_type), 404, "process-not-found")
        for connection in connections:
            connection.close()


if __name__ == "__main__":
    support.main(globals())
