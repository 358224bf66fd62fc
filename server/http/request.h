/* request: what a route handler sees of one HTTP request, and how it answers.
 *
 * A handler runs on the core that owns the connection, outside any process, and never blocks. It does one of
 * three:
 *   - answer at once (http_answer_*);
 *   - ask a process and answer in the reply function (http_request_call): the way of hot routes, one turn, no
 *   wait;
 *   - hand the request to a process of its own that may block in direct style (http_request_spawn): the way
 *   of
 *     everything rare. The process answers with the same functions.
 *
 * Invariants
 *   1. A request is answered exactly once. Answers after the first, or after its deadline, are dropped.
 *   2. At its deadline an unanswered request is answered by its timeout function (default: 504 timeout).
 *   3. Until it is answered a request belongs to one side: the core, or from http_request_spawn on its
 *      process. What the
 *      other side sees of it is immutable or atomic. It is freed when both have let go, whatever ended first:
 *      client, deadline, process.
 *   4. Texts handed out live as long as the request.
 *   5. A process of a request that ends without an answer is answered for: 500 internal-error.
 *
 * Order of judgement before a handler is called (as the description of openapi.yaml has it): framing, route, method, access, media
 * type, JSON; shape, existence, state and amounts are the handler's.
 */
#ifndef TROUPE_SERVER_HTTP_REQUEST_H
#define TROUPE_SERVER_HTTP_REQUEST_H

#include "server/http/headers.h"
#include "server/http/router.h"
#include "server/json.h"
#include "server/json_out.h"
#include "server/json_shape.h"
#include "server/problem.h"

#include <troupe/troupe.h>

struct http_request;

enum http_principal {
    HTTP_NOBODY,
    HTTP_CLIENT,
    HTTP_ADMIN
}; /* who asks; with no tokens configured everybody is ADMIN */

/* ---- what was asked
 * ------------------------------------------------------------------------------------------ */

const struct route *http_request_route(const struct http_request *request);
enum http_method http_request_method(const struct http_request *request);
enum http_principal http_request_principal(const struct http_request *request);
/** The i-th {name} of the pattern, decoded. */
struct text http_request_param(const struct http_request *request, size_t i);
/** A query parameter, decoded; absent text when it is not there. */
struct text http_request_query(const struct http_request *request, const char *name);
struct text http_request_header(const struct http_request *request, enum http_field field);
/** A field of any name; how often it is there. Handler on the core only. */
size_t http_request_header_any(const struct http_request *request, struct text name, struct text *value);
/** The parsed body of routes with ROUTE_BODY_JSON*, NULL when there was none. In the request's arena. */
const cJSON *http_request_json(const struct http_request *request);
struct text http_request_body(const struct http_request *request);
struct text http_request_id(const struct http_request *request);
/** Memory that lives as long as the request. */
struct json_arena *http_request_arena(struct http_request *request);
/** Monotonic milliseconds (tr_now_ms) at which it is given up. */
int64_t http_request_deadline_ms(const struct http_request *request);
/** Milliseconds left, at least 0. For time-outs of calls. */
int64_t http_request_left_ms(const struct http_request *request);
/** Moves the deadline (long polls). Handler on the core only. */
void http_request_set_timeout(struct http_request *request, int64_t timeout_ms);
/** What answers at the deadline instead of 504. Handler on the core only. */
void http_request_on_timeout(struct http_request *request, void (*answer)(struct http_request *request));
/** A pointer of the handler's own, kept with the request (memory from its arena). */
void http_request_set_state(struct http_request *request, void *state);
void *http_request_state(const struct http_request *request);

/* ---- asking processes
 * ---------------------------------------------------------------------------------------- */

/** Called on the core's thread when the answer came (borrowed until it returns), or with NULL when the
 *  process ended with `reason` or was not there (noproc), or refused (mailbox_full). It answers, or asks
 *  again; it must not block. */
typedef void http_reply(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason);

/** Sends a gen_server call in the request's name. Takes msg. tag (0..255) tells several calls of one request
 *  apart. When it cannot be sent, reply is called before this returns. Nothing is sent, and reply is not
 *  called, once the request was answered or handed to a process (by the reply function of an earlier call
 *  that could not be sent, say). Context: handler or reply function. */
void http_request_call(struct http_request *request, tr_dest to, tr_msg *msg, unsigned tag,
                       http_reply *reply);

/** The same for a process that many requests ask, one call of a request at a time, tag 0: instead of monitoring it for
 *  each call, the core watches it once. */
void http_request_ask(struct http_request *request, tr_pid pid, tr_msg *msg, http_reply *reply);

/** Runs fn(request) in a process of its own, linked to nobody. When fn returns, what it answered is sent. 503
 *  overloaded when no process can be had.
 *  Context: handler or reply function; after this the handler must not touch the request any more. */
void http_request_spawn(struct http_request *request, void (*fn)(struct http_request *request));

/** While the request waits for its process, the core looks whether the client is still there: when it closed its
 *  connection (or its half of it), the process is asked to end (exit signal shutdown), and nothing is logged of the
 *  request. Seen within some 50 ms. Handler on the core only, before http_request_spawn. */
void http_request_cancel_when_gone(struct http_request *request);

/* ---- waiting for something that is no process
 * ---------------------------------------------------------------- */

/** The request waits on its core for something that other code there will answer with, until its deadline
 *  (http_request_on_timeout). A client that leaves meanwhile is seen within some seconds, and the service does not wait
 *  for such requests when it stops: both end it as its deadline does. Handler on the core only. */
void http_request_park(struct http_request *request);

/** Called once, on the core, when the connection is done with the request, whatever ended it: the handler's state is to
 *  be given back. It must not answer. Handler on the core only. */
void http_request_on_end(struct http_request *request, void (*ended)(struct http_request *request));

/* ---- answering
 * ----------------------------------------------------------------------------------------------- */

/** Adds a header field. Both are copied. Bytes that may not stand in a field make the answer
 *  a 500. */
void http_answer_header(struct http_request *request, const char *name, struct text value);
void http_answer_headerf(struct http_request *request, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** The fields of the answer, for a handler that writes several at once; NULL once it is answered. */
struct fields *http_answer_fields(struct http_request *request);

/** The body being written. A handler writes its document here, then calls http_answer_json. */
struct json_out *http_answer_out(struct http_request *request);
/** Sends the document written into http_answer_out. */
void http_answer_json(struct http_request *request, unsigned status);
/** Sends bytes of another type. content_type is static; bytes are copied. */
void http_answer_bytes(struct http_request *request, unsigned status, const char *content_type,
                       struct text bytes);
/** Sends bytes that free() gives back. Takes them. */
void http_answer_take(struct http_request *request, unsigned status, const char *content_type, char *bytes,
                      size_t count);
/** Makes the next bytes of an event stream: at most `room` at `out`.  Returns: how many; 0 between two events, when there
 *  is nothing to tell now.  Context: the core, outside any process; must not block. */
typedef size_t http_events(struct http_request *request, char *out, size_t room);
/** Sends a stream of server-sent events that lasts until the client leaves, does not read for body_timeout_ms, or the
 *  service stops. `next` is asked whenever the client took what was there; a comment goes out when nothing did for a
 *  while. Handler on the core only. */
void http_answer_events(struct http_request *request, http_events *next);
/** There may be something to tell. Context: the request's core. */
void http_events_wake(struct http_request *request);
/** Sends no body (204, 304, or an empty answer of any status). */
void http_answer_empty(struct http_request *request, unsigned status);

/** Sends a problem; detail NULL: the title. */
void http_answer_problem(struct http_request *request, enum problem_code code, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));
/** Sends 422 with errors[]. */
void http_answer_errors(struct http_request *request, const struct json_errors *errors);
/** A problem with members of its own: begin, write members into the json_out it returns, end (sends it). */
struct json_out *http_problem_begin(struct http_request *request, enum problem_code code, const char *detail);
void http_problem_end(struct http_request *request);

/** Maps the errors of calls and of the store that every route treats alike: TR_E_TIMEOUT -> 504, TR_E_FULL ->
 *  503 overloaded, others -> 503 unavailable with Retry-After. */
void http_answer_call_failed(struct http_request *request, tr_err err);

/* ---- lists and versions
 * --------------------------------------------------------------------------------------- */

/** ?limit= (default 50, 1..500) and ?cursor= of a list. False: a 422 has been sent. cursor is decoded (the
 *  opaque text's content), absent at the beginning. */
bool http_request_page(struct http_request *request, int64_t *limit, struct text *cursor);
/** Writes "next_cursor" (null when next is absent) and, if there is one, the Link field rel="next" with the
 *  other parameters kept. */
void http_answer_page(struct http_request *request, struct text next);
/** ETag: "<version>". */
void http_answer_etag(struct http_request *request, uint64_t version);
/** Judges If-Match / If-None-Match against a version (0: the resource does not exist). False: 412 (or 304 for
 *  GET, HEAD) has been sent. */
bool http_request_precondition(struct http_request *request, uint64_t version);

#endif
