"""The service and its peers as child processes on ports of 127.0.0.1, and what they cost: CPU time and context switches.

A peer answers GET /v1/rate-limits/bench/keys/KEY/check, and those that can also the two POSTs of the service, with 200 and a body
that is as long as the service's own. Each runs with the same number of workers.
"""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATIENCE = 60  # seconds until a server must listen, or be gone
CHECK = "/v1/rate-limits/bench/keys/key-00001/check"
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


CPUS = sorted(os.sched_getaffinity(0))  # as the run began


def part_cpus():
    """Leaves the last CPU to this process and the load generators it starts, and all others to the servers: a generator that shares a
    CPU with what it measures measures the scheduler. Returns: how many the servers have."""
    if len(CPUS) > 1:
        os.sched_setaffinity(0, CPUS[-1:])
        Server.cpus = CPUS[:-1]
    return len(Server.cpus)


class Missing(Exception):
    """A peer that is not installed; says what to do."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tasks(pid):
    """Folders of all threads of a process and of its children."""
    waiting, found = [pid], []
    while waiting:
        pid = waiting.pop()
        for task in glob.glob(f"/proc/{pid}/task/*"):
            found.append(task)
            with open(task + "/children", encoding="ascii") as file:
                waiting += [int(child) for child in file.read().split()]
    return found


class Server:
    name = "server"
    cpus = CPUS
    methods = ("get", "post", "batch")

    def __init__(self, folder, workers):
        self.folder, self.workers = folder, workers
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def prepare(self):
        """What has to be done once it listens."""

    def start(self):
        log = open(os.path.join(self.folder, self.name.replace(" ", "-") + ".log"), "wb")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        preexec_fn=lambda: os.sched_setaffinity(0, self.cpus))
        log.close()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"bench: {self.name} does not listen:\n{self.said()}")
                time.sleep(0.02)
        self.prepare()

    def said(self):
        with open(os.path.join(self.folder, self.name.replace(" ", "-") + ".log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        if self.process is None or not self.alive():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def url(self, path=CHECK):
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path=CHECK):
        """Status and body of a GET."""
        try:
            with urllib.request.urlopen(self.url(path), timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def cpu_seconds(self):
        """Time its threads were on a processor: user and system, in nanoseconds where the kernel counts them (schedstat)."""
        spent = 0
        for task in tasks(self.process.pid):
            with open(task + "/schedstat", encoding="ascii") as file:
                spent += int(file.read().split()[0])
        return spent / 1e9

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def switches(self):
        """Context switches of its threads, voluntary or not."""
        count = 0
        for task in tasks(self.process.pid):
            with open(task + "/status", encoding="ascii") as file:
                count += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return count


class Troupe(Server):
    """The service as shipped: access log, metrics and request ids are on."""
    name = "troupe"

    def __init__(self, build, folder, workers):
        super().__init__(folder, workers)
        self.build = build

    def command(self):
        return [os.path.join(self.build, "trouped"), "--listen", f"127.0.0.1:{self.port}", "--data",
                os.path.join(self.folder, "data"), "--workers", str(self.workers)]

    def prepare(self):
        policy = {"limit": 2_000_000_000, "refill": {"amount": 2_000_000_000, "every_ms": 1000}}
        request = urllib.request.Request(self.url("/v1/rate-limits/bench"), json.dumps(policy).encode(), method="PUT",
                                         headers={"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).read()


class Bare(Server):
    """libmicrohttpd and nothing else, with the service's answer: bench_bare.c."""

    def __init__(self, build, folder, workers, mode):
        super().__init__(folder, workers)
        self.build, self.mode = build, mode
        self.name = "bare " + mode

    def command(self):
        return [os.path.join(self.build, "bench", "bare"), str(self.port), str(self.workers), self.mode]


NGINX = """
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log crit;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 3600;
    limit_req_status 429;
    limit_req_zone $uri zone=checks:32m rate=1000000r/s;
    limit_req_zone $uri zone=tiny:1m rate=1r/m;
    server {{
        listen 127.0.0.1:{port} reuseport backlog=1024;
        # A reply of the rewrite phase ("return") would come before limit_req; this one comes from the content phase, without a file.
        location /v1/ {{
            limit_req zone=checks burst=1000000 nodelay;
            add_header X-Request-Id 3c6e0b8a9c15224a8228b9a98ca1531d;
            add_header X-Content-Type-Options nosniff;
            add_header RateLimit-Policy '"bench";q=2000000000;w=1';
            add_header RateLimit '"bench";r=1999999999;t=0';
            empty_gif;
        }}
        location /tiny {{
            limit_req zone=tiny;
            empty_gif;
        }}
    }}
}}
"""


class Nginx(Server):
    """nginx with limit_req in front of the smallest reply it has."""
    name = "nginx limit_req"
    methods = ("get",)

    def command(self):
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if binary is None:
            raise Missing("nginx is not installed (Debian: nginx-light)")
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(NGINX.format(workers=self.workers, folder=self.folder, port=self.port))
        return [binary, "-p", self.folder, "-e", os.path.join(self.folder, "nginx-error.log"), "-c", path]

    def prepare(self):
        statuses = [self.get("/tiny")[0] for _ in range(3)]
        if statuses != [200, 429, 429]:
            sys.exit(f"bench: nginx's limit_req does not act: {statuses}")


class Beam(Server):
    """The textbook design: one gen_server with a map of buckets and a tick a second, asked by cowboy's handlers."""
    name = "beam gen_server"
    methods = ("get", "post")

    def __init__(self, folder, workers, store):
        super().__init__(folder, workers)
        self.store = store  # where downloaded packages lie

    def libraries(self):
        """The ebin folders of cowboy, cowlib and ranch; Debian has them in the package of RabbitMQ."""
        for top in ("", self.store):
            for cowboy in sorted(glob.glob(top + "/usr/lib/rabbitmq/lib/*/plugins/cowboy-*/ebin")):
                plugins = os.path.dirname(os.path.dirname(cowboy))
                return [cowboy] + glob.glob(plugins + "/cowlib-*/ebin") + glob.glob(plugins + "/ranch-*/ebin")
        raise Missing("cowboy is not there: ./dev bench --beam fetches it")

    def fetch(self):
        """Unpacks RabbitMQ's package for the libraries in it, without installing it."""
        try:
            self.libraries()
            return
        except Missing:
            os.makedirs(self.store, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", "rabbitmq-server"], cwd=self.store, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        package = glob.glob(self.store + "/rabbitmq-server_*.deb")[0]
        subprocess.run(["dpkg-deb", "-x", package, self.store], check=True)

    def command(self):
        if shutil.which("erl") is None or shutil.which("erlc") is None:
            raise Missing("Erlang is not installed: ./dev bench --beam installs it")
        libraries = self.libraries()
        ebin = os.path.join(self.folder, "ebin")
        os.makedirs(ebin, exist_ok=True)
        subprocess.run(["erlc", "-o", ebin, *sorted(glob.glob(HERE + "/beam/*.erl"))], check=True)
        return ["erl", "-noshell", "-noinput", "+S", f"{self.workers}:{self.workers}", "-pa", ebin, *libraries, "-eval",
                f"limiter_http:start({self.port})."]


def machine():
    """What the numbers were taken on."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return {"cpus": len(CPUS), "servers_cpus": len(Server.cpus), "model": model.group(1) if model else os.uname().machine,
            "kernel": os.uname().release}
