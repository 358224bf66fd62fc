/* The routes of profiles, and the tree. */
#include <stdio.h>
#include <string.h>

#include "api/profiles/aggregate.h"
#include "api/profiles/demo.h"
#include "api/profiles/profiles.h"
#include "server/client/upstream.h"
#include "server/http/path.h"
#include "server/http/request.h"
#include "server/restarts.h"
#include "server/settings_run_time.h"

#define TIMEOUT_DEFAULT_MS 5000
#define TIMEOUT_MAX_MS     30000
#define ANSWER_MS          2000 /* beyond the sources' deadline, to say so */
#define STATS_TIMEOUT_MS   1000
#define ADDRESS_BYTES      300

struct asking {
    int64_t timeout_ms;
    bool strict;
    struct source_list sources; /* as they were when it came */
    bool wanted[SOURCES_MAX];
};

/* ---- what is asked ---- */

static bool read_sources(struct text text, struct asking *asking)
{
    memset(asking->wanted, 0, sizeof(asking->wanted));
    while (text.bytes != NULL) {
        const char *comma = memchr(text.bytes, ',', text.count);
        size_t count = comma == NULL ? text.count : (size_t)(comma - text.bytes);
        int index = source_find(&asking->sources, (struct text){text.bytes, count});
        if (index < 0) {
            return false;
        }
        asking->wanted[index] = true;
        text = comma == NULL ? (struct text){0} : (struct text){comma + 1, text.count - count - 1};
    }
    return true;
}

static bool read_query(struct http_request *request, struct asking *asking)
{
    UNCLEARED struct json_errors errors;
    json_errors_init(&errors);
    struct text timeout = http_request_query(request, "timeout_ms");
    struct text sources = http_request_query(request, "sources");
    struct text mode = http_request_query(request, "mode");
    bool good = true;
    asking->timeout_ms = TIMEOUT_DEFAULT_MS;
    sources_now(&asking->sources);
    memset(asking->wanted, 1, sizeof(asking->wanted));
    if (timeout.bytes != NULL && !http_read_int(timeout, 1, TIMEOUT_MAX_MS, &asking->timeout_ms)) {
        json_errors_add_query(&errors, TEXT("timeout_ms"), "must be an integer from 1 to 30000");
        good = false;
    }
    if (sources.bytes != NULL && !read_sources(sources, asking)) {
        json_errors_add_query(&errors, TEXT("sources"), "names a source that is not there");
        good = false;
    }
    asking->strict = text_equal(mode, TEXT("strict"));
    if (mode.bytes != NULL && !asking->strict && !text_equal(mode, TEXT("partial"))) {
        json_errors_add_query(&errors, TEXT("mode"), "must be strict or partial");
        good = false;
    }
    if (good && http_request_param(request, 0).count > USER_ID_BYTES) {
        json_errors_add(&errors, NULL, "user_id", "is longer than 256 bytes");
        good = false;
    }
    if (!good) {
        http_answer_errors(request, &errors);
    }
    return good;
}

/* ---- the answer ---- */

static void write_meta(struct json_out *out, const struct profile_part *parts, size_t count, bool complete,
                       int64_t elapsed_ms)
{
    json_out_key(out, "_meta");
    json_out_open_object(out);
    json_out_member_bool(out, "complete", complete);
    json_out_member_int(out, "elapsed_ms", elapsed_ms);
    json_out_key(out, "sources");
    json_out_open_object(out);
    for (size_t i = 0; i < count; i++) {
        json_out_key(out, profile_sources.items[parts[i].source].name);
        json_out_open_object(out);
        json_out_member_string(out, "status", source_status_word(parts[i].status));
        json_out_member_int(out, "elapsed_ms", parts[i].elapsed_ms);
        if (parts[i].why != NULL) {
            json_out_member_string(out, "reason", parts[i].why);
        }
        if (parts[i].attempts > 1) {
            json_out_member_int(out, "attempts", parts[i].attempts);
        }
        json_out_close_object(out);
    }
    json_out_close_object(out);
    json_out_close_object(out);
}

static void answer_profile(struct http_request *request, const struct profile_part *parts, size_t count,
                           bool complete, int64_t elapsed_ms)
{
    http_answer_header(request, "X-Complete", complete ? TEXT("true") : TEXT("false"));
    http_answer_header(request, "Cache-Control", TEXT("no-store"));
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    for (size_t i = 0; i < count; i++) {
        const tr_blob *body = parts[i].body;
        json_out_key(out, profile_sources.items[parts[i].source].name);
        json_out_raw(out, body != NULL ? (struct text){(const char *)body->bytes, body->size}
                                       : text_of(profile_sources.items[parts[i].source].fallback));
    }
    write_meta(out, parts, count, complete, elapsed_ms);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void answer_strict_failure(struct http_request *request, const struct profile_part *parts,
                                  size_t count, int64_t elapsed_ms)
{
    bool failed = false;
    for (size_t i = 0; i < count; i++) {
        failed = failed || parts[i].status == SOURCE_ERROR;
    }
    http_answer_header(request, "X-Complete", TEXT("false"));
    struct json_out *out = http_problem_begin(request, failed ? PROBLEM_SOURCE_FAILED : PROBLEM_TIMEOUT,
                                              failed ? "a source failed" : "a source did not answer in time");
    write_meta(out, parts, count, false, elapsed_ms);
    http_problem_end(request);
}

static void profile_job(struct http_request *request)
{
    const struct asking *asking = http_request_state(request);
    size_t count = asking->sources.count;
    struct profile_part parts[SOURCES_MAX] = {{.wanted = false}};
    int64_t began_ms = tr_now_ms();
    bool failed = false;
    for (size_t i = 0; i < count; i++) {
        parts[i].wanted = asking->wanted[i];
        parts[i].source = asking->sources.places[i];
    }
    profile_aggregate(fetch_source, http_request_param(request, 0), asking->timeout_ms, parts, count);
    for (size_t i = 0; i < count; i++) {
        source_count(&profile_sources.items[parts[i].source], parts[i].status);
        failed = failed || parts[i].status == SOURCE_ERROR || parts[i].status == SOURCE_TIMEOUT;
    }
    int64_t elapsed_ms = tr_now_ms() - began_ms;
    if (asking->strict && failed) {
        answer_strict_failure(request, parts, count, elapsed_ms);
    } else {
        answer_profile(request, parts, count, !failed, elapsed_ms);
    }
}

static void route_profile(struct http_request *request)
{
    struct asking *asking = json_arena_take(http_request_arena(request), sizeof(*asking));
    if (asking == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, "out of memory");
    } else if (read_query(request, asking)) {
        http_request_set_state(request, asking);
        http_request_set_timeout(request, asking->timeout_ms + ANSWER_MS);
        http_request_cancel_when_gone(request);
        http_request_spawn(request, profile_job);
    }
}

/* ---- sources ---- */

static void write_source(struct json_out *out, const struct source *source)
{
    struct upstream_stats stats;
    json_out_open_object(out);
    json_out_member_string(out, "name", source->name);
    json_out_member_string(out, "url", source->url);
    if (source->unix_path != NULL) {
        json_out_member_string(out, "unix_socket", source->unix_path);
    }
    json_out_key(out, "fallback");
    json_out_raw(out, text_of(source->fallback));
    for (int i = 0; i < SOURCE_STATUS_COUNT; i++) {
        json_out_member_int(out, source_status_word((enum source_status)i),
                            (int64_t)__atomic_load_n(&source->counts[i], __ATOMIC_RELAXED));
    }
    json_out_key(out, "breaker");
    if (upstream_stats_of(tr_to_name(source->guard), STATS_TIMEOUT_MS, &stats) != TR_OK) {
        json_out_null(out);
    } else {
        json_out_open_object(out);
        json_out_member_string(out, "state", breaker_state_word(stats.state));
        json_out_member_int(out, "wait_ms", stats.wait_ms);
        json_out_member_int(out, "opened", (int64_t)stats.opened);
        json_out_member_int(out, "in_flight", stats.concurrent);
        json_out_member_int(out, "in_flight_max", stats.concurrent_max);
        json_out_member_int(out, "refused_open", (int64_t)stats.refused_open);
        json_out_member_int(out, "refused_full", (int64_t)stats.refused_full);
        json_out_member_int(out, "retried", (int64_t)stats.retried);
        json_out_member_int(out, "retries_refused", (int64_t)stats.retries_refused);
        json_out_close_object(out);
    }
    json_out_close_object(out);
}

static void sources_job(struct http_request *request)
{
    struct source_list list;
    sources_now(&list);
    size_t count = list.count;
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (size_t i = 0; i < count; i++) {
        write_source(out, &profile_sources.items[list.places[i]]);
    }
    json_out_close_array(out);
    json_out_member_null(out, "next_cursor");
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void route_sources(struct http_request *request)
{
    http_request_spawn(request, sources_job);
}

static const char *const profile_query[] = {"timeout_ms", "sources", "mode", NULL};

static const struct route routes[] = {
    {.pattern = "/v1/profiles/{user_id}",
     .methods = HTTP_GET,
     .handler = route_profile,
     .access = ROUTE_ACCESS_CLIENT,
     .query = profile_query},
    {.pattern = "/v1/profile-sources",
     .methods = HTTP_GET,
     .handler = route_sources,
     .access = ROUTE_ACCESS_CLIENT},
    {.pattern = "/v1/demo/users/{user_id}",
     .methods = HTTP_GET,
     .handler = demo_route_users,
     .access = ROUTE_ACCESS_CLIENT},
    {.pattern = "/v1/demo/preferences/{user_id}",
     .methods = HTTP_GET,
     .handler = demo_route_preferences,
     .access = ROUTE_ACCESS_CLIENT},
    {.pattern = "/v1/demo/activity/{user_id}",
     .methods = HTTP_GET,
     .handler = demo_route_activity,
     .access = ROUTE_ACCESS_CLIENT},
};

struct route_table profiles_routes(void)
{
    return (struct route_table)ROUTE_TABLE(routes);
}

/* ---- the tree ---- */

static tr_err sup_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                       tr_term *reason)
{
    (void)arg;
    (void)reason;
    static const tr_task_supervisor_opts tasks = {0};
    size_t places = __atomic_load_n(&profile_sources.count, __ATOMIC_ACQUIRE);
    tr_child_spec *specs = tr_scratch_alloc((places + 2) * sizeof(*specs));
    *count = 0;
    specs[(*count)++] = demo_child_spec();
    for (size_t i = 0; i < places; i++) {
        specs[(*count)++] = source_guard_spec(&profile_sources.items[i]);
    }
    tr_child_spec *last = &specs[(*count)++];
    *last = tr_task_supervisor_child_spec(&tasks);
    last->id = last->start.name = tr_atom("profiles.tasks");
    *flags = restarts_allowed(profile_sources.settings);
    *children = specs;
    return TR_OK;
}

tr_child_spec profiles_child_spec(void)
{
    static const tr_supervisor supervisor = {.name = "profiles.sup", .init = sup_init};
    return (tr_child_spec){
        .id = tr_atom("profiles.sup"), .supervisor = &supervisor, .start = {.name = tr_atom("profiles.sup")}};
}

bool profiles_setup(const struct settings *settings, const struct listener *listener, char *why, size_t bytes)
{
    char base[ADDRESS_BYTES] = "";
    for (size_t i = settings->listen.count; i-- > 0;) { /* the first that is no unix socket, else the first */
        char one[ADDRESS_BYTES];
        listener_address(listener, i, one, sizeof(one));
        if (strncmp(one, "unix:", 5) != 0 || base[0] == '\0' || strncmp(base, "unix:", 5) == 0) {
            snprintf(base, sizeof(base), "%s", one);
        }
    }
    settings_run_time_on_sources(sources_take);
    return sources_init(settings, base, why, bytes);
}

void profiles_teardown(void)
{
    sources_fini();
}
