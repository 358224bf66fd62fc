#include "api/rate_limits/bucket.h"
#include "tests/api/rate_limit_support.h"

#include <criterion/criterion.h>

/* The slow model keeps what the bucket does not: a level and the time of the last settling, and changes units bit by
 * bit instead of by division in two halves. */
typedef struct model {
    rl_rate rate;
    rl_u128 level;
    uint64_t last_step;
} model;

static uint64_t step_of(const rl_rate *rate, uint64_t at_ns)
{
    return rate->style == RL_GRADUAL ? at_ns : at_ns / (rate->period_ns);
}

static void model_settle(model *m, uint64_t at_ns)
{
    uint64_t step = step_of(&m->rate, at_ns);
    rl_u128 full = (rl_u128)m->rate.limit * m->rate.unit;

    m->level += (rl_u128)(step - m->last_step) * m->rate.amount;
    m->level = m->level < full ? m->level : full;
    m->last_step = step;
}

static bool model_take(model *m, uint64_t at_ns, uint64_t cost)
{
    model_settle(m, at_ns);
    if (m->rate.limit == 0 || (rl_u128)cost * m->rate.unit > m->level) {
        return false;
    }
    m->level -= (rl_u128)cost * m->rate.unit;
    return true;
}

static rl_u128 scale_up(rl_u128 value, uint64_t from, uint64_t to)
{
    rl_u128 quotient = 0;
    rl_u128 rest = 0;

    for (int bit = 127; bit >= 0; bit--) {
        rest = 2 * rest + ((value >> bit & 1) != 0 ? to : 0);
        quotient = 2 * quotient + rest / from;
        rest %= from;
    }
    return quotient + (rest != 0);
}

static void model_change(model *m, uint64_t at_ns, const rl_rate *rate)
{
    rl_u128 missing;
    rl_u128 full = (rl_u128)rate->limit * rate->unit;

    model_settle(m, at_ns);
    missing = scale_up((rl_u128)m->rate.limit * m->rate.unit - m->level, m->rate.unit, rate->unit);
    m->level = missing < full ? full - missing : 0;
    m->rate = *rate;
    m->last_step = step_of(rate, at_ns);
}

static unsigned drain(rl_bucket *bucket, const rl_rate *rate, uint64_t at_ns)
{
    unsigned taken = 0;

    while (rl_bucket_take(bucket, rate, at_ns, 1) == RL_ALLOWED) {
        taken++;
    }
    return taken;
}

static void follow_model(test_random *random, unsigned steps)
{
    model m = {.rate = random_rate(random)};
    rl_bucket bucket = {0};
    uint64_t at_ns = 0;

    m.level = (rl_u128)m.rate.limit * m.rate.unit;
    for (unsigned i = 0; i < steps; i++) {
        rl_rate before = m.rate;
        at_ns += random_below(random, 3) == 0 ? 0 : random_sized(random, 0, 2 * 366 * DAY_S * SEC);
        if (random_below(random, 8) == 0) {
            rl_rate rate = random_rate(random);
            model_change(&m, at_ns, &rate);
            bucket.full_at = rl_bucket_carry(&before, &rate, bucket.full_at, at_ns);
        } else {
            uint64_t most = m.rate.limit > 0 ? m.rate.limit : 1;
            uint64_t cost = random_sized(random, 1, most);
            bool allowed = rl_bucket_take(&bucket, &m.rate, at_ns, cost) == RL_ALLOWED;
            cr_assert_eq(allowed, model_take(&m, at_ns, cost), "seed %llu", (unsigned long long)random->seed);
        }
        model_settle(&m, at_ns);
        cr_assert(rl_bucket_level(&bucket, &m.rate, at_ns) == m.level, "seed %llu",
                  (unsigned long long)random->seed);
    }
}

Test(bucket, agrees_with_the_slow_model_over_millions_of_random_steps)
{
    test_random random = random_start(20261122);

    cr_log_info("seed %llu", (unsigned long long)random.seed);
    for (int run = 0; run < 60000; run++) {
        follow_model(&random, 40);
    }
}

/* Near the rate a bucket is seldom full or empty: where rounding would show. */
Test(bucket, agrees_with_the_slow_model_at_the_edge_of_its_rate)
{
    test_random random = random_start(7);

    for (int run = 0; run < 400; run++) {
        model m = {.rate =
                       rate_of((uint32_t)random_sized(&random, 1, 50), (uint32_t)random_sized(&random, 1, 50),
                               random_sized(&random, 1, 5000), run % 2 == 0 ? RL_GRADUAL : RL_INTERVAL)};
        rl_bucket bucket = {0};
        uint64_t at_ns = 0;
        m.level = m.rate.capacity;
        for (int i = 0; i < 2000; i++) {
            uint64_t cost = 1 + random_below(&random, m.rate.limit);
            at_ns += random_below(&random, 2 * m.rate.period_ns / m.rate.amount * cost + 2);
            cr_assert_eq(rl_bucket_take(&bucket, &m.rate, at_ns, cost) == RL_ALLOWED,
                         model_take(&m, at_ns, cost), "seed %llu run %d", (unsigned long long)random.seed,
                         run);
        }
    }
}

/* 5.1 */
Test(bucket, seven_tokens_each_three_seconds_lose_nothing_to_a_million_polls)
{
    rl_rate rate = rate_of(5, 7, 3000, RL_GRADUAL);
    rl_bucket bucket = {0};
    unsigned admitted = 0;

    for (uint64_t ms = 0; ms <= 3000 * 1000; ms++) {
        admitted += rl_bucket_take(&bucket, &rate, ms * MS, 1) == RL_ALLOWED;
    }
    cr_assert_eq(admitted, 5 + 7000);
}

/* 5.1 */
Test(bucket, a_client_just_below_the_rate_is_never_denied)
{
    rl_rate slow = rate_of(10, 10, 10000, RL_GRADUAL);
    rl_rate guide = rate_of(100, 10, 1000, RL_GRADUAL);
    rl_rate minute = rate_of(1, 1, 60000, RL_GRADUAL);
    rl_bucket a = {0};
    rl_bucket b = {0};
    rl_bucket c = {0};

    cr_assert_eq(drain(&b, &guide, 0), 100);
    for (uint64_t i = 0; i < 26; i++) {
        cr_assert_eq(rl_bucket_take(&a, &slow, i * 950 * MS, 1), RL_ALLOWED);
    }
    for (uint64_t i = 0; i < 545; i++) {
        cr_assert_eq(rl_bucket_take(&b, &guide, SEC + i * 110 * MS, 1), RL_ALLOWED);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_eq(rl_bucket_take(&c, &minute, i * 60 * SEC, 1), RL_ALLOWED);
        cr_assert_eq(rl_bucket_take(&c, &minute, i * 60 * SEC + 60 * SEC - 1, 1), RL_DENIED);
    }
}

/* 5.2 */
Test(bucket, looking_does_not_mint)
{
    rl_rate rate = rate_of(10, 10, 10000, RL_GRADUAL);
    rl_bucket bucket = {0};

    cr_assert_eq(drain(&bucket, &rate, 0), 10);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq((uint64_t)(rl_bucket_level(&bucket, &rate, 1200 * MS) / rate.unit), 1);
    }
    cr_assert_eq(drain(&bucket, &rate, 1200 * MS), 1);
}

/* 5.3 */
Test(bucket, never_more_than_the_limit_at_one_instant_whatever_came_before)
{
    rl_rate rate = rate_of(10, 1, 1000, RL_GRADUAL);
    test_random random = random_start(53);
    rl_bucket bucket = {0};
    uint64_t at_ns = 0;

    cr_assert_eq(rl_bucket_take(&bucket, &rate, 0, 1), RL_ALLOWED);
    cr_assert_eq(drain(&bucket, &rate, 5 * SEC), 10);
    for (int i = 0; i < 10000; i++) {
        at_ns += random_sized(&random, 0, 400 * DAY_S * SEC);
        (void)rl_bucket_take(&bucket, &rate, at_ns, 1 + random_below(&random, 10));
        cr_assert_leq(drain(&bucket, &rate, at_ns), 10);
    }
}

/* 5.5 */
Test(bucket, time_that_goes_back_gives_nothing)
{
    rl_rate rate = rate_of(100, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};

    cr_assert_eq(drain(&bucket, &rate, 3600 * SEC), 100);
    cr_assert_eq(drain(&bucket, &rate, 3599 * SEC), 0);
    cr_assert_eq(drain(&bucket, &rate, 0), 0);
    cr_assert(rl_bucket_level(&bucket, &rate, 0) == 0);
    cr_assert_eq(drain(&bucket, &rate, 3601 * SEC), 10);
}

/* 5.10 */
Test(bucket, limit_zero_denies_every_cost)
{
    rl_rate rate = rate_of(0, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};

    cr_assert_eq(rl_bucket_take(&bucket, &rate, 0, 1), RL_BLOCKED);
    cr_assert_eq(rl_bucket_take(&bucket, &rate, 366 * DAY_S * SEC, UINT64_MAX), RL_BLOCKED);
    cr_assert(bucket.full_at == 0);
}

/* 5.11 */
Test(bucket, huge_limits_still_end)
{
    rl_rate rate = rate_of(2147483647, 2147483647, 31622400000, RL_GRADUAL);
    rl_bucket bucket = {0};

    cr_assert_eq(rl_bucket_take(&bucket, &rate, 0, 2147483647), RL_ALLOWED);
    cr_assert_eq(rl_bucket_take(&bucket, &rate, 0, 1), RL_DENIED);
    cr_assert_eq(drain(&bucket, &rate, SEC), 67);
    cr_assert_eq(rl_bucket_take(&bucket, &rate, 0, 2147483648u), RL_COST_EXCEEDS_LIMIT);
    cr_assert_eq(rl_bucket_take(&bucket, &rate, 0, UINT64_MAX), RL_COST_EXCEEDS_LIMIT);
}

/* 5.11 */
Test(bucket, one_token_a_month_comes_in_a_month)
{
    rl_rate rate = rate_of(1, 1, 30 * DAY_S * 1000, RL_GRADUAL);
    rl_bucket bucket = {0};

    cr_assert_eq(drain(&bucket, &rate, 5), 1);
    cr_assert_eq(drain(&bucket, &rate, 5 + 30 * DAY_S * SEC - 1), 0);
    cr_assert_eq(drain(&bucket, &rate, 5 + 30 * DAY_S * SEC), 1);
}

static void corner(uint32_t limit, uint32_t amount, uint64_t every_ms, enum rl_style style, uint64_t start_ns)
{
    rl_rate rate = rate_of(limit, amount, every_ms, style);
    model m = {.rate = rate, .level = rate.capacity, .last_step = step_of(&rate, start_ns)};
    rl_bucket bucket = {0};
    uint64_t at_ns = start_ns;

    for (int i = 0; i < 6; i++) {
        uint64_t cost = i % 2 == 0 ? limit : 1;
        cr_assert_eq(rl_bucket_take(&bucket, &rate, at_ns, cost) == RL_ALLOWED, model_take(&m, at_ns, cost));
        cr_assert(rl_bucket_level(&bucket, &rate, at_ns) == m.level, "limit %u amount %u every %llu", limit,
                  amount, (unsigned long long)every_ms);
        cr_assert(bucket.full_at >> 96 == 0);
        at_ns = UINT64_MAX - at_ns < 366 * DAY_S * SEC ? UINT64_MAX : at_ns + 366 * DAY_S * SEC;
    }
}

Test(bucket, no_corner_of_the_ranges_overflows)
{
    static const uint32_t limits[] = {1, 2147483646, 2147483647};
    static const uint32_t amounts[] = {1, 2, 2147483647};
    static const uint64_t periods_ms[] = {1, 1000, 31622400000};
    static const uint64_t starts_ns[] = {0, 366 * DAY_S * SEC, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};

    for (int i = 0; i < 3 * 3 * 3 * 5 * 2; i++) {
        corner(limits[i % 3], amounts[i / 3 % 3], periods_ms[i / 9 % 3],
               i / 135 == 0 ? RL_GRADUAL : RL_INTERVAL, starts_ns[i / 27 % 5]);
    }
}

Test(bucket, interval_style_ticks_at_multiples_of_the_period)
{
    rl_rate rate = rate_of(10, 4, 1000, RL_INTERVAL);
    rl_bucket bucket = {0};

    cr_assert_eq(drain(&bucket, &rate, 2 * SEC + 999 * MS), 10);
    cr_assert_eq(drain(&bucket, &rate, 3 * SEC - 1), 0);
    cr_assert_eq(drain(&bucket, &rate, 3 * SEC), 4);
    cr_assert_eq(drain(&bucket, &rate, 4 * SEC - 1), 0);
    cr_assert_eq(drain(&bucket, &rate, 5 * SEC), 8);
    cr_assert_eq(drain(&bucket, &rate, 90 * SEC), 10);
}

Test(bucket, a_changed_limit_moves_the_level_by_the_difference)
{
    rl_rate hundred = rate_of(100, 10, 1000, RL_GRADUAL);
    rl_rate thirty = rate_of(30, 10, 1000, RL_GRADUAL);
    rl_rate more = rate_of(250, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_bucket lower;
    rl_bucket higher;

    cr_assert_eq(rl_bucket_take(&bucket, &hundred, SEC, 40), RL_ALLOWED);
    higher.full_at = rl_bucket_carry(&hundred, &more, bucket.full_at, SEC);
    cr_assert_eq(drain(&higher, &more, SEC), 60 + 150);
    lower.full_at = rl_bucket_carry(&hundred, &thirty, bucket.full_at, SEC);
    cr_assert_eq(drain(&lower, &thirty, SEC), 0);
    /* 40 were missing; of 30 no more than 30 can be. */
    cr_assert_eq(drain(&lower, &thirty, 2 * SEC), 10);
    cr_assert(rl_bucket_carry(&hundred, &more, 0, SEC) == 0, "a full bucket stays full");
}

Test(bucket, no_chain_of_changes_mints)
{
    test_random random = random_start(17);
    rl_rate rate = rate_of(1000, 1, 31622400000, RL_GRADUAL);
    rl_rate start = rate;
    rl_bucket bucket = {0};

    cr_assert_eq(rl_bucket_take(&bucket, &rate, 0, 1000), RL_ALLOWED);
    for (int i = 0; i < 20000; i++) {
        rl_rate next =
            rate_of(1000, (uint32_t)random_sized(&random, 1, 1000), random_sized(&random, 1, 31622400000),
                    random_below(&random, 2) == 0 ? RL_GRADUAL : RL_INTERVAL);
        bucket.full_at = rl_bucket_carry(&rate, &next, bucket.full_at, 0);
        rate = next;
        cr_assert(rl_bucket_level(&bucket, &rate, 0) == 0, "seed %llu step %d",
                  (unsigned long long)random.seed, i);
    }
    bucket.full_at = rl_bucket_carry(&rate, &start, bucket.full_at, 0);
    cr_assert(rl_bucket_level(&bucket, &start, 0) == 0);
}
