/* exchange: one request on its way: the struct behind http_request, and a core's part of the listener.
 * Internal to server/http.
 *
 *     URI read        headers complete        body pieces       last call            processes ran
 *   exchange_new -> exchange_head (judged) -> collected -> handler -> WAITING --> answered: queued, done
 *                                                                      | or SUSPENDED -> answered: resumed,
 *                                                                      queued
 *                                                                      +-- deadline: answered by the timeout
 *                                                                      function
 * Invariants
 *   1. Only the core's thread touches a request until http_request_spawn; then its process owns `answer` and
 *      `arena` until
 *      its end is posted back to the core, and the core only waits, answers with `own` at the deadline, or
 *      lets go. Who
 *      speaks is told by `job_pid`: whoever is not that process is the core.
 *   2. A request's number is (slot, generation, tag); a slot is in use from the handler's call to the answer.
 *      Late words of
 *      processes find another generation and are dropped.
 *   3. `references`: one of the connection, one of the process. Who drops the last frees it.
 */
#ifndef TROUPE_SERVER_HTTP_EXCHANGE_H
#define TROUPE_SERVER_HTTP_EXCHANGE_H

#include "server/http/fields.h"
#include "server/http/guard.h"
#include "server/http/request.h"
#include "server/http/request_id.h"

#include <microhttpd.h>
#include <uv.h>

#define ANSWER_SMALL_BYTES  512
#define TARGET_INLINE_BYTES 512
#define ARENA_INLINE_BYTES  1024

struct http_core;
struct connection;

enum exchange_state {
    EXCHANGE_HEAD,      /* headers not judged yet */
    EXCHANGE_BODY,      /* collecting */
    EXCHANGE_WAITING,   /* handed over; libmicrohttpd asks again at its next run */
    EXCHANGE_SUSPENDED, /* taken out of libmicrohttpd's hands */
    EXCHANGE_QUEUED,    /* answer given to libmicrohttpd */
    EXCHANGE_EARLY, /* answer sent past libmicrohttpd, in the middle of a body; what still comes is dropped, then it is cut */
};

struct answer {
    bool ready;      /* complete */
    unsigned status; /* 0: nothing said yet */
    const char *content_type;
    char *body; /* malloc'd, or `small` */
    size_t body_bytes;
    struct json_out out;
    bool out_open;
    enum problem_code code; /* of an error answer, for log and metrics */
    http_events *events;    /* what makes the body, piece by piece (stream.c) */
    struct fields fields;
    char small[ANSWER_SMALL_BYTES]; /* where bodies begin; most end there */
};

struct http_request {
    struct http_core *core;
    struct MHD_Connection *connection;
    struct connection *peer;
    struct http_request *next_free;
    uint32_t references; /* atomic */
    enum exchange_state state;

    /* as asked */
    struct guard guard;
    struct http_target target;
    bool target_valid;
    struct route_match match;
    struct request_id id;
    struct trace_context trace;
    enum http_principal principal;
    enum problem_code refusal; /* decided before the handler; PROBLEM_NONE: none */
    const char *refusal_detail;
    unsigned refusal_allow; /* 405, OPTIONS: methods */
    bool options;
    char *body;
    size_t body_bytes, body_room, body_dropped;
    size_t held; /* of body and arena, as counted in listener.held */
    cJSON *json;
    char *target_buffer;
    char target_inline[TARGET_INLINE_BYTES];
    struct json_arena arena;
    bool arena_open;
    char arena_inline[ARENA_INLINE_BYTES] __attribute__((aligned(16)));

    /* under way */
    int64_t started_ns;
    int64_t deadline_ms;
    struct http_request *pending_next, *pending_prev; /* in core->pending */
    struct http_request *resume_next;
    bool pending, resuming, counted;
    struct http_request *stream_next, *stream_prev; /* in core->streams */
    bool streaming;
    bool dry;        /* a stream that is suspended until there is something to tell */
    bool stream_end; /* the next bytes are the end */
    bool beat;       /* nothing was told for a while: a comment is due */
    bool parked;     /* waits for no process (http_request_park) */
    int64_t look_ms; /* not to look for its client before */
    int64_t told_ms; /* when a stream was last written to */
    void (*ended)(struct http_request *request);
    bool watch_client;         /* its process is to end when the client leaves */
    bool client_gone;          /* it left */
    bool handed;               /* `answer` and `arena` are a process's until job_ended */
    tr_pid job_pid;            /* atomic; TR_NO_PID until it runs */
    tr_resource job_end;       /* the process's last act */
    struct answer *own;        /* what the core says at the deadline while `answer` is not its */
    uint32_t slot, generation; /* slot 0: none */
    unsigned patience;         /* runs of the daemon left before it is suspended */
    uint32_t watch;            /* of the process whose answer it waits for; 0: monitored, or none */
    http_reply *reply;
    void (*on_timeout)(struct http_request *request);
    void (*job)(struct http_request *request);
    void *handler_state;

    struct answer answer;
};

/* ---- life ---- */
struct http_request *exchange_new(struct http_core *core, struct MHD_Connection *connection, const char *uri);
/** The connection is done with it. */
void exchange_end(struct http_request *request);
void exchange_drop(struct http_request *request);
/** libmicrohttpd's access handler. */
enum MHD_Result exchange_handler(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_bytes, void **con_cls);
/** The answer is complete: a suspended one is resumed at the end of the turn. */
void exchange_answered(struct http_request *request);
/** Time is up. */
void exchange_expire(struct http_request *request);

/** What the request is answered with instead of its handler's answer; the first refusal counts. detail: static. */
void exchange_refuse(struct http_request *request, enum problem_code code, const char *detail);
/** Answers past libmicrohttpd, then reads on for a while what nobody wants. MHD_NO: the connection is to be cut. */
enum MHD_Result exchange_send_early(struct http_request *request);

/* ---- the body (body.c) ---- */
#define REFUSED_BODY_MAX ((size_t)65536) /* a refused body is read to keep the connection, up to this */
/** Takes a piece of the body, or drops it. */
enum MHD_Result body_collect(struct http_request *request, const char *upload, size_t *upload_bytes);
/** Reads the whole body as its route wants it. False: the request is answered. */
bool body_parse(struct http_request *request);
/** Gives back the body and what was read from it. */
void body_let_go(struct http_request *request);

/* ---- answering (answer.c) ---- */
void answer_init(struct answer *answer);
void answer_fini(struct answer *answer);
/** Forgets what was said so far. */
void answer_reset(struct answer *answer);
/** Gives the answer to libmicrohttpd. */
enum MHD_Result answer_queue(struct http_request *request);
/** Sends the answer in the middle of a body, when libmicrohttpd takes none, and says that nothing more will
 *  come. Returns: false when it does not go out at once. */
bool answer_send_early(struct http_request *request);
/** Writes the answer to a request that was refused before its handler was called, or to OPTIONS. */
void answer_refusal(struct http_request *request);

/* ---- streams (stream.c) ---- */
/** The response of an answer that is a stream. */
struct MHD_Response *stream_response(struct http_request *request);
void stream_remove(struct http_request *request);
/** Whether the client closed its connection, or its half of it. */
bool client_left(const struct http_request *request);

/* ---- access (access.c) ---- */
/** Who asks. Sets request->principal, or returns a refusal and writes why (static). */
enum problem_code access_judge(struct http_request *request, const char **detail);

/** The answer that the caller may write: the process its own, the core the other. */
struct answer *answer_of(struct http_request *request);

/* ---- requests by number (core.c) ---- */
uint64_t request_number(const struct http_request *request, unsigned tag);
/** NULL when that request is no more. */
struct http_request *request_by_number(struct http_core *core, uint64_t number, unsigned *tag);
void request_take_slot(struct http_request *request);
void request_give_slot(struct http_request *request);
void pending_add(struct http_request *request);
void pending_remove(struct http_request *request);

#endif
