/* `trouped --healthcheck`: one GET /healthz to the service's own address with plain sockets.
 *
 * 1. Takes HEALTHCHECK_MS in all, whatever the other side does.
 * 2. 0.0.0.0 and [::] are reached at the loopback address.
 *
 * Life cycle: one call.
 */
#ifndef TROUPE_SERVER_HEALTHCHECK_H
#define TROUPE_SERVER_HEALTHCHECK_H

#include "server/settings.h"

enum { HEALTHCHECK_MS = 2000 };

/** Asks the service behind `listener` for /healthz.
 *  Returns: 0 when it answers 200; -1 and what is wrong in `problem`.
 *  Blocks: up to HEALTHCHECK_MS.   Context: any thread that may block. */
int healthcheck(const struct settings_listener *listener, char *problem, size_t problem_bytes);

#endif
