"""The crash sweep: kill -9 at the writes, syncs and sends of one scripted payment, restart, reconcile, ask again with the same keys.

A run is recorded first: which thread makes which calls, and how often. Then, for each of these calls, the service is killed at its
entry (strace on that one thread, SIGKILL, when=N). Oracle: the fake gateway's ledger and what the client was told. Every operation
happened exactly once in the end, every answer that the client had is given again byte for byte, and the payment says what the ledger says.
One worker and one client, so that a run is like the one recorded. ./dev crash visits every call; the test suite a few of each thread
(TROUPE_CRASH_EVERY). What lies between two of these calls is not visited: there nothing leaves the process."""
import collections
import contextlib
import os
import re
import shutil
import subprocess

import support
from gateway import Gateway
from support import eventually, problem
from test_durability import STORAGE, injected
from test_payments import AMOUNT, ROOT, changes, do, settled

EVERY = int(os.environ.get("TROUPE_CRASH_EVERY", "0"))
CALLS = ("fdatasync", "fsync", "pwrite64", "write", "writev", "sendto", "sendmsg", "sendmmsg", "connect", "shutdown", "ftruncate")
THREADS = ("core.0", "store.commit")  # the others write the log, or only read
STEPS = (("authorize", {"card_token": "tok_visa"}), ("capture", None), ("refund", {"amount": 300}))


def thread_of(service, name):
    """The id of the thread with this name."""
    tasks = "/proc/%d/task" % service.process.pid
    for task in os.listdir(tasks):
        with open("%s/%s/comm" % (tasks, task), encoding="ascii") as file:
            if file.read().strip() == name:
                return int(task)
    raise AssertionError("no thread " + name)


def is_traced(task):
    with open("/proc/%d/status" % task, encoding="ascii") as file:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in file)


@contextlib.contextmanager
def traced(task, *options):
    """strace on one thread with these options."""
    if shutil.which("strace") is None:
        raise support.Skipped("strace is not installed")
    tracer = subprocess.Popen(["strace", "-qq", *options, "-p", str(task)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        if not eventually(lambda: tracer.poll() is not None or is_traced(task)) or tracer.poll() is not None:
            raise support.Skipped("strace may not trace: " + tracer.stderr.read().decode().strip())
        yield
    finally:
        if tracer.poll() is None:
            tracer.kill()  # terminated, it may wait for threads that are dead already
        tracer.wait(support.PATIENCE)
        tracer.stderr.close()


def play(service, name):
    """The script, until an answer does not come. Returns: {step: answer}."""
    told = {}
    with contextlib.suppress(OSError, AssertionError):
        told["create"] = service.request("POST", ROOT, {"amount": AMOUNT, "currency": "USD"}, headers={"Idempotency-Key": "create-" + name})
        payment = told["create"].json()["id"]
        for event, body in STEPS:
            told[event] = do(service, payment, event, body, key=event + "-" + name)
    return told


def play_to_the_end(service, name):
    """The script with the same keys, each step until it is done. Returns: the payment's id and {step: answer}."""
    created = service.request("POST", ROOT, {"amount": AMOUNT, "currency": "USD"}, headers={"Idempotency-Key": "create-" + name})
    assert created.status == 201, created
    payment, told = created.json()["id"], {"create": created}
    for event, body in STEPS:
        def step(event=event, body=body):
            told[event] = do(service, payment, event, body, key=event + "-" + name)
            settled(service, payment)
            return told[event].status == 200
        eventually(step, 30, "%s was never done" % event)
    return payment, told


def check(gateway, before, after, service, payment):
    for step, answer in before.items():
        assert answer.status == (201 if step == "create" else 200), (step, answer)
        assert after[step].body == answer.body, (step, answer, after[step])
        assert after[step].header("Idempotent-Replayed") == "true", after[step]
    applied = [(entry["kind"], entry["amount"]) for entry in gateway.applied(payment)]
    assert applied == [("authorize", AMOUNT), ("capture", AMOUNT), ("refund", 300)], (before, gateway.ledger(payment))
    now = settled(service, payment)
    assert (now["state"], now["captured_amount"], now["refunded_amount"]) == ("refunded", AMOUNT - 300, 300), now
    assert changes(service, payment) == ["payment.created", "payment.authorized", "payment.captured", "payment.refunded"]


def options(gateway):
    return "--gateway", gateway.url, "--gateway-timeout-ms", "3000", "--workers", "1", "--save-interval-ms", "60000"


def record(gateway, thread):
    """How often the thread makes each of the calls while the script is played: {call: times}."""
    with support.folder() as folder, support.Service(*options(gateway), data=os.path.join(folder, "data")) as service:
        told = os.path.join(folder, "told")
        with traced(thread_of(service, thread), "-o", told, "-e", "trace=" + ",".join(CALLS)):
            answers = play(service, "record-" + thread)
        assert len(answers) == 1 + len(STEPS), answers
        with open(told, encoding="utf-8", errors="replace") as file:
            return collections.Counter(found[1] for found in (re.match(r"(\w+)\(", line) for line in file) if found)


def crash_once(gateway, thread, call, when):
    """Returns: whether the service died where it was to."""
    name = "%s-%s-%d" % (thread, call, when)
    with support.folder() as data:
        service = support.Service(*options(gateway), data=data)
        try:
            with traced(thread_of(service, thread), "-o", "/dev/null", "-e", "trace=" + call, "-e",
                        "inject=%s:signal=SIGKILL:when=%d" % (call, when)):
                before = play(service, name)
                died = service.process.poll() is not None or len(before) < 1 + len(STEPS)
        finally:
            service.kill()
        with support.Service(*options(gateway), data=data) as service:
            payment, after = play_to_the_end(service, name)
            check(gateway, before, after, service, payment)
    return died


def sweep(thread, some):
    """Kills at the calls of a thread: each of them, or `some` of each kind, spread over the run. Nearly all must have hit: where
    the run differs from the recorded one by a call or two, the last ones are not reached."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        times = record(gateway, thread)
        plan = [(call, when) for call, count in sorted(times.items()) for when in range(1, count + 1, EVERY or max(1, -(-count // some)))]
        hits = collections.Counter(call for call, when in plan if crash_once(gateway, thread, call, when))
        print("%s: calls %s, killed at %s" % (thread, dict(times), dict(hits)))
        assert sum(hits.values()) >= 0.9 * len(plan) - 2, (times, hits)
        return hits


def test_crash_at_the_commit_thread():
    """C1, C2, C3, C8, C12: nothing, or a whole batch; torn ones are as if they had not been."""
    hits = sweep("store.commit", 5)
    assert hits["fdatasync"] and hits["pwrite64"], hits


def test_crash_at_the_core():
    """C4 to C7, C9, C10: requests to the gateway, answers to the client, wake-ups between threads."""
    hits = sweep("core.0", 4)
    assert sum(hits[call] for call in ("sendto", "sendmsg", "writev")) and hits["connect"], hits


def test_a_failed_sync_ends_the_service():
    """C14: EIO from the sync of an operation's outcome: no acknowledgement, exit 74; after the restart the truth is found out."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        more = ("--gateway", gateway.url, "--gateway-timeout-ms", "600")
        data = os.path.join(folder, "data")
        service = support.Service(*more, data=data)
        try:
            told = play_some(service, "sync", 1)
            payment = told["create"].json()["id"]
            with injected(service, "fsync,fdatasync", "error=EIO"):
                with contextlib.suppress(OSError, AssertionError):
                    answer = do(service, payment, "authorize", {"card_token": "tok_visa"}, key="authorize-sync")
                    assert answer.status >= 500, answer
                assert service.wait() == STORAGE
        finally:
            service.kill()
        with support.Service(*more, data=data) as service:
            payment, after = play_to_the_end(service, "sync")
            check(gateway, told, after, service, payment)


def test_a_full_disk_refuses_and_changes_nothing():
    """C15: ENOSPC: 507 before anything is asked of the gateway; reads go on; with space again the same key goes through."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        with support.Service("--gateway", gateway.url) as service:
            told = play_some(service, "full", 1)
            payment = told["create"].json()["id"]
            with injected(service, "pwrite64", "error=ENOSPC"):
                problem(do(service, payment, "authorize", {"card_token": "tok_visa"}, key="authorize-full"), 507, "storage-full")
                assert gateway.ledger(payment) == []
                assert service.get("%s/%s" % (ROOT, payment)).json()["version"] == 1
            payment, after = play_to_the_end(service, "full")
            check(gateway, told, after, service, payment)


def play_some(service, name, steps):
    """The first steps of the script."""
    told = {"create": service.request("POST", ROOT, {"amount": AMOUNT, "currency": "USD"}, headers={"Idempotency-Key": "create-" + name})}
    for event, body in STEPS[:steps - 1]:
        told[event] = do(service, told["create"].json()["id"], event, body, key=event + "-" + name)
    return told


if __name__ == "__main__":
    support.main(globals())
