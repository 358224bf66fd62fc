/* Changes of one key, rollback, reload. */
#include "api/config/answering.h"
#include "api/config/config_routes.h"
#include "api/config/service_settings.h"

/* What the handler leaves to the request's process; from the request's arena. */
struct change_job {
    config_op *op;
    uint64_t version; /* rollback */
    uint64_t expected;
    bool keep_overrides;
};

static bool is_conditional(const struct http_request *request)
{
    return http_request_header(request, HTTP_FIELD_IF_MATCH).bytes != NULL ||
           http_request_header(request, HTTP_FIELD_IF_NONE_MATCH).bytes != NULL;
}

/* The condition as the version the change expects. Errors: false, and 412 or 400 was sent. */
static bool expected_of(struct http_request *request, struct text key, uint64_t *expected)
{
    uint64_t version = config_version_now(key);

    if (!http_request_precondition(request, version)) {
        return false;
    }
    *expected = is_conditional(request) ? version : CONFIG_ANY_VERSION;
    return true;
}

/* NULL: answered with 503. */
static struct change_job *job_of(struct http_request *request)
{
    struct change_job *job = json_arena_take(http_request_arena(request), sizeof(*job));

    if (job == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, NULL);
        return NULL;
    }
    *job = (struct change_job){0};
    http_request_set_state(request, job);
    return job;
}

static bool make_op(struct http_request *request, struct change_job *job, enum config_op_kind kind,
                    struct text value, enum config_secrecy secrecy)
{
    struct text key = http_request_param(request, 0);

    job->op = json_arena_take(http_request_arena(request), config_op_bytes(key, value));
    if (job->op == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, NULL);
        return false;
    }
    config_op_write(job->op, kind, key, value, secrecy, job->expected);
    return true;
}

/* Does the one step. Errors: false, and something was sent. */
static bool change(struct http_request *request, const struct change_job *job, config_changed *told,
                   config_result *result)
{
    config_change ask = {.ops = tr_string_n(job->op, job->op->bytes)};
    tr_err err = config_cache_change(&ask, http_request_left_ms(request), told);

    if (err != TR_OK) {
        http_answer_call_failed(request, err);
        return false;
    }
    if (told->outcome == CONFIG_NO_SUCH_KEY) {
        config_answer_no_key(request, http_request_param(request, 0));
        return false;
    }
    if (told->outcome != CONFIG_DONE) {
        config_answer_failure(request, (enum config_outcome)told->outcome);
        return false;
    }
    memcpy(result, tr_string_bytes(told->results, NULL), sizeof(*result));
    return true;
}

static void answer_override(struct http_request *request, unsigned status, const config_entry *entry)
{
    http_answer_etag(request, entry->version);
    config_entry_write(http_answer_out(request), entry, false);
    http_answer_json(request, status);
}

/* ---- PUT ---- */

static void put(struct http_request *request)
{
    const struct change_job *job = http_request_state(request);
    config_changed told;
    config_result result;

    if (change(request, job, &told, &result)) {
        answer_override(request, result.created ? 201 : 200,
                        &(config_entry){.key = http_request_param(request, 0),
                                        .value = {.bytes = job->op->texts + job->op->key_bytes,
                                                  .count = job->op->value_bytes},
                                        .version = result.version,
                                        .revision = told.revision,
                                        .source = CONFIG_OVERRIDE,
                                        .secret = result.secret,
                                        .at_ms = told.at_ms});
    }
}

struct put_body {
    const cJSON *value;
    bool secret;
};

static const struct json_member put_members[] = {
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("value", JSON_ANY, struct put_body, value, .required = true),
    JSON_MEMBER("secret", JSON_BOOL, struct put_body, secret),
};
static const struct json_shape put_shape = JSON_SHAPE(put_members);

/* The value's text in the request's arena. Errors: false, noted. */
static bool value_text(struct http_request *request, const cJSON *value, struct text *text,
                       struct json_errors *errors)
{
    size_t room = (size_t)config_service.settings->max_config_value_bytes;
    char *buffer = json_arena_take(http_request_arena(request), room);
    struct json_out out;

    if (buffer != NULL) {
        json_out_init(&out, buffer, room);
        json_out_tree(&out, value);
        *text = json_out_text(&out);
    }
    if (buffer == NULL || text->bytes == NULL) {
        json_errors_add(errors, NULL, "value", "takes at most %zu bytes of JSON", room);
        return false;
    }
    return true;
}

static bool setting_fits(struct text key, struct text value, struct json_errors *errors)
{
    struct settings_error error;

    if (!config_setting_fits(key, value, &error)) {
        json_errors_add(errors, NULL, "value", "%s", error.text);
        return false;
    }
    return true;
}

void config_route_put(struct http_request *request)
{
    const cJSON *body = http_request_json(request);
    struct put_body read = {0};
    struct json_errors errors;
    struct text value = {0};
    struct text key;

    json_errors_init(&errors);
    if (!config_path_key(request, &key)) {
        return;
    }
    if (!json_read_object(body, NULL, &put_shape, &read, &errors) ||
        !value_text(request, read.value, &value, &errors) || !setting_fits(key, value, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    struct change_job *job = job_of(request);
    enum config_secrecy secrecy = !json_has_member(body, "secret") ? CONFIG_AS_IT_WAS
                                  : read.secret                    ? CONFIG_SECRET
                                                                   : CONFIG_PLAIN;
    if (job != NULL && expected_of(request, key, &job->expected) &&
        make_op(request, job, CONFIG_PUT, value, secrecy)) {
        http_request_spawn(request, put);
    }
}

/* ---- DELETE ---- */

static void drop(struct http_request *request)
{
    config_changed told;
    config_result result;

    if (change(request, http_request_state(request), &told, &result)) {
        http_answer_empty(request, 204);
    }
}

static bool has_override(struct text key)
{
    const config_view *view = TR_SNAPSHOT_GET(&config_now, config_view);
    const config_row *row = view == NULL ? NULL : config_image_find(config_view_image(view), key);
    bool has = row != NULL && row->override_bytes != CONFIG_NO_VALUE;

    tr_snapshot_release(view);
    return has;
}

void config_route_delete(struct http_request *request)
{
    struct text key;

    if (!config_path_key(request, &key)) {
        return;
    }
    if (!has_override(key)) {
        http_answer_problem(request, PROBLEM_CONFIG_KEY_NOT_FOUND, "the key \"%.*s\" has no override",
                            (int)key.count, key.bytes);
        return;
    }
    struct change_job *job = job_of(request);
    if (job != NULL && expected_of(request, key, &job->expected) &&
        make_op(request, job, CONFIG_DELETE, (struct text){0}, CONFIG_PLAIN)) {
        http_request_spawn(request, drop);
    }
}

/* ---- rollback ---- */

static void rollback(struct http_request *request)
{
    const struct change_job *job = http_request_state(request);
    struct text key = http_request_param(request, 0);
    config_rollback ask = {
        .version = job->version, .expected = job->expected, .key = tr_string_n(key.bytes, key.count)};
    config_rolled_back told;
    tr_err err = config_cache_rollback(&ask, http_request_left_ms(request), &told);

    if (err != TR_OK) {
        http_answer_call_failed(request, err);
    } else if (told.outcome != CONFIG_DONE) {
        config_answer_failure(request, (enum config_outcome)told.outcome);
    } else {
        struct text value;
        value.bytes = tr_string_bytes(told.value, &value.count);
        answer_override(request, told.result.created ? 201 : 200,
                        &(config_entry){.key = key,
                                        .value = value,
                                        .version = told.result.version,
                                        .revision = told.revision,
                                        .source = CONFIG_OVERRIDE,
                                        .secret = told.result.secret,
                                        .at_ms = told.at_ms});
    }
}

struct rollback_body {
    int64_t version;
};

static const struct json_member rollback_members[] = {
    JSON_MEMBER("version", JSON_INT, struct rollback_body, version, .required = true, .min = 1,
                .max = JSON_INTEGER_MAX),
};
static const struct json_shape rollback_shape = JSON_SHAPE(rollback_members);

void config_route_rollback(struct http_request *request)
{
    struct rollback_body read = {0};
    struct json_errors errors;
    struct text key;

    json_errors_init(&errors);
    if (!config_path_key(request, &key)) {
        return;
    }
    if (!json_read_object(http_request_json(request), NULL, &rollback_shape, &read, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    struct change_job *job = job_of(request);
    if (job != NULL && expected_of(request, key, &job->expected)) {
        job->version = (uint64_t)read.version;
        http_request_spawn(request, rollback);
    }
}

/* ---- reload ---- */

static void write_names(struct json_out *out, const char *name, tr_term list)
{
    const tr_term *items = tr_term_items(list);

    json_out_key(out, name);
    json_out_open_array(out);
    for (size_t i = 0; i < tr_term_count(list); i++) {
        struct text key;
        key.bytes = tr_string_bytes(items[i], &key.count);
        json_out_text_value(out, key);
    }
    json_out_close_array(out);
}

static void answer_reloaded(struct http_request *request, const config_reloaded *told)
{
    struct json_out *out = http_answer_out(request);
    size_t named = tr_term_count(told->added) + tr_term_count(told->changed) + tr_term_count(told->removed) +
                   tr_term_count(told->dropped);

    json_out_open_object(out);
    json_out_key(out, "revision");
    json_out_uint(out, told->revision);
    write_names(out, "added", told->added);
    write_names(out, "changed", told->changed);
    write_names(out, "removed", told->removed);
    write_names(out, "dropped_overrides", told->dropped);
    json_out_member_bool(out, "truncated",
                         named <
                             (size_t)told->counts[0] + told->counts[1] + told->counts[2] + told->counts[3]);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void reload(struct http_request *request)
{
    const struct change_job *job = http_request_state(request);
    config_reloaded told;
    tr_err err = config_cache_reload(job->keep_overrides, http_request_left_ms(request), &told);

    if (err != TR_OK) {
        http_answer_call_failed(request, err);
    } else if (told.outcome == CONFIG_INVALID) {
        http_answer_problem(request, PROBLEM_CONFIG_INVALID, "%s", tr_string_bytes(told.why, NULL));
    } else if (told.outcome != CONFIG_DONE) {
        config_answer_failure(request, (enum config_outcome)told.outcome);
    } else {
        answer_reloaded(request, &told);
    }
}

void config_route_reload(struct http_request *request)
{
    static const struct json_shape empty = {0};
    const cJSON *body = http_request_json(request);
    struct json_errors errors;
    bool keep;

    json_errors_init(&errors);
    if (!config_query_bool(request, "keep_overrides", false, &keep)) {
        return;
    }
    if (body != NULL && !json_read_object(body, NULL, &empty, &(char){0}, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    struct change_job *job = job_of(request);
    if (job != NULL) {
        job->keep_overrides = keep;
        http_request_spawn(request, reload);
    }
}
