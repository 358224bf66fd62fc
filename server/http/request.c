/* What handlers see of a request, and how they ask processes. */
#include "server/http/request.h"

#include "server/http/core.h"
#include "server/settings_run_time.h"

#define ARENA_BYTES_PER_TOKEN 96

const struct route *http_request_route(const struct http_request *request)
{
    return request->match.route;
}

enum http_method http_request_method(const struct http_request *request)
{
    return request->match.method;
}

enum http_principal http_request_principal(const struct http_request *request)
{
    return request->principal;
}

struct text http_request_param(const struct http_request *request, size_t i)
{
    return i < request->match.param_count ? request->match.params[i] : (struct text){0};
}

struct text http_request_query(const struct http_request *request, const char *name)
{
    return http_target_param(&request->target, name);
}

struct text http_request_header(const struct http_request *request, enum http_field field)
{
    return http_header(&request->guard.headers, field);
}

size_t http_request_header_any(const struct http_request *request, struct text name, struct text *value)
{
    return request->connection == NULL ? 0 : guard_lookup(request->connection, name, value);
}

const cJSON *http_request_json(const struct http_request *request)
{
    return request->json;
}

struct text http_request_body(const struct http_request *request)
{
    return (struct text){.bytes = request->body == NULL ? "" : request->body, .count = request->body_bytes};
}

struct text http_request_id(const struct http_request *request)
{
    return request_id_text(&request->id);
}

struct json_arena *http_request_arena(struct http_request *request)
{
    if (!request->arena_open) {
        const struct settings *settings = request->core->listener->settings;
        size_t most = (size_t)SETTINGS_NOW(settings->json_max_tokens) * ARENA_BYTES_PER_TOKEN +
                      2 * (size_t)SETTINGS_NOW(settings->max_body_bytes) + 65536;
        json_arena_init(&request->arena, request->arena_inline, sizeof(request->arena_inline), most);
        request->arena_open = true;
    }
    return &request->arena;
}

int64_t http_request_deadline_ms(const struct http_request *request)
{
    return request->deadline_ms;
}

int64_t http_request_left_ms(const struct http_request *request)
{
    int64_t left = request->deadline_ms - tr_now_ms();
    return left < 0 ? 0 : left;
}

void http_request_set_timeout(struct http_request *request, int64_t timeout_ms)
{
    bool was_pending = request->pending;
    pending_remove(request);
    request->deadline_ms = tr_now_ms() + timeout_ms;
    if (was_pending) {
        pending_add(request);
    }
}

void http_request_on_timeout(struct http_request *request, void (*answer)(struct http_request *request))
{
    request->on_timeout = answer;
}

void http_request_set_state(struct http_request *request, void *state)
{
    request->handler_state = state;
}

void *http_request_state(const struct http_request *request)
{
    return request->handler_state;
}

/* ---- calls ---- */

/* A reply function that was called at once, because its call could not be sent, may have answered or handed
 * on the request, and the handler goes on with its next call. */
static bool is_out_of_hand(const struct http_request *request)
{
    return request->handed || request->answer.ready;
}

void http_request_call(struct http_request *request, tr_dest to, tr_msg *msg, unsigned tag, http_reply *reply)
{
    struct http_core *core = request->core;
    if (is_out_of_hand(request)) {
        tr_msg_drop(msg);
        return;
    }
    request_take_slot(request);
    request->reply = reply;
    if (core->port == TR_NO_PID) { /* a unix connection that was dealt before this core was open */
        tr_msg_drop(msg);
        reply(request, tag, NULL, TR_ATOM(NOPROC));
        return;
    }
    tr_err err = tr_port_call(core->port, request_number(request, tag), to, msg);
    if (err != TR_OK) {
        reply(request, tag, NULL, err == TR_E_FULL ? TR_ATOM(MAILBOX_FULL) : TR_ATOM(NOPROC));
    }
}

void http_request_ask(struct http_request *request, tr_pid pid, tr_msg *msg, http_reply *reply)
{
    uint32_t watch = watch_of(request->core, pid);
    if (watch == 0) {
        http_request_call(request, tr_to(pid), msg, 0, reply);
        return;
    }
    if (is_out_of_hand(request)) {
        tr_msg_drop(msg);
        return;
    }
    request_take_slot(request);
    request->reply = reply;
    request->watch = watch;
    tr_err err = tr_port_ask(request->core->port, request_number(request, 0), pid, msg);
    if (err != TR_OK) {
        request->watch = 0;
        reply(request, 0, NULL, err == TR_E_FULL ? TR_ATOM(MAILBOX_FULL) : TR_ATOM(NOPROC));
    }
}

void http_request_cancel_when_gone(struct http_request *request)
{
    request->watch_client = true;
}

void http_request_park(struct http_request *request)
{
    request->parked = true;
}

void http_request_on_end(struct http_request *request, void (*ended)(struct http_request *request))
{
    request->ended = ended;
}

/* ---- jobs: a process of the request's own ---- */

static void job_main(const void *arg)
{
    struct http_request *request = (struct http_request *)(uintptr_t)arg;
    __atomic_store_n(&request->job_pid, tr_self(), __ATOMIC_RELAXED);
    request->job(request);
}

/* On the core, between turns: the process is gone, so the answer is the core's again. */
static void job_ended(void *ctx)
{
    struct http_request *request = ctx;
    request->handed = false;
    if (request->connection != NULL && request->own == NULL) {
        if (!request->answer.ready) {
            answer_reset(&request->answer); /* what it had said so far */
            http_answer_problem(request, PROBLEM_INTERNAL_ERROR,
                                "the request's process ended without an answer");
        } else {
            exchange_answered(request);
        }
    }
    exchange_drop(request);
}

static void job_end(tr_resource *resource)
{
    struct http_request *request =
        (struct http_request *)(void *)((char *)resource - offsetof(struct http_request, job_end));
    tr_node_post(request->core->index, job_ended, request);
}

/* Header values lie in libmicrohttpd's memory, which goes with the connection. */
static bool copy_headers(struct http_request *request)
{
    struct http_headers *headers = &request->guard.headers;
    for (unsigned i = 0; i < HTTP_FIELDS_COUNT; i++) {
        if ((headers->present >> i & 1) == 0) {
            continue;
        }
        char *copy = json_arena_take(http_request_arena(request), headers->values[i].count + 1);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, headers->values[i].bytes, headers->values[i].count);
        headers->values[i].bytes = copy;
    }
    return true;
}

void http_request_spawn(struct http_request *request, void (*fn)(struct http_request *request))
{
    if (is_out_of_hand(request)) {
        return;
    }
    if (!copy_headers(request)) {
        http_answer_problem(request, PROBLEM_OVERLOADED, "out of memory");
        return;
    }
    (void)http_request_arena(request);
    request_give_slot(request); /* answers to earlier calls find nobody: the request is the process's now */
    request->job = fn;
    request->job_end.destroy = job_end;
    request->handed = true;
    __atomic_add_fetch(&request->references, 1, __ATOMIC_RELAXED);
    tr_spawn_opts opts = {.label = request->match.route->pattern, .resource = &request->job_end};
    if (tr_spawn(&opts, job_main, request, 0, NULL) != TR_OK) {
        request->handed = false;
        exchange_drop(request);
        http_answer_problem(request, PROBLEM_OVERLOADED, "no process can be had for this request");
    }
}
