/* text: a borrowed run of bytes, the currency of the HTTP front end.
 *
 * Invariants
 *   1. `bytes` points to `count` readable bytes; there need be no NUL after them and there may be one inside.
 *   2. A text owns nothing: it is valid as long as what it points into (request buffer, arena, literal).
 *   3. An absent text has bytes == NULL; an empty one has count == 0 and bytes != NULL.
 */
#ifndef TROUPE_SERVER_TEXT_H
#define TROUPE_SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *bytes;
    size_t count;
};

/* For a large local on a hot path that is written before it is read: the build clears all other locals. */
#define UNCLEARED __attribute__((uninitialized))

#define TEXT(literal) ((struct text){.bytes = "" literal, .count = sizeof(literal) - 1})

/** The text of a C string; NULL gives the absent text. */
static inline struct text text_of(const char *string)
{
    return (struct text){.bytes = string, .count = string == NULL ? 0 : strlen(string)};
}

/** Whether two texts hold the same bytes. Not for secrets: see http_token_equal(). */
static inline bool text_equal(struct text a, struct text b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.bytes, b.bytes, a.count) == 0);
}

/** Copies a text to `at`, where there is room for it. Returns: the end of the copy. */
static inline char *text_put(char *at, struct text text)
{
    if (text.count != 0) {
        memcpy(at, text.bytes, text.count);
    }
    return at + text.count;
}

/** Copies a C string (NULL: "") into an array, cut to the room there is, with its NUL; the rest of the array is cleared. */
static inline void text_fill(char *out, size_t bytes, const char *string)
{
    size_t count = string == NULL ? 0 : strnlen(string, bytes - 1);
    if (count != 0) {
        memcpy(out, string, count);
    }
    memset(out + count, 0, bytes - count);
}

/** ASCII lower case of one byte; everything else stays as it is, whatever the locale. */
static inline unsigned char text_lower(unsigned char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte | 0x20) : byte;
}

/** Whether two texts are equal when ASCII letters are folded (header names, schemes, host names). */
static inline bool text_equal_nocase(struct text a, struct text b)
{
    if (a.count != b.count) {
        return false;
    }
    for (size_t i = 0; i < a.count; i++) {
        if (text_lower((unsigned char)a.bytes[i]) != text_lower((unsigned char)b.bytes[i])) {
            return false;
        }
    }
    return true;
}

#endif
