/* Timers set and cancelled from several cores: never early, exactly once, and a cancel that says "left" means it never comes. */
#include <troupe/troupe.h>

#include "tests/support/plain.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { SETTERS = 6, TIMERS = 150 };
#else
enum { SETTERS = 8, TIMERS = 600 };
#endif

TR_MESSAGE(tick, {
    int64_t index;
    uint64_t due_ns;
});
TR_MESSAGE(give, { tr_ref timer; });

static void sink(const void *arg)
{
    uint8_t *seen = tr_alloc(TIMERS);
    (void)arg;
    tr_pid parent = tr_parent();
    int count = 0;
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, 300);
        const tick *one = TR_MATCH(msg, tick);
        if (one == NULL) {
            break;
        }
        PLAIN_CHECK(tr_now_ns() >= one->due_ns);
        PLAIN_CHECK(seen[one->index] == 0);
        seen[one->index] = 1;
        count++;
        tr_msg_drop(msg);
    }
    (void)TR_SEND(parent, tick, count, 0);
}

/* Cancels what its parent gives it, from whatever core it runs on. */
static void canceller(const void *arg)
{
    (void)arg;
    int64_t cancelled = 0;
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const give *one = TR_MATCH(msg, give);
        if (one == NULL || one->timer.id == 0) {
            break;
        }
        cancelled += tr_cancel_timer(one->timer) >= 0;
        tr_msg_drop(msg);
    }
    (void)TR_SEND(tr_parent(), tick, cancelled, 1);
}

static void setter(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    tr_pid to;
    tr_pid other;
    PLAIN_CHECK(tr_spawn(NULL, sink, NULL, 0, &to) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, canceller, NULL, 0, &other) == TR_OK);
    int64_t cancelled = 0;
    for (int i = 0; i < TIMERS; i++) {
        int64_t ms = (int64_t)(rand_r(&seed) % 20);
        tr_ref timer = TR_SEND_AFTER(ms, to, tick, i, tr_now_ns() + (uint64_t)ms * 1000000u);
        int64_t left = tr_read_timer(timer);
        PLAIN_CHECK(left <= ms);
        switch (rand_r(&seed) % 4) {
        case 0:
            (void)TR_SEND(other, give, timer);
            break;
        case 1:
            cancelled += tr_cancel_timer(timer) >= 0;
            break;
        case 2:
            tr_yield();
            break;
        default:
            break;
        }
    }
    (void)TR_SEND(other, give, TR_NO_REF);
    int64_t fired = 0;
    for (int i = 0; i < 2; i++) {
        const tick *told = TR_RECEIVE(tick, TR_INFINITY);
        if (told->due_ns == 1) {
            cancelled += told->index;
        } else {
            fired = told->index;
        }
    }
    PLAIN_CHECK(fired + cancelled == TIMERS);
}

PLAIN_TEST(each_timer_fires_once_or_is_cancelled_and_is_never_early)
{
    for (int workers = 1; workers <= 3; workers++) {
        tr_node_opts opts = {.workers = workers};
        if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
            return;
        }
        tr_pid pids[SETTERS];
        for (unsigned i = 0; i < SETTERS; i++) {
            PLAIN_CHECK(tr_spawn(NULL, setter, &i, sizeof i, &pids[i]) == TR_OK);
        }
        for (int i = 0; i < SETTERS; i++) {
            tr_node_join(pids[i], NULL);
        }
        tr_node_stats stats;
        tr_node_stats_get(&stats);
        PLAIN_CHECK(stats.timers == 0);
        tr_node_stop();
        tr_node_stats_get(&stats);
        PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    }
}

static void sleeper(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (int i = 0; i < 20; i++) {
        int64_t ms = (int64_t)(rand_r(&seed) % 5);
        uint64_t begin = tr_now_ns();
        if (rand_r(&seed) % 2 == 0) {
            tr_sleep(ms);
        } else {
            PLAIN_CHECK(TR_RECEIVE(give, ms) == NULL);
        }
        PLAIN_CHECK(tr_now_ns() - begin >= (uint64_t)ms * 1000000u);
    }
}

PLAIN_TEST(nobody_wakes_early)
{
    tr_node_opts opts = {.workers = 2};
    if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        return;
    }
    tr_pid pids[100];
    for (unsigned i = 0; i < 100; i++) {
        PLAIN_CHECK(tr_spawn(NULL, sleeper, &i, sizeof i, &pids[i]) == TR_OK);
    }
    for (int i = 0; i < 100; i++) {
        (void)tr_send_term(tr_to(pids[i]), tr_atom("noise"));
        tr_node_join(pids[i], NULL);
    }
    tr_node_stop();
}

static void set_many(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        (void)TR_SEND_AFTER(i % 2 == 0 ? 3600000 : 20, tr_self(), tick, i, 0);
    }
    (void)tr_send_interval(1, tr_to(tr_self()), TR_MSG(tick, 1, 0));
    tr_sleep(TR_INFINITY);
}

PLAIN_TEST(a_node_stops_with_timers_pending_and_processes_parked)
{
    for (int i = 0; i < 10; i++) {
        tr_node_opts opts = {.workers = 2};
        if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
            return;
        }
        for (int n = 0; n < 20; n++) {
            PLAIN_CHECK(tr_spawn(NULL, set_many, NULL, 0, NULL) == TR_OK);
        }
        usleep((useconds_t)(i * 1000));
        tr_node_stop();
        tr_node_stats stats;
        tr_node_stats_get(&stats);
        PLAIN_CHECK(stats.processes == 0);
        PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    }
}
