/* The routes of /v1/rate-limits: paths, methods, access. What they do is in check_routes.c, gate.c, batch.c, policy_routes.c. */
#include "api/rate_limits/check_routes.h"
#include "api/rate_limits/policy_routes.h"
#include "api/rate_limits/rate_limits.h"

#define ROOT   "/v1/rate-limits"
#define POLICY ROOT "/{policy}"

static const char *const page_query[] = {"limit", "cursor", NULL};
static const char *const cost_query[] = {"cost", NULL};
static const char *const gate_query[] = {"key", "key_header", "deny", NULL};

/* path, methods, handler, who may, body, flags, known query parameters */
#define ROUTE(path, may, how, who, takes, more, known)                                                \
    {                                                                                                 \
        .pattern = (path), .methods = (may), .handler = rl_route_##how, .access = ROUTE_ACCESS_##who, \
        .body = ROUTE_BODY_##takes, .flags = (more), .query = (known)                                 \
    }

static const struct route routes[] = {
    ROUTE(ROOT, HTTP_GET, policies, CLIENT, NONE, 0, page_query),
    ROUTE(ROOT "/check", HTTP_POST, batch, CLIENT, JSON, 0, NULL),
    ROUTE(POLICY, HTTP_GET, policy_get, CLIENT, NONE, 0, NULL),
    ROUTE(POLICY, HTTP_PUT, policy_put, ADMIN, JSON, 0, NULL),
    ROUTE(POLICY, HTTP_DELETE, policy_delete, ADMIN, NONE, 0, NULL),
    ROUTE(POLICY "/overrides/{key}", HTTP_GET, override_get, CLIENT, NONE, 0, NULL),
    ROUTE(POLICY "/overrides/{key}", HTTP_PUT, override_put, ADMIN, JSON, 0, NULL),
    ROUTE(POLICY "/overrides/{key}", HTTP_DELETE, override_delete, ADMIN, NONE, 0, NULL),
    ROUTE(POLICY "/check", HTTP_POST, check_body, CLIENT, JSON, 0, NULL),
    ROUTE(POLICY "/keys/{key}/check", HTTP_GET | HTTP_POST, check_key, CLIENT, IGNORED, 0, cost_query),
    ROUTE(POLICY "/keys/{key}", HTTP_GET, peek, CLIENT, NONE, 0, NULL),
    ROUTE(POLICY "/keys/{key}", HTTP_DELETE, reset, ADMIN, NONE, 0, NULL),
    ROUTE(POLICY "/gate", HTTP_ANY, gate, CLIENT, IGNORED, ROUTE_NO_PROBLEM, gate_query),
    ROUTE(POLICY "/gate/by-header/{header}", HTTP_ANY, gate_header, CLIENT, IGNORED,
          ROUTE_NO_PROBLEM | ROUTE_QUERY_IGNORED, NULL),
    ROUTE(POLICY "/gate/by-header/{header}/...", HTTP_ANY, gate_header, CLIENT, IGNORED,
          ROUTE_NO_PROBLEM | ROUTE_QUERY_IGNORED, NULL),
    ROUTE(POLICY "/gate/envoy/{header}", HTTP_ANY, gate_envoy, CLIENT, IGNORED,
          ROUTE_NO_PROBLEM | ROUTE_QUERY_IGNORED, NULL),
    ROUTE(POLICY "/gate/envoy/{header}/...", HTTP_ANY, gate_envoy, CLIENT, IGNORED,
          ROUTE_NO_PROBLEM | ROUTE_QUERY_IGNORED, NULL),
};

struct route_table rate_limits_routes(void)
{
    return (struct route_table)ROUTE_TABLE(routes);
}
