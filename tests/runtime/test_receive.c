/* Receiving: order, selection, time-outs. */
#include "tests/runtime/stage.h"

TR_MESSAGE(num, { int64_t n; });
TR_MESSAGE(other, { int64_t n; });

static void send_numbers(const void *arg)
{
    const tr_pid *to = arg;
    for (int64_t n = 1; n <= 5; n++) {
        TR_SEND(*to, num, n);
        TR_SEND(*to, other, n);
    }
}

static void numbers_from_another(void)
{
    tr_pid self = tr_self();
    EXPECT(tr_spawn(NULL, send_numbers, &self, sizeof self, NULL) == TR_OK);
    tr_sleep(1);
}

SCENE(receive, takes_the_oldest_that_matches_and_leaves_the_others_in_order)
{
    numbers_from_another();
    for (int64_t n = 1; n <= 5; n++) {
        EXPECT(TR_RECEIVE(other, 0)->n == n);
    }
    for (int64_t n = 1; n <= 5; n++) {
        EXPECT(TR_MATCH(tr_receive(NULL, NULL, 0), num)->n == n);
    }
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
}

static bool is_three(const tr_msg *msg, void *ctx)
{
    (*(int *)ctx)++;
    const num *one = TR_MATCH(msg, num);
    return one != NULL && one->n == 3;
}

SCENE(receive, looks_at_each_message_once_however_often_it_wakes)
{
    int looked = 0;
    tr_pid self = tr_self();
    for (int i = 0; i < 100; i++) {
        TR_SEND(self, other, i);
    }
    for (int64_t n = 1; n <= 3; n++) {
        TR_SEND_AFTER(n, self, num, n);
    }
    EXPECT(tr_receive(is_three, &looked, 100) != NULL);
    EXPECT(looked == 103);
}

SCENE(receive, with_time_out_0_looks_once)
{
    int64_t before = tr_now_ms();
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
    TR_SEND(tr_self(), num, 1);
    EXPECT(TR_RECEIVE(num, 0) != NULL);
    EXPECT(tr_now_ms() == before);
}

SCENE(receive, times_out_at_its_deadline_whatever_else_comes)
{
    int64_t before = tr_now_ms();
    tr_ref noise = tr_send_interval(7, tr_to(tr_self()), TR_MSG(other, 1));
    EXPECT(TR_RECEIVE(num, 50) == NULL);
    EXPECT(tr_now_ms() == before + 50);
    tr_cancel_interval(noise);
}

SCENE(receive, a_message_at_the_deadline_itself_is_taken)
{
    TR_SEND_AFTER(10, tr_self(), num, 1);
    EXPECT(TR_RECEIVE(num, 10) != NULL);
}

SCENE(receive, strange_time_outs_are_harmless)
{
    EXPECT(TR_RECEIVE(num, -7) == NULL);
    tr_sleep(-7);
    tr_sleep(0);
    TR_SEND_AFTER(10, tr_self(), num, 1);
    EXPECT(TR_RECEIVE(num, INT64_MAX) != NULL);
    tr_ref far = TR_SEND_AFTER(INT64_MAX, tr_self(), num, 2);
    EXPECT(tr_read_timer(far) > 1000000000);
    EXPECT(tr_cancel_timer(far) >= 0);
}

SCENE(receive, by_reference_finds_only_what_carries_it)
{
    tr_ref timer = tr_start_timer(5, tr_to(tr_self()), TR_MSG(num, 1));
    numbers_from_another();
    tr_msg *msg = tr_receive_ref(timer, 10);
    EXPECT(tr_msg_kind_of(msg) == TR_MSG_TIMER && tr_ref_equal(tr_msg_ref(msg), timer));
    EXPECT(tr_receive_ref(timer, 10) == NULL);
}

SCENE(receive, sleeping_is_not_cut_short_by_messages)
{
    int64_t before = tr_now_ms();
    TR_SEND_AFTER(3, tr_self(), num, 1);
    tr_sleep(20);
    EXPECT(tr_now_ms() == before + 20);
    EXPECT(TR_RECEIVE(num, 0) != NULL);
}

static void sleep_for_ever(const void *arg)
{
    (void)arg;
    tr_sleep(100000);
    say("woke");
}

SCENE(receive, a_parked_process_with_a_deadline_can_be_killed)
{
    tr_pid pid;
    tr_ref monitor;
    for (int i = 0; i < 10; i++) {
        EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, sleep_for_ever, NULL, 0, &pid) == TR_OK);
        tr_sleep(1);
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        tr_msg_drop(tr_receive_ref(monitor, 10));
    }
    tr_sleep(200000);
    SAID();
}

static void keeps_all(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        TR_SEND(tr_self(), num, i);
        (void)tr_receive(NULL, NULL, 0); /* never dropped: goes with the process */
    }
}

SCENE(receive, what_was_received_belongs_to_the_process_until_its_end)
{
    EXPECT(tr_spawn(NULL, keeps_all, NULL, 0, NULL) == TR_OK);
    tr_sleep(1); /* the scene ends with a check that nothing is left */
}

static void receives_until(const void *arg)
{
    (void)arg;
    EXPECT(TR_RECEIVE(num, 100) == NULL);
    say("timed out");
}

/* process_SUITE: exit_and_timeout: one of the two, not both, and nothing is left of the other */
SCENE(receive, an_exit_signal_and_a_time_out_at_the_same_moment_end_it_once)
{
    int ends = 0;
    for (int i = 0; i < 3; i++) { /* just before, at the same time, just after */
        tr_pid pid;
        tr_ref monitor;
        EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, receives_until, NULL, 0, &pid) == TR_OK);
        tr_yield();
        tr_sleep(99 + i);
        tr_exit_signal(tr_to(pid), tr_atom("bang"));
        tr_msg *msg = tr_receive_ref(monitor, 10);
        ends += msg != NULL ? 1 : 0;
        EXPECT(tr_receive_ref(monitor, 200) == NULL);
    }
    EXPECT(ends == 3);
    SAID("timed out", "timed out");
}

static int blasted;

static void waits_in_vain(const void *arg)
{
    const int *ms = arg;
    int64_t before = tr_now_ms();
    EXPECT(TR_RECEIVE(num, *ms) == NULL);
    EXPECT(tr_now_ms() == before + *ms);
    blasted++;
}

/* after_SUITE: receive_after_blast */
SCENE(receive, many_time_outs_at_once_all_come_at_their_time)
{
    blasted = 0;
    for (int i = 0; i < 2000; i++) {
        int ms = 1 + i % 97;
        EXPECT(tr_spawn(NULL, waits_in_vain, &ms, sizeof ms, NULL) == TR_OK);
    }
    tr_sleep(200);
    EXPECT(blasted == 2000);
}

/* after_SUITE: receive_after_32bit; elixir process_test: sleep/1 with 2^32 */
SCENE(receive, time_outs_beyond_32_bits_are_no_short_ones)
{
    const int64_t beyond = ((int64_t)1 << 32) + 5;
    int64_t before = tr_now_ms();
    TR_SEND_AFTER(50, tr_self(), num, 1);
    EXPECT(TR_RECEIVE(num, beyond) != NULL);
    EXPECT(tr_now_ms() == before + 50);
    tr_ref far = TR_SEND_AFTER(beyond, tr_self(), num, 2);
    EXPECT(tr_receive_ref(far, 100) == NULL && tr_read_timer(far) == beyond - 100);
    EXPECT(tr_cancel_timer(far) == beyond - 100);
}

/* elixir process_test: send_after/4 with absolute time sends message once expired */
SCENE(receive, an_absolute_time_is_met_however_late_it_is_set)
{
    int64_t at = tr_now_ms() + 100;
    tr_ref timer = tr_start_timer_at(at, tr_to(tr_self()), TR_MSG(num, 1));
    tr_sleep(60);
    (void)tr_send_at(at, tr_to(tr_self()), TR_MSG(num, 2));
    EXPECT(tr_read_timer(timer) == 40);
    for (int i = 1; i <= 2; i++) {
        const num *got = TR_RECEIVE(num, 1000);
        EXPECT(got != NULL && got->n == i && tr_now_ms() == at);
    }
    (void)tr_send_at(at - 50, tr_to(tr_self()), TR_MSG(num, 3)); /* over: now */
    EXPECT(TR_RECEIVE(num, 1000) != NULL && tr_now_ms() == at);
    (void)tr_send_at(INT64_MIN, tr_to(tr_self()), TR_MSG(num, 4));
    EXPECT(TR_RECEIVE(num, 1000) != NULL && tr_now_ms() == at);
}
