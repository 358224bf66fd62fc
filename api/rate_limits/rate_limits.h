/* rate_limits: what the composition root knows of the rate-limit service.
 *
 *     rate_limits.sup (one_for_one)
 *       rate_limits.partitions   rate_limits.partition.0 ... n-1, each with the buckets of its keys
 *       rate_limits.policies     owns the policies and overrides; every change is durable, then in all partitions, then seen
 *       rate_limits.saver        writes levels to the store
 *
 * Invariants
 *  1. Tables, seed and the snapshot of policies belong to nobody's process: they are made by setup and outlive every crash.
 *  2. Decisions are made by the partitions' processes only; routes hash the key and ask.
 *  3. Setup needs an open store and no node; the child spec needs both; teardown comes after the node stopped and before
 *     the store is closed.
 *
 * Life cycle: schemas -> store_open -> setup -> node, child spec, routes -> save_all -> node stopped -> teardown.
 */
#ifndef API_RATE_LIMITS_RATE_LIMITS_H
#define API_RATE_LIMITS_RATE_LIMITS_H

#include "server/http/router.h"
#include "server/settings.h"
#include "server/store/store.h"

#include <troupe/troupe.h>

/** The tables of this room, for store_open(). Static. */
const struct store_schema *rate_limits_schemas(size_t *count);

/** Loads seed, policies, overrides and levels, makes the tables, registers the metrics.
 *  Borrows: settings and store until teardown.  Returns: false and a sentence in `why` (a storage failure: exit 74).
 *  Blocks: on disk.   Context: main thread, before the node starts. */
bool rate_limits_setup(const struct settings *settings, struct store *store, int workers, char *why,
                       size_t bytes);

/** The subtree `rate_limits.sup`; needs `store.writer` before it. */
tr_child_spec rate_limits_child_spec(void);

/** The routes of /v1/rate-limits. Static. */
struct route_table rate_limits_routes(void);

/** Whether all partitions and the policies' process are there, with a sentence for /readyz.  Context: any thread. */
bool rate_limits_ready(char *detail, size_t bytes);

/** Saves every bucket that is not full (the drained stop).  Returns: false when it failed or time was up: timeout_ms,
 *  and more for every key.   Blocks: parks the calling process. */
bool rate_limits_save_all(int64_t timeout_ms);

/** Frees everything.  Context: main thread, after the node stopped. */
void rate_limits_teardown(void);

#endif
