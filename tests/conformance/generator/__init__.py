"""Random scenarios: scenario(seed) gives the ops of one, always the same for the same seed.

A family's weight is its share of the seeds when none is asked for."""
import json

from generator import elixir, machines, process, servers, tasks, timers, trees

FAMILIES = {
    "process": (process.Process, 5),
    "timer": (timers.Timer, 2),
    "gen_server": (servers.GenServer, 4),
    "gen_statem": (machines.GenStatem, 4),
    "supervisor": (trees.Supervisor, 5),
    "simple_supervisor": (trees.SimpleSupervisor, 2),
    "slow_supervisor": (trees.SlowSupervisor, 2),
    "dynamic_supervisor": (elixir.DynamicSupervisor, 3),
    "partition_supervisor": (elixir.PartitionSupervisor, 1),
    "agent": (elixir.Agent, 2),
    "registry": (elixir.Registry, 3),
    "duplicate_registry": (elixir.DuplicateRegistry, 1),
    "task": (tasks.Task, 3),
}
TURNS = [name for name, (_, weight) in FAMILIES.items() for _ in range(weight)]


def family_of(seed):
    """Families in turn, each as often as it weighs: any len(TURNS) seeds in a row have all of them."""
    return TURNS[seed * 10 % len(TURNS)]


def scenario(seed, family=None):
    return FAMILIES[family or family_of(seed)][0](seed).ops


def text(ops):
    """The file of a scenario."""
    return "".join(json.dumps(op, separators=(",", ":")) + "\n" for op in ops)
