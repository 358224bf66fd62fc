#include "runtime/otp/gen_server.h"

#include <string.h>

#include "runtime/core/core.h"

/* Which callback, with what, and what came of it. */
typedef enum callback_kind { ON_INIT, ON_CALL, ON_CAST, ON_INFO, ON_CONTINUE } callback_kind;
typedef struct turn {
    tr__gen_server *server;
    callback_kind kind;
    const void *arg;   /* ON_INIT */
    const tr_msg *msg; /* the others */
    tr_next next;
} turn;

/* ---- ending ---- */

typedef struct ending {
    tr__gen_server *server;
    tr_term reason;
    tr_term state;
} ending;

static tr_term state_of(void *data)
{
    const tr__gen_server *server = data;
    const tr_gen_server *module = server->module;
    return module->format_state != NULL ? module->format_state(server->state)
                                        : tr__gen_opaque(module->name, module->state_bytes);
}

static void run_format(void *ctx)
{
    ending *end = ctx;
    end->state = state_of(end->server);
}

static void run_terminate(void *ctx)
{
    ending *end = ctx;
    end->server->module->terminate(end->server->state, end->reason);
}

static void report_terminated(ending *end, const char *last_message)
{
    tr_term crash;
    if (tr__catch(run_format, end, &crash)) {
        end->state = tr_tuple(tr_atom("format_state_crashed"), crash);
    }
    tr__report(TR_REPORT_SERVER_TERMINATED, end->reason, last_message, end->state, TR_NO_PID,
               TR_TERM_NONE_VALUE, 0);
}

/* terminate, report, the reply that is owed, the end; a crash in terminate replaces the reason and changes
 * nothing else. */
static TR_NORETURN void server_end(tr__gen_server *server, const tr_next *stop, const char *last_message)
{
    ending end = {.server = server, .reason = stop->reason};
    if (server->module->terminate != NULL) {
        (void)tr__catch(run_terminate, &end, &end.reason);
    }
    if (!tr_reason_is_clean(end.reason)) {
        report_terminated(&end, last_message);
    }
    if (stop->reply != NULL && tr__sys_is_watched(&server->sys)) {
        tr__sys_event(&server->sys, TR_SYS_OUT, stop->reply, stop->from.ref.owner, NULL);
    }
    if (stop->reply != NULL) {
        (void)tr__reply(stop->from, stop->reply);
    }
    tr__finish(end.reason);
}

static TR_NORETURN void server_crash(tr__gen_server *server, tr_term reason, const char *last_message)
{
    server_end(server, &TR_STOP(reason), last_message);
}

static tr_term bad_return(tr_term value)
{
    return tr_tuple(TR_ATOM(BAD_RETURN_VALUE), value);
}

/* ---- callbacks ---- */

static void run_callback(void *ctx)
{
    turn *t = ctx;
    const tr_gen_server *module = t->server->module;
    void *state = t->server->state;
    switch (t->kind) {
    case ON_INIT:
        t->next = module->init(state, t->arg);
        break;
    case ON_CALL:
        t->next = module->handle_call(state, tr_msg_from(t->msg), t->msg);
        break;
    case ON_CAST:
        t->next = module->handle_cast(state, t->msg);
        break;
    case ON_INFO:
        t->next = module->handle_info(state, t->msg);
        break;
    case ON_CONTINUE:
        t->next = module->handle_continue(state, t->msg);
        break;
    }
}

static bool has_callback(const tr_gen_server *module, callback_kind kind)
{
    switch (kind) {
    case ON_INIT:
        return module->init != NULL;
    case ON_CALL:
        return module->handle_call != NULL;
    case ON_CAST:
        return module->handle_cast != NULL;
    case ON_INFO:
        return module->handle_info != NULL;
    case ON_CONTINUE:
        return module->handle_continue != NULL;
    }
    return false;
}

/* It returned something that a server does not go on after. */
__attribute__((cold)) static TR_NORETURN void ends(tr__gen_server *server, const tr_next *next,
                                                   const char *message)
{
    switch (next->kind) {
    case TR_NEXT_STOP:
        server_end(server, next, message);
    case TR_NEXT_IGNORE:
        server_crash(server, bad_return(TR_ATOM(IGNORE)), message);
    case TR_NEXT_BAD:
        server_crash(server, bad_return(next->reason), message);
    default:
        server_crash(server, bad_return(tr_int((int64_t)next->kind)), message);
    }
}

/* The server has no such callback. */
__attribute__((cold)) static tr_next missing(tr__gen_server *server, callback_kind kind, const char *message)
{
    if (kind != ON_INFO) {
        server_crash(server, TR_ATOM(UNDEF), message);
    }
    tr__report(TR_REPORT_MESSAGE_IGNORED, TR_TERM_NONE_VALUE, message, TR_TERM_NONE_VALUE, TR_NO_PID,
               TR_TERM_NONE_VALUE, 0);
    return TR_NOREPLY;
}

/* Runs one callback other than init, and leaves in t->next what came of it; does not return when that ends the server. */
static void callback(turn *t)
{
    const char *message = tr__gen_msg_name(t->msg); /* now: the callback may give the message away */
    if (!has_callback(t->server->module, t->kind)) {
        t->next = missing(t->server, t->kind, message);
        return;
    }
    tr__guard_begin(message);
    run_callback(t);
    tr__guard_end();
    if (t->next.kind != TR_NEXT_NOREPLY) {
        ends(t->server, &t->next, message);
    }
}

/* It is watched: what a callback returned, or (cont) that handle_continue has run. */
__attribute__((cold)) static void tell_next(tr__gen_server *server, const tr_msg *cont, const tr_next *next)
{
    if (cont != NULL) {
        tr__sys_event(&server->sys, TR_SYS_CONTINUE, cont, TR_NO_PID, NULL);
    }
    if (next->replied) {
        tr__sys_event(&server->sys, TR_SYS_OUT, NULL, next->from.ref.owner, next->reply_type);
    } else {
        tr__sys_event(&server->sys, TR_SYS_NOREPLY, NULL, TR_NO_PID, NULL);
    }
}

/* Continues run one after the other before any message. */
static void run_continues(tr__gen_server *server, tr_next *next)
{
    while (next->cont != NULL) {
        turn t = {.server = server, .kind = ON_CONTINUE, .msg = next->cont};
        tr__boundary(next->cont);
        callback(&t);
        *next = t.next;
        if (tr__sys_is_watched(&server->sys)) {
            tell_next(server, t.msg, next);
        }
    }
}

/* Then the idle time-out is set. */
static void go_on(tr__gen_server *server, tr_next *next)
{
    if (next->cont != NULL) {
        run_continues(server, next);
    }
    tr__idle_set(server, next);
}

/* ---- the behaviour ---- */

static tr_next init(tr__gen_server *server)
{
    const void *arg = server->init_arg;
    server->idle = NULL;
    turn t = {.server = server, .kind = ON_INIT, .arg = arg, .next = TR_INIT_OK};
    tr_term reason;
    if (has_callback(server->module, ON_INIT) && tr__catch(run_callback, &t, &reason)) {
        tr__init_fail(TR__ACK_ERROR, reason, reason);
    }
    tr__gen_arg_drop(&server->sys, arg);
    return t.next;
}

static void server_start(void *data)
{
    tr__gen_server *server = data;
    tr_next next = init(server);
    tr_term reason = next.reason;
    switch (next.kind) {
    case TR_NEXT_NOREPLY:
        tr__init_ack(TR_TERM_NONE_VALUE);
        go_on(server, &next);
        return;
    case TR_NEXT_IGNORE:
        tr__init_fail(TR__ACK_IGNORE, TR_TERM_NONE_VALUE, TR_ATOM(NORMAL));
    case TR_NEXT_STOP:
        break;
    case TR_NEXT_BAD:
        reason = bad_return(reason);
        break;
    default:
        reason = bad_return(tr_int((int64_t)next.kind));
        break;
    }
    tr__init_fail(TR__ACK_ERROR, reason, reason);
}

static void deliver(tr__gen_server *server, callback_kind kind, const tr_msg *msg)
{
    turn t = {.server = server, .kind = kind, .msg = msg};
    tr__sys_heard(&server->sys, msg);
    callback(&t);
    if (tr__sys_is_watched(&server->sys)) {
        tell_next(server, NULL, &t.next);
    }
    go_on(server, &t.next);
}

static void deliver_timeout(tr__gen_server *server)
{
    deliver(server, ON_INFO, TR_MSG(tr_timeout_msg));
}

static void server_handle(void *data, tr_msg *msg)
{
    tr__gen_server *server = data;
    bool timeout_due = false;
    if (tr__idle_timer(server, msg, &timeout_due)) {
        if (timeout_due) {
            deliver_timeout(server);
        }
        return;
    }
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_CALL:
        deliver(server, ON_CALL, msg);
        return;
    case TR_MSG_CAST:
        deliver(server, ON_CAST, msg);
        return;
    case TR_MSG_EXIT:
        if (tr__gen_is_parents_exit(&server->sys, msg)) {
            server_crash(server, ((const tr_exit_msg *)tr_msg_data(msg))->reason, tr__gen_msg_name(msg));
        }
        deliver(server, ON_INFO, msg);
        return;
    case TR_MSG_SYSTEM:
        (void)tr__sys_handle(&server->sys, msg, &tr__gen_server_sys_ops, server);
        tr__idle_restart(server);
        return;
    case TR_MSG_ACK:
        return;
    case TR_MSG_INFO:
    case TR_MSG_DOWN:
    case TR_MSG_TIMER:
    case TR_MSG_REPLY: /* of a request sent with tr_send_request */
        deliver(server, ON_INFO, msg);
        return;
    }
}

static bool server_idle(void *data)
{
    tr__gen_server *server = data;
    bool due = tr__idle_is_due_now(server);
    if (due) {
        deliver_timeout(server);
    }
    return due;
}

static const char *module_of(const void *data)
{
    return ((const tr__gen_server *)data)->module->name;
}

static void server_crashed(void *data, tr_term reason)
{
    server_crash(data, reason, tr__guard_message());
}

const tr__behaviour tr__gen_server_behaviour = {
    .name = "gen_server",
    .start = server_start,
    .handle = server_handle,
    .idle = server_idle,
    .module = module_of,
    .crashed = server_crashed,
};

/* ---- servers that were plain processes ---- */

typedef struct entering {
    const tr_gen_server *module;
    const void *state;
    const tr_next *next;
} entering;

static void fill_entering(void *data, void *ctx)
{
    const entering *e = ctx;
    tr__gen_server *server = data;
    server->module = e->module;
    server->sys.parent = tr_parent();
    server->init_arg = e->next; /* on the frames of who enters, which are there until the loop begins */
    if (e->state != NULL) {
        memcpy(server->state, e->state, e->module->state_bytes);
    }
}

static void entered_start(void *data)
{
    tr__gen_server *server = data;
    tr_next next = *(const tr_next *)server->init_arg;
    server->idle = NULL;
    if (server->module->trap_exit) {
        (void)tr_trap_exit(true);
    }
    if (next.kind != TR_NEXT_NOREPLY) {
        server_crash(server, next.kind == TR_NEXT_STOP ? next.reason : bad_return(next.reason), NULL);
    }
    go_on(server, &next);
}

void tr_gen_server_enter_loop(const tr_gen_server *module, const void *state, tr_next next)
{
    static const tr__behaviour entered = {.name = "gen_server",
                                          .start = entered_start,
                                          .handle = server_handle,
                                          .idle = server_idle,
                                          .module = module_of,
                                          .crashed = server_crashed};
    entering e = {module, state, &next};
    tr__become(&entered, sizeof(tr__gen_server) + module->state_bytes, fill_entering, &e);
}

/* ---- for sys ---- */

static void *memory_of(void *data)
{
    tr__gen_server *server = data;
    return server->state;
}

static void terminate_by_sys(void *data, tr_term reason)
{
    server_crash(data, reason, NULL);
}

const tr__sys_ops tr__gen_server_sys_ops = {
    .state = state_of, .memory = memory_of, .terminate = terminate_by_sys};
