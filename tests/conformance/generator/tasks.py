"""Elixir's Task and Task.Supervisor."""
from generator.base import Generator, listed


class Task(Generator):
    """The owners trap exits and are in hold, so a task that crashes leaves them alive. Whatever may block an owner for
    LIMIT is followed by a wait that is longer."""
    family = "task"
    LIMIT = 60
    WAIT = 160

    def write(self):
        self.tasks, self.made, self.streams = [], 0, 0
        for owner in ("p1", "p2"):
            self.add("proc", owner, {"trap": True, "hold": True})
        options = {"max_restarts": self.number(0, 3), "max_seconds": 60}
        self.full = self.chance(.3)
        if self.full:
            options["max_children"] = self.number(1, 3)
        self.add("start", "tasksup", "ts", options)
        self.steps(8, 22, (8, "start"), (5, "collect"), (3, "many"), (3, "go"), (3, "kill"), (2, "shutdown"), (1, "ignore"),
                   (2, "loose"), (2, "child"), (2, "children"), (1, "terminate"), (2, "stream"), (1, "other_owner"), (1, "owner_dies"))
        for owner in ("p1", "p2"):
            self.add(owner, ["flush"])
        self.children()
        self.add("snap")

    def script(self):
        end = self.pick((5, ["ret", self.number(1, 9)]), (2, ["exit", self.one(["boom", "normal", "shutdown"])]), (1, ["error", "oops"]),
                        (1, ["throw", "ball"]))
        script = [["recv", "go", "infinity"], end] if self.chance(.5) else [end]
        return [["trap", True]] + script if self.chance(.2) else script

    def new(self):
        self.made += 1
        return "t%d" % self.made

    def start(self):
        owner, name = self.one(["p1", "p2"]), self.new()
        options = self.pick((4, None), (1, {"sup": "ts"}), (2, {"sup": "ts", "nolink": True}))
        if options is None:
            # One that a full supervisor refuses has no handle.
            self.tasks.append((owner, name))
        self.add(owner, ["async", name, self.script()] + ([options] if options else []))

    def task(self):
        return self.one(self.tasks) if self.tasks else None

    def blocking(self, owner, *command):
        self.add(owner, list(command))
        self.add("wait", self.WAIT)

    def collect(self):
        task = self.task()
        if task:
            self.blocking(task[0], self.one(["await", "yield"]), task[1], self.LIMIT)

    def many(self):
        owner = self.one(["p1", "p2"])
        own = sorted({name for who, name in self.tasks if who == owner})
        if own:
            chosen = self.random.sample(own, min(len(own), self.number(1, 3)))
            self.blocking(owner, self.one(["await_many", "yield_many"]), chosen, self.LIMIT)

    def shutdown(self):
        task = self.task()
        if task:
            self.blocking(task[0], "task_shutdown", task[1], self.one([self.LIMIT, "brutal_kill"]))

    def ignore(self):
        task = self.task()
        if task:
            self.add(task[0], ["task_ignore", task[1]])

    def other_owner(self):
        task = self.task()
        if task:
            other = {"p1": "p2", "p2": "p1"}[task[0]]
            self.add(other, self.one([["await", task[1], self.LIMIT], ["yield", task[1], self.LIMIT], ["task_shutdown", task[1], self.LIMIT]]))

    def go(self):
        task = self.task()
        if task:
            self.add("send", task[1], "go")

    def kill(self):
        task = self.task()
        if task:
            self.add("signal", task[1], self.one(["kill", "oops", "shutdown"]))

    def owner_dies(self):
        if self.chance(.3):
            owner = self.one(["p1", "p2"])
            self.add("signal", owner, self.one(["kill", "kill"]))
            self.tasks = [task for task in self.tasks if task[0] != owner]
            self.add("proc", owner, {"trap": True, "hold": True})

    def loose(self):
        self.add(self.one(["p1", "p2"]), [self.one(["task_start", "task_start_link"]), self.new(), self.script()])

    def child(self):
        options = {"restart": self.one(["temporary", "transient"])} if self.chance(.5) else {}
        # A restarted task fails again at once: it must end the first time.
        script = [["ret", 1]] if options.get("restart") == "transient" else self.script()
        self.add(self.one(["p1", "p2"]), ["task_child", "ts", self.new(), script, options])

    def children(self):
        self.add("task_children", "ts")

    def terminate(self):
        task = self.task()
        if task:
            self.add("task_terminate", "ts", task[1])

    def stream(self):
        self.streams += 1
        values = [10 * self.streams + i for i in range(self.number(1, 4))]
        value = ["$if", ["$eq", "$x", self.one(values)], ["$exit", "boom"], "$x"] if self.chance(.3) else ["$mul", "$x", 2]
        options = {"max_concurrency": self.number(1, 3)}
        if self.chance(.2):
            options["take"] = 1
            options["max_concurrency"] = 1
        # Of a supervisor that may be full when its turn comes, a stream is never heard of again.
        if not self.full and self.chance(.4):
            options.update({"sup": "ts", "nolink": True})
        self.blocking(self.one(["p1", "p2"]), "stream", "w%d_" % self.streams, listed(*values), [["ret", value]], options)
