/* Sending, and the two halves of a request. */
#include "runtime/core/mailbox.h"

static tr_err undelivered(tr_dest dest, tr_err err, tr_msg *msg)
{
    uint64_t counts = tr__msg_was_sent(msg);
    tr__msg_free(msg);
    if (err == TR_E_FULL) {
        TR__COUNT(refused, counts);
        return TR_E_FULL;
    }
    TR__COUNT(dead_letter, counts);
    bool named = dest.kind == TR_TO_NAME || dest.kind == TR_TO_VIA;
    return named ? TR_E_NOPROC : TR_OK; /* to a dead pid or alias: fine, as in OTP */
}

/* tr__push, inlined where most messages pass. */
static inline tr_err push_from_here(tr_pid pid, tr_msg *msg)
{
    tr__core *core = tr__core_self();
    return core != NULL ? tr__push_on(core, pid, msg) : tr__push(pid, msg);
}

/* A bare message that nobody holds. */
static inline tr_err send_info(tr_dest dest, tr_msg *msg)
{
    tr_pid to = dest.kind == TR_TO_PID ? dest.pid : tr_whereis(dest);
    if (dest.kind == TR_TO_ALIAS) {
        msg->tr__ref = dest.alias;
        msg->tr__flags = TR__F_ALIAS;
    }
    TR__COUNT(sent, 1);
    tr_err err = tr__push(to, msg);
    return err == TR_OK ? TR_OK : undelivered(dest, err, msg);
}

tr_err tr_send_msg(tr_dest dest, tr_msg *msg)
{
    tr__msg_unhold(msg);
    msg->tr__signal = TR_MSG_INFO;
    msg->tr__flags = 0; /* it may have come here as a message of another kind */
    msg->tr__ref = TR_NO_REF;
    return send_info(dest, msg);
}

tr_err tr_send(tr_dest dest, const tr_type *type, const void *payload)
{
    return send_info(dest, tr__msg_make(type, payload, TR_MSG_INFO, TR_NO_REF));
}

tr_err tr_send_pid(tr_pid pid, const tr_type *type, const void *payload)
{
    tr_msg *msg = tr__msg_make(type, payload, TR_MSG_INFO, TR_NO_REF);
    TR__COUNT(sent, 1);
    tr_err err = push_from_here(pid, msg);
    return err == TR_OK ? TR_OK : undelivered(tr_to(pid), err, msg);
}

tr_err tr_send_term(tr_dest dest, tr_term value)
{
    return tr_send(dest, TR_TYPE(tr_term_msg), &(tr_term_msg){value});
}

static inline tr_err send_kind(const tr_dest *dest, tr_msg_kind kind, tr_ref ref, uint8_t flags, tr_msg *msg)
{
    tr_pid to = dest->kind == TR_TO_PID ? dest->pid : tr_whereis(*dest);
    tr__msg_unhold(msg);
    msg->tr__signal = (uint8_t)kind;
    msg->tr__flags = flags;
    msg->tr__ref = ref;
    TR__COUNT(sent, (uint64_t)tr__msg_was_sent(msg)); /* not a DOWN that a request makes for itself */
    tr_err err = tr__push(to, msg);
    if (err != TR_OK) {
        (void)undelivered(*dest, err, msg);
    }
    return err;
}

tr_err tr__cast_with(tr_dest dest, const tr_type *type, const void *payload)
{
    tr_pid to = dest.kind == TR_TO_PID ? dest.pid : tr_whereis(dest);
    tr_msg *msg = tr__msg_make(type, payload, TR_MSG_CAST, TR_NO_REF);
    TR__COUNT(sent, 1);
    tr_err err = push_from_here(to, msg);
    if (err == TR_OK) {
        return TR_OK;
    }
    (void)undelivered(dest, err, msg);
    return err == TR_E_FULL ? TR_E_FULL : TR_OK; /* nobody there is fine, as in OTP */
}

tr_err tr__send_kind(tr_dest dest, tr_msg_kind kind, tr_ref ref, tr_msg *msg)
{
    return send_kind(&dest, kind, ref, 0, msg);
}

tr_err tr__send_kind_monitored(tr_dest dest, tr_msg_kind kind, tr_ref ref, tr_msg *msg)
{
    return send_kind(&dest, kind, ref, TR__F_MONITORS, msg);
}

tr_err tr__send_alias(tr_ref alias, tr_msg_kind kind, tr_msg *msg)
{
    tr_dest dest = tr_to_alias(alias);
    return send_kind(&dest, kind, alias, TR__F_ALIAS, msg);
}

tr_err tr__reply(tr_from from, tr_msg *msg)
{
    tr__proc *self = tr__proc_self();
    tr__msg_unhold(msg);
    msg->tr__signal = TR_MSG_REPLY;
    msg->tr__ref = from.ref;
    msg->tr__flags = TR__F_ALIAS;
    tr__edge *edge = self == NULL ? NULL : tr__edges_find_watcher(&self->edges, from.ref);
    if (edge != NULL) {
        /* The server itself answers: the caller's monitor ends with the reply, no signal needed. */
        tr__edges_remove(&self->edges, edge);
        msg->tr__flags |= TR__F_DEMONITORED;
    }
    TR__COUNT(sent, 1);
    if (tr__push(from.ref.owner, msg) != TR_OK) {
        tr__msg_free(msg);
        TR__COUNT(dead_letter, 1);
    }
    return TR_OK;
}

tr_ref tr__request_to(const tr_dest *dest, tr_pid to, tr_msg_kind kind, tr_msg *msg, tr_err *err)
{
    tr__core *core = tr__core_self();
    TR_ASSERT(core != NULL && core->current != NULL);
    tr__proc *self = core->current;
    tr__msg_unhold(msg);
    tr_ref ref = tr__ref_new(self->pid);
    tr__edges_add(&self->edges, TR__EDGE_MONITOR, ref.id, to)->alias = TR_ALIAS_REPLY_DEMONITOR;
    msg->tr__signal = (uint8_t)kind;
    msg->tr__ref = ref;
    msg->tr__flags = TR__F_MONITORS;
    tr__bump(&core->stats.sent, 1u);
    *err = tr__push_on(core, to, msg);
    if (*err != TR_OK) {
        (void)undelivered(*dest, *err, msg);
        tr__edges_remove(&self->edges, tr__edges_find(&self->edges, TR__EDGE_MONITOR, ref.id));
    }
    return ref;
}

tr_ref tr__request(tr_dest dest, tr_msg_kind kind, tr_msg *msg, tr_err *err)
{
    return tr__request_to(&dest, tr_whereis(dest), kind, msg, err);
}

tr_err tr__await(tr_ref ref, int64_t timeout_ms, tr_msg **reply, tr_term *reason)
{
    tr_msg *msg = tr__receive_ref_new(ref, timeout_ms);
    if (msg == NULL) {
        tr_demonitor(ref, true);
        msg = tr_receive_ref(ref, 0); /* one last look: it may have come while the clock was read */
        if (msg == NULL) {
            return TR_E_TIMEOUT;
        }
    }
    if (msg->tr__signal == TR_MSG_REPLY) {
        *reply = msg;
        return TR_OK;
    }
    tr_term why = ((const tr_down_msg *)tr_msg_data(msg))->reason;
    if (reason != NULL) {
        *reason = why;
    }
    return tr_same(why, TR_ATOM(NOPROC)) ? TR_E_NOPROC : TR_E_EXIT;
}
