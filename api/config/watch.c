/* Watchers and their cores' lists. How polls are answered and streams told stands at the end of each part. */
#define _GNU_SOURCE
#include "api/config/watch.h"

#include "api/config/answering.h"
#include "api/config/changes.h"
#include "server/http/path.h"
#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define CORES_MAX          256 /* as the setting `workers` */
#define WAIT_MS            30000
#define WAIT_MS_MAX        300000
#define POLL_REVISIONS_MAX 64           /* of one answer */
#define POLL_BYTES_MAX     (256u << 10) /* of rows, but for the first revision */
#define EVENT_BYTES_MAX    (256u << 10) /* of one entry's text */
#define RECONNECT_MS       2000

struct watcher {
    struct watcher *next, *prev;
    struct http_request *request;
    uint64_t since;
    struct text prefix; /* of the request */
    bool is_stream;
    /* streams: the revision being told, the next of its rows, and text that has not left yet */
    config_revision *telling;
    const config_row *row;
    uint32_t rows_left;
    bool is_first; /* no entry of this revision was told yet */
    char *text;
    size_t text_bytes, text_sent;
};

static struct core_watchers {
    struct watcher *first;
    uint32_t posted; /* atomic: a wake is on its way */
} cores[CORES_MAX];

static int64_t watchers; /* atomic: over all cores */

static double watchers_now(void *context)
{
    (void)context;
    return (double)__atomic_load_n(&watchers, __ATOMIC_RELAXED);
}

void config_watch_register(void)
{
    metrics_gauge_callback(
        &(struct metric_options){.name = "troupe_config_watchers",
                                 .help = "Requests that wait for changes of the configuration.",
                                 .read = watchers_now});
}

static uint64_t revision_now(void)
{
    const config_view *view = TR_SNAPSHOT_GET(&config_now, config_view);
    uint64_t revision = view == NULL ? 0 : view->revision;

    tr_snapshot_release(view);
    return revision;
}

/* ---- what a watcher is shown ---- */

static bool is_wanted(const struct watcher *watcher, const config_row *row)
{
    struct text key = config_row_key(row);
    struct text prefix = watcher->prefix;

    return key.count >= prefix.count && memcmp(key.bytes, prefix.bytes, prefix.count) == 0;
}

static bool has_wanted(const struct watcher *watcher, const config_revision *revision)
{
    const config_row *row = config_revision_rows(revision);

    for (uint32_t i = 0; i < revision->count; i++, row = config_row_next(row)) {
        if (is_wanted(watcher, row)) {
            return true;
        }
    }
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

static void write_change(struct json_out *out, const config_row *row)
{
    config_entry entry = config_entry_of(row);

    json_out_open_object(out);
    json_out_member_text(out, "key", entry.key);
    json_out_key(out, "entry");
    if (entry.value.bytes == NULL) {
        json_out_null(out);
    } else {
        entry.secret = entry.secret || is_secret_now(entry.key);
        config_entry_write(out, &entry, false);
    }
    json_out_close_object(out);
}

/* The next revision that has something for this watcher; those that have not are passed. */
static enum config_after next_revision(struct watcher *watcher, uint64_t until, config_revision **out)
{
    for (;;) {
        enum config_after after = config_changes_after(watcher->since, until, out);
        if (after != CONFIG_AFTER_FOUND) {
            return after;
        }
        watcher->since = (*out)->revision;
        if (has_wanted(watcher, *out)) {
            return after;
        }
        config_revision_drop(*out);
    }
}

/* ---- long polls ---- */

static void answer_gone(struct http_request *request, enum config_after after, uint64_t since)
{
    uint64_t newest = revision_now();
    struct json_out *out;

    out = http_problem_begin(
        request, PROBLEM_REVISION_COMPACTED,
        after == CONFIG_AFTER_UNKNOWN
            ? "this revision was never given out here; read the map and watch from its revision"
            : "what changed since is not kept any more; read the map and watch from its revision");
    json_out_key(out, "since");
    json_out_uint(out, since);
    json_out_key(out, "revision");
    json_out_uint(out, newest);
    http_problem_end(request);
}

static void write_changes(struct watcher *watcher, config_revision *const *revisions, size_t count)
{
    struct json_out *out = http_answer_out(watcher->request);

    json_out_open_object(out);
    json_out_key(out, "revision");
    json_out_uint(out, watcher->since);
    json_out_key(out, "changes");
    json_out_open_array(out);
    for (size_t i = 0; i < count; i++) {
        const config_row *row = config_revision_rows(revisions[i]);
        for (uint32_t r = 0; r < revisions[i]->count; r++, row = config_row_next(row)) {
            if (is_wanted(watcher, row)) {
                write_change(out, row);
            }
        }
    }
    json_out_close_array(out);
    json_out_close_object(out);
}

/* Answers when there is news. */
static void poll_try(struct watcher *watcher)
{
    config_revision *revisions[POLL_REVISIONS_MAX];
    uint64_t until = revision_now();
    uint64_t since = watcher->since;
    enum config_after after = CONFIG_AFTER_FOUND;
    size_t count = 0;
    size_t bytes = 0;

    while (count < POLL_REVISIONS_MAX && bytes < POLL_BYTES_MAX) {
        after = next_revision(watcher, until, &revisions[count]);
        if (after != CONFIG_AFTER_FOUND) {
            break;
        }
        bytes += revisions[count++]->bytes;
    }
    if (count != 0) {
        write_changes(watcher, revisions, count);
        http_answer_json(watcher->request, 200);
    } else if (after != CONFIG_AFTER_NONE) {
        answer_gone(watcher->request, after, since);
    }
    for (size_t i = 0; i < count; i++) {
        config_revision_drop(revisions[i]);
    }
}

/* Time is up, or the service stops. The tag says how far was looked: with a prefix that may be further than `since`. */
static void poll_expired(struct http_request *request)
{
    const struct watcher *watcher = http_request_state(request);

    http_answer_etag(request, watcher->since);
    http_answer_empty(request, 204);
}

/* ---- streams ---- */

static bool take_text(struct watcher *watcher, struct json_out *out, const char *before, const char *after)
{
    size_t count = 0;
    char *json = json_out_take(out, &count);
    size_t before_bytes = strlen(before);
    size_t after_bytes = strlen(after);
    char *text = json == NULL ? NULL : malloc(before_bytes + count + after_bytes);

    if (text != NULL) {
        memcpy(text, before, before_bytes);
        memcpy(text + before_bytes, json, count);
        memcpy(text + before_bytes + count, after, after_bytes);
        watcher->text = text;
        watcher->text_bytes = before_bytes + count + after_bytes;
        watcher->text_sent = 0;
    }
    free(json);
    json_out_fini(out);
    return text != NULL;
}

static bool say(struct watcher *watcher, const char *text)
{
    watcher->text = strdup(text);
    watcher->text_bytes = watcher->text == NULL ? 0 : strlen(text);
    watcher->text_sent = 0;
    return watcher->text != NULL;
}

/* The next row of the revision being told, or the end of its event. */
static bool tell_row(struct watcher *watcher)
{
    while (watcher->rows_left != 0 && !is_wanted(watcher, watcher->row)) {
        watcher->row = config_row_next(watcher->row);
        watcher->rows_left--;
    }
    if (watcher->rows_left == 0) {
        config_revision_drop(watcher->telling);
        watcher->telling = NULL;
        return say(watcher, "]}\n\n");
    }
    struct json_out out;
    json_out_init_growing(&out, 512, EVENT_BYTES_MAX);
    write_change(&out, watcher->row);
    if (!take_text(watcher, &out, watcher->is_first ? "" : ",", "")) {
        return false;
    }
    watcher->is_first = false;
    watcher->row = config_row_next(watcher->row);
    watcher->rows_left--;
    return true;
}

static bool tell_resync(struct watcher *watcher, uint64_t newest)
{
    char text[160];

    watcher->since = newest;
    snprintf(text, sizeof(text), "id: %llu\nevent: resync\ndata: {\"revision\":%llu}\n\n",
             (unsigned long long)newest, (unsigned long long)newest);
    return say(watcher, text);
}

/* Makes the next piece of text. False: there is nothing to tell. */
static bool tell(struct watcher *watcher)
{
    char head[160];

    if (watcher->telling != NULL) {
        return tell_row(watcher);
    }
    uint64_t until = revision_now();
    enum config_after after = next_revision(watcher, until, &watcher->telling);
    if (after == CONFIG_AFTER_NONE) {
        return false;
    }
    if (after != CONFIG_AFTER_FOUND) {
        return tell_resync(watcher, until);
    }
    watcher->row = config_revision_rows(watcher->telling);
    watcher->rows_left = watcher->telling->count;
    watcher->is_first = true;
    snprintf(head, sizeof(head), "id: %llu\nevent: change\ndata: {\"revision\":%llu,\"changes\":[",
             (unsigned long long)watcher->since, (unsigned long long)watcher->since);
    return say(watcher, head);
}

static size_t next_bytes(struct http_request *request, char *out, size_t room)
{
    struct watcher *watcher = http_request_state(request);
    size_t written = 0;

    while (written < room && (watcher->text != NULL || tell(watcher))) {
        size_t left = watcher->text_bytes - watcher->text_sent;
        size_t count = left < room - written ? left : room - written;
        memcpy(out + written, watcher->text + watcher->text_sent, count);
        watcher->text_sent += count;
        written += count;
        if (watcher->text_sent == watcher->text_bytes) {
            free(watcher->text);
            watcher->text = NULL;
        }
    }
    return written;
}

static void begin_stream(struct watcher *watcher)
{
    char text[64];

    snprintf(text, sizeof(text), "retry: %d\nid: %llu\n\n", RECONNECT_MS, (unsigned long long)watcher->since);
    if (say(watcher, text)) {
        http_answer_events(watcher->request, next_bytes);
    } else {
        http_answer_problem(watcher->request, PROBLEM_OVERLOADED, "out of memory");
    }
}

/* ---- coming and going ---- */

static void leave(struct http_request *request)
{
    struct watcher *watcher = http_request_state(request);

    *(watcher->prev != NULL ? &watcher->prev->next : &cores[tr_node_core()].first) = watcher->next;
    if (watcher->next != NULL) {
        watcher->next->prev = watcher->prev;
    }
    config_revision_drop(watcher->telling);
    free(watcher->text);
    free(watcher);
    __atomic_sub_fetch(&watchers, 1, __ATOMIC_RELAXED);
}

static struct watcher *enter(struct http_request *request, uint64_t since, bool is_stream)
{
    int64_t most = config_service.settings->max_config_watchers;
    bool has_place = __atomic_add_fetch(&watchers, 1, __ATOMIC_RELAXED) <= most;
    struct watcher *watcher = has_place ? calloc(1, sizeof(*watcher)) : NULL;

    if (watcher == NULL) {
        __atomic_sub_fetch(&watchers, 1, __ATOMIC_RELAXED);
        http_answer_header(request, "Retry-After", TEXT("5"));
        http_answer_problem(request, PROBLEM_OVERLOADED,
                            "as many requests watch the configuration as max_config_watchers allows");
        return NULL;
    }
    struct core_watchers *core = &cores[tr_node_core()];
    struct text prefix = http_request_query(request, "prefix");
    *watcher = (struct watcher){.next = core->first,
                                .request = request,
                                .since = since,
                                .prefix = prefix.bytes == NULL ? TEXT("") : prefix,
                                .is_stream = is_stream};
    if (core->first != NULL) {
        core->first->prev = watcher;
    }
    core->first = watcher;
    http_request_set_state(request, watcher);
    http_request_on_end(request, leave);
    return watcher;
}

static void wake_core(void *ctx)
{
    struct core_watchers *core = ctx;

    __atomic_store_n(&core->posted, 0, __ATOMIC_SEQ_CST); /* before the look: a later wake is not lost */
    for (struct watcher *watcher = core->first; watcher != NULL; watcher = watcher->next) {
        if (watcher->is_stream) {
            http_events_wake(watcher->request);
        } else {
            poll_try(watcher);
        }
    }
}

/* On the agent's core, behind its turn: the image is published. */
static void wake_all(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < tr_node_workers() && i < CORES_MAX; i++) {
        if (__atomic_exchange_n(&cores[i].posted, 1, __ATOMIC_SEQ_CST) == 0) {
            tr_node_post(i, wake_core, &cores[i]);
        }
    }
}

void config_watch_wake(void)
{
    tr_node_post(tr_node_core(), wake_all, NULL);
}

/* ---- what was asked ---- */

/* Accept may name it among others. */
static bool accepts_events(struct http_request *request)
{
    struct text accept = {0};

    if (http_request_header_any(request, TEXT("Accept"), &accept) == 0 || accept.bytes == NULL) {
        return false;
    }
    return memmem(accept.bytes, accept.count, "text/event-stream", 17) != NULL;
}

bool config_watch_wanted(struct http_request *request, bool *bad)
{
    static const char *const names[] = {"since", "wait_ms"};
    bool watch = false;
    struct json_errors errors;

    *bad = !config_query_bool(request, "watch", false, &watch);
    if (*bad || watch || accepts_events(request)) {
        return !*bad;
    }
    json_errors_init(&errors);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (http_request_query(request, names[i]).bytes != NULL) {
            json_errors_add_query(&errors, text_of(names[i]), "is for a watch: say watch=true too");
        }
    }
    if (errors.count != 0) {
        http_answer_errors(request, &errors);
        *bad = true;
    }
    return false;
}

static void read_number(struct http_request *request, const char *name, int64_t max, int64_t *value,
                        struct json_errors *errors)
{
    struct text given = http_request_query(request, name);

    if (given.bytes != NULL && !http_read_int(given, 0, max, value)) {
        json_errors_add_query(errors, text_of(name),
                              max == INT64_MAX ? "must be a revision: an integer from 0"
                                               : "must be an integer from 0 to 300000");
    }
}

/* A stream that is taken up again says where it was; false: it said nothing. */
static bool last_event(struct http_request *request, int64_t *since, struct json_errors *errors)
{
    struct text given = {0};

    if (http_request_header_any(request, TEXT("Last-Event-ID"), &given) == 0 || given.count == 0) {
        return false;
    }
    if (!http_read_int(given, 0, INT64_MAX, since)) {
        json_errors_add(errors, NULL, NULL, "the field Last-Event-ID must be a revision");
    }
    return true;
}

static void begin_poll(struct watcher *watcher, int64_t wait_ms)
{
    http_request_set_timeout(watcher->request, wait_ms);
    http_request_on_timeout(watcher->request, poll_expired);
    http_request_park(watcher->request);
    poll_try(watcher);
}

void config_watch_begin(struct http_request *request)
{
    bool is_stream = accepts_events(request);
    uint64_t now = revision_now();
    int64_t since = (int64_t)now;
    int64_t wait_ms = WAIT_MS;
    struct json_errors errors;
    config_revision *first = NULL;

    json_errors_init(&errors);
    read_number(request, "since", INT64_MAX, &since, &errors);
    read_number(request, "wait_ms", WAIT_MS_MAX, &wait_ms, &errors);
    bool resumed = is_stream && last_event(request, &since, &errors);
    if (http_request_query(request, "reveal").bytes != NULL) {
        json_errors_add_query(&errors, TEXT("reveal"),
                              "is not possible with a watch: secrets are in no change");
    }
    if (errors.count != 0) {
        http_answer_errors(request, &errors);
        return;
    }
    enum config_after after = config_changes_after((uint64_t)since, now, &first);
    config_revision_drop(first);
    if (!resumed && after != CONFIG_AFTER_FOUND && after != CONFIG_AFTER_NONE) {
        answer_gone(request, after, (uint64_t)since);
        return;
    }
    struct watcher *watcher = enter(request, (uint64_t)since, is_stream);
    if (watcher != NULL && is_stream) {
        begin_stream(watcher);
    } else if (watcher != NULL) {
        begin_poll(watcher, wait_ms);
    }
}
