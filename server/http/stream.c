/* Streams of server-sent events: answers whose body is made while the client reads it.
 *
 * libmicrohttpd asks for the next bytes when the ones before have left. With nothing to tell the connection is suspended
 * (`dry`), and resumed by a wake, a heartbeat, the client's end or the service's: so a stream holds no bytes but those of
 * one piece, a client that does not read has the time that readers of answers have, and a quiet one costs a look a
 * second. Everything here runs on the core's thread. */
#include "server/http/core.h"

#include <string.h>

#define STREAM_BLOCK_BYTES 1024 /* of HTTP/1.0; else pieces are of the connection's memory */
#define STREAM_LOOK_MS     1000
#define HEARTBEAT_MS       15000

static const struct text heartbeat = {.bytes = ": still here\n\n", .count = 14};

static void stream_add(struct http_request *request)
{
    struct http_core *core = request->core;
    request->streaming = true;
    request->told_ms = core->now_ms;
    request->look_ms = core->now_ms + STREAM_LOOK_MS;
    request->stream_prev = NULL;
    request->stream_next = core->streams;
    if (core->streams != NULL) {
        core->streams->stream_prev = request;
    }
    core->streams = request;
}

void stream_remove(struct http_request *request)
{
    if (!request->streaming) {
        return;
    }
    request->streaming = false;
    if (request->stream_prev != NULL) {
        request->stream_prev->stream_next = request->stream_next;
    } else {
        request->core->streams = request->stream_next;
    }
    if (request->stream_next != NULL) {
        request->stream_next->stream_prev = request->stream_prev;
    }
}

static size_t next_bytes(struct http_request *request, char *out, size_t room)
{
    size_t count = request->answer.events(request, out, room);
    if (count == 0 && request->beat && room >= heartbeat.count) {
        (void)text_put(out, heartbeat);
        count = heartbeat.count;
    }
    request->beat = false;
    return count;
}

static ssize_t stream_read(void *cls, uint64_t position, char *out, size_t room)
{
    (void)position;
    struct http_request *request = cls;
    struct http_core *core = request->core;
    if (request->stream_end || core->stopping) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t count = next_bytes(request, out, room);
    if (count == 0) {
        connection_deadline(request->peer, -1);
        request->dry = true;
        core->suspended++;
        MHD_suspend_connection(request->connection);
        return 0;
    }
    connection_deadline(request->peer, core->listener->settings->body_timeout_ms);
    request->told_ms = core->now_ms;
    request->answer.body_bytes += count;
    return (ssize_t)count;
}

struct MHD_Response *stream_response(struct http_request *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_read, request, NULL);
    if (response != NULL) {
        stream_add(request);
    }
    return response;
}

void http_events_wake(struct http_request *request)
{
    if (request->dry && !request->resuming) {
        request->resuming = true;
        request->resume_next = request->core->resume;
        request->core->resume = request;
    }
}

static void end(struct http_request *request)
{
    request->stream_end = true;
    http_events_wake(request);
}

void streams_stop(struct http_core *core)
{
    for (struct http_request *request = core->streams; request != NULL; request = request->stream_next) {
        end(request);
    }
}

void streams_tick(struct http_core *core, int64_t now_ms)
{
    if (__atomic_load_n(&core->listener->draining, __ATOMIC_RELAXED) != 0) {
        streams_stop(core);
        return;
    }
    for (struct http_request *request = core->streams; request != NULL; request = request->stream_next) {
        if (!request->dry || now_ms < request->look_ms) {
            continue;
        }
        request->look_ms = now_ms + STREAM_LOOK_MS;
        if (client_left(request)) {
            end(request);
        } else if (now_ms - request->told_ms >= HEARTBEAT_MS) {
            request->beat = true;
            http_events_wake(request);
        }
    }
}
