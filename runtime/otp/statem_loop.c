/* One event: callback, actions, enter call, and what comes next. */
#include "runtime/otp/statem.h"

#include "runtime/core/box.h"
#include "runtime/core/core.h"

/* ---- callbacks ---- */

/* A callback ended the machine. */
__attribute__((cold)) static TR_NORETURN void ends(tr__statem *m, const tr_step *step)
{
    tr__statem_act_last(m, step);
    tr__statem_end(m, step->reason);
}

/* The state enter call, again as long as it says repeat. It may not change the state. */
static void enter(tr__statem *m, tr_term old)
{
    tr_step step = {.kind = TR_STEP_REPEAT};
    while (step.kind == TR_STEP_REPEAT) {
        tr__guard_begin(NULL);
        step = tr__statem_call(m, &(tr_event){.type = TR_EVENT_ENTER, .old_state = old});
        tr__guard_end();
        if (step.kind == TR_STEP_STOP) {
            ends(m, &step);
        }
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

/* Of a lent entry, what can wait. */
static tr__statem_entry *own(tr__statem *m, const tr__statem_entry *lent)
{
    tr__statem_entry *entry = tr__statem_entry_new(lent->event.type, lent->event.name, lent->msg);
    entry->event.from = lent->event.from;
    m->lent = false;
    return entry;
}

/* The current event has had its turn: it waits for a change, or is over. */
static void put_away(tr__statem *m)
{
    tr__statem_entry *done = m->current;
    if (done == NULL) {
        return;
    }
    tr__statem_told(m, m->postpone ? TR_SYS_POSTPONE : TR_SYS_CONSUME, done);
    if (m->postpone) {
        tr__statem_put(&m->postponed, m->lent ? own(m, done) : done);
    } else if (!m->lent) {
        tr__statem_entry_free(done);
    }
    m->current = NULL;
    m->lent = false;
}

/* next events, postponed ones after a change, the rest. */
static void line_up(tr__statem *m, bool changed)
{
    if (m->next_events.first == NULL && (!changed || m->postponed.first == NULL)) {
        return;
    }
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
    while (m->new_timeouts.first != NULL) {
        tr__statem_entry *entry = tr__statem_take(&m->new_timeouts);
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
    if (changed && m->timeouts.state != NULL) {
        tr__statem_timeout_cancel(&m->timeouts, TR_EVENT_STATE_TIMEOUT, TR_TERM_NONE_VALUE);
    }
    line_up(m, changed);
    set_timeouts(m);
}

/* Most states are atoms, whose words say it. */
static inline bool is_same_state(tr_term a, tr_term b)
{
    return tr_same(a, b) || ((tr__is_box(a) || tr__is_box(b)) && tr_term_equal(a, b));
}

/* Nothing waits, nothing was set, nobody is to be told: of what follows a callback only the event itself is left to put away. */
static inline bool is_plain(const tr__statem *m, bool enters)
{
    return m->lent && !m->postpone && m->postponed.first == NULL && m->next_events.first == NULL &&
           m->new_timeouts.first == NULL && m->timeouts.event == NULL && m->timeouts.state == NULL &&
           !tr__sys_is_watched(&m->sys) && !(enters && tr__statem_has_enter_calls(m));
}

static inline __attribute__((always_inline)) void process(tr__statem *m, tr__statem_entry *entry)
{
    m->current = entry;
    m->postpone = false;
    tr__guard_begin(NULL);
    tr_step step =
        tr__statem_call(m, &entry->event); /* into its place: a copy right after it was written is slow */
    tr__guard_end();
    if (step.kind == TR_STEP_STOP) {
        ends(m, &step);
    }
    tr_term old = m->state;
    bool changed = step.kind == TR_STEP_NEXT && !is_same_state(step.state, m->state);
    if (step.kind != TR_STEP_KEEP && step.kind != TR_STEP_NEXT && step.kind != TR_STEP_REPEAT) {
        tr__statem_bad(m, "bad_return_from_state_function", tr__statem_step_term(&step));
    }
    if (changed && m->module->handle_event != NULL && !tr__is_box(step.state)) {
        m->state = step.state; /* no place, nothing to copy */
    } else if (changed && !tr__statem_go(m, step.state)) {
        tr__statem_bad(m, "unknown_state", step.state);
    }
    if (step.count != 0) {
        tr__statem_act(m, &step, false);
    }
    bool enters = changed || step.kind == TR_STEP_REPEAT;
    if (is_plain(m, enters)) {
        m->current = NULL;
        m->lent = false;
    } else {
        settle(m, old, changed, enters);
    }
    if (changed && tr__is_box(old)) {
        tr_free_term(old);
    }
}

/* All that waits inside, before any message. */
static void drain(tr__statem *m)
{
    while (m->queue.first != NULL || m->timeouts.zero_first != NULL) {
        tr__statem_entry *entry = tr__statem_take(&m->queue);
        if (entry == NULL) {
            entry = tr__statem_timeout_zero(&m->timeouts);
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

void tr__statem_event_lent(tr__statem *m, tr__statem_entry *entry)
{
    m->lent = true;
    process(m, entry);
    if (m->queue.first != NULL || m->timeouts.zero_first != NULL) {
        drain(m);
    }
}
