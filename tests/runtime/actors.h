/* actors.h: stages that do what their role says, and say what happens to them; for the tests of gen_stage.
 *
 * 1. Lines: "NAME demand N", "NAME FIRST..LAST" (a batch of numbers), "NAME subscribed consumer|producer",
 *    "NAME cancel|down REASON", "NAME info TYPE", "NAME discarded N", "NAME terminate REASON".
 * 2. A producer emits its numbers on demand while it has some (count); without count only when a message says so.
 * 3. producer_stage, both_stage and consumer_stage share all callbacks. */
#ifndef TESTS_RUNTIME_ACTORS_H
#define TESTS_RUNTIME_ACTORS_H

#include "tests/runtime/stage.h"

TR_MESSAGE(number, { int64_t n; });
TR_MESSAGE(emit, {
    int64_t first, last;
    bool flush, stop;
});
TR_MESSAGE(ask_for, { uint64_t count; });
TR_MESSAGE_EMPTY(cancel_it);
TR_MESSAGE_EMPTY(done);
TR_MESSAGE_EMPTY(hello);
TR_MESSAGE(nap, { int64_t ms; });

typedef struct part {
    const char *name;
    tr_stage_opts opts;
    tr_subscription to[2]; /* those with a destination */
    int64_t count;         /* numbers it has */
    int64_t times;         /* both: how often it passes each on; 0: once; -1: never */
    bool says_demand, says_subscribed, manual, mute, stops_at_cancel;
} part;

typedef struct actor {
    part part;
    int64_t next;
    tr_stage_from supplier;
} actor;

static inline tr_next actor_init(actor *self, const void *arg, tr_stage_opts *opts)
{
    self->part = *(const part *)arg;
    *opts = self->part.opts;
    opts->subscribe_to = self->part.to;
    while (opts->subscribe_count < 2 && self->part.to[opts->subscribe_count].to.pid != TR_NO_PID) {
        opts->subscribe_count++;
    }
    return TR_INIT_OK;
}

static inline tr_next actor_handle_demand(actor *self, uint64_t demand)
{
    if (self->part.says_demand) {
        say("%s demand %" PRIu64, self->part.name, demand);
    }
    for (; demand > 0 && self->next < self->part.count; demand--) {
        TR_EMIT(self, number, .n = self->next++);
    }
    return TR_NOREPLY;
}

static inline tr_next actor_handle_events(actor *self, tr_stage_from from, const tr_stage_event *events,
                                          size_t count)
{
    const number *first = TR_EVENT_MATCH(&events[0], number);
    const number *last = TR_EVENT_MATCH(&events[count - 1], number);
    self->supplier = from;
    if (EXPECT(first != NULL && last != NULL) && first == last) {
        say("%s %" PRId64, self->part.name, first->n);
    } else {
        say("%s %" PRId64 "..%" PRId64, self->part.name, first->n, last->n);
        EXPECT(self->part.to[0].selector != NULL || last->n - first->n == (int64_t)count - 1);
    }
    for (size_t i = 0; i < count && self->part.times >= 0 && !self->part.mute; i++) {
        for (int64_t again = self->part.times > 1 ? self->part.times : 1; again > 0; again--) {
            TR_EMIT(self, number, .n = TR_EVENT_MATCH(&events[i], number)->n);
        }
    }
    return TR_NOREPLY;
}

static inline tr_next sink_handle_events(actor *self, tr_stage_from from, const tr_stage_event *events,
                                         size_t count)
{
    self->part.times = -1;
    return actor_handle_events(self, from, events, count);
}

static inline tr_next actor_handle_subscribe(actor *self, tr_stage_role role, const tr_subscription *opts,
                                             tr_stage_from from, bool *manual)
{
    (void)opts;
    *manual = self->part.manual;
    self->supplier = role == TR_OF_PRODUCER ? from : self->supplier;
    if (self->part.says_subscribed) {
        say("%s subscribed %s", self->part.name, role == TR_OF_CONSUMER ? "consumer" : "producer");
    }
    return TR_NOREPLY;
}

static inline tr_next actor_handle_cancel(actor *self, tr_stage_end end, tr_stage_from from)
{
    EXPECT(from.pid != TR_NO_PID);
    say("%s %s %s", self->part.name, end.down ? "down" : "cancel", tr_term_text(end.reason));
    return self->part.stops_at_cancel ? TR_STOP(tr_atom("enough")) : TR_NOREPLY;
}

static inline tr_next actor_obey(actor *self, const tr_msg *msg)
{
    const emit *e = TR_MATCH(msg, emit);
    const ask_for *a = TR_MATCH(msg, ask_for);
    for (int64_t n = e == NULL ? 1 : e->first; n <= (e == NULL ? 0 : e->last); n++) {
        TR_EMIT(self, number, .n = n);
    }
    if (e != NULL && e->flush) {
        tr_stage_flush(self);
    }
    if (a != NULL) {
        tr_stage_ask(self->supplier, a->count);
    } else if (TR_MATCH(msg, cancel_it) != NULL) {
        tr_stage_cancel(self->supplier, tr_atom("bored"));
    } else if (TR_MATCH(msg, nap) != NULL) {
        tr_sleep(TR_MATCH(msg, nap)->ms);
    } else if (e == NULL) {
        say("%s info %s", self->part.name, msg->type->name);
    }
    return e != NULL && e->stop ? TR_STOP(TR_ATOM(SHUTDOWN)) : TR_NOREPLY;
}

static inline tr_next actor_handle_call(actor *self, tr_from from, const tr_msg *msg)
{
    tr_next next = actor_obey(self, msg);
    if (next.kind == TR_NEXT_STOP) {
        return TR_STOP_REPLY(next.reason, from, done);
    }
    TR_ANSWER(from, done);
    return next;
}

static inline void actor_terminate(actor *self, tr_term reason)
{
    say("%s terminate %s", self->part.name, tr_term_text(reason));
}

static inline bool actor_format_discarded(actor *self, uint64_t discarded)
{
    say("%s discarded %" PRIu64, self->part.name, discarded);
    return !self->part.mute;
}

#define ACTOR_CALLBACKS                                                                                   \
    .init = actor_init, .handle_subscribe = actor_handle_subscribe, .handle_cancel = actor_handle_cancel, \
    .handle_call = actor_handle_call, .handle_cast = actor_obey, .handle_info = actor_obey,               \
    .terminate = actor_terminate, .format_discarded = actor_format_discarded
typedef actor producer;
typedef actor both;
typedef actor consumer;
TR_GEN_STAGE(producer, .type = TR_PRODUCER, .handle_demand = actor_handle_demand, ACTOR_CALLBACKS);
TR_GEN_STAGE(both, .type = TR_PRODUCER_CONSUMER, .handle_events = actor_handle_events, ACTOR_CALLBACKS);
TR_GEN_STAGE(consumer, .type = TR_CONSUMER, .handle_events = sink_handle_events, ACTOR_CALLBACKS);

/* ---- what scenes do ---- */

static tr_started started;

static inline tr_err start_part(const tr_gen_stage *module, part p)
{
    return tr_stage_start(module, &p, sizeof p, NULL, &started);
}

/* PLAYS(producer, "p", .count = 10): a stage of that kind. Returns: its pid. */
#define PLAYS(kind, as, ...) play(kind##_stage, (part){.name = (as), ##__VA_ARGS__})
static inline tr_pid play(const tr_gen_stage *module, part p)
{
    EXPECT(start_part(module, p) == TR_OK);
    return started.pid;
}

/* SUB(pid, .max_demand = 3) */
#define SUB(pid, ...) ((tr_subscription){.to = tr_to(pid), ##__VA_ARGS__})

static inline tr_ref subscribed(tr_pid who, tr_subscription to)
{
    tr_ref ref = TR_NO_REF;
    EXPECT(tr_stage_subscribe(tr_to(who), &to, 5000, &ref) == TR_OK && ref.id != 0);
    return ref;
}

static inline void settle(void)
{
    tr_sleep(1);
}

#define TELLS(pid, T, ...)              \
    do {                                \
        TR_CAST((pid), T, __VA_ARGS__); \
        settle();                       \
    } while (0)

static inline void forget_lines(void)
{
    stage.said.used = 0;
    stage.said.text[0] = '\0';
}

#endif
