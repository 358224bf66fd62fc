/* What is noted of a finished request: access log and metrics. */
#include <arpa/inet.h>
#include <stdio.h>

#include "server/http/core.h"
#include "server/log.h"

static const char *client_text(const struct http_request *request, char *out, size_t bytes)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || info->client_addr == NULL) {
        return NULL;
    }
    const struct sockaddr *address = info->client_addr;
    if (address->sa_family == AF_INET) {
        return inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, out,
                         (socklen_t)bytes);
    }
    if (address->sa_family == AF_INET6) {
        return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, out,
                         (socklen_t)bytes);
    }
    return "unix";
}

static void write_line(const struct http_request *request, const struct answer *answer, int64_t duration_ns)
{
    char id[REQUEST_ID_BYTES_MAX + 1];
    char client[INET6_ADDRSTRLEN];
    char path[512];
    char trace[33];
    snprintf(id, sizeof(id), "%.*s", (int)request->id.count, request->id.bytes);
    snprintf(path, sizeof(path), "%.*s", (int)request->target.path.count, request->target.path.bytes);
    snprintf(trace, sizeof(trace), "%016llx%016llx", (unsigned long long)request->trace.trace_high,
             (unsigned long long)request->trace.trace_low);
    log_access(
        &(struct log_access){.request_id = id,
                             .method = request->guard.method,
                             .path = request->target.raw.bytes == NULL ? NULL : path,
                             .route = request->match.route == NULL ? NULL : request->match.route->pattern,
                             .client = client_text(request, client, sizeof(client)),
                             .trace_id = request->trace.continued ? trace : NULL,
                             .code = answer->code == PROBLEM_NONE ? NULL : problem_code_text(answer->code),
                             .status = (int)answer->status,
                             .duration_ns = duration_ns,
                             .request_bytes = request->body_bytes,
                             .response_bytes = answer->body_bytes});
}

void request_log(struct http_request *request, bool completed)
{
    struct listener *listener = request->core->listener;
    const struct answer *answer = request->own != NULL ? request->own : &request->answer;
    if (request->client_gone || (request->state != EXCHANGE_QUEUED && request->state != EXCHANGE_EARLY)) {
        return; /* the client left before it was answered */
    }
    (void)completed;
    int64_t duration_ns = (int64_t)tr_now_ns() - request->started_ns;
    metric_count(listener->metrics.requests[answer->status / 100 % 6], 1);
    if (answer->code != PROBLEM_NONE) {
        metric_count(listener->metrics.problems[answer->code], 1);
    }
    bool waited = request->parked || answer->events != NULL; /* as it was asked to: that is not slow */
    if (!waited) {
        metric_observe(listener->metrics.duration, (uint64_t)(duration_ns < 0 ? 0 : duration_ns));
    }
    if (log_access_wanted((int)answer->status, waited ? 0 : duration_ns)) {
        write_line(request, answer, duration_ns);
    }
}
