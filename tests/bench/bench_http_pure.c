/* What the front end costs without libmicrohttpd and without processes: one JSON line an item, nanoseconds a
 * call.
 * Usage: bench_http_pure [SECONDS_PER_ITEM], default 0.3. Medians of nine rounds. */
#include "server/http/guard.h"
#include "server/http/request_id.h"
#include "server/http/router.h"
#include "server/json_out.h"
#include "server/json_shape.h"
#include "server/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 9

static volatile uint64_t sink;

static void handler(struct http_request *request)
{
    (void)request;
}

static const struct route routes[] = {
    {.pattern = "/", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/healthz", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/readyz", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/metrics", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/v1/config", .methods = HTTP_GET | HTTP_PATCH, .handler = handler},
    {.pattern = "/v1/config/{key}", .methods = HTTP_GET | HTTP_PUT | HTTP_DELETE, .handler = handler},
    {.pattern = "/v1/payments", .methods = HTTP_GET | HTTP_POST, .handler = handler},
    {.pattern = "/v1/payments/{id}", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/v1/payments/{id}/capture", .methods = HTTP_POST, .handler = handler},
    {.pattern = "/v1/profiles/{user}", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/v1/processes/{pid}", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/v1/rate-limits", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/v1/rate-limits/check", .methods = HTTP_POST, .handler = handler},
    {.pattern = "/v1/rate-limits/{policy}", .methods = HTTP_GET | HTTP_PUT, .handler = handler},
    {.pattern = "/v1/rate-limits/{policy}/check", .methods = HTTP_POST, .handler = handler},
    {.pattern = "/v1/rate-limits/{policy}/keys/{key}", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/v1/rate-limits/{policy}/keys/{key}/check",
     .methods = HTTP_GET | HTTP_POST,
     .handler = handler},
};

static struct router *router;
static struct request_id_source ids;
static char memory[1 << 16];
static char batch[16384];

/* ---- a head as libmicrohttpd leaves it ---- */

static char head[512];
static size_t head_bytes;
static const char *head_uri;
static const char *head_version;
static struct {
    struct text name;
    struct text value;
} fields[8];
static size_t field_count;

static void cut_head(void)
{
    static const char text[] =
        "GET /v1/rate-limits/default/keys/alice/check?cost=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        "User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
    memcpy(head, text, sizeof(text));
    head_bytes = sizeof(text) - 1;
    char *uri = strchr(head, ' ') + 1;
    char *version = strchr(uri, ' ') + 1;
    uri[-1] = '\0';
    version[-1] = '\0';
    head_uri = uri;
    head_version = version;
    char *line = strstr(version, "\r\n");
    for (field_count = 0; strncmp(line, "\r\n\r\n", 4) != 0; field_count++) {
        line[0] = line[1] = '\0';
        char *name = line + 2;
        char *colon = strchr(name, ':');
        line = strstr(name, "\r\n");
        *colon = '\0';
        fields[field_count].name = (struct text){name, (size_t)(colon - name)};
        fields[field_count].value = (struct text){colon + 2, (size_t)(line - colon) - 2};
    }
    memset(line, 0, 4);
}

static void guard_once(struct guard *guard)
{
    guard_on_uri(guard, head_uri, strlen(head_uri));
    guard_start(guard, head, head_version);
    for (size_t i = 0; i < field_count; i++) {
        (void)guard_header(guard, fields[i].name, fields[i].value);
    }
    if (guard_finish(guard, head_bytes) != GUARD_OK) {
        (void)fprintf(stderr, "the guard refuses: %s\n", guard_detail(guard->verdict));
        exit(1);
    }
}

/* ---- the items ---- */

static void item_guard(void)
{
    struct guard guard;
    guard_once(&guard);
    sink += guard.header_count;
}

static void item_target(void)
{
    struct http_target target;
    (void)http_target_parse(&target, TEXT("/v1/rate-limits/default/keys/alice/check?cost=1"), memory);
    sink += target.segment_count;
}

static void item_target_encoded(void)
{
    struct http_target target;
    (void)http_target_parse(&target, TEXT("/v1/rate-limits/default/keys/user%2Fal%C3%ADce/check?cost=%31"),
                            memory);
    sink += target.segment_count;
}

static struct http_target parsed;

static void item_route(void)
{
    struct route_match match;
    sink += router_find(router, TEXT("GET"), &parsed, &match) + match.param_count;
}

static void item_request_id(void)
{
    struct request_id id;
    request_id_choose(&id, &ids, (struct text){0});
    sink += id.count;
}

static void item_trace(void)
{
    struct trace_context trace;
    trace_context_choose(&trace, &ids, TEXT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    sink += trace.span;
}

static void item_front(void)
{
    struct guard guard;
    struct http_target target;
    struct route_match match;
    struct request_id id;
    (void)http_target_parse(&target, text_of(head_uri), memory);
    guard_once(&guard);
    request_id_choose(&id, &ids, http_header(&guard.headers, HTTP_FIELD_X_REQUEST_ID));
    sink += router_find(router, text_of(head), &target, &match) + id.count;
}

struct check {
    struct text key;
    int64_t cost;
};

static const struct json_member check_members[] = {
    JSON_MEMBER("policy", JSON_TEXT, struct check, key),
    JSON_MEMBER("key", JSON_TEXT, struct check, key, .required = true, .min = 1, .max = 256),
    JSON_MEMBER("cost", JSON_INT, struct check, cost, .min = 1, .max = INT32_MAX),
};
static const struct json_shape check_shape = JSON_SHAPE(check_members);

static void read_check(struct text text, bool many)
{
    static struct json_errors errors;
    struct json_arena arena;
    struct json_error error;
    struct check check = {.cost = 1};
    cJSON *root = NULL;
    json_arena_init(&arena, memory, sizeof(memory), 1 << 20);
    json_errors_init(&errors);
    bool ok = json_parse(&arena, text, &json_limits_default, &root, &error);
    const cJSON *item = ok && many ? root->child : root;
    for (; ok && item != NULL; item = item->next) {
        ok = json_read_object(item, NULL, &check_shape, &check, &errors);
        sink += check.key.count;
    }
    json_arena_fini(&arena);
    if (!ok) {
        (void)fprintf(stderr, "the check is refused\n");
        exit(1);
    }
}

static void item_json_check(void)
{
    read_check(TEXT("{\"key\":\"alice\",\"cost\":1}"), false);
}

static void item_json_batch(void)
{
    read_check(text_of(batch), true);
}

static void item_cjson_check(void)
{
    struct json_arena arena;
    json_arena_init(&arena, memory, sizeof(memory), 1 << 20);
    struct json_arena *outer = json_arena_swap(&arena);
    cJSON *root = cJSON_ParseWithLength("{\"key\":\"alice\",\"cost\":1}", 24);
    sink += (uint64_t)root->type;
    (void)json_arena_swap(outer);
    json_arena_fini(&arena);
}

static void item_json_decision(void)
{
    struct json_out out;
    char buffer[512];
    json_out_init(&out, buffer, sizeof(buffer));
    json_out_open_object(&out);
    json_out_member_bool(&out, "allowed", true);
    json_out_member_string(&out, "policy", "default");
    json_out_member_string(&out, "key", "alice");
    json_out_member_int(&out, "cost", 1);
    json_out_member_int(&out, "limit", 100);
    json_out_member_int(&out, "remaining", 99);
    json_out_member_int(&out, "retry_after_ms", 0);
    json_out_member_int(&out, "reset_ms", 100);
    json_out_close_object(&out);
    sink += json_out_text(&out).count;
}

static void item_problem(void)
{
    struct json_out out;
    char buffer[512];
    json_out_init(&out, buffer, sizeof(buffer));
    problem_write(&out,
                  &(struct problem){.code = PROBLEM_RATE_LIMITED, .request_id = TEXT("0123456789abcdef")});
    sink += json_out_text(&out).count;
}

/* ---- measuring ---- */

static double now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, void (*item)(void), double seconds)
{
    double rounds[ROUNDS];
    size_t calls = 100;
    double took = 0;
    while (took < seconds * 1e9 / ROUNDS / 2) {
        calls *= 2;
        double start = now_ns();
        for (size_t i = 0; i < calls; i++) {
            item();
        }
        took = now_ns() - start;
    }
    for (size_t r = 0; r < ROUNDS; r++) {
        double start = now_ns();
        for (size_t i = 0; i < calls; i++) {
            item();
        }
        rounds[r] = (now_ns() - start) / (double)calls;
    }
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    (void)printf("{\"bench\":\"http_pure\",\"item\":\"%s\",\"ns\":%.1f,\"ns_min\":%.1f,\"ns_max\":%.1f}\n",
                 name, rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.3;
    struct route_table table = ROUTE_TABLE(routes);
    char why[128];
    static char parsed_buffer[256];
    router = router_create(&table, 1, why, sizeof(why));
    if (router == NULL || !request_id_source_init(&ids)) {
        (void)fprintf(stderr, "%s\n", why);
        return 1;
    }
    json_init();
    cut_head();
    (void)http_target_parse(&parsed, TEXT("/v1/rate-limits/default/keys/alice/check?cost=1"), parsed_buffer);
    size_t used = (size_t)sprintf(batch, "[");
    for (int i = 0; i < 100; i++) {
        used += (size_t)sprintf(batch + used, "%s{\"policy\":\"default\",\"key\":\"user-%d\",\"cost\":1}",
                                i == 0 ? "" : ",", i);
    }
    (void)sprintf(batch + used, "]");
    measure("guard", item_guard, seconds);
    measure("target", item_target, seconds);
    measure("target_encoded", item_target_encoded, seconds);
    measure("route", item_route, seconds);
    measure("request_id", item_request_id, seconds);
    measure("traceparent", item_trace, seconds);
    measure("target+guard+route+request_id", item_front, seconds);
    measure("json_read_check", item_json_check, seconds);
    measure("json_read_batch_100", item_json_batch, seconds);
    measure("cjson_parse_check", item_cjson_check, seconds);
    measure("json_write_decision", item_json_decision, seconds);
    measure("problem_write", item_problem, seconds);
    router_destroy(router);
    return 0;
}
