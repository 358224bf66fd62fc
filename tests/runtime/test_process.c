/* Processes: birth, ends and their reasons, exit signals, names, dictionary, fairness. */
#include "tests/runtime/stage.h"

#include "runtime/core/behaviour.h"

TR_MESSAGE(num, { int64_t n; });

static void wait_for_ever(const void *arg)
{
    (void)arg;
    tr_receive(NULL, NULL, TR_INFINITY);
    say("woken");
}

static void trap_and_tell(const void *arg)
{
    (void)arg;
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const tr_exit_msg *down = TR_MATCH(msg, tr_exit_msg);
        say("%s", down == NULL ? "message" : tr_term_text(down->reason));
        tr_msg_drop(msg);
    }
}

/* Spawns fn, watched, and gives the reason of its end after it was sent an exit signal (none: not sent). */
static tr_term end_of(tr_main_fn fn, bool traps, tr_term signal)
{
    tr_ref monitor;
    tr_pid pid;
    tr_err err = tr_spawn(&(tr_spawn_opts){.monitor = &monitor, .trap_exit = traps}, fn, NULL, 0, &pid);
    EXPECT(err == TR_OK);
    tr_sleep(10);
    if (!tr_is_none(signal)) {
        tr_exit_signal(tr_to(pid), signal);
    }
    const tr_down_msg *down = TR_MATCH(tr_receive_ref(monitor, 1000), tr_down_msg);
    return down == NULL ? tr_atom("alive") : down->reason;
}

static void return_at_once(const void *arg)
{
    (void)arg;
}
static void exit_with_tuple(const void *arg)
{
    (void)arg;
    tr_exit(tr_tuple(tr_atom("why"), tr_int(7)));
}
static void exit_with_kill(const void *arg)
{
    (void)arg;
    tr_exit(TR_ATOM(KILL));
}
static void fail_check(const void *arg)
{
    (void)arg;
    TR_CHECK(arg == (const void *)1);
}
static void error_out(const void *arg)
{
    (void)arg;
    tr_error(tr_atom("oops"));
}

SCENE(process, ends_with_the_reason_it_gives)
{
    TERM_IS(end_of(return_at_once, false, TR_TERM_NONE_VALUE), "normal");
    TERM_IS(end_of(exit_with_tuple, false, TR_TERM_NONE_VALUE), "{why,7}");
    TERM_IS(end_of(exit_with_kill, false, TR_TERM_NONE_VALUE), "kill");
    REPORTED();
    TERM_IS(end_of(error_out, false, TR_TERM_NONE_VALUE), "oops");
    REPORTED("process.crashed oops");
    EXPECT(tr_is_tagged(end_of(fail_check, false, TR_TERM_NONE_VALUE), "check_failed", 4));
}

SCENE(process, exit_signals_follow_the_matrix_of_otp)
{
    TERM_IS(end_of(wait_for_ever, false, TR_ATOM(NORMAL)), "alive");
    TERM_IS(end_of(wait_for_ever, false, tr_atom("boom")), "boom");
    TERM_IS(end_of(wait_for_ever, false, TR_ATOM(KILL)), "killed");
    TERM_IS(end_of(trap_and_tell, true, TR_ATOM(NORMAL)), "alive");
    TERM_IS(end_of(trap_and_tell, true, tr_atom("boom")), "alive");
    TERM_IS(end_of(trap_and_tell, true, TR_ATOM(KILL)), "killed");
    SAID("normal", "boom");
}

static void normal_to_self(const void *arg)
{
    (void)arg;
    tr_exit_signal(tr_to(tr_self()), TR_ATOM(NORMAL));
    say("still here");
}
static void normal_to_self_trapping(const void *arg)
{
    (void)arg;
    tr_trap_exit(true);
    tr_exit_signal(tr_to(tr_self()), TR_ATOM(NORMAL));
    const tr_exit_msg *msg = TR_RECEIVE(tr_exit_msg, 0);
    say("%s from %s", tr_term_text(msg->reason), msg->from == tr_self() ? "self" : "another");
    tr_exit(tr_atom("later"));
}

SCENE(process, a_normal_exit_signal_to_oneself_ends_unless_trapping)
{
    TERM_IS(end_of(normal_to_self, false, TR_TERM_NONE_VALUE), "normal");
    TERM_IS(end_of(normal_to_self_trapping, false, TR_TERM_NONE_VALUE), "later");
    SAID("normal from self");
}

static void the_first_signal_counts(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

SCENE(process, of_two_exit_signals_the_first_gives_the_reason)
{
    tr_ref monitor;
    tr_pid pid;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, the_first_signal_counts, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    tr_exit_signal(tr_to(pid), tr_atom("first"));
    tr_exit_signal(tr_to(pid), tr_atom("second"));
    TERM_IS(TR_MATCH(tr_receive_ref(monitor, 100), tr_down_msg)->reason, "first");
    EXPECT(tr_receive(NULL, NULL, 100) == NULL);
}

static void never_begins(const void *arg)
{
    (void)arg;
    say("began");
}

SCENE(process, killed_before_its_first_instruction_never_begins)
{
    tr_ref monitor;
    tr_pid pid;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, never_begins, NULL, 0, &pid) == TR_OK);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    TERM_IS(TR_MATCH(tr_receive_ref(monitor, 100), tr_down_msg)->reason, "killed");
    SAID();
}

static void kill_oneself(void *ctx)
{
    (void)ctx;
    tr_exit_signal(tr_to(tr_self()), TR_ATOM(KILL));
    say("survived the signal");
}
static void catches_what_it_can(const void *arg)
{
    tr_term reason;
    (void)arg;
    tr__catch(kill_oneself, NULL, &reason);
    say("survived the catch");
}

SCENE(process, killing_oneself_passes_every_catch)
{
    TERM_IS(end_of(catches_what_it_can, false, TR_TERM_NONE_VALUE), "killed");
    SAID();
}

static void exit_inner(void *ctx)
{
    tr_term reason;
    if (ctx == NULL) {
        tr_exit(tr_atom("inner"));
    }
    say("%s", tr__catch(exit_inner, NULL, &reason) ? tr_term_text(reason) : "nothing");
    tr_exit(tr_atom("outer"));
}

SCENE(process, catches_nest)
{
    tr_term reason;
    bool caught = tr__catch(exit_inner, &reason, &reason);
    say("%d %s", caught, tr_term_text(reason));
    SAID("inner", "1 outer");
}

static void takes_arguments(const void *arg)
{
    const int64_t *numbers = arg;
    say("%d %d", (int)numbers[0], (int)numbers[1]);
}

SCENE(process, the_argument_is_copied_at_the_spawn)
{
    int64_t numbers[2] = {1, 2};
    EXPECT(tr_spawn(NULL, takes_arguments, numbers, sizeof numbers, NULL) == TR_OK);
    numbers[0] = 9;
    tr_sleep(1);
    SAID("1 2");
}

static void tell_parent(const void *arg)
{
    (void)arg;
    TR_SEND(tr_parent(), num, 1);
}

SCENE(process, a_child_knows_its_parent)
{
    EXPECT(tr_spawn(NULL, tell_parent, NULL, 0, NULL) == TR_OK);
    EXPECT(TR_RECEIVE(num, 10) != NULL);
    EXPECT(tr_parent() == TR_NO_PID);
}

SCENE(process, the_dictionary_gives_the_old_value)
{
    tr_term key = tr_tuple(tr_atom("k"), tr_int(1));
    EXPECT(tr_is_none(tr_put(key, tr_string("one"))));
    TERM_IS(tr_put(tr_tuple(tr_atom("k"), tr_int(1)), tr_int(2)), "\"one\"");
    TERM_IS(tr_get(key), "2");
    EXPECT(tr_is_none(tr_get(tr_atom("other"))));
}

static void yield_and_say(const void *arg)
{
    int id = *(const int *)arg;
    for (int i = 0; i < 3; i++) {
        say("%d", id);
        tr_yield();
    }
}

SCENE(process, yielding_goes_round)
{
    for (int id = 1; id <= 2; id++) {
        EXPECT(tr_spawn(NULL, yield_and_say, &id, sizeof id, NULL) == TR_OK);
    }
    tr_sleep(1);
    SAID("1", "2", "1", "2", "1", "2");
}

static void echo(const void *arg)
{
    (void)arg;
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        tr_pid to = (tr_pid)TR_MATCH(msg, num)->n;
        tr_msg_drop(msg);
        TR_SEND(to, num, (int64_t)tr_self());
    }
}
static void serve_first(const void *arg)
{
    TR_SEND(*(const tr_pid *)arg, num, (int64_t)tr_self());
    echo(NULL);
}
static void pinned_and_waiting(const void *arg)
{
    tr_yield(); /* parked on its core: in the queue nobody steals from */
    say("pinned ran after %d", *(const int *)arg);
}

SCENE(process, two_that_wake_each_other_do_not_starve_the_rest)
{
    tr_pid a;
    tr_pid b;
    int after = 1;
    EXPECT(tr_spawn(NULL, echo, NULL, 0, &a) == TR_OK);
    EXPECT(tr_spawn(NULL, serve_first, &a, sizeof a, &b) == TR_OK);
    EXPECT(tr_spawn(NULL, pinned_and_waiting, &after, sizeof after, NULL) == TR_OK);
    for (int i = 0; i < 5; i++) {
        tr_yield();
    }
    SAID("pinned ran after 1");
    tr_exit_signal(tr_to(a), TR_ATOM(KILL));
    tr_exit_signal(tr_to(b), TR_ATOM(KILL));
}

static void busy(const void *arg)
{
    (void)arg;
    while (tr_whereis(tr_to_name(tr_atom("stop"))) == TR_NO_PID) {
        tr_yield();
    }
}

SCENE(process, busy_ones_do_not_starve_one_that_comes_from_a_timer)
{
    for (int i = 0; i < 20; i++) {
        EXPECT(tr_spawn(NULL, busy, NULL, 0, NULL) == TR_OK);
    }
    for (int i = 0; i < 10; i++) {
        tr_yield();
    }
    EXPECT(tr_register(tr_atom("stop"), tr_self()) == TR_OK);
    tr_sleep(1); /* virtual time: passes when they all have seen it */
}

SCENE(process, a_pid_is_not_reused)
{
    tr_pid first;
    EXPECT(tr_spawn(NULL, return_at_once, NULL, 0, &first) == TR_OK);
    tr_sleep(1);
    for (int i = 0; i < 5000; i++) {
        tr_pid pid;
        EXPECT(tr_spawn(NULL, return_at_once, NULL, 0, &pid) == TR_OK);
        EXPECT(pid != first && pid != TR_NO_PID);
        if (i % 100 == 0) {
            tr_sleep(1);
        }
    }
    EXPECT(tr_process_summary_of(first, &(tr_process_summary){0}) == TR_E_NOPROC);
}

static void hold_name(const void *arg)
{
    (void)arg;
    EXPECT(tr_register(tr_atom("holder"), tr_self()) == TR_OK);
    tr_receive(NULL, NULL, TR_INFINITY);
}

SCENE(process, its_name_is_free_when_its_end_is_heard_of)
{
    for (int i = 0; i < 20; i++) {
        tr_ref monitor;
        tr_pid pid;
        EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, hold_name, NULL, 0, &pid) == TR_OK);
        tr_yield();
        EXPECT(tr_whereis(tr_to_name(tr_atom("holder"))) == pid);
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        tr_msg_drop(tr_receive_ref(monitor, 100));
        EXPECT(tr_register(tr_atom("holder"), tr_self()) == TR_OK);
        EXPECT(tr_unregister(tr_atom("holder")) == TR_OK);
    }
}

Test(process, spawning_from_outside_cannot_link_or_monitor)
{
    tr_node_opts opts = {.virtual_time = true};
    tr_ref monitor;
    cr_assert(tr_node_start(&opts) == TR_OK);
    cr_expect(tr_spawn(&(tr_spawn_opts){.link = true}, return_at_once, NULL, 0, NULL) == TR_E_STATE);
    cr_expect(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, return_at_once, NULL, 0, NULL) == TR_E_STATE);
    cr_expect(tr_self() == TR_NO_PID);
    tr_node_stop();
}

Test(process, one_more_than_process_max_is_refused_and_a_free_slot_serves_again)
{
    tr_node_opts opts = {.virtual_time = true, .process_max = 3};
    tr_pid pids[3];
    cr_assert(tr_node_start(&opts) == TR_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert(tr_spawn(NULL, wait_for_ever, NULL, 0, &pids[i]) == TR_OK);
    }
    cr_expect(tr_spawn(NULL, wait_for_ever, NULL, 0, NULL) == TR_E_LIMIT);
    tr_exit_signal(tr_to(pids[1]), TR_ATOM(KILL));
    tr_virtual_run();
    cr_expect(tr_spawn(NULL, wait_for_ever, NULL, 0, &pids[1]) == TR_OK);
    cr_expect(tr_spawn(NULL, wait_for_ever, NULL, 0, NULL) == TR_E_LIMIT);
    tr_node_stop();
}

/* ---- stacks ---- */

static int reached;

static void parks(const void *arg)
{
    (void)arg;
    tr_receive(NULL, NULL, TR_INFINITY);
    reached++;
}

static void stack_limit_main(const void *arg)
{
    (void)arg;
    tr_ref monitors[8];
    tr_pid pids[8];
    int ended = 0;
    for (int i = 0; i < 8; i++) {
        EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitors[i]}, parks, NULL, 0, &pids[i]) == TR_OK);
        tr_yield();
    }
    for (int i = 0; i < 8; i++) {
        const tr_down_msg *down = TR_MATCH(tr_receive_ref(monitors[i], 0), tr_down_msg);
        if (down != NULL) {
            TERM_IS(down->reason, "{system_limit,stacks}");
            ended++;
        }
    }
    EXPECT(ended >= 4 && ended <= 6);
    for (int i = 0; i < 8; i++) {
        TR_SEND(pids[i], num, 1);
    }
    for (int i = 0; i < 3; i++) {
        tr_yield();
    }
    EXPECT(reached == 8 - ended);
    stage.over = true;
}

Test(process, parking_beyond_stack_max_ends_the_process_that_parks_and_nobody_else)
{
    tr_node_opts opts = {.virtual_time = true, .stack_max = 4, .report = stage_report};
    tr_node_stats stats;
    memset(&stage, 0, sizeof stage);
    reached = 0;
    cr_assert(tr_node_start(&opts) == TR_OK);
    cr_assert(tr_spawn(NULL, stack_limit_main, NULL, 0, NULL) == TR_OK);
    tr_virtual_run();
    tr_node_stats_get(&stats);
    cr_expect(stats.stacks <= 5, "%" PRIu64 " stacks", stats.stacks);
    tr_node_stop();
    cr_expect(stage.over && stage.failed.used == 0, "%s", stage.failed.text);
}
