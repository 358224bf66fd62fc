/* javascript: truth, equality, order, numbers and texts of rule values as JavaScript has them (invariant R4 of rule.h).
 *
 * 1. Texts that are made come from the run's arena and are counted there; when it gives no more, the run is over: `full`.
 * No state.   Source: ECMA-262, 7.1 (type conversion) and 7.2 (comparison).
 */
#ifndef API_FLAGS_JAVASCRIPT_H
#define API_FLAGS_JAVASCRIPT_H

#include "api/flags/rule.h"

#define JS_NUMBER_BYTES 32

/* Memory of one run. */
struct js_room {
    struct json_arena *arena;
    uint32_t *left; /* bytes */
    bool full;
};

/** Memory, or NULL: then room->full is set. */
void *js_take(struct js_room *room, size_t bytes);

/** As json-logic-js: empty arrays are false. */
bool js_truth(const rule_value *value);
/** ToNumber; NaN for what is none. */
double js_number(struct js_room *room, const rule_value *value);
/** parseFloat: the number a text begins with. */
double js_parse_float(struct js_room *room, const rule_value *value);
/** ToString; an array is its items with commas between them. */
struct text js_text(struct js_room *room, const rule_value *value);
bool js_equal(struct js_room *room, const rule_value *one, const rule_value *other);
bool js_same(const rule_value *one, const rule_value *other);
/** `one` < `other`, or <= with or_equal; false when one is NaN. */
bool js_less(struct js_room *room, const rule_value *one, const rule_value *other, bool or_equal);
/** The shortest digits that are this number.   Returns: how many bytes were written, without a NUL. */
size_t js_number_text(double number, char out[JS_NUMBER_BYTES]);

#endif
