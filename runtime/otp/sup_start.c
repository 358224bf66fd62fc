/* Starting one child without waiting for it: spawn, then acknowledgement, end, or time-out. */
#include "runtime/otp/gen_server.h"
#include "runtime/otp/statem.h"
#include "runtime/otp/supervisor.h"

/* ---- outcomes
 * ---------------------------------------------------------------------------------------------------- */

/* It is never started again. Specs of dynamic supervisors' own are shared. */
static void forget_arg(tr__sup *sup, tr__child *child)
{
    tr_child_spec *spec = child->spec;
    if (child->arg_bytes != 0) {
        tr_free(child->arg);
        child->arg = NULL;
        child->arg_bytes = 0;
    }
    if (spec != sup->dynamic && spec->arg_bytes != 0) {
        tr_free((void *)(uintptr_t)spec->arg);
        spec->arg = NULL;
        spec->arg_bytes = 0;
    }
}

static void started(tr__sup *sup, tr__child *child, tr_pid pid, tr_term info)
{
    bool again = child->was_started;
    tr__plan_wait_over(&sup->plan);
    tr__child_up(sup, child, pid);
    tr__sup_keep(&sup->plan.info, info);
    if (child->spec->restart == TR_TEMPORARY) {
        forget_arg(sup, child);
    }
    if (again || !tr__sup_is_dynamic(sup)) {
        tr__report(again ? TR_REPORT_CHILD_RESTARTED : TR_REPORT_CHILD_STARTED, TR_TERM_NONE_VALUE, NULL,
                   TR_TERM_NONE_VALUE, pid, tr__child_id(sup, child), child->restarts);
    }
}

static void ignored(tr__sup *sup, tr__child *child)
{
    tr__plan_wait_over(&sup->plan);
    tr__child_down(sup, child, TR_CHILD_STOPPED);
    if (child->listed && (child->spec->restart == TR_TEMPORARY || tr__sup_is_dynamic(sup))) {
        tr__child_remove(sup, child);
    }
}

static void failed(tr__sup *sup, tr__child *child, tr_term reason)
{
    tr__plan *plan = &sup->plan;
    tr__plan_wait_over(plan);
    plan->start = NULL;
    plan->failed = child;
    tr__sup_keep(&plan->reason, reason);
    if (plan->from.ref.id == 0) { /* a caller is told, so it is not reported */
        tr__report(TR_REPORT_CHILD_START_FAILED, reason, NULL, TR_TERM_NONE_VALUE, child->pid,
                   tr__child_id(sup, child), child->restarts);
    }
}

/* ---- by function
 * -------------------------------------------------------------------------------------------------- */

typedef struct start_call {
    const tr_child_spec *spec;
    const void *arg;
    tr_pid pid;
    tr_term info, reason;
    tr_err err;
} start_call;

static void run_start_fn(void *ctx)
{
    start_call *call = ctx;
    call->err = call->spec->start_fn(call->arg, &call->pid, &call->info, &call->reason);
}

static void start_by_function(tr__sup *sup, tr__child *child, const void *arg)
{
    start_call call = {.spec = child->spec, .arg = arg};
    tr_term crash = TR_TERM_NONE_VALUE;
    if (tr__catch(run_start_fn, &call, &crash)) {
        failed(sup, child, sup->flags.strategy == TR_DYNAMIC ? crash : tr_tuple(TR_ATOM(EXIT), crash));
    } else if (call.err == TR_E_IGNORE) {
        ignored(sup, child);
    } else if (call.err != TR_OK) {
        failed(sup, child, tr_is_none(call.reason) ? tr_atom(tr_err_name(call.err)) : call.reason);
    } else if (call.pid == TR_NO_PID) {
        failed(sup, child, tr_tuple(TR_ATOM(OK), TR_ATOM(UNDEFINED)));
    } else {
        started(sup, child, call.pid, call.info);
    }
}

/* ---- by spawn
 * ----------------------------------------------------------------------------------------------------- */

typedef struct spawn_room {
    tr__spawn spawn;
    tr__gen_server_args server;
    tr__statem_args statem;
    tr__supervisor_args supervisor;
} spawn_room;

static void prepare_main(tr__spawn *spawn, const tr_child_spec *spec, const void *arg, size_t arg_bytes)
{
    *spawn = (tr__spawn){
        .main = spec->main,
        .arg = arg,
        .arg_bytes = arg_bytes,
        .opts = spec->start.spawn,
        .manual_ack = spec->manual_ack,
        .report_crash = true,
        .start = spec->start,
    };
}

static void prepare(spawn_room *room, const tr_child_spec *spec, const void *arg, size_t arg_bytes)
{
    tr__gen_args gen = {.arg = arg, .arg_bytes = arg_bytes, .linked = true};
    if (spec->server != NULL) {
        room->server = (tr__gen_server_args){.server = spec->server, .gen = gen};
        tr__gen_server_spawn(&room->spawn, &room->server, &spec->start);
    } else if (spec->statem != NULL) {
        room->statem = (tr__statem_args){.machine = spec->statem, .gen = gen};
        tr__statem_spawn(&room->spawn, &room->statem, &spec->start);
    } else if (spec->supervisor != NULL) {
        room->supervisor =
            (tr__supervisor_args){.supervisor = spec->supervisor, .arg = arg, .arg_bytes = arg_bytes};
        tr__supervisor_spawn(&room->spawn, &room->supervisor, &spec->start);
    } else {
        prepare_main(&room->spawn, spec, arg, arg_bytes);
    }
}

static tr_term spawn_error(tr_err err)
{
    return err == TR_E_NOMEM ? TR_ATOM(NOMEM) : tr_atom("system_limit");
}

static void start_by_spawn(tr__sup *sup, tr__child *child, const void *arg, size_t arg_bytes)
{
    tr__plan *plan = &sup->plan;
    const tr_child_spec *spec = child->spec;
    spawn_room room = {0};
    prepare(&room, spec, arg, arg_bytes);
    if (spec->start.spawn.label == NULL && !tr__sup_is_dynamic(sup)) {
        room.spawn.opts.label = tr_is_atom(spec->id) ? tr_atom_text(spec->id) : tr_term_text(spec->id);
    }
    room.spawn.opts.link = true;
    room.spawn.opts.monitor = NULL;
    room.spawn.ack = sup->ack;
    room.spawn.restarts = child->was_started ? child->restarts + 1 : 0;
    tr__set_filter_new(tr__plan_wants); /* before the spawn: nothing of this child is queued yet */
    tr_err err = tr__spawn_process(&room.spawn, &plan->pid);
    if (err != TR_OK) {
        failed(sup, child, spawn_error(err));
        return;
    }
    plan->wait = TR__WAIT_START;
    plan->child = child;
    if (spec->start.timeout_ms > 0) {
        plan->timer = tr_start_timer(spec->start.timeout_ms, tr_to(tr_self()), TR_MSG(tr__sup_timer));
    }
}

void tr__child_start(tr__sup *sup, tr__child *child)
{
    bool own = child->arg != NULL;
    const void *arg = own ? child->arg : child->spec->arg;
    size_t arg_bytes = own ? child->arg_bytes : child->spec->arg_bytes;
    if (child->spec->start_fn != NULL) {
        start_by_function(sup, child, arg);
    } else {
        start_by_spawn(sup, child, arg, arg_bytes);
    }
}

/* ---- what comes back
 * ---------------------------------------------------------------------------------------------- */

static void acknowledged(tr__sup *sup, const tr__ack *ack)
{
    tr__child *child = sup->plan.child;
    switch (ack->kind) {
    case TR__ACK_OK:
        started(sup, child, ack->pid, ack->info);
        break;
    case TR__ACK_IGNORE:
        ignored(sup, child);
        break;
    case TR__ACK_ERROR:
        failed(sup, child, ack->info);
        break;
    }
}

void tr__child_start_message(tr__sup *sup, tr_msg *msg)
{
    tr__plan *plan = &sup->plan;
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_ACK:
        acknowledged(sup, tr_msg_data(msg));
        break;
    case TR_MSG_EXIT:
        failed(sup, plan->child, ((const tr_exit_msg *)tr_msg_data(msg))->reason);
        break;
    default: /* the timer; the EXIT of a process that is nobody's child means nothing when it comes */
        tr_exit_signal(tr_to(plan->pid), TR_ATOM(KILL));
        failed(sup, plan->child, TR_ATOM(TIMEOUT));
        break;
    }
}
