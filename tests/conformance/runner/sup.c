/* sup.c: supervisors, child specs, partition supervisors. */
#include "tests/conformance/runner/sup.h"

#include <string.h>

#include "tests/conformance/runner/machine.h"
#include "tests/conformance/runner/plain.h"
#include "tests/conformance/runner/server.h"
#include "tests/conformance/runner/task.h"
#include "tests/conformance/runner/trace.h"

/* A dynamic supervisor, of tasks or not, logs nothing; its children have their own lanes. */
static tr_err dsup_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)children;
    (void)count;
    (void)reason;
    const actor *as = *(actor *const *)arg;
    (void)world_enter_self(as);
    int64_t restarts = tr_int_value(value_get_or(as->opts, "max_restarts", tr_int(3)));
    tr_term most = value_get(as->opts, "max_children");
    *flags = (tr_sup_flags){
        .strategy = TR_DYNAMIC,
        .intensity = restarts == 0 ? TR_INTENSITY_NONE : (int32_t)restarts,
        .period_s = (int32_t)tr_int_value(value_get_or(as->opts, "max_seconds", tr_int(5))),
    };
    if (value_is_int(most)) {
        flags->max_children = tr_int_value(most) == 0 ? TR_MAX_CHILDREN_NONE : tr_int_value(most);
    }
    if (!tr_is_none(as->extra)) {
        flags->extra_arg = &as->extra;
        flags->extra_bytes = sizeof as->extra;
    }
    return TR_OK;
}

bool sup_is_dynamic(tr_term kind)
{
    return value_is(kind, "dsup") || value_is(kind, "tasksup");
}

/* ---- actors ------------------------------------------------------------------------------------------------------ */
static bool is_started_kind(tr_term kind)
{
    return server_is_kind(kind) || value_is(kind, "sm") || value_is(kind, "sup") || value_is(kind, "proc") ||
           value_is(kind, "raw") || value_is(kind, "psup") || sup_is_dynamic(kind) ||
           value_is(kind, "registry") || value_is(kind, "task");
}

actor *sup_actor(tr_term kind, tr_term name, tr_term opts, const char *lane)
{
    if (!is_started_kind(kind)) {
        world_unsupported(value_text(kind));
    }
    actor *made = world_actor(kind, name, opts, lane);
    if (server_is_kind(kind)) {
        server_prepare(made);
    } else if (machine_is(made)) {
        machine_prepare(made);
    } else if (value_is(kind, "sup")) {
        sup_prepare(made);
    } else if (sup_is_dynamic(kind)) {
        made->supervisor = (tr_supervisor){.name = "puppet", .init = dsup_init};
    }
    return made;
}

const char *sup_lane(tr_term map, const char *otherwise)
{
    tr_term lane = value_get(map, "lane");
    if (tr_is_none(lane)) {
        return otherwise;
    }
    return value_is(lane, "own") ? NULL : world_text(value_text(lane));
}

outcome sup_start_opts(tr_term opts, tr_start_opts *start)
{
    tr_term via = value_get(opts, "via");
    tr_term timeout = value_get(opts, "timeout");
    *start = (tr_start_opts){.name = value_get(opts, "reg"),
                             .timeout_ms = value_is_int(timeout) ? tr_int_value(timeout) : 0};
    start->spawn.label = "puppet";
    if (!tr_is_none(via)) {
        start->registry = tr_registry_find(tr_atom_text(value_item(via, 0)));
        if (start->registry == NULL) {
            return outcome_error(tr_atom("%ArgumentError{}"));
        }
        start->key = world_keep(value_item(via, 1));
        start->value = value_count(via) > 2 ? world_keep(value_item(via, 2)) : TR_ATOM(NIL);
    }
    return outcome_value(TR_ATOM(OK));
}

/* ---- child specs ------------------------------------------------------------------------------------------------- */
/* kind raw: no process; a script runs in the supervisor, and its value is what the start function returns. */
static tr_err raw_start(const void *arg, tr_pid *pid, tr_term *info, tr_term *reason)
{
    static const env nothing;
    const actor *as = *(actor *const *)arg;
    outcome result =
        script_run(value_get(as->opts, "do"), &nothing, value_get_or(as->opts, "ret", TR_ATOM(OK)));
    if (outcome_failed(result)) {
        outcome_raise(result);
    }
    tr_term tag = value_item(result.value, 0);
    tr_term second = value_item(result.value, 1);
    if (value_is(result.value, "ignore")) {
        return TR_E_IGNORE;
    }
    if (value_is(tag, "ok") && tr_term_kind_of(second) == TR_TERM_PID) {
        *pid = tr_pid_value(second);
        *info = value_item(result.value, 2);
        return TR_OK;
    }
    bool is_error = value_is(tag, "error") && value_count(result.value) == 2;
    *reason = is_error ? second : result.value;
    return is_error ? TR_E_EXIT : TR_E_BADARG;
}

/* A partition supervisor as a child: the library's own, which also enters the world. */
static tr_err psup_child_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children,
                              size_t *count, tr_term *reason)
{
    const actor *as = *(actor *const *)arg;
    tr_child_spec library;
    (void)world_enter_self(as);
    tr_partition_child_spec(sup_partition_opts(as), as->name, &library);
    return library.supervisor->init(library.arg, flags, children, count, reason);
}

static outcome set_restart(tr_term value, tr_child_spec *spec)
{
    if (tr_is_none(value) || value_is(value, "permanent")) {
        spec->restart = TR_PERMANENT;
    } else if (value_is(value, "transient")) {
        spec->restart = TR_TRANSIENT;
    } else if (value_is(value, "temporary")) {
        spec->restart = TR_TEMPORARY;
    } else {
        return outcome_error(tr_tuple(tr_atom("invalid_restart_type"), value));
    }
    return outcome_value(TR_ATOM(OK));
}

static outcome set_shutdown(tr_term value, tr_child_spec *spec)
{
    if (tr_is_none(value)) {
        spec->shutdown_ms = TR_SHUTDOWN_DEFAULT;
    } else if (value_is(value, "infinity")) {
        spec->shutdown_ms = TR_INFINITY;
    } else if (value_is(value, "brutal_kill")) {
        spec->shutdown_ms = TR_SHUTDOWN_BRUTAL_KILL;
    } else if (value_is_int(value) && tr_int_value(value) >= 0) {
        spec->shutdown_ms = tr_int_value(value) == 0 ? TR_SHUTDOWN_NOW : tr_int_value(value);
    } else {
        return outcome_error(tr_tuple(tr_atom("invalid_shutdown"), value));
    }
    return outcome_value(TR_ATOM(OK));
}

static outcome set_type(tr_term value, tr_child_spec *spec)
{
    if (!tr_is_none(value) && !value_is(value, "worker") && !value_is(value, "supervisor")) {
        return outcome_error(tr_tuple(tr_atom("invalid_child_type"), value));
    }
    spec->type = value_is(value, "supervisor") ? TR_SUPERVISOR : TR_WORKER;
    return outcome_value(TR_ATOM(OK));
}

static void set_start(actor *as, tr_child_spec *spec)
{
    spec->arg = &as->self;
    spec->arg_bytes = sizeof as->self;
    if (server_is_kind(as->kind)) {
        spec->server = server_module(as);
    } else if (machine_is(as)) {
        spec->statem = &as->machine;
    } else if (value_is(as->kind, "sup") || sup_is_dynamic(as->kind)) {
        spec->supervisor = &as->supervisor;
    } else if (value_is(as->kind, "psup")) {
        as->supervisor = (tr_supervisor){.name = "puppet", .init = psup_child_init};
        spec->supervisor = &as->supervisor;
    } else if (value_is(as->kind, "raw")) {
        spec->start_fn = raw_start;
    } else if (value_is(as->kind, "proc")) {
        spec->main = plain_started_main;
        spec->manual_ack = true;
    } else if (value_is(as->kind, "task")) {
        spec->main = task_child_main;
    } else {
        world_unsupported(value_format("a %s as a child", value_text(as->kind)));
    }
}

outcome sup_child_spec(tr_term map, const char *lane, tr_child_spec *spec)
{
    tr_term id = value_get(map, "id");
    tr_term kind = value_get_or(map, "kind", tr_atom("gs"));
    tr_term name = value_get_or(map, "name", tr_is_none(id) ? tr_atom("c") : id);
    tr_term opts = value_get_or(map, "opts", tr_map_n(0, NULL));
    *spec = (tr_child_spec){.id = world_keep(id), .significant = value_flag(map, "significant")};
    actor *as = sup_actor(kind, name, opts, sup_lane(map, lane));
    if (tr_is_none(value_get(map, "raw_start")) && tr_is_none(value_get(map, "raw_nostart"))) {
        set_start(as, spec);
    }
    if (!value_is(kind, "proc")) { /* plain processes do not take names at their start */
        TRY(sup_start_opts(as->opts, &spec->start));
    }
    if (value_is(kind, "psup")) {
        spec->start.name = as->name;
    }
    TRY(set_restart(value_get(map, "restart"), spec));
    TRY(set_shutdown(value_get(map, "shutdown"), spec));
    return set_type(value_get(map, "type"), spec);
}

/* ---- supervisors ------------------------------------------------------------------------------------------------- */
static outcome set_flags(tr_term opts, tr_sup_flags *flags)
{
    tr_term strategy = value_get_or(opts, "strategy", tr_atom("one_for_one"));
    tr_term auto_shutdown = value_get_or(opts, "auto_shutdown", tr_atom("never"));
    tr_term intensity = value_get_or(opts, "intensity", tr_int(1));
    tr_term period = value_get_or(opts, "period", tr_int(5));
    /* The defaults are Erlang's here, not the library's; there 0 stands for its default. */
    int32_t restarts = tr_int_value(intensity) == 0 ? TR_INTENSITY_NONE : (int32_t)tr_int_value(intensity);
    *flags = (tr_sup_flags){.intensity = restarts, .period_s = (int32_t)tr_int_value(period)};
    if (value_is(strategy, "one_for_all")) {
        flags->strategy = TR_ONE_FOR_ALL;
    } else if (value_is(strategy, "rest_for_one")) {
        flags->strategy = TR_REST_FOR_ONE;
    } else if (value_is(strategy, "simple_one_for_one")) {
        flags->strategy = TR_SIMPLE_ONE_FOR_ONE;
    } else if (!value_is(strategy, "one_for_one")) {
        return outcome_error(tr_tuple(tr_atom("invalid_strategy"), strategy));
    }
    flags->auto_shutdown = value_is(auto_shutdown, "any_significant")   ? TR_AUTO_ANY_SIGNIFICANT
                           : value_is(auto_shutdown, "all_significant") ? TR_AUTO_ALL_SIGNIFICANT
                                                                        : TR_AUTO_NEVER;
    return outcome_value(TR_ATOM(OK));
}

/* What init returned cannot be said in C: the supervisor ends with the reason that OTP would give. */
static tr_err stop(tr_term reason, tr_term *out)
{
    *out = reason;
    return TR_E_EXIT;
}

static tr_err bad_return(tr_term value, tr_term *reason)
{
    return stop(tr_tuple(tr_atom("bad_return"), tr_tuple(tr_atom("puppet"), tr_atom("init"), value)), reason);
}

static tr_err sup_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                       tr_term *reason)
{
    const actor *as = *(actor *const *)arg;
    puppet *self = world_enter_self(as);
    self->tree_lane = as->lane;
    trace_log("init");
    tr_term how = world_take_failure(as->name);
    tr_term ret = tr_is_none(how) ? value_get(as->opts, "ret") : how;
    if (value_is(value_item(how, 0), "error")) {
        outcome_raise(outcome_error(value_item(how, 1)));
    }
    if (value_is(ret, "ignore")) {
        return TR_E_IGNORE;
    }
    if (!tr_is_none(ret)) {
        return bad_return(ret, reason);
    }
    outcome good = set_flags(as->opts, flags);
    if (outcome_failed(good)) {
        return stop(tr_tuple(tr_atom("supervisor_data"), good.value), reason);
    }
    const char *lane = flags->strategy == TR_SIMPLE_ONE_FOR_ONE ? NULL : as->lane;
    tr_term specs = value_get(as->opts, "children");
    tr_child_spec *made = world_alloc((value_count(specs) + 1) * sizeof *made);
    for (size_t i = 0; i < value_count(specs); i++) {
        good = sup_child_spec(value_item(specs, i), lane, &made[i]);
        if (outcome_failed(good)) {
            return stop(tr_tuple(tr_atom("start_spec"), good.value), reason);
        }
        if (flags->strategy == TR_SIMPLE_ONE_FOR_ONE) {
            made[i].arg = NULL; /* start_child brings the whole argument */
            made[i].arg_bytes = 0;
        }
    }
    *children = made;
    *count = value_count(specs);
    return TR_OK;
}

void sup_prepare(actor *as)
{
    as->supervisor = (tr_supervisor){.name = "puppet", .init = sup_init};
    if (as->lane == NULL) {
        as->lane = world_text(value_text(as->name)); /* its tree's lane has the name of the supervisor */
    }
}

/* ---- partition supervisors --------------------------------------------------------------------------------------- */
/* Partition I starts the puppet NAMEI. */
static size_t numbered(uint32_t partition, const void *arg, void *out, size_t bytes)
{
    const actor *as = *(actor *const *)arg;
    tr_term name = tr_atom(value_format("%s%u", value_text(as->name), partition));
    actor *one = sup_actor(as->kind, name, as->opts, as->lane);
    TR_ASSERT(bytes >= sizeof one->self);
    memcpy(out, &one->self, sizeof one->self);
    return sizeof one->self;
}

const tr_partition_opts *sup_partition_opts(const actor *as)
{
    tr_partition_opts *made = world_alloc(sizeof *made);
    tr_term restarts = value_get_or(as->opts, "max_restarts", tr_int(3));
    tr_term seconds = value_get_or(as->opts, "max_seconds", tr_int(5));
    made->partitions = (uint32_t)tr_int_value(value_get_or(as->opts, "partitions", tr_int(0)));
    made->flags = (tr_sup_flags){.intensity = (int32_t)tr_int_value(restarts),
                                 .period_s = (int32_t)tr_int_value(seconds)};
    made->with_arguments = value_flag(as->opts, "with_arguments") ? numbered : NULL;
    outcome good = sup_child_spec(value_get(as->opts, "child"), NULL, &made->child);
    if (outcome_failed(good)) {
        world_unsupported(value_text(good.value));
    }
    return made;
}
