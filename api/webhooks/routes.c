/* The routes of /v1/webhooks. All of them ask the store, so each request has a process of its own. */
#include "api/webhooks/service.h"
#include "api/webhooks/webhook_json.h"
#include "api/webhooks/webhooks.h"

#include "runtime/sys/clock.h"
#include "server/digits.h"
#include "server/http/request.h"
#include "server/log.h"
#include "server/settings_run_time.h"
#include "server/store/store_writer.h"

#define ROOT    "/v1/webhooks"
#define WEBHOOK ROOT "/{name}"

/* ---- what goes wrong ---- */

static void answer_store(struct http_request *request, enum store_status status)
{
    if (status == STORE_FULL) {
        http_answer_problem(request, PROBLEM_STORAGE_FULL, "the disk is full; nothing was changed");
    } else if (status == STORE_TIMEOUT) {
        http_answer_problem(request, PROBLEM_TIMEOUT, NULL);
    } else {
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_UNAVAILABLE,
                            "the store did not answer; read again to see what holds");
    }
}

static void answer_missing(struct http_request *request)
{
    http_answer_problem(request, PROBLEM_WEBHOOK_NOT_FOUND, "there is no webhook of this name");
}

static void answer_not_changed(struct http_request *request, enum store_status status,
                               enum webhook_change change)
{
    if (status != STORE_REJECTED) {
        answer_store(request, status);
    } else if (change == WEBHOOK_MISSING) {
        answer_missing(request);
    } else if (change == WEBHOOK_TOO_MANY) {
        http_answer_problem(request, PROBLEM_STORAGE_FULL,
                            "there are as many webhooks as max_webhooks allows");
    } else {
        http_answer_problem(request, PROBLEM_VERSION_CONFLICT, "it was changed in the meantime");
    }
}

/* ---- finding ---- */

/* The webhook of the path as it is; id 0: there is none.   Returns: false when the answer was given. */
static bool read_webhook(struct http_request *request, struct webhook *webhook)
{
    char name[WEBHOOK_NAME_MAX + 1] = "";
    struct text given = http_request_param(request, 0);
    webhook->id = 0;
    if (!webhook_name_fits(given)) {
        return true; /* nobody has such a name */
    }
    memcpy(name, given.bytes, given.count);
    enum store_status status = store_read(webhooks_read_one, name, sizeof(name), webhook, sizeof(*webhook),
                                          http_request_left_ms(request));
    if (status == STORE_REJECTED) {
        webhook->id = 0;
    } else if (status != STORE_OK) {
        answer_store(request, status);
        return false;
    }
    return true;
}

static struct webhook *find_or_answer(struct http_request *request)
{
    struct webhook *webhook = tr_alloc(sizeof(*webhook));
    if (!read_webhook(request, webhook)) {
        return NULL;
    }
    if (webhook->id == 0) {
        answer_missing(request);
        return NULL;
    }
    return webhook;
}

static bool is_conditional(const struct http_request *request)
{
    return http_request_header(request, HTTP_FIELD_IF_MATCH).bytes != NULL ||
           http_request_header(request, HTTP_FIELD_IF_NONE_MATCH).bytes != NULL;
}

/* ---- looking at one ---- */

static void get(struct http_request *request)
{
    const struct webhook *webhook = find_or_answer(request);
    if (webhook != NULL && http_request_precondition(request, webhook->version)) {
        http_answer_etag(request, webhook->version);
        webhook_write(http_answer_out(request), webhook, NULL);
        http_answer_json(request, 200);
    }
}

/* ---- making and changing ---- */

/* Shape first. Returns: NULL when a 422 was sent. */
static struct webhook_put *read_put(struct http_request *request)
{
    struct webhook_put *put = tr_alloc(sizeof(*put));
    struct json_errors *errors = tr_alloc(sizeof(*errors));
    struct text name = http_request_param(request, 0);
    const struct webhook_rules rules = {.url_max = webhooks.url_max,
                                        .private_allowed = webhooks.private_allowed};
    json_errors_init(errors);
    bool fits = webhook_read(http_request_json(request), &rules, put, errors);
    if (!webhook_name_fits(name)) {
        json_errors_add(errors, NULL, "name", "must be 1 to %d of the characters A-Z a-z 0-9 . _ -",
                        WEBHOOK_NAME_MAX);
        fits = false;
    }
    if (!fits) {
        http_answer_errors(request, errors);
        return NULL;
    }
    memcpy(put->webhook.name, name.bytes, name.count);
    return put;
}

/* The commit thread finds out whether there is something to do for events: before the webhook is durable. */
static enum store_status apply_put(struct store_tx *tx, const void *arg, void *result)
{
    atomic_store(&webhooks.any, true);
    return webhooks_sql_put(tx, arg, result);
}

static void answer_put(struct http_request *request, const struct webhook_put *put,
                       const struct webhook_changed *changed)
{
    bool created = changed->change == WEBHOOK_CREATED;
    log_event(LOG_INFO, EVENT_WEBHOOK_CHANGED, log_str("webhook", changed->webhook.name),
              log_bool("created", created), log_bool("new_secret", created || put->new_secret));
    (void)TR_SEND(webhooks.manager, webhooks_renewed, .id = changed->webhook.id);
    http_answer_etag(request, changed->webhook.version);
    webhook_write(http_answer_out(request), &changed->webhook,
                  created || put->new_secret ? &put->secret : NULL);
    http_answer_json(request, created ? 201 : 200);
}

static void put(struct http_request *request)
{
    struct webhook_put *put = read_put(request);
    struct webhook *there = tr_alloc(sizeof(*there));
    struct webhook_changed *changed = tr_alloc(sizeof(*changed));
    if (put == NULL || !read_webhook(request, there) ||
        !http_request_precondition(request, there->id == 0 ? 0 : there->version)) {
        return;
    }
    put->expected = !is_conditional(request) ? WEBHOOKS_ANY_VERSION : there->id == 0 ? 0 : there->version;
    put->now_ms = tr__clock_wall_ms();
    put->max = SETTINGS_NOW(webhooks.settings->max_webhooks);
    put->overlap_ms = webhooks.overlap_ms;
    if (put->secret.count == 0 && !webhook_secret_make(&put->secret)) {
        http_answer_problem(request, PROBLEM_UNAVAILABLE, "the system gives no random bytes");
        return;
    }
    enum store_status status = store_writer_run(apply_put, put, sizeof(*put), changed, sizeof(*changed),
                                                http_request_left_ms(request));
    if (status == STORE_OK) {
        answer_put(request, put, changed);
    } else {
        answer_not_changed(request, status, changed->change);
    }
}

/* ---- removing ---- */

static void drop(struct http_request *request)
{
    const struct webhook *webhook = find_or_answer(request);
    if (webhook == NULL || !http_request_precondition(request, webhook->version)) {
        return;
    }
    struct webhook_drop *drop = tr_alloc(sizeof(*drop));
    struct webhook_changed *changed = tr_alloc(sizeof(*changed));
    memcpy(drop->name, webhook->name, sizeof(drop->name));
    drop->expected = is_conditional(request) ? webhook->version : WEBHOOKS_ANY_VERSION;
    enum store_status status = store_writer_run(webhooks_sql_drop, drop, sizeof(*drop), changed,
                                                sizeof(*changed), http_request_left_ms(request));
    if (status != STORE_OK) {
        answer_not_changed(request, status, changed->change);
        return;
    }
    log_event(LOG_INFO, EVENT_WEBHOOK_REMOVED, log_str("webhook", drop->name));
    (void)TR_SEND(webhooks.manager, webhooks_look); /* its deliverer finds out, and ends */
    http_answer_empty(request, 204);
}

/* ---- lists ---- */

static void answer_bad_cursor(struct http_request *request)
{
    struct json_errors *errors = tr_alloc(sizeof(*errors));
    json_errors_init(errors);
    json_errors_add_query(errors, TEXT("cursor"), "is not a cursor that this list gave out");
    http_answer_errors(request, errors);
}

static void list(struct http_request *request)
{
    struct webhooks_page page = {.after = ""};
    struct store_found found;
    struct text cursor;
    if (!http_request_page(request, &page.limit, &cursor)) {
        return;
    }
    if (cursor.bytes != NULL && !webhook_name_fits(cursor)) {
        answer_bad_cursor(request);
        return;
    }
    memcpy(page.after, cursor.bytes == NULL ? "" : cursor.bytes, cursor.count);
    int64_t limit = page.limit++; /* one more: is there a next page? */
    struct store_read read = {.fn = webhooks_read_page,
                              .arg = &page,
                              .arg_bytes = sizeof(page),
                              .timeout_ms = http_request_left_ms(request)};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        answer_store(request, status);
        return;
    }
    const struct webhook *items = (const struct webhook *)(const void *)found.bytes;
    size_t count = found.count / sizeof(*items);
    size_t shown = count < (size_t)limit ? count : (size_t)limit;
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (size_t i = 0; i < shown; i++) {
        webhook_write(out, &items[i], NULL);
    }
    json_out_close_array(out);
    http_answer_page(request, shown < count ? text_of(items[shown - 1].name) : (struct text){0});
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void write_deliveries(struct http_request *request, const struct webhook_delivery *items, size_t count,
                             size_t limit)
{
    struct json_out *out = http_answer_out(request);
    size_t shown = count < limit ? count : limit;
    char next[DIGITS_MAX];
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (size_t i = 0; i < shown; i++) {
        webhook_delivery_write(out, &items[i]);
    }
    json_out_close_array(out);
    struct text cursor = {0};
    if (shown < count) {
        cursor = (struct text){next, (size_t)(digits_put(next, (uint64_t)items[shown - 1].id) - next)};
    }
    http_answer_page(request, cursor);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void deliveries(struct http_request *request)
{
    struct webhook_deliveries_page page = {.before = INT64_MAX};
    struct store_found found;
    struct text cursor;
    if (!http_request_page(request, &page.limit, &cursor)) {
        return;
    }
    if (cursor.bytes != NULL && !http_read_int(cursor, 1, INT64_MAX, &page.before)) {
        answer_bad_cursor(request);
        return;
    }
    const struct webhook *webhook = find_or_answer(request);
    if (webhook == NULL) {
        return;
    }
    page.webhook = webhook->id;
    size_t limit = (size_t)page.limit++;
    struct store_read read = {.fn = webhooks_read_deliveries,
                              .arg = &page,
                              .arg_bytes = sizeof(page),
                              .timeout_ms = http_request_left_ms(request)};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        answer_store(request, status);
        return;
    }
    write_deliveries(request, (const struct webhook_delivery *)(const void *)found.bytes,
                     found.count / sizeof(struct webhook_delivery), limit);
}

/* ---- the table ---- */

static const char *const page_query[] = {"limit", "cursor", NULL};

#define IN_PROCESS(name)                                   \
    static void route_##name(struct http_request *request) \
    {                                                      \
        http_request_spawn(request, name);                 \
    }
IN_PROCESS(list)
IN_PROCESS(get)
IN_PROCESS(put)
IN_PROCESS(drop)
IN_PROCESS(deliveries)

#define ROUTE(path, may, how, takes, known)                                                        \
    {                                                                                              \
        .pattern = (path), .methods = (may), .handler = route_##how, .access = ROUTE_ACCESS_ADMIN, \
        .body = ROUTE_BODY_##takes, .query = (known)                                               \
    }

static const struct route routes[] = {
    ROUTE(ROOT, HTTP_GET, list, NONE, page_query),
    ROUTE(WEBHOOK, HTTP_GET, get, NONE, NULL),
    ROUTE(WEBHOOK, HTTP_PUT, put, JSON, NULL),
    ROUTE(WEBHOOK, HTTP_DELETE, drop, NONE, NULL),
    ROUTE(WEBHOOK "/deliveries", HTTP_GET, deliveries, NONE, page_query),
};

struct route_table webhooks_routes(void)
{
    return (struct route_table)ROUTE_TABLE(routes);
}
