/* strict_head: a second, independent reading of an HTTP/1.x request head, by the letter, on the bytes as
 * received. What the guard lets pass must be what this lets pass.
 *
 * Two things are taken here that RFC 9112 does not have, because the library has written NUL over them and
 * the guard cannot tell them apart: NUL LF for CR LF, and any of NUL, CR, LF and ':' in the four bytes that
 * end the head (the library takes the line ":" LF for an empty one).
 */
#ifndef TROUPE_TESTS_FUZZ_STRICT_HEAD_H
#define TROUPE_TESTS_FUZZ_STRICT_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strict_head {
    size_t fields;
    size_t hosts;
    size_t lengths;
    size_t codings;
    bool version_1_0;
};

/* One line without its end; false when there is none, or it is ended otherwise. */
static bool strict_line(const char **at, const char *end, const char **line, size_t *count)
{
    const char *lf = memchr(*at, '\n', (size_t)(end - *at));
    if (lf == NULL || lf == *at || (lf[-1] != '\r' && lf[-1] != '\0')) {
        return false;
    }
    *line = *at;
    *count = (size_t)(lf - *at) - 1;
    *at = lf + 1;
    return true;
}

static bool strict_token(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == 0 ||
            strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                   bytes[i]) == NULL) {
            return false;
        }
    }
    return count > 0;
}

static bool strict_request_line(const char *line, size_t count, struct strict_head *head)
{
    const char *first = memchr(line, ' ', count);
    if (first == NULL || count < 9 || line + count - 9 < first + 2 ||
        !strict_token(line, (size_t)(first - line))) {
        return false;
    }
    const char *version = line + count - 8;
    head->version_1_0 = memcmp(version, "HTTP/1.0", 8) == 0;
    if (version[-1] != ' ' || (!head->version_1_0 && memcmp(version, "HTTP/1.1", 8) != 0)) {
        return false;
    }
    for (const char *at = first + 1; at < version - 1; at++) {
        if (*at < 0x21 || *at == 0x7F || (unsigned char)*at >= 0x80) {
            return false;
        }
    }
    return true;
}

static bool strict_is(const char *name, size_t count, const char *expected)
{
    if (count != strlen(expected)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char lower = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
        if (lower != expected[i]) {
            return false;
        }
    }
    return true;
}

static bool strict_field(const char *line, size_t count, struct strict_head *head)
{
    const char *colon = memchr(line, ':', count);
    if (colon == NULL || !strict_token(line, (size_t)(colon - line))) {
        return false;
    }
    for (const char *at = colon + 1; at < line + count; at++) {
        if ((unsigned char)*at < 0x20 ? *at != '\t' : *at == 0x7F) {
            return false;
        }
    }
    head->fields++;
    head->hosts += strict_is(line, (size_t)(colon - line), "host");
    head->lengths += strict_is(line, (size_t)(colon - line), "content-length");
    head->codings += strict_is(line, (size_t)(colon - line), "transfer-encoding");
    return true;
}

/* The end of a head as it should be, where the guard could not have told. */
static inline void strict_mend_end(char *head, size_t count)
{
    for (size_t i = count - 4; i < count; i++) {
        if (head[i] != '\0' && head[i] != '\r' && head[i] != '\n' && head[i] != ':') {
            return;
        }
    }
    memcpy(head + count - 4, "\r\n\r\n", 4);
}

/** Reads a head of exactly that length, from the first byte of its request line; may write to it. */
static inline bool strict_head_read(char *bytes, size_t count, struct strict_head *head)
{
    const char *at = bytes;
    const char *end = bytes + count;
    const char *line;
    size_t length;
    memset(head, 0, sizeof(*head));
    if (count < 4) {
        return false;
    }
    strict_mend_end(bytes, count);
    if (!strict_line(&at, end, &line, &length) || !strict_request_line(line, length, head)) {
        return false;
    }
    while (strict_line(&at, end, &line, &length)) {
        if (length == 0) {
            return at == end && head->lengths + head->codings <= 1 && head->hosts <= 1 &&
                   (head->hosts == 1 || head->version_1_0);
        }
        if (!strict_field(line, length, head)) {
            return false;
        }
    }
    return false;
}

#endif
