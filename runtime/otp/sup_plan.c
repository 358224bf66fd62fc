/* The plan of a supervisor: which child is stopped or started next, and what the mailbox lets through
 * meanwhile. */
#include "runtime/otp/supervisor.h"
#include "runtime/sim/sim.h"

void tr__sup_keep(tr_term *place, tr_term term)
{
    tr_term old = *place;
    *place = tr_is_none(term) ? TR_TERM_NONE_VALUE : tr_keep(term);
    if (!tr_is_none(old)) {
        tr_free_term(old);
    }
}

static bool wants_of_one(const tr__plan *plan, const tr_msg *msg)
{
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_ACK:
        return plan->wait == TR__WAIT_START && ((const tr__ack *)tr_msg_data(msg))->pid == plan->pid;
    case TR_MSG_EXIT:
        return ((const tr_exit_msg *)tr_msg_data(msg))->from == plan->pid;
    case TR_MSG_DOWN:
        return plan->wait == TR__WAIT_STOP && tr_ref_equal(tr_msg_ref(msg), plan->monitor);
    case TR_MSG_TIMER:
        return tr_ref_equal(tr_msg_ref(msg), plan->timer);
    default:
        return false;
    }
}

static bool wants_of_all(const tr__sup *sup, const tr_msg *msg)
{
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_EXIT:
        return tr__child_by_pid(sup, ((const tr_exit_msg *)tr_msg_data(msg))->from) != NULL;
    case TR_MSG_DOWN:
        return tr__child_by_pid(sup, ((const tr_down_msg *)tr_msg_data(msg))->pid) != NULL;
    case TR_MSG_TIMER:
        return tr_ref_equal(tr_msg_ref(msg), sup->plan.timer);
    default:
        return false;
    }
}

bool tr__plan_wants(void *data, const tr_msg *msg)
{
    const tr__sup *sup = data;
    return sup->plan.wait == TR__WAIT_STOP_ALL ? wants_of_all(sup, msg) : wants_of_one(&sup->plan, msg);
}

/* One step. Returns false when nothing is left to do. */
static bool step(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    if (plan->stop != NULL) {
        tr__child *child = plan->stop;
        plan->stop = child == plan->stop_last ? NULL : child->prev;
        tr__child_stop(sup, child);
        return true;
    }
    if (plan->start != NULL) {
        tr__child *child = plan->start;
        tr__child *next = tr__planted(TR__PLANT_RESTART_ORDER) ? child->prev : child->next;
        plan->start = child == plan->start_last ? NULL : next;
        tr__child_start(sup, child);
        return true;
    }
    if (plan->done != NULL) {
        void (*done)(tr__sup *) = plan->done;
        plan->done = NULL;
        done(sup);
        return true;
    }
    return false;
}

void tr__plan_wait_over(tr__plan *plan)
{
    plan->wait = TR__WAIT_NOTHING;
    if (plan->timer.id != 0) {
        tr__forget_timer(plan->timer);
        plan->timer = TR_NO_REF;
    }
}

void tr__plan_go(tr__sup *sup)
{
    while (sup->plan.wait == TR__WAIT_NOTHING && step(sup)) {
    }
    if (sup->plan.wait == TR__WAIT_NOTHING) {
        tr__set_filter(NULL);
    }
}

void tr__plan_message(tr__sup *sup, tr_msg *msg)
{
    switch (sup->plan.wait) {
    case TR__WAIT_START:
        tr__child_start_message(sup, msg);
        break;
    case TR__WAIT_STOP:
        tr__child_stop_message(sup, msg);
        break;
    case TR__WAIT_STOP_ALL:
        tr__children_stop_all_message(sup, msg);
        break;
    case TR__WAIT_NOTHING:
        break;
    }
}

bool tr__plan_idle(tr__sup *sup)
{
    return sup->plan.wait == TR__WAIT_STOP_ALL && tr__children_stop_more(sup);
}
