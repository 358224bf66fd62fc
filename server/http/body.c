/* Bodies: gathered within what all requests may hold, dropped when nobody wants them, read as JSON. */
#include <stdlib.h>

#include "server/http/core.h"
#include "server/settings_run_time.h"

#define HELD_FREE_BYTES ((size_t)4096) /* that much a request may hold uncounted */

static struct listener *listener_of(const struct http_request *request)
{
    return request->core->listener;
}

/* Counts what the request holds, within max_held_bytes over all. Returns: false when that is reached. */
static bool hold(struct http_request *request, size_t bytes)
{
    struct listener *listener = listener_of(request);
    bytes = bytes <= HELD_FREE_BYTES ? 0 : bytes;
    if (bytes == request->held) {
        return true;
    }
    int64_t more = (int64_t)bytes - (int64_t)request->held;
    int64_t held = __atomic_add_fetch(&listener->held, more, __ATOMIC_RELAXED);
    if (more > 0 && held > SETTINGS_NOW(listener->settings->max_held_bytes)) {
        __atomic_sub_fetch(&listener->held, more, __ATOMIC_RELAXED);
        metric_count(listener->metrics.overloaded, 1);
        return false;
    }
    request->held = bytes;
    return true;
}

void body_let_go(struct http_request *request)
{
    free(request->body);
    request->body = NULL;
    request->body_room = 0;
    if (request->arena_open) {
        json_arena_fini(&request->arena);
        request->arena_open = false;
        request->json = NULL;
    }
    (void)hold(request, 0);
}

/* Room follows the bytes that came: an announced length costs its sender nothing. */
static bool body_grow(struct http_request *request, size_t needed)
{
    size_t room = request->body_room == 0 ? 1024 : request->body_room;
    while (room < needed) {
        room *= 2;
    }
    if (request->guard.has_length && room > request->guard.content_length + 1) {
        room = (size_t)request->guard.content_length + 1;
    }
    char *grown = hold(request, room) ? realloc(request->body, room) : NULL;
    if (grown == NULL) {
        return false;
    }
    request->body = grown;
    request->body_room = room;
    return true;
}

/* The end of a refused body is worth waiting for only when it is known and near: the head was judged so. A body
 * in chunks that turned out too large is answered on the spot, and then read on for a while: closing at once
 * would reset the connection, and the client might lose the answer. NO: the connection is cut. */
static enum MHD_Result drop(struct http_request *request, size_t more)
{
    body_let_go(request);
    request->body_dropped += more;
    if (request->guard.chunked && request->state == EXCHANGE_BODY) {
        answer_refusal(request);
        return exchange_send_early(request);
    }
    return request->body_dropped >
                   (size_t)SETTINGS_NOW(listener_of(request)->settings->max_body_bytes) + REFUSED_BODY_MAX
               ? MHD_NO
               : MHD_YES;
}

enum MHD_Result body_collect(struct http_request *request, const char *upload, size_t *upload_bytes)
{
    size_t max = (size_t)SETTINGS_NOW(listener_of(request)->settings->max_body_bytes);
    size_t more = *upload_bytes;
    *upload_bytes = 0;
    if (request->refusal == PROBLEM_NONE && !request->options && request->body_bytes + more > max) {
        exchange_refuse(request, PROBLEM_PAYLOAD_TOO_LARGE, "the body is larger than this service takes");
    }
    if (request->refusal != PROBLEM_NONE || request->options) {
        return drop(request, more);
    }
    if (request->body_bytes + more + 1 > request->body_room &&
        !body_grow(request, request->body_bytes + more + 1)) {
        exchange_refuse(request, PROBLEM_OVERLOADED, "too much of other requests is held in memory");
        return drop(request, more);
    }
    memcpy(request->body + request->body_bytes, upload, more);
    request->body_bytes += more;
    metric_count(listener_of(request)->metrics.bytes_in, more);
    return MHD_YES;
}

static bool parse_json(struct http_request *request)
{
    enum route_body takes = request->match.route->body;
    if (takes == ROUTE_BODY_NONE && request->body_bytes != 0) {
        struct json_errors errors;
        json_errors_init(&errors);
        json_errors_add(&errors, NULL, NULL, "this call takes no body");
        http_answer_errors(request, &errors);
        return false;
    }
    if (takes == ROUTE_BODY_NONE || takes == ROUTE_BODY_IGNORED ||
        (takes == ROUTE_BODY_JSON_OPTIONAL && request->body_bytes == 0)) {
        return true;
    }
    const struct settings *settings = listener_of(request)->settings;
    struct json_limits limits = {.depth_max = (unsigned)SETTINGS_NOW(settings->json_max_depth),
                                 .tokens_max = (size_t)SETTINGS_NOW(settings->json_max_tokens),
                                 .string_bytes_max = (size_t)SETTINGS_NOW(settings->max_body_bytes)};
    struct text text = {.bytes = request->body == NULL ? "" : request->body, .count = request->body_bytes};
    struct json_error error;
    if (!json_parse(http_request_arena(request), text, &limits, &request->json, &error)) {
        enum problem_code code =
            error.fault == JSON_FAULT_MEMORY ? PROBLEM_PAYLOAD_TOO_LARGE : PROBLEM_INVALID_JSON;
        http_answer_problem(request, code, "%s (at byte %zu)", json_fault_text(error.fault), error.offset);
        return false;
    }
    return true;
}

/* The tree of a body may be much larger than the body. */
static bool tree_fits(struct http_request *request)
{
    if (!request->arena_open || hold(request, request->body_room + request->arena.chunk_bytes)) {
        return true;
    }
    http_answer_problem(request, PROBLEM_OVERLOADED, "too much of other requests is held in memory");
    return false;
}

bool body_parse(struct http_request *request)
{
    return parse_json(request) && tree_fits(request);
}
