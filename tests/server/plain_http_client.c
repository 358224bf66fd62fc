/* The HTTP client against a server that misbehaves, with callers that are killed, on two workers. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/client/http_client.h"
#include "tests/server/evil_server.h"
#include "tests/support/plain.h"

enum { WORKERS = 2, PATIENCE_MS = 60000, LONG_MS = 30000 };

static uint16_t port;

static void no_report(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static bool is_quiet(void)
{
    struct http_client_stats client;
    tr_node_stats node;
    tr_node_stats_get(&node);
    http_client_stats_get(&client);
    return node.processes == 0 && client.transfers == 0;
}

static bool eventually(bool (*holds)(void))
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (holds()) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

/* Descriptors of this process. */
static int descriptors(void)
{
    int open = 0;
    for (int fd = 0; fd < 4096; fd++) {
        open += fcntl(fd, F_GETFD) >= 0;
    }
    return open;
}

static int descriptors_before; /* 0: nothing ran yet; libraries keep some from their first use on */

static bool descriptors_are_back(void)
{
    return descriptors() <= descriptors_before;
}

static void node_start(uint32_t transfers_max)
{
    signal(SIGPIPE, SIG_IGN);
    port = evil_start();
    PLAIN_CHECK(http_client_setup(&(struct http_client_options){.cores = WORKERS,
                                                                .transfers_max = transfers_max}) == TR_OK);
    tr_node_opts opts = {.workers = WORKERS, .report = no_report, .hooks = http_client_hooks()};
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
}

static void node_end(void)
{
    struct http_client_stats client;
    tr_node_stop();
    http_client_stats_get(&client);
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    if (!PLAIN_CHECK(client.transfers == 0 && client.connections == 0)) {
        fprintf(stderr, "%ld transfers, %ld connections\n", (long)client.transfers, (long)client.connections);
    }
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    http_client_teardown();
    evil_stop();
    PLAIN_CHECK(descriptors_before == 0 ||
                eventually(descriptors_are_back)); /* a resolver's thread may still run */
    descriptors_before = descriptors();
}

/* One process that must end normally. */
static void run(tr_main_fn body)
{
    tr_pid pid;
    tr_term reason;
    PLAIN_CHECK(tr_spawn(NULL, body, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, &reason);
    PLAIN_CHECK(tr_same(reason, TR_ATOM(NORMAL)));
    PLAIN_CHECK(eventually(is_quiet));
}

static struct http_reply ask(const char *method, const char *path, int64_t timeout_ms)
{
    char url[256];
    struct http_reply reply = {.failure = HTTP_FAILURE_COUNT};
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
    PLAIN_CHECK(http_client_run(&(struct http_call){.method = method,
                                                    .url = url,
                                                    .timeout_ms = timeout_ms,
                                                    .private_allowed = true,
                                                    .response_max_bytes = 100000},
                                &reply) == TR_OK);
    return reply;
}

static bool body_is(const struct http_reply *reply, const char *text)
{
    return reply->body != NULL && reply->body->size == strlen(text) &&
           memcmp(reply->body->bytes, text, reply->body->size) == 0;
}

/* ---- answers ---- */

static void answers(const void *arg)
{
    (void)arg;
    struct http_reply reply = ask(NULL, "/ok", LONG_MS);
    PLAIN_CHECK(reply.failure == HTTP_FAILURE_NONE && reply.status == 200 && body_is(&reply, "hello"));
    PLAIN_CHECK(reply.may_have_been_sent && reply.retry_after_ms == 7000);
    PLAIN_CHECK(strcmp(reply.content_type, "text/plain") == 0 && reply.timings.total_us > 0);
    http_reply_release(&reply);
    PLAIN_CHECK(reply.body == NULL);
    reply = ask("GET", "/status/503", LONG_MS);
    PLAIN_CHECK(reply.failure == HTTP_FAILURE_NONE && reply.status == 503 && reply.body == NULL);
}

static void echo(const void *arg)
{
    (void)arg;
    static char large[90000];
    char url[64];
    struct http_reply reply;
    memset(large, 'y', sizeof(large));
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", port);
    const struct http_call_header headers[] = {{"Content-Type", "text/plain"}, {"X-Empty", ""}};
    struct http_call call = {.method = "POST",
                             .url = url,
                             .headers = headers,
                             .header_count = 2,
                             .body = large,
                             .body_bytes = sizeof(large),
                             .timeout_ms = LONG_MS,
                             .response_max_bytes = sizeof(large),
                             .private_allowed = true};
    PLAIN_CHECK(http_client_run(&call, &reply) == TR_OK);
    PLAIN_CHECK(reply.status == 200 && reply.body != NULL && reply.body->size == sizeof(large) &&
                memcmp(reply.body->bytes, large, sizeof(large)) == 0);
    call.response_max_bytes = sizeof(large) - 1;
    PLAIN_CHECK(http_client_run(&call, &reply) == TR_OK);
    PLAIN_CHECK(reply.failure == HTTP_FAILURE_TOO_LARGE && reply.body == NULL && reply.status == 0);
}

PLAIN_TEST(an_answer_comes_with_its_fields_and_its_body)
{
    node_start(0);
    run(answers);
    run(echo);
    node_end();
}

/* ---- failures ---- */

static void failures(const void *arg)
{
    (void)arg;
    static const struct {
        const char *path;
        enum http_failure failure;
    } rows[] = {
        {"/drop", HTTP_FAILURE_LOST},         {"/cut", HTTP_FAILURE_LOST},
        {"/garbage", HTTP_FAILURE_LOST},      {"/huge", HTTP_FAILURE_TOO_LARGE},
        {"/endless", HTTP_FAILURE_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_reply reply = ask("GET", rows[i].path, LONG_MS);
        if (!PLAIN_CHECK(reply.failure == rows[i].failure && reply.may_have_been_sent &&
                         reply.detail[0] != '\0')) {
            fprintf(stderr, "%s: %s: %s\n", rows[i].path, http_failure_word(reply.failure), reply.detail);
        }
        PLAIN_CHECK(reply.status == 0 && reply.body == NULL);
    }
    struct http_reply reply = ask("GET", "/hang", 50);
    PLAIN_CHECK(reply.failure == HTTP_FAILURE_TIMEOUT && reply.may_have_been_sent);
    reply = ask("GET", "/drip", 200);
    PLAIN_CHECK(reply.failure == HTTP_FAILURE_TIMEOUT && reply.may_have_been_sent);
}

static enum http_failure failure_at(const char *url, bool private_allowed)
{
    struct http_reply reply;
    PLAIN_CHECK(
        http_client_run(
            &(struct http_call){.url = url, .timeout_ms = LONG_MS, .private_allowed = private_allowed},
            &reply) == TR_OK);
    PLAIN_CHECK(!reply.may_have_been_sent || reply.failure == HTTP_FAILURE_NONE);
    return reply.failure;
}

static void unsent(const void *arg)
{
    (void)arg;
    char url[64];
    PLAIN_CHECK(failure_at("ftp://127.0.0.1/", true) == HTTP_FAILURE_BAD_URL);
    PLAIN_CHECK(failure_at("no url", true) != HTTP_FAILURE_NONE);
    PLAIN_CHECK(failure_at("http://user@127.0.0.1/", true) == HTTP_FAILURE_BAD_URL);
    PLAIN_CHECK(failure_at("http://127.0.0.1:1/", true) == HTTP_FAILURE_CONNECT);
    enum http_failure unknown =
        failure_at("http://name.invalid/", true); /* a resolver may be slow to say so */
    PLAIN_CHECK(unknown == HTTP_FAILURE_RESOLVE || unknown == HTTP_FAILURE_TIMEOUT);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/garbage", port);
    PLAIN_CHECK(failure_at(url, true) == HTTP_FAILURE_TLS);
    struct http_reply reply;
    struct http_call call = {.url = url, .timeout_ms = 0};
    PLAIN_CHECK(http_client_run(&call, &reply) == TR_E_BADARG);
    call.timeout_ms = 1;
    call.headers = &(struct http_call_header){"X-Split", "a\r\nb: c"};
    call.header_count = 1;
    PLAIN_CHECK(http_client_run(&call, &reply) == TR_E_BADARG);
}

PLAIN_TEST(each_way_to_fail_has_its_word)
{
    node_start(0);
    run(failures);
    run(unsent);
    node_end();
}

/* ---- private addresses ---- */

static void refused(const void *arg)
{
    (void)arg;
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok", port);
    PLAIN_CHECK(failure_at(url, false) == HTTP_FAILURE_REFUSED_PRIVATE);
    PLAIN_CHECK(evil_requests() == 0);
    PLAIN_CHECK(failure_at(url, true) == HTTP_FAILURE_NONE);
    PLAIN_CHECK(failure_at(url, false) == HTTP_FAILURE_REFUSED_PRIVATE); /* a kept connection is there */
    PLAIN_CHECK(evil_requests() == 1);
    snprintf(url, sizeof(url), "http://localhost:%u/ok", port);
    PLAIN_CHECK(failure_at(url, false) == HTTP_FAILURE_REFUSED_PRIVATE);
    PLAIN_CHECK(evil_requests() == 1);
}

PLAIN_TEST(a_private_address_is_refused_at_the_socket_and_on_a_kept_connection)
{
    node_start(0);
    run(refused);
    node_end();
}

/* ---- what is never sent twice ---- */

static void twice(const void *arg)
{
    (void)arg;
    struct http_reply reply = ask("GET", "/once", LONG_MS);
    PLAIN_CHECK(reply.status == 200);
    unsigned before = evil_requests();
    reply = ask("POST", "/once", LONG_MS); /* the kept connection would end without an answer */
    PLAIN_CHECK(reply.status == 200 && !reply.timings.reused && evil_requests() == before + 1);
    before = evil_requests();
    reply = ask("POST", "/drop", LONG_MS);
    PLAIN_CHECK(reply.failure == HTTP_FAILURE_LOST && evil_requests() == before + 1);
    reply = ask("GET", "/ok", LONG_MS);
    reply = ask("GET", "/ok", LONG_MS);
    PLAIN_CHECK(reply.status == 200 && reply.timings.reused);
}

PLAIN_TEST(a_request_that_is_not_repeatable_is_sent_once_on_a_connection_of_its_own)
{
    node_start(0);
    run(twice);
    node_end();
}

/* ---- limits, kills, stops ---- */

static atomic_int limited, hanging;

static void hang(const void *arg)
{
    (void)arg;
    char url[64];
    struct http_reply reply;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/hang", port);
    atomic_fetch_add(&hanging, 1);
    tr_err err = http_client_run(
        &(struct http_call){.url = url, .timeout_ms = LONG_MS * 10, .private_allowed = true}, &reply);
    PLAIN_CHECK(err == TR_E_LIMIT);
    atomic_fetch_add(&limited, 1);
}

enum { HANGERS = 40 };

static bool all_hang(void)
{
    struct http_client_stats client;
    http_client_stats_get(&client);
    return atomic_load(&hanging) == HANGERS && client.connections == HANGERS - atomic_load(&limited) &&
           evil_connections() == client.connections;
}

static bool server_is_empty(void)
{
    return evil_connections() == 0;
}

static void hangers_start(tr_pid *pids)
{
    atomic_store(&hanging, 0);
    atomic_store(&limited, 0);
    for (int i = 0; i < HANGERS; i++) {
        PLAIN_CHECK(tr_spawn(NULL, hang, NULL, 0, &pids[i]) == TR_OK);
    }
    PLAIN_CHECK(eventually(all_hang));
}

PLAIN_TEST(the_end_of_a_process_closes_its_connection_at_once)
{
    tr_pid pids[HANGERS];
    node_start(0);
    hangers_start(pids);
    PLAIN_CHECK(atomic_load(&limited) == 0);
    for (int i = 0; i < HANGERS; i++) {
        tr_exit_signal(tr_to(pids[i]), i % 2 == 0 ? TR_ATOM(KILL) : TR_ATOM(SHUTDOWN));
    }
    PLAIN_CHECK(eventually(is_quiet));
    PLAIN_CHECK(eventually(server_is_empty));
    struct http_client_stats client;
    http_client_stats_get(&client);
    PLAIN_CHECK(client.cancelled == HANGERS && client.finished == 0 && client.connections == 0);
    node_end();
}

PLAIN_TEST(a_node_stops_with_transfers_under_way)
{
    tr_pid pids[HANGERS];
    node_start(0);
    hangers_start(pids);
    node_end();
}

PLAIN_TEST(over_its_limit_a_core_takes_no_more_transfers)
{
    tr_pid pids[HANGERS];
    node_start(5);
    hangers_start(pids);
    PLAIN_CHECK(atomic_load(&limited) >= HANGERS - 2 * 5);
    node_end();
}

/* ---- everything at once ---- */

static void storm_one(const void *arg)
{
    static const char *const paths[] = {"/ok",      "/drop",       "/cut",     "/hang",
                                        "/garbage", "/status/500", "/endless", "/drip"};
    uint32_t seed = *(const uint32_t *)arg;
    for (int i = 0; i < 20; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct http_reply reply =
            ask(seed >> 20 & 1 ? "GET" : "POST", paths[(seed >> 8) % 8], 1 + (seed >> 16) % 40);
        http_reply_release(&reply);
    }
}

PLAIN_TEST(nothing_is_left_after_a_storm_of_failures_and_kills)
{
    enum { STORM = 60 };
    tr_pid pids[STORM];
    uint32_t seed = plain_seed();
    node_start(0);
    for (uint32_t i = 0; i < STORM; i++) {
        uint32_t own = seed + i * 7919u;
        PLAIN_CHECK(tr_spawn(NULL, storm_one, &own, sizeof(own), &pids[i]) == TR_OK);
    }
    for (uint32_t i = 0; i < STORM; i += 3) {
        usleep(1000); /* kills fall where they fall */
        tr_exit_signal(tr_to(pids[i]), TR_ATOM(KILL));
    }
    PLAIN_CHECK(eventually(is_quiet));
    run(answers);
    node_end();
}
