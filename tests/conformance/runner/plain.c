/* plain.c: the loop of a plain process, and its two ways to begin. */
#include "tests/conformance/runner/plain.h"

#include <string.h>

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/trace.h"

/* proc_lib's way to say ignore is not in the public headers: only supervisors and tests start plain processes so. */
#include "runtime/core/behaviour.h"

TR_MESSAGE_EMPTY(plain_go);

bool plain_is_command(const tr_msg *msg)
{
    return TR_MATCH(msg, plain_do) != NULL;
}

static bool is_command(const tr_msg *msg, void *unused)
{
    (void)unused;
    return plain_is_command(msg);
}

static bool never(const tr_msg *msg, void *unused)
{
    (void)msg;
    (void)unused;
    return false;
}

void plain_hang(void)
{
    for (;;) {
        tr_receive(never, NULL, TR_INFINITY);
    }
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */
static const char *verb_text(tr_term command)
{
    tr_term verb = value_item(command, 0);
    if (value_is(verb, "sys")) {
        return value_format("sys %s", value_text(value_item(command, 2)));
    }
    if (value_is(verb, "reg")) {
        return value_format("reg %s", value_text(value_item(command, 1)));
    }
    if (value_is(verb, "as")) {
        return verb_text(value_item(command, 2));
    }
    if (value_is(verb, "catch")) {
        return verb_text(value_item(command, 1));
    }
    return value_text(verb);
}

static void log_value(tr_term command, tr_term value)
{
    trace_log("%s = %s", verb_text(command), value_text(value));
}

static void run_caught(tr_term command)
{
    static const env nothing;
    outcome result = step_run(command, &nothing);
    if (outcome_failed(result)) {
        trace_log("%s ! %s %s", verb_text(command), outcome_class(result), value_text(result.value));
    } else {
        log_value(command, result.value);
    }
}

/* Commands whose failure, or whose success, ends the process. */
static void run_command(puppet *self, tr_term command)
{
    static const env nothing;
    tr_term verb = value_item(command, 0);
    if (value_is(verb, "seq")) {
        for (size_t i = 1; i < value_count(command); i++) {
            run_command(self, value_item(command, i));
        }
    } else if (value_is(verb, "return")) {
        self->leave = true;
    } else if (value_is(verb, "exit") || value_is(verb, "error") || value_is(verb, "throw")) {
        outcome_raise(step_run(command, &nothing));
    } else if (value_is(verb, "unsafe")) {
        outcome result = step_run(value_item(command, 1), &nothing);
        if (outcome_failed(result)) {
            outcome_raise(result);
        }
        log_value(value_item(command, 1), result.value);
    } else {
        run_caught(command);
    }
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */
static void run_or_die(outcome result)
{
    if (outcome_failed(result)) {
        outcome_raise(result);
    }
}

static void take_message(const puppet *self, tr_term message)
{
    env in = {.message = message};
    trace_log("msg %s", value_text(message));
    if (value_is_script(message)) {
        run_or_die(script_run_message(message, &in, TR_ATOM(OK)));
        return;
    }
    tr_term script =
        self->actor == NULL ? TR_TERM_NONE_VALUE : script_for(self->actor->opts, "info", message);
    if (!tr_is_none(script)) {
        run_or_die(script_run(script, &in, TR_ATOM(OK)));
    }
}

static void run(puppet *self)
{
    static const env nothing;
    tr_term opts = self->actor == NULL ? TR_TERM_NONE_VALUE : self->actor->opts;
    if (value_flag(opts, "trap")) {
        tr_trap_exit(true);
    }
    self->hold = value_flag(opts, "hold");
    run_or_die(script_run(value_get(opts, "do"), &nothing, TR_ATOM(OK)));
    while (!self->leave) {
        tr_scratch_mark mark = tr_scratch();
        tr_msg *msg = tr_receive(self->hold ? is_command : NULL, NULL, TR_INFINITY);
        const plain_do *command = TR_MATCH(msg, plain_do);
        if (command != NULL) {
            run_command(self, command->command);
        } else {
            take_message(self, value_from_message(msg));
        }
        tr_msg_drop(msg);
        tr_scratch_release(mark);
    }
}

/* ---- beginnings -------------------------------------------------------------------------------------------------- */
static void bare_main(const void *unused)
{
    (void)unused;
    (void)TR_RECEIVE(plain_go, TR_INFINITY);
    run(world_self());
}

puppet *plain_spawn(tr_term name, tr_term opts, tr_spawn_opts *spawn)
{
    tr_term lane = value_get(opts, "lane");
    const char *lane_text = tr_is_none(lane) || value_is(lane, "own") ? NULL : world_text(value_text(lane));
    const actor *as = world_actor(tr_atom("proc"), name, opts, lane_text);
    tr_pid pid;
    spawn->label = "puppet";
    if (tr_spawn(spawn, bare_main, NULL, 0, &pid) != TR_OK) {
        return NULL;
    }
    puppet *made = world_enter(pid, name, as);
    TR_SEND(pid, plain_go);
    return made;
}

/* A start that was told to fail does not come back. */
static void fail_start(tr_term how)
{
    tr_term kind = value_item(how, 0);
    tr_term reason = value_item(how, 1);
    if (value_is(how, "ignore")) {
        trace_log("init_fail ignore");
        tr__init_fail(TR__ACK_IGNORE, TR_TERM_NONE_VALUE, TR_ATOM(NORMAL));
    }
    if (value_is(how, "hang")) {
        trace_log("init_fail hang");
        plain_hang();
    }
    trace_log("init_fail %s", value_text(reason));
    outcome_raise(value_is(kind, "error") ? outcome_error(reason) : outcome_exit(reason));
}

void plain_started_main(const void *actor_self)
{
    const actor *as = *(actor *const *)actor_self;
    puppet *self = world_enter_self(as);
    if (value_flag(as->opts, "trap")) {
        tr_trap_exit(true);
    }
    tr_term how = world_take_failure(as->name);
    if (!tr_is_none(how)) {
        fail_start(how);
    }
    trace_log("init");
    if (!value_flag(as->opts, "noack")) {
        tr_init_ack(value_get(as->opts, "info"));
    }
    run(self);
}
