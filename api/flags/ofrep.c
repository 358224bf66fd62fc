/* OpenFeature's remote evaluation protocol.   Source: github.com/open-feature/protocol, service/openapi.yaml. */
#include "api/flags/cache.h"
#include "api/flags/routes.h"
#include "server/digest.h"
#include "server/http/request.h"

#include <stdio.h>
#include <time.h>

#define FLAGS_A_TURN 16 /* evaluated before others get their turn */

static const struct failure {
    const char *code;
    const char *details;
} failures[] = {
    [FLAG_NO_TARGETING_KEY] = {"TARGETING_KEY_MISSING",
                               "the flag's fractional needs a targetingKey that is a string"},
    [FLAG_TOO_LONG] = {"GENERAL", "the flag's targeting takes too many steps or too much memory"},
    [FLAG_UNKNOWN_VARIANT] = {"GENERAL", "the flag's targeting gave no name of a variant"},
};

/* The members of an error; `key` may be absent. */
static void write_error(struct json_out *out, struct text key, const char *code, const char *details)
{
    json_out_open_object(out);
    if (key.bytes != NULL) {
        json_out_member_text(out, "key", key);
    }
    json_out_member_string(out, "errorCode", code);
    json_out_member_string(out, "errorDetails", details);
    json_out_close_object(out);
}

static void answer_error(struct http_request *request, unsigned status, const char *code, const char *details)
{
    bool single = http_request_route(request)->handler == flags_route_evaluate;

    write_error(http_answer_out(request), single ? http_request_param(request, 0) : (struct text){0}, code,
                details);
    http_answer_json(request, status);
}

/* The context; NULL for none. False: an error was sent. */
static bool read_context(struct http_request *request, const cJSON **context)
{
    struct text body = http_request_body(request);
    struct json_error error;
    cJSON *root = NULL;

    *context = NULL;
    if (body.count == 0) {
        return true;
    }
    if (!json_parse(http_request_arena(request), body, &json_limits_default, &root, &error)) {
        answer_error(request, 400, "PARSE_ERROR", json_fault_text(error.fault));
        return false;
    }
    if (!cJSON_IsObject(root)) {
        answer_error(request, 400, "INVALID_CONTEXT", "the body must be an object with a member context");
        return false;
    }
    *context = cJSON_GetObjectItemCaseSensitive(root, "context");
    if (cJSON_IsNull(*context)) {
        *context = NULL;
    }
    if (*context != NULL && !cJSON_IsObject(*context)) {
        answer_error(request, 400, "INVALID_CONTEXT", "context must be an object");
        return false;
    }
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(*context, "targetingKey");
    if (key != NULL && !cJSON_IsNull(key) && !cJSON_IsString(key)) {
        answer_error(request, 400, "INVALID_CONTEXT", "targetingKey must be a string");
        return false;
    }
    return true;
}

static void write_success(struct json_out *out, const flag_row *row, const flag_answer *answer)
{
    json_out_open_object(out);
    json_out_member_text(out, "key", flag_text(row, row->key));
    json_out_member_string(out, "reason", flag_reason_text(answer->reason));
    if (answer->variant != FLAG_NO_VARIANT) {
        const flag_variant *variant = flag_variant_at(row, answer->variant);
        json_out_member_text(out, "variant", flag_text(row, variant->name));
        json_out_key(out, "value");
        json_out_raw(out, flag_text(row, variant->value));
    }
    if (row->metadata.bytes != 0) {
        json_out_key(out, "metadata");
        json_out_raw(out, flag_text(row, row->metadata));
    }
    json_out_close_object(out);
}

static void answer_row(struct http_request *request, const flag_row *row, const cJSON *context)
{
    flag_answer answer;
    enum flag_failure failure =
        flag_evaluate(row, context, (int64_t)time(NULL), http_request_arena(request), &answer);

    if (failure != FLAG_EVALUATED) {
        answer_error(request, 400, failures[failure].code, failures[failure].details);
        return;
    }
    write_success(http_answer_out(request), row, &answer);
    http_answer_json(request, 200);
}

void flags_route_evaluate(struct http_request *request)
{
    const cJSON *context;

    if (!read_context(request, &context)) {
        return;
    }
    const flags_view *view = TR_SNAPSHOT_GET(&flags_now, flags_view);
    const flag_row *row =
        view == NULL ? NULL : flag_image_find(flags_view_image(view), http_request_param(request, 0));
    if (row != NULL) {
        answer_row(request, row, context);
    } else if (view != NULL) {
        answer_error(request, 404, "FLAG_NOT_FOUND", "there is no such flag");
    } else {
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_UNAVAILABLE, NULL);
    }
    tr_snapshot_release(view);
}

/* ---- all of them ---- */

static void write_row(struct json_out *out, const flag_row *row, const cJSON *context, int64_t now_s)
{
    struct json_arena arena;
    flag_answer answer;

    json_arena_init(&arena, NULL, 0, 2 * RULE_BYTES_MAX); /* nothing of one flag stays for the next */
    enum flag_failure failure = flag_evaluate(row, context, now_s, &arena, &answer);
    if (failure == FLAG_EVALUATED) {
        write_success(out, row, &answer);
    } else {
        write_error(out, flag_text(row, row->key), failures[failure].code, failures[failure].details);
    }
    json_arena_fini(&arena);
}

/* The tag is of the answer itself: it covers the flags, the context and the time, as far as they matter. */
static uint64_t tag_of(struct text body)
{
    struct sha256 sum = digest_sha256(&body, 1);
    uint64_t tag;

    memcpy(&tag, sum.bytes, sizeof(tag));
    return tag | 1;
}

/* Answers with what was written, or 304. */
static void answer_tagged(struct http_request *request, struct text body)
{
    char tag[32];
    struct text given = http_request_header(request, HTTP_FIELD_IF_NONE_MATCH);
    uint64_t version = tag_of(body);
    int count = snprintf(tag, sizeof(tag), "\"%llu\"", (unsigned long long)version);

    http_answer_etag(request, version);
    if (given.bytes != NULL &&
        http_if_none_match(given, (struct text){tag, (size_t)count}) == HTTP_ETAGS_MATCH) {
        http_answer_empty(request, 304);
        return;
    }
    json_out_raw(http_answer_out(request), body);
    http_answer_json(request, 200);
}

static void write_all(struct json_out *out, const flag_image *image, const cJSON *context)
{
    int64_t now_s = (int64_t)time(NULL);

    json_out_open_object(out);
    json_out_key(out, "flags");
    json_out_open_array(out);
    for (uint32_t i = 0; i < image->count; i++) {
        write_row(out, flag_image_row(image, i), context, now_s);
        if (i % FLAGS_A_TURN == FLAGS_A_TURN - 1) {
            tr_yield();
        }
    }
    json_out_close_array(out);
    json_out_close_object(out);
}

/* In the request's process: many flags take their time. */
static void evaluate_all(struct http_request *request)
{
    const flags_view *view = TR_SNAPSHOT_GET(&flags_now, flags_view);
    struct json_out out;

    if (view == NULL) {
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_UNAVAILABLE, NULL);
        return;
    }
    json_out_init_growing(&out, 4096, FLAGS_TOTAL_BYTES_MAX);
    write_all(&out, flags_view_image(view), http_request_state(request));
    struct text body = json_out_text(&out);
    if (body.bytes == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, NULL);
    } else {
        answer_tagged(request, body);
    }
    json_out_fini(&out);
    tr_snapshot_release(view);
}

void flags_route_evaluate_all(struct http_request *request)
{
    const cJSON *context;

    if (read_context(request, &context)) {
        http_request_set_state(request, (void *)(uintptr_t)context);
        http_request_spawn(request, evaluate_all);
    }
}
