/* The calls a supervisor answers: administration of its children. What takes time becomes a plan that answers
 * at its end. */
#include <string.h>

#include "runtime/otp/supervisor.h"
#include "runtime/sys/atomic.h"

/* ---- answers
 * ------------------------------------------------------------------------------------------------------ */

static void answer(tr__sup *sup, tr_from from, const tr_type *type, const void *payload)
{
    tr__sys_answered(&sup->sys, from.ref.owner, type);
    (void)tr_reply(from, type, payload);
}

static void answer_result(tr__sup *sup, tr_from from, tr__sup_answer result)
{
    answer(sup, from, TR_TYPE(tr__sup_answer), &result);
}

static void answer_error(tr__sup *sup, tr_from from, tr_err err, tr_term reason)
{
    answer_result(sup, from, (tr__sup_answer){.err = err, .reason = reason});
}

/* Answers whom the plan was for; the next plan is nobody's. */
static void answer_plan(tr__sup *sup, tr__sup_answer result)
{
    tr_from from = sup->plan.from;
    sup->plan.from = (tr_from){TR_NO_REF};
    sup->plan.failed = NULL;
    answer_result(sup, from, result);
}

/* Its children have no ids. */
static void refuse_id(tr__sup *sup, tr_from from)
{
    bool simple = sup->flags.strategy == TR_SIMPLE_ONE_FOR_ONE;
    answer_error(sup, from, TR_E_STATE, tr_atom(simple ? "simple_one_for_one" : "dynamic"));
}

static tr_err state_error(const tr__child *child, tr_term *reason)
{
    if (child->state == TR_CHILD_RESTARTING) {
        *reason = TR_ATOM(RESTARTING);
        return TR_E_RESTARTING;
    }
    *reason = TR_ATOM(RUNNING);
    return TR_E_RUNNING;
}

/* ---- start_child
 * -------------------------------------------------------------------------------------------------- */

static void plan_start(tr__sup *sup, tr_from from, tr__child *child, void (*done)(tr__sup *))
{
    tr__plan *plan = &sup->plan;
    plan->from = from;
    plan->subject = child;
    plan->start = child;
    plan->start_last = child;
    plan->done = done;
}

static tr_term start_failure(const tr__sup *sup, const tr__child *child)
{
    tr_term reason = sup->plan.reason;
    return tr__sup_is_dynamic(sup) ? reason : tr_tuple(reason, tr_tuple(tr_atom("child"), child->spec->id));
}

static void start_child_done(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    tr__child *child = plan->subject;
    tr__sup_answer result = {.err = TR_OK};
    bool stays = false;
    if (plan->failed != NULL) {
        result.err = TR_E_EXIT;
        result.reason = start_failure(sup, child);
    } else if (child->state == TR_CHILD_RUNNING) {
        result.pid = child->pid;
        result.info = plan->info;
        stays = true;
    } else { /* ignored: the spec is kept where it can be restarted */
        stays = !tr__sup_is_dynamic(sup) && child->spec->restart != TR_TEMPORARY;
    }
    answer_plan(sup, result);
    if (stays) {
        tr__child_list(sup, child);
    } else {
        tr__child_remove(sup, child);
    }
}

/* Why a spec with this id cannot be added. Returns: TR_OK when it can. */
static tr_err presence_error(const tr__sup *sup, tr_term id, tr__sup_answer *result)
{
    const tr__child *old = tr__child_by_id(sup, id);
    if (old == NULL) {
        return TR_OK;
    }
    if (old->state != TR_CHILD_RUNNING) {
        *result = (tr__sup_answer){.err = TR_E_ALREADY_PRESENT, .reason = TR_ATOM(ALREADY_PRESENT)};
    } else {
        *result = (tr__sup_answer){.err = TR_E_ALREADY_STARTED,
                                   .pid = old->pid,
                                   .reason = tr_tuple(TR_ATOM(ALREADY_STARTED), tr_pid_term(old->pid))};
    }
    return result->err;
}

static void start_child(tr__sup *sup, tr_from from, const tr__sup_start_child *request)
{
    tr_child_spec spec = request->spec;
    if (request->arg != NULL) {
        spec.arg = request->arg->bytes;
    }
    spec.start.spawn.label = request->has_label ? request->label : NULL;
    bool dynamic = sup->flags.strategy == TR_DYNAMIC;
    if (sup->flags.strategy == TR_SIMPLE_ONE_FOR_ONE) {
        refuse_id(sup, from);
        return;
    }
    tr_term error =
        dynamic ? tr__dynamic_spec_error(sup, &spec) : tr__spec_error(&spec, &sup->flags.auto_shutdown);
    if (!tr_is_none(error)) {
        answer_error(sup, from, TR_E_BADARG, error);
        return;
    }
    tr__sup_answer result;
    if (presence_error(sup, spec.id, &result) != TR_OK) {
        answer_result(sup, from, result);
        return;
    }
    if (dynamic && tr__dynamic_is_full(sup)) {
        answer_error(sup, from, TR_E_STATE, tr_atom("max_children"));
        return;
    }
    tr_child_spec *own = dynamic ? tr__dynamic_spec(sup, &spec) : tr__spec_copy(&spec);
    plan_start(sup, from, tr__child_new(own), start_child_done);
}

/* The spec's argument, followed by what this child gets of its own. */
static void append_arg(tr__child *child, const tr__sup_start_arg *request)
{
    const tr_child_spec *spec = child->spec;
    if (request->arg == NULL) {
        child->arg = (void *)(uintptr_t)request->pointer;
        return;
    }
    size_t bytes = spec->arg_bytes + request->arg->size;
    char *arg = tr_alloc(bytes);
    if (spec->arg_bytes != 0) {
        memcpy(arg, spec->arg, spec->arg_bytes);
    }
    memcpy(arg + spec->arg_bytes, request->arg->bytes, request->arg->size);
    child->arg = arg;
    child->arg_bytes = (uint32_t)bytes;
}

static void start_dynamic(tr__sup *sup, tr_from from, const tr__sup_start_arg *request)
{
    if (sup->flags.strategy != TR_SIMPLE_ONE_FOR_ONE) {
        answer_error(sup, from, TR_E_BADARG, tr_tuple(tr_atom("invalid_child_spec"), TR_ATOM(UNDEFINED)));
        return;
    }
    tr__child *child = tr__child_new(sup->dynamic);
    append_arg(child, request);
    plan_start(sup, from, child, start_child_done);
}

/* ---- terminate_child, restart_child, delete_child
 * ----------------------------------------------------------------- */

static void terminate_done(tr__sup *sup)
{
    answer_plan(sup, (tr__sup_answer){.err = TR_OK});
}

static bool is_alive(tr_pid pid)
{
    tr_process_summary summary;
    return tr_process_summary_of(pid, &summary) == TR_OK && summary.status != TR_STATUS_EXITING;
}

static void terminate_child(tr__sup *sup, tr_from from, tr_term id)
{
    bool by_pid = tr_term_kind_of(id) == TR_TERM_PID;
    if (tr__sup_is_dynamic(sup) && !by_pid) {
        refuse_id(sup, from);
        return;
    }
    tr__child *child =
        tr__sup_is_dynamic(sup) ? tr__child_by_pid(sup, tr_pid_value(id)) : tr__child_by_id(sup, id);
    if (child != NULL) {
        sup->plan.from = from;
        sup->plan.stop = child;
        sup->plan.stop_last = child;
        sup->plan.done = terminate_done;
    } else if (sup->flags.strategy == TR_SIMPLE_ONE_FOR_ONE && !is_alive(tr_pid_value(id))) {
        answer_result(sup, from, (tr__sup_answer){.err = TR_OK});
    } else {
        answer_error(sup, from, TR_E_NOT_FOUND, TR_ATOM(NOT_FOUND));
    }
}

static void restart_child_done(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    tr__child *child = plan->subject;
    if (plan->failed != NULL) {
        answer_plan(sup, (tr__sup_answer){.err = TR_E_EXIT, .reason = plan->reason});
    } else if (child->state == TR_CHILD_RUNNING) {
        answer_plan(sup, (tr__sup_answer){.err = TR_OK, .pid = child->pid, .info = plan->info});
    } else {
        answer_plan(sup, (tr__sup_answer){.err = TR_OK});
    }
}

/* The stopped child that restart_child and delete_child are about, or NULL: the caller was told why not. */
static tr__child *stopped_child(tr__sup *sup, tr_from from, tr_term id)
{
    if (tr__sup_is_dynamic(sup)) {
        refuse_id(sup, from);
        return NULL;
    }
    tr__child *child = tr__child_by_id(sup, id);
    if (child == NULL) {
        answer_error(sup, from, TR_E_NOT_FOUND, TR_ATOM(NOT_FOUND));
        return NULL;
    }
    if (child->state != TR_CHILD_STOPPED) {
        tr_term reason;
        tr_err err = state_error(child, &reason);
        answer_error(sup, from, err, reason);
        return NULL;
    }
    return child;
}

static void restart_child(tr__sup *sup, tr_from from, tr_term id)
{
    tr__child *child = stopped_child(sup, from, id);
    if (child != NULL) {
        plan_start(sup, from, child, restart_child_done);
    }
}

static void delete_child(tr__sup *sup, tr_from from, tr_term id)
{
    tr__child *child = stopped_child(sup, from, id);
    if (child != NULL) {
        tr__child_remove(sup, child);
        answer_result(sup, from, (tr__sup_answer){.err = TR_OK});
    }
}

/* ---- resize: partitions are stopped or started one after the other, in order of their ids ---- */

static void resize_go(tr__sup *sup);

static void resize_one_done(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    if (plan->failed != NULL) {
        tr_term which = tr_tuple(tr_int(sup->resize.at), plan->reason);
        answer_plan(sup, (tr__sup_answer){.err = TR_E_EXIT, .reason = which});
        return;
    }
    sup->resize.at++;
    resize_go(sup);
}

/* Sets the plan for the next one, or answers. One that runs already, or will, needs no start. */
static void resize_go(tr__sup *sup)
{
    for (; sup->resize.at < sup->resize.end; sup->resize.at++) {
        tr__child *child = tr__child_by_id(sup, tr_int(sup->resize.at));
        if (child == NULL) { /* delete_child took it */
            answer_plan(sup, (tr__sup_answer){.err = TR_E_NOT_FOUND, .reason = TR_ATOM(NOT_FOUND)});
            return;
        }
        if (sup->resize.grows && child->state == TR_CHILD_STOPPED) {
            plan_start(sup, sup->plan.from, child, resize_one_done);
            return;
        }
        if (!sup->resize.grows) {
            sup->plan.stop = child;
            sup->plan.stop_last = child;
            sup->plan.done = resize_one_done;
            return;
        }
    }
    if (sup->resize.grows) { /* they are found when all of them run */
        tr__store_release(&tr__partition_size_own()->now, sup->resize.end);
    }
    answer_plan(sup, (tr__sup_answer){.err = TR_OK, .info = tr_int(sup->resize.before)});
}

static void resize(tr__sup *sup, tr_from from, uint32_t wanted)
{
    tr__partition_size *size = tr__partition_size_own();
    if (size == NULL || wanted > size->most) {
        answer_error(sup, from, TR_E_BADARG, TR_ATOM(BADARG));
        return;
    }
    uint32_t before = size->now;
    sup->plan.from = from;
    sup->resize.before = before;
    sup->resize.grows = wanted > before;
    sup->resize.at = wanted > before ? before : wanted;
    sup->resize.end = wanted > before ? wanted : before;
    if (wanted < before) { /* who is to be stopped is not found any more */
        tr__store_release(&size->now, wanted);
    }
    resize_go(sup);
}

/* ---- pictures
 * ----------------------------------------------------------------------------------------------------- */

static tr_child_info info_of(const tr__sup *sup, const tr__child *child)
{
    const tr_child_spec *spec = child->spec;
    return (tr_child_info){
        .id = tr__child_id(sup, child),
        .pid = child->state == TR_CHILD_RUNNING ? child->pid : TR_NO_PID,
        .state = (tr_child_state)child->state,
        .type = spec->type,
        .restart = spec->restart,
        .shutdown_ms = spec->shutdown_ms,
        .significant = spec->significant,
        .restarts = child->restarts,
    };
}

static void answer_children(tr__sup *sup, tr_from from, tr__child *newest, size_t count)
{
    size_t bytes = count * sizeof(tr_child_info);
    const tr__child *child = newest;
    for (size_t i = 0; i < count; i++, child = child->prev) {
        bytes += tr_term_flat_bytes(tr__child_id(sup, child));
    }
    tr_blob *blob = tr_blob_new(NULL, bytes);
    tr_child_info *infos = (tr_child_info *)(void *)blob->bytes;
    char *terms = (char *)(infos + count);
    child = newest;
    for (size_t i = 0; i < count; i++, child = child->prev) {
        infos[i] = info_of(sup, child);
        size_t id_bytes = tr_term_flat_bytes(infos[i].id);
        infos[i].id = tr_term_flatten(infos[i].id, terms);
        terms += id_bytes;
    }
    answer(sup, from, TR_TYPE(tr__sup_children), &(tr__sup_children){.count = count, .list = blob});
    tr_blob_drop(blob);
}

static void get_childspec(tr__sup *sup, tr_from from, tr_term id)
{
    tr__child template = {.spec = sup->dynamic, .state = TR_CHILD_STOPPED};
    tr__child *child = NULL;
    if (!tr__sup_is_dynamic(sup)) {
        child = tr__child_by_id(sup, id);
    } else if (tr_term_kind_of(id) == TR_TERM_PID) {
        child = tr__child_by_pid(sup, tr_pid_value(id));
    } else if (sup->dynamic != NULL && tr_term_equal(id, sup->dynamic->id)) {
        child = &template;
    }
    if (child == NULL) {
        answer_error(sup, from, TR_E_NOT_FOUND, TR_ATOM(NOT_FOUND));
    } else {
        answer_children(sup, from, child, 1);
    }
}

static tr_child_counts counts_of(const tr__sup *sup)
{
    const tr__children *children = &sup->children;
    tr_child_counts counts = {0};
    if (sup->dynamic != NULL) {
        counts.specs = 1;
        counts.active = children->active;
        *(sup->dynamic->type == TR_SUPERVISOR ? &counts.supervisors : &counts.workers) = children->count;
        return counts;
    }
    counts.specs = children->count;
    for (const tr__child *child = children->first; child != NULL; child = child->next) {
        counts.supervisors += child->spec->type == TR_SUPERVISOR ? 1 : 0;
        counts.active += child->state == TR_CHILD_RUNNING && is_alive(child->pid) ? 1 : 0;
    }
    if (sup->flags.strategy == TR_DYNAMIC) {
        counts.active = children->active; /* Elixir's counts those whose end it has not heard of */
    }
    counts.workers = counts.specs - counts.supervisors;
    return counts;
}

static void answer_info(tr__sup *sup, tr_from from)
{
    tr__sup_picture picture = {{.flags = sup->flags, .restarts = sup->restarts}};
    picture.info.flags.extra_arg = NULL; /* it is in our memory */
    answer(sup, from, TR_TYPE(tr__sup_picture), &picture);
}

/* ---- dispatch
 * ----------------------------------------------------------------------------------------------------- */

static void serve(tr__sup *sup, tr_from from, const tr__sup_request *request)
{
    switch (request->op) {
    case TR__SUP_TERMINATE_CHILD:
        terminate_child(sup, from, request->id);
        break;
    case TR__SUP_RESTART_CHILD:
        restart_child(sup, from, request->id);
        break;
    case TR__SUP_DELETE_CHILD:
        delete_child(sup, from, request->id);
        break;
    case TR__SUP_GET_CHILDSPEC:
        get_childspec(sup, from, request->id);
        break;
    case TR__SUP_WHICH_CHILDREN:
        answer_children(sup, from, sup->children.last, sup->children.count);
        break;
    case TR__SUP_COUNT_CHILDREN:
        answer(sup, from, TR_TYPE(tr__sup_counts), &(tr__sup_counts){counts_of(sup)});
        break;
    case TR__SUP_INFO:
        answer_info(sup, from);
        break;
    case TR__SUP_RESIZE:
        resize(sup, from, (uint32_t)tr_int_value(request->id));
        break;
    }
}

bool tr__sup_call(tr__sup *sup, tr_msg *msg)
{
    tr_from from = tr_msg_from(msg);
    const tr__sup_request *request = TR_MATCH(msg, tr__sup_request);
    const tr__sup_start_child *start = TR_MATCH(msg, tr__sup_start_child);
    const tr__sup_start_arg *start_arg = TR_MATCH(msg, tr__sup_start_arg);
    if (request != NULL) {
        serve(sup, from, request);
    } else if (start != NULL) {
        start_child(sup, from, start);
    } else if (start_arg != NULL) {
        start_dynamic(sup, from, start_arg);
    } else {
        return false;
    }
    return true;
}
