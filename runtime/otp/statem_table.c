/* Tables made ready to run, and what they say about an event. */
#include <stdlib.h>
#include <string.h>

#include "runtime/otp/statem.h"
#include "runtime/sys/atomic.h"

/* ---- states and rows ---- */

uint32_t tr__statem_state_at(const tr_statem_table *table, const char *name)
{
    uint32_t at = 0;
    while (table->states[at].name != NULL && strcmp(table->states[at].name, name) != 0) {
        at++;
    }
    return at;
}

bool tr__statem_row_applies(const tr_transition *row, const tr_state *state)
{
    return strcmp(row->from, TR_ANY_STATE) == 0 ? !state->final : strcmp(row->from, state->name) == 0;
}

/* ---- plans ---- */

/* Rows that apply in this state, behind those of the states before; into NULL: only counted. */
static uint32_t add_rows(const tr_statem_table *table, uint32_t state, tr__statem_row *into)
{
    uint32_t count = 0;
    for (const tr_transition *row = table->transitions; row != NULL && row->from != NULL; row++) {
        if (!tr__statem_row_applies(row, &table->states[state])) {
            continue;
        }
        if (into != NULL) {
            into[count] = (tr__statem_row){.row = row, .target = TR__STAYS};
            if (row->to != NULL) {
                bool ends = strcmp(row->to, TR_END) == 0;
                into[count].target = ends ? TR__ENDS : tr__statem_state_at(table, row->to);
            }
            if (row->on.kind == TR_ON_KIND_GENERIC_TIMEOUT) {
                into[count].timeout = tr_atom(row->on.name);
            }
        }
        count++;
    }
    return count;
}

/* One block, never given back: machines of this table run as long as the OS process does. */
static tr__statem_plan *plan_new(const tr_statem_table *table)
{
    uint32_t states = 0;
    size_t rows = 0;
    for (; table->states[states].name != NULL; states++) {
        rows += add_rows(table, states, NULL);
    }
    size_t of_bytes = rows * sizeof(tr__statem_row);
    size_t state_bytes = states * sizeof(tr_term);
    tr__statem_plan *plan =
        calloc(1, sizeof *plan + of_bytes + state_bytes + (states + 1) * sizeof(uint32_t));
    TR_ASSERT(plan != NULL);
    plan->table = table;
    plan->state_count = states;
    plan->states = (tr_term *)(void *)((char *)plan->of + of_bytes);
    plan->rows = (uint32_t *)(void *)((char *)plan->states + state_bytes);
    for (uint32_t i = 0; i < states; i++) {
        const tr_state *state = &table->states[i];
        plan->states[i] = tr_atom(state->name);
        plan->enters = plan->enters || state->timeout_ms > 0 || state->enter.call != NULL;
        plan->rows[i + 1] = plan->rows[i] + add_rows(table, i, plan->of + plan->rows[i]);
    }
    return plan;
}

/* Two first starts at once make two plans; the one that comes second is thrown away. */
const tr__statem_plan *tr__statem_plan_of(const tr_statem_table *table, tr_term *error)
{
    const tr__statem_plan *plan = table->tr__plan == NULL ? NULL : tr__load_acquire(table->tr__plan);
    if (plan != NULL) {
        return plan;
    }
    *error = table->tr__plan == NULL ? tr_atom("missing_plan") : tr__statem_table_error(table);
    if (!tr_is_none(*error)) {
        return NULL;
    }
    tr__statem_plan *made = plan_new(table);
    if (tr__cas_acq_rel(table->tr__plan, &plan, (const tr__statem_plan *)made)) {
        return made;
    }
    free(made);
    return plan;
}

/* ---- events ---- */

static bool is_on(const tr__statem_row *at, const tr_event *event)
{
    switch (at->row->on.kind) {
    case TR_ON_KIND_MESSAGE:
        return event->type <= TR_EVENT_INTERNAL && event->msg->type == at->row->on.type;
    case TR_ON_KIND_EVENT_TIMEOUT:
        return event->type == TR_EVENT_TIMEOUT;
    case TR_ON_KIND_STATE_TIMEOUT:
        return event->type == TR_EVENT_STATE_TIMEOUT;
    case TR_ON_KIND_GENERIC_TIMEOUT:
        return event->type == TR_EVENT_GENERIC_TIMEOUT && tr_term_equal(event->name, at->timeout);
    }
    return false;
}

static const tr__statem_row *row_for(const tr__statem_plan *plan, uint32_t place, const void *data,
                                     const tr_event *event)
{
    for (uint32_t i = plan->rows[place]; i < plan->rows[place + 1]; i++) {
        const tr_guard_fn *guard = &plan->of[i].row->guard;
        if (is_on(&plan->of[i], event) && (guard->call == NULL || guard->call(data, event))) {
            return &plan->of[i];
        }
    }
    return NULL;
}

/* Acts do not choose the state. */
static tr_step bad(tr_step step)
{
    return (tr_step){.kind = TR_STEP_BAD, .reason = tr__statem_step_term(&step)};
}

static tr_step step_by(const tr__statem_plan *plan, const tr__statem_row *at, tr_step step)
{
    const tr_transition *row = at->row;
    if (row->postpone) {
        step = TR_WITH(step, TR_POSTPONE);
    }
    if (at->target == TR__ENDS) {
        step.kind = TR_STEP_STOP;
        step.reason = TR_ATOM(NORMAL);
    } else if (at->target != TR__STAYS) {
        step.kind = TR_STEP_NEXT;
        step.state = plan->states[at->target];
    } else if (row->repeat) {
        step.kind = TR_STEP_REPEAT;
    }
    return step;
}

static tr_step enter(const tr_state *state, void *data, const tr_event *event)
{
    tr_step step = TR_KEEP_STATE;
    if (state->timeout_ms > 0) {
        step = TR_WITH(step, TR_STATE_TIMEOUT(state->timeout_ms, tr_timeout_msg));
    }
    if (state->enter.call == NULL) {
        return step;
    }
    tr_step own = state->enter.call(data, event);
    if (own.kind != TR_STEP_KEEP) {
        return own.kind == TR_STEP_STOP ? own : bad(own);
    }
    return tr_step_with(step, own.count, own.actions);
}

tr_step tr__statem_table_step(const tr__statem_plan *plan, uint32_t place, void *data, const tr_event *event)
{
    if (event->type == TR_EVENT_ENTER) {
        return enter(&plan->table->states[place], data, event);
    }
    const tr__statem_row *at = row_for(plan, place, data, event);
    tr_step step = TR_KEEP_STATE;
    if (at == NULL) {
        if (plan->table->otherwise == NULL) {
            return tr_unexpected_event(event);
        }
        step = plan->table->otherwise(data, plan->states[place], event);
    } else if (at->row->act.call != NULL) {
        step = at->row->act.call(data, event);
    }
    if (step.kind != TR_STEP_KEEP) {
        return step.kind == TR_STEP_STOP ? step : bad(step);
    }
    return at == NULL ? step : step_by(plan, at, step);
}
