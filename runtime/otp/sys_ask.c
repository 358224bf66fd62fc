/* The asking side of sys: each function sends one request and waits for its reply or for the end of the
 * process. */
#include <sched.h>
#include <troupe/sys.h>

#include "runtime/core/process.h"
#include "runtime/otp/payload.h"
#include "runtime/otp/sys.h"
#include "runtime/otp/sys_wire.h"

static tr_term to_scratch(tr_term term)
{
    size_t bytes = tr_term_flat_bytes(term);
    return bytes == 0 ? term : tr_term_flatten(term, tr_scratch_alloc(bytes));
}

/* The answer, with its terms copied to the caller's scratch, so that the message need not live on. */
static tr_err take_reply(tr_msg *msg, tr__sys_reply *out)
{
    const tr__sys_reply *reply = TR_MATCH(msg, tr__sys_reply);
    if (reply == NULL) {
        tr_msg_drop(msg);
        return TR_E_TYPE;
    }
    *out = *reply;
    out->term = to_scratch(reply->term);
    out->status.debug = to_scratch(reply->status.debug);
    tr_msg_drop(msg);
    return out->err;
}

/* Takes msg. */
static tr_err ask_with(tr_dest dest, tr_msg *msg, int64_t timeout_ms, tr__sys_reply *out)
{
    if (tr_whereis(dest) == tr_self()) {
        tr_msg_drop(msg);
        return TR_E_CALLING_SELF;
    }
    tr_err err;
    tr_ref ref = tr__request(dest, TR_MSG_SYSTEM, msg, &err);
    if (err == TR_OK) {
        err = tr__await(ref, timeout_ms, &msg, NULL);
    }
    return err == TR_OK ? take_reply(msg, out) : err;
}

static tr_err ask(tr_dest dest, const tr__sys_request *asked, int64_t timeout_ms, tr__sys_reply *out)
{
    return ask_with(dest, tr_msg_new(TR_TYPE(tr__sys_request), asked), timeout_ms, out);
}

/* A request that is answered by nothing but TR_OK. */
static tr_err order(tr_dest dest, tr__sys_op op, tr_term reason, int64_t timeout_ms)
{
    tr__sys_reply reply;
    return ask(dest, &(tr__sys_request){.op = op, .term = reason}, timeout_ms, &reply);
}

tr_err tr_sys_get_state(tr_dest dest, int64_t timeout_ms, tr_term *state)
{
    tr__sys_reply reply;
    tr_err err = ask(dest, &(tr__sys_request){.op = TR__SYS_GET_STATE}, timeout_ms, &reply);
    if (err == TR_OK) {
        *state = reply.term;
    }
    return err;
}

tr_err tr_sys_get_status(tr_dest dest, int64_t timeout_ms, tr_term *status)
{
    tr__sys_reply reply;
    tr_err err = ask(dest, &(tr__sys_request){.op = TR__SYS_GET_STATUS}, timeout_ms, &reply);
    if (err == TR_OK) {
        *status = reply.term;
    }
    return err;
}

tr_err tr_sys_status_of(tr_dest dest, int64_t timeout_ms, tr_sys_status *out)
{
    tr__sys_reply reply;
    tr_err err = ask(dest, &(tr__sys_request){.op = TR__SYS_STATUS_OF}, timeout_ms, &reply);
    if (err == TR_OK) {
        *out = reply.status;
        out->state = reply.term;
    }
    return err;
}

tr_err tr_sys_suspend(tr_dest dest, int64_t timeout_ms)
{
    return order(dest, TR__SYS_SUSPEND, TR_TERM_NONE_VALUE, timeout_ms);
}

tr_err tr_sys_resume(tr_dest dest, int64_t timeout_ms)
{
    return order(dest, TR__SYS_RESUME, TR_TERM_NONE_VALUE, timeout_ms);
}

tr_err tr_sys_terminate(tr_dest dest, tr_term reason, int64_t timeout_ms)
{
    return order(dest, TR__SYS_TERMINATE, reason, timeout_ms);
}

tr_err tr_sys_statistics_on(tr_dest dest, bool on, int64_t timeout_ms)
{
    return order(dest, on ? TR__SYS_STATISTICS_ON : TR__SYS_STATISTICS_OFF, TR_TERM_NONE_VALUE, timeout_ms);
}

tr_err tr_sys_statistics_get(tr_dest dest, int64_t timeout_ms, tr_sys_statistics *out)
{
    tr__sys_reply reply;
    tr_err err = ask(dest, &(tr__sys_request){.op = TR__SYS_STATISTICS_GET}, timeout_ms, &reply);
    if (err == TR_OK) {
        *out = reply.statistics;
    }
    return err;
}

/* ---- watching ---- */

/* A request with a number. */
static tr_err set(tr_dest dest, tr__sys_op op, uint32_t number, int64_t timeout_ms)
{
    tr__sys_reply reply;
    return ask(dest, &(tr__sys_request){.op = op, .number = number}, timeout_ms, &reply);
}

tr_err tr_sys_trace(tr_dest dest, bool on, int64_t timeout_ms)
{
    return set(dest, TR__SYS_TRACE, on, timeout_ms);
}

tr_err tr_sys_log(tr_dest dest, uint32_t events, int64_t timeout_ms)
{
    return set(dest, TR__SYS_LOG, events, timeout_ms);
}

tr_err tr_sys_log_get(tr_dest dest, int64_t timeout_ms, const tr_term **events, size_t *count)
{
    tr__sys_reply reply;
    tr_err err = ask(dest, &(tr__sys_request){.op = TR__SYS_LOG_GET}, timeout_ms, &reply);
    if (err == TR_OK) {
        *events = tr_term_items(reply.term);
        *count = tr_term_count(reply.term);
    }
    return err;
}

tr_err tr_sys_log_print(tr_dest dest, int64_t timeout_ms)
{
    return set(dest, TR__SYS_LOG_PRINT, 0, timeout_ms);
}

tr_err tr_sys_log_to_file(tr_dest dest, const char *path, int64_t timeout_ms)
{
    return order(dest, TR__SYS_LOG_TO_FILE, path == NULL ? TR_TERM_NONE_VALUE : tr_string(path), timeout_ms);
}

tr_err tr_sys_remove(tr_dest dest, tr_term id, int64_t timeout_ms)
{
    return order(dest, TR__SYS_REMOVE, id, timeout_ms);
}

tr_err tr_sys_no_debug(tr_dest dest, int64_t timeout_ms)
{
    return set(dest, TR__SYS_NO_DEBUG, 0, timeout_ms);
}

static const uint16_t install_terms[] = {offsetof(tr__sys_install, id)};
static const uint16_t install_blobs[] = {offsetof(tr__sys_install, own)};
const tr_type tr__sys_install__type = {.name = "tr__sys_install",
                                       .size = sizeof(tr__sys_install),
                                       .term_count = 1,
                                       .blob_count = 1,
                                       .terms = install_terms,
                                       .blobs = install_blobs};

tr_err tr_sys_install(tr_dest dest, tr_term id, tr_sys_debug_fn fn, const void *own, size_t bytes,
                      int64_t timeout_ms)
{
    if (tr_is_none(id) || fn == NULL) {
        return TR_E_BADARG;
    }
    tr_msg *msg = tr_msg_new(TR_TYPE(tr__sys_install), &(tr__sys_install){.fn = fn, .id = id});
    tr__payload_give(msg, bytes == 0 ? NULL : tr_blob_new(own, bytes));
    tr__sys_reply reply;
    return ask_with(dest, msg, timeout_ms, &reply);
}

/* ---- replace_state: the ticket is revoked when the caller gives up or dies ---- */

typedef struct guard {
    tr_resource resource;
    tr_blob *blob;
    tr_pid server;
} guard;

/* Returns: false when the function is running or has run. */
static bool revoke(tr_blob *blob)
{
    uint32_t open = TR__TICKET_OPEN;
    return tr__cas_acq_rel(&tr__sys_ticket_of(blob)->state, &open, (uint32_t)TR__TICKET_REVOKED);
}

/* The caller is being buried: its memory goes next, so a function that is at work on it is waited for. */
static void guard_destroy(tr_resource *self)
{
    guard *held = (guard *)(void *)self;
    if (!revoke(held->blob)) {
        const uint32_t *state = &tr__sys_ticket_of(held->blob)->state;
        while (tr__load_acquire(state) == TR__TICKET_RUNNING && tr__proc_is_alive(held->server)) {
            sched_yield();
        }
    }
    tr_blob_drop(held->blob);
}

static guard *guard_create(tr_pid server, void (*fn)(void *self, void *ctx), void *ctx)
{
    guard *made = tr_alloc(sizeof *made);
    made->resource.destroy = guard_destroy;
    made->server = server;
    made->blob = tr_blob_new(NULL, sizeof(tr__sys_ticket));
    *tr__sys_ticket_of(made->blob) = (tr__sys_ticket){TR__TICKET_OPEN, fn, ctx};
    tr_resource_add(&made->resource);
    return made;
}

static void guard_end(guard *held)
{
    tr_resource_remove(&held->resource);
    tr_blob_drop(held->blob);
    tr_free(held);
}

/* Of a message that carries the request's reference: the reply, or the end of the server. */
static tr_err take_answer(tr_msg *msg)
{
    tr__sys_reply reply;
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
    if (down == NULL) {
        return take_reply(msg, &reply);
    }
    tr_err err = tr_same(down->reason, TR_ATOM(NOPROC)) ? TR_E_NOPROC : TR_E_EXIT;
    tr_msg_drop(msg);
    return err;
}

tr_err tr_sys_replace_state(tr_dest dest, void (*fn)(void *self, void *ctx), void *ctx, int64_t timeout_ms)
{
    tr_pid server = tr_whereis(dest);
    if (server == tr_self()) {
        return TR_E_CALLING_SELF;
    }
    guard *held = guard_create(server, fn, ctx);
    tr_err err;
    tr_msg *msg = tr_msg_new(TR_TYPE(tr__sys_replace), &(tr__sys_replace){held->blob});
    tr_ref ref = tr__request(tr_to(server), TR_MSG_SYSTEM, msg, &err);
    if (err == TR_OK) {
        msg = tr_receive_ref(ref, timeout_ms);
        if (msg == NULL && revoke(held->blob)) {
            (void)tr_demonitor(ref, true);
            err = TR_E_TIMEOUT;
        } else {
            err = take_answer(msg != NULL ? msg : tr_receive_ref(ref, TR_INFINITY));
        }
    }
    guard_end(held);
    return err;
}

/* ---- stop ---- */

tr_err tr__sys_stop(tr_dest dest, tr_term reason, int64_t timeout_ms, tr_term *actual)
{
    tr_term why = TR_ATOM(NOPROC);
    tr_err err = TR_E_CALLING_SELF;
    if (tr_whereis(dest) == tr_self()) {
        why = TR_ATOM(CALLING_SELF);
    } else {
        tr_msg *msg =
            tr_msg_new(TR_TYPE(tr__sys_request), &(tr__sys_request){.op = TR__SYS_STOP, .term = reason});
        tr_ref ref = tr__request(dest, TR_MSG_SYSTEM, msg, &err);
        if (err == TR_OK) {
            err = tr__await(ref, timeout_ms, &msg, &why);
            why = err == TR_E_TIMEOUT ? TR_ATOM(TIMEOUT) : why;
        }
    }
    if (err == TR_E_EXIT && tr_term_equal(why, reason)) {
        return TR_OK;
    }
    if (actual != NULL) {
        *actual = why;
    }
    return err;
}
