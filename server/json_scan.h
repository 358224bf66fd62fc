/* json_scan: what the JSON reader and writer share: the fast walk over plain bytes, and UTF-8 encoding.
 *
 * Invariants
 *   1. json_skip_plain() stops at the first byte that is a control byte, '"', '\\' or not ASCII, and never
 *      reads at or behind `end`.
 *   2. json_utf8_encode() writes 1..4 bytes, and none for what is no Unicode scalar value.
 */
#ifndef TROUPE_SERVER_JSON_SCAN_H
#define TROUPE_SERVER_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** First byte in [at, end) that JSON text has to treat specially, or `end`. Cost: 8 bytes a step. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        uint64_t quote = word ^ (ones * '"');
        uint64_t backslash = word ^ (ones * '\\');
        /* Each subtraction may borrow into bytes above a hit, never below: the lowest hit is exact. */
        uint64_t hits = (word - ones * 0x20) & ~word;
        hits |= (quote - ones) & ~quote;
        hits |= (backslash - ones) & ~backslash;
        hits = (hits | word) & highs;
        if (hits != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return at + (__builtin_ctzll(hits) >> 3);
#else
            break;
#endif
        }
        at += 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

/** Writes the UTF-8 form of a code point and returns its length; 0 for surrogates and above U+10FFFF. */
static inline size_t json_utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | (code_point >> 6));
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
        return 0;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xE0 | (code_point >> 12));
        out[1] = (char)(0x80 | ((code_point >> 6) & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (code_point >> 18));
    out[1] = (char)(0x80 | ((code_point >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((code_point >> 6) & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

#endif
