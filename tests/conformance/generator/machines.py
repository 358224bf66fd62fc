"""gen_statems: a random table of rules, and events that run into it."""
from generator.base import Generator, listed

STATES = ["a", "b", "c"]
EVENTS = ["e1", "e2", "e3", "e4"]


class GenStatem(Generator):
    """Time-outs are far from each other and from the ends of waits; a round has few ops, then waits for all."""
    family = "gen_statem"
    ROUND = 4
    WAIT = 450
    CALL = 370

    def write(self):
        self.saved = 0
        # No time-out may lead to the next one for ever: either they lead to nothing, or only casts and calls set them.
        self.timeouts_lead_on = self.chance(.5)
        enter = self.chance(.5)
        options = {"first": "a", "state": 0, "on": self.rules(enter)}
        if enter:
            options["enter"] = True
        if self.chance(.3):
            options["mode"] = "state_functions"
        if self.chance(.3):
            options["trap"] = True
        if self.chance(.25):
            actions = [self.timer(), self.one([["next_event", "internal", "n1"], ["next_event", "cast", "e1"], self.timer()])]
            options["init"] = [["ret", ["ok", self.one(STATES), 5, listed(*actions)]]]
        if self.chance(.2):
            options["terminate"] = self.pick((1, [["exit", "worse"]]), (1, [["error", "worse"]]), (2, [["log", "cleanup"]]))
        for name in ("c1", "c2"):
            self.add("proc", name)
        self.add("start", "sm", "m", options)
        count, busy = 0, set()
        for _ in range(self.number(8, 18)):
            if count >= self.ROUND or busy:
                self.add("wait", self.WAIT)
                count = 0
                busy.clear()
            count += 1
            self.client = self.one(name for name in ("c1", "c2") if name not in busy)
            kind = self.pick((12, "cast"), (3, "call"), (2, "info"), (2, "state"), (3, "burst"), (2, "script"), (1, "stop_reply"),
                             (1, "call_later"), (1, "reply_now"), (1, "signal"), (1, "replace_state"), (.5, "api_stop"))
            if kind in ("call", "stop_reply", "call_later"):
                busy.add(self.client)
            getattr(self, kind)()
        self.add("wait", self.WAIT)
        self.add("sys", "m", "get_state")

    # ---- rules
    def timer(self):
        return self.pick((3, ["state_timeout", 210, "st"]), (2, ["timeout", 130, "et"]), (3, [["timeout", "g"], 60, "gt"]),
                         (1, [["timeout", "h"], 290, "ht"]), (2, [["timeout", "z"], 0, "z0"]), (1, [["timeout", "g"], "cancel"]),
                         (1, ["state_timeout", "cancel"]), (1, ["state_timeout", "infinity", "x"]),
                         (1, ["timeout", "cancel"]), (1, ["state_timeout", "update", "st2"]), (1, [["timeout", "h"], "update", "ht2"]),
                         (.5, ["timeout", "update", "et2"]))

    def inner_timer(self):
        return [] if self.timeouts_lead_on or self.chance(.5) else [self.timer()]

    def after_timeout(self):
        if self.timeouts_lead_on:
            return self.result(self.one([[], [], ["hibernate"], [["next_event", "internal", "n1"]]]))
        return ["ret", ["keep_state", ["$add", "$s", 1], listed(*self.one([[], ["hibernate"]]))]]

    def result(self, actions):
        data = self.pick((3, "$s"), (1, ["$add", "$s", 1]))
        return ["ret", self.pick((6, ["next_state", self.one(STATES), data, listed(*actions)]),
                                 (5, ["keep_state", data, listed(*actions)]), (1, ["repeat_state", data, listed(*actions)]),
                                 (1, ["keep_state_and_data", listed(*actions)]), (.5, ["repeat_state_and_data", listed(*actions)]))]

    def rules(self, enter):
        rules = []
        for state in STATES:
            for event in EVENTS:
                if self.chance(.75):
                    actions = [self.pick((3, self.timer()), (3, ["next_event", "internal", self.one(["n1", "n2"])]),
                                         (1, ["next_event", "cast", "n3"])) for _ in range(self.one([0, 0, 1, 1, 2]))]
                    postpone = ["ret", ["keep_state", "$s", listed("postpone")]]
                    rules.append([state, "cast", event, postpone if self.chance(.25) else self.result(actions)])
            for event in ("n1", "n2"):
                if self.chance(.5):
                    rules.append([state, "internal", event, self.result(self.inner_timer())])
            for event in ("state_timeout", "timeout", ["timeout", "g"], ["timeout", "h"]):
                if self.chance(.5):
                    rules.append([state, event, "_", self.after_timeout()])
            if enter and self.chance(.4):
                rules.append([state, "enter", "_", ["ret", ["keep_state", ["$add", "$s", 100], listed(*self.inner_timer())]]])
            if self.chance(.5):
                rules.append([state, "call", "q1", ["ret", ["next_state", self.one(STATES), "$s", listed(["reply", "$from", "moved"])]]])
            if self.chance(.3):
                rules.append([state, "call", "q2", ["ret", ["keep_state_and_data", listed("postpone")]]])
        return rules

    # ---- ops
    def cast(self):
        self.add("smcast", "m", self.one(EVENTS))

    def call(self):
        self.add(self.client, ["smcall", "m", self.one(["q1", "q2", "q3"]), self.CALL])

    def info(self):
        self.add("send", "m", "hello")

    def state(self):
        self.add("sys", "m", "get_state")

    def burst(self):
        events = [["smcast", "m", self.one(EVENTS)] for _ in range(self.number(2, 5))]
        self.add(self.client, ["seq", ["sys", "m", "suspend"], *events, ["sys", "m", "resume"]])

    def script(self):
        actions = listed(self.timer(), ["next_event", "internal", "n1"], self.timer())
        self.add("smcast", "m", ["run", self.pick((2, ["ret", ["next_state", self.one(STATES), "$s", actions]]),
                                                  (1, ["ret", ["stop", "why"]]), (1, ["ret", ["bad", 1]]), (1, ["error", "boom"]))])

    def call_later(self):
        self.saved += 1
        self.add(self.client, ["smcall", "m", ["run", ["save_from", "k%d" % self.saved], ["ret", "keep_state_and_data"]], self.CALL])

    def reply_now(self):
        if self.saved:
            actions = listed(["reply", ["$var", "k%d" % self.number(1, self.saved)], "late"])
            self.add("smcast", "m", ["run", ["ret", ["keep_state_and_data", actions]]])

    def signal(self):
        self.add("signal", "m", self.reason())

    def replace_state(self):
        self.add("sys", "m", "replace_state", ["$q", [self.one(STATES), 50]])

    def api_stop(self):
        self.add("stop", "m", self.one(["normal", "done"]))

    def stop_reply(self):
        script = ["run", ["ret", ["stop_and_reply", "normal", listed(["reply", "$from", "bye"])]]]
        self.add(self.client, ["smcall", "m", script if self.chance(.4) else "q3", self.CALL])
