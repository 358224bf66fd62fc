"""Timers of processes and of the timer server, their destinations dying, cancelling, reading."""
from generator.base import Generator


class Timer(Generator):
    """The oracle's clock runs while ours stands, so deadlines stay far from each other and from the ends of waits: a round
    sets timers in two halves, at 0 and 1.25 UNIT, for whole units; its waits end at 1.25 and at 5.4. What the oracle is late
    by the ends of ops only takes the second half further from the first."""
    family = "timer"
    UNIT = 200
    ROUNDS = (1, 3)

    def write(self):
        self.actors = ["p1", "p2", "p3"]
        self.made = 0
        self.add("proc", "holder")
        for name in self.actors:
            self.revive(name)
        for _ in range(self.number(*self.ROUNDS)):
            self.timers, self.intervals = [], []
            self.half()
            self.add("wait", int(1.25 * self.UNIT))
            self.half()
            self.add("wait", int(4.15 * self.UNIT))
            self.cancel_all()

    def half(self):
        self.used = set()
        self.steps(1, 5, (6, "after"), (4, "start_timer"), (3, "cancel"), (2, "read"), (3, "interval"), (2, "end_after"),
                   (1, "apply"), (1, "die"), (1, "register"), (1, "to_name"), (1, "zero"))

    def revive(self, who):
        self.add("proc", who, {"trap": True} if self.chance(.4) else {})

    def new(self):
        self.made += 1
        return "t%d" % self.made

    def slot(self):
        """A time that no other timer of this half has: two timers of one deadline are another family's business."""
        free = [units for units in (1, 2, 3, 4) if units not in self.used]
        if not free:
            return None
        units = self.one(free)
        self.used.add(units)
        return units * self.UNIT

    def after(self, verb="send_after", dest=None):
        time = self.slot()
        if time is not None:
            name = self.new()
            self.timers.append(name)
            step = [verb, name, time, dest or self.one(self.actors), ["m", self.made]]
            self.add("holder", step) if self.chance(.3) else self.add(*step)

    def start_timer(self):
        self.after("start_timer")

    def to_name(self):
        self.after(self.one(["send_after", "start_timer"]), ["name", "n1"])

    def zero(self):
        self.add("send_after", self.new(), 0, self.one(self.actors), "now")

    def cancel(self):
        if self.timers:
            self.add("cancel_timer", self.one(self.timers))

    def read(self):
        if self.timers:
            self.add("read_timer", self.one(self.timers))

    def interval(self):
        # Its period must not fall on other timers: it takes the place of all.
        if not self.used:
            self.used.update((1, 2, 3, 4))
            name = self.new()
            self.intervals.append(name)
            self.add("send_interval", name, self.UNIT, self.one(self.actors), ["tick", self.made])

    def end_after(self):
        time = self.slot()
        if time is not None:
            name = self.new()
            self.intervals.append(name)
            if self.chance(.4):
                self.add("kill_after", name, time, self.one(self.actors))
            else:
                self.add("exit_after", name, time, self.one(self.actors), self.reason())

    def apply(self):
        time = self.slot()
        if time is not None:
            name = self.new()
            self.intervals.append(name)
            self.add("apply_after", name, time, ["applied", self.made])

    def die(self):
        who = self.one(self.actors)
        self.add("signal", who, self.one(["kill", "oops"]))
        if self.chance(.4):
            self.revive(who)

    def register(self):
        self.add("register", "n1", self.one(self.actors))

    def cancel_all(self):
        for name in self.intervals:
            self.add("cancel_interval", name)
        for name in self.timers:
            if self.chance(.3):
                self.add("cancel_timer", name)
