/* The ruler of ./dev bench: a program of nothing but libmicrohttpd that answers with the bytes that a rate-limit check answers with, and
 * on the path of a batch with those of a batch of 100. A body is taken in and forgotten. One response object of each kind for ever, one
 * thread a worker, each with its own epoll: the least that the library can do.
 *
 *     bare PORT WORKERS pool|loops      pool: libmicrohttpd's own threads; loops: a daemon a thread on SO_REUSEPORT sockets
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char decision[] =
    "{\"allowed\":true,\"policy\":\"bench\",\"key\":\"key-00001\",\"cost\":1,\"limit\":2000000000,"
    "\"remaining\":1999999999,\"retry_after_ms\":0,\"reset_ms\":1}";

struct answers {
    struct MHD_Response *check;
    struct MHD_Response *batch;
};

static struct MHD_Response *json_response(char *body, size_t bytes)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "X-Request-Id", "3c6e0b8a9c15224a8228b9a98ca1531d");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    return response;
}

static void answers_init(struct answers *answers)
{
    static char text[64 + 100 * sizeof(decision)];
    size_t bytes = (size_t)snprintf(text, sizeof(text), "%s", decision);
    answers->check = json_response(text, bytes);
    MHD_add_response_header(answers->check, "RateLimit-Policy", "\"bench\";q=2000000000;w=1");
    MHD_add_response_header(answers->check, "RateLimit", "\"bench\";r=1999999999;t=0");
    bytes = (size_t)snprintf(text, sizeof(text), "{\"allowed\":true,\"results\":[");
    for (int i = 0; i < 100; i++) {
        bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes, "%s%s", i == 0 ? "" : ",", decision);
    }
    bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes, "]}");
    answers->batch = json_response(text, bytes);
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **con_cls)
{
    const struct answers *answers = cls;

    (void)method;
    (void)version;
    (void)upload;
    if (*con_cls == NULL) { /* a reply to the first call would close the connection */
        *con_cls = strcmp(url, "/v1/rate-limits/check") == 0 ? answers->batch : answers->check;
        return MHD_YES;
    }
    if (*upload_bytes > 0) {
        *upload_bytes = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, 200, *con_cls);
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0) {
        perror("bare: listen");
        exit(1);
    }
    return fd;
}

static void *loop(void *arg)
{
    struct MHD_Daemon *daemon = arg;
    for (;;) {
        MHD_run_wait(daemon, 1000);
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    if (argc != 4) {
        fprintf(stderr, "usage: bare PORT WORKERS pool|loops\n");
        return 64;
    }
    struct answers answers;
    answers_init(&answers);
    uint16_t port = (uint16_t)atoi(argv[1]);
    unsigned workers = (unsigned)atoi(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[3], "pool") == 0) {
        struct MHD_Daemon *daemon = MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, &answers, MHD_OPTION_LISTEN_SOCKET,
            listen_on(port), MHD_OPTION_THREAD_POOL_SIZE, workers > 1 ? workers : 0,
            MHD_OPTION_CONNECTION_LIMIT, 4096, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)8192,
            MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
        if (daemon == NULL) {
            return 1;
        }
    } else {
        for (unsigned i = 0; i < workers; i++) {
            struct MHD_Daemon *daemon = MHD_start_daemon(
                MHD_USE_EPOLL, 0, NULL, NULL, answer, &answers, MHD_OPTION_LISTEN_SOCKET, listen_on(port),
                MHD_OPTION_CONNECTION_LIMIT, 4096, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)8192,
                MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
            pthread_t thread;
            if (daemon == NULL || pthread_create(&thread, NULL, loop, daemon) != 0) {
                return 1;
            }
        }
    }
    pause();
    return 0;
}
