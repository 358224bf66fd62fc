"""kill -9 under load, again and again on one data directory: what a client can prove to be saved is never given back.

The proof needs no clock. A round of saving that began after an answer has saved what the answer took, and rounds follow
each other: when /metrics says `saves` after the answer and `saves + 2` later, the last of these rounds began after it.
Used small by test_durability.py and large by ../bench/durability.py."""
import http.client
import random
import threading
import time

import support
from support import eventually, metric

ROOT = "/v1/rate-limits"
LIMIT = 1000000
SLOW = {"limit": LIMIT, "refill": {"amount": 1, "every_ms": 86400000}}  # less than a token comes back in a test
KEYS = 8
SAVES = "troupe_rate_limit_saves_total"


class Taker(threading.Thread):
    """Takes from one key over one connection until the service dies."""

    def __init__(self, port, key):
        super().__init__(daemon=True)
        self.port, self.key = port, key
        self.sent = self.told = 0
        self.refused = None

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=support.PATIENCE)
        target = "%s/slow/keys/%s/check" % (ROOT, self.key)
        try:
            while True:
                self.sent += 1
                connection.request("POST", target, headers={"Host": "localhost"})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    self.refused = response.status
                    return
                self.told += 1
        except (OSError, http.client.HTTPException):
            connection.close()


class Writer(threading.Thread):
    """Replaces one policy with ever larger limits until the service dies."""

    def __init__(self, service, limit):
        super().__init__(daemon=True)
        self.service, self.sent, self.told, self.error = service, limit, limit, None

    def run(self):
        try:
            while True:
                self.sent += 1
                body = {"limit": self.sent, "refill": {"amount": 1, "every_ms": 1000}}
                response = self.service.request("PUT", ROOT + "/counted", body)
                assert response.status in (200, 201), response
                self.told = self.sent
        except (OSError, AssertionError) as error:
            # The answer that was cut off by the kill; any other is a fault that the check after it finds.
            self.error = error


class Proof:
    """What was told before which round, and so what is saved for certain by now."""

    def __init__(self, service, takers):
        self.service, self.takers = service, takers
        self.noted = []
        self.proven = {taker.key: 0 for taker in takers}

    def look(self):
        """Returns: by key, how many of the takes told so far are saved for certain."""
        told = {taker.key: taker.told for taker in self.takers}  # before the number of rounds is read
        saves = metric(self.service, SAVES)
        self.noted.append((saves, told))
        while self.noted and self.noted[0][0] + 2 <= saves:
            self.proven = self.noted.pop(0)[1]
        return self.proven


def remaining(service, key):
    response = service.get("%s/slow/keys/%s" % (ROOT, key))
    assert response.status == 200, response
    return response.json()["remaining"]


def live_once(service, taken, limit, chance):
    """One life under load, ended by kill -9 at a random moment. Returns: (least, most) taken by key, the writer."""
    takers = [Taker(service.port, key) for key in taken]
    writer = Writer(service, limit)
    for thread in takers + [writer]:
        thread.start()
    proof = Proof(service, takers)
    eventually(lambda: min(proof.look().values()) > 0, what="levels are saved")
    end = time.monotonic() + chance.uniform(0, 0.5)
    while time.monotonic() < end:
        proof.look()
    service.process.kill()
    service.wait()
    for thread in takers + [writer]:
        thread.join(support.PATIENCE)
        assert not thread.is_alive()
    assert not [taker.refused for taker in takers if taker.refused], [taker.refused for taker in takers]
    bounds = {taker.key: (taken[taker.key] + proof.proven[taker.key], taken[taker.key] + taker.told,
                          taken[taker.key] + taker.sent) for taker in takers}
    return bounds, writer


def crash_loop(lives, seed):
    """Returns: tokens told, proven saved, given back, over all lives."""
    chance = random.Random(seed)
    print("crash loop: %d lives, seed %d" % (lives, seed), flush=True)
    told = proven = given_back = 0
    taken = {"k%d" % i: 0 for i in range(KEYS)}
    limit = 1
    with support.folder() as data:
        for life in range(lives + 1):
            with support.Service("--save-interval-ms", "100", data=data) as service:
                if life == 0:
                    assert service.request("PUT", ROOT + "/slow", SLOW).status == 201
                else:
                    kept = service.get(ROOT + "/counted").json()["limit"]
                    assert writer.told <= kept <= writer.sent, (seed, life, writer.told, kept, writer.error)
                    limit = kept
                    for key, (least, heard, most) in bounds.items():
                        now = LIMIT - remaining(service, key)
                        assert least <= now <= most, (seed, life, key, least, now, most)
                        told += heard - taken[key]
                        proven += least - taken[key]
                        given_back += max(0, heard - now)
                        taken[key] = now
                if life < lives:
                    bounds, writer = live_once(service, taken, limit, chance)
    return {"lives": lives, "seed": seed, "told": told, "proven": proven, "given_back": given_back}
