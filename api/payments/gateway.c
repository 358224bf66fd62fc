#include "api/payments/gateway.h"

#include "api/payments/gateway_http.h"
#include "api/payments/gateway_sandbox.h"

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
    (void)store; /* the sandbox writes through store.writer, like everybody */
    bool sandbox = strcmp(settings->gateway, "sandbox") == 0;
    chosen = sandbox ? &gateway_sandbox : &gateway_http;
    return sandbox || gateway_http_setup(settings, why, bytes);
}

const struct gateway *gateway_chosen(void)
{
    return chosen;
}
