/* statem_diagram.h: what the kinds of diagrams share. Not public.
 *
 * Invariants: 1. each kind is one function that writes the whole text; 2. names come from the program and may hold
 * anything, so each kind escapes them in its own way.
 */
#ifndef TROUPE_OTP_STATEM_DIAGRAM_H
#define TROUPE_OTP_STATEM_DIAGRAM_H

#include "runtime/core/text.h"
#include "runtime/otp/statem.h"

#define TR__CURRENT_FILL "#ffd54f"

typedef struct tr__drawing {
    tr__text text;
    const tr_statem_table *table;
    const char *current;
    bool begun; /* JSON: something stands before the next transition */
} tr__drawing;

typedef void tr__escape_fn(tr__text *into, const char *text);

bool tr__draw_is_current(const tr__drawing *d, const char *state);
/** Calls edge for each row in each state where it applies. */
void tr__draw_edges(tr__drawing *d,
                    void (*edge)(tr__drawing *d, const tr_state *from, const tr_transition *row));
/** event [guard] / act, as UML writes it. */
void tr__draw_label(tr__text *into, tr__escape_fn *escape, const tr_state *from, const tr_transition *row);

void tr__draw_mermaid(tr__drawing *d);
void tr__draw_dot(tr__drawing *d);
void tr__draw_json(tr__drawing *d);

#endif
