/* gen_statem: transitions, the order of events, postponing, enter calls, supervisors, sys, reports. */
#include "tests/runtime/probe.h"

/* ---- order ---- */

static tr_step inserts_two(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_NEXT_STATE(ev_of(event)->term), TR_POSTPONE,
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "inserted_1"),
                   TR_NEXT_EVENT(TR_EVENT_CAST, ev, .name = "inserted_2"));
}

/* Postponed until the machine is in a state that is not open. */
static tr_step waits_for_a_change(probe *self, const tr_event *event)
{
    return tr_same(tr_gen_statem_state(self), tr_atom("open")) ? postpones(self, event) : TR_KEEP_STATE;
}

static tr_step once(probe *self, const tr_event *event)
{
    return self->n++ == 0 ? inserts_two(self, event) : TR_KEEP_STATE;
}

/* gen_statem_SUITE: event_order: inserted ones, then postponed ones (this one last), then the queue, then the mailbox */
SCENE(gen_statem_events, event_order)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    TELL(pid, "a", .act = waits_for_a_change);
    TELL(pid, "b", .act = waits_for_a_change);
    TELL(pid, "change", .act = once, .term = tr_atom("closed"));
    TELL(pid, "c");
    stops_well(pid);
    SAID("cast a in open", "cast b in open", "cast change in open", "internal inserted_1 in closed",
         "cast inserted_2 in closed", "cast a in closed", "cast b in closed", "cast change in closed",
         "cast c in closed", "terminate normal in closed");
}

/* What waits inside stays behind what is inserted or retried. */
static tr_step inserts_chain(probe *self, const tr_event *event)
{
    (void)event;
    return self->n++ == 0
               ? TR_WITH(TR_KEEP_STATE,
                         TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "x", .act = inserts_chain),
                         TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "y"))
               : TR_WITH(TR_NEXT_STATE("closed"), TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "x_1"));
}

SCENE(gen_statem_events, inserted_events_of_an_inserted_event_come_before_its_siblings)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    TELL(pid, "p", .act = waits_for_a_change);
    TELL(pid, "go", .act = inserts_chain);
    stops_well(pid);
    SAID("cast p in open", "cast go in open", "internal x in open", "internal x_1 in closed",
         "cast p in closed", "internal y in closed", "terminate normal in closed");
}

/* Nothing is retried by a transition to the same state, or by repeat. */
static tr_step repeats(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_REPEAT_STATE;
}

SCENE(gen_statem_events, only_a_change_retries)
{
    tr_pid pid = a_machine(entering_statem, (brief){0});
    TELL(pid, "p", .act = waits_for_a_change);
    TELL(pid, "same", .act = goes, .term = tr_atom("open"));
    TELL(pid, "again", .act = repeats);
    TELL(pid, "change", .act = goes, .term = tr_int(1));
    TELL(pid, "change", .act = goes, .term = tr_float(1.0));
    stops_well(pid);
    SAID("enter open in open", "cast p in open", "cast same in open", "cast again in open",
         "enter open in open", "cast change in open", "enter open in 1", "cast p in 1", "cast change in 1",
         "enter 1 in 1.0", "terminate normal in 1.0");
}

static tr_step unpostpones(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_POSTPONE, (tr_action){.kind = TR_ACTION_POSTPONE, .on = false});
}

SCENE(gen_statem_events, the_last_postpone_counts)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    TELL(pid, "p", .act = unpostpones);
    TELL(pid, "change", .act = goes, .term = tr_atom("closed"));
    stops_well(pid);
    SAID("cast p in open", "cast change in open", "terminate normal in closed");
}

static tr_step postpones_n(probe *self, const tr_event *event)
{
    self->n++;
    return waits_for_a_change(self, event);
}

static tr_step inserts_many(probe *self, const tr_event *event)
{
    enum { MANY = 20000 };
    (void)self;
    (void)event;
    tr_action *actions = tr_scratch_alloc(MANY * sizeof *actions);
    for (int i = 0; i < MANY; i++) {
        actions[i] = TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "", .act = sets, .n = i + 1);
    }
    return tr_step_with(TR_NEXT_STATE("closed"), MANY, actions);
}

/* Were a list walked for each, this would take minutes. */
SCENE(gen_statem_events, twenty_thousand_wait_in_order)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    for (int i = 0; i < 20000; i++) {
        TELL(pid, "", .act = postpones_n);
        stage.said.used = 0;
    }
    TELL(pid, "", .act = inserts_many);
    ASK(pid, "", .n = 1);
    tr_term state;
    EXPECT(tr_sys_get_state(tr_to(pid), 5000, &state) == TR_OK);
    TERM_IS(state, "{closed,40000}"); /* the last inserted set 20000, and the postponed counted on */
    stops_well(pid);
    stage.said.used = 0;
}

/* ---- types ---- */

static tr_step inserts_all_types(probe *self, const tr_event *event)
{
    (void)self;
    tr_action named = TR_NEXT_EVENT(TR_EVENT_GENERIC_TIMEOUT, ev, .name = "6");
    tr_action call = TR_NEXT_EVENT(TR_EVENT_CALL, ev, .name = "1", .n = 77);
    named.name = tr_atom("idle");
    call.from = event->from;
    return TR_WITH(TR_KEEP_STATE, call, TR_NEXT_EVENT(TR_EVENT_CAST, ev, .name = "2"),
                   TR_NEXT_EVENT(TR_EVENT_INFO, ev, .name = "3"),
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "4"),
                   TR_NEXT_EVENT(TR_EVENT_TIMEOUT, ev, .name = "5"), named,
                   TR_NEXT_EVENT(TR_EVENT_STATE_TIMEOUT, ev, .name = "7"));
}

/* gen_statem_SUITE: event_types */
SCENE(gen_statem_events, event_types)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    ASK(pid, "go", .act = inserts_all_types);
    stops_well(pid);
    SAID("call go in open", "call 1 in open", "cast 2 in open", "info 3 in open", "internal 4 in open",
         "timeout 5 in open", "idle 6 in open", "state_timeout 7 in open", "= 77",
         "terminate normal in open");
}

/* ---- replies ---- */

static tr_step keeps_from(probe *self, const tr_event *event)
{
    self->kept = event->from;
    return TR_KEEP_STATE;
}

static tr_step stops_and_replies(probe *self, const tr_event *event)
{
    return TR_WITH(TR_STOP_STATEM(tr_atom("done")), TR_REPLY_TO(self->kept, answer, .n = 1),
                   TR_REPLY_TO(event->from, answer, .n = 2));
}

static void terminate_takes_a_second(tr_term reason)
{
    (void)reason;
    tr_sleep(1000);
    say("terminated");
}

/* gen_statem_SUITE: stop_and_reply: the replies come first, then terminate, then the end */
SCENE(gen_statem_events, stop_and_reply)
{
    tr_pid pid = a_machine(probe_statem, (brief){.terminate = terminate_takes_a_second});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    tr_ref first = tr_send_request(tr_to(pid), TR_MSG(ev, .name = "first", .act = keeps_from));
    tr_ref second = tr_send_request(tr_to(pid), TR_MSG(ev, .name = "second", .act = stops_and_replies));
    says_response(first);
    says_response(second);
    says_end(watched);
    SAID("call first in open", "call second in open", "terminate done in open", "= 1", "= 2", "terminated",
         "end done");
}

static tr_step stops_with_other_actions(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_STOP_STATEM(TR_ATOM(NORMAL)), TR_REPLY_TO(event->from, answer, .n = 1), TR_POSTPONE);
}

SCENE(gen_statem_events, a_stop_takes_replies_only_and_tells_which_action_was_wrong)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    ASK(pid, "x", .act = stops_with_other_actions);
    says_end(watched);
    SAID("call x in open", "terminate {bad_reply_action_from_state_function,postpone} in open", "= 1",
         "end {bad_reply_action_from_state_function,postpone}");
}

/* ---- enter calls ---- */

static tr_step enters_with_reply(probe *self, const tr_event *event)
{
    (void)event;
    if (self->kept.ref.id == 0) {
        return TR_KEEP_STATE;
    }
    self->n++;
    tr_action reply = TR_REPLY_TO(self->kept, answer, .n = self->n);
    self->kept = (tr_from){TR_NO_REF};
    return TR_WITH(TR_KEEP_STATE, reply);
}

static tr_step keeps_from_and_goes(probe *self, const tr_event *event)
{
    self->kept = event->from;
    return TR_NEXT_STATE("closed");
}

/* gen_statem_SUITE: state_enter: at start, after a change, not when the state stays; its actions are carried out */
SCENE(gen_statem_events, state_enter)
{
    tr_pid pid = a_machine(entering_statem, (brief){.enter = enters_with_reply});
    ASK(pid, "stay", .n = 9);
    ASK(pid, "go", .act = keeps_from_and_goes);
    TELL(pid, "again", .act = repeats);
    stops_well(pid);
    SAID("enter open in open", "call stay in open", "= 9", "call go in open", "enter open in closed", "= 1",
         "cast again in closed", "enter closed in closed", "terminate normal in closed");
}

static tr_step repeats_thrice(probe *self, const tr_event *event)
{
    (void)event;
    return self->n++ < 2 ? TR_REPEAT_STATE : TR_KEEP_STATE;
}

SCENE(gen_statem_events, an_enter_call_may_repeat_itself)
{
    tr_pid pid = a_machine(entering_statem, (brief){.enter = repeats_thrice});
    stops_well(pid);
    SAID("enter open in open", "enter open in open", "enter open in open", "terminate normal in open");
}

static tr_step enters_by_going(probe *self, const tr_event *event)
{
    (void)event;
    return self->n++ == 0 ? TR_KEEP_STATE : TR_NEXT_STATE("elsewhere");
}

static tr_step enters_by_inserting(probe *self, const tr_event *event)
{
    (void)event;
    return self->n++ == 0 ? TR_KEEP_STATE
                          : TR_WITH(TR_KEEP_STATE, TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "x"));
}

static tr_step enters_by_postponing(probe *self, const tr_event *event)
{
    (void)event;
    return self->n++ == 0 ? TR_KEEP_STATE : TR_WITH(TR_KEEP_STATE, TR_POSTPONE);
}

static void entering_ends(act_fn *enter, const char *end)
{
    tr_pid pid = a_machine(entering_statem, (brief){.enter = enter});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    TELL(pid, "go", .act = goes, .term = tr_atom("closed"));
    tr_sleep(1);
    stage.said.used = 0;
    says_end(watched);
    SAID(end);
}

SCENE(gen_statem_events, what_an_enter_call_may_not_do)
{
    entering_ends(enters_by_going, "end {bad_state_enter_return_from_state_function,{next_state,elsewhere}}");
    entering_ends(enters_by_inserting,
                  "end {bad_state_enter_action_from_state_function,{next_event,internal,ev}}");
    entering_ends(enters_by_postponing, "end {bad_state_enter_action_from_state_function,postpone}");
}

/* ---- what a crash leaves ---- */

static tr_step makes_actions_and_crashes(probe *self, const tr_event *event)
{
    tr_step step =
        TR_WITH(TR_KEEP_STATE, TR_REPLY_TO(event->from, answer, .n = 1),
                TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "x", .term = tr_string("some bytes")),
                TR_GENERIC_TIMEOUT("g", 100, ev, .name = "y"), TR_UPDATE_GENERIC("g", ev, .name = "z"));
    (void)self;
    TR_CHECK(step.count == 0);
    return step;
}

/* The scene fails when a message of an action is not freed. */
SCENE(gen_statem_events, a_crash_between_making_and_handing_over_frees_the_messages)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    for (int i = 0; i < 3; i++) {
        TELL(pid, "p", .act = postpones);
    }
    tr_ref request = tr_send_request(tr_to(pid), TR_MSG(ev, .name = "x", .act = makes_actions_and_crashes));
    says_response(request);
    stage.said.used = 0;
}

/* A bad action in the middle: those before it were handed over, those behind not. */
static tr_step acts_badly_in_the_middle(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "x"),
                   TR_STATE_TIMEOUT(100, ev, .name = "y"), (tr_action){.kind = TR_ACTION_NEXT_EVENT},
                   TR_STATE_TIMEOUT(100, ev, .name = "z"));
}

SCENE(gen_statem_events, a_bad_action_in_the_middle_frees_all)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    TELL(pid, "x", .act = acts_badly_in_the_middle);
    says_end(watched);
    SAID("cast x in open", "end {bad_action_from_state_function,{next_event,call,undefined}}");
}

static tr_step inserts_itself(probe *self, const tr_event *event)
{
    (void)event;
    self->n++;
    return TR_WITH(TR_KEEP_STATE, TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "", .act = inserts_itself));
}

static void kills_later(const void *arg)
{
    tr_exit_signal(tr_to(*(const tr_pid *)arg), TR_ATOM(KILL));
}

/* A machine that never looks at its mailbox again can still be killed. */
SCENE(gen_statem_events, a_machine_that_feeds_itself_can_be_killed)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0}), killer;
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    TELL(pid, "", .act = inserts_itself);
    EXPECT(tr_spawn(NULL, kills_later, &pid, sizeof pid, &killer) == TR_OK);
    tr_msg *msg = tr_receive_ref(watched, 1000);
    EXPECT(msg != NULL);
    stage.said.used = 0;
}

/* ---- reports, sys ---- */

/* gen_statem_SUITE: error_format_status */
SCENE(gen_statem_events, error_format_status)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    tr_ref request = tr_send_request(tr_to(pid), TR_MSG(ev, .name = "p", .act = postpones));
    TELL(pid, "set", .act = sets, .n = 5);
    TELL(pid, "x", .act = crashes, .term = tr_atom("crashed"));
    says_response(request);
    SAID("call p in open", "cast set in open", "cast x in open", "terminate crashed in open",
         "! TR_E_EXIT crashed");
    REPORTED("gen_statem.terminated crashed last ev state {open,5} queue [{cast,ev}] postponed [{call,ev}]",
             "process.crashed crashed");
}

static tr_step sets_timers_and_inserts(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE,
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "x", .act = crashes, .term = tr_int(1)),
                   TR_NEXT_EVENT(TR_EVENT_CAST, answer, .n = 1), TR_STATE_TIMEOUT(1000, ev, .name = "s"),
                   TR_GENERIC_TIMEOUT("g", 1000, answer, .n = 1));
}

SCENE(gen_statem_events, a_report_shows_what_waited_and_what_ran)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    TELL(pid, "go", .act = sets_timers_and_inserts);
    says_end(watched);
    stage.said.used = 0;
    REPORTED("gen_statem.terminated 1 last ev state {open,0} queue [{internal,ev},{cast,answer}] "
             "timeouts [{state_timeout,ev},{{timeout,g},answer}]",
             "process.crashed 1");
}

static void terminate_fails(tr_term reason)
{
    (void)reason;
    tr_exit(tr_atom("in_terminate"));
}

/* gen_statem_SUITE: terminate_crash_format */
SCENE(gen_statem_events, terminate_crash_format)
{
    tr_pid pid = a_machine(probe_statem, (brief){.terminate = terminate_fails});
    tr_term actual;
    EXPECT(tr_gen_statem_stop(tr_to(pid), TR_ATOM(NORMAL), TR_INFINITY, &actual) == TR_E_EXIT);
    TERM_IS(actual, "in_terminate");
    REPORTED("gen_statem.terminated in_terminate state {open,0}", "process.crashed in_terminate");
}

SCENE(gen_statem_events, a_crash_in_format_harms_nobody)
{
    tr_pid pid = a_machine(quiet_statem, (brief){.format_crashes = true});
    tr_term state;
    EXPECT(tr_sys_get_state(tr_to(pid), 1000, &state) == TR_E_EXIT);
    EXPECT(tr_gen_statem_stop(tr_to(pid), tr_atom("why"), TR_INFINITY, NULL) == TR_OK);
    REPORTED("gen_statem.terminated why state {open,{format_data_crashed,cannot_format}}",
             "process.crashed why");
}

/* gen_statem_SUITE: get_state, call_format_status: what format_data makes of the data is what is shown */
SCENE(gen_statem_events, get_state_and_call_format_status)
{
    tr_pid pid = a_machine(probe_statem, (brief){0});
    tr_term state, status;
    TELL(pid, "set", .act = sets, .n = 42);
    EXPECT(tr_sys_get_state(tr_to(pid), 1000, &state) == TR_OK);
    TERM_IS(state, "{open,42}");
    EXPECT(tr_sys_suspend(tr_to(pid), 1000) == TR_OK);
    EXPECT(tr_sys_get_status(tr_to(pid), 1000, &status) == TR_OK);
    TERM_IS(status, "suspended");
    EXPECT(tr_sys_get_state(tr_to(pid), 1000, &state) == TR_OK);
    TERM_IS(state, "{open,42}");
    EXPECT(tr_sys_resume(tr_to(pid), 1000) == TR_OK);
    stops_well(pid);
    stage.said.used = 0;
}

static void replaces(void *memory, void *ctx)
{
    probe *self = memory;
    self->n += 1;
    tr_gen_statem_set_state(self, *(const tr_term *)ctx);
}

static void replaces_and_crashes(void *memory, void *ctx)
{
    (void)memory;
    (void)ctx;
    tr_exit(tr_atom("fail"));
}

/* gen_statem_SUITE: replace_state: no enter call, nothing is retried; a crash in the function harms nobody */
SCENE(gen_statem_events, replace_state)
{
    tr_pid pid = a_machine(entering_statem, (brief){0});
    tr_term closed = tr_tuple(tr_atom("closed"), tr_int(1)), state;
    TELL(pid, "p", .act = waits_for_a_change);
    EXPECT(tr_sys_replace_state(tr_to(pid), replaces, &closed, 1000) == TR_OK);
    EXPECT(tr_sys_replace_state(tr_to(pid), replaces_and_crashes, NULL, 1000) == TR_E_EXIT);
    EXPECT(tr_sys_get_state(tr_to(pid), 1000, &state) == TR_OK);
    TERM_IS(state, "{{closed,1},1}");
    ASK(pid, "q", .n = 3);
    stops_well(pid);
    SAID("enter open in open", "cast p in open", "call q in {closed,1}", "= 3",
         "terminate normal in {closed,1}");
}

SCENE(gen_statem_events, replace_state_refuses_a_state_without_function)
{
    tr_pid pid = a_machine(by_state_statem, (brief){0});
    tr_term nowhere = tr_atom("nowhere"), done = tr_atom("done");
    EXPECT(tr_sys_replace_state(tr_to(pid), replaces, &nowhere, 1000) == TR_E_EXIT);
    EXPECT(tr_sys_replace_state(tr_to(pid), replaces, &done, 1000) == TR_OK);
    ASK(pid, "q", .n = 3);
    stops_well(pid);
    SAID("enter open in open", "call q in done", "= 3", "terminate normal in done");
}

static tr_step hibernates(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_HIBERNATE);
}

/* gen_statem_SUITE: hibernate: a machine that waits holds no stack anyway; the action is allowed wherever OTP allows it */
SCENE(gen_statem_events, hibernate)
{
    tr_pid pid = a_machine(entering_statem, (brief){.enter = hibernates});
    TELL(pid, "x", .act = hibernates);
    tr_sleep(10);
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    EXPECT(stats.stacks - stats.stacks_free <= 1); /* the scene's own */
    ASK(pid, "q", .n = 1);
    stops_well(pid);
    SAID("enter open in open", "cast x in open", "call q in open", "= 1", "terminate normal in open");
}

SCENE(gen_statem_events, statistics_count_events_and_replies)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    tr_sys_statistics counted;
    EXPECT(tr_sys_statistics_on(tr_to(pid), true, 1000) == TR_OK);
    ASK(pid, "a");
    TELL(pid, "b");
    TR_SEND(pid, ev, .name = "c");
    EXPECT(tr_sys_statistics_get(tr_to(pid), 1000, &counted) == TR_OK);
    EXPECT(counted.messages_in == 3 && counted.messages_out == 1);
    stops_well(pid);
    stage.said.used = 0;
}

/* An event that the machine does not know, told as a bug. */
static tr_step unknown(probe *self, const tr_event *event)
{
    (void)self;
    return tr_unexpected_event(event);
}

SCENE(gen_statem_events, an_unexpected_event_ends_the_machine)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    TELL(pid, "x", .act = unknown);
    says_end(watched);
    SAID("cast x in open", "end {unexpected_event,{cast,ev}}");
}

/* ---- as a child ---- */

SCENE(gen_statem_events, a_supervisor_starts_restarts_and_stops_machines)
{
    brief b = {0};
    tr_child_spec spec = {.id = tr_atom("m"),
                          .statem = guarded_statem,
                          .arg = &b,
                          .arg_bytes = sizeof b,
                          .start = {.name = tr_atom("child")}};
    tr_supervisor sup = {.name = "sup", .children = &spec, .child_count = 1};
    tr_dest child = tr_to_name(tr_atom("child"));
    tr_started started;
    tr_trap_exit(true);
    EXPECT(tr_supervisor_start_link(&sup, NULL, 0, NULL, &started) == TR_OK);
    tr_pid first = tr_whereis(child);
    TELL(child, "x", .act = crashes, .term = tr_atom("boom"));
    tr_sleep(1);
    EXPECT(tr_whereis(child) != first && tr_whereis(child) != TR_NO_PID);
    EXPECT(calls_in(child, TR_MSG(ev, .name = "q", .n = 1), TR_INFINITY) == TR_OK);
    tr_ref watched = tr_monitor(child, NULL);
    EXPECT(tr_supervisor_terminate_child(tr_to(started.pid), spec.id).err == TR_OK);
    says_end(watched);
    tr_exit_signal(tr_to(started.pid), TR_ATOM(SHUTDOWN));
    SAID("cast x in open", "terminate boom in open", "call q in open", "= 1", "terminate shutdown in open",
         "end shutdown");
}

SCENE(gen_statem_events, a_child_spec_is_a_server_or_a_machine)
{
    tr_term reason;
    tr_child_spec spec = {.id = tr_atom("m"), .statem = guarded_statem, .main = kills_later};
    EXPECT(tr_supervisor_check_childspecs(&spec, 1, &reason) == TR_E_BADARG);
    TERM_IS(reason, "{invalid_mfa,[gen_statem,process]}");
}
