/* How a process looks from outside, without disturbing it: counters, label, name. And reports about it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/core.h"
#include "runtime/core/report.h"
#include "runtime/sys/lock.h"

/* Labels and shown names change rarely and are read by any thread: one lock for all of them. */
static pthread_mutex_t label_lock = PTHREAD_MUTEX_INITIALIZER;

#define LABEL_MAX 63

/* Lock held. */
static void label_free(tr__proc *proc)
{
    if (!proc->label_is_lent) {
        free((void *)(uintptr_t)proc->label);
    }
    proc->label = NULL;
    proc->label_is_lent = false;
}

void tr__summary_label(tr__proc *proc, const char *label)
{
    char *copy = strndup(label, LABEL_MAX);
    tr__lock(&label_lock);
    label_free(proc);
    proc->label = copy;
    tr__unlock(&label_lock);
}

void tr__summary_lend_label(tr__proc *proc, const char *label)
{
    tr__lock(&label_lock);
    label_free(proc);
    proc->label = label;
    proc->label_is_lent = true;
    tr__unlock(&label_lock);
}

void tr_set_label(const char *label)
{
    tr__proc *proc = tr__proc_self();
    TR_ASSERT(proc != NULL);
    tr__summary_label(proc, label);
}

void tr__proc_note_name(tr_pid pid, tr_term name)
{
    tr__proc *proc = tr__table_at(pid);
    if (proc == NULL) {
        return;
    }
    tr_term kept = tr_term_keep(name);
    tr__lock(&label_lock);
    if (tr__load_acquire(&proc->pid) == pid && tr__load_seq(&proc->dying) == 0) {
        tr_term old = proc->name;
        proc->name = kept;
        kept = old;
    }
    tr__unlock(&label_lock);
    tr_term_free(kept);
}

void tr__summary_forget(tr__proc *proc)
{
    if (proc->label == NULL && tr_is_none(proc->name)) {
        return;
    }
    tr__lock(&label_lock);
    label_free(proc);
    tr_term_free(proc->name);
    proc->name = TR_TERM_NONE_VALUE;
    tr__unlock(&label_lock);
}

static void copy_label(const tr__proc *proc, char *out)
{
    size_t length = proc->label == NULL ? 0 : strnlen(proc->label, LABEL_MAX);
    if (length != 0) {
        memcpy(out, proc->label, length);
    }
    out[length] = '\0';
}

bool tr__summary_fill(tr__proc *proc, tr_pid pid, tr_process_summary *out)
{
    memset(out, 0, sizeof(*out));
    out->pid = pid;
    out->parent = tr__load_relaxed(&proc->parent);
    const tr__behaviour *behaviour = tr__load_relaxed(&proc->behaviour);
    out->behaviour = behaviour == NULL ? "" : behaviour->name;
    out->status = (tr_status)tr__load_relaxed(&proc->status);
    bool counted = tr__load_relaxed(&proc->mailbox_max) != 0;
    out->mailbox = counted ? tr__load_relaxed(&proc->counted) : tr__load_relaxed(&proc->queued);
    out->memory_bytes = sizeof(tr__proc) + tr__load_relaxed(&proc->memory);
    out->messages = tr__load_relaxed(&proc->messages);
    out->reductions = tr__load_relaxed(&proc->reductions);
    out->started_ms = tr__load_relaxed(&proc->started_ms);
    out->restarts = tr__load_relaxed(&proc->restarts);
    tr__lock(&label_lock);
    bool same = tr__load_acquire(&proc->pid) == pid;
    if (same) {
        copy_label(proc, out->label);
        out->name = tr__to_scratch(proc->name);
    }
    tr__unlock(&label_lock);
    return same;
}

tr_err tr_process_summary_of(tr_pid pid, tr_process_summary *out)
{
    tr__proc *proc = tr__table_at(pid);
    bool alive = tr__proc_is_alive(pid) && tr__summary_fill(proc, pid, out);
    return alive ? TR_OK : TR_E_NOPROC;
}

void tr_process_each(bool (*fn)(const tr_process_summary *summary, void *ctx), void *ctx)
{
    uint32_t slots = tr__table_slots();
    for (uint32_t i = 0; i < slots; i++) {
        tr__proc *proc = tr__table_slot(i);
        tr_pid pid = tr__load_acquire(&proc->pid);
        tr_process_summary summary;
        if (pid != TR_NO_PID && tr__summary_fill(proc, pid, &summary) && !fn(&summary, ctx)) {
            return;
        }
    }
}

/* ---- reports
 * ---------------------------------------------------------------------------------------------------- */

static void emit(const tr_report *report)
{
    const tr_node_opts *opts = &tr__the_node.opts;
    if (opts->report != NULL) {
        opts->report(report, opts->report_ctx);
    } else {
        tr__report_default(report);
    }
}

void tr__report_about(tr__proc *proc, tr_report_kind kind, tr_term reason)
{
    tr_report report = {.kind = kind,
                        .pid = proc->pid,
                        .reason = reason,
                        .label = proc->label,
                        .name = proc->name,
                        .behaviour = proc->behaviour->name};
    emit(&report);
}

void tr__report(tr_report_kind kind, tr_term reason, const char *last_message, tr_term state, tr_pid child,
                tr_term child_id, int64_t value)
{
    tr__report_made(&(tr_report){.kind = kind,
                                 .reason = reason,
                                 .last_message = last_message,
                                 .state = state,
                                 .child = child,
                                 .child_id = child_id,
                                 .value = value});
}

void tr__report_made(tr_report *report)
{
    const tr__proc *proc = tr__proc_self();
    TR_ASSERT(proc != NULL);
    report->pid = proc->pid;
    report->label = proc->label;
    report->name = proc->name;
    report->behaviour = proc->behaviour->name;
    emit(report);
}
