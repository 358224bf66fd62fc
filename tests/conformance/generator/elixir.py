"""Elixir's DynamicSupervisor, PartitionSupervisor, Agent and Registry."""
from generator.base import Generator


class DynamicSupervisor(Generator):
    family = "dynamic_supervisor"

    def write(self):
        self.children = []
        self.add("proc", "t", {"trap": True})
        self.add("mask", "t", "EXIT")
        options = {"max_restarts": self.number(0, 6), "max_seconds": 60}
        if self.chance(.4):
            options["max_children"] = self.number(0, 4)
        if self.chance(.25):
            options["extra"] = ["extra", "x"]
        self.add("t", ["start_link", "dsup", "ds", options])
        self.start()
        self.steps(8, 24, (6, "start"), (6, "kill"), (4, "stop"), (4, "terminate"), (4, "fail"), (2, "which"), (3, "count"), (1, "kill_sup"))
        self.which()
        self.count()
        self.add("t", ["dstop", "ds"])

    def start(self):
        name = "c%d" % len(self.children)
        self.children.append(name)
        spec = {"name": name, "restart": self.pick((4, "permanent"), (2, "transient"), (2, "temporary")), "opts": {"trap": self.chance(.7)}}
        if self.chance(.15):
            spec["shutdown"] = "brutal_kill"
        if self.chance(.2):
            spec["type"] = "supervisor"
        self.add("t", ["dstart", "ds", spec])

    def kill(self):
        self.add("signal", self.one(self.children), self.pick((3, "kill"), (1, "oops"), (1, "shutdown")))

    def stop(self):
        reason = self.pick((3, "normal"), (1, "shutdown"), (1, ["shutdown", 1]), (3, "err"))
        self.add("cast", self.one(self.children), ["run", ["ret", ["stop", reason, "$s"]]])

    def terminate(self):
        self.add("t", ["dterminate", "ds", ["inc", self.one(self.children), 1] if self.chance(.3) else self.one(self.children)])

    def fail(self):
        name = self.pick((1, "c%d" % len(self.children)), (2, self.one(self.children)))
        self.add("fail", name, self.number(1, 3), self.pick((4, ["stop", "nope"]), (1, "ignore"), (1, ["exit", "bang"])))

    def which(self):
        self.add("t", ["dwhich", "ds"])

    def count(self):
        self.add("t", ["dcount", "ds"])

    def kill_sup(self):
        if self.chance(.3):
            self.add("signal", "ds", self.one(["kill", "oops", "shutdown"]))


class PartitionSupervisor(Generator):
    family = "partition_supervisor"

    def write(self):
        self.partitions = self.number(1, 4)
        self.add("proc", "t", {"trap": True})
        self.add("mask", "t", "EXIT")
        child = {"name": "w", "kind": "agent", "opts": {"init": 0}}
        self.add("t", ["start_link", "psup", "ps", {"partitions": self.partitions, "child": child, "with_arguments": True,
                                                    "max_restarts": self.number(1, 4), "max_seconds": 60}])
        self.steps(5, 14, (5, "update"), (4, "get"), (4, "kill"), (2, "look"), (1, "stop"))
        self.look()

    def dest(self):
        return ["part", "ps", self.number(0, 7)]

    def update(self):
        self.add("aupdate", self.dest(), ["$add", "$s", self.number(1, 5)])

    def get(self):
        self.add("aget", self.dest(), "$s")

    def kill(self):
        self.add("signal", "w%d" % self.number(0, self.partitions - 1), self.one(["kill", "oops"]))

    def stop(self):
        self.add("astop", self.dest())

    def look(self):
        self.add("t", self.one([["pwhich", "ps"], ["pcount", "ps"], ["partitions", "ps"]]))


class Agent(Generator):
    """A function that takes 250 is followed by a wait that is past it and past the time-outs of 100."""
    family = "agent"
    SLOW = 250

    def write(self):
        self.agents, self.named = ["a1", "a2"], set()
        for name in ("c1", "c2"):
            self.add("proc", name, {"trap": self.chance(.5)})
        self.add("mask", "c1", "EXIT")
        for name in self.agents:
            self.start(name)
        self.steps(8, 24, (6, "get"), (6, "update"), (5, "get_and_update"), (3, "cast"), (2, "crash"), (1, "stop"), (2, "stray"),
                   (1, "signal"), (2, "slow"), (3, "again"), (2, "state"), (2, "sequence"))
        for name in self.agents:
            self.add("aget", name, "$s")

    def start(self, name):
        options = {"init": self.pick((6, self.number(0, 9)), (1, {"k": 1}), (.5, ["$error", "bad_start"]), (.5, ["$exit", "bad_start"]))}
        if self.chance(.3):
            options["reg"] = "n_" + name
        # Whether a starter that is linked hears of a failing init before it dies of it is a race.
        if isinstance(options["init"], list) or self.chance(.5):
            self.add("start", "agent", name, options)
        else:
            self.add("c1", ["start_link", "agent", name, options])

    def agent(self):
        name = self.one(self.agents)
        return ["name", "n_" + name] if self.chance(.1) else name

    def function(self):
        return self.pick((3, "$s"), (3, ["$add", "$s", 1]), (1, ["$mul", "$s", 2]), (1, 5), (1, ["$log", "$s"]))

    def ask(self, *step):
        self.add("c2", list(step)) if self.chance(.5) else self.add(*step)

    def get(self):
        self.ask("aget", self.agent(), self.function())

    def update(self):
        self.ask("aupdate", self.agent(), self.function())

    def get_and_update(self):
        self.ask("agau", self.agent(), self.pick((5, [self.function(), self.function()]), (1, "junk"), (1, [1, 2, 3])))

    def cast(self):
        self.ask("acast", self.agent(), self.function())

    def crash(self):
        raising = [self.one(["$error", "$exit", "$throw"]), self.one(["oops", "normal"])]
        self.ask(self.one(["aget", "aupdate", "agau", "acast"]), self.one(self.agents), raising)

    def stop(self):
        self.ask("astop", self.agent()) if self.chance(.5) else self.ask("astop", self.agent(), self.one(["shutdown", "done"]))

    def stray(self):
        self.add(self.pick((3, "send"), (1, "cast")), self.one(self.agents), "junk")

    def signal(self):
        self.add("c2", ["signal", self.one(self.agents), self.reason()])

    def slow(self):
        self.add("c2", ["aget", self.one(self.agents), ["$do", ["sleep", self.SLOW]], 100])
        self.add("wait", 2 * self.SLOW)

    def again(self):
        if self.chance(.5):
            self.add("proc", "c1", {"trap": self.chance(.5)})
        self.start(self.one(self.agents))

    def state(self):
        self.add("sys", self.one(self.agents), "get_state")

    def sequence(self):
        name = self.one(self.agents)
        self.add("c2", ["seq", ["acast", name, self.function()], ["aupdate", name, self.function()], ["aget", name, "$s"]])


class Registry(Generator):
    """The oracle's registry hears of a death later than others: a lookup right after it may still show the dead."""
    family = "registry"
    DUPLICATE = False

    def write(self):
        self.add("start", "registry", "reg", {"keys": "duplicate" if self.DUPLICATE else "unique"})
        self.actors = ["p1", "p2", "p3", "p4"]
        self.keys = ["k1", "k2", ["k", 3]]
        self.servers = 0
        for name in self.actors:
            self.add("proc", name)
        self.steps(12, 30, (10, "register"), (4, "unregister"), (6, "lookup"), (4, "keys_of"), (3, "values"), (3, "count"), (4, "update"),
                   (3, "dispatch"), (2, "match"), (1, "unregister_match"), (4, "die"), (1, "meta"), (3, "whereis"), (2, "via_start"), (3, "via_use"))
        for key in self.keys:
            self.add("reg", "lookup", "reg", key)

    def key(self):
        return self.one(self.keys)

    def actor(self):
        return self.one(self.actors)

    def reg(self, verb, *args):
        self.add(self.actor(), ["reg", verb, "reg", *args])

    def register(self):
        self.reg("register", self.key(), self.pick((3, self.number(0, 9)), (1, ["a", self.number(0, 2)])))

    def unregister(self):
        self.reg("unregister", self.key())

    def lookup(self):
        self.reg("lookup", self.key())

    def keys_of(self):
        self.reg("keys", self.one(self.actors + ["self"]))

    def values(self):
        self.reg("values", self.key(), self.one(self.actors + ["self"]))

    def count(self):
        self.reg("count")

    def update(self):
        if self.DUPLICATE:
            return self.count()
        return self.reg("update_value", self.key(), self.pick((3, ["seen", "$s"]), (1, 7)))

    def dispatch(self):
        self.reg("dispatch", self.key(), ["event", "$v"])

    def match(self):
        self.reg(self.one(["match", "count_match"]), self.key(), self.pick((2, "_"), (2, ["a", "_"]), (1, 5)))

    def unregister_match(self):
        self.reg("unregister_match", self.key(), self.pick((1, "_"), (1, ["a", "_"])))

    def meta(self):
        self.reg("put_meta", "m", self.number(0, 9)) if self.chance(.5) else self.reg("meta", "m")

    def whereis(self):
        if self.DUPLICATE:
            return self.lookup()
        return self.reg("whereis", self.key())

    def die(self):
        name = self.actor()
        self.add("signal", name, self.one(["kill", "oops"]))
        self.add("proc", name)

    def via_start(self):
        if self.DUPLICATE:
            return self.lookup()
        name = "s%d" % self.servers
        self.servers += 1
        key = self.key()
        return self.add("start", "gs", name, {"via": ["reg", key, "v"] if self.chance(.3) else ["reg", key]})

    def via_use(self):
        if self.DUPLICATE:
            return self.count()
        dest = ["via", "reg", self.key()]
        # Only servers answer calls: a call to a plain process is left alone after 100.
        verb = self.pick((2, ["cast", dest, "hi"]), (1, ["send", dest, "hello"]))
        return self.add(self.actor(), verb)


class DuplicateRegistry(Registry):
    """Several holders of one key; nothing can be found by it, so there is no via and no value to update."""
    family = "duplicate_registry"
    DUPLICATE = True
