/* gen_statem on real workers: callers, time-outs, kills at random moments. Nothing is lost, nothing comes twice, and all
 * memory comes back. */
#include "tests/runtime/callers.h"

TR_MESSAGE_TERMS(
    note, { tr_term text; }, offsetof(note, text));

/* ---- one that does everything ---- */

typedef struct busy {
    uint64_t seed;
} busy;

static tr_step answered(const tr_event *event)
{
    return TR_WITH(TR_KEEP_STATE,
                   TR_REPLY_TO(event->from, told, .number = TR_MATCH(event->msg, ask)->number));
}

static tr_step inserts(const tr_step step)
{
    return TR_WITH(step,
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, note, .text = tr_string("some text that needs memory")),
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, note, .text = tr_atom("short")));
}

/* Answers, and asks for something else; or crashes with what it asked for in its hands. */
static tr_step act(busy *self, const tr_event *event)
{
    uint64_t dice = random_of(&self->seed) % 256;
    tr_step step = answered(event);
    switch (dice) {
    case 0:
        tr_sleep(1);
        return step;
    case 1:
        return TR_STOP_STATEM(tr_tuple(TR_ATOM(SHUTDOWN), tr_string("without an answer")));
    case 2:
        (void)inserts(step);
        tr_exit(tr_tuple(TR_ATOM(SHUTDOWN), tr_string("in the middle")));
    case 3:
        return inserts(step);
    default:
        break;
    }
    return dice < 64
               ? TR_WITH(step, TR_GENERIC_TIMEOUT(tr_int((int64_t)dice), (int64_t)dice % 8, tr_timeout_msg))
           : dice < 96 ? TR_WITH(step, TR_CANCEL_GENERIC(tr_int((int64_t)dice - 64)))
                       : step;
}

static bool wants_change(const busy *self, const tr_event *event)
{
    (void)event;
    return self->seed % 16 == 0;
}

static tr_step hears(busy *self, const tr_event *event)
{
    (void)event;
    (void)random_of(&self->seed);
    return TR_KEEP_STATE;
}

static tr_step other(busy *self, tr_term state, const tr_event *event)
{
    (void)state;
    return hears(self, event);
}

TR_STATEM_TABLE(
    busy, .initial = "working", .otherwise = other,
    .states = TR_TABLE_STATES(busy, {.name = "working", .timeout_ms = 3},
                              {.name = "paused", .timeout_ms = 2, .enter = TR_FN(hears)}),
    .transitions = TR_TRANSITIONS(
        busy,
        {.from = "working", .on = TR_ON(ask), .guard = TR_FN(wants_change), .to = "paused", .postpone = true},
        {.from = "working", .on = TR_ON(ask), .act = TR_FN(act)},
        {.from = "working", .on = TR_ON_STATE_TIMEOUT, .repeat = true, .act = TR_FN(hears)},
        {.from = "paused", .on = TR_ON(ask), .postpone = true, .act = TR_FN(hears)},
        {.from = "paused", .on = TR_ON_STATE_TIMEOUT, .to = "working"}));

static tr_step busy_init(busy *self, const void *arg)
{
    self->seed = *(const uint64_t *)arg | 1;
    return TR_KEEP_STATE;
}

TR_GEN_STATEM(busy, .table = busy_table, .init = busy_init);

static tr_pid start_busy(uint64_t seed)
{
    tr_started started;
    PLAIN_CHECK(tr_gen_statem_start(busy_statem, &seed, sizeof seed, NULL, &started) == TR_OK);
    return started.pid;
}

PLAIN_TEST(every_call_has_exactly_one_outcome_and_nothing_is_left)
{
    start_target = start_busy;
    every_call_has_one_outcome();
    PLAIN_CHECK(atomic_load(&outcomes[TR_E_EXIT]) > 0);
}

/* ---- time-outs ---- */

enum { CLOCKS = 16, ROUNDS = 300 / PLAIN_SLOWER };
TR_MESSAGE(tick, { uint64_t round; });

typedef struct clock_ {
    uint64_t round, kept, updated;
} clock_;

static atomic_ulong wrong, done;

/* In each round one time-out comes as it was set, one is cancelled, one updated; the next round begins when both came. They
 * are set wherever the process happens to run, and the receiver's core changes between. */
static tr_step next_round(clock_ *self)
{
    uint64_t round = ++self->round;
    if (round > ROUNDS) {
        atomic_fetch_add(&done, 1);
        return TR_STOP_STATEM(TR_ATOM(NORMAL));
    }
    return TR_WITH(TR_KEEP_STATE, TR_GENERIC_TIMEOUT("kept", 1, tick, .round = round),
                   TR_GENERIC_TIMEOUT("cancelled", 1, tick, .round = round),
                   TR_GENERIC_TIMEOUT("updated", 2, tick, .round = 0),
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, tick, .round = round));
}

static tr_step clock_handle_event(clock_ *self, tr_term state, const tr_event *event)
{
    uint64_t round = TR_MATCH(event->msg, tick)->round;
    (void)state;
    if (event->type == TR_EVENT_CAST) {
        return next_round(self);
    }
    if (event->type == TR_EVENT_INTERNAL) {
        return TR_WITH(TR_KEEP_STATE, TR_CANCEL_GENERIC("cancelled"),
                       TR_UPDATE_GENERIC("updated", tick, .round = round));
    }
    bool kept = tr_same(event->name, tr_atom("kept")), updated = tr_same(event->name, tr_atom("updated"));
    self->kept += kept;
    self->updated += updated;
    if (round != self->round || (!kept && !updated)) {
        atomic_fetch_add(&wrong, 1);
    }
    return self->kept == self->round && self->updated == self->round ? next_round(self) : TR_KEEP_STATE;
}

TR_GEN_STATEM(clock_, .first = "on", .handle_event = clock_handle_event);

static void runs_clocks(const void *arg)
{
    (void)arg;
    tr_ref ends[CLOCKS];
    for (int i = 0; i < CLOCKS; i++) {
        tr_started started;
        PLAIN_CHECK(tr_gen_statem_start_monitor(clock__statem, NULL, 0, NULL, &started) == TR_OK);
        ends[i] = started.monitor;
        TR_CAST(started.pid, tick, .round = 0);
    }
    for (int i = 0; i < CLOCKS; i++) {
        PLAIN_CHECK(tr_receive_ref(ends[i], 60000) != NULL);
    }
}

PLAIN_TEST(each_time_out_comes_exactly_once_unless_it_was_cancelled)
{
    atomic_store(&wrong, 0);
    atomic_store(&done, 0);
    run(runs_clocks);
    PLAIN_CHECK(atomic_load(&wrong) == 0);
    PLAIN_CHECK(atomic_load(&done) == CLOCKS);
}

/* ---- first starts ---- */

typedef struct fresh1 {
    int unused;
} fresh1, fresh2, fresh3, fresh4;
#define FRESH(T)                                                                                   \
    TR_STATEM_TABLE(T, .initial = "a",                                                             \
                    .states = TR_TABLE_STATES(T, {.name = "a"}, {.name = "b", .final = true}),     \
                    .transitions = TR_TRANSITIONS(T, {.from = "a", .on = TR_ON(ask), .to = "b"})); \
    TR_GEN_STATEM(T, .table = T##_table)
FRESH(fresh1);
FRESH(fresh2);
FRESH(fresh3);
FRESH(fresh4);

static atomic_uint arrived;

static void starts_all(const void *arg)
{
    const tr_gen_statem *const fresh[] = {fresh1_statem, fresh2_statem, fresh3_statem, fresh4_statem};
    (void)arg;
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < WORKERS) {
        tr_yield();
    }
    for (int i = 0; i < 4; i++) {
        tr_started started;
        PLAIN_CHECK(tr_gen_statem_start(fresh[i], NULL, 0, NULL, &started) == TR_OK);
        TR_CAST(started.pid, ask, .number = 1);
        PLAIN_CHECK(tr_gen_statem_stop(tr_to(started.pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    }
}

static void first_starts(const void *arg)
{
    (void)arg;
    tr_ref ends[WORKERS];
    for (int core = 0; core < WORKERS; core++) {
        tr_spawn_opts opts = {.monitor = &ends[core], .core = core + 1};
        PLAIN_CHECK(tr_spawn(&opts, starts_all, NULL, 0, NULL) == TR_OK);
    }
    for (int core = 0; core < WORKERS; core++) {
        PLAIN_CHECK(tr_receive_ref(ends[core], 60000) != NULL);
    }
}

PLAIN_TEST(first_starts_of_a_table_may_come_together)
{
    atomic_store(&arrived, 0);
    run(first_starts);
}
