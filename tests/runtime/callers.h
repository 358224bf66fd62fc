/* callers.h: processes that call others on real workers while those end and are killed at random moments; for plain tests of
 * behaviours. A test sets how one of the called is started: start_target.
 *
 * 1. Each call has one outcome, and an answer is the one that was asked for.
 * 2. When a run is over no process, no timer and no byte is left. */
#ifndef TESTS_RUNTIME_CALLERS_H
#define TESTS_RUNTIME_CALLERS_H

#include <troupe/troupe.h>

#include "tests/support/plain.h"

enum { WORKERS = 3, TARGETS = 8, CALLERS = 24, CALLS = 2000 / PLAIN_SLOWER };

TR_MESSAGE(ask, { uint64_t number; });
TR_MESSAGE(told, { uint64_t number; });

/** Starts one that answers ask by told, or does not. */
static tr_pid (*start_target)(uint64_t seed);

static _Atomic tr_pid targets[TARGETS];
static atomic_ulong outcomes[TR_ERR_COUNT];

static inline void node_start(void)
{
    tr_node_opts opts = {.workers = WORKERS};
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
}

static inline bool is_all_back(tr_node_stats *stats)
{
    tr_node_stats_get(stats);
    return stats->processes == 0 && stats->timers == 0 && stats->bytes_allocated == stats->bytes_freed;
}

/* All processes end, and all memory comes back. */
static inline void node_stop(void)
{
    tr_node_stats stats;
    for (int i = 0; !is_all_back(&stats) && i < 20000; i++) {
        usleep(1000);
    }
    PLAIN_CHECK(stats.processes == 0);
    PLAIN_CHECK(stats.timers == 0);
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    tr_node_stop();
}

/** Runs fn in a process of a fresh node, and waits until all that it made has ended. */
static inline void run(tr_main_fn fn)
{
    tr_pid pid;
    node_start();
    PLAIN_CHECK(tr_spawn(NULL, fn, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    node_stop();
}

static inline uint64_t random_of(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline void start_all_targets(uint64_t *seed)
{
    for (unsigned i = 0; i < TARGETS; i++) {
        atomic_store(&targets[i], start_target(random_of(seed)));
    }
}

static inline void replace_ended(uint64_t *seed)
{
    for (unsigned i = 0; i < TARGETS; i++) {
        if (!tr_is_alive(atomic_load(&targets[i]))) {
            atomic_store(&targets[i], start_target(random_of(seed)));
        }
    }
}

static inline void kill_all_targets(void)
{
    for (unsigned i = 0; i < TARGETS; i++) {
        tr_exit_signal(tr_to(atomic_load(&targets[i])), TR_ATOM(KILL));
    }
}

static inline void calls(const void *arg)
{
    uint64_t seed = *(const uint64_t *)arg;
    for (uint64_t i = 0; i < CALLS; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_pid pid = atomic_load(&targets[random_of(&seed) % TARGETS]);
        told answer = {0};
        uint64_t number = random_of(&seed);
        tr_err err = TR_CALL(pid, (int64_t)(random_of(&seed) % 20), told, &answer, ask, .number = number);
        PLAIN_CHECK(err == TR_OK || err == TR_E_NOPROC || err == TR_E_EXIT || err == TR_E_TIMEOUT);
        PLAIN_CHECK(err != TR_OK || answer.number == number);
        atomic_fetch_add(&outcomes[err], 1);
        tr_scratch_release(mark);
        if (err == TR_E_NOPROC) {
            tr_sleep(1); /* a new one is on its way */
        }
    }
    tr_sleep(30); /* long enough for a late answer, were there any */
    PLAIN_CHECK(tr_receive(NULL, NULL, 0) == NULL);
}

/* Kills targets, some while they are at work, and puts new ones in the place of all that ended, until the callers are done. */
static inline void kills_until_callers_end(const void *arg)
{
    uint64_t seed = 88172645463325252u;
    tr_ref ends[CALLERS];
    (void)arg;
    start_all_targets(&seed);
    for (unsigned i = 0; i < CALLERS; i++) {
        tr_pid pid;
        uint64_t own_seed = random_of(&seed);
        tr_spawn_opts opts = {.monitor = &ends[i]};
        PLAIN_CHECK(tr_spawn(&opts, calls, &own_seed, sizeof own_seed, &pid) == TR_OK);
    }
    for (unsigned waiting = 0; waiting < CALLERS;) {
        tr_exit_signal(tr_to(atomic_load(&targets[random_of(&seed) % TARGETS])), TR_ATOM(KILL));
        replace_ended(&seed);
        tr_msg *msg = tr_receive_ref(ends[waiting], 1);
        waiting += msg != NULL;
        tr_msg_drop(msg);
    }
    kill_all_targets();
}

/** The test that both have: callers, kills, and one outcome for each call. */
static inline void every_call_has_one_outcome(void)
{
    unsigned long total = 0;
    for (int i = 0; i < TR_ERR_COUNT; i++) {
        atomic_store(&outcomes[i], 0);
    }
    run(kills_until_callers_end);
    for (int i = 0; i < TR_ERR_COUNT; i++) {
        total += atomic_load(&outcomes[i]);
    }
    printf("  ok %lu, noproc %lu, exit %lu, timeout %lu\n", atomic_load(&outcomes[TR_OK]),
           atomic_load(&outcomes[TR_E_NOPROC]), atomic_load(&outcomes[TR_E_EXIT]),
           atomic_load(&outcomes[TR_E_TIMEOUT]));
    PLAIN_CHECK(total == (unsigned long)CALLERS * CALLS);
    PLAIN_CHECK(atomic_load(&outcomes[TR_OK]) > total / 4);
}

#endif
