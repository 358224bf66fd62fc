/* Compiling. */
#include "api/flags/rule.h"

struct operator
{
    const char *name;
    uint32_t fewest, most;
};

#define RULE_OPERATOR_ROW(name, text, fewest, most) [RULE_##name] = {text, fewest, most},
static const struct operator operators[RULE_KINDS_COUNT] = {RULE_OPERATORS(RULE_OPERATOR_ROW)};
#undef RULE_OPERATOR_ROW

/* A value that is still to be compiled, and where it stands. */
struct place {
    const cJSON *json;
    const struct json_where *where;
    uint32_t at; /* its node */
    unsigned depth;
};

struct compiler {
    rule_build *build;
    struct json_errors *errors;
};

static bool compile(struct compiler *c, struct place place);

static bool put_text(struct compiler *c, struct place place)
{
    struct text text = json_string(place.json);
    rule_build *build = c->build;

    if (text.count > build->texts_max - build->used) {
        json_errors_add(c->errors, place.where, NULL, "the rule's texts are too long");
        return false;
    }
    build->nodes[place.at] =
        (rule_node){.kind = RULE_TEXT, .count = (uint32_t)text.count, .is.first = build->used};
    (void)text_put(build->texts + build->used, text);
    build->used += text.count;
    return true;
}

/* Nodes for `count` children, one behind the other. */
static bool reserve(struct compiler *c, struct place place, enum rule_kind kind, uint32_t count)
{
    rule_build *build = c->build;

    if (count > build->nodes_max - build->count) {
        json_errors_add(c->errors, place.where, NULL, "the rule has more than %u values", build->nodes_max);
        return false;
    }
    build->nodes[place.at] = (rule_node){.kind = kind, .count = count, .is.first = build->count};
    build->count += count;
    return true;
}

static bool compile_items(struct compiler *c, struct place place, const cJSON *array, enum rule_kind kind)
{
    uint32_t count = (uint32_t)cJSON_GetArraySize(array);
    const cJSON *item;
    uint32_t i = 0;

    if (!reserve(c, place, kind, count)) {
        return false;
    }
    uint32_t first = c->build->count - count;
    cJSON_ArrayForEach(item, array)
    {
        struct json_where where = {.parent = place.where, .index = i};
        if (!compile(c, (struct place){item, &where, first + i, place.depth + 1})) {
            return false;
        }
        i++;
    }
    return true;
}

static enum rule_kind operator_named(const char *name)
{
    int kind = RULE_ARRAY + 1;

    while (kind < RULE_KINDS_COUNT && strcmp(operators[kind].name, name) != 0) {
        kind++;
    }
    return (enum rule_kind)kind;
}

static bool refuse_name(struct compiler *c, struct place place, const char *name)
{
    if (strcmp(name, "$ref") == 0) {
        json_errors_add(c->errors, place.where, name,
                        "shared evaluators are not taken: write the rule out in each flag");
    } else {
        json_errors_add(c->errors, place.where, name, "is not an operator");
    }
    return false;
}

static bool judge_count(struct compiler *c, struct place place, enum rule_kind kind, uint32_t count)
{
    const struct operator* operator= & operators[kind];

    if (count >= operator->fewest && count <= operator->most) {
        return true;
    }
    if (operator->fewest == operator->most) {
        json_errors_add(c->errors, place.where, operator->name,
                        "takes %u argument%s, not %u", operator->most, operator->most == 1 ? "" : "s", count);
    } else if (operator->most == RULE_MANY) {
        json_errors_add(
            c->errors, place.where, operator->name,
            "takes at least %u argument%s, not %u", operator->fewest, operator->fewest == 1 ? "" : "s",
            count);
    } else {
        json_errors_add(c->errors, place.where, operator->name,
                        "takes %u to %u arguments, not %u", operator->fewest, operator->most, count);
    }
    return false;
}

/* What can be told of `sem_ver` and of the shares of a `fractional` before there is a context. */
static bool judge_arguments(struct compiler *c, struct place place, enum rule_kind kind, const cJSON *args)
{
    const cJSON *item;
    uint32_t i = 0;
    double sum = 0;

    if (kind != RULE_FRACTIONAL) {
        return true;
    }
    struct json_where here = {.parent = place.where, .name = "fractional"};
    cJSON_ArrayForEach(item, args)
    {
        struct json_where where = {.parent = &here, .index = i};
        const cJSON *weight = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 1) : NULL;
        int64_t number = 1;
        if (i++ > 0 && !cJSON_IsArray(item)) {
            json_errors_add(c->errors, &where, NULL, "must be an array: [variant, weight]");
            return false;
        }
        if (cJSON_IsArray(item) && (cJSON_GetArraySize(item) < 1 || cJSON_GetArraySize(item) > 2)) {
            json_errors_add(c->errors, &where, NULL, "must have a variant and may have a weight");
            return false;
        }
        if (weight != NULL && !cJSON_IsObject(weight) && (!json_integer(weight, &number) || number < 0)) {
            json_errors_add(c->errors, &where, "1", "must be an integer, at least 0");
            return false;
        }
        sum += (double)number;
    }
    if (sum > INT32_MAX) {
        json_errors_add(c->errors, &here, NULL, "the weights add up to more than %d", INT32_MAX);
        return false;
    }
    return true;
}

static bool compile_operator(struct compiler *c, struct place place)
{
    const cJSON *args = place.json->child;

    if (args == NULL || args->next != NULL) {
        json_errors_add(c->errors, place.where, NULL,
                        "an object in a rule has one member: an operator and its arguments");
        return false;
    }
    enum rule_kind kind = operator_named(args->string);
    if (kind == RULE_KINDS_COUNT) {
        return refuse_name(c, place, args->string);
    }
    bool many = cJSON_IsArray(args);
    if (!judge_count(c, place, kind, many ? (uint32_t)cJSON_GetArraySize(args) : 1) ||
        !judge_arguments(c, place, kind, args)) {
        return false;
    }
    struct json_where where = {.parent = place.where, .name = args->string};
    struct place inner = {args, &where, place.at, place.depth};
    if (many) {
        return compile_items(c, inner, args, kind);
    }
    return reserve(c, inner, kind, 1) &&
           compile(c, (struct place){args, &where, c->build->count - 1, place.depth + 1});
}

static bool compile(struct compiler *c, struct place place)
{
    rule_node *node = &c->build->nodes[place.at];

    if (place.depth > RULE_DEPTH_MAX) {
        json_errors_add(c->errors, place.where, NULL, "the rule is more than %d deep", RULE_DEPTH_MAX);
        return false;
    }
    if (cJSON_IsObject(place.json)) {
        return compile_operator(c, place);
    }
    if (cJSON_IsArray(place.json)) {
        return compile_items(c, place, place.json, RULE_ARRAY);
    }
    if (cJSON_IsString(place.json)) {
        return put_text(c, place);
    }
    if (cJSON_IsNumber(place.json)) {
        *node = (rule_node){.kind = RULE_NUMBER, .is.number = place.json->valuedouble};
    } else {
        *node = (rule_node){.kind = cJSON_IsTrue(place.json)    ? RULE_TRUE
                                    : cJSON_IsFalse(place.json) ? RULE_FALSE
                                                                : RULE_NULL};
    }
    return true;
}

bool rule_compile(rule_build *build, const cJSON *rule, const struct json_where *where,
                  struct json_errors *errors)
{
    struct compiler c = {.build = build, .errors = errors};

    build->count = 1;
    build->used = 0;
    return compile(&c, (struct place){.json = rule, .where = where});
}
