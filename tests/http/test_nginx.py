#!/usr/bin/env python3
"""docker/examples/nginx.conf, run by a real nginx between clients, the service and an application."""
import contextlib
import os
import re

import support
from proxy import SLOW, Application, Proxy, free_port, program, sample

POLICIES = "/v1/rate-limits/"


def configuration(folder, ports, closed):
    """The sample with other ports, and temporary files in folder; closed: without the lines marked open."""
    text = sample("nginx.conf", ports)
    if closed:
        lines = text.splitlines(True)
        kept = [line for line in lines if not re.search(r"# open$", line)]
        assert len(kept) == len(lines) - 5, "the marks have changed"
        text = "".join(kept)
    own = "".join("    %s_temp_path %s;\n" % (kind, kind) for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = text.replace("http {\n", "http {\n" + own, 1)
    if os.geteuid() == 0:
        text = "user root;\n" + text  # else its workers are somebody who may not write here
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@contextlib.contextmanager
def nginx(service_port, closed=False):
    """Gives (nginx, the application behind it)."""
    with support.folder() as folder, Application() as application:
        port = free_port()
        path = configuration(folder, {"listen 8000": "listen 127.0.0.1:%d" % port, "127.0.0.1:8080": "127.0.0.1:%d" % service_port,
                                      "127.0.0.1:9000": "127.0.0.1:%d" % application.port}, closed)
        with Proxy(port, program("nginx"), "-p", folder, "-c", path, "-e", "stderr", "-g", "daemon off;",
                   folder=folder) as front:
            yield front, application


@contextlib.contextmanager
def limited(*args, **more):
    """Gives (service with slow policies, nginx, application)."""
    with support.Service() as service:
        for name in ("api", "default"):
            assert service.request("PUT", POLICIES + name, SLOW).status in (200, 201)
        with nginx(service.port, *args, **more) as (front, application):
            yield service, front, application


def refused(answer, policy):
    """A client that was refused learns so from 429 and the limiter's fields, each of which is there once."""
    assert answer.status == 429, answer
    assert answer.header("Retry-After") == "86400", answer.fields
    assert answer.header("RateLimit-Policy") == '"%s";q=3;w=259200' % policy, answer.fields
    assert answer.header("RateLimit") == '"%s";r=0;t=86400' % policy, answer.fields


def test_keys_are_admitted_until_their_limit():
    """By API key: three pass and learn what is left, the fourth is 429 and never reaches the application."""
    with limited() as (service, front, application):
        for left in (2, 1, 0):
            answer = front.get("/api/orders?page=1", X_Api_Key="blue")
            assert (answer.status, answer.body) == (200, b"/api/orders?page=1"), answer
            assert answer.header("RateLimit").startswith('"api";r=%d;' % left), answer.fields
            assert answer.header("RateLimit-Policy") == '"api";q=3;w=259200' and answer.header("Retry-After") is None
        refused(front.get("/api/orders", X_Api_Key="blue"), "api")
        assert front.get("/api/orders", X_Api_Key="green").status == 200
        assert len(application.seen) == 4
        assert service.get(POLICIES + "api/keys/key:blue").json()["remaining"] == 0


def test_addresses_are_admitted_until_their_limit():
    """By address: whatever the client says; and a call of the API without a key counts for its address too."""
    with limited() as (service, front, application):
        for _ in range(3):
            assert front.get("/", X_Api_Key="any", X_Limit_Key="ip:10.0.0.1", X_Forwarded_For="10.0.0.1").status == 200
        refused(front.get("/", X_Limit_Key="ip:10.0.0.1"), "default")
        assert len(application.seen) == 3
        for _ in range(3):
            assert front.get("/api/").status == 200
        refused(front.get("/api/"), "api")
        for policy in ("api", "default"):
            assert service.get(POLICIES + policy + "/keys/ip:127.0.0.1").json()["remaining"] == 0
        assert front.get("/api/", X_Api_Key="127.0.0.1").status == 200


def test_requests_arrive_whole():
    """Bodies go to the application and not to the limiter; the application's own 403 is no refusal of the limiter."""
    with limited() as (_, front, application):
        body = b"x" * 300000
        for method in ("POST", "PUT"):
            assert front.request(method, "/api/things", body, {"X-Api-Key": method}).status == 200
        assert application.seen == [("POST", "/api/things", body), ("PUT", "/api/things", body)]
        answer = front.get("/api/denied", X_Api_Key="blue")
        assert (answer.status, answer.body) == (403, b"/api/denied"), answer
        assert answer.header("RateLimit").startswith('"api";r=2;')


def test_keys_of_any_text():
    """Characters that mean something in addresses do no harm, a key is never two; 256 bytes are the most (500)."""
    with limited() as (_, front, _):
        for key in ("a&deny=404", "a b?c#d%41", "\u00fc".encode().decode("latin-1"), "k" * 252):
            for _ in range(3):
                assert front.get("/api/", X_Api_Key=key).status == 200, key
            refused(front.get("/api/", X_Api_Key=key), "api")
        assert front.get("/api/", X_Api_Key="k" * 253).status == 500


def test_without_the_limiter_requests_pass():
    """As the sample stands: when the limiter is down, and when it answers 503, requests pass without its fields."""
    with limited() as (service, front, application):
        for _ in range(3):
            assert front.get("/api/", X_Api_Key="blue").status == 200
        refused(front.get("/api/", X_Api_Key="blue"), "api")
        service.stop()
        for _ in range(5):
            answer = front.get("/api/", X_Api_Key="blue")
            assert answer.status == 200 and answer.header("RateLimit") is None, answer
        assert len(application.seen) == 8
        with support.Service(listen="127.0.0.1:%d" % service.port) as again:
            assert again.request("PUT", POLICIES + "api", SLOW).status == 201
            support.eventually(lambda: front.get("/api/", X_Api_Key="blue").status == 429, what="limits are back")


def test_a_full_limiter_lets_pass():
    """503 limiter-full is an outage too: new keys pass, known ones are limited as before."""
    with support.Service("--max-keys", "100") as service:
        assert service.request("PUT", POLICIES + "api", SLOW).status == 201
        for i in range(100):
            assert service.post("%sapi/keys/key:%d/check?cost=3" % (POLICIES, i)).status == 200
        with nginx(service.port) as (front, _):
            answer = front.get("/api/", X_Api_Key="new")
            assert answer.status == 200 and answer.header("RateLimit") is None, answer
            refused(front.get("/api/", X_Api_Key="7"), "api")


def test_without_the_limiter_requests_are_refused():
    """Without the lines marked open: limits as before, and 500 when the limiter is down."""
    with limited(closed=True) as (service, front, application):
        for _ in range(3):
            assert front.get("/api/", X_Api_Key="blue").status == 200
        refused(front.get("/api/", X_Api_Key="blue"), "api")
        service.stop()
        assert front.get("/api/", X_Api_Key="blue").status == 500
        assert len(application.seen) == 3


def test_the_limiter_is_not_reachable_from_outside():
    """The location that asks the limiter is internal."""
    with limited() as (_, front, _):
        assert front.get("/limit").status == 404


if __name__ == "__main__":
    support.main(globals())
