/* Dynamic supervisors, where scenarios cannot look: room under concurrent starters, many starts, results. */
#include "tests/runtime/tree.h"

static tr_pid start_pool(int64_t max_children)
{
    tr_supervisor pool = {.name = "pool", .flags = {.strategy = TR_DYNAMIC, .max_children = max_children}};
    tr_started started = {.pid = TR_NO_PID};
    cr_assert_eq(tr_supervisor_start_link(&pool, NULL, 0, NULL, &started), TR_OK);
    return started.pid;
}

static tr_child_counts counts_of(tr_pid pool)
{
    tr_child_counts counts = {0};
    cr_assert_eq(tr_dynamic_supervisor_count_children(tr_to(pool), &counts), TR_OK);
    return counts;
}

TREE_TEST(dynamic_supervisor, max_children_is_met_exactly_and_ends_make_room)
{
    tr_pid pool = start_pool(2);
    tr_child_spec spec = ACTOR("a");
    spec.start.name = TR_TERM_NONE_VALUE;
    tr_sup_result first = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
    cr_expect_eq(first.err, TR_OK);
    cr_expect_eq(tr_dynamic_supervisor_start_child(tr_to(pool), &spec).err, TR_OK);
    tr_sup_result third = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
    cr_expect_eq(third.err, TR_E_STATE);
    tree_term_is(third.reason, "max_children");
    cr_expect_eq(tr_dynamic_supervisor_terminate_child(tr_to(pool), first.pid).err, TR_OK);
    cr_expect_eq(tr_dynamic_supervisor_terminate_child(tr_to(pool), first.pid).err, TR_E_NOT_FOUND);
    cr_expect_eq(tr_dynamic_supervisor_start_child(tr_to(pool), &spec).err, TR_OK);
    cr_expect_eq(counts_of(pool).active, 2);
}

TREE_TEST(dynamic_supervisor, invalid_specs_are_refused_without_a_message)
{
    tr_child_spec spec = ACTOR("a", .restart = TR_TRANSIENT, .significant = true);
    tr_sup_result result = tr_dynamic_supervisor_start_child(tr_to(TR_NO_PID), &spec);
    cr_expect_eq(result.err, TR_E_BADARG);
    tree_term_is(result.reason, "{invalid_significant,true}");
}

TREE_TEST(dynamic_supervisor, many_starts_leave_nothing)
{
    tr_pid pool = start_pool(0);
    for (int i = 0; i < 2000; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_child_spec spec = ACTOR("a");
        spec.id = TR_TERM_NONE_VALUE;
        tr_sup_result result = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
        cr_assert_eq(result.err, TR_OK);
        cr_assert_eq(tr_dynamic_supervisor_terminate_child(tr_to(pool), result.pid).err, TR_OK);
        tr_scratch_release(mark);
    }
    cr_expect_eq(counts_of(pool).specs, 0);
    tr_term actual;
    cr_expect_eq(tr_dynamic_supervisor_stop(tr_to(pool), TR_ATOM(NORMAL), TR_INFINITY, &actual), TR_OK);
}

#define STARTERS 40
#define ROOM     7

/* Each tries once, and ends with what it was told. */
static void starter_main(const void *arg)
{
    tr_pid pool = *(const tr_pid *)arg;
    tr_child_spec spec = ACTOR("a");
    spec.start.name = TR_TERM_NONE_VALUE;
    tr_sup_result result = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
    tr_exit(result.err == TR_OK ? TR_ATOM(OK) : result.reason);
}

TREE_TEST(dynamic_supervisor, concurrent_starters_share_the_room_exactly)
{
    tr_pid pool = start_pool(ROOM);
    for (int i = 0; i < STARTERS; i++) {
        tr_pid pid;
        tr_ref monitor;
        tr_spawn_opts opts = {.monitor = &monitor};
        cr_assert_eq(tr_spawn(&opts, starter_main, &pool, sizeof pool, &pid), TR_OK);
    }
    int started = 0;
    int refused = 0;
    for (int i = 0; i < STARTERS; i++) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
        cr_assert(down != NULL);
        started += tr_same(down->reason, TR_ATOM(OK)) ? 1 : 0;
        refused += tr_same(down->reason, tr_atom("max_children")) ? 1 : 0;
        tr_msg_drop(msg);
    }
    cr_expect_eq(started, ROOM);
    cr_expect_eq(refused, STARTERS - ROOM);
    cr_expect_eq(counts_of(pool).active, ROOM);
}

/* ---- dynamic_supervisor_test: what the scenarios dynamic_supervisor/ leave over ---- */

static tr_err start_with(tr_sup_flags flags, tr_started *started)
{
    tr_supervisor pool = {.name = "pool", .flags = flags};
    pool.flags.strategy = TR_DYNAMIC;
    return tr_supervisor_start_link(&pool, NULL, 0, NULL, started);
}

/* An actor without a registered name, so that there may be many. */
static tr_child_spec nameless(const char *name, size_t bytes)
{
    return (tr_child_spec){.id = TR_ATOM(UNDEFINED), .server = actor_server, .arg = name, .arg_bytes = bytes};
}
#define NAMELESS(text) nameless((text), sizeof(text))

TREE_TEST(dynamic_supervisor, invalid_flags_refuse_the_start)
{
    static const struct {
        tr_sup_flags flags;
        const char *reason;
    } cases[] = {
        {{.max_children = -2}, "{supervisor_data,{invalid_max_children,-2}}"},
        {{.extra_bytes = 4}, "{supervisor_data,{invalid_extra_arguments,4}}"},
        {{.intensity = -2}, "{supervisor_data,{invalid_intensity,-2}}"},
        {{.period_s = -1}, "{supervisor_data,{invalid_period,-1}}"},
        {{.auto_shutdown = (tr_auto_shutdown)7}, "{supervisor_data,{invalid_auto_shutdown,7}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tr_started started;
        cr_expect_eq(start_with(cases[i].flags, &started), TR_E_EXIT);
        tree_term_is(started.reason, cases[i].reason);
    }
}

TREE_TEST(dynamic_supervisor, an_argument_without_a_size_is_refused_where_it_would_get_lost)
{
    static const char rest[] = "b";
    tr_started started;
    cr_assert_eq(start_with((tr_sup_flags){.extra_arg = "a", .extra_bytes = 1}, &started), TR_OK);
    tr_child_spec spec = nameless(rest, 0);
    tr_sup_result result = tr_dynamic_supervisor_start_child(tr_to(started.pid), &spec);
    cr_expect_eq(result.err, TR_E_BADARG);
    tree_term_is(result.reason, "{invalid_argument,extra_arguments}");
    cr_expect_eq(counts_of(started.pid).specs, 0);
    spec.arg_bytes = sizeof rest;
    cr_expect_eq(tr_dynamic_supervisor_start_child(tr_to(started.pid), &spec).err, TR_OK);
    tree_trace("ab+");
}

/* dynamic_supervisor_test: restarting a child with extra_arguments successfully restarts child */
TREE_TEST(dynamic_supervisor, a_restarted_child_gets_the_extra_argument_again)
{
    tr_started started;
    cr_assert_eq(start_with((tr_sup_flags){.extra_arg = "pre", .extra_bytes = 3}, &started), TR_OK);
    tr_child_spec spec = NAMELESS("fix");
    tr_sup_result child = tr_dynamic_supervisor_start_child(tr_to(started.pid), &spec);
    tr_exit_signal(tr_to(child.pid), TR_ATOM(KILL));
    tree_trace("prefix+ prefix+");
}

/* dynamic_supervisor_test: with throw/error/exit; with different returns */
TREE_TEST(dynamic_supervisor, a_start_that_crashes_tells_its_reason_and_leaves_no_child)
{
    tr_pid pool = start_pool(0);
    tr_child_spec spec = NAMELESS("a");
    actor_fails("a", 1, ACTOR_CRASHES);
    tr_sup_result result = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
    cr_expect_eq(result.err, TR_E_EXIT);
    tree_term_is(result.reason, "boom");
    actor_fails("a", 1, ACTOR_STOPS);
    result = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
    cr_expect_eq(result.err, TR_E_EXIT);
    tree_term_is(result.reason, "nope");
    actor_fails("a", 1, ACTOR_IGNORES);
    cr_expect_eq(tr_dynamic_supervisor_start_child(tr_to(pool), &spec).err, TR_E_IGNORE);
    cr_expect_eq(counts_of(pool).specs, 0);
    tree_trace("a! a! a!");
}

/* dynamic_supervisor_test: restarting on init children counted in max_children; restarting on exit children ... */
TREE_TEST(dynamic_supervisor, a_child_that_cannot_restart_holds_its_place)
{
    tr_started started;
    cr_assert_eq(start_with((tr_sup_flags){.max_children = 1, .intensity = 100000}, &started), TR_OK);
    tr_child_spec spec = NAMELESS("a");
    tr_sup_result child = tr_dynamic_supervisor_start_child(tr_to(started.pid), &spec);
    actor_fails("a", 50, ACTOR_STOPS);
    tr_exit_signal(tr_to(child.pid), TR_ATOM(KILL));
    tr_yield();
    tr_child_spec other = NAMELESS("b");
    tr_sup_result refused = tr_dynamic_supervisor_start_child(tr_to(started.pid), &other);
    cr_expect_eq(refused.err, TR_E_STATE);
    tree_term_is(refused.reason, "max_children");
    tr_child_counts counts = counts_of(started.pid);
    cr_expect(counts.specs == 1 && counts.workers == 1);
    tree_settle();
    cr_expect_eq(counts_of(started.pid).active, 1);
    tree.text[0] = '\0';
}

/* dynamic_supervisor_test: terminates restarting child */
TREE_TEST(dynamic_supervisor, terminate_child_ends_the_retries)
{
    tr_started started;
    cr_assert_eq(start_with((tr_sup_flags){.intensity = 100000}, &started), TR_OK);
    tr_child_spec spec = NAMELESS("a");
    tr_sup_result child = tr_dynamic_supervisor_start_child(tr_to(started.pid), &spec);
    actor_fails("a", 1000000, ACTOR_STOPS);
    tr_exit_signal(tr_to(child.pid), TR_ATOM(KILL));
    tr_yield();
    cr_expect_eq(tr_dynamic_supervisor_terminate_child(tr_to(started.pid), child.pid).err, TR_OK);
    cr_expect_eq(tr_dynamic_supervisor_terminate_child(tr_to(started.pid), child.pid).err, TR_E_NOT_FOUND);
    cr_expect_eq(counts_of(started.pid).specs, 0);
    actor_fails("a", 0, ACTOR_STARTS);
    tree.text[0] = '\0';
    tree_trace("");
}

/* Does not care for its supervisor's shutdown. */
static void deaf_main(const void *arg)
{
    (void)arg;
    tr_trap_exit(true);
    for (;;) {
        tr_msg_drop(tr_receive(NULL, NULL, TR_INFINITY));
    }
}

/* dynamic_supervisor_test: terminates children with expired integer shutdown; terminates with mixed children */
TREE_TEST(dynamic_supervisor, its_end_waits_for_each_child_within_the_childs_own_time)
{
    static const int64_t shutdowns[] = {TR_SHUTDOWN_BRUTAL_KILL, 300, 100, TR_SHUTDOWN_NOW, 300};
    tr_pid pool = start_pool(0);
    tr_ref watched[5];
    int64_t began = tr_now_ms();
    for (int i = 0; i < 5; i++) {
        tr_child_spec spec = {.id = tr_int(i), .main = deaf_main, .shutdown_ms = shutdowns[i]};
        tr_sup_result child = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
        cr_assert_eq(child.err, TR_OK);
        watched[i] = tr_monitor(tr_to(child.pid), NULL);
    }
    cr_expect_eq(tr_dynamic_supervisor_stop(tr_to(pool), TR_ATOM(NORMAL), TR_INFINITY, NULL), TR_OK);
    cr_expect_eq(tr_now_ms() - began, 300, "all at once, not one after the other");
    for (int i = 0; i < 5; i++) {
        tr_msg *down = tr_receive_ref(watched[i], 0);
        cr_assert(down != NULL);
        tree_term_is(TR_MATCH(down, tr_down_msg)->reason, "killed");
    }
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_SHUTDOWN_ERROR], 1, "of one reason, without the brutal kill's");
}

/* dynamic_supervisor_test: terminates children with permanent restart and normal reason; ... abnormal reason */
TREE_TEST(dynamic_supervisor, improper_ends_in_a_stop_are_reported)
{
    tr_pid pool = start_pool(0);
    tr_child_spec spec = {.id = tr_int(1), .main = plain_main, .arg = "a", .arg_bytes = 2};
    spec.shutdown_ms = TR_INFINITY;
    tr_sup_result child = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
    cr_assert_eq(child.err, TR_OK);
    cr_assert_eq(tr_sys_suspend(tr_to(pool), TR_INFINITY), TR_OK);
    TR_SEND(child.pid, actor_stop, .reason = TR_ATOM(NORMAL)); /* permanent: not a proper end */
    tree_settle();
    cr_expect_eq(tr_dynamic_supervisor_stop(tr_to(pool), TR_ATOM(NORMAL), TR_INFINITY, NULL), TR_OK);
    cr_expect_eq(tree.reports[TR_REPORT_CHILD_SHUTDOWN_ERROR], 1);
    cr_expect_str_eq(tree.last_reason[TR_REPORT_CHILD_SHUTDOWN_ERROR], "normal");
    tree.text[0] = '\0';
}

/* dynamic_supervisor_test: multiple supervisors can be supervised and identified with simple child spec */
TREE_TEST(dynamic_supervisor, several_are_children_of_one_supervisor)
{
    static const tr_supervisor pool = {.name = "pool", .flags = {.strategy = TR_DYNAMIC}};
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ONE), BRANCH("one", &pool), BRANCH("two", &pool));
    tree_children_are(top, "two one");
    tr_child_spec spec = NAMELESS("a");
    cr_expect_eq(tr_dynamic_supervisor_start_child(tr_to_name(tr_atom("two")), &spec).err, TR_OK);
    tree_kill("two");
    cr_expect_eq(counts_of(tree_pid("two")).specs, 0, "it starts empty again");
    tree_children_are(top, "two one");
    tree_trace("a+ a-killed");
}
