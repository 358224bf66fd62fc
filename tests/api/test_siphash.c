#include "api/rate_limits/siphash.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

/* Key 00 01 .. 0f, message 00 01 .. (length - 1): the algorithm's published 128-bit vectors. */
static const struct {
    size_t length;
    const char *hash;
} vectors[] = {
    {0, "a3817f04ba25a8e66df67214c7550293"},  {1, "da87c1d86b99af44347659119b22fc45"},
    {2, "8177228da4a45dc7fca38bdef60affe4"},  {3, "9c70b60c5267a94e5f33b6b02985ed51"},
    {4, "f88164c12d9c8faf7d0f6e7c7bcd5579"},  {7, "a1f1ebbed8dbc153c0b84aa61ff08239"},
    {8, "3b62a9ba6258f5610f83e264f31497b4"},  {15, "5493e99933b0a8117e08ec0f97cfc3d9"},
    {16, "6ee2a4ca67b054bbfd3315bf85230577"}, {31, "2939b0183223fafc1723de4f52c43d35"},
    {63, "5150d1772f50834a503e069a973fbd7c"},
};

static rl_seed counting_seed(void)
{
    rl_seed seed;

    for (int i = 0; i < 16; i++) {
        seed.bytes[i] = (uint8_t)i;
    }
    return seed;
}

static void spell(rl_hash hash, char out[33])
{
    for (int i = 0; i < 16; i++) {
        (void)snprintf(out + (ptrdiff_t)2 * i, 3, "%02x",
                       (unsigned)(hash.word[i / 8] >> (8 * (i % 8)) & 0xff));
    }
}

Test(siphash, gives_the_published_vectors)
{
    rl_seed seed = counting_seed();
    uint8_t message[64];
    char spelled[33];

    for (int i = 0; i < 64; i++) {
        message[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        spell(rl_siphash128(&seed, message, vectors[i].length), spelled);
        cr_assert_str_eq(spelled, vectors[i].hash, "length %zu", vectors[i].length);
    }
}

/* 5.21 */
Test(siphash, a_key_is_the_policy_id_in_four_bytes_and_then_the_key)
{
    rl_seed seed = counting_seed();
    const uint8_t message[] = {0x04, 0x03, 0x02, 0x01, 'k', 'e', 'y'};
    rl_hash whole = rl_siphash128(&seed, message, sizeof message);
    rl_hash key = rl_key_hash(&seed, 0x01020304, "key", 3);
    rl_hash other = rl_key_hash(&seed, 0x01020305, "key", 3);

    cr_assert_eq(memcmp(&whole, &key, sizeof key), 0);
    cr_assert_neq(memcmp(&other, &key, sizeof key), 0);
}

Test(siphash, longest_keys_differ_in_their_last_byte)
{
    rl_seed seed = counting_seed();
    char key[256];
    rl_hash one;
    rl_hash other;

    memset(key, 'x', sizeof key);
    one = rl_key_hash(&seed, 1, key, sizeof key);
    key[255] = 'y';
    other = rl_key_hash(&seed, 1, key, sizeof key);
    cr_assert_neq(one.word[0], other.word[0]);
    cr_assert_neq(one.word[1], other.word[1]);
}

Test(siphash, partitions_get_even_shares)
{
    rl_seed seed = counting_seed();
    unsigned shares[3] = {0};

    for (uint32_t i = 0; i < 30000; i++) {
        rl_hash hash = rl_key_hash(&seed, 1, &i, sizeof i);
        shares[rl_hash_partition(&hash, 3)]++;
    }
    for (int i = 0; i < 3; i++) {
        cr_assert(shares[i] > 9500 && shares[i] < 10500, "%u", shares[i]);
    }
}
