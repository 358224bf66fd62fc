"""Proxies in front of the service, for tests: the configurations of docker/examples with other ports, and an application.

The samples name three addresses: 8000 (where the proxy listens), 127.0.0.1:8080 (the service), 127.0.0.1:9000 (the
application). Here these become free ports, and nothing else is changed but what a test asks for."""
import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import threading

import support
from support import eventually

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docker", "examples")
DAY_MS = 24 * 3600 * 1000
SLOW = {"limit": 3, "refill": {"amount": 1, "every_ms": DAY_MS}}


def free_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


def program(name):
    """The path of a program that may be an administrator's."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert path, "%s is not installed; ./dev test would install it" % name
    return path


class Application:
    """An application behind the proxy that notes what it is asked, and answers its path with 200 (/denied with 403)."""

    def __init__(self):
        self.seen = []
        seen = self.seen

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append((self.command, self.path, body))
                self.send_response(403 if self.path.endswith("/denied") else 200)
                self.send_header("Content-Length", str(len(self.path)))
                self.end_headers()
                self.wfile.write(self.path.encode())

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(support.PATIENCE)


def sample(name, ports):
    """The text of a configuration of docker/examples, with ports = {"8000": ..., "127.0.0.1:8080": ...} put in."""
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
        text = file.read()
    for old, new in ports.items():
        assert old in text, "%s does not name %s" % (name, old)
        text = text.replace(old, new)
    return text


class Proxy:
    """A proxy that runs, given the command that keeps it in the foreground."""

    def __init__(self, port, *command, folder):
        self.port = port
        with open(os.path.join(folder, "output"), "wb") as output:
            self.process = subprocess.Popen(command, cwd=folder, env=support.environment({"HOME": folder}),
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.output = os.path.join(folder, "output")
        try:
            eventually(self.accepts, what="%s to listen" % command[0])
        except BaseException:
            self.stop()
            raise

    def accepts(self):
        assert self.process.poll() is None, self.words()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def words(self):
        with open(self.output, encoding="utf-8", errors="replace") as file:
            return file.read()

    def request(self, method, target, body=None, headers=None, host="shop.example"):
        with support.Connection(("127.0.0.1", self.port)) as connection:
            connection.send(support.compose(method, target, body, headers, host))
            answer = connection.read(head=method == "HEAD")
            assert answer is not None, "%s %s: no answer; %s" % (method, target, self.words())
            return answer

    def get(self, target, **headers):
        return self.request("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(support.PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
