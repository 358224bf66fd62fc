/* supervisor_bridge_SUITE: a part that knows nothing of behaviours, in a supervision tree. OTP's supervisor_bridge is a
 * process whose init starts such a part and whose terminate ends it. Here a gen_server is that, and needs no module of
 * its own. */
#include "tests/runtime/stage.h"

/* ---- the part: plain processes and messages ---- */

TR_MESSAGE(ask, { tr_pid from; });
TR_MESSAGE_EMPTY(answer);
TR_MESSAGE_EMPTY(die);

static void part_main(const void *arg)
{
    (void)arg;
    EXPECT(tr_register(tr_atom("part"), tr_self()) == TR_OK);
    tr_init_ack(TR_TERM_NONE_VALUE);
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        if (TR_MATCH(msg, die) != NULL) {
            tr_exit(tr_atom("died"));
        }
        TR_SEND(TR_MATCH(msg, ask)->from, answer);
        tr_msg_drop(msg);
    }
}

static bool part_answers(void)
{
    TR_SEND(tr_atom("part"), ask, .from = tr_self());
    return TR_RECEIVE(answer, 1000) != NULL;
}

/* ---- the bridge ---- */

enum what { IGNORES, FAILS, STARTS };

typedef struct bridge {
    tr_pid part;
} bridge;

static tr_next bridge_init(bridge *self, const void *arg)
{
    tr_started started;
    switch (*(const enum what *)arg) {
    case IGNORES:
        return TR_IGNORE_START;
    case FAILS:
        return TR_STOP(tr_atom("testing"));
    case STARTS:
        break;
    }
    if (tr_proc_lib_start_link(part_main, NULL, 0, NULL, &started, NULL) != TR_OK) {
        return TR_STOP(started.reason);
    }
    self->part = started.pid;
    return TR_INIT_OK;
}

static tr_next bridge_handle_info(bridge *self, const tr_msg *msg)
{
    const tr_exit_msg *exit = TR_MATCH(msg, tr_exit_msg);
    return exit != NULL && exit->from == self->part ? TR_STOP(exit->reason) : TR_NOREPLY;
}

static void bridge_terminate(bridge *self, tr_term reason)
{
    tr_exit_signal(tr_to(self->part), TR_ATOM(KILL));
    say("bridge %s", tr_term_text(reason));
}

TR_GEN_SERVER(bridge, .init = bridge_init, .handle_info = bridge_handle_info, .terminate = bridge_terminate,
              .trap_exit = true);

static tr_started started;

static tr_err start(enum what what)
{
    tr_start_opts opts = {.name = tr_atom("bridge")};
    tr_trap_exit(true);
    return tr_gen_server_start_link(bridge_server, &what, sizeof what, &opts, &started);
}

/* The bridge ended for that reason, and its part with it. */
static void both_end(const char *reason)
{
    const tr_exit_msg *exit = TR_RECEIVE(tr_exit_msg, 1000);
    TERM_IS(exit != NULL ? exit->reason : TR_TERM_NONE_VALUE, reason);
    tr_sleep(1);
    EXPECT(tr_whereis(tr_to_name(tr_atom("part"))) == TR_NO_PID);
    EXPECT(tr_whereis(tr_to_name(tr_atom("bridge"))) == TR_NO_PID);
}

/* ---- the cases ---- */

SCENE(supervisor_bridge, starting)
{
    EXPECT(start(IGNORES) == TR_E_IGNORE);
    EXPECT(start(FAILS) == TR_E_EXIT);
    TERM_IS(started.reason, "testing");
    SAID();
    REPORTED("process.crashed testing");
}

SCENE(supervisor_bridge, mini_terminate)
{
    EXPECT(start(STARTS) == TR_OK);
    EXPECT(part_answers());
    tr_exit_signal(tr_to_name(tr_atom("part")), TR_ATOM(KILL));
    both_end("killed");
    SAID("bridge killed");
}

SCENE(supervisor_bridge, mini_die)
{
    EXPECT(start(STARTS) == TR_OK);
    EXPECT(part_answers());
    TR_SEND(tr_atom("part"), die);
    both_end("died");
    SAID("bridge died");
}

SCENE(supervisor_bridge, badstart)
{
    EXPECT(start(STARTS) == TR_OK);
    tr_pid first = started.pid;
    EXPECT(start(STARTS) == TR_E_ALREADY_STARTED);
    TERM_IS(started.reason, tr_term_text(tr_tuple(tr_atom("already_started"), tr_pid_term(first))));
    EXPECT(part_answers());
    EXPECT(TR_RECEIVE(tr_exit_msg, 0) == NULL);
    tr_exit_signal(tr_to_name(tr_atom("part")), TR_ATOM(KILL));
    both_end("killed");
    SAID("bridge killed");
}

/* In a tree: stopped with it, and brought back with its part. */
SCENE(supervisor_bridge, is_a_child_like_any_server)
{
    static const enum what what = STARTS;
    static tr_child_spec child;
    static tr_supervisor module;
    child =
        (tr_child_spec){.id = tr_atom("b"), .server = bridge_server, .arg = &what, .arg_bytes = sizeof what};
    module = (tr_supervisor){.name = "tree", .children = &child, .child_count = 1};
    tr_trap_exit(true);
    EXPECT(tr_supervisor_start_link(&module, NULL, 0, NULL, &started) == TR_OK);
    tr_pid first = tr_whereis(tr_to_name(tr_atom("part")));
    tr_exit_signal(tr_to(first), TR_ATOM(KILL));
    tr_sleep(1);
    EXPECT(part_answers() && tr_whereis(tr_to_name(tr_atom("part"))) != first);
    SAID("bridge killed");
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_whereis(tr_to_name(tr_atom("part"))) == TR_NO_PID);
    SAID("bridge shutdown");
}
