"""Plain processes: links, monitors, signals, exits, names, aliases, mailboxes."""
from generator.base import Generator, listed


class Process(Generator):
    """Everything may die at any time. Two signals of different senders never race: one op, one actor."""
    family = "process"
    names = ["n1", "n2"]

    def write(self):
        self.add("unordered", "*")
        self.actors = ["p%d" % i for i in range(self.number(3, 6))]
        self.lives = {name: 1 for name in self.actors}  # an op on a mark is for the life that made it
        self.marks, self.aliases, self.made = [], [], 0
        for name in self.actors:
            self.add("proc", name, {"trap": True}) if self.chance(.3) else self.add("proc", name)
        self.steps(14, 40, (10, "link"), (3, "unlink"), (9, "monitor"), (2, "monitor_name"), (4, "demonitor"),
                   (4, "trap"), (5, "signal"), (3, "signal_by_ctl"), (4, "end"), (5, "send"), (3, "send_name"),
                   (3, "register"), (2, "names_op"), (2, "look"), (6, "revive"), (4, "spawn"), (3, "alias"),
                   (3, "use_alias"), (3, "hold"), (2, "take"), (2, "burst"), (1, "unsafe"))
        for name in self.actors:
            self.add("alive", name)
        self.add("snap")

    def new(self, prefix):
        self.made += 1
        return "%s%d" % (prefix, self.made)

    def two(self):
        return self.one(self.actors), self.one(self.actors)

    # ---- links and signals
    def link(self):
        who, other = self.two()
        self.add(who, ["link", other])

    def unlink(self):
        who, other = self.two()
        self.add(who, ["unlink", other])

    def trap(self):
        self.add(self.one(self.actors), ["trap", self.chance(.6)])

    def signal(self):
        who, other = self.two()
        self.add(who, ["signal", "self" if self.chance(.1) else other, self.reason()])

    def signal_by_ctl(self):
        self.add("signal", self.one(self.actors), self.reason())

    def end(self):
        verb = self.pick((4, "exit"), (1, "error"), (1, "throw"), (1, "return"))
        self.add(self.one(self.actors), [verb] if verb == "return" else [verb, self.reason()])

    def unsafe(self):
        self.add(self.one(self.actors), ["unsafe", self.pick((1, ["link", self.one(self.actors)]), (1, ["unregister", "n1"]))])

    # ---- monitors
    def mark(self, who, dest):
        ref = self.new("r")
        options = self.pick((8, None), (1, listed(["tag", "gone"])), (1, listed(["alias", "demonitor"])))
        self.marks.append((ref, who, self.lives[who]))
        self.add(who, ["monitor", ref, dest] if options is None else ["monitor", ref, dest, options])

    def monitor(self):
        self.mark(*self.two())

    def monitor_name(self):
        self.mark(self.one(self.actors), ["name", self.one(self.names)])

    def demonitor(self):
        alive = [mark for mark in self.marks if self.lives[mark[1]] == mark[2]]
        if not alive:
            return
        mark = self.one(alive)
        options = self.pick((2, None), (2, listed("flush")), (1, listed("info")), (1, listed("flush", "info")))
        self.marks.remove(mark)
        self.add(mark[1], ["demonitor", mark[0]] if options is None else ["demonitor", mark[0], options])

    # ---- messages
    def message(self):
        return ["m", self.number(0, 9)]

    def send(self):
        who, other = self.two()
        self.add(who, ["send", other, self.message()])

    def send_name(self):
        self.add(self.one(self.actors), ["send", ["name", self.one(self.names)], "hello"])

    def burst(self):
        who, other = self.two()
        between = self.pick((1, ["link", other]), (1, ["unlink", other]), (2, ["signal", other, self.reason()]))
        self.add(who, ["seq", ["send", other, self.message()], between, ["send", other, self.message()]])

    def hold(self):
        self.add(self.one(self.actors), ["hold", self.chance(.7)])

    def take(self):
        pattern = self.pick((2, "_"), (1, "EXIT"), (1, "DOWN"), (1, "m"))
        verb = self.pick((3, ["recv", pattern, 0]), (1, ["info", "self", "message_queue_len"]), (1, ["info", "self", "trap_exit"]))
        self.add(self.one(self.actors), verb)

    # ---- aliases
    def alias(self):
        who, name = self.one(self.actors), self.new("a")
        options = self.pick((2, None), (1, listed("explicit_unalias")), (2, listed("reply")))
        # An alias of a dead process was never made: its name would mean nothing.
        self.add("proc", who)
        self.lives[who] += 1
        self.aliases.append((name, who, self.lives[who]))
        self.add(who, ["alias", name] if options is None else ["alias", name, options])

    def use_alias(self):
        if not self.aliases:
            return
        name, who, life = self.one(self.aliases)
        if self.chance(.75):
            self.add(self.one(self.actors), ["send", ["alias", name], self.message()])
        elif self.lives[who] == life:
            self.add(who, ["unalias", name])

    # ---- names
    def register(self):
        self.add("register", self.one(self.names), self.one(self.actors))

    def names_op(self):
        self.add(self.pick((1, "unregister"), (2, "whereis")), self.one(self.names))

    # ---- lives
    def look(self):
        if self.chance(.4):
            self.add("snap")
        elif self.chance(.5):
            self.add("alive", self.one(self.actors))
        else:
            self.add("info", self.one(self.actors), self.one(["links", "monitors", "monitored_by", "registered_name"]))

    def revive(self):
        who = self.one(self.actors)
        self.lives[who] += 1
        self.add("proc", who, {"trap": self.chance(.3)})

    def spawn(self):
        who, child = self.one(self.actors), "k%d" % len(self.actors)
        verb = self.one(["spawn", "spawn_link", "spawn_monitor"])
        # A child that ends at once and its link race.
        options = self.pick((3, {}), (1, {"trap": True}), (1 if verb == "spawn_monitor" else 0, {"do": [["exit", self.reason()]]}))
        self.add(who, [verb, child, self.new("r"), options] if verb == "spawn_monitor" else [verb, child, options])
        self.add("proc", child)  # the name exists also when who was dead
        self.actors.append(child)
        self.lives[child] = 2
