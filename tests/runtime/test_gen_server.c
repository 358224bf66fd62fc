/* How a gen_server ends: who runs terminate, who hears what, and in which order. */
#include "tests/runtime/puppet.h"

/* ---- ending (rules 8, 9, 10) ---- */

SCENE(gen_server, stop_runs_terminate_with_its_reason)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .verb = STOP, .n = 1, .term = tr_tuple(TR_ATOM(SHUTDOWN), tr_atom("why")));
    says_end(watch(s));
    SAID("s cast 1", "s terminate {shutdown,why}", "end {shutdown,why}");
    REPORTED();
    s = a_server(puppet_server);
    TR_SEND(s, act, .verb = STOP, .n = 1, .term = tr_atom("odd"));
    says_end(watch(s));
    SAID("s info 1", "s terminate odd", "end odd");
    REPORTED("gen_server.terminated odd last act state s", "process.crashed odd");
}

SCENE(gen_server, a_caller_gets_the_stop_reason_when_nothing_was_answered)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.verb = STOP, .n = 1, .term = tr_atom("why")), 5000);
    SAID("s call 1", "s terminate why", "! TR_E_EXIT why");
}

SCENE(gen_server, terminate_runs_before_the_stop_reply_and_the_reply_comes_before_the_end)
{
    role r = {.at_end = {.verb = SEND_SELF, .n = 1, .pid = tr_self()}};
    EXPECT(start_as(puppet_server, r, NULL) == TR_OK);
    tr_pid s = started.pid;
    tr_ref down = tr_monitor(tr_to(s), NULL);
    tr_ref request = tr_send_request(tr_to(s), DO(.verb = STOP_REPLY, .n = 2, .term = TR_ATOM(NORMAL)));
    tr_msg *first = tr_receive(NULL, NULL, 1000);
    tr_msg *second = tr_receive(NULL, NULL, 1000);
    tr_msg *third = tr_receive(NULL, NULL, 1000);
    EXPECT(TR_MATCH(first, answer) != NULL && TR_MATCH(first, answer)->n == 1);
    EXPECT(tr_msg_kind_of(second) == TR_MSG_REPLY && tr_ref_equal(tr_msg_ref(second), request));
    EXPECT(tr_msg_kind_of(third) == TR_MSG_DOWN && tr_ref_equal(tr_msg_ref(third), down));
}

SCENE(gen_server, the_stop_reply_goes_out_also_when_terminate_crashes)
{
    role r = {.at_end = {.verb = CRASH, .term = tr_atom("worse")}};
    EXPECT(start_as(puppet_server, r, NULL) == TR_OK);
    tr_pid s = started.pid;
    calls(s, DO(.verb = STOP_REPLY, .n = 2, .term = TR_ATOM(NORMAL)), 5000);
    says_end(watch(s));
    SAID("s init", "s call 2", "s terminate normal", "= 2", "end noproc");
    REPORTED("gen_server.terminated worse last act state s", "process.crashed worse");
}

SCENE(gen_server, a_stop_reply_is_not_lost_memory_when_terminate_is_killed)
{
    role r = {.at_end = {.verb = SLEEP, .ms = 1000}};
    EXPECT(start_as(puppet_server, r, NULL) == TR_OK);
    caller(started.pid, 5000, (act){.verb = STOP_REPLY, .n = 2, .term = TR_ATOM(NORMAL)});
    tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
    tr_sleep(1);
    SAID("s init", "s call 2", "s terminate normal", "! TR_E_EXIT killed");
}

SCENE(gen_server, a_crash_runs_terminate_and_is_reported_with_message_and_state)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.verb = CRASH, .n = 1, .term = tr_atom("boom")), 5000);
    SAID("s call 1", "s terminate boom", "! TR_E_EXIT boom");
    REPORTED("gen_server.terminated boom last act state s", "process.crashed boom");
}

SCENE(gen_server, an_exit_normal_in_a_callback_is_a_normal_end)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .verb = CRASH, .n = 1, .term = TR_ATOM(NORMAL));
    says_end(watch(s));
    SAID("s cast 1", "s terminate normal", "end normal");
    REPORTED();
}

SCENE(gen_server, a_message_the_server_does_not_know_crashes_it)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.verb = UNKNOWN, .n = 1), 5000);
    SAID("s call 1", "s terminate {unexpected_message,act}", "! TR_E_EXIT {unexpected_message,act}");
}

SCENE(gen_server, a_bad_return_runs_terminate_and_the_caller_gets_it)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.verb = BAD, .n = 1, .term = tr_atom("what")), 5000);
    SAID("s call 1", "s terminate {bad_return_value,what}", "! TR_E_EXIT {bad_return_value,what}");
    s = a_server(puppet_server);
    calls(s, DO(.verb = IGNORE, .n = 1), 5000);
    SAID("s call 1", "s terminate {bad_return_value,ignore}", "! TR_E_EXIT {bad_return_value,ignore}");
}

static tr_next zeroed(puppet *self, const tr_msg *msg)
{
    (void)self, (void)msg;
    return (tr_next){0};
}

SCENE(gen_server, a_zeroed_next_is_a_bad_return)
{
    tr_gen_server module = *puppet_server;
    module.handle_cast = (tr_next(*)(void *, const tr_msg *))zeroed;
    role r = {.name = "s"};
    EXPECT(tr_gen_server_start(&module, &r, sizeof r, NULL, &started) == TR_OK);
    TR_CAST(started.pid, act, .n = 1);
    says_end(watch(started.pid));
    SAID("s init", "s terminate {bad_return_value,0}", "end {bad_return_value,0}");
}

SCENE(gen_server, terminate_does_not_run_after_a_kill_or_an_untrapped_signal)
{
    tr_pid s = a_server(trapper_server);
    tr_ref end = watch(s);
    tr_exit_signal(tr_to(s), TR_ATOM(KILL));
    says_end(end);
    SAID("end killed");
    s = a_server(puppet_server);
    tr_exit_signal(tr_to(s), tr_atom("stranger"));
    tr_sleep(1);
    EXPECT(!tr_is_alive(s));
    SAID();
    REPORTED();
}

SCENE(gen_server, a_crash_in_terminate_replaces_the_reason)
{
    role r = {.at_end = {.verb = CRASH, .term = tr_atom("worse")}};
    EXPECT(start_as(puppet_server, r, NULL) == TR_OK);
    tr_term actual = TR_TERM_NONE_VALUE;
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), 5000, &actual) == TR_E_EXIT);
    TERM_IS(actual, "worse");
    SAID("s init", "s terminate normal");
}

static void links_a_trapper(const void *arg)
{
    role r = {.name = "s"};
    TR_CHECK(tr_gen_server_start_link(trapper_server, &r, sizeof r, NULL, &started) == TR_OK);
    tr_sleep(100);
    tr_exit(*(const tr_term *)arg);
}

SCENE(gen_server, the_parents_exit_ends_a_trapping_server_through_terminate_even_normal)
{
    tr_pid pid;
    tr_term normal = TR_ATOM(NORMAL);
    tr_term gone = tr_atom("gone");
    EXPECT(tr_spawn(NULL, links_a_trapper, &normal, sizeof normal, &pid) == TR_OK);
    tr_sleep(50);
    says_end(watch(started.pid));
    SAID("s init", "s terminate normal", "end normal");
    EXPECT(tr_spawn(NULL, links_a_trapper, &gone, sizeof gone, &pid) == TR_OK);
    tr_sleep(50);
    says_end(watch(started.pid));
    SAID("s init", "s terminate gone", "end gone");
}

SCENE(gen_server, the_exit_of_anyone_else_is_an_info_also_of_a_starter_without_link)
{
    tr_pid s = a_server(trapper_server);
    tr_exit_signal(tr_to(s), TR_ATOM(SHUTDOWN)); /* started without link: the scene is nobody's parent */
    calls(s, DO(.n = 1), 5000);
    SAID("s info exit shutdown", "s call 1", "= 1");
}

SCENE(gen_server, missing_callbacks_crash_with_undef_but_handle_info_only_warns)
{
    tr_pid s = a_server(bare_server);
    TR_SEND(s, act, .n = 1);
    calls(s, DO(.n = 2), 5000);
    SAID("s call 2", "= 2");
    REPORTED("message.ignored last act");
    TR_CAST(s, act, .n = 3);
    says_end(watch(s));
    SAID("end undef");
    s = a_server(bare_server);
    tr_ref end = watch(s);
    calls(s, DO(.verb = CONTINUE, .n = 4), 5000);
    says_end(end);
    SAID("s call 4", "= 4", "end undef");
    EXPECT(tr_gen_server_start(&(tr_gen_server){.name = "nothing"}, NULL, 0, NULL, &started) == TR_OK);
    calls(started.pid, DO(.n = 5), 5000);
    SAID("! TR_E_EXIT undef");
}

static tr_term format_crashes(const puppet *self)
{
    (void)self;
    tr_exit(tr_atom("bad_format"));
}
typedef puppet shy;
TR_GEN_SERVER(shy, .init = puppet_init, .handle_call = puppet_handle_call, .terminate = puppet_terminate,
              .format_state = format_crashes);

/* gen_server_SUITE: terminate_crash_format */
SCENE(gen_server, a_crash_in_format_state_is_told_in_the_report_and_changes_nothing)
{
    tr_pid s = a_server(shy_server);
    calls(s, DO(.verb = CRASH, .term = tr_atom("bang")), 1000);
    SAID("s call 0", "s terminate bang", "! TR_E_EXIT bang");
    REPORTED("gen_server.terminated bang last act state {format_state_crashed,bad_format}",
             "process.crashed bang");
}
