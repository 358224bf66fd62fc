/* The registry under threads: look-ups without locks against registrations, deaths and growing tables. */
#include <pthread.h>
#include <troupe/troupe.h>

#include "tests/support/plain.h"

enum { THREADS = 3, KEYS = 64, PROCESSES = 8, ROUNDS = 10000 / PLAIN_SLOWER };

static tr_registry *registry;
static atomic_bool over;

static void node_start(void)
{
    tr_node_opts opts = {.workers = 2};
    atomic_store(&over, false);
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    registry = tr_registry_new("stress");
}

/* Everything was given back when the last process ended. */
static void node_stop(void)
{
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    for (int i = 0; i < 1000 && stats.processes != 0; i++) {
        usleep(1000);
        tr_node_stats_get(&stats);
    }
    PLAIN_CHECK(stats.processes == 0);
    PLAIN_CHECK(tr_registry_count(registry) == 0);
    tr_node_stop();
}

static tr_term key_of(int64_t i)
{
    return tr_tuple(tr_atom("key"), tr_int(i), tr_string("long enough to be a box of some size"));
}

static tr_term value_of(int64_t i)
{
    return tr_tuple(key_of(i), tr_int(7 * i));
}

/* ---- look-ups against writers ---- */

/* Values must always be those of their keys, whatever happens to the entries meanwhile. */
static void *looks_up(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    unsigned long *found = calloc(1, sizeof *found);
    while (!atomic_load(&over)) {
        tr_scratch_mark mark = tr_scratch();
        int64_t i = rand_r(&seed) % KEYS;
        tr_term value = TR_TERM_NONE_VALUE;
        if (tr_registry_lookup(registry, key_of(i), &value) != TR_NO_PID) {
            (*found)++;
            PLAIN_CHECK(tr_term_equal(value, value_of(i)));
        }
        tr_scratch_release(mark);
    }
    return found;
}

/* Takes and gives back keys; others die with some of them. */
static void takes_and_gives(const void *arg)
{
    unsigned seed = (unsigned)*(const int *)arg;
    for (int round = 0; round < ROUNDS / 5; round++) {
        tr_scratch_mark mark = tr_scratch();
        int64_t i = rand_r(&seed) % KEYS;
        tr_pid owner = TR_NO_PID;
        tr_err err = tr_registry_register(registry, key_of(i), value_of(i), &owner);
        PLAIN_CHECK(err == TR_OK || (err == TR_E_ALREADY_STARTED && owner != TR_NO_PID));
        if (rand_r(&seed) % 3 != 0) {
            tr_registry_unregister(registry, key_of(i));
        }
        tr_scratch_release(mark);
        if (round % 16 == 0) {
            tr_yield();
        }
    }
}

static void spawns_generations(const void *arg)
{
    (void)arg;
    for (int generation = 0; generation < 10; generation++) {
        tr_ref ends[PROCESSES];
        for (int i = 0; i < PROCESSES; i++) {
            tr_pid pid;
            int seed = generation * PROCESSES + i;
            tr_spawn_opts opts = {.monitor = &ends[i]};
            PLAIN_CHECK(tr_spawn(&opts, takes_and_gives, &seed, sizeof seed, &pid) == TR_OK);
        }
        for (int i = 0; i < PROCESSES; i++) {
            tr_msg_drop(tr_receive_ref(ends[i], TR_INFINITY));
        }
        PLAIN_CHECK(tr_registry_count(registry) == 0);
    }
}

PLAIN_TEST(readers_see_whole_entries_while_writers_work)
{
    pthread_t threads[THREADS];
    unsigned long found = 0;
    tr_pid pid;
    node_start();
    for (uintptr_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, looks_up, (void *)(i + 1)) == 0);
    }
    PLAIN_CHECK(tr_spawn(NULL, spawns_generations, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++) {
        void *one;
        pthread_join(threads[i], &one);
        found += *(unsigned long *)one;
        free(one);
    }
    printf("  %lu look-ups found an entry\n", found);
    node_stop();
}

/* ---- growing tables ---- */

enum { MANY = 20000 / PLAIN_SLOWER };
static atomic_int registered; /* keys below this are there and stay */

static void *looks_up_what_is_there(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (atomic_load(&registered) < MANY) {
        int count = atomic_load(&registered);
        if (count > 0) {
            PLAIN_CHECK(tr_registry_lookup(registry, tr_int(rand_r(&seed) % count), NULL) != TR_NO_PID);
        }
    }
    return NULL;
}

static void registers_many(const void *arg)
{
    (void)arg;
    for (int i = 0; i < MANY; i++) {
        PLAIN_CHECK(tr_registry_register(registry, tr_int(i), TR_TERM_NONE_VALUE, NULL) == TR_OK);
        atomic_store(&registered, i + 1);
    }
    tr_sleep(TR_INFINITY);
}

PLAIN_TEST(an_entry_is_found_at_any_moment_while_its_table_grows)
{
    pthread_t threads[THREADS];
    tr_pid pid;
    node_start();
    atomic_store(&registered, 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, looks_up_what_is_there, (void *)(i + 1)) == 0);
    }
    PLAIN_CHECK(tr_spawn(NULL, registers_many, NULL, 0, &pid) == TR_OK);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_node_join(pid, NULL);
    node_stop();
}

/* ---- one owner at a time ---- */

static atomic_int owners;
static atomic_int successes;

static void competes(const void *arg)
{
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        if (tr_registry_register(registry, tr_atom("one"), TR_TERM_NONE_VALUE, NULL) == TR_OK) {
            PLAIN_CHECK(atomic_fetch_add(&owners, 1) == 0);
            atomic_fetch_add(&successes, 1);
            if (round % 8 == 0) {
                tr_yield();
            }
            atomic_fetch_sub(&owners, 1);
            tr_registry_unregister(registry, tr_atom("one"));
        } else {
            tr_yield();
        }
    }
}

PLAIN_TEST(a_key_has_one_owner_at_a_time)
{
    tr_pid pids[PROCESSES];
    node_start();
    atomic_store(&owners, 0);
    atomic_store(&successes, 0);
    for (int i = 0; i < PROCESSES; i++) {
        PLAIN_CHECK(tr_spawn(NULL, competes, NULL, 0, &pids[i]) == TR_OK);
    }
    for (int i = 0; i < PROCESSES; i++) {
        tr_node_join(pids[i], NULL);
    }
    PLAIN_CHECK(atomic_load(&successes) >= ROUNDS);
    node_stop();
}

/* ---- names given by others to processes that die meanwhile ---- */

enum { TARGETS = 8, NAMES = 4096 };
static _Atomic tr_pid targets[TARGETS];

static tr_term name_of(unsigned i)
{
    char text[16];
    snprintf(text, sizeof text, "name_%u", i);
    return tr_atom(text);
}

/* So many names that an entry left behind would not be replaced by chance; and most are taken back at once, so that a target is
 * hit by a new one at any moment of its life. */
static void *gives_names(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    unsigned long *outcomes = calloc(TR_ERR_COUNT, sizeof *outcomes);
    while (!atomic_load(&over)) {
        tr_pid pid = atomic_load(&targets[(unsigned)rand_r(&seed) % TARGETS]);
        tr_term name = name_of((unsigned)rand_r(&seed) % NAMES);
        tr_err err = tr_register(name, pid);
        PLAIN_CHECK(err == TR_OK || err == TR_E_NOPROC || err == TR_E_ALREADY_STARTED || err == TR_E_BADARG);
        outcomes[err]++;
        if (err == TR_OK && rand_r(&seed) % 16 != 0) {
            (void)!tr_unregister(name);
        }
    }
    return outcomes;
}

static void sleeps(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

/* Replaces the targets one by one; when a DOWN is there, the dead one has no name any more. */
static void kills_and_replaces(const void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < ROUNDS; round++) {
        tr_pid old = atomic_load(&targets[round % TARGETS]);
        tr_pid fresh;
        PLAIN_CHECK(tr_spawn(NULL, sleeps, NULL, 0, &fresh) == TR_OK);
        tr_ref end = tr_monitor(tr_to(old), NULL);
        tr_exit_signal(tr_to(old), TR_ATOM(KILL));
        tr_msg_drop(tr_receive_ref(end, TR_INFINITY));
        for (unsigned i = round % 64; i < NAMES; i += 64) {
            PLAIN_CHECK(tr_whereis(tr_to_name(name_of(i))) != old);
        }
        PLAIN_CHECK(tr_register(tr_atom("too_late"), old) == TR_E_NOPROC);
        atomic_store(&targets[round % TARGETS], fresh);
    }
}

/* Entries that could not be freed because somebody was reading go with the next one of their shard: every shard gets one. */
static void nothing_is_left(void)
{
    tr_pid pid;
    tr_node_stats stats;
    char text[16];
    PLAIN_CHECK(tr_spawn(NULL, sleeps, NULL, 0, &pid) == TR_OK);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "other_%u", i);
        PLAIN_CHECK(tr_register(tr_atom(text), pid) == TR_OK);
        PLAIN_CHECK(tr_unregister(tr_atom(text)) == TR_OK);
    }
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_node_join(pid, NULL);
    tr_node_stats_get(&stats);
    for (int i = 0; i < 1000 && stats.bytes_allocated != stats.bytes_freed; i++) {
        usleep(1000);
        tr_node_stats_get(&stats);
    }
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
}

PLAIN_TEST(a_name_given_to_a_dying_process_never_stays)
{
    pthread_t threads[THREADS];
    unsigned long outcomes[TR_ERR_COUNT] = {0};
    tr_pid pid;
    node_start();
    for (unsigned i = 0; i < TARGETS; i++) {
        PLAIN_CHECK(tr_spawn(NULL, sleeps, NULL, 0, &pid) == TR_OK);
        atomic_store(&targets[i], pid);
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, gives_names, (void *)(i + 1)) == 0);
    }
    PLAIN_CHECK(tr_spawn(NULL, kills_and_replaces, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++) {
        void *one;
        pthread_join(threads[i], &one);
        for (int err = 0; err < TR_ERR_COUNT; err++) {
            outcomes[err] += ((unsigned long *)one)[err];
        }
        free(one);
    }
    printf("  %lu names given, %lu times to a dead process\n", outcomes[TR_OK], outcomes[TR_E_NOPROC]);
    for (unsigned i = 0; i < TARGETS; i++) {
        tr_exit_signal(tr_to(atomic_load(&targets[i])), TR_ATOM(KILL));
        tr_node_join(atomic_load(&targets[i]), NULL);
    }
    nothing_is_left();
    node_stop();
}

/* ---- more threads than stripes ---- */

static void *looks_up_once(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        (void)tr_registry_lookup(registry, tr_int(i % 8), NULL);
    }
    return NULL;
}

static void takes_and_gives_few(const void *arg)
{
    (void)arg;
    for (int i = 0; !atomic_load(&over); i++) {
        (void)!tr_registry_register(registry, tr_int(i % 8), tr_string("a value in memory"), NULL);
        tr_registry_unregister(registry, tr_int((i + 5) % 8));
        tr_yield();
    }
}

PLAIN_TEST(more_threads_than_stripes_may_look_up)
{
    enum { CROWD = 100 };
    pthread_t threads[CROWD];
    tr_pid pid;
    node_start();
    PLAIN_CHECK(tr_spawn(NULL, takes_and_gives_few, NULL, 0, &pid) == TR_OK);
    for (int i = 0; i < CROWD; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, looks_up_once, NULL) == 0);
    }
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&over, true);
    tr_node_join(pid, NULL);
    node_stop();
}
