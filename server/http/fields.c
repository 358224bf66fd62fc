#include "server/http/fields.h"

#include "server/http/bytes.h"

#include <stdlib.h>

void fields_fini(struct fields *fields)
{
    if (fields->bytes != fields->small) {
        free(fields->bytes);
    }
    fields_init(fields);
}

static bool grow(struct fields *fields, size_t needed)
{
    size_t room = fields->room * 2 < needed ? needed : fields->room * 2;
    if (needed > FIELDS_BYTES_MAX) {
        return false;
    }
    bool is_small = fields->bytes == fields->small;
    char *bytes = is_small ? malloc(room) : realloc(fields->bytes, room);
    if (bytes == NULL) {
        return false;
    }
    if (is_small) {
        memcpy(bytes, fields->small, fields->count);
    }
    fields->bytes = bytes;
    fields->room = room;
    return true;
}

char *fields_reserve(struct fields *fields, size_t bytes)
{
    if (bytes > fields->room - fields->count && !grow(fields, fields->count + bytes)) {
        return NULL;
    }
    return fields->bytes + fields->count;
}

bool fields_add(struct fields *fields, struct text name, struct text value)
{
    char *at = NULL;
    if (bytes_are_field_value(value.bytes, value.count) && value.count <= FIELDS_BYTES_MAX) {
        at = fields_reserve(fields, 4 + name.count + value.count);
    }
    if (at == NULL) {
        return false;
    }
    at = text_put(at, TEXT("\r\n"));
    at = text_put(at, name);
    at = text_put(at, TEXT(": "));
    fields_commit(fields, text_put(at, value));
    return true;
}

bool fields_have(const struct fields *fields, struct text name)
{
    const char *end = fields->bytes + fields->count;
    for (const char *at = fields->bytes; (size_t)(end - at) > name.count + 4; at++) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL || (size_t)(end - at) < name.count + 2) {
            return false;
        }
        if (memcmp(at + 1, name.bytes, name.count) == 0 && at[name.count + 1] == ':') {
            return true;
        }
    }
    return false;
}
