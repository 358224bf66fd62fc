#include "server/http/guard.h"

#include "server/http/bytes.h"

struct row {
    enum problem_code code;
    const char *detail;
};

#define GUARD_ROW(name, code, detail) [GUARD_##name] = {PROBLEM_##code, detail},
static const struct row rows[GUARD_VERDICTS_COUNT] = {GUARD_VERDICTS(GUARD_ROW)};
#undef GUARD_ROW

enum problem_code guard_problem(enum guard_verdict verdict)
{
    return rows[verdict].code;
}

const char *guard_detail(enum guard_verdict verdict)
{
    return rows[verdict].detail;
}

/* The first thing found is what the client hears. */
static bool refuse(struct guard *guard, enum guard_verdict verdict)
{
    if (guard->verdict == GUARD_OK) {
        guard->verdict = verdict;
    }
    return false;
}

void guard_on_uri(struct guard *guard, const char *uri, size_t uri_bytes)
{
    guard->verdict = GUARD_OK;
    guard->version_1_0 = false;
    guard->chunked = false;
    guard->has_length = false;
    guard->header_count = 0;
    guard->head_bytes = 0;
    guard->content_length = 0;
    guard->known_host = (struct text){0};
    guard->uri = uri;
    guard->uri_bytes = uri_bytes;
    guard->headers.present = 0;
    guard->headers.repeated = 0;
    if (uri_bytes == 0 || !bytes_are_visible(uri, uri_bytes)) {
        (void)refuse(guard, GUARD_TARGET);
    }
}

void guard_start(struct guard *guard, const char *method, const char *version)
{
    /* Addresses are compared as numbers: the pieces may come from different objects when the parser copied
     * one. */
    uintptr_t uri = (uintptr_t)guard->uri;
    struct text name = text_of(method);
    guard->method = method;
    guard->version_1_0 = strcmp(version, "HTTP/1.0") == 0;
    if (!http_is_token(name)) {
        (void)refuse(guard, GUARD_METHOD);
    } else if ((uintptr_t)method + name.count + 1 != uri ||
               uri + guard->uri_bytes + 1 != (uintptr_t)version) {
        (void)refuse(guard, GUARD_REQUEST_LINE);
    } else if (!guard->version_1_0 && strcmp(version, "HTTP/1.1") != 0) {
        (void)refuse(guard, GUARD_VERSION);
    }
    guard->tail = version + strlen(version);
    guard->next = (uintptr_t)guard->tail + 2;
}

bool guard_header(struct guard *guard, struct text name, struct text value)
{
    if (guard->verdict != GUARD_OK) {
        return false;
    }
    if (++guard->header_count > GUARD_HEADERS_MAX) {
        return refuse(guard, GUARD_TOO_MANY_FIELDS);
    }
    if (!http_is_token(name)) {
        return refuse(guard, GUARD_FIELD_NAME);
    }
    const char *colon = name.bytes + name.count;
    if ((uintptr_t)name.bytes != guard->next || (uintptr_t)value.bytes <= (uintptr_t)colon) {
        return refuse(guard, GUARD_FIELD_LINE);
    }
    for (const char *blank = colon + 1; blank < value.bytes; blank++) {
        if (*blank != ' ' && *blank != '\t') {
            return refuse(guard, GUARD_FIELD_LINE);
        }
    }
    if (!bytes_are_field_value(value.bytes, value.count)) {
        return refuse(guard, GUARD_FIELD_VALUE);
    }
    guard->tail = value.bytes + value.count;
    guard->next = (uintptr_t)guard->tail + 2;
    return http_headers_note(&guard->headers, name, value) || refuse(guard, GUARD_REPEATED_FIELD);
}

/* Digits only, as the grammar has it; nineteen of them fit into 64 bits. */
static bool take_length(struct text value, uint64_t *length)
{
    uint64_t bytes = 0;
    value = http_trim(value);
    for (size_t i = 0; i < value.count; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9') {
            return false;
        }
        bytes = bytes * 10 + (uint64_t)(value.bytes[i] - '0');
    }
    *length = bytes;
    return value.count > 0 && value.count <= 19;
}

static enum guard_verdict judge_body(struct guard *guard)
{
    struct text length = http_header(&guard->headers, HTTP_FIELD_CONTENT_LENGTH);
    struct text coding = http_header(&guard->headers, HTTP_FIELD_TRANSFER_ENCODING);
    guard->has_length = length.bytes != NULL;
    if (guard->has_length && coding.bytes != NULL) {
        return GUARD_TWO_LENGTHS;
    }
    if (guard->has_length && !take_length(length, &guard->content_length)) {
        return GUARD_CONTENT_LENGTH;
    }
    if (coding.bytes != NULL) {
        if (guard->version_1_0) {
            return GUARD_TRANSFER_ENCODING_1_0;
        }
        /* Exactly this word, no blank behind it: the library reads a body until the end otherwise, and
         * hangs. */
        if (!text_equal_nocase(coding, TEXT("chunked"))) {
            return GUARD_TRANSFER_ENCODING;
        }
        guard->chunked = true;
    }
    return GUARD_OK;
}

static enum guard_verdict judge_fields(struct guard *guard)
{
    struct text host = http_header(&guard->headers, HTTP_FIELD_HOST);
    struct text expect = http_header(&guard->headers, HTTP_FIELD_EXPECT);
    bool known = host.bytes != NULL && text_equal(host, guard->known_host);
    if (!known && (host.bytes == NULL ? !guard->version_1_0 : !http_host_valid(host))) {
        return GUARD_HOST;
    }
    enum guard_verdict body = judge_body(guard);
    if (body != GUARD_OK) {
        return body;
    }
    if (expect.bytes != NULL && !text_equal_nocase(http_trim(expect), TEXT("100-continue"))) {
        return GUARD_EXPECT;
    }
    return GUARD_OK;
}

/* Whether the head ends four bytes behind the last piece, and these were CR LF CR LF: NUL bytes by now.
 * Something else between (NUL x LF LF) is as long but does not look like it. The bytes belong to the head if
 * its end fits. */
static bool ends_well(const struct guard *guard, size_t head_bytes)
{
    static const char line_ends[4] = {0};
    return (uintptr_t)guard->method + head_bytes == guard->next + 2 && memcmp(guard->tail, line_ends, 4) == 0;
}

enum guard_verdict guard_finish(struct guard *guard, size_t head_bytes)
{
    guard->head_bytes = head_bytes;
    if (guard->verdict == GUARD_OK && !ends_well(guard, head_bytes)) {
        guard->verdict = GUARD_HEAD_END;
    }
    if (guard->verdict == GUARD_OK) {
        guard->verdict = judge_fields(guard);
    }
    return guard->verdict;
}
