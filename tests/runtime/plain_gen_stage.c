/* Stages on real workers. Consumers come, cancel and subscribe again while events flow: each event is handled exactly once, in
 * the order of its producer, and nobody gets more than he asked for. Stages are killed at random: no byte is left. */
#include "tests/runtime/storm.h"

enum { PRODUCERS = 2, MIDDLES = 2, SINKS = 4, EVENTS = 60000 / PLAIN_SLOWER, ALL = PRODUCERS * EVENTS };

TR_MESSAGE(number, { uint32_t n; });
TR_MESSAGE_EMPTY(tick);

static atomic_uint seen[ALL];
static atomic_uint seen_in_all;
static _Atomic tr_pid producers[PRODUCERS], middles[MIDDLES], sinks[SINKS];

typedef struct plan {
    uint32_t index;
    bool churns;
    tr_stage_opts opts;
} plan;

/* ---- producers: give what is asked for now, or a little later, or more ---- */

typedef struct source {
    plan plan;
    uint32_t seed, next, last;
    uint64_t owed;
} source;

static tr_next source_init(source *self, const void *arg, tr_stage_opts *opts)
{
    self->plan = *(const plan *)arg;
    self->seed = dice_of(self->plan.index);
    self->next = self->plan.index * EVENTS;
    self->last = self->next + EVENTS;
    *opts = self->plan.opts;
    opts->buffer_size = TR_INFINITY;
    return TR_INIT_OK;
}

static tr_next source_give(source *self)
{
    uint64_t now = dice(&self->seed, 4) == 0 ? dice(&self->seed, 8) : self->owed;
    now += dice(&self->seed, 16) == 0 ? dice(&self->seed, 50) : 0; /* beyond demand */
    for (; now > 0 && self->next < self->last; now--) {
        TR_EMIT(self, number, .n = self->next++);
        self->owed -= self->owed > 0;
    }
    if (self->owed > 0 && self->next < self->last) {
        TR_SEND(tr_self(), tick);
    }
    return TR_NOREPLY;
}

static tr_next source_handle_demand(source *self, uint64_t demand)
{
    self->owed += demand;
    return source_give(self);
}

static tr_next source_handle_info(source *self, const tr_msg *msg)
{
    (void)msg;
    return source_give(self);
}

TR_GEN_STAGE(source, .type = TR_PRODUCER, .init = source_init, .handle_demand = source_handle_demand,
             .handle_info = source_handle_info);

/* ---- those that subscribe ---- */

typedef struct subscriber {
    plan plan;
    uint32_t seed;
    bool cancelling;
    int64_t before[PRODUCERS]; /* the last number of each producer; -1: none */
} subscriber;

static tr_next subscriber_init(subscriber *self, const void *arg, tr_stage_opts *opts)
{
    self->plan = *(const plan *)arg;
    self->seed = dice_of(100 + self->plan.index);
    *opts = self->plan.opts;
    for (int i = 0; i < PRODUCERS; i++) {
        self->before[i] = -1;
    }
    return TR_INIT_OK;
}

static tr_subscription subscription(uint32_t *seed, tr_pid to)
{
    tr_subscription opts = {
        .to = tr_to(to), .cancel = TR_CANCEL_TEMPORARY, .max_demand = 1 + dice(seed, 100)};
    opts.min_demand = opts.max_demand == 1 || dice(seed, 2) == 0
                          ? TR_DEMAND_NONE
                          : (int64_t)(1 + dice(seed, (uint32_t)opts.max_demand - 1));
    return opts;
}

static void maybe_leave(subscriber *self, tr_stage_from from)
{
    if (self->plan.churns && dice(&self->seed, 30) == 0) {
        tr_stage_cancel(from, TR_ATOM(NORMAL));
    }
    if (dice(&self->seed, 8) == 0) {
        tr_yield();
    }
}

static tr_next subscriber_handle_cancel(subscriber *self, tr_stage_end end, tr_stage_from from)
{
    if (self->plan.churns && !end.down) {
        tr_subscription again = subscription(&self->seed, from.pid);
        PLAIN_CHECK(tr_stage_async_subscribe(tr_to(tr_self()), &again) == TR_OK);
    }
    return TR_NOREPLY;
}

typedef subscriber middle;
static tr_next middle_handle_events(middle *self, tr_stage_from from, const tr_stage_event *events,
                                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TR_EMIT(self, number, .n = TR_EVENT_MATCH(&events[i], number)->n);
    }
    maybe_leave(self, from);
    return TR_NOREPLY;
}

typedef subscriber sink;
static tr_next sink_handle_events(sink *self, tr_stage_from from, const tr_stage_event *events, size_t count)
{
    PLAIN_CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t n = TR_EVENT_MATCH(&events[i], number)->n;
        atomic_fetch_add(&seen[n], 1U);
        self->before[n / EVENTS] = (int64_t)n;
    }
    atomic_fetch_add(&seen_in_all, (unsigned)count);
    maybe_leave(self, from);
    return TR_NOREPLY;
}

/* Straight from one producer: in its order. */
typedef subscriber witness;
static tr_next witness_handle_events(witness *self, tr_stage_from from, const tr_stage_event *events,
                                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t n = TR_EVENT_MATCH(&events[i], number)->n;
        PLAIN_CHECK(n > self->before[n / EVENTS]);
    }
    return sink_handle_events(self, from, events, count);
}

TR_GEN_STAGE(middle, .type = TR_PRODUCER_CONSUMER, .init = subscriber_init,
             .handle_events = middle_handle_events, .handle_cancel = subscriber_handle_cancel);
TR_GEN_STAGE(sink, .type = TR_CONSUMER, .init = subscriber_init, .handle_events = sink_handle_events,
             .handle_cancel = subscriber_handle_cancel);
TR_GEN_STAGE(witness, .type = TR_CONSUMER, .init = subscriber_init, .handle_events = witness_handle_events,
             .handle_cancel = subscriber_handle_cancel);

static tr_pid start(const tr_gen_stage *stage, plan p)
{
    tr_started started = {.pid = TR_NO_PID};
    PLAIN_CHECK(tr_stage_start_link(stage, &p, sizeof p, NULL, &started) == TR_OK);
    return started.pid;
}

static void subscribe(tr_pid who, tr_subscription to)
{
    PLAIN_CHECK(tr_stage_subscribe(tr_to(who), &to, TR_INFINITY, NULL) == TR_OK);
}

static void nothing_seen(void)
{
    atomic_store(&seen_in_all, 0U);
    atomic_store(&storm_warnings, 0U);
    for (uint32_t i = 0; i < ALL; i++) {
        atomic_store(&seen[i], 0U);
    }
}

static bool seen_enough(void *ctx)
{
    return atomic_load(&seen_in_all) >= *(unsigned *)ctx;
}

static void everything_seen(uint32_t events, unsigned times)
{
    unsigned all = events * times;
    PLAIN_CHECK(eventually(seen_enough, &all));
    tr_sleep(20); /* time for what should not come */
    PLAIN_CHECK(atomic_load(&seen_in_all) == all);
    for (uint32_t i = 0; i < events; i++) {
        PLAIN_CHECK(atomic_load(&seen[i]) == times);
    }
    PLAIN_CHECK(atomic_load(&storm_warnings) == 0); /* nothing in excess, nothing discarded */
}

static void stop_stages(const _Atomic tr_pid *stages, int count)
{
    for (int i = 0; i < count; i++) {
        PLAIN_CHECK(tr_gen_server_stop(tr_to(stages[i]), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    }
}

/* ---- a mesh whose edges come and go ---- */

static void start_mesh(bool churns)
{
    uint32_t seed = dice_of(50);
    tr_stage_opts demand = {.dispatcher = {.max_demand = 1000}};
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = start(source_stage, (plan){.index = i, .opts = demand});
    }
    for (uint32_t i = 0; i < MIDDLES; i++) {
        middles[i] = start(middle_stage, (plan){.index = 10 + i, .churns = churns, .opts = demand});
        for (int p = 0; p < PRODUCERS; p++) {
            subscribe(middles[i], subscription(&seed, producers[p]));
        }
    }
    for (uint32_t i = 0; i < SINKS; i++) {
        sinks[i] = start(sink_stage, (plan){.index = 20 + i, .churns = churns});
        for (int m = 0; m < MIDDLES; m++) {
            subscribe(sinks[i], subscription(&seed, middles[m]));
        }
    }
}

static void mesh(const void *arg)
{
    (void)arg;
    nothing_seen();
    start_mesh(true);
    everything_seen(ALL, 1);
    stop_stages(sinks, SINKS);
    stop_stages(middles, MIDDLES);
    stop_stages(producers, PRODUCERS);
}

PLAIN_TEST(every_event_is_handled_once_while_subscriptions_come_and_go)
{
    storm(mesh);
}

/* ---- by broadcast and by partition ---- */

static void all_see_all(const void *arg)
{
    (void)arg;
    uint32_t seed = dice_of(51);
    nothing_seen();
    tr_pid p = start(source_stage,
                     (plan){.opts = {.dispatcher = {.kind = TR_DISPATCH_BROADCAST}, .accumulate = true}});
    for (uint32_t i = 0; i < SINKS; i++) {
        sinks[i] = start(witness_stage, (plan){.index = 20 + i});
        subscribe(sinks[i], subscription(&seed, p));
    }
    PLAIN_CHECK(tr_stage_demand(tr_to(p), false) == TR_OK);
    everything_seen(EVENTS, SINKS);
    stop_stages(sinks, SINKS);
    PLAIN_CHECK(tr_gen_server_stop(tr_to(p), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

static int64_t by_number(const tr_stage_event *event, uint32_t partitions)
{
    return TR_EVENT_MATCH(event, number)->n % partitions;
}

static void each_sees_its_part(const void *arg)
{
    (void)arg;
    uint32_t seed = dice_of(52);
    nothing_seen();
    tr_pid p = start(source_stage, (plan){.opts = {.dispatcher = {.kind = TR_DISPATCH_PARTITION,
                                                                  .partitions = SINKS,
                                                                  .hash = by_number}}});
    for (uint32_t i = 0; i < SINKS; i++) {
        sinks[i] = start(witness_stage, (plan){.index = 20 + i});
        tr_subscription to = subscription(&seed, p);
        to.partition = i;
        subscribe(sinks[i], to);
    }
    everything_seen(EVENTS, 1);
    stop_stages(sinks, SINKS);
    PLAIN_CHECK(tr_gen_server_stop(tr_to(p), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

PLAIN_TEST(broadcasts_and_partitions_lose_nothing_and_keep_order)
{
    storm(all_see_all);
    storm(each_sees_its_part);
}

/* ---- stages that are killed ---- */

static void kill_some(uint32_t *seed)
{
    for (int i = 0; i < 4; i++) {
        uint32_t who = dice(seed, PRODUCERS + MIDDLES + SINKS);
        tr_pid pid = who < PRODUCERS             ? producers[who]
                     : who < PRODUCERS + MIDDLES ? middles[who - PRODUCERS]
                                                 : sinks[who - PRODUCERS - MIDDLES];
        tr_exit_signal(tr_to(pid), dice(seed, 2) == 0 ? TR_ATOM(KILL) : tr_atom("shot"));
        tr_sleep(dice(seed, 2));
    }
}

/* And waits for their end: one that still runs would mark events of the next round. */
static void kill_all(_Atomic tr_pid *pids, int count)
{
    for (int i = 0; i < count; i++) {
        tr_exit_signal(tr_to(pids[i]), TR_ATOM(KILL));
    }
    for (int i = 0; i < count; i++) {
        while (tr_is_alive(pids[i])) {
            tr_sleep(1);
        }
    }
}

static void killed_in_the_flow(const void *arg)
{
    (void)arg;
    uint32_t seed = dice_of(53);
    for (int round = 0; round < 60 / (int)PLAIN_SLOWER; round++) {
        nothing_seen();
        start_mesh(round % 2 == 0);
        tr_sleep(dice(&seed, 3));
        kill_some(&seed);
        for (uint32_t i = 0; i < ALL; i += 97) {
            PLAIN_CHECK(atomic_load(&seen[i]) <= 1); /* lost with who was killed, but never twice */
        }
        kill_all(sinks, SINKS);
        kill_all(middles, MIDDLES);
        kill_all(producers, PRODUCERS);
        while (tr_receive(NULL, NULL, 0) != NULL) {
        }
    }
}

PLAIN_TEST(stages_killed_in_the_flow_leave_no_byte)
{
    storm(killed_in_the_flow);
}

/* ---- consumer supervisors ---- */

enum { CREW_MAX = 20 };
static _Atomic tr_pid crew_producer;
static atomic_uint crew_live, crew_most;

/* Marks its event; ends well, badly, or is shot by its neighbour. */
static void hand(const void *arg)
{
    uint32_t n = ((const number *)arg)->n;
    uint32_t seed = dice_of(n);
    unsigned live = atomic_fetch_add(&crew_live, 1U) + 1;
    if (live > atomic_load(&crew_most)) {
        atomic_store(&crew_most, live); /* the most seen by one of them: a lower bound is enough */
    }
    atomic_fetch_add(&seen[n], 1U);
    atomic_fetch_add(&seen_in_all, 1U);
    for (uint32_t i = dice(&seed, 5); i > 0; i--) {
        tr_yield();
    }
    atomic_fetch_sub(&crew_live, 1U);
    if (dice(&seed, 3) == 0) {
        tr_exit(tr_atom("bug"));
    }
}

static tr_err crew_init(const void *arg, tr_consumer_supervisor_opts *opts)
{
    (void)arg;
    tr_subscription *to = tr_scratch_alloc(sizeof *to);
    *to = (tr_subscription){.to = tr_to(crew_producer), .max_demand = CREW_MAX, .min_demand = CREW_MAX - 3};
    opts->child = (tr_child_spec){.main = hand, .restart = TR_TEMPORARY};
    opts->subscribe_to = to;
    opts->subscribe_count = 1;
    return TR_OK;
}
static const tr_consumer_supervisor crew = {.name = "crew", .init = crew_init};

static tr_pid start_crew(void)
{
    tr_started started = {.pid = TR_NO_PID};
    crew_producer = start(source_stage, (plan){.index = 0});
    PLAIN_CHECK(tr_consumer_supervisor_start_link(&crew, NULL, 0, NULL, &started) == TR_OK);
    return started.pid;
}

static bool crew_is_done(void *ctx)
{
    tr_child_counts counts = {.specs = 1};
    PLAIN_CHECK(tr_consumer_supervisor_count_children(tr_to(*(tr_pid *)ctx), &counts) == TR_OK);
    PLAIN_CHECK(counts.specs <= CREW_MAX);
    return counts.specs == 0 && atomic_load(&seen_in_all) >= EVENTS;
}

static void one_child_an_event(const void *arg)
{
    (void)arg;
    nothing_seen();
    atomic_store(&crew_most, 0U);
    tr_pid sup = start_crew();
    PLAIN_CHECK(eventually(crew_is_done, &sup));
    everything_seen(EVENTS, 1);
    PLAIN_CHECK(atomic_load(&crew_most) <= CREW_MAX);
    PLAIN_CHECK(tr_gen_server_stop(tr_to(sup), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
    PLAIN_CHECK(tr_gen_server_stop(tr_to(crew_producer), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

static void crews_are_killed(const void *arg)
{
    (void)arg;
    uint32_t seed = dice_of(54);
    for (int round = 0; round < 60 / (int)PLAIN_SLOWER; round++) {
        tr_pid sup = start_crew();
        tr_sleep(dice(&seed, 4));
        tr_exit_signal(tr_to(dice(&seed, 2) == 0 ? sup : crew_producer),
                       dice(&seed, 2) == 0 ? TR_ATOM(KILL) : TR_ATOM(SHUTDOWN));
        tr_sleep(dice(&seed, 2));
        tr_exit_signal(tr_to(sup), TR_ATOM(KILL));
        tr_exit_signal(tr_to(crew_producer), TR_ATOM(KILL));
    }
}

PLAIN_TEST(a_crew_has_one_child_an_event_and_never_more_than_it_asked_for)
{
    storm(one_child_an_event);
    storm(crews_are_killed);
}
