/* gateway_sandbox: a gateway inside the service, for trying things out: card tokens say what happens. Its ledger is a table of
 * its own in the data directory, written in its own transactions, as somebody else's would be.
 *
 * Invariants
 *   1. One row an operation id, written once, never changed: what was answered once is answered for ever.
 *   2. A query of an id that has no row writes one that says void; a request that comes later finds it (gateway.h, 3).
 *   3. Of card tokens it keeps the names of its own; any other one is declined and forgotten.
 *   4. It judges by itself: nothing is captured that was not authorized, nothing given back that is not there.
 */
#ifndef TROUPE_API_PAYMENTS_GATEWAY_SANDBOX_H
#define TROUPE_API_PAYMENTS_GATEWAY_SANDBOX_H

#include "api/payments/gateway.h"

extern const struct gateway gateway_sandbox;
extern const struct store_schema gateway_sandbox_schema;

#endif
