/* Machines that are tables of transitions: what they do, what is wrong with them. */
#include "tests/runtime/stage.h"

TR_MESSAGE_EMPTY(go);
TR_MESSAGE_EMPTY(back);
TR_MESSAGE_EMPTY(again);
TR_MESSAGE_EMPTY(wait_for_it);
TR_MESSAGE_EMPTY(leave);
TR_MESSAGE_EMPTY(who);
TR_MESSAGE(coin, { int64_t value; });
TR_MESSAGE(is, { int64_t n; });

typedef struct gate {
    int64_t coins;
    const char *first;
    bool bad_enter;
} gate;

static bool is_enough(const gate *self, const tr_event *event)
{
    return self->coins + TR_EVENT_DATA(event, coin)->value >= 10;
}

static tr_step take(gate *self, const tr_event *event)
{
    self->coins += TR_EVENT_DATA(event, coin)->value;
    say("took, %" PRId64 " now", self->coins);
    return TR_KEEP_STATE;
}

static tr_step tell(gate *self, const tr_event *event)
{
    return TR_WITH(TR_KEEP_STATE, TR_REPLY_TO(event->from, is, .n = self->coins));
}

static tr_step close_up(gate *self, const tr_event *event)
{
    say("closed by %s", event->type == TR_EVENT_STATE_TIMEOUT ? "time" : "somebody");
    self->coins = 0;
    return TR_KEEP_STATE;
}

static tr_step misbehave(gate *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_NEXT_STATE("open");
}

static tr_step give_up(gate *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_STOP_STATEM(tr_atom("gave_up"));
}

static tr_step set_alarm(gate *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_GENERIC_TIMEOUT("alarm", 30, tr_timeout_msg));
}

static tr_step hear_alarm(gate *self, const tr_event *event)
{
    (void)self;
    say("alarm in %s", tr_term_text(event->name));
    return TR_KEEP_STATE;
}

static tr_step welcome(gate *self, const tr_event *event)
{
    say("open, from %s", tr_term_text(event->old_state));
    return self->bad_enter ? TR_REPEAT_STATE : set_alarm(self, event);
}

static tr_step otherwise(gate *self, tr_term state, const tr_event *event)
{
    (void)self;
    say("otherwise in %s", tr_term_text(state));
    return event->type == TR_EVENT_CALL ? TR_WITH(TR_KEEP_STATE, TR_REPLY_TO(event->from, is, .n = -1))
                                        : TR_KEEP_STATE;
}

#define GATE_STATES                                                                                        \
    TR_TABLE_STATES(gate, {.name = "closed"}, {.name = "open", .timeout_ms = 50, .enter = TR_FN(welcome)}, \
                    {.name = "gone", .final = true})
#define GATE_ROWS                                                                                           \
    TR_TRANSITIONS(                                                                                         \
        gate,                                                                                               \
        {.from = "closed", .on = TR_ON(coin), .guard = TR_FN(is_enough), .to = "open", .act = TR_FN(take)}, \
        {.from = "closed", .on = TR_ON(coin), .act = TR_FN(take)},                                          \
        {.from = "closed", .on = TR_ON(wait_for_it), .postpone = true},                                     \
        {.from = "open", .on = TR_ON(wait_for_it), .act = TR_FN(tell)},                                     \
        {.from = "open", .on = TR_ON_STATE_TIMEOUT, .to = "closed", .act = TR_FN(close_up)},                \
        {.from = "open", .on = TR_ON_GENERIC_TIMEOUT("alarm"), .act = TR_FN(hear_alarm)},                   \
        {.from = "open", .on = TR_ON(back), .to = "closed", .act = TR_FN(close_up)},                        \
        {.from = "open", .on = TR_ON(again), .repeat = true},                                               \
        {.from = "open", .on = TR_ON(go), .to = "gone", .act = TR_FN(misbehave)},                           \
        {.from = "gone", .on = TR_ON(leave), .to = TR_END},                                                 \
        {.from = TR_ANY_STATE, .on = TR_ON(who), .act = TR_FN(tell)},                                       \
        {.from = TR_ANY_STATE, .on = TR_ON(leave), .to = "gone"},                                           \
        {.from = TR_ANY_STATE, .on = TR_ON(tr_exit_msg), .act = TR_FN(give_up)})

static tr_step gate_init(gate *self, const void *arg)
{
    *self = *(const gate *)arg;
    return self->first == NULL ? TR_KEEP_STATE : TR_NEXT_STATE(self->first);
}

static void gate_terminate(gate *self, tr_term state, tr_term reason)
{
    (void)self;
    say("end %s in %s", tr_term_text(reason), tr_term_text(state));
}

TR_STATEM_TABLE(gate, .initial = "closed", .states = GATE_STATES, .transitions = GATE_ROWS,
                .otherwise = otherwise);
TR_GEN_STATEM(gate, .table = gate_table, .init = gate_init, .terminate = gate_terminate);

typedef gate strict;
TR_STATEM_TABLE(strict, .initial = "closed", .states = GATE_STATES, .transitions = GATE_ROWS);
TR_GEN_STATEM(strict, .table = strict_table, .init = gate_init, .terminate = gate_terminate,
              .trap_exit = true);

static tr_pid a_gate(const tr_gen_statem *machine, gate g)
{
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_gen_statem_start(machine, &g, sizeof g, NULL, &started) == TR_OK);
    return started.pid;
}

static int64_t asked(tr_pid pid, tr_msg *request)
{
    tr_msg *reply = NULL;
    if (!EXPECT(tr_gen_statem_call(tr_to(pid), request, 1000, &reply, NULL) == TR_OK)) {
        return -2;
    }
    return TR_MATCH(reply, is)->n;
}

static void ends(tr_pid pid)
{
    EXPECT(tr_gen_statem_stop(tr_to(pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

/* ---- what it does ---- */

SCENE(statem_table, rows_are_tried_in_order_and_guards_decide)
{
    tr_pid pid = a_gate(gate_statem, (gate){0});
    TR_CAST(pid, coin, .value = 4);
    TR_CAST(pid, coin, .value = 6);
    EXPECT(asked(pid, TR_MSG(who)) == 10);
    TR_CAST(pid, coin, .value = 1);
    TR_CAST(pid, back);
    ends(pid);
    SAID("took, 4 now", "took, 10 now", "open, from closed", "otherwise in open", "closed by somebody",
         "end normal in closed");
}

SCENE(statem_table, a_state_has_a_time_out_and_an_enter_function)
{
    tr_pid pid = a_gate(gate_statem, (gate){0});
    TR_CAST(pid, coin, .value = 10);
    tr_sleep(25);
    TR_CAST(pid, again); /* its time begins anew */
    tr_sleep(40);
    say("still open");
    tr_sleep(15);
    ends(pid);
    SAID("took, 10 now", "open, from closed", "open, from open", "alarm in alarm", "still open",
         "closed by time", "end normal in closed");
}

SCENE(statem_table, postponed_events_come_again_after_a_change)
{
    tr_pid pid = a_gate(gate_statem, (gate){0});
    tr_ref request = tr_send_request(tr_to(pid), TR_MSG(wait_for_it));
    TR_CAST(pid, coin, .value = 11);
    tr_msg *reply = NULL;
    EXPECT(tr_receive_response(request, 1000, &reply, NULL) == TR_OK && TR_MATCH(reply, is)->n == 11);
    ends(pid);
    SAID("took, 11 now", "open, from closed", "end normal in open");
}

SCENE(statem_table, any_state_means_those_that_are_not_final_and_a_row_can_end_the_machine)
{
    tr_pid pid = a_gate(gate_statem, (gate){0});
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    EXPECT(asked(pid, TR_MSG(who)) == 0);
    TR_CAST(pid, leave);
    EXPECT(asked(pid, TR_MSG(who)) == -1);
    TR_CAST(pid, leave);
    EXPECT(tr_receive_ref(watched, 1000) != NULL);
    SAID("otherwise in gone", "end normal in gone");
    REPORTED();
}

SCENE(statem_table, init_may_choose_another_state_of_the_table)
{
    tr_pid pid = a_gate(gate_statem, (gate){.first = "open"});
    ends(pid);
    SAID("open, from open", "end normal in open");
    tr_started started;
    EXPECT(tr_gen_statem_start(gate_statem, &(gate){.first = "ajar"}, sizeof(gate), NULL, &started) ==
           TR_E_EXIT);
    TERM_IS(started.reason, "{unknown_state,ajar}");
}

static void ends_with(tr_pid pid, tr_msg *event, const char *reason)
{
    tr_ref watched = tr_monitor(tr_to(pid), NULL);
    EXPECT(tr_gen_statem_cast(tr_to(pid), event) == TR_OK);
    tr_msg *msg = tr_receive_ref(watched, 1000);
    if (EXPECT(msg != NULL)) {
        TERM_IS(TR_MATCH(msg, tr_down_msg)->reason, reason);
    }
    stage.said.used = 0;
}

SCENE(statem_table, an_act_does_not_choose_the_state)
{
    ends_with(a_gate(gate_statem, (gate){.first = "open"}), TR_MSG(go),
              "{bad_return_from_state_function,{next_state,open}}");
    ends_with(a_gate(gate_statem, (gate){.bad_enter = true}), TR_MSG(coin, .value = 10),
              "{bad_state_enter_return_from_state_function,repeat_state}");
}

SCENE(statem_table, without_otherwise_an_event_that_no_row_takes_ends_the_machine)
{
    ends_with(a_gate(strict_statem, (gate){0}), TR_MSG(back), "{unexpected_event,{cast,back}}");
}

SCENE(statem_table, an_act_can_stop_the_machine)
{
    tr_pid pid = a_gate(strict_statem, (gate){0});
    tr_exit_signal(tr_to(pid), tr_atom("bye"));
    tr_sleep(1);
    SAID("end gave_up in closed");
}

static void into_gone(void *memory, void *ctx)
{
    tr_gen_statem_set_state(memory, tr_atom(ctx));
}

SCENE(statem_table, sys_replaces_the_state_by_one_of_the_table_only)
{
    tr_pid pid = a_gate(gate_statem, (gate){0});
    tr_term state;
    char nowhere[] = "nowhere", gone[] = "gone";
    EXPECT(tr_sys_replace_state(tr_to(pid), into_gone, nowhere, 1000) == TR_E_EXIT);
    EXPECT(tr_sys_replace_state(tr_to(pid), into_gone, gone, 1000) == TR_OK);
    EXPECT(tr_sys_get_state(tr_to(pid), 1000, &state) == TR_OK);
    TERM_IS(state, "{gone,{gate,24}}");
    EXPECT(asked(pid, TR_MSG(who)) == -1);
    ends(pid);
    stage.said.used = 0;
}

/* ---- what is wrong ---- */

#define STATE(state, ...)            \
    {                                \
        .name = (state), __VA_ARGS__ \
    }
#define ROW(...)    \
    {               \
        __VA_ARGS__ \
    }
#define STATES(...) .states = TR_TABLE_STATES(gate, __VA_ARGS__)
#define ROWS(...)   .transitions = TR_TRANSITIONS(gate, __VA_ARGS__)
#define IS_WRONG(wanted, ...)                                          \
    do {                                                               \
        tr_term reason = TR_TERM_NONE_VALUE;                           \
        const tr_statem_table table = {.name = "t", __VA_ARGS__};      \
        EXPECT(tr_statem_table_check(&table, &reason) == TR_E_BADARG); \
        TERM_IS(reason, wanted);                                       \
    } while (0)

SCENE(statem_table, states_that_are_wrong)
{
    IS_WRONG("missing_states", .initial = "a");
    IS_WRONG("missing_initial", STATES(STATE("a", .final = true)));
    IS_WRONG("{unknown_initial,b}", .initial = "b", STATES(STATE("a", .final = true)));
    IS_WRONG("{duplicate_state,a}", .initial = "a",
             STATES(STATE("a", .final = true), STATE("a", .final = true)));
    IS_WRONG("{reserved_name,'*'}", .initial = "*", STATES(STATE("*", .final = true)));
    IS_WRONG("{dead_end,a}", .initial = "a", STATES(STATE("a")));
    IS_WRONG("{unreachable_state,b}", .initial = "a",
             STATES(STATE("a", .final = true), STATE("b", .final = true)));
}

SCENE(statem_table, rows_that_are_wrong)
{
    IS_WRONG("{missing_event,a}", .initial = "a", STATES(STATE("a")), ROWS(ROW(.from = "a", .to = TR_END)));
    IS_WRONG("{unknown_source,b}", .initial = "a", STATES(STATE("a")),
             ROWS(ROW(.from = "b", .on = TR_ON(go))));
    IS_WRONG("{unknown_target,{a,c}}", .initial = "a", STATES(STATE("a")),
             ROWS(ROW(.from = "a", .on = TR_ON(go), .to = "c")));
    IS_WRONG("{repeat_with_target,{a,go}}", .initial = "a", STATES(STATE("a")),
             ROWS(ROW(.from = "a", .on = TR_ON(go), .to = "a", .repeat = true)));
    IS_WRONG(
        "{final_state_is_left,{b,a}}", .initial = "a", STATES(STATE("a"), STATE("b", .final = true)),
        ROWS(ROW(.from = "a", .on = TR_ON(go), .to = "b"), ROW(.from = "b", .on = TR_ON(go), .to = "a")));
    IS_WRONG("{unhandled_timeout,a}", .initial = "a", STATES(STATE("a", .timeout_ms = 5)),
             ROWS(ROW(.from = "a", .on = TR_ON(go), .to = TR_END)));
}

SCENE(statem_table, rows_that_no_event_reaches)
{
    IS_WRONG("{duplicate_transition,{a,go}}", .initial = "a", STATES(STATE("a")),
             ROWS(ROW(.from = "a", .on = TR_ON(go), .to = TR_END), ROW(.from = "a", .on = TR_ON(go))));
    IS_WRONG("{duplicate_transition,{a,coin}}", .initial = "a", STATES(STATE("a")),
             ROWS(ROW(.from = "a", .on = TR_ON(coin), .guard = TR_FN(is_enough), .to = TR_END),
                  ROW(.from = "a", .on = TR_ON(coin), .guard = TR_FN(is_enough))));
    IS_WRONG(
        "{duplicate_transition,{a,go}}", .initial = "a", STATES(STATE("a")),
        ROWS(ROW(.from = TR_ANY_STATE, .on = TR_ON(go), .to = TR_END), ROW(.from = "a", .on = TR_ON(go))));
    IS_WRONG("{duplicate_transition,{a,x}}", .initial = "a", STATES(STATE("a")),
             ROWS(ROW(.from = "a", .on = TR_ON_GENERIC_TIMEOUT("x"), .to = TR_END),
                  ROW(.from = "a", .on = TR_ON_GENERIC_TIMEOUT("y")),
                  ROW(.from = "a", .on = TR_ON_GENERIC_TIMEOUT("x"))));
}

SCENE(statem_table, one_that_is_whole)
{
    EXPECT(tr_statem_table_check(gate_table, NULL) == TR_OK);
    EXPECT(tr_statem_table_check(strict_table, NULL) == TR_OK);
}

typedef gate broken;
TR_STATEM_TABLE(broken, .initial = "a", .states = TR_TABLE_STATES(broken, {.name = "a"}, {.name = "b"}),
                .transitions = TR_TRANSITIONS(broken, {.from = "a", .on = TR_ON(go), .to = "c"}));
TR_GEN_STATEM(broken, .table = broken_table);
typedef gate confused;
TR_GEN_STATEM(confused, .table = gate_table, .first = "open");

SCENE(statem_table, a_machine_with_a_wrong_table_does_not_start_alone_or_supervised)
{
    tr_started started;
    EXPECT(tr_gen_statem_start(broken_statem, NULL, 0, NULL, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_machine,{unknown_target,{a,c}}}");
    EXPECT(tr_gen_statem_start(confused_statem, NULL, 0, NULL, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_machine,{not_with_a_table,first}}");
    tr_child_spec spec = {.id = tr_atom("m"), .statem = broken_statem};
    tr_supervisor sup = {.name = "sup", .children = &spec, .child_count = 1};
    tr_trap_exit(true);
    EXPECT(tr_supervisor_start_link(&sup, NULL, 0, NULL, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{shutdown,{failed_to_start_child,m,{bad_machine,{unknown_target,{a,c}}}}}");
    stage.reported.used = 0;
}
