"""What the generators of all families share: weighted choice, and the ops written so far."""
import random


def listed(*items):
    """A list of the scenario language (a JSON array is a tuple there)."""
    return {"$l": list(items)}


class Generator:
    """One random scenario. A subclass is one family: write() adds its ops. The same seed gives the same ops.

    What the BEAM does not promise must not be written: see 'What random scenarios avoid' in the README."""
    family = ""

    def __init__(self, seed):
        self.random = random.Random("conformance-%s-%d" % (self.family, seed))
        self.ops = [{"note": "random %s, seed %d" % (self.family, seed)}]
        self.write()

    def write(self):
        raise NotImplementedError

    def add(self, *op):
        self.ops.append(list(op))

    def pick(self, *weighted):
        """One of (weight, value)."""
        return self.random.choices([value for _, value in weighted], [weight for weight, _ in weighted])[0]

    def one(self, values):
        return self.random.choice(list(values))

    def chance(self, probability):
        return self.random.random() < probability

    def number(self, least, most):
        return self.random.randint(least, most)

    def reason(self):
        return self.pick((2, "normal"), (3, "kill"), (2, "shutdown"), (1, ["shutdown", "x"]), (3, "oops"), (1, ["bad", 1]))

    def steps(self, least, most, *weighted):
        """Calls methods of these names, each drawn anew."""
        for _ in range(self.number(least, most)):
            getattr(self, self.pick(*weighted))()
