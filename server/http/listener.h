/* listener: the service's ears: one libmicrohttpd daemon a core and listening address, driven by the core's
 * loop.
 *
 * Invariants
 *   1. All objects of libmicrohttpd of a core are touched by that core's thread only.
 *   2. Nothing of a process runs inside libmicrohttpd's or libuv's callbacks: handlers only send messages.
 *   3. A request that can be answered in its turn is never suspended (suspends cost
 *      more than limits).
 *   4. While draining no connection is kept alive; the listeners stay open until nothing is in flight, so
 *      that /readyz can say so.
 *
 * Life cycle: listener_setup() (binds all addresses: fails before anything else runs) -> the node starts with
 * listener_hooks() -> listener_open() when the services are up -> listener_drain() -> the node stops ->
 * listener_teardown().
 * Limits: settings max-connections, max-inflight, max-header-bytes, max-body-bytes, and the deadlines.
 */
#ifndef TROUPE_SERVER_HTTP_LISTENER_H
#define TROUPE_SERVER_HTTP_LISTENER_H

#include "server/http/router.h"
#include "server/settings.h"

#include <troupe/troupe.h>

struct listener;

/** Binds all addresses of the settings (one socket a core with SO_REUSEPORT for tcp; an address somebody
 *  holds is refused even if the holder set SO_REUSEPORT). Returns: NULL and a sentence in why (exit status
 *  64). Borrows: settings (port 0 is replaced by the port in use), router, for its life. */
struct listener *listener_setup(struct settings *settings, const struct router *router, int workers,
                                char *why, size_t why_bytes);
/** What tr_node_opts.hooks needs. */
tr_core_hooks listener_hooks(struct listener *listener);

/** Opens the port process of one core (named http.listener.<n>) and begins to accept there. start_fn shape
 *  for supervisors: does not block. */
tr_err listener_start_core(struct listener *listener, int core, tr_pid *pid);
/** Calls fn(ctx) once, on some core's thread between turns, when all cores accept. Set it before the first
 *  listener_start_core. */
void listener_on_open(struct listener *listener, void (*fn)(void *ctx), void *ctx);
/** The addresses as they are bound, "http://127.0.0.1:8080" or "unix:/path", for people; index <
 *  settings.listen.count. */
void listener_address(const struct listener *listener, size_t index, char *out, size_t bytes);
/** All cores accept. */
bool listener_is_open(const struct listener *listener);

/** SIGTERM: no more keep-alive; readyz says draining. Context: any thread. */
void listener_drain(struct listener *listener);
bool listener_is_draining(const struct listener *listener);
/** Requests being worked on, over all cores (probes of health not counted). */
int64_t listener_inflight(const struct listener *listener);
/** Stops accepting and closes all connections when nothing is in flight or time is up. Context: any thread;
 *  asynchronous. */
void listener_close(struct listener *listener);
void listener_teardown(struct listener *listener);

#endif
