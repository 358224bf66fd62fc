/* The idle time-out of a gen_server. */
#include "tests/runtime/puppet.h"

/* ---- the idle time-out (rule 11) ---- */

SCENE(gen_server_timeout, a_timeout_comes_once_and_is_not_set_again_by_itself)
{
    tr_pid s = a_server(puppet_server);
    int64_t begin = tr_now_ms();
    calls(s, DO(.n = 1, .idles = true, .idle_ms = 100), 5000);
    SAID("s call 1", "= 1");
    tr_sleep(99);
    SAID();
    tr_sleep(1000);
    SAID("s info tr_timeout_msg");
    EXPECT(tr_now_ms() - begin == 1099);
}

SCENE(gen_server_timeout, init_may_set_a_timeout)
{
    EXPECT(start_as(puppet_server, (role){.init = {.idles = true, .idle_ms = 100}}, NULL) == TR_OK);
    SAID("s init");
    tr_sleep(101);
    SAID("s info tr_timeout_msg");
}

SCENE(gen_server_timeout, any_message_cancels_a_timeout)
{
    tr_pid s = a_server(puppet_server);
    for (int i = 0; i < 3; i++) {
        TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 200);
        tr_sleep(100);
        if (i == 0) {
            TR_SEND(s, act, .n = 2);
        } else if (i == 1) {
            TR_CAST(s, act, .n = 2);
        } else {
            tr_send_term(tr_to(s), tr_atom("noise"));
        }
        tr_sleep(1000);
    }
    SAID("s cast 1", "s info 2", "s cast 1", "s cast 2", "s cast 1", "s info noise");
}

SCENE(gen_server_timeout, a_timeout_counts_from_the_last_message)
{
    tr_pid s = a_server(puppet_server);
    for (int i = 1; i <= 5; i++) {
        TR_CAST(s, act, .n = i, .idles = true, .idle_ms = 100);
        tr_sleep(60);
    }
    SAID("s cast 1", "s cast 2", "s cast 3", "s cast 4", "s cast 5");
    tr_sleep(39);
    SAID();
    tr_sleep(1);
    SAID("s info tr_timeout_msg");
    tr_sleep(1000);
    SAID();
}

SCENE(gen_server_timeout, a_shorter_timeout_replaces_a_longer_one_and_the_other_way_round)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 1000);
    tr_sleep(1);
    TR_CAST(s, act, .n = 2, .idles = true, .idle_ms = 10);
    tr_sleep(9);
    SAID("s cast 1", "s cast 2");
    tr_sleep(2);
    SAID("s info tr_timeout_msg");
    TR_CAST(s, act, .n = 3, .idles = true, .idle_ms = 10);
    tr_sleep(1);
    TR_CAST(s, act, .n = 4, .idles = true, .idle_ms = 1000);
    tr_sleep(998);
    SAID("s cast 3", "s cast 4");
    tr_sleep(3);
    SAID("s info tr_timeout_msg");
}

static uint64_t timers(void)
{
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    return stats.timers;
}

SCENE(gen_server_timeout, however_busy_a_server_has_one_timer_at_most)
{
    tr_pid s = a_server(puppet_server);
    uint64_t before = timers();
    for (int i = 0; i < 200; i++) {
        TR_CAST(s, act, .n = i, .idles = i % 3 != 0, .idle_ms = 1000 + i * 37 % 100);
        tr_yield();
        EXPECT(timers() <= before + 1);
    }
    stage.said.used = 0;
    tr_sleep(2000);
    SAID("s info tr_timeout_msg");
    EXPECT(timers() == before);
}

SCENE(gen_server_timeout, the_timer_goes_with_the_server_however_it_ends)
{
    uint64_t before = timers();
    for (int i = 0; i < 3; i++) {
        tr_pid s = a_server(puppet_server);
        TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 3600 * 1000);
        tr_yield();
        EXPECT(timers() == before + 1);
        if (i == 0) {
            tr_exit_signal(tr_to(s), TR_ATOM(KILL));
        } else if (i == 1) {
            TR_CAST(s, act, .verb = CRASH, .n = 2, .term = tr_atom("boom"));
        } else {
            EXPECT(tr_gen_server_stop(tr_to(s), TR_ATOM(NORMAL), 5000, NULL) == TR_OK);
        }
        tr_sleep(1);
        EXPECT(!tr_is_alive(s));
        EXPECT(timers() == before);
        stage.said.used = 0;
    }
}

SCENE(gen_server_timeout, a_timeout_of_0_loses_to_a_queued_message_and_else_comes_at_once)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 0);
    TR_CAST(s, act, .n = 2);
    tr_sleep(10);
    SAID("s cast 1", "s cast 2");
    TR_CAST(s, act, .n = 3, .idles = true, .idle_ms = 0);
    tr_yield();
    SAID("s cast 3", "s info tr_timeout_msg");
    tr_sleep(10);
    SAID();
}

SCENE(gen_server_timeout, a_sys_request_begins_the_full_timeout_anew)
{
    tr_term state;
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 100);
    tr_sleep(60);
    EXPECT(tr_sys_get_state(tr_to(s), 5000, &state) == TR_OK);
    tr_sleep(99);
    SAID("s cast 1");
    tr_sleep(1);
    SAID("s info tr_timeout_msg");
}

SCENE(gen_server_timeout, a_timeout_does_not_come_while_suspended_and_begins_anew_at_resume)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 100);
    EXPECT(tr_sys_suspend(tr_to(s), 5000) == TR_OK);
    tr_sleep(250);
    EXPECT(tr_sys_resume(tr_to(s), 5000) == TR_OK);
    tr_sleep(99);
    SAID("s cast 1");
    tr_sleep(1);
    SAID("s info tr_timeout_msg");
}

SCENE(gen_server_timeout, a_callback_that_receives_anything_does_not_see_the_idle_timer)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1, .idles = true, .idle_ms = 100);
    tr_sleep(50);
    TR_CAST(s, act, .verb = RECEIVE_ANY, .n = 2, .ms = 200);
    tr_sleep(1000);
    SAID("s cast 1", "s cast 2", "received nothing");
}

SCENE(gen_server_timeout, hibernation_is_invisible)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.n = 1, .hibernates = true), 5000);
    TR_CAST(s, act, .n = 2, .hibernates = true, .idles = true, .idle_ms = 10);
    TR_CAST(s, act, .n = 3, .hibernates = true);
    calls(s, DO(.n = 4), 5000);
    tr_sleep(20);
    SAID("s call 1", "= 1", "s cast 2", "s cast 3", "s call 4", "= 4");
}
