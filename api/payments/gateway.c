#include "api/payments/gateway.h"

#include "api/payments/gateway_sandbox.h"

#include <stdio.h>
#include <string.h>

static const struct gateway *chosen;

const char *operation_kind_text(enum operation_kind kind)
{
    static const char *const texts[] = {[OPERATION_NONE] = "none",
                                        [OPERATION_AUTHORIZE] = "authorize",
                                        [OPERATION_CAPTURE] = "capture",
                                        [OPERATION_REFUND] = "refund",
                                        [OPERATION_CANCEL] = "cancel"};
    return texts[kind];
}

const struct store_schema *gateway_schemas(size_t *count)
{
    *count = 1;
    return &gateway_sandbox_schema;
}

bool gateway_setup(const struct settings *settings, struct store *store, char *why, size_t bytes)
{
    (void)store;
    if (strcmp(settings->gateway, "sandbox") != 0) {
        snprintf(why, bytes, "there is no payment gateway for %s", settings->gateway);
        return false;
    }
    chosen = &gateway_sandbox;
    return true;
}

const struct gateway *gateway_chosen(void)
{
    return chosen;
}
