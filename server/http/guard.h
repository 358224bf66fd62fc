/* guard: refuses requests whose framing two parsers could read differently, before anything is routed.
 *
 * libmicrohttpd 0.9.75 takes bare LF, folded lines, NUL bytes, `Name :`, repeated Content-Length and Host,
 * and Transfer-Encoding beside Content-Length. It parses in place, though: request line and fields still lie
 * where they were received, with NUL bytes instead of separators. So each piece must begin exactly where the
 * one before it ends plus its separator; every leniency of the parser breaks that chain somewhere. The checks
 * know only pointers and lengths (guard_start, guard_header, guard_finish); guard_check() feeds them from a
 * connection.
 *
 * Invariants
 *   1. GUARD_OK means: the head was METHOD SP target SP HTTP/1.(0|1) CRLF *(token ":" blanks value CRLF)
 *      CRLF, with at most one Content-Length (digits), no Transfer-Encoding but `chunked`, not both, and one
 *      Host (HTTP/1.0 may have none), no control byte in a value, and no second one of the fields that must
 *      be single.
 *   2. The target holds bytes 0x21..0x7e only.
 *   3. Every verdict but GUARD_OK ends the connection: answer at once, in the first handler call.
 *   4. The header values handed out are the received bytes, without leading blanks.
 *
 * Life cycle, per request: guard_on_uri() in MHD_OPTION_URI_LOG_CALLBACK -> guard_check() in the first call
 * of the access handler. The daemon needs MHD_OPTION_UNESCAPE_CALLBACK = guard_unescape, STRICT_FOR_CLIENT 0.
 * Limits: GUARD_HEADERS_MAX fields (431). What it cannot see: NUL bytes standing where CR or LF belong, chunk
 * framing (NOTES.md).
 */
#ifndef TROUPE_SERVER_HTTP_GUARD_H
#define TROUPE_SERVER_HTTP_GUARD_H

#include "server/http/headers.h"
#include "server/problem.h"
#include "server/text.h"

#include <stdint.h>

#define GUARD_HEADERS_MAX 200

/* name, problem code, detail */
#define GUARD_VERDICTS(X)                                                                           \
    X(OK, NONE, "")                                                                                 \
    X(REQUEST_LINE, BAD_REQUEST, "the request line is not `method target HTTP/1.1`, ended by CRLF") \
    X(METHOD, BAD_REQUEST, "the method is not a token")                                             \
    X(TARGET, INVALID_PATH, "the request target has bytes that must be percent-encoded")            \
    X(VERSION, VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken here")                 \
    X(FIELD_LINE, BAD_REQUEST, "a header field is not `name: value`, ended by CRLF, on one line")   \
    X(FIELD_NAME, BAD_REQUEST, "a header field's name is not a token")                              \
    X(FIELD_VALUE, BAD_REQUEST, "a header field's value has control bytes")                         \
    X(HEAD_END, BAD_REQUEST, "the header section does not end where it must")                       \
    X(TOO_MANY_FIELDS, HEADERS_TOO_LARGE, "too many header fields")                                 \
    X(HEAD_TOO_LARGE, HEADERS_TOO_LARGE, "request line and header fields take too much memory")     \
    X(REPEATED_FIELD, BAD_REQUEST, "a header field that must be single is repeated")                \
    X(HOST, BAD_REQUEST, "there must be one well-formed Host field")                                \
    X(CONTENT_LENGTH, BAD_REQUEST, "Content-Length is not a number of bytes")                       \
    X(TRANSFER_ENCODING, NOT_IMPLEMENTED, "the only Transfer-Encoding taken is chunked")            \
    X(TRANSFER_ENCODING_1_0, BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding")                      \
    X(TWO_LENGTHS, BAD_REQUEST, "Content-Length and Transfer-Encoding exclude each other")          \
    X(EXPECT, EXPECTATION_FAILED, "the only expectation met is 100-continue")                       \
    X(LAYOUT, INTERNAL_ERROR, "the HTTP library is not the one this service was built for")

#define GUARD_VERDICT_NAME(name, code, detail) GUARD_##name,
enum guard_verdict { GUARD_VERDICTS(GUARD_VERDICT_NAME) GUARD_VERDICTS_COUNT };
#undef GUARD_VERDICT_NAME

struct guard {
    enum guard_verdict verdict; /* the first thing found */
    bool version_1_0;
    bool chunked;
    bool has_length;
    uint32_t header_count;
    size_t head_bytes;       /* from the method to behind the empty line */
    uint64_t content_length; /* valid if has_length */
    const char *method;
    const char *uri;
    size_t uri_bytes;
    uintptr_t next;         /* where the next field's name must begin */
    struct text known_host; /* a Host found well-formed before on this connection; absent: none */
    const char *tail; /* the end of the last piece: line ends, now NUL bytes, must be all that follows */
    struct http_headers headers;
};

/** The problem a verdict is answered with, and its detail (static). */
enum problem_code guard_problem(enum guard_verdict verdict);
const char *guard_detail(enum guard_verdict verdict);

/* ---- on bytes ---- */

/** Notes the request target as it was received, before the parser cuts its query apart. */
void guard_on_uri(struct guard *guard, const char *uri, size_t uri_bytes);

/** Checks the request line; guard_on_uri() has been called. Borrows: both strings, NUL-terminated. */
void guard_start(struct guard *guard, const char *method, const char *version);

/** Checks the next field; in the order received. Returns: false when no further field needs to be shown. */
bool guard_header(struct guard *guard, struct text name, struct text value);

/** Judges the whole. head_bytes counts from the method's first byte to behind the empty line. */
enum guard_verdict guard_finish(struct guard *guard, size_t head_bytes);

/* ---- on libmicrohttpd ---- */

struct MHD_Connection;

/** Runs all checks on a connection. Context: first call of the access handler. Cost: about 15 ns a field. */
enum guard_verdict guard_check(struct guard *guard, struct MHD_Connection *connection, const char *method,
                               const char *version);

/** Makes the library overlook Expect. For a request without a body: with the next request in its buffer it
 *  would send 100, call the handler for no bytes and take no answer. Context: first call of the handler. */
void guard_hide_expectation(const struct guard *guard);

/** MHD_OPTION_UNESCAPE_CALLBACK that leaves everything as it is. */
size_t guard_unescape(void *unused, struct MHD_Connection *connection, char *text);

/** Looks a field of any name up (case-insensitive), for those not in HTTP_FIELDS.
 *  Returns: how often it is there; *value is the first one's. */
size_t guard_lookup(struct MHD_Connection *connection, struct text name, struct text *value);

/** Whether the library's layout is the one the guard was tested with (0.9.75). To be asked once, at start. */
bool guard_library_known(void);

#endif
