#include "server/http/path.h"

#include "server/http/bytes.h"
#include "server/utf8.h"

const char *http_path_fault_text(enum http_path_fault fault)
{
#define FAULT_TEXT(name, text) [HTTP_PATH_##name] = text,
    static const char *const texts[HTTP_PATH_FAULTS_COUNT] = {HTTP_PATH_FAULTS(FAULT_TEXT)};
#undef FAULT_TEXT
    return (unsigned)fault < HTTP_PATH_FAULTS_COUNT ? texts[fault] : "";
}

static int hex_value(char digit)
{
    char lower = (char)text_lower((unsigned char)digit);
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool has_escapes(struct text part, bool plus_is_blank)
{
    return part.count > 0 && (memchr(part.bytes, '%', part.count) != NULL ||
                              (plus_is_blank && memchr(part.bytes, '+', part.count) != NULL));
}

/* Decodes one part to *free and moves *free behind it; a part that needs no decoding stays where it is. */
static enum http_path_fault decode(struct text part, bool plus_is_blank, char **free, struct text *out)
{
    char *to = *free;
    if (!has_escapes(part, plus_is_blank)) {
        *out = part; /* visible ASCII as it stands */
        return HTTP_PATH_NONE;
    }
    for (size_t i = 0; i < part.count; i++) {
        char byte = part.bytes[i];
        if (byte == '%') {
            int high = part.count - i > 2 ? hex_value(part.bytes[i + 1]) : -1;
            int low = part.count - i > 2 ? hex_value(part.bytes[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return HTTP_PATH_ESCAPE;
            }
            if ((high | low) == 0) {
                return HTTP_PATH_NUL;
            }
            byte = (char)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && plus_is_blank) {
            byte = ' ';
        }
        *to++ = byte;
    }
    *out = (struct text){.bytes = *free, .count = (size_t)(to - *free)};
    *free = to;
    return utf8_valid(out->bytes, out->count) ? HTTP_PATH_NONE : HTTP_PATH_UTF8;
}

static bool is_dots(struct text segment)
{
    return segment.count >= 1 && segment.count <= 2 && segment.bytes[0] == '.' &&
           segment.bytes[segment.count - 1] == '.';
}

/* Whether every byte may stand in a target; '#' would begin a fragment, which is never sent. */
static bool is_sendable(struct text raw)
{
    return raw.count > 0 && bytes_are_visible(raw.bytes, raw.count) &&
           memchr(raw.bytes, '#', raw.count) == NULL;
}

static void take_segment(struct http_target *target, struct text part, bool escaped, char **free)
{
    uint16_t index = target->segment_count;
    struct text segment = part;
    enum http_path_fault fault = escaped ? decode(part, false, free, &segment) : HTTP_PATH_NONE;
    if (fault == HTTP_PATH_NONE && is_dots(segment)) {
        fault = HTTP_PATH_DOTS;
    }
    if (fault != HTTP_PATH_NONE && target->bad_segment == HTTP_SEGMENT_NONE) {
        target->bad_segment = index;
        target->path_fault = fault;
        segment = part;
    }
    if (index < HTTP_SEGMENTS_MAX) {
        target->segments[index] = segment;
        target->segment_count++;
    } else {
        target->more_segments = true;
    }
}

static struct text part_between(const char *first, const char *last)
{
    return (struct text){.bytes = first, .count = (size_t)(last - first)};
}

static void split_path(struct http_target *target, char **free)
{
    const char *end = target->path.bytes + target->path.count;
    bool escaped = has_escapes(target->path, false);
    if (target->path.count <= 1) {
        return;
    }
    for (const char *first = target->path.bytes + 1, *at = first;; at++) {
        if (at == end || *at == '/') { /* segments are short: a loop beats memchr */
            take_segment(target, part_between(first, at), escaped, free);
            first = at + 1;
        }
        if (at == end) {
            return;
        }
    }
}

static void take_param(struct http_target *target, const char *first, const char *last, char **free)
{
    if (first == last) {
        return; /* nothing between two '&' is nothing */
    }
    if (target->param_count == HTTP_PARAMS_MAX) {
        target->query_fault = HTTP_PATH_TOO_MANY;
        return;
    }
    struct http_param *param = &target->params[target->param_count];
    const char *equals = memchr(first, '=', (size_t)(last - first));
    const char *name_end = equals == NULL ? last : equals;
    enum http_path_fault fault = decode(part_between(first, name_end), true, free, &param->name);
    if (fault == HTTP_PATH_NONE) {
        fault = decode(part_between(equals == NULL ? last : equals + 1, last), true, free, &param->value);
    }
    if (fault != HTTP_PATH_NONE) {
        target->query_fault = fault;
        return;
    }
    target->param_count++;
}

static void split_query(struct http_target *target, char **free)
{
    const char *at = target->query.bytes;
    const char *end = at + target->query.count;
    while (at < end && target->query_fault == HTTP_PATH_NONE) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        take_param(target, at, stop, free);
        at = stop == end ? end : stop + 1;
    }
}

/* Cuts "http://authority" off the front of rest. */
static bool take_authority(struct text *rest, struct text *authority)
{
    struct text scheme = {.bytes = rest->bytes, .count = 7};
    size_t skip = 7;
    if (rest->count < 8 || !text_equal_nocase(scheme, TEXT("http://"))) {
        scheme.count = 8;
        skip = 8;
        if (rest->count < 9 || !text_equal_nocase(scheme, TEXT("https://"))) {
            return false;
        }
    }
    size_t end = skip;
    while (end < rest->count && rest->bytes[end] != '/' && rest->bytes[end] != '?') {
        end++;
    }
    *authority = (struct text){.bytes = rest->bytes + skip, .count = end - skip};
    rest->bytes += end;
    rest->count -= end;
    return authority->count > 0 && memchr(authority->bytes, '@', authority->count) == NULL;
}

static bool find_form(struct http_target *target, struct text *rest)
{
    if (text_equal(*rest, TEXT("*"))) {
        target->form = HTTP_FORM_ASTERISK;
        return true;
    }
    target->form = HTTP_FORM_ORIGIN;
    if (rest->count > 0 && rest->bytes[0] != '/') {
        target->form = take_authority(rest, &target->authority) ? HTTP_FORM_ABSOLUTE : HTTP_FORM_INVALID;
    }
    if (!is_sendable(target->raw)) {
        target->form = HTTP_FORM_INVALID;
    }
    target->path_fault = target->form == HTTP_FORM_INVALID ? HTTP_PATH_FORM : HTTP_PATH_NONE;
    return target->form != HTTP_FORM_INVALID;
}

bool http_target_parse(struct http_target *target, struct text raw, char *buffer)
{
    if (raw.count > 0) {
        memcpy(buffer, raw.bytes, raw.count);
    }
    char *free = buffer + raw.count;
    target->raw = (struct text){.bytes = buffer, .count = raw.count};
    target->path = (struct text){.bytes = buffer};
    target->query = (struct text){0};
    target->authority = (struct text){0};
    target->path_fault = HTTP_PATH_NONE;
    target->query_fault = HTTP_PATH_NONE;
    target->segment_count = 0;
    target->bad_segment = HTTP_SEGMENT_NONE;
    target->param_count = 0;
    target->more_segments = false;
    struct text rest = target->raw;
    if (!find_form(target, &rest)) {
        return false;
    }
    if (target->form == HTTP_FORM_ASTERISK) {
        return true;
    }
    const char *mark = rest.count == 0 ? NULL : memchr(rest.bytes, '?', rest.count);
    target->path = part_between(rest.bytes, mark == NULL ? rest.bytes + rest.count : mark);
    split_path(target, &free);
    if (mark != NULL) {
        target->query = part_between(mark + 1, rest.bytes + rest.count);
        split_query(target, &free);
    }
    return true;
}

struct text http_target_param(const struct http_target *target, const char *name)
{
    struct text wanted = text_of(name);
    for (size_t i = 0; i < target->param_count; i++) {
        if (text_equal(target->params[i].name, wanted)) {
            return target->params[i].value;
        }
    }
    return (struct text){0};
}

enum http_path_fault http_target_check_params(const struct http_target *target, const char *const *known,
                                              struct text *offender)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < target->param_count; i++) {
        struct text name = target->params[i].name;
        size_t k = 0;
        while (known != NULL && known[k] != NULL && !text_equal(name, text_of(known[k]))) {
            k++;
        }
        bool unknown = known == NULL || known[k] == NULL || k >= 64;
        if (unknown || (seen >> k & 1) != 0) {
            *offender = name;
            return unknown ? HTTP_PATH_UNKNOWN : HTTP_PATH_REPEATED;
        }
        seen |= UINT64_C(1) << k;
    }
    return HTTP_PATH_NONE;
}

bool http_read_int(struct text text, int64_t min, int64_t max, int64_t *value)
{
    int64_t v = 0;
    if (text.count == 0 || text.count > 18) {
        return false;
    }
    for (size_t i = 0; i < text.count; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
        v = v * 10 + (text.bytes[i] - '0');
    }
    if (v < min || v > max) {
        return false;
    }
    *value = v;
    return true;
}

size_t http_escape_byte(char byte, char out[3])
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    unsigned char c = (unsigned char)byte;
    if (c != 0 && strchr(plain, c) != NULL) {
        out[0] = byte;
        return 1;
    }
    out[0] = '%';
    out[1] = hex[c >> 4];
    out[2] = hex[c & 15];
    return 3;
}
