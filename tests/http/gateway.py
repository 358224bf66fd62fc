"""The fake gateway (tests/gateway/fake_gateway.py) as tests use it: started, told to misbehave, and its ledger read."""
import http.client
import json
import os
import subprocess
import sys

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "gateway", "fake_gateway.py")


class Gateway:
    """A running fake gateway. Use it in a with statement."""

    def __init__(self, ledger, token=None, port=0):
        command = [sys.executable, "-B", PROGRAM, "--ledger", ledger, "--port", str(port)]
        self.path = ledger
        self.process = subprocess.Popen(command + (["--token", token] if token else []), stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.url = "http://127.0.0.1:%d" % self.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def control(self, method="POST", **switch):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, "/control", json.dumps(switch))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def next(self, kind, times=1, **switch):
        self.control(kind=kind, times=times, **switch)

    def counts(self):
        return self.control("GET")

    def ledger(self, payment=None):
        with open(self.path, encoding="utf-8") as file:
            entries = [json.loads(line) for line in file]
        return [entry for entry in entries if payment in (None, entry["payment"])]

    def applied(self, payment, kind=None):
        return [entry for entry in self.ledger(payment) if entry["result"] == "applied" and kind in (None, entry["kind"])]
