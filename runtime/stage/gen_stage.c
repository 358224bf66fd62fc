#include "runtime/otp/gen_server.h"
#include "runtime/stage/stage.h"

enum { BUFFER_SIZE_DEFAULT = 10000, PARTITIONS_MAX = 1 << 20 };

TR_MESSAGE_TERMS(
    tr__stage_subscribe_to,
    {
        tr_subscription to;
        tr_ref current;
        tr_term why;
    },
    offsetof(tr__stage_subscribe_to, to.to.name), offsetof(tr__stage_subscribe_to, to.selector_arg),
    offsetof(tr__stage_subscribe_to, why));
TR_MESSAGE(tr__stage_answer, {
    tr_err err;
    tr_ref ref;
    uint64_t count;
});
TR_MESSAGE(tr__stage_set_demand, { bool accumulate; });
TR_MESSAGE_EMPTY(tr__stage_count);
TR_MESSAGE_BLOBS(
    tr__stage_info, { tr_blob *payload; }, offsetof(tr__stage_info, payload));

/* The state is the user's; behind it lies the pointer to ours. */
static tr__stage **place_in(const void *state)
{
    const char *at = state;
    const tr__gen_server *server = (const void *)(at - offsetof(tr__gen_server, state));
    return (tr__stage **)(uintptr_t)(at + server->module->state_bytes - 16);
}

static tr__stage *stage_of(const void *state)
{
    return *place_in(state);
}

/* ---- for the other files ---- */

tr_next tr__stage_after(tr__stage *stage, tr_next next)
{
    if (tr__goes_on(&next)) {
        uint64_t emitted = stage->out.events;
        stage->owed -= emitted < stage->owed ? emitted : stage->owed;
        tr__stage_out(stage);
    }
    return next;
}

void tr__stage_warn(const char *what, tr_term about)
{
    tr__report(TR_REPORT_STAGE_WARNED, tr_tuple(tr_atom(what), about), NULL, TR_TERM_NONE_VALUE, TR_NO_PID,
               TR_TERM_NONE_VALUE, 0);
}

void tr__stage_ignore(const tr_msg *msg)
{
    tr__report(TR_REPORT_MESSAGE_IGNORED, TR_TERM_NONE_VALUE, msg->type->name, TR_TERM_NONE_VALUE, TR_NO_PID,
               TR_TERM_NONE_VALUE, 0);
}

void tr__stage_send(tr_pid to, tr_ref ref, tr_msg *msg)
{
    (void)tr__send_kind(tr_to(to), TR_MSG_REPLY, ref, msg);
}

/* ---- emitting ---- */

void tr_stage_emit(void *self, const tr_type *type, const void *payload)
{
    tr__stage *stage = stage_of(self);
    TR_CHECK(tr__is_producer(stage));
    tr__records_append(&stage->out, tr__record_new(type, payload));
}

void tr_stage_flush(void *self)
{
    (void)tr__stage_after(stage_of(self), TR_NOREPLY);
}

/* ---- starting ---- */

static bool read_buffer(tr__stage *stage, const tr_stage_opts *opts)
{
    int64_t size = opts->buffer_size;
    if (size == 0) {
        size = stage->module->type == TR_PRODUCER ? BUFFER_SIZE_DEFAULT : TR_INFINITY;
    }
    stage->buffer_size = size == TR_INFINITY ? UINT64_MAX : (uint64_t)size;
    stage->buffer_keep = opts->buffer_keep;
    return size > 0 || size == TR_INFINITY;
}

static bool read_dispatcher(tr__stage *stage, const tr_dispatcher *dispatcher)
{
    static const tr__dispatcher_ops *const all[] = {[TR_DISPATCH_DEMAND] = &tr__dispatch_demand,
                                                    [TR_DISPATCH_BROADCAST] = &tr__dispatch_broadcast,
                                                    [TR_DISPATCH_PARTITION] = &tr__dispatch_partition};
    if (dispatcher->kind > TR_DISPATCH_PARTITION) {
        return false;
    }
    stage->dispatcher = *dispatcher;
    stage->dispatch = all[dispatcher->kind];
    if (dispatcher->kind == TR_DISPATCH_PARTITION) {
        if (dispatcher->partitions == 0 || dispatcher->partitions > PARTITIONS_MAX) {
            return false;
        }
        stage->partitions = tr_alloc(dispatcher->partitions * sizeof *stage->partitions);
    }
    return true;
}

/* The option that is wrong, or NULL. */
static const char *read_opts(tr__stage *stage, const tr_stage_opts *opts)
{
    if (!read_dispatcher(stage, &opts->dispatcher)) {
        return "dispatcher";
    }
    if (!read_buffer(stage, opts)) {
        return "buffer_size";
    }
    if (opts->accumulate && stage->module->type != TR_PRODUCER) {
        return "accumulate";
    }
    stage->accumulates = opts->accumulate;
    return opts->subscribe_count > 0 && stage->module->type == TR_PRODUCER ? "subscribe_to" : NULL;
}

static tr_next bad_opts(const char *what)
{
    return TR_STOP(tr_tuple(tr_atom("bad_opts"), tr_atom(what)));
}

static tr_next subscribe_at_start(tr__stage *stage, const tr_stage_opts *opts, tr_next next)
{
    for (size_t i = 0; i < opts->subscribe_count && tr__goes_on(&next); i++) {
        tr__subscribed result;
        tr_next then =
            tr__consumer_subscribe(stage, &opts->subscribe_to[i], TR_NO_REF, TR_TERM_NONE_VALUE, &result);
        if (result.err != TR_OK) {
            return bad_opts(result.wrong);
        }
        next = tr__goes_on(&then) ? next : then;
    }
    return next;
}

tr_next tr__stage_init(void *state, const void *arg)
{
    tr__stage *stage = tr_alloc(sizeof *stage);
    const char *at = state;
    *place_in(state) = stage;
    stage->module =
        (const void *)((const tr__gen_server *)(const void *)(at - offsetof(tr__gen_server, state)))->module;
    stage->self = state;
    tr_stage_opts opts = {0};
    tr_next next = stage->module->init == NULL ? TR_INIT_OK : stage->module->init(state, arg, &opts);
    if (!tr__goes_on(&next)) {
        return next;
    }
    const char *wrong = read_opts(stage, &opts);
    if (wrong != NULL) {
        return bad_opts(wrong);
    }
    return subscribe_at_start(stage, &opts, tr__stage_after(stage, next));
}

/* ---- requests ---- */

static tr_next subscribe(tr__stage *stage, const tr__stage_subscribe_to *request, tr__subscribed *result)
{
    return tr__consumer_subscribe(stage, &request->to, request->current, request->why, result);
}

static tr_next subscribe_and_answer(tr__stage *stage, tr_from from, const tr__stage_subscribe_to *request)
{
    tr__subscribed result;
    tr_next next = subscribe(stage, request, &result);
    TR_ANSWER(from, tr__stage_answer, .err = result.err, .ref = result.ref);
    return next;
}

static tr_err queue_info(tr__stage *stage, const tr__stage_info *info)
{
    const tr_stage_event *event = (const tr_stage_event *)(const void *)info->payload->bytes;
    if (!tr__is_producer(stage)) {
        return TR_E_STATE;
    }
    tr__producer_info(stage, tr__record_new(event->type, event->data));
    return TR_OK;
}

tr_next tr__stage_handle_call(void *state, tr_from from, const tr_msg *msg)
{
    tr__stage *stage = stage_of(state);
    stage->msg = (tr_msg *)(uintptr_t)msg;
    const tr__stage_subscribe_to *request = TR_MATCH(msg, tr__stage_subscribe_to);
    const tr__stage_info *info = TR_MATCH(msg, tr__stage_info);
    if (request != NULL) {
        return subscribe_and_answer(stage, from, request);
    }
    if (info != NULL) {
        return TR_REPLY(from, tr__stage_answer, .err = queue_info(stage, info));
    }
    if (TR_MATCH(msg, tr__stage_count) != NULL) {
        return TR_REPLY(from, tr__stage_answer, .err = tr__is_producer(stage) ? TR_OK : TR_E_STATE,
                        .count = stage->buffer.events);
    }
    if (stage->module->handle_call == NULL) {
        tr_error(TR_ATOM(UNDEF));
    }
    return tr__stage_after(stage, stage->module->handle_call(state, from, msg));
}

static tr_next set_demand(tr__stage *stage, const tr__stage_set_demand *request)
{
    if (stage->module->type == TR_PRODUCER) {
        return tr__producer_demand(stage, request->accumulate);
    }
    if (stage->module->type == TR_CONSUMER || request->accumulate) { /* the others forward anyway */
        tr__stage_ignore(stage->msg);
    }
    return TR_NOREPLY;
}

tr_next tr__stage_handle_cast(void *state, const tr_msg *msg)
{
    tr__stage *stage = stage_of(state);
    stage->msg = (tr_msg *)(uintptr_t)msg;
    const tr__stage_subscribe_to *request = TR_MATCH(msg, tr__stage_subscribe_to);
    const tr__stage_set_demand *demand = TR_MATCH(msg, tr__stage_set_demand);
    const tr__stage_info *info = TR_MATCH(msg, tr__stage_info);
    if (request != NULL) {
        tr__subscribed result;
        tr_next next = subscribe(stage, request, &result);
        if (result.err != TR_OK) {
            tr__stage_ignore(msg);
        }
        return next;
    }
    if (demand != NULL) {
        return set_demand(stage, demand);
    }
    if (info != NULL) {
        if (queue_info(stage, info) != TR_OK) {
            tr__stage_ignore(msg);
        }
        return TR_NOREPLY;
    }
    if (stage->module->handle_cast == NULL) {
        tr_error(TR_ATOM(UNDEF));
    }
    return tr__stage_after(stage, stage->module->handle_cast(state, msg));
}

/* ---- the protocol ---- */

/* Is this message the producer's part of the protocol? Then *next is what came of it. */
static bool to_producer(tr__stage *stage, const tr_msg *msg, tr_next *next)
{
    const tr__stage_subscribe *request = TR_MATCH(msg, tr__stage_subscribe);
    const tr__stage_ask *ask = TR_MATCH(msg, tr__stage_ask);
    const tr__stage_cancel *cancel = TR_MATCH(msg, tr__stage_cancel);
    const tr__stage_look_again *again = TR_MATCH(msg, tr__stage_look_again);
    if (request == NULL && ask == NULL && cancel == NULL && again == NULL) {
        return false;
    }
    if (!tr__is_producer(stage)) {
        tr__stage_ignore(msg);
    } else if (request != NULL) {
        *next = tr__producer_subscribe(stage, request);
    } else if (ask != NULL) {
        *next = tr__producer_ask(stage, ask);
    } else if (again != NULL) {
        *next = tr__producer_serve(stage);
    } else {
        *next = tr__producer_cancel(stage, cancel->ref, (tr_stage_end){.reason = cancel->reason});
    }
    return true;
}

static bool to_consumer(tr__stage *stage, const tr_msg *msg, tr_next *next)
{
    const tr__stage_events *events = TR_MATCH(msg, tr__stage_events);
    const tr__stage_cancelled *cancelled = TR_MATCH(msg, tr__stage_cancelled);
    if (events == NULL && cancelled == NULL) {
        return false;
    }
    if (stage->module->type == TR_PRODUCER) {
        tr__stage_ignore(msg);
    } else if (events != NULL) {
        *next = tr__consumer_events(stage, events);
    } else {
        tr__supplier *supplier = tr__supplier_find(stage, cancelled->ref);
        if (supplier != NULL) {
            *next = tr__consumer_cancelled(stage, supplier, (tr_stage_end){.reason = cancelled->reason});
        }
    }
    return true;
}

static bool is_end_of_other_side(tr__stage *stage, const tr_msg *msg, tr_next *next)
{
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
    if (down == NULL || tr_msg_kind_of(msg) != TR_MSG_DOWN) {
        return false;
    }
    tr_stage_end end = {.down = true, .reason = down->reason};
    tr__supplier *supplier = tr__supplier_find(stage, down->ref);
    if (supplier != NULL) {
        *next = tr__consumer_cancelled(stage, supplier, end);
        return true;
    }
    tr_ref subscription = tr__producer_monitors(stage, down->ref);
    if (subscription.id != 0) {
        *next = tr__producer_cancel(stage, subscription, end);
    }
    return subscription.id != 0;
}

tr_next tr__stage_handle_info(void *state, const tr_msg *msg)
{
    tr__stage *stage = stage_of(state);
    tr_next next = TR_NOREPLY;
    stage->msg = (tr_msg *)(uintptr_t)msg;
    if (to_producer(stage, msg, &next) || to_consumer(stage, msg, &next) ||
        is_end_of_other_side(stage, msg, &next)) {
        return next;
    }
    if (stage->module->handle_info == NULL) {
        tr__stage_ignore(msg);
        return next;
    }
    return tr__stage_after(stage, stage->module->handle_info(state, msg));
}

tr_next tr__stage_handle_continue(void *state, const tr_msg *msg)
{
    tr__stage *stage = stage_of(state);
    stage->msg = (tr_msg *)(uintptr_t)msg;
    if (stage->module->handle_continue == NULL) {
        tr_error(TR_ATOM(UNDEF));
    }
    return tr__stage_after(stage, stage->module->handle_continue(state, msg));
}

void tr__stage_terminate(void *state, tr_term reason)
{
    tr__stage *stage = stage_of(state);
    if (stage->module->terminate != NULL) {
        stage->module->terminate(state, reason);
    }
}

tr_term tr__stage_format_state(const void *state)
{
    const tr_gen_stage *module = stage_of(state)->module;
    if (module->format_state != NULL) {
        return module->format_state(state);
    }
    return tr_tuple(tr_atom(module->server.name), tr_int((int64_t)module->server.state_bytes - 16));
}

/* ---- its users ---- */

static tr_msg *subscribe_msg(const tr_subscription *to, tr_ref current, tr_term why)
{
    return TR_MSG(tr__stage_subscribe_to, .to = *to, .current = current, .why = why);
}

static tr_err ask_stage(tr_dest stage, tr_msg *request, int64_t timeout_ms, tr__stage_answer *answer)
{
    tr_err err = tr__call_typed(stage, request, timeout_ms, TR_TYPE(tr__stage_answer), answer);
    return err == TR_OK ? answer->err : err;
}

tr_err tr_stage_resubscribe(tr_dest stage, tr_ref current, tr_term why, const tr_subscription *to,
                            int64_t timeout_ms, tr_ref *ref)
{
    tr__stage_answer answer;
    tr_err err = ask_stage(stage, subscribe_msg(to, current, why), timeout_ms, &answer);
    if (err == TR_OK && ref != NULL) {
        *ref = answer.ref;
    }
    return err;
}

tr_err tr_stage_subscribe(tr_dest stage, const tr_subscription *to, int64_t timeout_ms, tr_ref *ref)
{
    return tr_stage_resubscribe(stage, TR_NO_REF, TR_TERM_NONE_VALUE, to, timeout_ms, ref);
}

tr_err tr_stage_async_resubscribe(tr_dest stage, tr_ref current, tr_term why, const tr_subscription *to)
{
    return tr_gen_server_cast(stage, subscribe_msg(to, current, why));
}

tr_err tr_stage_async_subscribe(tr_dest stage, const tr_subscription *to)
{
    return tr_stage_async_resubscribe(stage, TR_NO_REF, TR_TERM_NONE_VALUE, to);
}

tr_err tr_stage_demand(tr_dest producer, bool accumulate)
{
    return TR_CAST(producer, tr__stage_set_demand, .accumulate = accumulate);
}

static tr_msg *info_msg(const tr_type *type, const void *payload)
{
    tr_blob *blob = tr__payload_blob(type, payload);
    tr_msg *msg = TR_MSG(tr__stage_info, .payload = blob);
    tr_blob_drop(blob); /* the message has its own count */
    return msg;
}

tr_err tr_stage_sync_info(tr_dest producer, const tr_type *type, const void *payload, int64_t timeout_ms)
{
    tr__stage_answer answer;
    return ask_stage(producer, info_msg(type, payload), timeout_ms, &answer);
}

tr_err tr_stage_async_info(tr_dest producer, const tr_type *type, const void *payload)
{
    return tr_gen_server_cast(producer, info_msg(type, payload));
}

tr_err tr_stage_buffered_count(tr_dest producer, int64_t timeout_ms, uint64_t *count)
{
    tr__stage_answer answer;
    tr_err err = ask_stage(producer, TR_MSG(tr__stage_count), timeout_ms, &answer);
    if (err == TR_OK) {
        *count = answer.count;
    }
    return err;
}
