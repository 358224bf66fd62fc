/* decision_json: a decision as clients see it: members of a body, header fields.
 *
 * Invariants
 *   1. RateLimit-Policy: "name";q=limit;w=seconds to fill. RateLimit: "name";r=remaining;t=seconds to the next token, 0 while r >= 1,
 *      left out when no waiting helps. Source: draft-ietf-httpapi-ratelimit-headers.
 *   2. Of a denial Retry-After and retry_after_ms are there or not together; a limit of 0 has neither. A look has the member only.
 *   3. No answer that carries a decision may be stored by anybody (Cache-Control: no-store).
 */
#ifndef API_RATE_LIMITS_DECISION_JSON_H
#define API_RATE_LIMITS_DECISION_JSON_H

#include "api/rate_limits/table.h"
#include "server/http/request.h"

/** Writes the members of a decision into an open object. */
void rl_decision_members(struct json_out *out, struct text policy, struct text key, uint64_t cost,
                         const rl_decision *decision);

/** Adds RateLimit-Policy, RateLimit, Cache-Control and, when the request is denied (a look never is), Retry-After. */
void rl_decision_headers(struct http_request *request, struct text policy, const rl_decision *decision,
                         bool denied);

#endif
