/* steps_gen.c: calls, casts, requests, replies, stopping, agents. */
#include <string.h>

#include "tests/conformance/runner/server.h"
#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/world.h"

/* The reason of a failed call as the library's front end wraps it: {Reason, {Module, Function, Args}}. */
static outcome wrapped(tr_term reason, const char *module, const char *function)
{
    tr_term where = tr_tuple(tr_atom(module), tr_atom(function), tr_list_n(0, NULL));
    return outcome_exit(tr_tuple(reason, where));
}

static int64_t timeout_arg(const step_args *args, size_t i)
{
    tr_term timeout = step_arg(args, i);
    return tr_is_none(timeout) ? TR_CALL_TIMEOUT_MS : value_ms(timeout);
}

static tr_term taken(tr_msg *reply)
{
    tr_term value = value_copy(value_payload(reply));
    tr_msg_drop(reply);
    return value;
}

static outcome call(tr_dest dest, tr_term request, int64_t timeout_ms, const char *module)
{
    tr_msg *reply;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_err err = tr_gen_server_call(dest, value_message(request), timeout_ms, &reply, &reason);
    return err == TR_OK ? outcome_value(taken(reply)) : wrapped(reason, module, "call");
}

static outcome call_step(const step_args *args, const char *module)
{
    tr_dest dest;
    tr_term request;
    TRY(step_dest(args->item[0], &dest));
    TRY(step_eval(args, 1, &request));
    return call(dest, request, timeout_arg(args, 2), module);
}

static outcome do_call(const step_args *args)
{
    return call_step(args, "gen_server");
}

static outcome do_ex_call(const step_args *args)
{
    return call_step(args, "GenServer");
}

static outcome do_smcall(const step_args *args)
{
    tr_dest dest;
    tr_term request;
    TRY(step_dest(args->item[0], &dest));
    TRY(step_eval(args, 1, &request));
    return call(dest, request, value_ms(step_arg(args, 2)), "gen_statem");
}

static outcome do_cast(const step_args *args)
{
    tr_dest dest;
    tr_term message;
    TRY(step_dest(args->item[0], &dest));
    TRY(step_eval(args, 1, &message));
    (void)tr_gen_server_cast(dest, value_message(message));
    return outcome_value(TR_ATOM(OK));
}

static outcome do_save_from(const step_args *args)
{
    if (tr_is_none(args->in->from)) {
        return outcome_error(tr_tuple(tr_atom("badkey"), tr_atom("from")));
    }
    world_put(NAME_VAR, args->item[0], args->in->from);
    return outcome_value(TR_ATOM(OK));
}

static outcome do_reply(const step_args *args)
{
    tr_term from = world_get(NAME_VAR, args->item[0]);
    tr_term value;
    if (tr_term_kind_of(from) != TR_TERM_REF) {
        return outcome_error(TR_ATOM(BADARG));
    }
    TRY(step_eval(args, 1, &value));
    TR_ANSWER((tr_from){tr_ref_value(from)}, tr_term_msg, .value = value);
    return outcome_value(TR_ATOM(OK));
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */
static outcome do_send_request(const step_args *args)
{
    tr_dest dest;
    tr_term request;
    TRY(step_dest(args->item[1], &dest));
    TRY(step_eval(args, 2, &request));
    tr_ref ref = tr_send_request(dest, value_message(request));
    world_put(NAME_REQUEST, args->item[0], tr_ref_term(ref));
    return outcome_value(TR_ATOM(OK));
}

static outcome response(const step_args *args, tr_err (*wait)(tr_ref, int64_t, tr_msg **, tr_term *))
{
    tr_term request = world_get(NAME_REQUEST, args->item[0]);
    tr_msg *reply;
    tr_term reason = TR_TERM_NONE_VALUE;
    if (tr_is_none(request)) {
        return outcome_error(TR_ATOM(BADARG));
    }
    tr_err err = wait(tr_ref_value(request), value_ms(args->item[1]), &reply, &reason);
    if (err == TR_OK) {
        return outcome_value(tr_tuple(tr_atom("reply"), taken(reply)));
    }
    return outcome_value(err == TR_E_TIMEOUT ? TR_ATOM(TIMEOUT) : tr_tuple(TR_ATOM(ERROR), reason));
}

static outcome do_wait_response(const step_args *args)
{
    return response(args, tr_wait_response);
}

static outcome do_receive_response(const step_args *args)
{
    return response(args, tr_receive_response);
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */
static outcome stop(tr_dest dest, tr_term reason, int64_t timeout_ms)
{
    tr_term actual = TR_TERM_NONE_VALUE;
    switch (tr_gen_server_stop(dest, reason, timeout_ms, &actual)) {
    case TR_OK:
        return outcome_value(TR_ATOM(OK));
    case TR_E_NOPROC:
        return outcome_exit(TR_ATOM(NOPROC));
    case TR_E_TIMEOUT:
        return outcome_exit(TR_ATOM(TIMEOUT));
    default:
        return outcome_exit(actual);
    }
}

/* The reason, when there is one, is argument 1. */
static outcome stop_step(const step_args *args, int64_t timeout_ms, bool elixir)
{
    tr_dest dest;
    tr_term reason = TR_ATOM(NORMAL);
    TRY(step_dest(args->item[0], &dest));
    if (args->count > 1) {
        TRY(step_eval(args, 1, &reason));
    }
    outcome result = stop(dest, reason, timeout_ms);
    return elixir && outcome_failed(result) ? wrapped(result.value, "GenServer", "stop") : result;
}

static outcome do_stop(const step_args *args)
{
    return stop_step(args, value_ms(step_arg(args, 2)), false);
}

static outcome do_ex_stop(const step_args *args)
{
    return stop_step(args, TR_INFINITY, true);
}

/* ---- agents: the function travels as an expression of the state --------------------------------------------------- */
static outcome ask_agent(const step_args *args, const char *what)
{
    tr_dest dest;
    tr_term value;
    tr_term reason = TR_TERM_NONE_VALUE;
    TRY(step_dest(args->item[0], &dest));
    tr_err err = server_agent_call(dest, what, args->item[1], timeout_arg(args, 2), &value, &reason);
    return err == TR_OK ? outcome_value(value) : wrapped(reason, "GenServer", "call");
}

static outcome do_aget(const step_args *args)
{
    return ask_agent(args, "get");
}

static outcome do_aupdate(const step_args *args)
{
    return ask_agent(args, "update");
}

static outcome do_agau(const step_args *args)
{
    return ask_agent(args, "get_and_update");
}

static outcome do_acast(const step_args *args)
{
    tr_dest dest;
    TRY(step_dest(args->item[0], &dest));
    server_agent_cast(dest, args->item[1]);
    return outcome_value(TR_ATOM(OK));
}

const step_verb steps_gen[] = {
    {"call", 2, 3, do_call},
    {"ex_call", 3, 3, do_ex_call},
    {"cast", 2, 2, do_cast},
    {"smcall", 2, 3, do_smcall},
    {"smcast", 2, 2, do_cast},
    {"save_from", 1, 1, do_save_from},
    {"reply", 2, 2, do_reply},
    {"send_request", 3, 3, do_send_request},
    {"wait_response", 2, 2, do_wait_response},
    {"receive_response", 2, 2, do_receive_response},
    {"stop", 1, 3, do_stop},
    {"ex_stop", 1, 1, do_ex_stop},
    {"aget", 2, 3, do_aget},
    {"aupdate", 2, 3, do_aupdate},
    {"agau", 2, 2, do_agau},
    {"acast", 2, 2, do_acast},
    {"astop", 1, 2, do_ex_stop},
    {NULL, 0, 0, NULL},
};
