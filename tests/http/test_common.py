#!/usr/bin/env python3
"""The rules that all calls share: framing, routing, access, bodies, problems, request ids, lists, connections."""
import concurrent.futures
import contextlib
import re
import select
import socket
import threading
import time

import support
from support import compose, eventually, pointers, problem

ADMIN = {"Authorization": "Bearer admin-secret"}
CLIENT = {"Authorization": "Bearer client-secret"}
EXIT = "/v1/processes/nobody/exit"  # takes a JSON body and looks a process up


def with_tokens(*args, **more):
    return support.Service("--admin-token", "admin-secret", "--client-token", "client-secret", *args, **more)


@contextlib.contextmanager
def stuck_request(service):
    """A request in work for as long as the block runs: a supervisor that is suspended answers nobody."""
    assert service.post("/v1/processes/http.sup/suspend").status == 200
    with service.connect() as connection:
        connection.send(compose("GET", "/v1/supervisors"))
        try:
            # It is in work once its process is waiting.
            eventually(lambda: any(item["label"] == "/v1/supervisors" for item in all_processes(service)),
                       what="the request's process")
            yield connection
        finally:
            if service.process.poll() is None:
                service.post("/v1/processes/http.sup/resume")


def all_processes(service):
    return service.get("/v1/processes?limit=500").json()["items"]


# ---- bodies --------------------------------------------------------------------------------------------------------

def test_media_type(service):
    """A body needs Content-Type: application/json, parameters allowed; else 415."""
    body = b'{"reason":"normal"}'
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/json/x",
                 "json", "application/problem+json", "text/json"):
        problem(service.post(EXIT, body, headers={"Content-Type": kind}), 415, "unsupported-media-type")
    for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;x=\"y\""):
        problem(service.post(EXIT, body, headers={"Content-Type": kind}), 404, "process-not-found")


def test_bad_json(service):
    """What is not one JSON document is 400 invalid-json."""
    deep = lambda n: b"[" * n + b"]" * n
    documents = [b"", b" ", b"{", b"nope", b'{"reason":}', b"{'reason':1}", b'{"reason":"a"}x', b'{"reason":"a"} {}',
                 b'{"reason":"a","reason":"b"}', b'{"reason":"a","re\\u0061son":"b"}', b'{"reason":"\xff"}',
                 b'{"reason":"\xc0\x80"}', b'{"reason":"\xed\xa0\x80"}', b'{"reason":"\\ud800"}', b'{"reason":"\\u0000"}',
                 b'{"reason":"\n"}', b'{"reason":01}', b'{"reason":.5}', b'{"reason":+1}', b'{"reason":1.}', b"[1,]",
                 b'{"reason":NaN}', b"\xef\xbb\xbf{}", b"{}\x00", deep(33), deep(100000), b"// x\n{}"]
    for document in documents:
        answer = service.post(EXIT, document, headers={"Content-Type": "application/json"})
        problem(answer, 400, "invalid-json")
    assert pointers(service.post(EXIT, deep(32), headers={"Content-Type": "application/json"})) == [""]


def test_wrong_shape(service):
    """JSON of the wrong shape is 422 invalid-request with a pointer for each fault."""
    assert pointers(service.post(EXIT, [])) == [""]
    assert pointers(service.post(EXIT, "kill")) == [""]
    assert pointers(service.post(EXIT, b"null", headers={"Content-Type": "application/json"})) == [""]
    assert pointers(service.post(EXIT, {})) == ["/reason"]
    assert pointers(service.post(EXIT, {"reason": 1})) == ["/reason"]
    assert pointers(service.post(EXIT, {"reason": None})) == ["/reason"]
    assert pointers(service.post(EXIT, {"reason": ""})) == ["/reason"]
    assert pointers(service.post(EXIT, {"reason": "x" * 65})) == ["/reason"]
    assert pointers(service.post(EXIT, {"reason": "kill", "a/b~c": 1})) == ["/a~1b~0c"]
    assert pointers(service.post(EXIT, {"other": 1})) == ["/other", "/reason"]


def test_refusals_say_why(service):
    """A refusal made before the handler has a detail that names what is wrong; a body where none belongs has errors[]."""
    for target in ("*", "/v1/processes?limit=%zz", "/v1/processes?a%=1"):
        answer = service.get(target)
        problem(answer, 400, "invalid-path")
        assert len(answer.json()["detail"]) > 5, answer
    with service.connect() as connection:
        connection.send(compose("GET", "/v1/supervisors", b"{}", {"Content-Type": "application/json"}))
        assert pointers(connection.read()) == [""]


def test_too_large(service):
    """A body over 1 MiB is 413 as soon as the headers say so; a chunked one when it gets there."""
    with service.connect() as connection:
        connection.send(compose("POST", EXIT, headers={"Content-Type": "application/json", "Content-Length": "1048577"}))
        problem(connection.read(), 413, "payload-too-large")
    with service.connect() as connection:
        connection.send(compose("POST", EXIT, headers={"Content-Type": "application/json", "Content-Length": "1048577",
                                                       "Expect": "100-continue"}))
        problem(connection.read(), 413, "payload-too-large")
    with service.connect() as connection:
        connection.send(compose("POST", EXIT, headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked"}))
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(17):
                connection.send(piece)
            connection.send(b"0\r\n\r\n")
        problem(connection.read(), 413, "payload-too-large")
    body = b'{"reason":"normal"}'.ljust(1048576)
    problem(service.post(EXIT, body, headers={"Content-Type": "application/json"}), 404, "process-not-found")


def test_chunked_body(service):
    """A chunked body is read like any other, and Expect: 100-continue is answered."""
    chunks = b'5\r\n{"rea\r\nE\r\nson":"normal"}\r\n0\r\n\r\n'
    with service.connect() as connection:
        connection.send(compose("POST", EXIT, headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked"}))
        connection.send(chunks)
        problem(connection.read(), 404, "process-not-found")
    with service.connect() as connection:
        body = b'{"reason":"normal"}'
        connection.send(compose("POST", EXIT, headers={"Content-Type": "application/json", "Expect": "100-continue",
                                                       "Content-Length": str(len(body))}))
        eventually(lambda: b"100 Continue" in connection.buffer or not connection.more(), what="100 Continue")
        connection.send(body)
        problem(connection.read(), 404, "process-not-found")


def test_body_where_none_is_taken(service):
    """A GET with a body is 422; an empty body is none."""
    problem(service.request("GET", "/version", b"{}", headers={"Content-Type": "application/json"}), 422, "invalid-request")
    assert service.request("GET", "/version", headers={"Content-Length": "0"}).status == 200


# ---- routing -------------------------------------------------------------------------------------------------------

def test_unknown_path(service):
    """An unknown path is 404 not-found, whatever the method."""
    for target in ("/nothing", "/v1", "/v1/", "/v1/processes/", "/healthz/", "//", "/HEALTHZ", "/v1/processes/a/b/c"):
        for method in ("GET", "POST", "DELETE", "OPTIONS", "BREW"):
            problem(service.request(method, target), 404, "not-found")


def test_wrong_method(service):
    """A known path with a known method it does not take is 405 with Allow; an unknown method is 501."""
    answer = service.request("DELETE", "/v1/processes")
    problem(answer, 405, "method-not-allowed")
    assert sorted(answer.header("Allow").split(", ")) == ["GET", "HEAD", "OPTIONS"]
    answer = service.request("GET", EXIT)
    problem(answer, 405, "method-not-allowed")
    assert sorted(answer.header("Allow").split(", ")) == ["OPTIONS", "POST"]
    assert service.request("HEAD", EXIT).status == 405
    for method in ("BREW", "get", "TRACE", "PROPFIND"):
        problem(service.request(method, "/healthz"), 501, "not-implemented")


def test_head(service):
    """HEAD works wherever GET does: the same status and fields, no body."""
    for target in ("/", "/healthz", "/readyz", "/version", "/openapi.json", "/v1/supervisors", "/v1/processes/root",
                   "/v1/processes/nobody", "/nothing"):
        get = service.get(target)
        with service.connect() as connection:
            connection.send(compose("HEAD", target) + compose("GET", "/version"))
            head = connection.read(head=True)
            assert connection.read().status == 200, "a body came after HEAD %s" % target
        assert head.status == get.status
        assert head.header("Content-Type") == get.header("Content-Type")
        assert int(head.header("Content-Length")) > 0
        if target not in ("/v1/processes/root", "/nothing", "/v1/processes/nobody"):  # these change in length
            assert head.header("Content-Length") == get.header("Content-Length"), target


def test_options(service):
    """OPTIONS is 204 with Allow, without a token too."""
    for target, allow in (("/healthz", "GET, HEAD, OPTIONS"), (EXIT, "POST, OPTIONS"), ("/v1/supervisors", "GET, HEAD, OPTIONS")):
        answer = service.request("OPTIONS", target)
        assert answer.status == 204, answer
        assert sorted(answer.header("Allow").split(", ")) == sorted(allow.split(", "))
    with with_tokens() as other:
        assert other.request("OPTIONS", "/v1/supervisors").status == 204


def test_paths(service):
    """Segments are decoded once; %2F is data; NUL, bad escapes, bad UTF-8 and dot segments are 400 invalid-path."""
    for target in ("/v1/processes/a%2Fb", "/v1/processes/%2F", "/v1/processes/a%252Fb", "/v1/processes/%41", "/v1/processes/"
                   "%C3%A9", "/v1/processes/%20"):
        problem(service.get(target), 404, "process-not-found")
    assert service.get("/v1/processes/%72oot").json()["name"] == "root"
    assert service.get("/%76ersion").status == 200
    for target in ("/v1/processes/%00", "/v1/processes/a%00b", "/v1/processes/%", "/v1/processes/%4", "/v1/processes/%zz",
                   "/v1/processes/%ff", "/v1/processes/%c0%80", "/v1/processes/%ed%a0%80", "/v1/processes/%f5%80%80%80",
                   "/v1/processes/..", "/v1/processes/%2e%2e", "/v1/../version"):
        problem(service.get(target), 400, "invalid-path")


def test_queries(service):
    """Unknown and repeated query parameters are 422; bad escapes are 400."""
    assert pointers(service.get("/version?x=1")) == ["/x"]
    assert pointers(service.get("/v1/processes?limit=1&limit=2")) == ["/limit"]
    assert pointers(service.get("/v1/processes?a%2Fb=2")) == ["/a~1b"]
    assert pointers(service.get("/healthz?verbose")) == ["/verbose"]
    assert service.get("/version?").status == 200
    for query in ("limit=%zz", "limit=%00", "limit=%ff", "%=1"):
        problem(service.get("/v1/processes?" + query), 400, "invalid-path")


def test_absolute_form(service):
    """A target in absolute form is taken, with its own authority."""
    assert service.get("http://localhost/version").status == 200
    problem(service.get("http://evil.example/version"), 403, "foreign-host")


# ---- the order of judgement ----------------------------------------------------------------------------------------

def test_order_of_judgement():
    """framing, route, method, access, media type, JSON, shape, existence: the first fault is the one that is told."""
    json_type = {"Content-Type": "application/json"}
    with with_tokens() as service:
        # each request has all faults from its own on
        answers, _ = service.raw(b"BREW /nothing HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        problem(answers[0], 400, "bad-request")
        problem(service.request("BREW", "/nothing", b"x"), 404, "not-found")
        problem(service.request("PUT", EXIT, b"x"), 405, "method-not-allowed")
        problem(service.post(EXIT, b"x"), 401, "unauthorized")
        problem(service.post(EXIT, b"x", headers=CLIENT), 403, "forbidden")
        problem(service.post(EXIT, b"x", headers=ADMIN), 415, "unsupported-media-type")
        problem(service.post(EXIT, b"x", headers={**ADMIN, **json_type}), 400, "invalid-json")
        problem(service.post(EXIT, {"wrong": 1}, headers=ADMIN), 422, "invalid-request")
        problem(service.post(EXIT, {"reason": "normal"}, headers=ADMIN), 404, "process-not-found")


# ---- problems and ids ----------------------------------------------------------------------------------------------

def test_request_ids(service):
    """X-Request-Id is taken over when it is well-formed, else made; it is always returned."""
    for given in ("a", "A-z_0.9", "x" * 128):
        assert service.get("/version", headers={"X-Request-Id": given}).header("X-Request-Id") == given
        assert problem(service.get("/nothing", headers={"X-Request-Id": given}), 404, "not-found")["request_id"] == given
    made = set()
    for given in (None, "", "a b", "x" * 129, "a/b", "caf\u00e9", "{}", "a,b"):
        answer = service.raw(("GET /version HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (
            "" if given is None else "X-Request-Id: %s\r\n" % given)).encode())[0][0]
        assert answer.status == 200, answer
        made.add(answer.header("X-Request-Id"))
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", answer.header("X-Request-Id"))
        assert answer.header("X-Request-Id") != given
    assert len(made) == 8


def test_traceparent(service):
    """traceparent is continued: the same trace, a span of our own."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = service.get("/version", headers={"traceparent": "00-%s-b7ad6b7169203331-01" % trace})
    match = re.fullmatch(r"00-%s-([0-9a-f]{16})-01" % trace, answer.header("traceparent"))
    assert match and match.group(1) not in ("b7ad6b7169203331", "0" * 16)
    for bad in ("00-%s-b7ad6b7169203331" % trace, "ff-%s-b7ad6b7169203331-01" % trace, "00-%s-b7ad6b7169203331-01" % ("0" * 32)):
        assert trace not in (service.get("/version", headers={"traceparent": bad}).header("traceparent") or "")


def test_titles_are_one_to_one(service):
    """One code has one title and one status."""
    seen = {}
    for answer in (service.get("/nothing"), service.get("/v1/processes/nobody"), service.get("/a/b/c"),
                   service.get("/v1/processes/9.9"), service.get("/version?x=1"), service.post(EXIT, {})):
        document = answer.json()
        value = (document["title"], document["status"], document["type"])
        assert seen.setdefault(document["code"], value) == value


# ---- lists ---------------------------------------------------------------------------------------------------------

def test_list_limits(service):
    """limit is 1..500, digits only; a cursor must come from the list."""
    for limit in ("0", "501", "-1", "1.5", "abc", "", "1e2", "+1", "99999999999999999999"):
        assert pointers(service.get("/v1/processes?limit=" + limit)) == ["/limit"], limit
    for cursor in ("", "x", "zz", "00", "abc", "00" * 16, "00" * 18, "01" + "00" * 16, "f" * 2000):
        assert pointers(service.get("/v1/processes?cursor=" + cursor)) == ["/cursor"], cursor
    assert len(service.get("/v1/processes?limit=1").json()["items"]) == 1
    assert service.get("/v1/processes?limit=500").status == 200


def test_list_pages(service):
    """Pages link to the next one, keep the other parameters, and end with next_cursor null and no Link."""
    whole = [item["pid"] for item in all_processes(service)]
    target = "/v1/processes?limit=2&sort=pid"
    seen = []
    for _ in range(len(whole) + 5):
        answer = service.get(target)
        document = answer.json()
        assert set(document) == {"items", "next_cursor"}
        seen += [item["pid"] for item in document["items"]]
        if document["next_cursor"] is None:
            assert answer.header("Link") is None
            break
        match = re.fullmatch(r'<([^>]+)>; rel="next"', answer.header("Link"))
        target = match.group(1)
        assert "limit=2" in target and "sort=pid" in target and "cursor=" + document["next_cursor"] in target
        assert len(document["items"]) == 2
    assert document["next_cursor"] is None
    lasting = set(whole) & {item["pid"] for item in all_processes(service)}
    assert len(seen) == len(set(seen)) and lasting <= set(seen)


# ---- access --------------------------------------------------------------------------------------------------------

def test_tokens():
    """401 without a token or with a wrong one, 403 for an admin call with a client token; health is open."""
    with with_tokens() as service:
        for target in ("/healthz", "/readyz"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, CLIENT, ADMIN):
                assert service.get(target, headers=headers).status == 200
        wrong = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer client-secre"}, {"Authorization": "Bearer "},
                 {"Authorization": "Bearer client-secret2"}, {"Authorization": "Basic client-secret"},
                 {"Authorization": "client-secret"}, {"Authorization": "Bearer client-secret admin-secret"}]
        for target in ("/", "/metrics", "/openapi.json", "/openapi.yaml", "/version"):
            for headers in wrong:
                answer = service.get(target, headers=headers)
                problem(answer, 401, "unauthorized")
                assert answer.header("WWW-Authenticate").startswith("Bearer")
            assert service.get(target, headers=CLIENT).status == 200
            assert service.get(target, headers=ADMIN).status == 200
        for target in ("/v1/processes", "/v1/processes/root", "/v1/supervisors"):
            assert problem(service.get(target), 401, "unauthorized")["detail"] == "a bearer token is needed"
            assert problem(service.get(target, headers=CLIENT), 403, "forbidden")["detail"] == "this call needs an admin token"
            assert service.get(target, headers=ADMIN).status == 200
        assert service.get("/version", headers={"Authorization": "bearer client-secret"}).status == 200
        answers, _ = service.raw(b"GET /version HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n"
                                 b"Authorization: Bearer client-secret\r\n\r\n")
        problem(answers[0], 400, "bad-request")


def test_secrets_stay_out_of_the_log():
    """Tokens never reach the log or an answer."""
    with with_tokens("--access-log", "all", "--log-level", "debug") as service:
        for headers in (ADMIN, CLIENT):
            assert b"-secret" not in service.get("/version", headers=headers).body
        eventually(lambda: service.events("request.finished"), what="the access log")
    assert not [line for line in service.log() if "admin-secret" in line or "client-secret" in line]


def test_foreign_host(service):
    """Without tokens a loopback listener refuses a Host that does not name this machine (DNS rebinding)."""
    for host in ("localhost", "LOCALHOST", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "127.9.8.7", "[::1]", "[::1]:8080"):
        assert service.get("/version", host=host).status == 200, host
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "169.254.169.254",
                 "10.0.0.1", "0.0.0.0", "[::2]", "localhostx", "xlocalhost"):
        assert "Host must name it" in problem(service.get("/version", host=host), 403, "foreign-host")["detail"]
        problem(service.post(EXIT, {"reason": "kill"}, host=host), 403, "foreign-host")


def test_foreign_host_with_tokens():
    """With tokens any Host is taken: the token says who asks."""
    with with_tokens() as service:
        assert service.get("/version", host="api.example", headers=CLIENT).status == 200


# ---- connections ---------------------------------------------------------------------------------------------------

def test_keep_alive(service):
    """A connection serves many requests, errors among them; Connection: close and HTTP/1.0 end it."""
    with service.connect() as connection:
        for i in range(20):
            connection.send(compose("GET", "/version" if i % 2 else "/nothing", headers={"X-Request-Id": "k%d" % i}))
            answer = connection.read()
            assert answer.status == (200 if i % 2 else 404)
            assert answer.header("X-Request-Id") == "k%d" % i
        connection.send(compose("POST", EXIT, {"reason": 1}))
        assert connection.read().status == 422
        connection.send(compose("GET", "/version", headers={"Connection": "close"}))
        assert connection.read().status == 200
        assert connection.is_closed()
    with service.connect() as connection:
        connection.send(b"GET /version HTTP/1.0\r\n\r\n")
        assert connection.read().status == 200
        assert connection.is_closed()


def test_pipelining(service):
    """Pipelined requests are answered in order, those that ask processes among them."""
    targets = ["/version", "/v1/processes?limit=1", "/nothing", "/v1/supervisors", "/healthz", "/v1/processes/nobody"]
    wanted = [200, 200, 404, 200, 200, 404]
    with service.connect() as connection:
        sent = [(targets[i % 6], wanted[i % 6], "p%d" % i) for i in range(60)]
        connection.send(b"".join(compose("GET", target, headers={"X-Request-Id": name}) for target, _, name in sent))
        for target, status, name in sent:
            answer = connection.read()
            assert answer.header("X-Request-Id") == name and answer.status == status, (target, answer)


def test_split_bytes(service):
    """A request that comes byte by byte is the same request."""
    with service.connect() as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in compose("POST", EXIT, {"reason": "normal"}):
            connection.send(bytes([byte]))
        problem(connection.read(), 404, "process-not-found")


def test_framing(service):
    """Framing that two parsers could read differently is refused, and what follows on the connection is not read."""
    smuggled = b"GET /version HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: smuggled\r\n\r\n"
    top = b"POST " + EXIT.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    get = b"GET /version HTTP/1.1\r\n"
    cases = [
        (400, top + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
        (400, top + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}"),
        (400, top + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (501, top + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        (501, top + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        (400, top + b"Content-Length : 2\r\n\r\n{}"),
        (400, top + b"Content-Length: +2\r\n\r\n{}"),
        (400, top + b"Content-Length: 2, 2\r\n\r\n{}"),
        (400, top + b"Content-Length: -1\r\n\r\n{}"),
        (400, top + b"Content-Length: 0x2\r\n\r\n{}"),
        (400, get + b"Host: localhost\r\nX: a\r\n b\r\n\r\n"),
        (400, get + b"Host: localhost\r\nHost: localhost\r\n\r\n"),
        (400, get + b"\r\n"),
        (400, get + b"Host: a b\r\n\r\n"),
        (400, get + b"Host: localhost\r\nX: a\x00b\r\n\r\n"),
        (400, get + b"Host: localhost\nX: a\n\n"),
        (400, get + b"Host: localhost\r\n: a\r\n\r\n"),
        (400, get + b"Host: localhost\r\nX y: a\r\n\r\n"),
        (505, b"GET /version HTTP/2.0\r\nHost: localhost\r\n\r\n"),
        (400, b"GET  /version HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (400, b"GET /ver sion HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (417, get + b"Host: localhost\r\nExpect: more\r\n\r\n"),
    ]
    for status, data in cases:
        with service.connect() as connection:
            with contextlib.suppress(ConnectionError):
                connection.send(data + smuggled)
            answer = connection.read()
            assert answer is not None and answer.status == status, (status, data, answer)
            with contextlib.suppress(AssertionError):  # the library may cut its own refusals short
                while connection.more():
                    pass
            assert b"smuggled" not in connection.buffer, data
    assert service.get("/version").status == 200


def test_long_heads(service):
    """A target or header section that is too long is refused, and the service goes on."""
    for data, allowed in ((compose("GET", "/" + "a" * 100000), (414, 431)),
                          (compose("GET", "/version", headers={"X": "a" * 100000}), (431, 413)),
                          (compose("GET", "/version", headers={"X%d" % i: "a" for i in range(150)}), (431,))):
        with service.connect() as connection:
            with contextlib.suppress(ConnectionError):
                connection.send(data)
            answer = connection.read()
            assert answer is None or answer.status in allowed, answer
    assert service.get("/version").status == 200


def test_slow_clients_are_cut():
    """Headers, bodies and idle connections have deadlines that dripping bytes do not move."""
    with support.Service("--header-timeout-ms", "300", "--body-timeout-ms", "300", "--idle-timeout-ms", "300") as service:
        def drip(connection, data):
            try:
                for byte in data:
                    connection.socket.sendall(bytes([byte]))
                    time.sleep(0.05)  # the client's slowness is what is tested
            except ConnectionError:
                pass
        for data in (compose("GET", "/version", headers={"X": "a" * 300}),
                     compose("POST", EXIT, b"x" * 400, headers={"Content-Type": "application/json"})):
            with service.connect() as connection:
                started = time.monotonic()
                thread = threading.Thread(target=drip, args=(connection, data))
                thread.start()
                with contextlib.suppress(AssertionError, ConnectionError):
                    while connection.more():
                        pass
                thread.join()
                assert time.monotonic() - started < 0.05 * len(data), "it could go on to the end"
                assert not connection.buffer.startswith(b"HTTP/1.1 200")
        with service.connect() as connection:
            connection.send(compose("GET", "/version"))
            assert connection.read().status == 200
            assert connection.is_closed()
        with service.connect() as connection:
            assert connection.is_closed()
        assert service.get("/version").status == 200


# ---- load and deadlines --------------------------------------------------------------------------------------------

def test_deadline():
    """A request that is not answered by its deadline is 504 timeout, and the connection goes on."""
    with support.Service("--request-timeout-ms", "300") as service:
        with stuck_request(service) as connection:
            problem(connection.read(), 504, "timeout")
            connection.send(compose("GET", "/version"))
            assert connection.read().status == 200
        assert service.get("/v1/supervisors").status == 200


def test_overload():
    """Over max-inflight requests are 503 overloaded with Retry-After; health is answered all the same."""
    with support.Service("--max-inflight", "1", "--request-timeout-ms", "2000") as service:
        assert service.post("/v1/processes/http.sup/suspend").status == 200

        def fill():
            """One request in work, and what others are told meanwhile; None when one of the others was first."""
            with service.connect() as stuck:
                stuck.send(compose("GET", "/v1/supervisors"))
                refused = service.get("/version")
                while refused.status == 200:
                    if select.select([stuck.socket], [], [], 0)[0]:
                        return None
                    refused = service.get("/version")
                health = service.get("/healthz").status, service.get("/readyz").status
                answer = stuck.read()
                return (refused, health, answer) if answer.status != 503 else None
        refused, health, answer = eventually(fill)
        problem(refused, 503, "overloaded")
        assert int(refused.header("Retry-After")) >= 1
        assert health == (200, 200)
        problem(answer, 504, "timeout")
        # a request counts until the last byte of its answer has been handed over
        eventually(lambda: service.post("/v1/processes/http.sup/resume").status == 200)
        eventually(lambda: service.get("/v1/supervisors").status == 200)


def test_client_that_leaves(service):
    """A client that goes away in the middle of a request or an answer does no harm."""
    before = len(all_processes(service))
    for _ in range(20):
        with service.connect() as connection:
            connection.send(compose("GET", "/openapi.json") * 5)
        with service.connect() as connection:
            connection.send(compose("GET", "/v1/supervisors"))
        with service.connect() as connection:
            connection.send(b"POST " + EXIT.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert service.get("/version").status == 200
    eventually(lambda: len(all_processes(service)) <= before + 1, what="the requests' processes to end")


def test_many_clients(service):
    """Hundreds of connections at once are all served."""
    def ask(i):
        return [service.get("/version").status, service.get("/v1/processes?limit=2").status, service.get("/nothing").status]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        for statuses in pool.map(ask, range(200)):
            assert statuses == [200, 200, 404]


def test_access_log():
    """--access-log all writes one line a request, with its id, status and time; errors writes 5xx only."""
    with support.Service("--access-log", "all") as service:
        service.get("/version", headers={"X-Request-Id": "seen-1"})
        service.get("/nothing", headers={"X-Request-Id": "seen-2"})

        def seen():
            found = {line["request_id"]: line for line in service.events("request.finished")
                     if line.get("request_id", "").startswith("seen-")}
            return found if len(found) == 2 else None
        lines = eventually(seen, what="two lines")
        assert lines["seen-1"]["status"] == 200 and lines["seen-2"]["status"] == 404
    with support.Service() as service:
        service.get("/version", headers={"X-Request-Id": "quiet"})
    assert not [line for line in service.log() if "quiet" in line]


if __name__ == "__main__":
    support.main(globals())
