/* steps_timer.c: timers and intervals. */
#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/trace.h"
#include "tests/conformance/runner/world.h"

typedef tr_ref (*set_timer)(int64_t ms, tr_dest dest, tr_msg *msg);

/* T, MS, D, X: sets a timer or an interval with a message. */
static outcome set(const step_args *args, set_timer how, tr_ref *ref)
{
    tr_dest dest;
    tr_term message;
    TRY(step_dest(args->item[2], &dest));
    TRY(step_eval(args, 3, &message));
    *ref = how(tr_int_value(args->item[1]), dest, value_message(message));
    return outcome_value(TR_ATOM(OK));
}

static outcome named_timer(const step_args *args, set_timer how)
{
    tr_ref ref;
    outcome result = set(args, how, &ref);
    TRY(result);
    world_put(NAME_REF, args->item[0], tr_ref_term(ref));
    return result;
}

static outcome do_send_after(const step_args *args)
{
    return named_timer(args, tr_send_after);
}

static outcome do_start_timer(const step_args *args)
{
    return named_timer(args, tr_start_timer);
}

static outcome do_send_interval(const step_args *args)
{
    tr_ref ref;
    outcome result = set(args, tr_send_interval, &ref);
    TRY(result);
    world_put(NAME_INTERVAL, args->item[0], tr_ref_term(ref));
    return result;
}

static outcome left(const step_args *args, int64_t (*ask)(tr_ref timer))
{
    tr_term ref = world_get(NAME_REF, args->item[0]);
    if (tr_is_none(ref)) {
        return outcome_error(TR_ATOM(BADARG));
    }
    return outcome_value(ask(tr_ref_value(ref)) < 0 ? TR_ATOM(FALSE) : tr_atom("left"));
}

static outcome do_cancel_timer(const step_args *args)
{
    return left(args, tr_cancel_timer);
}

static outcome do_read_timer(const step_args *args)
{
    return left(args, tr_read_timer);
}

static outcome do_exit_after(const step_args *args)
{
    tr_dest dest;
    tr_term reason;
    TRY(step_dest(args->item[2], &dest));
    TRY(step_eval(args, 3, &reason));
    tr_ref ref = tr_exit_after(tr_int_value(args->item[1]), dest, reason);
    world_put(NAME_INTERVAL, args->item[0], tr_ref_term(ref));
    return outcome_value(TR_ATOM(OK));
}

static outcome do_kill_after(const step_args *args)
{
    tr_dest dest;
    TRY(step_dest(args->item[2], &dest));
    tr_ref ref = tr_kill_after(tr_int_value(args->item[1]), dest);
    world_put(NAME_INTERVAL, args->item[0], tr_ref_term(ref));
    return outcome_value(TR_ATOM(OK));
}

static void applied(const void *arg)
{
    trace_add("~apply", "apply", value_text(*(const tr_term *)arg));
}

static outcome do_apply_after(const step_args *args)
{
    tr_term value;
    TRY(step_eval(args, 2, &value));
    value = world_keep(value); /* the argument is copied as it is, so what it points to must stay */
    tr_ref ref = tr_apply_after(tr_int_value(args->item[1]), applied, &value, sizeof value);
    world_put(NAME_INTERVAL, args->item[0], tr_ref_term(ref));
    return outcome_value(TR_ATOM(OK));
}

static outcome do_cancel_interval(const step_args *args)
{
    tr_term ref = world_get(NAME_INTERVAL, args->item[0]);
    if (tr_is_none(ref)) {
        return outcome_error(TR_ATOM(BADARG));
    }
    if (tr_cancel_interval(tr_ref_value(ref)) != TR_OK) {
        return outcome_value(tr_tuple(TR_ATOM(ERROR), TR_ATOM(BADARG)));
    }
    return outcome_value(tr_tuple(TR_ATOM(OK), tr_atom("cancel")));
}

const step_verb steps_timer[] = {
    {"send_after", 4, 4, do_send_after},           {"start_timer", 4, 4, do_start_timer},
    {"send_interval", 4, 4, do_send_interval},     {"cancel_timer", 1, 1, do_cancel_timer},
    {"read_timer", 1, 1, do_read_timer},           {"exit_after", 4, 4, do_exit_after},
    {"kill_after", 3, 3, do_kill_after},           {"apply_after", 3, 3, do_apply_after},
    {"cancel_interval", 1, 1, do_cancel_interval}, {NULL, 0, 0, NULL},
};
