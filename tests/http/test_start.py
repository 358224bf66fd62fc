#!/usr/bin/env python3
"""Starting and stopping: settings and their layers, exit statuses, listeners, readiness, the drain."""
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading

import support
from support import compose, eventually, problem

OK, UNHEALTHY, BAD_SETTINGS, BROKEN, STORAGE = 0, 1, 64, 70, 74


def effective(*args, env=None):
    """The settings that --check-config shows."""
    done = support.run("--check-config", *args, env=env)
    assert done.returncode == OK, done.stderr
    return json.loads(done.stdout)


def refused(*args, env=None, words=()):
    """Starts with bad settings: exit 64, one clear line on stderr, and at once."""
    with support.folder() as data:
        done = support.run("--data", data, *args, env=env)
    assert done.returncode == BAD_SETTINGS, (args, env, done)
    plain = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(plain) == 1, done.stderr
    for word in words:
        assert word in plain[0], (word, plain[0])
    return plain[0]


def config_file(folder, settings):
    path = os.path.join(folder, "settings.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(settings if isinstance(settings, str) else json.dumps(settings))
    return path


# ---- settings ------------------------------------------------------------------------------------------------------

def test_layers():
    """Built in < file < environment < flag."""
    with support.folder() as folder:
        path = config_file(folder, {"request_timeout_ms": 1000, "log_level": "warn", "max_keys": 5})
        env = {"TROUPE_REQUEST_TIMEOUT_MS": "2000", "TROUPE_LOG_LEVEL": "error"}
        assert effective()["request_timeout_ms"] == 5000
        assert effective("--config", path)["request_timeout_ms"] == 1000
        assert effective("--config", path, env=env)["request_timeout_ms"] == 2000
        shown = effective("--config", path, "--request-timeout-ms", "3000", env=env)
        assert (shown["request_timeout_ms"], shown["log_level"], shown["max_keys"]) == (3000, "error", 5)
        assert effective("--request-timeout-ms=3001")["request_timeout_ms"] == 3001
        assert effective(env={"TROUPE_CONFIG": path})["max_keys"] == 5


def test_lists():
    """Lists are commas in the environment and repeated flags; a later layer's list replaces an earlier one."""
    two = "127.0.0.1:1001,127.0.0.1:1002"
    assert effective(env={"TROUPE_LISTEN": two})["listen"] == two.split(",")
    shown = effective("--listen", "127.0.0.1:1003", "--listen", "[::1]:1004", env={"TROUPE_LISTEN": two})
    assert shown["listen"] == ["127.0.0.1:1003", "[::1]:1004"]


def test_named_sources():
    """A named --source replaces only that source."""
    built_in = {text.split("=", 1)[0]: text for text in effective()["source"]} if isinstance(
        effective()["source"], list) else effective()["source"]
    shown = effective("--source", "user=http://127.0.0.1:1/{user_id}")["source"]
    shown = {text.split("=", 1)[0]: text for text in shown} if isinstance(shown, list) else shown
    assert set(shown) == set(built_in) and len(shown) == 3
    assert "127.0.0.1:1" in shown["user"] and shown["preferences"] == built_in["preferences"]


def test_booleans():
    """Booleans are true or false."""
    assert effective(env={"TROUPE_ENABLE_DRILLS": "true"})["enable_drills"] is True
    assert effective("--enable-drills")["enable_drills"] is True
    for word in ("yes", "1", "TRUE", ""):
        refused(env={"TROUPE_ENABLE_DRILLS": word})


def test_bad_settings():
    """Unknown and bad settings are exit 64 with a clear line, in every layer."""
    refused("--no-such-setting", "1", words=["no-such-setting"])
    refused("--workers", "many", words=["workers"])
    refused("--workers", "-1", words=["workers"])
    refused("--workers", words=["workers"])
    refused("--request-timeout-ms", "0", words=["request-timeout-ms"])
    refused("--log-level", "loud", words=["log-level"])
    refused("--listen", "nonsense", words=["listen"])
    refused("--listen", "127.0.0.1:99999", words=["listen"])
    refused("surplus", words=["surplus"])
    refused(env={"TROUPE_NO_SUCH_SETTING": "1"}, words=["TROUPE_NO_SUCH_SETTING"])
    refused(env={"TROUPE_WORKERS": "many"}, words=["TROUPE_WORKERS"])
    refused("--config", "/no/such/file", words=["/no/such/file"])
    with support.folder() as folder:
        for settings in ({"no_such": 1}, {"workers": "2"}, {"workers": 1.5}, {"listen": [1]}, [], "{", '{"workers":1,"workers":2}'):
            refused("--config", config_file(folder, settings), words=["settings.json"])


def test_check_config_starts_nothing():
    """--check-config judges the settings as a start would, writes no data, and shows no secret."""
    with support.folder() as folder:
        data = os.path.join(folder, "data")
        done = support.run("--check-config", "--data", data, "--admin-token", "very-secret")
        assert done.returncode == OK and "very-secret" not in done.stdout + done.stderr
        assert not os.path.exists(data)
        assert support.run("--check-config", "--workers", "x").returncode == BAD_SETTINGS
        # what it shows is a settings file again
        shown = effective("--max-keys", "77")
        path = config_file(folder, {name: value for name, value in shown.items() if value is not None})
        assert effective("--config", path) == shown


def test_version_and_help():
    """--version and --help answer on stdout with status 0; help names the settings of the contract."""
    done = support.run("--version")
    assert done.returncode == OK and re.search(r"\d+\.\d+\.\d+", done.stdout)
    done = support.run("--help")
    assert done.returncode == OK
    for flag in ("--listen", "--data", "--workers", "--log-level", "--access-log", "--client-token", "--admin-token",
                 "--allow-anonymous", "--max-keys", "--gateway", "--source", "--env-file", "--allow-private-addresses",
                 "--enable-drills", "--fault-limit", "--config", "--check-config", "--version", "--healthcheck"):
        assert flag in done.stdout, flag


def test_manual_page():
    """--help-man is a page that roff renders without a warning (where groff is installed), nothing hidden as a request."""
    done = support.run("--help-man")
    assert done.returncode == OK and ".TH TROUPED 1" in done.stdout
    requests = {line.split(" ")[0] for line in done.stdout.splitlines() if line.startswith((".", "'"))}
    assert requests <= {'.\\"', ".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".BR", ".br", ".nh", ".ad", ".in", ".EX", ".EE"}, requests
    if shutil.which("groff"):
        page = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", "-ww"], input=done.stdout.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=support.PATIENCE, check=True)
        assert page.stderr == b"", page.stderr
        assert b"--max-keys" in page.stdout and b"TROUPE_MAX_KEYS" in page.stdout


# ---- listening -----------------------------------------------------------------------------------------------------

def test_ready_line():
    """service.ready comes with the addresses, and then every listener accepts."""
    with support.Service("--listen", "127.0.0.2:0", "--listen", "[::1]:0") as service:
        assert len(service.addresses) == 3, service.ready
        ports = [int(address.rsplit(":", 1)[1]) for address in service.addresses]
        assert len(set(ports)) == 3 and 0 not in ports
        for port, host in zip(ports, ("127.0.0.1", "127.0.0.2", "::1")):
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
                client.settimeout(support.PATIENCE)
                client.connect((host, port))
                client.sendall(compose("GET", "/healthz"))
                assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert service.ready["level"] == "info" and re.fullmatch(r"\d{4}-.*T.*\.\d{3}Z", service.ready["ts"])
    for line in service.log():
        assert isinstance(json.loads(line), dict), line


def test_address_in_use():
    """An address that somebody holds is exit 64, also when the holder set SO_REUSEPORT."""
    for reuse in (False, True):
        with socket.socket() as holder:
            if reuse:
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            address = "127.0.0.1:%d" % holder.getsockname()[1]
            refused("--listen", address, words=[address])
    with support.Service() as service:
        refused("--listen", "127.0.0.1:%d" % service.port, words=[str(service.port)])
        assert service.get("/healthz").status == 200


def test_the_port_is_free_at_once_again():
    """After a stop the same address can be listened on at once, although connections linger."""
    with support.Service() as service:
        port = service.port
        with service.connect() as connection:
            connection.send(compose("GET", "/version"))
            assert connection.read().status == 200
            service.stop()
    with support.Service(listen="127.0.0.1:%d" % port) as service:
        assert service.port == port and service.get("/version").status == 200


def test_strangers_need_tokens():
    """A listener that is not loopback needs tokens or --allow-anonymous; with tokens they are asked for."""
    refused("--listen", "0.0.0.0:0", words=["0.0.0.0"])
    refused("--listen", "127.0.0.1:0", "--listen", "[::]:0", words=["[::]"])
    with support.Service("--allow-anonymous", listen="0.0.0.0:0") as service:
        assert service.get("/version", host="anything.example").status == 200
    with support.Service("--admin-token", "t", listen="0.0.0.0:0") as service:
        assert service.get("/version").status == 401
        assert service.get("/version", headers={"Authorization": "Bearer t"}).status == 200


def test_an_open_listener_is_announced():
    """Where strangers need no token, one warning says so and how to change it; elsewhere nothing is said."""
    def notices(*args, listen):
        with support.Service(*args, listen=listen) as service:
            return [line for line in service.events("listener.opened") if line["level"] == "warn"]
    found = notices("--allow-anonymous", "--listen", "127.0.0.1:0", listen="0.0.0.0:0")
    assert [line["address"] for line in found] == ["0.0.0.0:0"], found
    for name in ("TROUPE_ADMIN_TOKEN", "TROUPE_CLIENT_TOKEN"):
        assert name in found[0]["notice"], found
    assert notices("--allow-anonymous", listen="127.0.0.1:0") == []
    assert notices("--allow-anonymous", "--client-token", "t", listen="0.0.0.0:0") == []


def test_unix_listener():
    """unix:/path listens on a socket file: open without tokens, taken over when stale, removed at the stop."""
    with support.folder() as folder:
        path = os.path.join(folder, "troupe.sock")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        with support.Service(listen="unix:" + path) as service:
            assert stat.S_ISSOCK(os.stat(path).st_mode) and path in service.ready["address"]
            for _ in range(10):
                with support.Connection(path) as connection:
                    connection.send(compose("GET", "/version") + compose("GET", "/v1/supervisors"))
                    assert connection.read().status == 200
                    assert connection.read().status == 200
            with support.Connection(path) as connection:
                connection.send(compose("GET", "/version", host="evil.example"))
                problem(connection.read(), 403, "foreign-host")
            refused("--listen", "unix:" + path, words=[path])
            assert os.path.exists(path)
        assert not os.path.exists(path)
        ordinary = os.path.join(folder, "file")
        with open(ordinary, "w", encoding="utf-8") as file:
            file.write("mine")
        refused("--listen", "unix:" + ordinary, words=[ordinary])
        with open(ordinary, encoding="utf-8") as file:
            assert file.read() == "mine"


def test_data_directory():
    """The data directory is made; one running service a directory; one that cannot be used is exit 74."""
    with support.folder() as folder:
        data = os.path.join(folder, "deep")
        with support.Service(data=data) as service:
            assert os.path.isdir(data)
            second = support.run("--data", data, "--listen", "127.0.0.1:0")
            assert second.returncode == BAD_SETTINGS and data in second.stderr, second
            assert "in use by process %d\n" % service.process.pid in second.stderr, second
            assert service.get("/healthz").status == 200
        with support.Service(data=data) as service:
            assert service.get("/healthz").status == 200
        file = os.path.join(folder, "file")
        with open(file, "w", encoding="utf-8"):
            pass
        done = support.run("--data", file, "--listen", "127.0.0.1:0")
        assert done.returncode == STORAGE and file in done.stderr, done


def test_token_files():
    """Tokens may come from files, one a line."""
    with support.folder() as folder:
        path = os.path.join(folder, "tokens")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# the office\nfirst\n\nsecond\n")
        with support.Service("--admin-token-file", path) as service:
            for token, status in (("first", 200), ("second", 200), ("# the office", 401), ("third", 401)):
                assert service.get("/v1/processes", headers={"Authorization": "Bearer " + token}).status == status


def test_workers():
    """--workers says how many cores there are."""
    for count in (1, 3):
        with support.Service("--workers", str(count)) as service:
            assert service.ready["workers"] == count
            assert len(support.node(service.tree(), "http.sup")["children"]) == count
            for _ in range(10):
                assert service.get("/version").status == 200


def test_healthcheck():
    """--healthcheck is 0 against a running service and 1 against none."""
    with support.Service() as service:
        address = "127.0.0.1:%d" % service.port
        assert support.run("--healthcheck", "--listen", address).returncode == OK
        service.stop()
        done = support.run("--healthcheck", "--listen", address)
        assert done.returncode == UNHEALTHY and done.stderr, done
    with support.folder() as folder:
        path = "unix:" + os.path.join(folder, "troupe.sock")
        with support.Service(listen=path):
            assert support.run("--healthcheck", "--listen", path).returncode == OK


def test_log_file():
    """--log-file takes the log instead of stderr; SIGHUP opens it anew."""
    with support.folder() as folder:
        path = os.path.join(folder, "log")

        def events(name):
            if not os.path.exists(name):
                return []
            with open(name, encoding="utf-8") as file:
                return [json.loads(line)["event"] for line in file if line.endswith("\n")]
        with support.Service("--log-file", path, wait=False) as service:
            eventually(lambda: "service.ready" in events(path), what="service.ready in the file")
            os.rename(path, path + ".1")
            service.signal(signal.SIGHUP)
            eventually(lambda: os.path.exists(path), what="a new file")
            service.stop()
        assert "service.stopped" in events(path)
        assert service.log() == []


# ---- stopping ------------------------------------------------------------------------------------------------------

def hold_a_request(service, connection):
    """Sends a request that stays in work until http.sup is resumed. Returns: a second connection, to resume with."""
    assert service.post("/v1/processes/http.sup/suspend").status == 200
    connection.send(compose("GET", "/v1/supervisors"))
    eventually(lambda: any(item["label"] == "/v1/supervisors" for item in
                           service.get("/v1/processes?limit=500").json()["items"]), what="the request's process")


def test_stop():
    """SIGTERM and SIGINT stop an idle service with status 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with support.Service() as service:
            idle = service.connect()
            service.get("/version")
            service.signal(number)
            assert service.wait() == OK
            idle.close()
        names = [json.loads(line)["event"] for line in service.log()]
        assert names.index("drain.started") < names.index("service.drained") < names.index("service.stopped"), names


def test_drain():
    """While it drains: /readyz is 503, what is in work is finished, connections are closed after their answer; exit 0."""
    with support.Service("--drain-timeout-ms", "30000", "--request-timeout-ms", "30000") as service:
        with service.connect() as connection, service.connect() as kept:
            kept.send(compose("GET", "/readyz"))
            assert kept.read().status == 200
            hold_a_request(service, connection)
            service.signal(signal.SIGTERM)
            eventually(lambda: service.events("drain.started"), what="drain.started")
            kept.send(compose("GET", "/readyz"))
            answer = kept.read()
            assert answer.status == 503, answer
            document = answer.json()
            assert document["status"] == "unavailable" and [c for c in document["checks"] if not c["ok"]], document
            assert answer.header("Connection") == "close" and kept.is_closed()
            fresh = service.get("/readyz")  # probes still get through
            assert fresh.status == 503 and service.get("/healthz").status == 200
            assert service.process.poll() is None
            assert service.post("/v1/processes/http.sup/resume").status == 200
            answer = connection.read()
            assert answer.status == 200 and answer.json()["name"] == "root", answer
            assert answer.header("Connection") == "close" and connection.is_closed()
        assert service.wait() == OK
    drained = service.events("service.drained")
    assert drained and drained[0].get("left_in_flight", 0) == 0


def test_drain_time_is_limited():
    """A request that does not end holds the stop up no longer than drain_timeout_ms."""
    with support.Service("--drain-timeout-ms", "300", "--request-timeout-ms", "600000") as service:
        with service.connect() as connection:
            hold_a_request(service, connection)
            service.signal(signal.SIGTERM)
            assert service.process.wait(support.PATIENCE) is not None


def test_second_signal():
    """A second signal ends a drain at once."""
    with support.Service("--drain-timeout-ms", "600000", "--request-timeout-ms", "600000") as service:
        with service.connect() as connection:
            hold_a_request(service, connection)
            service.signal(signal.SIGTERM)
            eventually(lambda: service.events("drain.started"), what="drain.started")
            service.signal(signal.SIGTERM)
            assert service.wait() not in (OK, BROKEN, STORAGE)


def test_stop_under_load():
    """While clients go on asking, a stop answers what it took, and ends with 0."""
    with support.Service() as service:
        halt = threading.Event()
        bad = []

        def ask():
            while not halt.is_set():
                try:
                    with service.connect() as connection:
                        connection.send(compose("GET", "/v1/processes?limit=5"))
                        answer = connection.read()
                        # what comes when all is closing is told so
                        if answer is not None and answer.status != 200:
                            problem(answer, 503, "unavailable")
                except ConnectionError:
                    pass  # refused or cut before it was taken
                except AssertionError as error:
                    bad.append(error)
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        first = service.get("/metrics")
        eventually(lambda: len(service.get("/metrics").body) > 0 and first.status == 200)
        service.signal(signal.SIGTERM)
        status = service.wait()
        halt.set()
        for thread in threads:
            thread.join()
        assert status == OK and not bad, (status, bad[:3])


def test_killed_and_started_again():
    """After kill -9 it starts again with the same data."""
    with support.folder() as folder:
        for _ in range(2):
            with support.Service(data=folder) as service:
                service.process.kill()
                assert service.wait() == -signal.SIGKILL
        with support.Service(data=folder) as service:
            assert service.get("/readyz").status == 200


if __name__ == "__main__":
    support.main(globals())
