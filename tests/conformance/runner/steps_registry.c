/* steps_registry.c: ["reg", WHAT, REGISTRY, ...]. */
#include <string.h>

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/trace.h"
#include "tests/conformance/runner/world.h"

static outcome register_key(tr_registry *registry, const step_args *args)
{
    tr_term value;
    tr_pid owner = TR_NO_PID;
    TRY(step_eval(args, 3, &value));
    if (tr_registry_register(registry, args->item[2], value, &owner) != TR_OK) {
        return outcome_value(
            tr_tuple(TR_ATOM(ERROR), tr_tuple(tr_atom("already_registered"), tr_pid_term(owner))));
    }
    return outcome_value(TR_ATOM(OK));
}

static outcome unregister(tr_registry *registry, const step_args *args)
{
    tr_registry_unregister(registry, args->item[2]);
    return outcome_value(TR_ATOM(OK));
}

/* [{Pid, Value}, ...], sorted */
static tr_term entries_term(const tr_registry_entry *entries, size_t count)
{
    tr_term *items = tr_scratch_alloc((count + 1) * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i] = tr_tuple(tr_pid_term(entries[i].pid), entries[i].value);
    }
    return value_sorted(count, items);
}

static outcome lookup(tr_registry *registry, const step_args *args)
{
    size_t count;
    const tr_registry_entry *entries = tr_registry_entries(registry, args->item[2], &count);
    return outcome_value(entries_term(entries, count));
}

/* ["reg", "dispatch", R, K, X]: X goes to each holder of the key. */
static void dispatch_entries(const tr_registry_entry *entries, size_t count, const void *arg)
{
    const step_args *args = arg;
    trace_log("dispatch %s", value_text(entries_term(entries, count)));
    for (size_t i = 0; i < count; i++) {
        outcome message = eval(args->item[3], &(env){.value = entries[i].value});
        if (outcome_failed(message)) {
            outcome_raise(message);
        }
        (void)tr_send_term(tr_to(entries[i].pid), message.value);
    }
}

static outcome dispatch(tr_registry *registry, const step_args *args)
{
    tr_registry_dispatch(registry, args->item[2], dispatch_entries, args);
    return outcome_value(TR_ATOM(OK));
}

static outcome keys(tr_registry *registry, const step_args *args)
{
    tr_pid pid;
    size_t count;
    TRY(step_pid(args->item[2], &pid));
    const tr_term *found = tr_registry_keys_list(registry, pid, &count);
    return outcome_value(value_sorted(count, found));
}

static outcome values(tr_registry *registry, const step_args *args)
{
    tr_pid pid;
    size_t count;
    TRY(step_pid(args->item[3], &pid));
    const tr_term *found = tr_registry_values(registry, args->item[2], pid, &count);
    return outcome_value(value_sorted(count, found));
}

static outcome count(tr_registry *registry, const step_args *args)
{
    (void)args;
    return outcome_value(tr_int((int64_t)tr_registry_count(registry)));
}

static outcome whereis(tr_registry *registry, const step_args *args)
{
    tr_pid owner = tr_whereis(tr_to_via(registry, args->item[2]));
    return outcome_value(owner == TR_NO_PID ? TR_ATOM(UNDEFINED) : tr_pid_term(owner));
}

typedef struct update {
    tr_term expression;
    outcome result;
} update;

static tr_term updated(tr_term old, void *ctx)
{
    update *of = ctx;
    of->result = eval(of->expression, &(env){.state = old});
    return outcome_failed(of->result) ? old : of->result.value;
}

static outcome update_value(tr_registry *registry, const step_args *args)
{
    tr_term fresh;
    tr_term old;
    update of = {.expression = args->item[3], .result = outcome_value(TR_ATOM(OK))};
    tr_err err = tr_registry_update_value(registry, args->item[2], updated, &of, &fresh, &old);
    TRY(of.result);
    return outcome_value(err == TR_OK ? tr_tuple(fresh, old) : TR_ATOM(ERROR));
}

static outcome match(tr_registry *registry, const step_args *args)
{
    size_t n;
    tr_pattern pattern = {.term = args->item[3]};
    const tr_registry_entry *entries = tr_registry_match(registry, args->item[2], &pattern, &n);
    return outcome_value(entries_term(entries, n));
}

static outcome count_match(tr_registry *registry, const step_args *args)
{
    tr_pattern pattern = {.term = args->item[3]};
    return outcome_value(tr_int((int64_t)tr_registry_count_match(registry, args->item[2], &pattern)));
}

static outcome unregister_match(tr_registry *registry, const step_args *args)
{
    tr_registry_unregister_match(registry, args->item[2], &(tr_pattern){.term = args->item[3]});
    return outcome_value(TR_ATOM(OK));
}

static outcome meta(tr_registry *registry, const step_args *args)
{
    tr_term value;
    tr_err err = tr_registry_meta(registry, args->item[2], &value);
    return outcome_value(err == TR_OK ? tr_tuple(TR_ATOM(OK), value) : TR_ATOM(ERROR));
}

static outcome put_meta(tr_registry *registry, const step_args *args)
{
    tr_term value;
    TRY(step_eval(args, 3, &value));
    (void)tr_registry_put_meta(registry, args->item[2], value);
    return outcome_value(TR_ATOM(OK));
}

static const struct {
    const char *what;
    size_t count; /* of arguments, with WHAT and REGISTRY */
    outcome (*run)(tr_registry *registry, const step_args *args);
} commands[] = {
    {"register", 4, register_key},
    {"unregister", 3, unregister},
    {"lookup", 3, lookup},
    {"dispatch", 4, dispatch},
    {"keys", 3, keys},
    {"values", 4, values},
    {"count", 2, count},
    {"whereis", 3, whereis},
    {"update_value", 4, update_value},
    {"match", 4, match},
    {"count_match", 4, count_match},
    {"unregister_match", 4, unregister_match},
    {"meta", 3, meta},
    {"put_meta", 4, put_meta},
};

static outcome do_reg(const step_args *args)
{
    const char *what = tr_atom_text(args->item[0]);
    tr_registry *registry = tr_registry_find(tr_atom_text(args->item[1]));
    if (registry == NULL) {
        return outcome_error(tr_atom("%ArgumentError{}"));
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(what, commands[i].what) == 0 && args->count == commands[i].count) {
            return commands[i].run(registry, args);
        }
    }
    world_unsupported(value_format("reg %s", what));
}

const step_verb steps_registry[] = {
    {"reg", 2, 4, do_reg},
    {NULL, 0, 0, NULL},
};
