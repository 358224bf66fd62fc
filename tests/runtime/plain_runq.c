/* The run queue under stealing: what was pushed is taken exactly once, whoever takes it. */
#include <pthread.h>
#include <stdint.h>
#include <troupe/troupe.h>

#include "runtime/core/runq.h"
#include "tests/support/plain.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ITEMS = 60000 };
#else
enum { ITEMS = 2000000 };
#endif
enum { THIEVES = 3 };

static struct {
    tr__runq owner;
    tr__runq own[THIEVES];
    _Atomic uint8_t taken[ITEMS + 1];
    _Atomic bool over;
} at;

/* The queue never looks into a process: a number will do. */
static struct tr__proc *item(uintptr_t number)
{
    return (struct tr__proc *)number; /* NOLINT(performance-no-int-to-ptr) */
}

static void take(const struct tr__proc *proc)
{
    uintptr_t number = (uintptr_t)proc;
    if (PLAIN_CHECK(number >= 1 && number <= ITEMS)) {
        PLAIN_CHECK(atomic_fetch_add(&at.taken[number], 1) == 0);
    }
}

static void *thief(void *arg)
{
    tr__runq *mine = arg;
    for (bool last = false; !last;) {
        last = atomic_load(&at.over);
        struct tr__proc *proc;
        while ((proc = tr__runq_steal(mine, &at.owner)) != NULL) {
            take(proc);
            /* Another thief steals from us meanwhile; half of the time we leave some lying about. */
            while (((uintptr_t)proc & 1u) == 0 && (proc = tr__runq_pop(mine)) != NULL) {
                take(proc);
            }
        }
        tr__runq *neighbour = mine + 1 == at.own + THIEVES ? at.own : mine + 1;
        while ((proc = tr__runq_steal(mine, neighbour)) != NULL) {
            take(proc);
        }
    }
    for (struct tr__proc *proc; (proc = tr__runq_pop(mine)) != NULL;) {
        take(proc);
    }
    return NULL;
}

PLAIN_TEST(everything_pushed_is_taken_exactly_once)
{
    pthread_t threads[THIEVES];
    memset(&at, 0, sizeof at);
    for (int i = 0; i < THIEVES; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, thief, &at.own[i]) == 0);
    }
    unsigned seed = 1;
    for (uintptr_t number = 1; number <= ITEMS;) {
        /* bursts that fill it, and pops that empty it */
        for (unsigned burst = (unsigned)rand_r(&seed) % 300; burst > 0 && number <= ITEMS; burst--) {
            if (!tr__runq_push(&at.owner, item(number))) {
                break;
            }
            number++;
        }
        for (unsigned pops = (unsigned)rand_r(&seed) % 200; pops > 0; pops--) {
            struct tr__proc *proc = tr__runq_pop(&at.owner);
            if (proc == NULL) {
                break;
            }
            take(proc);
        }
    }
    for (struct tr__proc *proc; (proc = tr__runq_pop(&at.owner)) != NULL;) {
        take(proc);
    }
    atomic_store(&at.over, true);
    for (int i = 0; i < THIEVES; i++) {
        pthread_join(threads[i], NULL);
    }
    uintptr_t missing = 0;
    for (uintptr_t number = 1; number <= ITEMS; number++) {
        missing += atomic_load(&at.taken[number]) != 1;
    }
    PLAIN_CHECK(missing == 0);
    PLAIN_CHECK(tr__runq_count(&at.owner) == 0);
}

/* ---- through a whole core: pinned processes and the ring are one queue ---- */

static _Atomic int finished;

static void finish(const void *arg)
{
    (void)arg;
    atomic_fetch_add(&finished, 1);
}

static void spawn_and_yield(const void *arg)
{
    (void)arg;
    for (int round = 0; round < 50; round++) {
        int before = atomic_load(&finished);
        for (int i = 0; i < 100; i++) {
            PLAIN_CHECK(tr_spawn(NULL, finish, NULL, 0, NULL) == TR_OK);
        }
        tr_yield(); /* comes back after the queue went round */
        PLAIN_CHECK(atomic_load(&finished) - before == 100);
    }
}

static void sleepy(const void *arg)
{
    for (int i = 0; i < 20; i++) {
        tr_sleep(1);
    }
    atomic_fetch_add((_Atomic int *)*(void *const *)arg, 1);
}

static void never_rests(const void *arg)
{
    _Atomic int *awake = *(void *const *)arg;
    while (atomic_load(awake) < 4) {
        tr_yield();
    }
}

PLAIN_TEST(yielding_lets_all_the_others_run_first)
{
    tr_node_opts opts = {.workers = 1};
    tr_pid pid;
    if (PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        PLAIN_CHECK(tr_spawn(NULL, spawn_and_yield, NULL, 0, &pid) == TR_OK);
        tr_node_join(pid, NULL);
        tr_node_stop();
    }
}

PLAIN_TEST(busy_processes_do_not_starve_those_that_wake_on_their_core)
{
    tr_node_opts opts = {.workers = 2};
    static _Atomic int awake;
    void *shared = &awake;
    if (PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        tr_pid pids[24];
        for (int i = 0; i < 24; i++) {
            PLAIN_CHECK(tr_spawn(NULL, i < 20 ? never_rests : sleepy, &shared, sizeof shared, &pids[i]) ==
                        TR_OK);
        }
        for (int i = 0; i < 24; i++) {
            tr_node_join(pids[i], NULL);
        }
        tr_node_stop();
    }
}
