/* Tables as graphs in the language of graphviz. */
#include <string.h>

#include "runtime/otp/statem_diagram.h"

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

static void dot_state(tr__drawing *d, const tr_state *state)
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
    if (tr__draw_is_current(d, state->name)) {
        tr__text_puts(text, ", style=\"rounded,filled\", fillcolor=\"" TR__CURRENT_FILL "\"");
    }
    tr__text_puts(text, "];\n");
}

static void dot_edge(tr__drawing *d, const tr_state *from, const tr_transition *row)
{
    tr__text_puts(&d->text, "    ");
    dot_name(&d->text, from->name);
    tr__text_puts(&d->text, " -> ");
    dot_name(&d->text, row->to == NULL ? from->name : row->to);
    tr__text_puts(&d->text, " [label=\"");
    tr__draw_label(&d->text, dot_text, from, row);
    tr__text_puts(&d->text, "\"];\n");
}

/* The initial point and the end are two nodes; neither can be the name of a state. */
void tr__draw_dot(tr__drawing *d)
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
    tr__draw_edges(d, dot_edge);
    tr__text_puts(text, "}\n");
}
