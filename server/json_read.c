#include "server/json_read.h"

#include "server/json_scan.h"
#include "server/utf8.h"

#include <limits.h>
#include <stdlib.h>

/* Objects up to this size look for a repeated key as each key comes; larger ones once, sorted, when they
 * close. */
#define SMALL_OBJECT 16

const struct json_limits json_limits_default = {
    .depth_max = JSON_DEPTH_LIMIT, .tokens_max = 65536, .string_bytes_max = INT_MAX};

struct reader {
    const char *start;
    const char *at;
    const char *end;
    struct json_arena *arena;
    const struct json_limits *limits;
    size_t tokens;
    unsigned depth;
    cJSON *open[JSON_DEPTH_LIMIT];
    size_t members[JSON_DEPTH_LIMIT];
    enum json_fault fault;
};

static bool fail(struct reader *r, enum json_fault fault)
{
    r->fault = fault;
    return false;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')) {
        r->at++;
    }
}

static bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool take_digits(struct reader *r)
{
    if (!is_digit(r)) {
        return fail(r, JSON_FAULT_NUMBER);
    }
    while (is_digit(r)) {
        r->at++;
    }
    return true;
}

/* ---- strings ---- */

static bool take_hex4(const char *at, const char *end, uint32_t *value)
{
    uint32_t v = 0;
    if (end - at < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        unsigned char lower = text_lower(c);
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t)(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            v = v << 4 | (uint32_t)(lower - 'a' + 10);
        } else {
            return false;
        }
    }
    *value = v;
    return true;
}

/* at is behind "\u"; reads one or, for a surrogate pair, two units. */
static bool unescape_unicode(struct reader *r, const char **at, const char *end, char **to)
{
    uint32_t unit;
    if (!take_hex4(*at, end, &unit)) {
        return fail(r, JSON_FAULT_ESCAPE);
    }
    *at += 4;
    if (unit == 0) {
        return fail(r, JSON_FAULT_NUL);
    }
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        uint32_t low;
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || !take_hex4(*at + 2, end, &low) ||
            low < 0xDC00 || low > 0xDFFF) {
            return fail(r, JSON_FAULT_ESCAPE);
        }
        *at += 6;
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    size_t bytes = json_utf8_encode(unit, *to);
    if (bytes == 0) {
        return fail(r, JSON_FAULT_ESCAPE); /* a low surrogate alone */
    }
    *to += bytes;
    return true;
}

static char short_escape(char letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

/* Unescapes [at, end) to `to`; what comes out is never longer than what goes in. */
static bool unescape(struct reader *r, const char *at, const char *end, char **to)
{
    while (at < end) {
        if (*at != '\\') {
            *(*to)++ = *at++;
            continue;
        }
        char letter = at[1]; /* the scan has seen a byte behind each backslash */
        char plain = short_escape(letter);
        r->at = at;
        at += 2;
        if (letter == 'u') {
            if (!unescape_unicode(r, &at, end, to)) {
                return false;
            }
        } else if (plain != 0) {
            *(*to)++ = plain;
        } else {
            return fail(r, JSON_FAULT_ESCAPE);
        }
    }
    r->at = end;
    return true;
}

/* Finds the closing quote, checking bytes on the way; r->at is behind the opening one, ends at the closing
 * one. */
static bool scan_string(struct reader *r, bool *escaped)
{
    *escaped = false;
    for (;;) {
        r->at = json_skip_plain(r->at, r->end);
        if (r->at == r->end) {
            return fail(r, JSON_FAULT_SYNTAX);
        }
        unsigned char byte = (unsigned char)*r->at;
        if (byte == '"') {
            return true;
        }
        if (byte == '\\') {
            if (r->end - r->at < 2) {
                return fail(r, JSON_FAULT_SYNTAX);
            }
            *escaped = true;
            if (r->at[1] < 0x20 || r->at[1] == 0x7F) {
                return fail(r, JSON_FAULT_ESCAPE);
            }
            r->at += 2;
        } else if (byte < 0x20) {
            return fail(r, byte == 0 ? JSON_FAULT_NUL : JSON_FAULT_CONTROL);
        } else {
            size_t bytes = utf8_sequence(r->at, (size_t)(r->end - r->at));
            if (bytes == 0) {
                return fail(r, JSON_FAULT_UTF8);
            }
            r->at += bytes;
        }
    }
}

static bool read_string(struct reader *r, char **string, size_t *count)
{
    const char *first = ++r->at;
    bool escaped;
    if (!scan_string(r, &escaped)) {
        return false;
    }
    const char *last = r->at;
    size_t raw = (size_t)(last - first);
    if (raw > r->limits->string_bytes_max || raw > INT_MAX) {
        return fail(r, JSON_FAULT_TOO_LONG);
    }
    char *memory = json_arena_take(r->arena, raw + 1);
    if (memory == NULL) {
        return fail(r, JSON_FAULT_MEMORY);
    }
    char *to = memory;
    if (escaped) {
        if (!unescape(r, first, last, &to)) {
            return false;
        }
    } else {
        memcpy(memory, first, raw);
        to += raw;
    }
    *to = '\0';
    r->at = last + 1;
    *string = memory;
    *count = (size_t)(to - memory);
    return true;
}

/* ---- numbers ---- */

static bool keep_number_text(struct reader *r, const char *first, cJSON *item)
{
    size_t bytes = (size_t)(r->at - first);
    if (bytes > r->limits->string_bytes_max) {
        r->at = first;
        return fail(r, JSON_FAULT_TOO_LONG);
    }
    char *copy = json_arena_take(r->arena, bytes + 1);
    if (copy == NULL) {
        return fail(r, JSON_FAULT_MEMORY);
    }
    memcpy(copy, first, bytes);
    copy[bytes] = '\0';
    item->valuestring = copy;
    item->valuedouble = strtod(copy, NULL);
    return true;
}

static bool read_number(struct reader *r, cJSON *item)
{
    const char *first = r->at;
    bool negative = *r->at == '-';
    bool digits_only = true;
    if (negative) {
        r->at++;
    }
    const char *digits = r->at;
    if (!take_digits(r)) {
        return false;
    }
    size_t digit_count = (size_t)(r->at - digits);
    if (digit_count > 1 && *digits == '0') {
        r->at = digits + 1;
        return fail(r, JSON_FAULT_NUMBER);
    }
    if (r->at < r->end && *r->at == '.') {
        digits_only = false;
        r->at++;
        if (!take_digits(r)) {
            return false;
        }
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        digits_only = false;
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) {
            r->at++;
        }
        if (!take_digits(r)) {
            return false;
        }
    }
    item->type = cJSON_Number;
    int64_t value = 0;
    if (digits_only && digit_count <= 16) {
        for (size_t i = 0; i < digit_count; i++) {
            value = value * 10 + (digits[i] - '0');
        }
    }
    if (digits_only && digit_count <= 16 && value <= JSON_INTEGER_MAX) {
        value = negative ? -value : value;
        item->type |= JSON_INTEGER;
        item->valuedouble = (double)value;
    } else if (!keep_number_text(r, first, item)) {
        return false;
    }
    item->valueint = item->valuedouble >= INT_MAX   ? INT_MAX
                     : item->valuedouble <= INT_MIN ? INT_MIN
                                                    : (int)item->valuedouble;
    return true;
}

/* ---- repeated keys ---- */

static void sift_down(cJSON **heap, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && strcmp(heap[child]->string, heap[child + 1]->string) < 0) {
            child++;
        }
        if (strcmp(heap[root]->string, heap[child]->string) >= 0) {
            return;
        }
        cJSON *swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

/* A heap sort: no worst case to provoke, no allocation outside the arena. */
static bool keys_differ_sorted(struct reader *r, const cJSON *object, size_t count)
{
    cJSON **keys = json_arena_take(r->arena, count * sizeof(cJSON *));
    if (keys == NULL) {
        return fail(r, JSON_FAULT_MEMORY);
    }
    size_t filled = 0;
    for (cJSON *item = object->child; item != NULL; item = item->next) {
        keys[filled++] = item;
    }
    for (size_t i = count / 2; i-- > 0;) {
        sift_down(keys, i, count);
    }
    const cJSON *greater = NULL;
    for (size_t left = count; left > 0; left--) {
        if (greater != NULL && strcmp(greater->string, keys[0]->string) == 0) {
            return fail(r, JSON_FAULT_REPEATED_KEY);
        }
        greater = keys[0];
        keys[0] = keys[left - 1];
        sift_down(keys, 0, left - 1);
    }
    return true;
}

static bool key_is_new(const cJSON *object, const char *key)
{
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        if (item->string[0] == key[0] && strcmp(item->string, key) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- values ---- */

static void attach(cJSON *container, cJSON *item)
{
    if (container->child == NULL) {
        container->child = item;
        item->prev = item; /* cJSON keeps the last item in the first one's prev */
    } else {
        cJSON *last = container->child->prev;
        last->next = item;
        item->prev = last;
        container->child->prev = item;
    }
}

static bool read_word(struct reader *r, const char *word, size_t bytes, cJSON *item, int type)
{
    if ((size_t)(r->end - r->at) < bytes || memcmp(r->at, word, bytes) != 0) {
        return fail(r, JSON_FAULT_SYNTAX);
    }
    r->at += bytes;
    item->type = type;
    item->valueint = type == cJSON_True;
    return true;
}

static bool open_container(struct reader *r, cJSON *item, int type)
{
    if (r->depth >= r->limits->depth_max || r->depth >= JSON_DEPTH_LIMIT) {
        return fail(r, JSON_FAULT_DEPTH);
    }
    item->type = type;
    r->members[r->depth] = 0;
    r->open[r->depth++] = item;
    r->at++;
    return true;
}

static bool read_value(struct reader *r, char *key, cJSON **out)
{
    if (r->at == r->end) {
        return fail(r, JSON_FAULT_SYNTAX);
    }
    if (++r->tokens > r->limits->tokens_max) {
        return fail(r, JSON_FAULT_TOO_MANY);
    }
    cJSON *item = json_arena_take(r->arena, sizeof(*item));
    if (item == NULL) {
        return fail(r, JSON_FAULT_MEMORY);
    }
    *item = (cJSON){.string = key};
    if (r->depth > 0) {
        attach(r->open[r->depth - 1], item);
    }
    *out = item;
    size_t count;
    switch (*r->at) {
    case '"':
        item->type = cJSON_String;
        if (!read_string(r, &item->valuestring, &count)) {
            return false;
        }
        item->valueint = (int)count;
        return true;
    case '{':
        return open_container(r, item, cJSON_Object);
    case '[':
        return open_container(r, item, cJSON_Array);
    case 't':
        return read_word(r, "true", 4, item, cJSON_True);
    case 'f':
        return read_word(r, "false", 5, item, cJSON_False);
    case 'n':
        return read_word(r, "null", 4, item, cJSON_NULL);
    case '-':
        return read_number(r, item);
    default:
        return is_digit(r) ? read_number(r, item) : fail(r, JSON_FAULT_SYNTAX);
    }
}

static bool read_member(struct reader *r)
{
    cJSON *object = r->open[r->depth - 1];
    size_t position = r->members[r->depth - 1];
    const char *key_at = r->at;
    char *key;
    size_t count;
    cJSON *item;
    if (r->at == r->end || *r->at != '"') {
        return fail(r, JSON_FAULT_SYNTAX);
    }
    if (!read_string(r, &key, &count)) {
        return false;
    }
    if (position < SMALL_OBJECT && !key_is_new(object, key)) {
        r->at = key_at;
        return fail(r, JSON_FAULT_REPEATED_KEY);
    }
    skip_space(r);
    if (r->at == r->end || *r->at != ':') {
        return fail(r, JSON_FAULT_SYNTAX);
    }
    r->at++;
    skip_space(r);
    r->members[r->depth - 1]++;
    return read_value(r, key, &item);
}

/* One step inside the innermost open container: its end, or its next item. */
static bool read_next(struct reader *r)
{
    cJSON *container = r->open[r->depth - 1];
    bool object = container->type == cJSON_Object;
    cJSON *item;
    skip_space(r);
    if (r->at == r->end) {
        return fail(r, JSON_FAULT_SYNTAX);
    }
    if (*r->at == (object ? '}' : ']')) {
        size_t members = r->members[r->depth - 1];
        if (object && members > SMALL_OBJECT && !keys_differ_sorted(r, container, members)) {
            return false;
        }
        r->at++;
        r->depth--;
        return true;
    }
    if (container->child != NULL) {
        if (*r->at != ',') {
            return fail(r, JSON_FAULT_SYNTAX);
        }
        r->at++;
        skip_space(r);
    }
    return object ? read_member(r) : read_value(r, NULL, &item);
}

bool json_parse(struct json_arena *arena, struct text text, const struct json_limits *limits, cJSON **root,
                struct json_error *error)
{
    struct reader r;
    r.start = text.bytes;
    r.at = text.bytes;
    r.end = text.bytes + text.count;
    r.arena = arena;
    r.limits = limits;
    r.tokens = 0;
    r.depth = 0;
    r.fault = JSON_FAULT_NONE;
    cJSON *first = NULL;
    skip_space(&r);
    bool ok = r.at == r.end ? fail(&r, JSON_FAULT_EMPTY) : read_value(&r, NULL, &first);
    while (ok && r.depth > 0) {
        ok = read_next(&r);
    }
    if (ok) {
        skip_space(&r);
        ok = r.at == r.end || fail(&r, JSON_FAULT_TRAILING);
    }
    if (ok) {
        *root = first;
    } else {
        *error = (struct json_error){.fault = r.fault, .offset = (size_t)(r.at - r.start)};
    }
    return ok;
}
