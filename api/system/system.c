/* What this room was given, and its routes. */
#include "api/system/system.h"

#include "api/system/system_impl.h"

static struct system_context context;

void system_setup(const struct system_context *given)
{
    TR_ASSERT(given->check_count <= SYSTEM_CHECKS_MAX);
    context = *given;
    system_register_runtime_metrics();
}

const struct system_context *system_context_get(void)
{
    return &context;
}

struct route_table system_routes(void)
{
    static const struct route routes[] = {
        {.pattern = "/", .methods = HTTP_GET, .handler = system_index, .access = ROUTE_ACCESS_ANY_TOKEN},
        {.pattern = "/healthz", .methods = HTTP_GET, .handler = system_healthz, .access = ROUTE_ACCESS_OPEN},
        {.pattern = "/readyz", .methods = HTTP_GET, .handler = system_readyz, .access = ROUTE_ACCESS_OPEN},
        {.pattern = "/metrics",
         .methods = HTTP_GET,
         .handler = system_metrics,
         .access = ROUTE_ACCESS_ANY_TOKEN},
        {.pattern = "/version",
         .methods = HTTP_GET,
         .handler = system_version,
         .access = ROUTE_ACCESS_ANY_TOKEN},
        {.pattern = "/openapi.yaml",
         .methods = HTTP_GET,
         .handler = system_openapi_yaml,
         .access = ROUTE_ACCESS_ANY_TOKEN},
        {.pattern = "/openapi.json",
         .methods = HTTP_GET,
         .handler = system_openapi_json,
         .access = ROUTE_ACCESS_ANY_TOKEN},
        {.pattern = "/v1/processes",
         .methods = HTTP_GET,
         .handler = system_processes,
         .query = system_process_list_query},
        {.pattern = "/v1/processes/{pid}", .methods = HTTP_GET, .handler = system_process},
        {.pattern = "/v1/processes/{pid}/exit",
         .methods = HTTP_POST,
         .handler = system_process_exit,
         .body = ROUTE_BODY_JSON},
        {.pattern = "/v1/processes/{pid}/suspend",
         .methods = HTTP_POST,
         .handler = system_process_suspend,
         .body = ROUTE_BODY_JSON_OPTIONAL},
        {.pattern = "/v1/processes/{pid}/resume",
         .methods = HTTP_POST,
         .handler = system_process_resume,
         .body = ROUTE_BODY_JSON_OPTIONAL},
        {.pattern = "/v1/supervisors", .methods = HTTP_GET, .handler = system_supervisors},
    };
    return (struct route_table)ROUTE_TABLE(routes);
}
