/* pattern.h: which terms, and which parts of them: ETS's match specifications, in C.
 *
 *     {order,'$1','_'} when '$1' > 5    is
 *     (tr_pattern){.term = tr_tuple(tr_atom("order"), tr_var(1), TR_ANY), .guards = {{tr_var(1), TR_GREATER, tr_int(5)}}}
 *
 * Invariants
 *  1. In a pattern the atom '_' stands for anything, and '$1' ... '$9' for something that gets this number; a number
 *     that stands twice stands for equal terms. All else stands for itself, compared exactly: 1 is not 1.0.
 *  2. All guards hold. An unbound number in a guard makes it fail. Order between kinds is that of terms (term.h).
 *  3. What guards cannot say, `when` does: it is C. It runs last, in the caller, outside of any lock.
 *  4. Maps match when they have the same keys; patterns are fine among the values.
 */
#ifndef TROUPE_PATTERN_H
#define TROUPE_PATTERN_H

#include <troupe/term.h>

#define TR_PATTERN_VARS   10u /* numbers 1 to 9; [0] is the whole term, '$_' */
#define TR_PATTERN_GUARDS 4u

typedef enum tr_guard_op {
    TR_GUARD_NONE, /* ends the list */
    TR_EQUAL,
    TR_NOT_EQUAL,
    TR_LESS,
    TR_AT_MOST,
    TR_GREATER,
    TR_AT_LEAST,
    TR_IS_KIND, /* right: tr_int of a tr_term_kind */
} tr_guard_op;

/** left op right; either may be a number of the pattern or a term. */
typedef struct tr_guard {
    tr_term left;
    tr_guard_op op;
    tr_term right;
} tr_guard;

/** What the numbers of a pattern stand for: [0] the whole term, [n] '$n' or none. */
typedef struct tr_bindings {
    tr_term vars[TR_PATTERN_VARS];
} tr_bindings;

typedef struct tr_pattern {
    tr_term term; /* none: anything */
    tr_guard guards[TR_PATTERN_GUARDS];
    bool (*when)(const tr_bindings *found, void *ctx); /* optional; borrows found */
    void *ctx;
    tr_term body; /* of a select: the result, with numbers and '$_' replaced; none: the whole term */
} tr_pattern;

/** '$n' for n from 1 to 9; '$_' for 0 (in bodies). */
tr_term tr_var(unsigned n);
#define TR_ANY (tr_atom("_"))

/** Does the term match, guards and `when` included? *found (NULL allowed) borrows from term; undefined when not.
 *  Context: any thread. Cost: O(pattern), allocates only for patterns deeper than 32. */
bool tr_pattern_matches(const tr_pattern *pattern, tr_term term, tr_bindings *found);
/** The body with the numbers replaced, on scratch memory. Borrows from found. */
tr_term tr_pattern_body(const tr_pattern *pattern, const tr_bindings *found);

/** Without `when`. For callers that must not run foreign code at that moment. */
bool tr__pattern_fits(const tr_pattern *pattern, tr_term term, tr_bindings *found);

#endif
