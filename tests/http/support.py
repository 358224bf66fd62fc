"""What the black-box tests share: starting the service, talking HTTP to it, waiting for things, counting results.

A test file defines functions named test_*, each with one sentence as its docstring, and ends with

    if __name__ == "__main__":
        support.main(globals())

It is called with the path of trouped. A function that takes an argument gets a service that all of them share (it runs
with the file's SERVICE_ARGS, if there are any); the others start their own. The last line printed is
"N passed, N failed"; the exit status is 1 when something failed. A test that this machine does not allow raises Skipped;
it is named with the reason, and counted neither way."""
import contextlib
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BINARY = None
PATIENCE = 30  # seconds: how long a test waits for what must come; never part of a claim


class Skipped(Exception):
    """What a test needs is not allowed or not there; the text says what."""


def eventually(check, seconds=PATIENCE, what=None):
    """Calls check until it gives something true, and returns that."""
    end = time.monotonic() + seconds
    pause = 0.002
    while True:
        last = check()
        if last:
            return last
        if time.monotonic() >= end:
            raise AssertionError("did not come true in %d s: %s" % (seconds, what or check))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


# ---- HTTP --------------------------------------------------------------------------------------------------------

class Response:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields  # (name, value) in order
        self.body = body

    def header(self, name):
        values = [value for field, value in self.fields if field.lower() == name.lower()]
        assert len(values) <= 1, "%s comes %d times" % (name, len(values))
        return values[0] if values else None

    def json(self):
        kind = self.header("Content-Type")
        assert kind in ("application/json", "application/problem+json"), "Content-Type is %s" % kind
        return json.loads(self.body.decode())

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:300])


class Connection:
    """A connection that sends what it is told and reads answers one by one."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """What the other side does not take any more is no failure: its answer may be there already."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def more(self):
        """Reads on; False at the end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.buffer += data
        return bool(data)

    def is_closed(self):
        """Waits for the other side's end, which must come without further bytes."""
        while self.more():
            pass
        assert self.buffer == b"", "unexpected: %r" % self.buffer[:200]
        return True

    def interim(self):
        """Takes a 100 Continue that must come next."""
        while b"\r\n\r\n" not in self.buffer and self.more():
            pass
        top, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        assert top == b"HTTP/1.1 100 Continue", top[:200]

    def read(self, head=False):
        """The next answer; None when the connection ends before one begins."""
        while True:
            while b"\r\n\r\n" not in self.buffer:
                if not self.more():
                    assert self.buffer == b"", "cut off: %r" % self.buffer[:200]
                    return None
            top, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            lines = top.decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
            if status != 100:
                break
        response = Response(status, fields, b"")
        if not head and status not in (204, 304):
            response.body = self.read_body(response)
        return response

    def read_body(self, response):
        length = response.header("Content-Length")
        assert length is not None, "an answer without Content-Length"
        while len(self.buffer) < int(length):
            assert self.more(), "the body is cut off"
        body, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        return body


def compose(method, target, body=None, headers=None, host="localhost"):
    """The bytes of a request. body: None, bytes, or what becomes JSON."""
    fields = {"Host": host}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        fields["Content-Type"] = "application/json"
    if body is not None:
        fields["Content-Length"] = str(len(body))
    for name, value in (headers or {}).items():
        fields[name] = value
    lines = ["%s %s HTTP/1.1" % (method, target)]
    lines += ["%s: %s" % (name, value) for name, value in fields.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def problem(response, status, code):
    """Checks an error's whole shape, and returns its document."""
    assert response.status == status, "%r instead of %d %s" % (response, status, code)
    assert response.header("Content-Type") == "application/problem+json", response.fields
    document = response.json()
    assert document["code"] == code, document
    assert document["type"] == "urn:troupe:problem:" + code, document
    assert document["status"] == status, document
    assert isinstance(document["title"], str) and document["title"], document
    assert isinstance(document["detail"], str) and document["detail"], document
    assert document["request_id"] == response.header("X-Request-Id"), document
    return document


def pointers(response):
    """The pointers of a 422."""
    document = problem(response, 422, "invalid-request")
    assert all(set(error) - {"in"} == {"pointer", "detail"} and error["detail"] for error in document["errors"]), document
    return sorted(error["pointer"] for error in document["errors"])


# ---- the service ---------------------------------------------------------------------------------------------------

def environment(extra=None):
    """This process's environment without any setting of the service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TROUPE_") and name != "API_KEY"}
    kept.update(extra or {})
    return kept


def run(*args, env=None, cwd=None):
    """Runs trouped to its end. Returns: the finished process, with text in stdout and stderr."""
    return subprocess.run([BINARY, *args], env=environment(env), cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False,
                          universal_newlines=True)


class Service:
    """A running trouped. Use it in a with statement: at the end it must stop with status 0."""

    def __init__(self, *args, listen="127.0.0.1:0", data=None, env=None, wait=True):
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="troupe-test-")
        self.lines = []
        self.lock = threading.Lock()
        command = [BINARY, "--data", self.data]
        command += ["--listen", listen] if listen else []
        self.process = subprocess.Popen(command + list(args), env=environment(env), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self.collect, daemon=True)
        self.reader.start()
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def collect(self):
        for line in self.process.stderr:
            with self.lock:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def log(self):
        with self.lock:
            return list(self.lines)

    def events(self, name):
        """The log lines of an event."""
        found = []
        for line in self.log():
            with contextlib.suppress(ValueError):
                document = json.loads(line)
                if isinstance(document, dict) and document.get("event") == name:
                    found.append(document)
        return found

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                self.reader.join(PATIENCE)
                raise AssertionError("ended with %d before it was ready:\n%s" % (self.process.returncode,
                                                                                "\n".join(self.log())))
            return self.events("service.ready")
        self.ready = eventually(ready, what="service.ready")[0]
        self.addresses = self.ready["address"].split(",")
        tcp = [address for address in self.addresses if address.startswith("http://")]
        self.port = int(tcp[0].rsplit(":", 1)[1]) if tcp else None

    def connect(self):
        return Connection(("127.0.0.1", self.port))

    def request(self, method, target, body=None, headers=None, host="localhost"):
        with self.connect() as connection:
            connection.send(compose(method, target, body, headers, host))
            response = connection.read(head=method == "HEAD")
            assert response is not None, "%s %s: no answer" % (method, target)
            return response

    def get(self, target, **more):
        return self.request("GET", target, **more)

    def post(self, target, body=None, **more):
        return self.request("POST", target, body, **more)

    def raw(self, data, count=1):
        """Sends bytes; the answers that come, at most count, and whether the connection was closed then."""
        answers = []
        with self.connect() as connection:
            connection.send(data)
            for _ in range(count):
                answer = connection.read()
                if answer is None:
                    return answers, True
                answers.append(answer)
            connection.socket.shutdown(socket.SHUT_WR)
            rest = connection.read()
            return answers + ([rest] if rest else []), True

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Waits for its end. Returns: the exit status."""
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return status

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait()
        self.remove_data()
        assert status == 0, "stopped with status %d:\n%s" % (status, "\n".join(self.log()[-40:]))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self.remove_data()

    def remove_data(self):
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self.process.returncode is None:
            self.stop()
        else:
            self.kill()

    # What many tests ask of the runtime.

    def find(self, name, **more):
        """A process by pid or name, as /v1/processes/{pid} shows it."""
        response = self.get("/v1/processes/" + name, **more)
        assert response.status == 200, response
        return response.json()

    def tree(self, **more):
        response = self.get("/v1/supervisors", **more)
        assert response.status == 200, response
        return response.json()


def nodes(tree):
    """All children below a supervisor, in the order of the document."""
    found = []
    waiting = list(tree["children"])
    while waiting:
        node = waiting.pop(0)
        found.append(node)
        waiting = node.get("children", []) + waiting
    return found


def node(tree, name):
    """The child with this id or name."""
    found = [one for one in nodes(tree) if name in (one["id"], one["name"])]
    assert len(found) == 1, "%s is %d times in the tree" % (name, len(found))
    return found[0]


def metric(service, name):
    """The value of a metric without labels."""
    for line in service.get("/metrics").body.decode().split("\n"):
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError("no metric " + name)


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="troupe-test-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# ---- results -------------------------------------------------------------------------------------------------------

def main(names):
    """Runs the test_* functions of a file; with more arguments, those whose names hold one of them."""
    global BINARY
    if len(sys.argv) < 2:
        sys.exit("usage: %s TROUPED [WORD...]" % sys.argv[0])
    BINARY = os.path.abspath(sys.argv[1])
    tests = [value for name, value in names.items() if name.startswith("test_") and callable(value)]
    tests = [test for test in tests if len(sys.argv) == 2 or any(word in test.__name__ for word in sys.argv[2:])]
    shared = None
    passed = failed = 0
    for test in tests:
        try:
            if not inspect.signature(test).parameters:
                test()
            else:
                if shared is None or shared.process.poll() is not None:
                    shared = Service(*names.get("SERVICE_ARGS", ()))
                test(shared)
            passed += 1
        except Skipped as reason:
            print("SKIPPED %s: %s" % (test.__name__, reason))
        except Exception:  # noqa: what a test throws is its result
            failed += 1
            print("FAILED %s: %s" % (test.__name__, (test.__doc__ or "").strip()))
            traceback.print_exc(file=sys.stdout)
            if shared is not None and shared.process.poll() is not None:
                print("the shared service has ended with %s:\n%s" % (shared.process.returncode, "\n".join(shared.log()[-20:])))
    if shared is not None:
        try:
            shared.stop()
        except Exception:
            failed += 1
            print("FAILED: the shared service did not stop as it should")
            traceback.print_exc(file=sys.stdout)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed or not passed else 0)
