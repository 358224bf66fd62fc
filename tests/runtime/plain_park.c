/* Sleeping cores: no wake-up is lost, wherever the work comes from, and a core that is kept busy loses its queue to others.
 * Wide limits: the backstop (500 ms) would hide a lost wake-up from a test that only waits, so these count rounds within a time
 * in which backstops alone could not have done them. */
#include <pthread.h>
#include <troupe/troupe.h>
#include <uv.h>

#include "tests/support/plain.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 600 };
#else
enum { ROUNDS = 3000 };
#endif
/* With every wake-up lost, rounds take 500 ms each; some losses are allowed for nothing. */
#define LIMIT_MS (ROUNDS * 40)

TR_MESSAGE(ping, {
    tr_pid from;
    int64_t n;
});

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool node_with(int workers)
{
    tr_node_opts opts = {.workers = workers};
    return PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
}

static _Atomic int64_t served;
static _Atomic int64_t slowest_ms;

static void server(const void *arg)
{
    (void)arg;
    for (;;) {
        const ping *one = TR_RECEIVE(ping, TR_INFINITY);
        if (one->n < 0) {
            break;
        }
        if (one->from != TR_NO_PID) {
            (void)TR_SEND(one->from, ping, tr_self(), one->n);
        }
        atomic_fetch_add(&served, 1);
    }
}

static void client(const void *arg)
{
    tr_pid to = *(const tr_pid *)arg;
    for (int64_t n = 0; n < ROUNDS; n++) {
        int64_t begin = now_ms();
        (void)TR_SEND(to, ping, tr_self(), n);
        const ping *back = TR_RECEIVE(ping, TR_INFINITY);
        PLAIN_CHECK(back->n == n);
        int64_t took = now_ms() - begin;
        if (took > atomic_load(&slowest_ms)) {
            atomic_store(&slowest_ms, took);
        }
        if (n % 16 == 0) {
            tr_sleep(1); /* let both cores fall asleep */
        }
    }
    (void)TR_SEND(to, ping, TR_NO_PID, -1);
}

PLAIN_TEST(two_bound_to_two_cores_always_wake_each_other)
{
    tr_pid a;
    tr_pid b;
    if (!node_with(2)) {
        return;
    }
    int64_t begin = now_ms();
    PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.core = 1}, server, NULL, 0, &a) == TR_OK);
    PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.core = 2}, client, &a, sizeof a, &b) == TR_OK);
    tr_node_join(b, NULL);
    PLAIN_CHECK(now_ms() - begin < LIMIT_MS);
    tr_node_stop();
}

static _Atomic int64_t posts_run;

static void count_post(void *ctx)
{
    PLAIN_CHECK(tr_node_core() == (int)(intptr_t)ctx);
    PLAIN_CHECK(tr_self() == TR_NO_PID);
    atomic_fetch_add(&posts_run, 1);
}

PLAIN_TEST(posts_and_sends_of_a_foreign_thread_are_acted_on_at_once)
{
    tr_pid pid;
    if (!node_with(2)) {
        return;
    }
    atomic_store(&posts_run, 0);
    atomic_store(&served, 0);
    PLAIN_CHECK(tr_spawn(NULL, server, NULL, 0, &pid) == TR_OK);
    int64_t begin = now_ms();
    for (int64_t n = 0; n < ROUNDS; n++) {
        tr_node_post((int)(n % 2), count_post, (void *)(intptr_t)(n % 2));
        (void)TR_SEND(pid, ping, TR_NO_PID, n);
        while (atomic_load(&posts_run) <= n || atomic_load(&served) <= n) {
            if (!PLAIN_CHECK(now_ms() - begin <= LIMIT_MS)) {
                tr_node_stop();
                return;
            }
            if (n % 8 == 0) {
                usleep(50);
            }
        }
    }
    tr_node_stop();
}

/* ---- a busy core ---- */

static _Atomic bool hog_may_end;
static _Atomic int ran;

static void quick(const void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void hog(const void *arg)
{
    int others = *(const int *)arg;
    for (int i = 0; i < others; i++) {
        PLAIN_CHECK(tr_spawn(NULL, quick, NULL, 0, NULL) == TR_OK);
    }
    int64_t begin = now_ms();
    while (!atomic_load(&hog_may_end) && now_ms() - begin < 20000) {
    }
}

PLAIN_TEST(what_waits_behind_a_busy_process_is_stolen)
{
    if (!node_with(2)) {
        return;
    }
    int slow = 0; /* longer than the backstop: nobody was called */
    for (int round = 0; round < 20; round++) {
        int others = 2 + round % 2; /* the newest stays in the slot of its core, which nobody steals from */
        int64_t begin = now_ms();
        tr_pid pid;
        atomic_store(&hog_may_end, false);
        atomic_store(&ran, 0);
        PLAIN_CHECK(tr_spawn(NULL, hog, &others, sizeof others, &pid) == TR_OK);
        while (atomic_load(&ran) < others - 1 && now_ms() - begin < 10000) {
        }
        PLAIN_CHECK(atomic_load(&ran) >= others - 1);
        slow += now_ms() - begin >= 400;
        atomic_store(&hog_may_end, true);
        tr_node_join(pid, NULL);
        usleep(2000); /* the cores fall asleep */
    }
    PLAIN_CHECK(slow < 5);
    tr_node_stop();
}

PLAIN_TEST(a_foreign_thread_reaches_an_idle_core_while_another_is_busy)
{
    if (!node_with(2)) {
        return;
    }
    int none = 0;
    tr_pid busy;
    atomic_store(&hog_may_end, false);
    PLAIN_CHECK(tr_spawn(NULL, hog, &none, sizeof none, &busy) == TR_OK);
    usleep(5000);
    int64_t begin = now_ms();
    for (int i = 0; i < 50; i++) {
        tr_pid pid;
        PLAIN_CHECK(tr_spawn(NULL, quick, NULL, 0, &pid) == TR_OK);
        tr_node_join(pid, NULL);
    }
    PLAIN_CHECK(now_ms() - begin < 10000);
    atomic_store(&hog_may_end, true);
    tr_node_join(busy, NULL);
    tr_node_stop();
}

static void rests_often(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 30; i++) {
        tr_sleep(1); /* the alarm is set for a millisecond: it may ring before the loop polls */
    }
}

PLAIN_TEST(short_sleeps_always_end)
{
    for (int round = 0; round < 5; round++) {
        if (!node_with(4)) {
            return;
        }
        tr_pid pids[8];
        for (int i = 0; i < 8; i++) {
            PLAIN_CHECK(tr_spawn(NULL, rests_often, NULL, 0, &pids[i]) == TR_OK);
        }
        for (int i = 0; i < 8; i++) {
            tr_node_join(pids[i], NULL);
        }
        tr_node_stop();
    }
}

/* ---- a program's own handles in the loop ---- */

static uv_timer_t late[2];
static _Atomic tr_pid to_wake;

static void late_rang(uv_timer_t *timer)
{
    (void)TR_SEND((tr_pid)atomic_load(&to_wake), ping, TR_NO_PID, 1);
    (void)timer;
}

static tr_err slow_timer_start(int core, struct uv_loop_s *loop, void *ctx)
{
    (void)ctx;
    uv_timer_init(loop, &late[core]);
    uv_timer_start(&late[core], late_rang, 2, 2);
    return TR_OK;
}

static void close_timer(int core, struct uv_loop_s *loop, void *ctx)
{
    (void)ctx;
    uv_close((uv_handle_t *)&late[core], NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}

PLAIN_TEST(what_a_program_s_own_timer_makes_runnable_runs_at_once)
{
    tr_node_opts opts = {.workers = 1, .hooks = {.start = slow_timer_start, .stop = close_timer}};
    tr_pid pid;
    atomic_store(&to_wake, TR_NO_PID);
    if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        return;
    }
    atomic_store(&served, 0);
    PLAIN_CHECK(tr_spawn(NULL, server, NULL, 0, &pid) == TR_OK);
    atomic_store(&to_wake, pid);
    int64_t begin = now_ms();
    while (atomic_load(&served) < 300 && now_ms() - begin < 30000) {
        usleep(500);
    }
    PLAIN_CHECK(atomic_load(&served) >= 300);
    tr_node_stop();
}
