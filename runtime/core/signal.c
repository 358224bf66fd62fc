/* What a process does with each signal, in the order in which they came in. */
#include "runtime/core/core.h"
#include "runtime/core/message.h"
#include "runtime/sim/sim.h"

/* ---- exits ---- */

static void queue_exit(tr__proc *proc, tr_msg *msg)
{
    msg->tr__signal = TR_MSG_EXIT;
    tr__queue_put(proc, msg);
}

/* An exit signal that counts: by a link that stands, or by exit/2 (then kill is magic and normal from oneself
 * ends). */
static void exit_received(tr__proc *proc, tr_msg *msg, bool linked)
{
    const tr_exit_msg *exit_msg = (const tr_exit_msg *)tr_msg_data(msg);
    if (!linked && tr_same(exit_msg->reason, TR_ATOM(KILL))) {
        tr__proc_doom(proc, TR_ATOM(KILLED), true);
    } else if (proc->trap_exit) {
        queue_exit(proc, msg);
        return;
    } else if (!tr_same(exit_msg->reason, TR_ATOM(NORMAL)) || (!linked && exit_msg->from == proc->pid)) {
        tr__proc_doom(proc, exit_msg->reason, true);
    }
    tr__msg_free(msg);
}

static void exit_by_link(tr__proc *proc, tr_msg *msg)
{
    tr_pid from = ((const tr_exit_msg *)tr_msg_data(msg))->from;
    tr__edge *edge = tr__edges_find(&proc->edges, TR__EDGE_LINK, from);
    bool stands = edge != NULL && edge->other == 0;
    if (edge != NULL) {
        tr__edges_remove(&proc->edges, edge);
    }
    if (stands) {
        exit_received(proc, msg, true);
    } else {
        tr__msg_free(msg);
    }
}

/* ---- links: the entry of a link that was unlinked stays, marked with the unlink's id, until the other side
 * has confirmed; so a link made again meanwhile is told apart from the old one ---- */

static void link_received(tr__proc *proc, tr_msg *msg)
{
    if (tr__edges_find(&proc->edges, TR__EDGE_LINK, msg->tr__ref.owner) == NULL) {
        tr__edges_add(&proc->edges, TR__EDGE_LINK, msg->tr__ref.owner, 0);
    }
    tr__msg_free(msg);
}

static void unlink_acknowledge(tr__proc *proc, tr_msg *msg)
{
    tr_pid sender = msg->tr__ref.owner;
    msg->tr__signal = TR__SIG_UNLINK_ACK;
    msg->tr__ref.owner = proc->pid;
    if (tr__push(sender, msg) != TR_OK) {
        tr__msg_free(msg);
    }
}

static void unlink_received(tr__proc *proc, tr_msg *msg)
{
    tr__edge *edge = tr__edges_find(&proc->edges, TR__EDGE_LINK, msg->tr__ref.owner);
    if (edge != NULL && edge->other == 0) {
        tr__edges_remove(&proc->edges, edge);
    }
    unlink_acknowledge(proc, msg);
}

static void unlink_acknowledged(tr__proc *proc, tr_msg *msg)
{
    tr__edge *edge = tr__edges_find(&proc->edges, TR__EDGE_LINK, msg->tr__ref.owner);
    if (edge != NULL && edge->other == msg->tr__ref.id) {
        tr__edges_remove(&proc->edges, edge);
    }
    tr__msg_free(msg);
}

/* ---- monitors ---- */

static void watcher_add(tr__proc *proc, tr_ref ref)
{
    tr__edges_add(&proc->edges, TR__EDGE_WATCHER, ref.id, ref.owner);
}

static void demonitor_received(tr__proc *proc, tr_msg *msg)
{
    tr__edge *edge = tr__edges_find_watcher(&proc->edges, msg->tr__ref);
    if (edge != NULL) {
        tr__edges_remove(&proc->edges, edge);
    }
    tr__msg_free(msg);
}

static void down_received(tr__proc *proc, tr_msg *msg)
{
    tr_down_msg down = *(const tr_down_msg *)tr_msg_data(msg);
    tr__edge *edge = tr__edges_find(&proc->edges, TR__EDGE_MONITOR, down.ref.id);
    if (edge == NULL) {
        if (proc->open_replies) {
            msg->tr__signal = TR_MSG_DOWN;
            tr__queue_put(proc, msg);
        } else {
            tr__msg_free(msg);
        }
        return;
    }
    if (edge->extra != NULL) {
        down.name = edge->extra->name;
        down.tag = edge->extra->tag;
        tr_msg *full = tr__msg_make(TR_TYPE(tr_down_msg), &down, TR_MSG_DOWN, down.ref);
        tr__msg_free(msg);
        msg = full;
    }
    bool outlives = edge->alias == TR_ALIAS_EXPLICIT;
    tr__edges_remove(&proc->edges, edge);
    if (outlives) {
        tr__edges_add(&proc->edges, TR__EDGE_ALIAS, down.ref.id, 0)->alias = TR_ALIAS_EXPLICIT;
    }
    msg->tr__signal = TR_MSG_DOWN;
    msg->tr__ref = down.ref;
    tr__queue_put(proc, msg);
}

/* ---- messages ---- */

/* A message to an alias is judged when it is received. Returns: is the alias alive (a one-shot alias ends
 * here)? */
static bool alias_admits(tr__proc *proc, const tr_msg *msg)
{
    uint64_t id = msg->tr__ref.id;
    tr__edge *edge = tr__edges_find(&proc->edges, TR__EDGE_MONITOR, id);
    if (edge != NULL && edge->alias != TR_ALIAS_NONE) {
        if (edge->alias == TR_ALIAS_REPLY_DEMONITOR) {
            tr_pid target = edge->other;
            tr__edges_remove(&proc->edges, edge);
            if ((msg->tr__flags & TR__F_DEMONITORED) == 0) {
                tr__demonitor_signal(target, (tr_ref){proc->pid, id});
            }
        }
        return true;
    }
    edge = tr__edges_find(&proc->edges, TR__EDGE_ALIAS, id);
    if (edge != NULL && edge->alias == TR_ALIAS_REPLY) {
        tr__edges_remove(&proc->edges, edge);
    }
    return edge != NULL;
}

/* Takes a message that nobody will read out of the books. */
static void drop_unread(tr__proc *proc, const tr_msg *msg)
{
    if (proc->mailbox_max != 0 && tr__msg_is_limited(msg)) {
        tr__sub_relaxed(&proc->counted, 1u);
    }
    if (tr__msg_was_sent(msg)) {
        TR__COUNT(dead_letter, 1);
    }
}

static inline void message_received(tr__proc *proc, tr_msg *msg)
{
    bool by_alias = (msg->tr__flags & TR__F_ALIAS) != 0;
    if (by_alias && !proc->open_replies && !alias_admits(proc, msg) && !tr__planted(TR__PLANT_LATE_REPLY)) {
        drop_unread(proc, msg);
        tr__msg_free(msg);
        return;
    }
    if ((msg->tr__flags & TR__F_MONITORS) != 0) {
        watcher_add(proc, msg->tr__ref);
    }
    tr__queue_put(proc, msg);
}

/* Those that are no message. */
static void signal_received(tr__proc *proc, tr_msg *msg)
{
    switch (msg->tr__signal) {
    case TR__SIG_EXIT_LINK:
        exit_by_link(proc, msg);
        break;
    case TR__SIG_EXIT:
        exit_received(proc, msg, false);
        break;
    case TR__SIG_LINK:
        link_received(proc, msg);
        break;
    case TR__SIG_UNLINK:
        unlink_received(proc, msg);
        break;
    case TR__SIG_UNLINK_ACK:
        unlink_acknowledged(proc, msg);
        break;
    case TR__SIG_MONITOR:
        watcher_add(proc, msg->tr__ref);
        tr__msg_free(msg);
        break;
    case TR__SIG_DEMONITOR:
        demonitor_received(proc, msg);
        break;
    case TR__SIG_DOWN:
        down_received(proc, msg);
        break;
    default: /* TR__SIG_INFO */
        tr__info_answer(proc, msg);
        break;
    }
}

void tr__signal_handle(tr__proc *proc, tr_msg *msg)
{
    if (msg->tr__signal < TR__SIG_EXIT_LINK) {
        message_received(proc, msg);
    } else {
        signal_received(proc, msg);
    }
}

void tr__signal_refuse(tr__proc *proc, tr_msg *msg)
{
    switch (msg->tr__signal) {
    case TR__SIG_LINK:
        tr__exit_link_signal(msg->tr__ref.owner, proc->pid, TR_ATOM(NOPROC));
        break;
    case TR__SIG_UNLINK:
        unlink_acknowledge(proc, msg);
        return;
    case TR__SIG_MONITOR:
        tr__down_signal(msg->tr__ref, proc->pid, TR_ATOM(NOPROC));
        break;
    case TR__SIG_INFO:
        tr__info_refuse(msg);
        return;
    default:
        if ((msg->tr__flags & TR__F_MONITORS) != 0) {
            tr__down_signal(msg->tr__ref, proc->pid, TR_ATOM(NOPROC));
        }
        drop_unread(proc, msg);
        break;
    }
    tr__msg_free(msg);
}

/* ---- sending signals ---- */

static void push_or_free(tr_pid to, tr_msg *msg)
{
    if (tr__push(to, msg) != TR_OK) {
        tr__msg_free(msg);
    }
}

void tr__exit_link_signal(tr_pid to, tr_pid from, tr_term reason)
{
    push_or_free(to, tr__exit_make(TR__SIG_EXIT_LINK, from, reason));
}

void tr__down_signal(tr_ref ref, tr_pid pid, tr_term reason)
{
    tr_down_msg down = {.ref = ref, .pid = pid, .reason = reason};
    push_or_free(ref.owner, tr__msg_make(TR_TYPE(tr_down_msg), &down, TR__SIG_DOWN, ref));
}

void tr__demonitor_signal(tr_pid target, tr_ref ref)
{
    if (target != TR_NO_PID) {
        push_or_free(target, tr__msg_make(NULL, NULL, TR__SIG_DEMONITOR, ref));
    }
}
