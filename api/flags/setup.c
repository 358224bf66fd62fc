#include "api/flags/cache.h"
#include "api/flags/flags.h"
#include "api/flags/records.h"
#include "api/flags/routes.h"

const struct store_schema *flags_schemas(size_t *count)
{
    *count = 1;
    return &flags_schema;
}

void flags_setup(const struct settings *settings)
{
    flags_settings = settings;
}

tr_child_spec flags_child_spec(void)
{
    return flags_cache_child_spec();
}

void flags_teardown(void)
{
    tr_snapshot_clear(&flags_now);
}

/* path, method, handler, who may, body, flags, known query parameters */
#define ROUTE(path, may, how, who, takes, are, known)                                                    \
    {                                                                                                    \
        .pattern = (path), .methods = (may), .handler = flags_route_##how, .access = ROUTE_ACCESS_##who, \
        .body = ROUTE_BODY_##takes, .flags = (are), .query = (known)                                     \
    }

static const char *const page_query[] = {"limit", "cursor", NULL};

/* A body of OFREP is judged by its handler: errors are answered as that protocol has them. */
static const struct route routes[] = {
    ROUTE("/v1/flags", HTTP_GET, list, CLIENT, NONE, 0, page_query),
    ROUTE("/v1/flags/{key}", HTTP_GET, get, CLIENT, NONE, 0, NULL),
    ROUTE("/v1/flags/{key}", HTTP_PUT, put, ADMIN, JSON, 0, NULL),
    ROUTE("/v1/flags/{key}", HTTP_DELETE, delete, ADMIN, NONE, 0, NULL),
    ROUTE("/ofrep/v1/evaluate/flags", HTTP_POST, evaluate_all, CLIENT, IGNORED, ROUTE_QUERY_IGNORED, NULL),
    ROUTE("/ofrep/v1/evaluate/flags/{key}", HTTP_POST, evaluate, CLIENT, IGNORED, ROUTE_QUERY_IGNORED, NULL),
};

struct route_table flags_routes(void)
{
    return (struct route_table)ROUTE_TABLE(routes);
}
