/* gen_statem: time-outs, in virtual time. */
#include "tests/runtime/probe.h"

static tr_step sets_state_timeout(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_KEEP_STATE, TR_STATE_TIMEOUT(ev_of(event)->n, ev, .name = "late"));
}

static tr_step sets_event_timeout(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_KEEP_STATE, TR_EVENT_TIMEOUT_IN(ev_of(event)->n, ev, .name = "idle"));
}

static tr_step sets_named(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_KEEP_STATE, TR_GENERIC_TIMEOUT(ev_of(event)->term, ev_of(event)->n, ev, .name = "t"));
}

static tr_step cancels_named(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_KEEP_STATE, TR_CANCEL_GENERIC(ev_of(event)->term));
}

static tr_step updates_named(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_KEEP_STATE, TR_UPDATE_GENERIC(ev_of(event)->term, ev, .name = "updated"));
}

static tr_step cancels_state_timeout(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_CANCEL(TR_EVENT_STATE_TIMEOUT));
}

static tr_step updates_state_timeout(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_UPDATE(TR_EVENT_STATE_TIMEOUT, ev, .name = "updated"));
}

/* gen_statem_SUITE: timeout_cancel_and_update */
SCENE(gen_statem_timeouts, timeout_cancel_and_update)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "set", .act = sets_state_timeout, .n = 100);
    TELL(pid, "cancel", .act = cancels_state_timeout);
    tr_sleep(200);
    TELL(pid, "set", .act = sets_state_timeout, .n = 100);
    TELL(pid, "update", .act = updates_state_timeout);
    tr_sleep(99);
    say("not yet");
    tr_sleep(10);
    TELL(pid, "at_once", .act = updates_state_timeout); /* none runs */
    tr_sleep(1);
    stops_well(pid);
    SAID("cast set in open", "cast cancel in open", "cast set in open", "cast update in open", "not yet",
         "state_timeout updated in open", "cast at_once in open", "state_timeout updated in open");
}

/* gen_statem_SUITE: generic_timers: any number, each by its name, whatever the state */
SCENE(gen_statem_timeouts, generic_timers)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "1", .act = sets_named, .n = 300, .term = tr_atom("a"));
    TELL(pid, "2", .act = sets_named, .n = 200, .term = tr_tuple(tr_atom("b"), tr_int(1)));
    TELL(pid, "3", .act = sets_named, .n = 100, .term = tr_int(1));
    TELL(pid, "4", .act = sets_named, .n = 150, .term = tr_float(1.0));
    TELL(pid, "5", .act = cancels_named, .term = tr_atom("nobody"));
    TELL(pid, "go", .act = goes, .term = tr_atom("closed"));
    tr_sleep(160);
    TELL(pid, "6", .act = sets_named, .n = 50, .term = tr_atom("a"));
    TELL(pid, "7", .act = updates_named, .term = tr_atom("a"));
    TELL(pid, "8", .act = cancels_named, .term = tr_tuple(tr_atom("b"), tr_int(1)));
    tr_sleep(1000);
    stops_well(pid);
    SAID("cast 1 in open", "cast 2 in open", "cast 3 in open", "cast 4 in open", "cast 5 in open",
         "cast go in open", "1 t in closed", "1.0 t in closed", "cast 6 in closed", "cast 7 in closed",
         "cast 8 in closed", "a updated in closed");
}

static tr_step sets_many(probe *self, const tr_event *event)
{
    enum { MANY = 500 };
    (void)self;
    tr_action *actions = tr_scratch_alloc(MANY * sizeof *actions);
    for (int i = 0; i < MANY; i++) {
        int64_t after_ms = ev_of(event)->n + (i * 7) % MANY;
        actions[i] = TR_GENERIC_TIMEOUT(tr_int(i), after_ms, ev, .name = "", .act = sets, .n = i);
    }
    return tr_step_with(TR_KEEP_STATE, MANY, actions);
}

/* Set anew each time: none of the earlier ones is left, in memory or in the wheel. */
SCENE(gen_statem_timeouts, hundreds_by_name_each_once)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    tr_node_stats stats;
    for (int i = 0; i < 10; i++) {
        TELL(pid, "", .act = sets_many, .n = 1000);
    }
    tr_sleep(1);
    tr_node_stats_get(&stats);
    EXPECT(stats.timers == 500);
    stage.said.used = 0;
    memset(stage.said.text, 0, sizeof stage.said.text);
    tr_sleep(3000);
    size_t lines = 0;
    for (const char *c = stage.said.text; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    EXPECT(lines == 500);
    stops_well(pid);
    stage.said.used = 0;
}

SCENE(gen_statem_timeouts, an_event_timeout_ends_with_any_event)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "set", .act = sets_event_timeout, .n = 100);
    tr_sleep(99);
    TELL(pid, "x");
    tr_sleep(200);
    TELL(pid, "set", .act = sets_event_timeout, .n = 100);
    tr_sleep(200);
    stops_well(pid);
    SAID("cast set in open", "cast x in open", "cast set in open", "timeout idle in open");
}

/* Its time had come, and its message was in the mailbox behind the event that changed the state. */
SCENE(gen_statem_timeouts, a_state_timeout_that_expired_is_cancelled_by_a_change)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "set", .act = sets_state_timeout, .n = 100);
    TELL(pid, "busy", .act = sleeps, .n = 90);
    TELL(pid, "busy", .act = sleeps, .n = 90);
    TELL(pid, "go", .act = goes, .term = tr_atom("closed"));
    tr_sleep(500);
    stops_well(pid);
    SAID("cast set in open", "cast busy in open", "cast busy in open", "cast go in open");
}

static tr_step sets_zeros(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_GENERIC_TIMEOUT("b", 0, ev, .name = "1"),
                   TR_STATE_TIMEOUT(0, ev, .name = "2"),
                   TR_GENERIC_TIMEOUT("a", 0, ev, .name = "3", .act = cancels_named, .term = tr_atom("c")),
                   TR_GENERIC_TIMEOUT("c", 0, ev, .name = "4"), TR_EVENT_TIMEOUT_IN(0, ev, .name = "5"),
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "inserted"));
}

/* After what was inserted, before the mailbox; the event time-out is gone by then; a cancelled one does not come. */
SCENE(gen_statem_timeouts, zero_timeouts_in_order)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "go", .act = sets_zeros);
    TELL(pid, "x");
    tr_sleep(1);
    stops_well(pid);
    SAID("cast go in open", "internal inserted in open", "b 1 in open", "state_timeout 2 in open",
         "a 3 in open", "cast x in open");
}

static tr_step sets_the_same_thrice(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_STATE_TIMEOUT(10, ev, .name = "1"), TR_CANCEL(TR_EVENT_STATE_TIMEOUT),
                   TR_STATE_TIMEOUT(50, ev, .name = "3"));
}

SCENE(gen_statem_timeouts, the_last_of_a_kind_counts)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "go", .act = sets_the_same_thrice);
    tr_sleep(100);
    stops_well(pid);
    SAID("cast go in open", "state_timeout 3 in open");
}

static tr_step sets_and_updates(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_STATE_TIMEOUT(10, ev, .name = "set"),
                   TR_UPDATE(TR_EVENT_STATE_TIMEOUT, ev, .name = "updated"));
}

/* The set is as if it had not been asked for: the one that ran before goes on, with another message. */
SCENE(gen_statem_timeouts, an_update_counts_as_the_last_of_its_kind)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "set", .act = sets_state_timeout, .n = 100);
    TELL(pid, "both", .act = sets_and_updates);
    tr_sleep(90);
    say("not yet");
    tr_sleep(20);
    stops_well(pid);
    SAID("cast set in open", "cast both in open", "not yet", "state_timeout updated in open");
}

/* Rule 24: re-arming one of 0 ms that still waits with a time of its own. OTP delivers it as a stray message then; here it
 * is an ordinary time-out. */
static tr_step rearms_a_zero(probe *self, const tr_event *event)
{
    (void)event;
    return self->n++ == 0
               ? TR_WITH(TR_KEEP_STATE, TR_GENERIC_TIMEOUT("g", 0, ev, .name = "zero"),
                         TR_NEXT_EVENT(TR_EVENT_INTERNAL, ev, .name = "rearm", .act = rearms_a_zero))
               : TR_WITH(TR_KEEP_STATE, TR_GENERIC_TIMEOUT("g", 50, ev, .name = "later"));
}

SCENE(gen_statem_timeouts, a_zero_timeout_can_be_set_anew)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "go", .act = rearms_a_zero);
    tr_sleep(100);
    stops_well(pid);
    SAID("cast go in open", "internal rearm in open", "g later in open");
}

static tr_step sets_absolute(probe *self, const tr_event *event)
{
    tr_action action = TR_STATE_TIMEOUT(tr_now_ms() + ev_of(event)->n, ev, .name = "due");
    action.absolute = true;
    (void)self;
    return TR_WITH(TR_KEEP_STATE, action);
}

SCENE(gen_statem_timeouts, an_absolute_time)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "at", .act = sets_absolute, .n = 100);
    tr_sleep(99);
    say("not yet");
    tr_sleep(10);
    TELL(pid, "past", .act = sets_absolute, .n = -5);
    tr_sleep(2);
    stops_well(pid);
    SAID("cast at in open", "not yet", "state_timeout due in open", "cast past in open",
         "state_timeout due in open");
}

static bool anything(const tr_msg *msg, void *ctx)
{
    (void)msg;
    (void)ctx;
    return true;
}

/* Waits in the middle of the callback for whatever comes, first with and then without a match function. */
static tr_step receives_anything(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    say("received %s", tr_receive(NULL, NULL, 200) == NULL ? "nothing" : "something");
    say("received %s", tr_receive(anything, NULL, 0) == NULL ? "nothing" : "something");
    return TR_KEEP_STATE;
}

/* A time-out is a message, and was swallowed by such a receive. */
SCENE(gen_statem_timeouts, a_receive_in_a_callback_does_not_take_time_outs)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "set", .act = sets_state_timeout, .n = 100);
    TELL(pid, "receive", .act = receives_anything);
    tr_sleep(500);
    stops_well(pid);
    SAID("cast set in open", "cast receive in open", "received nothing", "received nothing",
         "state_timeout late in open");
}

/* It is an event like others then: it waits, in its place. */
SCENE(gen_statem_timeouts, a_time_out_waits_while_the_machine_is_suspended)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    TELL(pid, "set", .act = sets_state_timeout, .n = 100);
    EXPECT(tr_sys_suspend(tr_to(pid), 1000) == TR_OK);
    TELL(pid, "before");
    tr_sleep(200);
    TELL(pid, "behind");
    say("resume");
    EXPECT(tr_sys_resume(tr_to(pid), 1000) == TR_OK);
    tr_sleep(1);
    stops_well(pid);
    SAID("cast set in open", "resume", "cast before in open", "state_timeout late in open",
         "cast behind in open");
}

/* A message that looks like one of OTP's time-outs is a message. */
SCENE(gen_statem_timeouts, a_strange_timer_is_an_info)
{
    tr_pid pid = a_machine(quiet_statem, (brief){0});
    (void)tr_start_timer(10, tr_to(pid), TR_MSG(ev, .name = "strange"));
    tr_sleep(20);
    stops_well(pid);
    SAID("info strange in open");
}

static tr_step enters_with_timeout(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_STATE_TIMEOUT(50, ev, .name = "of_enter"));
}

static tr_step goes_with_timeout(probe *self, const tr_event *event)
{
    (void)self;
    return TR_WITH(TR_NEXT_STATE(ev_of(event)->term), TR_STATE_TIMEOUT(10, ev, .name = "of_transition"));
}

SCENE(gen_statem_timeouts, the_enter_calls_time_out_wins)
{
    tr_pid pid = a_machine(entering_statem, (brief){.enter = enters_with_timeout});
    TELL(pid, "go", .act = goes_with_timeout, .term = tr_atom("closed"));
    tr_sleep(100);
    stops_well(pid);
    SAID("enter open in open", "cast go in open", "enter open in closed", "state_timeout of_enter in closed",
         "terminate normal in closed");
}
