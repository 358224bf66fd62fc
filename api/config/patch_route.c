/* PATCH /v1/config: puts, deletes and expectations, all or nothing. */
#include "api/config/answering.h"
#include "api/config/config_routes.h"
#include "api/config/service_settings.h"

/* The steps, from the request's arena. */
struct patch {
    size_t count;
    size_t used;
    uint64_t ops[CONFIG_CHANGE_BYTES_MAX / 8];
};

struct patch_body {
    const cJSON *puts;
    const cJSON *deletes;
    const cJSON *expect;
};

static const struct json_member patch_members[] = {
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("puts", JSON_OBJECT, struct patch_body, puts),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("deletes", JSON_ARRAY, struct patch_body, deletes, .min = 0, .max = CONFIG_OPS_MAX),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("expect", JSON_OBJECT, struct patch_body, expect),
};
static const struct json_shape patch_shape = JSON_SHAPE(patch_members);

static const struct json_where at_puts = {.name = "puts"};
static const struct json_where at_deletes = {.name = "deletes"};
static const struct json_where at_expect = {.name = "expect"};

static const config_op *next_op(const config_op *op)
{
    return (const config_op *)(const void *)((const char *)op + op->bytes);
}

static struct text key_of(const config_op *op)
{
    return (struct text){.bytes = op->texts, .count = op->key_bytes};
}

/* ---- from JSON to steps ---- */

static bool key_fits(struct text key, const struct json_where *where, struct json_errors *errors)
{
    long long longest = (long long)config_service.settings->max_config_key_bytes;

    if (config_key_ok(key, (size_t)longest)) {
        return true;
    }
    json_errors_add(errors, where, NULL, "a key is 1 to %lld letters, digits and . _ : / -", longest);
    return false;
}

static bool add(struct patch *patch, enum config_op_kind kind, struct text key, struct text value,
                uint64_t expected, const struct json_where *where, struct json_errors *errors)
{
    size_t bytes = config_op_bytes(key, value);

    if (patch->count == CONFIG_OPS_MAX || patch->used + bytes > sizeof(patch->ops)) {
        json_errors_add(errors, where, NULL, "one change takes at most %d steps and %u bytes", CONFIG_OPS_MAX,
                        CONFIG_CHANGE_BYTES_MAX);
        return false;
    }
    config_op_write((config_op *)(void *)((char *)patch->ops + patch->used), kind, key, value,
                    CONFIG_AS_IT_WAS, expected);
    patch->used += bytes;
    patch->count++;
    return true;
}

static bool add_put(struct patch *patch, const cJSON *item, char *buffer, struct json_errors *errors)
{
    size_t room = (size_t)config_service.settings->max_config_value_bytes;
    struct json_where where = {.parent = &at_puts, .name = item->string};
    struct settings_error error;
    struct json_out out;

    if (!key_fits(text_of(item->string), &where, errors)) {
        return false;
    }
    json_out_init(&out, buffer, room);
    json_out_tree(&out, item);
    struct text value = json_out_text(&out);
    if (value.bytes == NULL) {
        json_errors_add(errors, &where, NULL, "takes at most %zu bytes of JSON", room);
        return false;
    }
    if (!config_setting_fits(text_of(item->string), value, &error)) {
        json_errors_add(errors, &where, NULL, "%s", error.text);
        return false;
    }
    return add(patch, CONFIG_PUT, text_of(item->string), value, CONFIG_ANY_VERSION, &where, errors);
}

static bool is_among(const struct patch *patch, struct text key)
{
    const config_op *op = (const config_op *)(const void *)patch->ops;

    for (size_t i = 0; i < patch->count; i++, op = next_op(op)) {
        if (text_equal(key_of(op), key)) {
            return true;
        }
    }
    return false;
}

static bool add_delete(struct patch *patch, const cJSON *item, size_t index, struct json_errors *errors)
{
    struct json_where where = {.parent = &at_deletes, .index = index};

    if (!cJSON_IsString(item)) {
        json_errors_add(errors, &where, NULL, "must be a key");
        return false;
    }
    struct text key = {item->valuestring, (size_t)item->valueint};
    if (!key_fits(key, &where, errors)) {
        return false;
    }
    if (is_among(patch, key)) {
        json_errors_add(errors, &where, NULL, "the key is named before in this change");
        return false;
    }
    return add(patch, CONFIG_DELETE, key, (struct text){0}, CONFIG_ANY_VERSION, &where, errors);
}

static bool add_expect(struct patch *patch, const cJSON *item, struct json_errors *errors)
{
    struct json_where where = {.parent = &at_expect, .name = item->string};

    if (!key_fits(text_of(item->string), &where, errors)) {
        return false;
    }
    if (!cJSON_IsNumber(item) || (item->type & JSON_INTEGER) == 0 || item->valuedouble < 0) {
        json_errors_add(errors, &where, NULL, "must be a version, or 0 for a key that must not be there");
        return false;
    }
    return add(patch, CONFIG_EXPECT, text_of(item->string), (struct text){0}, (uint64_t)item->valuedouble,
               &where, errors);
}

static bool read_patch(struct http_request *request, struct patch *patch, struct json_errors *errors)
{
    char *buffer =
        json_arena_take(http_request_arena(request), (size_t)config_service.settings->max_config_value_bytes);
    struct patch_body body = {0};
    size_t index = 0;
    bool fits = json_read_object(http_request_json(request), NULL, &patch_shape, &body, errors);

    if (buffer == NULL) {
        json_errors_add(errors, NULL, NULL, "is too large");
        return false;
    }
    for (const cJSON *item = body.puts == NULL ? NULL : body.puts->child; fits && item != NULL;
         item = item->next) {
        fits = add_put(patch, item, buffer, errors);
    }
    for (const cJSON *item = body.deletes == NULL ? NULL : body.deletes->child; fits && item != NULL;
         item = item->next) {
        fits = add_delete(patch, item, index++, errors);
    }
    for (const cJSON *item = body.expect == NULL ? NULL : body.expect->child; fits && item != NULL;
         item = item->next) {
        fits = add_expect(patch, item, errors);
    }
    return fits;
}

/* ---- in the request's process ---- */

/* The keys of the steps that failed, once each. */
static void answer_failed(struct http_request *request, const struct patch *patch,
                          const config_result *results, bool conflict)
{
    struct json_out *out =
        http_problem_begin(request, conflict ? PROBLEM_CONFIG_CONFLICT : PROBLEM_CONFIG_KEY_NOT_FOUND,
                           conflict ? "keys have other versions than the change expects; nothing was changed"
                                    : "keys to delete have no override; nothing was changed");
    const config_op *op = (const config_op *)(const void *)patch->ops;

    json_out_key(out, "keys");
    json_out_open_array(out);
    for (size_t i = 0; i < patch->count; i++, op = next_op(op)) {
        if (results[i].failed && (op->kind == CONFIG_EXPECT) == conflict) {
            json_out_text_value(out, key_of(op));
        }
    }
    json_out_close_array(out);
    http_problem_end(request);
}

static void answer_versions(struct http_request *request, const struct patch *patch,
                            const config_result *results, uint64_t revision)
{
    struct json_out *out = http_answer_out(request);
    const config_op *op = (const config_op *)(const void *)patch->ops;

    json_out_open_object(out);
    json_out_key(out, "revision");
    json_out_uint(out, revision);
    json_out_key(out, "versions");
    json_out_open_object(out);
    for (size_t i = 0; i < patch->count; i++, op = next_op(op)) {
        if (op->kind == CONFIG_EXPECT) {
            continue;
        }
        json_out_key_text(out, key_of(op));
        if (results[i].version == 0) {
            json_out_null(out);
        } else {
            json_out_uint(out, results[i].version);
        }
    }
    json_out_close_object(out);
    json_out_close_object(out);
    http_answer_etag(request, revision);
    http_answer_json(request, 200);
}

static void patch_all(struct http_request *request)
{
    const struct patch *patch = http_request_state(request);
    config_change ask = {.ops = tr_string_n(patch->ops, patch->used)};
    config_changed told;
    tr_err err = config_cache_change(&ask, http_request_left_ms(request), &told);

    if (err != TR_OK) {
        http_answer_call_failed(request, err);
        return;
    }
    const config_result *results = (const config_result *)(const void *)tr_string_bytes(told.results, NULL);
    if (told.outcome == CONFIG_DONE) {
        answer_versions(request, patch, results, told.revision);
    } else if (told.outcome == CONFIG_CONFLICT || told.outcome == CONFIG_NO_SUCH_KEY) {
        answer_failed(request, patch, results, told.outcome == CONFIG_CONFLICT);
    } else {
        config_answer_failure(request, (enum config_outcome)told.outcome);
    }
}

void config_route_patch(struct http_request *request)
{
    struct patch *patch = json_arena_take(http_request_arena(request), sizeof(*patch));
    struct json_errors errors;

    json_errors_init(&errors);
    if (patch == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, NULL);
        return;
    }
    patch->count = 0;
    patch->used = 0;
    if (!read_patch(request, patch, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    http_request_set_state(request, patch);
    http_request_spawn(request, patch_all);
}
