#!/usr/bin/env python3
"""The YAML of this repository as a parser sees it: the description, the compose file, Envoy's sample."""
import json
import os

import support
import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def load(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return yaml.safe_load(file)


def test_description(service):
    """The YAML that is served is openapi.yaml, and means what the JSON says."""
    assert yaml.safe_load(service.get("/openapi.yaml").body.decode()) == load("openapi.yaml")
    assert load("openapi.yaml") == service.get("/openapi.json").json()


def test_compose():
    """One service on loopback, bounded, with a volume where the image keeps its data."""
    document = load("docker", "compose.yaml")
    (service,) = document["services"].values()
    assert service["ports"] == ["127.0.0.1:8080:8080"] and service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["mem_limit"] and service["pids_limit"]
    (volume,) = service["volumes"]
    assert volume.split(":") == [list(document["volumes"])[0], "/data"]
    assert os.path.samefile(os.path.join(ROOT, "docker", service["build"]["context"]), ROOT)
    assert os.path.exists(os.path.join(ROOT, service["build"]["dockerfile"]))


def named(document, kind):
    """The configurations of a type, wherever they are."""
    if isinstance(document, dict):
        if document.get("@type", "").endswith("." + kind):
            yield document
        for value in document.values():
            yield from named(value, kind)
    elif isinstance(document, list):
        for value in document:
            yield from named(value, kind)


def test_envoy():
    """The sample asks before it routes, its clusters are there, and the path it asks is one of the description."""
    document = load("docker", "examples", "envoy.yaml")
    resources = document["static_resources"]
    clusters = {cluster["name"] for cluster in resources["clusters"]}
    (manager,) = named(document, "HttpConnectionManager")
    assert [one["name"].rsplit(".", 1)[1] for one in manager["http_filters"]] == ["ext_authz", "router"]
    (ask,) = named(document, "ExtAuthz")
    assert {ask["http_service"]["server_uri"]["cluster"]} | {
        route["route"]["cluster"] for host in manager["route_config"]["virtual_hosts"] for route in host["routes"]} == clusters
    policy, header = "default", ask["allowed_headers"]["patterns"][0]["exact"]
    path = "/v1/rate-limits/{policy}/gate/envoy/{header}"
    assert path in load("openapi.yaml")["paths"]
    assert ask["http_service"]["path_prefix"] == path.format(policy=policy, header=header)
    assert json.dumps(document).count("127.0.0.1") == 3


if __name__ == "__main__":
    support.main(globals())
