#!/usr/bin/env python3
"""The service seen from outside: health, metrics, description, version, processes, supervisors."""
import json
import re
import signal
import urllib.parse

import schema
import support
from support import eventually, node, nodes, pointers, problem
from test_start import hold_a_request

PARTITION = "rate_limits.partition.0"
MEMBERS = {"pid", "name", "label", "behaviour", "status", "mailbox", "memory_bytes", "messages", "parent", "uptime_ms",
           "restarts"}


def processes(service, query="limit=500"):
    answer = service.get("/v1/processes?" + query)
    assert answer.status == 200, answer
    return answer.json()["items"]


# ---- health, version, index ----------------------------------------------------------------------------------------

def test_healthz(service):
    """GET /healthz is 200 {"status":"ok"}."""
    answer = service.get("/healthz")
    assert answer.status == 200 and answer.json() == {"status": "ok"}


def test_readyz(service):
    """GET /readyz is 200 with all checks content."""
    answer = service.get("/readyz")
    document = answer.json()
    assert answer.status == 200 and document["status"] == "ok"
    assert len(document["checks"]) >= 3
    for check in document["checks"]:
        assert set(check) == {"name", "ok", "detail"} and check["ok"] is True and isinstance(check["detail"], str), check
    assert "store" in [check["name"] for check in document["checks"]]


def test_version(service):
    """GET /version says what --version and service.ready say."""
    document = service.get("/version").json()
    assert document["version"] == service.ready["version"]
    assert document["version"] in support.run("--version").stdout


def test_index(service):
    """GET / lists links, and each of them leads somewhere."""
    document = service.get("/").json()
    links = {link["rel"]: link["href"] for link in document["links"]}
    assert links["self"] == "/" and len(links) == len(document["links"])
    for href in links.values():
        assert service.get(href).status == 200, href


# ---- metrics -------------------------------------------------------------------------------------------------------

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="(\\.|[^"\\\n])*",?)*\})? '
                    r'(NaN|[+-]Inf|-?[0-9.]+(e[+-]?[0-9]+)?)')


def read_metrics(text):
    """Checks the text format as promtool would, and returns {sample: value}."""
    kinds, helped, values, order = {}, set(), {}, []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in helped and words.strip(), line
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name not in kinds and kind in ("counter", "gauge", "histogram"), line
            kinds[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name = match.group(1)
            base = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
            assert base in kinds and base in helped, line
            assert (kinds[base] == "counter") == base.endswith("_total"), line
            assert name + (match.group(2) or "") not in values, line
            values[name + (match.group(2) or "")] = float(match.group(5))
            if not order or order[-1] != base:
                order.append(base)
    assert len(order) == len(set(order)), "a family is not in one piece"
    assert set(kinds) == helped == set(order), "a family without samples, or without words"
    for name in (name for name, kind in kinds.items() if kind == "histogram"):
        check_histogram(name, values)
    return values


def check_histogram(name, values):
    """Buckets of a histogram ascend and grow, and the last one, +Inf, is the count."""
    series = {}
    for sample, value in values.items():
        match = re.fullmatch(name + r'_bucket\{(.*?),?le="([^"]*)"\}', sample)
        if match:
            series.setdefault(match.group(1), []).append((float(match.group(2)), value))
    assert series, name
    for labels, buckets in series.items():
        assert buckets == sorted(buckets) and [value for _, value in buckets] == sorted(value for _, value in buckets), name
        rest = "{%s}" % labels if labels else ""
        assert buckets[-1][0] == float("inf") and buckets[-1][1] == values[name + "_count" + rest], name
        assert name + "_sum" + rest in values, name


def test_the_metrics_reader_sees_faults():
    """What promtool refuses, the reader of these tests refuses too."""
    fine = "# HELP a_total Words.\n# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 2\n"
    assert read_metrics(fine) == {'a_total{x="1"}': 1, 'a_total{x="2"}': 2}
    histogram = "# HELP h Words.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count %d\n"
    assert read_metrics(histogram % 2)["h_count"] == 2
    for text in (fine + fine, fine.replace("a_total", "a"), fine.replace("counter", "gauge"), fine.replace("# HELP a_total Words.\n", ""),
                 fine.replace('x="2"', 'x="1"'), fine + "# HELP b_total Words.\n# TYPE b_total counter\n", fine + "b_total 1\n",
                 fine.replace(" 1\n", " one\n"), fine.replace("a_total", "a-b_total"), histogram % 3,
                 fine + "# HELP b Words.\n# TYPE b gauge\nb 1\na_total{x=\"3\"} 3\n"):
        try:
            read_metrics(text)
        except AssertionError:
            continue
        raise AssertionError("not seen: " + text)


def test_metrics(service):
    """GET /metrics is in Prometheus' text format, and counts."""
    answer = service.get("/metrics")
    assert answer.status == 200 and answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.body.endswith(b"\n")
    first = read_metrics(answer.body.decode())
    for _ in range(10):
        processes(service)
    second = read_metrics(service.get("/metrics").body.decode())
    for name in ("troupe_runtime_processes_spawned_total", "troupe_runtime_messages_sent_total", "troupe_runtime_slices_total"):
        assert second[name] >= first[name] + 10 * (name != "troupe_runtime_messages_sent_total"), name
    assert second["troupe_runtime_workers"] == service.ready["workers"]
    for name in ("processes", "stacks", "timers", "messages_dead_letter_total", "messages_refused_total", "steals_total",
                 "wakeups_total", "allocated_bytes_total", "freed_bytes_total"):
        assert "troupe_runtime_" + name in second
    assert second["troupe_runtime_processes"] >= len(processes(service)) - 2
    assert any(name.startswith("process_") for name in second)
    lost = [name for name in first if name not in second]
    assert not lost, lost


# ---- the description -----------------------------------------------------------------------------------------------

def test_openapi_documents(service):
    """GET /openapi.json is OpenAPI 3.1; GET /openapi.yaml is the same document."""
    answer = service.get("/openapi.json")
    document = answer.json()
    assert answer.header("Content-Type") == "application/json" and document["openapi"] == "3.1.0"
    text = service.get("/openapi.yaml")
    assert text.header("Content-Type") == "application/yaml"
    try:
        import yaml  # not everywhere
    except ImportError:
        paths = re.findall(r"^  (/[^ ]*):$", text.body.decode(), re.MULTILINE)
        assert paths == list(document["paths"])
    else:
        assert yaml.safe_load(text.body.decode()) == document


def operations(document):
    for path, item in document["paths"].items():
        for method in ("put", "get", "post", "patch", "delete"):
            if method in item:
                yield path, method, item[method], item.get("parameters", []) + item[method].get("parameters", [])


def all_examples(document):
    """The places of all examples: example and examples, but for members and parameters that have this name."""
    found, waiting = [], [("#", document)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, list):
            waiting += [("%s/%d" % (where, i), item) for i, item in enumerate(value)]
        elif isinstance(value, dict):
            for name, item in value.items():
                if name in ("example", "examples"):
                    found.append((where, name))
                else:
                    waiting.append((where + "/" + name.replace("~", "~0").replace("/", "~1"), item))
    return found


class Examples:
    """Which examples of the document have been executed: an example is told by its holder, the object it stands in."""

    def __init__(self, document):
        self.document = document
        self.done = set()

    def take(self, holder):
        self.done.add(id(holder))
        return holder["example"]

    def call(self, path, parameters, operation, optional):
        """Target, headers and body of an operation, from its examples alone."""
        query, headers = [], {}
        for parameter in (schema.resolve(self.document, parameter) for parameter in parameters):
            if "example" not in parameter:
                assert not parameter.get("required"), (path, parameter["name"])
                continue
            if not optional and parameter["in"] == "query" and parameter["name"] != "key":
                continue
            value = self.take(parameter)
            schema.check(self.document, parameter["schema"], value, parameter["name"])
            if parameter["in"] == "path":
                path = path.replace("{%s}" % parameter["name"], urllib.parse.quote(value, safe=""))
            elif parameter["in"] == "query":
                query.append(parameter["name"] + "=" + urllib.parse.quote(json.dumps(value) if isinstance(value, bool) else str(value), safe=""))
            else:
                headers[parameter["name"]] = value
        body = None
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            body = self.take(content)
            schema.check(self.document, content["schema"], body, path)
        return path + ("?" + "&".join(query) if query else ""), headers, body

    def answered(self, operation, answer):
        """Checks an answer against the operation, and against the example of such an answer if there is one."""
        schema.check_answer(self.document, operation, answer)
        response = schema.resolve(self.document, operation["responses"][str(answer.status)])
        for kind, content in response.get("content", {}).items():
            if "example" in content:
                example = self.take(content)
                schema.check(self.document, content["schema"], example, operation["operationId"])
                if kind.endswith("json"):
                    same_shape(example, answer.json(), operation["operationId"])
                    if kind == "application/problem+json":
                        for member in ("type", "title", "status", "detail", "code"):
                            assert example[member] == answer.json()[member], (example, answer)
                else:
                    names = re.findall(r"(?m)^(?:# (?:HELP|TYPE) )?[a-z_]+", example)
                    assert names and all(name in answer.body.decode() for name in names), example

    def left(self):
        """The places of examples that have not been executed."""
        def holder(where):
            at = self.document
            for part in where.split("/")[1:]:
                at = at[int(part)] if isinstance(at, list) else at[part.replace("~1", "/").replace("~0", "~")]
            return at
        return [where for where, name in all_examples(self.document) if id(holder(where)) not in self.done]


def same_shape(example, value, where):
    """The members of an example are those of the answer, of the same types; items of a list are like its first."""
    if example is None or value is None:
        return
    assert isinstance(value, type(example)), "%s: %r is not like %r" % (where, value, example)
    if isinstance(example, dict):
        assert set(example) == set(value), "%s: %s and %s" % (where, sorted(example), sorted(value))
        for name in example:
            same_shape(example[name], value[name], where + "/" + name)
    elif isinstance(example, list) and example:
        assert value, "%s: is empty" % where
        same_shape(example[0], value[0], where + "/0")


def fresh_payment(service, operation):
    """A payment in the state in which an operation's example makes sense."""
    payment = service.post("/v1/payments", {"amount": 10000, "currency": "USD"}).json()["id"]
    before = {"capturePayment": ["authorize"], "refundPayment": ["authorize", "capture"]}
    for event in before.get(operation, []):
        body = {"card_token": "tok_visa"} if event == "authorize" else None
        assert service.post("/v1/payments/%s/%s" % (payment, event), body).status == 200
    return payment


EXAMPLE_WEBHOOK = {"url": "https://example.org/hooks", "events": ["payment.*"]}
EXAMPLE_PAYMENT = "pay_0BpOBX0bQFC6P4NrbJvVnum5"


def execute_operations(service, document, examples):
    """Every operation with all its examples, and with those alone that it needs."""
    count = 0
    for optional in (True, False):
        for path, method, operation, parameters in operations(document):
            name = operation["operationId"]
            target, headers, body = examples.call(path, parameters, operation, optional)
            if name == "listDeliveries":  # the one before it has been deleted
                assert service.request("PUT", "/v1/webhooks/books", EXAMPLE_WEBHOOK).status == 201
            if name == "evaluateFlag":  # as before
                flag = document["paths"]["/v1/flags/{key}"]["put"]["requestBody"]["content"]["application/json"]["example"]
                assert service.request("PUT", "/v1/flags/dark-mode", flag).status in (200, 201)
            if EXAMPLE_PAYMENT in target:
                target = target.replace(EXAMPLE_PAYMENT, fresh_payment(service, name))
            answer = service.request(method.upper(), target, body, headers=headers)
            if name == "deletePolicy":
                problem(answer, 409, "policy-protected")
            else:
                assert 200 <= answer.status < 300, (name, answer)
            examples.answered(operation, answer)
            if name == "exitProcess":
                eventually(lambda: service.get("/readyz").status == 200)
            count += 1
    return count


def execute_reasons(service, document, examples):
    """The reasons and behaviours that schemas name as examples."""
    path = "/v1/processes/{pid}/exit"
    operation = document["paths"][path]["post"]
    holder = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["reason"]
    for reason in holder["examples"]:
        answer = service.post(path.replace("{pid}", PARTITION), {"reason": reason})
        assert answer.status == 202, answer
        examples.answered(operation, answer)
        eventually(lambda: service.get("/readyz").status == 200)
    examples.done.add(id(holder))
    holder = document["components"]["schemas"]["Process"]["properties"]["behaviour"]
    assert set(holder["examples"]) == {one["behaviour"] for one in processes(service)}
    examples.done.add(id(holder))


def execute_others(service, document, examples):
    """The answers that take more than the examples of requests: the operation's path and method, target, body, fields."""
    root = "/v1/rate-limits"
    json_type = {"Content-Type": "application/json"}
    dear = {"mode": "all_or_nothing", "checks": [{"policy": "default", "key": "a"}, {"policy": "default", "key": "alice", "cost": 99}]}
    slow = {"limit": 100, "refill": {"amount": 1, "every_ms": 86400000}}
    assert service.request("PUT", root + "/default", slow).status == 200
    assert service.request("DELETE", root + "/default/keys/alice").status == 204
    assert service.post(root + "/default/check", {"key": "alice", "cost": 90}).status == 200
    for path, method, target, body, headers in (
            ("/{policy}/check", "post", "/default/check", b"not JSON", json_type),
            ("/{policy}/check", "post", "/default/check", b"{}", {}),
            ("/{policy}/check", "post", "/default/check", b" " * ((1 << 20) + 1), json_type),
            ("/{policy}/check", "post", "/none/check", {"key": "a"}, {}),
            ("/{policy}/check", "post", "/default/check", {"key": "alice", "cost": 1000}, {}),
            ("/{policy}/check", "post", "/default/check", {"key": "alice", "cost": 99}, {}),
            ("/check", "post", "/check", dear, {}),
            ("/{policy}/overrides/{key}", "get", "/default/overrides/nobody", None, {}),
            ("/{policy}", "put", "/default", {"limit": 1, "refill": {"amount": 1, "every_ms": 1}}, {"If-Match": '"999"'}),
            ("/{policy}", "get", "/none", None, {}),
            ("/{policy}", "put", "/fresh", slow, {}),
            ("/{policy}/overrides/{key}", "put", "/fresh/overrides/alice", {**slow, "expires_in_ms": 3600000}, {}),
            ("/{policy}/overrides/{key}", "put", "/fresh/overrides/alice", {**slow, "expires_in_ms": 3600000}, {})):
        examples.answered(document["paths"][root + path][method], service.request(method.upper(), root + target, body, headers=headers))
    for _ in range(2):
        examples.answered(document["paths"]["/v1/webhooks/{name}"]["put"], service.request("PUT", "/v1/webhooks/books", EXAMPLE_WEBHOOK))
    authorize = document["paths"]["/v1/payments/{id}/authorize"]["post"]
    for token in ("tok_insufficient_funds", "tok_timeout"):
        target = "/v1/payments/%s/authorize" % fresh_payment(service, "authorizePayment")
        examples.answered(authorize, service.post(target, {"card_token": token}))
    examples.answered(document["paths"]["/v1/config/{key}"]["get"], service.get("/v1/config/none"))
    examples.answered(document["paths"]["/v1/processes"]["get"], service.get("/v1/processes?sort=x"))
    examples.answered(document["paths"]["/v1/processes/{pid}"]["get"], service.get("/v1/processes/nobody"))
    answer = service.get("/nothing/here")  # what no operation answers, each one's default describes
    assert answer.status == 404
    examples.answered({"operationId": "none", "responses": {"404": {"$ref": "#/components/responses/Problem"}}}, answer)


def test_openapi_examples():
    """Every example of the document is executed: requests are taken, answers are like those that come."""
    with support.Service("--drain-timeout-ms", "30000", "--request-timeout-ms", "30000") as service:
        document = service.get("/openapi.json").json()
        examples = Examples(document)
        assert execute_operations(service, document, examples) >= 2 * 25
        execute_reasons(service, document, examples)
        execute_others(service, document, examples)
        with service.connect() as held:
            hold_a_request(service, held)
            service.signal(signal.SIGTERM)
            eventually(lambda: service.events("drain.started"), what="drain.started")
            examples.answered(document["paths"]["/readyz"]["get"], service.get("/readyz"))
            assert service.post("/v1/processes/http.sup/resume").status == 200
            assert held.read().status == 200
        assert service.wait() == 0
    with support.Service("--client-token", "c") as service:
        operation = document["paths"]["/v1/processes"]["get"]
        examples.answered(operation, service.get("/v1/processes"))
        examples.answered(operation, service.get("/v1/processes", headers={"Authorization": "Bearer c"}))
    assert examples.left() == [], examples.left()


def test_openapi_problems(service):
    """Errors fit what is documented too."""
    document = service.get("/openapi.json").json()
    item = document["paths"]["/v1/processes/{pid}/exit"]["post"]
    target = "/v1/processes/nobody/exit"
    for body, headers in (({}, {}), (b"x", {}), (b"x", {"Content-Type": "application/json"}), ({"reason": "normal"}, {})):
        schema.check_answer(document, item, service.post(target, body, headers=headers))
    schema.check_answer(document, document["paths"]["/v1/processes"]["get"], service.get("/v1/processes?sort=x"))


# ---- processes -----------------------------------------------------------------------------------------------------

def test_process_list(service):
    """The list has the contract's members, and the service's processes under their names."""
    items = processes(service)
    for item in items:
        assert set(item) == MEMBERS, item
        assert re.fullmatch(r"[0-9]+\.[0-9]+", item["pid"])
        assert item["parent"] is None or re.fullmatch(r"[0-9]+\.[0-9]+", item["parent"])
        for member in ("mailbox", "memory_bytes", "messages", "uptime_ms", "restarts"):
            assert isinstance(item[member], int) and item[member] >= 0, item
    names = {item["name"]: item for item in items}
    assert names["store.writer"]["behaviour"] == "gen_server"
    assert names["root"]["behaviour"] == "supervisor"
    assert PARTITION in names
    slots = [int(item["pid"].split(".")[0]) for item in items]
    assert slots == sorted(slots)


def test_process_sort(service):
    """?sort= puts the largest first."""
    for word, member in (("mailbox", "mailbox"), ("memory", "memory_bytes"), ("messages", "messages")):
        values = [item[member] for item in processes(service, "limit=500&sort=" + word)]
        assert values == sorted(values, reverse=True), word
        top = [item[member] for item in processes(service, "limit=2&sort=" + word)]
        assert len(top) == 2 and top[0] >= top[1]
    assert pointers(service.get("/v1/processes?sort=name")) == ["/sort"]
    cursor = service.get("/v1/processes?limit=1&sort=memory").json()["next_cursor"]
    assert pointers(service.get("/v1/processes?limit=1&sort=mailbox&cursor=" + cursor)) == ["/cursor"]
    seen, target = [], "/v1/processes?limit=3&sort=memory"
    while target:
        document = service.get(target).json()
        seen += [item["memory_bytes"] for item in document["items"]]
        target = document["next_cursor"] and "/v1/processes?limit=3&sort=memory&cursor=" + document["next_cursor"]
    assert seen == sorted(seen, reverse=True)


def test_process_by_pid_and_name(service):
    """A process is found by pid and by name; names may hold dots."""
    by_name = service.find(PARTITION)
    by_pid = service.find(by_name["pid"])
    assert by_pid["name"] == by_name["name"] == PARTITION and by_pid["pid"] == by_name["pid"]
    assert MEMBERS | {"state", "links", "monitors"} <= set(by_name)
    assert by_name["behaviour"] == "gen_server" and by_name["state"] is not None
    parent = service.find(by_name["parent"])
    assert parent["behaviour"] == "supervisor"
    assert by_name["pid"] in parent["links"] and parent["pid"] in by_name["links"]


def test_process_not_found(service):
    """Unknown pids and names are 404 process-not-found."""
    slot, generation = service.find("root")["pid"].split(".")
    for name in ("nobody", "999999.1", "%s.%d" % (slot, int(generation) + 1), "%s.0" % slot, "0%s.%s" % (slot, generation),
                 "4294967295.4294967295", "99999999999999999999.1", "1", "1.", ".1", "-1.1", "x" * 300, "%F0%9F%98%80"):
        problem(service.get("/v1/processes/" + name), 404, "process-not-found")
        problem(service.post("/v1/processes/%s/exit" % name, {"reason": "kill"}), 404, "process-not-found")
        problem(service.post("/v1/processes/%s/suspend" % name), 404, "process-not-found")


def test_every_process_can_be_looked_at(service):
    """Whatever is in the list can be looked at, requests' own processes excepted."""
    for item in processes(service):
        answer = service.get("/v1/processes/" + item["pid"])
        assert answer.status == 200 or item["label"].startswith("/v1/"), (item, answer)


def test_port_and_plain_processes_have_no_state(service):
    """Processes that are no behaviour are shown without a state, at once."""
    for item in processes(service):
        if item["behaviour"] in ("process", "port") and not item["label"].startswith("/v1/"):
            assert service.find(item["pid"])["state"] is None


# ---- ending processes ----------------------------------------------------------------------------------------------

def restarted(service, name, pid):
    """The process now under this name, once it is not pid any more."""
    def fresh():
        answer = service.get("/v1/processes/" + name)
        return answer.json() if answer.status == 200 and answer.json()["pid"] != pid else None
    return eventually(fresh, what=name + " to come back")


def test_kill_is_followed_by_a_restart():
    """POST exit {"reason":"kill"} is 202; the supervisor starts a new process, and the tree counts it."""
    with support.Service() as service:
        before = service.find(PARTITION)
        others = {item["name"]: item["pid"] for item in processes(service) if item["name"] and item["name"] != PARTITION}
        answer = service.post("/v1/processes/%s/exit" % PARTITION, {"reason": "kill"})
        assert answer.status == 202 and answer.json() == {"pid": before["pid"], "reason": "kill"}
        after = restarted(service, PARTITION, before["pid"])
        assert after["restarts"] == before["restarts"] + 1 and after["parent"] == before["parent"]
        problem(service.get("/v1/processes/" + before["pid"]), 404, "process-not-found")
        child = node(service.tree(), PARTITION)
        assert child["restarts"] == 1 and child["pid"] == after["pid"]
        owner = next(one for one in [service.tree()] + nodes(service.tree()) if one["pid"] == after["parent"])
        assert owner["child_restarts"] == 1
        again = {item["name"]: item["pid"] for item in processes(service) if item["name"]}
        for name, pid in others.items():
            assert again[name] == pid, name + " was touched"


def test_exit_by_pid_and_other_reasons():
    """Any short text is a reason; shutdown and texts end a permanent child, which is started again."""
    with support.Service() as service:
        for reason in ("shutdown", "boom", "a reason in words", "\u00fcml\u00e4ut"):
            pid = service.find(PARTITION)["pid"]
            assert service.post("/v1/processes/%s/exit" % pid, {"reason": reason}).status == 202
            restarted(service, PARTITION, pid)
        assert node(service.tree(), PARTITION)["restarts"] == 4


def test_exit_normal_is_ignored(service):
    """normal does not end a process that does not trap exits."""
    pid = service.find(PARTITION)["pid"]
    assert service.post("/v1/processes/%s/exit" % PARTITION, {"reason": "normal"}).status == 202
    assert service.find(PARTITION)["pid"] == pid


def test_killed_listeners_come_back():
    """The process that stands for a core's connections may be killed: requests go on."""
    with support.Service() as service:
        ears = [one for one in nodes(service.tree()) if one["id"].startswith("http.listener.")]
        assert ears
        for ear in ears:
            assert service.post("/v1/processes/%s/exit" % ear["pid"], {"reason": "kill"}).status == 202
        eventually(lambda: all(one["restarts"] == 1 and one["pid"] for one in nodes(service.tree())
                               if one["id"].startswith("http.listener.")), what="the listeners")
        eventually(lambda: service.get("/readyz").status == 200, what="readiness")
        for _ in range(20):
            assert service.get("/v1/supervisors").status == 200


# ---- supervisors ---------------------------------------------------------------------------------------------------

def test_tree(service):
    """The tree has the contract's members, children in start order, and the processes of the list."""
    tree = service.tree()
    assert tree["name"] == "root" and tree["pid"] == service.find("root")["pid"]
    listed = {item["pid"]: item for item in processes(service)}
    for supervisor in [tree] + [one for one in nodes(tree) if "children" in one]:
        assert supervisor["strategy"] in ("one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one", "dynamic")
        assert isinstance(supervisor["max_restarts"], int) and supervisor["max_seconds"] >= 1
        assert supervisor["child_count"] == len(supervisor["children"])
        assert listed[supervisor["pid"]]["behaviour"] == "supervisor"
    for child in nodes(tree):
        assert {"id", "pid", "type", "restart", "restarts"} <= set(child), child
        assert child["type"] == ("supervisor" if "children" in child else "worker")
        assert child["restart"] in ("permanent", "transient", "temporary")
        assert child["pid"] in listed
    top = [child["id"] for child in tree["children"]]
    assert top.index("store.writer") < top.index("rate_limits.sup") < top.index("profiles.sup") < top.index("http.sup"), top
    partitions = [child["name"] for child in nodes(tree) if (child["name"] or "").startswith("rate_limits.partition.")]
    assert partitions == ["rate_limits.partition.%d" % i for i in range(len(partitions))] and partitions


def test_parents_agree_with_the_tree(service):
    """A child's parent in the process list is its supervisor in the tree."""
    tree = service.tree()
    for supervisor in [tree] + [one for one in nodes(tree) if "children" in one]:
        for child in supervisor["children"]:
            if not child["id"].startswith("http.listener."):
                assert service.find(child["pid"])["parent"] == supervisor["pid"], child


# ---- suspending ----------------------------------------------------------------------------------------------------

def test_suspend_and_resume(service):
    """A suspended process keeps its messages and is shown as suspended; resumed it goes on."""
    assert service.post("/v1/processes/%s/suspend" % PARTITION).json()["status"] == "suspended"
    try:
        shown = eventually(lambda: (lambda one: one if one["status"] == "suspended" else None)(service.find(PARTITION)),
                           what="suspended")
        assert shown["state"] is not None, "sys requests are answered all the same"
        assert service.post("/v1/processes/%s/suspend" % PARTITION, {}).status == 200
    finally:
        assert service.post("/v1/processes/%s/resume" % PARTITION).json()["status"] == "resumed"
    eventually(lambda: service.find(PARTITION)["status"] != "suspended", what="resumed")
    assert pointers(service.post("/v1/processes/%s/resume" % PARTITION, {"x": 1})) == ["/x"]


def test_ports_cannot_be_suspended(service):
    """What is no behaviour cannot be suspended: 422."""
    port = next(item for item in processes(service) if item["behaviour"] == "port")
    assert pointers(service.post("/v1/processes/%s/suspend" % port["pid"])) == [""]


if __name__ == "__main__":
    support.main(globals())
