"""The crash sweep: kill -9 at the n-th write, sync or send of one scripted payment, restart, reconcile, ask again with the same keys.

Oracle: the fake gateway's ledger and what the client was told. Every operation happened exactly once in the end, every answer that the client
had is given again byte for byte, and the payment says what the ledger says. strace kills at the entry of the call (SIGKILL, when=N; it
counts each thread's calls by itself). ./dev crash visits every N; the test suite a few of them (TROUPE_CRASH_EVERY)."""
import contextlib
import os
import shutil
import subprocess

import support
from gateway import Gateway
from support import eventually, problem
from test_durability import STORAGE, injected
from test_payments import AMOUNT, ROOT, changes, do, settled

EVERY = int(os.environ.get("TROUPE_CRASH_EVERY", "0"))
CALLS = {"fdatasync": 3, "pwrite64": 9, "sendto": 5, "sendmsg": 5, "send": 5, "writev": 5, "write": 5}  # and the step of the short version
STEPS = (("authorize", {"card_token": "tok_visa"}), ("capture", None), ("refund", {"amount": 300}))


def is_traced(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in file)


@contextlib.contextmanager
def killed_at(service, call, when):
    """From now on the service dies at the entry of the when-th such call of any of its threads."""
    if shutil.which("strace") is None:
        raise support.Skipped("strace is not installed")
    pid = service.process.pid
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                               "inject=%s:signal=SIGKILL:when=%d" % (call, when), "-p", str(pid)],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        if not eventually(lambda: tracer.poll() is not None or is_traced(pid)) or tracer.poll() is not None:
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
        if answer.status in (200, 201):
            assert after[step].body == answer.body, (step, answer, after[step])
            assert after[step].header("Idempotent-Replayed") == "true", after[step]
    applied = [(entry["kind"], entry["amount"]) for entry in gateway.applied(payment)]
    assert applied == [("authorize", AMOUNT), ("capture", AMOUNT), ("refund", 300)], (before, gateway.ledger(payment))
    now = settled(service, payment)
    assert (now["state"], now["captured_amount"], now["refunded_amount"]) == ("refunded", AMOUNT - 300, 300), now
    assert changes(service, payment) == ["payment.created", "payment.authorized", "payment.captured", "payment.refunded"]


def crash_once(gateway, call, when):
    """Returns: whether the service died."""
    name = "%s-%d" % (call, when)
    with support.folder() as data:
        options = ("--gateway", gateway.url, "--gateway-timeout-ms", "600", "--workers", "2")
        service = support.Service(*options, data=data)
        try:
            with killed_at(service, call, when):
                before = play(service, name)
                died = service.process.poll() is not None or len(before) < 1 + len(STEPS)
        finally:
            service.kill()
        with support.Service(*options, data=data) as service:
            payment, after = play_to_the_end(service, name)
            check(gateway, before, after, service, payment)
    return died


def sweep(call):
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        step = EVERY or CALLS[call]
        crashes = 0
        for when in range(1, 400, step):
            if not crash_once(gateway, call, when):
                break
            crashes += 1
        print("%s: %d crashes" % (call, crashes))
        return crashes


def test_crash_at_syncs():
    """C1, C3, C8: nothing, or a whole batch."""
    assert sweep("fdatasync") > 0


def test_crash_at_writes():
    """C2, C8, C12: torn batches are as if they had not been."""
    assert sweep("pwrite64") > 0


def test_crash_at_sends():
    """C4 to C7, C9, C10: requests to the gateway and answers to the client."""
    assert sum(sweep(call) for call in ("sendto", "sendmsg", "writev")) > 0


def test_a_failed_sync_ends_the_service():
    """C14: EIO from the sync of an operation's outcome: no acknowledgement, exit 74; after the restart the truth is found out."""
    with support.folder() as folder, Gateway(os.path.join(folder, "ledger")) as gateway:
        options = ("--gateway", gateway.url, "--gateway-timeout-ms", "600")
        data = os.path.join(folder, "data")
        service = support.Service(*options, data=data)
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
        with support.Service(*options, data=data) as service:
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
