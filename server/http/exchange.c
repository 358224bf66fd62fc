/* The way of one request through libmicrohttpd's calls. The states are drawn in exchange.h. */
#include "server/http/exchange.h"

#include <stdlib.h>

#include "server/http/core.h"
#include "server/log.h"
#include "server/settings_run_time.h"

#define LINGER_MS 2000
/* Runs of the daemon that a request waits for its answer before it is suspended. Suspending and resuming takes two system
 * calls, and most answers of another core's processes come within a few turns. */
#define PATIENCE_RUNS     8
#define FREE_REQUESTS_MAX 64

static struct listener *listener_of(const struct http_request *request)
{
    return request->core->listener;
}

/* ---- life ---- */

static void request_init(struct http_request *request, struct http_core *core,
                         struct MHD_Connection *connection)
{
    request->core = core;
    request->connection = connection;
    request->peer = NULL;
    request->references = 1;
    request->state = EXCHANGE_HEAD;
    request->match.route = NULL;
    request->match.method = HTTP_METHOD_UNKNOWN;
    request->match.param_count = 0;
    request->id.count = 0;
    request->trace.continued = false;
    request->principal = HTTP_NOBODY;
    request->refusal = PROBLEM_NONE;
    request->refusal_detail = NULL;
    request->refusal_allow = 0;
    request->options = false;
    request->body = NULL;
    request->body_bytes = request->body_room = request->body_dropped = 0;
    request->held = 0;
    request->json = NULL;
    request->target_buffer = NULL;
    request->arena_open = false;
    request->started_ns = core->now_ns;
    request->deadline_ms =
        request->started_ns / 1000000 + SETTINGS_NOW(core->listener->settings->request_timeout_ms);
    request->pending = request->resuming = request->handed = request->counted = false;
    request->watch_client = request->client_gone = request->parked = false;
    request->streaming = request->dry = request->stream_end = request->beat = false;
    request->look_ms = 0;
    request->ended = NULL;
    request->own = NULL;
    __atomic_store_n(&request->job_pid, TR_NO_PID, __ATOMIC_RELAXED);
    request->slot = 0;
    request->watch = 0;
    request->reply = NULL;
    request->on_timeout = NULL;
    request->job = NULL;
    request->handler_state = NULL;
    answer_init(&request->answer);
}

/* libmicrohttpd cuts the query apart in place once the URI callback returns: the target is copied and split
 * in there. */
static bool parse_target(struct http_request *request)
{
    struct text raw = {.bytes = request->guard.uri, .count = request->guard.uri_bytes};
    size_t bytes = HTTP_TARGET_BUFFER(raw.count);
    request->target_buffer = bytes <= TARGET_INLINE_BYTES ? request->target_inline : malloc(bytes);
    return request->target_buffer != NULL && http_target_parse(&request->target, raw, request->target_buffer);
}

/* The request line is here: the rest of the head has its time from now on. */
static void note_peer(struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->peer = info == NULL ? NULL : info->socket_context;
    if (request->peer != NULL) {
        request->peer->requests++;
        request->peer->fresh = false;
        connection_listens(request->peer, SETTINGS_NOW(listener_of(request)->settings->header_timeout_ms));
    }
}

struct http_request *exchange_new(struct http_core *core, struct MHD_Connection *connection, const char *uri)
{
    struct http_request *request = core->free_requests;
    if (request != NULL) {
        core->free_requests = request->next_free;
        core->free_count--;
    } else {
        request = malloc(sizeof(*request));
        if (request == NULL) {
            return NULL;
        }
    }
    request_init(request, core, connection);
    note_peer(request);
    guard_on_uri(&request->guard, uri, strlen(uri));
    request->target_valid = parse_target(request);
    return request;
}

void exchange_drop(struct http_request *request)
{
    /* acq_rel: the other side's last writes come before the memory is used again */
    if (__atomic_sub_fetch(&request->references, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    answer_fini(&request->answer);
    if (request->own != NULL) {
        answer_fini(request->own);
        free(request->own);
    }
    body_let_go(request);
    if (request->target_buffer != request->target_inline) {
        free(request->target_buffer);
    }
    struct http_core *core = request->core;
    if (tr_node_core() == core->index && core->free_count < FREE_REQUESTS_MAX) {
        request->next_free = core->free_requests;
        core->free_requests = request;
        core->free_count++;
    } else {
        free(request);
    }
}

static void uncount_state(struct http_request *request)
{
    struct http_core *core = request->core;
    if (request->state == EXCHANGE_WAITING) {
        core->waiting--;
    } else if (request->state == EXCHANGE_SUSPENDED) {
        core->suspended--;
    } else if (request->state == EXCHANGE_QUEUED) {
        core->unsent--;
    }
}

/* From here on libmicrohttpd has it: it sends the answer, or closes the connection if it cannot be queued. Who
 * reads an answer slowly keeps nothing else in memory; a process that goes on still has the body. */
static enum MHD_Result queue(struct http_request *request)
{
    uncount_state(request);
    request->state = EXCHANGE_QUEUED;
    request->core->unsent++;
    enum MHD_Result result = answer_queue(request);
    if (!request->handed) {
        body_let_go(request);
    }
    return result;
}

void exchange_end(struct http_request *request)
{
    if (request->ended != NULL) {
        request->ended(request);
    }
    stream_remove(request);
    uncount_state(request);
    pending_remove(request);
    request_give_slot(request);
    if (request->counted) {
        __atomic_sub_fetch(&listener_of(request)->inflight, 1, __ATOMIC_RELAXED);
    }
    request->connection = NULL;
    request->peer = NULL;
    exchange_drop(request);
}

/* ---- the head ---- */

void exchange_refuse(struct http_request *request, enum problem_code code, const char *detail)
{
    if (request->refusal == PROBLEM_NONE && code != PROBLEM_NONE) {
        request->refusal = code;
        request->refusal_detail = detail;
    }
}

/* What is wrong with a target that the router calls bad: its path, its query, or (`GET *`) its form. */
static const char *bad_target_text(const struct http_target *target)
{
    enum http_path_fault fault =
        target->path_fault != HTTP_PATH_NONE ? target->path_fault : target->query_fault;
    return http_path_fault_text(fault != HTTP_PATH_NONE ? fault : HTTP_PATH_FORM);
}

static void route(struct http_request *request, const char *method)
{
    switch (router_find(listener_of(request)->router, text_of(method), &request->target, &request->match)) {
    case ROUTE_FOUND:
        return;
    case ROUTE_NOT_FOUND:
        exchange_refuse(request, PROBLEM_NOT_FOUND, "there is nothing at this path");
        break;
    case ROUTE_BAD_PATH:
        exchange_refuse(request, PROBLEM_INVALID_PATH, bad_target_text(&request->target));
        break;
    case ROUTE_METHOD_NOT_ALLOWED:
        exchange_refuse(request, PROBLEM_METHOD_NOT_ALLOWED, "the path is known, but not with this method");
        request->refusal_allow = request->match.allow;
        break;
    case ROUTE_METHOD_UNKNOWN:
        exchange_refuse(request, PROBLEM_NOT_IMPLEMENTED, "this method is not known here");
        request->refusal_allow = request->match.allow;
        break;
    case ROUTE_OPTIONS:
        request->options = true;
        request->refusal = PROBLEM_NONE;
        request->refusal_allow = request->match.allow;
        break;
    }
    request->match.route = NULL;
}

static bool has_body(const struct http_request *request)
{
    return request->guard.chunked || (request->guard.has_length && request->guard.content_length != 0);
}

/* Media type of a body that a route takes as JSON; a missing body is judged with the JSON. */
static void judge_media_type(struct http_request *request)
{
    enum route_body takes = request->match.route->body;
    if ((takes != ROUTE_BODY_JSON && takes != ROUTE_BODY_JSON_OPTIONAL) || !has_body(request)) {
        return;
    }
    struct text type = http_header(&request->guard.headers, HTTP_FIELD_CONTENT_TYPE);
    if (!http_media_type_is_json(type)) {
        exchange_refuse(request, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
}

static const char ending_text[] = "the service stops";
static const char overloaded_text[] = "too many requests are in work";

/* Nobody will answer any more: the tree is being stopped, or is gone. */
static bool is_ending(const struct http_request *request)
{
    return request->core->stopping || __atomic_load_n(&listener_of(request)->closing, __ATOMIC_RELAXED) != 0;
}

static void judge_load(struct http_request *request)
{
    struct listener *listener = listener_of(request);
    bool open = request->match.route->access == ROUTE_ACCESS_OPEN;
    if (!open && is_ending(request)) {
        exchange_refuse(request, PROBLEM_UNAVAILABLE, ending_text);
    }
    if (!open && __atomic_load_n(&listener->inflight, __ATOMIC_RELAXED) >=
                     SETTINGS_NOW(listener->settings->max_inflight)) {
        metric_count(listener->metrics.overloaded, 1);
        exchange_refuse(request, PROBLEM_OVERLOADED, overloaded_text);
    }
}

static void judge_head(struct http_request *request, const char *method)
{
    if (!request->target_valid) {
        exchange_refuse(request,
                        http_method_of(text_of(method)) == HTTP_METHOD_UNKNOWN ? PROBLEM_NOT_IMPLEMENTED
                                                                               : PROBLEM_INVALID_PATH,
                        http_path_fault_text(HTTP_PATH_FORM));
        return;
    }
    route(request, method);
    if (request->match.route == NULL) {
        return;
    }
    const char *detail = NULL;
    enum problem_code access = access_judge(request, &detail);
    exchange_refuse(request, access, detail);
    judge_load(request);
    if ((int64_t)request->guard.content_length >
            SETTINGS_NOW(listener_of(request)->settings->max_body_bytes) &&
        request->guard.has_length) {
        exchange_refuse(request, PROBLEM_PAYLOAD_TOO_LARGE, "the body is larger than this service takes");
    }
    judge_media_type(request);
}

/* Whether the answer must go out now: framing that cannot be trusted, or a body not worth reading. */
static bool must_end_now(const struct http_request *request)
{
    bool large = request->guard.has_length && request->guard.content_length > REFUSED_BODY_MAX;
    bool expects = http_header(&request->guard.headers, HTTP_FIELD_EXPECT).bytes != NULL;
    bool refused = request->refusal != PROBLEM_NONE || request->options;
    return request->guard.verdict != GUARD_OK ||
           (refused && has_body(request) && (large || expects || request->guard.chunked));
}

/* The next request of this connection most likely has the same Host. */
static void note_host(struct connection *peer, struct text host)
{
    if (host.count <= HOST_KNOWN_BYTES && !text_equal(host, connection_host(peer))) {
        peer->host_count = (uint8_t)host.count;
        (void)text_put(peer->host, host);
        peer->host_kind = HOST_UNJUDGED;
    }
}

/* Closing at once resets the connection while the client still sends, and it might lose the answer. For the answer to
 * a large head there may be no room. */
static bool past_the_library(const struct http_request *request)
{
    bool expects = http_header(&request->guard.headers, HTTP_FIELD_EXPECT).bytes != NULL;
    bool body_is_coming = request->guard.verdict == GUARD_OK && has_body(request) && !expects;
    return body_is_coming || request->guard.verdict == GUARD_HEAD_TOO_LARGE;
}

enum MHD_Result exchange_send_early(struct http_request *request)
{
    request->state = EXCHANGE_EARLY;
    connection_deadline(request->peer, LINGER_MS);
    return answer_send_early(request) ? MHD_YES : MHD_NO;
}

static size_t head_memory(const struct guard *guard)
{
    return guard->head_bytes + guard->header_count * (size_t)FIELD_NOTE_BYTES;
}

static enum MHD_Result head(struct http_request *request, const char *method, const char *version)
{
    struct http_core *core = request->core;
    const struct settings *settings = listener_of(request)->settings;
    request->guard.known_host = connection_host(request->peer);
    enum guard_verdict verdict = guard_check(&request->guard, request->connection, method, version);
    if (verdict == GUARD_OK && request->guard.header_count > settings->max_headers) {
        verdict = request->guard.verdict = GUARD_TOO_MANY_FIELDS;
    }
    if (verdict == GUARD_OK && head_memory(&request->guard) > (size_t)settings->max_header_bytes) {
        verdict = request->guard.verdict = GUARD_HEAD_TOO_LARGE;
    }
    request_id_choose(&request->id, &core->ids,
                      http_header(&request->guard.headers, HTTP_FIELD_X_REQUEST_ID));
    struct text parent = http_header(&request->guard.headers, HTTP_FIELD_TRACEPARENT);
    if (parent.bytes != NULL) {
        trace_context_choose(&request->trace, &core->ids, parent);
    }
    if (verdict != GUARD_OK) {
        exchange_refuse(request, guard_problem(verdict), guard_detail(verdict));
    } else {
        note_host(request->peer, http_header(&request->guard.headers, HTTP_FIELD_HOST));
        judge_head(request, method);
    }
    connection_listens(request->peer, SETTINGS_NOW(settings->body_timeout_ms));
    if (must_end_now(request)) {
        answer_refusal(request);
        return past_the_library(request) ? exchange_send_early(request) : queue(request);
    }
    if (!has_body(request)) {
        guard_hide_expectation(&request->guard);
    }
    request->state = EXCHANGE_BODY;
    return MHD_YES;
}

static bool query_fits(struct http_request *request)
{
    const struct route *found = request->match.route;
    struct text offender;
    if ((found->flags & ROUTE_QUERY_IGNORED) != 0) {
        return true;
    }
    enum http_path_fault fault = http_target_check_params(&request->target, found->query, &offender);
    if (fault == HTTP_PATH_NONE) {
        return true;
    }
    struct json_errors errors;
    json_errors_init(&errors);
    json_errors_add_query(&errors, offender, http_path_fault_text(fault));
    http_answer_errors(request, &errors);
    return false;
}

/* ---- the handler and after ---- */

static bool has_answer(const struct http_request *request)
{
    return request->own != NULL ? request->own->ready : !request->handed && request->answer.ready;
}

static enum MHD_Result answer_or_wait(struct http_request *request)
{
    if (has_answer(request)) {
        connection_deadline(request->peer, SETTINGS_NOW(listener_of(request)->settings->body_timeout_ms));
        return queue(request);
    }
    struct http_core *core = request->core;
    if (request->state == EXCHANGE_BODY) {
        request->state = EXCHANGE_WAITING;
        request->patience = PATIENCE_RUNS;
        core->waiting++;
    } else if (request->state == EXCHANGE_WAITING && --request->patience == 0) {
        uncount_state(request);
        request->state = EXCHANGE_SUSPENDED;
        core->suspended++;
        MHD_suspend_connection(request->connection);
    }
    return MHD_YES;
}

/* Takes one of the max_inflight places. The head was judged before the body came: many may have waited for
 * theirs meanwhile. */
static bool inflight_enter(struct http_request *request)
{
    struct listener *listener = listener_of(request);
    if (request->match.route->access == ROUTE_ACCESS_OPEN) {
        return true;
    }
    if (__atomic_fetch_add(&listener->inflight, 1, __ATOMIC_RELAXED) <
        SETTINGS_NOW(listener->settings->max_inflight)) {
        request->counted = true;
        return true;
    }
    __atomic_sub_fetch(&listener->inflight, 1, __ATOMIC_RELAXED);
    metric_count(listener->metrics.overloaded, 1);
    http_answer_problem(request, PROBLEM_OVERLOADED, overloaded_text);
    return false;
}

static enum MHD_Result last_call(struct http_request *request)
{
    connection_deadline(request->peer, -1);
    if (request->refusal != PROBLEM_NONE || request->options) {
        answer_refusal(request);
        return answer_or_wait(request);
    }
    if (request->core->stopping) {
        http_answer_problem(request, PROBLEM_UNAVAILABLE, ending_text);
    } else if (inflight_enter(request) && body_parse(request) && query_fits(request)) {
        request->match.route->handler(request);
        if (!has_answer(request)) {
            pending_add(request);
        }
    }
    return answer_or_wait(request);
}

enum MHD_Result exchange_handler(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_bytes, void **con_cls)
{
    (void)cls;
    (void)url;
    (void)connection;
    struct http_request *request = *con_cls;
    if (request == NULL || request->peer == NULL) {
        return MHD_NO; /* no memory when it was accepted, or when its target was read */
    }
    switch (request->state) {
    case EXCHANGE_HEAD:
        return head(request, method, version);
    case EXCHANGE_BODY:
        return *upload_bytes != 0 ? body_collect(request, upload, upload_bytes) : last_call(request);
    case EXCHANGE_WAITING:
    case EXCHANGE_SUSPENDED:
        return answer_or_wait(request);
    case EXCHANGE_EARLY:
        return *upload_bytes != 0 ? body_collect(request, upload, upload_bytes) : MHD_NO;
    case EXCHANGE_QUEUED:
        break;
    }
    return MHD_YES;
}

void exchange_answered(struct http_request *request)
{
    struct http_core *core = request->core;
    pending_remove(request);
    request_give_slot(request);
    if (request->state == EXCHANGE_SUSPENDED && !request->resuming) {
        request->resuming = true;
        request->resume_next = core->resume;
        core->resume = request;
    }
}

void exchange_expire(struct http_request *request)
{
    if (request->handed) {
        request->own = malloc(sizeof(*request->own));
        if (request->own == NULL) {
            return; /* the next tick tries again */
        }
        answer_init(request->own);
    }
    metric_count(listener_of(request)->metrics.timeouts, !request->parked);
    pending_remove(request);
    request_give_slot(request);
    if (request->on_timeout != NULL) {
        request->on_timeout(request);
    }
    if (!answer_of(request)->ready) {
        http_answer_problem(request, PROBLEM_TIMEOUT, "the answer did not come in time");
    }
}
