/* value.h: what scenarios are made of: terms read from JSON, looked into, and printed the way traces show them.
 *
 * 1. Everything here builds on the caller's scratch memory (term.h); value_own copies into memory of the world.
 * 2. Printing names processes and references by what the scenario calls them (world.h).
 * 3. A tuple, list or map is never longer than VALUE_ITEMS_MAX.
 */
#ifndef TESTS_CONFORMANCE_VALUE_H
#define TESTS_CONFORMANCE_VALUE_H

#include <troupe/troupe.h>

struct cJSON;

#define VALUE_ITEMS_MAX 256u

/** The term that a JSON value stands for. */
tr_term value_from_json(const struct cJSON *json);
/** The text of a term in a trace; on scratch memory. */
const char *value_text(tr_term term);
/** printf onto scratch memory. */
const char *value_format(const char *format, ...) TR_PRINTF(1, 2);

bool value_is(tr_term term, const char *atom);
static inline bool value_is_tuple(tr_term term)
{
    return tr_term_kind_of(term) == TR_TERM_TUPLE;
}
static inline bool value_is_int(tr_term term)
{
    return tr_term_kind_of(term) == TR_TERM_INT;
}
/** Number of items of a tuple, list or map; 0 for anything else. */
size_t value_count(tr_term term);
/** Item of a tuple or list, from 0; none when there is no such item. */
tr_term value_item(tr_term term, size_t index);
/** The value of an atom key in a map; none when term is no map or has no such key. */
tr_term value_get(tr_term map, const char *key);
/** The same with what to give when it is absent. */
tr_term value_get_or(tr_term map, const char *key, tr_term otherwise);
/** Is the key there and true? */
bool value_flag(tr_term map, const char *key);
/** Is this a tuple that begins with run: a script that travels as a message? */
bool value_is_script(tr_term term);
tr_term value_bool(bool flag);
/** Items of a list or tuple, sorted by their text, as a list. */
tr_term value_sorted(size_t count, const tr_term *items);
/** A copy on the caller's scratch memory. */
tr_term value_copy(tr_term term);
/** Milliseconds of an integer or of infinity. */
int64_t value_ms(tr_term term);

/** A message as a process sees it: {'EXIT', Pid, Reason}, {'$gen_call', From, Request} and so on. Copied. */
tr_term value_from_message(const tr_msg *msg);
/** The term that a request, cast or bare message carries. Borrowed from msg. */
tr_term value_payload(const tr_msg *msg);
/** A new message that carries the term. */
tr_msg *value_message(tr_term term);

#endif
