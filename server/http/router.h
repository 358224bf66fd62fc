/* router: from method and decoded segments to a route. A trie, built once, never changed.
 *
 * Patterns are literal segments, {name} for one non-empty segment, and a final `...` for any rest:
 *     /v1/rate-limits/{policy}/keys/{key}/check        /v1/rate-limits/{policy}/gate/by-header/{header}/...
 *
 * Invariants
 *   1. Matching compares decoded segments; a '/' inside a segment never separates.
 *   2. Literals win over {name}, {name} over `...`; a branch that has the path but not the method is passed
 *      over for one that has both (PUT /x/check may be {policy} while POST /x/check is the literal). Allow
 *      lists all branches.
 *   3. HEAD is answered by GET's route unless it has its own; OPTIONS and 405 come from the trie, not from
 *      handlers, except on routes for any method.
 *   4. A path the client encoded badly is 400 before it is 404, unless the bad part lies in the rest of a
 *      `...`.
 *   5. After router_create() the router is read only: any number of threads may search it.
 *
 * Life cycle: router_create() over static tables -> router_find()* -> router_destroy().
 * Limits: ROUTE_PARAMS_MAX {name}s and HTTP_SEGMENTS_MAX segments a pattern.
 */
#ifndef TROUPE_SERVER_HTTP_ROUTER_H
#define TROUPE_SERVER_HTTP_ROUTER_H

#include "server/http/path.h"
#include "server/text.h"

#include <stdint.h>

#define ROUTE_PARAMS_MAX 4

/* The methods known here; any other is 501 on a known path. */
#define HTTP_METHODS(X) X(GET) X(HEAD) X(POST) X(PUT) X(PATCH) X(DELETE) X(OPTIONS)

#define HTTP_METHOD_NAME(name) HTTP_METHOD_##name,
enum http_method { HTTP_METHODS(HTTP_METHOD_NAME) HTTP_METHOD_UNKNOWN, HTTP_METHODS_COUNT };
#undef HTTP_METHOD_NAME

/* For route.methods. */
#define HTTP_GET    (1u << HTTP_METHOD_GET)
#define HTTP_HEAD   (1u << HTTP_METHOD_HEAD)
#define HTTP_POST   (1u << HTTP_METHOD_POST)
#define HTTP_PUT    (1u << HTTP_METHOD_PUT)
#define HTTP_PATCH  (1u << HTTP_METHOD_PATCH)
#define HTTP_DELETE (1u << HTTP_METHOD_DELETE)
#define HTTP_ANY    ((1u << HTTP_METHODS_COUNT) - 1) /* unknown ones and OPTIONS too */

enum route_access {
    ROUTE_ACCESS_ADMIN, /* the default: forgetting it locks, it does not open */
    ROUTE_ACCESS_CLIENT,
    ROUTE_ACCESS_ANY_TOKEN,
    ROUTE_ACCESS_OPEN,
};

enum route_body {
    ROUTE_BODY_NONE,          /* a body is an error of shape, unless it is empty */
    ROUTE_BODY_JSON,          /* needed */
    ROUTE_BODY_JSON_OPTIONAL, /* may be missing */
    ROUTE_BODY_IGNORED,
};

enum {
    ROUTE_QUERY_IGNORED = 1u << 0, /* neither unknown parameters nor bad escapes in the query matter */
    ROUTE_NO_PROBLEM = 1u << 1,    /* errors have empty bodies (the gate) */
    ROUTE_IDEMPOTENT_KEY = 1u << 2 /* takes Idempotency-Key */
};

struct http_request;
typedef void route_handler(struct http_request *request);

struct route {
    const char *pattern; /* also the label in metrics and logs */
    unsigned methods;    /* HTTP_GET | ... or HTTP_ANY */
    route_handler *handler;
    enum route_access access;
    enum route_body body;
    unsigned flags;           /* ROUTE_* */
    const char *const *query; /* known parameters, NULL-terminated; NULL: none */
    const void *data;         /* the handler's own */
};

struct route_table {
    const struct route *routes;
    size_t count;
};

#define ROUTE_TABLE(array)                                             \
    {                                                                  \
        .routes = (array), .count = sizeof(array) / sizeof((array)[0]) \
    }

struct route_match {
    const struct route *route; /* ROUTE_FOUND only */
    enum http_method method;
    unsigned allow; /* METHOD_NOT_ALLOWED, OPTIONS, METHOD_UNKNOWN: what the path takes */
    size_t param_count;
    struct text params[ROUTE_PARAMS_MAX]; /* decoded, in the pattern's order */
};

enum route_answer {
    ROUTE_FOUND,
    ROUTE_NOT_FOUND,          /* 404 */
    ROUTE_BAD_PATH,           /* 400 invalid-path: see the target's faults */
    ROUTE_METHOD_NOT_ALLOWED, /* 405 with Allow */
    ROUTE_METHOD_UNKNOWN,     /* 501 */
    ROUTE_OPTIONS,            /* 204 with Allow */
};

struct router;

/** Builds a router over tables that outlive it.
 *  Returns: NULL, with a sentence in why, for a bad pattern, a method twice on one path, or no memory. */
struct router *router_create(const struct route_table *tables, size_t count, char *why, size_t why_bytes);

void router_destroy(struct router *router);

/** Finds the route of a parsed target.
 *  Borrows: params point into the target's buffer.   Blocks: no.   Cost: about 60 ns for five segments. */
enum route_answer router_find(const struct router *router, struct text method,
                              const struct http_target *target, struct route_match *match);

/** The method of a name; case matters. */
enum http_method http_method_of(struct text name);
const char *http_method_text(enum http_method method);

#define HTTP_ALLOW_BYTES 64

/** Writes an Allow field ("GET, HEAD, OPTIONS") with its NUL; returns its length. */
size_t http_allow_text(unsigned methods, char out[HTTP_ALLOW_BYTES]);

#endif
