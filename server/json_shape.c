#include "server/json_shape.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- the list of errors ---- */

struct writer {
    char *bytes;
    size_t used;
    size_t capacity;
    bool full;
};

static void put(struct writer *w, const char *bytes, size_t count)
{
    if (w->full || count > w->capacity - w->used) {
        w->full = true;
        return;
    }
    memcpy(w->bytes + w->used, bytes, count);
    w->used += count;
}

/* One step of a pointer: '~' and '/' are escaped (RFC 6901). */
static void put_step(struct writer *w, struct text name)
{
    put(w, "/", 1);
    for (size_t i = 0; i < name.count; i++) {
        char byte = name.bytes[i];
        if (byte == '~' || byte == '/') {
            put(w, byte == '~' ? "~0" : "~1", 2);
        } else {
            put(w, &byte, 1);
        }
    }
}

static void put_where(struct writer *w, const struct json_where *where)
{
    const struct json_where *chain[JSON_DEPTH_LIMIT + 1];
    size_t depth = 0;
    for (; where != NULL && depth < JSON_DEPTH_LIMIT + 1; where = where->parent) {
        chain[depth++] = where;
    }
    while (depth > 0) {
        const struct json_where *step = chain[--depth];
        char digits[24];
        if (step->name == NULL) {
            (void)snprintf(digits, sizeof(digits), "%zu", step->index);
        }
        put_step(w, text_of(step->name == NULL ? digits : step->name));
    }
}

static struct writer begin(struct json_errors *errors)
{
    return (struct writer){.bytes = errors->bytes + errors->used,
                           .capacity = sizeof(errors->bytes) - errors->used,
                           .full = errors->count == JSON_ERRORS_MAX};
}

/* The pointer is the first pointer_bytes of what was written, the detail the rest. */
static void commit(struct json_errors *errors, const struct writer *w, size_t pointer_bytes, bool in_query)
{
    if (w->full) {
        errors->dropped++;
        return;
    }
    errors->items[errors->count].pointer = (struct text){.bytes = w->bytes, .count = pointer_bytes};
    errors->items[errors->count].detail =
        (struct text){.bytes = w->bytes + pointer_bytes, .count = w->used - pointer_bytes};
    errors->items[errors->count].in_query = in_query;
    errors->count++;
    errors->used += w->used;
}

/* Adds the detail to the pointer that was written, and keeps both. The first error is always kept: when its name fills the
 * list, the document itself is pointed at. */
static void note(struct json_errors *errors, struct writer *w, struct text detail, bool in_query)
{
    size_t pointer_bytes = w->used;
    put(w, detail.bytes, detail.count);
    if (w->full && errors->count == 0) {
        *w = begin(errors);
        pointer_bytes = 0;
        put(w, detail.bytes, detail.count);
    }
    commit(errors, w, pointer_bytes, in_query);
}

void json_errors_add(struct json_errors *errors, const struct json_where *where, const char *name,
                     const char *format, ...)
{
    char detail[256];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    struct writer w = begin(errors);
    put_where(&w, where);
    if (name != NULL) {
        put_step(&w, text_of(name));
    }
    note(errors, &w, written < 0 ? text_of("") : text_of(detail), false);
}

void json_errors_add_query(struct json_errors *errors, struct text name, const char *detail)
{
    struct writer w = begin(errors);
    put_step(&w, name);
    note(errors, &w, text_of(detail), true);
}

/* ---- members ---- */

struct context {
    const struct json_where *where;
    const struct json_member *member;
    struct json_errors *errors;
};

#define MISFIT(c, ...) (json_errors_add((c)->errors, (c)->where, (c)->member->name, __VA_ARGS__), false)

static bool has_range(const struct json_member *member)
{
    return member->min != 0 || member->max != 0;
}

static bool read_int(const struct context *c, const cJSON *item, void *target)
{
    const struct json_member *m = c->member;
    int64_t value;
    bool ok = json_integer(item, &value);
    if (ok && has_range(m)) {
        ok = value >= m->min && value <= m->max;
    }
    if (!ok) {
        return has_range(m) ? MISFIT(c, "must be an integer from %" PRId64 " to %" PRId64, m->min, m->max)
                            : MISFIT(c, "must be an integer written as digits, at most 2^53 - 1");
    }
    memcpy(target, &value, sizeof(value));
    return true;
}

static bool read_text(const struct context *c, const cJSON *item, void *target)
{
    const struct json_member *m = c->member;
    if (!cJSON_IsString(item)) {
        return MISFIT(c, "must be a string");
    }
    struct text text = json_string(item);
    if (has_range(m) && ((int64_t)text.count < m->min || (int64_t)text.count > m->max)) {
        return MISFIT(c, "must be %" PRId64 " to %" PRId64 " bytes long", m->min, m->max);
    }
    memcpy(target, &text, sizeof(text));
    return true;
}

static bool read_word(const struct context *c, const cJSON *item, void *target)
{
    char list[192];
    size_t used = 0;
    for (int i = 0; c->member->words[i] != NULL; i++) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, c->member->words[i]) == 0) {
            memcpy(target, &i, sizeof(i));
            return true;
        }
        int n = snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", c->member->words[i]);
        used = n < 0 || (size_t)n >= sizeof(list) - used ? sizeof(list) - 1 : used + (size_t)n;
    }
    return MISFIT(c, "must be one of: %s", list);
}

static bool read_bool(const struct context *c, const cJSON *item, void *target)
{
    if (!cJSON_IsBool(item)) {
        return MISFIT(c, "must be true or false");
    }
    bool value = cJSON_IsTrue(item) != 0;
    memcpy(target, &value, sizeof(value));
    return true;
}

static bool read_item(const struct context *c, const cJSON *item, void *target)
{
    const struct json_member *m = c->member;
    if (m->kind == JSON_OBJECT && !cJSON_IsObject(item)) {
        return MISFIT(c, "must be an object");
    }
    if (m->kind == JSON_ARRAY) {
        if (!cJSON_IsArray(item)) {
            return MISFIT(c, "must be an array");
        }
        int64_t length = cJSON_GetArraySize(item);
        if (has_range(m) && (length < m->min || length > m->max)) {
            return MISFIT(c, "must have %" PRId64 " to %" PRId64 " items", m->min, m->max);
        }
    }
    *(const cJSON **)target = item;
    return true;
}

static bool read_member(const struct context *c, const cJSON *item, void *out)
{
    void *target = (char *)out + c->member->offset;
    if (c->member->nullable && cJSON_IsNull(item)) {
        return true;
    }
    switch (c->member->kind) {
    case JSON_INT:
        return read_int(c, item, target);
    case JSON_TEXT:
        return read_text(c, item, target);
    case JSON_WORD:
        return read_word(c, item, target);
    case JSON_BOOL:
        return read_bool(c, item, target);
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_ANY:
        return read_item(c, item, target);
    }
    return MISFIT(c, "has a kind this service does not know");
}

static size_t find_member(const struct json_shape *shape, const char *name)
{
    size_t i = 0;
    while (i < shape->count && strcmp(shape->members[i].name, name) != 0) {
        i++;
    }
    return i;
}

bool json_read_object(const cJSON *value, const struct json_where *where, const struct json_shape *shape,
                      void *out, struct json_errors *errors)
{
    uint32_t seen = 0;
    bool ok = true;
    if (!cJSON_IsObject(value)) {
        json_errors_add(errors, where, NULL, "must be an object");
        return false;
    }
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        size_t i = find_member(shape, item->string);
        if (i == shape->count) {
            json_errors_add(errors, where, item->string, "is not a known member");
            ok = false;
            continue;
        }
        struct context c = {.where = where, .member = &shape->members[i], .errors = errors};
        seen |= UINT32_C(1) << i;
        ok = read_member(&c, item, out) && ok;
    }
    for (size_t i = 0; i < shape->count; i++) {
        if (shape->members[i].required && (seen >> i & 1) == 0) {
            json_errors_add(errors, where, shape->members[i].name, "is required");
            ok = false;
        }
    }
    return ok;
}

bool json_has_member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item != NULL && !cJSON_IsNull(item);
}
