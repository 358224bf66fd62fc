/* server.c: gen_server callbacks that interpret scripts. */
#include "tests/conformance/runner/server.h"

#include <string.h>

#include "tests/conformance/runner/callback.h"
#include "tests/conformance/runner/machine.h"
#include "tests/conformance/runner/trace.h"

typedef callback_self server;

outcome server_replace_state(void *self, tr_term expression)
{
    server *of = self;
    if (machine_is(of->as)) {
        return machine_replace_state(self, expression);
    }
    env in = {.state = of->state};
    outcome value = eval(expression, &in);
    TRY(value);
    callback_set_state(of, value.value);
    return outcome_value(value_copy(of->state));
}

/* ---- what callbacks return --------------------------------------------------------------------------------------- */
static tr_next bad_return(tr_term value)
{
    return (tr_next){.kind = TR_NEXT_BAD, .reason = value};
}

/* The last element of {noreply, S, X} and its kin: a time, hibernate, or {continue, C}. */
static tr_next with_rest(tr_next next, tr_term rest)
{
    if (value_is_int(rest)) {
        return tr_next_timeout(next, tr_int_value(rest));
    }
    if (value_is(rest, "hibernate")) {
        return tr_next_hibernate(next);
    }
    if (value_is(value_item(rest, 0), "continue")) {
        return tr_next_continue(next, value_message(value_item(rest, 1)));
    }
    return next;
}

/* Goes on with the state at this place of the tuple. */
static tr_next go_on(server *self, tr_term value, size_t place)
{
    callback_set_state(self, value_item(value, place));
    return with_rest(TR_NOREPLY, value_item(value, place + 1));
}

static tr_next decode_init(server *self, tr_term value)
{
    tr_term tag = value_item(value, 0);
    size_t count = value_count(value);
    if (value_is(tag, "ok") && (count == 2 || count == 3)) {
        return go_on(self, value, 1);
    }
    if (value_is(tag, "stop") && count == 2) {
        return TR_STOP(value_item(value, 1));
    }
    return value_is(value, "ignore") ? TR_IGNORE_START : bad_return(value);
}

static tr_next decode(server *self, tr_term value, const tr_from *from)
{
    tr_term tag = value_item(value, 0);
    size_t count = value_is_tuple(value) ? value_count(value) : 0;
    if (value_is(tag, "noreply") && (count == 2 || count == 3)) {
        return go_on(self, value, 1);
    }
    if (value_is(tag, "reply") && (count == 3 || count == 4) && from != NULL) {
        tr_next next = go_on(self, value, 2);
        TR_ANSWER(*from, tr_term_msg, .value = value_item(value, 1));
        next.replied = true; /* as TR_REPLY does */
        return next;
    }
    if (value_is(tag, "stop") && count == 3) {
        callback_set_state(self, value_item(value, 2));
        return TR_STOP(value_item(value, 1));
    }
    if (value_is(tag, "stop") && count == 4 && from != NULL) {
        callback_set_state(self, value_item(value, 3));
        return TR_STOP_REPLY(value_item(value, 1), *from, tr_term_msg, .value = value_item(value, 2));
    }
    return bad_return(value);
}

/* ---- callbacks --------------------------------------------------------------------------------------------------- */
/* The argument is the actor's self; under a dynamic supervisor with an extra argument, that comes first. */
static const actor *started_as(const void *arg, tr_term *extra)
{
    const puppet *parent = world_by_pid(tr_parent());
    const actor *above = parent == NULL ? NULL : parent->actor;
    if (above == NULL || !value_is(above->kind, "dsup") || tr_is_none(above->extra)) {
        const actor *as = *(actor *const *)arg;
        *extra = as->extra;
        return as;
    }
    tr_term pair;
    memcpy(&pair, arg, sizeof pair);
    *extra = value_item(pair, 1);
    return *(actor *const *)(const void *)((const char *)arg + sizeof pair);
}

static tr_next server_init(void *memory, const void *arg)
{
    server *self = memory;
    tr_term extra;
    const actor *as = started_as(arg, &extra);
    tr_term failure = callback_begin(self, as);
    if (!tr_is_none(failure)) {
        return decode_init(self, failure);
    }
    if (tr_is_none(extra)) {
        trace_log("init");
    } else {
        trace_log("init %s", value_text(extra));
    }
    env in = {0};
    callback_set_state(self, value_get_or(as->opts, "state", tr_int(0)));
    return decode_init(self, callback_script(self, "init", &in, tr_tuple(TR_ATOM(OK), self->state)));
}

static outcome callback(server *self, const char *kind, const env *in, tr_term otherwise)
{
    tr_term opts = self->as->opts;
    if (!value_flag(opts, "quiet")) {
        trace_log("%s %s", kind, value_text(in->message));
    }
    if (value_is_script(in->message)) {
        return script_run_message(in->message, in, otherwise);
    }
    tr_term script = script_for(opts, kind, in->message);
    return tr_is_none(script) ? outcome_value(otherwise) : script_run(script, in, otherwise);
}

static tr_next server_handle_call(void *memory, tr_from from, const tr_msg *msg)
{
    server *self = memory;
    env in = {.state = self->state, .message = value_payload(msg), .from = tr_ref_term(from.ref)};
    tr_term otherwise = tr_tuple(tr_atom("reply"), in.message, in.state);
    return decode(self, callback_returned(callback(self, "call", &in, otherwise)), &from);
}

static tr_next handle(server *self, const char *kind, tr_term message)
{
    env in = {.state = self->state, .message = message};
    tr_term otherwise = tr_tuple(tr_atom("noreply"), in.state);
    return decode(self, callback_returned(callback(self, kind, &in, otherwise)), NULL);
}

static tr_next server_handle_cast(void *memory, const tr_msg *msg)
{
    return handle(memory, "cast", value_payload(msg));
}

static tr_next server_handle_info(void *memory, const tr_msg *msg)
{
    return handle(memory, "info", value_from_message(msg));
}

static tr_next server_handle_continue(void *memory, const tr_msg *msg)
{
    return handle(memory, "continue", value_payload(msg));
}

static void server_terminate(void *memory, tr_term reason)
{
    server *self = memory;
    trace_log("terminate %s", value_text(reason));
    (void)callback_script(self, "terminate", &(env){.message = reason}, TR_ATOM(OK));
}

static tr_term server_format_state(const void *memory)
{
    return value_copy(((const server *)memory)->state);
}

/* ---- agents: a function is an expression of the state ------------------------------------------------------------ */
static void agent_init(server *self, const void *arg)
{
    static const env nothing;
    self->as = *(actor *const *)arg;
    world_enter_self(self->as);
    tr_term how = world_take_failure(self->as->name);
    if (!tr_is_none(how)) {
        outcome_raise(outcome_exit(value_item(callback_failing_init(how), 1)));
    }
    trace_log("init");
    callback_set_state(self,
                       callback_returned(eval(value_get_or(self->as->opts, "init", tr_int(0)), &nothing)));
}

static tr_term agent_format_state(const server *self)
{
    return server_format_state(self);
}

TR_AGENT(server, .init = agent_init, .format_state = agent_format_state);

/* What a function throws leaves the agent's own callback, as what that returns. */
static tr_term value_of(const server *self, tr_term function)
{
    env in = {.state = self->state};
    outcome result = eval(function, &in);
    if (result.kind == OUTCOME_THROW) {
        tr_exit(tr_tuple(TR_ATOM(BAD_RETURN_VALUE), result.value));
    }
    return callback_returned(result);
}

static void agent_get(const server *self, const tr_term_msg *function, tr_term_msg *out)
{
    out->value = value_of(self, function->value);
}

static void agent_update(server *self, const tr_term_msg *function)
{
    callback_set_state(self, value_of(self, function->value));
}

/* A function of C gives a result and changes the state, nothing else; an expression may: this is what Elixir makes of it. */
static void agent_get_and_update(server *self, const tr_term_msg *function, tr_term_msg *out)
{
    tr_term pair = value_of(self, function->value);
    if (!value_is_tuple(pair) || value_count(pair) != 2) {
        tr_exit(tr_tuple(TR_ATOM(BAD_RETURN_VALUE), pair));
    }
    out->value = value_item(pair, 0);
    callback_set_state(self, value_item(pair, 1));
}

tr_err server_agent_call(tr_dest dest, const char *what, tr_term function, int64_t timeout_ms, tr_term *value,
                         tr_term *reason)
{
    tr_term_msg out = {.value = TR_ATOM(OK)};
    const tr_agent_job *get =
        TR_AGENT_ASK_JOB(server, const server, agent_get, tr_term_msg, tr_term_msg, .value = function);
    const tr_agent_job *update = TR_AGENT_TELL_JOB(server, agent_update, tr_term_msg, .value = function);
    const tr_agent_job *get_and_update =
        TR_AGENT_ASK_JOB(server, server, agent_get_and_update, tr_term_msg, tr_term_msg, .value = function);
    const tr_agent_job *job = strcmp(what, "get") == 0      ? get
                              : strcmp(what, "update") == 0 ? update
                                                            : get_and_update;
    tr_err err = tr_agent_call(dest, job, timeout_ms, &out, reason);
    *value = out.value;
    return err;
}

void server_agent_cast(tr_dest dest, tr_term function)
{
    (void)TR_AGENT_CAST(dest, server, agent_update, tr_term_msg, .value = function);
}

/* ---- kinds ------------------------------------------------------------------------------------------------------- */
bool server_is_kind(tr_term kind)
{
    return value_is(kind, "gs") || value_is(kind, "gs_bare") || value_is(kind, "agent");
}

const tr_gen_server *server_module(const actor *as)
{
    return value_is(as->kind, "agent") ? &TR_AGENT_OF(server)->server : &as->server;
}

void server_prepare(actor *as)
{
    tr_term hibernate_after = value_get(as->opts, "hibernate_after");
    as->server = (tr_gen_server){
        .name = "puppet",
        .state_bytes = sizeof(server),
        .init = server_init,
        .handle_call = server_handle_call,
        .format_state = server_format_state,
        .hibernate_after_ms = value_is_int(hibernate_after) ? tr_int_value(hibernate_after) : 0,
    };
    if (value_is(as->kind, "gs")) {
        as->server.handle_cast = server_handle_cast;
        as->server.handle_info = server_handle_info;
        as->server.handle_continue = server_handle_continue;
        as->server.terminate = server_terminate;
    }
}
