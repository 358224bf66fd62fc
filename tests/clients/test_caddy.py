#!/usr/bin/env python3
"""docker/examples/Caddyfile, run by a real Caddy between clients, the service and an application."""
import contextlib
import os

import support
from proxy import SLOW, Application, Proxy, free_port, program, sample

POLICIES = "/v1/rate-limits/"


@contextlib.contextmanager
def limited():
    """Gives (service with slow policies, Caddy, application)."""
    with support.Service() as service, Application() as application, support.folder() as folder:
        for name in ("api", "default"):
            assert service.request("PUT", POLICIES + name, SLOW).status in (200, 201)
        port = free_port()
        path = os.path.join(folder, "Caddyfile")
        with open(path, "w", encoding="utf-8") as file:
            file.write(sample("Caddyfile", {"\n:8000 {": "\nhttp://127.0.0.1:%d, http://shop.example:%d {" % (port, port),
                                            "127.0.0.1:8080": "127.0.0.1:%d" % service.port,
                                            "127.0.0.1:9000": "127.0.0.1:%d" % application.port}))
        with Proxy(port, program("caddy"), "run", "--adapter", "caddyfile", "--config", path, folder=folder) as front:
            yield service, front, application


def refused(answer, policy):
    """A client that was refused gets the limiter's answer."""
    assert answer.status == 429, answer
    assert answer.header("Retry-After") == "86400", answer.fields
    assert answer.header("RateLimit-Policy") == '"%s";q=3;w=259200' % policy, answer.fields
    assert answer.header("RateLimit") == '"%s";r=0;t=86400' % policy, answer.fields


def test_keys_are_admitted_until_their_limit():
    """By API key: three pass and learn what is left, the fourth is 429; without a key 400."""
    with limited() as (service, front, application):
        for left in (2, 1, 0):
            answer = front.get("/api/orders?page=1", X_Api_Key="blue")
            assert (answer.status, answer.body) == (200, b"/api/orders?page=1"), answer
            assert answer.header("RateLimit").startswith('"api";r=%d;' % left), answer.fields
        refused(front.get("/api/orders", X_Api_Key="blue"), "api")
        assert front.get("/api/orders").status == 400
        assert len(application.seen) == 3
        assert service.get(POLICIES + "api/keys/blue").json()["remaining"] == 0


def test_addresses_are_admitted_until_their_limit():
    """By address, whatever the client says."""
    with limited() as (service, front, application):
        for _ in range(3):
            assert front.get("/", X_Limit_Key="10.0.0.1", X_Forwarded_For="10.0.0.1").status == 200
        refused(front.get("/", X_Limit_Key="10.0.0.1"), "default")
        assert len(application.seen) == 3
        assert service.get(POLICIES + "default/keys/127.0.0.1").json()["remaining"] == 0


def test_requests_arrive_whole():
    """Bodies go to the application; its own errors are its own."""
    with limited() as (_, front, application):
        body = b"x" * 300000
        for method in ("POST", "PUT"):
            assert front.request(method, "/api/things", body, {"X-Api-Key": method}).status == 200
        assert application.seen == [("POST", "/api/things", body), ("PUT", "/api/things", body)]
        assert front.get("/api/denied", X_Api_Key="blue").status == 403


def test_without_the_limiter_requests_are_refused():
    """As the sample stands: 502 when the limiter is down."""
    with limited() as (service, front, application):
        assert front.get("/", X_Api_Key="blue").status == 200
        service.stop()
        assert front.get("/", X_Api_Key="blue").status == 502
        assert len(application.seen) == 1


if __name__ == "__main__":
    support.main(globals())
