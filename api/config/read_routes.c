/* Reads: the map, an entry, a key's history. */
#include "api/config/answering.h"
#include "api/config/config_routes.h"
#include "api/config/records.h"
#include "api/config/watch.h"
#include "server/store/store_writer.h"

#include <stdio.h>

static bool begins_with(struct text key, struct text prefix)
{
    return key.count >= prefix.count && memcmp(key.bytes, prefix.bytes, prefix.count) == 0;
}

static const config_view *view_now(struct http_request *request)
{
    const config_view *view = TR_SNAPSHOT_GET(&config_now, config_view);

    if (view == NULL) {
        config_answer_failure(request, CONFIG_STORAGE_FAILED);
    }
    return view;
}

static void write_map(struct json_out *out, const config_view *view, struct text prefix, bool reveal)
{
    const config_image *image = config_view_image(view);

    json_out_open_object(out);
    json_out_key(out, "revision");
    json_out_uint(out, view->revision);
    json_out_key(out, "values");
    json_out_open_object(out);
    for (uint32_t i = config_image_seek(image, prefix); i < image->count; i++) {
        config_entry entry = config_entry_of(config_image_row(image, i));
        if (!begins_with(entry.key, prefix)) {
            break;
        }
        json_out_key_text(out, entry.key);
        if (entry.secret && !reveal) {
            json_out_null(out);
        } else {
            json_out_raw(out, entry.value);
        }
    }
    json_out_close_object(out);
    json_out_close_object(out);
}

void config_route_map(struct http_request *request)
{
    struct text prefix = http_request_query(request, "prefix");
    bool bad = false;
    bool reveal;

    if (config_watch_wanted(request, &bad)) {
        config_watch_begin(request);
        return;
    }
    if (bad || !config_reveal(request, &reveal)) {
        return;
    }
    const config_view *view = view_now(request);
    if (view != NULL && http_request_precondition(request, view->revision)) {
        http_answer_etag(request, view->revision);
        write_map(http_answer_out(request), view, prefix.bytes == NULL ? TEXT("") : prefix, reveal);
        http_answer_json(request, 200);
    }
    tr_snapshot_release(view);
}

static void answer_row(struct http_request *request, const config_row *row, bool reveal)
{
    if (http_request_precondition(request, row->version)) {
        config_entry entry = config_entry_of(row);
        http_answer_etag(request, row->version);
        config_entry_write(http_answer_out(request), &entry, reveal);
        http_answer_json(request, 200);
    }
}

void config_route_get(struct http_request *request)
{
    struct text key;
    bool reveal;

    if (!config_path_key(request, &key) || !config_reveal(request, &reveal)) {
        return;
    }
    const config_view *view = view_now(request);
    const config_row *row = view == NULL ? NULL : config_image_find(config_view_image(view), key);
    if (row != NULL) {
        answer_row(request, row, reveal);
    } else if (view != NULL) {
        config_answer_no_key(request, key);
    }
    tr_snapshot_release(view);
}

/* ---- history ---- */

/* What the handler leaves to the request's process. */
struct history_job {
    config_history_ask ask;
    bool reveal;
    bool is_secret; /* now: then older versions are not shown either */
};

static void write_past(struct http_request *request, const struct history_job *job, const config_page *page)
{
    struct json_out *out = http_answer_out(request);
    const config_past *past = (const config_past *)(const void *)page->rows;
    struct text next = {0};
    char cursor[24];
    uint32_t shown = page->count;

    if (shown > job->ask.limit - 1) { /* one more was asked for, to know whether there is one */
        shown = job->ask.limit - 1;
    }
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (uint32_t i = 0; i < shown; i++) {
        config_entry entry = {.key = {.bytes = job->ask.key, .count = job->ask.key_bytes},
                              .value = config_past_value(past),
                              .version = past->version,
                              .revision = past->revision,
                              .source = (enum config_source)past->source,
                              .secret = past->secret || job->is_secret,
                              .at_ms = past->at_ms};
        config_entry_write(out, &entry, job->reveal);
        next = (struct text){
            cursor, (size_t)snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)past->version)};
        past = (const config_past *)(const void *)((const char *)past + past->bytes);
    }
    json_out_close_array(out);
    http_answer_page(request, page->more || page->count > shown ? next : (struct text){0});
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void read_history(struct http_request *request)
{
    const struct history_job *job = http_request_state(request);
    config_page *page = tr_alloc(sizeof(*page));
    enum store_status status = store_writer_run(config_sql_history, &job->ask, sizeof(job->ask), page,
                                                sizeof(*page), http_request_left_ms(request));

    if (status != STORE_REJECTED) {
        config_answer_failure(request, CONFIG_STORAGE_FAILED);
    } else if (page->count == 0 && job->ask.before == (uint64_t)INT64_MAX) {
        config_answer_no_key(request, (struct text){job->ask.key, job->ask.key_bytes});
    } else {
        write_past(request, job, page);
    }
}

/* The cursor is the last version given. */
static bool cursor_version(struct http_request *request, struct text cursor, uint64_t *before)
{
    struct json_errors errors;

    *before = (uint64_t)INT64_MAX;
    if (cursor.bytes == NULL) {
        return true;
    }
    *before = 0;
    for (size_t i = 0; i < cursor.count && cursor.count <= 18; i++) {
        unsigned digit = (unsigned char)cursor.bytes[i] - (unsigned)'0';
        *before = digit > 9 ? 0 : *before * 10 + digit;
    }
    if (*before != 0) {
        return true;
    }
    json_errors_init(&errors);
    json_errors_add_query(&errors, TEXT("cursor"), "is not a cursor that this list gave out");
    http_answer_errors(request, &errors);
    return false;
}

static bool is_secret_now(struct text key)
{
    const config_view *view = TR_SNAPSHOT_GET(&config_now, config_view);
    const config_row *row = view == NULL ? NULL : config_image_find(config_view_image(view), key);
    bool secret = row != NULL && config_entry_of(row).secret;

    tr_snapshot_release(view);
    return secret;
}

void config_route_history(struct http_request *request)
{
    struct history_job *job = json_arena_take(http_request_arena(request), sizeof(*job));
    struct text cursor;
    struct text key;
    int64_t limit;
    bool reveal;

    if (job == NULL) {
        config_answer_failure(request, CONFIG_STORAGE_FAILED);
        return;
    }
    if (!config_path_key(request, &key) || !config_reveal(request, &reveal) ||
        !http_request_page(request, &limit, &cursor) || !cursor_version(request, cursor, &job->ask.before)) {
        return;
    }
    job->ask.limit = (uint32_t)limit + 1;
    job->ask.key_bytes = (uint32_t)key.count;
    (void)text_put(job->ask.key, key);
    job->reveal = reveal;
    job->is_secret = is_secret_now(key);
    http_request_set_state(request, job);
    http_request_spawn(request, read_history);
}
