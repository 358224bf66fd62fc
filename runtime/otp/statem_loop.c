/* One event: callback, actions, enter call, and what comes next. */
#include "runtime/otp/statem.h"

/* ---- callbacks ---- */

typedef struct turn {
    tr__statem *m;
    const tr_event *event;
    tr_step step;
} turn;

static void run(void *ctx)
{
    turn *t = ctx;
    t->step = tr__statem_call(t->m, t->event);
}

/* What the callback returns; does not return when that ends the machine. */
static tr_step ask(tr__statem *m, const tr_event *event)
{
    turn t = {.m = m, .event = event};
    tr_term reason;
    if (tr__catch(run, &t, &reason)) {
        tr__statem_end(m, reason);
    }
    if (t.step.kind == TR_STEP_STOP) {
        tr__statem_act_last(m, &t.step);
        tr__statem_end(m, t.step.reason);
    }
    return t.step;
}

/* The state enter call, again as long as it says repeat. It may not change the state. */
static void enter(tr__statem *m, tr_term old)
{
    tr_step step = {.kind = TR_STEP_REPEAT};
    while (step.kind == TR_STEP_REPEAT) {
        step = ask(m, &(tr_event){.type = TR_EVENT_ENTER, .old_state = old});
        bool stays = step.kind == TR_STEP_KEEP || step.kind == TR_STEP_REPEAT ||
                     (step.kind == TR_STEP_NEXT && tr_term_equal(step.state, m->state));
        if (!stays) {
            tr__statem_bad(m, "bad_state_enter_return_from_state_function", tr__statem_step_term(&step));
        }
        tr__statem_act(m, &step, true);
        old = m->state;
    }
}

/* ---- the end of a transition ---- */

/* The current event has had its turn: it waits for a change, or is over. */
static void put_away(tr__statem *m)
{
    tr__statem_entry *done = m->current;
    m->current = NULL;
    if (done != NULL) {
        tr__statem_told(m, m->postpone ? TR_SYS_POSTPONE : TR_SYS_CONSUME, done);
    }
    if (done != NULL && m->postpone) {
        tr__statem_put(&m->postponed, done);
    } else if (done != NULL) {
        tr__statem_entry_free(done);
    }
}

/* next events, postponed ones after a change, the rest. */
static void line_up(tr__statem *m, bool changed)
{
    tr__statem_list queue = {0};
    tr__statem_join(&queue, &m->next_events);
    if (changed) {
        tr__statem_join(&queue, &m->postponed);
    }
    tr__statem_join(&queue, &m->queue);
    m->queue = queue;
}

static void set_timeouts(tr__statem *m)
{
    tr__statem_entry *entry;
    while ((entry = tr__statem_take(&m->new_timeouts)) != NULL) {
        if (entry->superseded) {
            tr__statem_entry_free(entry);
        } else {
            tr__statem_timeout_set(&m->timeouts, entry);
        }
    }
}

/* What follows the callback of an event, or init (which has no current event). */
static void settle(tr__statem *m, tr_term old, bool changed, bool enters)
{
    if (enters && tr__statem_has_enter_calls(m)) {
        enter(m, old);
    }
    put_away(m);
    if (m->timeouts.event != NULL) {
        tr__statem_timeout_cancel(&m->timeouts, TR_EVENT_TIMEOUT, TR_TERM_NONE_VALUE);
    }
    if (changed) {
        tr__statem_timeout_cancel(&m->timeouts, TR_EVENT_STATE_TIMEOUT, TR_TERM_NONE_VALUE);
    }
    line_up(m, changed);
    set_timeouts(m);
}

static void change(tr__statem *m, const tr_step *step, tr_term *old)
{
    *old = tr_keep(m->state);
    if (!tr__statem_go(m, step->state)) {
        tr__statem_bad(m, "unknown_state", step->state);
    }
}

static void process(tr__statem *m, tr__statem_entry *entry)
{
    m->current = entry;
    m->postpone = false;
    tr_step step = ask(m, &entry->event);
    tr_term old = m->state;
    bool changed = step.kind == TR_STEP_NEXT && !tr_term_equal(step.state, m->state);
    if (step.kind != TR_STEP_KEEP && step.kind != TR_STEP_NEXT && step.kind != TR_STEP_REPEAT) {
        tr__statem_bad(m, "bad_return_from_state_function", tr__statem_step_term(&step));
    }
    if (changed) {
        change(m, &step, &old);
    }
    tr__statem_act(m, &step, false);
    settle(m, old, changed, changed || step.kind == TR_STEP_REPEAT);
    if (changed) {
        tr_free_term(old);
    }
}

/* All that waits inside, before any message. */
static void drain(tr__statem *m)
{
    for (;;) {
        tr__statem_entry *entry = tr__statem_take(&m->queue);
        if (entry == NULL) {
            entry = tr__statem_timeout_zero(&m->timeouts);
        }
        if (entry == NULL) {
            return;
        }
        m->current = entry; /* before the boundary, which may be the end */
        tr__boundary(NULL);
        process(m, entry);
    }
}

void tr__statem_begin(tr__statem *m, const tr_step *step)
{
    tr__statem_act(m, step, false);
    settle(m, m->state, true, true);
    drain(m);
}

void tr__statem_event(tr__statem *m, tr__statem_entry *entry)
{
    process(m, entry);
    drain(m);
}
