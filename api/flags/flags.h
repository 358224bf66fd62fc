/* flags: what the composition root knows of the feature flags.
 *
 *     flags      the agent: flags and their versions (cache.h)
 *
 * Invariants
 *  1. Reads and evaluations take a reference to the published image: no message, no lock. Writes go through the agent and
 *     the store.
 *  2. Setup needs no store and no node; the child spec needs `store.writer` before it; teardown comes after the node stopped.
 *
 * Life cycle: setup -> schemas -> store_open -> node, child spec, routes -> node stopped -> teardown.
 */
#ifndef API_FLAGS_FLAGS_H
#define API_FLAGS_FLAGS_H

#include "server/http/router.h"
#include "server/settings.h"
#include "server/store/store.h"

#include <troupe/troupe.h>

/** The tables of this room, for store_open(). Static. */
const struct store_schema *flags_schemas(size_t *count);

/** Borrows: settings until teardown.   Context: main thread. */
void flags_setup(const struct settings *settings);

/** The process `flags`. */
tr_child_spec flags_child_spec(void);

/** The routes of /v1/flags and /ofrep/v1. Static. */
struct route_table flags_routes(void);

/** Frees everything.  Context: main thread, after the node stopped. */
void flags_teardown(void);

#endif
