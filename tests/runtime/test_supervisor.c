/* Starting and stopping supervisors. Restarts are in test_supervisor_restart.c, administration in test_supervisor_children.c. */
#include "tests/runtime/tree.h"

/* ---- start -------------------------------------------------------------------------------------------------------- */

TREE_TEST(supervisor, starts_in_list_order_and_stops_in_reverse_order)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b"), ACTOR("c"));
    tree_trace("a+ b+ c+");
    tree_stop(top);
    tree_trace("c-shutdown b-shutdown a-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
}

TREE_TEST(supervisor, without_children_starts_and_stops)
{
    tr_supervisor module = {.name = "empty"};
    tr_started started;
    cr_expect_eq(tr_supervisor_start_link(&module, NULL, 0, NULL, &started), TR_OK);
    tree_children_are(started.pid, "");
    tr_child_counts counts = {1, 1, 1, 1};
    cr_expect_eq(tr_supervisor_count_children(tr_to(started.pid), &counts), TR_OK);
    cr_expect(counts.specs == 0 && counts.active == 0 && counts.supervisors == 0 && counts.workers == 0);
    tree_stop(started.pid);
}

TREE_TEST(supervisor, a_child_starts_only_after_the_one_before_acknowledged)
{
    tr_send_after(10, tr_to_name(tr_atom("s1")), TR_MSG(plain_ack));
    tr_send_after(20, tr_to_name(tr_atom("s2")), TR_MSG(plain_ack));
    int64_t before = tr_now_ms();
    tr_pid top =
        tree_start(TREE(), PLAIN("s1", .manual_ack = true), PLAIN("s2", .manual_ack = true), ACTOR("d"));
    cr_expect_geq(tr_now_ms() - before, 20);
    tree_trace("s1+ s2+ d+");
    tree_children_are(top, "d s2 s1");
}

static void ask_children_of_top(const void *unused)
{
    (void)unused;
    tr_pid top = tr_whereis(tr_to_name(tr_atom("top")));
    tree_log("asked");
    tree_log("%s", tree_children(top));
}

TREE_TEST(supervisor, serves_nothing_until_all_children_are_started)
{
    tr_child_spec children[] = {ACTOR("a"), PLAIN("s", .manual_ack = true), ACTOR("d")};
    tr_supervisor module = {.name = "tree", .children = children, .child_count = 3};
    tr_apply_after(5, ask_children_of_top, NULL, 0);
    tr_send_after(10, tr_to_name(tr_atom("s")), TR_MSG(plain_ack));
    tr_started started;
    tr_start_opts opts = {.name = tr_atom("top")};
    cr_expect_eq(tr_supervisor_start_link(&module, NULL, 0, &opts, &started), TR_OK);
    tree_settle();
    char *answer = strstr(tree.text, "asked ");
    cr_expect(answer != NULL && strstr(answer, "d+") != NULL, "asked before d started: %s", tree.text);
    cr_expect(answer != NULL && strstr(answer, "d s a") != NULL, "answered with all three: %s", tree.text);
}

TREE_TEST(supervisor, start_failing_half_way_stops_the_started_ones_in_reverse)
{
    tr_started started;
    actor_fails("c", 1, ACTOR_STOPS);
    tr_err err = tree_try(&started, TREE(), ACTOR("a"), ACTOR("b"), ACTOR("c"), ACTOR("d"));
    cr_expect_eq(err, TR_E_EXIT);
    tree_term_is(started.reason, "{shutdown,{failed_to_start_child,c,nope}}");
    tree_trace("a+ b+ c! b-shutdown a-shutdown");
    cr_expect_eq(tree_pid("a"), TR_NO_PID);
    cr_expect_str_eq(tree.last_reason[TR_REPORT_CHILD_START_FAILED], "nope");
}

TREE_TEST(supervisor, crash_in_a_childs_init_is_the_reason_of_the_start_error)
{
    tr_started started;
    actor_fails("a", 1, ACTOR_CRASHES);
    cr_expect_eq(tree_try(&started, TREE(), ACTOR("a"), ACTOR("b")), TR_E_EXIT);
    tree_term_is(started.reason, "{shutdown,{failed_to_start_child,a,boom}}");
    tree_trace("a!");
}

TREE_TEST(supervisor, start_failing_in_a_branch_unwinds_the_whole_tree)
{
    static const tr_supervisor *branch;
    static tr_supervisor module;
    static tr_child_spec inner[2];
    inner[0] = ACTOR("x");
    inner[1] = ACTOR("y");
    module = (tr_supervisor){.name = "branch", .children = inner, .child_count = 2};
    branch = &module;
    tr_started started;
    actor_fails("y", 1, ACTOR_STOPS);
    cr_expect_eq(tree_try(&started, TREE(), ACTOR("a"), BRANCH("sub", branch), ACTOR("c")), TR_E_EXIT);
    tree_term_is(started.reason,
                 "{shutdown,{failed_to_start_child,sub,{shutdown,{failed_to_start_child,y,nope}}}}");
    tree_trace("a+ x+ y! x-shutdown a-shutdown");
}

TREE_TEST(supervisor, child_that_ignores_is_kept_stopped_unless_it_is_temporary)
{
    actor_fails("a", 1, ACTOR_IGNORES);
    actor_fails("b", 1, ACTOR_IGNORES);
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b", .restart = TR_TEMPORARY), ACTOR("d"));
    tree_children_are(top, "d a:stopped");
    tr_sup_result result = tr_supervisor_restart_child(tr_to(top), tr_atom("a"));
    cr_expect(result.err == TR_OK && result.pid == tree_pid("a") && result.pid != TR_NO_PID);
    tree_children_are(top, "d a");
}

TREE_TEST(supervisor, child_that_hangs_in_its_start_is_killed_when_its_time_is_up)
{
    tr_started started;
    actor_fails("b", 1, ACTOR_HANGS);
    tr_child_spec slow = ACTOR("b");
    slow.start.timeout_ms = 50;
    int64_t before = tr_now_ms();
    cr_expect_eq(tree_try(&started, TREE(), ACTOR("a"), slow), TR_E_EXIT);
    cr_expect_eq(tr_now_ms() - before, 50);
    tree_term_is(started.reason, "{shutdown,{failed_to_start_child,b,timeout}}");
    tree_trace("a+ b! a-shutdown");
    cr_expect_eq(tree_pid("b"), TR_NO_PID);
}

TREE_TEST(supervisor, taken_name_of_the_supervisor_is_already_started)
{
    tr_supervisor module = {.name = "empty"};
    tr_start_opts opts = {.name = tr_atom("n")};
    tr_started first, second;
    cr_expect_eq(tr_supervisor_start_link(&module, NULL, 0, &opts, &first), TR_OK);
    cr_expect_eq(tr_supervisor_start_link(&module, NULL, 0, &opts, &second), TR_E_ALREADY_STARTED);
    cr_expect(tr_is_tagged(second.reason, "already_started", 2));
    cr_expect_eq(tr_pid_value(tr_term_items(second.reason)[1]), first.pid);
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to_name(tr_atom("n")), &counts), TR_OK);
}

/* ---- init --------------------------------------------------------------------------------------------------------- */

struct made {
    int children;
    tr_err answer;
};

static tr_err made_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    const struct made *made = arg;
    tr_child_spec *specs = tr_scratch_alloc(3 * sizeof *specs); /* gone when init has returned */
    specs[0] = ACTOR("a");
    specs[1] = ACTOR("b");
    specs[2] = ACTOR("c");
    flags->strategy = TR_ONE_FOR_ALL;
    *children = specs;
    *count = (size_t)made->children;
    if (made->answer == TR_E_EXIT || made->answer == TR_E_BADARG) {
        *reason = tr_atom("what");
    }
    TR_CHECK(made->answer != TR_E_STATE);
    return made->answer;
}

static tr_err made_start(struct made made, tr_started *started)
{
    static const tr_supervisor module = {.name = "made", .init = made_init};
    return tr_supervisor_start_link(&module, &made, sizeof made, NULL, started);
}

TREE_TEST(supervisor, init_computes_flags_and_children_from_its_argument)
{
    tr_started started;
    cr_expect_eq(made_start((struct made){.children = 2}, &started), TR_OK);
    tree_children_are(started.pid, "b a");
    tr_sup_info info;
    cr_expect_eq(tr_supervisor_info(tr_to(started.pid), &info), TR_OK);
    cr_expect(info.flags.strategy == TR_ONE_FOR_ALL && info.flags.intensity == 3 && info.flags.period_s == 5);
    cr_expect_eq(info.restarts, 0);
}

TREE_TEST(supervisor, init_may_ignore_stop_return_garbage_or_crash)
{
    tr_started started;
    cr_expect_eq(made_start((struct made){3, TR_E_IGNORE}, &started), TR_E_IGNORE);
    cr_expect_eq(made_start((struct made){3, TR_E_EXIT}, &started), TR_E_EXIT);
    tree_term_is(started.reason, "what");
    cr_expect_eq(made_start((struct made){3, TR_E_BADARG}, &started), TR_E_EXIT);
    tree_term_is(started.reason, "{bad_return,{made,init,what}}");
    cr_expect_eq(made_start((struct made){3, TR_E_STATE}, &started), TR_E_EXIT);
    cr_expect(tr_is_tagged(started.reason, "check_failed", 4));
    tree_trace("");
}

/* ---- start functions ---------------------------------------------------------------------------------------------- */

static tr_err start_any(const void *arg, tr_pid *pid, tr_term *info, tr_term *reason)
{
    const char *how = arg;
    if (strcmp(how, "garbage") == 0) {
        *reason = tr_atom("garbage");
        return TR_E_BADARG;
    }
    if (strcmp(how, "error") == 0) {
        *reason = tr_atom("nope");
        return TR_E_STATE;
    }
    if (strcmp(how, "crash") == 0) {
        tr_error(tr_atom("crashed"));
    }
    if (strcmp(how, "exit") == 0) {
        tr_exit(tr_atom("exited"));
    }
    if (strcmp(how, "ignore") == 0) {
        return TR_E_IGNORE;
    }
    *info = tr_atom("extra");
    return tr_spawn(&(tr_spawn_opts){.link = true, .label = how}, plain_main, how, strlen(how) + 1, pid);
}

#define RAW(name, how) \
    ((tr_child_spec){.id = tr_atom(name), .start_fn = start_any, .arg = (how), .arg_bytes = sizeof(how)})

TREE_TEST(supervisor, start_function_may_spawn_fail_ignore_or_crash)
{
    tr_pid top = tree_start(TREE(), ACTOR("z"));
    tr_dest sup = tr_to(top);
    tr_sup_result result = tr_supervisor_start_child(sup, &RAW("f", "f"));
    cr_expect(result.err == TR_OK && result.pid != TR_NO_PID);
    tree_term_is(result.info, "extra");
    result = tr_supervisor_start_child(sup, &RAW("a", "garbage"));
    cr_expect_eq(result.err, TR_E_EXIT);
    tree_term_is(result.reason, "{garbage,{child,a}}");
    result = tr_supervisor_start_child(sup, &RAW("b", "crash"));
    tree_term_is(result.reason, "{{'EXIT',crashed},{child,b}}");
    result = tr_supervisor_start_child(sup, &RAW("d", "exit"));
    tree_term_is(result.reason, "{{'EXIT',exited},{child,d}}");
    result = tr_supervisor_start_child(sup, &RAW("e", "error"));
    tree_term_is(result.reason, "{nope,{child,e}}");
    result = tr_supervisor_start_child(sup, &RAW("i", "ignore"));
    cr_expect(result.err == TR_OK && result.pid == TR_NO_PID);
    tree_children_are(top, "i:stopped f z");
    tree_stop(top);
    tree_trace("z+ f+ f?shutdown z-shutdown");
}

TREE_TEST(supervisor, garbage_of_a_start_function_fails_the_start_of_the_tree)
{
    tr_started started;
    cr_expect_eq(tree_try(&started, TREE(), ACTOR("a"), RAW("b", "garbage")), TR_E_EXIT);
    tree_term_is(started.reason, "{shutdown,{failed_to_start_child,b,garbage}}");
    tree_trace("a+ a-shutdown");
}

TREE_TEST(supervisor, info_of_an_acknowledgement_comes_back_from_start_child)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    tr_send_after(5, tr_to_name(tr_atom("p")),
                  TR_MSG(plain_ack, .info = tr_tuple(tr_atom("more"), tr_int(7))));
    tr_child_spec spec = PLAIN("p", .manual_ack = true);
    tr_sup_result result = tr_supervisor_start_child(tr_to(top), &spec);
    cr_expect_eq(result.err, TR_OK);
    tree_term_is(result.info, "{more,7}");
}

/* ---- stop --------------------------------------------------------------------------------------------------------- */

static void stop_top(const void *top)
{
    tree_stop(*(const tr_pid *)top);
    tree_log("stopped");
}

TREE_TEST(supervisor, children_are_stopped_one_after_the_other_each_awaited)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), PLAIN("s", .shutdown_ms = 5000), ACTOR("d"));
    tree_aside(stop_top, top);
    tree_trace("a+ s+ d+ d-shutdown s?shutdown");
    tr_sleep(50);
    tree_trace("");
    tree_end("s", TR_ATOM(NORMAL));
    tree_trace("a-shutdown stopped");
}

TREE_TEST(supervisor, child_that_does_not_stop_in_its_time_is_killed)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), PLAIN("s", .shutdown_ms = 100), ACTOR("d"));
    int64_t before = tr_now_ms();
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("s")).err, TR_OK);
    cr_expect_eq(tr_now_ms() - before, 100);
    tree_trace("a+ s+ d+ s?shutdown");
    tree_children_are(top, "d s:stopped a");
    cr_expect_str_eq(tree.last_reason[TR_REPORT_CHILD_SHUTDOWN_ERROR], "killed");
}

TREE_TEST(supervisor, infinity_waits_for_ever)
{
    tr_pid top = tree_start(TREE(), PLAIN("s", .shutdown_ms = TR_INFINITY));
    tree_aside(stop_top, top);
    tr_sleep(100000);
    tree_trace("s+ s?shutdown");
    tree_end("s", tr_atom("at_last"));
    tree_trace("stopped");
}

TREE_TEST(supervisor, brutal_kill_kills_at_once_and_terminate_does_not_run)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b", .shutdown_ms = TR_SHUTDOWN_BRUTAL_KILL));
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("b")).err, TR_OK);
    tree_trace("a+ b+");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_SHUTDOWN_ERROR], 0);
    tree_stop(top);
    tree_trace("a-shutdown");
}

TREE_TEST(supervisor, shutdown_now_waits_no_time)
{
    tr_pid top = tree_start(TREE(), PLAIN("s", .shutdown_ms = TR_SHUTDOWN_NOW));
    int64_t before = tr_now_ms();
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("s")).err, TR_OK);
    cr_expect_leq(tr_now_ms() - before, 1);
}

TREE_TEST(supervisor, default_shutdown_is_five_seconds_for_workers_and_infinity_for_branches)
{
    static const tr_supervisor empty = {.name = "empty"};
    tr_pid top = tree_start(TREE(), ACTOR("a"), BRANCH("s", &empty));
    tr_child_info info;
    cr_expect_eq(tr_supervisor_get_childspec(tr_to(top), tr_atom("a"), &info), TR_OK);
    cr_expect(info.shutdown_ms == 5000 && info.type == TR_WORKER && info.restart == TR_PERMANENT &&
              !info.significant);
    cr_expect_eq(tr_supervisor_get_childspec(tr_to(top), tr_atom("s"), &info), TR_OK);
    cr_expect(info.shutdown_ms == TR_INFINITY && info.type == TR_SUPERVISOR && info.pid == tree_pid("s"));
    cr_expect_eq(tr_supervisor_get_childspec(tr_to(top), tr_atom("zz"), &info), TR_E_NOT_FOUND);
}

TREE_TEST(supervisor, a_tree_is_stopped_depth_first_in_reverse)
{
    static tr_supervisor one, two;
    static tr_child_spec inner[2], other[1];
    inner[0] = ACTOR("x");
    inner[1] = ACTOR("y");
    other[0] = ACTOR("z");
    one = (tr_supervisor){.name = "one", .children = inner, .child_count = 2};
    two = (tr_supervisor){.name = "two", .children = other, .child_count = 1};
    tr_pid top = tree_start(TREE(), ACTOR("a"), BRANCH("s1", &one), ACTOR("b"), BRANCH("s2", &two));
    tree_stop(top);
    tree_trace("a+ x+ y+ b+ z+ z-shutdown b-shutdown y-shutdown x-shutdown a-shutdown");
}

TREE_TEST(supervisor, children_get_shutdown_whatever_the_reason_of_the_stop)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    tr_term reason = tr_tuple(tr_atom("my"), tr_atom("reason"));
    cr_expect_eq(tr_gen_server_stop(tr_to(top), reason, TR_INFINITY, NULL), TR_OK);
    tree_trace("a+ a-shutdown");
    tree_term_is(tree_ended(top), "{my,reason}");
}

TREE_TEST(supervisor, a_child_that_stops_itself_at_the_same_time_hangs_nothing)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b", .restart = TR_TRANSIENT), ACTOR("c"));
    TR_SEND(tr_atom("b"), actor_stop, .reason = TR_ATOM(NORMAL));
    tree_stop(top);
    tree_trace_unordered("a+ b+ c+ b-normal c-shutdown a-shutdown");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_SHUTDOWN_ERROR], 0, "it ended normally, and not permanent: %s",
                 tree.last_reason[TR_REPORT_CHILD_SHUTDOWN_ERROR]);
}

static void unlink_and_wait(const void *arg)
{
    (void)arg;
    tr_unlink(tr_to(tr_parent()));
    tr_init_ack(TR_TERM_NONE_VALUE);
    tr_sleep(TR_INFINITY);
}

TREE_TEST(supervisor, a_child_that_unlinked_itself_does_not_hang_its_supervisor)
{
    tr_child_spec naughty = {.id = tr_atom("n"), .main = unlink_and_wait, .manual_ack = true};
    tr_pid top = tree_start(TREE(), ACTOR("a"), naughty);
    tree_stop(top);
    tree_trace("a+ a-shutdown");
}

static void owner(const void *unused)
{
    (void)unused;
    static tr_supervisor module;
    static tr_child_spec children[2];
    children[0] = ACTOR("a");
    children[1] = ACTOR("b");
    module = (tr_supervisor){.name = "tree", .children = children, .child_count = 2};
    tr_started started;
    tr_start_opts opts = {.name = tr_atom("top")};
    cr_expect_eq(tr_supervisor_start_link(&module, NULL, 0, &opts, &started), TR_OK);
    tr_sleep(100);
}

TREE_TEST(supervisor, the_parents_normal_end_ends_the_supervisor_too)
{
    tree_aside(owner, TR_NO_PID);
    tree_trace("a+ b+");
    tr_ref ref = tr_monitor(tr_to_name(tr_atom("top")), NULL);
    tr_sleep(200);
    tree_trace("b-shutdown a-shutdown");
    const tr_down_msg *down = TR_MATCH(tr_receive_ref(ref, 0), tr_down_msg);
    cr_assert_not_null(down);
    tree_term_is(down->reason, "normal");
}

static void stranger(const void *top)
{
    tr_exit_signal(tr_to(*(const tr_pid *)top), TR_ATOM(SHUTDOWN));
    cr_expect_eq(tr_link(tr_to(*(const tr_pid *)top)), TR_OK);
    tr_exit(tr_atom("bye"));
}

TREE_TEST(supervisor, exits_of_strangers_are_ignored)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b"));
    tree_aside(stranger, top);
    tree_children_are(top, "b a");
    tree_trace("a+ b+");
}

TREE_TEST(supervisor, strange_messages_are_reported_and_ignored)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    TR_SEND(top, actor_ask);
    TR_CAST(top, actor_ask);
    actor_told out;
    cr_expect_eq(TR_CALL(top, 10, actor_told, &out, actor_ask), TR_E_TIMEOUT);
    cr_expect_eq(tree.reports[TR_REPORT_MESSAGE_IGNORED], 3);
    tree_children_are(top, "a");
}

TREE_TEST(supervisor, trapping_children_of_a_killed_supervisor_terminate_with_killed)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b"));
    tr_exit_signal(tr_to(top), TR_ATOM(KILL));
    tree_trace_unordered("a+ b+ a-killed b-killed");
    tree_term_is(tree_ended(top), "killed");
}

/* ---- slots, sys --------------------------------------------------------------------------------------------------- */

TREE_TEST(supervisor, the_slot_holds_the_living_pid)
{
    static tr_pid slot, other;
    tr_pid top = tree_start(TREE(), ACTOR("a", .slot = &slot), ACTOR("b", .slot = &other));
    cr_expect_eq(slot, tree_pid("a"));
    tree_kill("a");
    cr_expect(slot == tree_pid("a") && slot != TR_NO_PID);
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_atom("a")).err, TR_OK);
    cr_expect_eq(slot, TR_NO_PID);
    cr_expect_neq(other, TR_NO_PID);
    tr_exit_signal(tr_to(top), TR_ATOM(KILL));
    tree_settle();
    cr_expect_eq(other, TR_NO_PID); /* also when nobody stopped the child */
}

TREE_TEST(supervisor, a_suspended_supervisor_restarts_nobody_until_it_goes_on)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"));
    cr_expect_eq(tr_sys_suspend(tr_to(top), 1000), TR_OK);
    tree_kill("a");
    tree_trace("a+");
    tr_term state;
    cr_expect_eq(tr_sys_get_state(tr_to(top), 1000, &state), TR_OK);
    tree_term_is(tr_map_get(state, tr_atom("strategy")), "one_for_one");
    cr_expect_eq(tr_sys_resume(tr_to(top), 1000), TR_OK);
    tree_trace("a+");
    cr_expect_eq(tr_sys_get_state(tr_to(top), 1000, &state), TR_OK);
    tree_term_is(tr_map_get(state, tr_atom("restarts")), "1");
    cr_expect_eq(tr_sys_suspend(tr_to(top), 1000), TR_OK);
    tr_exit_signal(tr_to(top), tr_atom("over")); /* its parent: also while suspended */
    tree_trace("a-shutdown");
    tree_term_is(tree_ended(top), "over");
}

/* ---- ends that come together -------------------------------------------------------------------------------------- */

/* The supervisor runs before the child: the child finds the kill, the monitor and the shutdown in its mailbox at once. */
TREE_TEST(supervisor, the_reason_of_a_child_that_is_ending_already_is_its_own)
{
    tr_pid top = tree_start(TREE(), ACTOR("a"), ACTOR("b"));
    tr_pid b = tree_pid("b");
    tr_exit_signal(tr_to(top), TR_ATOM(SHUTDOWN)); /* from its parent */
    tr_exit_signal(tr_to(b), TR_ATOM(KILL));
    tree_trace("a+ b+ a-shutdown");
    tree_term_is(tree_ended(top), "shutdown");
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_SHUTDOWN_ERROR], 1);
    cr_expect_str_eq(tree.last_reason[TR_REPORT_CHILD_SHUTDOWN_ERROR], "killed");
}
