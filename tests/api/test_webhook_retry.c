#include "api/webhooks/retry.h"

#include <criterion/criterion.h>

#define HOUR INT64_C(3600000)

static const struct webhook_ending no_answer = {.status = 0, .retry_after_ms = -1};

static struct webhook_ending answer(unsigned status)
{
    return (struct webhook_ending){.status = status, .retry_after_ms = -1};
}

Test(webhook_retry, only_2xx_is_success_and_410_is_the_end)
{
    for (unsigned status = 100; status <= 999; status++) {
        struct webhook_ending ending = answer(status);
        enum webhook_outcome expected = status / 100 == 2 ? WEBHOOK_OUTCOME_DELIVERED
                                        : status == 410   ? WEBHOOK_OUTCOME_GONE
                                                          : WEBHOOK_OUTCOME_FAILED;
        cr_expect_eq(webhook_judge(&ending, 1), expected, "%u", status);
    }
    cr_expect_eq(webhook_judge(&no_answer, 1), WEBHOOK_OUTCOME_FAILED);
}

Test(webhook_retry, the_tenth_failure_is_the_last)
{
    struct webhook_ending bad = answer(500);
    struct webhook_ending good = answer(200);
    cr_expect_eq(webhook_judge(&bad, 9), WEBHOOK_OUTCOME_FAILED);
    cr_expect_eq(webhook_judge(&bad, 10), WEBHOOK_OUTCOME_GIVEN_UP);
    cr_expect_eq(webhook_judge(&good, 10), WEBHOOK_OUTCOME_DELIVERED);
}

/* In virtual time: the attempts of an event whose receiver always fails, without and with all the jitter there is. */
Test(webhook_retry, ten_attempts_take_three_days_and_a_little)
{
    static const int64_t least_ms[] = {0,        5000,     305000,    2105000,   9305000,
                                       27305000, 63305000, 113705000, 185705000, 272105000};
    for (int all = 0; all <= 1; all++) {
        int64_t now_ms = 0;
        for (unsigned attempt = 1; attempt <= WEBHOOK_ATTEMPTS_MAX; attempt++) {
            struct webhook_ending bad = answer(500);
            cr_expect_geq(now_ms, least_ms[attempt - 1]);
            cr_expect_leq(now_ms, least_ms[attempt - 1] * 6 / 5);
            if (webhook_judge(&bad, attempt) == WEBHOOK_OUTCOME_FAILED) {
                now_ms += webhook_retry_ms(&bad, attempt, WEBHOOK_RETRY_FIRST_MS, all ? UINT32_MAX : 0);
            }
        }
        cr_expect_gt(now_ms, 75 * HOUR);
        cr_expect_lt(now_ms, 91 * HOUR);
    }
}

Test(webhook_retry, another_first_time_keeps_the_proportions)
{
    struct webhook_ending bad = answer(500);
    cr_expect_eq(webhook_retry_ms(&bad, 1, 10, 0), 10);
    cr_expect_eq(webhook_retry_ms(&bad, 2, 10, 0), 600);
    cr_expect_eq(webhook_retry_ms(&bad, 9, 60000, UINT32_MAX), 12 * 24 * HOUR * 6 / 5);
}

Test(webhook_retry, jitter_is_spread_over_a_fifth)
{
    struct webhook_ending bad = answer(500);
    cr_expect_eq(webhook_retry_ms(&bad, 1, 5000, 0), 5000);
    cr_expect_eq(webhook_retry_ms(&bad, 1, 5000, UINT32_MAX / 2), 5500);
    cr_expect_eq(webhook_retry_ms(&bad, 1, 5000, UINT32_MAX), 6000);
}

Test(webhook_retry, retry_after_is_a_least_time_within_reason)
{
    struct webhook_ending asks = {.status = 503, .retry_after_ms = 60000};
    cr_expect_eq(webhook_retry_ms(&asks, 1, 5000, 0), 60000);
    cr_expect_eq(webhook_retry_ms(&asks, 2, 5000, 0), 300000);
    cr_expect_eq(webhook_pause_ms(&asks, 1, 5000, 0), 60000);
    asks.retry_after_ms = INT64_MAX;
    cr_expect_eq(webhook_retry_ms(&asks, 1, 5000, 0), WEBHOOK_RETRY_AFTER_MAX_MS);
    cr_expect_eq(webhook_pause_ms(&asks, 1, 5000, 0), WEBHOOK_RETRY_AFTER_MAX_MS);
}

Test(webhook_retry, a_receiver_that_is_away_or_busy_holds_up_all)
{
    static const unsigned pausing[] = {0, 429, 502, 503, 504};
    static const unsigned others[] = {200, 204, 301, 400, 401, 404, 410, 500, 501};
    for (size_t i = 0; i < sizeof(pausing) / sizeof(pausing[0]); i++) {
        struct webhook_ending ending = answer(pausing[i]);
        cr_expect_gt(webhook_pause_ms(&ending, 1, 5000, 0), 0, "%u", pausing[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct webhook_ending ending = answer(others[i]);
        cr_expect_eq(webhook_pause_ms(&ending, 1, 5000, 0), 0, "%u", others[i]);
    }
}

Test(webhook_retry, pauses_double_up_to_a_minute)
{
    int64_t before_ms = 0;
    for (unsigned strikes = 1; strikes <= 1000; strikes++) {
        int64_t pause_ms = webhook_pause_ms(&no_answer, strikes, 5000, 0);
        cr_expect_geq(pause_ms, before_ms);
        cr_expect_leq(pause_ms, 60000);
        before_ms = pause_ms;
    }
    cr_expect_eq(webhook_pause_ms(&no_answer, 1, 5000, 0), 1001);
    cr_expect_eq(before_ms, 60000);
    cr_expect_geq(webhook_pause_ms(&no_answer, UINT32_MAX, 10, 0), 120);
}
