/* The routes of /v1/config: paths, methods, access. What they do is in read_routes.c, change_routes.c, patch_route.c. */
#include "api/config/config.h"
#include "api/config/config_routes.h"

#define ROOT "/v1/config"

static const char *const map_query[] = {"prefix", "reveal", "watch", "since", "wait_ms", NULL};
static const char *const key_query[] = {"reveal", NULL};
static const char *const history_query[] = {"limit", "cursor", "reveal", NULL};
static const char *const reload_query[] = {"keep_overrides", NULL};

/* path, method, handler, who may, body, known query parameters */
#define ROUTE(path, may, how, who, takes, known)                                                          \
    {                                                                                                     \
        .pattern = (path), .methods = (may), .handler = config_route_##how, .access = ROUTE_ACCESS_##who, \
        .body = ROUTE_BODY_##takes, .query = (known)                                                      \
    }

static const struct route routes[] = {
    ROUTE(ROOT, HTTP_GET, map, CLIENT, NONE, map_query),
    ROUTE(ROOT, HTTP_PATCH, patch, ADMIN, JSON, NULL),
    ROUTE(ROOT "/reload", HTTP_POST, reload, ADMIN, JSON_OPTIONAL, reload_query),
    ROUTE(ROOT "/{key}", HTTP_GET, get, CLIENT, NONE, key_query),
    ROUTE(ROOT "/{key}", HTTP_PUT, put, ADMIN, JSON, NULL),
    ROUTE(ROOT "/{key}", HTTP_DELETE, delete, ADMIN, NONE, NULL),
    ROUTE(ROOT "/{key}/history", HTTP_GET, history, CLIENT, NONE, history_query),
    ROUTE(ROOT "/{key}/rollback", HTTP_POST, rollback, ADMIN, JSON, NULL),
};

struct route_table config_routes(void)
{
    return (struct route_table)ROUTE_TABLE(routes);
}
