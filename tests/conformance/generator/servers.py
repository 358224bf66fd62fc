"""gen_servers and their callers."""
from generator.base import Generator


class GenServer(Generator):
    """Every op is over before a time-out of 70 (calls) or 130 (idle) could be: a round has few ops, then waits for all."""
    family = "gen_server"
    ROUND = 4
    WAIT = 230
    CALL = 70

    def write(self):
        self.servers = ["s%d" % i for i in range(self.number(1, 2))]
        self.clients = ["c1", "c2", "c3"]  # c1 only is the parent
        self.saved, self.busy, self.pending = 0, set(), []
        for name in self.clients:
            self.add("proc", name, {"trap": True} if self.chance(.5) else {})
        for name in self.servers:
            self.start(name)
        self.count = 0
        for _ in range(self.number(10, 24)):
            if self.count >= self.ROUND or len(self.busy) >= 2:
                self.settle()
            self.count += 1
            self.server = self.one(self.servers)
            self.client = self.one(name for name in ("c2", "c3") if name not in self.busy)
            self.steps(1, 1, (8, "call"), (3, "noreply"), (6, "cast"), (4, "info"), (2, "stop_reply"), (1, "stop"), (1, "bad"),
                       (1, "crash"), (1, "throw"), (2, "reply"), (2, "state"), (1, "signal"), (1, "api_stop"), (2, "suspend"),
                       (2, "restart"), (1, "sequence"), (2, "request"), (1, "statistics"), (1, "elixir"), (1, "replace_state"),
                       (1, "by_name"))
        self.settle()
        for name in self.servers:
            self.add("sys", name, "get_state")

    def settle(self):
        self.add("wait", self.WAIT)
        self.count = 0
        self.busy.clear()
        while self.pending:
            client, name = self.pending.pop()
            self.add(client, [self.one(["wait_response", "receive_response"]), name, 0])

    def start(self, name):
        options = {"trap": self.chance(.4), "state": self.number(0, 3)}
        init = self.pick((6, None), (1, ["ok", "$s", 130]), (1, ["ok", "$s", ["continue", "c0"]]), (1, ["ok", "$s", "hibernate"]),
                         (.3, "ignore"), (.3, ["stop", "no"]), (.2, ["what"]))
        if init:
            options["init"] = [["ret", init]]
        if self.chance(.2):
            options["terminate"] = self.pick((1, [["exit", "worse"]]), (1, [["error", "worse"]]), (2, [["log", "cleanup"]]))
        if self.chance(.2):
            options["reg"] = "n_" + name
        if self.chance(.1):
            options["hibernate_after"] = 50
        options["on"] = {
            "continue:c1": [["ret", self.pick((3, ["noreply", ["$add", "$s", 1]]), (1, ["noreply", "$s", ["continue", "c2"]]),
                                              (1, ["noreply", "$s", 130]), (1, ["stop", "from_c", "$s"]))]],
            "info:timeout": [["ret", self.pick((4, ["noreply", ["$add", "$s", 10]]), (1, ["stop", "normal", "$s"]),
                                               (1, ["noreply", "$s", ["continue", "c2"]]))]]}
        # Whether a starter that is linked hears of a failing init before it dies of it is a race.
        fails = init in ("ignore", ["stop", "no"], ["what"])
        way = self.pick((0 if fails else 6, "start_link"), (2, "start"), (1, "start_monitor"))
        if way == "start":
            self.add("start", "gs", name, options)
        elif way == "start_monitor":
            self.add("c3", ["start_monitor", "m_" + name, "gs", name, options])
        else:
            # A trapping starter also gets the EXIT of a start that fails.
            self.add("mask", "c1", "EXIT")
            self.add("c1", ["start_link", "gs", name, options])

    def tail(self):
        return self.pick((10, []), (2, [130]), (1, [0]), (2, [["continue", "c1"]]), (1, ["hibernate"]))

    def new_state(self):
        return self.pick((3, "$s"), (2, ["$add", "$s", 1]))

    def ask(self, *steps):
        self.add(self.client, ["call", self.server, ["run", *steps], self.CALL])

    def tell(self, *steps):
        self.add("cast", self.server, ["run", *steps])

    # ---- calls
    def call(self):
        self.ask(["ret", ["reply", self.one(["ok", "$s", "r"]), self.new_state()] + self.tail()])

    def noreply(self):
        self.saved += 1
        self.busy.add(self.client)
        self.ask(["save_from", "k%d" % self.saved], ["ret", ["noreply", self.new_state()]])

    def reply(self):
        if self.saved:
            self.tell(["reply", "k%d" % self.number(1, self.saved), "late"], ["ret", ["noreply", "$s"]])

    def stop_reply(self):
        self.ask(["ret", ["stop", self.one(["normal", "why", "shutdown"]), "bye", "$s"]])

    def stop(self):
        self.ask(["ret", ["stop", self.one(["normal", "why"]), "$s"]])

    def bad(self):
        self.ask(["ret", ["what", 1]])

    def crash(self):
        self.ask([self.one(["error", "exit"]), "boom"])

    def throw(self):
        self.ask(["throw", ["reply", "thrown", "$s"]])

    def elixir(self):
        self.add(self.client, self.pick((2, ["ex_call", self.server, "hello", self.CALL]), (1, ["ex_stop", self.server])))

    def by_name(self):
        self.add(self.client, self.pick((2, ["call", ["name", "n_" + self.server], "hi", self.CALL]),
                                        (1, ["cast", ["name", "n_" + self.server], "hi"]), (1, ["whereis", "n_" + self.server])))

    def request(self):
        self.saved += 1
        client = self.one(["c2", "c3"])
        if client in self.busy:
            return
        name = "q%d" % self.saved
        body = self.pick((3, ["run", ["ret", ["reply", "answer", "$s"]]]), (1, ["run", ["ret", ["noreply", "$s"]]]),
                         (1, ["run", ["ret", ["stop", "why", "$s"]]]))
        # In hold until the answer is asked for, or the client's loop would take it as a message.
        self.add(client, ["seq", ["hold", True], ["send_request", name, self.server, body]])
        self.add(client, [self.one(["wait_response", "receive_response"]), name, 60])
        self.settle()
        self.add(client, ["hold", False])

    # ---- casts and messages
    def cast(self):
        self.tell(["ret", ["noreply", self.new_state()] + self.tail()])

    def info(self):
        self.add("send", self.server, self.pick((2, "hello"), (2, ["run", ["ret", ["noreply", self.new_state()] + self.tail()]])))

    def sequence(self):
        self.add(self.client, ["seq", ["cast", self.server, 1], ["send", self.server, 2], ["cast", self.server, 3],
                               ["call", self.server, 4, self.CALL]])

    # ---- from outside
    def state(self):
        self.add("sys", self.server, "get_state")

    def replace_state(self):
        self.add("sys", self.server, "replace_state", ["$add", "$s", 100])

    def statistics(self):
        self.add("sys", self.server, "statistics", self.one([True, False, "get"]))

    def suspend(self):
        self.add(self.client, ["seq", ["sys", self.server, "suspend"], ["cast", self.server, "q1"], ["send", self.server, "q2"],
                               ["cast", self.server, ["run", ["ret", ["noreply", self.new_state()] + self.tail()]]],
                               ["cast", self.server, "q3"], ["sys", self.server, "resume"]])

    def signal(self):
        self.add(self.one(self.clients), ["signal", self.server, self.reason()])

    def api_stop(self):
        self.add(self.client, ["stop", self.server, self.one(["normal", "done"])])

    def restart(self):
        self.add("proc", "c1", {"trap": self.chance(.5)})
        self.start(self.server)
