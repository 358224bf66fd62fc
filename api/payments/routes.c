/* The routes of /v1/payments: paths, methods, access. What they do is in command_routes.c and read_routes.c. */
#include "api/payments/payment_routes.h"
#include "api/payments/payments.h"

#define ROOT    "/v1/payments"
#define PAYMENT ROOT "/{id}"

static const char *const wait_query[] = {"wait_ms", "version", NULL};
static const char *const list_query[] = {"limit", "cursor", "state", "reference", "created_after", NULL};
static const char *const page_query[] = {"limit", "cursor", NULL};
static const char *const format_query[] = {"format", NULL};

#define READ(path, how, known)                                                   \
    {                                                                            \
        .pattern = (path), .methods = HTTP_GET, .handler = payment_route_##how,  \
        .access = ROUTE_ACCESS_CLIENT, .body = ROUTE_BODY_NONE, .query = (known) \
    }
#define CHANGE(path, how, takes)                                                                 \
    {                                                                                            \
        .pattern = (path), .methods = HTTP_POST, .handler = payment_route_##how,                 \
        .access = ROUTE_ACCESS_CLIENT, .body = ROUTE_BODY_##takes, .flags = ROUTE_IDEMPOTENT_KEY \
    }

static const struct route routes[] = {
    READ(ROOT, list, list_query),
    CHANGE(ROOT, create, JSON),
    READ(ROOT "/state-machine", table, format_query),
    READ(ROOT "/reconciliation", reconciliation, page_query),
    READ(PAYMENT, get, wait_query),
    READ(PAYMENT "/events", events, page_query),
    READ(PAYMENT "/state-machine", diagram, format_query),
    CHANGE(PAYMENT "/authorize", authorize, JSON),
    CHANGE(PAYMENT "/capture", capture, JSON_OPTIONAL),
    CHANGE(PAYMENT "/refund", refund, JSON),
    CHANGE(PAYMENT "/cancel", cancel, JSON_OPTIONAL),
};

struct route_table payments_routes(void)
{
    return (struct route_table)ROUTE_TABLE(routes);
}
