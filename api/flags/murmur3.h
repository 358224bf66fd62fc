/* murmur3: MurmurHash3 x86_32, the hash that flagd's `fractional` puts people into buckets with.
 *
 * 1. The same bytes and seed give the same number on every machine, whatever its byte order.
 * No state.   Source: Austin Appleby, smhasher, MurmurHash3.cpp (public domain).
 */
#ifndef API_FLAGS_MURMUR3_H
#define API_FLAGS_MURMUR3_H

#include "server/text.h"

#include <stdint.h>

/** The hash of two texts, one behind the other.   Cost: O(bytes), no allocation. */
uint32_t murmur3_32(struct text head, struct text tail, uint32_t seed);

#endif
