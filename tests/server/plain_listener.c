/* The listener under clients, deaths and a drain at once. */
#include "tests/server/listener_fixture.h"
#include "tests/support/plain.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

enum { CLIENTS = 6, RUN_MS = 1000 };

static atomic_bool over;
static atomic_uint answered;
static atomic_uint ok;

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

static const char *const requests[] = {
    GET("/ping"),
    GET("/call"),
    GET("/job"),
    GET("/chain"),
    GET("/two"),
    GET("/late"),
    GET("/hang?ms=20"),
    GET("/poll?ms=15"),
    GET("/job/crash"),
    GET("/job/burn?ms=1"),
    GET("/job/wait?ms=10"),
    GET("/nowhere"),
    "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
    "POST /sink HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
};
enum { REQUESTS = sizeof requests / sizeof requests[0] };

/* Leaves now and then: before, in the middle of, or right after what it says. */
static bool ask_once(int fd, uint32_t *seed)
{
    const char *request = requests[next_random(seed) % REQUESTS];
    uint32_t mood = next_random(seed) % 16;
    size_t count = strlen(request);
    if (mood == 0) {
        return false;
    }
    if (mood == 1) {
        (void)client_send(fd, request, next_random(seed) % count);
        return false;
    }
    if (!client_send(fd, request, count) || mood == 2) {
        return false;
    }
    struct reply reply = client_read(fd, false);
    if (reply.status != 0) {
        PLAIN_CHECK(reply.status == 200 || reply.status == 204 || reply.status == 404 ||
                    reply.status == 500 || reply.status == 503 || reply.status == 504);
        atomic_fetch_add(&answered, 1U);
        atomic_fetch_add(&ok, reply.status == 200 ? 1U : 0U);
    }
    PLAIN_CHECK(!reply.timed_out);
    bool goes_on = reply.status != 0;
    reply_free(&reply);
    return goes_on;
}

static void *client(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg * 7919U + 1U;
    while (!atomic_load(&over)) {
        int fd = fixture_connect_to(next_random(&seed) % 2);
        if (fd < 0) {
            continue;
        }
        while (!atomic_load(&over) && ask_once(fd, &seed)) {
        }
        close(fd);
    }
    return NULL;
}

static bool kill_job(const tr_process_summary *summary, void *ctx)
{
    (void)ctx;
    if (strncmp(summary->label, "/job", 4) == 0) {
        fixture_kill(summary->pid);
    }
    return true;
}

static void *killer(void *arg)
{
    uint32_t seed = 4711;
    const struct timespec pause = {.tv_nsec = 5000000};
    (void)arg;
    while (!atomic_load(&over)) {
        tr_scratch_mark mark = tr_scratch();
        switch (next_random(&seed) % 4) {
        case 0:
            fixture_kill(fixture_server_pid());
            break;
        case 1:
            fixture_kill(fixture_port_pid((int)(next_random(&seed) % 2)));
            break;
        default:
            tr_process_each(kill_job, NULL);
            break;
        }
        tr_scratch_release(mark);
        nanosleep(&pause, NULL); /* how often things die */
    }
    return NULL;
}

static bool time_is_up(void *end_ms)
{
    return tr_now_ms() >= *(int64_t *)end_ms;
}

static char folder[] = "/tmp/troupe_listener_XXXXXX";
static char unix_flag[96];

static void folder_remove(void)
{
    rmdir(folder);
}

static void start(void)
{
    if (unix_flag[0] == '\0') {
        PLAIN_CHECK(mkdtemp(folder) != NULL);
        atexit(folder_remove);
        snprintf(unix_flag, sizeof unix_flag, "--listen=unix:%s/socket", folder);
    }
    /* Half a request line that comes together with the client's end is noticed at the idle deadline only. */
    fixture_start((const char *[]){unix_flag, "--listen=127.0.0.1:0", "--workers=2",
                                   "--header-timeout-ms=2000", "--body-timeout-ms=2000",
                                   "--idle-timeout-ms=2000", NULL});
    fixture_release();
    atomic_store(&over, false);
    atomic_store(&answered, 0U);
    atomic_store(&ok, 0U);
}

static void run_clients(bool killing, void (*meanwhile)(void))
{
    pthread_t threads[CLIENTS + 1];
    int64_t end_ms = tr_now_ms() + RUN_MS;
    for (int i = 0; i < CLIENTS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, client, (void *)(uintptr_t)(i + 1)) == 0);
    }
    PLAIN_CHECK(!killing || pthread_create(&threads[CLIENTS], NULL, killer, NULL) == 0);
    (void)fixture_eventually(time_is_up, &end_ms);
    if (meanwhile != NULL) {
        meanwhile();
    }
    atomic_store(&over, true);
    for (int i = 0; i < CLIENTS + (killing ? 1 : 0); i++) {
        pthread_join(threads[i], NULL);
    }
}

PLAIN_TEST(clients_come_and_go)
{
    start();
    run_clients(false, NULL);
    PLAIN_CHECK(fixture_eventually(fixture_is_quiet, NULL));
    PLAIN_CHECK(atomic_load(&ok) > 100U);
    fixture_stop();
}

PLAIN_TEST(everything_dies_and_comes_back)
{
    start();
    run_clients(true, NULL);
    PLAIN_CHECK(fixture_eventually(fixture_is_quiet, NULL));
    PLAIN_CHECK(atomic_load(&ok) > 100U);
    int fd = fixture_connect();
    struct reply reply = client_get(fd, "/call");
    PLAIN_CHECK(reply.status == 200);
    reply_free(&reply);
    close(fd);
    fixture_stop();
}

static void drain_and_halt(void)
{
    listener_drain(fixture_listener());
    PLAIN_CHECK(fixture_eventually(fixture_inflight_is, &(int64_t){0}));
    listener_close(fixture_listener());
    PLAIN_CHECK(fixture_eventually(fixture_inflight_is, &(int64_t){0}));
    fixture_halt();
}

PLAIN_TEST(drained_and_stopped_under_load_all_clients_hear_of_it)
{
    start();
    run_clients(false, drain_and_halt);
    PLAIN_CHECK(atomic_load(&ok) > 100U);
    fixture_stop();
}

PLAIN_TEST(stopped_under_load_without_a_drain_all_clients_hear_of_it)
{
    for (int round = 0; round < 4; round++) {
        start();
        run_clients(false, fixture_halt);
        fixture_stop();
    }
}

PLAIN_TEST(at_the_most_connections_nobody_waits_for_ever)
{
    fixture_start((const char *[]){"--listen=127.0.0.1:0", "--listen=[::1]:0", "--workers=2",
                                   "--max-connections=3", NULL});
    fixture_release();
    atomic_store(&over, false);
    atomic_store(&ok, 0U);
    run_clients(false, NULL);
    PLAIN_CHECK(fixture_eventually(fixture_is_quiet, NULL));
    PLAIN_CHECK(atomic_load(&ok) > 5U);
    fixture_stop();
}
