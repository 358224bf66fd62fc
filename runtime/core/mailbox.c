/* The mailbox: a stack of messages that any thread pushes onto and the owner detaches whole, and a private
 * queue, oldest first. Push-only compare-and-swap with detach-all has no ABA and no window in which a stopped
 * producer hides others' messages. */
#include "runtime/core/core.h"
#include "runtime/core/foreign.h"
#include "runtime/sim/sim.h"

tr_err tr__inbox_push(tr__proc *proc, tr_pid pid, tr_msg *msg)
{
    uint64_t tag = TR__INBOX_TAG(pid);
    uint64_t word = tr__load_acquire(&proc->inbox);
    bool limited = false;
    for (;;) {
        uint64_t top = TR__INBOX_PTR(word);
        /* The tag guards the swap below against a reuse of the slot; the full pid is looked at after the word
         * was read. */
        bool same = (word ^ top) == tag && tr__load_acquire(&proc->pid) == pid;
        if (tr__planted(TR__PLANT_STALE_TENANT)) {
            same = true;
            tag = word ^ top;
        }
        if (!same || top == TR__INBOX_CLOSED) {
            if (limited) {
                tr__sub_relaxed(&proc->counted, 1u);
            }
            return TR_E_NOPROC;
        }
        uint32_t max = tr__load_relaxed(&proc->mailbox_max);
        if (max != 0 && !limited && tr__msg_is_limited(msg)) {
            if (tr__add_relaxed(&proc->counted, 1u) >= max) {
                tr__sub_relaxed(&proc->counted, 1u);
                return TR_E_FULL;
            }
            limited = true;
        }
        msg->tr__next = top > TR__INBOX_CLOSED ? (tr_msg *)(uintptr_t)top : NULL;
        /* acq_rel: publishes the message; from IDLE it also takes over from the owner that rested */
        if (tr__cas_acq_rel(&proc->inbox, &word, tag | (uintptr_t)msg)) {
            if (top == TR__INBOX_IDLE) {
                tr__schedule(proc);
            }
            return TR_OK;
        }
    }
}

static tr_err push(tr_pid pid, tr_msg *msg)
{
    tr__proc *proc = tr__table_at(pid);
    return proc == NULL || pid == TR_NO_PID ? TR_E_NOPROC : tr__inbox_push(proc, pid, msg);
}

tr_err tr__push(tr_pid pid, tr_msg *msg)
{
    if (tr__core_self() != NULL) {
        return push(pid, msg);
    }
    if (!tr__foreign_enter()) {
        return TR_E_NOPROC;
    }
    tr_err err = push(pid, msg);
    tr__foreign_leave();
    return err;
}

static tr_msg *reverse(tr_msg *newest)
{
    tr_msg *oldest = NULL;
    while (newest != NULL) {
        tr_msg *next = newest->tr__next;
        newest->tr__next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void tr__fetch(tr__proc *proc)
{
    if (!tr__inbox_has_mail(proc)) {
        return;
    }
    uint64_t word = tr__xchg_acquire(&proc->inbox, TR__INBOX_TAG(proc->pid) | TR__INBOX_EMPTY);
    tr_msg *msg = reverse((tr_msg *)(uintptr_t)TR__INBOX_PTR(word));
    while (msg != NULL) {
        tr_msg *next = msg->tr__next;
        if (tr__load_relaxed(&proc->status) == TR_STATUS_EXITING) {
            tr__signal_refuse(proc, msg); /* an earlier signal ended it */
        } else {
            tr__signal_handle(proc, msg);
        }
        msg = next;
    }
    if (tr__load_relaxed(&proc->status) == TR_STATUS_EXITING) {
        tr__proc_leave_for_good(proc);
    }
}

void tr__queue_put(tr__proc *proc, tr_msg *msg)
{
    msg->tr__next = NULL;
    *proc->tail = msg;
    proc->tail = &msg->tr__next;
    tr__store_relaxed(&proc->queued, proc->queued + 1);
}

tr_msg *tr__queue_take(tr__proc *proc, tr_msg **at)
{
    tr_msg *msg = *at;
    *at = msg->tr__next;
    if (*at == NULL) {
        proc->tail = at;
    }
    if (proc->scan == &msg->tr__next) {
        proc->scan = at;
    }
    tr__store_relaxed(&proc->queued, proc->queued - 1);
    tr__bump(&proc->messages, 1u);
    if (proc->mailbox_max != 0 && tr__msg_is_limited(msg)) {
        tr__sub_relaxed(&proc->counted, 1u);
    }
    return msg;
}

bool tr__inbox_rest(tr__proc *proc)
{
    uint64_t tag = TR__INBOX_TAG(proc->pid);
    uint64_t word = tag | TR__INBOX_EMPTY;
    if (tr__load_relaxed(&proc->inbox) != word) {
        return false;
    }
    if (tr__planted(TR__PLANT_LOST_REST)) {
        tr__store_relaxed(&proc->inbox, tag | TR__INBOX_IDLE);
        return true;
    }
    tr__store_relaxed(&proc->status, (uint8_t)(proc->suspended ? TR_STATUS_SUSPENDED : TR_STATUS_WAITING));
    if (tr__cas_acq_rel(&proc->inbox, &word, tag | TR__INBOX_IDLE)) {
        return true;
    }
    tr__store_relaxed(&proc->status, (uint8_t)TR_STATUS_RUNNING);
    return false;
}

void tr__inbox_wake(tr__proc *proc)
{
    uint64_t tag = TR__INBOX_TAG(proc->pid);
    uint64_t word = tag | TR__INBOX_IDLE;
    if (tr__cas_acq_rel(&proc->inbox, &word, tag | TR__INBOX_EMPTY)) {
        tr__schedule(proc);
    }
}
