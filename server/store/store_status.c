#include "server/store/store_status.h"

#include <assert.h>

#define ROW(id, name, text) {name, text},
static const struct {
    const char *name;
    const char *text;
} statuses[] = {STORE_STATUS_TABLE(ROW)};
#undef ROW

const char *store_status_name(enum store_status status)
{
    assert(status < STORE_STATUS_COUNT);
    return statuses[status].name;
}

const char *store_status_text(enum store_status status)
{
    assert(status < STORE_STATUS_COUNT);
    return statuses[status].text;
}
