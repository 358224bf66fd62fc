/* The rules that re-implementations of OTP get wrong, one test each: those of supervisors (tests/otp/RULES.md). */
#include "tests/runtime/tree.h"

static void align(int64_t into_second)
{
    tr_sleep((1000 + into_second - tr_now_ms() % 1000) % 1000);
}

TREE_TEST(rules, rule_15_intensity_counts_each_failure_first_and_in_whole_seconds)
{
    /* Intensity 2: two failures are survived, the third is not; it ends with shutdown. */
    tr_pid top = tree_start(TREE(.intensity = 2, .period_s = 5), ACTOR("a"), ACTOR("b"));
    tree_kill("a");
    tree_kill("a");
    tree_kill("a");
    tree_trace("a+ b+ a+ a+ b-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
    /* A restart that fails counts like any failure. */
    top = tree_start(TREE(.intensity = 2, .period_s = 5), ACTOR("a"));
    actor_fails("a", 9, ACTOR_STOPS);
    tree_kill("a");
    tree_trace("a+ a! a!");
    tree_term_is(tree_ended(top), "shutdown");
    /* None allowed. */
    actor_fails("a", 0, ACTOR_STARTS);
    top = tree_start(TREE(.intensity = TR_INTENSITY_NONE), ACTOR("a"));
    tree_kill("a");
    tree_term_is(tree_ended(top), "shutdown");
    /* One second later by the clock of whole seconds still counts, with its edge; two do not. */
    align(100);
    top = tree_start(TREE(.intensity = 1, .period_s = 1), ACTOR("a"));
    tree_kill("a");
    tr_sleep(1800);
    tree_kill("a");
    tree_term_is(tree_ended(top), "shutdown");
    align(900);
    top = tree_start(TREE(.intensity = 1, .period_s = 1), ACTOR("a"));
    tree_kill("a");
    tr_sleep(1200);
    tree_kill("a");
    tree_children_are(top, "a");
}

TREE_TEST(rules, rule_16_a_start_that_fails_half_way_stops_what_was_started_in_reverse)
{
    tr_started started;
    actor_fails("c", 1, ACTOR_STOPS);
    tr_err err =
        tree_try(&started, TREE(.strategy = TR_ONE_FOR_ONE), ACTOR("a"), ACTOR("b"), ACTOR("c"), ACTOR("d"));
    cr_expect_eq(err, TR_E_EXIT);
    tree_trace("a+ b+ c! b-shutdown a-shutdown"); /* d is never touched */
    tree_term_is(started.reason, "{shutdown,{failed_to_start_child,c,nope}}");
}

TREE_TEST(rules, rule_17_a_group_restart_that_fails_goes_on_where_its_strategy_says)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_REST_FOR_ONE, .intensity = 9), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    actor_fails("c", 1, ACTOR_STOPS);
    tree_kill("a");
    tree_trace("a+ b+ c+ c-shutdown b-shutdown a+ b+ c! c+"); /* a and b stay */
    tree_stop(top);
    tree_trace("c-shutdown b-shutdown a-shutdown");
    top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 9), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    actor_fails("c", 1, ACTOR_STOPS);
    tree_kill("b");
    tree_trace(
        "a+ b+ c+ c-shutdown a-shutdown a+ b+ c! b-shutdown a-shutdown a+ b+ c+"); /* the whole group again */
    tree_children_are(top, "c b a");
}

static void terminates_b(const void *top)
{
    tr_sup_result result = tr_supervisor_terminate_child(tr_to(*(const tr_pid *)top), tr_atom("b"));
    tree_log("terminate:%s", tr_err_name(result.err));
}

static void touches_b(const void *top)
{
    tr_dest sup = tr_to(*(const tr_pid *)top);
    tree_log("restart:%s", tr_term_text(tr_supervisor_restart_child(sup, tr_atom("b")).reason));
    tree_log("delete:%s", tr_term_text(tr_supervisor_delete_child(sup, tr_atom("b")).reason));
    tree_log("start:%s", tr_term_text(tr_supervisor_start_child(sup, &ACTOR("b")).reason));
}

TREE_TEST(rules, rule_18_retries_of_a_restart_go_through_the_mailbox)
{
    tr_pid top = tree_start(TREE(.intensity = 9, .period_s = 60), ACTOR("a"), ACTOR("b"));
    actor_fails("b", 3, ACTOR_STOPS);
    tr_exit_signal(tr_to(tree_pid("b")), TR_ATOM(KILL));
    tree_aside(touches_b, top); /* served between the tries; what came first is asked first */
    tree_trace("a+ b+ b! restart:restarting b! delete:restarting b! start:already_present b+");
    actor_fails("b", 3, ACTOR_STOPS);
    tr_exit_signal(tr_to(tree_pid("b")), TR_ATOM(KILL));
    tree_aside(terminates_b, top); /* ends the retries */
    tree_trace("b! terminate:TR_OK");
    tree_children_are(top, "b:stopped a");
}

TREE_TEST(rules, rule_19_who_comes_back_in_a_group_restart)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 5), ACTOR("a"), ACTOR("stopped"),
                            ACTOR("ended", .restart = TR_TRANSIENT), ACTOR("temp", .restart = TR_TEMPORARY));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("stopped")).err, TR_OK);
    tree_end("ended", TR_ATOM(NORMAL));
    tree_children_are(top, "temp ended:stopped stopped:stopped a"); /* newest first */
    tree_kill("a");
    tree_children_are(top, "ended stopped a"); /* the temporary one is stopped and forgotten */
    tree_trace("a+ stopped+ ended+ temp+ stopped-shutdown ended-normal temp-shutdown a+ stopped+ ended+");
    cr_expect_eq(tr_supervisor_start_child(tr_to(top), &ACTOR("temp", .restart = TR_TEMPORARY)).err, TR_OK);
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("temp")).err, TR_OK);
    tree_children_are(top, "ended stopped a"); /* terminate_child deletes a temporary spec */
}

static tr_supervisor branch(const tr_child_spec *children)
{
    return (tr_supervisor){
        .name = "branch", .flags = {.intensity = TR_INTENSITY_NONE}, .children = children, .child_count = 1};
}

TREE_TEST(rules, rule_20_escalation_is_a_shutdown)
{
    static tr_child_spec x, y;
    static tr_supervisor permanent, transient;
    x = ACTOR("x");
    y = ACTOR("y");
    permanent = branch(&x);
    transient = branch(&y);
    tr_pid top = tree_start(TREE(.intensity = 5), BRANCH("p", &permanent),
                            BRANCH("t", &transient, .restart = TR_TRANSIENT));
    tree_kill("x");
    tree_kill("y");
    tree_trace("x+ y+ x+");
    tree_children_are(top, "t:stopped p"); /* a clean end for a transient one */
}

TREE_TEST(rules, rule_21_children_are_shut_down_one_at_a_time_in_reverse)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ONE), ACTOR("a"),
                            ACTOR("b", .shutdown_ms = TR_SHUTDOWN_BRUTAL_KILL),
                            PLAIN("c", .shutdown_ms = 100), ACTOR("d"));
    int64_t begin = tr_now_ms();
    tree_stop(top);
    cr_expect_eq(tr_now_ms(), begin + 100); /* c traps and stays: it is waited for, then killed */
    tree_trace("a+ b+ c+ d+ d-shutdown c?shutdown a-shutdown");
    /* Of a supervisor that is killed, no child is left: they stay linked to it until they are dead. */
    top = tree_start(TREE(.strategy = TR_ONE_FOR_ONE), ACTOR("a"), PLAIN("c", .shutdown_ms = 1000));
    tr_exit_signal(tr_to(top), TR_ATOM(SHUTDOWN)); /* this process is its parent */
    tr_sleep(100);
    tr_exit_signal(tr_to(top), TR_ATOM(KILL));
    tr_sleep(100);
    tree_trace("a+ c+ c?shutdown c?killed a-killed");
    cr_expect(tree_pid("a") == TR_NO_PID);
}

TREE_TEST(rules, rule_22_auto_shutdown_is_for_the_own_end_of_a_significant_child)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .auto_shutdown = TR_AUTO_ANY_SIGNIFICANT, .intensity = 5),
                   ACTOR("a", .restart = TR_TRANSIENT, .significant = true), ACTOR("b"),
                   ACTOR("c", .restart = TR_TRANSIENT));
    tree_end("c", TR_ATOM(NORMAL)); /* not significant */
    tree_kill("b");                 /* a is stopped with the group */
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    tree_children_are(top, "c b a:stopped");
    cr_expect_eq(tr_supervisor_restart_child(tr_to(top), tr_atom("a")).err, TR_OK);
    tree_end("a", TR_ATOM(NORMAL));
    tree_term_is(tree_ended(top), "shutdown");
    tr_started started;
    tr_err err =
        tree_try(&started, TREE(.auto_shutdown = TR_AUTO_ANY_SIGNIFICANT), ACTOR("p", .significant = true));
    cr_expect_neq(err, TR_OK, "permanent and significant");
    err = tree_try(&started, TREE(.auto_shutdown = TR_AUTO_NEVER),
                   ACTOR("p", .restart = TR_TRANSIENT, .significant = true));
    cr_expect_neq(err, TR_OK, "significant, but nothing ends by itself");
}
