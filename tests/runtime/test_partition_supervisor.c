/* N copies of one child, found by key without a message. */
#include "runtime/otp/supervisor.h"
#include "tests/runtime/tree.h"

#define PARTS tr_atom("parts")

/* Partition i is actor "wI". */
static size_t names(uint32_t partition, const void *arg, void *out, size_t bytes)
{
    return (size_t)snprintf(out, bytes, "%s%u", (const char *)arg, partition) + 1;
}

static tr_partition_opts options(uint32_t partitions)
{
    return (tr_partition_opts){
        .partitions = partitions,
        .child = {.server = actor_server, .arg = "w", .arg_bytes = 2},
        .with_arguments = names,
        .flags = {.intensity = 5},
    };
}

static tr_pid parts_start(tr_partition_opts opts)
{
    tr_started started;
    tr_err err = tr_partition_supervisor_start_link(&opts, &(tr_start_opts){.name = PARTS}, &started);
    memset(&opts, 0, sizeof opts); /* it has its own copy */
    cr_expect_eq(err, TR_OK, "start: %s", tr_err_name(err));
    return started.pid;
}

TREE_TEST(partition_supervisor, starts_one_child_a_partition_with_ids_from_zero)
{
    tr_pid top = parts_start(options(3));
    tree_trace("w0+ w1+ w2+");
    cr_expect_eq(tr_partition_count(PARTS), 3);
    tree_children_are(top, "2 1 0");
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to_name(PARTS), &counts), TR_OK);
    cr_expect(counts.specs == 3 && counts.active == 3 && counts.supervisors == 0 && counts.workers == 3);
    tr_process_summary summary;
    cr_expect_eq(tr_process_summary_of(tr_partition_at(PARTS, 1), &summary), TR_OK);
    cr_expect_str_eq(summary.label, "parts/1");
}

TREE_TEST(partition_supervisor, integer_keys_are_taken_modulo_the_partitions)
{
    parts_start(options(3));
    for (int64_t key = -7; key < 8; key++) {
        cr_expect_eq(tr_partition_whereis(PARTS, tr_int(key)),
                     tr_partition_at(PARTS, (uint32_t)(llabs(key) % 3)));
    }
    /* the smallest integer has no absolute value of its own type */
    cr_expect_eq(tr_partition_whereis(PARTS, tr_int(INT64_MIN)),
                 tr_partition_at(PARTS, (uint32_t)(((uint64_t)INT64_MAX + 1) % 3)));
    cr_expect_eq(tr_partition_at(PARTS, 3), TR_NO_PID);
}

TREE_TEST(partition_supervisor, other_keys_always_go_to_the_same_partition)
{
    parts_start(options(5));
    bool used[5] = {false};
    for (int i = 0; i < 200; i++) {
        tr_term key = tr_tuple(tr_atom("user"), tr_string_n(&i, sizeof i));
        tr_pid pid = tr_partition_whereis(PARTS, key);
        cr_expect_neq(pid, TR_NO_PID);
        cr_expect_eq(pid, tr_partition_whereis(PARTS, tr_tuple(tr_atom("user"), tr_string_n(&i, sizeof i))));
        for (uint32_t at = 0; at < 5; at++) {
            used[at] = used[at] || pid == tr_partition_at(PARTS, at);
        }
    }
    for (int at = 0; at < 5; at++) {
        cr_expect(used[at], "partition %d has no key", at);
    }
}

TREE_TEST(partition_supervisor, one_partition_takes_every_key)
{
    parts_start(options(1));
    actor_told out;
    cr_expect_eq(TR_CALL(tr_partition_whereis(PARTS, tr_int(7)), 1000, actor_told, &out, actor_ask), TR_OK);
    cr_expect_eq(TR_CALL(tr_partition_whereis(PARTS, tr_atom("any")), 1000, actor_told, &out, actor_ask),
                 TR_OK);
}

TREE_TEST(partition_supervisor, a_failed_partition_comes_back_under_its_index)
{
    tr_pid top = parts_start(options(3));
    tr_pid old = tr_partition_at(PARTS, 1), other = tr_partition_at(PARTS, 2);
    tr_exit_signal(tr_to(old), TR_ATOM(KILL));
    tree_trace("w0+ w1+ w2+ w1+");
    cr_expect(tr_partition_at(PARTS, 1) != old && tr_partition_at(PARTS, 1) != TR_NO_PID);
    cr_expect_eq(tr_partition_at(PARTS, 2), other);
    tree_children_are(top, "2 1 0");
}

static void note_partition(const void *unused)
{
    (void)unused;
    tree_log("1:%s", tr_partition_at(PARTS, 1) == TR_NO_PID ? "none" : "some");
    tree_log("0:%s", tr_partition_at(PARTS, 0) == TR_NO_PID ? "none" : "some");
}

TREE_TEST(partition_supervisor, a_restarting_partition_reads_as_nobody)
{
    tr_partition_opts opts = options(2);
    opts.child = (tr_child_spec){.main = plain_main, .arg = "p", .arg_bytes = 2, .manual_ack = true};
    opts.with_arguments = NULL;
    opts.child.start.timeout_ms = 50; /* nobody acknowledges: it is tried until the intensity is used up */
    opts.flags.intensity = 2;
    tr_started started;
    tr_apply_after(10, note_partition, NULL, 0);
    tr_err err = tr_partition_supervisor_start_link(&opts, &(tr_start_opts){.name = PARTS}, &started);
    cr_expect_eq(err, TR_E_EXIT);
    tree_term_is(started.reason, "{shutdown,{failed_to_start_child,0,timeout}}");
    tree_settle();
    cr_expect_eq(tr_partition_count(PARTS), 0);
    tree_trace("p+ 1:none 0:none");
}

TREE_TEST(partition_supervisor, is_gone_after_a_stop_or_a_kill)
{
    tr_pid top = parts_start(options(3));
    tree_stop(top);
    cr_expect_eq(tr_partition_count(PARTS), 0);
    cr_expect_eq(tr_partition_whereis(PARTS, tr_int(1)), TR_NO_PID);
    cr_expect_eq(tr_partition_at(PARTS, 0), TR_NO_PID);
    tree_trace("w0+ w1+ w2+ w2-shutdown w1-shutdown w0-shutdown");
    top = parts_start(options(2));
    cr_expect_eq(tr_partition_count(PARTS), 2);
    tr_exit_signal(tr_to(top), TR_ATOM(KILL));
    tree_settle();
    cr_expect_eq(tr_partition_count(PARTS), 0);
}

TREE_TEST(partition_supervisor, may_come_back_with_another_number_of_partitions)
{
    for (uint32_t n = 1; n < 40; n += 7) {
        tr_pid top = parts_start(options(n));
        cr_expect_eq(tr_partition_count(PARTS), n);
        for (uint32_t i = 0; i < n; i++) {
            cr_expect_neq(tr_partition_at(PARTS, i), TR_NO_PID);
        }
        tree_stop(top);
    }
    parts_start(options(3));
    cr_expect_eq(tr_partition_count(PARTS), 3);
    cr_expect_eq(tr_partition_at(PARTS, 3), TR_NO_PID);
    tree.text[0] = '\0';
}

TREE_TEST(partition_supervisor, needs_a_name_of_its_own)
{
    tr_partition_opts opts = options(2);
    tr_started started;
    cr_expect_eq(tr_partition_supervisor_start_link(&opts, NULL, &started), TR_E_BADARG);
    cr_expect_eq(tr_partition_supervisor_start_link(&opts, &(tr_start_opts){.timeout_ms = 5}, &started),
                 TR_E_BADARG);
    tr_pid top = parts_start(opts);
    cr_expect_eq(tr_partition_supervisor_start_link(&opts, &(tr_start_opts){.name = PARTS}, &started),
                 TR_E_ALREADY_STARTED);
    cr_expect_eq(tr_partition_count(PARTS), 2);
    tree_children_are(top, "1 0");
}

TREE_TEST(partition_supervisor, refuses_auto_shutdown)
{
    tr_partition_opts opts = options(2);
    opts.flags.auto_shutdown = TR_AUTO_ANY_SIGNIFICANT;
    tr_started started;
    cr_expect_eq(tr_partition_supervisor_start_link(&opts, &(tr_start_opts){.name = PARTS}, &started),
                 TR_E_EXIT);
    tree_term_is(started.reason, "{supervisor_data,{invalid_auto_shutdown,1}}");
}

/* partition_supervisor_test: on success with via name; stop/1 with via tuple */
TREE_TEST(partition_supervisor, may_be_known_by_a_key_of_a_registry)
{
    tr_partition_opts opts = options(3);
    tr_term key = tr_tuple(tr_atom("parts"), tr_int(7));
    const tr_start_opts via = {.registry = tr_registry_new("partitions"), .key = key};
    tr_started started;
    cr_assert_eq(tr_partition_supervisor_start_link(&opts, &via, &started), TR_OK);
    cr_expect_eq(tr_partition_count(key), 3);
    cr_expect_neq(tr_partition_whereis(key, tr_int(4)), TR_NO_PID);
    cr_expect_eq(tr_partition_whereis(key, tr_int(4)), tr_partition_at(key, 1));
    cr_expect_eq(tr_partition_count(tr_tuple(tr_atom("parts"), tr_int(8))), 0);
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to_via(via.registry, key), &counts), TR_OK);
    cr_expect(counts.active == 3 && counts.workers == 3);
    cr_expect_eq(tr_gen_server_stop(tr_to_via(via.registry, key), TR_ATOM(NORMAL), TR_INFINITY, NULL), TR_OK);
    cr_expect_eq(tr_partition_count(key), 0);
    tree.text[0] = '\0';
}

TREE_TEST(partition_supervisor, takes_the_strategies_of_supervisors_with_ids)
{
    tr_partition_opts opts = options(3);
    opts.flags.strategy = TR_ONE_FOR_ALL;
    parts_start(opts);
    tr_pid before[3];
    for (uint32_t i = 0; i < 3; i++) {
        before[i] = tr_partition_at(PARTS, i);
    }
    tr_exit_signal(tr_to(before[1]), TR_ATOM(KILL));
    tree_settle();
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect(tr_partition_at(PARTS, i) != TR_NO_PID && tr_partition_at(PARTS, i) != before[i]);
    }
    opts.flags.strategy = TR_DYNAMIC;
    tr_started started;
    cr_expect_eq(
        tr_partition_supervisor_start_link(&opts, &(tr_start_opts){.name = tr_atom("more")}, &started),
        TR_E_EXIT);
    tree_term_is(started.reason, "{supervisor_data,{invalid_strategy,4}}");
    tree.text[0] = '\0';
}

TREE_TEST(partition_supervisor, counts_branches_as_supervisors)
{
    static const tr_supervisor empty = {.name = "empty"};
    tr_partition_opts opts = {.partitions = 3, .child = {.supervisor = &empty}};
    parts_start(opts);
    tr_child_counts counts;
    cr_expect_eq(tr_supervisor_count_children(tr_to_name(PARTS), &counts), TR_OK);
    cr_expect(counts.specs == 3 && counts.active == 3 && counts.supervisors == 3 && counts.workers == 0);
}

TREE_TEST(partition_supervisor, defaults_to_one_partition_a_worker)
{
    parts_start(options(0));
    cr_expect_eq((int)tr_partition_count(PARTS), tr_node_workers());
}

static size_t long_argument(uint32_t partition, const void *arg, void *out, size_t bytes)
{
    (void)arg;
    enum { LENGTH = 5000 };
    if (bytes >= LENGTH) {
        memset(out, 'x', LENGTH);
        snprintf(out, 8, "w%u", partition);
    }
    return LENGTH;
}

TREE_TEST(partition_supervisor, with_arguments_may_need_more_room)
{
    tr_partition_opts opts = options(2);
    opts.with_arguments = long_argument;
    parts_start(opts);
    tree_trace("w0+ w1+");
}

TREE_TEST(partition_supervisor, nests_in_a_tree_and_comes_back_with_it)
{
    static tr_partition_opts opts;
    opts = options(2);
    tr_child_spec spec;
    tr_partition_child_spec(&opts, PARTS, &spec);
    tr_pid top = tree_start(TREE(.strategy = TR_REST_FOR_ONE), ACTOR("a"), spec, ACTOR("z"));
    cr_expect_eq(tr_partition_count(PARTS), 2);
    tree_children_are(top, "z parts a");
    tree_kill("parts");
    tree_settle();
    cr_expect_eq(tr_partition_count(PARTS), 2);
    cr_expect_neq(tr_partition_at(PARTS, 0), TR_NO_PID);
    cr_expect(tr_is_alive(tr_partition_at(PARTS, 0)) && tr_is_alive(tr_partition_at(PARTS, 1)));
    tree_stop(top);
    cr_expect_eq(tr_partition_count(PARTS), 0);
    tree.text[0] = '\0';
}

/* ---- resizing (Elixir 1.18) ---- */

static size_t active_partitions(void)
{
    tr_child_counts counts = {0};
    cr_expect_eq(tr_supervisor_count_children(tr_to_name(PARTS), &counts), TR_OK);
    return counts.active;
}

static void resizes(uint32_t to, uint32_t from)
{
    uint32_t before = 99;
    cr_expect_eq(tr_partition_resize(PARTS, to, &before), TR_OK);
    cr_expect_eq(before, from);
    cr_expect_eq(tr_partition_count(PARTS), to);
    cr_expect_eq(active_partitions(), to);
    for (uint32_t i = 0; i < 10; i++) {
        cr_expect_eq(tr_partition_at(PARTS, i) != TR_NO_PID, i < to);
        cr_expect_eq(tr_partition_whereis(PARTS, tr_int(i)), tr_partition_at(PARTS, to == 0 ? 0 : i % to));
    }
}

/* partition_supervisor_test, resize!/1: resizes the number of children */
TREE_TEST(partition_supervisor, resizes_the_number_of_children)
{
    parts_start(options(8));
    tr_pid kept = tr_partition_at(PARTS, 2), stopped = tr_partition_at(PARTS, 3);
    resizes(8, 8);
    resizes(3, 8);
    cr_expect(tr_partition_at(PARTS, 2) == kept && !tr_is_alive(stopped));
    resizes(5, 3);
    cr_expect(tr_partition_at(PARTS, 2) == kept && tr_partition_at(PARTS, 3) != stopped);
    resizes(8, 5);
    uint32_t before = 99;
    cr_expect_eq(tr_partition_resize(PARTS, 9, &before), TR_E_BADARG);
    cr_expect_eq(tr_partition_resize(PARTS, UINT32_MAX, NULL), TR_E_BADARG);
    cr_expect_eq(tr_partition_resize(tr_atom("nobody"), 1, &before), TR_E_NOPROC);
    cr_expect_eq(before, 99);
    cr_expect(tr_partition_count(PARTS) == 8 && active_partitions() == 8);
    tree.text[0] = '\0';
}

/* partition_supervisor_test: raises on lookup after resizing to zero */
TREE_TEST(partition_supervisor, keys_lead_nowhere_after_resizing_to_none)
{
    tr_pid top = parts_start(options(3));
    resizes(0, 3);
    cr_expect_eq(tr_partition_whereis(PARTS, tr_atom("any")), TR_NO_PID);
    actor_told out;
    cr_expect_eq(TR_CALL(tr_partition_whereis(PARTS, tr_int(7)), 1000, actor_told, &out, actor_ask),
                 TR_E_NOPROC);
    tree_children_are(top, "2:stopped 1:stopped 0:stopped");
    resizes(2, 0);
    tree_stop(top);
    cr_expect_eq(tr_partition_resize(PARTS, 1, NULL), TR_E_NOPROC);
    tree.text[0] = '\0';
}

TREE_TEST(partition_supervisor, resizing_goes_in_order_of_ids_and_skips_what_is_as_it_shall_be)
{
    tr_pid top = parts_start(options(4));
    tree_trace("w0+ w1+ w2+ w3+");
    cr_expect_eq(tr_supervisor_terminate_child(tr_to(top), tr_int(2)).err, TR_OK);
    cr_expect_eq(tr_partition_resize(PARTS, 1, NULL), TR_OK);
    tree_trace("w2-shutdown w1-shutdown w3-shutdown");
    cr_expect_eq(tr_supervisor_restart_child(tr_to(top), tr_int(2)).err, TR_OK);
    cr_expect_eq(tr_partition_at(PARTS, 2), TR_NO_PID);
    cr_expect_eq(tr_partition_resize(PARTS, 4, NULL), TR_OK);
    tree_trace("w2+ w1+ w3+");
}

/* The ones that are running stay, the size is what it was, and the next attempt goes on from there. */
TREE_TEST(partition_supervisor, a_partition_that_does_not_start_leaves_the_size)
{
    parts_start(options(4));
    resizes(1, 4);
    actor_fails("w2", 1, ACTOR_STOPS);
    uint32_t before = 99;
    cr_expect_eq(tr_partition_resize(PARTS, 4, &before), TR_E_EXIT);
    cr_expect(before == 99 && tr_partition_count(PARTS) == 1 && active_partitions() == 2);
    cr_expect_eq(tr_partition_at(PARTS, 1), TR_NO_PID);
    resizes(4, 1);
    tree.text[0] = '\0';
}

TREE_TEST(partition_supervisor, a_deleted_partition_is_not_resized)
{
    tr_pid top = parts_start(options(3));
    resizes(1, 3);
    cr_expect_eq(tr_supervisor_delete_child(tr_to(top), tr_int(2)).err, TR_OK);
    cr_expect_eq(tr_partition_resize(PARTS, 3, NULL), TR_E_NOT_FOUND);
    cr_expect_eq(tr_partition_count(PARTS), 1);
    cr_expect_eq(tr_partition_resize(PARTS, 2, NULL), TR_OK);
    cr_expect_eq(tr_partition_count(PARTS), 2);
    tree.text[0] = '\0';
}

static void resizes_often(const void *arg)
{
    uint32_t size = *(const uint32_t *)arg;
    for (int i = 0; i < 20; i++) {
        cr_expect_eq(tr_partition_resize(PARTS, (size + (uint32_t)i) % 6, NULL), TR_OK);
        tr_yield();
    }
}

/* Each is one step of the supervisor, also when who asked for it is killed meanwhile. */
TREE_TEST(partition_supervisor, resizes_of_many_do_not_mix)
{
    tr_ref ends[3];
    tr_pid pids[3];
    parts_start(options(5));
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(tr_spawn(&(tr_spawn_opts){.monitor = &ends[i]}, resizes_often, &i, sizeof i, &pids[i]),
                     TR_OK);
    }
    tr_yield();
    tr_exit_signal(tr_to(pids[0]), TR_ATOM(KILL));
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_neq(tr_receive_ref(ends[i], 60000), NULL);
    }
    cr_expect_eq(active_partitions(), tr_partition_count(PARTS));
    resizes(5, tr_partition_count(PARTS));
    tree.text[0] = '\0';
}

TREE_TEST(partition_supervisor, other_supervisors_have_no_size)
{
    tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ONE), ACTOR("a"));
    cr_expect_eq(tr__supervisor_resize(tr_to(top), 0).err, TR_E_BADARG);
    tree_children_are(top, "a");
    tree.text[0] = '\0';
}
