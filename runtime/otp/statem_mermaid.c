/* Tables as mermaid diagrams (stateDiagram-v2). */
#include <string.h>

#include "runtime/otp/statem_diagram.h"

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

static void mermaid_name(tr__drawing *d, const char *state)
{
    if (mermaid_is_word(state)) {
        tr__text_puts(&d->text, state);
    } else {
        tr__text_printf(&d->text, "state%u", tr__statem_state_at(d->table, state));
    }
}

static void mermaid_edge(tr__drawing *d, const tr_state *from, const tr_transition *row)
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
    tr__draw_label(&d->text, mermaid_text, from, row);
    tr__text_puts(&d->text, "\n");
}

static void mermaid_state(tr__drawing *d, const tr_state *state)
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

static void mermaid_ends(tr__drawing *d)
{
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        if (state->final) {
            tr__text_puts(&d->text, "    ");
            mermaid_name(d, state->name);
            tr__text_puts(&d->text, " --> [*]\n");
        }
    }
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        if (tr__draw_is_current(d, state->name)) {
            tr__text_puts(&d->text, "    classDef current fill:" TR__CURRENT_FILL "\n    class ");
            mermaid_name(d, state->name);
            tr__text_puts(&d->text, " current\n");
        }
    }
}

void tr__draw_mermaid(tr__drawing *d)
{
    tr__text_puts(&d->text, "stateDiagram-v2\n");
    for (const tr_state *state = d->table->states; state->name != NULL; state++) {
        mermaid_state(d, state);
    }
    tr__text_puts(&d->text, "    [*] --> ");
    mermaid_name(d, d->table->initial);
    tr__text_puts(&d->text, "\n");
    tr__draw_edges(d, mermaid_edge);
    mermaid_ends(d);
}
