/* Administration of children: start_child, terminate_child, restart_child, delete_child; simple_one_for_one. */
#include "tests/runtime/tree.h"

/* ---- start_child -------------------------------------------------------------------------------------------------- */

TREE_TEST(supervisor, which_children_lists_the_newest_first)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    tr_child_spec spec = ACTOR("x");
    cr_expect_eq(tr_supervisor_start_child(tr_to(top), &spec).err, TR_OK);
    tree_children_are(top, "x c b a");
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("b")).err, TR_OK);
    cr_expect_eq(tr_supervisor_restart_child(tr_to(top), tr_atom("b")).err, TR_OK);
    tree_children_are(top, "x c b a");
    tree_stop(top);
    tree_trace("a+ b+ c+ x+ b-shutdown b+ x-shutdown c-shutdown b-shutdown a-shutdown");
}

TREE_TEST(supervisor, start_child_with_a_used_id_is_refused)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    tr_child_spec spec = ACTOR("a");
    tr_sup_result result = tr_supervisor_start_child(tr_to(top), &spec);
    cr_expect(result.err == TR_E_ALREADY_STARTED && result.pid == tree_pid("a"));
    cr_expect(tr_is_tagged(result.reason, "already_started", 2));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    result = tr_supervisor_start_child(tr_to(top), &spec);
    cr_expect_eq(result.err, TR_E_ALREADY_PRESENT);
    tree_term_is(result.reason, "already_present");
    cr_expect_eq(tr_supervisor_delete_child(tr_to(top), tr_atom("a")).err, TR_OK);
    result = tr_supervisor_start_child(tr_to(top), &spec);
    cr_expect(result.err == TR_OK && result.pid == tree_pid("a"));
}

TREE_TEST(supervisor, failing_start_child_tells_why_and_keeps_no_spec)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    actor_fails("b", 1, ACTOR_STOPS);
    tr_child_spec spec = ACTOR("b");
    tr_sup_result result = tr_supervisor_start_child(tr_to(top), &spec);
    cr_expect_eq(result.err, TR_E_EXIT);
    tree_term_is(result.reason, "{nope,{child,b}}");
    tree_children_are(top, "a");
    cr_expect_eq(tr_supervisor_start_child(tr_to(top), &spec).err, TR_OK);
    tree_children_are(top, "b a");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_START_FAILED], 0); /* the caller was told */
}

TREE_TEST(supervisor, child_whose_name_is_taken_is_already_started)
{
    tr_pid top = tree_start(TREE(), ACTOR("x"));
    cr_expect_eq(tr_register(tr_atom("n"), tr_self()), TR_OK);
    tr_child_spec spec = ACTOR("a");
    spec.start.name = tr_atom("n");
    tr_sup_result result = tr_supervisor_start_child(tr_to(top), &spec);
    cr_expect_eq(result.err, TR_E_EXIT);
    cr_expect(tr_term_kind_of(result.reason) == TR_TERM_TUPLE);
    tr_term what = tr_term_items(result.reason)[0];
    cr_expect(tr_is_tagged(what, "already_started", 2) && tr_pid_value(tr_term_items(what)[1]) == tr_self());
    tree_children_are(top, "x");
}

TREE_TEST(supervisor, start_child_with_an_invalid_spec_is_refused)
{
    tr_pid top = tree_start(TREE(), ACTOR("x"));
    tr_child_spec spec = ACTOR("a", .restart = (tr_restart)7);
    tr_sup_result result = tr_supervisor_start_child(tr_to(top), &spec);
    cr_expect_eq(result.err, TR_E_BADARG);
    tree_term_is(result.reason, "{invalid_restart_type,7}");
    spec = ACTOR("a", .restart = TR_TRANSIENT, .significant = true);
    tree_term_is(tr_supervisor_start_child(tr_to(top), &spec).reason,
                 "{bad_combination,[{auto_shutdown,never},{significant,true}]}");
    cr_expect_eq(tr_supervisor_start_child_arg(tr_to(top), "w", 2).err, TR_E_BADARG);
    tree_children_are(top, "x");
}

TREE_TEST(supervisor, start_child_copies_all_that_the_spec_points_to)
{
    tr_pid top = tree_start(TREE(.intensity = 9), ACTOR("x"));
    char name[24] = "late", label[24] = "a label";
    tr_child_spec spec = {.server = actor_server, .arg = name, .arg_bytes = sizeof name};
    spec.id = tr_tuple(tr_atom("worker"), tr_string("with a long string id"));
    spec.start.name = tr_atom("late");
    spec.start.spawn.label = label;
    cr_expect_eq(tr_supervisor_start_child(tr_to(top), &spec).err, TR_OK);
    memset(name, '#', sizeof name - 1);
    memset(label, '#', sizeof label - 1);
    tree_kill("late");
    tree_trace("x+ late+ late+");
    tr_process_summary summary;
    cr_expect_eq(tr_process_summary_of(tree_pid("late"), &summary), TR_OK);
    cr_expect_str_eq(summary.label, "a label");
    cr_expect_eq(summary.restarts, 1);
    tree_children_are(top, "{worker,\"with a long string id\"} x");
}

/* ---- terminate, restart, delete ----------------------------------------------------------------------------------- */

TREE_TEST(supervisor, terminate_child_keeps_the_spec_and_succeeds_twice)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    tree_children_are(top, "a:stopped");
    tr_sup_result result = tr_supervisor_terminate_child(tr_to(top), tr_atom("zz"));
    cr_expect_eq(result.err, TR_E_NOT_FOUND);
    tree_term_is(result.reason, "not_found");
}

TREE_TEST(supervisor, terminate_child_deletes_a_temporary_spec)
{
    tr_pid top = tree_start(TREE(), ACTOR("a", .restart = TR_TEMPORARY));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    tree_children_are(top, "");
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_E_NOT_FOUND);
    tree_trace("a+ a-shutdown");
}

TREE_TEST(supervisor, restart_child_wants_a_stopped_child)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b"));
    tr_sup_result result = tr_supervisor_restart_child(tr_to(top), tr_atom("a"));
    cr_expect_eq(result.err, TR_E_RUNNING);
    tree_term_is(result.reason, "running");
    cr_expect_eq(tr_supervisor_restart_child(tr_to(top), tr_atom("zz")).err, TR_E_NOT_FOUND);
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    actor_fails("a", 1, ACTOR_STOPS);
    result = tr_supervisor_restart_child(tr_to(top), tr_atom("a"));
    cr_expect_eq(result.err, TR_E_EXIT);
    tree_term_is(result.reason, "nope");
    tree_children_are(top, "b a:stopped");
    cr_expect_eq(tr_supervisor_restart_child(tr_to(top), tr_atom("a")).err, TR_OK);
    tree_children_are(top, "b a");
    tr_child_info info;
    cr_expect_eq(tr_supervisor_get_childspec(tr_to(top), tr_atom("a"), &info), TR_OK);
    cr_expect_eq(info.restarts, 1);
}

TREE_TEST(supervisor, delete_child_wants_a_stopped_child)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    cr_expect_eq(tr_supervisor_delete_child(tr_to(top), tr_atom("a")).err, TR_E_RUNNING);
    cr_expect_eq(tr_supervisor_delete_child(tr_to(top), tr_atom("zz")).err, TR_E_NOT_FOUND);
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    cr_expect_eq(tr_supervisor_delete_child(tr_to(top), tr_atom("a")).err, TR_OK);
    tree_children_are(top, "c b");
    cr_expect_eq(tr_supervisor_delete_child(tr_to(top), tr_atom("a")).err, TR_E_NOT_FOUND);
}

TREE_TEST(supervisor, count_children_counts_specs_active_supervisors_and_workers)
{
    static const tr_supervisor empty = {.name = "empty"};
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b", .restart = TR_TRANSIENT), BRANCH("s", &empty));
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_OK);
    cr_expect(counts.specs == 3 && counts.active == 3 && counts.supervisors == 1 && counts.workers == 2);
    tree_end("b", TR_ATOM(NORMAL));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("s")).err, TR_OK);
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_OK);
    cr_expect(counts.specs == 3 && counts.active == 1 && counts.supervisors == 1 && counts.workers == 2);
}

TREE_TEST(supervisor, administration_of_a_dead_supervisor_is_noproc)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    tree_stop(top);
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_E_NOPROC);
    tr_sup_result result = tr_supervisor_terminate_child(tr_to(top), tr_atom("a"));
    cr_expect_eq(result.err, TR_E_NOPROC);
    tree_term_is(result.reason, "noproc");
    cr_expect_eq(tr_supervisor_terminate_child(tr_to_name(tr_atom("nobody")), tr_atom("a")).err, TR_E_NOPROC);
}

TREE_TEST(supervisor, administration_of_something_else_is_a_type_error)
{
    tr_pid top = tree_start(TREE(.intensity = 9), ACTOR("a"));
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to(tree_pid("a")), &counts),
                 TR_E_NOPROC); /* it crashed on it */
    tree_children_are(top, "a");
}

/* ---- simple_one_for_one ------------------------------------------------------------------------------------------- */

static tr_pid pool_start(tr_child_spec spec)
{
    return tree_start(TREE(.strategy = TR_SIMPLE_ONE_FOR_ONE, .intensity = 9), spec);
}

TREE_TEST(supervisor, a_dynamic_childs_argument_is_the_specs_followed_by_its_own)
{
    tr_child_spec spec = {.id = tr_atom("w"), .server = actor_server, .arg = "pre", .arg_bytes = 3};
    tr_pid top = pool_start(spec);
    tr_pid one = tr_supervisor_start_child_arg(tr_to(top), "fix", 4).pid;
    cr_expect_eq(tr_supervisor_start_child_arg(tr_to(top), "sent", 5).err, TR_OK);
    tr_exit_signal(tr_to(one), TR_ATOM(KILL));
    tree_trace("prefix+ present+ prefix+");
}

TREE_TEST(supervisor, dynamic_children_are_terminated_by_pid)
{
    tr_pid top = pool_start((tr_child_spec){.id = tr_atom("w"), .server = actor_server});
    tr_dest sup = tr_to(top);
    tr_pid one = tr_supervisor_start_child_arg(sup, "w1", 3).pid;
    cr_expect_eq(tr_supervisor_terminate_child_pid(sup, one).err, TR_OK);
    cr_expect_eq(tr_supervisor_terminate_child_pid(sup, one).err, TR_OK);
    tr_sup_result result = tr_supervisor_terminate_child(sup, tr_atom("w"));
    cr_expect_eq(result.err, TR_E_STATE);
    tree_term_is(result.reason, "simple_one_for_one");
    cr_expect_eq(tr_supervisor_terminate_child_pid(sup, tr_self()).err, TR_E_NOT_FOUND);
    tree_trace("w1+ w1-shutdown");
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(sup, &counts), TR_OK);
    cr_expect(counts.specs == 1 && counts.active == 0 && counts.workers == 0);
}

TREE_TEST(supervisor, dynamic_supervisors_refuse_what_needs_an_id)
{
    tr_pid top = pool_start((tr_child_spec){.id = tr_atom("w"), .server = actor_server});
    tree_term_is(tr_supervisor_restart_child(tr_to(top), tr_atom("w")).reason, "simple_one_for_one");
    tree_term_is(tr_supervisor_delete_child(tr_to(top), tr_atom("w")).reason, "simple_one_for_one");
    tr_child_spec spec = ACTOR("x");
    cr_expect_eq(tr_supervisor_start_child(tr_to(top), &spec).err, TR_E_STATE);
}

TREE_TEST(supervisor, dynamic_children_that_fail_or_ignore_are_not_kept)
{
    tr_pid top = pool_start((tr_child_spec){.id = tr_atom("w"), .server = actor_server});
    actor_fails("w1", 1, ACTOR_STOPS);
    tr_sup_result result = tr_supervisor_start_child_arg(tr_to(top), "w1", 3);
    cr_expect_eq(result.err, TR_E_EXIT);
    tree_term_is(result.reason, "nope");
    actor_fails("w1", 1, ACTOR_IGNORES);
    result = tr_supervisor_start_child_arg(tr_to(top), "w1", 3);
    cr_expect(result.err == TR_OK && result.pid == TR_NO_PID);
    tree_children_are(top, "");
}

TREE_TEST(supervisor, temporary_dynamic_children_are_forgotten)
{
    tr_pid top =
        pool_start((tr_child_spec){.id = tr_atom("w"), .server = actor_server, .restart = TR_TEMPORARY});
    tr_pid one = tr_supervisor_start_child_arg(tr_to(top), "w1", 3).pid;
    cr_expect_neq(tr_supervisor_start_child_arg(tr_to(top), "w2", 3).pid, TR_NO_PID);
    tr_exit_signal(tr_to(one), TR_ATOM(KILL));
    tree_settle();
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_OK);
    cr_expect(counts.specs == 1 && counts.active == 1 && counts.workers == 1);
    tree_trace("w1+ w2+");
}

TREE_TEST(supervisor, dynamic_children_are_stopped_in_parallel_under_one_timer)
{
    tr_pid top = pool_start((tr_child_spec){.id = tr_atom("w"), .main = plain_main, .shutdown_ms = 100});
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(tr_supervisor_start_child_arg(tr_to(top), "w", 2).err, TR_OK);
    }
    int64_t before = tr_now_ms();
    tree_stop(top);
    cr_expect_eq(tr_now_ms() - before, 100);
    tree_trace("w+ w+ w+ w?shutdown w?shutdown w?shutdown");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_SHUTDOWN_ERROR], 1); /* one for all that were killed */
}

TREE_TEST(supervisor, many_dynamic_children_come_and_go)
{
    enum { N = 3000 };
    static tr_pid pids[N];
    tr_pid top =
        pool_start((tr_child_spec){.id = tr_atom("w"), .server = actor_server, .restart = TR_TEMPORARY});
    for (int i = 0; i < N; i++) {
        pids[i] = tr_supervisor_start_child_arg(tr_to(top), "w", 2).pid;
        tree.text[0] = '\0';
    }
    for (int i = 0; i < N; i += 2) {
        cr_expect_eq(tr_supervisor_terminate_child_pid(tr_to(top), pids[i]).err, TR_OK);
        tree.text[0] = '\0';
    }
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_OK);
    cr_expect(counts.active == N / 2 && counts.workers == N / 2);
    for (int i = 0; i < N; i++) {
        tr_process_summary summary;
        cr_expect_eq(tr_process_summary_of(pids[i], &summary), i % 2 == 0 ? TR_E_NOPROC : TR_OK);
    }
    tree_stop(top);
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    cr_expect_eq(stats.processes, 1);
}

TREE_TEST(supervisor, the_reasons_of_dynamic_children_that_are_ending_already_are_their_own)
{
    tr_pid top = pool_start((tr_child_spec){.id = tr_atom("w"), .server = actor_server});
    tr_pid one = tr_supervisor_start_child_arg(tr_to(top), "w1", 3).pid;
    tr_pid two = tr_supervisor_start_child_arg(tr_to(top), "w2", 3).pid;
    cr_expect_neq(tr_supervisor_start_child_arg(tr_to(top), "w3", 3).pid, TR_NO_PID);
    tr_exit_signal(tr_to(top), TR_ATOM(SHUTDOWN));
    tr_exit_signal(tr_to(one), TR_ATOM(KILL));
    tr_exit_signal(tr_to(two), TR_ATOM(KILL));
    tree_trace("w1+ w2+ w3+ w3-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_SHUTDOWN_ERROR], 1);
    cr_expect_str_eq(tree.last_reason[TR_REPORT_CHILD_SHUTDOWN_ERROR], "killed");
}

TREE_TEST(supervisor, many_dynamic_children_that_do_not_stop_are_all_killed)
{
    enum { N = 1000 };
    tr_pid top = pool_start((tr_child_spec){.id = tr_atom("w"), .main = plain_main, .shutdown_ms = 100});
    for (int i = 0; i < N; i++) {
        tr_pid pid = tr_supervisor_start_child_arg(tr_to(top), "w", 2).pid;
        tree.text[0] = '\0';
        if (i % 4 == 0) { /* some of them end by themselves while the others are being killed */
            (void)tr_exit_after(100, tr_to(pid), TR_ATOM(KILL));
        }
    }
    int64_t before = tr_now_ms();
    tr_exit_signal(tr_to(top), TR_ATOM(SHUTDOWN));
    for (int i = 0; i < 200 && tr_is_alive(top); i++) {
        tr_sleep(1);
        tree.text[0] = '\0';
    }
    cr_expect_leq(tr_now_ms() - before, 102);
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    cr_expect_eq(stats.processes, 1);
}

/* ---- supervisor_SUITE ---------------------------------------------------------------------------------------------- */

static int64_t bytes_held(void)
{
    tr_node_stats stats;
    tree_settle();
    tr_node_stats_get(&stats);
    return (int64_t)(stats.bytes_allocated - stats.bytes_freed);
}

/* What the runtime holds for a hundred children with an argument of that size. */
static int64_t held_for(tr_strategy strategy, tr_restart restart, size_t arg_bytes)
{
    static const char arg[4000] = "w";
    tr_child_spec spec = {.id = tr_atom("w"), .server = actor_server, .restart = restart};
    bool simple = strategy == TR_SIMPLE_ONE_FOR_ONE;
    tr_pid top = tree_start_n(TREE(.strategy = strategy), &spec, simple ? 1 : 0);
    int64_t before = bytes_held();
    for (int i = 0; i < 100; i++) {
        spec.id = tr_int(i);
        spec.arg = arg;
        spec.arg_bytes = arg_bytes;
        tr_sup_result result = simple ? tr_supervisor_start_child_arg(tr_to(top), arg, arg_bytes)
                                      : tr_supervisor_start_child(tr_to(top), &spec);
        cr_expect_eq(result.err, TR_OK);
    }
    int64_t held = bytes_held() - before;
    tree_stop(top);
    tree.text[0] = '\0';
    return held;
}

/* supervisor_SUITE: do_not_save_start_parameters_for_temporary_children */
TREE_TEST(supervisor, arguments_are_kept_for_restarts_only)
{
    static const tr_strategy strategies[] = {TR_ONE_FOR_ONE, TR_REST_FOR_ONE, TR_ONE_FOR_ALL,
                                             TR_SIMPLE_ONE_FOR_ONE};
    for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++) {
        for (tr_restart restart = TR_PERMANENT; restart <= TR_TEMPORARY; restart++) {
            int64_t kept = held_for(strategies[i], restart, 4000) - held_for(strategies[i], restart, 2);
            cr_expect(restart == TR_TEMPORARY ? kept < 40000 : kept > 390000, "%d %d: %lld bytes are kept",
                      (int)strategies[i], (int)restart, (long long)kept);
        }
    }
}

/* supervisor_SUITE: scale_start_stop_many_children, those with ids. */
TREE_TEST(supervisor, many_children_with_ids_come_and_go)
{
    enum { COUNT = 10000 };
    tr_child_counts counts;
    tr_child_spec spec = {.server = actor_server, .arg = "w", .arg_bytes = 2};
    tr_pid top = tree_start_n(TREE(.strategy = TR_ONE_FOR_ONE), NULL, 0);
    for (int i = 0; i < COUNT; i++) {
        spec.id = tr_int(i);
        cr_expect_eq(tr_supervisor_start_child(tr_to(top), &spec).err, TR_OK);
        tree.text[0] = '\0';
    }
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_OK);
    cr_expect(counts.specs == COUNT && counts.active == COUNT);
    for (int i = 0; i < COUNT; i++) {
        cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_int(i)).err, TR_OK);
        cr_expect_eq(tr_supervisor_delete_child(tr_to(top), tr_int(i)).err, TR_OK);
        tree.text[0] = '\0';
    }
    cr_expect_eq(tr_supervisor_count_children(tr_to(top), &counts), TR_OK);
    cr_expect(counts.specs == 0 && counts.active == 0);
}
