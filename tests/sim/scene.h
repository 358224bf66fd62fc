/* scene.h: what must hold under every schedule, as scenes in simulation.
 *
 * A scene is a process that spawns others on virtual cores and checks what OTP promises, whatever the order. It runs to its end in virtual
 * time; then everyone is killed, and the node must have given back every byte and every process, and accounted for every message.
 * CHECK may stand in any process; a failed one is printed with the seed, and fails the run. */
#ifndef TESTS_SIM_SCENE_H
#define TESTS_SIM_SCENE_H

#include <troupe/troupe.h>

#include "runtime/sim/sim.h"

#define SCENES(X)               \
    X(mail_is_kept)             \
    X(stale_pids_reach_nobody)  \
    X(unlinked_is_safe)         \
    X(flushed_is_gone)          \
    X(each_monitor_fires_once)  \
    X(late_replies_are_dropped) \
    X(names_go_before_down)     \
    X(names_are_whole)          \
    X(versions_are_whole)       \
    X(cancelled_never_fires)    \
    X(siblings_start_in_order)  \
    X(workers_come_back)        \
    X(settled_tasks_are_silent) \
    X(streams_leave_nothing)    \
    X(failures_are_clean)       \
    X(requests_are_not_lost)

#define X(name) void scene_##name(const void *arg);
SCENES(X)
#undef X

/** Messages that a scene took out of a mailbox with its own hands. */
extern uint64_t scene_received;
/** A scene with injected failures says so: then not all that it wanted has to have happened. */
extern bool scene_over;

bool scene_check(bool holds, const char *what, const char *file, int line);
#define CHECK(...) scene_check((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

static inline unsigned any(unsigned n)
{
    return tr__sim_random(n);
}

/** For spawn options: a core to be bound to, or, as often, none (0). */
static inline int any_core(void)
{
    return any(2) == 0 ? 0 : 1 + (int)any((unsigned)tr_node_workers());
}

/** Takes and drops all that has come. Returns: how many messages. */
unsigned scene_drain(void);

#endif
