/* steps_supervisor.c: administration of supervisors and partition supervisors. */
#include <string.h>

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/sup.h"
#include "tests/conformance/runner/world.h"

static outcome failed_call(tr_term reason)
{
    tr_term where = tr_tuple(TR_ATOM(GEN_SERVER), TR_ATOM(CALL), tr_list_n(0, NULL));
    return outcome_exit(tr_tuple(reason, where));
}

/* Elixir's front ends name their own module where Erlang's name gen_server. */
static outcome elixir(outcome result)
{
    tr_term where = value_item(result.value, 1);
    if (result.kind != OUTCOME_EXIT || !value_is(value_item(where, 0), "gen_server")) {
        return result;
    }
    where = tr_tuple(tr_atom("GenServer"), value_item(where, 1), value_item(where, 2));
    return outcome_exit(tr_tuple(value_item(result.value, 0), where));
}

static outcome stopped(tr_err err, tr_term actual)
{
    tr_term where = tr_tuple(tr_atom("GenServer"), tr_atom("stop"), tr_list_n(0, NULL));
    return err == TR_OK ? outcome_value(TR_ATOM(OK)) : outcome_exit(tr_tuple(actual, where));
}

static outcome from_result(const tr_sup_result *result, bool gives_pid)
{
    if (result->err == TR_E_NOPROC) { /* it was not there, or ended before it answered */
        return failed_call(result->reason);
    }
    if (result->err != TR_OK) {
        return outcome_value(tr_tuple(TR_ATOM(ERROR), result->reason));
    }
    if (!gives_pid) {
        return outcome_value(TR_ATOM(OK));
    }
    tr_term pid = result->pid == TR_NO_PID ? TR_ATOM(UNDEFINED) : tr_pid_term(result->pid);
    return outcome_value(tr_is_none(result->info) ? tr_tuple(TR_ATOM(OK), pid)
                                                  : tr_tuple(TR_ATOM(OK), pid, result->info));
}

/* ---- start_child ------------------------------------------------------------------------------------------------- */
/* simple_one_for_one: [Name] or [Name, Options over those of the spec]. */
static actor *extra_actor(const puppet *sup, tr_term extra)
{
    tr_term spec = sup == NULL || sup->actor == NULL ? TR_TERM_NONE_VALUE
                                                     : value_item(value_get(sup->actor->opts, "children"), 0);
    tr_term opts = value_get_or(spec, "opts", tr_map_n(0, NULL));
    tr_term over = value_item(extra, 1);
    if (!tr_is_none(over)) {
        size_t base = value_count(opts);
        size_t more = value_count(over);
        tr_term *pairs = tr_scratch_alloc(2 * (base + more + 1) * sizeof(tr_term));
        memcpy(pairs, tr_term_items(opts), 2 * base * sizeof(tr_term));
        memcpy(pairs + 2 * base, tr_term_items(over), 2 * more * sizeof(tr_term));
        opts = tr_map_n(base + more, pairs);
    }
    return sup_actor(value_get_or(spec, "kind", tr_atom("gs")), value_item(extra, 0), opts,
                     sup_lane(spec, NULL));
}

static outcome do_start_child(const step_args *args)
{
    tr_dest dest;
    tr_sup_result result;
    TRY(step_dest(args->item[0], &dest));
    const puppet *sup = world_by_pid(tr_whereis(dest));
    if (tr_term_kind_of(args->item[1]) == TR_TERM_MAP) {
        tr_child_spec spec;
        outcome good = sup_child_spec(args->item[1], sup == NULL ? NULL : sup->tree_lane, &spec);
        if (outcome_failed(good)) {
            return outcome_value(tr_tuple(TR_ATOM(ERROR), good.value));
        }
        result = tr_supervisor_start_child(dest, &spec);
    } else {
        const actor *as = extra_actor(sup, args->item[1]);
        result = tr_supervisor_start_child_arg(dest, &as->self, sizeof as->self);
    }
    return from_result(&result, true);
}

/* ---- the others -------------------------------------------------------------------------------------------------- */
/* An id, or ["pid", NAME] for a child that is named by its process. */
static outcome child_pid(tr_term id, tr_pid *pid)
{
    *pid = TR_NO_PID;
    return value_is_tuple(id) && value_is(value_item(id, 0), "pid") ? step_pid(value_item(id, 1), pid)
                                                                    : outcome_value(TR_ATOM(OK));
}

static outcome do_terminate_child(const step_args *args)
{
    tr_dest dest;
    tr_pid pid;
    TRY(step_dest(args->item[0], &dest));
    TRY(child_pid(args->item[1], &pid));
    tr_sup_result result = pid == TR_NO_PID ? tr_supervisor_terminate_child(dest, args->item[1])
                                            : tr_supervisor_terminate_child_pid(dest, pid);
    return from_result(&result, false);
}

static outcome do_restart_child(const step_args *args)
{
    tr_dest dest;
    TRY(step_dest(args->item[0], &dest));
    tr_sup_result result = tr_supervisor_restart_child(dest, args->item[1]);
    return from_result(&result, true);
}

static outcome do_delete_child(const step_args *args)
{
    tr_dest dest;
    TRY(step_dest(args->item[0], &dest));
    tr_sup_result result = tr_supervisor_delete_child(dest, args->item[1]);
    return from_result(&result, false);
}

static tr_term child_process(const tr_child_info *child)
{
    return child->state == TR_CHILD_RESTARTING ? TR_ATOM(RESTARTING)
           : child->pid == TR_NO_PID           ? TR_ATOM(UNDEFINED)
                                               : tr_pid_term(child->pid);
}

static tr_term child_type(const tr_child_info *child)
{
    return child->type == TR_SUPERVISOR ? TR_ATOM(SUPERVISOR) : tr_atom("worker");
}

/* What pictures leave out when they fail: why the supervisor ended. A monitor set before tells. */
static outcome ended(tr_ref watched)
{
    tr_msg *down = tr_receive_ref(watched, 1000);
    if (down == NULL) { /* it lives, but is no supervisor */
        tr_demonitor(watched, true);
        return failed_call(TR_ATOM(NOPROC));
    }
    tr_term reason = value_copy(TR_MATCH(down, tr_down_msg)->reason);
    tr_msg_drop(down);
    return failed_call(reason);
}

static outcome list_children(tr_dest dest, bool with_ids, bool sorted)
{
    const tr_child_info *children;
    size_t count;
    tr_ref watched = tr_monitor(dest, NULL);
    if (tr_supervisor_which_children(dest, &children, &count) != TR_OK) {
        return ended(watched);
    }
    tr_demonitor(watched, true);
    tr_term *items = tr_scratch_alloc((count + 1) * sizeof(tr_term));
    for (size_t i = 0; i < count; i++) {
        tr_term id = tr_is_none(children[i].id) ? TR_ATOM(UNDEFINED) : children[i].id;
        tr_term pid = child_process(&children[i]);
        tr_term type = child_type(&children[i]);
        items[i] = with_ids ? tr_tuple(id, pid, type) : tr_tuple(pid, type);
    }
    return outcome_value(sorted ? value_sorted(count, items) : tr_list_n(count, items));
}

static outcome do_which_children(const step_args *args)
{
    tr_dest dest;
    TRY(step_dest(args->item[0], &dest));
    return list_children(dest, true, false);
}

static outcome do_which_sorted(const step_args *args)
{
    tr_dest dest;
    TRY(step_dest(args->item[0], &dest));
    return list_children(dest, false, true);
}

static outcome count(tr_dest dest)
{
    tr_child_counts counts;
    tr_ref watched = tr_monitor(dest, NULL);
    if (tr_supervisor_count_children(dest, &counts) != TR_OK) {
        return ended(watched);
    }
    tr_demonitor(watched, true);
    return outcome_value(tr_tuple(tr_int((int64_t)counts.specs), tr_int((int64_t)counts.active),
                                  tr_int((int64_t)counts.supervisors), tr_int((int64_t)counts.workers)));
}

static outcome do_count_children(const step_args *args)
{
    tr_dest dest;
    TRY(step_dest(args->item[0], &dest));
    return count(dest);
}

static tr_term shutdown_term(int64_t shutdown_ms)
{
    return shutdown_ms == TR_INFINITY               ? TR_ATOM(INFINITY)
           : shutdown_ms == TR_SHUTDOWN_BRUTAL_KILL ? tr_atom("brutal_kill")
           : shutdown_ms == TR_SHUTDOWN_NOW         ? tr_int(0)
                                                    : tr_int(shutdown_ms);
}

static outcome do_get_childspec(const step_args *args)
{
    static const char *const restarts[] = {
        [TR_PERMANENT] = "permanent", [TR_TRANSIENT] = "transient", [TR_TEMPORARY] = "temporary"};
    tr_dest dest;
    tr_child_info child;
    TRY(step_dest(args->item[0], &dest));
    tr_ref watched = tr_monitor(dest, NULL);
    tr_err err = tr_supervisor_get_childspec(dest, args->item[1], &child);
    if (err != TR_OK && err != TR_E_NOT_FOUND) {
        return ended(watched);
    }
    tr_demonitor(watched, true);
    if (err == TR_E_NOT_FOUND) {
        return outcome_value(tr_tuple(TR_ATOM(ERROR), TR_ATOM(NOT_FOUND)));
    }
    tr_term pairs[] = {
        tr_atom("id"),          child.id,
        tr_atom("restart"),     tr_atom(restarts[child.restart]),
        tr_atom("shutdown"),    shutdown_term(child.shutdown_ms),
        tr_atom("significant"), value_bool(child.significant),
        tr_atom("type"),        child_type(&child),
    };
    return outcome_value(tr_map_n(5, pairs));
}

static outcome do_check_childspecs(const step_args *args)
{
    size_t specs = value_count(args->item[0]);
    tr_child_spec *made = tr_scratch_alloc((specs + 1) * sizeof *made);
    tr_term reason;
    for (size_t i = 0; i < specs; i++) {
        outcome good = sup_child_spec(value_item(args->item[0], i), NULL, &made[i]);
        if (outcome_failed(good)) {
            return outcome_value(tr_tuple(TR_ATOM(ERROR), good.value));
        }
    }
    if (tr_supervisor_check_childspecs(made, specs, &reason) != TR_OK) {
        return outcome_value(tr_tuple(TR_ATOM(ERROR), reason));
    }
    return outcome_value(TR_ATOM(OK));
}

/* ---- partition supervisors: known by their registered name -------------------------------------------------------- */
static outcome do_pwhich(const step_args *args)
{
    return elixir(list_children(tr_to_name(args->item[0]), true, true));
}

static outcome do_pcount(const step_args *args)
{
    return elixir(count(tr_to_name(args->item[0])));
}

static outcome do_partitions(const step_args *args)
{
    uint32_t partitions = tr_partition_count(args->item[0]);
    return partitions == 0 ? step_no_partitions(args->item[0]) : outcome_value(tr_int(partitions));
}

static outcome do_pstop(const step_args *args)
{
    tr_term actual = TR_ATOM(NOPROC);
    tr_err err = tr_gen_server_stop(tr_to_name(args->item[0]), TR_ATOM(NORMAL), TR_INFINITY, &actual);
    return stopped(err, actual);
}

/* ---- dynamic supervisors ----------------------------------------------------------------------------------------- */
static outcome do_dstart(const step_args *args)
{
    tr_dest dest;
    tr_child_spec spec;
    TRY(step_dest(args->item[0], &dest));
    if (tr_term_kind_of(args->item[1]) != TR_TERM_MAP) { /* in C a spec cannot be anything else */
        return outcome_error(tr_atom("%ArgumentError{}"));
    }
    outcome good = sup_child_spec(args->item[1], NULL, &spec);
    if (outcome_failed(good)) {
        return outcome_value(tr_tuple(TR_ATOM(ERROR), good.value));
    }
    tr_sup_result result = tr_dynamic_supervisor_start_child(dest, &spec);
    return result.err == TR_E_IGNORE ? outcome_value(TR_ATOM(IGNORE)) : elixir(from_result(&result, true));
}

static outcome do_dterminate(const step_args *args)
{
    tr_dest dest;
    tr_pid pid;
    TRY(step_dest(args->item[0], &dest));
    TRY(step_pid(args->item[1], &pid));
    tr_sup_result result = tr_dynamic_supervisor_terminate_child(dest, pid);
    return elixir(from_result(&result, false));
}

static outcome do_dcount(const step_args *args)
{
    return elixir(do_count_children(args));
}

static outcome do_dwhich(const step_args *args)
{
    return elixir(do_which_sorted(args));
}

static outcome do_dstop(const step_args *args)
{
    tr_dest dest;
    tr_term reason = TR_ATOM(NORMAL);
    tr_term actual = TR_ATOM(NOPROC);
    TRY(step_dest(args->item[0], &dest));
    if (args->count > 1) {
        TRY(step_eval(args, 1, &reason));
    }
    tr_err err = tr_dynamic_supervisor_stop(dest, reason, TR_INFINITY, &actual);
    return stopped(err, actual);
}

const step_verb steps_supervisor[] = {
    {"start_child", 2, 2, do_start_child},
    {"terminate_child", 2, 2, do_terminate_child},
    {"restart_child", 2, 2, do_restart_child},
    {"delete_child", 2, 2, do_delete_child},
    {"which_children", 1, 1, do_which_children},
    {"which_sorted", 1, 1, do_which_sorted},
    {"count_children", 1, 1, do_count_children},
    {"get_childspec", 2, 2, do_get_childspec},
    {"check_childspecs", 1, 1, do_check_childspecs},
    {"pwhich", 1, 1, do_pwhich},
    {"pcount", 1, 1, do_pcount},
    {"partitions", 1, 1, do_partitions},
    {"pstop", 1, 1, do_pstop},
    {"dstart", 2, 2, do_dstart},
    {"dterminate", 2, 2, do_dterminate},
    {"dcount", 1, 1, do_dcount},
    {"dwhich", 1, 1, do_dwhich},
    {"dstop", 1, 2, do_dstop},
    {NULL, 0, 0, NULL},
};
