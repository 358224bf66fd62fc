/* bytes: whole words of request bytes judged at once.
 *
 * Invariants
 *   1. Nothing is read at or behind bytes + count.
 *   2. The answers are those of a loop over single bytes, whatever the byte order.
 */
#ifndef TROUPE_SERVER_HTTP_BYTES_H
#define TROUPE_SERVER_HTTP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BYTES_ONES  UINT64_C(0x0101010101010101)
#define BYTES_HIGHS UINT64_C(0x8080808080808080)

/** Whether all bytes are visible ASCII (0x21..0x7e). */
static inline bool bytes_are_visible(const char *bytes, size_t count)
{
    uint64_t hits = 0;
    size_t i = 0;
    for (; count - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof(word));
        /* A borrow or carry into a neighbour needs a hit beside it, so "any hit" is exact. */
        hits |= (word - BYTES_ONES * 0x21) | (word + BYTES_ONES) | word;
    }
    for (; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        hits |= byte < 0x21 || byte > 0x7E ? BYTES_HIGHS : 0;
    }
    return (hits & BYTES_HIGHS) == 0;
}

/** Whether no byte is a control byte other than HT. Bytes from 0x80 on are somebody's text and pass. */
static inline bool bytes_are_field_value(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while (count - i >= 8) {
            uint64_t word;
            memcpy(&word, bytes + i, sizeof(word));
            uint64_t del = word ^ (BYTES_ONES * 0x7F);
            if (((((word - BYTES_ONES * 0x20) & ~word) | ((del - BYTES_ONES) & ~del)) & BYTES_HIGHS) != 0) {
                break; /* HT or worse: look closer at the next byte */
            }
            i += 8;
        }
        unsigned char byte = i < count ? (unsigned char)bytes[i] : ' ';
        if ((byte < 0x20 && byte != '\t') || byte == 0x7F) {
            return false;
        }
    }
    return true;
}

#endif
