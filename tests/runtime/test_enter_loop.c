/* Plain processes that become servers (gen_server:enter_loop). */
#include "tests/runtime/puppet.h"

typedef enum entry { ENTERS, WITH_TIMEOUT, WITH_CONTINUE, STOPS, ENTERS_TRAPPING } entry;

static void enters(const void *arg)
{
    puppet state = {.role = {.name = "e"}};
    tr_init_ack(TR_TERM_NONE_VALUE);
    TR_SEND(tr_self(), act, .n = 7); /* stays queued until the loop */
    switch (*(const entry *)arg) {
    case ENTERS:
        tr_gen_server_enter_loop(puppet_server, &state, TR_INIT_OK);
    case WITH_TIMEOUT:
        tr_gen_server_enter_loop(puppet_server, &state, tr_next_timeout(TR_INIT_OK, 50));
    case WITH_CONTINUE:
        tr_gen_server_enter_loop(puppet_server, &state,
                                 tr_next_continue(TR_INIT_OK, DO(.verb = CONTINUE, .n = 1)));
    case STOPS:
        tr_gen_server_enter_loop(puppet_server, &state, TR_STOP(tr_atom("no")));
    case ENTERS_TRAPPING:
        tr_gen_server_enter_loop(trapper_server, &state, TR_INIT_OK);
    }
}

static tr_pid entered(entry how)
{
    EXPECT(tr_proc_lib_start(enters, &how, sizeof how, NULL, &started, NULL) == TR_OK);
    return started.pid;
}

/* gen_server_SUITE: spec_init */
SCENE(enter_loop, a_plain_process_becomes_a_server)
{
    tr_process_info info;
    tr_term state;
    tr_pid e = entered(ENTERS);
    calls(e, DO(.n = 1), 1000);
    TR_CAST(e, act, .n = 2);
    TR_SEND(e, act, .n = 3);
    EXPECT(tr_sys_get_state(tr_to(e), 1000, &state) == TR_OK);
    TERM_IS(state, "e");
    EXPECT(tr_process_info_of(e, false, 1000, &info) == TR_OK);
    EXPECT(strcmp(info.summary.behaviour, "gen_server") == 0);
    TERM_IS(info.initial_call, "{puppet,init}");
    EXPECT(tr_gen_server_stop(tr_to(e), TR_ATOM(NORMAL), 1000, NULL) == TR_OK);
    SAID("e info 7", "e call 1", "= 1", "e cast 2", "e info 3", "e terminate normal");
}

SCENE(enter_loop, its_first_next_may_have_a_timeout_or_a_continue_or_stop)
{
    (void)entered(WITH_TIMEOUT);
    tr_sleep(100); /* the queued message takes the time-out's place */
    SAID("e info 7");
    (void)entered(WITH_CONTINUE);
    tr_sleep(1);
    SAID("e continue 1", "e continue 2", "e info 7");
    const entry stops = STOPS;
    EXPECT(tr_proc_lib_start_monitor(enters, &stops, sizeof stops, NULL, &started, NULL) == TR_OK);
    says_end(started.monitor);
    SAID("e terminate no", "end no");
}

static void parent_main(const void *arg)
{
    (void)arg;
    entry how = ENTERS_TRAPPING;
    EXPECT(tr_proc_lib_start_link(enters, &how, sizeof how, NULL, &started, NULL) == TR_OK);
    TR_RECEIVE(act, TR_INFINITY);
}

/* gen_server_SUITE: spec_init_local_registered_parent */
SCENE(enter_loop, the_end_of_its_starter_ends_a_trapping_one_through_terminate)
{
    tr_pid parent;
    EXPECT(tr_spawn(NULL, parent_main, NULL, 0, &parent) == TR_OK);
    EXPECT(tr_register(tr_atom("parent"), parent) == TR_OK);
    tr_sleep(1);
    tr_ref watched = watch(started.pid);
    TR_SEND(tr_atom("parent"), act, .n = 1);
    says_end(watched);
    SAID("e info 7", "e terminate normal", "end normal");
}

/* gen_server_SUITE: otp_5854 */
SCENE(enter_loop, a_registered_name_stays_and_ends_are_reported)
{
    entry how = ENTERS;
    EXPECT(tr_proc_lib_start(enters, &how, sizeof how, &(tr_start_opts){.name = tr_atom("e")}, &started,
                             NULL) == TR_OK);
    tr_pid e = tr_whereis(tr_to_name(tr_atom("e")));
    EXPECT(e == started.pid);
    calls(e, DO(.verb = CRASH, .term = tr_atom("bang")), 1000);
    EXPECT(tr_whereis(tr_to_name(tr_atom("e"))) == TR_NO_PID);
    SAID("e info 7", "e call 0", "e terminate bang", "! TR_E_EXIT bang");
    REPORTED("gen_server.terminated bang last act state e", "process.crashed bang");
}

/* From any depth, whatever was caught, received or kept on the way; the frames are dropped. */
static void enters_deep(const void *arg)
{
    puppet state = {.role = {.name = "deep"}};
    (void)arg;
    tr_sleep(1); /* parked: it came back to its own stack */
    TR_SEND(tr_self(), answer, .n = 1);
    (void)TR_RECEIVE(answer, 1);
    tr_put(tr_atom("kept"), tr_string("still there"));
    tr_gen_server_enter_loop(puppet_server, &state, TR_INIT_OK);
}

SCENE(enter_loop, many_become_servers_and_can_be_killed_then)
{
    enum { MANY = 200 };
    static tr_pid pids[MANY];
    for (int i = 0; i < MANY; i++) {
        EXPECT(tr_spawn(NULL, enters_deep, NULL, 0, &pids[i]) == TR_OK);
    }
    tr_sleep(10);
    for (int i = 0; i < MANY; i++) {
        answer got = {0};
        tr_process_info info;
        EXPECT(TR_CALL(pids[i], 1000, answer, &got, act, .n = i) == TR_OK && got.n == i);
        EXPECT(tr_process_info_of(pids[i], false, 10, &info) == TR_OK);
        TERM_IS(info.dictionary, "#{kept=>\"still there\"}");
        tr_exit_signal(tr_to(pids[i]), TR_ATOM(KILL));
    }
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    EXPECT(stats.stacks - stats.stacks_free < 3); /* an idle server holds none */
}

/* A server is not a plain process any more. */
static tr_next enters_twice(puppet *self, tr_from from, const tr_msg *msg)
{
    (void)self;
    (void)from;
    (void)msg;
    tr_gen_server_enter_loop(puppet_server, NULL, TR_INIT_OK);
}
typedef puppet twice;
TR_GEN_SERVER(twice, .handle_call = enters_twice);

SCENE(enter_loop, is_for_plain_processes_only)
{
    EXPECT(tr_gen_server_start(twice_server, NULL, 0, NULL, &started) == TR_OK);
    tr_msg *reply;
    tr_term reason = TR_TERM_NONE_VALUE;
    EXPECT(tr_gen_server_call(tr_to(started.pid), DO(.n = 1), 1000, &reply, &reason) == TR_E_EXIT);
    EXPECT(tr_is_tagged(reason, "check_failed", 4));
}
