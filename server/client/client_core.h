/* client_core: one core's part of the HTTP client: a multi handle in its loop. Internal to server/client.
 *
 * Invariants
 *  1. Everything belongs to the core's thread but the two stacks and the counters, which are atomic.
 *  2. Other code speaks to a core by pushing a transfer on one of the stacks; who pushes on an empty stack posts one
 *     look. A transfer is pushed on `arrivals` once, and then at most once on `cancels`.
 *  3. `multi` exists from the first transfer until the core had none for HTTP_CLIENT_IDLE_MS.
 *  4. In the list `running` are the transfers that libcurl has. When the node has stopped nobody is left to cancel:
 *     what is running or on a stack is let go of by the hook.
 */
#ifndef TROUPE_SERVER_CLIENT_CLIENT_CORE_H
#define TROUPE_SERVER_CLIENT_CLIENT_CORE_H

#include "server/client/http_client.h"
#include "server/metrics.h"

#include <curl/curl.h>
#include <uv.h>

struct transfer;
struct watch;

#define CLIENT_FDS_MAX 65536 /* descriptors beyond are not counted */

struct client_core {
    struct transfer *arrivals, *cancels;                      /* atomic: stacks */
    uint64_t started, finished, cancelled, connected, reused; /* atomic */
    int64_t transfers, connections;                           /* atomic */
    int index;
    bool up; /* its loop objects exist */
    uv_loop_t *loop;
    uv_timer_t timer; /* libcurl's */
    uv_timer_t idle;
    CURLM *multi;
    struct transfer *running;
    struct watch *watches;                     /* sockets in the loop */
    uint64_t established[CLIENT_FDS_MAX / 64]; /* bit fd: a connection that was counted */
};

struct client_metrics {
    metric_counter outcomes[HTTP_FAILURE_COUNT]; /* NONE: answered */
    metric_counter cancelled, connects, reuses;
    metric_histogram duration;
};

struct http_client {
    struct http_client_options options;
    struct client_core *cores;
    struct client_metrics metrics;
};

extern struct http_client http_client_the;

/** The core of the calling thread; NULL when there is no client or no loop. */
struct client_core *client_core_here(void);
/** A connection was made on fd, or is used again; fd is closed. libcurl closes some that never came so far without a
 *  word, which is why they are counted by descriptor. Context: the core's thread. */
void client_core_connected(struct client_core *core, curl_socket_t fd);
/** libcurl gets this socket for a new connection. Context: the core's thread. */
void client_core_opened(struct client_core *core, curl_socket_t fd);
void client_core_closed(struct client_core *core, curl_socket_t fd);
/** Hands a transfer to its core. Context: any thread. */
void client_core_begin(struct transfer *transfer);
/** Lets go of a transfer in the name of its process, whatever became of it. Context: any thread. */
void client_core_cancel(struct transfer *transfer);

/* Hooks. */
tr_err client_core_start(int index, uv_loop_t *loop, void *ctx);
void client_core_stop(int index, uv_loop_t *loop, void *ctx);

#endif
