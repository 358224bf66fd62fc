/* system_impl: the handlers of this room, by file, and what they share. Internal to api/system.
 *
 * Invariants: handlers run on the core that owns the connection and do not block.
 */
#ifndef TROUPE_API_SYSTEM_SYSTEM_IMPL_H
#define TROUPE_API_SYSTEM_SYSTEM_IMPL_H

#include "api/system/system.h"
#include "server/http/request.h"

/* health.c */
route_handler system_healthz;
route_handler system_readyz;

/* about.c */
route_handler system_index;
route_handler system_version;
route_handler system_metrics;
route_handler system_openapi_yaml;
route_handler system_openapi_json;

/* process_list.c, process_routes.c, supervisors.c */
route_handler system_processes;
route_handler system_process;
route_handler system_process_exit;
route_handler system_process_suspend;
route_handler system_process_resume;
route_handler system_supervisors;

/** The parameters of the process list. */
extern const char *const system_process_list_query[];

const struct system_context *system_context_get(void);

/** Registers troupe_runtime_*. (runtime_metrics.c) */
void system_register_runtime_metrics(void);

#endif
