#include "api/flags/routes.h"

#include "api/flags/cache.h"
#include "server/http/request.h"

/* What the handler leaves to the request's process; from the request's arena. */
struct change_job {
    struct text document; /* empty: delete */
    uint64_t expected;
};

static void answer_unavailable(struct http_request *request)
{
    http_answer_header(request, "Retry-After", TEXT("1"));
    http_answer_problem(request, PROBLEM_UNAVAILABLE, "the flags cannot be read or stored now");
}

static void answer_error(struct http_request *request, const char *sentence)
{
    struct json_errors errors;

    json_errors_init(&errors);
    json_errors_add(&errors, NULL, NULL, "%s", sentence);
    http_answer_errors(request, &errors);
}

static bool path_key(struct http_request *request, struct text *key)
{
    struct json_errors errors;

    *key = http_request_param(request, 0);
    if (flag_key_ok(*key)) {
        return true;
    }
    json_errors_init(&errors);
    json_errors_add(&errors, NULL, "key", "must be 1 to %d bytes without control characters",
                    FLAG_KEY_BYTES_MAX);
    http_answer_errors(request, &errors);
    return false;
}

static void answer_no_flag(struct http_request *request)
{
    struct text key = http_request_param(request, 0);

    http_answer_problem(request, PROBLEM_FLAG_NOT_FOUND, "there is no flag \"%.*s\"", (int)key.count,
                        key.bytes);
}

static const flags_view *view_now(struct http_request *request)
{
    const flags_view *view = TR_SNAPSHOT_GET(&flags_now, flags_view);

    if (view == NULL) {
        answer_unavailable(request);
    }
    return view;
}

/* ---- reading ---- */

static void write_item(struct json_out *out, const flag_row *row)
{
    json_out_open_object(out);
    json_out_member_text(out, "key", flag_text(row, row->key));
    json_out_key(out, "version");
    json_out_uint(out, row->version);
    json_out_member_time(out, "updated_at", row->at_ms);
    json_out_key(out, "flag");
    json_out_raw(out, flag_text(row, row->document));
    json_out_close_object(out);
}

/* The cursor is the last key given: it stays good when flags come and go. */
void flags_route_list(struct http_request *request)
{
    struct text cursor;
    int64_t limit;

    if (!http_request_page(request, &limit, &cursor)) {
        return;
    }
    const flags_view *view = view_now(request);
    if (view == NULL) {
        return;
    }
    const flag_image *image = flags_view_image(view);
    struct json_out *out = http_answer_out(request);
    uint32_t i = cursor.bytes == NULL ? 0 : flag_image_seek(image, cursor);
    if (cursor.bytes != NULL && flag_image_find(image, cursor) != NULL) {
        i++;
    }
    struct text last = {0};
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (; i < image->count && limit > 0; i++, limit--) {
        const flag_row *row = flag_image_row(image, i);
        write_item(out, row);
        last = flag_text(row, row->key);
    }
    json_out_close_array(out);
    http_answer_page(request, i < image->count ? last : (struct text){0});
    json_out_close_object(out);
    http_answer_json(request, 200);
    tr_snapshot_release(view);
}

static void answer_row(struct http_request *request, const flag_row *row)
{
    if (http_request_precondition(request, row->version)) {
        http_answer_etag(request, row->version);
        json_out_raw(http_answer_out(request), flag_text(row, row->document));
        http_answer_json(request, 200);
    }
}

void flags_route_get(struct http_request *request)
{
    struct text key;

    if (!path_key(request, &key)) {
        return;
    }
    const flags_view *view = view_now(request);
    if (view == NULL) {
        return;
    }
    const flag_row *row = flag_image_find(flags_view_image(view), key);
    if (row != NULL) {
        answer_row(request, row);
    } else {
        answer_no_flag(request);
    }
    tr_snapshot_release(view);
}

/* ---- changes ---- */

static uint64_t version_now(struct text key)
{
    const flags_view *view = TR_SNAPSHOT_GET(&flags_now, flags_view);
    const flag_row *row = view == NULL ? NULL : flag_image_find(flags_view_image(view), key);
    uint64_t version = row == NULL ? 0 : row->version;

    tr_snapshot_release(view);
    return version;
}

static bool is_conditional(const struct http_request *request)
{
    return http_request_header(request, HTTP_FIELD_IF_MATCH).bytes != NULL ||
           http_request_header(request, HTTP_FIELD_IF_NONE_MATCH).bytes != NULL;
}

static void answer_failure(struct http_request *request, enum flags_outcome outcome)
{
    switch (outcome) {
    case FLAGS_CONFLICT:
        http_answer_problem(request, PROBLEM_VERSION_CONFLICT, "it was changed in the meantime");
        break;
    case FLAGS_NO_SUCH_FLAG:
        answer_no_flag(request);
        break;
    case FLAGS_TOO_MANY:
        answer_error(request, "there would be more flags than max_flags allows");
        break;
    case FLAGS_TOO_LARGE:
        answer_error(request, "all flags together would be too large");
        break;
    case FLAGS_STORAGE_FULL:
        http_answer_problem(request, PROBLEM_STORAGE_FULL, "the disk is full; nothing was changed");
        break;
    default:
        answer_unavailable(request);
    }
}

static void change(struct http_request *request)
{
    const struct change_job *job = http_request_state(request);
    struct text key = http_request_param(request, 0);
    flags_change ask = {.expected = job->expected,
                        .key = tr_string_n(key.bytes, key.count),
                        .document = tr_string_n(job->document.bytes, job->document.count)};
    flags_changed told;
    tr_err err = flags_cache_change(&ask, http_request_left_ms(request), &told);

    if (err != TR_OK) {
        http_answer_call_failed(request, err);
    } else if (told.outcome != FLAGS_DONE) {
        answer_failure(request, (enum flags_outcome)told.outcome);
    } else if (job->document.count == 0) {
        http_answer_empty(request, 204);
    } else {
        http_answer_etag(request, told.version);
        json_out_raw(http_answer_out(request), job->document);
        http_answer_json(request, told.created ? 201 : 200);
    }
}

static void submit(struct http_request *request, struct text key, struct text document)
{
    uint64_t version = version_now(key);
    struct change_job *job;

    if (!http_request_precondition(request, version)) {
        return;
    }
    job = json_arena_take(http_request_arena(request), sizeof(*job));
    if (job == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, NULL);
        return;
    }
    *job = (struct change_job){.document = document,
                               .expected = is_conditional(request) ? version : FLAG_ANY_VERSION};
    http_request_set_state(request, job);
    http_request_spawn(request, change);
}

void flags_route_put(struct http_request *request)
{
    struct json_errors errors;
    struct text key;

    json_errors_init(&errors);
    if (!path_key(request, &key)) {
        return;
    }
    const flag_row *row =
        flag_make(http_request_json(request),
                  &(flag_facts){.key = key, .bytes_max = (size_t)flags_settings->max_flag_bytes},
                  http_request_arena(request), &errors);
    if (row != NULL) {
        submit(request, key, flag_text(row, row->document));
    } else if (errors.count != 0) {
        http_answer_errors(request, &errors);
    } else {
        http_answer_problem(request, PROBLEM_OVERLOADED, NULL);
    }
}

void flags_route_delete(struct http_request *request)
{
    struct text key;

    if (!path_key(request, &key)) {
        return;
    }
    if (version_now(key) == 0) {
        answer_no_flag(request);
        return;
    }
    submit(request, key, TEXT(""));
}
