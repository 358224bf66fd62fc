/* path: the request target, split and percent-decoded exactly once.
 *
 * Invariants
 *   1. The target is split at '/', '?', '&' and '=' first and decoded afterwards: an encoded separator is
 *      data.
 *   2. A decoded segment or parameter is valid UTF-8 without NUL; a segment is never `.` or `..`, however
 *      written.
 *   3. What breaks 2 is not cut off or repaired: it is noted (`bad_segment`, `query_fault`), and whoever
 *      needs that part must refuse with 400 invalid-path. A route that ignores the rest of its path need not.
 *   4. '+' is a blank in the query and itself in the path.
 *   5. All texts point into the caller's buffer: they live as long as it does, whatever happens to `raw`.
 *
 * Life cycle: http_target_parse() on a buffer of HTTP_TARGET_BUFFER(bytes) bytes; nothing to free.
 * Limits: HTTP_SEGMENTS_MAX segments are kept (`more_segments` tells of others), HTTP_PARAMS_MAX parameters.
 */
#ifndef TROUPE_SERVER_HTTP_PATH_H
#define TROUPE_SERVER_HTTP_PATH_H

#include "server/text.h"

#include <stdint.h>

#define HTTP_SEGMENTS_MAX 16
#define HTTP_PARAMS_MAX   16
#define HTTP_SEGMENT_NONE UINT16_MAX

/** Buffer for a target of that length: its copy, and what decodes to something else. */
#define HTTP_TARGET_BUFFER(bytes) (2 * (bytes))

enum http_form {
    HTTP_FORM_INVALID,  /* 400 invalid-path, or 501 when the method is unknown as well (CONNECT) */
    HTTP_FORM_ORIGIN,   /* /path?query */
    HTTP_FORM_ABSOLUTE, /* http://authority/path?query; `authority` then stands for Host */
    HTTP_FORM_ASTERISK, /* * */
};

/* name, text */
#define HTTP_PATH_FAULTS(X)                                             \
    X(NONE, "")                                                         \
    X(FORM, "the request target is neither a path nor an http address") \
    X(ESCAPE, "a percent sign without two hex digits")                  \
    X(NUL, "%00 is not taken")                                          \
    X(UTF8, "the decoded bytes are not valid UTF-8")                    \
    X(DOTS, "a segment is . or ..")                                     \
    X(TOO_MANY, "too many query parameters")                            \
    X(REPEATED, "is given more than once")                              \
    X(UNKNOWN, "is not a known query parameter")

#define HTTP_PATH_FAULT_NAME(name, text) HTTP_PATH_##name,
enum http_path_fault { HTTP_PATH_FAULTS(HTTP_PATH_FAULT_NAME) HTTP_PATH_FAULTS_COUNT };
#undef HTTP_PATH_FAULT_NAME

struct http_param {
    struct text name;
    struct text value; /* empty, not absent, without '=' */
};

struct http_target {
    struct text raw;       /* the copy of the whole target */
    struct text path;      /* its path, as received */
    struct text query;     /* its query without '?'; absent when there is none */
    struct text authority; /* absolute form only */
    enum http_form form;
    enum http_path_fault path_fault; /* of segment bad_segment */
    enum http_path_fault query_fault;
    uint16_t segment_count; /* kept */
    uint16_t bad_segment;   /* index of the first that breaks invariant 2, or HTTP_SEGMENT_NONE */
    uint16_t param_count;
    bool more_segments;
    struct text segments[HTTP_SEGMENTS_MAX];
    struct http_param params[HTTP_PARAMS_MAX];
};

/** Copies, splits and decodes a target. `/` has no segments; `/a/` has two, the second empty.
 *  Borrows: buffer (HTTP_TARGET_BUFFER(raw.count) bytes), for the life of the target. raw: only during the
 *  call.
 *  Returns: false when the form is invalid; other faults are noted.   Cost: O(bytes). */
bool http_target_parse(struct http_target *target, struct text raw, char *buffer);

/** Text of a fault; static. */
const char *http_path_fault_text(enum http_path_fault fault);

/** The value of a query parameter, or the absent text. */
struct text http_target_param(const struct http_target *target, const char *name);

/** Judges the query against the NULL-terminated list of names a route knows (NULL: none).
 *  Returns: HTTP_PATH_NONE, or UNKNOWN or REPEATED with *offender the parameter's name: 422. */
enum http_path_fault http_target_check_params(const struct http_target *target, const char *const *known,
                                              struct text *offender);

/** Reads a text of digits only within [min, max] (min >= 0). Returns: false otherwise, *value untouched. */
bool http_read_int(struct text text, int64_t min, int64_t max, int64_t *value);

/** Writes one byte as it may stand in a segment or parameter: itself when it is unreserved (RFC 3986, 2.3), else percent-encoded.
 *  Returns: how many bytes, 1 or 3. */
size_t http_escape_byte(char byte, char out[3]);

#endif
