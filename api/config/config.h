/* config: what the composition root knows of the configuration service.
 *
 *     config      the agent: keys, versions, layers (cache.h)
 *
 * Invariants
 *  1. Reads take a reference to the published image: no message, no lock. Writes go through the agent and the store.
 *  2. A secret's value is in no log, problem or state of a process, and in an answer only when an admin asks ?reveal=true.
 *  3. Setup needs no store and no node; the child spec needs `store.writer` before it; teardown comes after the node stopped.
 *
 * Life cycle: setup -> schemas -> store_open -> node, child spec, routes -> node stopped -> teardown.
 */
#ifndef API_CONFIG_CONFIG_H
#define API_CONFIG_CONFIG_H

#include "server/http/router.h"
#include "server/settings.h"
#include "server/store/store.h"

#include <troupe/troupe.h>

/** The tables of this room, for store_open(). Static. */
const struct store_schema *config_schemas(size_t *count);

/** Reads the layers below the overrides.   Borrows: settings until teardown.
 *  Returns: false and a sentence in `why` (bad settings: exit 64).   Blocks: reads files.   Context: main thread. */
bool config_setup(const struct settings *settings, char *why, size_t bytes);

/** The process `config`; its start compares the layers with what was recorded. */
tr_child_spec config_child_spec(void);

/** The routes of /v1/config. Static. */
struct route_table config_routes(void);

/** Reads the layers anew and keeps the overrides; what came of it is logged.  Context: any thread; does not wait. */
void config_reload_later(void);

/** Reloads by itself when the settings file or --env-file changes (files.h). Returns: false when that cannot be had.
 *  Context: main thread, while the node runs. */
bool config_watch_files(void);
/** Ends that; before the node stops.  Context: main thread. */
void config_unwatch_files(void);

/** Whether the process is there, with a sentence for /readyz.  Context: any thread. */
bool config_ready(char *detail, size_t bytes);

/** Frees everything.  Context: main thread, after the node stopped. */
void config_teardown(void);

#endif
