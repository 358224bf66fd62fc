/* Supervisors on real workers: children, branches and whole trees are killed at random while others administrate them. At
 * the end nobody is left, and every byte was given back. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <troupe/troupe.h>

#include "tests/support/plain.h"

#if PLAIN_SLOWER > 1
enum { SCALE = 1 };
#else
enum { SCALE = 4 };
#endif

static void no_report(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

/* Runs body in a process on four workers; afterwards all processes must be gone and all memory given back. */
static void on_workers(tr_main_fn body)
{
    tr_node_opts opts = {.workers = 4, .report = no_report};
    if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        return;
    }
    tr_pid pid;
    tr_term reason = TR_TERM_NONE_VALUE;
    if (PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.label = "body", .trap_exit = true}, body, NULL, 0, &pid) ==
                    TR_OK)) {
        tr_node_join(pid, &reason);
        PLAIN_CHECK(tr_same(reason, TR_ATOM(NORMAL)));
    }
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    for (int i = 0; i < 20000 && stats.timers > 0;
         i++) { /* of supervisors that were killed while a child had time to stop */
        usleep(1000);
        tr_node_stats_get(&stats);
    }
    PLAIN_CHECK(stats.processes == 0);
    PLAIN_CHECK(stats.timers == 0);
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    tr_node_stop();
}

static uint32_t random_below(uint32_t *seed, uint32_t limit)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed % limit;
}

/* Waits until only `count` processes are alive. */
static bool eventually_alive(uint64_t count)
{
    tr_node_stats stats;
    for (int i = 0; i < 20000; i++) {
        tr_node_stats_get(&stats);
        if (stats.processes == count) {
            return true;
        }
        tr_sleep(1);
    }
    fprintf(stderr, "%llu processes, not %llu\n", (unsigned long long)stats.processes,
            (unsigned long long)count);
    return false;
}

/* ---- workers ------------------------------------------------------------------------------------------------------ */

TR_MESSAGE(work, { uint32_t what; });

typedef struct worker {
    void *memory;
} worker;

static tr_next worker_init(worker *self, const void *arg)
{
    (void)arg;
    self->memory = tr_alloc(100);
    return TR_INIT_OK;
}

static tr_next worker_handle_info(worker *self, const tr_msg *msg)
{
    const work *w = TR_MATCH(msg, work);
    if (w == NULL) {
        return TR_NOREPLY;
    }
    self->memory = tr_realloc(self->memory, 100 + w->what % 1000);
    TR_CHECK(w->what % 16 != 3);
    return w->what % 16 == 4 ? TR_STOP(tr_atom("tired")) : TR_NOREPLY;
}

static void worker_terminate(worker *self, tr_term reason)
{
    (void)reason;
    tr_free(self->memory);
}

TR_GEN_SERVER(worker, .init = worker_init, .handle_info = worker_handle_info, .terminate = worker_terminate,
              .trap_exit = true);

/* Does not trap, blocks in the middle, now and then ends by itself. */
static void sleeper(const void *arg)
{
    (void)arg;
    void *memory = tr_alloc(300);
    for (uint32_t i = 0;; i++) {
        const work *w = TR_RECEIVE(work, 50);
        if (w != NULL && w->what % 8 == 1) {
            return;
        }
        memory = tr_realloc(memory, 300 + i % 100);
    }
}

/* ---- a tree under fire -------------------------------------------------------------------------------------------- */

enum { SLOTS = 12 };
static tr_pid slots[SLOTS];
static atomic_uint finished;

#define WORKER(i, ...)                                                                               \
    {                                                                                                \
        .id = tr_int(i), .server = worker_server, .slot = &slots[i], .shutdown_ms = 500, __VA_ARGS__ \
    }
#define SLEEPER(i, ...)                                                                      \
    {                                                                                        \
        .id = tr_int(i), .main = sleeper, .slot = &slots[i], .shutdown_ms = 500, __VA_ARGS__ \
    }

static tr_err left_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec specs[] = {
        WORKER(0),
        SLEEPER(1),
        WORKER(2, .restart = TR_TRANSIENT),
        {.id = tr_int(3), .main = sleeper, .slot = &slots[3], .shutdown_ms = TR_SHUTDOWN_BRUTAL_KILL}};
    *flags = (tr_sup_flags){.strategy = TR_REST_FOR_ONE, .intensity = 20, .period_s = 1};
    tr_child_spec *copy = tr_scratch_alloc(sizeof specs);
    memcpy(copy, specs, sizeof specs);
    *children = copy;
    *count = sizeof specs / sizeof specs[0];
    return TR_OK;
}
static const tr_supervisor left = {.name = "left", .init = left_init};

static tr_err right_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                         tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec specs[] = {SLEEPER(4), WORKER(5), SLEEPER(6, .restart = TR_TEMPORARY), WORKER(7)};
    *flags = (tr_sup_flags){.strategy = TR_ONE_FOR_ALL, .intensity = 20, .period_s = 1};
    tr_child_spec *copy = tr_scratch_alloc(sizeof specs);
    memcpy(copy, specs, sizeof specs);
    *children = copy;
    *count = sizeof specs / sizeof specs[0];
    return TR_OK;
}
static const tr_supervisor right = {.name = "right", .init = right_init};

static tr_err root_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec specs[] = {
        {.id = tr_atom("left"), .supervisor = &left, .slot = &slots[8]},
        {.id = tr_atom("right"), .supervisor = &right, .slot = &slots[9]},
        WORKER(10),
        SLEEPER(11),
    };
    *flags = (tr_sup_flags){.intensity = 1000000};
    tr_child_spec *copy = tr_scratch_alloc(sizeof specs);
    memcpy(copy, specs, sizeof specs);
    *children = copy;
    *count = sizeof specs / sizeof specs[0];
    return TR_OK;
}
static const tr_supervisor root = {.name = "root", .init = root_init};

static void shooter(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    for (int i = 0; i < 400 * SCALE; i++) {
        tr_pid pid = __atomic_load_n(&slots[random_below(&seed, SLOTS)], __ATOMIC_ACQUIRE);
        if (random_below(&seed, 4) == 0) {
            tr_exit_signal(tr_to(pid), random_below(&seed, 2) == 0 ? TR_ATOM(KILL) : tr_atom("shot"));
        } else {
            TR_SEND(pid, work, .what = random_below(&seed, 100));
        }
        if (random_below(&seed, 8) == 0) {
            tr_sleep(1);
        } else {
            tr_yield();
        }
    }
    atomic_fetch_add(&finished, 1U);
}

static void administrator(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    for (int i = 0; i < 100 * SCALE; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_pid top = __atomic_load_n(&slots[8 + random_below(&seed, 2)], __ATOMIC_ACQUIRE);
        tr_term id = tr_int((int64_t)random_below(&seed, 9));
        const tr_child_info *children;
        tr_child_counts counts;
        size_t count;
        switch (random_below(&seed, 6)) {
        case 0:
            (void)tr_supervisor_terminate_child(tr_to(top), id);
            break;
        case 1:
            (void)tr_supervisor_restart_child(tr_to(top), id);
            break;
        case 2:
            if (tr_supervisor_which_children(tr_to(top), &children, &count) == TR_OK) {
                PLAIN_CHECK(count <= 6);
            }
            break;
        case 3:
            if (tr_supervisor_count_children(tr_to(top), &counts) == TR_OK) {
                PLAIN_CHECK(counts.active <= counts.specs && counts.workers == counts.specs);
            }
            break;
        default: {
            tr_child_spec spec = {.id = tr_tuple(tr_atom("more"), id),
                                  .main = sleeper,
                                  .restart = TR_TEMPORARY,
                                  .shutdown_ms = 500};
            if (tr_supervisor_start_child(tr_to(top), &spec).err == TR_OK) {
                (void)tr_supervisor_terminate_child(tr_to(top), spec.id);
            }
            break;
        }
        }
        tr_scratch_release(mark);
    }
    atomic_fetch_add(&finished, 1U);
}

static void tree_under_fire(const void *arg)
{
    (void)arg;
    enum { SHOOTERS = 4, ADMINISTRATORS = 3 };
    tr_started started;
    atomic_store(&finished, 0U);
    PLAIN_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &started) == TR_OK);
    for (uint32_t i = 0; i < SHOOTERS + ADMINISTRATORS; i++) {
        uint32_t seed = 17 + 31 * i;
        tr_pid pid;
        PLAIN_CHECK(tr_spawn(NULL, i < SHOOTERS ? shooter : administrator, &seed, sizeof seed, &pid) ==
                    TR_OK);
    }
    while (atomic_load(&finished) < SHOOTERS + ADMINISTRATORS) {
        tr_sleep(5);
    }
    tr_sup_info info = {0};
    PLAIN_CHECK(tr_supervisor_info(tr_to(started.pid), &info) == TR_OK);
    PLAIN_CHECK(info.restarts > 0);
    PLAIN_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
    for (int i = 0; i < SLOTS; i++) {
        PLAIN_CHECK(slots[i] == TR_NO_PID);
    }
    PLAIN_CHECK(eventually_alive(1));
}

PLAIN_TEST(random_kills_in_a_tree_leave_no_process_and_no_byte)
{
    on_workers(tree_under_fire);
}

/* ---- supervisors that are killed in the middle of something ------------------------------------------------------- */

/* Starts slowly or never acknowledges; traps and takes its time to end. */
static void slow_child(const void *arg)
{
    (void)arg;
    tr_trap_exit(true);
    tr_sleep(1);
    tr_init_ack(TR_TERM_NONE_VALUE);
    tr_exit_msg const *end = TR_RECEIVE(tr_exit_msg, TR_INFINITY);
    tr_sleep(2);
    tr_exit(end->reason);
}

static const tr_supervisor *slow_tree(void)
{
    static tr_child_spec specs[5];
    static tr_supervisor tree;
    for (int i = 0; i < 5; i++) {
        specs[i] =
            (tr_child_spec){.id = tr_int(i), .main = slow_child, .manual_ack = true, .shutdown_ms = 500};
    }
    tree = (tr_supervisor){.name = "slow",
                           .flags = {.strategy = TR_ONE_FOR_ALL, .intensity = 1000},
                           .children = specs,
                           .child_count = 5};
    return &tree;
}

/* What a starter is to start. */
struct start {
    const tr_supervisor *tree;
};

static void kill_starter(const void *arg)
{
    tr_started started;
    (void)!tr_supervisor_start_link(((const struct start *)arg)->tree, NULL, 0, NULL, &started);
    tr_sleep(TR_INFINITY);
}

static void killed_in_the_middle(const void *arg)
{
    (void)arg;
    struct start start = {slow_tree()};
    uint32_t seed = 4711;
    for (int i = 0; i < 40 * SCALE; i++) {
        tr_pid starter;
        PLAIN_CHECK(tr_spawn(NULL, kill_starter, &start, sizeof start, &starter) == TR_OK);
        tr_sleep(random_below(&seed, 12));
        tr_exit_signal(tr_to(starter), TR_ATOM(KILL)); /* while it starts, or after; its supervisor unwinds */
    }
    PLAIN_CHECK(eventually_alive(1));
}

PLAIN_TEST(trees_whose_starter_is_killed_at_any_moment_go_away)
{
    on_workers(killed_in_the_middle);
}

static void supervisor_killed(const void *arg)
{
    (void)arg;
    const tr_supervisor *tree = slow_tree();
    uint32_t seed = 1234;
    for (int i = 0; i < 25 * SCALE; i++) {
        tr_started started;
        PLAIN_CHECK(tr_supervisor_start_link(tree, NULL, 0, NULL, &started) == TR_OK);
        const tr_child_info *children;
        size_t count = 0;
        PLAIN_CHECK(tr_supervisor_which_children(tr_to(started.pid), &children, &count) == TR_OK &&
                    count == 5);
        tr_exit_signal(tr_to(children[random_below(&seed, 5)].pid),
                       TR_ATOM(KILL)); /* a group restart begins */
        tr_sleep(random_below(&seed, 10));
        tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
    }
    PLAIN_CHECK(eventually_alive(1));
}

PLAIN_TEST(supervisors_killed_in_the_middle_of_a_group_restart_leave_no_orphan)
{
    on_workers(supervisor_killed);
}

/* ---- many dynamic children ---------------------------------------------------------------------------------------- */

static tr_pid pool;

static void client(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    enum { KEPT = 64 };
    tr_pid mine[KEPT] = {TR_NO_PID};
    for (int i = 0; i < 1000 * SCALE; i++) {
        tr_scratch_mark mark = tr_scratch();
        uint32_t at = random_below(&seed, KEPT);
        if (mine[at] == TR_NO_PID) {
            tr_sup_result result = tr_supervisor_start_child_arg(tr_to(pool), &seed, sizeof seed);
            PLAIN_CHECK(result.err == TR_OK && result.pid != TR_NO_PID);
            mine[at] = result.pid;
        } else if (random_below(&seed, 2) == 0) {
            PLAIN_CHECK(tr_supervisor_terminate_child_pid(tr_to(pool), mine[at]).err == TR_OK);
            mine[at] = TR_NO_PID;
        } else {
            tr_exit_signal(tr_to(mine[at]), TR_ATOM(KILL));
            mine[at] = TR_NO_PID;
        }
        tr_scratch_release(mark);
    }
    atomic_fetch_add(&finished, 1U);
}

static void pool_under_fire(const void *arg)
{
    (void)arg;
    enum { CLIENTS = 6 };
    tr_child_spec spec = {.id = tr_atom("w"), .server = worker_server, .restart = TR_TEMPORARY};
    tr_supervisor module = {
        .name = "pool", .flags = {.strategy = TR_SIMPLE_ONE_FOR_ONE}, .children = &spec, .child_count = 1};
    tr_started started;
    atomic_store(&finished, 0U);
    PLAIN_CHECK(tr_supervisor_start_link(&module, NULL, 0, NULL, &started) == TR_OK);
    pool = started.pid;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        uint32_t seed = 99 + 7 * i;
        tr_pid pid;
        PLAIN_CHECK(tr_spawn(NULL, client, &seed, sizeof seed, &pid) == TR_OK);
    }
    while (atomic_load(&finished) < CLIENTS) {
        tr_sleep(5);
    }
    tr_child_counts counts = {0};
    PLAIN_CHECK(tr_supervisor_count_children(tr_to(pool), &counts) == TR_OK);
    PLAIN_CHECK(eventually_alive(2 + counts.active));
    PLAIN_CHECK(tr_gen_server_stop(tr_to(pool), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
    PLAIN_CHECK(eventually_alive(1));
}

PLAIN_TEST(dynamic_children_under_fire_are_all_accounted_for)
{
    on_workers(pool_under_fire);
}

/* Does not listen to its supervisor; ends by itself about when it is killed. */
static void stubborn(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    tr_trap_exit(true);
    tr_init_ack(TR_TERM_NONE_VALUE);
    (void)TR_RECEIVE(tr_exit_msg, TR_INFINITY);
    tr_sleep(15 + random_below(&seed, 20));
}

static void stubborn_pool(const void *arg)
{
    (void)arg;
    tr_child_spec spec = {.id = tr_atom("w"), .main = stubborn, .manual_ack = true, .shutdown_ms = 25};
    tr_supervisor module = {
        .name = "pool", .flags = {.strategy = TR_SIMPLE_ONE_FOR_ONE}, .children = &spec, .child_count = 1};
    for (int round = 0; round < SCALE; round++) {
        tr_started started;
        PLAIN_CHECK(tr_supervisor_start_link(&module, NULL, 0, NULL, &started) == TR_OK);
        for (uint32_t i = 1; i <= 1200; i++) {
            PLAIN_CHECK(tr_supervisor_start_child_arg(tr_to(started.pid), &i, sizeof i).err == TR_OK);
        }
        PLAIN_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
        PLAIN_CHECK(eventually_alive(1));
    }
}

PLAIN_TEST(dynamic_children_that_do_not_stop_are_killed_while_others_end_by_themselves)
{
    on_workers(stubborn_pool);
}

/* ---- partitions read from outside --------------------------------------------------------------------------------- */

static atomic_bool reading;
static atomic_uint hits;

static void *reader(void *unused)
{
    (void)unused;
    tr_term name = tr_atom("parts");
    while (atomic_load(&reading)) {
        for (int64_t key = 0; key < 64; key++) {
            tr_pid pid = tr_partition_whereis(name, tr_int(key));
            if (pid != TR_NO_PID) {
                atomic_fetch_add(&hits, 1U);
            }
            if (key == 7) {
                TR_SEND(pid, work, .what = 0);
            }
        }
        usleep(50); /* leaves the workers some of the processors */
        PLAIN_CHECK(tr_partition_count(name) <= 8);
    }
    return NULL;
}

static void partitions_under_fire(const void *arg)
{
    (void)arg;
    uint32_t seed = 5;
    tr_term name = tr_atom("parts");
    for (int round = 0; round < 10 * SCALE; round++) {
        tr_partition_opts opts = {.partitions = 1 + random_below(&seed, 8),
                                  .child = {.server = worker_server},
                                  .flags = {.intensity = 1000000}};
        tr_started started;
        PLAIN_CHECK(tr_partition_supervisor_start_link(&opts, &(tr_start_opts){.name = name}, &started) ==
                    TR_OK);
        unsigned seen = atomic_load(&hits);
        for (int i = 0; i < 100 || atomic_load(&hits) == seen; i++) { /* until somebody has read it */
            tr_exit_signal(tr_to(tr_partition_at(name, random_below(&seed, opts.partitions))), TR_ATOM(KILL));
            tr_yield();
        }
        if (round % 2 == 0) {
            tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
            PLAIN_CHECK(eventually_alive(1));
        } else {
            PLAIN_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
        }
        PLAIN_CHECK(tr_partition_count(name) == 0 && tr_partition_at(name, 0) == TR_NO_PID);
    }
    atomic_store(&reading, false);
}

PLAIN_TEST(partitions_are_found_from_any_thread_while_they_come_and_go)
{
    pthread_t threads[2];
    atomic_store(&reading, true);
    tr_node_opts opts = {.workers = 4, .report = no_report};
    if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        return;
    }
    tr_pid pid;
    PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.trap_exit = true}, partitions_under_fire, NULL, 0, &pid) == TR_OK);
    for (int i = 0; i < 2; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, reader, NULL) == 0);
    }
    tr_node_join(pid, NULL);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    tr_node_stop();
    PLAIN_CHECK(atomic_load(&hits) > 0);
}
