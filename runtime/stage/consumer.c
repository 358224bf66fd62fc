/* The consumer's half: its subscriptions, batches, when it asks for more; and the input of a producer_consumer. */
#include "runtime/core/behaviour.h"
#include "runtime/stage/stage.h"

enum { MAX_DEMAND_DEFAULT = 1000 };

tr__supplier *tr__supplier_find(const tr__stage *stage, tr_ref ref)
{
    tr__supplier *supplier = stage->suppliers;
    while (supplier != NULL && !tr_ref_equal(supplier->from.ref, ref)) {
        supplier = supplier->next;
    }
    return supplier;
}

/* ---- subscribing ---- */

/* The option that is wrong, or NULL; fills in the defaults. */
static const char *read_opts(tr_subscription *opts)
{
    if (opts->cancel > TR_CANCEL_TEMPORARY) {
        return "cancel";
    }
    opts->max_demand = opts->max_demand == 0 ? MAX_DEMAND_DEFAULT : opts->max_demand;
    if (opts->max_demand < 1) {
        return "max_demand";
    }
    opts->min_demand = opts->min_demand == 0                ? opts->max_demand / 2
                       : opts->min_demand == TR_DEMAND_NONE ? 0
                                                            : opts->min_demand;
    return opts->min_demand < 0 || opts->min_demand >= opts->max_demand ? "min_demand" : NULL;
}

static bool ends_with_it(tr_cancel cancel, tr_term reason)
{
    return cancel == TR_CANCEL_PERMANENT || (cancel == TR_CANCEL_TRANSIENT && !tr_reason_is_clean(reason));
}

static tr_next supplier_add(tr__stage *stage, const tr_subscription *opts, tr_stage_from from)
{
    bool manual = false;
    tr_next next = TR_NOREPLY;
    if (stage->module->handle_subscribe != NULL) {
        next = tr__stage_after(
            stage, stage->module->handle_subscribe(stage->self, TR_OF_PRODUCER, opts, from, &manual));
    }
    if (!tr__goes_on(&next)) {
        return next;
    }
    if (manual && stage->module->type == TR_PRODUCER_CONSUMER) {
        return TR_STOP(tr_tuple(TR_ATOM(BAD_RETURN_VALUE), tr_atom("manual")));
    }
    tr__supplier *supplier = tr_alloc(sizeof *supplier);
    *supplier = (tr__supplier){.next = stage->suppliers,
                               .from = from,
                               .cancel = opts->cancel,
                               .manual = manual,
                               .open = opts->max_demand,
                               .min = opts->min_demand,
                               .max = opts->max_demand};
    stage->suppliers = supplier;
    if (!manual) {
        tr_stage_ask(from, (uint64_t)supplier->max);
    }
    return next;
}

tr_next tr__consumer_subscribe(tr__stage *stage, const tr_subscription *to, tr_ref current, tr_term why,
                               tr__subscribed *result)
{
    tr_subscription opts = *to;
    *result = (tr__subscribed){.err = TR_E_STATE};
    if (stage->module->type == TR_PRODUCER) {
        return TR_NOREPLY;
    }
    result->wrong = read_opts(&opts);
    result->err = result->wrong != NULL ? TR_E_BADARG : TR_OK;
    if (result->err != TR_OK) {
        return TR_NOREPLY;
    }
    tr_pid producer = tr_whereis(to->to);
    if (producer == TR_NO_PID) {
        result->ref = tr_alias(TR_ALIAS_NONE);
        return ends_with_it(opts.cancel, TR_ATOM(NOPROC)) ? TR_STOP(TR_ATOM(NOPROC)) : TR_NOREPLY;
    }
    tr_stage_from from = {producer, tr_monitor(tr_to(producer), NULL)};
    result->ref = from.ref;
    tr_subscription told = opts;
    told.to = (tr_dest){0};
    TR__STAGE_SEND(producer, from.ref, tr__stage_subscribe, .consumer = {tr_self(), from.ref},
                   .current = current, .why = why, .selector_arg = opts.selector_arg, .opts = told);
    return supplier_add(stage, &opts, from);
}

void tr_stage_ask(tr_stage_from producer, uint64_t count)
{
    if (count > 0) {
        TR__STAGE_SEND(producer.pid, producer.ref, tr__stage_ask, .consumer = {tr_self(), producer.ref},
                       .count = count);
    }
}

void tr_stage_cancel(tr_stage_from producer, tr_term reason)
{
    TR__STAGE_SEND(producer.pid, producer.ref, tr__stage_cancel, .ref = producer.ref, .reason = reason);
}

/* ---- the end of a subscription ---- */

static tr_next ended(tr__stage *stage, tr__supplier *supplier, tr_stage_end end)
{
    tr_next next = TR_NOREPLY;
    tr_stage_from from = supplier->from;
    tr_cancel cancel = supplier->cancel;
    tr_free(supplier);
    if (stage->module->handle_cancel != NULL) {
        next = tr__stage_after(stage, stage->module->handle_cancel(stage->self, end, from));
    }
    return tr__goes_on(&next) && ends_with_it(cancel, end.reason) ? TR_STOP(end.reason) : next;
}

static void supplier_remove(tr__stage *stage, tr__supplier *supplier)
{
    tr__supplier **at = &stage->suppliers;
    while (*at != supplier) {
        at = &(*at)->next;
    }
    *at = supplier->next;
    (void)tr_demonitor(supplier->from.ref, true);
}

/* Behind its events that wait. */
static void input_append(tr__stage *stage, tr__input *input)
{
    tr__input **at = stage->input == NULL ? &stage->input : stage->input_end;
    *at = input;
    stage->input_end = &input->next;
}

tr_next tr__consumer_cancelled(tr__stage *stage, tr__supplier *supplier, tr_stage_end end)
{
    supplier_remove(stage, supplier);
    if (stage->input == NULL) {
        return ended(stage, supplier, end);
    }
    tr__input *input = tr_alloc(sizeof *input);
    *input = (tr__input){.supplier = supplier,
                         .ref = supplier->from.ref,
                         .is_end = true,
                         .down = end.down,
                         .reason = tr_keep(end.reason)};
    input_append(stage, input);
    return TR_NOREPLY;
}

/* ---- events ---- */

/* One batch, then its share is asked for again: when open demand falls to min. Whether a subscription that ended
 * meanwhile is asked does not matter; its producer ignores it. */
static tr_next handle_batch(tr__stage *stage, tr__supplier *supplier, const tr_stage_event *events,
                            size_t count)
{
    tr_stage_from from = supplier->from;
    uint64_t ask = 0;
    if (!supplier->manual) {
        supplier->open -= (int64_t)count;
        if (supplier->open <= supplier->min) {
            ask = (uint64_t)(supplier->max - (supplier->open < 0 ? 0 : supplier->open));
            supplier->open = supplier->max;
        }
    }
    if (stage->module->handle_events == NULL) {
        tr_error(TR_ATOM(UNDEF));
    }
    tr_next next = tr__stage_after(stage, stage->module->handle_events(stage->self, from, events, count));
    if (tr__goes_on(&next)) {
        tr_stage_ask(from, ask);
    }
    return next;
}

static size_t batch_size(const tr__supplier *supplier, uint64_t count)
{
    uint64_t most = supplier->manual ? count : (uint64_t)(supplier->max - supplier->min);
    return (size_t)(count < most ? count : most);
}

static tr_next consume(tr__stage *stage, tr__supplier *supplier, const tr__stage_events *msg)
{
    const tr_stage_event *events = (const tr_stage_event *)(const void *)msg->batch->bytes;
    tr_next next = TR_NOREPLY;
    uint64_t done = 0;
    while (done < msg->count && tr__goes_on(&next)) {
        size_t count = batch_size(supplier, msg->count - done);
        next = handle_batch(stage, supplier, events + done, count);
        done += count;
        if (done < msg->count && tr__goes_on(&next)) {
            tr__boundary(stage->msg); /* it can be killed here; scratch memory is free again */
        }
    }
    return next;
}

tr_next tr__consumer_events(tr__stage *stage, const tr__stage_events *msg)
{
    tr__supplier *supplier = tr__supplier_find(stage, msg->producer.ref);
    if (supplier == NULL) {
        tr_stage_cancel(msg->producer, tr_atom("unknown_subscription"));
        return TR_NOREPLY;
    }
    if (!supplier->manual && (uint64_t)supplier->open < msg->count) {
        tr__stage_warn("events_in_excess", tr_int((int64_t)msg->count - supplier->open));
    }
    if (stage->module->type == TR_CONSUMER) {
        return consume(stage, supplier, msg);
    }
    const tr_stage_event *events = (const tr_stage_event *)(const void *)msg->batch->bytes;
    tr__input *input = tr_alloc(sizeof *input);
    *input = (tr__input){.supplier = supplier, .ref = msg->producer.ref};
    for (uint64_t i = 0; i < msg->count; i++) {
        tr__records_append(&input->events, tr__record_new(events[i].type, events[i].data));
    }
    input_append(stage, input);
    return tr__consumer_work(stage);
}

/* ---- the input of a producer_consumer ---- */

static tr__input *input_pop(tr__stage *stage)
{
    tr__input *input = stage->input;
    stage->input = input->next;
    return input;
}

static tr_next work_end(tr__stage *stage)
{
    tr__input *input = input_pop(stage);
    tr_term reason = input->reason;
    tr_next next = ended(stage, input->supplier, (tr_stage_end){.down = input->down, .reason = reason});
    if (tr__goes_on(&next)) {
        tr_free_term(reason);
    }
    tr_free(input);
    return next;
}

/* The events are handled by as many as there is demand for; what they become is counted by tr__stage_after. */
static tr_next work_events(tr__stage *stage)
{
    tr__input *input = stage->input;
    tr__supplier *supplier = input->supplier;
    uint64_t count = input->events.events < stage->owed ? input->events.events : stage->owed;
    tr_scratch_mark mark = tr_scratch();
    tr__records now = tr__records_take(&input->events, batch_size(supplier, count));
    if (input->events.events == 0) {
        tr_free(input_pop(stage));
    }
    tr_next next = handle_batch(stage, supplier, tr__records_events(&now), now.events);
    tr__records_free(&now);
    if (tr__goes_on(&next)) {
        tr_scratch_release(mark);
    }
    return next;
}

tr_next tr__consumer_work(tr__stage *stage)
{
    tr_next next = TR_NOREPLY;
    while (stage->owed > 0 && stage->input != NULL && tr__goes_on(&next)) {
        next = stage->input->is_end ? work_end(stage) : work_events(stage);
    }
    return next;
}
