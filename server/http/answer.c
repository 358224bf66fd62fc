/* Answers: what handlers say, and how it reaches libmicrohttpd. */
#include "server/http/core.h"
#include "server/settings_run_time.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BODY_BYTES_MAX ((size_t)64 << 20)

void answer_init(struct answer *answer)
{
    answer->ready = false;
    answer->status = 0;
    answer->content_type = NULL;
    answer->body = NULL;
    answer->body_bytes = 0;
    answer->out_open = false;
    answer->code = PROBLEM_NONE;
    answer->events = NULL;
    fields_init(&answer->fields);
}

static void body_free(struct answer *answer, char *body)
{
    if (body != answer->small) {
        free(body);
    }
}

void answer_fini(struct answer *answer)
{
    if (answer->out_open) {
        json_out_fini(&answer->out);
    }
    body_free(answer, answer->body);
    answer->body = NULL;
    fields_fini(&answer->fields);
}

void answer_reset(struct answer *answer)
{
    answer_fini(answer);
    answer_init(answer);
}

/* The caller is the process the request was handed to. It must not look at `own`, which is the core's. */
static bool is_job(const struct http_request *request)
{
    tr_pid self = request->handed ? tr_self() : TR_NO_PID;
    return self != TR_NO_PID && self == __atomic_load_n(&request->job_pid, __ATOMIC_RELAXED);
}

struct answer *answer_of(struct http_request *request)
{
    return !request->handed || is_job(request) ? &request->answer : request->own;
}

/* ---- header fields ---- */

void http_answer_header(struct http_request *request, const char *name, struct text value)
{
    struct answer *answer = answer_of(request);
    if (!answer->ready && !fields_add(&answer->fields, text_of(name), value)) {
        http_answer_problem(request, PROBLEM_INTERNAL_ERROR, NULL);
    }
}

struct fields *http_answer_fields(struct http_request *request)
{
    struct answer *answer = answer_of(request);
    return answer->ready ? NULL : &answer->fields;
}

void http_answer_headerf(struct http_request *request, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int count = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t bytes = count < 0 ? 0 : (size_t)count < sizeof(text) ? (size_t)count : sizeof(text) - 1;
    http_answer_header(request, name, (struct text){.bytes = text, .count = bytes});
}

/* ---- bodies ---- */

struct json_out *http_answer_out(struct http_request *request)
{
    struct answer *answer = answer_of(request);
    if (!answer->out_open && answer->ready) { /* in vain, but `small` holds the answer */
        json_out_init_growing(&answer->out, ANSWER_SMALL_BYTES, BODY_BYTES_MAX);
    } else if (!answer->out_open) {
        json_out_init_spilling(&answer->out, answer->small, sizeof(answer->small), BODY_BYTES_MAX);
    }
    answer->out_open = true;
    return &answer->out;
}

/* Every answer goes through here, once. */
static void complete(struct http_request *request, unsigned status, const char *content_type, char *body,
                     size_t bytes)
{
    struct answer *answer = answer_of(request);
    if (answer->ready) {
        body_free(answer, body);
        return;
    }
    answer->status = status;
    answer->content_type = content_type;
    answer->body = body;
    answer->body_bytes = bytes;
    answer->ready = true;
    if (!is_job(request)) {
        exchange_answered(request);
    }
}

static void complete_json(struct http_request *request, unsigned status, const char *content_type)
{
    struct answer *answer = answer_of(request);
    size_t bytes = 0;
    char *body = json_out_take(http_answer_out(request), &bytes);
    answer->out_open = false;
    if (body == NULL) {
        json_out_fini(&answer->out);
        static const char sorry[] =
            "{\"type\":\"urn:troupe:problem:internal-error\",\"title\":\"Internal error\","
            "\"status\":500,\"detail\":\"The answer could not be written.\",\"code\":\"internal-error\"}";
        answer->code = PROBLEM_INTERNAL_ERROR;
        complete(request, 500, PROBLEM_MEDIA_TYPE, strdup(sorry), sizeof(sorry) - 1);
        return;
    }
    complete(request, status, content_type, body, bytes);
}

void http_answer_json(struct http_request *request, unsigned status)
{
    complete_json(request, status, "application/json");
}

void http_answer_take(struct http_request *request, unsigned status, const char *content_type, char *bytes,
                      size_t count)
{
    complete(request, status, content_type, bytes, count);
}

void http_answer_bytes(struct http_request *request, unsigned status, const char *content_type,
                       struct text bytes)
{
    char *copy = malloc(bytes.count + 1);
    if (copy == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, "out of memory");
        return;
    }
    memcpy(copy, bytes.bytes, bytes.count);
    complete(request, status, content_type, copy, bytes.count);
}

void http_answer_empty(struct http_request *request, unsigned status)
{
    complete(request, status, NULL, NULL, 0);
}

void http_answer_events(struct http_request *request, http_events *next)
{
    if (!answer_of(request)->ready) {
        http_answer_header(request, "Cache-Control", TEXT("no-store"));
        answer_of(request)->events = next;
        complete(request, 200, "text/event-stream", NULL, 0);
    }
}

/* ---- problems ---- */

static bool is_silent(const struct http_request *request)
{
    const struct route *route = request->match.route;
    return route != NULL && (route->flags & ROUTE_NO_PROBLEM) != 0;
}

static struct json_out *problem_open(struct http_request *request, enum problem_code code, struct text detail,
                                     const struct json_errors *errors)
{
    struct answer *answer = answer_of(request);
    if (answer->out_open) { /* what was written before the error was found */
        json_out_fini(&answer->out);
        answer->out_open = false;
    }
    struct json_out *out = http_answer_out(request);
    if (!answer->ready) {
        answer->code = code;
    }
    struct problem problem = {
        .code = code, .detail = detail, .request_id = request_id_text(&request->id), .errors = errors};
    problem_begin(out, &problem);
    return out;
}

struct json_out *http_problem_begin(struct http_request *request, enum problem_code code, const char *detail)
{
    return problem_open(request, code, text_of(detail), NULL);
}

void http_problem_end(struct http_request *request)
{
    struct answer *answer = answer_of(request);
    unsigned status = problem_status(answer->code);
    if (status == 503 && !answer->ready && !fields_have(&answer->fields, TEXT("Retry-After"))) {
        http_answer_header(request, "Retry-After", TEXT("1"));
    }
    if (is_silent(request)) {
        json_out_fini(&answer->out);
        answer->out_open = false;
        http_answer_empty(request, status);
        return;
    }
    problem_end(&answer->out);
    complete_json(request, status, PROBLEM_MEDIA_TYPE);
}

void http_answer_problem(struct http_request *request, enum problem_code code, const char *detail, ...)
{
    if (answer_of(request)->ready) {
        return;
    }
    char text[512];
    struct text shown = {0};
    if (detail != NULL) {
        va_list args;
        va_start(args, detail);
        int count = vsnprintf(text, sizeof(text), detail, args);
        va_end(args);
        shown.bytes = text;
        shown.count = count < 0 ? 0 : (size_t)count < sizeof(text) ? (size_t)count : sizeof(text) - 1;
    }
    problem_open(request, code, shown, NULL);
    http_problem_end(request);
}

void http_answer_errors(struct http_request *request, const struct json_errors *errors)
{
    if (!answer_of(request)->ready) {
        problem_open(request, PROBLEM_INVALID_REQUEST, TEXT("the request has members that do not fit"),
                     errors);
        http_problem_end(request);
    }
}

void http_answer_call_failed(struct http_request *request, tr_err err)
{
    if (err == TR_E_TIMEOUT) {
        http_answer_problem(request, PROBLEM_TIMEOUT, "the service did not answer in time");
        return;
    }
    if (err == TR_E_FULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, "too many requests are waiting for this service");
    } else {
        http_answer_problem(request, PROBLEM_UNAVAILABLE, "the service is being restarted");
    }
}

/* ---- refusals decided before the handler ---- */

void answer_refusal(struct http_request *request)
{
    if (request->refusal_allow != 0) {
        char allow[HTTP_ALLOW_BYTES];
        size_t count = http_allow_text(request->refusal_allow, allow);
        http_answer_header(request, "Allow", (struct text){.bytes = allow, .count = count});
    }
    if (request->options) {
        http_answer_empty(request, 204);
        return;
    }
    if (request->refusal == PROBLEM_UNAUTHORIZED) {
        http_answer_header(request, "WWW-Authenticate", TEXT("Bearer realm=\"troupe\""));
    }
    http_answer_problem(request, request->refusal, request->refusal_detail == NULL ? NULL : "%s",
                        request->refusal_detail);
}

/* ---- to libmicrohttpd ---- */

bool answer_send_early(struct http_request *request)
{
    char head[1024];
    struct answer *answer = answer_of(request);
    struct text date = http_date_text(&request->core->date);
    int count = snprintf(
        head, sizeof(head),
        "HTTP/1.1 %u %s\r\nDate: %.*s\r\nConnection: close\r\nContent-Length: %zu\r\nX-Request-Id: %.*s\r\n"
        "X-Content-Type-Options: nosniff%s%s%.*s\r\n\r\n",
        answer->status, MHD_get_reason_phrase_for(answer->status), (int)date.count, date.bytes,
        answer->body_bytes, (int)request->id.count, request->id.bytes,
        answer->content_type == NULL ? "" : "\r\nContent-Type: ",
        answer->content_type == NULL ? "" : answer->content_type, (int)answer->fields.count,
        answer->fields.bytes);
    if (count >= (int)sizeof(head)) {
        return false;
    }
    bool is_head = strcmp(request->guard.method, "HEAD") == 0;
    struct iovec parts[2] = {{head, (size_t)count}, {answer->body, is_head ? 0 : answer->body_bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent = sendmsg(request->peer->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == count + (ssize_t)parts[1].iov_len && shutdown(request->peer->fd, SHUT_WR) == 0;
}

static bool must_close(const struct http_request *request)
{
    const struct listener *listener = request->core->listener;
    int64_t most = SETTINGS_NOW(listener->settings->max_keepalive_requests);
    return __atomic_load_n(&listener->draining, __ATOMIC_RELAXED) != 0 ||
           (most != 0 && request->peer != NULL && request->peer->requests >= (uint64_t)most);
}

static struct MHD_Response *response_of(struct answer *answer)
{
    if (answer->body == NULL || answer->body == answer->small) { /* the request outlives the response */
        return MHD_create_response_from_buffer(answer->body_bytes, answer->body, MHD_RESPMEM_PERSISTENT);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(answer->body_bytes, answer->body, free);
    if (response != NULL) {
        answer->body = NULL;
    }
    return response;
}

/* Everything that stands between "Date: " and the next field of libmicrohttpd's own. */
#define BLOCK_BYTES_MAX \
    (HTTP_DATE_BYTES + REQUEST_ID_BYTES_MAX + FIELDS_BYTES_MAX + TRACEPARENT_BYTES + CONTENT_TYPE_MAX + 128)
#define CONTENT_TYPE_MAX 64

static size_t block_write(const struct http_request *request, const struct answer *answer, char *block)
{
    char *at = text_put(block, http_date_text(&request->core->date));
    at = text_put(at, TEXT("\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: "));
    at = text_put(at, request_id_text(&request->id));
    if (answer->content_type != NULL) {
        at = text_put(at, TEXT("\r\nContent-Type: "));
        struct text type = text_of(answer->content_type);
        TR_ASSERT(type.count <= CONTENT_TYPE_MAX);
        at = text_put(at, type);
    }
    at = text_put(at, (struct text){.bytes = answer->fields.bytes, .count = answer->fields.count});
    if (request->trace.continued) {
        at = text_put(at, TEXT("\r\ntraceparent: "));
        trace_context_write(&request->trace, at);
        at += TRACEPARENT_BYTES;
    }
    return (size_t)(at - block);
}

/* libmicrohttpd copies fields one by one, with three allocations each, and one field costs what ten would. So all go in
 * as the value of one, Date, which it then does not make itself. It takes no CR and LF in values: it is given a
 * filler of the same length first, whose bytes, its own copy of it, are then replaced. (The library is one version only,
 * see guard_library_known.) */
static bool add_fields(const struct http_request *request, const struct answer *answer,
                       struct MHD_Response *response)
{
    static const char filler[BLOCK_BYTES_MAX + 1] = {[0 ... BLOCK_BYTES_MAX - 1] = '.'};
    UNCLEARED char block[BLOCK_BYTES_MAX];
    size_t count = block_write(request, answer, block);
    if (MHD_add_response_header(response, "Date", filler + BLOCK_BYTES_MAX - count) != MHD_YES) {
        return false;
    }
    memcpy((char *)(uintptr_t)MHD_get_response_header(response, "Date"), block, count);
    return true;
}

enum MHD_Result answer_queue(struct http_request *request)
{
    struct answer *answer = request->own != NULL ? request->own : &request->answer;
    unsigned status = answer->status;
    struct MHD_Response *response = answer->events != NULL ? stream_response(request) : response_of(answer);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_NO;
    if (add_fields(request, answer, response)) {
        if (must_close(request)) {
            MHD_add_response_header(response, "Connection", "close");
        }
        result = MHD_queue_response(request->connection, status, response);
    }
    MHD_destroy_response(response);
    return result;
}
