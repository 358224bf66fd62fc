/* profiles: what the composition root knows of the profile service.
 *
 *     profiles.sup (one_for_one)
 *       profiles.demo            answers the demo sources, each after its time
 *       profiles.source.<name>   guards one source: breaker, bulkhead, retry budget
 *       profiles.tasks           the tasks that fetch, one a source and request
 *
 * Invariants
 *  1. The list of sources is made by setup; the entry `trouped.source` of the configuration changes it. A request asks those of
 *     its beginning.
 *  2. A request's process starts one task a source without links, and ends those that are left when it ends itself.
 * Life cycle: setup (after the listeners are bound, before the node) -> child spec, routes -> teardown after the node.
 */
#ifndef API_PROFILES_PROFILES_H
#define API_PROFILES_PROFILES_H

#include "server/http/listener.h"

/** Reads the sources of the settings; those of the service itself lead to its first listener (a unix socket only when
 *  there is no other). Borrows: settings, until teardown. Returns: false and a sentence in `why`. */
bool profiles_setup(const struct settings *settings, const struct listener *listener, char *why,
                    size_t bytes);
/** The subtree `profiles.sup`. Context: process. */
tr_child_spec profiles_child_spec(void);
/** The routes of /v1/profiles, /v1/profile-sources and /v1/demo. Static. */
struct route_table profiles_routes(void);
void profiles_teardown(void);

#endif
