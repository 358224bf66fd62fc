"""The settings file and --env-file: a change of them is taken by itself, however it was made; a bad file changes nothing."""
import json
import os

import support
from support import eventually, folder

ROOT = "/v1/config"


def value(service, key):
    response = service.get(ROOT)
    return response.json()["values"].get(key)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def settings(**config):
    return json.dumps({"config": config})


def replace(path, text):
    """As editors do: a new file is renamed over the old one."""
    write(path + ".new", text)
    os.replace(path + ".new", path)


def reloads(service, result):
    for line in service.get("/metrics").body.decode().split("\n"):
        if line.startswith('troupe_config_reloads_total{result="%s"}' % result):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError("no such metric")


def taken(service, key, wanted):
    eventually(lambda: value(service, key) == wanted, what="%s = %r" % (key, wanted))


def test_file_is_replaced_and_written():
    """Renamed over, twice (the second file is another inode), then written in place; overrides stay."""
    with folder() as where:
        path = os.path.join(where, "s.json")
        write(path, settings(timeout=1))
        with support.Service("--config", path) as service:
            assert service.request("PUT", ROOT + "/retry_attempts", {"value": 9}).status == 200
            for wanted in (2, 3):
                replace(path, settings(timeout=wanted, retry_attempts=1))
                taken(service, "timeout", wanted)
            write(path, settings(timeout=4))
            taken(service, "timeout", 4)
            assert value(service, "retry_attempts") == 9


def test_link_is_swapped():
    """As Kubernetes does it: s.json -> ..data/s.json, and ..data is renamed over."""
    with folder() as where:
        for name, wanted in (("v1", 1), ("v2", 2), ("v3", 3)):
            os.mkdir(os.path.join(where, name))
            write(os.path.join(where, name, "s.json"), settings(timeout=wanted))
        os.symlink("v1", os.path.join(where, "..data"))
        path = os.path.join(where, "s.json")
        os.symlink("..data/s.json", path)
        with support.Service("--config", path) as service:
            assert value(service, "timeout") == 1
            for name, wanted in (("v2", 2), ("v3", 3)):
                os.symlink(name, os.path.join(where, "..next"))
                os.replace(os.path.join(where, "..next"), os.path.join(where, "..data"))
                taken(service, "timeout", wanted)


def test_bad_file():
    """Truncated: the values stay, it is logged once and counted; the next good one is taken."""
    with folder() as where:
        path = os.path.join(where, "s.json")
        write(path, settings(timeout=1))
        with support.Service("--config", path) as service:
            good = settings(timeout=2)
            replace(path, good[:len(good) // 2])
            eventually(lambda: reloads(service, "failed") == 1)
            assert value(service, "timeout") == 1
            os.utime(os.path.join(where))  # events without a change
            write(os.path.join(where, "neighbour"), "x")
            replace(path, settings(timeout=3))
            taken(service, "timeout", 3)
            assert len(service.events("config.reload_failed")) == 1, service.events("config.reload_failed")
            assert reloads(service, "failed") == 1


def test_file_that_comes_back():
    """Gone is bad (the values stay); back, also with its folder, is taken."""
    with folder() as where:
        inner = os.path.join(where, "inner")
        os.mkdir(inner)
        path = os.path.join(inner, "s.json")
        write(path, settings(timeout=1))
        with support.Service("--config", path) as service:
            os.unlink(path)
            eventually(lambda: reloads(service, "failed") == 1)
            assert value(service, "timeout") == 1
            write(path, settings(timeout=2))
            taken(service, "timeout", 2)
            os.unlink(path)
            os.rmdir(inner)
            eventually(lambda: reloads(service, "failed") == 2)
            os.mkdir(inner)
            write(path, settings(timeout=3))
            taken(service, "timeout", 3)
            replace(path, settings(timeout=4))
            taken(service, "timeout", 4)


def test_burst_and_env_file():
    """Many changes within a moment are few reloads; the last one is what holds."""
    with folder() as where:
        path = os.path.join(where, "env")
        write(path, "TROUPE_CONFIG_COLOUR=first\n")
        with support.Service("--env-file", path) as service:
            for i in range(200):
                replace(path, "TROUPE_CONFIG_COLOUR=c%d\n" % i)
            taken(service, "colour", "c199")
            assert reloads(service, "done") < 20, reloads(service, "done")


if __name__ == "__main__":
    support.main(globals())
