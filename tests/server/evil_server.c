#include "tests/server/evil_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DRIP_MS = 20, HEAD_BYTES = 8192 };

static struct {
    int listening;
    pthread_t acceptor;
    atomic_bool over;
    atomic_uint requests;
    atomic_int connections;
} evil;

static bool say(int fd, const char *bytes, size_t count)
{
    while (count != 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0 || atomic_load(&evil.over)) {
            return false;
        }
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

static bool say_text(int fd, const char *text)
{
    return say(fd, text, strlen(text));
}

/* Until the client ends, or the test does. */
static bool wait_for_end(int fd, int ms)
{
    char byte;
    while (!atomic_load(&evil.over)) {
        struct pollfd poll_one = {.fd = fd, .events = POLLIN};
        int rang = poll(&poll_one, 1, ms);
        if (rang > 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
            return true;
        }
        if (rang == 0) {
            return false;
        }
    }
    return true;
}

static void stream(int fd, const char *head)
{
    static const char zeros[65536];
    bool goes_on = say_text(fd, head);
    for (size_t sent = 0; goes_on && sent < (size_t)300 << 20; sent += sizeof(zeros)) {
        goes_on = say(fd, zeros, sizeof(zeros));
    }
}

static void drip(int fd)
{
    bool goes_on = say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (goes_on && !wait_for_end(fd, DRIP_MS)) {
        goes_on = say(fd, "x", 1);
    }
}

static bool answer_bytes(int fd, const char *status, const char *body, size_t count)
{
    char head[256];
    snprintf(head, sizeof(head),
             "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nRetry-After: 7\r\nContent-Length: %zu\r\n\r\n",
             status, count);
    return say_text(fd, head) && say(fd, body, count);
}

/* Returns: is the connection kept. */
static bool serve(int fd, const char *path, const char *body, size_t body_bytes, unsigned before)
{
    if (strcmp(path, "/ok") == 0) {
        return answer_bytes(fd, "200 OK", "hello", 5);
    } else if (strcmp(path, "/once") == 0 && before == 0) {
        return answer_bytes(fd, "200 OK", "hello", 5);
    } else if (strcmp(path, "/echo") == 0) {
        return answer_bytes(fd, "200 OK", body, body_bytes);
    } else if (strncmp(path, "/status/", 8) == 0) {
        return answer_bytes(fd, path + 8, "", 0);
    } else if (strcmp(path, "/hang") == 0) {
        while (!wait_for_end(fd, 1000)) {
        }
    } else if (strcmp(path, "/cut") == 0) {
        (void)say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789");
    } else if (strcmp(path, "/huge") == 0) {
        stream(fd, "HTTP/1.1 200 OK\r\nContent-Length: 314572800\r\n\r\n");
    } else if (strcmp(path, "/endless") == 0) {
        stream(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    } else if (strcmp(path, "/garbage") == 0) {
        (void)say_text(fd, "\x01\x02 this is no HTTP at all\r\n\r\n");
    } else if (strcmp(path, "/drip") == 0) {
        drip(fd);
    }
    return false; /* /drop, and whatever else */
}

/* Reads one request with its body. Returns: false at the end. */
static bool read_request(int fd, char *head, char **body, size_t *body_bytes)
{
    size_t count = 0;
    char *end = NULL;
    while (end == NULL && count < HEAD_BYTES - 1) {
        ssize_t got = recv(fd, head + count, HEAD_BYTES - 1 - count, 0);
        if (got <= 0) {
            return false;
        }
        count += (size_t)got;
        head[count] = '\0';
        end = strstr(head, "\r\n\r\n");
        if (head[0] < 'A') { /* no HTTP: TLS, say */
            return false;
        }
    }
    const char *length = end == NULL ? NULL : strstr(head, "Content-Length: ");
    *body_bytes = length == NULL ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    *body = malloc(*body_bytes + 1);
    size_t have = end == NULL ? 0 : count - (size_t)(end + 4 - head);
    have = have > *body_bytes ? *body_bytes : have;
    memcpy(*body, end == NULL ? head : end + 4, have);
    while (have < *body_bytes) {
        ssize_t got = recv(fd, *body + have, *body_bytes - have, 0);
        if (got <= 0) {
            free(*body);
            return false;
        }
        have += (size_t)got;
    }
    return end != NULL;
}

static void *serve_connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char head[HEAD_BYTES];
    char path[256];
    char *body = NULL;
    size_t body_bytes = 0;
    unsigned before = 0;
    bool kept = true;
    while (kept && read_request(fd, head, &body, &body_bytes)) {
        atomic_fetch_add(&evil.requests, 1U);
        kept = sscanf(head, "%*s %255s", path) == 1 && serve(fd, path, body, body_bytes, before++);
        free(body);
    }
    close(fd);
    atomic_fetch_sub(&evil.connections, 1);
    return NULL;
}

static void *accept_all(void *arg)
{
    (void)arg;
    while (!atomic_load(&evil.over)) {
        int fd = accept(evil.listening, NULL, NULL);
        pthread_t thread;
        if (fd < 0) {
            continue;
        }
        struct timeval patience = {.tv_sec = 1};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 20}, sizeof(patience));
        atomic_fetch_add(&evil.connections, 1);
        if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) != 0) {
            abort();
        }
        pthread_detach(thread);
    }
    return NULL;
}

uint16_t evil_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    atomic_store(&evil.over, false);
    atomic_store(&evil.requests, 0U);
    evil.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(evil.listening, (struct sockaddr *)&address, bytes) != 0 || listen(evil.listening, 1024) != 0 ||
        getsockname(evil.listening, (struct sockaddr *)&address, &bytes) != 0 ||
        pthread_create(&evil.acceptor, NULL, accept_all, NULL) != 0) {
        abort();
    }
    return ntohs(address.sin_port);
}

void evil_stop(void)
{
    atomic_store(&evil.over, true);
    shutdown(evil.listening, SHUT_RDWR);
    pthread_join(evil.acceptor, NULL);
    close(evil.listening);
    while (atomic_load(&evil.connections) != 0) { /* the runner's time limit bounds this */
        usleep(1000);
    }
}

unsigned evil_requests(void)
{
    return atomic_load(&evil.requests);
}

int evil_connections(void)
{
    return atomic_load(&evil.connections);
}
