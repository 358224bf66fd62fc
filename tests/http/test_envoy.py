#!/usr/bin/env python3
"""docker/examples/envoy.yaml without Envoy: its questions to the limiter, sent as Envoy sends them.

ext_authz sends its client's method, Host and length 0, the fields of allowed_headers and of headers_to_add, to path_prefix
with the client's path and query behind it. It lets pass on 200; 5xx is a failure of the limiter; anything else goes to the
client."""
import re

import proxy
import support
from proxy import SLOW

TARGETS = ("/", "/orders/7?page=1&key=x", "/a//b", "/..%2fx", "/%zz?%zz", "/?deny=200")


def setting(text, pattern):
    found = re.findall(pattern, text)
    assert len(found) == 1, (pattern, found)
    return found[0]


def asked(service, text, method, target, key, host="shop.example"):
    """What the limiter answers to the question that the sample makes of a client's request."""
    fields = {"Content-Length": "0", "Authorization": setting(text, r"key: authorization\n +value: (.*)")}
    if key is not None:
        fields[setting(text, r"\n +allowed_headers:\n +patterns:\n +- exact: (\S+)\n")] = key
    return service.request(method, setting(text, r"path_prefix: (\S+)") + target, headers=fields, host=host)


def test_questions_of_the_sample():
    """Any method, path and Host: 200 until the limit, then 429 with the fields that the sample hands on."""
    text = proxy.sample("envoy.yaml", {})
    token = setting(text, r"value: Bearer (\S+)")
    with support.Service("--client-token", token, "--admin-token", "admin") as service:
        answer = service.request("PUT", "/v1/rate-limits/default", SLOW, headers={"Authorization": "Bearer admin"})
        assert answer.status == 200, answer
        for number, method in enumerate(("GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND")):
            for target in TARGETS:
                key = "%d%s" % (number, target)
                for left in (2, 1, 0):
                    answer = asked(service, text, method, target, key)
                    assert (answer.status, answer.body) == (200, b""), (method, target, answer)
                    assert answer.header("RateLimit").startswith('"default";r=%d;' % left), answer.fields
                answer = asked(service, text, method, target, key)
                assert (answer.status, answer.body) == (429, b""), (method, target, answer)
                told = {name.lower() for name, _ in answer.fields}
                assert set(re.findall(r"exact: (r\S+)", text)) == {"retry-after", "ratelimit", "ratelimit-policy"} <= told
        assert asked(service, text, "GET", "/", None).status == 400


if __name__ == "__main__":
    support.main(globals())
