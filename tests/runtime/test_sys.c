/* sys: looking into, holding and ending a server, asked from outside of it. */
#include "tests/runtime/stage.h"

TR_MESSAGE(add, { int64_t by; });
TR_MESSAGE(total, { int64_t value; });
TR_MESSAGE(nap, { int64_t ms; });
TR_MESSAGE_EMPTY(go_on);

typedef struct adder {
    int64_t value;
} adder;

static tr_next adder_take(adder *self, const char *kind, const tr_msg *msg)
{
    if (TR_MATCH(msg, nap) != NULL) {
        tr_sleep(TR_MATCH(msg, nap)->ms);
        return TR_NOREPLY;
    }
    if (TR_MATCH(msg, add) == NULL) {
        return tr_unexpected(msg);
    }
    self->value += TR_MATCH(msg, add)->by;
    say("%s %" PRId64, kind, TR_MATCH(msg, add)->by);
    return TR_NOREPLY;
}

static tr_next adder_handle_call(adder *self, tr_from from, const tr_msg *msg)
{
    (void)adder_take(self, "call", msg);
    return TR_REPLY(from, total, .value = self->value);
}

static tr_next adder_handle_cast(adder *self, const tr_msg *msg)
{
    return adder_take(self, "cast", msg);
}

static tr_next adder_handle_info(adder *self, const tr_msg *msg)
{
    return adder_take(self, "info", msg);
}

static void adder_terminate(adder *self, tr_term reason)
{
    char text[64];
    (void)self;
    tr_term_print(reason, text, sizeof text);
    say("terminate %s", text);
}

static tr_term adder_format_state(const adder *self)
{
    TR_CHECK(self->value >= 0); /* a state that cannot be shown */
    return tr_tuple(tr_atom("adder"), tr_int(self->value), tr_string("with a string"));
}

#define ADDER_CALLBACKS                                                                                   \
    .handle_call = adder_handle_call, .handle_cast = adder_handle_cast, .handle_info = adder_handle_info, \
    .terminate = adder_terminate
typedef adder trapper; /* traps exits */
typedef adder opaque;  /* does not show its state */
TR_GEN_SERVER(adder, ADDER_CALLBACKS, .format_state = adder_format_state);
TR_GEN_SERVER(trapper, ADDER_CALLBACKS, .trap_exit = true);
TR_GEN_SERVER(opaque, ADDER_CALLBACKS);

static tr_dest start(const tr_gen_server *server)
{
    tr_started started;
    TR_CHECK(tr_gen_server_start(server, NULL, 0, NULL, &started) == TR_OK);
    return tr_to(started.pid);
}

static void says_end(tr_ref watched)
{
    char text[64];
    tr_msg *msg = tr_receive_ref(watched, 10000);
    if (EXPECT(msg != NULL)) {
        tr_term_print(TR_MATCH(msg, tr_down_msg)->reason, text, sizeof text);
        say("end %s", text);
    }
}

static void status_is(tr_dest server, const char *wanted)
{
    tr_term status = TR_TERM_NONE_VALUE;
    EXPECT(tr_sys_get_status(server, 5000, &status) == TR_OK);
    TERM_IS(status, wanted);
}

static void state_is(tr_dest server, const char *wanted)
{
    tr_term state = TR_TERM_NONE_VALUE;
    EXPECT(tr_sys_get_state(server, 5000, &state) == TR_OK);
    TERM_IS(state, wanted);
}

/* ---- state ---- */

SCENE(sys, get_state_shows_what_format_state_makes_of_it)
{
    tr_dest s = start(adder_server);
    EXPECT(TR_CAST(s, add, .by = 5) == TR_OK);
    state_is(s, "{adder,5,\"with a string\"}");
    state_is(start(opaque_server), "{opaque,8}");
}

SCENE(sys, a_crash_while_the_state_is_shown_harms_the_asker_only)
{
    tr_term state = TR_TERM_NONE_VALUE;
    tr_dest s = start(adder_server);
    EXPECT(TR_CAST(s, add, .by = -1) == TR_OK);
    EXPECT(tr_sys_get_state(s, 5000, &state) == TR_E_EXIT);
    EXPECT(tr_is_none(state));
    EXPECT(TR_CAST(s, add, .by = 3) == TR_OK);
    state_is(s, "{adder,2,\"with a string\"}");
    REPORTED();
}

static void doubles(void *self, void *ctx)
{
    adder *state = self;
    state->value *= 2;
    *(int64_t *)ctx = state->value;
}

static void crashes(void *self, void *ctx)
{
    (void)self, (void)ctx;
    tr_exit(tr_atom("boom"));
}

SCENE(sys, replace_state_runs_a_function_on_the_state)
{
    int64_t seen = 0;
    tr_dest s = start(adder_server);
    EXPECT(TR_CAST(s, add, .by = 21) == TR_OK);
    EXPECT(tr_sys_replace_state(s, doubles, &seen, 5000) == TR_OK);
    EXPECT(seen == 42);
    state_is(s, "{adder,42,\"with a string\"}");
}

SCENE(sys, a_crash_in_the_function_of_replace_state_harms_the_asker_only)
{
    tr_dest s = start(adder_server);
    EXPECT(tr_sys_replace_state(s, crashes, NULL, 5000) == TR_E_EXIT);
    state_is(s, "{adder,0,\"with a string\"}");
    REPORTED();
}

SCENE(sys, replace_state_never_runs_after_its_asker_gave_up)
{
    int64_t seen = 0;
    tr_dest s = start(adder_server);
    EXPECT(TR_CAST(s, nap, .ms = 1000) == TR_OK);
    EXPECT(tr_sys_replace_state(s, doubles, &seen, 100) == TR_E_TIMEOUT);
    seen = -1;
    tr_sleep(2000);
    EXPECT(seen == -1);
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
}

static int64_t seen_by_asker;
static void asks_for_replace(const void *arg)
{
    TR_CHECK(tr_sys_replace_state(tr_to(*(const tr_pid *)arg), doubles, &seen_by_asker, TR_INFINITY) ==
             TR_OK);
}

SCENE(sys, replace_state_never_runs_after_its_asker_died)
{
    tr_pid asker;
    tr_dest s = start(adder_server);
    seen_by_asker = -1;
    EXPECT(TR_CAST(s, nap, .ms = 1000) == TR_OK);
    EXPECT(tr_spawn(NULL, asks_for_replace, &s.pid, sizeof s.pid, &asker) == TR_OK);
    tr_sleep(10);
    tr_exit_signal(tr_to(asker), TR_ATOM(KILL));
    tr_sleep(2000);
    EXPECT(seen_by_asker == -1);
    state_is(s, "{adder,0,\"with a string\"}");
}

SCENE(sys, replace_state_of_a_server_that_ends_meanwhile_fails)
{
    tr_pid asker;
    tr_dest s = start(adder_server);
    EXPECT(TR_CAST(s, nap, .ms = 1000) == TR_OK);
    EXPECT(tr_spawn(NULL, asks_for_replace, &s.pid, sizeof s.pid, &asker) == TR_OK);
    tr_ref end = tr_monitor(tr_to(asker), NULL);
    tr_sleep(10);
    tr_exit_signal(s, TR_ATOM(KILL));
    tr_msg *msg = tr_receive_ref(end, 1000);
    EXPECT(msg != NULL && tr_is_tagged(TR_MATCH(msg, tr_down_msg)->reason, "check_failed", 4));
}

/* ---- suspension ---- */

SCENE(sys, a_suspended_server_keeps_its_queue_in_order_and_handles_it_after_resume)
{
    tr_dest s = start(adder_server);
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    TR_CAST(s, add, .by = 1);
    TR_SEND(s, add, .by = 2);
    TR_CAST(s, add, .by = 3);
    state_is(s, "{adder,0,\"with a string\"}");
    SAID();
    EXPECT(tr_sys_resume(s, 5000) == TR_OK);
    tr_sleep(1);
    SAID("cast 1", "info 2", "cast 3");
}

SCENE(sys, suspending_twice_is_one_suspension)
{
    tr_dest s = start(adder_server);
    status_is(s, "running");
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    status_is(s, "suspended");
    TR_CAST(s, add, .by = 1);
    EXPECT(tr_sys_resume(s, 5000) == TR_OK);
    EXPECT(tr_sys_resume(s, 5000) == TR_OK);
    status_is(s, "running");
    SAID("cast 1");
}

SCENE(sys, process_lists_show_who_is_suspended)
{
    tr_process_summary summary;
    tr_dest s = start(adder_server);
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_process_summary_of(s.pid, &summary) == TR_OK && summary.status == TR_STATUS_SUSPENDED);
    EXPECT(tr_sys_resume(s, 5000) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_process_summary_of(s.pid, &summary) == TR_OK && summary.status == TR_STATUS_WAITING);
}

static void calls_add(const void *arg)
{
    total got;
    tr_err err = TR_CALL(*(const tr_pid *)arg, TR_INFINITY, total, &got, add, .by = 7);
    say("%s", tr_err_name(err));
}

SCENE(sys, a_call_to_a_suspended_server_waits_for_resume)
{
    tr_pid pid;
    tr_dest s = start(adder_server);
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    EXPECT(tr_spawn(NULL, calls_add, &s.pid, sizeof s.pid, &pid) == TR_OK);
    tr_sleep(1000);
    SAID();
    EXPECT(tr_sys_resume(s, 5000) == TR_OK);
    tr_sleep(1);
    SAID("call 7", "TR_OK");
}

static tr_dest linked;
static void links_and_ends(const void *arg)
{
    (void)arg;
    tr_started started;
    TR_CHECK(tr_gen_server_start_link(trapper_server, NULL, 0, NULL, &started) == TR_OK);
    linked = tr_to(started.pid);
    tr_sleep(100);
    tr_exit(tr_atom("gone"));
}

SCENE(sys, the_parents_exit_ends_a_suspended_server_through_terminate)
{
    tr_pid parent;
    EXPECT(tr_spawn(NULL, links_and_ends, NULL, 0, &parent) == TR_OK);
    tr_sleep(10);
    tr_ref end = tr_monitor(linked, NULL);
    EXPECT(tr_sys_suspend(linked, 5000) == TR_OK);
    TR_CAST(linked, add, .by = 1);
    tr_exit_signal(linked, tr_atom("stranger")); /* of anyone else: waits for resume */
    tr_sleep(50);
    SAID();
    says_end(end);
    SAID("terminate gone", "end gone");
}

SCENE(sys, a_suspended_server_can_be_killed)
{
    tr_dest s = start(adder_server);
    tr_ref end = tr_monitor(s, NULL);
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    TR_CAST(s, add, .by = 1);
    tr_exit_signal(s, TR_ATOM(KILL));
    says_end(end);
    SAID("end killed");
}

/* ---- ending ---- */

SCENE(sys, terminate_waits_behind_queued_messages_and_is_answered_before_the_end)
{
    tr_dest s = start(adder_server);
    tr_ref end = tr_monitor(s, NULL);
    TR_CAST(s, add, .by = 1);
    TR_CAST(s, add, .by = 2);
    EXPECT(tr_sys_terminate(s, tr_tuple(tr_atom("my"), tr_string("reason")), 5000) == TR_OK);
    says_end(end);
    SAID("cast 1", "cast 2", "terminate {my,\"reason\"}", "end {my,\"reason\"}");
}

SCENE(sys, terminate_works_while_suspended_and_drops_the_queue)
{
    tr_dest s = start(adder_server);
    tr_ref end = tr_monitor(s, NULL);
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    TR_CAST(s, add, .by = 1);
    EXPECT(tr_sys_terminate(s, tr_atom("bye"), 5000) == TR_OK);
    says_end(end);
    SAID("terminate bye", "end bye");
}

SCENE(sys, stop_works_while_suspended)
{
    tr_dest s = start(adder_server);
    EXPECT(tr_sys_suspend(s, 5000) == TR_OK);
    EXPECT(tr_gen_server_stop(s, TR_ATOM(SHUTDOWN), 5000, NULL) == TR_OK);
    SAID("terminate shutdown");
}

/* ---- errors ---- */

SCENE(sys, requests_to_nobody_are_noproc_and_to_oneself_refused)
{
    tr_term term;
    tr_sys_statistics statistics;
    tr_dest nobody = tr_to_name(tr_atom("none"));
    EXPECT(tr_sys_get_state(nobody, 5000, &term) == TR_E_NOPROC);
    EXPECT(tr_sys_get_status(nobody, 5000, &term) == TR_E_NOPROC);
    EXPECT(tr_sys_suspend(nobody, 5000) == TR_E_NOPROC);
    EXPECT(tr_sys_resume(nobody, 5000) == TR_E_NOPROC);
    EXPECT(tr_sys_terminate(nobody, TR_ATOM(NORMAL), 5000) == TR_E_NOPROC);
    EXPECT(tr_sys_statistics_get(nobody, 5000, &statistics) == TR_E_NOPROC);
    EXPECT(tr_sys_replace_state(nobody, doubles, &(int64_t){0}, 5000) == TR_E_NOPROC);
    EXPECT(tr_sys_suspend(tr_to(tr_self()), 5000) == TR_E_CALLING_SELF);
    EXPECT(tr_sys_replace_state(tr_to(tr_self()), doubles, &(int64_t){0}, 5000) == TR_E_CALLING_SELF);
}

static void waits(const void *arg)
{
    (void)arg;
    TR_RECEIVE(go_on, TR_INFINITY);
    EXPECT(tr_receive(NULL, NULL, 0) == NULL); /* it never saw the request */
}

SCENE(sys, a_plain_process_does_not_answer)
{
    tr_pid pid;
    tr_term status;
    EXPECT(tr_spawn(NULL, waits, NULL, 0, &pid) == TR_OK);
    EXPECT(tr_sys_get_status(tr_to(pid), 5000, &status) == TR_E_TIMEOUT);
    EXPECT(tr_is_alive(pid));
    TR_SEND(pid, go_on);
    tr_sleep(1);
    EXPECT(tr_sys_get_status(tr_to(pid), 5000, &status) == TR_E_NOPROC);
}

/* ---- statistics ---- */

SCENE(sys, statistics_count_messages_in_and_replies_out_while_on)
{
    total got;
    tr_sys_statistics statistics = {0};
    tr_dest s = start(adder_server);
    int64_t begin = tr_now_ms();
    EXPECT(tr_sys_statistics_get(s, 5000, &statistics) == TR_E_STATE);
    TR_CAST(s, add, .by = 1);
    EXPECT(tr_sys_statistics_on(s, true, 5000) == TR_OK);
    TR_CAST(s, add, .by = 2);
    TR_SEND(s, add, .by = 3);
    EXPECT(TR_CALL(s, 5000, total, &got, add, .by = 4) == TR_OK);
    EXPECT(tr_sys_statistics_on(s, true, 5000) == TR_OK); /* on already: they go on */
    tr_sleep(50);
    EXPECT(tr_sys_statistics_get(s, 5000, &statistics) == TR_OK);
    EXPECT(statistics.messages_in == 3);
    EXPECT(statistics.messages_out == 1);
    EXPECT(statistics.reductions >= 3);
    EXPECT(statistics.start_ms == begin && statistics.now_ms == begin + 50);
    EXPECT(tr_sys_statistics_on(s, false, 5000) == TR_OK);
    EXPECT(tr_sys_statistics_on(s, false, 5000) == TR_OK);
    EXPECT(tr_sys_statistics_get(s, 5000, &statistics) == TR_E_STATE);
}
