/* machine.c: gen_statem callbacks that interpret scripts. */
#include "tests/conformance/runner/machine.h"

#include "tests/conformance/runner/callback.h"
#include "tests/conformance/runner/trace.h"

typedef callback_self machine;

bool machine_is(const actor *as)
{
    return value_is(as->kind, "sm");
}

outcome machine_replace_state(void *memory, tr_term expression)
{
    machine *self = memory;
    env in = {.state = tr_tuple(tr_gen_statem_state(self), self->state)};
    outcome value = eval(expression, &in);
    TRY(value);
    tr_gen_statem_set_state(self, value_item(value.value, 0));
    callback_set_state(self, value_item(value.value, 1));
    return outcome_value(value_copy(value.value));
}

/* ---- actions ---- */
static tr_event_type type_of(tr_term name)
{
    static const char *const names[] = {"call", "cast", "info", "internal", "timeout", "state_timeout"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (value_is(name, names[i])) {
            return (tr_event_type)i;
        }
    }
    return value_is(value_item(name, 0), "call") ? TR_EVENT_CALL : TR_EVENT_GENERIC_TIMEOUT;
}

static tr_action timeout_of(tr_term action)
{
    tr_term name = value_item(action, 0), ms = value_item(action, 1), content = value_item(action, 2);
    tr_action made = {.kind = TR_ACTION_TIMEOUT, .type = type_of(name), .name = value_item(name, 1)};
    made.ms = value_is_int(ms) ? tr_int_value(ms) : TR_INFINITY;
    made.kind = value_is(ms, "update") ? TR_ACTION_UPDATE : TR_ACTION_TIMEOUT;
    made.msg = value_message(content);
    tr_term option = value_item(value_item(action, 3), 0); /* the only one there is: {abs, Bool} */
    made.absolute = value_is(value_item(option, 0), "abs") && value_is(value_item(option, 1), "true");
    return made;
}

static tr_action action_of(tr_term action)
{
    tr_term tag = value_item(action, 0), first = value_item(action, 1), second = value_item(action, 2);
    size_t count = value_count(action);
    if (value_is_int(action)) {
        return (tr_action){.kind = TR_ACTION_TIMEOUT,
                           .type = TR_EVENT_TIMEOUT,
                           .ms = tr_int_value(action),
                           .msg = value_message(action)};
    }
    if (value_is(action, "hibernate")) {
        return (tr_action){.kind = TR_ACTION_HIBERNATE};
    }
    if (value_is(action, "postpone") || (value_is(tag, "postpone") && count == 2)) {
        return (tr_action){.kind = TR_ACTION_POSTPONE, .on = !value_is(first, "false"), .what = action};
    }
    if (value_is(tag, "reply") && count == 3 && tr_term_kind_of(first) == TR_TERM_REF) {
        return (tr_action){
            .kind = TR_ACTION_REPLY, .from = {tr_ref_value(first)}, .msg = value_message(second)};
    }
    if (value_is(tag, "next_event") && count == 3) {
        tr_term from = value_item(first, 1);
        tr_action made = {.kind = TR_ACTION_NEXT_EVENT, .type = type_of(first), .what = action};
        made.name = made.type == TR_EVENT_GENERIC_TIMEOUT ? from : TR_TERM_NONE_VALUE;
        made.from.ref = tr_term_kind_of(from) == TR_TERM_REF ? tr_ref_value(from) : TR_NO_REF;
        made.msg = value_message(second);
        return made;
    }
    bool times =
        value_is(tag, "timeout") || value_is(tag, "state_timeout") || value_is(value_item(tag, 0), "timeout");
    if (times && (count == 3 || count == 4 || (count == 2 && value_is(first, "cancel")))) {
        return timeout_of(action);
    }
    return (tr_action){.kind = TR_ACTION_BAD, .what = action};
}

static tr_step with_actions(tr_step step, tr_term list)
{
    tr_action actions[VALUE_ITEMS_MAX];
    if (tr_is_none(list)) {
        return step;
    }
    if (tr_term_kind_of(list) != TR_TERM_LIST) {
        actions[0] = action_of(list);
        return tr_step_with(step, 1, actions);
    }
    for (size_t i = 0; i < value_count(list); i++) {
        actions[i] = action_of(value_item(list, i));
    }
    return tr_step_with(step, value_count(list), actions);
}

/* ---- what callbacks return ---- */
static tr_step bad_return(tr_term value)
{
    return (tr_step){.kind = TR_STEP_BAD, .reason = value};
}

static tr_step decode_init(machine *self, tr_term value)
{
    tr_term tag = value_item(value, 0);
    if (value_is(tag, "ok") && value_count(value) >= 3) {
        callback_set_state(self, value_item(value, 2));
        return with_actions(TR_NEXT_STATE(value_item(value, 1)), value_item(value, 3));
    }
    if (value_is(tag, "stop")) {
        return TR_STOP_STATEM(value_item(value, 1));
    }
    return value_is(value, "ignore") ? (tr_step){.kind = TR_STEP_IGNORE} : bad_return(value);
}

static tr_step decode(machine *self, tr_term value)
{
    bool alone = tr_is_atom(value);
    tr_term tag = alone ? value : value_item(value, 0), first = value_item(value, 1);
    tr_term second = value_item(value, 2), third = value_item(value, 3);
    size_t count = alone ? 1 : value_count(value);
    bool repeats = value_is(tag, "repeat_state") || value_is(tag, "repeat_state_and_data");
    tr_step stay = repeats ? TR_REPEAT_STATE : TR_KEEP_STATE;
    if (value_is(tag, "next_state") && (count == 3 || count == 4)) {
        callback_set_state(self, second);
        return with_actions(TR_NEXT_STATE(first), third);
    }
    if ((value_is(tag, "keep_state") || value_is(tag, "repeat_state")) && (count == 2 || count == 3)) {
        callback_set_state(self, first);
        return with_actions(stay, second);
    }
    if ((value_is(tag, "keep_state_and_data") || value_is(tag, "repeat_state_and_data")) && count <= 2) {
        return with_actions(stay, first);
    }
    if (value_is(tag, "stop") && count <= 3) {
        if (count == 3) {
            callback_set_state(self, second);
        }
        return TR_STOP_STATEM(alone ? TR_ATOM(NORMAL) : first);
    }
    if (value_is(tag, "stop_and_reply") && (count == 3 || count == 4)) {
        if (count == 4) {
            callback_set_state(self, third);
        }
        return with_actions(TR_STOP_STATEM(first), second);
    }
    return bad_return(value);
}

/* ---- callbacks ---- */
static tr_step machine_init(void *memory, const void *arg)
{
    machine *self = memory;
    tr_term failure = callback_begin(self, *(actor *const *)arg);
    if (!tr_is_none(failure)) {
        return decode_init(self, failure);
    }
    trace_log("init");
    tr_term opts = self->as->opts;
    env in = {0};
    callback_set_state(self, value_get_or(opts, "state", tr_int(0)));
    tr_term otherwise = tr_tuple(TR_ATOM(OK), value_get_or(opts, "first", tr_atom("a")), self->state);
    return decode_init(self, callback_script(self, "init", &in, otherwise));
}

static tr_term type_term(const tr_event *event)
{
    static const char *const names[] = {"call",    "cast",          "info",    "internal",
                                        "timeout", "state_timeout", "timeout", "enter"};
    tr_term name = tr_atom(names[event->type]);
    return event->type == TR_EVENT_GENERIC_TIMEOUT ? tr_tuple(name, event->name) : name;
}

static bool matches(tr_term pattern, tr_term value)
{
    return value_is(pattern, "_") || tr_term_equal(pattern, value);
}

static outcome run_rules(tr_term rules, const env *in, tr_term otherwise)
{
    tr_term tag = value_is_tuple(in->message) ? value_item(in->message, 0) : in->message;
    for (size_t i = 0; i < value_count(rules); i++) {
        tr_term rule = value_item(rules, i);
        tr_term content = value_item(rule, 2);
        if (matches(value_item(rule, 0), in->machine_state) && matches(value_item(rule, 1), in->type) &&
            (matches(content, in->message) || matches(content, tag))) {
            tr_term script = tr_tuple_n(value_count(rule) - 3, tr_term_items(rule) + 3);
            return script_run(script, in, otherwise);
        }
    }
    return outcome_value(otherwise);
}

static tr_step machine_handle_event(void *memory, tr_term state, const tr_event *event)
{
    machine *self = memory;
    env in = {.state = self->state, .machine_state = state, .type = type_term(event)};
    tr_term otherwise = tr_atom("keep_state_and_data");
    in.message = event->type == TR_EVENT_ENTER  ? event->old_state
                 : event->type == TR_EVENT_INFO ? value_from_message(event->msg)
                                                : value_payload(event->msg);
    if (event->type == TR_EVENT_CALL) {
        in.from = tr_ref_term(event->from.ref);
        otherwise = tr_tuple(otherwise, tr_tuple(tr_atom("reply"), in.from, in.message));
    }
    trace_log("%s %s in %s", value_text(in.type), value_text(in.message), value_text(state));
    if (value_is_script(in.message)) {
        return decode(self, callback_returned(script_run_message(in.message, &in, otherwise)));
    }
    return decode(self, callback_returned(run_rules(value_get(self->as->opts, "on"), &in, otherwise)));
}

static void machine_terminate(void *memory, tr_term state, tr_term reason)
{
    machine *self = memory;
    trace_log("terminate %s in %s", value_text(reason), value_text(state));
    (void)callback_script(self, "terminate", &(env){.message = reason, .machine_state = state}, TR_ATOM(OK));
}

static tr_term machine_format_data(const void *memory)
{
    return value_copy(((const machine *)memory)->state);
}

/* state_functions mode: one function for each of these, as on the BEAM. */
static tr_step machine_in_state(void *memory, const tr_event *event)
{
    return machine_handle_event(memory, tr_gen_statem_state(memory), event);
}

static const tr_state_function functions[] = {{"a", machine_in_state}, {"b", machine_in_state},
                                              {"c", machine_in_state}, {"d", machine_in_state},
                                              {"e", machine_in_state}, {NULL, NULL}};

void machine_prepare(actor *as)
{
    bool by_state = value_is(value_get(as->opts, "mode"), "state_functions");
    as->machine = (tr_gen_statem){
        .name = "puppet",
        .data_bytes = sizeof(machine),
        .enter_calls = value_flag(as->opts, "enter"),
        .init = machine_init,
        .handle_event = by_state ? NULL : machine_handle_event,
        .states = by_state ? functions : NULL,
        .terminate = machine_terminate,
        .format_data = machine_format_data,
    };
}
