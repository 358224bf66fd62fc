/* The producer's half: who is subscribed, what was asked for, what waits in the buffer. */
#include "runtime/stage/stage.h"

static tr__subscriber *find(const tr__stage *stage, tr_ref ref)
{
    tr__subscriber *s = stage->subscribers;
    while (s != NULL && !tr_ref_equal(s->from.ref, ref)) {
        s = s->next;
    }
    return s;
}

tr_ref tr__producer_monitors(const tr__stage *stage, tr_ref monitor)
{
    for (const tr__subscriber *s = stage->subscribers; s != NULL; s = s->next) {
        if (tr_ref_equal(s->monitor, monitor)) {
            return s->from.ref;
        }
    }
    return TR_NO_REF;
}

static void say_cancelled(tr_stage_from consumer, tr_term reason)
{
    TR__STAGE_SEND(consumer.pid, consumer.ref, tr__stage_cancelled, .ref = consumer.ref, .reason = reason);
}

/* ---- the buffer ---- */

/* Infos whose events have gone. So the first in the buffer is always an event. */
static void deliver_infos(tr__stage *stage)
{
    while (stage->buffer.first != NULL && stage->buffer.first->is_info) {
        stage->dispatch->info(stage, tr__records_pop(&stage->buffer));
    }
}

static void report_discarded(tr__stage *stage, uint64_t discarded)
{
    const tr_gen_stage *module = stage->module;
    if (module->format_discarded == NULL || module->format_discarded(stage->self, discarded)) {
        tr__stage_warn("events_discarded", tr_int((int64_t)discarded));
    }
}

static void buffer_events(tr__stage *stage, tr__records *events)
{
    uint64_t discarded = 0;
    if (stage->buffer_size - stage->buffer.events >= events->events) {
        tr__records_join(&stage->buffer, events);
        return;
    }
    for (tr__record *record; (record = tr__records_pop(events)) != NULL;) {
        bool full = stage->buffer.events == stage->buffer_size;
        discarded += full;
        if (full && stage->buffer_keep == TR_KEEP_FIRST) {
            tr_free(record);
            continue;
        }
        tr__records_append(&stage->buffer, record);
        if (full) {
            tr_free(tr__records_pop(&stage->buffer));
            deliver_infos(stage);
        }
    }
    report_discarded(stage, discarded);
}

void tr__stage_out(tr__stage *stage)
{
    tr__records events = stage->out;
    stage->out = (tr__records){0};
    if (stage->subscribers != NULL && stage->buffer.events == 0) { /* else others are before them */
        stage->dispatch->dispatch(stage, &events);
    }
    if (events.events > 0) {
        buffer_events(stage, &events);
    }
}

static void drain_buffer(tr__stage *stage)
{
    uint64_t before = 0;
    while (stage->buffer.events != before && stage->subscribers != NULL) {
        before = stage->buffer.events;
        stage->dispatch->dispatch(stage, &stage->buffer); /* up to an info */
        deliver_infos(stage);
    }
}

void tr__producer_info(tr__stage *stage, tr__record *info)
{
    if (stage->buffer.events == 0) {
        stage->dispatch->info(stage, info);
    } else {
        info->is_info = true;
        tr__records_append(&stage->buffer, info);
    }
}

/* ---- demand ---- */

static tr_next call_handle_demand(tr__stage *stage, uint64_t demand)
{
    if (stage->module->handle_demand == NULL) {
        tr_error(TR_ATOM(UNDEF));
    }
    return tr__stage_after(stage, stage->module->handle_demand(stage->self, demand));
}

static void hold(tr__stage *stage, uint64_t demand)
{
    if (stage->held_count == stage->held_room) {
        stage->held_room = stage->held_room == 0 ? 8 : 2 * stage->held_room;
        stage->held = tr_realloc(stage->held, stage->held_room * sizeof *stage->held);
    }
    stage->held[stage->held_count++] = demand;
}

tr_next tr__producer_serve(tr__stage *stage)
{
    drain_buffer(stage);
    uint64_t want = stage->dispatch->want(stage);
    if (want <= stage->owed) {
        return TR_NOREPLY;
    }
    uint64_t more = want - stage->owed;
    stage->owed = want;
    if (stage->module->type == TR_PRODUCER_CONSUMER) {
        return tr__consumer_work(stage);
    }
    if (stage->accumulates) {
        hold(stage, more);
        return TR_NOREPLY;
    }
    return call_handle_demand(stage, more);
}

tr_next tr__producer_ask(tr__stage *stage, const tr__stage_ask *ask)
{
    tr__subscriber *s = find(stage, ask->consumer.ref);
    if (s == NULL) {
        say_cancelled(ask->consumer, tr_atom("unknown_subscription"));
        return TR_NOREPLY;
    }
    stage->dispatch->ask(stage, s, ask->count);
    return tr__producer_serve(stage);
}

tr_next tr__producer_demand(tr__stage *stage, bool accumulate)
{
    tr_next next = TR_NOREPLY;
    uint64_t *held = stage->held;
    size_t count = stage->held_count;
    stage->accumulates = accumulate;
    if (accumulate) {
        return next;
    }
    stage->held = NULL;
    stage->held_count = stage->held_room = 0;
    for (size_t i = 0; i < count && tr__goes_on(&next); i++) {
        next = call_handle_demand(stage, held[i]);
    }
    tr_free(held);
    return next;
}

/* ---- subscriptions ---- */

static tr_next call_handle_cancel(tr__stage *stage, tr_stage_end end, tr_stage_from from)
{
    if (stage->module->handle_cancel == NULL) {
        return TR_NOREPLY;
    }
    return tr__stage_after(stage, stage->module->handle_cancel(stage->self, end, from));
}

static void forget(tr__subscriber *s)
{
    (void)tr_demonitor(s->monitor, true);
    tr_free_term(s->opts.selector_arg);
    tr_free(s);
}

tr_next tr__producer_cancel(tr__stage *stage, tr_ref ref, tr_stage_end end)
{
    tr__subscriber *s = find(stage, ref);
    if (s == NULL) {
        return TR_NOREPLY;
    }
    tr_stage_from from = s->from;
    stage->dispatch->cancel(stage, s);
    forget(s);
    say_cancelled(from, end.reason);
    tr_next next = call_handle_cancel(stage, end, from);
    return tr__goes_on(&next) ? tr__producer_serve(stage) : next;
}

static tr__subscriber *subscriber_new(const tr__stage_subscribe *request)
{
    tr__subscriber *s = tr_alloc(sizeof *s);
    s->from = request->consumer;
    s->opts = request->opts;
    s->opts.to = (tr_dest){0};
    s->opts.selector_arg = tr_keep(request->selector_arg);
    s->monitor = tr_monitor(tr_to(s->from.pid), NULL);
    return s;
}

static tr_next accept(tr__stage *stage, const tr__stage_subscribe *request)
{
    tr_term refused;
    tr__subscriber *s = subscriber_new(request);
    if (!stage->dispatch->subscribe(stage, s, &refused)) {
        say_cancelled(s->from, refused);
        forget(s);
        return TR_NOREPLY;
    }
    if (stage->module->handle_subscribe == NULL) {
        return TR_NOREPLY;
    }
    bool manual = false;
    return tr__stage_after(
        stage, stage->module->handle_subscribe(stage->self, TR_OF_CONSUMER, &s->opts, s->from, &manual));
}

tr_next tr__producer_subscribe(tr__stage *stage, const tr__stage_subscribe *request)
{
    if (find(stage, request->consumer.ref) != NULL) {
        tr__stage_ignore(stage->msg);
        say_cancelled(request->consumer, tr_atom("duplicated_subscription"));
        return TR_NOREPLY;
    }
    tr_next next = TR_NOREPLY;
    if (request->current.id != 0) {
        next = tr__producer_cancel(stage, request->current, (tr_stage_end){.reason = request->why});
    }
    return tr__goes_on(&next) ? accept(stage, request) : next;
}
