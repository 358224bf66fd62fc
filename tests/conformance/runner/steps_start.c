/* steps_start.c: start, start_link, start_monitor of every kind. */
#include <string.h>

#include "tests/conformance/runner/machine.h"
#include "tests/conformance/runner/plain.h"
#include "tests/conformance/runner/server.h"
#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/sup.h"

/* proc_lib:start of a plain process is not in the public headers: the library offers it to supervisors only. */
#include "runtime/core/behaviour.h"

typedef enum how { ALONE, LINKED, MONITORED } how;

static tr_term started_term(tr_err err, const tr_started *started, how way, tr_term info)
{
    if (err == TR_E_IGNORE) {
        return TR_ATOM(IGNORE);
    }
    if (err != TR_OK) {
        return tr_tuple(TR_ATOM(ERROR), started->reason);
    }
    tr_term pid = tr_pid_term(started->pid);
    if (way == MONITORED) {
        return tr_tuple(TR_ATOM(OK), tr_tuple(pid, tr_ref_term(started->monitor)));
    }
    return tr_is_none(info) ? tr_tuple(TR_ATOM(OK), pid) : tr_tuple(TR_ATOM(OK), pid, info);
}

/* ---- each kind --------------------------------------------------------------------------------------------------- */
static outcome start_server(const actor *as, how way)
{
    static tr_err (*const starts[])(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                                    const tr_start_opts *opts, tr_started *started) = {
        [ALONE] = tr_gen_server_start,
        [LINKED] = tr_gen_server_start_link,
        [MONITORED] = tr_gen_server_start_monitor,
    };
    tr_start_opts opts;
    tr_started started = {.pid = TR_NO_PID};
    TRY(sup_start_opts(as->opts, &opts));
    tr_err err = starts[way](server_module(as), &as->self, sizeof as->self, &opts, &started);
    return outcome_value(started_term(err, &started, way, TR_TERM_NONE_VALUE));
}

static outcome start_machine(const actor *as, how way)
{
    static tr_err (*const starts[])(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                                    const tr_start_opts *opts, tr_started *started) = {
        [ALONE] = tr_gen_statem_start,
        [LINKED] = tr_gen_statem_start_link,
        [MONITORED] = tr_gen_statem_start_monitor,
    };
    tr_start_opts opts;
    tr_started started = {.pid = TR_NO_PID};
    TRY(sup_start_opts(as->opts, &opts));
    tr_err err = starts[way](&as->machine, &as->self, sizeof as->self, &opts, &started);
    return outcome_value(started_term(err, &started, way, TR_TERM_NONE_VALUE));
}

static outcome start_proc(const actor *as, how way)
{
    tr__spawn spawn = {
        .main = plain_started_main, .arg = &as->self, .arg_bytes = sizeof as->self, .manual_ack = true};
    tr_term timeout = value_get(as->opts, "timeout");
    tr_term info = TR_TERM_NONE_VALUE;
    tr_started started = {.pid = TR_NO_PID};
    spawn.opts.label = "puppet";
    tr_err err = tr__start(&spawn, (tr__start_how)way, value_ms(timeout), &started, &info);
    return outcome_value(started_term(err, &started, way, info));
}

static outcome start_sup(const actor *as)
{
    tr_start_opts opts;
    tr_started started = {.pid = TR_NO_PID};
    TRY(sup_start_opts(as->opts, &opts));
    tr_err err = tr_supervisor_start_link(&as->supervisor, &as->self, sizeof as->self, &opts, &started);
    return outcome_value(started_term(err, &started, LINKED, TR_TERM_NONE_VALUE));
}

static outcome start_psup(const actor *as)
{
    tr_started started = {.pid = TR_NO_PID};
    tr_start_opts opts = {.name = as->name};
    tr_err err = tr_partition_supervisor_start_link(sup_partition_opts(as), &opts, &started);
    if (err == TR_OK) {
        world_enter(started.pid, as->name, as);
    }
    return outcome_value(started_term(err, &started, LINKED, TR_TERM_NONE_VALUE));
}

static outcome start_tasksup(const actor *as)
{
    tr_started started = {.pid = TR_NO_PID};
    tr_term most = value_get(as->opts, "max_children");
    tr_term restarts = value_get(as->opts, "max_restarts");
    tr_term seconds = value_get(as->opts, "max_seconds");
    tr_task_supervisor_opts opts = {
        .max_children = value_is_int(most) ? tr_int_value(most) : 0,
        .max_restarts = value_is_int(restarts) ? (int32_t)tr_int_value(restarts) : 0,
        .max_seconds = value_is_int(seconds) ? (int32_t)tr_int_value(seconds) : 0};
    tr_start_opts start;
    TRY(sup_start_opts(as->opts, &start));
    tr_err err = tr_task_supervisor_start_link(&opts, &start, &started);
    if (err == TR_OK) {
        world_enter(started.pid, as->name, as);
    }
    return outcome_value(started_term(err, &started, LINKED, TR_TERM_NONE_VALUE));
}

static outcome start_registry(const actor *as)
{
    tr_started started = {.pid = TR_NO_PID};
    tr_term listeners = value_get(as->opts, "listeners");
    tr_term partitions = value_get(as->opts, "partitions");
    bool duplicate = value_is(value_get(as->opts, "keys"), "duplicate");
    tr_registry_opts opts = {
        .name = as->name,
        .keys = duplicate ? TR_DUPLICATE_KEYS : TR_UNIQUE_KEYS,
        .partitions = value_is_int(partitions) ? (uint32_t)tr_int_value(partitions) : 1,
        .listeners = value_count(listeners) == 0 ? NULL : tr_term_items(listeners),
        .listener_count = value_count(listeners),
    };
    tr_err err = tr_registry_start_link(&opts, &started);
    if (err == TR_OK) {
        world_enter(started.pid, as->name, as);
    }
    return outcome_value(started_term(err, &started, LINKED, TR_TERM_NONE_VALUE));
}

static outcome start_linked_only(const actor *as)
{
    bool is_sup = value_is(as->kind, "sup") || value_is(as->kind, "dsup");
    return is_sup                          ? start_sup(as)
           : value_is(as->kind, "tasksup") ? start_tasksup(as)
           : value_is(as->kind, "psup")    ? start_psup(as)
                                           : start_registry(as);
}

/* ---- start of a kind that can only be linked --------------------------------------------------------------------- */

static bool is_exit_of(const tr_msg *msg, void *pid)
{
    const tr_exit_msg *exit = TR_MATCH(msg, tr_exit_msg);
    return exit != NULL && exit->from == *(tr_pid *)pid;
}

/* Nothing of the link stays in the mailbox of the starter. */
static void drop_exit(tr_pid pid)
{
    tr_msg *msg = tr_receive(is_exit_of, &pid, 0);
    if (msg != NULL) {
        tr_msg_drop(msg);
    }
}

static outcome start_then_unlink(const actor *as)
{
    const puppet *before = world_by_name(as->name);
    bool trapped = tr_trap_exit(true);
    outcome result = start_linked_only(as);
    const puppet *after = world_by_name(as->name);
    if (!outcome_failed(result) && value_is(value_item(result.value, 0), "ok")) {
        tr_pid pid = tr_pid_value(value_item(result.value, 1));
        tr_unlink(tr_to(pid));
        drop_exit(pid);
    } else if (after != before) {
        while (tr_is_alive(after->pid)) {
            tr_yield();
        }
        drop_exit(after->pid);
    }
    tr_trap_exit(trapped);
    return result;
}

static outcome start(tr_term kind, tr_term name, tr_term opts, how way)
{
    static const env nothing;
    const actor *as = sup_actor(kind, name, opts, sup_lane(opts, NULL));
    if (machine_is(as)) {
        return start_machine(as, way);
    }
    if (server_is_kind(kind)) {
        return start_server(as, way);
    }
    if (value_is(kind, "proc")) {
        return start_proc(as, way);
    }
    if (value_is(kind, "raw")) {
        return script_run(value_get(opts, "do"), &nothing, value_get_or(opts, "ret", TR_ATOM(OK)));
    }
    return way == ALONE ? start_then_unlink(as) : start_linked_only(as);
}

static outcome do_start(const step_args *args)
{
    return start(args->item[0], args->item[1], step_arg(args, 2), ALONE);
}

static outcome do_start_link(const step_args *args)
{
    return start(args->item[0], args->item[1], step_arg(args, 2), LINKED);
}

static outcome do_start_monitor(const step_args *args)
{
    outcome result = start(args->item[1], args->item[2], step_arg(args, 3), MONITORED);
    TRY(result);
    tr_term pair = value_item(result.value, 1);
    if (value_is(value_item(result.value, 0), "ok")) {
        world_put(NAME_REF, args->item[0], value_item(pair, 1));
    }
    return result;
}

const step_verb steps_start[] = {
    {"start", 2, 3, do_start},
    {"start_link", 2, 3, do_start_link},
    {"start_monitor", 3, 4, do_start_monitor},
    {NULL, 0, 0, NULL},
};
