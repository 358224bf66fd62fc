/* Dispatching by demand and by broadcast, and what all dispatchers share. */
#include <troupe/timer.h>

#include "runtime/stage/stage.h"

void tr__subscriber_append(tr__stage *stage, tr__subscriber *s)
{
    tr__subscriber **at = &stage->subscribers;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    s->next = NULL;
    *at = s;
}

void tr__subscriber_remove(tr__stage *stage, tr__subscriber *s)
{
    tr__subscriber **at = &stage->subscribers;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
}

static void send_batch(const tr__subscriber *s, tr_blob *batch, uint64_t count)
{
    TR__STAGE_SEND(s->from.pid, s->from.ref, tr__stage_events, .producer = {tr_self(), s->from.ref},
                   .count = count, .batch = batch);
}

void tr__send_events(const tr__subscriber *s, tr__records *list)
{
    if (list->events > 0) {
        tr_scratch_mark mark = tr_scratch();
        tr_blob *batch = tr__batch_new(tr__records_events(list), list->events);
        send_batch(s, batch, list->events);
        tr_blob_drop(batch);
        tr_scratch_release(mark);
    }
    tr__records_free(list);
}

/* An info is a message of the stage to itself: behind what is in its mailbox. */
void tr__info_deliver(tr__record *info)
{
    tr_msg *msg = tr_msg_new(info->type, info->data);
    tr_free(info);
    tr__stage_send(tr_self(), TR_NO_REF, msg);
}

static void info_now(tr__stage *stage, tr__record *info)
{
    (void)stage;
    tr__info_deliver(info);
}

/* ---- by demand: the list is ordered by open demand, most first, equals by age ---- */

static void demand_insert(tr__stage *stage, tr__subscriber *s)
{
    tr__subscriber **at = &stage->subscribers;
    while (*at != NULL && (*at)->demand >= s->demand) {
        at = &(*at)->next;
    }
    s->next = *at;
    *at = s;
}

static bool demand_subscribe(tr__stage *stage, tr__subscriber *s, tr_term *reason)
{
    (void)reason;
    tr__subscriber_append(stage, s);
    return true;
}

static void demand_cancel(tr__stage *stage, tr__subscriber *s)
{
    tr__subscriber_remove(stage, s);
    stage->open -= s->demand;
}

static void demand_ask(tr__stage *stage, tr__subscriber *s, uint64_t count)
{
    uint64_t *most = &stage->dispatcher.max_demand;
    *most = *most == 0 ? count : *most;
    if (count > *most) {
        tr__stage_warn("demand_above_maximum",
                       tr_tuple(tr_int((int64_t)*most), tr_int((int64_t)count), tr_pid_term(s->from.pid)));
    }
    tr__subscriber_remove(stage, s);
    s->demand += count;
    stage->open += count;
    demand_insert(stage, s);
}

static uint64_t demand_want(const tr__stage *stage)
{
    return stage->open;
}

static uint64_t random_below(uint64_t *seed, uint64_t limit)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed % limit;
}

/* Each subscriber is put before a random one of those that are there. */
static void shuffle(tr__stage *stage)
{
    uint64_t seed = (tr_now_ns() ^ tr_self()) | 1;
    uint64_t placed = 0;
    tr__subscriber *rest = stage->subscribers;
    stage->subscribers = NULL;
    while (rest != NULL) {
        tr__subscriber *s = rest;
        tr__subscriber **at = &stage->subscribers;
        rest = s->next;
        for (uint64_t skip = random_below(&seed, ++placed); skip > 0; skip--) {
            at = &(*at)->next;
        }
        s->next = *at;
        *at = s;
    }
}

static void demand_dispatch(tr__stage *stage, tr__records *events)
{
    if (stage->dispatcher.shuffle) {
        stage->dispatcher.shuffle = false;
        shuffle(stage);
    }
    while (stage->subscribers != NULL && stage->subscribers->demand > 0) {
        tr__subscriber *s = stage->subscribers;
        tr__records now = tr__records_take(events, s->demand);
        if (now.events == 0) {
            break;
        }
        tr__subscriber_remove(stage, s);
        s->demand -= now.events;
        stage->open -= now.events;
        demand_insert(stage, s);
        tr__send_events(s, &now);
    }
}

const tr__dispatcher_ops tr__dispatch_demand = {.subscribe = demand_subscribe,
                                                .cancel = demand_cancel,
                                                .ask = demand_ask,
                                                .want = demand_want,
                                                .dispatch = demand_dispatch,
                                                .info = info_now};

/* ---- by broadcast: as many as everybody has asked for ---- */

static bool broadcast_subscribe(tr__stage *stage, tr__subscriber *s, tr_term *reason)
{
    for (const tr__subscriber *other = stage->subscribers; other != NULL; other = other->next) {
        if (other->from.pid == s->from.pid) {
            *reason = tr_atom("already_subscribed");
            return false;
        }
    }
    tr__subscriber_append(stage, s);
    return true;
}

static void broadcast_cancel(tr__stage *stage, tr__subscriber *s)
{
    tr__subscriber_remove(stage, s);
}

static void broadcast_ask(tr__stage *stage, tr__subscriber *s, uint64_t count)
{
    (void)stage;
    s->demand += count;
}

static uint64_t broadcast_want(const tr__stage *stage)
{
    uint64_t least = stage->subscribers == NULL ? 0 : stage->subscribers->demand;
    for (const tr__subscriber *s = stage->subscribers; s != NULL; s = s->next) {
        least = s->demand < least ? s->demand : least;
    }
    return least;
}

/* Picks a subscriber's events. What it does not want is asked for again in its name. */
static uint64_t select_events(const tr__subscriber *s, const tr_stage_event *events, uint64_t count,
                              tr_stage_event *picked)
{
    uint64_t picks = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (s->opts.selector(&events[i], s->opts.selector_arg)) {
            picked[picks++] = events[i];
        }
    }
    if (picks < count) {
        TR__STAGE_SEND(tr_self(), s->from.ref, tr__stage_ask, .consumer = s->from, .count = count - picks);
    }
    return picks;
}

/* One blob for all that have no selector. */
static void send_to_all(const tr__stage *stage, const tr_stage_event *events, uint64_t count)
{
    tr_stage_event *picked = tr_scratch_alloc(count * sizeof *picked);
    tr_blob *batch = tr__batch_new(events, count);
    for (const tr__subscriber *s = stage->subscribers; s != NULL; s = s->next) {
        if (s->opts.selector == NULL) {
            send_batch(s, batch, count);
        }
    }
    tr_blob_drop(batch);
    for (const tr__subscriber *s = stage->subscribers; s != NULL; s = s->next) {
        uint64_t picks = s->opts.selector == NULL ? 0 : select_events(s, events, count, picked);
        if (picks > 0) {
            batch = tr__batch_new(picked, picks);
            send_batch(s, batch, picks);
            tr_blob_drop(batch);
        }
    }
}

static void broadcast_dispatch(tr__stage *stage, tr__records *events)
{
    tr__records now = tr__records_take(events, broadcast_want(stage));
    if (now.events > 0) {
        tr_scratch_mark mark = tr_scratch();
        for (tr__subscriber *s = stage->subscribers; s != NULL; s = s->next) {
            s->demand -= now.events;
        }
        send_to_all(stage, tr__records_events(&now), now.events);
        tr_scratch_release(mark);
    }
    tr__records_free(&now);
}

const tr__dispatcher_ops tr__dispatch_broadcast = {.subscribe = broadcast_subscribe,
                                                   .cancel = broadcast_cancel,
                                                   .ask = broadcast_ask,
                                                   .want = broadcast_want,
                                                   .dispatch = broadcast_dispatch,
                                                   .info = info_now};
