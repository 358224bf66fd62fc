/* What is wrong with a table. */
#include <string.h>

#include "runtime/otp/statem.h"

#define STATES_MAX 256
#define ROWS_MAX   4096

typedef struct check {
    const tr_statem_table *table;
    uint32_t states, rows;
} check;

static tr_term wrong(const char *what, const char *value)
{
    return tr_tuple(tr_atom(what), tr_atom(value));
}

static tr_term wrong_pair(const char *what, const char *first, const char *second)
{
    return tr_tuple(tr_atom(what), tr_tuple(tr_atom(first), tr_atom(second)));
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static const tr_state *state_named(const tr_statem_table *table, const char *name)
{
    const tr_state *state = &table->states[tr__statem_state_at(table, name)];
    return state->name == NULL ? NULL : state;
}

/* ---- states ---- */

static tr_term states_error(check *c)
{
    const tr_statem_table *table = c->table;
    if (table->states == NULL || table->states[0].name == NULL) {
        return tr_atom("missing_states");
    }
    for (; table->states[c->states].name != NULL; c->states++) {
        const char *name = table->states[c->states].name;
        if (c->states == STATES_MAX) {
            return wrong("too_many", "states");
        }
        if (same(name, TR_ANY_STATE) || same(name, TR_END) || name[0] == '\0') {
            return wrong("reserved_name", name);
        }
        if (tr__statem_state_at(table, name) != c->states) {
            return wrong("duplicate_state", name);
        }
    }
    if (table->initial == NULL) {
        return tr_atom("missing_initial");
    }
    return state_named(table, table->initial) == NULL ? wrong("unknown_initial", table->initial)
                                                      : TR_TERM_NONE_VALUE;
}

/* ---- rows ---- */

static bool same_event(const tr_on *a, const tr_on *b)
{
    if (a->kind != b->kind || a->type != b->type) {
        return false;
    }
    return a->kind != TR_ON_KIND_GENERIC_TIMEOUT || same(a->name, b->name);
}

/* Does the earlier row take every event that would come to the later one? */
static bool hides(const tr_transition *earlier, const tr_transition *later, const tr_state *later_from)
{
    bool covers = same(earlier->from, later->from) ||
                  (same(earlier->from, TR_ANY_STATE) && later_from != NULL && !later_from->final);
    bool always = earlier->guard.call == NULL || earlier->guard.call == later->guard.call;
    return covers && always && same_event(&earlier->on, &later->on);
}

static bool is_known_on(const tr_on *on)
{
    switch (on->kind) {
    case TR_ON_KIND_MESSAGE:
        return on->name != NULL && on->type != NULL;
    case TR_ON_KIND_EVENT_TIMEOUT:
    case TR_ON_KIND_STATE_TIMEOUT:
    case TR_ON_KIND_GENERIC_TIMEOUT:
        return on->name != NULL;
    }
    return false;
}

static tr_term row_error(const check *c, const tr_transition *row)
{
    const tr_state *from = state_named(c->table, row->from);
    if (!is_known_on(&row->on)) {
        return wrong("missing_event", row->from);
    }
    if (from == NULL && !same(row->from, TR_ANY_STATE)) {
        return wrong("unknown_source", row->from);
    }
    bool goes = row->to != NULL;
    if (goes && !same(row->to, TR_END) && state_named(c->table, row->to) == NULL) {
        return wrong_pair("unknown_target", row->from, row->to);
    }
    if (goes && row->repeat) {
        return wrong_pair("repeat_with_target", row->from, row->on.name);
    }
    if (goes && from != NULL && from->final && !same(row->to, row->from) && !same(row->to, TR_END)) {
        return wrong_pair("final_state_is_left", row->from, row->to);
    }
    for (const tr_transition *earlier = c->table->transitions; earlier != row; earlier++) {
        if (hides(earlier, row, from)) {
            return wrong_pair("duplicate_transition", row->from, row->on.name);
        }
    }
    return TR_TERM_NONE_VALUE;
}

static tr_term rows_error(check *c)
{
    const tr_transition *rows = c->table->transitions;
    for (; rows != NULL && rows[c->rows].from != NULL; c->rows++) {
        if (c->rows == ROWS_MAX) {
            return wrong("too_many", "transitions");
        }
        tr_term error = row_error(c, &rows[c->rows]);
        if (!tr_is_none(error)) {
            return error;
        }
    }
    return TR_TERM_NONE_VALUE;
}

/* ---- the graph ---- */

/* Which states are reached, and those whose rows were not followed yet. */
typedef struct walk {
    bool reached[STATES_MAX];
    uint32_t todo[STATES_MAX];
    uint32_t count;
} walk;

static void reach(walk *w, uint32_t state)
{
    if (!w->reached[state]) {
        w->reached[state] = true;
        w->todo[w->count++] = state;
    }
}

/* Follows the rows of a state. Returns: one leads elsewhere, or out. */
static bool follow(const check *c, walk *w, uint32_t at)
{
    const tr_state *state = &c->table->states[at];
    bool leaves = false;
    for (uint32_t i = 0; i < c->rows; i++) {
        const tr_transition *row = &c->table->transitions[i];
        if (row->to != NULL && tr__statem_row_applies(row, state)) {
            uint32_t target = tr__statem_state_at(c->table, row->to); /* TR_END: behind the last state */
            leaves = leaves || target != at;
            if (target < c->states) {
                reach(w, target);
            }
        }
    }
    return leaves;
}

static bool awaits_timeout(const check *c, const tr_state *state)
{
    bool awaits = false;
    for (uint32_t i = 0; i < c->rows; i++) {
        const tr_transition *row = &c->table->transitions[i];
        awaits = awaits || (row->on.kind == TR_ON_KIND_STATE_TIMEOUT && tr__statem_row_applies(row, state));
    }
    return awaits;
}

static tr_term graph_error(const check *c)
{
    walk *w = tr_scratch_alloc(sizeof *w);
    memset(w, 0, sizeof *w);
    reach(w, tr__statem_state_at(c->table, c->table->initial));
    while (w->count != 0) {
        uint32_t at = w->todo[--w->count];
        const tr_state *state = &c->table->states[at];
        if (!follow(c, w, at) && !state->final) {
            return wrong("dead_end", state->name);
        }
        if (state->timeout_ms < 0 || (state->timeout_ms > 0 && !awaits_timeout(c, state))) {
            return wrong("unhandled_timeout", state->name);
        }
    }
    for (uint32_t i = 0; i < c->states; i++) {
        if (!w->reached[i]) {
            return wrong("unreachable_state", c->table->states[i].name);
        }
    }
    return TR_TERM_NONE_VALUE;
}

tr_term tr__statem_table_error(const tr_statem_table *table)
{
    check c = {.table = table};
    tr_term error = states_error(&c);
    if (tr_is_none(error)) {
        error = rows_error(&c);
    }
    return tr_is_none(error) ? graph_error(&c) : error;
}

tr_err tr_statem_table_check(const tr_statem_table *table, tr_term *reason)
{
    tr_term error = tr__statem_table_error(table);
    if (tr_is_none(error)) {
        return TR_OK;
    }
    if (reason != NULL) {
        *reason = error;
    }
    return TR_E_BADARG;
}
