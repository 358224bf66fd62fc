/* The calling side of gen_server: calls, casts, replies, asynchronous requests, stop. */
#include <string.h>
#include <troupe/gen_server.h>

#include "runtime/core/message.h"
#include "runtime/otp/gen_server.h"

tr_next tr_unexpected(const tr_msg *msg)
{
    tr_term name = msg->type == NULL ? TR_ATOM(UNDEFINED) : tr_atom(msg->type->name);
    tr_error(tr_tuple(TR_ATOM(UNEXPECTED_MESSAGE), name));
}

/* ---- replies ---- */

tr_err tr_reply_msg(tr_from from, tr_msg *msg)
{
    return tr__reply(from, msg);
}

tr_err tr_reply(tr_from from, const tr_type *type, const void *payload)
{
    return tr__reply(from, tr__msg_make(type, payload, TR_MSG_REPLY, from.ref));
}

/* ---- call ---- */

/* OTP's reason for errors that no DOWN explains. */
static tr_term reason_of(tr_err err)
{
    switch (err) {
    case TR_E_NOPROC:
        return TR_ATOM(NOPROC);
    case TR_E_TIMEOUT:
        return TR_ATOM(TIMEOUT);
    case TR_E_CALLING_SELF:
        return TR_ATOM(CALLING_SELF);
    case TR_E_FULL:
        return TR_ATOM(MAILBOX_FULL);
    default:
        return TR_TERM_NONE_VALUE;
    }
}

static inline tr_err call(const tr_dest *dest, tr_msg *request, int64_t timeout_ms, tr_msg **reply,
                          tr_term *reason)
{
    tr_err err;
    tr_pid to = dest->kind == TR_TO_PID ? dest->pid : tr_whereis(*dest);
    if (to == tr_self()) {
        tr_msg_drop(request);
        err = TR_E_CALLING_SELF;
    } else {
        tr_ref ref = tr__request_to(dest, to, TR_MSG_CALL, request, &err);
        if (err == TR_OK) {
            err = tr__await(ref, timeout_ms, reply, reason);
        }
    }
    if (err != TR_OK && !tr_is_none(reason_of(err))) {
        *reason = reason_of(err);
    }
    return err;
}

tr_err tr_gen_server_call(tr_dest dest, tr_msg *request, int64_t timeout_ms, tr_msg **reply, tr_term *reason)
{
    tr_msg *answer = NULL;
    tr_term why = TR_TERM_NONE_VALUE;
    tr_err err = call(&dest, request, timeout_ms, &answer, &why);
    if (err == TR_OK && reply != NULL) {
        *reply = answer;
    } else if (err == TR_OK) {
        tr_msg_drop(answer);
    } else if (reason != NULL) {
        *reason = why;
    }
    return err;
}

tr_err tr__reply_unpack(tr_msg *reply, const tr_type *type, void *out)
{
    if (reply->type != type) {
        tr_msg_drop(reply);
        return TR_E_TYPE;
    }
    if (type->size != 0) {
        memcpy(out, tr_msg_data(reply), type->size);
    }
    if (type->term_count == 0 && type->blob_count == 0) {
        tr_msg_drop(reply); /* else its terms and blobs live in it */
    }
    return TR_OK;
}

tr_err tr__call_typed(tr_dest dest, tr_msg *request, int64_t timeout_ms, const tr_type *type, void *out)
{
    tr_msg *reply;
    tr_term reason;
    tr_err err = call(&dest, request, timeout_ms, &reply, &reason);
    return err == TR_OK ? tr__reply_unpack(reply, type, out) : err;
}

tr_err tr__call_with(tr_dest dest, const tr_type *request, const void *payload, int64_t timeout_ms,
                     const tr_type *type, void *out)
{
    tr_msg *reply;
    tr_term reason;
    tr_msg *msg = tr__msg_make(request, payload, TR_MSG_CALL, TR_NO_REF);
    tr_err err = call(&dest, msg, timeout_ms, &reply, &reason);
    return err == TR_OK ? tr__reply_unpack(reply, type, out) : err;
}

tr_err tr_gen_server_cast(tr_dest dest, tr_msg *msg)
{
    tr_err err = tr__send_kind(dest, TR_MSG_CAST, TR_NO_REF, msg);
    return err == TR_E_FULL ? TR_E_FULL : TR_OK;
}

tr_err tr_gen_server_stop(tr_dest dest, tr_term reason, int64_t timeout_ms, tr_term *actual)
{
    return tr__sys_stop(dest, reason, timeout_ms, actual);
}

/* ---- asynchronous calls ---- */

/* A request that could not be sent is answered by a DOWN all the same, so that it is asked for in one way
 * only. */
tr_ref tr_send_request(tr_dest dest, tr_msg *request)
{
    tr_err err;
    tr_pid to = tr_whereis(dest);
    tr_ref ref = tr__request_to(&dest, to, TR_MSG_CALL, request, &err);
    if (err != TR_OK) {
        tr_down_msg down = {.ref = ref, .pid = to, .reason = reason_of(err)};
        (void)tr__send_kind(tr_to(tr_self()), TR_MSG_DOWN, ref, tr_msg_new(TR_TYPE(tr_down_msg), &down));
    }
    return ref;
}

/* The reason of a DOWN, copied: the message need not live on. */
static tr_err down_result(const tr_down_msg *down, tr_term *reason)
{
    if (reason != NULL) {
        *reason = tr__to_scratch(down->reason);
    }
    return tr_same(down->reason, TR_ATOM(NOPROC)) ? TR_E_NOPROC : TR_E_EXIT;
}

tr_err tr_wait_response(tr_ref request, int64_t timeout_ms, tr_msg **reply, tr_term *reason)
{
    tr_msg *msg = tr_receive_ref(request, timeout_ms);
    if (msg == NULL) {
        return TR_E_TIMEOUT;
    }
    if (tr_msg_kind_of(msg) == TR_MSG_REPLY) {
        *reply = msg;
        return TR_OK;
    }
    tr_err err = down_result(tr_msg_data(msg), reason);
    tr_msg_drop(msg);
    return err;
}

tr_err tr_receive_response(tr_ref request, int64_t timeout_ms, tr_msg **reply, tr_term *reason)
{
    tr_err err = tr_wait_response(request, timeout_ms, reply, reason);
    if (err == TR_E_TIMEOUT) {
        (void)tr_demonitor(request, true);
        err = tr_wait_response(request, 0, reply, reason); /* the last look */
    }
    return err;
}

tr_err tr_check_response(tr_msg *msg, tr_ref request, tr_msg **reply, tr_term *reason)
{
    if (msg == NULL || !tr_ref_equal(tr_msg_ref(msg), request)) {
        return TR_E_NOT_FOUND;
    }
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_REPLY:
        *reply = msg;
        return TR_OK;
    case TR_MSG_DOWN:
        return down_result(tr_msg_data(msg), reason);
    default:
        return TR_E_NOT_FOUND;
    }
}
