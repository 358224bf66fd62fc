/* What a callback asked for. */
#include <string.h>

#include "runtime/core/message.h"
#include "runtime/otp/statem.h"

tr_step tr_step_with(tr_step step, size_t count, const tr_action *actions)
{
    size_t had = step.count;
    if (count == 0) {
        return step;
    }
    tr_action *all = tr_scratch_alloc((had + count) * sizeof *all);
    if (had != 0) {
        memcpy(all, step.actions, had * sizeof *all);
    }
    memcpy(all + had, actions, count * sizeof *all);
    for (size_t i = had; i < had + count; i++) {
        if (all[i].msg != NULL) {
            tr__held_add(tr__proc_self(), all[i].msg); /* freed with the callback if it is not taken */
        }
    }
    step.count = had + count;
    step.actions = all;
    return step;
}

/* ---- an action as OTP would write it ---- */

static tr_term message_term(const tr_action *action)
{
    const char *name = tr__gen_msg_name(action->msg);
    return name == NULL ? TR_ATOM(UNDEFINED) : tr_atom(name);
}

static tr_term timeout_term(const tr_action *action)
{
    tr_event event = {.type = action->type, .name = action->name};
    tr_term type = tr_term_items(tr__statem_event_term(&event))[0];
    if (action->kind == TR_ACTION_UPDATE) {
        return tr_tuple(type, tr_atom("update"), message_term(action));
    }
    return tr_tuple(type, action->ms == TR_INFINITY ? TR_ATOM(INFINITY) : tr_int(action->ms),
                    message_term(action));
}

static tr_term what(const tr_action *action)
{
    if (!tr_is_none(action->what)) {
        return action->what;
    }
    switch (action->kind) {
    case TR_ACTION_REPLY:
        return tr_tuple(tr_atom("reply"), tr_ref_term(action->from.ref), message_term(action));
    case TR_ACTION_NEXT_EVENT:
        return tr_tuple(tr_atom("next_event"),
                        tr_term_items(tr__statem_event_term(&(tr_event){.type = action->type}))[0],
                        message_term(action));
    case TR_ACTION_POSTPONE:
        return action->on ? tr_atom("postpone") : tr_tuple(tr_atom("postpone"), TR_ATOM(FALSE));
    case TR_ACTION_TIMEOUT:
    case TR_ACTION_UPDATE:
        return timeout_term(action);
    case TR_ACTION_HIBERNATE:
        return tr_atom("hibernate");
    case TR_ACTION_BAD:
        break;
    }
    return tr_int((int64_t)action->kind);
}

/* ---- doing them ---- */

static void reply(tr__statem *m, const tr_action *action)
{
    const tr_type *type = action->msg->type;
    tr__msg_keep(action->msg);
    (void)tr__reply(action->from, action->msg);
    tr__sys_answered(&m->sys, action->from.ref.owner, type);
}

static void insert(tr__statem *m, const tr_action *action)
{
    tr__statem_entry *entry = tr__statem_entry_new(action->type, action->name, action->msg);
    entry->event.from = action->from;
    tr__statem_put(&m->next_events, entry);
}

/* The last one of a kind counts, an update included: what it follows is as if it had never been asked for. */
static void supersede(const tr__statem_list *list, const tr__statem_entry *by)
{
    for (tr__statem_entry *entry = list->first; entry != NULL; entry = entry->next) {
        entry->superseded = entry->superseded || (entry->event.type == by->event.type &&
                                                  tr_term_equal(entry->event.name, by->event.name));
    }
}

static void set_timeout(tr__statem *m, const tr_action *action)
{
    bool generic = action->type == TR_EVENT_GENERIC_TIMEOUT;
    tr__statem_entry *entry =
        tr__statem_entry_new(action->type, generic ? action->name : TR_TERM_NONE_VALUE, action->msg);
    supersede(&m->new_timeouts, entry);
    entry->update = action->kind == TR_ACTION_UPDATE;
    entry->ms = entry->update ? 0 : action->ms;
    entry->absolute = action->absolute && !entry->update;
    tr__statem_put(&m->new_timeouts, entry);
}

static bool is_timeout(const tr_action *action)
{
    return action->type == TR_EVENT_TIMEOUT || action->type == TR_EVENT_STATE_TIMEOUT ||
           action->type == TR_EVENT_GENERIC_TIMEOUT;
}

/* Does it hold what the macros put into such an action, and may it stand here? */
static bool is_allowed(const tr_action *action, bool entering)
{
    switch (action->kind) {
    case TR_ACTION_REPLY:
        return action->msg != NULL;
    case TR_ACTION_NEXT_EVENT:
        return !entering && action->msg != NULL && (unsigned)action->type < TR_EVENT_ENTER;
    case TR_ACTION_POSTPONE:
        return !entering;
    case TR_ACTION_TIMEOUT:
        return is_timeout(action) && (action->msg != NULL ? action->absolute || action->ms >= TR_INFINITY
                                                          : !action->absolute && action->ms == TR_INFINITY);
    case TR_ACTION_UPDATE:
        return is_timeout(action) && action->msg != NULL;
    case TR_ACTION_HIBERNATE:
        return true;
    case TR_ACTION_BAD:
        break;
    }
    return false;
}

static void act(tr__statem *m, const tr_action *action)
{
    switch (action->kind) {
    case TR_ACTION_REPLY:
        reply(m, action);
        break;
    case TR_ACTION_NEXT_EVENT:
        insert(m, action);
        break;
    case TR_ACTION_POSTPONE:
        m->postpone = action->on;
        break;
    case TR_ACTION_TIMEOUT:
    case TR_ACTION_UPDATE:
        set_timeout(m, action);
        break;
    case TR_ACTION_HIBERNATE: /* between messages a machine has no stack and no scratch memory anyway */
    case TR_ACTION_BAD:
        break;
    }
}

void tr__statem_act(tr__statem *m, const tr_step *step, bool entering)
{
    for (size_t i = 0; i < step->count; i++) {
        if (!is_allowed(&step->actions[i], entering)) {
            tr__statem_bad(
                m, entering ? "bad_state_enter_action_from_state_function" : "bad_action_from_state_function",
                what(&step->actions[i]));
        }
        act(m, &step->actions[i]);
    }
}

void tr__statem_act_last(tr__statem *m, const tr_step *step)
{
    for (size_t i = 0; i < step->count; i++) {
        if (step->actions[i].kind != TR_ACTION_REPLY || step->actions[i].msg == NULL) {
            tr__statem_bad(m, "bad_reply_action_from_state_function", what(&step->actions[i]));
        }
        reply(m, &step->actions[i]);
    }
}
