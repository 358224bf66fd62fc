/* Pools on real workers: holders, those who wait, and lent workers are killed at random. No worker is lent to two at once,
 * none is lost, and when everything came back the pool is as it was. */
#include "tests/runtime/storm.h"

enum { SIZE = 4, OVERFLOW_MAX = 3, CUSTOMERS = 24, VISITS = 400 / PLAIN_SLOWER, VICTIMS = 32 };

TR_MESSAGE(take, { tr_pid holder; });
TR_MESSAGE(taken, { tr_pid before; });
TR_MESSAGE_EMPTY(leave);

typedef struct clerk {
    tr_pid holder; /* who says that he has it */
} clerk;

static tr_pid pool_pid;
static _Atomic tr_pid victims[VICTIMS];
static atomic_uint customers_left, served, shooting;

static tr_next clerk_handle_call(clerk *self, tr_from from, const tr_msg *msg)
{
    const tr_pid before = self->holder;
    const take *by = TR_MATCH(msg, take);
    self->holder = by != NULL ? by->holder : TR_NO_PID;
    return TR_REPLY(from, taken, .before = before);
}

TR_GEN_SERVER(clerk, .handle_call = clerk_handle_call);

/* ---- customers ---- */

/* Nobody else has it; a holder that was killed could not say that he left. */
static void work_with(tr_pid worker, void *ctx)
{
    uint32_t *seed = ctx;
    taken out = {TR_NO_PID};
    if (TR_CALL(worker, TR_INFINITY, taken, &out, take, .holder = tr_self()) != TR_OK) {
        return; /* it was killed */
    }
    PLAIN_CHECK(out.before == TR_NO_PID || !tr_is_alive(out.before));
    atomic_store(&victims[dice(seed, VICTIMS)], dice(seed, 2) == 0 ? worker : tr_self());
    for (uint32_t i = dice(seed, 4); i > 0; i--) {
        tr_yield();
    }
    if (dice(seed, 16) == 0) {
        tr_exit(tr_atom("left_in_the_middle"));
    }
    if (TR_CALL(worker, TR_INFINITY, taken, &out, leave) == TR_OK) {
        PLAIN_CHECK(out.before == tr_self());
        atomic_fetch_add(&served, 1U);
    }
}

static void visit(uint32_t *seed)
{
    tr_pid worker;
    int64_t patience_ms = dice(seed, 3) == 0 ? dice(seed, 3) : TR_INFINITY;
    if (dice(seed, 2) == 0) {
        (void)!tr_pool_transaction(tr_to(pool_pid), work_with, seed, patience_ms);
    } else if (tr_pool_checkout(tr_to(pool_pid), dice(seed, 4) != 0, patience_ms, &worker) == TR_OK) {
        work_with(worker, seed);
        tr_pool_checkin(tr_to(pool_pid), worker);
    }
}

static void customer(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    atomic_store(&victims[dice(&seed, VICTIMS)], tr_self()); /* it may be shot while it waits */
    for (int i = 0; i < 10; i++) {
        visit(&seed);
    }
}

/* Sends one customer after the other; they may be killed, this one is not. */
static void crowd(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    for (int i = 0; i < VISITS / 10; i++) {
        tr_pid pid;
        tr_ref end;
        PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.monitor = &end}, customer, &seed, sizeof seed, &pid) == TR_OK);
        tr_msg_drop(tr_receive_ref(end, TR_INFINITY));
        (void)dice(&seed, 2);
    }
    atomic_fetch_sub(&customers_left, 1U);
}

static void shooter(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    while (atomic_load(&shooting) != 0) {
        tr_scratch_mark mark = tr_scratch();
        tr_pid victim = atomic_exchange(&victims[dice(&seed, VICTIMS)], TR_NO_PID);
        if (victim != TR_NO_PID) {
            tr_exit_signal(tr_to(victim), dice(&seed, 2) == 0 ? TR_ATOM(KILL) : tr_atom("shot"));
        }
        tr_scratch_release(mark);
        tr_sleep(dice(&seed, 2));
    }
}

static void open_for_business(void)
{
    atomic_store(&customers_left, CUSTOMERS);
    atomic_store(&served, 0U);
    atomic_store(&shooting, 1U);
    for (uint32_t i = 0; i < CUSTOMERS + 2; i++) {
        uint32_t seed = dice_of(i);
        tr_pid pid;
        PLAIN_CHECK(tr_spawn(NULL, i < CUSTOMERS ? crowd : shooter, &seed, sizeof seed, &pid) == TR_OK);
    }
}

static bool all_gone(void *ctx)
{
    (void)ctx;
    return atomic_load(&customers_left) == 0;
}

/* ---- the storm ---- */

static bool is_whole(void *ctx)
{
    tr_pool_status *s = ctx;
    return tr_pool_status_of(tr_to(pool_pid), TR_INFINITY, s) == TR_OK && s->available == SIZE &&
           s->overflow == 0 && s->checked_out == 0 && s->waiting == 0;
}

static void nothing_is_lost(tr_pool_strategy strategy)
{
    tr_pool_opts opts = {
        .worker = {.server = clerk_server}, .size = SIZE, .max_overflow = OVERFLOW_MAX, .strategy = strategy};
    tr_started started;
    tr_pool_status s = {0};
    PLAIN_CHECK(tr_pool_start_link(&opts, NULL, &started) == TR_OK);
    pool_pid = started.pid;
    open_for_business();
    while (!all_gone(NULL)) {
        PLAIN_CHECK(tr_pool_status_of(tr_to(pool_pid), TR_INFINITY, &s) == TR_OK);
        PLAIN_CHECK(s.available + s.checked_out >= SIZE && s.available + s.checked_out <= SIZE + s.overflow);
        PLAIN_CHECK(s.overflow <= OVERFLOW_MAX && (s.available == 0 || (s.waiting == 0 && s.overflow == 0)));
        tr_sleep(1);
    }
    atomic_store(&shooting, 0U);
    PLAIN_CHECK(eventually(is_whole, &s));
    PLAIN_CHECK(atomic_load(&served) > 0);
    tr_pid workers[SIZE];
    for (int i = 0; i < SIZE; i++) {
        PLAIN_CHECK(tr_pool_checkout(tr_to(pool_pid), false, TR_INFINITY, &workers[i]) == TR_OK);
        for (int other = 0; other < i; other++) {
            PLAIN_CHECK(workers[i] != workers[other]);
        }
    }
    PLAIN_CHECK(tr_pool_stop(tr_to(pool_pid), TR_INFINITY) == TR_OK);
}

static void lifo_storm(const void *arg)
{
    (void)arg;
    nothing_is_lost(TR_POOL_LIFO);
}

static void fifo_storm(const void *arg)
{
    (void)arg;
    nothing_is_lost(TR_POOL_FIFO);
}

PLAIN_TEST(no_worker_is_lent_twice_and_none_is_lost)
{
    storm(lifo_storm);
    storm(fifo_storm);
}

/* ---- pools that are killed ---- */

static void pools_are_killed(const void *arg)
{
    (void)arg;
    uint32_t seed = dice_of(99);
    for (int round = 0; round < 40 / (int)PLAIN_SLOWER; round++) {
        tr_pool_opts opts = {.worker = {.server = clerk_server}, .size = SIZE, .max_overflow = OVERFLOW_MAX};
        tr_started started;
        PLAIN_CHECK(tr_pool_start_link(&opts, NULL, &started) == TR_OK);
        pool_pid = started.pid;
        atomic_store(&customers_left, 4U);
        for (uint32_t i = 0; i < 4; i++) {
            tr_pid pid;
            uint32_t start = dice_of(dice(&seed, 1000));
            PLAIN_CHECK(tr_spawn(NULL, crowd, &start, sizeof start, &pid) == TR_OK);
        }
        tr_sleep(dice(&seed, 4));
        tr_exit_signal(tr_to(pool_pid), TR_ATOM(KILL));
        PLAIN_CHECK(eventually(all_gone, NULL)); /* who waits hears of it */
    }
}

PLAIN_TEST(pools_killed_at_any_moment_leave_nobody_waiting_and_no_byte)
{
    storm(pools_are_killed);
}

/* ---- starters that are killed ---- */

static void starter(const void *arg)
{
    unsigned char bytes[512] = {0};
    (void)arg;
    tr_pool_opts opts = {.worker = {.server = clerk_server, .arg = bytes, .arg_bytes = sizeof bytes},
                         .size = 8};
    tr_started started;
    (void)!tr_pool_start_link(&opts, NULL, &started);
    tr_sleep(TR_INFINITY);
}

static void starters_are_killed(const void *arg)
{
    (void)arg;
    for (int round = 0; round < 200 / (int)PLAIN_SLOWER; round++) {
        tr_pid pid;
        PLAIN_CHECK(tr_spawn(NULL, starter, NULL, 0, &pid) == TR_OK);
        for (int i = 0; i < round % 16; i++) {
            tr_yield();
        }
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    }
}

PLAIN_TEST(pools_whose_starter_is_killed_go_away)
{
    storm(starters_are_killed);
}
