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
