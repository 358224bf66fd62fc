#define _GNU_SOURCE /* memmem */
/* Evaluating. */
#include "api/flags/javascript.h"
#include "api/flags/murmur3.h"
#include "api/flags/rule.h"
#include "api/flags/semver.h"

#include <math.h>

#define BYTES_A_STEP 1024
#define ITEMS_A_STEP 16

struct run {
    rule_run_args *args;
    struct js_room room;
    enum rule_outcome outcome;
};

/* What `var` looks into: the context, or an item of map and its kin. */
struct scope {
    bool is_root;
    rule_value value;
};

static const rule_value null_value = {.kind = RULE_IS_NULL};

static rule_value bool_value(bool truth)
{
    return (rule_value){.kind = RULE_IS_BOOL, .truth = truth};
}

static rule_value number_value(double number)
{
    return (rule_value){.kind = RULE_IS_NUMBER, .is.number = number};
}

static rule_value text_value(struct text text)
{
    return (rule_value){.kind = RULE_IS_TEXT, .count = (uint32_t)text.count, .is.bytes = text.bytes};
}

static rule_value list_value(const rule_value *items, uint32_t count)
{
    return (rule_value){.kind = RULE_IS_LIST, .count = count, .is.items = items};
}

static bool is_over(const struct run *run)
{
    return run->outcome != RULE_DONE || run->room.full;
}

/* Steps that a value costs whoever looks at it. */
static void charge(struct run *run, const rule_value *value)
{
    uint32_t steps = 1 + (value->kind == RULE_IS_TEXT   ? value->count / BYTES_A_STEP
                          : value->kind == RULE_IS_LIST ? value->count / ITEMS_A_STEP
                                                        : 0);

    if (steps > run->args->steps) {
        run->room.full = true;
        return;
    }
    run->args->steps -= steps;
}

static rule_value *take_items(struct run *run, size_t count)
{
    return js_take(&run->room, (count == 0 ? 1 : count) * sizeof(rule_value));
}

static const rule_node *child(const struct run *run, const rule_node *node, uint32_t i)
{
    return &run->args->nodes[node->is.first + i];
}

static void eval(struct run *run, const rule_node *node, const struct scope *scope, rule_value *out);

static rule_value arg(struct run *run, const rule_node *node, uint32_t i, const struct scope *scope)
{
    rule_value value = null_value;

    if (i < node->count && !is_over(run)) {
        eval(run, child(run, node, i), scope, &value);
    }
    return value;
}

/* All arguments. */
static rule_value args_list(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value *items = take_items(run, node->count);

    for (uint32_t i = 0; items != NULL && i < node->count; i++) {
        items[i] = arg(run, node, i, scope);
    }
    return items == NULL ? null_value : list_value(items, node->count);
}

/* ---- the context ---- */

static rule_value of_json(struct run *run, const cJSON *json);

static rule_value of_array(struct run *run, const cJSON *array)
{
    uint32_t count = (uint32_t)cJSON_GetArraySize(array);
    rule_value *items = take_items(run, count);
    const cJSON *item;
    uint32_t i = 0;

    if (items == NULL) {
        return null_value;
    }
    cJSON_ArrayForEach(item, array)
    {
        items[i++] = of_json(run, item);
    }
    return list_value(items, count);
}

static rule_value of_json(struct run *run, const cJSON *json)
{
    if (json == NULL || cJSON_IsNull(json)) {
        return null_value;
    }
    if (cJSON_IsBool(json)) {
        return bool_value(cJSON_IsTrue(json));
    }
    if (cJSON_IsNumber(json)) {
        return number_value(json->valuedouble);
    }
    if (cJSON_IsString(json)) {
        return text_value(json_string(json));
    }
    return cJSON_IsArray(json) ? of_array(run, json)
                               : (rule_value){.kind = RULE_IS_OBJECT, .is.object = json};
}

static bool member_of_object(struct run *run, const cJSON *object, struct text name, rule_value *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        if (text_equal(text_of(item->string), name)) {
            *out = of_json(run, item);
            return true;
        }
    }
    return false;
}

static bool item_of_list(const rule_value *list, struct text name, rule_value *out)
{
    size_t index = 0;

    if (name.count == 0 || name.count > 9 || (name.count > 1 && name.bytes[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < name.count; i++) {
        if (name.bytes[i] < '0' || name.bytes[i] > '9') {
            return false;
        }
        index = index * 10 + (size_t)(name.bytes[i] - '0');
    }
    if (index >= list->count) {
        return false;
    }
    *out = list->is.items[index];
    return true;
}

static bool member_of_flagd(const struct run *run, struct text name, rule_value *out)
{
    if (text_equal(name, TEXT("flagKey"))) {
        *out = text_value(run->args->flag_key);
        return true;
    }
    *out = number_value((double)run->args->now_s);
    return text_equal(name, TEXT("timestamp"));
}

static bool member(struct run *run, const rule_value *of, struct text name, rule_value *out)
{
    rule_value from = *of; /* out may be of */

    switch ((enum rule_value_kind)from.kind) {
    case RULE_IS_OBJECT:
        return member_of_object(run, from.is.object, name, out);
    case RULE_IS_LIST:
        return item_of_list(&from, name, out);
    case RULE_IS_FLAGD:
        return member_of_flagd(run, name, out);
    case RULE_IS_PAIR:
        *out = from.is.items[text_equal(name, TEXT("accumulator"))];
        return text_equal(name, TEXT("accumulator")) || text_equal(name, TEXT("current"));
    default:
        return false;
    }
}

/* The value at a dotted path. False: it is not there. */
static bool look_up(struct run *run, struct text path, const struct scope *scope, rule_value *out)
{
    size_t at = 0;
    bool first = true;

    *out = scope->value;
    while (path.count != 0 && at <= path.count) {
        size_t end = at;
        while (end < path.count && path.bytes[end] != '.') {
            end++;
        }
        struct text name = {.bytes = path.bytes + at, .count = end - at};
        if (first && scope->is_root && text_equal(name, TEXT("$flagd"))) {
            *out = (rule_value){.kind = RULE_IS_FLAGD};
        } else if (!member(run, out, name, out)) {
            return false;
        }
        first = false;
        at = end + 1;
    }
    return true;
}

static rule_value run_var(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value path = arg(run, node, 0, scope);
    rule_value found;

    if (look_up(run, path.kind == RULE_IS_NULL ? TEXT("") : js_text(&run->room, &path), scope, &found)) {
        charge(run, &found);
        return found;
    }
    return arg(run, node, 1, scope);
}

/* ---- missing ---- */

static rule_value missing_of(struct run *run, const rule_value *keys, const struct scope *scope)
{
    rule_value *items = take_items(run, keys->count);
    uint32_t count = 0;

    for (uint32_t i = 0; items != NULL && i < keys->count && !is_over(run); i++) {
        rule_value found;
        bool there = look_up(run, js_text(&run->room, &keys->is.items[i]), scope, &found);
        charge(run, &keys->is.items[i]);
        if (!there || found.kind == RULE_IS_NULL || (found.kind == RULE_IS_TEXT && found.count == 0)) {
            items[count++] = keys->is.items[i];
        }
    }
    return items == NULL ? null_value : list_value(items, count);
}

static rule_value run_missing(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value keys = args_list(run, node, scope);

    if (keys.kind == RULE_IS_LIST && keys.count != 0 && keys.is.items[0].kind == RULE_IS_LIST) {
        keys = keys.is.items[0];
    }
    return keys.kind == RULE_IS_LIST ? missing_of(run, &keys, scope) : null_value;
}

static rule_value run_missing_some(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value need = arg(run, node, 0, scope);
    rule_value keys = arg(run, node, 1, scope);

    if (keys.kind != RULE_IS_LIST) {
        return list_value(NULL, 0);
    }
    rule_value missing = missing_of(run, &keys, scope);
    bool enough = (double)keys.count - (double)missing.count >= js_number(&run->room, &need);
    return enough ? list_value(NULL, 0) : missing;
}

/* ---- logic ---- */

static rule_value run_if(struct run *run, const rule_node *node, const struct scope *scope)
{
    uint32_t i = 0;

    for (; i + 1 < node->count; i += 2) {
        rule_value condition = arg(run, node, i, scope);
        if (js_truth(&condition)) {
            return arg(run, node, i + 1, scope);
        }
    }
    return arg(run, node, i, scope);
}

/* `or` stops at the first that is true, `and` at the first that is not. */
static rule_value run_junction(struct run *run, const rule_node *node, const struct scope *scope, bool stop)
{
    rule_value value = null_value;

    for (uint32_t i = 0; i < node->count && !is_over(run); i++) {
        value = arg(run, node, i, scope);
        if (js_truth(&value) == stop) {
            break;
        }
    }
    return value;
}

static rule_value run_comparison(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value one = arg(run, node, 0, scope);
    rule_value other = arg(run, node, 1, scope);
    bool or_equal = node->kind == RULE_LESS_EQUAL || node->kind == RULE_GREATER_EQUAL;

    switch ((enum rule_kind)node->kind) {
    case RULE_EQUAL:
        return bool_value(js_equal(&run->room, &one, &other));
    case RULE_NOT_EQUAL:
        return bool_value(!js_equal(&run->room, &one, &other));
    case RULE_SAME:
        return bool_value(js_same(&one, &other));
    case RULE_NOT_SAME:
        return bool_value(!js_same(&one, &other));
    case RULE_GREATER:
    case RULE_GREATER_EQUAL:
        return bool_value(js_less(&run->room, &other, &one, or_equal));
    default:
        break;
    }
    bool holds = js_less(&run->room, &one, &other, or_equal);
    if (holds && node->count == 3) {
        rule_value third = arg(run, node, 2, scope);
        holds = js_less(&run->room, &other, &third, or_equal);
    }
    return bool_value(holds);
}

/* ---- arithmetic ---- */

static rule_value run_fold(struct run *run, const rule_node *node, const struct scope *scope)
{
    double result = node->kind == RULE_MAX   ? -INFINITY
                    : node->kind == RULE_MIN ? INFINITY
                                             : (double)(node->kind == RULE_TIMES);

    for (uint32_t i = 0; i < node->count && !is_over(run); i++) {
        rule_value value = arg(run, node, i, scope);
        bool is_order = node->kind == RULE_MAX || node->kind == RULE_MIN;
        double number = is_order ? js_number(&run->room, &value) : js_parse_float(&run->room, &value);
        if (node->kind == RULE_PLUS) {
            result += number;
        } else if (node->kind == RULE_TIMES) {
            result *= number;
        } else if (isnan(number) || (node->kind == RULE_MAX ? number > result : number < result)) {
            result = isnan(result) ? result : number;
        }
    }
    return number_value(result);
}

static rule_value run_arithmetic(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value one = arg(run, node, 0, scope);
    rule_value other = arg(run, node, 1, scope);
    double a = js_number(&run->room, &one);
    double b = js_number(&run->room, &other);

    if (node->kind == RULE_MINUS) {
        return number_value(node->count == 1 ? -a : a - b);
    }
    return number_value(node->kind == RULE_DIVIDE ? a / b : fmod(a, b));
}

/* ---- arrays ---- */

static struct scope item_scope(const rule_value *item)
{
    return (struct scope){.value = *item};
}

static rule_value run_item(struct run *run, const rule_node *node, const rule_value *item)
{
    struct scope scope = item_scope(item);

    return arg(run, node, 1, &scope);
}

/* map, filter */
static rule_value run_each(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value list = arg(run, node, 0, scope);
    rule_value *items = list.kind == RULE_IS_LIST ? take_items(run, list.count) : NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; items != NULL && i < list.count && !is_over(run); i++) {
        rule_value made = run_item(run, node, &list.is.items[i]);
        if (node->kind == RULE_MAP) {
            items[count++] = made;
        } else if (js_truth(&made)) {
            items[count++] = list.is.items[i];
        }
    }
    return list_value(items, count);
}

/* all, none, some */
static rule_value run_quantifier(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value list = arg(run, node, 0, scope);
    uint32_t count = list.kind == RULE_IS_LIST ? list.count : 0;

    for (uint32_t i = 0; i < count && !is_over(run); i++) {
        rule_value made = run_item(run, node, &list.is.items[i]);
        if (js_truth(&made) != (node->kind == RULE_ALL)) {
            return bool_value(node->kind == RULE_SOME);
        }
    }
    return bool_value(node->kind == RULE_NONE || (node->kind == RULE_ALL && count != 0));
}

static rule_value run_reduce(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value list = arg(run, node, 0, scope);
    rule_value result = arg(run, node, 2, scope);
    uint32_t count = list.kind == RULE_IS_LIST ? list.count : 0;

    for (uint32_t i = 0; i < count && !is_over(run); i++) {
        rule_value *pair = take_items(run, 2);
        if (pair == NULL) {
            break;
        }
        pair[0] = list.is.items[i];
        pair[1] = result;
        result = run_item(run, node, &(rule_value){.kind = RULE_IS_PAIR, .is.items = pair});
    }
    return result;
}

static rule_value run_merge(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value list = args_list(run, node, scope);
    size_t count = 0;
    uint32_t used = 0;

    for (uint32_t i = 0; i < list.count; i++) {
        count += list.is.items[i].kind == RULE_IS_LIST ? list.is.items[i].count : 1;
    }
    rule_value *items = take_items(run, count);
    for (uint32_t i = 0; items != NULL && i < list.count; i++) {
        const rule_value *one = &list.is.items[i];
        uint32_t more = one->kind == RULE_IS_LIST ? one->count : 1;
        if (more != 0) {
            memcpy(&items[used], one->kind == RULE_IS_LIST ? one->is.items : one, more * sizeof(*items));
        }
        used += more;
    }
    return items == NULL ? null_value : list_value(items, used);
}

/* ---- texts ---- */

static bool contains(struct text text, struct text part)
{
    return part.count == 0 ||
           (part.count <= text.count && memmem(text.bytes, text.count, part.bytes, part.count) != NULL);
}

static rule_value run_in(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value part = arg(run, node, 0, scope);
    rule_value whole = arg(run, node, 1, scope);

    if (whole.kind == RULE_IS_TEXT) {
        return bool_value(whole.count != 0 && contains(rule_value_text(&whole), js_text(&run->room, &part)));
    }
    for (uint32_t i = 0; whole.kind == RULE_IS_LIST && i < whole.count; i++) {
        if (js_same(&part, &whole.is.items[i])) {
            return bool_value(true);
        }
    }
    return bool_value(false);
}

static rule_value run_cat(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value list = args_list(run, node, scope);
    size_t count = 0;

    if (list.kind != RULE_IS_LIST) {
        return null_value;
    }
    rule_value *items = take_items(run, list.count);
    for (uint32_t i = 0; items != NULL && i < list.count; i++) {
        bool is_null = list.is.items[i].kind == RULE_IS_NULL;
        items[i] = text_value(is_null ? TEXT("") : js_text(&run->room, &list.is.items[i]));
        count += items[i].count;
    }
    char *bytes = items == NULL ? NULL : js_take(&run->room, count + 1);
    char *at = bytes;
    for (uint32_t i = 0; bytes != NULL && i < list.count; i++) {
        at = text_put(at, rule_value_text(&items[i]));
    }
    return bytes == NULL ? null_value : text_value((struct text){bytes, count});
}

/* Where code point number `n` of a text begins; its end when there are fewer. */
static size_t point_at(struct text text, double n)
{
    size_t points = n >= 1 ? n < (double)text.count ? (size_t)n : text.count : 0;
    size_t at = 0;

    for (; at < text.count && points > 0; points--) {
        at++;
        while (at < text.count && ((unsigned char)text.bytes[at] & 0xc0) == 0x80) {
            at++;
        }
    }
    return at;
}

static double points_of(struct text text)
{
    double points = 0;

    for (size_t i = 0; i < text.count; i++) {
        points += ((unsigned char)text.bytes[i] & 0xc0) != 0x80;
    }
    return points;
}

static double integer_of(struct run *run, const rule_value *value)
{
    double number = js_number(&run->room, value);

    return isnan(number) ? 0 : trunc(number);
}

static rule_value run_substr(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value source = arg(run, node, 0, scope);
    rule_value from = arg(run, node, 1, scope);
    rule_value length = arg(run, node, 2, scope);
    struct text text = js_text(&run->room, &source);
    double points = points_of(text);
    double start = integer_of(run, &from);
    start = start < 0 ? fmax(points + start, 0) : fmin(start, points);
    double most = node->count < 3 ? points : integer_of(run, &length);
    most = most < 0 ? points - start + most : most;

    size_t begin = point_at(text, start);
    size_t end = most <= 0 ? begin : point_at(text, fmin(start + most, points));
    return text_value((struct text){.bytes = text.bytes + begin, .count = end - begin});
}

/* starts_with, ends_with: false for what is no text */
static rule_value run_affix(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value whole = arg(run, node, 0, scope);
    rule_value part = arg(run, node, 1, scope);

    if (whole.kind != RULE_IS_TEXT || part.kind != RULE_IS_TEXT || part.count > whole.count) {
        return bool_value(false);
    }
    size_t at = node->kind == RULE_ENDS_WITH ? whole.count - part.count : 0;
    return bool_value(text_equal((struct text){whole.is.bytes + at, part.count}, rule_value_text(&part)));
}

static rule_value run_sem_ver(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value values[3];
    struct semver one, other;

    for (uint32_t i = 0; i < 3; i++) {
        values[i] = arg(run, node, i, scope);
        if (values[i].kind != RULE_IS_TEXT) {
            return bool_value(false);
        }
    }
    return bool_value(semver_parse(rule_value_text(&values[0]), &one) &&
                      semver_parse(rule_value_text(&values[2]), &other) &&
                      semver_holds(&one, semver_operator_of(rule_value_text(&values[1])), &other));
}

/* ---- fractional ---- */

/* The weight of a share: 1 when it has none. Returns: -1 for what is no weight. */
static int64_t weight_of(const rule_value *share)
{
    if (share->kind != RULE_IS_LIST || share->count == 0) {
        return -1;
    }
    if (share->count == 1 || share->is.items[1].kind == RULE_IS_NULL) {
        return 1;
    }
    double weight = share->is.items[1].is.number;
    bool fits = share->is.items[1].kind == RULE_IS_NUMBER && weight >= 0 && weight <= INT32_MAX &&
                weight == trunc(weight);
    return fits ? (int64_t)weight : -1;
}

/* All shares together; 0 when one is bad or they are too many. */
static int64_t whole_of(const rule_value *shares, uint32_t count)
{
    int64_t whole = 0;

    for (uint32_t i = 0; i < count; i++) {
        int64_t weight = weight_of(&shares[i]);
        if (weight < 0) {
            return 0;
        }
        whole += weight;
    }
    return whole <= INT32_MAX ? whole : 0;
}

/* As flagd maps it: the 32 bits of the hash are a fraction of the whole. */
static rule_value share_of(uint32_t hash, const rule_value *shares, uint32_t count)
{
    uint64_t whole = (uint64_t)whole_of(shares, count);
    uint64_t bucket = hash * whole >> 32;
    uint64_t end = 0;

    for (uint32_t i = 0; whole != 0 && i < count; i++) {
        end += (uint64_t)weight_of(&shares[i]);
        if (bucket < end) {
            rule_value chosen = shares[i].is.items[0];
            chosen.split = true;
            return chosen;
        }
    }
    return null_value;
}

static rule_value run_fractional(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value list = args_list(run, node, scope);
    struct text head = TEXT("");
    struct text tail;

    if (list.kind != RULE_IS_LIST || list.count == 0 || is_over(run)) {
        return null_value;
    }
    uint32_t skipped = list.is.items[0].kind != RULE_IS_LIST; /* what to bucket by, or null */
    if (list.is.items[0].kind == RULE_IS_TEXT) {
        tail = rule_value_text(&list.is.items[0]);
    } else {
        const cJSON *key = run->args->context == NULL
                               ? NULL
                               : cJSON_GetObjectItemCaseSensitive(run->args->context, "targetingKey");
        if (key == NULL || !cJSON_IsString(key)) {
            run->outcome = RULE_NO_TARGETING_KEY;
            return null_value;
        }
        head = run->args->flag_key;
        tail = json_string(key);
    }
    return share_of(murmur3_32(head, tail, 0), list.is.items + skipped, list.count - skipped);
}

/* ---- all of it ---- */

static rule_value literal(const struct run *run, const rule_node *node)
{
    switch ((enum rule_kind)node->kind) {
    case RULE_NUMBER:
        return number_value(node->is.number);
    case RULE_TEXT:
        return text_value((struct text){run->args->texts + node->is.first, node->count});
    case RULE_NULL:
        return null_value;
    default:
        return bool_value(node->kind == RULE_TRUE);
    }
}

typedef rule_value run_fn(struct run *run, const rule_node *node, const struct scope *scope);

static rule_value run_or(struct run *run, const rule_node *node, const struct scope *scope)
{
    return run_junction(run, node, scope, true);
}

static rule_value run_and(struct run *run, const rule_node *node, const struct scope *scope)
{
    return run_junction(run, node, scope, false);
}

static rule_value run_truth(struct run *run, const rule_node *node, const struct scope *scope)
{
    rule_value value = arg(run, node, 0, scope);

    return bool_value(js_truth(&value) == (node->kind == RULE_TRUTH));
}

static run_fn *const runs[RULE_KINDS_COUNT] = {
    [RULE_ARRAY] = args_list,
    [RULE_VAR] = run_var,
    [RULE_MISSING] = run_missing,
    [RULE_MISSING_SOME] = run_missing_some,
    [RULE_IF] = run_if,
    [RULE_TERNARY] = run_if,
    [RULE_EQUAL] = run_comparison,
    [RULE_SAME] = run_comparison,
    [RULE_NOT_EQUAL] = run_comparison,
    [RULE_NOT_SAME] = run_comparison,
    [RULE_NOT] = run_truth,
    [RULE_TRUTH] = run_truth,
    [RULE_OR] = run_or,
    [RULE_AND] = run_and,
    [RULE_GREATER] = run_comparison,
    [RULE_GREATER_EQUAL] = run_comparison,
    [RULE_LESS] = run_comparison,
    [RULE_LESS_EQUAL] = run_comparison,
    [RULE_MAX] = run_fold,
    [RULE_MIN] = run_fold,
    [RULE_PLUS] = run_fold,
    [RULE_TIMES] = run_fold,
    [RULE_MINUS] = run_arithmetic,
    [RULE_DIVIDE] = run_arithmetic,
    [RULE_REMAINDER] = run_arithmetic,
    [RULE_MAP] = run_each,
    [RULE_FILTER] = run_each,
    [RULE_REDUCE] = run_reduce,
    [RULE_ALL] = run_quantifier,
    [RULE_NONE] = run_quantifier,
    [RULE_SOME] = run_quantifier,
    [RULE_MERGE] = run_merge,
    [RULE_IN] = run_in,
    [RULE_CAT] = run_cat,
    [RULE_SUBSTR] = run_substr,
    [RULE_FRACTIONAL] = run_fractional,
    [RULE_STARTS_WITH] = run_affix,
    [RULE_ENDS_WITH] = run_affix,
    [RULE_SEM_VER] = run_sem_ver,
};

static void eval(struct run *run, const rule_node *node, const struct scope *scope, rule_value *out)
{
    *out = node->kind < RULE_ARRAY ? literal(run, node) : runs[node->kind](run, node, scope);
    charge(run, out);
}

enum rule_outcome rule_run(rule_run_args *args, rule_value *out)
{
    struct run run = {.args = args, .room = {.arena = args->arena, .left = &args->bytes}};
    struct scope root = {.is_root = true, .value = {.kind = RULE_IS_OBJECT, .is.object = args->context}};
    rule_value value;

    eval(&run, &args->nodes[0], &root, &value);
    if (run.outcome != RULE_DONE) {
        return run.outcome;
    }
    if (run.room.full) {
        return RULE_TOO_LONG;
    }
    *out = value;
    return RULE_DONE;
}
