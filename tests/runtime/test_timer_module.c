/* OTP's module timer: apply, kill, intervals of functions, tc; and timer_SUITE's do_big_test. */
#include <stdlib.h>

#include "tests/runtime/stage.h"

TR_MESSAGE(tick, { int number; });

static void say_it(const void *arg)
{
    say("applied %d", *(const int *)arg);
}

static void says_slowly(const void *arg)
{
    say_it(arg);
    tr_sleep(1000);
    say("done %d", *(const int *)arg);
}

static void wait_for_ever(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

static int64_t timers(void)
{
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    return (int64_t)stats.timers;
}

SCENE(timer_module, kill_after_cannot_be_trapped)
{
    tr_pid pid;
    tr_ref monitor;
    tr_spawn_opts opts = {.monitor = &monitor, .trap_exit = true};
    EXPECT(tr_spawn(&opts, wait_for_ever, NULL, 0, &pid) == TR_OK);
    (void)tr_kill_after(10, tr_to(pid));
    EXPECT(tr_receive_ref(monitor, 9) == NULL);
    TERM_IS(TR_MATCH(tr_receive_ref(monitor, 1), tr_down_msg)->reason, "killed");
}

SCENE(timer_module, apply_interval_runs_without_drift_until_it_is_cancelled)
{
    tr_ref interval = tr_apply_interval(10, say_it, &(int){7}, sizeof(int));
    tr_sleep(9);
    SAID();
    tr_sleep(1);
    SAID("applied 7");
    tr_sleep(25);
    SAID("applied 7", "applied 7");
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    tr_sleep(100);
    SAID();
    EXPECT(timers() == 0);
}

/* apply_repeatedly, which would wait, came with OTP 27. */
SCENE(timer_module, apply_interval_does_not_wait_for_the_last_one)
{
    tr_ref interval = tr_apply_interval(400, says_slowly, &(int){1}, sizeof(int));
    tr_sleep(900);
    SAID("applied 1", "applied 1");
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    tr_sleep(2000);
    SAID("done 1", "done 1");
}

static void sets_an_interval(const void *arg)
{
    (void)arg;
    (void)tr_apply_interval(10, say_it, &(int){3}, sizeof(int));
    tr_sleep(25);
}

SCENE(timer_module, apply_interval_ends_with_who_set_it)
{
    EXPECT(tr_spawn(NULL, sets_an_interval, NULL, 0, NULL) == TR_OK);
    tr_sleep(100);
    SAID("applied 3", "applied 3");
    EXPECT(timers() == 0);
}

SCENE(timer_module, a_negative_time_is_a_bad_argument)
{
    EXPECT(tr_send_interval(-1, tr_to(tr_self()), TR_MSG(tick, 1)).id == 0);
    EXPECT(tr_exit_after(-1, tr_to(tr_self()), tr_string("reason")).id == 0);
    EXPECT(tr_kill_after(-1, tr_to(tr_self())).id == 0);
    EXPECT(tr_apply_after(-1, say_it, &(int){1}, sizeof(int)).id == 0);
    EXPECT(tr_apply_interval(-1, say_it, &(int){1}, sizeof(int)).id == 0);
    EXPECT(timers() == 0);
    EXPECT(tr_cancel_interval(TR_NO_REF) == TR_OK);
    EXPECT(tr_cancel_interval((tr_ref){tr_self(), 12345}) == TR_OK);
}

static void sleeps_30_ms(const void *arg)
{
    say("%s", (const char *)arg);
    tr_sleep(30);
}

SCENE(timer_module, tc_tells_how_long_a_function_took)
{
    EXPECT(tr_tc(sleeps_30_ms, "run") == 30000);
    SAID("run");
}

/* ---- timer_SUITE: do_big_test ---- */

/* Many processes that set all kinds of timers at random and check each by the clock; nothing may be left over. */
enum { WORKERS = 60, ROUNDS = 12, MS_MAX = 3000 };

static unsigned random_ms(unsigned *seed)
{
    return (unsigned)rand_r(seed) % MS_MAX;
}

static int64_t ticked_at; /* of the apply that runs now */
static void notes_time(const void *arg)
{
    ticked_at = tr_now_ms();
    TR_SEND(*(const tr_pid *)arg, tick, .number = 1);
}

static void sends_after(unsigned *seed)
{
    unsigned ms = random_ms(seed);
    int64_t due = tr_now_ms() + ms;
    (void)TR_SEND_AFTER(ms, tr_self(), tick, .number = (int)ms);
    const tick *got = TR_RECEIVE(tick, TR_INFINITY);
    EXPECT(got->number == (int)ms && tr_now_ms() == due);
}

static void cancels(unsigned *seed)
{
    unsigned ms = 2 + random_ms(seed);
    unsigned early = (unsigned)rand_r(seed) % ms;
    tr_ref timer = TR_SEND_AFTER(ms, tr_self(), tick, .number = 0);
    tr_sleep((int64_t)early);
    EXPECT(tr_cancel_timer(timer) == (int64_t)(ms - early));
    EXPECT(TR_RECEIVE(tick, 2 * MS_MAX) == NULL);
}

static void applies_after(unsigned *seed)
{
    tr_pid self = tr_self();
    unsigned ms = random_ms(seed);
    int64_t due = tr_now_ms() + ms;
    (void)tr_apply_after(ms, notes_time, &self, sizeof self);
    (void)TR_RECEIVE(tick, TR_INFINITY);
    EXPECT(tr_now_ms() == due && ticked_at == due);
}

static void has_intervals(unsigned *seed, bool of_functions)
{
    tr_pid self = tr_self();
    unsigned ms = 1 + random_ms(seed);
    int64_t begin = tr_now_ms();
    int count = 1 + rand_r(seed) % 5;
    tr_ref interval = of_functions ? tr_apply_interval(ms, notes_time, &self, sizeof self)
                                   : tr_send_interval(ms, tr_to(self), TR_MSG(tick, 1));
    for (int i = 1; i <= count; i++) {
        (void)TR_RECEIVE(tick, TR_INFINITY);
        EXPECT(tr_now_ms() == begin + i * (int64_t)ms);
    }
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(TR_RECEIVE(tick, 2 * MS_MAX) == NULL);
}

static void exits_another(unsigned *seed)
{
    tr_pid pid;
    tr_ref monitor;
    unsigned ms = random_ms(seed);
    bool killed = rand_r(seed) % 2 == 0;
    int64_t due = tr_now_ms() + ms;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, wait_for_ever, NULL, 0, &pid) == TR_OK);
    (void)(killed ? tr_kill_after(ms, tr_to(pid)) : tr_exit_after(ms, tr_to(pid), tr_atom("late")));
    const tr_msg *down = tr_receive_ref(monitor, TR_INFINITY);
    EXPECT(tr_now_ms() == due);
    TERM_IS(TR_MATCH(down, tr_down_msg)->reason, killed ? "killed" : "late");
}

static void works(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (int round = 0; round < ROUNDS; round++) {
        tr_scratch_mark mark = tr_scratch();
        switch (rand_r(&seed) % 6) {
        case 0:
            sends_after(&seed);
            break;
        case 1:
            cancels(&seed);
            break;
        case 2:
            applies_after(&seed);
            break;
        case 3:
            has_intervals(&seed, false);
            break;
        case 4:
            has_intervals(&seed, true);
            break;
        default:
            exits_another(&seed);
            break;
        }
        tr_scratch_release(mark);
    }
}

SCENE(timer_module, do_big_test)
{
    static tr_ref ends[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        unsigned seed = 1000 + i;
        EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ends[i]}, works, &seed, sizeof seed, NULL) == TR_OK);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        tr_msg *down = tr_receive_ref(ends[i], TR_INFINITY);
        TERM_IS(TR_MATCH(down, tr_down_msg)->reason, "normal");
        tr_msg_drop(down);
    }
    EXPECT(timers() == 0);
}
