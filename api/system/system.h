/* system: the runtime seen from outside: health, metrics, version, the API's description, processes, supervisors.
 *
 * Invariants
 *   1. /healthz answers as long as the process lives and asks nobody.
 *   2. /readyz is 200 only if every check is content.
 *   3. What has to ask or to walk processes runs in a process of the request's own (http_request_spawn): a list of
 *      100 000 processes holds no core up.
 *   4. Texts that come over HTTP do not fill the table of atoms.
 *
 * Life cycle: system_setup() while one thread runs -> system_routes() -> the node starts.
 * Limits: SYSTEM_CHECKS_MAX checks; more abort at the setup.
 */
#ifndef TROUPE_API_SYSTEM_SYSTEM_H
#define TROUPE_API_SYSTEM_SYSTEM_H

#include "server/http/router.h"

#include <troupe/troupe.h>

struct settings;

#define SYSTEM_CHECKS_MAX         16
#define SYSTEM_CHECK_DETAIL_BYTES 160

/* One line of /readyz. */
struct system_check {
    const char *name;
    /** Whether all is well. May write a sentence into detail, which is empty before.
     *  Blocks: no.   Context: any core's thread, several at a time. */
    bool (*ok)(void *ctx, char *detail, size_t detail_bytes);
    void *ctx;
};

/* All it points to lives as long as requests come. */
struct system_context {
    const struct settings *settings;
    const struct system_check *checks;
    size_t check_count;
    const char *root_name; /* the registered name of the root of /v1/supervisors */
};

/** Takes the context and registers the runtime's metrics. Once.   Context: one thread, before the node starts. */
void system_setup(const struct system_context *context);

/** The routes of this room; static. */
struct route_table system_routes(void);

#endif
