#include "tests/server/mhd_pair.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Every row of what libmicrohttpd 0.9.75 lets pass, through the library itself. */

struct row {
    const char *name;
    const char *bytes;
    size_t count;
    enum guard_verdict verdict; /* of the first request */
    unsigned status;            /* answered */
    bool closes;
    size_t requests; /* that reached the handler */
};

#define ROW(name, text, verdict, status, closes, requests)              \
    {                                                                   \
        name, text, sizeof(text) - 1, verdict, status, closes, requests \
    }
#define HOST "Host: h\r\n"

static const struct row refused[] = {
    ROW("no Host in 1.1", "GET / HTTP/1.1\r\nA: b\r\n\r\n", GUARD_HOST, 400, true, 1),
    ROW("no field at all", "GET / HTTP/1.1\r\n\r\n", GUARD_HOST, 400, true, 1),
    ROW("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", GUARD_REPEATED_FIELD, 400, true, 1),
    ROW("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", GUARD_REPEATED_FIELD, 400, true,
        1),
    ROW("Host with userinfo", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", GUARD_HOST, 400, true, 1),
    ROW("Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", GUARD_HOST, 400, true, 1),
    ROW("TE and CL",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        GUARD_TWO_LENGTHS, 400, true, 1),
    ROW("CL and TE",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GUARD_TWO_LENGTHS, 400, true, 1),
    ROW("TE gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        GUARD_TRANSFER_ENCODING, 501, true, 1),
    ROW("TE xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        GUARD_TRANSFER_ENCODING, 501, true, 1),
    ROW("TE chunked and a blank", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n",
        GUARD_TRANSFER_ENCODING, 501, true, 1),
    ROW("TE identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n",
        GUARD_TRANSFER_ENCODING, 501, true, 1),
    ROW("TE twice",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        GUARD_REPEATED_FIELD, 400, true, 1),
    ROW("TE in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GUARD_TRANSFER_ENCODING_1_0, 400, true, 1),
    ROW("blank before the colon", "POST / HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc",
        GUARD_FIELD_NAME, 400, true, 1),
    ROW("CL twice, different",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc", GUARD_REPEATED_FIELD,
        400, true, 1),
    ROW("CL twice, equal", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        GUARD_REPEATED_FIELD, 400, true, 1),
    ROW("bare LF everywhere", "GET / HTTP/1.1\nHost: h\n\n", GUARD_FIELD_LINE, 400, true, 1),
    ROW("bare LF behind the request line", "GET / HTTP/1.1\n" HOST "\r\n", GUARD_FIELD_LINE, 400, true, 1),
    ROW("bare LF behind a field", "GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n", GUARD_FIELD_LINE, 400, true, 1),
    ROW("bare LF behind the last field", "GET / HTTP/1.1\r\nHost: h\n\r\n", GUARD_HEAD_END, 400, true, 1),
    ROW("bare LF as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", GUARD_HEAD_END, 400, true, 1),
    ROW("obs-fold", "GET / HTTP/1.1\r\n" HOST "X: 1\r\n 2\r\n\r\n", GUARD_FIELD_LINE, 400, true, 1),
    ROW("obs-fold with HT", "GET / HTTP/1.1\r\n" HOST "X: 1\r\n\t2\r\nY: 1\r\n\r\n", GUARD_FIELD_LINE, 400,
        true, 1),
    ROW("NUL in the target", "GET /a\0b HTTP/1.1\r\n" HOST "\r\n", GUARD_REQUEST_LINE, 400, true, 1),
    ROW("NUL in the method", "GE\0T / HTTP/1.1\r\n" HOST "\r\n", GUARD_REQUEST_LINE, 400, true, 1),
    ROW("NUL in a value", "GET / HTTP/1.1\r\n" HOST "X: 1\0002\r\n\r\n", GUARD_HEAD_END, 400, true, 1),
    ROW("NUL in a value, more fields", "GET / HTTP/1.1\r\n" HOST "X: 1\0002\r\nY: 2\r\n\r\n",
        GUARD_FIELD_LINE, 400, true, 1),
    ROW("NUL, a byte and bare LF twice at the end", "GET / HTTP/1.1\r\n" HOST "X: 1\0Y\n\n", GUARD_HEAD_END,
        400, true, 1),
    ROW("CR in a value", "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", GUARD_FIELD_VALUE, 400, true, 1),
    ROW("DEL in a value", "GET / HTTP/1.1\r\n" HOST "X: a\177b\r\n\r\n", GUARD_FIELD_VALUE, 400, true, 1),
    ROW("no name", "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", GUARD_HEAD_END, 400, true, 1),
    ROW("name is no token", "GET / HTTP/1.1\r\n" HOST "A(b): x\r\n\r\n", GUARD_FIELD_NAME, 400, true, 1),
    ROW("blank in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", GUARD_TARGET, 400, true, 1),
    ROW("raw UTF-8 in the target", "GET /\xC3\xA9 HTTP/1.1\r\n" HOST "\r\n", GUARD_TARGET, 400, true, 1),
    ROW("two blanks in the request line", "GET  / HTTP/1.1\r\n" HOST "\r\n", GUARD_REQUEST_LINE, 400, true,
        1),
    ROW("method is no token", "G()T / HTTP/1.1\r\n" HOST "\r\n", GUARD_METHOD, 400, true, 1),
    ROW("HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", GUARD_VERSION, 505, true, 1),
    ROW("Expect: 200-maybe", "POST / HTTP/1.1\r\n" HOST "Expect: 200-maybe\r\nContent-Length: 3\r\n\r\nabc",
        GUARD_EXPECT, 417, true, 1),
    ROW("two Authorization", "GET / HTTP/1.1\r\n" HOST "Authorization: a\r\nAuthorization: b\r\n\r\n",
        GUARD_REPEATED_FIELD, 400, true, 1),
    ROW("two Idempotency-Key", "GET / HTTP/1.1\r\n" HOST "Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n",
        GUARD_REPEATED_FIELD, 400, true, 1),
    /* These the library refuses by itself, before the handler. */
    ROW("CL +3", "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", GUARD_OK, 400, true, 0),
    ROW("CL 3, 3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", GUARD_OK, 400, true, 0),
    ROW("CL with a blank behind it", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3 \r\n\r\nabc", GUARD_OK,
        400, true, 0),
    ROW("a line without a colon", "GET / HTTP/1.1\r\n" HOST "foo\r\n\r\n", GUARD_OK, 400, true, 0),
    ROW("HTTP/0.9", "GET /\r\n" HOST "\r\n", GUARD_OK, 400, true, 0),
    ROW("HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", GUARD_OK, 505, true, 0),
};

static const struct row taken[] = {
    ROW("curl", "GET /a?b=c HTTP/1.1\r\n" HOST "User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n", GUARD_OK,
        200, false, 1),
    ROW("blanks and tabs around a value", "GET / HTTP/1.1\r\nHost: \t h\r\nX:  a b \t \r\nY:z\r\n\r\n",
        GUARD_OK, 200, false, 1),
    ROW("empty values", "GET / HTTP/1.1\r\n" HOST "X:\r\nY: \r\nZ: 1\r\n\r\n", GUARD_OK, 200, false, 1),
    ROW("empty last value", "GET / HTTP/1.1\r\n" HOST "X:\r\n\r\n", GUARD_OK, 200, false, 1),
    ROW("cookies", "GET / HTTP/1.1\r\n" HOST "Cookie: a=b; c=\"d\"\r\nX: 1\r\n\r\n", GUARD_OK, 200, false, 1),
    ROW("bytes above ASCII in a value", "GET / HTTP/1.1\r\n" HOST "X: \xC3\xA9\r\n\r\n", GUARD_OK, 200, false,
        1),
    ROW("1.0 without Host", "GET / HTTP/1.0\r\n\r\n", GUARD_OK, 200, true, 1),
    ROW("1.0 with fields", "GET / HTTP/1.0\r\nX: 1\r\n\r\n", GUARD_OK, 200, true, 1),
    ROW("empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", GUARD_OK, 200, false, 1),
    ROW("a body by length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", GUARD_OK, 200, false,
        1),
    ROW("a body in chunks",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", GUARD_OK, 200,
        false, 1),
    ROW("an unknown method", "BREW /pot HTTP/1.1\r\n" HOST "\r\n", GUARD_OK, 200, false, 1),
    ROW("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", GUARD_OK, 200, false, 1),
    ROW("absolute form", "GET http://h/x HTTP/1.1\r\n" HOST "\r\n", GUARD_OK, 200, false, 1),
    ROW("two Accept, two X-Request-Id",
        "GET / HTTP/1.1\r\n" HOST "Accept: a\r\nAccept: b\r\nX-Request-Id: a\r\n"
        "X-Request-Id: b\r\n\r\n",
        GUARD_OK, 200, false, 1),
    ROW("two requests in one piece", "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n",
        GUARD_OK, 200, false, 2),
    ROW("a request behind a body",
        "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n" HOST "\r\n", GUARD_OK,
        200, false, 2),
    ROW("a request behind chunks",
        "POST /1 HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n",
        GUARD_OK, 200, false, 2),
    ROW("query cut apart by the library", "GET /a?b=c+d&e=%26&f HTTP/1.1\r\n" HOST "\r\n", GUARD_OK, 200,
        false, 1),
};

static void check(const struct row *row, size_t piece)
{
    struct mhd_pair pair = {0};
    char answer[8192];
    char expected[16];
    bool closed;
    cr_assert(mhd_pair_start(&pair));
    int fd = mhd_pair_connect(&pair);
    cr_assert_geq(fd, 0);
    mhd_pair_send(&pair, fd, row->bytes, row->count, piece);
    (void)mhd_pair_receive(fd, answer, sizeof(answer), &closed);
    (void)snprintf(expected, sizeof(expected), "HTTP/1.1 %u", row->status);
    cr_expect_eq(pair.seen_count, row->requests, "%s (pieces of %zu): %zu requests seen", row->name, piece,
                 pair.seen_count);
    if (row->requests > 0) {
        cr_expect_eq(pair.seen[0].verdict, row->verdict, "%s (pieces of %zu): verdict %d", row->name, piece,
                     (int)pair.seen[0].verdict);
    }
    cr_expect(strncmp(answer, expected, strlen(expected)) == 0, "%s (pieces of %zu): answered %.40s",
              row->name, piece, answer);
    cr_expect_eq(closed, row->closes, "%s (pieces of %zu): closed %d", row->name, piece, (int)closed);
    close(fd);
    mhd_pair_run(&pair);
    mhd_pair_stop(&pair);
}

static void check_all(const struct row *rows, size_t count)
{
    static const size_t pieces[] = {100000, 1, 2, 7};
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
            check(&rows[i], pieces[p]);
        }
    }
}

Test(guard, refuses_every_ambiguous_head_however_it_arrives)
{
    check_all(refused, sizeof(refused) / sizeof(refused[0]));
}

Test(guard, takes_every_proper_head_however_it_arrives)
{
    check_all(taken, sizeof(taken) / sizeof(taken[0]));
}

Test(guard, knows_the_library_it_was_built_for)
{
    cr_assert(guard_library_known());
}

/* ---- longer conversations ---- */

static int open_pair(struct mhd_pair *pair)
{
    cr_assert(mhd_pair_start(pair));
    int fd = mhd_pair_connect(pair);
    cr_assert_geq(fd, 0);
    return fd;
}

static void close_pair(struct mhd_pair *pair, int fd)
{
    close(fd);
    mhd_pair_run(pair);
    mhd_pair_stop(pair);
}

static size_t many_headers(char *out, size_t bytes, int headers)
{
    size_t used = (size_t)snprintf(out, bytes, "GET /many HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < headers; i++) {
        used += (size_t)snprintf(out + used, bytes - used, "X-%d: %0*d\r\n", i, i % 60 + 1, i);
    }
    used += (size_t)snprintf(out + used, bytes - used, "\r\n");
    return used;
}

Test(guard, takes_150_headers_in_pieces_of_any_size)
{
    static char head[32768];
    static const size_t pieces[] = {1, 13, 1024, 32768};
    size_t count = many_headers(head, sizeof(head), 149);
    for (size_t p = 0; p < 4; p++) {
        struct mhd_pair pair = {0};
        char answer[512];
        bool closed;
        int fd = open_pair(&pair);
        mhd_pair_send(&pair, fd, head, count, pieces[p]);
        (void)mhd_pair_receive(fd, answer, sizeof(answer), &closed);
        cr_expect_eq(pair.seen_count, 1);
        cr_expect_eq(pair.seen[0].verdict, GUARD_OK, "pieces of %zu", pieces[p]);
        cr_expect_eq(pair.seen[0].header_count, 150);
        cr_expect_not(closed);
        close_pair(&pair, fd);
    }
}

Test(guard, refuses_a_head_with_too_many_fields)
{
    static char head[32768];
    struct mhd_pair pair = {0};
    char answer[512];
    bool closed;
    size_t count = (size_t)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < GUARD_HEADERS_MAX; i++) {
        count += (size_t)snprintf(head + count, sizeof(head) - count, "a:b\r\n");
    }
    count += (size_t)snprintf(head + count, sizeof(head) - count, "\r\n");
    int fd = open_pair(&pair);
    mhd_pair_send(&pair, fd, head, count, 4096);
    (void)mhd_pair_receive(fd, answer, sizeof(answer), &closed);
    cr_expect_eq(pair.seen[0].verdict, GUARD_TOO_MANY_FIELDS);
    cr_expect(strncmp(answer, "HTTP/1.1 431", 12) == 0, "%.40s", answer);
    cr_expect(closed);
    close_pair(&pair, fd);
}

Test(guard, keeps_its_sight_over_a_thousand_pipelined_requests)
{
    static const char one[] =
        "POST /a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /b?x=2 HTTP/1.1\r\n"
        "Host: h\r\nAccept: */*\r\n\r\n";
    struct mhd_pair pair = {0};
    static char answer[65536];
    bool closed = false;
    int fd = open_pair(&pair);
    for (size_t i = 0; i < 500 && !closed; i++) {
        mhd_pair_send(&pair, fd, one, sizeof(one) - 1, 1 + i % 97);
        (void)mhd_pair_receive(fd, answer, sizeof(answer), &closed);
        struct mhd_pair_seen *post = &pair.seen[(2 * i) % MHD_PAIR_SEEN_MAX];
        struct mhd_pair_seen *get = &pair.seen[(2 * i + 1) % MHD_PAIR_SEEN_MAX];
        cr_assert_eq(pair.seen_count, 2 * i + 2, "round %zu", i);
        cr_assert_eq(post->verdict, GUARD_OK, "round %zu: %d", i, (int)post->verdict);
        cr_assert_eq(get->verdict, GUARD_OK, "round %zu: %d", i, (int)get->verdict);
        cr_assert_eq(post->body_bytes, 5);
        cr_assert_str_eq(post->first_param, "1");
        cr_assert_str_eq(get->first_param, "2");
    }
    cr_expect_not(closed);
    close_pair(&pair, fd);
}

Test(guard, a_smuggled_request_behind_a_refused_one_never_runs)
{
    static const char bytes[] =
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n";
    struct mhd_pair pair = {0};
    char answer[4096];
    bool closed;
    int fd = open_pair(&pair);
    mhd_pair_send(&pair, fd, bytes, sizeof(bytes) - 1, 100000);
    (void)mhd_pair_receive(fd, answer, sizeof(answer), &closed);
    cr_expect_eq(pair.seen_count, 1);
    cr_expect(closed);
    cr_expect_null(strstr(answer + 1, "HTTP/1.1 "), "one answer only: %s", answer);
    close_pair(&pair, fd);
}

/* ---- what the guard hands on ---- */

static void expect_fields(void *cls, const struct guard *guard)
{
    bool *called = cls;
    *called = true;
    cr_expect_eq(guard->verdict, GUARD_OK);
    cr_expect(guard->has_length && guard->content_length == 3 && !guard->chunked && !guard->version_1_0);
    cr_expect(text_equal(http_header(&guard->headers, HTTP_FIELD_HOST), TEXT("h:80")));
    cr_expect(text_equal(http_header(&guard->headers, HTTP_FIELD_CONTENT_TYPE), TEXT("application/json ")));
    cr_expect(text_equal(http_header(&guard->headers, HTTP_FIELD_ACCEPT), TEXT("one")));
    cr_expect_null(http_header(&guard->headers, HTTP_FIELD_X_REQUEST_ID).bytes, "repeated: as if absent");
    cr_expect_null(http_header(&guard->headers, HTTP_FIELD_AUTHORIZATION).bytes);
}

Test(guard, hands_on_the_fields_everyone_needs)
{
    static const char bytes[] = "POST /x HTTP/1.1\r\nhOST: h:80\r\nContent-Type:  application/json \r\n"
                                "X-Request-Id: a\r\nX-Request-Id: b\r\nX-Request-Id: c\r\nAccept: one\r\n"
                                "Accept: two\r\nContent-Length: 3\r\n\r\nabc";
    bool called = false;
    struct mhd_pair pair = {.on_guard = expect_fields, .on_guard_cls = &called};
    int fd = open_pair(&pair);
    mhd_pair_send(&pair, fd, bytes, sizeof(bytes) - 1, 100000);
    cr_expect(called);
    close_pair(&pair, fd);
}

Test(guard, every_verdict_has_a_problem_and_a_sentence)
{
    for (int v = GUARD_OK + 1; v < GUARD_VERDICTS_COUNT; v++) {
        cr_expect_neq(guard_problem((enum guard_verdict)v), PROBLEM_NONE);
        cr_expect_gt(strlen(guard_detail((enum guard_verdict)v)), 10);
    }
}
