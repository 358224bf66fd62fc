/* Timers in virtual time. */
#include "tests/runtime/stage.h"

TR_MESSAGE(num, { int64_t n; });

static int64_t next_number(int64_t timeout_ms)
{
    tr_msg *msg = tr_receive(NULL, NULL, timeout_ms);
    const num *one = TR_MATCH(msg, num);
    int64_t n = one == NULL ? -1 : one->n;
    tr_msg_drop(msg);
    return n;
}

SCENE(timer, equal_deadlines_fire_in_the_order_they_were_set)
{
    /* Set at different moments for one deadline far away: they pass through several levels of the wheel. */
    int64_t deadline = tr_now_ms() + 300000;
    for (int64_t n = 0; n < 40; n++) {
        TR_SEND_AFTER(deadline - tr_now_ms(), tr_self(), num, n);
        tr_sleep(1 + n * 397);
    }
    for (int64_t n = 0; n < 40; n++) {
        EXPECT(next_number(400000) == n);
        EXPECT(tr_now_ms() == (deadline > tr_now_ms() ? deadline : tr_now_ms()));
    }
}

SCENE(timer, of_zero_milliseconds_is_legal_and_in_order)
{
    for (int64_t n = 0; n < 10; n++) {
        TR_SEND_AFTER(n % 2 == 0 ? 0 : -5, tr_self(), num, n);
    }
    for (int64_t n = 0; n < 10; n++) {
        EXPECT(next_number(10) == n);
    }
}

SCENE(timer, cancel_tells_what_was_left_once)
{
    tr_ref timer = TR_SEND_AFTER(100, tr_self(), num, 1);
    tr_sleep(40);
    EXPECT(tr_read_timer(timer) == 60);
    EXPECT(tr_cancel_timer(timer) == 60);
    EXPECT(tr_cancel_timer(timer) == -1 && tr_read_timer(timer) == -1);
    EXPECT(next_number(200) == -1);
    EXPECT(tr_cancel_timer(TR_NO_REF) == -1);
}

SCENE(timer, that_fired_leaves_its_message_although_cancel_says_no)
{
    tr_ref timer = TR_SEND_AFTER(1, tr_self(), num, 7);
    tr_sleep(2);
    EXPECT(tr_cancel_timer(timer) == -1);
    EXPECT(next_number(0) == 7);
}

static void register_late(const void *arg)
{
    (void)arg;
    EXPECT(tr_register(tr_atom("late"), tr_self()) == TR_OK);
    say("got %d", (int)next_number(TR_INFINITY));
}

SCENE(timer, a_name_is_resolved_when_it_fires)
{
    tr_send_after(10, tr_to_name(tr_atom("late")), TR_MSG(num, 3));
    tr_send_after(1, tr_to_name(tr_atom("late")), TR_MSG(num, 4)); /* to nobody */
    tr_sleep(5);
    EXPECT(tr_spawn(NULL, register_late, NULL, 0, NULL) == TR_OK);
    tr_sleep(10);
    SAID("got 3");
}

static void set_and_die(const void *arg)
{
    TR_SEND_AFTER(10, *(const tr_pid *)arg, num, 5);
}
static void wait_a_bit(const void *arg)
{
    (void)arg;
    tr_sleep(5);
}

SCENE(timer, outlives_its_setter_but_not_its_target)
{
    tr_pid self = tr_self();
    tr_pid target;
    EXPECT(tr_spawn(NULL, set_and_die, &self, sizeof self, NULL) == TR_OK);
    EXPECT(next_number(20) == 5);
    EXPECT(tr_spawn(NULL, wait_a_bit, NULL, 0, &target) == TR_OK);
    tr_ref timer = TR_SEND_AFTER(100, target, num, 1);
    EXPECT(tr_read_timer(timer) == 100);
    tr_sleep(10);
    EXPECT(tr_read_timer(timer) == -1 && tr_cancel_timer(timer) == -1);
}

SCENE(timer, intervals_do_not_drift_and_end_with_their_target)
{
    int64_t begin = tr_now_ms();
    tr_ref interval = tr_send_interval(10, tr_to(tr_self()), TR_MSG(num, 1));
    for (int i = 1; i <= 5; i++) {
        EXPECT(next_number(20) == 1 && tr_now_ms() == begin + 10 * i);
    }
    tr_sleep(35); /* late by three and a half: they are made up for */
    EXPECT(next_number(0) == 1 && next_number(0) == 1 && next_number(0) == 1 && next_number(0) == -1);
    EXPECT(next_number(20) == 1 && tr_now_ms() == begin + 90);
    EXPECT(tr_cancel_interval(interval) == TR_OK && tr_cancel_interval(interval) == TR_OK);
    EXPECT(next_number(50) == -1);
    tr_pid target;
    EXPECT(tr_spawn(NULL, wait_a_bit, NULL, 0, &target) == TR_OK);
    (void)tr_send_interval(1, tr_to(target), TR_MSG(num, 1));
    tr_sleep(50);
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    EXPECT(stats.timers == 0);
}

static void say_it(const void *arg)
{
    say("applied %d", *(const int *)arg);
}
static void wait_for_ever(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

SCENE(timer, can_run_a_function_or_send_an_exit)
{
    int number = 4;
    (void)tr_apply_after(5, say_it, &number, sizeof number);
    number = 5;
    tr_pid pid;
    tr_ref monitor;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, wait_for_ever, NULL, 0, &pid) == TR_OK);
    (void)tr_exit_after(10, tr_to(pid), tr_tuple(tr_atom("late"), tr_string("reason")));
    TERM_IS(TR_MATCH(tr_receive_ref(monitor, 20), tr_down_msg)->reason, "{late,\"reason\"}");
    SAID("applied 4");
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor, .trap_exit = true}, wait_for_ever, NULL, 0, &pid) ==
           TR_OK);
    (void)tr_exit_after(10, tr_to(pid), TR_ATOM(KILL));
    TERM_IS(TR_MATCH(tr_receive_ref(monitor, 20), tr_down_msg)->reason, "killed");
}

SCENE(timer, many_can_be_cancelled_in_any_order)
{
    enum { COUNT = 500 };
    tr_ref timers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        timers[i] = TR_SEND_AFTER(1 + i * 37 % 3000, tr_self(), num, i);
    }
    for (int i = 0; i < COUNT; i++) {
        EXPECT(tr_cancel_timer(timers[i * 7 % COUNT]) >= 0);
    }
    EXPECT(next_number(5000) == -1);
}

/* In OTP a process of the timer server sends it: the setter's normal end is not asked for, nor does a parent call. */
SCENE(timer, an_exit_after_a_while_comes_from_nobody)
{
    (void)tr_exit_after(10, tr_to(tr_self()), TR_ATOM(NORMAL));
    tr_sleep(20); /* one's own normal would have ended this scene */
    (void)tr_trap_exit(true);
    (void)tr_exit_after(10, tr_to(tr_self()), tr_atom("late"));
    const tr_exit_msg *exit = TR_RECEIVE(tr_exit_msg, 20);
    EXPECT(exit != NULL && exit->from == TR_NO_PID && tr_same(exit->reason, tr_atom("late")));
}
