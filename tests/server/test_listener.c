/* The listener: addresses, limits on connections over all cores, draining, stopping. */
#define _GNU_SOURCE
#include "tests/server/listener_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void expect_get(int fd, const char *path, unsigned status)
{
    struct reply reply = client_get(fd, path);
    cr_expect(reply.status == status, "%s: %u, wanted %u", path, reply.status, status);
    reply_free(&reply);
}

static void stop_quiet(void)
{
    cr_expect(fixture_eventually(fixture_is_quiet, NULL), "requests or connections are still counted");
    fixture_stop();
}

static void expect_served(size_t index)
{
    int fd = fixture_connect_to(index);
    cr_assert(fd >= 0);
    expect_get(fd, "/call", 200);
    close(fd);
}

/* ---- addresses ---- */

static char unix_path[64];
static char unix_flag[96];

static char folder[] = "/tmp/troupe_listener_XXXXXX";

static void folder_remove(void)
{
    rmdir(folder);
}

static void unix_names(void)
{
    if (unix_path[0] == '\0') {
        cr_assert(mkdtemp(folder) != NULL);
        atexit(folder_remove);
        snprintf(unix_path, sizeof(unix_path), "%s/socket", folder);
    }
    snprintf(unix_flag, sizeof(unix_flag), "--listen=unix:%s", unix_path);
}

Test(listener, serves_several_addresses_and_says_which)
{
    unix_names();
    fixture_start(
        (const char *[]){unix_flag, "--listen=127.0.0.1:0", "--listen=[::1]:0", "--workers=2", NULL});
    for (size_t i = 0; i < 3; i++) {
        for (int round = 0; round < 8; round++) {
            expect_served(i);
        }
    }
    char text[128];
    char wanted[128];
    listener_address(fixture_listener(), 0, text, sizeof(text));
    snprintf(wanted, sizeof(wanted), "unix:%s", unix_path);
    cr_expect_str_eq(text, wanted);
    listener_address(fixture_listener(), 1, text, sizeof(text));
    snprintf(wanted, sizeof(wanted), "http://127.0.0.1:%u", fixture_port(1));
    cr_expect_str_eq(text, wanted);
    cr_expect(fixture_port(1) != 0);
    listener_address(fixture_listener(), 2, text, sizeof(text));
    snprintf(wanted, sizeof(wanted), "http://[::1]:%u", fixture_port(2));
    cr_expect_str_eq(text, wanted);
    stop_quiet();
    cr_expect(access(unix_path, F_OK) != 0, "the socket file is left behind");
}

Test(listener, deals_connections_of_a_unix_socket_to_all_cores)
{
    /* Each core has its own id source: the first half of a request id tells cores apart. */
    char first[17] = "";
    bool other = false;
    unix_names();
    fixture_start((const char *[]){unix_flag, "--workers=2", NULL});
    for (int i = 0; i < 8; i++) {
        int fd = fixture_connect();
        struct reply reply = client_get(fd, "/ping");
        const char *id = reply_header(&reply, "X-Request-Id");
        cr_assert_not_null(id);
        if (first[0] == '\0') {
            memcpy(first, id, 16);
        }
        other = other || strncmp(first, id, 16) != 0;
        reply_free(&reply);
        close(fd);
    }
    cr_expect(other, "one core served all");
    stop_quiet();
}

static int socket_of(struct sockaddr_in *address, bool reuse_port, bool listening)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    socklen_t bytes = sizeof(*address);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (reuse_port) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    }
    cr_assert(bind(fd, (struct sockaddr *)address, bytes) == 0 && (!listening || listen(fd, 8) == 0));
    cr_assert(getsockname(fd, (struct sockaddr *)address, &bytes) == 0);
    return fd;
}

Test(listener, refuses_an_address_in_use_even_one_that_is_shared)
{
    for (int shared = 0; shared < 2; shared++) {
        struct sockaddr_in address;
        int fd = socket_of(&address, shared == 1, true);
        char flag[64];
        snprintf(flag, sizeof(flag), "--listen=127.0.0.1:%u", ntohs(address.sin_port));
        const char *why = fixture_refusal((const char *[]){flag, NULL});
        cr_assert_not_null(why);
        cr_expect(strstr(why, "cannot listen on") != NULL && strstr(why, "in use") != NULL, "%s", why);
        close(fd);
        cr_expect_null(fixture_refusal((const char *[]){flag, NULL}), "it was freed");
    }
}

Test(listener, takes_over_a_stale_socket_file_only)
{
    unix_names();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, unix_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0);
    const char *why = fixture_refusal((const char *[]){unix_flag, NULL});
    cr_expect(why != NULL && strstr(why, "somebody listens") != NULL);
    cr_expect(access(unix_path, F_OK) == 0, "the socket of another service is gone");
    close(fd);
    cr_expect_null(fixture_refusal((const char *[]){unix_flag, NULL}), "nobody is there any more");
    fd = open(unix_path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    why = fixture_refusal((const char *[]){unix_flag, NULL});
    cr_expect(why != NULL && strstr(why, "file") != NULL);
    cr_expect(access(unix_path, F_OK) == 0, "somebody's file is gone");
    unlink(unix_path);
}

/* ---- limits over all cores ---- */

static bool is_answered(void *fd)
{
    char byte;
    return recv(*(int *)fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

Test(listener, at_its_most_connections_lets_others_wait_and_then_serves_them_on_all_cores)
{
    enum { MOST = 4, WAITING = 12 };
    int held[MOST];
    int waiting[WAITING];
    fixture_start((const char *[]){"--workers=2", "--max-connections=4", NULL});
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MOST; i++) {
            held[i] = fixture_connect();
            expect_get(held[i], "/ping", 200);
        }
        for (int i = 0; i < WAITING; i++) {
            waiting[i] = fixture_connect(); /* the kernel takes them */
            cr_assert(
                client_say(waiting[i], "GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        }
        for (int i = 0; i < WAITING; i++) {
            cr_expect(!is_answered(&waiting[i]), "one more than max_connections is served");
        }
        for (int i = 0; i < MOST; i++) {
            close(held[i]); /* whichever cores these were on, both must hear again */
        }
        for (int i = 0; i < WAITING; i++) {
            cr_assert(fixture_eventually(is_answered, &waiting[i]), "a core stayed deaf");
            close(waiting[i]);
        }
        cr_assert(fixture_eventually(fixture_is_quiet, NULL));
    }
    stop_quiet();
}

/* Which core serves a connection: the first half of the ids it makes. */
static void core_of(int fd, char core[17])
{
    struct reply reply = client_get(fd, "/ping");
    const char *id = reply_header(&reply, "X-Request-Id");
    cr_assert_not_null(id);
    snprintf(core, 17, "%s", id);
    reply_free(&reply);
}

Test(listener, core_without_connections_hears_when_a_place_is_freed_on_another)
{
    enum { MOST = 4, WAITING = 16 };
    int held[MOST];
    int waiting[WAITING];
    char first[17];
    char core[17];
    fixture_start((const char *[]){"--workers=2", "--max-connections=4", NULL});
    for (int count = 0; count < MOST;) {
        held[count] = fixture_connect();
        core_of(held[count], count == 0 ? first : core);
        if (count == 0 || strcmp(first, core) == 0) {
            count++;
        } else {
            close(held[count]);
        }
    }
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = fixture_connect();
        cr_assert(
            client_say(waiting[i], "GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    }
    cr_expect(!is_answered(&waiting[0]));
    for (int i = 0; i < MOST; i++) {
        close(held[i]);
    }
    for (int i = 0; i < WAITING; i++) {
        cr_assert(fixture_eventually(is_answered, &waiting[i]), "a core stayed deaf");
        close(waiting[i]);
    }
    stop_quiet();
}

Test(listener, hears_again_after_the_descriptors_ran_out)
{
    enum { LIMIT = 120 };
    int held[LIMIT];
    int count = 0;
    fixture_start((const char *[]){"--workers=2", NULL});
    int waiting[4];
    for (int i = 0; i < 4; i++) {
        waiting[i] = fixture_connect();
        expect_get(waiting[i], "/ping", 200);
    }
    struct rlimit limit;
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    struct rlimit low = {.rlim_cur = LIMIT, .rlim_max = limit.rlim_max};
    cr_assert(setrlimit(RLIMIT_NOFILE, &low) == 0);
    int client[4];
    for (int i = 0; i < 4; i++) { /* the descriptors are there before the want begins */
        client[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(client[i] >= 0);
    }
    while (count < LIMIT && (held[count] = dup(STDIN_FILENO)) >= 0) {
        count++;
    }
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(fixture_port(0)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < 4; i++) {
        cr_assert(connect(client[i], (struct sockaddr *)&address, sizeof(address)) == 0);
        cr_assert(client_say(client[i], GET("/ping")));
    }
    expect_get(waiting[0], "/call", 200); /* who is there is served meanwhile */
    while (count > 0) {
        close(held[--count]);
    }
    for (int i = 0; i < 4; i++) {
        cr_expect(fixture_eventually(is_answered, &client[i]), "a core stayed deaf");
        close(client[i]);
        close(waiting[i]);
    }
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    stop_quiet();
}

static bool may_connect(void *unused)
{
    (void)unused;
    return client_status(GET("/ping")) == 200;
}

Test(listener, most_connections_of_one_address_are_counted_over_all_cores)
{
    enum { TRIES = 20 };
    int fds[TRIES];
    int served = 0;
    fixture_start((const char *[]){"--workers=2", "--max-connections-per-ip=3", NULL});
    for (int i = 0; i < TRIES; i++) {
        fds[i] = fixture_connect();
        struct reply reply = client_get(fds[i], "/ping");
        served += reply.status == 200;
        reply_free(&reply);
    }
    cr_expect(served == 3, "%d", served);
    for (int i = 0; i < TRIES; i++) {
        close(fds[i]);
    }
    cr_expect(fixture_eventually(may_connect, NULL), "its places did not come back");
    stop_quiet();
}

/* ---- draining and stopping ---- */

static bool job_begun(void *unused)
{
    (void)unused;
    return fixture_jobs_begun() >= 1;
}

Test(listener, draining_ends_keep_alive_and_finishes_what_is_in_flight)
{
    fixture_start(NULL);
    int idle = fixture_connect();
    int busy = fixture_connect();
    expect_get(idle, "/ping", 200);
    cr_assert(client_say(busy, GET("/job/wait?ms=60000")));
    cr_assert(fixture_eventually(job_begun, NULL));
    listener_drain(fixture_listener());
    cr_expect(listener_is_draining(fixture_listener()));
    struct reply reply = client_get(idle, "/call"); /* still served, for the last time */
    cr_expect(reply.status == 200);
    cr_expect_str_eq(reply_header(&reply, "Connection"), "close");
    reply_free(&reply);
    cr_expect(client_is_closed(idle));
    cr_expect(listener_inflight(fixture_listener()) == 1);
    fixture_release();
    reply = client_read(busy, false);
    cr_expect(reply.status == 200);
    cr_expect_str_eq(reply_header(&reply, "Connection"), "close");
    reply_free(&reply);
    cr_expect(client_is_closed(busy));
    close(idle);
    close(busy);
    stop_quiet();
}

Test(listener, closed_refuses_connections_and_answers_503_on_old_ones)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    expect_get(fd, "/ping", 200);
    listener_close(fixture_listener());
    expect_get(fd, "/call", 503);
    expect_get(fd, "/open", 200);
    tr_pid old = fixture_port_pid(0);
    fixture_kill(old);
    close(fd);
    stop_quiet();
}

Test(listener, stops_with_requests_in_flight_and_answers_them)
{
    enum { CLIENTS = 40 };
    static const char *const paths[] = {"/hang?ms=60000", "/job/wait?ms=60000", "/poll?ms=60000",
                                        "/job/header?ms=60000"};
    int fds[CLIENTS];
    int64_t inflight = CLIENTS;
    fixture_start((const char *[]){"--workers=2", NULL});
    int idle = fixture_connect();
    expect_get(idle, "/ping", 200);
    for (int i = 0; i < CLIENTS; i++) {
        char request[256]; /* a second one behind it, which arrives while the node stops */
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n%s", paths[i % 4],
                 i % 3 == 0   ? GET("/call")
                 : i % 3 == 1 ? GET("/job")
                              : "");
        fds[i] = fixture_connect();
        cr_assert(client_say(fds[i], request));
    }
    cr_assert(fixture_eventually(fixture_inflight_is, &inflight));
    fixture_stop();
    for (int i = 0; i < CLIENTS; i++) {
        struct reply reply = client_read(fds[i], false);
        cr_expect(reply.status == 503 || reply.status == 500, "%u", reply.status);
        reply_free(&reply);
        close(fds[i]);
    }
    cr_expect(client_is_closed(idle));
    close(idle);
}

Test(listener, stops_with_heads_and_bodies_half_way)
{
    static const char *const begun[] = {
        "", "GET /pi", "GET /ping HTTP/1.1\r\n",
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        GET("/big")};
    int fds[5];
    fixture_start(NULL);
    for (int i = 0; i < 5; i++) {
        fds[i] = fixture_connect();
        cr_assert(client_say(fds[i], begun[i]));
    }
    cr_assert(fixture_eventually(fixture_inflight_is, &(int64_t){1}));
    fixture_stop();
    for (int i = 0; i < 5; i++) {
        close(fds[i]);
    }
}

/* ---- idle ---- */

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static bool second_is_over(void *start_ms)
{
    return tr_now_ms() - *(int64_t *)start_ms >= 1000;
}

Test(listener, with_idle_connections_uses_no_processor)
{
    int fds[50];
    fixture_start((const char *[]){"--workers=2", NULL});
    for (int i = 0; i < 50; i++) {
        fds[i] = fixture_connect();
        expect_get(fds[i], "/call", 200);
    }
    int64_t start_ms = tr_now_ms();
    tr_node_stats before;
    tr_node_stats after;
    tr_node_stats_get(&before);
    int64_t start = cpu_ns();
    cr_assert(fixture_eventually(second_is_over, &start_ms)); /* a thousand looks of ours are in the bill */
    int64_t used = cpu_ns() - start;
    tr_node_stats_get(&after);
    uint64_t slices = after.slices - before.slices;
    cr_expect(slices == 0, "%llu slices ran", (unsigned long long)slices);
    cr_expect(used < 300000000, "%lld ms of processor time in a second", (long long)(used / 1000000));
    for (int i = 0; i < 50; i++) {
        close(fds[i]);
    }
    stop_quiet();
}
