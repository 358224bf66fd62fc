/* The end of a process, on the scheduler's stack: names, resources, signals, memory, in that order
 * (process.h, invariant 3). */
#include "runtime/core/core.h"
#include "runtime/core/mem.h"
#include "runtime/core/message.h"
#include "runtime/sim/sim.h"

static void resources_destroy(tr__proc *proc)
{
    while (proc->resources != NULL) {
        tr_resource *resource = proc->resources;
        proc->resources = resource->tr__next;
        resource->destroy(resource);
    }
}

static void refuse_all(tr__proc *proc, tr_msg *msg)
{
    while (msg != NULL) {
        tr_msg *next = msg->tr__next;
        tr__signal_refuse(proc, msg);
        msg = next;
    }
}

/* Calls that were fetched have their watcher already: it hears the real reason, so here they only go. */
static void queue_drop(tr__proc *proc)
{
    while (proc->head != NULL) {
        tr_msg *msg = tr__queue_take(proc, &proc->head);
        if (tr__msg_was_sent(msg)) {
            TR__COUNT(dead_letter, 1);
        }
        tr__msg_free(msg);
    }
}

static uint64_t inbox_swap(tr__proc *proc, uint64_t closed)
{
    if (tr__planted(TR__PLANT_PUSH_AFTER_CLOSE)) {
        uint64_t word = tr__load_seq(&proc->inbox);
        tr__store_seq(&proc->inbox, closed);
        return word;
    }
    return tr__xchg_seq(&proc->inbox, closed);
}

static void inbox_close(tr__proc *proc)
{
    uint64_t word = inbox_swap(proc, TR__INBOX_TAG(proc->pid) | TR__INBOX_CLOSED);
    tr_msg *newest = (tr_msg *)(uintptr_t)TR__INBOX_PTR(word);
    tr_msg *oldest = NULL;
    while (newest != NULL && (uintptr_t)newest > TR__INBOX_CLOSED) {
        tr_msg *next = newest->tr__next;
        newest->tr__next = oldest;
        oldest = newest;
        newest = next;
    }
    refuse_all(proc, oldest);
}

static void tell_edge(tr__proc *proc, const tr__edge *edge, tr_term reason)
{
    switch ((tr__edge_kind)edge->kind) {
    case TR__EDGE_LINK:
        if (edge->other == 0) {
            tr__exit_link_signal(edge->key, proc->pid, reason);
        }
        break;
    case TR__EDGE_WATCHER:
        tr__down_signal((tr_ref){edge->other, edge->key}, proc->pid, reason);
        break;
    case TR__EDGE_MONITOR:
        if (edge->other != proc->pid) {
            tr__demonitor_signal(edge->other, (tr_ref){proc->pid, edge->key});
        }
        break;
    case TR__EDGE_ALIAS:
        break;
    }
}

/* Links first, so that a starter that does not trap dies of the link and never acts on the DOWN. */
static void tell_all(tr__proc *proc, tr_term reason)
{
    for (uint32_t i = 0; i < tr__edges_total(&proc->edges); i++) {
        if (tr__edges_at(&proc->edges, i)->kind == TR__EDGE_LINK) {
            tell_edge(proc, tr__edges_at(&proc->edges, i), reason);
        }
    }
    for (uint32_t i = 0; i < tr__edges_total(&proc->edges); i++) {
        if (tr__edges_at(&proc->edges, i)->kind != TR__EDGE_LINK) {
            tell_edge(proc, tr__edges_at(&proc->edges, i), reason);
        }
    }
}

static void memory_free(tr__proc *proc)
{
    tr__held_drop_all(proc);
    tr__scratch_fini(&proc->scratch);
    while (proc->blocks != NULL) {
        struct tr__block *block = proc->blocks;
        proc->blocks = block->next;
        tr__mem_free(block, block->bytes, block->mem_class);
    }
    if (proc->data != NULL) {
        tr__mem_free(proc->data, proc->data_bytes, tr__mem_class(proc->data_bytes));
    }
    tr__edges_fini(&proc->edges);
    tr__summary_forget(proc);
}

void tr__proc_discard(tr__proc *proc)
{
    proc->resources = NULL; /* still the spawner's */
    memory_free(proc);
    tr__table_give(proc);
}

void tr__proc_bury(tr__proc *proc)
{
    tr_term reason = proc->exit_reason;
    tr__store_relaxed(&proc->status, (uint8_t)TR_STATUS_EXITING);
    bool names_last = tr__planted(TR__PLANT_NAME_AFTER_DOWN);
    if (!names_last) {
        tr__store_seq(&proc->dying, (uint8_t)1);
    }
    if (proc->report_crash && !proc->silent && !tr_reason_is_clean(reason)) {
        tr__report_about(proc, TR_REPORT_PROCESS_CRASHED, reason);
    }
    if (!names_last) {
        tr__names_release(proc->pid, &proc->names);
    }
    resources_destroy(proc);
    inbox_close(proc);
    queue_drop(proc);
    tell_all(proc, reason);
    if (names_last) {
        tr__store_seq(&proc->dying, (uint8_t)1);
        tr__names_release(proc->pid, &proc->names);
    }
    memory_free(proc);
    TR__COUNT(buried, 1);
    tr_pid pid = proc->pid;
    tr__table_give(proc);
    tr__join_notify(
        pid, reason); /* after the pid is gone: a joiner either stands in the list by now or sees that */
    tr_term_free(reason);
}
