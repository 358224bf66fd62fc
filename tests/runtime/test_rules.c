/* The rules that re-implementations of OTP get wrong, one test each: processes, servers, timers, registries. Those of
 * supervisors are in test_rules_supervisor.c, those of state machines among the scenarios; tests/otp/RULES.md has them all. */
#include "tests/runtime/puppet.h"

TR_MESSAGE_TERMS(
    order, { tr_term reason; }, offsetof(order, reason));

/* ---- plain processes ---------------------------------------------------------------------------------------------- */
static void waits(const void *unused)
{
    (void)unused;
    tr_sleep(TR_INFINITY);
}

static void ends(const void *reason)
{
    tr_exit(*(const tr_term *)reason);
}

static tr_pid spawned(tr_main_fn fn, const void *arg, size_t bytes, tr_spawn_opts opts)
{
    tr_pid pid = TR_NO_PID;
    EXPECT(tr_spawn(&opts, fn, arg, bytes, &pid) == TR_OK);
    return pid;
}

static tr_pid waiting(bool link)
{
    return spawned(waits, NULL, 0, (tr_spawn_opts){.link = link});
}

/* The EXIT that is there within 10 ms, said; or nothing. */
static void says_exit(void)
{
    char text[64];
    const tr_exit_msg *exit = TR_RECEIVE(tr_exit_msg, 10);
    if (exit == NULL) {
        say("no exit");
    } else {
        tr_term_print(exit->reason, text, sizeof text);
        say("exit %s", text);
    }
}

static void end_with(tr_pid pid, tr_term reason)
{
    tr_exit_signal(tr_to(pid), reason);
    tr_sleep(1);
}

SCENE(rules, rule_01_kill_is_magic_only_as_a_signal)
{
    tr_term kill = TR_ATOM(KILL);
    tr_trap_exit(true);
    tr_pid trapping = spawned(waits, NULL, 0, (tr_spawn_opts){.link = true, .trap_exit = true});
    end_with(trapping, kill); /* cannot be trapped, and is killed to others */
    says_exit();
    spawned(ends, &kill, sizeof kill, (tr_spawn_opts){.link = true});
    says_exit(); /* its own end: an ordinary reason, which this process traps */
    SAID("exit killed", "exit kill");
}

static void ends_itself_normally(const void *unused)
{
    (void)unused;
    tr_exit_signal(tr_to(tr_self()), TR_ATOM(NORMAL));
    tr_sleep(TR_INFINITY);
}

SCENE(rules, rule_02_normal_is_dropped_only_if_not_trapping_and_not_from_oneself)
{
    tr_pid other = waiting(false);
    end_with(other, TR_ATOM(NORMAL));
    EXPECT(tr_is_alive(other));
    tr_pid itself = spawned(ends_itself_normally, NULL, 0, (tr_spawn_opts){.link = false});
    says_end(watch(itself));
    SAID("end normal");
    end_with(a_server(trapper_server), TR_ATOM(NORMAL));
    SAID("s info exit normal");
    tr_trap_exit(true);
    tr_exit_signal(tr_to(tr_self()), TR_ATOM(NORMAL));
    says_exit();
    SAID("exit normal");
}

SCENE(rules, rule_03_a_link_is_one_edge_and_unlink_a_barrier)
{
    tr_trap_exit(true);
    tr_pid twice = waiting(true);
    EXPECT(tr_link(tr_to(twice)) == TR_OK);
    tr_unlink(tr_to(twice)); /* once is enough for both */
    end_with(twice, TR_ATOM(KILL));
    says_exit();
    tr_pid under_way = waiting(true);
    tr_exit_signal(tr_to(under_way), tr_atom("oops"));
    tr_unlink(tr_to(under_way)); /* its end cannot arrive any more */
    says_exit();
    tr_pid queued = waiting(true);
    end_with(queued, tr_atom("oops"));
    tr_unlink(tr_to(queued)); /* what is queued stays */
    says_exit();
    EXPECT(tr_link(tr_to(queued)) == TR_OK); /* trapping: a message */
    says_exit();
    tr_trap_exit(false);
    EXPECT(tr_link(tr_to(queued)) == TR_E_NOPROC);
    SAID("no exit", "no exit", "exit oops", "exit noproc");
}

SCENE(rules, rule_04_names_and_keys_are_free_before_anyone_hears_of_the_end)
{
    tr_start_opts opts = {.name = tr_atom("n"), .registry = tr_registry_new("r"), .key = tr_atom("k")};
    for (int i = 0; i < 3; i++) {
        EXPECT(start_as(puppet_server, (role){0}, &opts) == TR_OK); /* never already_started */
        tr_ref watched = tr_monitor(tr_to_name(opts.name), NULL);
        tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
        const tr_down_msg *down = TR_MATCH(tr_receive_ref(watched, 10), tr_down_msg);
        EXPECT(down != NULL && tr_same(down->name, opts.name) && tr_same(down->reason, tr_atom("killed")));
        EXPECT(tr_whereis(tr_to_name(opts.name)) == TR_NO_PID);
        EXPECT(tr_whereis(tr_to_via(opts.registry, opts.key)) == TR_NO_PID);
    }
    SAID("s init", "s init", "s init");
    says_end(tr_monitor(tr_to_name(opts.name), NULL));
    SAID("end noproc");
    tr_ref myself = tr_monitor(tr_to(tr_self()), NULL);
    EXPECT(tr_receive_ref(myself, 10) == NULL);
}

static void tells_and_ends(const void *to)
{
    for (int i = 0; i < 3; i++) {
        TR_SEND(*(const tr_pid *)to, act, .n = i);
    }
    tr_exit_signal(tr_to(*(const tr_pid *)to), tr_atom("last"));
    TR_SEND(*(const tr_pid *)to, act, .n = 9);
    tr_exit(tr_atom("over"));
}

SCENE(rules, rule_05_all_signals_of_one_sender_keep_their_order)
{
    tr_pid trapping = a_server(trapper_server);
    spawned(tells_and_ends, &trapping, sizeof trapping, (tr_spawn_opts){.link = false});
    tr_sleep(1);
    SAID("s info 0", "s info 1", "s info 2", "s info exit last", "s info 9");
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */
SCENE(rules, rule_06_a_call_watches_first_and_a_late_reply_is_dropped_but_its_request_served)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.verb = SLEEP, .n = 1, .ms = 100), 50);
    TR_CAST(s, act, .n = 2);
    tr_sleep(200);
    SAID("s call 1", "! TR_E_TIMEOUT timeout", "s cast 2");
    EXPECT(tr_receive(NULL, NULL, 0) == NULL); /* neither reply nor DOWN */
    end_with(s, TR_ATOM(KILL));
    int64_t begin = tr_now_ms();
    calls(s, DO(.n = 3), 5000);
    EXPECT(tr_now_ms() == begin);
    SAID("! TR_E_NOPROC noproc");
    s = a_server(puppet_server);
    caller(s, 5000, (act){.verb = SLEEP, .n = 4, .ms = 100}); /* its death is what it waits for, too */
    end_with(s, TR_ATOM(KILL));
    SAID("s call 4", "! TR_E_EXIT killed");
}

SCENE(rules, rule_07_each_way_to_fail_has_its_own_reason)
{
    tr_term actual = TR_TERM_NONE_VALUE;
    tr_pid s = a_server(puppet_server);
    calls(tr_self(), DO(.n = 1), 10);
    calls(s, DO(.verb = KEEP_FROM, .n = 2), 10);
    calls(s, DO(.verb = STOP, .n = 3, .term = tr_atom("why")), 10);
    calls(s, DO(.n = 4), 10);
    SAID("! TR_E_CALLING_SELF calling_self", "s call 2", "! TR_E_TIMEOUT timeout", "s call 3",
         "s terminate why", "! TR_E_EXIT why", "! TR_E_NOPROC noproc");
    EXPECT(tr_gen_server_stop(tr_to(s), TR_ATOM(NORMAL), 10, &actual) == TR_E_NOPROC);
    EXPECT(start_as(puppet_server, (role){.at_end = {.verb = CRASH, .term = tr_atom("worse")}}, NULL) ==
           TR_OK);
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), 10, &actual) == TR_E_EXIT);
    TERM_IS(actual, "worse");
}

/* ---- the end of servers ------------------------------------------------------------------------------------------- */
static void starts_a_trapper(const void *reason)
{
    role r = {.name = "s"};
    TR_CHECK(tr_gen_server_start_link(trapper_server, &r, sizeof r, NULL, &started) == TR_OK);
    tr_sleep(10);
    tr_exit(*(const tr_term *)reason);
}

SCENE(rules, rule_08_the_exit_of_the_parent_is_no_message)
{
    tr_term reasons[] = {TR_ATOM(NORMAL), tr_atom("gone"), TR_ATOM(NORMAL)};
    for (int i = 0; i < 3; i++) {
        spawned(starts_a_trapper, &reasons[i], sizeof reasons[i], (tr_spawn_opts){.link = false});
        tr_sleep(1);
        tr_ref watched = watch(started.pid);
        if (i == 2) { /* also while suspended */
            EXPECT(tr_sys_suspend(tr_to(started.pid), 10) == TR_OK);
        } else {
            tr_exit_signal(tr_to(started.pid), TR_ATOM(SHUTDOWN)); /* of a stranger it is one */
        }
        says_end(watched);
    }
    SAID("s init", "s info exit shutdown", "s terminate normal", "end normal", "s init",
         "s info exit shutdown", "s terminate gone", "end gone", "s init", "s terminate normal",
         "end normal");
}

SCENE(rules, rule_09_terminate_runs_only_where_there_is_still_control)
{
    end_with(a_server(trapper_server), TR_ATOM(KILL));
    end_with(a_server(puppet_server), TR_ATOM(SHUTDOWN)); /* not trapping */
    SAID();
    role fails = {.init = {.verb = STOP, .term = tr_atom("nope")}};
    EXPECT(start_as(puppet_server, fails, NULL) == TR_E_EXIT);
    SAID("s init");
    TR_CAST(a_server(puppet_server), act, .verb = BAD, .term = tr_int(5));
    tr_sleep(1);
    TR_CAST(started.pid, act, .n = 2);
    SAID("s cast 0", "s terminate {bad_return_value,5}");
    TR_CAST(a_server(puppet_server), act, .verb = CRASH, .term = tr_atom("boom"));
    tr_sleep(1);
    SAID("s cast 0", "s terminate boom");
}

SCENE(rules, rule_10_a_gen_server_answers_after_terminate)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.verb = STOP_REPLY, .n = 7, .term = TR_ATOM(NORMAL)), 50);
    SAID("s call 7", "s terminate normal", "= 7");
    EXPECT(start_as(puppet_server, (role){.at_end = {.verb = CRASH, .term = tr_atom("worse")}}, NULL) ==
           TR_OK);
    tr_ref watched = watch(started.pid);
    calls(started.pid, DO(.verb = STOP_REPLY, .n = 8, .term = TR_ATOM(NORMAL)), 50);
    says_end(watched);
    SAID("s init", "s call 8", "s terminate normal", "= 8", "end worse");
}

/* ---- what comes when ---------------------------------------------------------------------------------------------- */
SCENE(rules, rule_11_the_timeout_of_a_gen_server_is_an_idle_timer)
{
    tr_term state;
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 100);
    tr_sleep(300);
    SAID("s cast 1", "s info tr_timeout_msg"); /* once */
    TR_CAST(s, act, .n = 2, .idles = true, .idle_ms = 100);
    tr_sleep(50);
    TR_CAST(s, act, .n = 3); /* any message cancels it */
    tr_sleep(300);
    SAID("s cast 2", "s cast 3");
    TR_CAST(s, act, .n = 4, .idles = true, .idle_ms = 0);
    TR_CAST(s, act, .n = 5); /* is queued already: 0 loses */
    tr_sleep(10);
    SAID("s cast 4", "s cast 5");
    TR_CAST(s, act, .n = 6, .idles = true, .idle_ms = 100);
    tr_sleep(60);
    EXPECT(tr_sys_get_state(tr_to(s), 10, &state) == TR_OK); /* begins the full time anew */
    tr_sleep(99);
    SAID("s cast 6");
    tr_sleep(1);
    SAID("s info tr_timeout_msg");
}

SCENE(rules, rule_12_continue_beats_the_mailbox)
{
    role r = {.init = {.verb = CONTINUE, .n = 1, .ms = 1}};
    EXPECT(start_as(puppet_server, r, NULL) == TR_OK);
    TR_CAST(started.pid, act, .n = 50);
    tr_sleep(1);
    SAID("s init", "s continue 2", "s continue 3", "s cast 50");
    TR_CAST(started.pid, act, .verb = CONTINUE, .n = 1, .ms = 1);
    TR_CAST(started.pid, act, .n = 60);
    tr_sleep(1);
    SAID("s cast 1", "s continue 2", "s continue 3", "s cast 60");
}

SCENE(rules, rule_13_what_a_callback_returns_or_lacks)
{
    tr_pid s = a_server(puppet_server);
    tr_ref watched = watch(s);
    TR_CAST(s, act, .verb = BAD, .term = tr_atom("what"));
    says_end(watched);
    SAID("s cast 0", "s terminate {bad_return_value,what}", "end {bad_return_value,what}");
    s = a_server(bare_server);
    watched = watch(s);
    TR_SEND(s, act, .n = 1); /* no handle_info: a warning */
    calls(s, DO(.n = 2), 10);
    SAID("s call 2", "= 2");
    TR_CAST(s, act, .n = 3); /* no handle_cast: a crash */
    tr_msg *down = tr_receive_ref(watched, 10);
    TERM_IS(TR_MATCH(down, tr_down_msg)->reason, "undef");
}

SCENE(rules, rule_14_a_failing_start_tells_the_starter_only_after_the_name_is_free)
{
    tr_start_opts opts = {.name = tr_atom("n"), .timeout_ms = 50};
    role fates[] = {{.init = {.verb = STOP, .term = tr_atom("nope")}},
                    {.init = {.verb = IGNORE}},
                    {.init = {.verb = CRASH, .term = tr_atom("boom")}},
                    {.init = {.verb = SLEEP, .ms = 1000}}};
    tr_err errs[] = {TR_E_EXIT, TR_E_IGNORE, TR_E_EXIT, TR_E_TIMEOUT};
    for (int i = 0; i < 4; i++) {
        EXPECT(start_as(puppet_server, fates[i], &opts) == errs[i]);
        if (errs[i] == TR_E_TIMEOUT) {
            tr_yield(); /* this one is killed, which takes it a moment */
        }
        EXPECT(tr_whereis(tr_to_name(opts.name)) == TR_NO_PID);
        EXPECT(start_as(puppet_server, (role){0}, &opts) == TR_OK); /* never already_started */
        EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), 10, NULL) == TR_OK);
    }
    tr_sleep(2000);
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    EXPECT(stats.processes == 1);
}

/* ---- timers and registries ---------------------------------------------------------------------------------------- */
static void holds_a_key(const void *registry)
{
    tr_pid owner;
    tr_registry *where = *(tr_registry *const *)registry;
    TR_CHECK(tr_registry_register(where, tr_atom("k"), TR_TERM_NONE_VALUE, &owner) == TR_OK);
    tr_sleep(TR_INFINITY);
}

SCENE(rules, rule_25_timers_and_registries_have_deferred_truth)
{
    /* A name is resolved when the timer fires. */
    TR_SEND_AFTER(50, tr_to_name(tr_atom("n")), act, .n = 1);
    tr_start_opts opts = {.name = tr_atom("n")};
    EXPECT(start_as(puppet_server, (role){0}, &opts) == TR_OK);
    tr_sleep(60);
    SAID("s init", "s info 1");
    /* That cancelling comes too late does not say that the message was taken. */
    tr_ref fired = TR_SEND_AFTER(10, tr_self(), act, .n = 2);
    tr_sleep(20);
    EXPECT(tr_cancel_timer(fired) == -1 && TR_RECEIVE(act, 0) != NULL);
    /* The death of its process cancels it. */
    tr_ref orphan = TR_SEND_AFTER(50, started.pid, act, .n = 3);
    end_with(started.pid, TR_ATOM(KILL));
    EXPECT(tr_cancel_timer(orphan) == -1);
    /* An interval keeps to its schedule however late its receiver looks. */
    int64_t begin = tr_now_ms();
    tr_ref interval = tr_send_interval(10, tr_to(tr_self()), TR_MSG(act, .n = 4));
    tr_sleep(35);
    for (int i = 0; i < 5; i++) {
        EXPECT(TR_RECEIVE(act, 20) != NULL);
    }
    EXPECT(tr_now_ms() == begin + 50);
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    /* A dead holder is never found, and its key free. */
    tr_registry *registry = tr_registry_new("r");
    for (int i = 0; i < 2; i++) {
        tr_pid holder = spawned(holds_a_key, &registry, sizeof registry, (tr_spawn_opts){.link = false});
        tr_yield();
        EXPECT(tr_registry_lookup(registry, tr_atom("k"), NULL) == holder);
        tr_ref watched = watch(holder);
        tr_exit_signal(tr_to(holder), TR_ATOM(KILL));
        EXPECT(tr_receive_ref(watched, 10) != NULL);
        EXPECT(tr_registry_lookup(registry, tr_atom("k"), NULL) == TR_NO_PID);
    }
}
