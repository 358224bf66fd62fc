/* timer_simple_SUITE, each case by its name, in virtual time: what takes it seconds takes none here. Ours has no server
 * of timers that a stray message could crash. */
#include "tests/runtime/stage.h"

TR_MESSAGE(tick, { int number; });

static void tells_its_starter(const void *arg)
{
    TR_SEND(*(const tr_pid *)arg, tick, .number = 1);
}

static void tells_slowly(const void *arg)
{
    tells_its_starter(arg);
    tr_sleep(1000);
}

static void waits_for_ever(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

/* A tick comes after exactly so many milliseconds. */
static bool ticks_after(int64_t ms)
{
    int64_t due = tr_now_ms() + ms;
    return TR_RECEIVE(tick, 10000) != NULL && tr_now_ms() == due;
}

static bool no_tick_for(int64_t ms)
{
    return TR_RECEIVE(tick, ms) == NULL;
}

static tr_pid a_waiter(void)
{
    tr_pid pid = TR_NO_PID;
    EXPECT(tr_spawn(&(tr_spawn_opts){.link = true}, waits_for_ever, NULL, 0, &pid) == TR_OK);
    return pid;
}

/* The linked process of that number ends after exactly so many milliseconds, for that reason. */
static void ends_after(int64_t ms, tr_pid pid, const char *reason)
{
    int64_t due = tr_now_ms() + ms;
    const tr_exit_msg *exit = TR_RECEIVE(tr_exit_msg, 10000);
    EXPECT(exit != NULL && exit->from == pid && tr_now_ms() == due);
    TERM_IS(exit != NULL ? exit->reason : TR_TERM_NONE_VALUE, reason);
}

/* ---- apply_after ---- */

SCENE(timer_simple, apply_after1)
{
    tr_pid self = tr_self();
    (void)tr_apply_after(0, tells_its_starter, &self, sizeof self);
    EXPECT(ticks_after(0));
}

SCENE(timer_simple, apply_after2)
{
    tr_pid self = tr_self();
    (void)tr_apply_after(500, tells_its_starter, &self, sizeof self);
    EXPECT(ticks_after(500));
}

/* ---- send_after ---- */

SCENE(timer_simple, send_after1)
{
    (void)TR_SEND_AFTER(0, tr_self(), tick, .number = 1);
    EXPECT(ticks_after(0));
}

SCENE(timer_simple, send_after2)
{
    EXPECT(tr_register(tr_atom("name"), tr_self()) == TR_OK);
    (void)TR_SEND_AFTER(0, tr_atom("name"), tick, .number = 1);
    EXPECT(ticks_after(0));
}

SCENE(timer_simple, send_after4)
{
    (void)TR_SEND_AFTER(500, tr_self(), tick, .number = 1);
    EXPECT(ticks_after(500));
}

/* The name is registered after the timer was set. */
SCENE(timer_simple, send_after7)
{
    (void)TR_SEND_AFTER(500, tr_atom("name"), tick, .number = 1);
    EXPECT(tr_register(tr_atom("name"), tr_self()) == TR_OK);
    EXPECT(ticks_after(500));
}

/* ---- exit_after, kill_after ---- */

SCENE(timer_simple, exit_after1)
{
    tr_trap_exit(true);
    tr_pid pid = a_waiter();
    (void)tr_exit_after(1000, tr_to(pid), tr_atom("late"));
    ends_after(1000, pid, "late");
}

static void exits_itself_after(const void *arg)
{
    (void)tr_exit_after(1000, tr_to(tr_self()), tr_atom("late"));
    waits_for_ever(arg);
}

SCENE(timer_simple, exit_after3)
{
    tr_pid pid;
    tr_trap_exit(true);
    EXPECT(tr_spawn(&(tr_spawn_opts){.link = true}, exits_itself_after, NULL, 0, &pid) == TR_OK);
    ends_after(1000, pid, "late");
}

/* To nobody; timers go on. */
SCENE(timer_simple, exit_after4)
{
    (void)tr_exit_after(0, tr_to_name(tr_atom("nobody")), tr_atom("late"));
    (void)TR_SEND_AFTER(1000, tr_self(), tick, .number = 1);
    EXPECT(ticks_after(1000));
}

SCENE(timer_simple, kill_after1)
{
    tr_trap_exit(true);
    tr_pid pid = a_waiter();
    (void)tr_kill_after(1000, tr_to(pid));
    ends_after(1000, pid, "killed");
}

static void kills_itself_after(const void *arg)
{
    (void)tr_kill_after(1000, tr_to(tr_self()));
    waits_for_ever(arg);
}

SCENE(timer_simple, kill_after3)
{
    tr_pid pid;
    tr_trap_exit(true);
    EXPECT(tr_spawn(&(tr_spawn_opts){.link = true}, kills_itself_after, NULL, 0, &pid) == TR_OK);
    ends_after(1000, pid, "killed");
}

/* ---- intervals ---- */

SCENE(timer_simple, apply_interval1)
{
    tr_pid self = tr_self();
    tr_ref interval = tr_apply_interval(1000, tells_its_starter, &self, sizeof self);
    for (int i = 0; i < 3; i++) {
        EXPECT(ticks_after(1000));
    }
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(3000));
}

/* What it runs takes longer than the interval: the next one does not wait for it. */
SCENE(timer_simple, apply_interval2)
{
    tr_pid self = tr_self();
    tr_ref interval = tr_apply_interval(500, tells_slowly, &self, sizeof self);
    tr_sleep(1800);
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    for (int i = 0; i < 3; i++) {
        EXPECT(ticks_after(0));
    }
    EXPECT(no_tick_for(3000));
}

/* ---- apply_repeatedly ---- */

/* As an interval, when what it runs is shorter. */
SCENE(timer_simple, apply_repeatedly1)
{
    tr_pid self = tr_self();
    tr_ref interval = tr_apply_repeatedly(1000, tells_its_starter, &self, sizeof self);
    for (int i = 0; i < 3; i++) {
        EXPECT(ticks_after(1000));
    }
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(3000));
}

/* What it runs takes longer than the period: the next one waits for it. */
SCENE(timer_simple, apply_repeatedly2)
{
    tr_pid self = tr_self();
    tr_ref interval = tr_apply_repeatedly(1, tells_slowly, &self, sizeof self);
    tr_sleep(2500);
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    for (int i = 0; i < 3; i++) {
        EXPECT(ticks_after(0));
    }
    EXPECT(no_tick_for(3000));
}

struct slow_at_first {
    tr_pid starter;
    int64_t until_ms;
};

/* The first one takes two and a half periods, the others no time. */
static void is_slow_at_first(const void *arg)
{
    const struct slow_at_first *how = arg;
    TR_SEND(how->starter, tick, .number = 1);
    if (tr_now_ms() < how->until_ms) {
        tr_sleep(2500);
    }
}

SCENE(timer_simple, apply_repeatedly_makes_up_for_what_is_late)
{
    struct slow_at_first how = {tr_self(), tr_now_ms() + 1500};
    tr_ref interval = tr_apply_repeatedly(1000, is_slow_at_first, &how, sizeof how);
    EXPECT(ticks_after(1000));
    EXPECT(ticks_after(2500) && ticks_after(0)); /* of 2000 and 3000, at 3500 */
    EXPECT(ticks_after(500) && ticks_after(1000));
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(3000));
}

/* Also those that are owed do not run after it was cancelled, and nothing stays behind. */
SCENE(timer_simple, apply_repeatedly_ends_with_its_interval)
{
    tr_pid self = tr_self();
    tr_node_stats before, after;
    tr_node_stats_get(&before);
    tr_ref interval = tr_apply_repeatedly(100, tells_slowly, &self, sizeof self);
    EXPECT(ticks_after(100));
    tr_sleep(500);
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(5000));
    tr_node_stats_get(&after);
    EXPECT(after.processes == before.processes && after.timers == before.timers);
}

static void repeats_for_its_starter(const void *arg)
{
    (void)tr_apply_repeatedly(500, tells_its_starter, arg, sizeof(tr_pid));
    tr_sleep(1200);
}

SCENE(timer_simple, apply_repeatedly_ends_with_who_set_it)
{
    tr_pid self = tr_self(), pid;
    tr_node_stats stats;
    EXPECT(tr_spawn(NULL, repeats_for_its_starter, &self, sizeof self, &pid) == TR_OK);
    EXPECT(ticks_after(500) && ticks_after(500));
    EXPECT(no_tick_for(3000));
    tr_node_stats_get(&stats);
    EXPECT(stats.timers == 0);
}

static void crashes_for_its_starter(const void *arg)
{
    tells_its_starter(arg);
    tr_exit(tr_atom("oops"));
}

SCENE(timer_simple, apply_repeatedly_goes_on_after_a_crash_and_with_period_zero)
{
    tr_pid self = tr_self();
    tr_ref interval = tr_apply_repeatedly(0, crashes_for_its_starter, &self, sizeof self);
    EXPECT(ticks_after(1) && ticks_after(1));
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(3000));
}

SCENE(timer_simple, apply_repeatedly_invalid_args)
{
    tr_node_stats before, after;
    tr_node_stats_get(&before);
    EXPECT(tr_ref_equal(tr_apply_repeatedly(-1, waits_for_ever, NULL, 0), TR_NO_REF));
    EXPECT(tr_ref_equal(tr_apply_repeatedly(INT64_MIN, waits_for_ever, NULL, 0), TR_NO_REF));
    tr_node_stats_get(&after);
    EXPECT(after.processes == before.processes && after.timers == before.timers);
}

SCENE(timer_simple, send_interval2)
{
    tr_ref interval = tr_send_interval(1000, tr_to(tr_self()), TR_MSG(tick, 1));
    EXPECT(ticks_after(1000) && ticks_after(1000));
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(3000));
}

SCENE(timer_simple, send_interval3)
{
    EXPECT(tr_register(tr_atom("name"), tr_self()) == TR_OK);
    tr_ref interval = tr_send_interval(1000, tr_to_name(tr_atom("name")), TR_MSG(tick, 1));
    EXPECT(ticks_after(1000) && ticks_after(1000));
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(3000));
}

static void takes_one(const void *arg)
{
    EXPECT(TR_RECEIVE(tick, 10000) != NULL);
    tells_its_starter(arg);
}

/* It ends with who receives it. */
SCENE(timer_simple, send_interval5)
{
    tr_pid pid;
    tr_node_stats stats;
    tr_pid self = tr_self();
    EXPECT(tr_spawn(NULL, takes_one, &self, sizeof self, &pid) == TR_OK);
    (void)tr_send_interval(500, tr_to(pid), TR_MSG(tick, 1));
    EXPECT(ticks_after(500));
    tr_sleep(600);
    tr_node_stats_get(&stats);
    EXPECT(stats.timers == 0);
}

/* ---- cancel ---- */

/* It was sent at once: what is in the mailbox stays. */
SCENE(timer_simple, cancel1)
{
    tr_ref timer = TR_SEND_AFTER(0, tr_self(), tick, .number = 1);
    tr_sleep(1);
    EXPECT(tr_cancel_interval(timer) == TR_OK);
    EXPECT(TR_RECEIVE(tick, 0) != NULL);
}

SCENE(timer_simple, cancel2)
{
    tr_ref timer = TR_SEND_AFTER(1000, tr_self(), tick, .number = 1);
    EXPECT(tr_cancel_interval(timer) == TR_OK);
    EXPECT(no_tick_for(2000));
}

SCENE(timer_simple, cancel3)
{
    tr_pid self = tr_self();
    tr_ref timer = tr_apply_after(1000, tells_its_starter, &self, sizeof self);
    EXPECT(tr_cancel_interval(timer) == TR_OK);
    EXPECT(no_tick_for(2000));
}

SCENE(timer_simple, cancel5)
{
    tr_pid self = tr_self();
    tr_ref interval = tr_apply_interval(500, tells_its_starter, &self, sizeof self);
    EXPECT(ticks_after(500));
    EXPECT(tr_cancel_interval(interval) == TR_OK);
    EXPECT(no_tick_for(600));
}

/* What does not exist, no longer or never, is cancelled as well; the others go on. */
SCENE(timer_simple, cancel6)
{
    tr_ref over = TR_SEND_AFTER(0, tr_self(), tick, .number = 1);
    EXPECT(ticks_after(0));
    (void)TR_SEND_AFTER(500, tr_self(), tick, .number = 2);
    EXPECT(tr_cancel_interval(over) == TR_OK);
    EXPECT(tr_cancel_interval((tr_ref){tr_self(), 12345}) == TR_OK);
    EXPECT(tr_cancel_interval(TR_NO_REF) == TR_OK);
    EXPECT(ticks_after(500));
}

/* ---- sleep ---- */

static void sleeps_beyond_32_bits(const void *arg)
{
    (void)arg;
    (void)tr_kill_after(1000, tr_to(tr_self()));
    tr_sleep((int64_t)UINT32_MAX + 1);
}

SCENE(timer_simple, sleep2)
{
    tr_pid pid;
    tr_trap_exit(true);
    EXPECT(tr_spawn(&(tr_spawn_opts){.link = true}, sleeps_beyond_32_bits, NULL, 0, &pid) == TR_OK);
    ends_after(1000, pid, "killed");
}

/* ---- unexpected ---- */

/* A process that set intervals may be asked nonsense; nobody else hears it. */
SCENE(timer_simple, unexpected1)
{
    tick answer;
    (void)TR_SEND_AFTER(500, tr_self(), tick, .number = 1);
    EXPECT(TR_CALL(tr_atom("timer_server"), 100, tick, &answer, tick, .number = 2) == TR_E_NOPROC);
    EXPECT(ticks_after(500));
}

SCENE(timer_simple, unexpected2)
{
    (void)TR_SEND_AFTER(500, tr_self(), tick, .number = 1);
    TR_CAST(tr_atom("timer_server"), tick, .number = 2);
    EXPECT(ticks_after(500));
}
