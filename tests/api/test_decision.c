#include "api/rate_limits/decision.h"
#include "tests/api/rate_limit_support.h"

#include <criterion/criterion.h>

static rl_verdict ask(rl_bucket *bucket, const rl_rate *rate, uint64_t at_ns, uint64_t cost)
{
    rl_verdict verdict = {.rate = rate, .at_ns = at_ns, .cost = cost};

    verdict.status = rl_bucket_take(bucket, rate, at_ns, cost);
    verdict.admitted = verdict.status == RL_ALLOWED;
    verdict.debt = rl_bucket_debt(rate, bucket->full_at, rl_rate_clock(rate, at_ns));
    return verdict;
}

Test(decision, the_guides_first_answer)
{
    rl_rate rate = rate_of(100, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 0, 1);
    rl_decision decision;

    rl_decision_make(&verdict, &decision);
    cr_assert(decision.allowed);
    cr_assert_eq(decision.limit, 100);
    cr_assert_eq(decision.remaining, 99);
    cr_assert_eq(decision.retry_after_ms, 0);
    cr_assert_not(decision.has_retry_after);
    cr_assert_eq(decision.reset_ms, 100);
    cr_assert_eq(decision.policy_quota, 100);
    cr_assert_eq(decision.policy_window_s, 10);
    cr_assert_eq(decision.header_remaining, 99);
    cr_assert(decision.has_next_token);
    cr_assert_eq(decision.next_token_s, 0);
}

Test(decision, a_denial_says_how_long)
{
    rl_rate rate = rate_of(100, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 0, 100);
    rl_decision decision;

    verdict = ask(&bucket, &rate, 7 * MS + 1, 1);
    rl_decision_make(&verdict, &decision);
    cr_assert_not(decision.allowed);
    cr_assert_eq(decision.remaining, 0);
    cr_assert(decision.has_retry_after);
    cr_assert_eq(decision.retry_after_ms, 93);
    cr_assert_eq(decision.retry_after_s, 1);
    cr_assert_eq(decision.reset_ms, 9993);
    cr_assert_eq(decision.next_token_s, 1);
}

/* 5.8: cost above what is there but within the limit */
Test(decision, a_dear_request_waits_for_its_whole_cost)
{
    rl_rate rate = rate_of(100, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 0, 60);
    rl_decision decision;

    verdict = ask(&bucket, &rate, 0, 75);
    rl_decision_make(&verdict, &decision);
    cr_assert_eq(decision.remaining, 40);
    cr_assert_eq(decision.retry_after_ms, 3500);
    cr_assert_eq(decision.retry_after_s, 4);
    cr_assert_eq(decision.next_token_s, 0);
}

/* 5.10 */
Test(decision, limit_zero_offers_no_retry)
{
    rl_rate rate = rate_of(0, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 0, 1);
    rl_decision decision;

    rl_decision_make(&verdict, &decision);
    cr_assert_not(decision.allowed);
    cr_assert_not(decision.has_retry_after);
    cr_assert_not(decision.has_next_token);
    cr_assert_eq(decision.remaining, 0);
    cr_assert_eq(decision.reset_ms, 0);
    cr_assert_eq(decision.policy_window_s, 1);
}

Test(decision, a_cost_above_the_limit_offers_no_retry)
{
    rl_rate rate = rate_of(10, 10, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 0, 11);
    rl_decision decision;

    cr_assert_eq(verdict.status, RL_COST_EXCEEDS_LIMIT);
    rl_decision_make(&verdict, &decision);
    cr_assert_not(decision.has_retry_after);
    cr_assert_eq(decision.remaining, 10);
}

Test(decision, interval_waits_for_the_tick)
{
    rl_rate rate = rate_of(10, 4, 1000, RL_INTERVAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 300 * MS, 10);
    rl_decision decision;

    verdict = ask(&bucket, &rate, 300 * MS, 5);
    rl_decision_make(&verdict, &decision);
    cr_assert_eq(decision.retry_after_ms, 1700);
    cr_assert_eq(decision.retry_after_s, 2);
    cr_assert_eq(decision.reset_ms, 2700);
    cr_assert_eq(decision.next_token_s, 1);
    cr_assert_eq(decision.policy_window_s, 3);
}

Test(decision, an_admitted_shadow_denial_tells_no_wait)
{
    rl_rate rate = rate_of(1, 1, 1000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 0, 1);
    rl_decision decision;

    verdict = ask(&bucket, &rate, 0, 1);
    verdict.admitted = true;
    rl_decision_make(&verdict, &decision);
    cr_assert(decision.allowed);
    cr_assert_not(decision.has_retry_after);
    cr_assert_eq(decision.retry_after_ms, 0);
    cr_assert_eq(decision.remaining, 0);
}

Test(decision, a_full_limiter_offers_a_retry_between_a_second_and_a_minute)
{
    rl_rate rate = rate_of(5, 1, 1000, RL_GRADUAL);
    rl_verdict verdict = {.status = RL_LIMITER_FULL, .rate = &rate, .cost = 1};
    rl_decision decision;

    rl_decision_make(&verdict, &decision);
    cr_assert_eq(decision.retry_after_s, 1);
    verdict.room_in_ns = 3 * SEC + 1;
    rl_decision_make(&verdict, &decision);
    cr_assert_eq(decision.retry_after_s, 4);
    verdict.room_in_ns = UINT64_MAX;
    rl_decision_make(&verdict, &decision);
    cr_assert_eq(decision.retry_after_s, 60);
}

/* 5.15 */
Test(decision, waiting_retry_after_ms_admits_and_one_less_does_not)
{
    test_random random = random_start(515);

    for (int run = 0; run < 200000; run++) {
        rl_rate rate = random_rate(&random);
        uint64_t at_ns = random_below(&random, 366 * DAY_S * SEC);
        rl_bucket bucket = {0};
        rl_verdict verdict = ask(&bucket, &rate, at_ns, random_sized(&random, 1, 2147483647));
        uint64_t cost = random_sized(&random, 1, rate.limit > 0 ? rate.limit : 1);
        rl_decision decision;
        rl_bucket later;

        verdict = ask(&bucket, &rate, at_ns, cost);
        rl_decision_make(&verdict, &decision);
        cr_assert_eq(decision.has_retry_after, verdict.status == RL_DENIED);
        if (verdict.status != RL_DENIED || decision.retry_after_ms > (UINT64_MAX - at_ns) / MS) {
            continue;
        }
        cr_assert_geq(decision.retry_after_ms, 1);
        cr_assert_geq(decision.retry_after_s, 1);
        cr_assert_geq(decision.retry_after_s * 1000, decision.retry_after_ms);
        later = bucket;
        cr_assert_eq(rl_bucket_take(&later, &rate, at_ns + decision.retry_after_ms * MS, cost), RL_ALLOWED,
                     "seed %llu run %d", (unsigned long long)random.seed, run);
        later = bucket;
        cr_assert_eq(rl_bucket_take(&later, &rate, at_ns + (decision.retry_after_ms - 1) * MS, cost),
                     RL_DENIED, "seed %llu run %d", (unsigned long long)random.seed, run);
    }
}

Test(decision, reset_ms_is_when_it_is_full_and_not_before)
{
    test_random random = random_start(99);

    for (int run = 0; run < 100000; run++) {
        rl_rate rate = random_rate(&random);
        rl_bucket bucket = {0};
        uint64_t at_ns = random_below(&random, DAY_S * SEC);
        rl_verdict verdict =
            ask(&bucket, &rate, at_ns, random_sized(&random, 1, rate.limit > 0 ? rate.limit : 1));
        rl_decision decision;

        rl_decision_make(&verdict, &decision);
        if (verdict.debt == 0 || decision.reset_ms > (UINT64_MAX - at_ns) / MS) {
            continue;
        }
        cr_assert(rl_bucket_level(&bucket, &rate, at_ns + decision.reset_ms * MS) == rate.capacity);
        cr_assert(rl_bucket_level(&bucket, &rate, at_ns + (decision.reset_ms - 1) * MS) < rate.capacity);
        cr_assert_eq(decision.next_token_s > 0, decision.remaining == 0);
    }
}

Test(decision, times_stay_exact_in_json)
{
    rl_rate rate = rate_of(2147483647, 1, 31622400000, RL_GRADUAL);
    rl_bucket bucket = {0};
    rl_verdict verdict = ask(&bucket, &rate, 0, 2147483647);
    rl_decision decision;

    rl_decision_make(&verdict, &decision);
    cr_assert_eq(decision.reset_ms, RL_EXACT_MAX);
    cr_assert_eq(decision.policy_window_s, RL_EXACT_MAX);
}

Test(decision, wall_time_that_went_back_counts_as_none)
{
    cr_assert_eq(rl_wall_elapsed_ns(1000, 999), 0);
    cr_assert_eq(rl_wall_elapsed_ns(1000, 1003), 3 * MS);
    cr_assert_eq(rl_wall_elapsed_ns(INT64_MIN, INT64_MAX), UINT64_MAX);
    cr_assert_eq(rl_wall_elapsed_ns(0, INT64_MAX), UINT64_MAX);
}
