/* Stopping one child: monitor, exit signal, wait, kill, wait for ever. Stopping all children of a
 * dynamic supervisor at once, with one timer a
 * time limit.
 *
 * The child stays linked until it is dead, so that it cannot outlive a supervisor that is killed meanwhile.
 * What ends the wait is the DOWN: a child that unlinked itself must not hang its supervisor. The reason is
 * that of the EXIT, if the link stands: a child that was ending already when it was monitored has a DOWN that
 * says noproc, and the EXIT may come after it. */
#include "runtime/core/process.h"
#include "runtime/otp/supervisor.h"

#define SIGNALS_AT_ONCE 256u /* then other processes get their turn */

/* ---- what counts as a proper end
 * ---------------------------------------------------------------------------------- */

static bool is_proper(const tr_child_spec *spec, tr_term reason)
{
    bool brutal = spec->shutdown_ms == TR_SHUTDOWN_BRUTAL_KILL;
    if (tr_same(reason, brutal ? TR_ATOM(KILLED) : TR_ATOM(SHUTDOWN))) {
        return true;
    }
    return spec->restart != TR_PERMANENT && tr_reason_is_clean(reason);
}

static tr_term exit_reason(const tr_msg *msg)
{
    return ((const tr_exit_msg *)tr_msg_data(msg))->reason;
}

/* A DOWN that says noproc has no reason. If the link still stands, the exit signal that has it is yet to
 * come: had the child unlinked itself, we had heard of that before the DOWN. */
static bool reason_is_to_come(const tr_down_msg *down)
{
    if (!tr_same(down->reason, TR_ATOM(NOPROC))) {
        return false;
    }
    const tr__edge *link = tr__edges_find(&tr__proc_self()->edges, TR__EDGE_LINK, down->pid);
    return link != NULL && link->other == 0;
}

static bool is_exit_of(const tr_msg *msg, void *ctx)
{
    return tr_msg_kind_of(msg) == TR_MSG_EXIT &&
           ((const tr_exit_msg *)tr_msg_data(msg))->from == *(const tr_pid *)ctx;
}

/* If the link is gone, the exit signal may be in the mailbox, behind the DOWN. */
static tr_term down_reason(const tr_down_msg *down)
{
    if (tr_same(down->reason, TR_ATOM(NOPROC))) {
        tr_pid pid = down->pid;
        const tr_msg *msg = tr_receive(is_exit_of, &pid, 0);
        if (msg != NULL) {
            return exit_reason(msg);
        }
    }
    return down->reason;
}

static void signal_end(const tr_child_spec *spec, tr_pid pid)
{
    bool brutal = spec->shutdown_ms == TR_SHUTDOWN_BRUTAL_KILL;
    tr_exit_signal(tr_to(pid), brutal ? TR_ATOM(KILL) : TR_ATOM(SHUTDOWN));
}

static void set_timer(tr__plan *plan, const tr_child_spec *spec)
{
    if (spec->shutdown_ms >= 0) {
        plan->timer = tr_start_timer(spec->shutdown_ms, tr_to(tr_self()), TR_MSG(tr__sup_timer));
    }
}

/* ---- one
 * ----------------------------------------------------------------------------------------------------------
 * */

static void stopped(tr__sup *sup, tr__child *child)
{
    if (tr__sup_is_dynamic(sup) || child->spec->restart == TR_TEMPORARY) {
        tr__child_remove(sup, child);
    } else {
        tr__child_down(sup, child, TR_CHILD_STOPPED);
    }
}

void tr__child_stop(tr__sup *sup, tr__child *child)
{
    tr__plan *plan = &sup->plan;
    if (child->state != TR_CHILD_RUNNING) {
        stopped(sup, child);
        return;
    }
    tr__set_filter(tr__plan_wants);
    plan->wait = TR__WAIT_STOP;
    plan->is_down = false;
    plan->child = child;
    plan->pid = child->pid;
    plan->monitor = tr_monitor(tr_to(child->pid), NULL);
    signal_end(child->spec, child->pid);
    set_timer(plan, child->spec);
}

static void down(tr__sup *sup, tr_term reason)
{
    tr__plan *plan = &sup->plan;
    tr__child *child = plan->child;
    if (!is_proper(child->spec, reason)) {
        tr__report(TR_REPORT_CHILD_SHUTDOWN_ERROR, reason, NULL, TR_TERM_NONE_VALUE, child->pid,
                   tr__child_id(sup, child), child->restarts);
    }
    tr__sup_keep(&plan->ended, TR_TERM_NONE_VALUE);
    tr__plan_wait_over(plan);
    stopped(sup, child);
}

static void one_exited(tr__sup *sup, tr_msg *msg)
{
    tr__plan *plan = &sup->plan;
    if (plan->is_down) {
        down(sup, exit_reason(msg));
    } else if (tr_is_none(plan->ended)) {
        tr__sup_keep(&plan->ended, exit_reason(msg));
    }
}

static void one_down(tr__sup *sup, tr_msg *msg)
{
    tr__plan *plan = &sup->plan;
    if (!tr_is_none(plan->ended)) {
        down(sup, plan->ended);
    } else if (reason_is_to_come(tr_msg_data(msg))) {
        plan->is_down = true;
    } else {
        down(sup, down_reason(tr_msg_data(msg)));
    }
}

void tr__child_stop_message(tr__sup *sup, tr_msg *msg)
{
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_EXIT:
        one_exited(sup, msg);
        break;
    case TR_MSG_DOWN:
        one_down(sup, msg);
        break;
    default: /* the timer */
        tr_exit_signal(tr_to(sup->plan.pid), TR_ATOM(KILL));
        break;
    }
}

/* ---- all at once
 * -------------------------------------------------------------------------------------------------- */

static void note_end(tr__sup *sup, tr__child *child, tr_term reason)
{
    if (child->ended) {
        return;
    }
    child->ended = true;
    if (is_proper(child->spec, reason)) {
        return;
    }
    tr__plan *plan = &sup->plan;
    if (plan->errors == NULL) {
        plan->errors = tr_alloc(sizeof(*plan->errors));
    }
    tr__stop_errors *errors = plan->errors;
    uint32_t i = 0;
    while (i < errors->used && !tr_term_equal(errors->reasons[i], reason)) {
        i++;
    }
    if (i == TR__STOP_REASONS) {
        i--; /* more kinds than are told apart: the last one stands for them */
    } else if (i == errors->used) {
        errors->reasons[i] = tr_keep(reason);
        errors->first[i] = child->pid;
        errors->used++;
    }
    errors->counts[i]++;
}

static void all_down(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    tr__plan_wait_over(plan);
    tr__stop_errors *errors = plan->errors;
    for (uint32_t i = 0; errors != NULL && i < errors->used; i++) {
        tr__report(TR_REPORT_CHILD_SHUTDOWN_ERROR, errors->reasons[i], NULL, TR_TERM_NONE_VALUE,
                   errors->first[i], TR_ATOM(UNDEFINED), errors->counts[i]);
    }
}

static void signal_one(tr__sup *sup, tr__child *child)
{
    if (child->state != TR_CHILD_RUNNING) {
        tr__child_remove(sup, child); /* it was to be restarted: nobody is there */
        return;
    }
    sup->plan.remaining++;
    (void)tr_monitor(tr_to(child->pid), NULL);
    signal_end(child->spec, child->pid);
}

/* Children of a dynamic supervisor have time limits of their own: one timer after the other, shortest first. */
static void note_limit(tr__plan *plan, int64_t shutdown_ms)
{
    if (shutdown_ms > plan->limit_ms &&
        (plan->next_limit_ms == TR_INFINITY || shutdown_ms < plan->next_limit_ms)) {
        plan->next_limit_ms = shutdown_ms;
    }
}

static void set_next_timer(tr__plan *plan)
{
    if (plan->next_limit_ms != TR_INFINITY) {
        int64_t left = plan->signalled_ms + plan->next_limit_ms - tr_now_ms();
        plan->timer = tr_start_timer(left < 0 ? 0 : left, tr_to(tr_self()), TR_MSG(tr__sup_timer));
    }
}

/* Signals the next ones, or kills those whose time is up. */
static void signal_some(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    for (uint32_t n = 0; n < SIGNALS_AT_ONCE && plan->signal_next != NULL; n++) {
        tr__child *child = plan->signal_next;
        plan->signal_next = child->next;
        note_limit(plan, child->spec->shutdown_ms);
        if (!plan->killing) {
            signal_one(sup, child);
        } else if (child->spec->shutdown_ms >= 0 && child->spec->shutdown_ms <= plan->limit_ms) {
            tr_exit_signal(tr_to(child->pid), TR_ATOM(KILL));
        }
    }
    if (plan->signal_next != NULL) {
        return;
    }
    if (!plan->killing) {
        plan->signalled_ms = tr_now_ms();
    }
    set_next_timer(plan);
    if (plan->remaining == 0) {
        all_down(sup);
    }
}

void tr__children_stop_all(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    tr__set_filter(tr__plan_wants);
    plan->wait = TR__WAIT_STOP_ALL;
    plan->killing = false;
    plan->limit_ms = -1;
    plan->next_limit_ms = TR_INFINITY;
    plan->remaining = 0;
    plan->signal_next = sup->children.first;
    signal_some(sup);
}

bool tr__children_stop_more(tr__sup *sup)
{
    if (sup->plan.signal_next == NULL) {
        return false;
    }
    signal_some(sup);
    return true;
}

static void kill_late(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    plan->killing = true;
    plan->timer = TR_NO_REF;
    plan->limit_ms = plan->next_limit_ms;
    plan->next_limit_ms = TR_INFINITY;
    plan->signal_next = sup->children.first;
    signal_some(sup);
}

static void gone(tr__sup *sup, tr__child *child)
{
    tr__plan *plan = &sup->plan;
    if (plan->signal_next == child) {
        plan->signal_next = child->next;
    }
    tr__child_remove(sup, child);
    plan->remaining--;
    if (plan->remaining == 0 && plan->signal_next == NULL) {
        all_down(sup);
    }
}

void tr__children_stop_all_message(tr__sup *sup, tr_msg *msg)
{
    if (tr_msg_kind_of(msg) == TR_MSG_TIMER) {
        kill_late(sup);
        return;
    }
    if (tr_msg_kind_of(msg) == TR_MSG_EXIT) {
        tr__child *child = tr__child_by_pid(sup, ((const tr_exit_msg *)tr_msg_data(msg))->from);
        note_end(sup, child, exit_reason(msg));
        if (child->is_down) {
            gone(sup, child);
        }
        return;
    }
    const tr_down_msg *down_msg = tr_msg_data(msg);
    tr__child *child = tr__child_by_pid(sup, down_msg->pid);
    if (!child->ended && reason_is_to_come(down_msg)) {
        child->is_down = true;
        return;
    }
    if (!child->ended) {
        note_end(sup, child, down_reason(down_msg));
    }
    gone(sup, child);
}
