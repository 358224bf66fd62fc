/* core: one core's part of the listener: its daemon, connections, requests by number, deadlines. Internal to
 * server/http.
 *
 * Invariants
 *   1. Everything here belongs to the core's thread, except the counters marked atomic.
 *   2. `waiting` counts requests whose handler has run and that libmicrohttpd will ask for again at its next
 *      run: while it is not 0, the daemon is run again at once, and the core does not sleep. A request
 *      that was asked for in vain a few times is suspended.
 *   3. A connection has one deadline at a time: for its first request, its headers, its body, its answer to
 *      be read, or its
 *      next request. While it waits for an answer it has none, its request has. libmicrohttpd's own time-outs
 *      are off.
 *   4. `listener.connections` counts from before the accept to the end; over max_connections nobody accepts.
 *      A core that
 *      stopped accepting for that (or for want of descriptors) is `deaf`; whoever frees a place wakes all
 *      deaf cores, and
 *      their ticks look again, in case that was not what they were short of.
 *   5. A process in `watched` is monitored by the port, under its index as number; it leaves with its DOWN, which
 *      is then the answer of all that asked it (watch.c).
 *   6. A request asked for in the name of a port that died is answered 503 when the next port opens.
 */
#ifndef TROUPE_SERVER_HTTP_CORE_H
#define TROUPE_SERVER_HTTP_CORE_H

#include "server/http/date.h"
#include "server/http/exchange.h"
#include "server/http/listener.h"
#include "server/http/peer.h"
#include "server/metrics.h"

#include <pthread.h>

#define LISTENERS_MAX 16
#define WATCHES_MAX   256

#define HOST_KNOWN_BYTES 64

/* Of a connection's memory: what the head of an answer needs, which libmicrohttpd takes from where the request's head
 * still is (it closes without an answer when that is too little), and what it notes of each field. */
#define ANSWER_HEAD_BYTES 1024
#define FIELD_NOTE_BYTES  64

struct request_slot {
    struct http_request *request;
    uint32_t generation;
    uint32_t next_free;
};

enum host_kind { HOST_UNJUDGED, HOST_LOOPBACK, HOST_FOREIGN };

struct connection {
    struct connection *next, *prev;
    struct http_core *core;
    struct MHD_Connection *mhd;
    int fd;
    int64_t started_ms;
    int64_t deadline_ms; /* INT64_MAX: none */
    uint64_t requests;
    struct peer_address from; /* as limited by max_connections_per_ip */
    bool loopback;            /* came in on a loopback or unix listener */
    bool is_unix;
    bool fresh;      /* no request line was read yet */
    bool unseen_end; /* the peer's end may have come with its last bytes: look once */
    bool cut;
    /* The last well-formed Host: a client sends the same one again and again. */
    uint8_t host_count;
    char host[HOST_KNOWN_BYTES];
    enum host_kind host_kind;
};

struct ear {
    uv_poll_t poll;
    struct http_core *core;
    int fd;
    bool loopback, is_unix, open;
    bool live;      /* poll is a handle of the loop */
    unsigned dealt; /* unix: connections so far */
};

struct http_core {
    struct listener *listener;
    int index;
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t tick;
    bool ready;                  /* libmicrohttpd has something to do */
    unsigned tick_ms;            /* what the tick is set to; 0: off */
    bool up;                     /* loop objects exist */
    bool stopping;               /* the node stops: nobody is left to ask */
    int64_t now_ns, now_ms;      /* at the beginning of the daemon's last run */
    int64_t connections_due_ms;  /* not to look at their deadlines before */
    int64_t connections_next_ms; /* the earliest deadline, as of the last look */
    bool touched;                /* deadlines were set since */
    struct ear ears[LISTENERS_MAX];
    size_t ear_count;
    tr_pid port;        /* whom calls are sent from; TR_NO_PID before the first one opened */
    uint32_t accepting; /* atomic */
    uint32_t deaf;      /* atomic: ears are shut until a place is free */
    struct connection *connections;
    struct connection accepted; /* facts about the connection being added, for the notify callback */
    struct http_request *free_requests;
    unsigned free_count;
    struct request_slot *slots;
    uint32_t slot_count, slot_free;
    tr_pid watched[WATCHES_MAX + 1]; /* TR_NO_PID: free; 0 stays free */
    struct http_request *pending;
    struct http_request *resume;
    struct http_request *streams;
    unsigned waiting;
    unsigned suspended;
    unsigned unsent; /* answers that libmicrohttpd has and the client may not have yet */
    struct request_id_source ids;
    struct http_date date; /* at the beginning of the daemon's last run */
};

struct http_metrics {
    metric_counter requests[6]; /* by first digit of the status */
    metric_counter problems[PROBLEM_CODES_COUNT];
    metric_histogram duration;
    metric_counter connections, refused_connections, cut_connections, timeouts, overloaded, bytes_in;
};

struct listener {
    const struct settings *settings;
    const struct router *router;
    struct http_core *cores;
    int core_count;
    bool open_access;    /* no tokens configured */
    bool host_checked;   /* foreign Hosts are refused on loopback */
    uint32_t draining;   /* atomic */
    uint32_t closing;    /* atomic */
    int64_t connections; /* atomic: all cores */
    int64_t inflight;    /* atomic: all cores */
    int64_t held;        /* atomic: all cores; bytes of bodies and their JSON */
    int opened;          /* atomic: cores that accept */
    void (*on_open)(void *ctx);
    void *on_open_ctx;
    struct peer_limit *per_ip; /* NULL: no limit */
    struct http_metrics metrics;
};

void listener_core_opened(struct listener *listener);

/** Streams: who has left, who is to hear a comment, the end of all when the service stops. */
void streams_tick(struct http_core *core, int64_t now_ms);
void streams_stop(struct http_core *core);

/** Runs the daemon once. */
void http_core_run(struct http_core *core);
/** The absent text before the first request. */
static inline struct text connection_host(const struct connection *connection)
{
    return (struct text){.bytes = connection->host_count == 0 ? NULL : connection->host,
                         .count = connection->host_count};
}

/** For an answer to be read; timeout_ms below 0: none, there is no answer yet. */
void connection_deadline(struct connection *connection, int64_t timeout_ms);
/** For the next bytes of the client. */
void connection_listens(struct connection *connection, int64_t timeout_ms);
void connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                       enum MHD_ConnectionNotificationCode code);
void connections_tick(struct http_core *core, int64_t now_ms);
void tick_wanted(struct http_core *core);
/** Expires requests whose deadline has passed. */
void pending_tick(struct http_core *core, int64_t now_ms);
/** Answers 503 to those that wait for a process they asked through a port that is gone. */
void pending_port_died(struct http_core *core);
/** The index under which a process is watched, beginning now if need be; 0: it cannot be, call it. */
uint32_t watch_of(struct http_core *core, tr_pid pid);
/** A watched process ended. */
void watch_down(struct http_core *core, uint64_t number, tr_term reason);
/** The port they were monitored by is gone. */
void watches_forget(struct http_core *core);
/** Answers 503 to all: the node stops. */
void pending_stop(struct http_core *core);
/** Begins, or goes on, to accept, unless the listener closes. */
void ears_open(struct http_core *core);
void ears_close(struct http_core *core);
/** A place of max_connections is free again: wakes the cores that are deaf. Context: a core's thread. */
void connection_uncount(struct listener *listener);
/** Access log and metrics of a finished request. */
void request_log(struct http_request *request, bool completed);

/* Hooks (tr_core_hooks). */
tr_err http_core_start(int index, uv_loop_t *loop, void *ctx);
bool http_core_before(int index, void *ctx);
bool http_core_after(int index, void *ctx);
void http_core_stop(int index, uv_loop_t *loop, void *ctx);

#endif
