/* supervisor.c: the behaviour: how a supervisor comes to life, takes its messages and ends. */
#include <string.h>

#include "runtime/otp/supervisor.h"
#include "runtime/sys/atomic.h"

/* ---- init
 * ---------------------------------------------------------------------------------------------------------
 * */

typedef struct init_call {
    const tr_supervisor *module;
    const void *arg;
    tr_sup_flags flags;
    const tr_child_spec *specs;
    size_t count;
    tr_term reason;
    tr_err err;
} init_call;

static void run_init(void *ctx)
{
    init_call *call = ctx;
    call->err = call->module->init(call->arg, &call->flags, &call->specs, &call->count, &call->reason);
}

TR_NORETURN static void start_failed(tr_term reason)
{
    tr__init_fail(TR__ACK_ERROR, reason, reason);
}

static const char *module_name(const tr_supervisor *module)
{
    return module->name == NULL ? "supervisor" : module->name;
}

static tr_term bad_return(const init_call *call)
{
    tr_term returned = tr_is_none(call->reason) ? tr_atom(tr_err_name(call->err)) : call->reason;
    return tr_tuple(tr_atom("bad_return"),
                    tr_tuple(tr_atom(module_name(call->module)), tr_atom("init"), returned));
}

static init_call init(const tr__sup *sup)
{
    const tr_supervisor *module = sup->module;
    init_call call = {.module = module,
                      .arg = sup->arg,
                      .flags = module->flags,
                      .specs = module->children,
                      .count = module->child_count};
    tr_term crash = TR_TERM_NONE_VALUE;
    if (module->init == NULL) {
        return call;
    }
    if (tr__catch(run_init, &call, &crash)) {
        start_failed(crash);
    }
    if (call.err == TR_E_IGNORE) {
        tr__init_fail(TR__ACK_IGNORE, TR_TERM_NONE_VALUE, TR_ATOM(NORMAL));
    }
    if (call.err == TR_E_EXIT && !tr_is_none(call.reason)) {
        start_failed(call.reason);
    }
    if (call.err != TR_OK) {
        start_failed(bad_return(&call));
    }
    return call;
}

/* ---- the first plan
 * ----------------------------------------------------------------------------------------------- */

static void init_unwound(tr__sup *sup)
{
    start_failed(sup->exit_reason);
}

static void init_done(tr__sup *sup)
{
    tr__plan *plan = &sup->plan;
    if (plan->failed == NULL) {
        tr__init_ack(TR_TERM_NONE_VALUE);
        return;
    }
    tr_term failed = tr_tuple(TR_ATOM(FAILED_TO_START_CHILD), plan->failed->spec->id, plan->reason);
    tr__sup_keep(&sup->exit_reason, tr_tuple(TR_ATOM(SHUTDOWN), failed));
    plan->failed = NULL;
    plan->stop = sup->children.last;
    plan->stop_last = sup->children.first;
    plan->done = init_unwound;
}

static tr_term spec_names(const tr_child_spec *specs, size_t count)
{
    tr_term *names = tr_scratch_alloc((count + 1) * sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        names[i] = tr_tuple(tr_atom("child"), tr_is_none(specs[i].id) ? TR_ATOM(UNDEFINED) : specs[i].id);
    }
    return tr_list_n(count, names);
}

static void adopt(tr__sup *sup, const init_call *call)
{
    size_t wanted = sup->flags.strategy == TR_DYNAMIC ? 0 : 1;
    if (tr__sup_is_dynamic(sup) && call->count != wanted) {
        start_failed(tr_tuple(tr_atom("bad_start_spec"), spec_names(call->specs, call->count)));
    }
    tr_term error = tr__specs_error(call->specs, call->count, &sup->flags.auto_shutdown);
    if (!tr_is_none(error)) {
        start_failed(tr_tuple(tr_atom("start_spec"), error));
    }
    if (sup->flags.strategy == TR_SIMPLE_ONE_FOR_ONE) {
        sup->dynamic = tr__spec_copy(&call->specs[0]);
        return;
    }
    for (size_t i = 0; i < call->count; i++) {
        tr__child_list(sup, tr__child_new(tr__spec_copy(&call->specs[i])));
    }
}

/* ---- the end
 * ------------------------------------------------------------------------------------------------------ */

static void clear_slots(tr_resource *resource)
{
    tr__sup *sup = (tr__sup *)((char *)resource - offsetof(tr__sup, slots));
    for (tr__child *child = sup->children.first; child != NULL; child = child->next) {
        if (child->spec->slot != NULL && child->state == TR_CHILD_RUNNING) {
            tr_pid pid = child->pid;
            (void)tr__cas_acq_rel(child->spec->slot, &pid, TR_NO_PID);
        }
    }
}

/* ---- sys
 * ----------------------------------------------------------------------------------------------------------
 * */

#define STATE_CHILDREN_MAX 1000u

static tr_term child_state(const tr__sup *sup, const tr__child *child)
{
    tr_term now = TR_ATOM(UNDEFINED);
    if (child->state == TR_CHILD_RUNNING) {
        now = tr_pid_term(child->pid);
    } else if (child->state == TR_CHILD_RESTARTING) {
        now = TR_ATOM(RESTARTING);
    }
    return tr_tuple(tr__child_id(sup, child), now);
}

/* What sys:get_state shows: strategy, counters, and the children (the first thousand), newest first. */
static tr_term sup_state(void *data)
{
    static const char *const strategies[] = {"one_for_one", "one_for_all", "rest_for_one",
                                             "simple_one_for_one", "dynamic"};
    const tr__sup *sup = data;
    size_t shown = sup->children.count < STATE_CHILDREN_MAX ? sup->children.count : STATE_CHILDREN_MAX;
    tr_term *items = tr_scratch_alloc((shown + 1) * sizeof(*items));
    const tr__child *child = sup->children.last;
    for (size_t i = 0; i < shown; i++, child = child->prev) {
        items[i] = child_state(sup, child);
    }
    const tr_term pairs[] = {
        tr_atom("strategy"), tr_atom(strategies[sup->flags.strategy]),
        tr_atom("specs"),    tr_int((int64_t)sup->children.count),
        tr_atom("active"),   tr_int((int64_t)sup->children.active),
        tr_atom("restarts"), tr_int((int64_t)sup->restarts),
        tr_atom("children"), tr_list_n(shown, items),
    };
    return tr_map_n(sizeof(pairs) / sizeof(pairs[0]) / 2, pairs);
}

static void sup_terminate(void *data, tr_term reason)
{
    tr__sup *sup = data;
    tr__sup_exit(sup, reason);
    tr__plan_go(sup);
}

static const tr__sys_ops sup_sys_ops = {.state = sup_state, .terminate = sup_terminate};

/* ---- messages
 * ----------------------------------------------------------------------------------------------------- */

static void handle_exit(tr__sup *sup, const tr_exit_msg *exit_msg)
{
    if (exit_msg->from == sup->sys.parent && sup->sys.parent != TR_NO_PID) {
        tr__sys_end(&sup->sys);
        tr__sup_exit(sup, exit_msg->reason);
        return;
    }
    tr__child *child = tr__child_by_pid(sup, exit_msg->from);
    if (child != NULL && child->state == TR_CHILD_RUNNING) {
        tr__sup_child_ended(sup, child, exit_msg->reason);
    }
}

static bool is_ours(const tr_msg *msg)
{
    return msg->type == TR_TYPE(tr__sup_try_again);
}

/* What comes while no plan is under way. Late acknowledgements, ends and timers of earlier steps are dropped.
 * */
static void handle_idle(tr__sup *sup, tr_msg *msg)
{
    bool known = true;
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_CALL:
        known = tr__sup_call(sup, msg);
        break;
    case TR_MSG_EXIT:
        handle_exit(sup, tr_msg_data(msg));
        break;
    case TR_MSG_CAST:
    case TR_MSG_TIMER:
        if (is_ours(msg)) {
            tr__sup_retry(sup, msg);
        } else {
            known = msg->type == TR_TYPE(tr__sup_timer);
        }
        break;
    case TR_MSG_INFO:
        known = false;
        break;
    default:
        break;
    }
    if (!known) {
        tr__report(TR_REPORT_MESSAGE_IGNORED, TR_TERM_NONE_VALUE, msg->type->name, TR_TERM_NONE_VALUE,
                   TR_NO_PID, TR_TERM_NONE_VALUE, 0);
    }
}

static void sup_handle(void *data, tr_msg *msg)
{
    tr__sup *sup = data;
    if (sup->plan.wait != TR__WAIT_NOTHING) {
        tr__plan_message(sup, msg);
    } else if (tr__sys_handle(&sup->sys, msg, &sup_sys_ops, sup)) {
        return;
    } else {
        tr__sys_heard(&sup->sys, msg);
        handle_idle(sup, msg);
    }
    tr__plan_go(sup);
}

static bool sup_idle(void *data)
{
    tr__sup *sup = data;
    if (!tr__plan_idle(sup)) {
        return false;
    }
    tr__plan_go(sup);
    return true;
}

static void sup_start(void *data)
{
    tr__sup *sup = data;
    sup->sys.parent = tr_parent();
    sup->ack = tr_alias(TR_ALIAS_EXPLICIT);
    init_call call = init(sup);
    sup->flags = call.flags;
    tr_term error = tr__flags_resolve(&sup->flags);
    if (!tr_is_none(error)) {
        start_failed(tr_tuple(tr_atom("supervisor_data"), error));
    }
    if (sup->flags.extra_bytes != 0) {
        void *extra = tr_alloc(sup->flags.extra_bytes);
        memcpy(extra, sup->flags.extra_arg, sup->flags.extra_bytes);
        sup->flags.extra_arg = extra;
    }
    adopt(sup, &call);
    sup->slots.destroy = clear_slots;
    tr_resource_add(&sup->slots);
    sup->plan.start = sup->children.first;
    sup->plan.start_last = sup->children.last;
    sup->plan.done = init_done;
    tr__plan_go(sup);
}

/* ---- starting
 * ----------------------------------------------------------------------------------------------------- */

static const char *sup_module(const void *data)
{
    return module_name(((const tr__sup *)data)->module);
}

static const tr__behaviour supervisor_behaviour = {
    .name = "supervisor",
    .start = sup_start,
    .handle = sup_handle,
    .idle = sup_idle,
    .never_parks = true,
    .module = sup_module,
};

static void fill(struct tr__proc *proc, void *data, void *ctx)
{
    tr__sup *sup = data;
    const tr__supervisor_args *args = ctx;
    sup->module = args->supervisor;
    sup->arg = args->arg;
    tr__sys_debug_start(proc, &sup->sys, &sup_sys_ops, sup, args->debug);
    if (args->arg_bytes != 0) {
        void *copy = tr__arena_alloc(proc, args->arg_bytes);
        memcpy(copy, args->arg, args->arg_bytes);
        if (args->deepen != NULL) {
            args->deepen(proc, copy);
        }
        sup->arg = copy;
    }
}

void tr__supervisor_spawn(tr__spawn *spawn, tr__supervisor_args *args, const tr_start_opts *opts)
{
    *spawn = (tr__spawn){
        .behaviour = &supervisor_behaviour,
        .data_bytes = sizeof(tr__sup),
        .fill = fill,
        .fill_ctx = args,
        .report_crash = true,
    };
    if (opts != NULL) {
        spawn->start = *opts;
        spawn->opts = opts->spawn;
        args->debug = opts->debug;
    }
    spawn->opts.trap_exit = true;
    if (spawn->opts.label == NULL) {
        spawn->opts.label = module_name(args->supervisor);
    }
}

tr_err tr_supervisor_start_link(const tr_supervisor *supervisor, const void *arg, size_t arg_bytes,
                                const tr_start_opts *opts, tr_started *started)
{
    tr__spawn spawn;
    tr__supervisor_args args = {.supervisor = supervisor, .arg = arg, .arg_bytes = arg_bytes};
    tr__supervisor_spawn(&spawn, &args, opts);
    int64_t timeout_ms = opts == NULL || opts->timeout_ms == 0 ? TR_INFINITY : opts->timeout_ms;
    return tr__start(&spawn, TR__START_LINKED, timeout_ms, started, NULL);
}
