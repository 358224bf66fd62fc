/* payments: the room as the composition root sees it. NOTES.md tells of its files.
 *
 * Life cycle: payments_setup (before the node runs) -> payments_child_spec, payments_routes -> payments_teardown (after it).
 */
#ifndef TROUPE_API_PAYMENTS_PAYMENTS_H
#define TROUPE_API_PAYMENTS_PAYMENTS_H

#include "server/http/router.h"
#include "server/settings.h"
#include "server/store/store.h"

#include <troupe/troupe.h>

/** Chooses the gateway and makes the room ready. Borrows both for its life.
 *  Returns: false with a sentence in why.   Context: start, before the node runs. */
bool payments_setup(const struct settings *settings, struct store *store, char *why, size_t bytes);

/** The supervisor `payments.sup`: the gateway's processes, tasks, machines, reconciler. */
tr_child_spec payments_child_spec(void);

/** The tables of payments. */
const struct store_schema *payments_schemas(size_t *count);

struct route_table payments_routes(void);

#endif
