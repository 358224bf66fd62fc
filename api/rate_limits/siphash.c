#include "api/rate_limits/siphash.h"

#include "api/rate_limits/policy.h"
#include "api/rate_limits/torn.h"

#include <string.h>

typedef struct sip_state {
    uint64_t v0, v1, v2, v3;
} sip_state;

static inline uint64_t rotate_left(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static inline uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t x;
    memcpy(&x, bytes, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static inline void sip_round(sip_state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_absorb(sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

static inline uint64_t sip_squeeze(sip_state *s)
{
    for (int i = 0; i < 4; i++) {
        sip_round(s);
    }
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

rl_hash rl_siphash128(const rl_seed *seed, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    size_t whole = length & ~(size_t)7;
    uint64_t k0 = load_le64(seed->bytes);
    uint64_t k1 = load_le64(seed->bytes + 8);
    sip_state s = {.v0 = k0 ^ UINT64_C(0x736f6d6570736575),
                   .v1 = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
                   .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
                   .v3 = k1 ^ UINT64_C(0x7465646279746573)};
    uint8_t last[8] = {0};
    rl_hash hash;

    for (size_t i = 0; i < whole; i += 8) {
        sip_absorb(&s, load_le64(at + i));
    }
    for (size_t i = whole; i < length; i++) {
        last[i - whole] = at[i];
    }
    last[7] = (uint8_t)length;
    sip_absorb(&s, load_le64(last));
    s.v2 ^= 0xee;
    hash.word[0] = sip_squeeze(&s);
    s.v1 ^= 0xdd;
    hash.word[1] = sip_squeeze(&s);
    return hash;
}

rl_hash rl_key_hash(const rl_seed *seed, uint32_t policy_id, const void *key, size_t key_bytes)
{
    uint8_t message[4 + RL_KEY_BYTES_MAX];

    RL_CHECK(key_bytes <= RL_KEY_BYTES_MAX);
    message[0] = (uint8_t)policy_id;
    message[1] = (uint8_t)(policy_id >> 8);
    message[2] = (uint8_t)(policy_id >> 16);
    message[3] = (uint8_t)(policy_id >> 24);
    memcpy(message + 4, key, key_bytes);
    return rl_siphash128(seed, message, 4 + key_bytes);
}
