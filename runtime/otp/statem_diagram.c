/* Tables as diagrams: what all kinds share, and JSON. */
#include <inttypes.h>
#include <string.h>

#include "runtime/otp/statem_diagram.h"

bool tr__draw_is_current(const tr__drawing *d, const char *state)
{
    return d->current != NULL && strcmp(d->current, state) == 0;
}

/* Calls draw for each row in each state where it applies. */
void tr__draw_edges(tr__drawing *d,
                    void (*draw)(tr__drawing *d, const tr_state *from, const tr_transition *row))
{
    for (const tr_state *from = d->table->states; from->name != NULL; from++) {
        for (const tr_transition *row = d->table->transitions; row != NULL && row->from != NULL; row++) {
            if (tr__statem_row_applies(row, from)) {
                draw(d, from, row);
            }
        }
    }
}

/* ---- labels ---- */

static void on_label(tr__text *into, tr__escape_fn *escape, const tr_state *from, const tr_on *on)
{
    switch (on->kind) {
    case TR_ON_KIND_STATE_TIMEOUT:
        if (from->timeout_ms > 0) {
            tr__text_printf(into, "after %" PRId64 " ms", from->timeout_ms);
        } else {
            tr__text_puts(into, "state time-out");
        }
        return;
    case TR_ON_KIND_EVENT_TIMEOUT:
        tr__text_puts(into, "event time-out");
        return;
    case TR_ON_KIND_GENERIC_TIMEOUT:
        tr__text_puts(into, "time-out ");
        break;
    case TR_ON_KIND_MESSAGE:
        break;
    }
    escape(into, on->name);
}

/* event [guard] / act, as UML writes it */
void tr__draw_label(tr__text *into, tr__escape_fn *escape, const tr_state *from, const tr_transition *row)
{
    on_label(into, escape, from, &row->on);
    if (row->guard.call != NULL) {
        tr__text_puts(into, " [");
        escape(into, row->guard.name);
        tr__text_puts(into, "]");
    }
    if (row->act.call != NULL) {
        tr__text_puts(into, " / ");
        escape(into, row->act.name);
    }
    if (row->postpone) {
        tr__text_puts(into, " (postponed)");
    }
    if (row->repeat) {
        tr__text_puts(into, " (entered again)");
    }
}

/* ---- JSON ---- */

static void json_member(tr__text *into, const char *name, const char *value)
{
    tr__text_printf(into, ",\"%s\":", name);
    if (value == NULL) {
        tr__text_puts(into, "null");
    } else {
        tr__text_json(into, value);
    }
}

static const char *bool_text(bool value)
{
    return value ? "true" : "false";
}

static void json_state(tr__drawing *d, const tr_state *state)
{
    tr__text *text = &d->text;
    tr__text_puts(text, state == d->table->states ? "{\"name\":" : ",{\"name\":");
    tr__text_json(text, state->name);
    json_member(text, "enter", state->enter.call == NULL ? NULL : state->enter.name);
    if (state->timeout_ms > 0) {
        tr__text_printf(text, ",\"timeout_ms\":%" PRId64, state->timeout_ms);
    } else {
        tr__text_puts(text, ",\"timeout_ms\":null");
    }
    tr__text_printf(text, ",\"final\":%s}", bool_text(state->final));
}

static void json_edge(tr__drawing *d, const tr_state *from, const tr_transition *row)
{
    static const char *const kinds[] = {
        [TR_ON_KIND_MESSAGE] = "message",
        [TR_ON_KIND_EVENT_TIMEOUT] = "event_timeout",
        [TR_ON_KIND_STATE_TIMEOUT] = "state_timeout",
        [TR_ON_KIND_GENERIC_TIMEOUT] = "generic_timeout",
    };
    tr__text *text = &d->text;
    tr__text_puts(text, d->begun ? ",{\"from\":" : "{\"from\":");
    d->begun = true;
    tr__text_json(text, from->name);
    json_member(text, "on", kinds[row->on.kind]);
    json_member(text, "event", row->on.name);
    json_member(text, "guard", row->guard.call == NULL ? NULL : row->guard.name);
    json_member(text, "to", row->to == NULL ? from->name : row->to);
    json_member(text, "act", row->act.call == NULL ? NULL : row->act.name);
    tr__text_printf(text, ",\"postpone\":%s,\"repeat\":%s}", bool_text(row->postpone),
                    bool_text(row->repeat));
}

void tr__draw_json(tr__drawing *d)
{
    tr__text *text = &d->text;
    tr__text_puts(text, "{\"name\":");
    tr__text_json(text, d->table->name);
    json_member(text, "initial", d->table->initial);
    json_member(text, "current", d->current);
    tr__text_puts(text, ",\"states\":[");
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        json_state(d, state);
    }
    tr__text_puts(text, "],\"transitions\":[");
    tr__draw_edges(d, json_edge);
    tr__text_puts(text, "]}\n");
}

size_t tr_statem_diagram(const tr_statem_table *table, tr_diagram format, const char *current, char *out,
                         size_t size)
{
    tr__drawing d = {.text = {.out = out, .size = size}, .table = table, .current = current};
    switch (format) {
    case TR_DIAGRAM_MERMAID:
        tr__draw_mermaid(&d);
        break;
    case TR_DIAGRAM_DOT:
        tr__draw_dot(&d);
        break;
    case TR_DIAGRAM_JSON:
        tr__draw_json(&d);
        break;
    }
    return tr__text_end(&d.text);
}
