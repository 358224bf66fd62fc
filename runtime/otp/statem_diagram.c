/* Tables as diagrams. */
#include <inttypes.h>
#include <string.h>

#include "runtime/core/text.h"
#include "runtime/otp/statem.h"

#define CURRENT_FILL "#ffd54f"

typedef struct drawing {
    tr__text text;
    const tr_statem_table *table;
    const char *current;
    bool begun; /* JSON: something stands before the next transition */
} drawing;

static bool is_current(const drawing *d, const char *state)
{
    return d->current != NULL && strcmp(d->current, state) == 0;
}

/* Calls draw for each row in each state where it applies. */
static void each_edge(drawing *d, void (*draw)(drawing *d, const tr_state *from, const tr_transition *row))
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

typedef void escape_fn(tr__text *into, const char *text);

static void on_label(tr__text *into, escape_fn *escape, const tr_state *from, const tr_on *on)
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
static void label(tr__text *into, escape_fn *escape, const tr_state *from, const tr_transition *row)
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

/* ---- mermaid ---- */

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

static void mermaid_text(tr__text *into, const char *text)
{
    static const char plain[] = " .,/*+=!?()&@$%|'-";
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (is_letter(byte) || byte >= 0x80 || strchr(plain, byte) != NULL) {
            tr__text_put(into, c, 1);
        } else {
            tr__text_printf(into, "#%d;", byte);
        }
    }
}

/* Can the name itself stand where the diagram needs one word? */
static bool mermaid_is_word(const char *name)
{
    static const char *const taken[] = {"end",     "state", "note",  "class", "classDef", "direction",
                                        "default", "click", "style", "as",    "hide",     "scale"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (strcmp(taken[i], name) == 0) {
            return false;
        }
    }
    size_t letters = 0;
    while (is_letter((unsigned char)name[letters])) {
        letters++;
    }
    return name[letters] == '\0';
}

static void mermaid_name(drawing *d, const char *state)
{
    if (mermaid_is_word(state)) {
        tr__text_puts(&d->text, state);
    } else {
        tr__text_printf(&d->text, "state%u", tr__statem_state_at(d->table, state));
    }
}

static void mermaid_edge(drawing *d, const tr_state *from, const tr_transition *row)
{
    tr__text_puts(&d->text, "    ");
    mermaid_name(d, from->name);
    tr__text_puts(&d->text, " --> ");
    if (row->to != NULL && strcmp(row->to, TR_END) == 0) {
        tr__text_puts(&d->text, TR_END);
    } else {
        mermaid_name(d, row->to == NULL ? from->name : row->to);
    }
    tr__text_puts(&d->text, ": ");
    label(&d->text, mermaid_text, from, row);
    tr__text_puts(&d->text, "\n");
}

static void mermaid_state(drawing *d, const tr_state *state)
{
    tr__text *text = &d->text;
    if (!mermaid_is_word(state->name)) {
        tr__text_puts(text, "    state \"");
        mermaid_text(text, state->name);
        tr__text_puts(text, "\" as ");
        mermaid_name(d, state->name);
        tr__text_puts(text, "\n");
    }
    if (state->enter.call != NULL) {
        tr__text_puts(text, "    note right of ");
        mermaid_name(d, state->name);
        tr__text_puts(text, ": enter / ");
        mermaid_text(text, state->enter.name);
        tr__text_puts(text, "\n");
    }
}

static void mermaid_ends(drawing *d)
{
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        if (state->final) {
            tr__text_puts(&d->text, "    ");
            mermaid_name(d, state->name);
            tr__text_puts(&d->text, " --> [*]\n");
        }
    }
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        if (is_current(d, state->name)) {
            tr__text_puts(&d->text, "    classDef current fill:" CURRENT_FILL "\n    class ");
            mermaid_name(d, state->name);
            tr__text_puts(&d->text, " current\n");
        }
    }
}

static void draw_mermaid(drawing *d)
{
    tr__text_puts(&d->text, "stateDiagram-v2\n");
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        mermaid_state(d, state);
    }
    tr__text_puts(&d->text, "    [*] --> ");
    mermaid_name(d, d->table->initial);
    tr__text_puts(&d->text, "\n");
    each_edge(d, mermaid_edge);
    mermaid_ends(d);
}

/* ---- dot ---- */

static void dot_text(tr__text *into, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            tr__text_put(into, "\\", 1);
        }
        tr__text_put(into, (unsigned char)*c < 0x20 ? " " : c, 1);
    }
}

static void dot_name(tr__text *into, const char *name)
{
    tr__text_puts(into, "\"");
    dot_text(into, name);
    tr__text_puts(into, "\"");
}

static void dot_state(drawing *d, const tr_state *state)
{
    tr__text *text = &d->text;
    tr__text_puts(text, "    ");
    dot_name(text, state->name);
    tr__text_puts(text, " [label=\"");
    dot_text(text, state->name);
    if (state->enter.call != NULL) {
        tr__text_puts(text, "\\nenter / ");
        dot_text(text, state->enter.name);
    }
    tr__text_puts(text, "\"");
    if (state->final) {
        tr__text_puts(text, ", peripheries=2");
    }
    if (is_current(d, state->name)) {
        tr__text_puts(text, ", style=\"rounded,filled\", fillcolor=\"" CURRENT_FILL "\"");
    }
    tr__text_puts(text, "];\n");
}

static void dot_edge(drawing *d, const tr_state *from, const tr_transition *row)
{
    tr__text_puts(&d->text, "    ");
    dot_name(&d->text, from->name);
    tr__text_puts(&d->text, " -> ");
    dot_name(&d->text, row->to == NULL ? from->name : row->to);
    tr__text_puts(&d->text, " [label=\"");
    label(&d->text, dot_text, from, row);
    tr__text_puts(&d->text, "\"];\n");
}

/* The initial point and the end are two nodes; neither can be the name of a state. */
static void draw_dot(drawing *d)
{
    tr__text *text = &d->text;
    tr__text_puts(text, "digraph ");
    dot_name(text, d->table->name);
    tr__text_puts(text, " {\n    rankdir=LR;\n    node [shape=box, style=rounded];\n"
                        "    \"*\" [shape=point, label=\"\"];\n");
    bool ends = false;
    for (const tr_transition *row = d->table->transitions; row != NULL && row->from != NULL; row++) {
        ends = ends || (row->to != NULL && strcmp(row->to, TR_END) == 0);
    }
    if (ends) {
        tr__text_puts(text, "    \"" TR_END "\" [shape=doublecircle, label=\"\", width=0.15];\n");
    }
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        dot_state(d, state);
    }
    tr__text_puts(text, "    \"*\" -> ");
    dot_name(text, d->table->initial);
    tr__text_puts(text, ";\n");
    each_edge(d, dot_edge);
    tr__text_puts(text, "}\n");
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

static void json_state(drawing *d, const tr_state *state)
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

static void json_edge(drawing *d, const tr_state *from, const tr_transition *row)
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

static void draw_json(drawing *d)
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
    each_edge(d, json_edge);
    tr__text_puts(text, "]}\n");
}

size_t tr_statem_diagram(const tr_statem_table *table, tr_diagram format, const char *current, char *out,
                         size_t size)
{
    drawing d = {.text = {.out = out, .size = size}, .table = table, .current = current};
    switch (format) {
    case TR_DIAGRAM_MERMAID:
        draw_mermaid(&d);
        break;
    case TR_DIAGRAM_DOT:
        draw_dot(&d);
        break;
    case TR_DIAGRAM_JSON:
        draw_json(&d);
        break;
    }
    return tr__text_end(&d.text);
}
