/* expr.c: expressions. */
#include <string.h>

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/trace.h"
#include "tests/conformance/runner/world.h"

/* Functions whose arguments are values. */
static outcome apply(const char *name, const tr_term *arg, size_t count);

static bool is_function(tr_term head)
{
    static const char *const variables[] = {"$s", "$m", "$from", "$self", "$state", "$type", "$x", "$v"};
    const char *text = tr_is_atom(head) ? tr_atom_text(head) : "";
    if (text[0] != '$' || text[1] < 'a' || text[1] > 'z') {
        return false;
    }
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (strcmp(text, variables[i]) == 0) {
            return false;
        }
    }
    return true;
}

static outcome eval_atom(tr_term atom, const env *in)
{
    tr_term value = atom;
    if (value_is(atom, "$s")) {
        value = in->state;
    } else if (value_is(atom, "$m")) {
        value = in->message;
    } else if (value_is(atom, "$from")) {
        value = in->from;
    } else if (value_is(atom, "$v")) {
        value = in->value;
    } else if (value_is(atom, "$self")) {
        value = tr_pid_term(tr_self());
    } else if (value_is(atom, "$state")) {
        value = in->machine_state;
    } else if (value_is(atom, "$type")) {
        value = in->type;
    } else if (value_is(atom, "$x")) {
        value = in->element;
    }
    return tr_is_none(value) ? outcome_error(tr_atom("badkey")) : outcome_value(value);
}

static outcome eval_items(size_t count, const tr_term *items, const env *in, tr_term **values)
{
    *values = tr_scratch_alloc((count + 1) * sizeof(tr_term));
    for (size_t i = 0; i < count; i++) {
        outcome each = eval(items[i], in);
        TRY(each);
        (*values)[i] = each.value;
    }
    return outcome_value(TR_ATOM(OK));
}

static outcome eval_map(tr_term map, const env *in)
{
    size_t count = tr_term_count(map);
    const tr_term *pairs = tr_term_items(map);
    tr_term *values = tr_scratch_alloc((2 * count + 1) * sizeof(tr_term));
    for (size_t i = 0; i < count; i++) {
        outcome each = eval(pairs[2 * i + 1], in);
        TRY(each);
        values[2 * i] = pairs[2 * i];
        values[2 * i + 1] = each.value;
    }
    return outcome_value(tr_map_n(count, values));
}

/* ---- functions that look at their arguments unevaluated ---------------------------------------------------------- */
static outcome map_values(const tr_term *arg, const env *in)
{
    outcome map = eval(arg[0], in);
    TRY(map);
    size_t count = value_count(map.value);
    const tr_term *pairs = tr_term_items(map.value);
    tr_term *values = tr_scratch_alloc((2 * count + 1) * sizeof(tr_term));
    for (size_t i = 0; i < count; i++) {
        env inner = *in;
        inner.value = pairs[2 * i + 1];
        outcome each = eval(arg[1], &inner);
        TRY(each);
        values[2 * i] = pairs[2 * i];
        values[2 * i + 1] = each.value;
    }
    return outcome_value(tr_map_n(count, values));
}

static outcome make_map(const tr_term *arg, size_t count, const env *in)
{
    tr_term *pairs = tr_scratch_alloc((2 * count + 1) * sizeof(tr_term));
    for (size_t i = 0; i < 2 * count; i++) {
        outcome each = eval(value_item(arg[i / 2], i % 2), in);
        TRY(each);
        pairs[i] = each.value;
    }
    return outcome_value(tr_map_n(count, pairs));
}

static outcome raise_value(outcome_kind kind, tr_term reason, const env *in)
{
    outcome value = eval(reason, in);
    TRY(value);
    return (outcome){kind, value.value};
}

static outcome known(tr_term value)
{
    return tr_is_none(value) ? outcome_error(TR_ATOM(BADARG)) : outcome_value(value);
}

static outcome pid_of(tr_term name)
{
    tr_pid pid = TR_NO_PID;
    TRY(step_pid(name, &pid));
    return outcome_value(tr_pid_term(pid));
}

static outcome eval_log(tr_term expression, const env *in)
{
    outcome value = eval(expression, in);
    TRY(value);
    trace_log("log %s", value_text(value.value));
    return value;
}

static outcome eval_if(const tr_term *arg, const env *in)
{
    outcome condition = eval(arg[0], in);
    TRY(condition);
    return eval(tr_same(condition.value, TR_ATOM(TRUE)) ? arg[1] : arg[2], in);
}

static outcome eval_function(const char *name, const tr_term *arg, size_t count, const env *in)
{
    if (strcmp(name, "$do") == 0) {
        return script_run(tr_tuple_n(count, arg), in, TR_ATOM(OK));
    }
    if (strcmp(name, "$map") == 0) {
        return make_map(arg, count, in);
    }
    if (strcmp(name, "$if") == 0 && count == 3) {
        return eval_if(arg, in);
    }
    if (strcmp(name, "$mapvals") == 0 && count == 2) {
        return map_values(arg, in);
    }
    if (count == 1) {
        if (strcmp(name, "$q") == 0) {
            return outcome_value(arg[0]);
        }
        if (strcmp(name, "$pid") == 0) {
            return pid_of(arg[0]);
        }
        if (strcmp(name, "$ref") == 0) {
            return known(world_get(NAME_REF, arg[0]));
        }
        if (strcmp(name, "$alias") == 0) {
            return known(world_get(NAME_ALIAS, arg[0]));
        }
        if (strcmp(name, "$var") == 0) {
            return known(world_get(NAME_VAR, arg[0]));
        }
        if (strcmp(name, "$now") == 0) {
            return outcome_value(tr_int(tr_now_ms() + tr_int_value(arg[0])));
        }
        if (strcmp(name, "$error") == 0) {
            return raise_value(OUTCOME_ERROR, arg[0], in);
        }
        if (strcmp(name, "$exit") == 0) {
            return raise_value(OUTCOME_EXIT, arg[0], in);
        }
        if (strcmp(name, "$throw") == 0) {
            return raise_value(OUTCOME_THROW, arg[0], in);
        }
        if (strcmp(name, "$log") == 0) {
            return eval_log(arg[0], in);
        }
    }
    tr_term *values;
    TRY(eval_items(count, arg, in, &values));
    return apply(name, values, count);
}

outcome eval(tr_term expression, const env *in)
{
    size_t count = value_count(expression);
    tr_term *values;
    switch (tr_term_kind_of(expression)) {
    case TR_TERM_ATOM:
        return eval_atom(expression, in);
    case TR_TERM_TUPLE:
        if (value_is_script(expression)) {
            return outcome_value(expression);
        }
        if (count > 0 && is_function(value_item(expression, 0))) {
            return eval_function(tr_atom_text(value_item(expression, 0)), tr_term_items(expression) + 1,
                                 count - 1, in);
        }
        TRY(eval_items(count, tr_term_items(expression), in, &values));
        return outcome_value(tr_tuple_n(count, values));
    case TR_TERM_LIST:
        TRY(eval_items(count, tr_term_items(expression), in, &values));
        return outcome_value(tr_list_n(count, values));
    case TR_TERM_MAP:
        return eval_map(expression, in);
    default:
        return outcome_value(expression);
    }
}

/* ---- functions of values ----------------------------------------------------------------------------------------- */
static bool is_number(tr_term term)
{
    return value_is_int(term) || tr_term_kind_of(term) == TR_TERM_FLOAT;
}

static double as_double(tr_term number)
{
    return value_is_int(number) ? (double)tr_int_value(number) : tr_float_value(number);
}

static outcome arithmetic(char what, tr_term a, tr_term b)
{
    if (!is_number(a) || !is_number(b)) {
        return outcome_error(tr_atom("badarith"));
    }
    if (value_is_int(a) && value_is_int(b)) {
        int64_t x = tr_int_value(a);
        int64_t y = tr_int_value(b);
        return outcome_value(tr_int(what == '+' ? x + y : what == '-' ? x - y : x * y));
    }
    double x = as_double(a);
    double y = as_double(b);
    return outcome_value(tr_float(what == '+' ? x + y : what == '-' ? x - y : x * y));
}

/* Erlang's order, in which 1 == 1.0. */
static int order(tr_term a, tr_term b)
{
    if (is_number(a) && is_number(b) && as_double(a) == as_double(b)) {
        return 0;
    }
    return tr_term_compare(a, b);
}

static outcome put_key(const tr_term *arg)
{
    if (tr_term_kind_of(arg[2]) != TR_TERM_MAP) {
        return outcome_error(tr_tuple(tr_atom("badmap"), arg[2]));
    }
    size_t count = tr_term_count(arg[2]);
    tr_term *pairs = tr_scratch_alloc((2 * count + 2) * sizeof(tr_term));
    if (count > 0) {
        memcpy(pairs, tr_term_items(arg[2]), 2 * count * sizeof(tr_term));
    }
    pairs[2 * count] = arg[0];
    pairs[2 * count + 1] = arg[1];
    return outcome_value(tr_map_n(count + 1, pairs));
}

static outcome joined(tr_term head, tr_term list, bool in_front)
{
    size_t count = value_count(list);
    tr_term *items = tr_scratch_alloc((count + 1) * sizeof(tr_term));
    for (size_t i = 0; i < count; i++) {
        items[in_front ? i + 1 : i] = value_item(list, i);
    }
    items[in_front ? 0 : count] = head;
    return outcome_value(tr_list_n(count + 1, items));
}

static outcome get_key(const tr_term *arg)
{
    tr_term found = tr_map_get(arg[0], arg[1]);
    return outcome_value(tr_is_none(found) ? arg[2] : found);
}

static outcome comparison(const char *name, tr_term a, tr_term b)
{
    bool less = name[1] == 'l';
    bool or_equal = name[2] == 'e';
    int is = less ? -order(a, b) : order(a, b);
    return outcome_value(value_bool(or_equal ? is >= 0 : is > 0));
}

static outcome apply_two(const char *name, tr_term a, tr_term b)
{
    if (strcmp(name, "$add") == 0 || strcmp(name, "$sub") == 0 || strcmp(name, "$mul") == 0) {
        return arithmetic(name[1] == 'a' ? '+' : name[1] == 's' ? '-' : '*', a, b);
    }
    if (strcmp(name, "$min") == 0) {
        return outcome_value(order(b, a) < 0 ? b : a);
    }
    if (strcmp(name, "$max") == 0) {
        return outcome_value(order(b, a) > 0 ? b : a);
    }
    if (strcmp(name, "$eq") == 0) {
        return outcome_value(value_bool(tr_term_equal(a, b)));
    }
    if (strcmp(name, "$and") == 0) {
        return outcome_value(tr_same(a, TR_ATOM(TRUE)) ? b : a);
    }
    if (strcmp(name, "$or") == 0) {
        return outcome_value(tr_same(a, TR_ATOM(TRUE)) ? a : b);
    }
    if (strcmp(name, "$elem") == 0) {
        tr_term item = value_is_int(a) ? value_item(b, (size_t)tr_int_value(a) - 1) : TR_TERM_NONE_VALUE;
        return known(item);
    }
    if (strcmp(name, "$cons") == 0) {
        return joined(a, b, true);
    }
    if (strcmp(name, "$append") == 0) {
        return joined(b, a, false);
    }
    return comparison(name, a, b);
}

static outcome apply(const char *name, const tr_term *arg, size_t count)
{
    static const char *const of_two[] = {"$add", "$sub", "$mul", "$min", "$max",  "$gt",   "$ge",    "$lt",
                                         "$le",  "$eq",  "$and", "$or",  "$elem", "$cons", "$append"};
    for (size_t i = 0; i < sizeof of_two / sizeof of_two[0] && count == 2; i++) {
        if (strcmp(name, of_two[i]) == 0) {
            return apply_two(name, arg[0], arg[1]);
        }
    }
    if (strcmp(name, "$not") == 0 && count == 1) {
        return outcome_value(value_bool(tr_same(arg[0], TR_ATOM(FALSE))));
    }
    if (strcmp(name, "$len") == 0 && count == 1) {
        return outcome_value(tr_int((int64_t)value_count(arg[0])));
    }
    if (strcmp(name, "$get") == 0 && count == 3 && tr_term_kind_of(arg[0]) == TR_TERM_MAP) {
        return get_key(arg);
    }
    if (strcmp(name, "$put") == 0 && count == 3) {
        return put_key((const tr_term[]){arg[1], arg[2], arg[0]});
    }
    trace_bad_step(name);
    return outcome_error(TR_ATOM(FUNCTION_CLAUSE));
}
