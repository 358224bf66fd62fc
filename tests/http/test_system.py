#!/usr/bin/env python3
"""The service seen from outside: health, metrics, description, version, processes, supervisors."""
import re
import urllib.parse

import schema
import support
from support import eventually, node, nodes, pointers, problem

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
    assert set(kinds) == helped
    return values


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


def example_call(document, path, parameters, operation):
    """Target, headers and body of an operation, from its examples alone."""
    query, headers = [], {}
    for parameter in (schema.resolve(document, parameter) for parameter in parameters):
        if "example" not in parameter:
            assert not parameter.get("required"), (path, parameter["name"])
            continue
        value = str(parameter["example"])
        if parameter["in"] == "path":
            path = path.replace("{%s}" % parameter["name"], urllib.parse.quote(value, safe=""))
        elif parameter["in"] == "query":
            query.append(parameter["name"] + "=" + urllib.parse.quote(value, safe=""))
        else:
            headers[parameter["name"]] = value
    body = None
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["example"]
    return path + ("?" + "&".join(query) if query else ""), headers, body


def test_openapi_examples():
    """Every documented operation can be executed with its examples, and the answers fit what is documented."""
    with support.Service() as service:
        document = service.get("/openapi.json").json()
        refused = {"deletePolicy": 409}  # `default` is protected
        done = set()
        for path, method, operation, parameters in operations(document):
            name = operation["operationId"]
            target, headers, body = example_call(document, path, parameters, operation)
            answer = service.request(method.upper(), target, body, headers=headers)
            if name in refused:
                assert answer.status == refused[name], (name, answer)
            else:
                assert 200 <= answer.status < 300, (name, answer)
            schema.check_answer(document, operation, answer)
            done.add(name)
            if name == "exitProcess":
                eventually(lambda: service.get("/readyz").status == 200)
        assert len(done) >= 25


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
        assert supervisor["strategy"] in ("one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one")
        assert isinstance(supervisor["max_restarts"], int) and supervisor["max_seconds"] >= 1
        assert supervisor["child_count"] == len(supervisor["children"])
        assert listed[supervisor["pid"]]["behaviour"] == "supervisor"
    for child in nodes(tree):
        assert {"id", "pid", "type", "restart", "restarts"} <= set(child), child
        assert child["type"] == ("supervisor" if "children" in child else "worker")
        assert child["restart"] in ("permanent", "transient", "temporary")
        assert child["pid"] in listed
    top = [child["id"] for child in tree["children"]]
    assert top.index("store.writer") < top.index("rate_limits.sup") < top.index("http.sup"), top
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
