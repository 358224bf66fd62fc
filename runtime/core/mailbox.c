/* The mailbox: a stack of messages that any thread pushes onto and the owner detaches whole, and a private
 * queue, oldest first. Push-only compare-and-swap with detach-all has no ABA and no window in which a stopped
 * producer hides others' messages. */
#include "runtime/core/mailbox.h"

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

tr_err tr__push(tr_pid pid, tr_msg *msg)
{
    tr__core *core = tr__core_self();
    if (core != NULL) {
        return tr__push_on(core, pid, msg);
    }
    if (!tr__foreign_enter()) {
        return TR_E_NOPROC;
    }
    tr__proc *proc = tr__table_at(pid);
    tr_err err = proc == NULL || pid == TR_NO_PID ? TR_E_NOPROC : tr__inbox_push(proc, pid, msg);
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

void tr__fetch_mail(tr__proc *proc)
{
    uint64_t word = tr__xchg_acquire(&proc->inbox, TR__INBOX_TAG(proc->pid) | TR__INBOX_EMPTY);
    tr_msg *msg = (tr_msg *)(uintptr_t)TR__INBOX_PTR(word);
    if (msg->tr__next != NULL) {
        msg = reverse(msg);
    }
    while (msg != NULL) {
        tr_msg *next = msg->tr__next;
        if (tr__load_relaxed(&proc->status) == TR_STATUS_EXITING) {
            tr__signal_refuse(proc, msg); /* an earlier signal ended it */
        } else if (msg->tr__signal < TR__SIG_EXIT_LINK && (msg->tr__flags & TR__F_JUDGED) == 0) {
            tr__queue_put(proc, msg);
        } else {
            tr__signal_handle(proc, msg);
        }
        msg = next;
    }
    if (tr__load_relaxed(&proc->status) == TR_STATUS_EXITING) {
        tr__proc_leave_for_good(proc);
    }
}

void tr__inbox_wake(tr__proc *proc)
{
    uint64_t tag = TR__INBOX_TAG(proc->pid);
    uint64_t word = tag | TR__INBOX_IDLE;
    if (tr__cas_acq_rel(&proc->inbox, &word, tag | TR__INBOX_EMPTY)) {
        tr__schedule(proc);
    }
}
