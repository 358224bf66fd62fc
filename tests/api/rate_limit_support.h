/* rate_limit_support: what the tests of the rate limiter's engine share.
 *
 * Purpose: rates in one line, random numbers from a seed that is printed, hashes of numbered keys.
 * Invariants: the same seed gives the same run; RL_TEST_SEED in the environment sets it.
 */
#ifndef TESTS_API_RATE_LIMIT_SUPPORT_H
#define TESTS_API_RATE_LIMIT_SUPPORT_H

#include "api/rate_limits/bucket.h"
#include "api/rate_limits/siphash.h"

#include <stdint.h>
#include <stdlib.h>

#define MS    UINT64_C(1000000)
#define SEC   UINT64_C(1000000000)
#define DAY_S UINT64_C(86400)

typedef struct test_random {
    uint64_t seed;
    uint64_t state;
} test_random;

static inline test_random random_start(uint64_t seed)
{
    const char *given = getenv("RL_TEST_SEED");

    if (given != NULL) {
        seed = strtoull(given, NULL, 10);
    }
    return (test_random){.seed = seed, .state = seed};
}

static inline uint64_t random_next(test_random *random)
{
    uint64_t x = random->state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t random_below(test_random *random, uint64_t bound)
{
    return random_next(random) % bound;
}

/* A number of a random size: small ones, corners and everything between. */
static inline uint64_t random_sized(test_random *random, uint64_t least, uint64_t most)
{
    uint64_t span = most - least;
    uint64_t pick = random_below(random, 10);

    if (pick == 0) {
        return least;
    }
    if (pick == 1) {
        return most;
    }
    if (pick < 6 && span > 0) {
        uint64_t value = random_next(random) >> random_below(random, 64);
        return least + (span == UINT64_MAX ? value : value % (span + 1));
    }
    return least + (span == UINT64_MAX ? random_next(random) : random_next(random) % (span + 1));
}

static inline rl_rate rate_of(uint32_t limit, uint32_t amount, uint64_t every_ms, enum rl_style style)
{
    rl_policy policy = {
        .limit = limit, .amount = amount, .every_ms = every_ms, .default_cost = 1, .style = style};

    return rl_rate_make(&policy);
}

static inline rl_rate random_rate(test_random *random)
{
    return rate_of((uint32_t)random_sized(random, 0, 2147483647),
                   (uint32_t)random_sized(random, 1, 2147483647), random_sized(random, 1, 31622400000),
                   random_below(random, 2) == 0 ? RL_GRADUAL : RL_INTERVAL);
}

static inline rl_hash key_number(uint64_t number)
{
    static const rl_seed seed = {{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6}};

    return rl_key_hash(&seed, 1, &number, sizeof number);
}

#endif
