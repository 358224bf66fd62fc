#!/usr/bin/env python3
"""What was acknowledged stays: kill -9 under load, a sync that fails, a disk that is full, two services on one directory."""
import contextlib
import os
import random
import shutil
import signal
import subprocess

import crash_loop
import support
from attack import batches
from crash_loop import ROOT, SLOW, remaining
from support import eventually, metric, problem

STORAGE, BAD_SETTINGS = 74, 64
QUICK = {"limit": 5, "refill": {"amount": 1, "every_ms": 1000}}


def take(service, key, count):
    for _ in range(count):
        response = service.post("%s/slow/keys/%s/check" % (ROOT, key))
        assert response.status == 200, response


def taken(service, key):
    return crash_loop.LIMIT - remaining(service, key)


def put(service, policy):
    return service.request("PUT", "%s/%s" % (ROOT, policy), QUICK)


def wait_saved(service):
    """What was taken before this call is saved after it: a round that wrote something began meanwhile."""
    first = metric(service, crash_loop.SAVES)

    def later():
        take(service, "ticker", 1)
        return metric(service, crash_loop.SAVES) >= first + 2
    eventually(later, what="two rounds of saving")


# ---- kill -9 -------------------------------------------------------------------------------------------------------

def test_killed_again_and_again():
    """kill -9 in a loop: no take that was saved for certain comes back, none is counted that nobody made, no change is lost."""
    seen = crash_loop.crash_loop(5, random.randrange(1 << 31))
    print(seen)
    assert seen["proven"] > 0 and seen["told"] > seen["proven"], seen


# ---- a sync that fails ---------------------------------------------------------------------------------------------

def is_traced(pid):
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, thread), encoding="ascii") as file:
            if "TracerPid:\t0\n" in file.read():
                return False
    return True


@contextlib.contextmanager
def injected(service, calls, fault):
    """From now to the end of the block these system calls of the service fail. Gives: the file in which they are told."""
    if shutil.which("strace") is None:
        raise support.Skipped("strace is not installed")
    pid = service.process.pid
    with support.folder() as folder:
        told = os.path.join(folder, "told")
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", told, "-e", "trace=" + calls,
                                   "-e", "inject=%s:%s" % (calls, fault), "-p", str(pid)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            if not eventually(lambda: tracer.poll() is not None or is_traced(pid)) or tracer.poll() is not None:
                raise support.Skipped("strace may not trace: " + tracer.stderr.read().decode().strip())
            yield told
        finally:
            if tracer.poll() is None:
                tracer.terminate()
            tracer.wait(support.PATIENCE)
            tracer.stderr.close()


def test_failed_sync_ends_the_service():
    """A sync that fails is not tried again: exit 74, what was not stored is not acknowledged, the rest is there after."""
    with support.folder() as data:
        service = support.Service("--save-interval-ms", "100", data=data)
        try:
            assert service.request("PUT", ROOT + "/slow", SLOW).status == 201
            assert put(service, "kept").status == 201
            take(service, "a", 7)
            wait_saved(service)
            with injected(service, "fsync,fdatasync", "error=EIO") as told:
                try:
                    late = put(service, "late").status
                except (OSError, AssertionError):
                    late = None  # no answer
                assert late in (None, 503), late
                assert service.wait() == STORAGE
                with open(told, encoding="utf-8") as file:
                    assert file.read().count("(INJECTED)") == 1
            last = [event for event in service.events("store.broken") if event["level"] == "fatal"]
            assert len(last) == 1 and last[0]["exit"] == STORAGE, service.log()
        finally:
            service.kill()
        with support.Service(data=data) as service:
            assert service.get(ROOT + "/kept").status == 200
            assert taken(service, "a") == 7
            assert service.get(ROOT + "/late").status in (200, 404)  # unknown: it was not acknowledged
            assert put(service, "late").status in (200, 201)


# ---- a full disk ---------------------------------------------------------------------------------------------------

def store_detail(service):
    """What /readyz says of the store; it stays ready on a full disk."""
    ready = service.get("/readyz")
    store = [check for check in ready.json()["checks"] if check["name"] == "store"][0]
    assert ready.status == 200 and store["ok"], ready
    return store["detail"]


def reads_go_on(service, key):
    """Decisions, looks and lists are answered."""
    take(service, key, 3)
    assert service.get("%s?limit=5" % ROOT).status == 200 and store_detail(service)


def writes_work_again(service):
    assert put(service, "after").status == 201
    assert store_detail(service) == "takes writes" and metric(service, "troupe_store_full") == 0
    eventually(lambda: service.events("store.filled") and service.events("store.resumed"), what="both in the log")


def test_full_disk():
    """Every write finds no space: 507 and nothing changed; reads and checks go on; later all is as before, nothing lost."""
    with support.folder() as data:
        with support.Service("--save-interval-ms", "100", data=data) as service:
            assert service.request("PUT", ROOT + "/slow", SLOW).status == 201
            assert put(service, "kept").status == 201
            with injected(service, "pwrite64", "error=ENOSPC"):
                problem(put(service, "refused"), 507, "storage-full")
                problem(service.request("DELETE", ROOT + "/kept"), 507, "storage-full")
                problem(service.request("PUT", ROOT + "/kept/overrides/k", QUICK), 507, "storage-full")
                assert service.get(ROOT + "/refused").status == 404
                assert service.get(ROOT + "/kept").status == 200
                reads_go_on(service, "a")
                eventually(lambda: "no space" in store_detail(service) and metric(service, "troupe_store_full") == 1)
                eventually(lambda: metric(service, "troupe_rate_limit_save_failures_total") > 0)
            writes_work_again(service)
            wait_saved(service)
            service.process.kill()
            service.wait()
        with support.Service(data=data) as service:
            assert taken(service, "a") == 3
            assert [service.get("%s/%s" % (ROOT, name)).status for name in ("kept", "after", "refused")] == [200, 200, 404]


@contextlib.contextmanager
def small_disk(size):
    """A file system of its own, of that many bytes."""
    with support.folder() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "none", folder],
                              stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise support.Skipped("no file system may be mounted: " + done.stderr.decode().strip())
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)


def fill(path):
    with open(path, "ab", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)


def put_until_full(service, prefix, refusals):
    """Makes policies until that many were refused. Returns: the names of those made, of those refused."""
    made, refused = [], []
    for i in range(5000):
        name = "%s%d" % (prefix, i)
        response = put(service, name)
        if response.status == 201:
            made.append(name)
        else:
            problem(response, 507, "storage-full")
            refused.append(name)
            if len(refused) == refusals:
                return made, refused
    raise AssertionError("it never was full")


def test_file_system_without_space():
    """A real file system fills up: no write is half there, the service outlives it, and a stop says that it could not save."""
    with small_disk(2 << 20) as disk:
        data, ballast = os.path.join(disk, "data"), os.path.join(disk, "ballast")
        with support.Service("--save-interval-ms", "100", data=data) as service:
            assert service.request("PUT", ROOT + "/slow", SLOW).status == 201
            fill(ballast)
            made, refused = put_until_full(service, "p", 3)
            reads_go_on(service, "a")
            os.unlink(ballast)
            writes_work_again(service)
            wait_saved(service)
            service.process.kill()
            service.wait()
        with support.Service(data=data) as service:
            assert taken(service, "a") == 3
            for name in made:
                assert service.get("%s/%s" % (ROOT, name)).status == 200, name
            for name in refused:
                assert service.get("%s/%s" % (ROOT, name)).status == 404, name
            fill(ballast)
            put_until_full(service, "q", 3)
            batches(service, "slow", 0, 20000)  # more levels than there are bytes on this disk
            service.signal(signal.SIGTERM)
            assert service.wait() == STORAGE
            assert service.events("limits.save_failed") and service.events("service.drained")


# ---- one service a directory ---------------------------------------------------------------------------------------

def test_many_start_at_once():
    """Of services that start at the same time on one data directory one runs; the others end with 64 and say why."""
    with support.folder() as data:
        crowd = [support.Service(data=data, wait=False) for _ in range(4)]
        try:
            eventually(lambda: sum(one.process.poll() is None for one in crowd) == 1, what="one is left")
            for one in crowd:
                if one.process.poll() is None:
                    one.wait_ready()
                    assert one.get("/readyz").status == 200
                else:
                    assert one.wait() == BAD_SETTINGS
                    assert any(data in line for line in one.log()), one.log()
        finally:
            for one in crowd:
                one.kill()


def test_one_directory_by_two_names():
    """Another name of the directory in use is the same directory; after kill -9 it is free at once."""
    with support.folder() as folder:
        data, alias = os.path.join(folder, "data"), os.path.join(folder, "alias")
        with support.Service(data=data) as service:
            os.symlink(data, alias)
            second = support.run("--data", alias, "--listen", "127.0.0.1:0")
            assert second.returncode == BAD_SETTINGS and alias in second.stderr, second
            service.process.kill()
            service.wait()
        with support.Service(data=alias) as service:
            assert service.get("/readyz").status == 200


if __name__ == "__main__":
    support.main(globals())
