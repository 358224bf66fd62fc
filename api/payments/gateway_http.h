/* gateway_http: a gateway behind HTTP: the protocol of GATEWAY.md over libcurl.
 *
 * Invariants
 *   1. Every attempt of an operation carries its id, in the body and as Idempotency-Key: sending again is safe.
 *   2. GATEWAY_NEVER needs certainty: no attempt can have reached the gateway, or the gateway itself said so. Everything
 *      between is GATEWAY_UNKNOWN (gateway.h, 2).
 *   3. An answer counts only when it is about this operation's id, and has the shape of the protocol.
 *   4. The guard `payments.gateway` (breaker, bulkhead, retry budget) is asked before each attempt.
 *   5. The token is sent to the gateway and nowhere else.
 */
#ifndef TROUPE_API_PAYMENTS_GATEWAY_HTTP_H
#define TROUPE_API_PAYMENTS_GATEWAY_HTTP_H

#include "api/payments/gateway.h"

extern const struct gateway gateway_http;

/** Borrows settings for its life. Returns: false with a sentence in why when the URL cannot be asked for. */
bool gateway_http_setup(const struct settings *settings, char *why, size_t bytes);

#endif
