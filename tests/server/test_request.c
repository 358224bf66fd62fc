/* The life of a request: calls, processes of its own, deadlines, what dies under it. */
#include "tests/server/listener_fixture.h"
#include "tests/server/listener_routes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void stop_quiet(void)
{
    cr_expect(fixture_eventually(fixture_is_quiet, NULL), "requests or connections are still counted");
    fixture_stop();
}

static void expect_get(int fd, const char *path, unsigned status, const char *has)
{
    struct reply reply = client_get(fd, path);
    cr_expect(reply.status == status, "%s: %u, wanted %u", path, reply.status, status);
    cr_expect(has == NULL || reply_has(&reply, has), "%s: no %s in %s", path, has,
              reply.body == NULL ? "" : reply.body);
    reply_free(&reply);
}

Test(request, is_answered_inline_by_a_call_and_by_a_process)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    expect_get(fd, "/ping", 200, "{\"pong\":true}");
    expect_get(fd, "/call", 200, "\"n\":1");
    expect_get(fd, "/two", 200, "\"n\":1003");
    expect_get(fd, "/chain", 200, "\"n\":7");
    expect_get(fd, "/job", 200, "\"n\":8");
    expect_get(fd, "/empty", 204, NULL);
    close(fd);
    stop_quiet();
}

Test(request, to_a_name_nobody_has_gets_503)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply = client_get(fd, "/gone");
    cr_expect(reply.status == 503 && reply_has(&reply, "\"code\":\"unavailable\""));
    cr_expect_str_eq(reply_header(&reply, "Retry-After"), "1");
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

Test(request, answered_several_times_is_answered_once)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    for (int i = 0; i < 3; i++) {
        struct reply reply = client_get(fd, i == 1 ? "/job/twice" : "/twice");
        cr_expect(reply.status == 200);
        cr_expect_str_eq(reply.body, "{\"n\":1}");
        cr_expect_null(reply_header(&reply, "X-Late"));
        reply_free(&reply);
    }
    expect_get(fd, "/ping", 200, NULL); /* nothing of a second answer came before this one */
    close(fd);
    stop_quiet();
}

Test(request, without_an_answer_is_504_at_its_deadline_and_the_connection_goes_on)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    int64_t start = tr_now_ms();
    expect_get(fd, "/hang?ms=100", 504, "\"code\":\"timeout\"");
    cr_expect(tr_now_ms() - start >= 100);
    expect_get(fd, "/poll?ms=50", 204, NULL); /* its own timeout function */
    expect_get(fd, "/call", 200, NULL);
    close(fd);
    stop_quiet();
}

Test(request, whose_process_crashes_or_is_killed_gets_500)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply = client_get(fd, "/job/crash");
    cr_expect(reply.status == 500 && reply_has(&reply, "internal-error"));
    cr_expect_null(reply_header(&reply, "X-Half"), "what the process had said goes with it");
    reply_free(&reply);
    expect_get(fd, "/ping", 200, NULL);
    close(fd);
    stop_quiet();
}

static bool one_job_begun(void *unused)
{
    (void)unused;
    return fixture_jobs_begun() >= 1;
}

static bool kill_of_label(const tr_process_summary *summary, void *label)
{
    if (strcmp(summary->label, label) == 0) {
        fixture_kill(summary->pid);
    }
    return true;
}

Test(request, whose_process_is_killed_while_it_waits_gets_500)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    cr_assert(client_say(fd, GET("/job/wait?ms=60000")));
    cr_assert(fixture_eventually(one_job_begun, NULL));
    tr_process_each(kill_of_label, "/job/wait");
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 500, "%u", reply.status);
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

static bool one_job_ended(void *unused)
{
    (void)unused;
    return fixture_jobs_ended() >= 1 && fixture_processes("/job/wait") == 0 &&
           fixture_processes("/job/header") == 0;
}

Test(request, whose_process_answers_after_the_deadline_has_its_504_only)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    expect_get(fd, "/job/wait?ms=50", 504, "\"code\":\"timeout\"");
    fixture_release();
    cr_assert(fixture_eventually(one_job_ended, NULL));
    expect_get(fd, "/ping", 200, "pong");
    close(fd);
    stop_quiet();
}

Test(request, whose_client_left_leaves_its_process_what_it_reads)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    cr_assert(
        client_say(fd, "GET /job/header?q=a%20b HTTP/1.1\r\nHost: localhost\r\nAccept: text/very-special\r\n"
                       "X-Request-Id: the-id\r\n\r\n"));
    cr_assert(fixture_eventually(one_job_begun, NULL));
    close(fd);
    for (int i = 0; i < 20; i++) { /* others use the memory that was the connection's */
        int other = fixture_connect();
        expect_get(other, "/call", 200, NULL);
        close(other);
    }
    fixture_release();
    cr_assert(fixture_eventually(one_job_ended, NULL));
    cr_expect_str_eq(routes_state.read, "text/very-special a b the-id");
    stop_quiet();
}

Test(request, whose_client_left_while_it_waited_is_dropped_at_its_deadline)
{
    fixture_start(NULL);
    for (int i = 0; i < 50; i++) {
        int fd = fixture_connect();
        cr_assert(client_say(fd, GET("/hang?ms=100")));
        close(fd);
    }
    stop_quiet();
}

/* While one process holds the only worker the others' requests arrive: more than a turn can run, each for 2 ms. So many have not
 * begun when their time is up. Returns: how many. */
static int count_late(void)
{
    enum { CLIENTS = 400 };
    static int fds[CLIENTS];
    int late = 0;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = fixture_connect();
        expect_get(fds[i], "/ping", 200, NULL);
    }
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert(client_say(fds[i], i == 0 ? GET("/job/burn?ms=5000&q=300") : GET("/job/burn?ms=20")));
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct reply reply = client_read(fds[i], false);
        cr_assert(reply.status == 200 || reply.status == 504, "%d: %u", i, reply.status);
        late += reply.status == 504;
        reply_free(&reply);
        close(fds[i]);
    }
    return late;
}

Test(request, processes_that_begin_after_their_deadline_are_all_answered)
{
    int late = 0;
    fixture_start((const char *[]){"--workers=1", NULL});
    for (int round = 0; round < 20 && late == 0;
         round++) { /* a client that is too slow to crowd it proves nothing */
        late = count_late();
    }
    cr_expect(late > 0, "all were in time: this proved nothing");
    stop_quiet();
}

Test(request, that_became_a_process_hears_no_late_reply)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    for (int i = 0; i < 50; i++) {
        struct reply reply = client_get(fd, "/late");
        cr_expect(reply.status == 200);
        cr_expect(reply.body != NULL && strlen(reply.body) < strlen("{\"n\":5000}"), "the second call's: %s",
                  reply.body);
        reply_free(&reply);
    }
    close(fd);
    stop_quiet();
}

Test(request, without_a_process_to_be_had_gets_503)
{
    enum { CLIENTS = 60 };
    int fds[CLIENTS];
    fixture_start((const char *[]){"--max-inflight=20", NULL});
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = fixture_connect();
        cr_assert(client_say(fds[i], GET("/job/wait?ms=60000")));
    }
    fixture_release();
    int served = 0;
    for (int i = 0; i < CLIENTS; i++) {
        struct reply reply = client_read(fds[i], false);
        cr_expect(reply.status == 200 || reply.status == 503, "%u", reply.status);
        cr_expect(reply.status != 503 || strcmp(reply_header(&reply, "Retry-After"), "1") == 0);
        served += reply.status == 200;
        reply_free(&reply);
        close(fds[i]);
    }
    cr_expect(served >= 20);
    stop_quiet();
}

Test(request, over_max_inflight_is_503_and_the_place_comes_back)
{
    fixture_start((const char *[]){"--max-inflight=1", NULL});
    int first = fixture_connect();
    int second = fixture_connect();
    cr_assert(client_say(first, GET("/job/wait?ms=60000")));
    cr_assert(fixture_eventually(one_job_begun, NULL));
    struct reply reply = client_get(second, "/call");
    cr_expect(reply.status == 503 && reply_has(&reply, "overloaded"));
    cr_expect_str_eq(reply_header(&reply, "Retry-After"), "1");
    reply_free(&reply);
    expect_get(second, "/open", 200, NULL); /* probes are not counted */
    fixture_release();
    reply = client_read(first, false);
    cr_expect(reply.status == 200);
    reply_free(&reply);
    cr_expect(fixture_eventually(fixture_inflight_is, &(int64_t){0}));
    expect_get(second, "/call", 200, NULL);
    close(first);
    close(second);
    stop_quiet();
}

/* ---- what dies under it ---- */

static bool server_differs(void *old)
{
    return fixture_server_pid() != *(tr_pid *)old && fixture_server_pid() != TR_NO_PID;
}

Test(request, whose_server_is_killed_gets_503_and_the_next_one_is_served)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    for (int i = 0; i < 10; i++) {
        cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){0}));
        tr_pid old = fixture_server_pid();
        cr_assert(client_say(fd, GET("/hang?ms=20000")));
        cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){1}));
        fixture_kill(old);
        struct reply reply = client_read(fd, false);
        cr_expect(reply.status == 503, "%u", reply.status);
        reply_free(&reply);
    }
    close(fd);
    stop_quiet();
}

/* On two cores: each watches the server for itself. */
Test(request, that_asked_a_watched_server_gets_503_when_it_dies_and_the_next_one_is_served)
{
    enum { CLIENTS = 16 };
    int fds[CLIENTS];
    fixture_start((const char *[]){"--workers=2", NULL});
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = fixture_connect();
    }
    for (int round = 0; round < 5; round++) {
        tr_pid old = fixture_server_pid();
        for (int i = 0; i < CLIENTS; i++) {
            expect_get(fds[i], "/ask", 200, NULL);
        }
        cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){0}));
        for (int i = 0; i < CLIENTS; i++) { /* some watched, some called */
            cr_assert(client_say(fds[i], i % 4 == 0 ? GET("/hang?ms=20000") : GET("/ask/hang?ms=20000")));
        }
        cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){CLIENTS}));
        fixture_kill(old);
        for (int i = 0; i < CLIENTS; i++) {
            struct reply reply = client_read(fds[i], false);
            cr_expect(reply.status == 503 && reply_has(&reply, "killed"), "%u", reply.status);
            reply_free(&reply);
        }
        cr_assert(fixture_eventually(server_differs, &old));
    }
    for (int i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    stop_quiet();
}

static bool ports_differ(void *old)
{
    const tr_pid *pids = old;
    return fixture_port_pid(0) != pids[0] && fixture_port_pid(1) != pids[1];
}

Test(request, that_asked_a_watched_server_is_answered_when_the_port_dies)
{
    fixture_start((const char *[]){"--workers=1", NULL});
    int fd = fixture_connect();
    for (int round = 0; round < 5; round++) {
        expect_get(fd, "/ask", 200, NULL);
        cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){0}));
        cr_assert(client_say(fd, GET("/ask/hang?ms=20000")));
        cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){1}));
        tr_pid old[2] = {fixture_port_pid(0), 1};
        fixture_kill(old[0]);
        cr_assert(fixture_eventually(ports_differ, old));
        struct reply reply = client_read(fd, false);
        cr_expect(reply.status == 503, "%u", reply.status);
        reply_free(&reply);
    }
    /* the new port watches anew: the server's end is heard of */
    expect_get(fd, "/ask", 200, NULL);
    cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){0}));
    cr_assert(client_say(fd, GET("/ask/hang?ms=20000")));
    cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){1}));
    fixture_kill(fixture_server_pid());
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 503 && reply_has(&reply, "killed"), "%u", reply.status);
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

Test(request, under_way_when_its_port_dies_gets_503_and_later_ones_are_served)
{
    enum { CLIENTS = 16 };
    int fds[CLIENTS];
    fixture_start((const char *[]){"--workers=2", NULL});
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = fixture_connect();
        cr_assert(client_say(fds[i], GET("/hang?ms=20000")));
    }
    cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){CLIENTS}));
    tr_pid old[2] = {fixture_port_pid(0), fixture_port_pid(1)};
    fixture_kill(old[0]);
    fixture_kill(old[1]);
    cr_assert(fixture_eventually(ports_differ, old));
    for (int i = 0; i < CLIENTS; i++) {
        struct reply reply = client_read(fds[i], false);
        cr_expect(reply.status == 503, "%u", reply.status);
        reply_free(&reply);
        expect_get(fds[i], "/call", 200, NULL);
        close(fds[i]);
    }
    stop_quiet();
}

Test(request, a_process_of_its_own_survives_the_death_of_the_port)
{
    fixture_start((const char *[]){"--workers=1", NULL});
    int fd = fixture_connect();
    cr_assert(client_say(fd, GET("/job/wait?ms=20000")));
    cr_assert(fixture_eventually(one_job_begun, NULL));
    tr_pid old[2] = {fixture_port_pid(0), 1};
    fixture_kill(old[0]);
    cr_assert(fixture_eventually(ports_differ, old));
    fixture_release();
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 200, "%u", reply.status);
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

/* ---- what is said ---- */

Test(request, header_with_line_ends_becomes_500_and_is_not_sent)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply = client_get(fd, "/inject");
    cr_expect(reply.status == 500);
    cr_expect_null(reply_header(&reply, "X-Injected"));
    cr_expect_null(reply_header(&reply, "X-Evil"));
    reply_free(&reply);
    reply = client_get(fd, "/inject/long");
    cr_expect(reply.status == 200 && strlen(reply_header(&reply, "X-Long")) == 3000);
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

Test(request, id_is_taken_over_when_it_is_one_and_made_otherwise)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply =
        client_ask(fd, "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a.B_9-z\r\n\r\n");
    cr_expect_str_eq(reply_header(&reply, "X-Request-Id"), "a.B_9-z");
    cr_expect(reply.status == 404 && reply_has(&reply, "\"request_id\":\"a.B_9-z\""));
    reply_free(&reply);
    reply = client_ask(fd, "GET /ping HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a b\r\n\r\n");
    cr_expect(reply_header(&reply, "X-Request-Id") != NULL &&
              strlen(reply_header(&reply, "X-Request-Id")) == 32);
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

Test(request, trace_is_continued_with_a_span_of_its_own)
{
    static const char trace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply =
        client_ask(fd, "GET /ping HTTP/1.1\r\nHost: localhost\r\n"
                       "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");
    const char *parent = reply_header(&reply, "traceparent");
    cr_assert(parent != NULL && strlen(parent) == 55);
    cr_expect(strncmp(parent + 3, trace, 32) == 0 && strstr(parent, "00f067aa0ba902b7") == NULL);
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

Test(request, problem_of_a_silent_route_has_no_body)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply = client_get(fd, "/silent");
    cr_expect(reply.status == 429 && reply.body_bytes == 0);
    reply_free(&reply);
    reply = client_get(fd, "/unavailable");
    cr_expect(reply.status == 503);
    cr_expect_str_eq(reply_header(&reply, "Retry-After"), "1");
    cr_expect_str_eq(reply_header(&reply, "Content-Type"), "application/problem+json");
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

/* ---- the order of judgement ---- */

struct judged {
    const char *request;
    unsigned status;
};

#define H    "Host: localhost\r\n"
#define JSON "Content-Type: application/json\r\n"
static const struct judged judged[] = {
    {"GET /nowhere HTTP/1.1\r\n\r\n", 400},       /* framing, route */
    {"BREW /nowhere HTTP/1.1\r\n" H "\r\n", 404}, /* route, method */
    {"BREW /ping HTTP/1.1\r\n" H "\r\n", 501},    /* unknown method */
    {"DELETE /echo HTTP/1.1\r\n" H "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx", 405},
    {"POST /admin HTTP/1.1\r\n" H "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
     401}, /* access, media */
    {"POST /admin HTTP/1.1\r\n" H "Authorization: Bearer client\r\nContent-Length: 1\r\n\r\nx", 403},
    {"POST /echo HTTP/1.1\r\n" H "Content-Length: 2000000\r\n\r\n", 401}, /* access, size */
    {"POST /echo HTTP/1.1\r\n" H "Authorization: Bearer client\r\nContent-Length: 2000000\r\n\r\n", 413},
    {"POST /echo?x=1 HTTP/1.1\r\n" H "Authorization: Bearer client\r\nContent-Length: 1\r\n\r\nx",
     415}, /* media, JSON */
    {"POST /echo?x=1 HTTP/1.1\r\n" H JSON "Authorization: Bearer client\r\nContent-Length: 1\r\n\r\nx",
     400}, /* JSON, shape */
    {"POST /echo?x=1 HTTP/1.1\r\n" H JSON "Authorization: Bearer client\r\nContent-Length: 2\r\n\r\n{}", 422},
    {"POST /echo HTTP/1.1\r\n" H JSON "Authorization: Bearer client\r\nContent-Length: 0\r\n\r\n",
     400}, /* empty body */
    {"POST /echo HTTP/1.1\r\n" H "Authorization: Bearer client\r\nContent-Length: 0\r\n\r\n",
     400}, /* no body, no type */
    {"POST /echo HTTP/1.1\r\n" H JSON "Authorization: Bearer client\r\nContent-Length: 2\r\n\r\n{}", 200},
    {"POST /maybe HTTP/1.1\r\n" H "Authorization: Bearer client\r\nContent-Length: 0\r\n\r\n", 204},
    {"POST /maybe HTTP/1.1\r\n" H "Authorization: Bearer client\r\nContent-Length: 2\r\n\r\n{}", 415},
    {"GET /ping HTTP/1.1\r\n" H "Authorization: Bearer client\r\nContent-Length: 1\r\n\r\nx",
     422}, /* takes no body */
    {"GET /ping?x=1 HTTP/1.1\r\n" H "\r\n", 401},
    {"GET /ping?x=%zz HTTP/1.1\r\n" H "\r\n", 400}, /* a bad escape is a matter of the target */
    {"GET /ping?x=1 HTTP/1.1\r\n" H "Authorization: Bearer client\r\n\r\n", 422},
    {"GET /%zz HTTP/1.1\r\n" H "\r\n", 400},
    {"CONNECT localhost:80 HTTP/1.1\r\n" H "\r\n", 501},
    {"TRACE /ping HTTP/1.1\r\n" H "\r\n", 501},
};

Test(request, is_judged_in_the_order_of_the_contract)
{
    fixture_start((const char *[]){"--client-token=client", "--admin-token=admin", NULL});
    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
        unsigned status = client_status(judged[i].request);
        cr_expect(status == judged[i].status, "%u, wanted %u: %s", status, judged[i].status,
                  judged[i].request);
    }
    stop_quiet();
}

Test(request, options_and_wrong_methods_say_what_is_allowed)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply = client_ask(fd, "OPTIONS /thing HTTP/1.1\r\n" H "\r\n");
    cr_expect(reply.status == 204);
    cr_expect_str_eq(reply_header(&reply, "Allow"), "GET, HEAD, PUT, OPTIONS");
    reply_free(&reply);
    reply = client_ask(fd, "POST /thing HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nxy");
    cr_expect(reply.status == 405 && reply_has(&reply, "method-not-allowed"));
    cr_expect_str_eq(reply_header(&reply, "Allow"), "GET, HEAD, PUT, OPTIONS");
    reply_free(&reply);
    reply = client_ask(fd, "OPTIONS * HTTP/1.1\r\n" H "\r\n");
    cr_expect(reply.status == 204 && reply_header(&reply, "Allow") != NULL);
    reply_free(&reply);
    expect_get(fd, "/ping", 200, NULL);
    close(fd);
    stop_quiet();
}

Test(request, head_has_the_length_of_get_and_no_body)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply = client_ask(fd, "HEAD /ping HTTP/1.1\r\n" H "\r\n");
    cr_expect(reply.status == 200);
    cr_expect_str_eq(reply_header(&reply, "Content-Length"), "13");
    reply_free(&reply);
    reply = client_ask(fd, "HEAD /nowhere HTTP/1.1\r\n" H "\r\n");
    cr_expect(reply.status == 404 && strcmp(reply_header(&reply, "Content-Length"), "0") != 0);
    reply_free(&reply);
    expect_get(fd, "/ping", 200, "pong"); /* no body was in between */
    close(fd);
    stop_quiet();
}
