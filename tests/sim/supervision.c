/* Supervisors: siblings come up in their order, workers come back, and a start that fails leaves nothing behind. */
#include "tests/sim/scene.h"

enum { SIBLINGS = 4, ROUNDS = 5, KILLERS = 3, TRIALS = 6 };

static struct {
    int started[64];
    int count;
} order;

typedef struct sibling {
    int64_t index;
} sibling;

static tr_next sibling_init(sibling *self, const void *arg)
{
    self->index = (int64_t)(uintptr_t)arg;
    if (order.count < 64) {
        order.started[order.count++] = (int)self->index;
    }
    return TR_INIT_OK;
}

TR_GEN_SERVER(sibling, .init = sibling_init);

static const char *const names[SIBLINGS] = {"first", "second", "third", "fourth"};

static tr_err family_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                          tr_term *reason)
{
    tr_child_spec *specs = tr_scratch_alloc(SIBLINGS * sizeof(*specs));
    (void)reason;
    for (uintptr_t i = 0; i < SIBLINGS; i++) {
        specs[i] = (tr_child_spec){.id = tr_int((int64_t)i),
                                   .server = sibling_server,
                                   .arg = (const void *)i,
                                   .start = {.name = tr_atom(names[i])}};
    }
    *flags = (tr_sup_flags){.strategy = *(const tr_strategy *)arg, .intensity = 1000, .period_s = 1};
    *children = specs;
    *count = SIBLINGS;
    return TR_OK;
}

static tr_pid family_start(tr_strategy strategy)
{
    static const tr_supervisor family = {.name = "family", .init = family_init};
    tr_started started;
    return tr_supervisor_start_link(&family, &strategy, sizeof(strategy), NULL, &started) == TR_OK
               ? started.pid
               : TR_NO_PID;
}

/* One end, then the whole restart: from the one that ended (or the first) to the last, in order. */
void scene_siblings_start_in_order(const void *arg)
{
    (void)arg;
    tr_strategy strategy = any(2) == 0 ? TR_ONE_FOR_ALL : TR_REST_FOR_ONE;
    CHECK(family_start(strategy) != TR_NO_PID);
    for (int round = 0; round < ROUNDS; round++) {
        order.count = 0;
        int victim = (int)any(SIBLINGS);
        tr_exit_signal(tr_to_name(tr_atom(names[victim])), TR_ATOM(KILL));
        tr_sleep(50);
        int first = strategy == TR_ONE_FOR_ALL ? 0 : victim;
        CHECK(order.count == SIBLINGS - first);
        for (int i = 0; i < order.count; i++) {
            CHECK(order.started[i] == first + i);
        }
    }
    order.count = 0;
    scene_over = true;
}

/* ---- storms ---- */

static int killing;

static void kills(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 12; i++) {
        tr_exit_signal(tr_to_name(tr_atom(names[any(SIBLINGS)])),
                       any(2) == 0 ? TR_ATOM(KILL) : tr_atom("boom"));
        if (any(2) == 0) {
            tr_sleep(any(3));
        }
    }
    killing--;
}

void scene_workers_come_back(const void *arg)
{
    (void)arg;
    order.count = 0;
    tr_pid top = family_start((tr_strategy)any(3));
    killing = KILLERS;
    for (int i = 0; i < KILLERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, kills, NULL, 0, NULL) == TR_OK);
    }
    while (killing > 0) {
        tr_sleep(10);
    }
    tr_child_counts counts;
    tr_sleep(100);
    CHECK(tr_supervisor_count_children(tr_to(top), &counts) == TR_OK && counts.active == SIBLINGS);
    for (int i = 0; i < SIBLINGS; i++) {
        CHECK(tr_whereis(tr_to_name(tr_atom(names[i]))) != TR_NO_PID);
    }
    scene_over = true;
}

/* ---- injected failures: memory, stacks and slots run out here and there ---- */

static void trial(const void *arg)
{
    (void)arg;
    tr_pid top = family_start((tr_strategy)any(3));
    for (int i = 0; i < 20; i++) {
        tr_pid pid;
        tr_ref ref;
        if (tr_spawn(&(tr_spawn_opts){.link = any(4) == 0, .monitor = &ref, .core = any_core()}, kills, NULL,
                     0, &pid) == TR_OK) {
            (void)tr_receive_ref(ref, any(40));
        }
        (void)!tr_register(tr_tuple(tr_atom("no"), tr_atom("atom")), tr_self());
        (void)tr_send_after(any(5), tr_to(top), TR_MSG(tr_term_msg, tr_int(i)));
    }
}

void scene_failures_are_clean(const void *arg)
{
    (void)arg;
    scene_over =
        true; /* it may be this process that gets no memory: what counts is what is left in the end */
    killing = 1000;
    order.count = 0;
    tr__sim_fail(TR__SIM_MEMORY, 30 + any(200));
    tr__sim_fail(TR__SIM_STACK, 20 + any(50));
    tr__sim_fail(TR__SIM_SLOT, 5 + any(50));
    for (int i = 0; i < TRIALS; i++) {
        (void)!tr_spawn(&(tr_spawn_opts){.core = any_core()}, trial, NULL, 0, NULL);
    }
}
