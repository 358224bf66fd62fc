/* The caller's side of gen_server: calls, casts, asynchronous requests, stop. */
#include "tests/runtime/puppet.h"

/* ---- calls (rules 6, 7) ---- */

SCENE(gen_server_call, a_call_gets_the_reply_of_handle_call)
{
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.n = 1), 5000);
    calls(s, DO(.n = 2), TR_INFINITY);
    SAID("s call 1", "= 1", "s call 2", "= 2");
}

SCENE(gen_server_call, a_typed_call_fills_the_struct_or_says_that_the_type_differs)
{
    tr_pid s = a_server(puppet_server);
    answer got = {0};
    tr_term_msg other;
    EXPECT(TR_CALL(s, 5000, answer, &got, act, .n = 7) == TR_OK);
    EXPECT(got.n == 7);
    EXPECT(TR_CALL(s, 5000, tr_term_msg, &other, act, .n = 8) == TR_E_TYPE);
    EXPECT(TR_CALL(TR_NO_PID, 5000, answer, &got, act, .n = 8) == TR_E_NOPROC);
    EXPECT(got.n == 7);
}

SCENE(gen_server_call, a_call_to_nobody_is_noproc_at_once)
{
    int64_t begin = tr_now_ms();
    tr_pid s = a_server(puppet_server);
    tr_ref end = watch(s);
    tr_exit_signal(tr_to(s), TR_ATOM(KILL));
    says_end(end);
    SAID("end killed");
    calls(s, DO(.n = 1), TR_INFINITY);
    calls(TR_NO_PID, DO(.n = 1), TR_INFINITY);
    SAID("! TR_E_NOPROC noproc", "! TR_E_NOPROC noproc");
    tr_term reason;
    EXPECT(tr_gen_server_call(tr_to_name(tr_atom("none")), DO(.n = 1), 5000, NULL, &reason) == TR_E_NOPROC);
    TERM_IS(reason, "noproc");
    EXPECT(tr_now_ms() == begin);
}

SCENE(gen_server_call, a_call_to_oneself_is_refused)
{
    tr_term reason;
    EXPECT(tr_gen_server_call(tr_to(tr_self()), DO(.n = 1), 5000, NULL, &reason) == TR_E_CALLING_SELF);
    TERM_IS(reason, "calling_self");
}

SCENE(gen_server_call, a_request_whose_call_timed_out_is_executed_and_its_late_reply_dropped)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_suspend(tr_to(s), 5000) == TR_OK);
    int64_t begin = tr_now_ms();
    calls(s, DO(.n = 1), 100);
    EXPECT(tr_now_ms() - begin == 100);
    SAID("! TR_E_TIMEOUT timeout");
    EXPECT(tr_sys_resume(tr_to(s), 5000) == TR_OK);
    tr_sleep(10);
    SAID("s call 1");
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
}

SCENE(gen_server_call, a_pending_call_fails_with_the_reason_of_the_servers_end)
{
    static const char *const lines[][4] = {{"s call 1", "! TR_E_EXIT {burnt,1}"},
                                           {"s call 1", "! TR_E_EXIT killed"}};
    for (int i = 0; i < 2; i++) {
        tr_pid s = a_server(puppet_server);
        caller(s, TR_INFINITY, (act){.verb = KEEP_FROM, .n = 1});
        tr_exit_signal(tr_to(s), i == 0 ? tr_tuple(tr_atom("burnt"), tr_int(1)) : TR_ATOM(KILL));
        tr_sleep(1);
        SAID(lines[i][0], lines[i][1]);
    }
    tr_pid s = a_server(puppet_server);
    caller(s, TR_INFINITY, (act){.verb = KEEP_FROM, .n = 1});
    EXPECT(TR_CAST(s, act, .verb = STOP, .n = 2, .term = TR_ATOM(NORMAL)) == TR_OK);
    tr_sleep(1);
    SAID("s call 1", "s cast 2", "s terminate normal", "! TR_E_EXIT normal");
}

SCENE(gen_server_call, callers_are_served_in_the_order_they_came)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_suspend(tr_to(s), 5000) == TR_OK);
    caller(s, 5000, (act){.n = 1});
    caller(s, 5000, (act){.n = 2});
    EXPECT(TR_CAST(s, act, .n = 3) == TR_OK);
    EXPECT(tr_sys_resume(tr_to(s), 5000) == TR_OK);
    tr_sleep(1);
    SAID("s call 1", "s call 2", "s cast 3", "= 1", "= 2");
}

SCENE(gen_server_call, casts_and_bare_messages_of_one_sender_stay_in_order)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1);
    TR_SEND(s, act, .n = 2);
    TR_CAST(s, act, .n = 3);
    calls(s, DO(.n = 4), 5000);
    SAID("s cast 1", "s info 2", "s cast 3", "s call 4", "= 4");
}

SCENE(gen_server_call, a_cast_is_ok_also_to_nobody)
{
    EXPECT(TR_CAST(tr_atom("none"), act, .n = 1) == TR_OK);
    EXPECT(TR_CAST(TR_NO_PID, act, .n = 1) == TR_OK);
}

SCENE(gen_server_call, a_full_mailbox_refuses_calls_and_casts_but_no_sys_request)
{
    tr_start_opts opts = {.spawn = {.mailbox_max = 2}};
    EXPECT(start_as(puppet_server, (role){0}, &opts) == TR_OK);
    tr_pid s = started.pid;
    EXPECT(tr_sys_suspend(tr_to(s), 5000) == TR_OK);
    EXPECT(TR_CAST(s, act, .n = 1) == TR_OK);
    EXPECT(TR_CAST(s, act, .n = 2) == TR_OK);
    EXPECT(TR_CAST(s, act, .n = 3) == TR_E_FULL);
    SAID("s init");
    calls(s, DO(.n = 4), 5000);
    SAID("! TR_E_FULL mailbox_full");
    EXPECT(tr_sys_resume(tr_to(s), 5000) == TR_OK);
    tr_sleep(1);
    SAID("s cast 1", "s cast 2");
    calls(s, DO(.n = 5), 5000);
    SAID("s call 5", "= 5");
}

SCENE(gen_server_call, a_kept_caller_is_answered_from_a_later_callback)
{
    tr_pid s = a_server(puppet_server);
    caller(s, TR_INFINITY, (act){.verb = KEEP_FROM, .n = 1});
    tr_sleep(300);
    TR_CAST(s, act, .verb = ANSWER_KEPT, .n = 2);
    tr_sleep(1);
    SAID("s call 1", "s cast 2", "= 2");
}

SCENE(gen_server_call, an_answer_to_a_caller_that_is_gone_harms_nobody)
{
    tr_pid s = a_server(puppet_server);
    tr_pid gone = caller(s, TR_INFINITY, (act){.verb = KEEP_FROM, .n = 1});
    tr_exit_signal(tr_to(gone), TR_ATOM(KILL));
    tr_sleep(1);
    TR_CAST(s, act, .verb = ANSWER_KEPT, .n = 2);
    calls(s, DO(.n = 3), 5000);
    SAID("s call 1", "s cast 2", "s call 3", "= 3");
}

SCENE(gen_server_call, a_server_calls_another_in_its_callback_and_crashes_when_that_fails)
{
    tr_pid deep = a_server(puppet_server);
    tr_pid s = a_server(puppet_server);
    calls(s, DO(.verb = CALL, .n = 1, .pid = deep), 5000);
    SAID("s call 1", "s call 1", "= 1");
    tr_exit_signal(tr_to(deep), TR_ATOM(KILL));
    tr_sleep(1);
    tr_msg *request = DO(.verb = CALL, .n = 2, .pid = deep);
    EXPECT(tr_gen_server_call(tr_to(s), request, 5000, NULL, NULL) == TR_E_EXIT);
}

/* ---- stop ---- */

SCENE(gen_server_call, stop_waits_behind_queued_messages)
{
    tr_pid s = a_server(puppet_server);
    TR_CAST(s, act, .n = 1);
    TR_SEND(s, act, .n = 2);
    EXPECT(tr_gen_server_stop(tr_to(s), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    SAID("s cast 1", "s info 2", "s terminate normal");
}

SCENE(gen_server_call, stop_of_nobody_is_noproc_and_of_oneself_is_refused)
{
    tr_term actual = TR_TERM_NONE_VALUE;
    EXPECT(tr_gen_server_stop(tr_to_name(tr_atom("none")), TR_ATOM(NORMAL), 5000, &actual) == TR_E_NOPROC);
    TERM_IS(actual, "noproc");
    EXPECT(tr_gen_server_stop(tr_to(tr_self()), TR_ATOM(NORMAL), 5000, &actual) == TR_E_CALLING_SELF);
    TERM_IS(actual, "calling_self");
}

SCENE(gen_server_call, stop_gives_up_when_time_is_up)
{
    tr_term actual = TR_TERM_NONE_VALUE;
    EXPECT(start_as(puppet_server, (role){.at_end = {.verb = SLEEP, .ms = TR_INFINITY}}, NULL) == TR_OK);
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), 100, &actual) == TR_E_TIMEOUT);
    TERM_IS(actual, "timeout");
    tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
    EXPECT(!tr_is_alive(started.pid));
}

SCENE(gen_server_call, stop_with_any_reason_is_ok_when_the_server_ends_with_exactly_that)
{
    tr_pid s = a_server(puppet_server);
    tr_term reason = tr_tuple(tr_atom("my"), tr_list(tr_int(1), tr_string("x")));
    EXPECT(tr_gen_server_stop(tr_to(s), reason, 5000, NULL) == TR_OK);
    SAID("s terminate {my,[1,\"x\"]}");
}

/* ---- asynchronous calls ---- */

SCENE(gen_server_call, wait_response_keeps_a_request_that_is_late)
{
    tr_msg *reply = NULL;
    tr_pid s = a_server(puppet_server);
    tr_ref request = tr_send_request(tr_to(s), DO(.verb = KEEP_FROM, .n = 1));
    EXPECT(tr_wait_response(request, 50, &reply, NULL) == TR_E_TIMEOUT);
    TR_CAST(s, act, .verb = ANSWER_KEPT, .n = 2);
    EXPECT(tr_wait_response(request, 50, &reply, NULL) == TR_OK);
    EXPECT(TR_MATCH(reply, answer)->n == 2);
}

SCENE(gen_server_call, receive_response_abandons_a_request_that_is_late)
{
    tr_msg *reply = NULL;
    tr_pid s = a_server(puppet_server);
    tr_ref request = tr_send_request(tr_to(s), DO(.verb = KEEP_FROM, .n = 1));
    EXPECT(tr_receive_response(request, 50, &reply, NULL) == TR_E_TIMEOUT);
    TR_CAST(s, act, .verb = ANSWER_KEPT, .n = 2);
    tr_sleep(10);
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
    request = tr_send_request(tr_to(s), DO(.n = 3));
    EXPECT(tr_receive_response(request, 50, &reply, NULL) == TR_OK);
    EXPECT(TR_MATCH(reply, answer)->n == 3);
}

SCENE(gen_server_call, the_end_of_the_server_answers_a_request)
{
    tr_msg *reply = NULL;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_pid s = a_server(puppet_server);
    tr_ref request = tr_send_request(tr_to(s), DO(.verb = KEEP_FROM, .n = 1));
    tr_exit_signal(tr_to(s), tr_tuple(tr_atom("bang"), tr_string("s")));
    EXPECT(tr_wait_response(request, 1000, &reply, &reason) == TR_E_EXIT);
    TERM_IS(reason, "{bang,\"s\"}");
    request = tr_send_request(tr_to(s), DO(.n = 1));
    EXPECT(tr_receive_response(request, 1000, &reply, &reason) == TR_E_NOPROC);
    TERM_IS(reason, "noproc");
    request = tr_send_request(tr_to_name(tr_atom("none")), DO(.n = 1));
    EXPECT(tr_wait_response(request, 1000, &reply, &reason) == TR_E_NOPROC);
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
}

SCENE(gen_server_call, check_response_tells_the_answer_from_other_messages)
{
    tr_msg *reply = NULL;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_pid s = a_server(puppet_server);
    tr_ref one = tr_send_request(tr_to(s), DO(.n = 1));
    tr_ref two = tr_send_request(tr_to(s), DO(.verb = STOP, .n = 2, .term = tr_atom("why")));
    TR_SEND(tr_self(), answer, .n = 0);
    tr_sleep(1);
    tr_msg *msg = tr_receive(NULL, NULL, 0);
    EXPECT(tr_check_response(msg, one, &reply, &reason) == TR_E_NOT_FOUND);
    msg = tr_receive(NULL, NULL, 0);
    EXPECT(tr_check_response(msg, two, &reply, &reason) == TR_E_NOT_FOUND);
    EXPECT(tr_check_response(msg, one, &reply, &reason) == TR_OK && reply == msg);
    msg = tr_receive(NULL, NULL, 0);
    EXPECT(tr_check_response(msg, one, &reply, &reason) == TR_E_NOT_FOUND);
    EXPECT(tr_check_response(msg, two, &reply, &reason) == TR_E_EXIT);
    TERM_IS(reason, "why");
}

static tr_ref asked;
static tr_next asks_when_cast(puppet *self, const tr_msg *msg)
{
    (void)self;
    asked = tr_send_request(tr_to(TR_MATCH(msg, act)->pid), DO(.n = 11));
    return TR_NOREPLY;
}

static tr_next hears_answer(puppet *self, const tr_msg *msg)
{
    tr_msg *reply;
    (void)self;
    if (tr_check_response((tr_msg *)(uintptr_t)msg, asked, &reply, NULL) == TR_OK) {
        say("answer %d in handle_info", TR_MATCH(reply, answer)->n);
    }
    return TR_NOREPLY;
}

SCENE(gen_server_call, the_answer_to_a_servers_own_request_comes_to_its_handle_info)
{
    tr_pid other = a_server(puppet_server);
    tr_gen_server module = *puppet_server;
    module.handle_cast = (tr_next(*)(void *, const tr_msg *))asks_when_cast;
    module.handle_info = (tr_next(*)(void *, const tr_msg *))hears_answer;
    role r = {.name = "asker"};
    EXPECT(tr_gen_server_start(&module, &r, sizeof r, NULL, &started) == TR_OK);
    TR_CAST(started.pid, act, .pid = other);
    tr_sleep(1);
    SAID("asker init", "s call 11", "answer 11 in handle_info");
}

#define HUGE_QUEUE 200000
#define MANY_CALLS 100000

/* gen_server_SUITE, receive_SUITE: call_with_huge_message_queue. A call that looked at the whole queue would take the
 * time-out of the test many times over. */
SCENE(gen_server_call, a_call_does_not_look_at_what_was_queued_before)
{
    tr_pid s = a_server(bare_server);
    for (int i = 0; i < HUGE_QUEUE; i++) {
        TR_SEND(tr_self(), answer, .n = i);
    }
    for (int i = 0; i < MANY_CALLS; i++) {
        answer got = {0};
        tr_scratch_mark mark = tr_scratch();
        if (TR_CALL(s, 1000, answer, &got, act, .n = i) != TR_OK || got.n != i) {
            EXPECT(!"a call failed");
        }
        tr_scratch_release(mark);
    }
    tr_process_info info;
    EXPECT(tr_process_info_of(tr_self(), false, 0, &info) == TR_OK && info.message_count == HUGE_QUEUE);
    const answer *first = TR_RECEIVE(answer, 0);
    EXPECT(first != NULL && first->n == 0);
}

/* gen_server_SUITE: stop7; elixir gen_server_test: start_link/3 with via, stop/3 */
SCENE(gen_server_call, a_server_is_called_and_stopped_by_its_key)
{
    struct tr_registry *registry = tr_registry_new("servers");
    const tr_dest by_key = tr_to_via(registry, tr_tuple(tr_atom("k"), tr_int(1)));
    const tr_start_opts via = {.registry = registry, .key = by_key.name};
    answer got = {0};
    EXPECT(start_as(puppet_server, (role){0}, &via) == TR_OK);
    EXPECT(TR_CALL(by_key, 1000, answer, &got, act, .n = 4) == TR_OK && got.n == 4);
    TR_CAST(by_key, act, .n = 5);
    EXPECT(tr_gen_server_stop(by_key, TR_ATOM(NORMAL), 1000, NULL) == TR_OK);
    EXPECT(tr_gen_server_stop(by_key, TR_ATOM(NORMAL), 1000, NULL) == TR_E_NOPROC);
    SAID("s init", "s call 4", "s cast 5", "s terminate normal");
}
