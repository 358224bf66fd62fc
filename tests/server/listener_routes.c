/* The routes of the fixture; listed in listener_fixture.h. */
#include "tests/server/listener_routes.h"

#include "server/http/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TR_MESSAGE(number_get, { int64_t mode; }); /* 0: answered; 1: never */
TR_MESSAGE(number_is, { int64_t number; });
TR_MESSAGE_EMPTY(job_go);

typedef struct number {
    int64_t number;
} number;

struct routes_state routes_state;

static tr_next number_handle_call(number *self, tr_from from, const tr_msg *msg)
{
    const number_get *get = TR_MATCH(msg, number_get);
    if (get == NULL) {
        return tr_unexpected(msg);
    }
    return get->mode == 1 ? TR_NOREPLY : TR_REPLY(from, number_is, .number = ++self->number);
}

TR_GEN_SERVER(number, .handle_call = number_handle_call);

tr_child_spec routes_server(void)
{
    return (tr_child_spec){.id = tr_atom("number"), .server = number_server, .slot = &routes_state.server};
}

static tr_pid server_pid(void)
{
    return __atomic_load_n(&routes_state.server, __ATOMIC_ACQUIRE);
}

static void answer_number(struct http_request *request, int64_t n)
{
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_int(out, "n", n);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void answer_word(struct http_request *request, unsigned status, const char *name, const char *word)
{
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_string(out, name, word);
    json_out_close_object(out);
    http_answer_json(request, status);
}

static int64_t query_int(struct http_request *request, const char *name, int64_t otherwise)
{
    int64_t value = otherwise;
    (void)http_read_int(http_request_query(request, name), 0, 3600000, &value);
    return value;
}

/* ---- answered at once ---- */

static void ping(struct http_request *request)
{
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_bool(out, "pong", true);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void who(struct http_request *request)
{
    static const char *const names[] = {"nobody", "client", "admin"};
    answer_word(request, 200, "who", names[http_request_principal(request)]);
}

static void echo(struct http_request *request)
{
    if (http_request_json(request) == NULL) {
        http_answer_empty(request, 204);
        return;
    }
    json_out_tree(http_answer_out(request), http_request_json(request));
    http_answer_json(request, 200);
}

static void sink(struct http_request *request)
{
    answer_number(request, (int64_t)http_request_body(request).count);
}

static void twice(struct http_request *request)
{
    answer_number(request, 1);
    answer_number(request, 2);
    http_answer_problem(request, PROBLEM_INTERNAL_ERROR, "a third");
    http_answer_empty(request, 204);
    http_answer_header(request, "X-Late", TEXT("yes"));
    (void)http_problem_begin(request, PROBLEM_TIMEOUT, "a fifth");
    http_problem_end(request);
}

static void big(struct http_request *request)
{
    char *bytes = malloc(FIXTURE_BIG_BYTES);
    if (bytes == NULL) {
        abort();
    }
    memset(bytes, 'x', FIXTURE_BIG_BYTES);
    http_answer_take(request, 200, "text/plain", bytes, FIXTURE_BIG_BYTES);
}

static void empty(struct http_request *request)
{
    http_answer_empty(request, 204);
}

static void inject(struct http_request *request)
{
    http_answer_header(request, "X-Evil", TEXT("a\r\nX-Injected: yes"));
    answer_number(request, 1);
}

static void inject_long(struct http_request *request)
{
    char value[3000];
    memset(value, 'v', sizeof(value));
    http_answer_header(request, "X-Long", (struct text){.bytes = value, .count = sizeof(value)});
    answer_number(request, 1);
}

static void unavailable(struct http_request *request)
{
    http_answer_problem(request, PROBLEM_UNAVAILABLE, NULL);
}

static void silent(struct http_request *request)
{
    http_answer_problem(request, PROBLEM_RATE_LIMITED, "never shown");
}

static void thing(struct http_request *request)
{
    uint64_t version = (uint64_t)query_int(request, "version", 0);
    if (!http_request_precondition(request, version)) {
        return;
    }
    if (version == 0 && http_request_method(request) != HTTP_METHOD_PUT) {
        http_answer_problem(request, PROBLEM_NOT_FOUND, NULL);
        return;
    }
    http_answer_etag(request, version);
    answer_number(request, (int64_t)version);
}

static void list(struct http_request *request)
{
    int64_t limit;
    struct text cursor;
    if (!http_request_page(request, &limit, &cursor)) {
        return;
    }
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_int(out, "limit", limit);
    json_out_member_text(out, "after", cursor.bytes == NULL ? TEXT("(start)") : cursor);
    struct text next = http_request_query(request, "next");
    http_answer_page(request, next);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

/* ---- through a server ---- */

static void answer_reply(struct http_request *request, const tr_msg *reply, tr_term reason, int64_t plus)
{
    const number_is *is = reply == NULL ? NULL : TR_MATCH(reply, number_is);
    if (is == NULL) {
        http_answer_problem(request, PROBLEM_UNAVAILABLE, "%s", tr_term_text(reason));
    } else {
        answer_number(request, is->number + plus);
    }
}

static void called(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    (void)tag;
    answer_reply(request, reply, reason, 0);
}

static void call(struct http_request *request)
{
    http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 0), 0, called);
}

static void hang(struct http_request *request)
{
    http_request_set_timeout(request, query_int(request, "ms", 100));
    http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 1), 0, called);
}

static void ask(struct http_request *request)
{
    http_request_ask(request, server_pid(), TR_MSG(number_get, .mode = 0), called);
}

static void ask_hang(struct http_request *request)
{
    http_request_set_timeout(request, query_int(request, "ms", 100));
    http_request_ask(request, server_pid(), TR_MSG(number_get, .mode = 1), called);
}

static void quiet_timeout(struct http_request *request)
{
    http_answer_empty(request, 204);
}

static void long_poll(struct http_request *request)
{
    http_request_on_timeout(request, quiet_timeout);
    hang(request);
}

static void gone(struct http_request *request)
{
    http_request_call(request, tr_to_name(tr_atom("nobody_has_this_name")), TR_MSG(number_get, .mode = 0), 0,
                      called);
}

static void two_called(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    uint8_t *seen = http_request_state(request);
    *seen = (uint8_t)(*seen | 1u << tag);
    if (reply == NULL || *seen == 3) {
        answer_reply(request, reply, reason, 1000);
    }
}

static void two(struct http_request *request)
{
    uint8_t *seen = json_arena_take(http_request_arena(request), 1);
    *seen = 0;
    http_request_set_state(request, seen);
    http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 0), 0, two_called);
    http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 0), 1, two_called);
}

static void chain_called(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    if (reply == NULL || tag == 3) {
        answer_reply(request, reply, reason, 0);
    } else {
        http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 0), tag + 1, chain_called);
    }
}

static void chain(struct http_request *request)
{
    http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 0), 0, chain_called);
}

/* ---- processes of their own ---- */

static void job_run(struct http_request *request)
{
    number_is out = {0};
    tr_err err = TR_CALL(server_pid(), http_request_left_ms(request), number_is, &out, number_get, .mode = 0);
    if (err != TR_OK) {
        http_answer_call_failed(request, err);
        return;
    }
    answer_number(request, out.number);
}

static void job_crash(struct http_request *request)
{
    json_out_open_object(http_answer_out(request));
    http_answer_header(request, "X-Half", TEXT("said"));
    tr_exit(tr_atom("oops"));
}

static void job_twice(struct http_request *request)
{
    twice(request);
}

static void job_await(void)
{
    __atomic_add_fetch(&routes_state.begun, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&routes_state.released, __ATOMIC_SEQ_CST) == 0) {
        (void)tr_receive(NULL, NULL, 5);
    }
}

static void job_wait(struct http_request *request)
{
    job_await();
    answer_number(request, 7);
    __atomic_add_fetch(&routes_state.ended, 1, __ATOMIC_SEQ_CST);
}

/* Reads what it may still read when the client has long gone. */
static void job_header(struct http_request *request)
{
    job_await();
    struct text accept = http_request_header(request, HTTP_FIELD_ACCEPT);
    struct text query = http_request_query(request, "q");
    struct text id = http_request_id(request);
    snprintf(routes_state.read, sizeof(routes_state.read), "%.*s %.*s %.*s", (int)accept.count, accept.bytes,
             (int)query.count, query.bytes, (int)id.count, id.bytes);
    answer_number(request, 8);
    __atomic_add_fetch(&routes_state.ended, 1, __ATOMIC_SEQ_CST);
}

static void job_burn(struct http_request *request)
{
    int64_t until = tr_now_ms() + query_int(request, "q", 2);
    while (tr_now_ms() < until) {
    }
    answer_number(request, 9);
}

static void start_job(struct http_request *request)
{
    void (*fn)(struct http_request * request) = NULL;
    memcpy(&fn, http_request_route(request)->data, sizeof(fn));
    http_request_set_timeout(request, query_int(request, "ms", http_request_left_ms(request)));
    http_request_spawn(request, fn);
}

/* Its first call is answered when the request is a process's already. */
static void late_called(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    if (tag == 0) {
        http_request_spawn(request, job_run);
    } else {
        answer_reply(request, reply, reason, 5000);
    }
}

static void late(struct http_request *request)
{
    http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 0), 0, late_called);
    http_request_call(request, tr_to(server_pid()), TR_MSG(number_get, .mode = 0), 1, late_called);
}

/* ---- the table ---- */

static const char *const ms[] = {"ms", "q", NULL};
static const char *const versions[] = {"version", NULL};
static const char *const pages[] = {"limit", "cursor", "next", "filter", NULL};

typedef void job_fn(struct http_request *request);
static job_fn *const job_fns[] = {job_run, job_crash, job_twice, job_wait, job_burn, job_header, big};

#define ROUTE(path, how, fn, who_may, takes)                                                    \
    {                                                                                           \
        .pattern = (path), .methods = (how), .handler = (fn), .access = ROUTE_ACCESS_##who_may, \
        .body = ROUTE_BODY_##takes                                                              \
    }
#define JOB(path, index)                                                                             \
    {                                                                                                \
        .pattern = (path), .methods = HTTP_GET, .handler = start_job, .access = ROUTE_ACCESS_CLIENT, \
        .query = ms, .data = &job_fns[index]                                                         \
    }

static const struct route routes[] = {
    ROUTE("/ping", HTTP_GET, ping, CLIENT, NONE),
    ROUTE("/who", HTTP_GET, who, CLIENT, NONE),
    ROUTE("/open", HTTP_GET, who, OPEN, NONE),
    ROUTE("/any", HTTP_GET, who, ANY_TOKEN, NONE),
    ROUTE("/admin", HTTP_POST, who, ADMIN, JSON),
    ROUTE("/echo", HTTP_POST, echo, CLIENT, JSON),
    ROUTE("/maybe", HTTP_POST, echo, CLIENT, JSON_OPTIONAL),
    ROUTE("/sink", HTTP_POST, sink, CLIENT, IGNORED),
    ROUTE("/call", HTTP_GET, call, CLIENT, NONE),
    ROUTE("/ask", HTTP_GET, ask, CLIENT, NONE),
    {.pattern = "/ask/hang",
     .methods = HTTP_GET,
     .handler = ask_hang,
     .access = ROUTE_ACCESS_CLIENT,
     .query = ms},
    ROUTE("/two", HTTP_GET, two, CLIENT, NONE),
    ROUTE("/chain", HTTP_GET, chain, CLIENT, NONE),
    ROUTE("/gone", HTTP_GET, gone, CLIENT, NONE),
    ROUTE("/late", HTTP_GET, late, CLIENT, NONE),
    {.pattern = "/hang", .methods = HTTP_GET, .handler = hang, .access = ROUTE_ACCESS_CLIENT, .query = ms},
    {.pattern = "/poll",
     .methods = HTTP_GET,
     .handler = long_poll,
     .access = ROUTE_ACCESS_CLIENT,
     .query = ms},
    JOB("/job", 0),
    JOB("/job/crash", 1),
    JOB("/job/twice", 2),
    JOB("/job/wait", 3),
    JOB("/job/burn", 4),
    JOB("/job/header", 5),
    JOB("/big/job", 6),
    ROUTE("/twice", HTTP_GET, twice, CLIENT, NONE),
    ROUTE("/big", HTTP_GET, big, CLIENT, NONE),
    ROUTE("/empty", HTTP_GET, empty, CLIENT, NONE),
    ROUTE("/inject", HTTP_GET, inject, CLIENT, NONE),
    ROUTE("/inject/long", HTTP_GET, inject_long, CLIENT, NONE),
    ROUTE("/unavailable", HTTP_GET, unavailable, CLIENT, NONE),
    {.pattern = "/silent",
     .methods = HTTP_GET,
     .handler = silent,
     .access = ROUTE_ACCESS_CLIENT,
     .flags = ROUTE_NO_PROBLEM},
    {.pattern = "/thing",
     .methods = HTTP_GET | HTTP_PUT,
     .handler = thing,
     .access = ROUTE_ACCESS_CLIENT,
     .query = versions},
    {.pattern = "/list", .methods = HTTP_GET, .handler = list, .access = ROUTE_ACCESS_CLIENT, .query = pages},
};

struct route_table routes_table(void)
{
    return (struct route_table)ROUTE_TABLE(routes);
}
