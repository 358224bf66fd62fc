/* http_client: outgoing HTTP for processes, in direct style: one call parks its process and comes back with the answer.
 *
 *     process                          core (its thread, between turns and in its loop)
 *     http_client_run -- transfer ---> multi handle of the core: connect, send, receive
 *          | parked                         |
 *          +<------ message: the reply -----+ done, failed, too large, or time is up
 *     killed ------- cancel ---------> taken out of the multi handle, its connection closed
 *
 * Invariants
 *  1. libcurl runs on the thread that holds the core, never on a process's stack, and never from one of libcurl's own
 *     callbacks. A transfer belongs to the core its process ran on when it called; it stays there.
 *  2. A transfer owns copies of all that was asked, and the buffer that is being filled. Nothing of libcurl points
 *     into a stack or into a process's memory, so a process may be killed at any moment.
 *  3. Two sides hold a transfer: its process (a resource) and its core. Who lets go last frees it. The end of the
 *     process cancels: the connection is closed at the core's next turn, and nothing waits for a resolver's thread.
 *  4. An address that may not be reached is refused where it counts: at the socket, after the name was resolved, and
 *     once more before a kept connection is used.
 *  5. `may_have_been_sent` is false only when libcurl never came to the point of sending: no byte of the request has
 *     reached the peer. A request that is not repeatable is never sent twice: it gets a connection of its own, as
 *     libcurl sends again what a kept connection that turned out dead did not answer.
 *  6. A core without transfers for HTTP_CLIENT_IDLE_MS closes all of its kept connections.
 *
 * HTTP/1.1, and 2 where TLS offers it. http and https only; redirects are answers like any other; no proxy, no
 * .netrc, no cookies, no decompression; certificates are judged by the system's authorities.
 *
 * Life cycle: http_client_setup() before the node starts, its hooks in tr_node_opts, http_client_teardown() after the
 * node stopped. SIGPIPE must be ignored by the program.
 * Limits: HTTP_CLIENT_HEADERS_MAX fields, 64 KiB of answer headers, connections and transfers as set up.
 */
#ifndef TROUPE_SERVER_CLIENT_HTTP_CLIENT_H
#define TROUPE_SERVER_CLIENT_HTTP_CLIENT_H

#include <troupe/troupe.h>

#define HTTP_CLIENT_HEADERS_MAX        32
#define HTTP_CLIENT_URL_BYTES_MAX      8192
#define HTTP_CLIENT_IDLE_MS            15000
#define HTTP_CLIENT_CONTENT_TYPE_BYTES 128
#define HTTP_CLIENT_DATE_BYTES         64
#define HTTP_CLIENT_DETAIL_BYTES       160

/* One field of a request. Both are visible ASCII or blanks; the name is a token. */
struct http_call_header {
    const char *name;
    const char *value;
};

/* What is asked. Borrowed until the call returns; all of it is copied before the process parks. */
struct http_call {
    const char *method; /* NULL: GET */
    const char *url;    /* absolute, http or https, without user information */
    const struct http_call_header *headers;
    size_t header_count;
    const void *body; /* NULL: none. Say its Content-Type in a header */
    size_t body_bytes;
    int64_t timeout_ms;         /* for the whole; needed, at least 1 */
    int64_t connect_timeout_ms; /* of it, for name, connection and TLS; 0: the whole */
    size_t response_max_bytes;  /* of the answer's body; 0: 1 MiB */
    bool private_allowed;       /* the address is the operator's: private, loopback and local ones are fine */
    bool repeatable; /* harmless when done twice (it carries an idempotency key, say). GET, HEAD, PUT, DELETE
                                   and OPTIONS always are */
    const char *unix_path; /* connect to this socket instead; needs private_allowed */
};

/* Why there is no answer: enumerator, word for logs and bodies, text. */
#define HTTP_FAILURES(X)                                                        \
    X(NONE, "none", "there is an answer")                                       \
    X(RESOLVE, "resolve", "the name could not be resolved")                     \
    X(CONNECT, "connect", "no connection could be made")                        \
    X(TLS, "tls", "TLS failed, or the certificate is not trusted")              \
    X(TIMEOUT, "timeout", "time was up")                                        \
    X(LOST, "lost", "the connection ended early, or what came is no HTTP")      \
    X(TOO_LARGE, "too_large", "the answer is larger than what is wanted")       \
    X(REFUSED_PRIVATE, "refused_private", "the address is private or reserved") \
    X(BAD_URL, "bad_url", "the URL cannot be asked for")                        \
    X(NO_MEMORY, "no_memory", "out of memory")

enum http_failure {
#define HTTP_FAILURE_ENUM(name, word, text) HTTP_FAILURE_##name,
    HTTP_FAILURES(HTTP_FAILURE_ENUM)
#undef HTTP_FAILURE_ENUM
        HTTP_FAILURE_COUNT
};

/* Microseconds since the transfer began; 0: it did not get there. */
struct http_timings {
    int64_t resolved_us, connected_us, first_byte_us, total_us;
    bool reused; /* a connection that was kept */
};

struct http_reply {
    enum http_failure failure;
    bool may_have_been_sent; /* see invariant 5; true for every answer */
    unsigned status;         /* 100..999; 0: no answer */
    tr_blob
        *body; /* the process's until http_reply_release or its end; NULL: empty. To keep it longer: retain it
                                where a message holds it */
    int64_t retry_after_ms;                            /* -1: the answer named none (seconds or a date) */
    char content_type[HTTP_CLIENT_CONTENT_TYPE_BYTES]; /* "": none, or longer than this */
    char date[HTTP_CLIENT_DATE_BYTES];                 /* "": none */
    char detail[HTTP_CLIENT_DETAIL_BYTES];             /* for logs, when it failed; never shown to clients */
    struct http_timings timings;
    tr_msg *held; /* what the memory of this belongs to */
};

/** Runs one exchange and waits for its end.
 *  Fills *reply whenever it returns TR_OK, also when the exchange failed: look at reply->failure first, then at status.
 *  Errors: TR_E_BADARG (a method, field or number that cannot be sent; a bad URL is a failure of the reply), TR_E_LIMIT
 *  (too many transfers on this core; nothing was sent), TR_E_STATE (no client was set up, or the node runs in virtual
 *  time). Blocks: parks the calling process, at most timeout_ms and a little. Context: process. */
TR_MUST_CHECK tr_err http_client_run(const struct http_call *call, struct http_reply *reply);

/** Gives back the memory of a reply before its process ends; the reply is empty afterwards. */
void http_reply_release(struct http_reply *reply);

/** The word of a failure ("timeout"), and what it means. Static. Context: anywhere. */
const char *http_failure_word(enum http_failure failure);
const char *http_failure_text(enum http_failure failure);

/** Can this URL be asked for? (Form only: nothing is resolved.) why: a static sentence when not.
 *  Blocks: no. Context: any thread; a process should have 8 KiB of stack left. */
bool http_client_url_ok(const char *url, const char **why);

struct http_client_options {
    int cores;                     /* as many as the node has workers */
    uint32_t connections_max;      /* open at a time, over all cores; 0: 1024 */
    uint32_t connections_per_host; /* of them to one host and port; 0: 512 */
    uint32_t transfers_max;        /* running or waiting for a connection, a core; 0: 10000 */
    const char *user_agent;        /* static; NULL: none is sent */
};

/** Prepares libcurl and what each core needs, and registers the metrics troupe_client_*. Errors: TR_E_NOMEM,
 *  TR_E_STATE (libcurl does not start, or this was done). Context: main thread, before the node. */
TR_MUST_CHECK tr_err http_client_setup(const struct http_client_options *options);
/** The client's part in the turns of the node's cores. */
tr_core_hooks http_client_hooks(void);
/** After tr_node_stop. */
void http_client_teardown(void);

/** Numbers for tests and metrics, over all cores; a moment old. Context: any thread. */
struct http_client_stats {
    uint64_t started, finished, cancelled, connected, reused;
    int64_t transfers;   /* under way */
    int64_t connections; /* open sockets */
};
void http_client_stats_get(struct http_client_stats *out);

#endif
