/* app: the composition root: which rooms the service has, in which order they start and stop.
 *
 * Start: settings -> log -> listeners bound (64) -> store opened (64 when somebody has the directory, 74
 * else) -> rooms loaded -> node -> root supervisor: store.writer, db_connections, a
 * supervisor for each room, http.sup -> all cores accept -> service.ready. Stop (SIGTERM, SIGINT): readyz says draining, keep-alive ends -> nothing in
 * flight, or drain_timeout_ms -> listeners closed -> levels saved -> root supervisor stopped -> node stopped
 * -> store closed -> 0. A second signal exits at once.
 *
 * Invariants
 *   1. Signals are blocked in every thread and taken by the main thread with sigwait: no handler runs
 *      anywhere.
 *   2. The root supervisor's end without being asked is exit 70; a broken store is exit 74 on the spot.
 */
#ifndef TROUPE_SERVER_APP_H
#define TROUPE_SERVER_APP_H

#include "server/settings.h"

/** Runs the service until it is stopped. Returns: the exit status. Context: main thread, before other
 *  threads. */
int app_run(struct settings *settings);

#endif
