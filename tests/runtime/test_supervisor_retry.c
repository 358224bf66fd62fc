/* Restarts that fail for ever, in virtual time: supervisor_SUITE's hanging loops. Time stands still while one turns, so
 * these tests yield where others sleep. */
#include "tests/runtime/tree.h"

enum { FOR_EVER = 100000 };

/* Kills the child b, which cannot start again from now on, and lets its supervisor try a few times. */
static void hang(void)
{
    actor_fails("b", FOR_EVER, ACTOR_STOPS);
    tr_exit_signal(tr_to_name(tr_atom("b")), TR_ATOM(KILL));
    for (int i = 0; i < 100; i++) {
        tr_yield();
    }
}

/* Takes b out in the middle of the loop, brings it back, and stops the supervisor in the next one. */
static void is_asked_in_the_loop(tr_strategy strategy, const char *hanging, const char *taken_out)
{
    tr_sup_flags flags = {.strategy = strategy, .intensity = FOR_EVER, .period_s = 3600};
    tr_pid top = tree_start(flags, ACTOR("a"), ACTOR("b"), ACTOR("c"));
    tr_child_spec again = ACTOR("b");
    hang();
    tree_term_is(tr_supervisor_restart_child(tr_to(top), tr_atom("b")).reason, "restarting");
    tree_term_is(tr_supervisor_delete_child(tr_to(top), tr_atom("b")).reason, "restarting");
    tree_term_is(tr_supervisor_start_child(tr_to(top), &again).reason, "already_present");
    tree_children_are(top, hanging);
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("b")).err, TR_OK);
    tree_children_are(top, taken_out);
    actor_fails("b", 0, ACTOR_STARTS);
    cr_expect_eq(tr_supervisor_restart_child(tr_to(top), tr_atom("b")).err, TR_OK);
    (void)tr_supervisor_restart_child(tr_to(top), tr_atom("c"));
    tree_children_are(top, "c b a");
    hang();
    tree_stop(top);
    cr_expect_eq(tree_pid("a"), TR_NO_PID);
    cr_expect_eq(tree_pid("c"), TR_NO_PID);
}

/* supervisor_SUITE: hanging_restart_loop */
TREE_TEST(supervisor_retry, hanging_restart_loop)
{
    is_asked_in_the_loop(TR_ONE_FOR_ONE, "c b:restarting a", "c b:stopped a");
}

/* supervisor_SUITE: hanging_restart_loop_rest_for_one: those after b wait for it. */
TREE_TEST(supervisor_retry, hanging_restart_loop_rest_for_one)
{
    is_asked_in_the_loop(TR_REST_FOR_ONE, "c:stopped b:restarting a", "c:stopped b:stopped a");
}

/* supervisor_SUITE: simple_one_for_one_restart_ignore (OTP 27; OTP 25 keeps an entry without a process). */
TREE_TEST(supervisor_retry, a_dynamic_child_whose_restart_ignores_is_forgotten)
{
    tr_child_spec spec = {.id = tr_atom("w"), .server = actor_server};
    tr_pid top = tree_start(TREE(.strategy = TR_SIMPLE_ONE_FOR_ONE, .intensity = 9), spec);
    tr_pid one = tr_supervisor_start_child_arg(tr_to(top), "w1", 3).pid;
    actor_fails("w1", 1, ACTOR_IGNORES);
    tr_exit_signal(tr_to(one), TR_ATOM(KILL));
    tree_trace("w1+ w1!");
    tree_children_are(top, "");
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_OK);
    cr_expect(counts.specs == 1 && counts.active == 0 && counts.workers == 0);
}
