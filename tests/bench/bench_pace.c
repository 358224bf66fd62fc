/* An open-loop HTTP client: requests are due at even distances, whether earlier ones were answered or not. A request that finds no free
 * connection waits for one, and its latency counts from the moment it was due, so a stall of the server is seen by all it delays.
 *
 *     pace PORT RATE SECONDS CONNECTIONS PATH
 *
 * One JSON line: how much of the rate was kept, latencies from due to the last byte in microseconds, and how late this program itself
 * was with sending while a connection was free (its own part of the latencies). Status 1 after an answer that is not 2xx. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, ANSWER_MAX = 4096, PATIENCE_S = 10 };

struct connection {
    int fd;
    uint64_t due_ns;
    size_t got;
    char answer[ANSWER_MAX];
};

static struct connection *connections;
static struct connection *idle[CONNECTIONS_MAX];
static int idle_count;
static uint64_t freed_ns; /* when there was a free connection again after there had been none */
static int poll_fd;
static char request[1024];
static size_t request_bytes;
static double *latencies, *lags; /* in us, by answer and by request */
static size_t answered, sent;

static _Noreturn void fail(const char *what, const char *more)
{
    (void)fprintf(stderr, "pace: %s: %s\n", what, more);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void open_connection(struct connection *connection, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int on = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        fail("connect", strerror(errno));
    }
    idle[idle_count++] = connection;
}

static void send_request(uint64_t due_ns)
{
    struct connection *connection = idle[--idle_count];

    connection->due_ns = due_ns;
    connection->got = 0;
    sent++;
    if (send(connection->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) {
        fail("send", strerror(errno));
    }
}

/* Whether the answer is whole. */
static bool is_complete(struct connection *connection)
{
    connection->answer[connection->got] = '\0';
    const char *end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (connection->answer[9] != '2' || length == NULL || length > end) {
        fail("not an answer to count", connection->answer);
    }
    return connection->got >= (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
}

static void receive(struct connection *connection)
{
    ssize_t more =
        recv(connection->fd, connection->answer + connection->got, ANSWER_MAX - 1 - connection->got, 0);
    if (more < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (more <= 0) {
        fail("recv", more == 0 ? "closed, or an answer too long" : strerror(errno));
    }
    connection->got += (size_t)more;
    if (is_complete(connection)) {
        uint64_t now = now_ns();
        latencies[answered++] = (double)(now - connection->due_ns) / 1e3;
        freed_ns = idle_count == 0 ? now : freed_ns;
        idle[idle_count++] = connection;
    }
}

/* Takes what came; waits for it no longer than until `until_ns`. */
static void wait_until(uint64_t until_ns)
{
    struct epoll_event events[256];
    uint64_t now = now_ns();
    uint64_t rest = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(rest / 1000000000u), .tv_nsec = (long)(rest % 1000000000u)};
    int count = epoll_pwait2(poll_fd, events, 256, &timeout, NULL);

    if (count < 0 && errno != EINTR) {
        fail("epoll_pwait2", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        receive(events[i].data.ptr);
    }
}

/* Request i is due at begin + i x interval. Waiting for a free connection is no lag of ours. */
static void run(size_t total, double interval_ns)
{
    uint64_t begin = now_ns();

    while (answered < total) {
        uint64_t due = begin + (uint64_t)((double)sent * interval_ns);
        uint64_t now = now_ns();
        while (sent < total && due <= now && idle_count > 0) {
            uint64_t could_ns = due > freed_ns ? due : freed_ns;
            lags[sent] = now > could_ns ? (double)(now - could_ns) / 1e3 : 0;
            send_request(due);
            due = begin + (uint64_t)((double)sent * interval_ns);
        }
        bool starved = sent < total && due <= now;
        if (now > due + PATIENCE_S * 1000000000ull) {
            fail("the server", "does not answer");
        }
        wait_until(sent < total && !starved ? due : now + 100000000u);
    }
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;

    return (a > b) - (a < b);
}

static double part(const double *sorted, size_t count, double share)
{
    return sorted[(size_t)((double)(count - 1) * share)];
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fprintf(stderr, "usage: pace PORT RATE SECONDS CONNECTIONS PATH\n");
        return 64;
    }
    double rate = strtod(argv[2], NULL);
    double seconds = strtod(argv[3], NULL);
    long count = strtol(argv[4], NULL, 10);
    int bytes =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[5], argv[1]);
    size_t total = (size_t)(rate * seconds);
    if (total == 0 || count < 1 || count > CONNECTIONS_MAX || bytes >= (int)sizeof(request)) {
        fail("arguments", "no requests, too many connections, or a path too long");
    }
    request_bytes = (size_t)bytes;
    connections = calloc((size_t)count, sizeof(*connections));
    latencies = calloc(total, sizeof(double));
    lags = calloc(total, sizeof(double));
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    if (connections == NULL || latencies == NULL || lags == NULL || poll_fd < 0) {
        fail("start", strerror(errno));
    }
    for (long i = 0; i < count; i++) {
        open_connection(&connections[i], (uint16_t)strtoul(argv[1], NULL, 10));
    }
    uint64_t begin = now_ns();
    run(total, 1e9 / rate);
    double took = (double)(now_ns() - begin) / 1e9;
    qsort(latencies, total, sizeof(double), compare);
    qsort(lags, total, sizeof(double), compare);
    printf(
        "{\"asked_per_s\":%.0f,\"kept\":%.3f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f,"
        "\"own_lag_p50_us\":%.0f,\"own_lag_p99_us\":%.0f}\n",
        rate, (double)total / took / rate, part(latencies, total, 0.5), part(latencies, total, 0.99),
        part(latencies, total, 0.999), latencies[total - 1], part(lags, total, 0.5), part(lags, total, 0.99));
    return 0;
}
