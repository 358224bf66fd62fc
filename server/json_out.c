#include "server/json_out.h"

#include "server/digits.h"
#include "server/json_scan.h"
#include "server/timestamp.h"
#include "server/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void json_out_init(struct json_out *out, char *buffer, size_t bytes)
{
    *out = (struct json_out){.bytes = buffer, .capacity = bytes, .bytes_max = bytes};
}

void json_out_init_growing(struct json_out *out, size_t bytes, size_t bytes_max)
{
    bytes = bytes < 64 ? 64 : bytes;
    *out =
        (struct json_out){.bytes = malloc(bytes), .capacity = bytes, .bytes_max = bytes_max, .growing = true};
    out->failed = out->bytes == NULL;
}

void json_out_init_spilling(struct json_out *out, char *buffer, size_t bytes, size_t bytes_max)
{
    *out = (struct json_out){
        .bytes = buffer, .first = buffer, .capacity = bytes, .bytes_max = bytes_max, .growing = true};
}

void json_out_fini(struct json_out *out)
{
    if (out->growing && out->bytes != out->first) {
        free(out->bytes);
    }
    *out = (struct json_out){.failed = true};
}

static bool is_whole(const struct json_out *out)
{
    return !out->failed && out->depth == 0 && out->count > 0;
}

struct text json_out_text(const struct json_out *out)
{
    return is_whole(out) ? (struct text){.bytes = out->bytes, .count = out->count} : text_of(NULL);
}

char *json_out_take(struct json_out *out, size_t *count)
{
    if (!is_whole(out) || !out->growing) {
        return NULL;
    }
    char *bytes = out->bytes;
    *count = out->count;
    *out = (struct json_out){.failed = true};
    return bytes;
}

static bool grow(struct json_out *out, size_t more)
{
    if (out->failed || !out->growing || more > out->bytes_max || out->count > out->bytes_max - more) {
        out->failed = true;
        return false;
    }
    size_t needed = out->count + more;
    size_t capacity = out->capacity * 2 < needed ? needed : out->capacity * 2;
    capacity = capacity > out->bytes_max ? out->bytes_max : capacity;
    bool spills = out->first != NULL && out->bytes == out->first;
    char *bytes = spills ? malloc(capacity) : realloc(out->bytes, capacity);
    if (bytes == NULL) {
        out->failed = true;
        return false;
    }
    if (spills && out->count > 0) {
        memcpy(bytes, out->first, out->count);
    }
    out->bytes = bytes;
    out->capacity = capacity;
    return true;
}

/* Room for `bytes` more; the place to write them to, or NULL. The caller advances count. */
static inline char *reserve(struct json_out *out, size_t bytes)
{
    if (out->failed || (bytes > out->capacity - out->count && !grow(out, bytes))) {
        return NULL;
    }
    return out->bytes + out->count;
}

char *json_out_reserve(struct json_out *out, size_t bytes)
{
    if (out->keyed) {
        out->failed = true;
    }
    return reserve(out, bytes);
}

static inline void put(struct json_out *out, const char *bytes, size_t count)
{
    char *at = reserve(out, count);
    if (at != NULL && count > 0) {
        memcpy(at, bytes, count);
        out->count += count;
    }
}

/* Whether a value may stand here; writes the comma before it. */
static inline bool begin_value(struct json_out *out)
{
    bool in_object = out->depth > 0 && (out->objects >> out->depth & 1) != 0;
    if (out->failed || in_object != out->keyed || (out->depth == 0 && out->comma)) {
        out->failed = true;
        return false;
    }
    if (out->comma && !out->keyed) {
        put(out, ",", 1);
    }
    out->keyed = false;
    out->comma = true;
    return true;
}

static void open_container(struct json_out *out, bool object)
{
    if (!begin_value(out)) {
        return;
    }
    if (out->depth == JSON_OUT_DEPTH_MAX) {
        out->failed = true;
        return;
    }
    out->depth++;
    uint64_t bit = UINT64_C(1) << out->depth;
    out->objects = object ? out->objects | bit : out->objects & ~bit;
    out->comma = false;
    put(out, object ? "{" : "[", 1);
}

static void close_container(struct json_out *out, bool object)
{
    if (out->depth == 0 || out->keyed || ((out->objects >> out->depth & 1) != 0) != object) {
        out->failed = true;
        return;
    }
    out->depth--;
    out->comma = true;
    put(out, object ? "}" : "]", 1);
}

void json_out_open_object(struct json_out *out)
{
    open_container(out, true);
}

void json_out_close_object(struct json_out *out)
{
    close_container(out, true);
}

void json_out_open_array(struct json_out *out)
{
    open_container(out, false);
}

void json_out_close_array(struct json_out *out)
{
    close_container(out, false);
}

/* ---- strings ---- */

/* Writes one byte that cannot stand as it is, or a sequence; returns how many bytes of input it used. */
static size_t put_special(struct json_out *out, const char *at, size_t left)
{
    static const char hex[16] = "0123456789abcdef";
    unsigned char byte = (unsigned char)*at;
    if (byte >= 0x80) {
        size_t bytes = utf8_sequence(at, left);
        put(out, bytes == 0 ? "\xEF\xBF\xBD" : at, bytes == 0 ? 3 : bytes);
        return bytes == 0 ? 1 : bytes;
    }
    char letter = byte == '"' || byte == '\\' ? (char)byte
                  : byte == '\n'              ? 'n'
                  : byte == '\r'              ? 'r'
                  : byte == '\t'              ? 't'
                  : byte == '\b'              ? 'b'
                  : byte == '\f'              ? 'f'
                                              : 'u';
    char escape[6] = {'\\', letter, '0', '0', hex[byte >> 4], hex[byte & 15]};
    put(out, escape, letter == 'u' ? 6 : 2);
    return 1;
}

/* The general way: piece by piece, escaping what must be. */
static void put_escaped(struct json_out *out, struct text value)
{
    const char *at = value.bytes;
    const char *end = at + value.count;
    put(out, "\"", 1);
    while (at < end && !out->failed) {
        const char *plain = json_skip_plain(at, end);
        put(out, at, (size_t)(plain - at));
        at = plain;
        if (at < end) {
            at += put_special(out, at, (size_t)(end - at));
        }
    }
    put(out, "\"", 1);
}

/* Most strings need no escape: one look, one reservation, one copy. `before` and `after` may be 0. */
static inline void put_string(struct json_out *out, char before, struct text value, char after)
{
    const char *end = value.count == 0 ? value.bytes : value.bytes + value.count;
    bool plain = value.count == 0 || json_skip_plain(value.bytes, end) == end;
    size_t bytes = (plain ? value.count + 2 : 0) + (before != 0) + (plain && after != 0);
    char *at = reserve(out, bytes);
    if (at == NULL) {
        return;
    }
    if (before != 0) {
        *at++ = before;
    }
    if (!plain) {
        out->count += bytes;
        put_escaped(out, value);
        put(out, &after, after != 0);
        return;
    }
    *at++ = '"';
    if (value.count > 0) {
        memcpy(at, value.bytes, value.count);
    }
    at += value.count;
    *at++ = '"';
    if (after != 0) {
        *at = after;
    }
    out->count += bytes;
}

void json_out_key_text(struct json_out *out, struct text name)
{
    if (out->failed || out->depth == 0 || (out->objects >> out->depth & 1) == 0 || out->keyed) {
        out->failed = true;
        return;
    }
    put_string(out, out->comma ? ',' : 0, name, ':');
    out->keyed = true;
}

void json_out_text_value(struct json_out *out, struct text value)
{
    if (value.bytes == NULL) {
        json_out_null(out);
    } else if (begin_value(out)) {
        put_string(out, 0, value, 0);
    }
}

/* ---- the rest ---- */

static void put_digits(struct json_out *out, bool negative, uint64_t value)
{
    char digits[DIGITS_MAX + 1] = {'-'};
    const char *end = digits_put(digits + negative, value);
    put(out, digits, (size_t)(end - digits));
}

void json_out_int(struct json_out *out, int64_t value)
{
    if (begin_value(out)) {
        put_digits(out, value < 0, value < 0 ? -(uint64_t)value : (uint64_t)value);
    }
}

void json_out_uint(struct json_out *out, uint64_t value)
{
    if (begin_value(out)) {
        put_digits(out, false, value);
    }
}

void json_out_bool(struct json_out *out, bool value)
{
    json_out_raw(out, value ? TEXT("true") : TEXT("false"));
}

void json_out_null(struct json_out *out)
{
    json_out_raw(out, TEXT("null"));
}

void json_out_raw(struct json_out *out, struct text json)
{
    if (begin_value(out)) {
        put(out, json.bytes, json.count);
    }
}

void json_out_time(struct json_out *out, int64_t unix_ms)
{
    char time[TIMESTAMP_BYTES + 2];
    if (!timestamp_write(unix_ms, time + 1)) {
        json_out_null(out);
        return;
    }
    time[0] = '"';
    time[TIMESTAMP_BYTES + 1] = '"';
    json_out_raw(out, (struct text){.bytes = time, .count = sizeof(time)});
}

/* ---- trees ---- */

static void put_number(struct json_out *out, const cJSON *item)
{
    double value = item->valuedouble;
    if (item->valuestring != NULL) {
        json_out_raw(out, text_of(item->valuestring)); /* as the client wrote it: see json.h, invariant 2 */
    } else if (value >= -(double)JSON_INTEGER_MAX && value <= (double)JSON_INTEGER_MAX &&
               value == trunc(value)) {
        json_out_int(out, (int64_t)value);
    } else if (!isfinite(value)) {
        json_out_null(out);
    } else {
        char digits[32];
        int count = snprintf(digits, sizeof(digits), "%.17g", value);
        json_out_raw(out, (struct text){.bytes = digits, .count = (size_t)count});
    }
}

/* Writes one item; true when it is a container whose children come next. */
static bool put_item(struct json_out *out, const cJSON *item)
{
    switch (item->type & 0xFF) {
    case cJSON_Object:
    case cJSON_Array:
        open_container(out, cJSON_IsObject(item) != 0);
        if (item->child != NULL) {
            return true;
        }
        close_container(out, cJSON_IsObject(item) != 0);
        return false;
    case cJSON_String:
        json_out_text_value(out, json_string(item));
        return false;
    case cJSON_Raw:
        json_out_raw(out, text_of(item->valuestring));
        return false;
    case cJSON_Number:
        put_number(out, item);
        return false;
    case cJSON_True:
    case cJSON_False:
        json_out_bool(out, cJSON_IsTrue(item) != 0);
        return false;
    default:
        json_out_null(out);
        return false;
    }
}

void json_out_tree(struct json_out *out, const cJSON *tree)
{
    const cJSON *up[JSON_OUT_DEPTH_MAX];
    unsigned depth = 0;
    const cJSON *item = tree;
    while (item != NULL && !out->failed) {
        if (depth > 0 && cJSON_IsObject(up[depth - 1])) {
            json_out_key(out, item->string);
        }
        if (put_item(out, item)) {
            if (depth == JSON_OUT_DEPTH_MAX || out->failed) {
                out->failed = true;
                return;
            }
            up[depth++] = item;
            item = item->child;
            continue;
        }
        while (depth > 0 && item->next == NULL) {
            item = up[--depth];
            close_container(out, cJSON_IsObject(item) != 0);
        }
        item = depth == 0 ? NULL : item->next;
    }
}
