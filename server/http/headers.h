/* headers: reading the header fields this service gives a meaning to. No libmicrohttpd in here.
 *
 * Invariants
 *   1. Every function takes the field's value as received (trailing blanks included) and owns nothing.
 *   2. A token is compared in time that depends on the expected token's length only.
 *   3. Entity tags are strong here: `W/"x"` never matches If-Match, and matches If-None-Match weakly.
 */
#ifndef TROUPE_SERVER_HTTP_HEADERS_H
#define TROUPE_SERVER_HTTP_HEADERS_H

#include "server/text.h"

#include <stdint.h>

/* What the framing guard finds on its way over the header fields, so that nobody has to search again.
 * name, field name, what a second one means: REFUSE = 400, DROP = as if absent, FIRST = the first counts */
#define HTTP_FIELDS(X)                                \
    X(HOST, "host", REFUSE)                           \
    X(CONTENT_LENGTH, "content-length", REFUSE)       \
    X(TRANSFER_ENCODING, "transfer-encoding", REFUSE) \
    X(CONTENT_TYPE, "content-type", REFUSE)           \
    X(AUTHORIZATION, "authorization", REFUSE)         \
    X(EXPECT, "expect", REFUSE)                       \
    X(IF_MATCH, "if-match", REFUSE)                   \
    X(IF_NONE_MATCH, "if-none-match", REFUSE)         \
    X(IDEMPOTENCY_KEY, "idempotency-key", REFUSE)     \
    X(LAST_EVENT_ID, "last-event-id", REFUSE)         \
    X(X_REQUEST_ID, "x-request-id", DROP)             \
    X(TRACEPARENT, "traceparent", DROP)               \
    X(ACCEPT, "accept", FIRST)                        \
    X(ORIGIN, "origin", FIRST)

#define HTTP_FIELD_NAME(name, text, repeated) HTTP_FIELD_##name,
enum http_field { HTTP_FIELDS(HTTP_FIELD_NAME) HTTP_FIELDS_COUNT };
#undef HTTP_FIELD_NAME

struct http_headers {
    uint32_t present;  /* bit f: values[f] is set */
    uint32_t repeated; /* bit f: it came more than once */
    struct text values[HTTP_FIELDS_COUNT];
};

/** The value of a field, or the absent text. Borrows: libmicrohttpd's buffer, until the request is
 *  completed. */
static inline struct text http_header(const struct http_headers *headers, enum http_field field)
{
    return (headers->present >> field & 1) != 0 ? headers->values[field] : (struct text){0};
}

/** Notes a field if it is one of HTTP_FIELDS. name is a token (http_is_token). Returns: false when it is repeated and must not be. */
bool http_headers_note(struct http_headers *headers, struct text name, struct text value);

/** Whether every byte may stand in a token (method, field name), and there is one. */
bool http_is_token(struct text text);

/** The value without blanks (SP, HT) at both ends. */
struct text http_trim(struct text value);

/** Whether a Content-Type says application/json; parameters are allowed and must be well-formed. */
bool http_media_type_is_json(struct text content_type);

/** The token of "Authorization: Bearer <token>", or the absent text. The scheme's case does not matter. */
struct text http_bearer_token(struct text authorization);

/** Whether a presented token equals the expected one. Constant time in `expected`. An empty one equals
 *  nothing. */
bool http_token_equal(struct text expected, struct text presented);

/** Whether a Host (or authority) is well-formed: host[:port], no userinfo. Empty is well-formed. */
bool http_host_valid(struct text host);

/** Whether a Host names this machine's loopback: localhost, 127.0.0.0/8 or [::1], any port.
 *  Anything else on an open loopback listener is a browser talked into DNS rebinding. */
bool http_host_is_loopback(struct text host);

enum http_etags {
    HTTP_ETAGS_INVALID,  /* not the grammar of the field: 400 */
    HTTP_ETAGS_ANY,      /* `*` */
    HTTP_ETAGS_MATCH,    /* the given tag is in the list */
    HTTP_ETAGS_NO_MATCH, /* it is not */
};

/** Judges an If-Match list against the current tag (with its quotes; absent text = no such resource):
 *  strong. */
enum http_etags http_if_match(struct text value, struct text etag);

/** Judges an If-None-Match list: weak comparison, as RFC 9110 13.1.2 has it. */
enum http_etags http_if_none_match(struct text value, struct text etag);

#endif
