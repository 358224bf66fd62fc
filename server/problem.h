/* problem: every error a client can see, in one table, and its application/problem+json body (RFC 9457).
 *
 * Invariants
 *   1. One code has one title and one HTTP status; `type` is PROBLEM_TYPE_PREFIX and the code.
 *   2. A body has type, title, status, detail, code and request_id, in that order, then errors[] and members.
 *   3. `detail` is for people and may say more than the title; no path, secret or internal address goes into
 *      it.
 */
#ifndef TROUPE_SERVER_PROBLEM_H
#define TROUPE_SERVER_PROBLEM_H

#include "server/json_out.h"
#include "server/json_shape.h"
#include "server/text.h"

#define PROBLEM_TYPE_PREFIX "urn:troupe:problem:"
#define PROBLEM_MEDIA_TYPE  "application/problem+json"

/* name, status, code, title */
#define PROBLEM_CODES(X)                                                                            \
    X(BAD_REQUEST, 400, "bad-request", "Bad request")                                               \
    X(INVALID_PATH, 400, "invalid-path", "Invalid path or query")                                   \
    X(INVALID_JSON, 400, "invalid-json", "Invalid JSON")                                            \
    X(UNAUTHORIZED, 401, "unauthorized", "Unauthorized")                                            \
    X(CARD_DECLINED, 402, "card-declined", "Card declined")                                         \
    X(GATEWAY_DECLINED, 402, "gateway-declined", "Gateway declined")                                \
    X(FORBIDDEN, 403, "forbidden", "Forbidden")                                                     \
    X(FOREIGN_HOST, 403, "foreign-host", "Foreign host")                                            \
    X(NOT_FOUND, 404, "not-found", "Not found")                                                     \
    X(POLICY_NOT_FOUND, 404, "policy-not-found", "Policy not found")                                \
    X(OVERRIDE_NOT_FOUND, 404, "override-not-found", "Override not found")                          \
    X(PAYMENT_NOT_FOUND, 404, "payment-not-found", "Payment not found")                             \
    X(WEBHOOK_NOT_FOUND, 404, "webhook-not-found", "Webhook not found")                             \
    X(CONFIG_KEY_NOT_FOUND, 404, "config-key-not-found", "Configuration key not found")             \
    X(CONFIG_VERSION_NOT_FOUND, 404, "config-version-not-found", "Configuration version not found") \
    X(FLAG_NOT_FOUND, 404, "flag-not-found", "Flag not found")                                      \
    X(PROCESS_NOT_FOUND, 404, "process-not-found", "Process not found")                             \
    X(METHOD_NOT_ALLOWED, 405, "method-not-allowed", "Method not allowed")                          \
    X(REQUEST_TIMEOUT, 408, "request-timeout", "Request timeout")                                   \
    X(POLICY_PROTECTED, 409, "policy-protected", "Policy is protected")                             \
    X(INVALID_EVENT, 409, "invalid-event", "Invalid event")                                         \
    X(TERMINAL_STATE, 409, "terminal-state", "Terminal state")                                      \
    X(OPERATION_IN_PROGRESS, 409, "operation-in-progress", "Operation in progress")                 \
    X(IDEMPOTENCY_KEY_IN_USE, 409, "idempotency-key-in-use", "Idempotency key in use")              \
    X(CONFIG_CONFLICT, 409, "config-conflict", "Configuration conflict")                            \
    X(REVISION_COMPACTED, 410, "revision-compacted", "Revision compacted")                          \
    X(VERSION_CONFLICT, 412, "version-conflict", "Version conflict")                                \
    X(PAYLOAD_TOO_LARGE, 413, "payload-too-large", "Payload too large")                             \
    X(URI_TOO_LONG, 414, "uri-too-long", "URI too long")                                            \
    X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported-media-type", "Unsupported media type")              \
    X(EXPECTATION_FAILED, 417, "expectation-failed", "Expectation failed")                          \
    X(INVALID_REQUEST, 422, "invalid-request", "Invalid request")                                   \
    X(COST_EXCEEDS_LIMIT, 422, "cost-exceeds-limit", "Cost exceeds limit")                          \
    X(INVALID_AMOUNT, 422, "invalid-amount", "Invalid amount")                                      \
    X(IDEMPOTENCY_KEY_REUSED, 422, "idempotency-key-reused", "Idempotency key reused")              \
    X(CONFIG_INVALID, 422, "config-invalid", "Configuration invalid")                               \
    X(RATE_LIMITED, 429, "rate-limited", "Rate limited")                                            \
    X(HEADERS_TOO_LARGE, 431, "header-fields-too-large", "Header fields too large")                 \
    X(INTERNAL_ERROR, 500, "internal-error", "Internal error")                                      \
    X(NOT_IMPLEMENTED, 501, "not-implemented", "Not implemented")                                   \
    X(SOURCE_FAILED, 502, "source-failed", "Source failed")                                         \
    X(OVERLOADED, 503, "overloaded", "Overloaded")                                                  \
    X(LIMITER_FULL, 503, "limiter-full", "Limiter full")                                            \
    X(GATEWAY_UNAVAILABLE, 503, "gateway-unavailable", "Gateway unavailable")                       \
    X(UNAVAILABLE, 503, "unavailable", "Unavailable")                                               \
    X(TIMEOUT, 504, "timeout", "Timeout")                                                           \
    X(VERSION_NOT_SUPPORTED, 505, "http-version-not-supported", "HTTP version not supported")       \
    X(STORAGE_FULL, 507, "storage-full", "Storage full")

#define PROBLEM_CODE_NAME(name, status, code, title) PROBLEM_##name,
enum problem_code { PROBLEM_NONE, PROBLEM_CODES(PROBLEM_CODE_NAME) PROBLEM_CODES_COUNT };
#undef PROBLEM_CODE_NAME

struct problem {
    enum problem_code code;
    struct text detail; /* absent: the title again */
    struct text request_id;
    const struct json_errors *errors; /* NULL, or what errors[] lists */
};

/** HTTP status of a code; 500 for what is not in the table. */
unsigned problem_status(enum problem_code code);
/** The code as clients see it; static. */
const char *problem_code_text(enum problem_code code);
const char *problem_title(enum problem_code code);

/** The code with that text, PROBLEM_NONE when there is none (replaying stored answers, tests). */
enum problem_code problem_by_text(struct text code);

/** Opens the body's object and writes the members every problem has; further members may follow.
 *  Errors: as json_out: `out->failed`. */
void problem_begin(struct json_out *out, const struct problem *problem);

/** Closes the body. */
void problem_end(struct json_out *out);

/** problem_begin() and problem_end(). */
void problem_write(struct json_out *out, const struct problem *problem);

#endif
