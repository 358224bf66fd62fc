"""Supervision trees."""
from generator.base import Generator, listed


class Supervisor(Generator):
    """A tree of up to four supervisors and eight workers; all admin calls come from t, so nothing overtakes anything."""
    family = "supervisor"

    def write(self):
        self.leaves, self.sups, self.parents, self.extra = [], [], {}, 0
        self.untrapping = set()
        # In lanes of their own the order of a tree is not compared, and supervisors may be killed.
        self.own = self.chance(.35)
        tree = self.sup("top", 0)
        if self.chance(.15) and self.leaves:
            self.fail_at_start()
        self.add("proc", "t", {"trap": True})
        self.add("mask", "t", "EXIT")
        self.add("t", ["start_link", "sup", "top", tree])
        self.steps(8, 26, (9, "kill"), (6, "stop"), (5, "fail"), (4, "terminate_child"), (4, "restart_child"),
                   (2, "delete_child"), (4, "which"), (2, "count"), (3, "start_child"), (2 if self.own else 0, "kill_sup"),
                   (1, "bad"), (1, "cycle_sup"), (1, "childspec"))
        for name in self.sups:
            self.add("t", ["which_children", name])
        self.add("t", ["stop", "top", "shutdown"])

    # ---- the tree
    def restart(self):
        return self.pick((5, "permanent"), (3, "transient"), (2, "temporary"))

    def leaf(self, parent, auto):
        name = "w%d" % len(self.leaves)
        self.leaves.append((name, parent))
        spec = {"id": name, "restart": self.restart(), "opts": {"trap": self.chance(.75)}}
        if self.chance(.15):
            spec["kind"] = "proc"
            spec["opts"]["trap"] = False  # it would take the shutdown for a message, and hold up its supervisor
        if not spec["opts"]["trap"]:
            self.untrapping.add(name)
        if self.chance(.1):
            spec["shutdown"] = "brutal_kill"
        if self.own:
            spec["lane"] = "own"
        if auto and spec["restart"] != "permanent" and self.chance(.6):
            spec["significant"] = True
        return spec

    def sup(self, name, depth):
        self.sups.append(name)
        auto = self.pick((6, None), (1, "any_significant"), (1, "all_significant"))
        children = []
        for _ in range(self.number(1, 4)):
            if depth < 2 and len(self.sups) < 4 and self.chance(.25):
                child = "s%d" % len(self.sups)
                options = self.sup(child, depth + 1)
                self.parents[child] = name
                restart = self.pick((4, "permanent"), (2, "transient"), (1, "temporary"))
                children.append({"id": child, "kind": "sup", "type": "supervisor", "restart": restart, "opts": options})
            elif len(self.leaves) < 8:
                children.append(self.leaf(name, auto))
        options = {"strategy": self.pick((4, "one_for_one"), (4, "one_for_all"), (4, "rest_for_one")),
                   "intensity": self.pick((1, 0), (2, 1), (3, 2), (4, 4), (3, 7)), "period": 60, "children": children}
        if auto:
            options["auto_shutdown"] = auto
        return options

    # ---- ops
    def worker(self):
        return self.one(self.leaves) if self.leaves else ("top", "top")

    def fail_next(self, times, how, in_the_beginning=False):
        """Where a failing start ends its supervisor, the worker must trap exits, or the two race: it says that it failed, then
        ends; its supervisor hears that, then kills it."""
        names = [name for name, parent in self.leaves
                 if name not in self.untrapping or (parent == "top" and not in_the_beginning)]
        if names:
            self.add("fail", self.one(names), times, how)

    def fail_at_start(self):
        self.fail_next(1, self.pick((3, ["stop", "nope"]), (1, "ignore"), (1, ["error", "boom"])), in_the_beginning=True)

    def kill(self):
        if self.leaves:
            self.add("signal", self.worker()[0], self.pick((3, "kill"), (1, "oops")))

    def tell(self, value):
        if self.leaves:
            self.add("cast", self.worker()[0], ["run", ["ret", value]])

    def stop(self):
        self.tell(["stop", self.pick((3, "normal"), (1, "shutdown"), (1, ["shutdown", 1]), (3, "err")), "$s"])

    def bad(self):
        self.tell("bad")

    def fail(self):
        self.fail_next(self.number(1, 3), self.pick((5, ["stop", "nope"]), (1, "ignore"), (1, ["exit", "bang"])))

    def admin(self, verb):
        name, parent = self.worker()
        self.add("t", [verb, self.one(self.sups) if self.chance(.1) else parent, name])

    def terminate_child(self):
        self.admin("terminate_child")

    def restart_child(self):
        self.admin("restart_child")

    def delete_child(self):
        self.admin("delete_child")

    def childspec(self):
        self.admin("get_childspec")

    def which(self):
        self.add("t", ["which_children", self.one(self.sups)])

    def count(self):
        self.add("t", ["count_children", self.one(self.sups)])

    def start_child(self):
        spec = {"id": "x%d" % self.extra, "restart": self.restart(), "opts": {"trap": True}}
        if self.own:
            spec["lane"] = "own"
        parent = self.one(self.sups)
        self.add("t", ["start_child", parent, spec])
        self.leaves.append((spec["id"], parent))
        self.extra += 1

    def kill_sup(self):
        self.add("signal", self.one(self.sups[1:] or self.sups), "kill")

    def cycle_sup(self):
        if self.parents:
            name = self.one(sorted(self.parents))
            self.add("t", ["terminate_child", self.parents[name], name])
            self.add("t", ["restart_child", self.parents[name], name])


class SimpleSupervisor(Generator):
    """simple_one_for_one: children made by start_child, taken by pid."""
    family = "simple_supervisor"

    def write(self):
        self.children = []
        self.add("proc", "t", {"trap": True})
        self.add("mask", "t", "EXIT")
        spec = {"id": "w", "restart": self.pick((4, "permanent"), (2, "transient"), (2, "temporary")), "opts": {"trap": self.chance(.7)}}
        if self.chance(.15):
            spec["shutdown"] = "brutal_kill"
        self.add("t", ["start_link", "sup", "top", {"strategy": "simple_one_for_one", "intensity": self.number(0, 5), "period": 60,
                                                    "children": [spec]}])
        self.start()
        self.steps(6, 20, (5, "start"), (5, "kill"), (4, "stop"), (3, "terminate"), (3, "fail"), (2, "which"), (2, "count"), (1, "refused"))
        self.which()
        self.add("t", ["stop", "top", "shutdown"])

    def start(self):
        name = "c%d" % len(self.children)
        self.children.append(name)
        self.add("t", ["start_child", "top", listed(name, {"state": 7}) if self.chance(.3) else listed(name)])

    def kill(self):
        self.add("signal", self.one(self.children), self.pick((3, "kill"), (1, "oops"), (1, "shutdown")))

    def stop(self):
        self.add("cast", self.one(self.children), ["run", ["ret", ["stop", self.pick((3, "normal"), (1, "shutdown"), (3, "err")), "$s"]]])

    def terminate(self):
        name = self.one(self.children)
        self.add("t", ["terminate_child", "top", ["pid", name]])

    def fail(self):
        # Of a restart that is ignored OTP keeps an entry without a process: section 8 of the README.
        if self.chance(.3):
            self.add("fail", "c%d" % len(self.children), self.number(1, 2), self.one([["stop", "nope"], "ignore"]))
            self.start()
        else:
            self.add("fail", self.one(self.children), self.number(1, 2), ["stop", "nope"])

    def which(self):
        self.add("t", ["which_sorted", "top"])

    def count(self):
        self.add("t", ["count_children", "top"])

    def refused(self):
        self.add("t", [self.one(["restart_child", "delete_child", "terminate_child"]), "top", "w"])


class SlowSupervisor(Generator):
    """Children that take their time to end, or never do: who is waited for, how long, and who is killed. Each op is
    followed by a wait that is longer than all ends together."""
    family = "slow_supervisor"
    SLOW = 60
    SHORT = 30
    WAIT = 450

    def write(self):
        self.names = ["w%d" % i for i in range(self.number(2, 4))]
        self.add("proc", "t", {"trap": True})
        self.add("mask", "t", "EXIT")
        strategy = self.one(["one_for_one", "one_for_all", "rest_for_one"])
        children = [self.child(name) for name in self.names]
        self.add("t", ["start_link", "sup", "top", {"strategy": strategy, "intensity": self.number(1, 4), "period": 60, "children": children}])
        for _ in range(self.number(3, 7)):
            self.steps(1, 1, (4, "kill"), (3, "terminate"), (2, "restart"), (1, "end"), (2, "both"))
            self.add("wait", self.WAIT)
        self.add("t", ["which_children", "top"])
        self.add("t", ["stop", "top", self.one(["shutdown", "normal"])])
        self.add("wait", self.WAIT)

    def child(self, name):
        spec = {"id": name, "restart": self.pick((4, "permanent"), (1, "transient"), (1, "temporary")), "opts": {"trap": self.chance(.8)}}
        if self.chance(.6):
            spec["opts"]["terminate"] = self.pick((3, [["sleep", self.SLOW]]), (1, [["sleep", self.SLOW], ["exit", "worse"]]),
                                                  (1, [["sleep", 10 * self.SLOW]]))
            sleeps_long = spec["opts"]["terminate"] == [["sleep", 10 * self.SLOW]]
            spec["shutdown"] = self.SHORT if sleeps_long else self.one([self.SHORT, 5000, 5000, "infinity", "brutal_kill"])
        return spec

    def kill(self):
        self.add("signal", self.one(self.names), self.one(["kill", "oops"]))

    def end(self):
        self.add("cast", self.one(self.names), ["run", ["ret", ["stop", self.one(["normal", "err"]), "$s"]]])

    def terminate(self):
        self.add("t", ["terminate_child", "top", self.one(self.names)])

    def restart(self):
        self.add("t", ["restart_child", "top", self.one(self.names)])

    def both(self):
        """Asked while it may be in the middle of a shutdown."""
        self.kill()
        self.add("t", [self.one(["which_children", "count_children"]), "top"])
