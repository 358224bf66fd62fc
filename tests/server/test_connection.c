/* Connections: deadlines, keep-alive, pipelining, bodies, and that one does not disturb another. */
#include "tests/server/listener_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define H         "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"
#define SOON_MS   200

static void expect_get(int fd, const char *path, unsigned status)
{
    struct reply reply = client_get(fd, path);
    cr_expect(reply.status == status, "%s: %u, wanted %u", path, reply.status, status);
    reply_free(&reply);
}

static void expect_ask(int fd, const char *request, unsigned status)
{
    struct reply reply = client_ask(fd, request);
    cr_expect(reply.status == status, "%u, wanted %u: %s", reply.status, status, request);
    reply_free(&reply);
}

static void stop_quiet(void)
{
    cr_expect(fixture_eventually(fixture_is_quiet, NULL), "requests or connections are still counted");
    fixture_stop();
}

/* ---- bytes as they come ---- */

Test(connection, takes_requests_byte_by_byte)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\n" H "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
    fixture_start(NULL);
    int fd = fixture_connect();
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        cr_assert(client_send(fd, request + i, 1));
    }
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 200 && reply_has(&reply, "{\"a\":1}"));
    reply_free(&reply);
    close(fd);
    stop_quiet();
}

Test(connection, answers_a_thousand_pipelined_requests_in_their_order)
{
    enum { REQUESTS = 1000 };
    static const char *const each[] = {GET("/call"), GET("/job"), GET("/ping"), GET("/nowhere")};
    fixture_start(NULL);
    int fd = fixture_connect();
    char *all = calloc(1, REQUESTS * 80);
    size_t used = 0;
    for (int i = 0; i < REQUESTS; i++) {
        used += (size_t)sprintf(all + used, "%s", each[i % 4]);
    }
    cr_assert(client_send(fd, all, used));
    for (int i = 0; i < REQUESTS; i++) {
        struct reply reply = client_read(fd, false);
        cr_assert(reply.status == (i % 4 == 3 ? 404 : 200), "%d: %u", i, reply.status);
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "{\"n\":%d}", i / 4 * 2 + i % 4 + 1);
        cr_assert(i % 4 > 1 || reply_has(&reply, wanted), "%d: %s, wanted %s", i, reply.body, wanted);
        reply_free(&reply);
    }
    free(all);
    close(fd);
    stop_quiet();
}

Test(connection, pipelining_client_that_leaves_is_forgotten)
{
    fixture_start(NULL);
    for (int i = 0; i < 20; i++) {
        int fd = fixture_connect();
        cr_assert(client_say(fd, GET("/call") GET("/hang?ms=50") GET("/ping") GET("/job")));
        close(fd);
    }
    stop_quiet();
}

Test(connection, partial_head_of_a_client_that_leaves_is_forgotten)
{
    fixture_start((const char *[]){"--header-timeout-ms=600000", "--body-timeout-ms=600000", NULL});
    for (int i = 0; i < 20; i++) {
        int fd = fixture_connect();
        cr_assert(client_say(fd, i % 2 == 0 ? "GET /ping HTTP/1.1\r\nHost: lo"
                                            : "POST /echo HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nabc"));
        close(fd);
    }
    stop_quiet();
}

Test(connection, end_that_came_with_the_last_bytes_is_seen)
{
    fixture_start((const char *[]){"--idle-timeout-ms=600000", NULL});
    for (int i = 0; i < 20; i++) {
        int fd = fixture_connect();
        cr_assert(client_say(fd, i % 2 == 0 ? GET("/ping") : GET("/call")));
        close(fd);
    }
    stop_quiet(); /* long before the idle time is over */
}

Test(connection, client_that_only_listens_any_more_gets_its_answer)
{
    static const char *const paths[] = {GET("/ping"), GET("/job"), GET("/big"), GET("/poll?ms=1200")};
    fixture_start(NULL);
    for (int i = 0; i < 4; i++) {
        int fd = fixture_connect();
        cr_assert(client_say(fd, paths[i]) && shutdown(fd, SHUT_WR) == 0);
        struct reply reply = client_read(fd, false);
        cr_expect(reply.status == (i == 3 ? 204 : 200), "%s: %u", paths[i], reply.status);
        reply_free(&reply);
        close(fd);
    }
    stop_quiet();
}

/* ---- keep-alive ---- */

Test(connection, is_closed_after_its_most_requests)
{
    fixture_start((const char *[]){"--max-keepalive-requests=3", NULL});
    int fd = fixture_connect();
    for (int i = 0; i < 3; i++) {
        struct reply reply = client_get(fd, "/ping");
        cr_expect(reply.status == 200 && (reply_header(&reply, "Connection") != NULL) == (i == 2));
        reply_free(&reply);
    }
    cr_expect(client_is_closed(fd));
    close(fd);
    stop_quiet();
}

Test(connection, http_1_0_is_answered_and_closed)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    expect_ask(fd, "GET /ping HTTP/1.0\r\n\r\n", 200);
    cr_expect(client_is_closed(fd));
    close(fd);
    stop_quiet();
}

Test(connection, idle_between_requests_is_closed_after_the_idle_time)
{
    fixture_start((const char *[]){"--idle-timeout-ms=200", "--header-timeout-ms=60000",
                                   "--body-timeout-ms=60000", NULL});
    int fd = fixture_connect();
    expect_get(fd, "/ping", 200);
    int64_t start = tr_now_ms();
    cr_expect(client_is_closed(fd));
    cr_expect(tr_now_ms() - start >= SOON_MS - 20 && tr_now_ms() - start < FIXTURE_PATIENCE_MS);
    close(fd);
    stop_quiet();
}

Test(connection, that_said_nothing_yet_has_the_idle_time)
{
    fixture_start((const char *[]){"--header-timeout-ms=100", "--idle-timeout-ms=2500", NULL});
    int fd = fixture_connect();
    int64_t start = tr_now_ms();
    cr_expect(client_is_closed(fd));
    cr_expect(tr_now_ms() - start >= 2400, "%lld", (long long)(tr_now_ms() - start));
    close(fd);
    stop_quiet();
}

/* ---- those that are slow ---- */

static void expect_cut(const char *request, const char *other_path)
{
    int slow = fixture_connect();
    int other = fixture_connect();
    cr_assert(client_say(slow, request));
    expect_get(other, other_path, 200);
    cr_expect(client_is_closed(slow));
    expect_get(other, other_path, 200);
    close(slow);
    close(other);
}

Test(connection, slow_with_its_first_bytes_or_its_header_is_cut)
{
    fixture_start((const char *[]){"--header-timeout-ms=200", NULL});
    expect_cut("G", "/ping");
    expect_cut("GET /ping HTTP/1.1\r\n", "/call");
    expect_cut("GET /ping HTTP/1.1\r\nHost: localhost\r\nX-A: b", "/call");
    stop_quiet();
}

Test(connection, dripping_a_header_is_cut_though_it_is_never_silent)
{
    fixture_start((const char *[]){"--header-timeout-ms=300", NULL});
    int fd = fixture_connect();
    int64_t start = tr_now_ms();
    bool alive = client_say(fd, "GET /ping HTTP/1.1\r\nX-Drip: ");
    const struct timespec pause = {.tv_nsec = 20000000};
    while (alive && tr_now_ms() - start < FIXTURE_PATIENCE_MS) {
        alive = client_say(fd, "x");
        nanosleep(&pause, NULL); /* this is what the client is: slow */
    }
    cr_expect(!alive);
    close(fd);
    stop_quiet();
}

Test(connection, slow_with_its_body_is_cut)
{
    fixture_start((const char *[]){"--body-timeout-ms=200", NULL});
    expect_cut("POST /sink HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc", "/ping");
    expect_cut("POST /sink HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "/call");
    expect_cut("POST /nowhere HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc", "/ping"); /* to be refused */
    stop_quiet();
}

/* Before the client has read anything: an orderly end would wait in the kernel behind what it does not read. */
static bool is_reset(void *fd)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    return getsockopt(*(int *)fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 && error == ECONNRESET;
}

Test(connection, slow_reader_is_cut_while_others_are_served)
{
    fixture_start((const char *[]){"--body-timeout-ms=200", NULL});
    int slow = fixture_connect();
    int other = fixture_connect();
    cr_assert(client_say(slow, GET("/big")));
    expect_get(other, "/call", 200);
    cr_expect(fixture_eventually(fixture_inflight_is, &(int64_t){0}),
              "the slow reader still holds its request");
    cr_expect(fixture_eventually(is_reset, &slow), "the kernel still holds its answer");
    expect_get(other, "/call", 200);
    close(slow);
    close(other);
    stop_quiet();
}

Test(connection, waiting_for_an_answer_longer_than_the_idle_time_is_kept)
{
    fixture_start(
        (const char *[]){"--idle-timeout-ms=100", "--header-timeout-ms=100", "--body-timeout-ms=100", NULL});
    int fd = fixture_connect();
    expect_get(fd, "/poll?ms=1500", 204);
    close(fd);
    stop_quiet();
}

/* ---- bodies ---- */

Test(connection, takes_chunked_bodies)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply =
        client_ask(fd, "POST /sink HTTP/1.1\r\n" H
                       "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n");
    cr_expect(reply.status == 200 && reply_has(&reply, "{\"n\":7}"), "%s", reply.body);
    reply_free(&reply);
    expect_get(fd, "/ping", 200);
    close(fd);
    stop_quiet();
}

Test(connection, eight_megabytes_arrive_whole)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    for (int i = 0; i < 2; i++) {
        struct reply reply = client_get(fd, i == 0 ? "/big" : "/big/job");
        cr_expect(reply.status == 200 && reply.body_bytes == FIXTURE_BIG_BYTES);
        cr_expect(reply.body[FIXTURE_BIG_BYTES - 1] == 'x');
        reply_free(&reply);
    }
    expect_get(fd, "/ping", 200);
    close(fd);
    stop_quiet();
}

static bool say_many(int fd, size_t bytes)
{
    char block[4096];
    memset(block, 'b', sizeof(block));
    bool ok = true;
    for (; ok && bytes > 0; bytes -= bytes < sizeof(block) ? bytes : sizeof(block)) {
        ok = client_send(fd, block, bytes < sizeof(block) ? bytes : sizeof(block));
    }
    return ok;
}

Test(connection, body_of_exactly_the_most_is_taken)
{
    fixture_start((const char *[]){"--max-body-bytes=2048", NULL});
    int fd = fixture_connect();
    cr_assert(client_say(fd, "POST /sink HTTP/1.1\r\n" H "Content-Length: 2048\r\n\r\n") &&
              say_many(fd, 2048));
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 200 && reply_has(&reply, "2048"));
    reply_free(&reply);
    cr_assert(client_say(fd, "POST /sink HTTP/1.1\r\n" H "Content-Length: 2049\r\n\r\n") &&
              say_many(fd, 2049));
    reply = client_read(fd, false);
    cr_expect(reply.status == 413 && reply_has(&reply, "payload-too-large"));
    reply_free(&reply);
    expect_get(fd, "/ping", 200); /* its rest was small: the connection is kept */
    close(fd);
    stop_quiet();
}

Test(connection, too_large_body_is_413_before_it_is_sent)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    expect_ask(fd, "POST /sink HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n", 413);
    cr_expect(client_is_closed(fd));
    close(fd);
    stop_quiet();
}

Test(connection, too_large_chunked_body_is_413_once)
{
    fixture_start((const char *[]){"--max-body-bytes=2048", NULL});
    int fd = fixture_connect();
    cr_assert(client_say(fd, "POST /sink HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1000\r\n") &&
              say_many(fd, 4096));
    cr_assert(client_say(fd, "\r\n0\r\n\r\n"));
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 413, "%u", reply.status);
    reply_free(&reply);
    cr_expect(client_is_closed(fd), "a second answer, or it was left open");
    close(fd);
    stop_quiet();
}

Test(connection, endless_chunked_body_is_413_and_ends)
{
    fixture_start((const char *[]){"--max-body-bytes=2048", NULL});
    int fd = fixture_connect();
    cr_assert(client_say(fd, "POST /sink HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"));
    bool taken = true;
    for (int i = 0; taken && i < 100000; i++) {
        taken = client_say(fd, "10\r\n0123456789abcdef\r\n");
    }
    cr_expect(!taken, "two megabytes were taken");
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 413, "%u", reply.status);
    reply_free(&reply);
    cr_expect(client_is_closed(fd));
    close(fd);
    stop_quiet();
}

Test(connection, refused_with_a_small_body_goes_on_with_a_large_one_ends)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    expect_ask(fd, "POST /nowhere HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 404);
    expect_ask(fd, "OPTIONS /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 204);
    expect_get(fd, "/ping", 200);
    expect_ask(fd, "POST /nowhere HTTP/1.1\r\n" H "Content-Length: 500000\r\n\r\n", 404);
    cr_expect(client_is_closed(fd));
    close(fd);
    fd = fixture_connect();
    expect_ask(fd, "OPTIONS /echo HTTP/1.1\r\n" H "Content-Length: 500000\r\n\r\n", 204);
    cr_expect(client_is_closed(fd));
    close(fd);
    stop_quiet();
}

Test(connection, expectation_is_met_or_refused_at_once)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    cr_assert(
        client_say(fd, "POST /sink HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    char first[64] = "";
    cr_assert(recv(fd, first, 25, MSG_WAITALL) == 25);
    cr_expect(strcmp(first, "HTTP/1.1 100 Continue\r\n\r\n") == 0, "%s", first);
    expect_ask(fd, "abc", 200);
    cr_assert(
        client_say(fd, "POST /nowhere HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    struct reply reply = client_read(fd, false);
    cr_expect(reply.status == 404 && strstr(reply.head, "100 Continue") == NULL);
    reply_free(&reply);
    cr_expect(client_is_closed(fd));
    close(fd);
    stop_quiet();
}

Test(connection, expectation_without_a_body_is_overlooked)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    cr_assert(client_say(fd, "GET /ping HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n" GET("/call")));
    for (int i = 0; i < 2; i++) {
        struct reply reply = client_read(fd, false);
        cr_expect(reply.status == 200 && strstr(reply.head, "100 Continue") == NULL, "%d: %u", i,
                  reply.status);
        reply_free(&reply);
    }
    close(fd);
    stop_quiet();
}

/* ---- heads ---- */

Test(connection, more_fields_than_the_setting_are_431)
{
    char request[4096] = "GET /ping HTTP/1.1\r\n" H;
    fixture_start((const char *[]){"--max-headers=8", NULL});
    size_t used = strlen(request);
    for (int i = 0; i < 7; i++) {
        used += (size_t)sprintf(request + used, "X-%d: y\r\n", i);
    }
    char with_nine[sizeof(request) + 16];
    snprintf(with_nine, sizeof(with_nine), "%sX-Nine: z\r\n\r\n", request);
    strcpy(request + used, "\r\n");
    int fd = fixture_connect();
    expect_ask(fd, request, 200);
    struct reply reply = client_ask(fd, with_nine);
    cr_expect(reply.status == 431 && reply_has(&reply, "header-fields-too-large"));
    reply_free(&reply);
    cr_expect(client_is_closed(fd));
    close(fd);
    stop_quiet();
}

Test(connection, head_larger_than_the_setting_is_refused_and_closed)
{
    fixture_start((const char *[]){"--max-header-bytes=4096", NULL});
    char *request = calloc(1, 20000);
    for (int uri = 0; uri < 2; uri++) {
        size_t used = (size_t)sprintf(request, uri == 0 ? "GET /ping HTTP/1.1\r\n" H "X-Large: " : "GET /");
        memset(request + used, 'a', 9000);
        strcpy(request + used + 9000, uri == 0 ? "\r\n\r\n" : " HTTP/1.1\r\n" H "\r\n");
        int fd = fixture_connect();
        expect_ask(fd, request, uri == 0 ? 431 : 414);
        cr_expect(client_is_closed(fd));
        close(fd);
    }
    free(request);
    stop_quiet();
}

/* ---- ten thousand that do nothing ---- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

Test(connection, idle_ones_by_the_thousand_disturb_nobody)
{
    enum { SPARE = 300, ROUNDS = 500 };
    static int64_t taken[ROUNDS];
    struct rlimit limit;
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < 20500 ? limit.rlim_max : 20500;
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    size_t count = (limit.rlim_cur - SPARE) / 2 < 10000 ? (limit.rlim_cur - SPARE) / 2 : 10000;
    fixture_start((const char *[]){"--idle-timeout-ms=600000", "--max-connections=20000", NULL});
    int *fds = malloc(count * sizeof(*fds));
    for (size_t i = 0; i < count; i++) {
        fds[i] = fixture_connect();
        cr_assert(fds[i] >= 0);
        if (i % 2 == 0) {
            expect_get(fds[i], "/ping", 200);
        }
    }
    int fd = fixture_connect();
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = tr_now_ns();
        expect_get(fd, "/call", 200);
        taken[i] = (int64_t)(tr_now_ns() - start);
    }
    qsort(taken, ROUNDS, sizeof(taken[0]), compare);
    fprintf(stderr, "%zu idle connections: median %lld us, 99th percentile %lld us\n", count,
            (long long)(taken[ROUNDS / 2] / 1000), (long long)(taken[ROUNDS * 99 / 100] / 1000));
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    close(fd);
    free(fds);
    stop_quiet();
    limit.rlim_cur = before; /* Criterion walks all descriptors there may be */
    cr_expect(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}
