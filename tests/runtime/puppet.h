/* puppet.h: a gen_server that does what its messages say and says what it does; for the tests of gen_server.
 *
 * 1. Each callback writes "NAME KIND n" before it acts; terminate writes "NAME terminate REASON".
 * 2. `role` is what a puppet is started with: its name in those lines, what init does, what terminate does.
 * 3. puppet_server has all callbacks, trapper_server traps exits as well, bare_server has init and handle_call only. */
#ifndef TESTS_RUNTIME_PUPPET_H
#define TESTS_RUNTIME_PUPPET_H

#include "tests/runtime/stage.h"

typedef enum verb {
    GO_ON,       /* a call is answered with n                                  */
    KEEP_FROM,   /* does not answer; a later ANSWER_KEPT does                  */
    ANSWER_KEPT, /* with n                                                     */
    STOP,        /* with .term as reason                                       */
    STOP_REPLY,  /* and answers n                                              */
    CRASH,       /* tr_exit(.term)                                             */
    BAD,         /* returns garbage                                            */
    IGNORE,      /* what only init may return                                  */
    CONTINUE,    /* to GO_ON n + 1; .ms says how many more continues follow    */
    CALL,        /* calls .pid with GO_ON n; what fails there crashes here     */
    SLEEP,       /* .ms                                                        */
    SEND_SELF,   /* an info GO_ON n + 1                                        */
    RECEIVE_ANY, /* waits .ms for any message                                  */
    UNKNOWN,     /* tr_unexpected                                              */
} verb;

TR_MESSAGE_TERMS(
    act,
    {
        verb verb;
        int n;
        int64_t ms;
        tr_pid pid;
        tr_term term;
        bool idles; /* with an idle time-out of idle_ms */
        int64_t idle_ms;
        bool hibernates;
    },
    offsetof(act, term));
TR_MESSAGE(answer, { int n; });

/* What a puppet is started with. */
typedef struct role {
    const char *name;
    act init;
    act at_end; /* CRASH: terminate crashes; SLEEP; SEND_SELF: tells .pid */
} role;

typedef struct puppet {
    role role;
    tr_from kept;
} puppet;

static inline tr_next after(const act *a, tr_next next)
{
    next = a->idles ? tr_next_timeout(next, a->idle_ms) : next;
    return a->hibernates ? tr_next_hibernate(next) : next;
}

static inline tr_next carry_on(const act *a)
{
    return tr_next_continue(TR_NOREPLY, TR_MSG(act, .verb = a->ms > 0 ? CONTINUE : GO_ON, .n = a->n + 1,
                                               .ms = a->ms - 1, .idles = a->idles, .idle_ms = a->idle_ms));
}

static inline tr_next perform(puppet *self, const act *a, tr_from from, const tr_msg *msg)
{
    answer got;
    switch (a->verb) {
    case KEEP_FROM:
        self->kept = from;
        return after(a, TR_NOREPLY);
    case ANSWER_KEPT:
        TR_ANSWER(self->kept, answer, .n = a->n);
        break;
    case STOP:
        return TR_STOP(a->term);
    case STOP_REPLY:
        return TR_STOP_REPLY(a->term, from, answer, .n = a->n);
    case CRASH:
        tr_exit(a->term);
    case BAD:
        return (tr_next){.kind = TR_NEXT_BAD, .reason = a->term};
    case IGNORE:
        return TR_IGNORE_START;
    case CONTINUE:
        if (from.ref.id != 0) {
            TR_ANSWER(from, answer, .n = a->n);
        }
        return carry_on(a);
    case CALL:
        TR_CHECK(TR_CALL(a->pid, TR_CALL_TIMEOUT_MS, answer, &got, act, .n = a->n) == TR_OK);
        break;
    case SLEEP:
        tr_sleep(a->ms);
        break;
    case SEND_SELF:
        TR_SEND(tr_self(), act, .n = a->n + 1);
        break;
    case RECEIVE_ANY:
        say("received %s", tr_receive(NULL, NULL, a->ms) == NULL ? "nothing" : "something");
        break;
    case UNKNOWN:
        return tr_unexpected(msg);
    case GO_ON:
        break;
    }
    if (from.ref.id != 0) {
        return after(a, TR_REPLY(from, answer, .n = a->n));
    }
    return after(a, TR_NOREPLY);
}

static inline tr_next puppet_init(puppet *self, const void *arg)
{
    self->role = *(const role *)arg;
    say("%s init", self->role.name);
    return perform(self, &self->role.init, (tr_from){TR_NO_REF}, NULL);
}

static inline tr_next heard(puppet *self, const char *kind, tr_from from, const tr_msg *msg)
{
    char reason[64];
    const act *a = TR_MATCH(msg, act);
    const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
    const tr_term_msg *term_msg = TR_MATCH(msg, tr_term_msg);
    if (a != NULL) {
        say("%s %s %d", self->role.name, kind, a->n);
        return perform(self, a, from, msg);
    }
    if (exit_msg != NULL) {
        tr_term_print(exit_msg->reason, reason, sizeof reason);
        say("%s %s exit %s", self->role.name, kind, reason);
    } else if (term_msg != NULL) {
        tr_term_print(term_msg->value, reason, sizeof reason);
        say("%s %s %s", self->role.name, kind, reason);
    } else {
        say("%s %s %s", self->role.name, kind, msg->type->name);
    }
    return TR_NOREPLY;
}

static inline tr_next puppet_handle_call(puppet *self, tr_from from, const tr_msg *msg)
{
    return heard(self, "call", from, msg);
}

static inline tr_next puppet_handle_cast(puppet *self, const tr_msg *msg)
{
    return heard(self, "cast", (tr_from){TR_NO_REF}, msg);
}

static inline tr_next puppet_handle_info(puppet *self, const tr_msg *msg)
{
    return heard(self, "info", (tr_from){TR_NO_REF}, msg);
}

static inline tr_next puppet_handle_continue(puppet *self, const tr_msg *msg)
{
    return heard(self, "continue", (tr_from){TR_NO_REF}, msg);
}

static inline void puppet_terminate(puppet *self, tr_term reason)
{
    char text[64];
    const act *end = &self->role.at_end;
    tr_term_print(reason, text, sizeof text);
    say("%s terminate %s", self->role.name, text);
    switch (end->verb) {
    case CRASH:
        tr_exit(end->term);
    case SLEEP:
        tr_sleep(end->ms);
        break;
    case SEND_SELF:
        TR_SEND(end->pid, answer, .n = end->n);
        break;
    default:
        break;
    }
}

static inline tr_term puppet_format_state(const puppet *self)
{
    return tr_atom(self->role.name);
}

typedef puppet trapper; /* traps exits */
typedef puppet bare;    /* has init and handle_call only */
#define PUPPET_CALLBACKS                                                                       \
    .init = puppet_init, .handle_call = puppet_handle_call, .handle_cast = puppet_handle_cast, \
    .handle_info = puppet_handle_info, .handle_continue = puppet_handle_continue,              \
    .terminate = puppet_terminate, .format_state = puppet_format_state
TR_GEN_SERVER(puppet, PUPPET_CALLBACKS);
TR_GEN_SERVER(trapper, PUPPET_CALLBACKS, .trap_exit = true);
TR_GEN_SERVER(bare, .init = puppet_init, .handle_call = puppet_handle_call);

/* ---- what scenes say and do ---- */

static tr_started started;

static inline tr_err start_as(const tr_gen_server *server, role r, const tr_start_opts *opts)
{
    r.name = r.name != NULL ? r.name : "s";
    return tr_gen_server_start(server, &r, sizeof r, opts, &started);
}

/* A puppet named s, which it has said by now. */
static inline tr_pid a_server(const tr_gen_server *server)
{
    EXPECT(start_as(server, (role){0}, NULL) == TR_OK);
    SAID("s init");
    return started.pid;
}

#define DO(...) TR_MSG(act, __VA_ARGS__)

/* Calls and says how it ended: "= n" or "! reason". */
static inline void calls(tr_pid pid, tr_msg *request, int64_t timeout_ms)
{
    tr_msg *reply = NULL;
    tr_term reason = TR_TERM_NONE_VALUE;
    char text[64];
    tr_err err = tr_gen_server_call(tr_to(pid), request, timeout_ms, &reply, &reason);
    if (err == TR_OK) {
        say("= %d", TR_MATCH(reply, answer)->n);
        tr_msg_drop(reply);
    } else {
        tr_term_print(reason, text, sizeof text);
        say("! %s %s", tr_err_name(err), text);
    }
}

static inline tr_ref watch(tr_pid pid)
{
    return tr_monitor(tr_to(pid), NULL);
}

/* The DOWN of a process, said. */
static inline void says_end(tr_ref watched)
{
    char text[64];
    tr_msg *msg = tr_receive_ref(watched, 10000);
    if (EXPECT(msg != NULL)) {
        tr_term_print(TR_MATCH(msg, tr_down_msg)->reason, text, sizeof text);
        say("end %s", text);
        tr_msg_drop(msg);
    }
}

/* A plain process that makes one call and says how it ended. */
typedef struct errand {
    tr_pid pid;
    int64_t timeout_ms;
    act act;
} errand;

static inline void runs_errand(const void *arg)
{
    const errand *e = arg;
    calls(e->pid, tr_msg_new(TR_TYPE(act), &e->act), e->timeout_ms);
}

static inline tr_pid caller(tr_pid pid, int64_t timeout_ms, act a)
{
    tr_pid made;
    errand e = {pid, timeout_ms, a};
    TR_CHECK(tr_spawn(NULL, runs_errand, &e, sizeof e, &made) == TR_OK);
    tr_sleep(1);
    return made;
}

#endif
