"""Hostile and odd bytes, each with the one answer that is right: the rows of test_hostile.py.

A row is what one client sends, the answers it must get, and what becomes of the connection. Behind the bytes of each
row comes one more request, FOLLOW:

    SERVED    the connection goes on: FOLLOW is answered, once
    CLOSED    the connection ends: FOLLOW is not read, for nobody knows where it begins

A few rows are closed without an answer. An answer is written "200", or "400 bad-request" for a problem with that code, or "400 -" for what libmicrohttpd says
before the service is asked (server/http/NOTES.md: those have no problem, and some come with a doubled head)."""
import collections
import zlib

SERVED, CLOSED = "served", "closed"
FOLLOW = b"GET /version HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: follow\r\n\r\n"

EXIT = "/v1/processes/nobody/exit"  # takes a JSON body with the member reason, and finds no such process
HOST = "Host: localhost\r\n"
JSON = "Content-Type: application/json\r\n"
GOOD = b'{"reason":"normal"}'
MIB = 1048576

Row = collections.namedtuple("Row", "name data answers then fields never head")
rows = []


def row(name, data, *answers, fields=None, never=None, head=False):
    """fields: what the last answer's header must hold. never: bytes that come in no answer. head: it has no body."""
    if isinstance(data, str):
        data = data.encode("latin-1")
    assert answers[-1] in (SERVED, CLOSED) and name not in [other.name for other in rows], name
    rows.append(Row(name, data, answers[:-1], answers[-1], fields or {}, never, head))


def get(target="/version", fields="", host=HOST):
    return ("GET %s HTTP/1.1\r\n%s%s\r\n" % (target, host, fields)).encode("latin-1")


def method(name, target="/version", fields=""):
    return ("%s %s HTTP/1.1\r\n%s%s\r\n" % (name, target, HOST, fields)).encode("latin-1")


def post(body, fields=JSON, target=EXIT):
    body = body if isinstance(body, bytes) else body.encode()
    head = "POST %s HTTP/1.1\r\n%s%sContent-Length: %d\r\n\r\n" % (target, HOST, fields, len(body))
    return head.encode() + body


def post_head(fields, body=b""):
    return ("POST %s HTTP/1.1\r\n%s%s%s\r\n" % (EXIT, HOST, JSON, fields)).encode() + body


def chunked(chunks, fields=JSON):
    head = "POST %s HTTP/1.1\r\n%s%sTransfer-Encoding: chunked\r\n\r\n" % (EXIT, HOST, fields)
    return head.encode() + chunks


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


# ---- the request line ------------------------------------------------------------------------------------------------

row("an ordinary request", get(), "200", SERVED)
row("empty lines before the request", b"\r\n\r\n" + get(), "200", SERVED)
row("two blanks behind the method", "GET  /version HTTP/1.1\r\n" + HOST + "\r\n", "400 bad-request", CLOSED)
row("two blanks behind the target", "GET /version  HTTP/1.1\r\n" + HOST + "\r\n", "400 invalid-path", CLOSED)
row("a tab behind the method", "GET\t/version HTTP/1.1\r\n" + HOST + "\r\n", "400 -", CLOSED)
row("a blank before the method", " GET /version HTTP/1.1\r\n" + HOST + "\r\n", CLOSED)
row("a blank in the target", "GET /ver sion HTTP/1.1\r\n" + HOST + "\r\n", "400 invalid-path", CLOSED)
row("a control byte in the target", get("/ver\x01sion"), "400 invalid-path", CLOSED)
row("bytes above ASCII in the target", get("/ver\xc3\xa9"), "400 invalid-path", CLOSED)
row("NUL in the target", get("/version\0x"), "400 bad-request", CLOSED)
row("NUL in the method", "GE\0T /version HTTP/1.1\r\n" + HOST + "\r\n", "400 bad-request", CLOSED)
row("a fragment", get("/version#top"), "400 invalid-path", SERVED)
row("a target without a slash", get("version"), "400 invalid-path", SERVED)
row("a method that is no token", "G(E)T /version HTTP/1.1\r\n" + HOST + "\r\n", "400 bad-request", CLOSED)
row("no version", "GET /version\r\n" + HOST + "\r\n", "400 -", CLOSED)
row("a version of another protocol", "GET /version HTTPS/1.1\r\n" + HOST + "\r\n", "400 -", CLOSED)
row("HTTP/1.2", "GET /version HTTP/1.2\r\n" + HOST + "\r\n", "505 http-version-not-supported", CLOSED)
row("HTTP/1.1 and a zero", "GET /version HTTP/1.10\r\n" + HOST + "\r\n", "400 -", CLOSED)
row("HTTP/0.9", "GET /version HTTP/0.9\r\n" + HOST + "\r\n", "505 -", CLOSED)
row("HTTP/2.0", "GET /version HTTP/2.0\r\n" + HOST + "\r\n", "505 -", CLOSED)
row("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 -", CLOSED)
row("a greeting of TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(32)) + b"\r\n\r\n", CLOSED)
row("HTTP/1.0 without Host", "GET /version HTTP/1.0\r\n\r\n", "200", CLOSED)
row("HTTP/1.0 that stays", "GET /version HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200", SERVED)
row("absolute form", get("http://localhost/version"), "200", SERVED)
row("absolute form, another host", get("http://evil.example/version"), "403 foreign-host", SERVED)
row("absolute form with userinfo", get("http://me@localhost/version"), "400 invalid-path", SERVED)

# ---- Host ------------------------------------------------------------------------------------------------------------

row("no Host", get(host=""), "400 bad-request", CLOSED)
row("no Host, another field", get(host="X: y\r\n"), "400 bad-request", CLOSED)
row("two Hosts", get(fields="Host: evil.example\r\n"), "400 bad-request", CLOSED)
row("two equal Hosts", get(fields="host: localhost\r\n"), "400 bad-request", CLOSED)
row("Host with a blank in it", get(host="Host: local host\r\n"), "400 bad-request", CLOSED)
row("Host with userinfo", get(host="Host: me@localhost\r\n"), "400 bad-request", CLOSED)
row("Host with a path", get(host="Host: localhost/x\r\n"), "400 bad-request", CLOSED)
row("Host of somebody else", get(host="Host: evil.example\r\n"), "403 foreign-host", SERVED)

# ---- fields ----------------------------------------------------------------------------------------------------------

row("blanks and tabs around a value", get(fields="X: \t y \t\r\n"), "200", SERVED)
row("an empty value", get(fields="X:\r\n"), "200", SERVED)
row("bytes above ASCII in a value", get(fields="X: \xc3\xa9\r\n"), "200", SERVED)
row("bare LF everywhere", "GET /version HTTP/1.1\nHost: localhost\n\n", "400 bad-request", CLOSED)
row("bare LF behind the request line", "GET /version HTTP/1.1\n" + HOST + "\r\n", "400 bad-request", CLOSED)
row("bare LF behind a field", get(fields="X: y\nY: z\r\n"), "400 bad-request", CLOSED)
row("bare LF behind the last field", get(fields="X: y\n"), "400 bad-request", CLOSED)
row("bare LF as the empty line", "GET /version HTTP/1.1\r\n" + HOST + "\n", "400 bad-request", CLOSED)
row("bare CR in a value", get(fields="X: y\rz\r\n"), "400 bad-request", CLOSED)
row("obs-fold", get(fields="X: y\r\n z\r\n"), "400 bad-request", CLOSED)
row("obs-fold with a tab", get(fields="X: y\r\n\tz\r\nY: z\r\n"), "400 bad-request", CLOSED)
row("obs-fold of the first field", get(host="\x20X: y\r\n" + HOST), "400 bad-request", CLOSED)
row("NUL in a name", get(fields="X\0Y: z\r\n"), "400 -", CLOSED)
row("NUL in a value", get(fields="X: y\0z\r\n"), "400 bad-request", CLOSED)
row("a control byte in a value", get(fields="X: y\x1bz\r\n"), "400 bad-request", CLOSED)
row("DEL in a value", get(fields="X: y\x7fz\r\n"), "400 bad-request", CLOSED)
row("a blank before the colon", get(fields="X : y\r\n"), "400 bad-request", CLOSED)
row("a blank in a name", get(fields="X Y: z\r\n"), "400 bad-request", CLOSED)
row("a name that is no token", get(fields="X(Y): z\r\n"), "400 bad-request", CLOSED)
row("no name", get(fields=": y\r\n"), "400 bad-request", CLOSED)
row("no colon", get(fields="nothing\r\n"), "400 -", CLOSED)
row("two Authorization", get(fields="Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), "400 bad-request", CLOSED)
row("two Content-Type", post(GOOD, JSON + "Content-Type: text/plain\r\n"), "400 bad-request", CLOSED)
row("two X-Request-Id", get(fields="X-Request-Id: one\r\nX-Request-Id: two\r\n"), "200", SERVED, never=b"one")
row("Connection: close", get(fields="Connection: close\r\n"), "200", CLOSED)
row("Connection: Upgrade to h2c", get(fields="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"),
    "200", SERVED)
row("Upgrade to a WebSocket", get(fields="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
    "200", SERVED)

# ---- the length of a body --------------------------------------------------------------------------------------------

row("a body by its length", post(GOOD), "404 process-not-found", SERVED)
row("a length with zeros in front", post_head("Content-Length: 00019\r\n", GOOD), "404 process-not-found", SERVED)
row("length and chunks", post_head("Content-Length: 19\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "400 bad-request", CLOSED)
row("chunks and length", post_head("Transfer-Encoding: chunked\r\nContent-Length: 19\r\n", b"0\r\n\r\n"),
    "400 bad-request", CLOSED)
row("length 0 and chunks", post_head("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunk(GOOD) + b"0\r\n\r\n"),
    "400 bad-request", CLOSED)
row("a blank before the colon of the length", post_head("Content-Length : 19\r\n", GOOD), "400 bad-request", CLOSED)
row("two lengths", post_head("Content-Length: 19\r\nContent-Length: 4\r\n", GOOD), "400 bad-request", CLOSED)
row("two equal lengths", post_head("Content-Length: 19\r\nContent-Length: 19\r\n", GOOD), "400 bad-request", CLOSED)
for value in ("+19", "19, 19", "19 ", "-1", "0x13", "1e1", "19.0", "nineteen", "1 9", "19;"):
    row("Content-Length: %r" % value, post_head("Content-Length: %s\r\n" % value, GOOD), "400 -", CLOSED)
row("a length without digits", post_head("Content-Length:\r\n", GOOD), "400 -", CLOSED)
row("a length over 64 bits", post_head("Content-Length: 99999999999999999999\r\n", GOOD), "413 -", CLOSED)
row("a length of 63 bits", post_head("Content-Length: 9223372036854775807\r\n", GOOD), "413 payload-too-large", CLOSED)
row("a length on GET", get(fields="Content-Length: 0\r\n"), "200", SERVED)
row("a body on GET", get(fields="Content-Length: 2\r\n") + b"{}", "422 invalid-request", SERVED)
row("HTTP/1.0 with a body", b"POST %s HTTP/1.0\r\n%sContent-Length: 19\r\n\r\n%s" % (EXIT.encode(), JSON.encode(), GOOD),
    "404 process-not-found", CLOSED)

# ---- chunks ----------------------------------------------------------------------------------------------------------

row("a body in chunks", chunked(chunk(b'{"rea') + chunk(b'son":"normal"}') + b"0\r\n\r\n"), "404 process-not-found", SERVED)
row("chunked in capitals", post_head("Transfer-Encoding: CHUNKED\r\n", chunk(GOOD) + b"0\r\n\r\n"),
    "404 process-not-found", SERVED)
for value in ("gzip, chunked", "chunked, gzip", "chunked, chunked", "xchunked", "chunkedx", "identity", "gzip", "chunked;q=1",
              "chunked ", "chunked,", "", "\"chunked\"", "\x0bchunked"):
    row("Transfer-Encoding: %r" % value, post_head("Transfer-Encoding: %s\r\n" % value, chunk(GOOD) + b"0\r\n\r\n"),
        "400 bad-request" if "\x0b" in value else "501 not-implemented", CLOSED)
row("two Transfer-Encodings", post_head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n"),
    "400 bad-request", CLOSED)
row("Transfer-Encoding with a blank before the colon", post_head("Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "400 bad-request", CLOSED)
row("chunks in HTTP/1.0", b"POST %s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % EXIT.encode(),
    "400 bad-request", CLOSED)
row("a chunk with an extension", chunked(b'13;a="b"\r\n' + GOOD + b"\r\n0;last\r\n\r\n"), "404 process-not-found", SERVED)
row("a chunk with zeros in front", chunked(b"0013\r\n" + GOOD + b"\r\n000\r\n\r\n"), "404 process-not-found", SERVED)
row("trailers", chunked(chunk(GOOD) + b"0\r\nX: y\r\nContent-Length: 5\r\n\r\n"), "404 process-not-found", SERVED)
for size in ("", "zz", "-13", "+13", "0x13", " 13", "13 ", "13\t", "13,", "1 3"):
    row("the chunk size %r" % size, chunked(size.encode() + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"), "400 -", CLOSED)
row("a chunk size over 64 bits", chunked(b"10000000000000013\r\n" + GOOD + b"\r\n0\r\n\r\n"), "413 -", CLOSED)
row("a chunk longer than its size", chunked(b"12\r\n" + GOOD + b"\r\n0\r\n\r\n"), "400 -", CLOSED)
row("a chunk shorter than its size", chunked(b"15\r\n" + GOOD + b"\r\n0\r\n\r\n"), "400 -", CLOSED)
row("a chunk without an end", chunked(b"13\r\n" + GOOD + b"0\r\n\r\n"), "400 -", CLOSED)
row("a bare CR behind a chunk's size", chunked(b"13\r" + GOOD + b"\r\n0\r\n\r\n"), "400 -", CLOSED)
row("a bare CR behind a chunk", chunked(b"13\r\n" + GOOD + b"\r0\r\n\r\n"), "400 -", CLOSED)
# Chunk framing is the library's alone, which takes a bare LF there.
row("a bare LF behind a chunk's size", chunked(b"13\n" + GOOD + b"\r\n0\r\n\r\n"), "404 process-not-found", SERVED)
row("a bare LF behind a chunk", chunked(b"13\r\n" + GOOD + b"\n0\r\n\r\n"), "404 process-not-found", SERVED)

# ---- sizes -----------------------------------------------------------------------------------------------------------

row("a target of 3000 bytes", get("/" + "a" * 2999), "404 not-found", SERVED)
row("a target over the memory of a head", get("/" + "a" * 20000), "414 -", CLOSED)
row("a query over the memory of a head", get("/version?" + "a" * 20000), "414 -", CLOSED)
row("a request line without an end", "GET /" + "a" * 100000, "414 -", CLOSED)
row("a method without an end", "G" * 100000, "414 -", CLOSED)
row("a value of 3000 bytes", get(fields="X: %s\r\n" % ("y" * 3000)), "200", SERVED)
row("a head of the size allowed", get("/version", "X: %s\r\n" % ("y" * 7900)), "200", SERVED)
row("a head a little over it", get("/version", "X: %s\r\n" % ("y" * 8100)), "431 header-fields-too-large", CLOSED)
row("a head that leaves no room for an answer", get("/version", "X: %s\r\n" % ("y" * 8850)), "431 header-fields-too-large", CLOSED)
row("90 small fields", get("/version", "".join("X-%d: abcdefghijkl\r\n" % i for i in range(90))), "200", SERVED)
row("a value over the memory of a head", get(fields="X: %s\r\n" % ("y" * 20000)), "431 -", CLOSED)
row("a name over the memory of a head", get(fields="%s: y\r\n" % ("X" * 20000)), "431 -", CLOSED)
row("fields over the memory of a head", get(fields="".join("X-%d: %s\r\n" % (i, "y" * 90) for i in range(99))),
    "431 -", CLOSED)
row("fields at the limit", get(fields="".join("X-%d: y\r\n" % i for i in range(99))), "200", SERVED)
row("fields over the limit", get(fields="".join("X-%d: y\r\n" % i for i in range(100))),
    "431 header-fields-too-large", CLOSED)
row("segments without end", get("/a" * 1000), "404 not-found", SERVED)
row("16 query parameters", get("/v1/processes?" + "&".join("p%d=1" % i for i in range(16))), "422 invalid-request", SERVED)
row("17 query parameters", get("/v1/processes?" + "&".join("p%d=1" % i for i in range(17))), "400 invalid-path", SERVED)
row("a body at the limit", post(GOOD.ljust(MIB)), "404 process-not-found", SERVED)
row("a body over the limit", post(GOOD.ljust(MIB + 1)), "413 payload-too-large", CLOSED)
row("a body over the limit, not sent", post_head("Content-Length: %d\r\n" % (MIB + 1)), "413 payload-too-large", CLOSED)
row("chunks at the limit", chunked(chunk(GOOD.ljust(65536)) + 15 * chunk(b" " * 65536) + b"0\r\n\r\n"),
    "404 process-not-found", SERVED)
row("chunks a byte over the limit", chunked(16 * chunk(b" " * 65536) + chunk(b" ") + b"0\r\n\r\n"),
    "413 payload-too-large", CLOSED)
row("one chunk over the limit", chunked(chunk(b" " * (MIB + 1)) + b"0\r\n\r\n"), "413 payload-too-large", CLOSED)
row("a refused body that is short", post(b"x" * 1000, JSON, "/nothing"), "404 not-found", SERVED)
row("a refused body that is long", post(b"x" * 100000, JSON, "/nothing"), "404 not-found", CLOSED)
row("a refused body in chunks", chunked(chunk(GOOD) + b"0\r\n\r\n", "Content-Type: text/plain\r\n"),
    "415 unsupported-media-type", CLOSED)

# ---- JSON ------------------------------------------------------------------------------------------------------------


def json_row(name, body, *answers):
    row("JSON: " + name, post(body), *answers, SERVED)


json_row("nothing", b"", "400 invalid-json")
json_row("nested at the limit", b"[" * 32 + b"]" * 32, "422 invalid-request")
json_row("nested over the limit", b"[" * 33 + b"]" * 33, "400 invalid-json")
json_row("half a million open brackets", b"[" * 500000, "400 invalid-json")
json_row("half a million open objects", b'{"":' * 100000, "400 invalid-json")
json_row("values at the limit", b"[" + b"1," * 99998 + b"1]", "422 invalid-request")
json_row("values over the limit", b"[" + b"1," * 99999 + b"1]", "400 invalid-json")
json_row("a string that fills the body", b'"' + b"a" * (MIB - 2) + b'"', "422 invalid-request")
json_row("a number of a thousand digits", b'{"reason":' + b"1" * 1000 + b"}", "422 invalid-request")
json_row("a number that fills the body", b"1" * MIB, "422 invalid-request")
json_row("10000 members", b"{" + b",".join(b'"%d":1' % i for i in range(10000)) + b"}", "422 invalid-request")
for body in (b"nope", b"{", b"}", b"[1,]", b"{'a':1}", b'{"a":1}x', b'{"a":1} {}', b"\x00", b"{}\x00", b"\xef\xbb\xbf{}", b"// a\n{}",
             b'{"a":01}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":1e}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":0x1}',
             b'{"a":"\n"}', b'{"a":"\x00"}', b'{"a":"\x1f"}', b'{"a":"\\u0000"}', b'{"a":"\\x41"}', b'{"a":"\\ud800"}',
             b'{"a":"\\udc00\\ud800"}', b'{"a":"\xff"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}',
             b'{"a":"\xc3"}', b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"a"}', b'{1:2}', b"tru", b"[1 2]", b"\x0b{}"):
    json_row(repr(body), body, "400 invalid-json")
for body in (b"null", b"1", b'"a"', b"[]", b"{}", b'{"reason":1.5}', b'{"reason":1e400}', b'{"reason":9007199254740993}',
             b'{"reason":null}', b'{"reason":"a","b":1}', b'{"Reason":"normal"}', b" {} \r\n\t"):
    json_row(repr(body), body, "422 invalid-request")

# ---- methods ---------------------------------------------------------------------------------------------------------

row("HEAD", method("HEAD"), "200", SERVED, head=True)
row("HEAD of what is not there", method("HEAD", "/nothing"), "404", SERVED, head=True)
row("OPTIONS", method("OPTIONS"), "204", SERVED, fields={"Allow": "GET, HEAD, OPTIONS"})
row("OPTIONS of a call with a body", method("OPTIONS", EXIT), "204", SERVED, fields={"Allow": "POST, OPTIONS"})
row("OPTIONS *", method("OPTIONS", "*"), "204", SERVED)
row("GET *", method("GET", "*"), "400 invalid-path", SERVED)
row("a method that this path does not take", method("DELETE"), "405 method-not-allowed", SERVED,
    fields={"Allow": "GET, HEAD, OPTIONS"})
row("GET where only POST is", method("GET", EXIT), "405 method-not-allowed", SERVED, fields={"Allow": "POST, OPTIONS"})
row("CONNECT to a host", method("CONNECT", "evil.example:443"), "501 not-implemented", SERVED)
row("CONNECT to a path", method("CONNECT", "/version"), "501 not-implemented", SERVED)
row("TRACE", method("TRACE", "/version", "X-Secret: do-not-echo\r\n"), "501 not-implemented", SERVED, never=b"do-not-echo")
for name in ("BREW", "get", "Get", "GETS", "PROPFIND", "M-SEARCH", "A" * 1000):
    row("the method %s" % name[:20], method(name), "501 not-implemented", SERVED)
row("an unknown method on an unknown path", method("BREW", "/nothing"), "404 not-found", SERVED)
row("an unknown method with a body", method("BREW", "/version", "Content-Length: 5\r\n") + b"12345", "501 not-implemented", SERVED)

# ---- Expect, Content-Type, Accept ------------------------------------------------------------------------------------

row("Expect: 100-continue", post(GOOD, JSON + "Expect: 100-continue\r\n"), "100", "404 process-not-found", SERVED)
row("Expect in capitals", post(GOOD, JSON + "Expect: 100-Continue\r\n"), "100", "404 process-not-found", SERVED)
row("Expect without a body", get(fields="Expect: 100-continue\r\n"), "200", SERVED)
row("Expect with a body of nothing", post(b"", JSON + "Expect: 100-continue\r\n"), "400 invalid-json", SERVED)
row("Expect in HTTP/1.0", "GET /version HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "200", CLOSED)
row("Expect of something else", post(GOOD, JSON + "Expect: 200-maybe\r\n"), "417 expectation-failed", CLOSED)
row("Expect of two things", post(GOOD, JSON + "Expect: 100-continue, more\r\n"), "417 expectation-failed", CLOSED)
row("an empty Expect", get(fields="Expect:\r\n"), "417 expectation-failed", CLOSED)
row("two Expects", get(fields="Expect: 100-continue\r\nExpect: 100-continue\r\n"), "400 bad-request", CLOSED)
row("Expect, and the body is refused", post_head("Expect: 100-continue\r\nContent-Length: %d\r\n" % (MIB + 1)),
    "413 payload-too-large", CLOSED)
row("Expect on an unknown path", post(GOOD, JSON + "Expect: 100-continue\r\n", "/nothing"), "404 not-found", CLOSED)
row("no Content-Type", post(GOOD, ""), "415 unsupported-media-type", SERVED)
for kind in ("", "text/plain", "text/json", "application/jsonx", "application/json/x", "json", "application/problem+json",
             "application/json, text/plain", "application/json; x", "application / json",
             "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
    row("Content-Type: %r" % kind, post(GOOD, "Content-Type: %s\r\n" % kind), "415 unsupported-media-type", SERVED)
for kind in ("application/json; charset=utf-8", "Application/JSON", 'application/json;x="a b"', "application/json ",
             "application/json;"):
    row("Content-Type: %r" % kind, post(GOOD, "Content-Type: %s\r\n" % kind), "404 process-not-found", SERVED)
row("a compressed body", post(zlib.compress(GOOD), JSON + "Content-Encoding: deflate\r\n"), "400 invalid-json", SERVED)
for value in ("", "text/html", "application/json;q=0", "*/*;q=0", "\xff", "a" * 2000):
    row("Accept: %.30r" % value, get(fields="Accept: %s\r\n" % value), "200", SERVED)

# ---- paths and queries -----------------------------------------------------------------------------------------------

for target in ("/v1/processes/%00", "/v1/processes/a%00b", "/v1/processes/%", "/v1/processes/%4", "/v1/processes/%zz",
               "/v1/processes/%%41", "/v1/processes/%u0041", "/v1/processes/%ff", "/v1/processes/%c0%80", "/v1/processes/%c0%af",
               "/v1/processes/%ed%a0%80", "/v1/processes/%f5%80%80%80", "/v1/processes/%c3", "/v1/processes/..",
               "/v1/processes/.", "/v1/processes/%2e%2e", "/v1/processes/.%2E", "/v1/processes/%2e", "/v1/../version",
               "/../../../../etc/passwd", "/..", "/./version", "/v1/processes?limit=%", "/v1/processes?limit=%zz",
               "/v1/processes?limit=%00", "/v1/processes?limit=%ff", "/v1/processes?%=1"):
    row("GET %s" % target, get(target), "400 invalid-path", SERVED)
for target in ("/nothing", "//", "//version", "/version/", "/v1//processes", "/VERSION", "/v1/processes/", "/;/version",
               "/version;x=1", "/version%2F", "/%2Fversion", "/v1%2Fprocesses", "/v1/processes/a/b"):
    row("GET %s" % target, get(target), "404 not-found", SERVED)
for target in ("/v1/processes/a%2Fb", "/v1/processes/%2e%2e%2fversion", "/v1/processes/a%5Cb", "/v1/processes/..%5cversion",
               "/v1/processes/a%252e", "/v1/processes/%0d%0aX:%20y", "/v1/processes/...", "/v1/processes/a+b", "/v1/processes/%C3%A9"):
    row("GET %s" % target, get(target), "404 process-not-found", SERVED)
for target in ("/version?", "/%76ersion", "/version?&&", "/v1/processes/%72oot"):
    row("GET %s" % target, get(target), "200", SERVED)
for target in ("/version?x", "/version?x=%0d%0a", "/version?=1", "/v1/processes?limit=1&limit=2", "/v1/processes?Limit=1",
               "/v1/processes?limit=+1", "/v1/processes?limit=0x1", "/v1/processes?limit=1;sort=pid", "/v1/processes?limit=1?"):
    row("GET %s" % target, get(target), "422 invalid-request", SERVED)

# ---- what comes back -------------------------------------------------------------------------------------------------

row("line ends in an id", get(fields="X-Request-Id: a%0d%0aSet-Cookie: b\r\n"), "200", SERVED, never=b"Set-Cookie")
row("an id with a quote", get(fields='X-Request-Id: a"b\r\n'), "200", SERVED, never=b'a"b')
row("an id that is too long", get(fields="X-Request-Id: %s\r\n" % ("q" * 129)), "200", SERVED, never=b"q" * 129)
row("line ends in a key", get("/v1/rate-limits/default/keys/a%0d%0aSet-Cookie:%20b"), "200", SERVED, never=b"\nSet-Cookie")
row("markup in a key", get("/v1/rate-limits/default/keys/%22%3E%3Cscript%3E"), "200", SERVED, never=b'""><',
    fields={"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"})
row("line ends in a name", get("/v1/rate-limits/a%0d%0aSet-Cookie:%20b"), "404 policy-not-found", SERVED, never=b"\nSet-Cookie")
row("line ends in the name of a header", get("/v1/rate-limits/default/gate/by-header/X%0d%0aSet-Cookie"), "400", SERVED,
    never=b"Set-Cookie")
row("line ends in a parameter", get("/v1/processes?limit=1&sort=a%0d%0aSet-Cookie:%20b"), "422 invalid-request", SERVED,
    never=b"\nSet-Cookie")
row("a trace that is not one", get(fields="traceparent: 00-%s-%s-01\r\n" % ("z" * 32, "z" * 16)), "200", SERVED, never=b"zzzz")

# ---- several at once -------------------------------------------------------------------------------------------------

row("a thousand requests at once", get("/healthz") * 1000, *["200"] * 1000, SERVED)
row("a refused one among good ones", get() + post(b"x", "") + get("/nothing") + get(),
    "200", "415 unsupported-media-type", "404 not-found", "200", SERVED)
row("a bad one behind a good one", get() + get(fields="X : y\r\n") + get(), "200", "400 bad-request", CLOSED)
row("a request hidden in a body", post(get(), ""), "415 unsupported-media-type", SERVED)
row("a request hidden in chunks", chunked(chunk(get()) + b"0\r\n\r\n"), "400 invalid-json", SERVED)
row("a request hidden behind a double length", post_head("Content-Length: 0\r\nContent-Length: 60\r\n", get()),
    "400 bad-request", CLOSED)

# ---- the same limits, set otherwise ----------------------------------------------------------------------------------
# Flags, and the rows judged by a service that runs with them.

rows, usual = [], rows

row("7 fields beside Host", get(fields="".join("X-%d: y\r\n" % i for i in range(7))), "200", SERVED)
row("8 fields beside Host", get(fields="".join("X-%d: y\r\n" % i for i in range(8))), "431 header-fields-too-large", CLOSED)
row("a head over 2048 bytes", get(fields="X: %s\r\n" % ("y" * 4000)), "431 -", CLOSED)
row("a target over 2048 bytes", get("/" + "a" * 4000), "414 -", CLOSED)
row("a body of 1024 bytes", post(GOOD.ljust(1024)), "404 process-not-found", SERVED)
row("a body of 1025 bytes", post(GOOD.ljust(1025)), "413 payload-too-large", SERVED)
row("chunks of 1024 bytes", chunked(chunk(GOOD.ljust(1024)) + b"0\r\n\r\n"), "404 process-not-found", SERVED)
row("chunks of 1025 bytes", chunked(chunk(GOOD.ljust(1025)) + b"0\r\n\r\n"), "413 payload-too-large", CLOSED)
json_row("4 levels", b"[[[[]]]]", "422 invalid-request")
json_row("5 levels", b"[[[[[]]]]]", "400 invalid-json")
json_row("100 values", b"[" + b"1," * 98 + b"1]", "422 invalid-request")
json_row("101 values", b"[" + b"1," * 99 + b"1]", "400 invalid-json")
small = ("--max-headers", "8", "--max-header-bytes", "2048", "--max-body-bytes", "1024", "--json-max-depth", "4",
         "--json-max-tokens", "100"), rows

rows = []
row("one request of three", get(), "200", SERVED)
row("two requests of three", get() * 2, "200", "200", SERVED)
row("three requests of three", get() * 3, "200", "200", "200", CLOSED)
row("a flood of requests", get() * 1000, "200", "200", "200", CLOSED)
row("a flood of bad ones", get("/nothing") * 1000, "404 not-found", "404 not-found", "404 not-found", CLOSED)
few = ("--max-keepalive-requests", "3"), rows

rows = usual
