#include "server/healthcheck.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the socket.   Returns: false when the time is up. */
static bool ready(int fd, short events, int64_t until)
{
    for (;;) {
        int64_t left = until - now_ms();
        struct pollfd waiting = {.fd = fd, .events = events};
        int n = left > 0 ? poll(&waiting, 1, (int)left) : 0;
        if (n > 0 || (n < 0 && errno != EINTR)) {
            return n > 0;
        }
        if (n == 0) {
            errno = ETIMEDOUT;
            return false;
        }
    }
}

static const char *aim_at_loopback(struct settings_listener *target)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&target->address.storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target->address.storage;
    in_port_t port = 1;
    if (target->address.any.sa_family == AF_INET) {
        port = v4->sin_port;
        v4->sin_addr.s_addr =
            v4->sin_addr.s_addr == htonl(INADDR_ANY) ? htonl(INADDR_LOOPBACK) : v4->sin_addr.s_addr;
    } else if (target->address.any.sa_family == AF_INET6) {
        port = v6->sin6_port;
        v6->sin6_addr = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) ? in6addr_loopback : v6->sin6_addr;
    }
    return port == 0 ? "port 0 is chosen by the system at start, so it is not known here" : NULL;
}

static bool connected(int fd, const struct settings_listener *target, int64_t until)
{
    if (connect(fd, &target->address.any, target->address_bytes) == 0) {
        return true;
    }
    int failure = 0;
    socklen_t bytes = sizeof failure;
    if (errno != EINPROGRESS || !ready(fd, POLLOUT, until) ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &bytes) != 0) {
        return false;
    }
    errno = failure;
    return failure == 0;
}

static bool send_request(int fd, int64_t until)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                  "User-Agent: trouped-healthcheck\r\n\r\n";
    size_t sent = 0;
    while (sent < sizeof request - 1) {
        ssize_t n = send(fd, request + sent, sizeof request - 1 - sent, MSG_NOSIGNAL);
        if (n > 0) {
            sent += (size_t)n;
        } else if (errno != EINTR && (errno != EAGAIN || !ready(fd, POLLOUT, until))) {
            return false;
        }
    }
    return true;
}

/* The first bytes of the answer are enough.   Returns: how many there are. */
static size_t receive_status(int fd, char *status, size_t wanted, int64_t until)
{
    size_t got = 0;
    while (got < wanted) {
        ssize_t n = recv(fd, status + got, wanted - got, 0);
        if (n > 0) {
            got += (size_t)n;
        } else if (n == 0 || (errno != EINTR && (errno != EAGAIN || !ready(fd, POLLIN, until)))) {
            errno = n == 0 ? ECONNRESET : errno;
            break;
        }
    }
    return got;
}

int healthcheck(const struct settings_listener *listener, char *problem, size_t problem_bytes)
{
    int64_t until = now_ms() + HEALTHCHECK_MS;
    struct settings_listener target = *listener;
    char status[13] = "";
    const char *impossible = aim_at_loopback(&target);
    if (impossible != NULL) {
        snprintf(problem, problem_bytes, "%s", impossible);
        return -1;
    }
    int fd = socket(target.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    size_t wanted = sizeof "HTTP/1.1 200" - 1;
    bool answered = fd >= 0 && connected(fd, &target, until) && send_request(fd, until) &&
                    receive_status(fd, status, wanted, until) == wanted;
    int saved = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (!answered) {
        snprintf(problem, problem_bytes, "no answer from /healthz: %s", strerror(saved));
        return -1;
    }
    if (strncmp(status, "HTTP/1.", 7) != 0 || strcmp(status + 8, " 200") != 0) {
        snprintf(problem, problem_bytes, "/healthz did not answer 200");
        return -1;
    }
    return 0;
}
