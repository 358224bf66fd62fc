/* utf8.h: telling well-formed UTF-8 from other bytes, for what is printed and reported.
 *
 * Invariant: accepts what RFC 3629 accepts: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef TROUPE_CORE_UTF8_H
#define TROUPE_CORE_UTF8_H

#include <stddef.h>

/** Bytes (1-4) of the well-formed sequence at bytes, of which length are readable; 0 when there is none. */
static inline size_t tr__utf8_width(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    if (length == 0) {
        return 0;
    }
    if (at[0] < 0x80) {
        return 1;
    }
    size_t width = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || width > length) {
        return 0;
    }
    unsigned char least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most) {
        return 0;
    }
    for (size_t i = 2; i < width; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return width;
}

#endif
