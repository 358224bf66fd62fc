/* Which function gets an event, and what is wrong with a machine. */
#include <string.h>

#include "runtime/otp/statem.h"

/* ---- states ---- */

static uint32_t function_at(const tr_state_function *states, const char *name)
{
    uint32_t at = 0;
    while (states[at].name != NULL && strcmp(states[at].name, name) != 0) {
        at++;
    }
    return at;
}

/* The place of a state. Returns false when there is no such state. */
static inline bool find_place(const tr__statem *m, tr_term state, uint32_t *place)
{
    *place = 0;
    if (m->module->handle_event != NULL) {
        return !tr_is_none(state);
    }
    if (m->plan != NULL) {
        while (*place < m->plan->state_count && !tr_same(m->plan->states[*place], state)) {
            ++*place;
        }
        return *place < m->plan->state_count;
    }
    *place = tr_is_atom(state) ? function_at(m->module->states, tr_atom_text(state)) : 0;
    return tr_is_atom(state) && m->module->states[*place].name != NULL;
}

bool tr__statem_go(tr__statem *m, tr_term state)
{
    uint32_t place;
    if (!find_place(m, state, &place)) {
        return false;
    }
    m->state = tr_keep(state);
    m->place = place;
    return true;
}

tr_term tr__statem_first(const tr__statem *m)
{
    const char *first = m->plan != NULL ? m->plan->table->initial : m->module->first;
    return first == NULL ? TR_TERM_NONE_VALUE : tr_atom(first);
}

/* ---- what is wrong ---- */

static tr_term functions_error(const tr_gen_statem *module)
{
    const tr_state_function *states = module->states;
    if (states[0].name == NULL) {
        return tr_atom("missing_states");
    }
    for (uint32_t at = 0; states[at].name != NULL; at++) {
        if (states[at].call == NULL) {
            return tr_tuple(tr_atom("missing_function"), tr_atom(states[at].name));
        }
        if (function_at(states, states[at].name) != at) {
            return tr_tuple(tr_atom("duplicate_state"), tr_atom(states[at].name));
        }
    }
    bool unknown = module->first != NULL && states[function_at(states, module->first)].name == NULL;
    return unknown ? tr_tuple(tr_atom("unknown_state"), tr_atom(module->first)) : TR_TERM_NONE_VALUE;
}

/* A table says all this itself. */
static tr_term table_error(tr__statem *m)
{
    tr_term error = TR_TERM_NONE_VALUE;
    if (m->module->first != NULL || m->module->enter_calls) {
        return tr_tuple(tr_atom("not_with_a_table"),
                        tr_atom(m->module->first != NULL ? "first" : "enter_calls"));
    }
    m->plan = tr__statem_plan_of(m->module->table, &error);
    return error;
}

tr_term tr__statem_prepare(tr__statem *m)
{
    const tr_gen_statem *module = m->module;
    int modes = (module->handle_event != NULL) + (module->states != NULL) + (module->table != NULL);
    if (modes != 1) {
        return tr_atom(modes == 0 ? "missing_callback_mode" : "several_callback_modes");
    }
    if (module->table != NULL) {
        return table_error(m);
    }
    if (module->first == NULL && module->init == NULL) {
        return tr_atom("missing_first_state");
    }
    return module->states != NULL ? functions_error(module) : TR_TERM_NONE_VALUE;
}
