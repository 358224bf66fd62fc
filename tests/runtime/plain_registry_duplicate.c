/* A registry with duplicate keys under threads: look-ups and dispatches against registrations, deaths, and partitions that end. */
#include <pthread.h>
#include <troupe/troupe.h>

#include "tests/support/plain.h"

enum { THREADS = 2, KEYS = 8, PROCESSES = 12, GENERATIONS = 20, STEPS = 1000 / PLAIN_SLOWER };

static tr_registry *registry;
static atomic_bool over;
static atomic_ulong dispatched;

static tr_term key_of(int64_t i)
{
    return tr_tuple(tr_atom("key"), tr_int(i), tr_string("long enough to be a box of some size"));
}

/* A value says whose it is and under which key. */
static tr_term value_of(int64_t i, tr_pid pid, int64_t n)
{
    return tr_tuple(key_of(i), tr_pid_term(pid), tr_int(n));
}

static void check_entry(const tr_registry_entry *entry, tr_term key)
{
    const tr_term *items = tr_term_items(entry->value);
    PLAIN_CHECK(tr_term_equal(entry->key, key));
    PLAIN_CHECK(tr_term_equal(items[0], key) && tr_pid_value(items[1]) == entry->pid);
}

/* Those of one process stay in the order they came. */
static void check_entries(const tr_registry_entry *entries, size_t count, const void *key)
{
    for (size_t i = 0; i < count; i++) {
        check_entry(&entries[i], *(const tr_term *)key);
        for (size_t j = i + 1; j < count && j < i + 8; j++) {
            if (entries[i].pid == entries[j].pid) {
                PLAIN_CHECK(tr_int_value(tr_term_items(entries[i].value)[2]) <
                            tr_int_value(tr_term_items(entries[j].value)[2]));
            }
        }
    }
    atomic_fetch_add(&dispatched, count);
}

static void *looks_up(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&over)) {
        tr_scratch_mark mark = tr_scratch();
        size_t count;
        tr_term key = key_of(rand_r(&seed) % KEYS);
        const tr_registry_entry *entries = tr_registry_entries(registry, key, &count);
        check_entries(entries, count, &key);
        tr_pattern any = {.term = tr_tuple(tr_var(1), TR_ANY, TR_ANY), .body = tr_var(1)};
        (void)tr_registry_match(registry, key, &any, &count);
        tr_pattern all = {.term = tr_tuple(tr_var(1), tr_var(2), tr_tuple(tr_var(1), tr_var(2), tr_var(3)))};
        (void)tr_registry_select(registry, &all, 1, &count);
        tr_scratch_release(mark);
    }
    return NULL;
}

/* Registers, dispatches and takes away; what it still has at its end goes with it. */
static void storms(const void *arg)
{
    unsigned seed = (unsigned)*(const int *)arg;
    bool killed = rand_r(&seed) % 2 == 0;
    for (int step = 0; step < STEPS; step++) {
        tr_scratch_mark mark = tr_scratch();
        int64_t i = rand_r(&seed) % KEYS;
        tr_term key = key_of(i);
        switch (rand_r(&seed) % 8) {
        case 0:
            tr_registry_unregister(registry, key);
            break;
        case 1:
            tr_registry_unregister_match(registry, key,
                                         &(tr_pattern){.term = tr_tuple(TR_ANY, TR_ANY, tr_var(1)),
                                                       .guards = {{tr_var(1), TR_LESS, tr_int(step - 20)}}});
            break;
        case 2:
            tr_registry_dispatch(registry, key, check_entries, &key);
            break;
        case 3:
            tr_yield();
            break;
        default:
            if (tr_registry_register(registry, key, value_of(i, tr_self(), step), NULL) != TR_OK) {
                tr_exit(tr_atom("partition_gone"));
            }
        }
        tr_scratch_release(mark);
    }
    if (killed) {
        tr_exit_signal(tr_to(tr_self()), TR_ATOM(KILL));
    }
}

/* Every DOWN: of the one that ended nothing is left under any key. */
static void nothing_of(tr_pid pid)
{
    size_t count;
    (void)tr_registry_keys_list(registry, pid, &count);
    PLAIN_CHECK(count == 0);
    for (int i = 0; i < KEYS; i++) {
        (void)tr_registry_values(registry, key_of(i), pid, &count);
        PLAIN_CHECK(count == 0);
    }
}

static void run_generations(unsigned seed, bool kills_partitions)
{
    for (int generation = 0; generation < GENERATIONS; generation++) {
        tr_ref ends[PROCESSES];
        tr_pid pids[PROCESSES];
        for (int i = 0; i < PROCESSES; i++) {
            int own = rand_r(&seed);
            tr_spawn_opts opts = {.monitor = &ends[i]};
            PLAIN_CHECK(tr_spawn(&opts, storms, &own, sizeof own, &pids[i]) == TR_OK);
        }
        if (kills_partitions) {
            size_t count;
            const tr_child_info *children;
            tr_dest sup = tr_to_name(tr_atom("storm"));
            if (tr_supervisor_which_children(sup, &children, &count) == TR_OK) {
                tr_exit_signal(tr_to(children[(unsigned)rand_r(&seed) % count].pid), TR_ATOM(KILL));
            }
        }
        for (int i = 0; i < PROCESSES; i++) {
            tr_scratch_mark mark = tr_scratch();
            tr_msg_drop(tr_receive_ref(ends[i], TR_INFINITY));
            nothing_of(pids[i]);
            tr_scratch_release(mark);
        }
        PLAIN_CHECK(tr_registry_count(registry) == 0);
    }
}

typedef struct storm {
    unsigned seed;
    uint32_t partitions;
    bool kills_partitions;
} storm;

/* No node stops while a thread looks up. */
static void runs_storm(const void *arg)
{
    const storm *of = arg;
    pthread_t threads[THREADS];
    tr_started started;
    tr_child_spec spec;
    tr_registry_opts opts = {
        .name = tr_atom("storm"), .keys = TR_DUPLICATE_KEYS, .partitions = of->partitions};
    tr_registry_child_spec(&opts, &spec);
    tr_supervisor top = {.name = "top", .flags = {.intensity = 1000}, .children = &spec, .child_count = 1};
    tr_trap_exit(true);
    PLAIN_CHECK(tr_supervisor_start_link(&top, NULL, 0, NULL, &started) == TR_OK);
    registry = tr_registry_find("storm");
    PLAIN_CHECK(registry != NULL);
    for (uintptr_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, looks_up, (void *)(i + 1)) == 0);
    }
    run_generations(of->seed, of->kills_partitions);
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    PLAIN_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

static void ignores(const tr_report *report, void *ctx)
{
    (void)report, (void)ctx;
}

static void run_storm(storm of)
{
    tr_pid pid;
    tr_node_stats stats;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_node_opts opts = {.workers = 2, .report = ignores};
    atomic_store(&over, false);
    atomic_store(&dispatched, 0);
    of.seed = plain_seed();
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, runs_storm, &of, sizeof of, &pid) == TR_OK);
    tr_node_join(pid, &reason);
    PLAIN_CHECK(tr_same(reason, TR_ATOM(NORMAL)));
    PLAIN_CHECK(tr_registry_count(registry) == 0);
    printf("  %lu entries seen\n", atomic_load(&dispatched));
    PLAIN_CHECK(atomic_load(&dispatched) > 0);
    tr_node_stop();
    tr_node_stats_get(&stats);
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
}

PLAIN_TEST(readers_and_dispatches_see_whole_entries_while_owners_die)
{
    run_storm((storm){.partitions = 1});
}

PLAIN_TEST(the_same_with_partitions)
{
    run_storm((storm){.partitions = 4});
}

PLAIN_TEST(entries_go_with_a_partition_that_is_killed_meanwhile)
{
    run_storm((storm){.partitions = 2, .kills_partitions = true});
}
