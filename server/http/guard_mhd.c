/* The guard's side that talks to libmicrohttpd; the checks are in guard.c. */
#include "server/http/guard.h"

#include <microhttpd.h>

static enum MHD_Result show_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
                                   const char *value, size_t value_bytes)
{
    (void)kind;
    struct text value_text = {.bytes = value, .count = value_bytes};
    bool more = guard_header(cls, (struct text){name, name_bytes}, value_text);
    return more ? MHD_YES : MHD_NO;
}

enum guard_verdict guard_check(struct guard *guard, struct MHD_Connection *connection, const char *method,
                               const char *version)
{
    const union MHD_ConnectionInfo *head =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (head == NULL) {
        return guard->verdict = GUARD_LAYOUT;
    }
    size_t head_bytes = head->header_size;
    guard_start(guard, method, version);
    if (guard->verdict == GUARD_OK) {
        (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, show_header, guard);
    }
    return guard_finish(guard, head_bytes);
}

void guard_hide_expectation(const struct guard *guard)
{
    struct text expect = http_header(&guard->headers, HTTP_FIELD_EXPECT);
    if (expect.count != 0) {
        *(char *)(uintptr_t)expect.bytes = '-'; /* in the library's own receive buffer */
    }
}

size_t guard_unescape(void *unused, struct MHD_Connection *connection, char *text)
{
    (void)unused;
    (void)connection;
    return strlen(text);
}

struct lookup {
    struct text name;
    struct text value;
    size_t found;
};

static enum MHD_Result compare(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
                               const char *value, size_t value_bytes)
{
    struct lookup *lookup = cls;
    (void)kind;
    if (text_equal_nocase(lookup->name, (struct text){name, name_bytes}) && lookup->found++ == 0) {
        lookup->value = (struct text){.bytes = value, .count = value_bytes};
    }
    return MHD_YES;
}

size_t guard_lookup(struct MHD_Connection *connection, struct text name, struct text *value)
{
    struct lookup lookup = {.name = name};
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, compare, &lookup);
    if (lookup.found > 0) {
        *value = lookup.value;
    }
    return lookup.found;
}

bool guard_library_known(void)
{
    return strncmp(MHD_get_version(), "0.9.75", 6) == 0;
}
