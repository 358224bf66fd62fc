"""Makes a scenario that shows a difference as small as it gets: fewer ops first, then simpler arguments.

The judge is asked about many candidates at once, because one call of the oracle costs more than a scenario:
judge(candidates) gives for each whether the difference is still there."""

KEPT = ("unordered", "mask")  # without them a race would look like a difference


def is_fixed(op):
    return isinstance(op, dict) or op[0] in KEPT


class Shrinker:
    """budget: candidates that may be judged."""

    def __init__(self, judge, budget=2000, batch=40):
        self.judge, self.left, self.batch = judge, budget, batch

    def shrink(self, ops):
        ops = self.fewer_ops(ops)
        before = None
        while before != ops and self.left > 0:
            before = ops
            ops = self.simpler_ops(ops)
            ops = self.fewer_ops(ops)
        return ops

    def holding(self, candidates):
        """Indices of the candidates that still differ; they are judged in batches, as far as the budget goes."""
        candidates = candidates[:max(self.left, 0)]
        self.left -= len(candidates)
        verdicts = []
        for i in range(0, len(candidates), self.batch):
            verdicts += self.judge(candidates[i:i + self.batch])
        return [i for i, holds in enumerate(verdicts) if holds]

    def best(self, changes, apply):
        """Applies as many of the changes together as still differ: all that do alone, or a half of them, or one.
        Gives the result of apply, or None."""
        alone = self.holding([apply([change]) for change in changes])
        good = [changes[i] for i in alone]
        while len(good) > 1:
            if self.holding([apply(good)]):
                return apply(good)
            good = good[:(len(good) + 1) // 2]
        return apply(good) if good else None

    # ---- ops
    def fewer_ops(self, ops):
        size = max(1, len(ops) // 2)
        while self.left > 0:
            loose = [i for i, op in enumerate(ops) if not is_fixed(op)]
            groups = [loose[i:i + size] for i in range(0, len(loose), size)]
            if len(loose) <= 1:
                return ops

            def without(chosen, ops=ops):
                gone = {i for group in chosen for i in group}
                return [op for i, op in enumerate(ops) if i not in gone]
            smaller = self.best(groups, without)
            if smaller is not None:
                ops = smaller
            elif size == 1:
                return ops
            if smaller is None or size > len(ops):
                size = max(1, size // 2)
        return ops

    # ---- arguments
    def simpler_ops(self, ops):
        while self.left > 0:
            changes = [(i, simple) for i, op in enumerate(ops) if not is_fixed(op) for simple in simpler_op(op)]

            def changed(chosen, ops=ops):
                # Of one op, only its first change: they know nothing of each other.
                first = {}
                for i, simple in chosen:
                    first.setdefault(i, simple)
                return [first.get(i, op) for i, op in enumerate(ops)]
            smaller = self.best(changes, changed)
            if smaller is None:
                return ops
            ops = smaller
        return ops


def simpler_op(op):
    """The op in simpler forms; first of all as one of ctl's, which needs no process of its own."""
    if len(op) == 2 and isinstance(op[1], list):
        yield op[1]
    yield from simpler(op)


def simpler(value):
    """The values that are one step simpler than value: a part left out, or made simpler."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, (int, float)):
        if value > 9:  # counts and states; times have to stay what they are
            return
        if value > 1:
            yield 1
        return
    if isinstance(value, dict):
        if "$l" in value:
            for item in shorter(value["$l"], 0):
                yield {"$l": item}
            return
        for key in value:
            yield {other: value[other] for other in value if other != key}
        for key in value:
            for part in simpler(value[key]):
                yield dict(value, **{key: part})
        return
    yield from shorter(value, 1 if value and isinstance(value[0], str) else 0)


def shorter(items, first):
    """Without one of the items from first on, or with a simpler one."""
    for i in range(len(items) - 1, first - 1, -1):
        yield items[:i] + items[i + 1:]
    for i, item in enumerate(items):
        for part in simpler(item):
            yield items[:i] + [part] + items[i + 1:]
