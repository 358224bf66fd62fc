/* gen_statem: starts, stops, ends. Cases named after gen_statem_SUITE are ports of its cases. */
#include "tests/runtime/probe.h"

/* What OTP's suite does with each machine that it started: all kinds of events arrive. */
static void works(tr_pid pid)
{
    ASK(pid, "a", .n = 1);
    TELL(pid, "b");
    TR_SEND(pid, ev, .name = "c");
    TELL(pid, "d", .act = goes, .term = tr_atom("closed"));
    ASK(pid, "e", .n = 2);
    SAID("call a in open", "= 1", "cast b in open", "info c in open", "cast d in open", "call e in closed",
         "= 2");
}

static void works_and_stops(tr_pid pid)
{
    works(pid);
    stops_well(pid);
    SAID("terminate normal in closed");
    EXPECT(!tr_is_alive(pid));
}

/* ---- starts ---- */

static tr_step ignores(probe *self)
{
    (void)self;
    return TR_IGNORE_STATEM;
}

static tr_step init_stops(probe *self)
{
    (void)self;
    return TR_STOP_STATEM(tr_atom("stopped"));
}

static tr_step init_crashes(probe *self)
{
    (void)self;
    tr_exit(tr_atom("crashed"));
}

static tr_step init_hangs(probe *self)
{
    (void)self;
    tr_sleep(TR_INFINITY);
    return TR_KEEP_STATE;
}

static tr_step init_returns_garbage(probe *self)
{
    (void)self;
    return TR_REPEAT_STATE;
}

/* gen_statem_SUITE: start1 */
SCENE(gen_statem, start1_anonymous)
{
    works_and_stops(a_machine(probe_statem, (brief){0}));
}

/* gen_statem_SUITE: start2 (as start1, in the other modes) */
SCENE(gen_statem, start2_with_state_functions_and_enter_calls)
{
    tr_pid pid = a_machine(by_state_statem, (brief){0});
    ASK(pid, "a", .n = 1);
    TELL(pid, "d", .act = goes, .term = tr_atom("closed"));
    ASK(pid, "e", .n = 2);
    stops_well(pid);
    SAID("enter open in open", "call a in open", "= 1", "cast d in open", "enter open in closed",
         "call e in closed", "= 2", "terminate normal in closed");
}

static tr_err start_with(brief b, tr_start_opts opts, tr_started *started)
{
    return tr_gen_statem_start(probe_statem, &b, sizeof b, &opts, started);
}

/* gen_statem_SUITE: start3, with a time limit that is kept, and one that is not */
SCENE(gen_statem, start3_with_a_time_limit)
{
    tr_started started;
    EXPECT(start_with((brief){0}, (tr_start_opts){.timeout_ms = 5}, &started) == TR_OK);
    works_and_stops(started.pid);
    EXPECT(start_with((brief){.init = init_hangs}, (tr_start_opts){.timeout_ms = 5}, &started) ==
           TR_E_TIMEOUT);
    TERM_IS(started.reason, "timeout");
}

/* gen_statem_SUITE: start4 */
SCENE(gen_statem, start4_ignored)
{
    tr_started started;
    EXPECT(start_with((brief){.init = ignores}, (tr_start_opts){0}, &started) == TR_E_IGNORE);
}

/* gen_statem_SUITE: start5, start5b; what init gives is the error, and a crash is told as it is */
SCENE(gen_statem, start5_stopped_and_start5b_failed)
{
    tr_started started;
    EXPECT(start_with((brief){.init = init_stops}, (tr_start_opts){0}, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "stopped");
    EXPECT(start_with((brief){.init = init_crashes}, (tr_start_opts){0}, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "crashed");
    EXPECT(start_with((brief){.init = init_returns_garbage}, (tr_start_opts){0}, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_return_from_init,repeat_state}");
    REPORTED("process.crashed stopped", "process.crashed crashed",
             "process.crashed {bad_return_from_init,repeat_state}");
}

/* gen_statem_SUITE: start6 */
SCENE(gen_statem, start6_linked)
{
    tr_started started;
    brief b = {0};
    EXPECT(tr_gen_statem_start_link(probe_statem, &b, sizeof b, NULL, &started) == TR_OK);
    works_and_stops(started.pid);
}

static void registered(tr_start_opts opts, bool linked)
{
    tr_started started, again;
    brief b = {0};
    tr_err (*start)(const tr_gen_statem *machine, const void *arg, size_t arg_bytes, const tr_start_opts *,
                    tr_started *) = linked ? tr_gen_statem_start_link : tr_gen_statem_start;
    EXPECT(start(probe_statem, &b, sizeof b, &opts, &started) == TR_OK);
    EXPECT(start(probe_statem, &b, sizeof b, &opts, &again) == TR_E_ALREADY_STARTED);
    EXPECT(tr_term_equal(again.reason, tr_tuple(TR_ATOM(ALREADY_STARTED), tr_pid_term(started.pid))));
    tr_dest dest = opts.registry != NULL ? tr_to_via(opts.registry, opts.key) : tr_to_name(opts.name);
    EXPECT(tr_whereis(dest) == started.pid);
    EXPECT(calls_in(dest, TR_MSG(ev, .name = "by_name", .n = 3), TR_INFINITY) == TR_OK);
    SAID("call by_name in open", "= 3");
    works_and_stops(started.pid);
    EXPECT(tr_whereis(dest) == TR_NO_PID);
}

/* gen_statem_SUITE: start9 */
SCENE(gen_statem, start9_linked_with_a_local_name)
{
    registered((tr_start_opts){.name = tr_atom("my_statem")}, true);
}

/* gen_statem_SUITE: start11 */
SCENE(gen_statem, start11_with_a_local_name)
{
    registered((tr_start_opts){.name = tr_atom("my_statem")}, false);
}

/* gen_statem_SUITE: start12 */
SCENE(gen_statem, start12_with_a_name_via_a_registry)
{
    tr_registry *registry = tr_registry_new("statems");
    registered((tr_start_opts){.registry = registry, .key = tr_tuple(tr_atom("id"), tr_int(7))}, true);
}

/* gen_statem_SUITE: loop_start_fail: a name is free again before the starter hears that the start failed */
SCENE(gen_statem, loop_start_fail_leaves_the_name_free)
{
    tr_step (*const inits[])(probe *) = {init_stops, init_crashes, ignores, init_returns_garbage, init_hangs};
    tr_trap_exit(true);
    for (size_t i = 0; i < 1000; i++) {
        tr_started started;
        brief b = {.init = inits[i % 5]};
        tr_start_opts opts = {.name = tr_atom("loop_fail"), .timeout_ms = 1};
        tr_err err = tr_gen_statem_start_link(quiet_statem, &b, sizeof b, &opts, &started);
        EXPECT(err == (b.init == ignores ? TR_E_IGNORE : b.init == init_hangs ? TR_E_TIMEOUT : TR_E_EXIT));
        EXPECT(b.init == init_hangs || tr_whereis(tr_to_name(opts.name)) == TR_NO_PID);
        tr_yield(); /* one that was killed ends */
        tr_msg *msg;
        while ((msg = tr_receive(NULL, NULL, 0)) != NULL) {
            tr_msg_drop(msg);
        }
        stage.reported.used = 0;
    }
}

SCENE(gen_statem, start_monitor_tells_the_end)
{
    tr_started started;
    brief b = {0};
    EXPECT(tr_gen_statem_start_monitor(probe_statem, &b, sizeof b, NULL, &started) == TR_OK);
    TELL(started.pid, "x", .act = stops, .term = tr_tuple(TR_ATOM(SHUTDOWN), tr_int(1)));
    says_end(started.monitor);
    SAID("cast x in open", "terminate {shutdown,1} in open", "end {shutdown,1}");
}

/* The argument is the machine's only until init was called. */
SCENE(gen_statem, the_init_argument_is_given_back)
{
    static const struct {
        brief brief;
        char bulk[100000];
    } arg;
    tr_started started;
    EXPECT(tr_gen_statem_start(quiet_statem, &arg, sizeof arg, NULL, &started) == TR_OK);
    tr_process_summary summary;
    EXPECT(tr_process_summary_of(started.pid, &summary) == TR_OK && summary.memory_bytes < 5000);
    stops_well(started.pid);
}

/* ---- machines that make no sense ---- */

static void does_not_start(tr_gen_statem machine, const char *why)
{
    tr_started started;
    machine.name = "odd";
    EXPECT(tr_gen_statem_start(&machine, NULL, 0, NULL, &started) == TR_E_EXIT);
    char wanted[128];
    snprintf(wanted, sizeof wanted, "{bad_machine,%s}", why);
    TERM_IS(started.reason, wanted);
}

SCENE(gen_statem, a_machine_that_makes_no_sense_does_not_start)
{
    const tr_state_function none[] = {{NULL, NULL}}, empty[] = {{"a", NULL}, {NULL, NULL}};
    const tr_state_function twice[] = {
        {"a", by_state_statem->states[0].call}, {"a", by_state_statem->states[0].call}, {NULL, NULL}};
    tr_step (*handle)(void *, tr_term, const tr_event *) = probe_statem->handle_event;
    does_not_start((tr_gen_statem){.first = "a"}, "missing_callback_mode");
    does_not_start((tr_gen_statem){.first = "a", .handle_event = handle, .states = twice},
                   "several_callback_modes");
    does_not_start((tr_gen_statem){.handle_event = handle}, "missing_first_state");
    does_not_start((tr_gen_statem){.first = "a", .states = none}, "missing_states");
    does_not_start((tr_gen_statem){.first = "a", .states = empty}, "{missing_function,a}");
    does_not_start((tr_gen_statem){.first = "a", .states = twice}, "{duplicate_state,a}");
    does_not_start((tr_gen_statem){.first = "b", .states = by_state_statem->states}, "{unknown_state,b}");
}

static tr_step init_goes_nowhere(probe *self)
{
    (void)self;
    return TR_NEXT_STATE("nowhere");
}

SCENE(gen_statem, a_state_without_function_is_refused_at_start_and_ends_a_machine)
{
    tr_started started;
    brief b = {.init = init_goes_nowhere};
    EXPECT(tr_gen_statem_start(by_state_statem, &b, sizeof b, NULL, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{unknown_state,nowhere}");
    tr_pid pid = a_machine(by_state_statem, (brief){0});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    TELL(pid, "x", .act = goes, .term = tr_atom("nowhere"));
    says_end(watched);
    SAID("enter open in open", "cast x in open", "terminate {unknown_state,nowhere} in open",
         "end {unknown_state,nowhere}");
}

/* ---- stops ---- */

/* gen_statem_SUITE: stop1 */
SCENE(gen_statem, stop1_normally)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    tr_term actual;
    stops_well(pid);
    EXPECT(!tr_is_alive(pid));
    EXPECT(tr_gen_statem_stop(tr_to(pid), TR_ATOM(NORMAL), TR_INFINITY, &actual) == TR_E_NOPROC);
    TERM_IS(actual, "noproc");
    SAID("terminate normal in open");
}

/* gen_statem_SUITE: stop2 */
SCENE(gen_statem, stop2_with_another_reason)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    EXPECT(tr_gen_statem_stop(tr_to(pid), tr_atom("other_reason"), TR_INFINITY, NULL) == TR_OK);
    SAID("terminate other_reason in open");
    REPORTED("gen_statem.terminated other_reason state {open,0}", "process.crashed other_reason");
}

/* gen_statem_SUITE: stop3: a stop that fails leaves the machine alive; here time is up while it is busy */
SCENE(gen_statem, stop3_that_fails)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    TELL(pid, "busy", .act = sleeps, .n = 100);
    EXPECT(tr_gen_statem_stop(tr_to(pid), TR_ATOM(NORMAL), 0, NULL) == TR_E_TIMEOUT);
    EXPECT(tr_is_alive(pid));
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
}

/* gen_statem_SUITE: stop5 */
SCENE(gen_statem, stop5_by_local_name)
{
    tr_started started;
    tr_start_opts opts = {.name = tr_atom("to_stop")};
    EXPECT(start_with((brief){0}, opts, &started) == TR_OK);
    EXPECT(tr_gen_statem_stop(tr_to_name(opts.name), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    EXPECT(tr_gen_statem_stop(tr_to_name(opts.name), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_E_NOPROC);
    EXPECT(!tr_is_alive(started.pid));
}

/* gen_statem_SUITE: stop7 */
SCENE(gen_statem, stop7_by_a_name_via_a_registry)
{
    tr_started started;
    tr_start_opts opts = {.registry = tr_registry_new("stops"), .key = tr_int(1)};
    tr_dest dest = tr_to_via(opts.registry, opts.key);
    EXPECT(start_with((brief){0}, opts, &started) == TR_OK);
    EXPECT(tr_gen_statem_stop(dest, TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    EXPECT(tr_gen_statem_stop(dest, TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_E_NOPROC);
}

/* gen_statem_SUITE: abnormal1: a call whose time is up leaves nothing behind, and the machine goes on */
SCENE(gen_statem, abnormal1_a_late_answer_is_dropped)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    EXPECT(calls_in(tr_to(pid), TR_MSG(ev, .name = "delayed", .act = sleeps, .n = 500), 100) == TR_E_TIMEOUT);
    tr_sleep(1000);
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
    ASK(pid, "next", .n = 2);
    stops_well(pid);
    SAID("call delayed in open", "! TR_E_TIMEOUT timeout", "call next in open", "= 2",
         "terminate normal in open");
}

/* gen_statem_SUITE: abnormal1dirty: a call that only stops waiting still gets its answer as a message */
SCENE(gen_statem, abnormal1dirty_a_late_answer_comes)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    tr_ref request = tr_send_request(tr_to(pid), TR_MSG(ev, .name = "delayed", .act = sleeps, .n = 500));
    tr_msg *reply = NULL;
    EXPECT(tr_wait_response(request, 100, &reply, NULL) == TR_E_TIMEOUT);
    tr_msg *msg = tr_receive(NULL, NULL, 1000);
    EXPECT(tr_check_response(msg, request, &reply, NULL) == TR_OK && TR_MATCH(reply, answer)->n == 500);
    stops_well(pid);
}

static tr_step returns_garbage(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return (tr_step){.kind = TR_STEP_BAD, .reason = tr_atom("badreturn")};
}

static tr_step acts_badly(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, (tr_action){.kind = TR_ACTION_BAD, .what = tr_atom("badaction")});
}

static void ends_by(act_fn *act, const char *reason)
{
    tr_started started;
    brief b = {0};
    tr_trap_exit(true);
    EXPECT(tr_gen_statem_start_link(probe_statem, &b, sizeof b, NULL, &started) == TR_OK);
    tr_term actual = TR_TERM_NONE_VALUE;
    tr_msg *reply;
    EXPECT(tr_gen_statem_call(tr_to(started.pid), TR_MSG(ev, .name = "x", .act = act), TR_INFINITY, &reply,
                              &actual) == TR_E_EXIT);
    TERM_IS(actual, reason);
    tr_msg *msg = tr_receive(NULL, NULL, 1000);
    if (EXPECT(TR_MATCH(msg, tr_exit_msg) != NULL)) {
        TERM_IS(TR_MATCH(msg, tr_exit_msg)->reason, reason);
    }
}

/* gen_statem_SUITE: abnormal2 */
SCENE(gen_statem, abnormal2_a_bad_return)
{
    ends_by(returns_garbage, "{bad_return_from_state_function,badreturn}");
    SAID("call x in open", "terminate {bad_return_from_state_function,badreturn} in open");
}

/* gen_statem_SUITE: abnormal3 */
SCENE(gen_statem, abnormal3_a_bad_action)
{
    ends_by(acts_badly, "{bad_action_from_state_function,badaction}");
    SAID("call x in open", "terminate {bad_action_from_state_function,badaction} in open");
}

static tr_step stops_with_shutdown(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_STOP_STATEM(TR_ATOM(SHUTDOWN));
}

/* gen_statem_SUITE: shutdown: nothing is reported */
SCENE(gen_statem, shutdown_is_no_crash)
{
    ends_by(stops_with_shutdown, "shutdown");
    REPORTED();
}

/* gen_statem_SUITE: undef_terminate1 */
SCENE(gen_statem, undef_terminate1_is_optional)
{
    stops_well(a_machine(quiet_statem, (brief){0}));
    SAID();
}

static void terminate_fails(tr_term reason)
{
    (void)reason;
    tr_exit(TR_ATOM(UNDEF));
}

/* gen_statem_SUITE: undef_terminate2: a crash in terminate is the reason of the end */
SCENE(gen_statem, undef_terminate2_that_crashes)
{
    tr_pid pid = a_machine(probe_statem, (brief){.terminate = terminate_fails});
    tr_term actual;
    EXPECT(tr_gen_statem_stop(tr_to(pid), TR_ATOM(NORMAL), TR_INFINITY, &actual) == TR_E_EXIT);
    TERM_IS(actual, "undef");
}

/* ---- a process that becomes a machine ---- */

static void becomes(const void *arg)
{
    const tr_gen_statem *machine = *(const tr_gen_statem *const *)arg;
    probe data = {.n = 5};
    EXPECT(tr_register(tr_atom("entered"), tr_self()) == TR_OK);
    tr_init_ack(TR_TERM_NONE_VALUE);
    tr_gen_statem_enter_loop(machine, &data,
                             TR_WITH(TR_NEXT_STATE("closed"), TR_STATE_TIMEOUT(50, ev, .name = "late"),
                                     TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "first")));
}

/* gen_statem_SUITE: enter_loop */
SCENE(gen_statem, enter_loop_makes_a_machine_of_a_process)
{
    tr_pid pid;
    const tr_gen_statem *machine = entering_statem;
    tr_ref watched;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &watched}, becomes, &machine, sizeof machine, &pid) == TR_OK);
    tr_sleep(10);
    SAID("enter closed in closed", "internal first in closed");
    tr_term state;
    EXPECT(tr_sys_get_state(tr_to(pid), 1000, &state) == TR_OK);
    TERM_IS(state, "{closed,5}");
    EXPECT(calls_in(tr_to_name(tr_atom("entered")), TR_MSG(ev, .name = "q", .n = 8), TR_INFINITY) == TR_OK);
    tr_sleep(100);
    for (int i = 0; i < 200; i++) { /* more than it handles without a pause for others */
        TELL(pid, "set", .act = sets, .n = i);
    }
    EXPECT(tr_sys_get_state(tr_to(pid), 1000, &state) == TR_OK);
    TERM_IS(state, "{closed,199}");
    stage.said.used = 0;
    tr_process_summary summary;
    EXPECT(tr_process_summary_of(pid, &summary) == TR_OK && strcmp(summary.behaviour, "gen_statem") == 0);
    EXPECT(tr_gen_statem_stop(tr_to(pid), tr_atom("enough"), TR_INFINITY, NULL) == TR_OK);
    says_end(watched);
    SAID("terminate enough in closed", "end enough");
    REPORTED("gen_statem.terminated enough state {closed,199}", "process.crashed enough");
}

static void becomes_guarded(const void *arg)
{
    (void)arg;
    tr_gen_statem_enter_loop(guarded_statem, NULL, TR_KEEP_STATE);
}

SCENE(gen_statem, enter_loop_knows_the_parent)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, becomes_guarded, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    tr_exit_signal(tr_to(pid), TR_ATOM(SHUTDOWN));
    tr_sleep(1);
    SAID("terminate shutdown in open");
}

static tr_step tells_itself(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    stage.said.used = 0;
    TELL(tr_self(), "on", .act = tells_itself);
    return TR_KEEP_STATE;
}

/* With a full mailbox for ever it still lets others run: one of them ends it. */
SCENE(gen_statem, enter_loop_is_fair)
{
    tr_pid pid;
    tr_ref watched;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &watched}, becomes_guarded, NULL, 0, &pid) == TR_OK);
    TELL(pid, "on", .act = tells_itself);
    tr_yield();
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    EXPECT(tr_receive_ref(watched, 1000) != NULL);
    stage.said.used = 0;
}

static void becomes_odd(const void *arg)
{
    static const tr_gen_statem odd = {.name = "odd"};
    (void)arg;
    tr_gen_statem_enter_loop(&odd, NULL, TR_KEEP_STATE);
}

SCENE(gen_statem, enter_loop_with_a_machine_that_makes_no_sense)
{
    tr_pid pid;
    tr_ref watched;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &watched}, becomes_odd, NULL, 0, &pid) == TR_OK);
    says_end(watched);
    SAID("end {bad_machine,missing_callback_mode}");
}

/* ---- requests that are not waited for ---- */

/* A collection is the caller's array: the label of a request is its place. Returns: the place of the request that this
 * message ends, or count. */
static size_t answered(tr_msg *msg, const tr_ref *requests, size_t count, tr_err *err, tr_msg **reply)
{
    tr_term reason;
    for (size_t i = 0; i < count; i++) {
        *err = tr_check_response(msg, requests[i], reply, &reason);
        if (*err != TR_E_NOT_FOUND) {
            return i;
        }
    }
    return count;
}

/* gen_statem_SUITE: send_request_check_reqid_collection: answers come in their own order, ends as errors */
SCENE(gen_statem, send_request_check_reqid_collection)
{
    tr_pid slow = a_machine(quiet_statem, (brief){0}), fast = a_machine(quiet_statem, (brief){0});
    tr_pid doomed = a_machine(quiet_statem, (brief){0});
    tr_ref requests[] = {
        tr_send_request(tr_to(slow), TR_MSG(ev, .name = "slow", .act = sleeps, .n = 300)),
        tr_send_request(tr_to(fast), TR_MSG(ev, .name = "fast", .n = 2)),
        tr_send_request(tr_to(doomed), TR_MSG(ev, .name = "end", .act = stops, .term = tr_atom("bye"))),
        tr_send_request(tr_to_name(tr_atom("nobody_here")), TR_MSG(ev, .name = "lost")),
    };
    TR_SEND(tr_self(), ev, .name = "stranger");
    tr_err errs[4] = {TR_E_NOT_FOUND, TR_E_NOT_FOUND, TR_E_NOT_FOUND, TR_E_NOT_FOUND};
    size_t strangers = 0, last = 4;
    for (size_t got = 0; got < 5; got++) {
        tr_err err = TR_E_NOT_FOUND;
        tr_msg *reply = NULL;
        tr_msg *msg = tr_receive(NULL, NULL, 1000);
        size_t place = answered(msg, requests, 4, &err, &reply);
        strangers += place == 4;
        last = place;
        if (place < 4) {
            errs[place] = err;
        }
    }
    EXPECT(strangers == 1 && last == 0);
    EXPECT(errs[0] == TR_OK && errs[1] == TR_OK && errs[2] == TR_E_EXIT && errs[3] == TR_E_NOPROC);
    stage.said.used = 0;
}

/* gen_statem_SUITE: send_request_wait_reqid_collection: what was not answered in time stays open */
SCENE(gen_statem, send_request_wait_reqid_collection)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    tr_ref requests[] = {
        tr_send_request(tr_to(pid), TR_MSG(ev, .name = "a", .act = sleeps, .n = 300)),
        tr_send_request(tr_to(pid), TR_MSG(ev, .name = "b", .n = 2)),
    };
    tr_msg *reply = NULL;
    EXPECT(tr_wait_response(requests[1], 100, &reply, NULL) == TR_E_TIMEOUT);
    EXPECT(tr_wait_response(requests[1], 1000, &reply, NULL) == TR_OK && TR_MATCH(reply, answer)->n == 2);
    EXPECT(tr_wait_response(requests[0], 1000, &reply, NULL) == TR_OK && TR_MATCH(reply, answer)->n == 300);
    stage.said.used = 0;
}

/* gen_statem_SUITE: send_request_receive_reqid_collection: what was not answered in time is given up */
SCENE(gen_statem, send_request_receive_reqid_collection)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    tr_ref requests[] = {
        tr_send_request(tr_to(pid), TR_MSG(ev, .name = "a", .act = sleeps, .n = 300)),
        tr_send_request(tr_to(pid), TR_MSG(ev, .name = "b", .n = 2)),
    };
    tr_msg *reply = NULL;
    EXPECT(tr_receive_response(requests[0], 100, &reply, NULL) == TR_E_TIMEOUT);
    EXPECT(tr_receive_response(requests[1], 1000, &reply, NULL) == TR_OK && TR_MATCH(reply, answer)->n == 2);
    tr_sleep(1000);
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
    stage.said.used = 0;
}

/* ---- links ---- */

static void sends_exit(const void *arg)
{
    tr_exit_signal(tr_to(*(const tr_pid *)arg), tr_atom("from_stranger"));
}

/* gen_server_SUITE: spec_init_local_registered_parent holds for machines, too: the parent's EXIT is no event */
SCENE(gen_statem, the_parents_exit_ends_a_machine_that_traps_and_others_are_events)
{
    tr_started started;
    brief b = {0};
    tr_trap_exit(true);
    EXPECT(tr_gen_statem_start_link(guarded_statem, &b, sizeof b, NULL, &started) == TR_OK);
    EXPECT(tr_spawn(NULL, sends_exit, &started.pid, sizeof started.pid, NULL) == TR_OK);
    tr_sleep(1);
    tr_exit_signal(tr_to(started.pid), tr_atom("from_parent"));
    tr_sleep(1);
    SAID("info tr_exit_msg in open", "terminate from_parent in open");
}

/* Not linked, its starter is a stranger. */
SCENE(gen_statem, the_exit_of_a_starter_without_link_is_an_event)
{
    tr_pid pid = a_machine(guarded_statem, (brief){0});
    tr_exit_signal(tr_to(pid), tr_atom("from_starter"));
    tr_sleep(1);
    stops_well(pid);
    SAID("info tr_exit_msg in open", "terminate normal in open");
}
