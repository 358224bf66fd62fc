/* What a supervisor does when a child ended by itself: restart it, its group, or nobody; give up when it is
 * too often. */
#include "runtime/otp/supervisor.h"
#include "runtime/sim/sim.h"

/* ---- intensity
 * ---------------------------------------------------------------------------------------------------- */

static void forget_before(tr__sup *sup, int64_t second)
{
    uint32_t old = 0;
    while (old < sup->seconds_used && sup->seconds[old].second < second) {
        sup->restarts_counted -= sup->seconds[old].count;
        old++;
    }
    for (uint32_t i = old; i < sup->seconds_used; i++) {
        sup->seconds[i - old] = sup->seconds[i];
    }
    sup->seconds_used -= old;
}

static void count_at(tr__sup *sup, int64_t second)
{
    sup->restarts_counted++;
    if (sup->seconds_used > 0 && sup->seconds[sup->seconds_used - 1].second == second) {
        sup->seconds[sup->seconds_used - 1].count++;
        return;
    }
    if (sup->seconds_used == sup->seconds_room) {
        sup->seconds_room = sup->seconds_room == 0 ? 4 : sup->seconds_room * 2;
        sup->seconds = tr_realloc(sup->seconds, sup->seconds_room * sizeof(*sup->seconds));
    }
    sup->seconds[sup->seconds_used++] = (tr__restart_second){.second = second, .count = 1};
}

/* Counts this restart first. Whole seconds, the edge of the window belongs to it. */
static bool restart_is_allowed(tr__sup *sup)
{
    int64_t now = tr_now_ms() / 1000;
    forget_before(sup, now - sup->flags.period_s);
    count_at(sup, now);
    sup->restarts++;
    uint32_t allowed = sup->flags.intensity == TR_INTENSITY_NONE ? 0 : (uint32_t)sup->flags.intensity;
    return sup->restarts_counted <= allowed;
}

/* ---- restarts
 * ----------------------------------------------------------------------------------------------------- */

/* Through the mailbox: calls and a shutdown that wait are served first. */
static void try_again_later(tr__sup *sup, tr__child *child)
{
    tr__child_down(sup, child, TR_CHILD_RESTARTING);
    tr_term id = tr__sup_is_dynamic(sup) ? tr_pid_term(child->pid) : child->spec->id;
    tr_dest self = tr_to(tr_self());
    if (tr__send_kind(self, TR_MSG_CAST, TR_NO_REF, TR_MSG(tr__sup_try_again, .id = id)) != TR_OK) {
        (void)tr_start_timer(0, self,
                             TR_MSG(tr__sup_try_again, .id = id)); /* full: a time-out always gets in */
    }
}

static void restart_done(tr__sup *sup)
{
    tr__child *failed = sup->plan.failed;
    if (failed != NULL) {
        sup->plan.failed = NULL;
        try_again_later(sup, failed);
    }
}

static void group_stopped(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    plan->start = sup->flags.strategy == TR_ONE_FOR_ALL ? sup->children.first : plan->subject;
    plan->start_last = sup->children.last;
    if (tr__planted(TR__PLANT_RESTART_ORDER)) {
        plan->start_last = plan->start;
        plan->start = sup->children.last;
    }
    plan->done = restart_done;
}

static void plan_restart(tr__sup *sup, tr__child *child)
{
    tr__plan *plan = &sup->plan;
    plan->subject = child;
    switch (sup->flags.strategy) {
    case TR_ONE_FOR_ALL:
    case TR_REST_FOR_ONE:
        plan->stop = sup->children.last;
        plan->stop_last = sup->flags.strategy == TR_ONE_FOR_ALL ? sup->children.first : child;
        plan->done = group_stopped;
        break;
    case TR_ONE_FOR_ONE:
    case TR_SIMPLE_ONE_FOR_ONE:
    case TR_DYNAMIC:
        plan->start = child;
        plan->start_last = child;
        plan->done = restart_done;
        break;
    }
}

static void forget(tr__sup *sup, tr__child *child)
{
    if (tr__sup_is_dynamic(sup) || child->spec->restart == TR_TEMPORARY) {
        tr__child_remove(sup, child);
    } else {
        tr__child_down(sup, child, TR_CHILD_STOPPED);
    }
}

static void restart(tr__sup *sup, tr__child *child, tr_pid pid)
{
    if (restart_is_allowed(sup)) {
        plan_restart(sup, child);
        return;
    }
    tr__report(TR_REPORT_SUPERVISOR_GAVE_UP, TR_ATOM(REACHED_MAX_RESTART_INTENSITY), NULL, TR_TERM_NONE_VALUE,
               pid, tr__child_id(sup, child), sup->restarts_counted);
    forget(sup, child);
    tr__sup_exit(sup, TR_ATOM(SHUTDOWN));
}

void tr__sup_retry(tr__sup *sup, const tr_msg *msg)
{
    tr_term id = TR_MATCH(msg, tr__sup_try_again)->id;
    tr__child *child =
        tr__sup_is_dynamic(sup) ? tr__child_by_pid(sup, tr_pid_value(id)) : tr__child_by_id(sup, id);
    if (child != NULL && child->state == TR_CHILD_RESTARTING) {
        restart(sup, child, child->pid);
    }
}

/* ---- ends for good
 * ------------------------------------------------------------------------------------------------ */

static bool significant_is_left(const tr__sup *sup)
{
    if (tr__sup_is_dynamic(sup)) {
        return sup->children.count > 0;
    }
    for (const tr__child *child = sup->children.first; child != NULL; child = child->next) {
        if (child->spec->significant && child->state != TR_CHILD_STOPPED) {
            return true;
        }
    }
    return false;
}

static void ended_for_good(tr__sup *sup, tr__child *child)
{
    bool significant = child->spec->significant;
    forget(sup, child);
    if (!significant || sup->flags.auto_shutdown == TR_AUTO_NEVER) {
        return;
    }
    if (sup->flags.auto_shutdown == TR_AUTO_ANY_SIGNIFICANT || !significant_is_left(sup)) {
        tr__sup_exit(sup, TR_ATOM(SHUTDOWN));
    }
}

void tr__sup_child_ended(tr__sup *sup, tr__child *child, tr_term reason)
{
    const tr_child_spec *spec = child->spec;
    tr_pid pid = child->pid;
    bool clean = tr_reason_is_clean(reason);
    bool comes_back = spec->restart == TR_PERMANENT || (spec->restart == TR_TRANSIENT && !clean);
    if (comes_back || !clean) {
        tr__report(TR_REPORT_CHILD_TERMINATED, reason, NULL, TR_TERM_NONE_VALUE, pid,
                   tr__child_id(sup, child), child->restarts);
    }
    tr__child_down(sup, child, TR_CHILD_STOPPED);
    if (comes_back) {
        restart(sup, child, pid);
    } else {
        ended_for_good(sup, child);
    }
}

/* ---- the end of the supervisor
 * ------------------------------------------------------------------------------------ */

static void finish(tr__sup *sup)
{
    if (!tr_reason_is_clean(sup->exit_reason)) {
        tr__report(TR_REPORT_SERVER_TERMINATED, sup->exit_reason, NULL, TR_TERM_NONE_VALUE, TR_NO_PID,
                   TR_TERM_NONE_VALUE, 0);
    }
    tr__finish(sup->exit_reason);
}

void tr__sup_exit(tr__sup *sup, tr_term reason)
{
    tr__plan *plan = &sup->plan;
    tr__sup_keep(&sup->exit_reason, reason);
    plan->from = (tr_from){TR_NO_REF};
    plan->done = finish;
    if (tr__sup_is_dynamic(sup)) {
        tr__children_stop_all(sup);
    } else {
        plan->stop = sup->children.last;
        plan->stop_last = sup->children.first;
    }
}
