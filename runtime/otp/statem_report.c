/* The end of a machine, and what is said about it. */
#include "runtime/otp/statem.h"

#define EVENTS_SHOWN 32 /* of each list in a report; a tail of "..." says that there are more */

/* ---- terms ---- */

static tr_term type_term(const tr_event *event)
{
    static const char *const names[] = {
        [TR_EVENT_CALL] = "call",
        [TR_EVENT_CAST] = "cast",
        [TR_EVENT_INFO] = "info",
        [TR_EVENT_INTERNAL] = "internal",
        [TR_EVENT_TIMEOUT] = "timeout",
        [TR_EVENT_STATE_TIMEOUT] = "state_timeout",
        [TR_EVENT_GENERIC_TIMEOUT] = "timeout",
        [TR_EVENT_ENTER] = "enter",
    };
    tr_term name = tr_atom(names[event->type]);
    if (event->type == TR_EVENT_GENERIC_TIMEOUT) {
        return tr_tuple(name, event->name);
    }
    return name;
}

tr_term tr__statem_event_term(const tr_event *event)
{
    const char *name = tr__gen_msg_name(event->msg);
    tr_term content = event->type == TR_EVENT_ENTER ? event->old_state
                      : name == NULL                ? TR_ATOM(UNDEFINED)
                                                    : tr_atom(name);
    return tr_tuple(type_term(event), content);
}

void tr__statem_tell(tr__statem *m, tr_sys_event_kind kind, const tr__statem_entry *entry)
{
    tr_scratch_mark mark = tr_scratch();
    tr_term what = tr_tuple(type_term(&entry->event), tr__sys_content(entry->msg));
    tr__sys_told(&m->sys, kind, entry->msg, what, m->state);
    tr_scratch_release(mark);
}

tr_term tr__statem_step_term(const tr_step *step)
{
    switch (step->kind) {
    case TR_STEP_KEEP:
        return tr_atom("keep_state");
    case TR_STEP_NEXT:
        return tr_tuple(tr_atom("next_state"), step->state);
    case TR_STEP_REPEAT:
        return tr_atom("repeat_state");
    case TR_STEP_IGNORE:
        return TR_ATOM(IGNORE);
    case TR_STEP_STOP:
    case TR_STEP_BAD:
        break;
    }
    return tr_is_none(step->reason) ? tr_int((int64_t)step->kind) : step->reason;
}

tr_step tr_unexpected_event(const tr_event *event)
{
    tr_error(tr_tuple(tr_atom("unexpected_event"), tr__statem_event_term(event)));
}

static tr_term data_term(const tr__statem *m)
{
    const tr_gen_statem *module = m->module;
    return module->format_data != NULL ? module->format_data(m->data)
                                       : tr__gen_opaque(module->name, module->data_bytes);
}

tr_term tr__statem_state(void *data)
{
    const tr__statem *m = data;
    return tr_tuple(m->state, data_term(m));
}

/* ---- the report ---- */

typedef struct shown {
    tr_term terms[EVENTS_SHOWN + 1];
    size_t count;
} shown;

static void show(tr__statem_entry *entry, void *ctx)
{
    shown *into = ctx;
    if (into->count < EVENTS_SHOWN) {
        into->terms[into->count++] = tr__statem_event_term(&entry->event);
    } else if (into->count == EVENTS_SHOWN) {
        into->terms[into->count++] = tr_atom("...");
    }
}

static void show_list(const tr__statem_list *list, shown *into)
{
    for (tr__statem_entry *entry = list->first; entry != NULL && into->count <= EVENTS_SHOWN;
         entry = entry->next) {
        show(entry, into);
    }
}

static tr_term shown_term(const shown *from)
{
    return from->count == 0 ? TR_TERM_NONE_VALUE : tr_list_n(from->count, from->terms);
}

typedef struct ending {
    tr__statem *m;
    tr_term reason;
    tr_term state;
} ending;

static void run_format(void *ctx)
{
    ending *end = ctx;
    end->state = tr__statem_state(end->m);
}

static tr_term state_of(ending *end)
{
    tr_term crash;
    if (!tr__catch(run_format, end, &crash)) {
        return end->state;
    }
    return tr_tuple(end->m->state, tr_tuple(tr_atom("format_data_crashed"), crash));
}

static void report(ending *end)
{
    const tr__statem *m = end->m;
    shown queue = {0}, postponed = {0}, timeouts = {0};
    if (m->current != NULL) {
        show(m->current, &queue);
    }
    show_list(&m->queue, &queue);
    show_list(&m->postponed, &postponed);
    tr__statem_timeouts_each(&m->timeouts, show, &timeouts);
    tr__report_made(&(tr_report){
        .kind = TR_REPORT_STATEM_TERMINATED,
        .reason = end->reason,
        .last_message = m->current == NULL ? NULL : tr__gen_msg_name(m->current->msg),
        .state = state_of(end),
        .queue = shown_term(&queue),
        .postponed = shown_term(&postponed),
        .timeouts = shown_term(&timeouts),
    });
}

/* ---- the end ---- */

static void run_terminate(void *ctx)
{
    ending *end = ctx;
    end->m->module->terminate(end->m->data, end->m->state, end->reason);
}

/* A crash in terminate replaces the reason and changes nothing else. */
void tr__statem_end(tr__statem *m, tr_term reason)
{
    ending end = {.m = m, .reason = reason};
    if (m->module->terminate != NULL) {
        (void)tr__catch(run_terminate, &end, &end.reason);
    }
    if (!tr_reason_is_clean(end.reason)) {
        report(&end);
    }
    tr__finish(end.reason);
}

void tr__statem_bad(tr__statem *m, const char *what, tr_term value)
{
    tr__statem_end(m, tr_tuple(tr_atom(what), value));
}
