#include "api/flags/murmur3.h"

static uint32_t rotated(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t mixed(uint32_t word)
{
    return rotated(word * 0xcc9e2d51u, 15) * 0x1b873593u;
}

uint32_t murmur3_32(struct text head, struct text tail, uint32_t seed)
{
    size_t count = head.count + tail.count;
    uint32_t hash = seed;
    uint32_t word = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)(i < head.count ? head.bytes[i] : tail.bytes[i - head.count]);
        word |= (uint32_t)byte << 8 * (i % 4);
        if (i % 4 == 3) {
            hash = rotated(hash ^ mixed(word), 13) * 5 + 0xe6546b64u;
            word = 0;
        }
    }
    hash ^= mixed(word); /* 0 when the length is a multiple of four: no change */
    hash ^= (uint32_t)count;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}
