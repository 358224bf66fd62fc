/* Starting a gen_server: what init may return, names, time-outs, and continue. */
#include "tests/runtime/puppet.h"

/* ---- init and start (rules 12, 14) ---- */

SCENE(gen_server_start, init_ignore_gives_ignore_and_the_process_ends_normally)
{
    EXPECT(start_as(puppet_server, (role){.init.verb = IGNORE}, NULL) == TR_E_IGNORE);
    SAID("s init");
    REPORTED();
}

SCENE(gen_server_start, init_stop_gives_its_reason_and_terminate_does_not_run)
{
    role r = {.init = {.verb = STOP, .term = tr_atom("nope")}};
    EXPECT(start_as(trapper_server, r, NULL) == TR_E_EXIT);
    TERM_IS(started.reason, "nope");
    SAID("s init");
    REPORTED("process.crashed nope");
    r.init.term = TR_ATOM(SHUTDOWN);
    EXPECT(start_as(puppet_server, r, NULL) == TR_E_EXIT);
    TERM_IS(started.reason, "shutdown");
    REPORTED();
}

SCENE(gen_server_start, init_crash_and_bad_return_give_their_reasons)
{
    role r = {.init = {.verb = CRASH, .term = tr_tuple(tr_atom("went"), tr_int(1))}};
    EXPECT(start_as(puppet_server, r, NULL) == TR_E_EXIT);
    TERM_IS(started.reason, "{went,1}");
    r.init = (act){.verb = BAD, .term = tr_atom("what")};
    EXPECT(start_as(puppet_server, r, NULL) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_return_value,what}");
    SAID("s init", "s init");
    REPORTED("process.crashed {went,1}", "process.crashed {bad_return_value,what}");
}

SCENE(gen_server_start, the_name_is_free_when_the_starter_hears_of_the_failure)
{
    tr_start_opts opts = {.name = tr_atom("n"), .registry = tr_registry_new("r"), .key = tr_string("k")};
    role r = {.init = {.verb = STOP, .term = tr_atom("nope")}};
    for (int i = 0; i < 3; i++) {
        EXPECT(start_as(puppet_server, r, &opts) == TR_E_EXIT);
        EXPECT(tr_whereis(tr_to_name(opts.name)) == TR_NO_PID);
        EXPECT(tr_whereis(tr_to_via(opts.registry, opts.key)) == TR_NO_PID);
    }
    EXPECT(start_as(puppet_server, (role){0}, &opts) == TR_OK);
    EXPECT(tr_whereis(tr_to_name(opts.name)) == started.pid);
    EXPECT(tr_whereis(tr_to_via(opts.registry, opts.key)) == started.pid);
}

SCENE(gen_server_start, a_taken_name_or_key_gives_already_started_with_the_holder)
{
    tr_start_opts named = {.name = tr_atom("n")};
    tr_start_opts keyed = {.registry = tr_registry_new("r"), .key = tr_int(1), .value = tr_atom("v")};
    tr_term value = TR_TERM_NONE_VALUE;
    EXPECT(start_as(puppet_server, (role){0}, &named) == TR_OK);
    tr_pid first = started.pid;
    EXPECT(start_as(puppet_server, (role){0}, &named) == TR_E_ALREADY_STARTED);
    EXPECT(tr_is_tagged(started.reason, "already_started", 2));
    EXPECT(tr_pid_value(tr_term_items(started.reason)[1]) == first);
    EXPECT(start_as(puppet_server, (role){0}, &keyed) == TR_OK);
    EXPECT(tr_registry_lookup(keyed.registry, keyed.key, &value) == started.pid);
    TERM_IS(value, "v");
    EXPECT(start_as(puppet_server, (role){0}, &keyed) == TR_E_ALREADY_STARTED);
    EXPECT(tr_gen_server_stop(tr_to_via(keyed.registry, keyed.key), TR_ATOM(NORMAL), 5000, NULL) == TR_OK);
    EXPECT(start_as(puppet_server, (role){0}, &keyed) == TR_OK);
}

static void registers_late(const void *arg)
{
    (void)arg;
    say("late %s", tr_err_name(start_as(puppet_server, (role){.init = {.verb = SLEEP, .ms = 10}},
                                        &(tr_start_opts){.name = tr_atom("n")})));
}

SCENE(gen_server_start, two_starts_at_once_under_one_name_give_one_server)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, registers_late, NULL, 0, &pid) == TR_OK);
    EXPECT(tr_spawn(NULL, registers_late, NULL, 0, &pid) == TR_OK);
    tr_sleep(100);
    SAID("s init", "late TR_E_ALREADY_STARTED", "late TR_OK");
}

static void links_a_server_that_fails(const void *arg)
{
    tr_trap_exit(*(const bool *)arg);
    role r = {.name = "s", .init = {.verb = STOP, .term = tr_atom("nope")}};
    say("%s", tr_err_name(tr_gen_server_start_link(puppet_server, &r, sizeof r, NULL, &started)));
    tr_sleep(1000);
}

SCENE(gen_server_start, a_failing_init_takes_a_linked_starter_that_does_not_trap)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, links_a_server_that_fails, &(bool){false}, sizeof(bool), &pid) == TR_OK);
    says_end(watch(pid));
    SAID("s init", "end nope");
    EXPECT(tr_spawn(NULL, links_a_server_that_fails, &(bool){true}, sizeof(bool), &pid) == TR_OK);
    tr_sleep(10);
    SAID("s init", "TR_E_EXIT");
    EXPECT(tr_is_alive(pid));
}

SCENE(gen_server_start, an_init_that_takes_too_long_is_killed)
{
    tr_start_opts opts = {.name = tr_atom("n"), .timeout_ms = 100};
    int64_t begin = tr_now_ms();
    EXPECT(start_as(trapper_server, (role){.init = {.verb = SLEEP, .ms = 100000}}, &opts) == TR_E_TIMEOUT);
    EXPECT(tr_now_ms() - begin == 100);
    TERM_IS(started.reason, "timeout");
    tr_sleep(1);
    EXPECT(tr_whereis(tr_to_name(opts.name)) == TR_NO_PID);
    SAID("s init");
    REPORTED();
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
}

SCENE(gen_server_start, start_monitor_delivers_the_down)
{
    role r = {.name = "s"};
    EXPECT(tr_gen_server_start_monitor(puppet_server, &r, sizeof r, NULL, &started) == TR_OK);
    TR_CAST(started.pid, act, .verb = STOP, .n = 1, .term = tr_atom("done"));
    tr_msg *msg = tr_receive_ref(started.monitor, 1000);
    EXPECT(msg != NULL);
    TERM_IS(TR_MATCH(msg, tr_down_msg)->reason, "done");
    EXPECT(tr_receive(NULL, NULL, 10) == NULL);
    r.init = (act){.verb = STOP, .term = tr_atom("nope")};
    EXPECT(tr_gen_server_start_monitor(puppet_server, &r, sizeof r, NULL, &started) == TR_E_EXIT);
    EXPECT(tr_receive(NULL, NULL, 10) == NULL);
}

static tr_next plain_init(bare *self, const void *arg)
{
    say("arg %s, zeroed %d", (const char *)arg, self->role.name == NULL);
    return TR_INIT_OK;
}

SCENE(gen_server_start, an_argument_without_size_is_handed_on_as_it_is)
{
    static const char text[] = "as it is";
    tr_gen_server module = *bare_server;
    module.init = (tr_next(*)(void *, const void *))plain_init;
    EXPECT(tr_gen_server_start(&module, text, 0, NULL, &started) == TR_OK);
    SAID("arg as it is, zeroed 1");
    module.init = NULL;
    EXPECT(tr_gen_server_start(&module, NULL, 0, NULL, NULL) == TR_OK);
}

/* ---- continue (rule 12) ---- */

SCENE(gen_server_start, continue_of_init_runs_after_the_starter_was_told_and_before_any_message)
{
    role r = {.init = {.verb = SEND_SELF, .n = 9}};
    EXPECT(start_as(puppet_server, r, NULL) == TR_OK);
    tr_sleep(1);
    SAID("s init", "s info 10");
    EXPECT(start_as(puppet_server, (role){.init = {.verb = CONTINUE, .n = 0}}, NULL) == TR_OK);
    say("started");
    tr_sleep(1);
    SAID("s init", "s continue 1", "started");
}

static tr_next early_init(bare *self, const void *arg)
{
    (void)self, (void)arg;
    TR_SEND(tr_self(), act, .n = 5);
    return tr_next_continue(TR_INIT_OK, DO(.verb = SLEEP, .n = 1, .ms = 50));
}

SCENE(gen_server_start, continue_of_init_beats_what_the_server_sent_itself_and_does_not_hold_up_the_starter)
{
    tr_gen_server module = *puppet_server;
    module.init = (tr_next(*)(void *, const void *))early_init;
    module.state_bytes = sizeof(puppet);
    int64_t begin = tr_now_ms();
    EXPECT(tr_gen_server_start(&module, NULL, 0, NULL, &started) == TR_OK);
    EXPECT(tr_now_ms() == begin);
    tr_sleep(100);
    SAID("(null) continue 1", "(null) info 5");
}

SCENE(gen_server_start, continues_chain_and_beat_the_mailbox)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .verb = CONTINUE, .n = 1, .ms = 2);
    TR_CAST(s, act, .n = 100);
    tr_sleep(1);
    SAID("s cast 1", "s continue 2", "s continue 3", "s continue 4", "s cast 100");
}

SCENE(gen_server_start, a_caller_is_answered_before_the_continue_runs)
{
    tr_pid s = a_server(puppet_server);
    caller(s, 5000, (act){.verb = CONTINUE, .n = 1});
    SAID("s call 1", "s continue 2", "= 1");
}

SCENE(gen_server_start, a_continue_may_set_a_timeout)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .verb = CONTINUE, .n = 1, .idles = true, .idle_ms = 100);
    tr_sleep(99);
    SAID("s cast 1", "s continue 2");
    tr_sleep(2);
    SAID("s info tr_timeout_msg");
}

static tr_next endless_continue(puppet *self, const tr_msg *msg)
{
    (void)self, (void)msg;
    return tr_next_continue(TR_NOREPLY, DO(.term = tr_string("a string that needs memory in each message")));
}

SCENE(gen_server_start, a_kill_is_honoured_between_two_continues)
{
    tr_gen_server module = *puppet_server;
    module.handle_continue = (tr_next(*)(void *, const tr_msg *))endless_continue;
    role r = {.name = "s"};
    EXPECT(tr_gen_server_start(&module, &r, sizeof r, NULL, &started) == TR_OK);
    tr_ref end = watch(started.pid);
    TR_CAST(started.pid, act, .verb = CONTINUE, .n = 1);
    tr_yield();
    tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
    says_end(end);
    SAID("s init", "s cast 1", "end killed");
}

static void starts_in_a_loop(const void *arg)
{
    const verb *how = arg;
    const tr_start_opts named = {.name = tr_atom("looped")};
    tr_trap_exit(true);
    for (int i = 0; i < 100; i++) {
        tr_started got;
        role r = {.name = "l", .init = {.verb = *how, .term = tr_atom("fails")}};
        tr_err err = tr_gen_server_start_link(puppet_server, &r, sizeof r, &named, &got);
        EXPECT(err == (*how == IGNORE ? TR_E_IGNORE : TR_E_EXIT));
        EXPECT(tr_whereis(tr_to_name(named.name)) == TR_NO_PID);
    }
}

/* gen_server_SUITE: +loop_start_fail: the name never is in the way of the next start */
SCENE(gen_server_start, starts_that_fail_in_a_loop_never_meet_their_own_name)
{
    const verb ways[] = {STOP, CRASH, BAD, IGNORE};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        tr_ref ended;
        EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ended}, starts_in_a_loop, &ways[i], sizeof ways[i],
                        NULL) == TR_OK);
        tr_msg *msg = tr_receive_ref(ended, 1000);
        TERM_IS(TR_MATCH(msg, tr_down_msg)->reason, "normal");
    }
    stage.said = (stage_log){.used = 0};
}
