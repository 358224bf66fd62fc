/* task_stream.c: the consumer's side of a stream. */
#include <string.h>

#include "runtime/otp/task_stream.h"

/* A task that runs; its value when that came. */
typedef struct running {
    size_t index;
    tr_msg *value;
} running;

/* A result, or an element whose result is still to come. The message is the value, or the keeper's news of the end. */
typedef struct ready {
    bool is_there;
    tr_err err;
    size_t index;
    tr_msg *msg;
} ready;

struct tr_task_stream {
    tr_task_fn fn;
    tr_task_source source;
    void *ctx;
    tr_task_stream_opts opts;
    tr_pid keeper;
    tr_ref keeper_ref;
    running *slots; /* slot_room of them; the first `free_count` of free_slots are not in use */
    uint32_t *free_slots;
    size_t slot_room, free_count;
    ready *ring; /* of element delivered + i at head + i, around; ring_room is 0 or a power of two */
    size_t ring_room, head;
    size_t spawned, delivered, index;
    bool source_is_dry, over;
    tr_err end; /* over: why */
};

/* ---- beginning ---- */

static void refuse(const char *option)
{
    tr_error(tr_tuple(TR_ATOM(BADARG), tr_atom(option)));
}

static bool has_supervisor(const tr_task_stream_opts *opts)
{
    return opts->sup.kind != TR_TO_PID || opts->sup.pid != TR_NO_PID;
}

static tr_task_stream_opts checked(const tr_task_stream_opts *given)
{
    tr_task_stream_opts opts = given != NULL ? *given : (tr_task_stream_opts){0};
    if ((unsigned)opts.on_timeout > TR_ON_TIMEOUT_KILL_TASK) {
        refuse("on_timeout");
    }
    if (opts.timeout_ms < TR_INFINITY) {
        refuse("timeout");
    }
    if (opts.shutdown_ms < TR_SHUTDOWN_NOW) {
        refuse("shutdown");
    }
    if (opts.nolink && !has_supervisor(&opts)) {
        refuse("nolink");
    }
    if (opts.max_concurrency > UINT32_MAX / 2) {
        refuse("max_concurrency");
    }
    opts.timeout_ms = opts.timeout_ms == 0 ? TR_TASK_TIMEOUT_MS : opts.timeout_ms;
    opts.max_concurrency = opts.max_concurrency == 0 ? (size_t)tr_node_workers() : opts.max_concurrency;
    return opts;
}

/* The keeper traps exits if the consumer does. */
static tr_err start_keeper(tr_task_stream *stream)
{
    const tr_task_stream_opts *opts = &stream->opts;
    tr_scratch_mark mark = tr_scratch();
    size_t birth_bytes;
    bool supervised = has_supervisor(opts);
    const tr__task_birth *birth = tr__task_birth_of(
        (tr__task_birth){.fn = stream->fn, .in_stream = true, .supervised = supervised}, &birth_bytes);
    tr__stream_keeping *keeping = tr_scratch_alloc(sizeof(*keeping) + birth_bytes);
    *keeping = (tr__stream_keeping){.consumer = tr_self(),
                                    .timeout_ms = opts->timeout_ms,
                                    .shutdown_ms = opts->shutdown_ms,
                                    .supervised = supervised,
                                    .link = !opts->nolink,
                                    .name = opts->name != NULL ? opts->name : "task",
                                    .birth_bytes = birth_bytes};
    memcpy(keeping + 1, birth, birth_bytes);
    bool traps = tr_trap_exit(true);
    (void)tr_trap_exit(traps);
    tr_spawn_opts spawn = {
        .label = "task_stream", .link = true, .monitor = &stream->keeper_ref, .trap_exit = traps};
    tr_err err =
        tr_spawn(&spawn, tr__stream_keeper, keeping, sizeof(*keeping) + birth_bytes, &stream->keeper);
    tr_scratch_release(mark);
    return err;
}

tr_err tr_task_async_stream(tr_task_fn fn, tr_task_source source, void *ctx, const tr_task_stream_opts *opts,
                            tr_task_stream **stream)
{
    TR_CHECK(fn != NULL && source != NULL);
    tr_task_stream_opts good = checked(opts);
    tr_task_stream *made = tr_alloc(sizeof(*made));
    *made = (tr_task_stream){.fn = fn, .source = source, .ctx = ctx, .opts = good};
    tr_err err = start_keeper(made);
    if (err != TR_OK) {
        tr_free(made);
        return err;
    }
    *stream = made;
    return TR_OK;
}

/* ---- results in waiting ---- */

static ready *ring_at(const tr_task_stream *stream, size_t i)
{
    return &stream->ring[(stream->head + i) & (stream->ring_room - 1)];
}

/* Room for one more element that is not delivered. */
static void ring_grow(tr_task_stream *stream)
{
    size_t used = stream->spawned - stream->delivered;
    if (used < stream->ring_room) {
        return;
    }
    size_t room = stream->ring_room == 0 ? 8 : 2 * stream->ring_room;
    ready *ring = tr_alloc(room * sizeof(*ring));
    for (size_t i = 0; i < used; i++) {
        ring[i] = *ring_at(stream, i);
    }
    tr_free(stream->ring);
    stream->ring = ring;
    stream->ring_room = room;
    stream->head = 0;
}

static bool deliver(tr_task_stream *stream, tr_task_result *result)
{
    ready *first = stream->ring_room == 0 ? NULL : ring_at(stream, 0);
    if (first == NULL || !first->is_there) {
        return false;
    }
    *result = (tr_task_result){.err = first->err};
    if (first->err == TR_OK) {
        result->value = first->msg;
    } else {
        tr_term reason = TR_MATCH(first->msg, tr__stream_event)->reason;
        result->reason = first->err == TR_E_TIMEOUT ? TR_ATOM(TIMEOUT) : tr__to_scratch(reason);
        tr_msg_drop(first->msg);
    }
    stream->index = first->index;
    *first = (ready){0};
    stream->head = (stream->head + 1) & (stream->ring_room - 1);
    stream->delivered++;
    return true;
}

/* ---- the end ---- */

static bool is_of_stream(const tr_msg *msg, void *ctx)
{
    const tr_task_stream *stream = ctx;
    tr_msg_kind kind = tr_msg_kind_of(msg);
    return (kind == TR_MSG_ACK && tr_msg_ref(msg).owner == stream->keeper) ||
           (kind == TR_MSG_DOWN && tr_ref_equal(tr_msg_ref(msg), stream->keeper_ref));
}

static bool is_leftover(const tr_msg *msg, void *ctx)
{
    const tr_task_stream *stream = ctx;
    return is_of_stream(msg, ctx) ||
           (tr_msg_kind_of(msg) == TR_MSG_EXIT && tr_msg_ref(msg).owner == stream->keeper);
}

static void drop_all(tr_task_stream *stream)
{
    tr_msg *msg;
    while ((msg = tr__receive_own(is_leftover, stream, 0)) != NULL) {
        tr_msg_drop(msg);
    }
    for (size_t i = 0; i < stream->slot_room; i++) {
        tr_msg_drop(stream->slots[i].value);
    }
    for (size_t i = 0; i < stream->ring_room; i++) {
        tr_msg_drop(stream->ring[i].msg);
    }
    tr_free(stream->slots);
    tr_free(stream->free_slots);
    tr_free(stream->ring);
    stream->slots = NULL;
    stream->free_slots = NULL;
    stream->ring = NULL;
    stream->slot_room = stream->ring_room = stream->free_count = 0;
}

/* The keeper has ended, or does so now, after its tasks. */
static tr_err finish(tr_task_stream *stream, tr_err why)
{
    if (tr__monitor_stands(stream->keeper_ref)) {
        (void)tr__send_kind(tr_to(stream->keeper), TR_MSG_ACK, TR_NO_REF,
                            TR_MSG(tr__stream_order, .no_more = true));
        tr_msg_drop(tr_receive_ref(stream->keeper_ref, TR_INFINITY));
    }
    drop_all(stream);
    stream->over = true;
    stream->end = why;
    return why;
}

void tr_task_stream_close(tr_task_stream *stream)
{
    if (!stream->over) {
        (void)finish(stream, TR_E_NOT_FOUND);
    }
    tr_free(stream);
}

/* ---- one more task ---- */

static uint32_t take_slot(tr_task_stream *stream)
{
    if (stream->free_count == 0) {
        size_t room = stream->slot_room == 0 ? 8 : 2 * stream->slot_room;
        stream->slots = tr_realloc(stream->slots, room * sizeof(running));
        stream->free_slots = tr_realloc(stream->free_slots, room * sizeof(uint32_t));
        memset(stream->slots + stream->slot_room, 0, (room - stream->slot_room) * sizeof(running));
        for (size_t i = room; i > stream->slot_room; i--) {
            stream->free_slots[stream->free_count++] = (uint32_t)(i - 1);
        }
        stream->slot_room = room;
    }
    return stream->free_slots[--stream->free_count];
}

static bool is_answer(const tr_msg *msg, void *ctx)
{
    const tr__stream_event *event = TR_MATCH(msg, tr__stream_event);
    return is_of_stream(msg, ctx) &&
           (event == NULL ? tr_msg_kind_of(msg) == TR_MSG_DOWN : event->news != TR__STREAM_ENDED);
}

static tr_err keeper_ended(tr_task_stream *stream, tr_msg *msg, tr_task_result *result)
{
    *result = tr__task_result_of(msg);
    return finish(stream, TR_E_EXIT);
}

static tr_err spawn(tr_task_stream *stream, tr_msg *arg, tr_task_result *result)
{
    uint32_t at = take_slot(stream);
    tr_pid sup = has_supervisor(&stream->opts) ? tr_whereis(stream->opts.sup) : TR_NO_PID;
    (void)tr__send_kind(tr_to(stream->keeper), TR_MSG_ACK, TR_NO_REF,
                        TR_MSG(tr__stream_order, .slot = at, .sup = sup));
    tr_msg *msg = tr__receive_own(is_answer, stream, TR_INFINITY);
    const tr__stream_event *event = TR_MATCH(msg, tr__stream_event);
    if (event == NULL) {
        tr_msg_drop(arg);
        return keeper_ended(stream, msg, result);
    }
    tr__stream_event answer = *event;
    tr_msg_drop(msg);
    if (answer.news == TR__STREAM_REFUSED) {
        tr_msg_drop(arg);
        return finish(stream, answer.err);
    }
    tr__task_send_work(answer.pid, (tr_ref){stream->keeper, (uint64_t)at + 1}, arg);
    ring_grow(stream);
    stream->slots[at] = (running){.index = stream->spawned};
    stream->spawned++;
    return TR_OK;
}

/* ---- results ---- */

static tr_err ended(tr_task_stream *stream, tr_msg *msg)
{
    const tr__stream_event *event = tr_msg_data(msg);
    running *task = &stream->slots[event->slot];
    ready done = {.is_there = true, .index = task->index, .msg = msg};
    if (task->value != NULL) {
        done.msg = task->value;
    } else if (event->late && stream->opts.on_timeout == TR_ON_TIMEOUT_EXIT) {
        tr_msg_drop(msg);
        return finish(stream, TR_E_TIMEOUT);
    } else {
        done.err = event->late ? TR_E_TIMEOUT : TR_E_EXIT;
    }
    stream->free_slots[stream->free_count++] = event->slot;
    *task = (running){0};
    if (done.msg != msg) {
        tr_msg_drop(msg);
    }
    *ring_at(stream, stream->opts.unordered ? 0 : done.index - stream->delivered) = done;
    return TR_OK;
}

static tr_err wait(tr_task_stream *stream, tr_task_result *result)
{
    tr_msg *msg = tr__receive_own(is_of_stream, stream, TR_INFINITY);
    if (tr_msg_kind_of(msg) == TR_MSG_DOWN) {
        return keeper_ended(stream, msg, result);
    }
    if (TR_MATCH(msg, tr__stream_event) != NULL) {
        return ended(stream, msg);
    }
    stream->slots[tr_msg_ref(msg).id - 1].value = msg;
    return TR_OK;
}

static size_t running_count(const tr_task_stream *stream)
{
    return stream->slot_room - stream->free_count;
}

tr_err tr_task_stream_next(tr_task_stream *stream, tr_task_result *result)
{
    tr_err err = stream->over ? stream->end : TR_OK;
    while (err == TR_OK && !deliver(stream, result)) {
        size_t count = running_count(stream);
        bool has_room = !stream->source_is_dry && count < stream->opts.max_concurrency;
        tr_msg *arg = has_room ? stream->source(stream->ctx) : NULL;
        stream->source_is_dry = stream->source_is_dry || (has_room && arg == NULL);
        if (arg != NULL) {
            err = spawn(stream, arg, result);
        } else if (count > 0) {
            err = wait(stream, result);
        } else {
            err = finish(stream, TR_E_NOT_FOUND);
        }
    }
    return err;
}

bool tr_task_stream_next_or_exit(tr_task_stream *stream, tr_task_result *result)
{
    tr_err err = tr_task_stream_next(stream, result);
    if (err == TR_OK || err == TR_E_NOT_FOUND) {
        return err == TR_OK;
    }
    if (err == TR_E_LIMIT) {
        tr_error(tr_atom("max_children"));
    }
    tr_term reason = err == TR_E_TIMEOUT ? TR_ATOM(TIMEOUT)
                     : err == TR_E_EXIT  ? result->reason
                                         : TR_ATOM(NOPROC);
    tr__task_exit(reason, "Task.Supervised", "stream", tr_list(tr__task_ms(stream->opts.timeout_ms)));
}

size_t tr_task_stream_index(const tr_task_stream *stream)
{
    return stream->index;
}
