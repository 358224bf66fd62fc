#include "runtime/otp/gen_server.h"

#include <string.h>

#include "runtime/core/core.h"

typedef enum callback_kind { ON_CALL, ON_CAST, ON_INFO, ON_CONTINUE } callback_kind;

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

/* Inlined into the initialiser of a variable, or gcc copies what the callback returns, which is slow right after it was written. */
static inline __attribute__((always_inline)) tr_next run_callback(tr__gen_server *server, callback_kind kind,
                                                                  const tr_msg *msg)
{
    const tr_gen_server *module = server->module;
    switch (kind) {
    case ON_CALL:
        return module->handle_call(server->state, tr_msg_from(msg), msg);
    case ON_CAST:
        return module->handle_cast(server->state, msg);
    case ON_INFO:
        return module->handle_info(server->state, msg);
    case ON_CONTINUE:
        break;
    }
    return module->handle_continue(server->state, msg);
}

static inline bool has_callback(const tr_gen_server *module, callback_kind kind)
{
    switch (kind) {
    case ON_CALL:
        return module->handle_call != NULL;
    case ON_CAST:
        return module->handle_cast != NULL;
    case ON_INFO:
        return module->handle_info != NULL;
    case ON_CONTINUE:
        break;
    }
    return module->handle_continue != NULL;
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

/* The server has no such callback: only what is no request is let pass. */
__attribute__((cold)) static void missing(tr__gen_server *server, callback_kind kind, const char *message)
{
    if (kind != ON_INFO) {
        server_crash(server, TR_ATOM(UNDEF), message);
    }
    tr__report(TR_REPORT_MESSAGE_IGNORED, TR_TERM_NONE_VALUE, message, TR_TERM_NONE_VALUE, TR_NO_PID,
               TR_TERM_NONE_VALUE, 0);
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

/* Continues run one after the other before any message. Leaves in *next what the last one returned. */
static void run_continues(tr__gen_server *server, tr_next *next)
{
    while (next->cont != NULL) {
        tr_msg *msg = next->cont;
        tr__boundary(msg);
        const char *message = tr__gen_msg_name(msg);
        if (!has_callback(server->module, ON_CONTINUE)) {
            missing(server, ON_CONTINUE, message);
        }
        tr__guard_begin(message);
        *next = run_callback(server, ON_CONTINUE, msg);
        tr__guard_end();
        if (next->kind != TR_NEXT_NOREPLY) {
            ends(server, next, message);
        }
        if (tr__sys_is_watched(&server->sys)) {
            tell_next(server, msg, next);
        }
    }
}

/* Then the idle time-out is set. */
static inline void go_on(tr__gen_server *server, tr_next *next)
{
    if (next->cont != NULL) {
        run_continues(server, next);
    }
    if (next->has_timeout || server->sys.flag) {
        tr__idle_set(server, next);
    }
}

/* Runs a callback for a message, and all that follows from what it returns. */
static inline __attribute__((always_inline)) void deliver(tr__gen_server *server, callback_kind kind,
                                                          const tr_msg *msg)
{
    const char *message = tr__gen_msg_name(msg); /* now: the callback may give the message away */
    tr__sys_heard(&server->sys, msg);
    if (!has_callback(server->module, kind)) {
        missing(server, kind, message);
        go_on(server, &TR_NOREPLY);
        return;
    }
    tr__guard_begin(message);
    tr_next next = run_callback(server, kind, msg);
    tr__guard_end();
    if (next.kind != TR_NEXT_NOREPLY) {
        ends(server, &next, message);
    }
    if (tr__sys_is_watched(&server->sys)) {
        tell_next(server, NULL, &next);
    }
    go_on(server, &next);
}

/* ---- the behaviour ---- */

typedef struct start {
    tr__gen_server *server;
    const void *arg;
    tr_next next;
} start;

static void run_init(void *ctx)
{
    start *s = ctx;
    s->next = s->server->module->init(s->server->state, s->arg);
}

static tr_next init(tr__gen_server *server)
{
    start s = {.server = server, .arg = server->init_arg, .next = TR_INIT_OK};
    server->idle = NULL;
    tr_term reason;
    if (server->module->init != NULL && tr__catch(run_init, &s, &reason)) {
        tr__init_fail(TR__ACK_ERROR, reason, reason);
    }
    tr__gen_arg_drop(&server->sys, s.arg);
    return s.next;
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

static void deliver_info(tr__gen_server *server, const tr_msg *msg)
{
    deliver(server, ON_INFO, msg);
}

static void deliver_timeout(tr__gen_server *server)
{
    deliver_info(server, TR_MSG(tr_timeout_msg));
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
        deliver_info(server, msg);
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
        deliver_info(server, msg);
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
