/* mailbox.h: the short way of a message from one process to another, to be inlined; the long one is in mailbox.c.
 *
 * The long way: pushed onto the receiver's inbox, fetched when the receiver looks. The short way, to one that rests: whoever takes
 * a process out of its rest owns it until it is queued to run, so the message goes at once where a fetch would have put it.
 * Invariants
 *  1. The inbox of one who rests is empty, so nothing that anybody sent it before is passed.
 *  2. Between taking and queueing nothing may end the sender, or the process would be lost for ever: what may end a process,
 *     allocate for it, or needs counting goes the long way.
 *  3. Only threads with a core go the short way: what handling a message counts and frees is theirs. */
#ifndef TROUPE_CORE_MAILBOX_H
#define TROUPE_CORE_MAILBOX_H

#include "runtime/core/message.h"
#include "runtime/sim/sim.h"

static inline bool tr__msg_goes_short(const tr_msg *msg)
{
    bool may_demonitor = (msg->tr__flags & (TR__F_ALIAS | TR__F_DEMONITORED)) == TR__F_ALIAS;
    return msg->tr__signal < TR__SIG_EXIT_LINK && !may_demonitor;
}

/** Returns false, having done nothing, when proc is not at rest or it is not that simple. Takes msg on true. */
static inline bool tr__hand_over(tr__core *core, tr__proc *proc, tr_pid pid, tr_msg *msg)
{
    uint64_t rests = TR__INBOX_TAG(pid) | TR__INBOX_IDLE;
    uint64_t word = tr__load_relaxed(&proc->inbox);
    if (word != rests || tr__load_acquire(&proc->pid) != pid || tr__load_relaxed(&proc->mailbox_max) != 0 ||
        !tr__msg_goes_short(msg) || tr__planted(TR__PLANT_STALE_TENANT)) {
        return false;
    }
    if (!tr__cas_acq_rel(&proc->inbox, &word, TR__INBOX_TAG(pid) | TR__INBOX_EMPTY)) {
        return false;
    }
    if ((msg->tr__flags & TR__F_JUDGED) == 0) {
        tr__queue_put(proc, msg);
    } else {
        tr__signal_handle(proc, msg);
    }
    tr__schedule_on(core, proc);
    return true;
}

/** Puts msg into pid's inbox, or hands it over. Takes msg on TR_OK only. core: the calling thread's. */
static inline tr_err tr__push_on(tr__core *core, tr_pid pid, tr_msg *msg)
{
    tr__proc *proc = tr__table_at(pid);
    if (proc == NULL || pid == TR_NO_PID) {
        return TR_E_NOPROC;
    }
    return tr__hand_over(core, proc, pid, msg) ? TR_OK : tr__inbox_push(proc, pid, msg);
}

#endif
