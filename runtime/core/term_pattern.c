/* term_pattern.c: matching terms with patterns, and making terms of what was found; without recursion. */
#include <string.h>
#include <troupe/pattern.h>

#include "runtime/core/box.h"

/* ---- numbers ---- */

tr_term tr_var(unsigned n)
{
    char text[3] = {'$', '_', '\0'};
    TR_CHECK(n < TR_PATTERN_VARS);
    if (n != 0) {
        text[1] = (char)('0' + n);
    }
    return tr_atom(text);
}

/* The number that an atom means, 0 for '$_'; TR_PATTERN_VARS when it means itself. */
static unsigned number_of(tr_term term)
{
    const char *text = tr_is_atom(term) ? tr_atom_text(term) : "";
    if (text[0] != '$' || text[1] == '\0' || text[2] != '\0') {
        return TR_PATTERN_VARS;
    }
    if (text[1] == '_') {
        return 0;
    }
    return text[1] >= '1' && text[1] <= '9' ? (unsigned)(text[1] - '0') : TR_PATTERN_VARS;
}

static bool is_any(tr_term term)
{
    return tr_is_none(term) || (tr_is_atom(term) && strcmp(tr_atom_text(term), "_") == 0);
}

/* ---- matching ---- */

static bool bind(tr_bindings *found, unsigned number, tr_term term)
{
    if (tr_is_none(found->vars[number])) {
        found->vars[number] = term;
        return true;
    }
    return tr_term_equal(found->vars[number], term);
}

/* Two containers of one shape: pushes their items. Returns: false when the shapes differ. */
static bool enter(tr__walk *walk, tr_term pattern, tr_term term)
{
    if (!tr__is_box(term) || tr__box_of(pattern)->kind_count != tr__box_of(term)->kind_count) {
        return false;
    }
    uint32_t left = (uint32_t)tr__box_terms(tr__box_of(pattern));
    if (left > 0) {
        tr__walk_push(walk, (tr__frame){.a = tr__box_items(tr__box_of(pattern)),
                                        .b = tr__box_items(tr__box_of(term)),
                                        .left = left,
                                        .stride = 1});
    }
    return true;
}

static bool match_step(tr__walk *walk, tr_term pattern, tr_term term, tr_bindings *found)
{
    unsigned number = number_of(pattern);
    if (number != 0 && number < TR_PATTERN_VARS) {
        return bind(found, number, term);
    }
    if (is_any(pattern)) {
        return true;
    }
    bool holds_terms = tr__is_box(pattern) && tr__box_terms(tr__box_of(pattern)) > 0;
    return holds_terms ? enter(walk, pattern, term) : tr_term_equal(pattern, term);
}

static bool match(tr_term pattern, tr_term term, tr_bindings *found)
{
    tr__walk walk;
    tr__walk_begin(&walk);
    bool fits = match_step(&walk, pattern, term, found);
    while (fits && walk.used > 0) {
        tr__frame *top = &walk.frames[walk.used - 1];
        tr_term next_pattern = *top->a++;
        tr_term next_term = *top->b++;
        top->left--;
        if (top->left == 0) {
            walk.used--;
        }
        fits = match_step(&walk, next_pattern, next_term, found);
    }
    tr__walk_end(&walk);
    return fits;
}

/* ---- guards ---- */

static tr_term operand(tr_term term, const tr_bindings *found)
{
    unsigned number = number_of(term);
    return number < TR_PATTERN_VARS ? found->vars[number] : term;
}

static bool guard_holds(const tr_guard *guard, const tr_bindings *found)
{
    tr_term left = operand(guard->left, found);
    tr_term right = operand(guard->right, found);
    if (tr_is_none(left) || tr_is_none(right)) {
        return false;
    }
    switch (guard->op) {
    case TR_EQUAL:
        return tr_term_equal(left, right);
    case TR_NOT_EQUAL:
        return !tr_term_equal(left, right);
    case TR_LESS:
        return tr_term_compare(left, right) < 0;
    case TR_AT_MOST:
        return tr_term_compare(left, right) <= 0;
    case TR_GREATER:
        return tr_term_compare(left, right) > 0;
    case TR_AT_LEAST:
        return tr_term_compare(left, right) >= 0;
    case TR_IS_KIND:
        return tr_same(right, tr_int((int64_t)tr_term_kind_of(left)));
    case TR_GUARD_NONE:
        break;
    }
    return true;
}

bool tr__pattern_fits(const tr_pattern *pattern, tr_term term, tr_bindings *found)
{
    *found = (tr_bindings){.vars = {term}};
    if (!match(pattern->term, term, found)) {
        return false;
    }
    for (unsigned i = 0; i < TR_PATTERN_GUARDS && pattern->guards[i].op != TR_GUARD_NONE; i++) {
        if (!guard_holds(&pattern->guards[i], found)) {
            return false;
        }
    }
    return true;
}

bool tr_pattern_matches(const tr_pattern *pattern, tr_term term, tr_bindings *found)
{
    tr_bindings unused;
    found = found != NULL ? found : &unused;
    return tr__pattern_fits(pattern, term, found) &&
           (pattern->when == NULL || pattern->when(found, pattern->ctx));
}

/* ---- bodies ---- */

/* A container of which the first `next` items are done. */
typedef struct building {
    struct building *outer;
    tr_term source;
    size_t next, count;
    tr_term items[];
} building;

static building *build_begin(building *outer, tr_term source)
{
    size_t count = tr__box_terms(tr__box_of(source));
    building *made = tr_scratch_alloc(sizeof *made + count * sizeof(tr_term));
    *made = (building){.outer = outer, .source = source, .count = count};
    return made;
}

static tr_term build_end(const building *of)
{
    switch (tr_term_kind_of(of->source)) {
    case TR_TERM_TUPLE:
        return tr_tuple_n(of->count, of->items);
    case TR_TERM_LIST:
        return tr_list_n(of->count, of->items);
    default:
        return tr_map_n(of->count / 2, of->items);
    }
}

tr_term tr_pattern_body(const tr_pattern *pattern, const tr_bindings *found)
{
    tr_term term = tr_is_none(pattern->body) ? tr_var(0) : pattern->body;
    building *inner = NULL;
    for (;;) {
        if (tr__is_box(term) && tr__box_terms(tr__box_of(term)) > 0) {
            inner = build_begin(inner, term);
            term = tr_term_items(term)[0];
            continue;
        }
        tr_term value = operand(term, found);
        term = tr_is_none(value) ? TR_ATOM(UNDEFINED) : value;
        while (inner != NULL) {
            inner->items[inner->next++] = term;
            if (inner->next < inner->count) {
                break;
            }
            term = build_end(inner);
            inner = inner->outer;
        }
        if (inner == NULL) {
            return term;
        }
        term = tr_term_items(inner->source)[inner->next];
    }
}
