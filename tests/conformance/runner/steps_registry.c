/* steps_registry.c: ["reg", WHAT, REGISTRY, ...] for registries with unique keys. */
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

static outcome lookup(tr_registry *registry, tr_term key)
{
    tr_term value = TR_TERM_NONE_VALUE;
    tr_pid owner = tr_registry_lookup(registry, key, &value);
    if (owner == TR_NO_PID) {
        return outcome_value(tr_list_n(0, NULL));
    }
    return outcome_value(tr_list(tr_tuple(tr_pid_term(owner), value)));
}

/* ["reg", "dispatch", R, K, X]: X goes to the holder of the key. */
static outcome dispatch(tr_registry *registry, const step_args *args)
{
    outcome entries = lookup(registry, args->item[2]);
    if (value_count(entries.value) > 0) {
        tr_term entry = value_item(entries.value, 0);
        env in = {.value = value_item(entry, 1)};
        trace_log("dispatch %s", value_text(entries.value));
        outcome message = eval(args->item[3], &in);
        TRY(message);
        (void)tr_send_term(tr_to(tr_pid_value(value_item(entry, 0))), message.value);
    }
    return outcome_value(TR_ATOM(OK));
}

/* What one process holds. */
typedef struct holdings {
    tr_pid owner;
    tr_term key; /* none: all keys are wanted; else the values under this one */
    size_t count;
    tr_term items[VALUE_ITEMS_MAX];
} holdings;

static bool collect(tr_term key, tr_term value, tr_pid owner, void *ctx)
{
    holdings *found = ctx;
    bool wanted = tr_is_none(found->key) || tr_term_equal(found->key, key);
    if (owner == found->owner && wanted && found->count < VALUE_ITEMS_MAX) {
        found->items[found->count] = value_copy(tr_is_none(found->key) ? key : value);
        found->count++;
    }
    return true;
}

static outcome held(tr_registry *registry, tr_term key, tr_term name)
{
    holdings *found = tr_scratch_alloc(sizeof *found);
    found->key = key;
    found->count = 0;
    TRY(step_pid(name, &found->owner));
    tr_registry_each(registry, collect, found);
    return outcome_value(value_sorted(found->count, found->items));
}

static outcome do_reg(const step_args *args)
{
    const char *what = tr_atom_text(args->item[0]);
    tr_registry *registry = tr_registry_find(tr_atom_text(args->item[1]));
    if (registry == NULL) {
        return outcome_error(tr_atom("%ArgumentError{}"));
    }
    if (strcmp(what, "register") == 0) {
        return register_key(registry, args);
    }
    if (strcmp(what, "unregister") == 0) {
        tr_registry_unregister(registry, step_arg(args, 2));
        return outcome_value(TR_ATOM(OK));
    }
    if (strcmp(what, "lookup") == 0) {
        return lookup(registry, step_arg(args, 2));
    }
    if (strcmp(what, "dispatch") == 0 && args->count == 4) {
        return dispatch(registry, args);
    }
    if (strcmp(what, "keys") == 0) {
        return held(registry, TR_TERM_NONE_VALUE, step_arg(args, 2));
    }
    if (strcmp(what, "values") == 0) {
        return held(registry, step_arg(args, 2), step_arg(args, 3));
    }
    if (strcmp(what, "count") == 0) {
        return outcome_value(tr_int((int64_t)tr_registry_count(registry)));
    }
    if (strcmp(what, "whereis") == 0) {
        tr_pid owner = tr_registry_lookup(registry, step_arg(args, 2), NULL);
        return outcome_value(owner == TR_NO_PID ? TR_ATOM(UNDEFINED) : tr_pid_term(owner));
    }
    world_unsupported(value_format("reg %s", what));
}

const step_verb steps_registry[] = {
    {"reg", 2, 4, do_reg},
    {NULL, 0, 0, NULL},
};
