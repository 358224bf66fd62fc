#include "tests/server/mhd_pair.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct request {
    struct mhd_pair *pair;
    struct guard guard;
    struct http_target target;
    struct mhd_pair_seen *seen;
    bool checked;
    char buffer[HTTP_TARGET_BUFFER(4096)];
};

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    struct request *request = calloc(1, sizeof(*request));
    size_t bytes = strlen(uri);
    if (request == NULL) {
        abort();
    }
    request->pair = cls;
    guard_on_uri(&request->guard, uri, bytes);
    (void)http_target_parse(&request->target, (struct text){uri, bytes > 4096 ? 4096 : bytes},
                            request->buffer);
    return request;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(2, (void *)"ok", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct mhd_pair_seen *note(struct request *request)
{
    struct mhd_pair *pair = request->pair;
    struct mhd_pair_seen *seen = &pair->seen[pair->seen_count % MHD_PAIR_SEEN_MAX];
    pair->seen_count++;
    *seen = (struct mhd_pair_seen){.verdict = request->guard.verdict,
                                   .header_count = request->guard.header_count};
    (void)snprintf(seen->target, sizeof(seen->target), "%.*s", (int)request->target.raw.count,
                   request->target.raw.bytes);
    if (request->target.param_count > 0) {
        struct text value = request->target.params[0].value;
        (void)snprintf(seen->first_param, sizeof(seen->first_param), "%.*s", (int)value.count, value.bytes);
    }
    return seen;
}

static enum MHD_Result on_call(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *body, size_t *body_bytes,
                               void **state)
{
    struct mhd_pair *pair = cls;
    struct request *request = *state;
    (void)url;
    (void)body;
    if (!request->checked) {
        request->checked = true;
        enum guard_verdict verdict = guard_check(&request->guard, connection, method, version);
        request->seen = note(request);
        if (pair->on_guard != NULL) {
            pair->on_guard(pair->on_guard_cls, &request->guard);
        }
        return verdict == GUARD_OK ? MHD_YES : answer(connection, problem_status(guard_problem(verdict)));
    }
    if (*body_bytes > 0) {
        request->seen->body_bytes += *body_bytes;
        *body_bytes = 0;
        return MHD_YES;
    }
    request->seen->answered = true;
    return answer(connection, 200);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    (void)cls;
    (void)connection;
    (void)why;
    free(*state);
    *state = NULL;
}

static void swallow_log(void *cls, const char *format, va_list arguments)
{
    (void)cls;
    (void)format;
    (void)arguments;
}

bool mhd_pair_start(struct mhd_pair *pair)
{
    pair->seen_count = 0;
    pair->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_call,
                         pair, MHD_OPTION_EXTERNAL_LOGGER, swallow_log, NULL, MHD_OPTION_URI_LOG_CALLBACK,
                         on_uri, pair, MHD_OPTION_UNESCAPE_CALLBACK, guard_unescape, NULL,
                         MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    return pair->daemon != NULL;
}

void mhd_pair_stop(struct mhd_pair *pair)
{
    MHD_stop_daemon(pair->daemon);
    pair->daemon = NULL;
}

int mhd_pair_connect(struct mhd_pair *pair)
{
    int ends[2];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    if (MHD_add_connection(pair->daemon, ends[1], (const struct sockaddr *)&address, sizeof(sa_family_t)) !=
        MHD_YES) {
        close(ends[0]);
        return -1;
    }
    return ends[0];
}

void mhd_pair_run(struct mhd_pair *pair)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    for (int turn = 0; turn < 1000; turn++) {
        (void)MHD_run(pair->daemon);
        /* Two quiet turns: what became ready in this one is seen in the next. */
        if (turn > 1 && (MHD_get_timeout(pair->daemon, &timeout) != MHD_YES || timeout != 0)) {
            return;
        }
    }
}

void mhd_pair_send(struct mhd_pair *pair, int fd, const char *bytes, size_t count, size_t piece)
{
    size_t sent = 0;
    while (sent < count) {
        size_t step = count - sent < piece ? count - sent : piece;
        ssize_t written = send(fd, bytes + sent, step, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN) {
            return; /* the server has closed, as it does after a refusal */
        }
        sent += written < 0 ? 0 : (size_t)written;
        mhd_pair_run(pair);
    }
    mhd_pair_run(pair);
}

size_t mhd_pair_receive(int fd, char *buffer, size_t bytes, bool *closed)
{
    size_t count = 0;
    *closed = false;
    while (count < bytes - 1) {
        ssize_t got = recv(fd, buffer + count, bytes - 1 - count, 0);
        if (got <= 0) {
            *closed = got == 0 || errno == ECONNRESET;
            break;
        }
        count += (size_t)got;
    }
    buffer[count] = '\0';
    return count;
}
