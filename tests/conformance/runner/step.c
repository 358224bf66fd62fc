/* step.c: finding and running steps, scripts, destinations. */
#include "tests/conformance/runner/step.h"

#include <stdio.h>
#include <string.h>

#include "tests/conformance/runner/trace.h"
#include "tests/conformance/runner/world.h"

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */
/* An error's reason comes with a stack trace, so error(normal) is no normal end; error(shutdown) is a clean one for all
 * that, as on the BEAM: no tr_error, which is stricter. Traces do not show the stack. */
static TR_NORETURN void crash(tr_term reason)
{
    tr_term nothing = tr_list_n(0, NULL);
    tr_term frame = tr_tuple(tr_atom("puppet"), tr_atom("step"), tr_int(2), nothing);
    tr_exit(tr_tuple(reason, tr_list(frame)));
}

void outcome_raise(outcome failed)
{
    switch (failed.kind) {
    case OUTCOME_EXIT:
        tr_exit(failed.value);
    case OUTCOME_THROW:
        crash(tr_tuple(TR_ATOM(NOCATCH), failed.value));
    default:
        crash(failed.value);
    }
}

const char *outcome_class(outcome failed)
{
    return failed.kind == OUTCOME_EXIT ? "exit" : failed.kind == OUTCOME_THROW ? "throw" : "error";
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */
static const step_verb *find_verb(const char *verb)
{
    static const step_verb *const tables[] = {steps_control,    steps_process,  steps_timer,
                                              steps_gen,        steps_sys,      steps_start,
                                              steps_supervisor, steps_registry, steps_task};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const step_verb *each = tables[i]; each->verb != NULL; each++) {
            if (strcmp(each->verb, verb) == 0) {
                return each;
            }
        }
    }
    return NULL;
}

static outcome bad_step(tr_term step)
{
    trace_bad_step(value_text(step));
    return outcome_exit(tr_tuple(tr_atom("bad_step"), value_item(step, 0)));
}

outcome step_run(tr_term step, const env *in)
{
    tr_term verb = value_item(step, 0);
    if (!tr_is_atom(verb)) {
        return bad_step(step);
    }
    const step_verb *found = find_verb(tr_atom_text(verb));
    step_args args = {.count = value_count(step) - 1, .item = tr_term_items(step) + 1, .in = in};
    if (found != NULL && args.count >= found->least && args.count <= found->most) {
        return found->run(&args);
    }
    return bad_step(step);
}

outcome step_eval(const step_args *args, size_t i, tr_term *value)
{
    outcome result = eval(step_arg(args, i), args->in);
    if (!outcome_failed(result)) {
        *value = result.value;
    }
    return result;
}

/* ---- scripts ----------------------------------------------------------------------------------------------------- */
static outcome run_steps(const tr_term *steps, size_t count, const env *in, tr_term otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (value_is(value_item(steps[i], 0), "ret")) {
            return eval(value_item(steps[i], 1), in);
        }
        TRY(step_run(steps[i], in));
    }
    return outcome_value(otherwise);
}

outcome script_run(tr_term script, const env *in, tr_term otherwise)
{
    if (value_count(script) == 0) {
        return outcome_value(otherwise);
    }
    if (tr_is_atom(value_item(script, 0))) {
        return run_steps(&script, 1, in, otherwise);
    }
    return run_steps(tr_term_items(script), value_count(script), in, otherwise);
}

outcome script_run_message(tr_term message, const env *in, tr_term otherwise)
{
    return run_steps(tr_term_items(message) + 1, value_count(message) - 1, in, otherwise);
}

/* What a message is filed under in `on`. */
static const char *tag_of(tr_term message)
{
    if (value_is_tuple(message) && tr_is_atom(value_item(message, 0))) {
        message = value_item(message, 0);
    }
    if (tr_is_atom(message)) {
        return tr_atom_text(message);
    }
    return value_is_int(message) ? value_text(message) : "_";
}

tr_term script_for(tr_term opts, const char *kind, tr_term message)
{
    tr_term on = value_get(opts, "on");
    const char *tag = tag_of(message);
    const char *keys[] = {value_format("%s:%s", kind, tag), tag, value_format("%s:_", kind), "_"};
    for (size_t i = 0; i < 4; i++) {
        tr_term found = strlen(keys[i]) < 256 ? value_get(on, keys[i]) : TR_TERM_NONE_VALUE;
        if (!tr_is_none(found)) {
            return found;
        }
    }
    return TR_TERM_NONE_VALUE;
}

/* ---- destinations ------------------------------------------------------------------------------------------------ */
static outcome from_value(tr_term value, tr_dest *dest)
{
    if (value_is_tuple(value) && value_is(value_item(value, 0), "ok")) {
        value = value_item(value, 1); /* what a start returned */
    }
    switch (tr_term_kind_of(value)) {
    case TR_TERM_PID:
        *dest = tr_to(tr_pid_value(value));
        return outcome_value(TR_ATOM(OK));
    case TR_TERM_REF:
        *dest = tr_to_alias(tr_ref_value(value));
        return outcome_value(TR_ATOM(OK));
    case TR_TERM_ATOM:
        *dest = tr_to_name(value);
        return outcome_value(TR_ATOM(OK));
    default:
        return outcome_error(TR_ATOM(BADARG));
    }
}

static outcome from_puppet(const puppet *found, tr_term name, tr_dest *dest)
{
    if (found == NULL) {
        return outcome_exit(tr_tuple(tr_atom("unknown_puppet"), name));
    }
    *dest = tr_to(found->pid);
    return outcome_value(TR_ATOM(OK));
}

static outcome from_via(tr_term name, tr_dest *dest)
{
    tr_registry *registry = tr_registry_find(tr_atom_text(value_item(name, 1)));
    if (registry == NULL) {
        return outcome_error(tr_atom("%ArgumentError{}"));
    }
    *dest = tr_to_via(registry, value_item(name, 2));
    return outcome_value(TR_ATOM(OK));
}

outcome step_no_partitions(tr_term name)
{
    tr_term where = tr_tuple(tr_atom("PartitionSupervisor"), tr_atom("partitions"), tr_list(name));
    return outcome_exit(tr_tuple(TR_ATOM(NOPROC), where));
}

/* Elixir asks how many partitions there are before it asks for one. */
static outcome from_partition(tr_term name, tr_term key, tr_dest *dest)
{
    if (tr_partition_count(name) == 0) {
        return step_no_partitions(name);
    }
    *dest = tr_to(tr_partition_whereis(name, key));
    return outcome_value(TR_ATOM(OK));
}

outcome step_dest(tr_term name, tr_dest *dest)
{
    tr_term kind = value_item(name, 0);
    tr_term first = value_item(name, 1);
    tr_term second = value_item(name, 2);
    if (value_is(name, "self")) {
        *dest = tr_to(tr_self());
        return outcome_value(TR_ATOM(OK));
    }
    if (tr_is_atom(name)) {
        return from_puppet(world_by_name(name), name, dest);
    }
    if (value_is(kind, "name")) {
        *dest = tr_to_name(first);
        return outcome_value(TR_ATOM(OK));
    }
    if (value_is(kind, "via")) {
        return from_via(name, dest);
    }
    if (value_is(kind, "part")) {
        return from_partition(first, second, dest);
    }
    if (value_is(kind, "alias")) {
        return from_value(world_get(NAME_ALIAS, first), dest);
    }
    if (value_is(kind, "inc")) {
        const puppet *found = value_is_int(second) ? world_by_incarnation(first, tr_int_value(second)) : NULL;
        return found == NULL ? outcome_error(TR_ATOM(BADARG)) : from_puppet(found, name, dest);
    }
    if (value_is(kind, "var") || value_is(kind, "$var")) {
        return from_value(world_get(NAME_VAR, first), dest);
    }
    if (value_is(kind, "$pid")) {
        return step_dest(first, dest);
    }
    return from_value(name, dest);
}

outcome step_pid(tr_term name, tr_pid *pid)
{
    tr_dest dest;
    TRY(step_dest(name, &dest));
    *pid = dest.kind == TR_TO_PID ? dest.pid : tr_whereis(dest);
    return *pid == TR_NO_PID ? outcome_error(TR_ATOM(BADARG)) : outcome_value(TR_ATOM(OK));
}

/* ---- steps about steps ------------------------------------------------------------------------------------------- */
static outcome raise_step(const step_args *args, outcome_kind kind)
{
    tr_term reason;
    TRY(step_eval(args, 0, &reason));
    return (outcome){kind, reason};
}

static outcome do_exit(const step_args *args)
{
    return raise_step(args, OUTCOME_EXIT);
}

static outcome do_error(const step_args *args)
{
    return raise_step(args, OUTCOME_ERROR);
}

static outcome do_throw(const step_args *args)
{
    return raise_step(args, OUTCOME_THROW);
}

static outcome do_catch(const step_args *args)
{
    outcome result = step_run(args->item[0], args->in);
    if (outcome_failed(result)) {
        return outcome_value(tr_tuple(tr_atom(outcome_class(result)), result.value));
    }
    return result;
}

static outcome do_as(const step_args *args)
{
    outcome result = step_run(args->item[1], args->in);
    TRY(result);
    world_put(NAME_VAR, args->item[0], result.value);
    return result;
}

static outcome do_put(const step_args *args)
{
    tr_term value;
    TRY(step_eval(args, 1, &value));
    world_put(NAME_VAR, args->item[0], value);
    return outcome_value(TR_ATOM(TRUE));
}

static outcome do_repeat(const step_args *args)
{
    outcome result = outcome_error(TR_ATOM(FUNCTION_CLAUSE));
    for (int64_t i = tr_int_value(args->item[0]); i > 0; i--) {
        result = step_run(args->item[1], args->in);
        TRY(result);
    }
    return result;
}

static outcome do_log(const step_args *args)
{
    tr_term value;
    TRY(step_eval(args, 0, &value));
    trace_log("log %s", value_text(value));
    return outcome_value(TR_ATOM(OK));
}

static outcome old_value(tr_term old)
{
    return outcome_value(tr_is_none(old) ? TR_ATOM(UNDEFINED) : old);
}

static outcome do_pput(const step_args *args)
{
    tr_term value;
    TRY(step_eval(args, 1, &value));
    return old_value(tr_put(args->item[0], value));
}

static outcome do_pget(const step_args *args)
{
    return old_value(tr_get(args->item[0]));
}

const step_verb steps_control[] = {
    {"exit", 1, 1, do_exit},     {"error", 1, 1, do_error}, {"throw", 1, 1, do_throw},
    {"catch", 1, 1, do_catch},   {"as", 2, 2, do_as},       {"put", 2, 2, do_put},
    {"repeat", 2, 2, do_repeat}, {"log", 1, 1, do_log},     {"pput", 2, 2, do_pput},
    {"pget", 1, 1, do_pget},     {NULL, 0, 0, NULL},
};
