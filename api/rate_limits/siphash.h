/* siphash: a keyed 128-bit hash of a policy id and a key.
 *
 * Purpose: name a bucket. Whoever does not know the seed cannot choose keys that meet in the table, and two
 * different (policy, key) pairs never meet in practice (2^-128 a pair), so the key's bytes need not be kept.
 *
 * Invariants
 *  H1  the same seed, policy id and bytes give the same hash on every machine and in every release: saved
 *      buckets are found again by it.
 *  H2  the policy id comes first with a fixed length, so no two pairs are spelled alike.
 *
 * Source: SipHash-2-4 with 128-bit output, Aumasson and Bernstein; checked against its published vectors.
 */
#ifndef API_RATE_LIMITS_SIPHASH_H
#define API_RATE_LIMITS_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct rl_hash {
    uint64_t word[2];
} rl_hash;

typedef struct rl_seed {
    uint8_t bytes[16]; /* secret; kept beside the saved buckets, which mean nothing without it */
} rl_seed;

/** SipHash-2-4-128 of `length` bytes. word[0] is the first eight bytes of the published output, little-endian.
 *  Context: any thread.  Cost: about 1 ns a byte, no allocation. */
rl_hash rl_siphash128(const rl_seed *seed, const void *bytes, size_t length);

/** Names the bucket of `key` under a policy.
 *  Takes: key of 1..256 bytes, any bytes.  Context: any thread. */
rl_hash rl_key_hash(const rl_seed *seed, uint32_t policy_id, const void *key, size_t key_bytes);

/** Deals hashes to 0..partitions-1, by bits that the table does not place lines by. */
static inline uint32_t rl_hash_partition(const rl_hash *hash, uint32_t partitions)
{
    return (uint32_t)((hash->word[0] >> 8 & UINT32_MAX) * partitions >> 32);
}

#endif
