/* Who is restarted, in which order, how often: strategies, restart types, retries, intensity, auto_shutdown, escalation. */
#include "tests/runtime/tree.h"

/* ---- restart types ------------------------------------------------------------------------------------------------ */

TREE_TEST(supervisor_restart, permanent_child_is_restarted_whatever_the_reason)
{
    tr_pid top = tree_start(TREE(.intensity = 9), ACTOR("a"));
    tree_end("a", TR_ATOM(NORMAL));
    tree_end("a", TR_ATOM(SHUTDOWN));
    tree_end("a", tr_tuple(TR_ATOM(SHUTDOWN), tr_atom("x")));
    tree_end("a", tr_atom("err"));
    tree_kill("a");
    tree_trace("a+ a-normal a+ a-shutdown a+ a-{shutdown,x} a+ a-err a+ a+");
    tree_children_are(top, "a");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_TERMINATED], 5);
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_RESTARTED], 5);
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_STARTED], 1);
}

TREE_TEST(supervisor_restart, transient_child_is_not_restarted_after_a_clean_end_and_its_spec_stays)
{
    tr_pid top = tree_start(TREE(.intensity = 9), ACTOR("a", .restart = TR_TRANSIENT),
                            ACTOR("b", .restart = TR_TRANSIENT), ACTOR("c", .restart = TR_TRANSIENT));
    tree_end("a", TR_ATOM(NORMAL));
    tree_end("b", TR_ATOM(SHUTDOWN));
    tree_end("c", tr_tuple(TR_ATOM(SHUTDOWN), tr_atom("x")));
    tree_children_are(top, "c:stopped b:stopped a:stopped");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_TERMINATED], 0);
    tree_trace("a+ b+ c+ a-normal b-shutdown c-{shutdown,x}");
}

TREE_TEST(supervisor_restart, transient_child_is_restarted_after_a_failure_or_a_kill)
{
    tr_pid top = tree_start(TREE(.intensity = 9), ACTOR("a", .restart = TR_TRANSIENT));
    tree_end("a", tr_atom("err"));
    tree_kill("a");
    tree_trace("a+ a-err a+ a+");
    tree_children_are(top, "a");
}

TREE_TEST(supervisor_restart, temporary_child_is_never_restarted_and_its_spec_goes)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = TR_INTENSITY_NONE), ACTOR("a"),
                            ACTOR("b", .restart = TR_TEMPORARY), ACTOR("c"));
    tree_kill("b");
    tree_children_are(top, "c a");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_TERMINATED], 1);
    tree_trace("a+ b+ c+");
}

/* ---- strategies --------------------------------------------------------------------------------------------------- */

TREE_TEST(supervisor_restart, one_for_one_restarts_only_the_failed_child)
{
    tr_pid top = tree_start(TREE(.intensity = 5), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    tr_pid old = tree_pid("b");
    tree_kill("b");
    cr_expect(tree_pid("b") != TR_NO_PID && tree_pid("b") != old);
    tree_kill("a");
    tree_trace("a+ b+ c+ b+ a+");
    tree_children_are(top, "c b a");
}

TREE_TEST(supervisor_restart, one_for_all_stops_the_others_in_reverse_and_starts_all_in_order)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 5), ACTOR("a"), ACTOR("b"),
                            ACTOR("c"), ACTOR("d"));
    tree_kill("b");
    tree_trace("a+ b+ c+ d+ d-shutdown c-shutdown a-shutdown a+ b+ c+ d+");
    tree_children_are(top, "d c b a");
}

TREE_TEST(supervisor_restart, rest_for_one_stops_the_later_ones_in_reverse_and_starts_from_the_failed_one)
{
    tr_pid top = tree_start(TREE(.strategy = TR_REST_FOR_ONE, .intensity = 5), ACTOR("a"), ACTOR("b"),
                            ACTOR("c"), ACTOR("d"));
    tree_kill("b");
    tree_trace("a+ b+ c+ d+ d-shutdown c-shutdown b+ c+ d+");
    tree_kill("d");
    tree_trace("d+");
    tree_kill("a");
    tree_trace("d-shutdown c-shutdown b-shutdown a+ b+ c+ d+");
    tree_children_are(top, "d c b a");
}

TREE_TEST(supervisor_restart, group_restart_starts_manually_stopped_siblings_again)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_REST_FOR_ONE, .intensity = 5), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("b")).err, TR_OK);
    tree_children_are(top, "c b:stopped a");
    tree_kill("a");
    tree_children_are(top, "c b a");
    tree_trace("a+ b+ c+ b-shutdown c-shutdown a+ b+ c+");
}

TREE_TEST(supervisor_restart, group_restart_starts_normally_ended_siblings_again)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 5), ACTOR("a"),
                            ACTOR("b", .restart = TR_TRANSIENT), ACTOR("c"));
    tree_end("b", TR_ATOM(NORMAL));
    tree_kill("c");
    tree_trace("a+ b+ c+ b-normal a-shutdown a+ b+ c+");
    tree_children_are(top, "c b a");
}

TREE_TEST(supervisor_restart, group_restart_stops_and_forgets_temporary_siblings)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 5), ACTOR("t", .restart = TR_TEMPORARY),
                   ACTOR("a"), ACTOR("b", .restart = TR_TEMPORARY), ACTOR("c"));
    tree_kill("a");
    tree_trace("t+ a+ b+ c+ c-shutdown b-shutdown t-shutdown a+ c+");
    tree_children_are(top, "c a");
}

TREE_TEST(supervisor_restart, rest_for_one_keeps_an_earlier_temporary_child)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_REST_FOR_ONE, .intensity = 5), ACTOR("t1", .restart = TR_TEMPORARY),
                   ACTOR("a"), ACTOR("t2", .restart = TR_TEMPORARY), ACTOR("c"));
    tree_kill("a");
    tree_trace("t1+ a+ t2+ c+ c-shutdown t2-shutdown a+ c+");
    tree_children_are(top, "c a t1");
}

TREE_TEST(supervisor_restart, siblings_that_die_together_are_restarted_once_each)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 1), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    tr_exit_signal(tr_to(tree_pid("b")), TR_ATOM(KILL));
    tr_exit_signal(tr_to(tree_pid("c")), TR_ATOM(KILL));
    tree_settle();
    tree_trace("a+ b+ c+ a-shutdown a+ b+ c+");
    tree_children_are(top, "c b a");
}

/* ---- restarts that fail ------------------------------------------------------------------------------------------- */

TREE_TEST(supervisor_restart, failing_restart_is_tried_again)
{
    tr_pid top = tree_start(TREE(.intensity = 5), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    actor_fails("b", 3, ACTOR_STOPS);
    tree_kill("b");
    tree_trace("a+ b+ c+ b! b! b! b+");
    tree_children_are(top, "c b a");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_START_FAILED], 3);
    cr_expect_str_eq(tree.last_reason[TR_REPORT_CHILD_START_FAILED], "nope");
}

TREE_TEST(supervisor_restart, each_try_counts_towards_the_intensity)
{
    tr_pid top = tree_start(TREE(.intensity = 2), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    actor_fails("c", 9, ACTOR_STOPS);
    tree_kill("c");
    tree_trace("a+ b+ c+ c! c! b-shutdown a-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
    cr_expect_eq(tree.reports[TR_REPORT_SUPERVISOR_GAVE_UP], 1);
    cr_expect_str_eq(tree.last_reason[TR_REPORT_SUPERVISOR_GAVE_UP], "reached_max_restart_intensity");
}

TREE_TEST(supervisor_restart, rest_for_one_goes_on_from_the_sibling_that_failed_to_start)
{
    tr_pid top = tree_start(TREE(.strategy = TR_REST_FOR_ONE, .intensity = 9), ACTOR("a"), ACTOR("b"),
                            ACTOR("c"), ACTOR("d"));
    actor_fails("c", 2, ACTOR_STOPS);
    tree_kill("b");
    tree_trace("a+ b+ c+ d+ d-shutdown c-shutdown b+ c! c! c+ d+");
    tree_children_are(top, "d c b a");
}

TREE_TEST(supervisor_restart, one_for_all_stops_the_fresh_ones_and_tries_the_whole_group_again)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 9), ACTOR("a"), ACTOR("b"),
                            ACTOR("c"), ACTOR("d"));
    actor_fails("c", 2, ACTOR_STOPS);
    tree_kill("a");
    tree_trace(
        "a+ b+ c+ d+ d-shutdown c-shutdown b-shutdown a+ b+ c! b-shutdown a-shutdown a+ b+ c! b-shutdown "
        "a-shutdown a+ b+ c+ d+");
    tree_children_are(top, "d c b a");
}

TREE_TEST(supervisor_restart, group_that_cannot_start_ends_the_supervisor)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 2), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    actor_fails("b", 9, ACTOR_STOPS);
    tree_kill("a");
    tree_trace("a+ b+ c+ c-shutdown b-shutdown a+ b! a-shutdown a+ b! a-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, rest_of_the_group_that_cannot_start_ends_the_supervisor)
{
    tr_pid top =
        tree_start(TREE(.strategy = TR_REST_FOR_ONE, .intensity = 2), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    actor_fails("b", 9, ACTOR_STOPS);
    tree_kill("a");
    tree_trace("a+ b+ c+ c-shutdown b-shutdown a+ b! b! a-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, restart_that_ignores_leaves_the_child_stopped)
{
    tr_pid top = tree_start(TREE(.intensity = 5), ACTOR("a"), ACTOR("b"));
    actor_fails("a", 1, ACTOR_IGNORES);
    tree_kill("a");
    tree_children_are(top, "b a:stopped");
}

/* A supervisor whose child s is being restarted and has not acknowledged yet; callers queue up meanwhile. */
static tr_pid stuck_restart(void)
{
    const tr_child_spec children[] = {ACTOR("a"), PLAIN("s", .manual_ack = true)};
    static tr_child_spec kept[2];
    memcpy(kept, children, sizeof kept);
    static tr_supervisor module = {
        .name = "tree", .flags = {.intensity = 5}, .children = kept, .child_count = 2};
    /* the acknowledgement has to come from outside while the start waits */
    tr_send_after(5, tr_to_name(tr_atom("s")), TR_MSG(plain_ack));
    tr_started started;
    cr_expect_eq(tr_supervisor_start_link(&module, NULL, 0, NULL, &started), TR_OK);
    tree_kill("s");
    return started.pid;
}

static void ask_terminate(const void *top)
{
    tr_sup_result result = tr_supervisor_terminate_child(tr_to(*(const tr_pid *)top), tr_atom("s"));
    tree_log("terminate:%s", tr_err_name(result.err));
}

static void ask_which(const void *top)
{
    tree_log("which:%s", tree_children(*(const tr_pid *)top));
}

static void ask_count(const void *top)
{
    tr_child_counts counts = {0};
    tr_err err = tr_supervisor_count_children(tr_to(*(const tr_pid *)top), &counts);
    tree_log("count:%s:%zu/%zu", tr_err_name(err), counts.active, counts.specs);
}

static void ask_restart(const void *top)
{
    tr_sup_result result = tr_supervisor_restart_child(tr_to(*(const tr_pid *)top), tr_atom("s"));
    tree_log("restart:%s:%s", tr_err_name(result.err), tr_term_text(result.reason));
}

static void ask_delete(const void *top)
{
    tr_sup_result result = tr_supervisor_delete_child(tr_to(*(const tr_pid *)top), tr_atom("s"));
    tree_log("delete:%s:%s", tr_err_name(result.err), tr_term_text(result.reason));
}

static void ask_start(const void *top)
{
    tr_child_spec spec = PLAIN("s");
    tr_sup_result result = tr_supervisor_start_child(tr_to(*(const tr_pid *)top), &spec);
    tree_log("start:%s:%s", tr_err_name(result.err), tr_term_text(result.reason));
}

TREE_TEST(supervisor_restart, calls_are_served_between_the_tries)
{
    tr_pid top = stuck_restart();
    tree_aside(ask_which, top);
    tree_aside(ask_count, top);
    tree_trace("a+ s+ s+"); /* nobody is served while the start is under way */
    tree_end("s", tr_atom("nope"));
    tree_trace_unordered("which:s:restarting a count:TR_OK:1/2 s+");
    TR_SEND(tr_atom("s"), plain_ack);
    tree_settle();
    tree_children_are(top, "s a");
}

TREE_TEST(supervisor_restart, a_restarting_child_is_neither_restarted_deleted_nor_added_by_hand)
{
    tr_pid top = stuck_restart();
    tree_aside(ask_restart, top);
    tree_aside(ask_delete, top);
    tree_aside(ask_start, top);
    tree_end("s", tr_atom("nope"));
    tree_trace_unordered("a+ s+ s+ restart:TR_E_RESTARTING:restarting delete:TR_E_RESTARTING:restarting "
                         "start:TR_E_ALREADY_PRESENT:already_present s+");
}

TREE_TEST(supervisor_restart, terminate_child_cancels_the_retry)
{
    tr_pid top = stuck_restart();
    tree_aside(ask_terminate, top);
    tree_end("s", tr_atom("nope"));
    tree_trace("a+ s+ s+ terminate:TR_OK");
    tr_sleep(100);
    tree_children_are(top, "s:stopped a");
    tree_trace("");
}

TREE_TEST(supervisor_restart, the_parents_end_is_served_between_the_tries)
{
    tr_pid top = stuck_restart();
    tr_exit_signal(tr_to(top), TR_ATOM(SHUTDOWN)); /* this process is its parent */
    tree_settle();
    tree_trace("a+ s+ s+");
    tree_end("s", tr_atom("nope"));
    tree_trace("a-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

/* ---- intensity ---------------------------------------------------------------------------------------------------- */

TREE_TEST(supervisor_restart, intensity_two_survives_two_failures_and_not_three)
{
    tr_pid top = tree_start(TREE(.intensity = 2, .period_s = 10), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    tree_kill("a");
    tree_kill("b");
    tree_children_are(top, "c b a");
    tree_kill("c");
    tree_trace("a+ b+ c+ a+ b+ b-shutdown a-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, default_intensity_is_three)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    for (int i = 0; i < 3; i++) {
        tree_kill("a");
    }
    tree_children_are(top, "a");
    tree_kill("a");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, intensity_none_gives_up_at_the_first_failure)
{
    tr_pid top = tree_start(TREE(.intensity = TR_INTENSITY_NONE), ACTOR("a"), ACTOR("b"));
    tree_kill("a");
    tree_trace("a+ b+ b-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, a_group_restart_counts_once)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = 2, .period_s = 10), ACTOR("a"),
                            ACTOR("b"), ACTOR("c"), ACTOR("d"));
    tree_kill("a");
    tree_kill("b");
    tree_children_are(top, "d c b a");
    tr_sup_info info;
    cr_expect_eq(tr_supervisor_info(tr_to(top), &info), TR_OK);
    cr_expect_eq(info.restarts, 2);
}

/* To offset_ms after a whole second of the clock that restarts are counted by. */
static void align(int64_t offset_ms)
{
    int64_t now = tr_now_ms();
    tr_sleep(1000 - now % 1000 + offset_ms);
    cr_expect_eq(tr_now_ms() % 1000, offset_ms);
}

TREE_TEST(supervisor_restart, the_window_is_counted_in_whole_seconds_with_its_edge)
{
    align(100);
    tr_pid top = tree_start(TREE(.intensity = 1, .period_s = 1), ACTOR("a"));
    tree_kill("a");
    tr_sleep(1500); /* the next second but one has not begun: the first failure still counts */
    tree_kill("a");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, a_failure_is_forgotten_after_the_window)
{
    align(900);
    tr_pid top = tree_start(TREE(.intensity = 1, .period_s = 1), ACTOR("a"));
    tree_kill("a");
    tr_sleep(1100); /* two whole seconds later by that clock */
    tree_kill("a");
    tree_children_are(top, "a");
}

TREE_TEST(supervisor_restart, a_million_restarts_in_one_second_need_no_memory_each)
{
    tr_pid top = tree_start(TREE(.intensity = 1000000), ACTOR("a"));
    for (int i = 0; i < 200; i++) {
        tr_exit_signal(tr_to_name(tr_atom("a")), TR_ATOM(KILL));
        tr_yield();
        tr_yield();
    }
    tree_settle();
    tr_sup_info info;
    cr_expect_eq(tr_supervisor_info(tr_to(top), &info), TR_OK);
    cr_expect(info.restarts > 50);
    tree.text[0] = '\0';
}

/* ---- escalation --------------------------------------------------------------------------------------------------- */

static const tr_supervisor *branch_of(tr_sup_flags flags, const tr_child_spec *children, size_t count)
{
    static tr_supervisor modules[8];
    static tr_child_spec kept[8][4];
    static size_t used;
    memcpy(kept[used], children, count * sizeof *children);
    modules[used] =
        (tr_supervisor){.name = "branch", .flags = flags, .children = kept[used], .child_count = count};
    return &modules[used++];
}
#define SUB(flags, ...)                                      \
    branch_of((flags), (const tr_child_spec[]){__VA_ARGS__}, \
              sizeof((const tr_child_spec[]){__VA_ARGS__}) / sizeof(tr_child_spec))

TREE_TEST(supervisor_restart, a_permanent_branch_that_gave_up_is_restarted)
{
    const tr_supervisor *sub = SUB(TREE(.intensity = TR_INTENSITY_NONE), ACTOR("x"), ACTOR("y"));
    tr_pid top = tree_start(TREE(.intensity = 5, .strategy = TR_REST_FOR_ONE), ACTOR("a"), BRANCH("sub", sub),
                            ACTOR("c"));
    tree_kill("y");
    tree_trace("a+ x+ y+ c+ x-shutdown c-shutdown x+ y+ c+");
    tree_children_are(top, "c sub a");
}

TREE_TEST(supervisor_restart, a_transient_branch_that_gave_up_is_not_restarted)
{
    const tr_supervisor *sub = SUB(TREE(.intensity = TR_INTENSITY_NONE), ACTOR("x"), ACTOR("y"));
    tr_pid top = tree_start(TREE(.intensity = 5), ACTOR("a"), BRANCH("sub", sub, .restart = TR_TRANSIENT));
    tree_kill("x");
    tree_trace("a+ x+ y+ y-shutdown");
    tree_children_are(top, "sub:stopped a");
}

TREE_TEST(supervisor_restart, a_temporary_branch_that_gave_up_is_forgotten)
{
    const tr_supervisor *sub = SUB(TREE(.intensity = TR_INTENSITY_NONE), ACTOR("x"));
    tr_pid top = tree_start(TREE(.intensity = 5), ACTOR("a"), BRANCH("sub", sub, .restart = TR_TEMPORARY));
    tree_kill("x");
    tree_children_are(top, "a");
}

TREE_TEST(supervisor_restart, failures_that_exhaust_every_level_end_the_tree)
{
    const tr_supervisor *sub = SUB(TREE(.intensity = 1), ACTOR("x"));
    tr_pid top = tree_start(TREE(.intensity = TR_INTENSITY_NONE), BRANCH("sub", sub));
    tree_kill("x");
    tree_kill("x");
    tree_term_is(tree_ended(top), "shutdown");
    tree_trace("x+ x+");
}

TREE_TEST(supervisor_restart, escalation_goes_up_level_by_level)
{
    const tr_supervisor *low = SUB(TREE(.intensity = TR_INTENSITY_NONE), ACTOR("x"));
    const tr_supervisor *mid =
        SUB(TREE(.strategy = TR_ONE_FOR_ALL, .intensity = TR_INTENSITY_NONE), ACTOR("m"), BRANCH("low", low));
    tr_pid top = tree_start(TREE(.intensity = 3), BRANCH("mid", mid), ACTOR("z"));
    tree_kill("x");
    tree_trace("m+ x+ z+ m-shutdown m+ x+");
    tree_children_are(top, "z mid");
}

/* ---- auto_shutdown ------------------------------------------------------------------------------------------------ */

TREE_TEST(supervisor_restart, any_significant_ends_the_supervisor_with_the_first_one)
{
    tr_pid top = tree_start(TREE(.auto_shutdown = TR_AUTO_ANY_SIGNIFICANT),
                            ACTOR("a", .restart = TR_TRANSIENT, .significant = true),
                            ACTOR("b", .restart = TR_TRANSIENT, .significant = true), ACTOR("d"));
    tree_end("a", TR_ATOM(NORMAL));
    tree_trace("a+ b+ d+ a-normal d-shutdown b-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, all_significant_ends_the_supervisor_with_the_last_one)
{
    tr_pid top = tree_start(TREE(.auto_shutdown = TR_AUTO_ALL_SIGNIFICANT),
                            ACTOR("a", .restart = TR_TRANSIENT, .significant = true),
                            ACTOR("b", .restart = TR_TEMPORARY, .significant = true), ACTOR("d"));
    tree_end("a", TR_ATOM(NORMAL));
    tree_children_are(top, "d b a:stopped");
    tree_kill("b");
    tree_trace("a+ b+ d+ a-normal d-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, a_restarted_significant_child_ends_nothing)
{
    tr_pid top = tree_start(TREE(.auto_shutdown = TR_AUTO_ANY_SIGNIFICANT),
                            ACTOR("a", .restart = TR_TRANSIENT, .significant = true), ACTOR("d"));
    tree_kill("a");
    tree_children_are(top, "d a");
}

TREE_TEST(supervisor_restart, terminate_child_of_a_significant_child_ends_nothing)
{
    tr_pid top = tree_start(TREE(.auto_shutdown = TR_AUTO_ANY_SIGNIFICANT),
                            ACTOR("a", .restart = TR_TRANSIENT, .significant = true), ACTOR("d"));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    tree_children_are(top, "d a:stopped");
}

TREE_TEST(supervisor_restart, a_significant_sibling_stopped_in_a_group_restart_ends_nothing)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ALL, .auto_shutdown = TR_AUTO_ANY_SIGNIFICANT),
                            ACTOR("a"), ACTOR("b", .restart = TR_TEMPORARY, .significant = true));
    tree_kill("a");
    tree_children_are(top, "a");
}

TREE_TEST(supervisor_restart, an_insignificant_end_is_nothing_special)
{
    tr_pid top = tree_start(TREE(.auto_shutdown = TR_AUTO_ANY_SIGNIFICANT),
                            ACTOR("a", .restart = TR_TRANSIENT), ACTOR("d"));
    tree_end("a", TR_ATOM(NORMAL));
    tree_children_are(top, "d a:stopped");
}

/* ---- simple_one_for_one ------------------------------------------------------------------------------------------- */

TREE_TEST(supervisor_restart, dynamic_children_are_counted_together)
{
    tr_child_spec spec = {.id = tr_atom("w"), .server = actor_server};
    tr_pid top = tree_start(TREE(.strategy = TR_SIMPLE_ONE_FOR_ONE, .intensity = 1), spec);
    tr_sup_result one = tr_supervisor_start_child_arg(tr_to(top), "w1", 3);
    tr_sup_result two = tr_supervisor_start_child_arg(tr_to(top), "w2", 3);
    tr_exit_signal(tr_to(one.pid), TR_ATOM(KILL));
    tree_trace("w1+ w2+ w1+");
    tr_exit_signal(tr_to(two.pid), TR_ATOM(KILL));
    tree_trace("w1-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor_restart, a_dynamic_child_that_cannot_restart_is_listed_as_restarting_under_its_last_pid)
{
    tr_child_spec spec = {.id = tr_atom("w"), .main = plain_main, .manual_ack = true};
    tr_pid top = tree_start(TREE(.strategy = TR_SIMPLE_ONE_FOR_ONE, .intensity = 9), spec);
    tr_child_spec direct = {.id = tr_atom("w"), .server = actor_server};
    tr_pid sup = tree_start(TREE(.strategy = TR_SIMPLE_ONE_FOR_ONE, .intensity = 9), direct);
    tr_sup_result one = tr_supervisor_start_child_arg(tr_to(sup), "w1", 3);
    actor_fails("w1", 3, ACTOR_STOPS);
    tr_exit_signal(tr_to(one.pid), TR_ATOM(KILL));
    tree_trace("w1+ w1! w1! w1! w1+");
    tree_children_are(sup, "undefined");
    tree_children_are(top, "");
}

TREE_TEST(supervisor_restart, a_retry_gets_through_a_full_mailbox)
{
    static tr_child_spec child;
    static tr_supervisor module;
    child = PLAIN("s", .manual_ack = true);
    module = (tr_supervisor){.name = "tree", .flags = {.intensity = 5}, .children = &child, .child_count = 1};
    tr_start_opts opts = {.spawn = {.mailbox_max = 1}};
    tr_started started;
    tr_send_after(5, tr_to_name(tr_atom("s")), TR_MSG(plain_ack));
    cr_expect_eq(tr_supervisor_start_link(&module, NULL, 0, &opts, &started), TR_OK);
    tree_kill("s");
    tree_aside(ask_which, started.pid); /* fills it */
    cr_expect_eq(TR_SEND(started.pid, actor_ask), TR_E_FULL);
    tree_end("s", tr_atom("nope"));
    tree_trace_unordered("s+ s+ which:s:restarting s+");
}
