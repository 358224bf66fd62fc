/* print.c: terms as traces show them (README, section 3). */
#include <string.h>

#include "tests/conformance/runner/value.h"
#include "tests/conformance/runner/world.h"

/* Reasons that a library call adds are {R, {Module, Function, Args}}: the arguments are not compared. */
static const char *const wrapping_modules[] = {"gen_server",      "gen_statem",        "sys",       "gen",
                                               "proc_lib",        "supervisor",        "GenServer", "Task",
                                               "Task.Supervised", "DynamicSupervisor", "Supervisor"};

static bool is_wrapped(tr_term term)
{
    tr_term where = value_item(term, 1);
    if (value_count(term) != 2 || !value_is_tuple(where) || value_count(where) != 3 ||
        !tr_is_atom(value_item(where, 0)) || !tr_is_atom(value_item(where, 1)) ||
        tr_term_kind_of(value_item(where, 2)) != TR_TERM_LIST) {
        return false;
    }
    for (size_t i = 0; i < sizeof wrapping_modules / sizeof wrapping_modules[0]; i++) {
        if (value_is(value_item(where, 0), wrapping_modules[i])) {
            return true;
        }
    }
    return false;
}

/* The only names with a capital that traces show as they are. */
static bool is_elixir(const char *text)
{
    return text[0] == '%' || strcmp(text, "GenServer") == 0 || strcmp(text, "PartitionSupervisor") == 0 ||
           strcmp(text, "Task") == 0 || strcmp(text, "Task.Supervised") == 0;
}

static const char *atom_text(tr_term atom)
{
    const char *text = tr_atom_text(atom);
    bool bare = text[0] >= 'a' && text[0] <= 'z';
    for (const char *at = text; *at != '\0' && bare; at++) {
        bare = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
               *at == '_' || *at == '@';
    }
    return bare || is_elixir(text) ? text : value_format("'%s'", text);
}

static const char *items_text(const char *open, tr_term term, size_t from, const char *close)
{
    const char *text = open;
    for (size_t i = from; i < value_count(term); i++) {
        text = value_format("%s%s%s", text, i == from ? "" : ",", value_text(value_item(term, i)));
    }
    return value_format("%s%s", text, close);
}

/* Is this a list of {Module, Function, Arity, Location}, with at least one? */
static bool is_stack(tr_term term)
{
    bool is = tr_term_kind_of(term) == TR_TERM_LIST && value_count(term) > 0;
    for (size_t i = 0; is && i < value_count(term); i++) {
        tr_term frame = value_item(term, i);
        tr_term arity = value_item(frame, 2);
        is = value_is_tuple(frame) && value_count(frame) == 4 && tr_is_atom(value_item(frame, 0)) &&
             tr_is_atom(value_item(frame, 1)) &&
             (value_is_int(arity) || tr_term_kind_of(arity) == TR_TERM_LIST) &&
             tr_term_kind_of(value_item(frame, 3)) == TR_TERM_LIST;
    }
    return is;
}

static const char *tuple_text(tr_term term)
{
    tr_term first = value_item(term, 0);
    if (value_count(term) == 2 && is_stack(value_item(term, 1))) {
        return value_text(first);
    }
    if (value_is_script(term)) {
        return "run";
    }
    if (is_wrapped(term)) {
        tr_term where = value_item(term, 1);
        return value_format("{%s,{%s,%s}}", value_text(first), value_text(value_item(where, 0)),
                            value_text(value_item(where, 1)));
    }
    if (value_is(first, "child") && value_count(term) >= 8) {
        return value_format("{child,%s}", value_text(value_item(term, 2)));
    }
    return items_text("{", term, 0, "}");
}

static const char *map_text(tr_term map)
{
    const tr_term *pairs = tr_term_items(map);
    size_t count = tr_term_count(map);
    const char **keys = tr_scratch_alloc((count + 1) * sizeof *keys);
    const char **values = tr_scratch_alloc((count + 1) * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const char *key = value_text(pairs[2 * i]);
        const char *value = value_text(pairs[2 * i + 1]);
        size_t at = i;
        for (; at > 0 && strcmp(keys[at - 1], key) > 0; at--) {
            keys[at] = keys[at - 1];
            values[at] = values[at - 1];
        }
        keys[at] = key;
        values[at] = value;
    }
    const char *text = "#{";
    for (size_t i = 0; i < count; i++) {
        text = value_format("%s%s%s=>%s", text, i == 0 ? "" : ",", keys[i], values[i]);
    }
    return value_format("%s}", text);
}

const char *value_text(tr_term term)
{
    size_t length;
    const char *bytes;
    switch (tr_term_kind_of(term)) {
    case TR_TERM_ATOM:
        return atom_text(term);
    case TR_TERM_PID:
        return value_format("<%s>", world_label(tr_pid_value(term)));
    case TR_TERM_REF:
        return value_format("#%s", world_ref_label(tr_ref_value(term)));
    case TR_TERM_STRING:
        bytes = tr_string_bytes(term, &length);
        return value_format("\"%.*s\"", (int)length, bytes);
    case TR_TERM_TUPLE:
        return tuple_text(term);
    case TR_TERM_LIST:
        return items_text("[", term, 0, "]");
    case TR_TERM_MAP:
        return map_text(term);
    default:
        return tr_term_text(term);
    }
}
