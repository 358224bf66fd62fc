/* When to stop asking, when to try again, and how often to repeat; and which addresses are private. */
#include <criterion/criterion.h>

#include "server/client/breaker.h"
#include "server/client/private_address.h"
#include "server/client/retry_budget.h"

static const struct breaker_rules rules = {
    .window = 10, .least = 4, .failure_percent = 50, .open_ms = 100, .open_max_ms = 300, .trials = 2};

static bool one(struct breaker *breaker, enum breaker_outcome outcome, int64_t now_ms)
{
    struct breaker_pass pass;
    return breaker_admit(breaker, now_ms, &pass) && (breaker_report(breaker, pass, outcome, now_ms), true);
}

static struct breaker opened(int64_t now_ms)
{
    struct breaker breaker;
    breaker_init(&breaker, &rules);
    for (int i = 0; i < 4; i++) {
        cr_assert(one(&breaker, BREAKER_FAILURE, now_ms));
    }
    return breaker;
}

Test(breaker, opens_at_the_share_of_failures_and_not_before_there_are_enough)
{
    struct breaker breaker;
    breaker_init(&breaker, &rules);
    for (int i = 0; i < 3; i++) {
        cr_assert(one(&breaker, BREAKER_FAILURE, 0));
        cr_assert_eq(breaker.state, BREAKER_CLOSED);
    }
    cr_assert(one(&breaker, BREAKER_FAILURE, 0));
    cr_assert_eq(breaker.state, BREAKER_OPEN);
    cr_assert_not(one(&breaker, BREAKER_SUCCESS, 99));
    cr_assert_eq(breaker_wait_ms(&breaker, 99), 1);
}

Test(breaker, forgets_what_fell_out_of_the_window)
{
    struct breaker breaker;
    breaker_init(&breaker, &rules);
    for (int round = 0; round < 50; round++) { /* 40 % never open it */
        one(&breaker, round % 5 >= 3 ? BREAKER_FAILURE : BREAKER_SUCCESS, 0);
        cr_assert_eq(breaker.state, BREAKER_CLOSED);
    }
    cr_assert_eq(breaker.failures, 4);
}

Test(breaker, closes_after_its_trials_and_lets_no_more_through_meanwhile)
{
    struct breaker breaker = opened(0);
    struct breaker_pass first, second, third;
    cr_assert(breaker_admit(&breaker, 100, &first));
    cr_assert(breaker_admit(&breaker, 100, &second));
    cr_assert_not(breaker_admit(&breaker, 100, &third));
    cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
    cr_assert_not(breaker_report(&breaker, first, BREAKER_SUCCESS, 101));
    cr_assert(breaker_report(&breaker, second, BREAKER_SUCCESS, 102));
    cr_assert_eq(breaker.state, BREAKER_CLOSED);
}

Test(breaker, a_failed_trial_opens_it_for_twice_as_long_up_to_the_most)
{
    struct breaker breaker = opened(0);
    int64_t now_ms = 100;
    const int64_t waits[] = {200, 300, 300};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(one(&breaker, BREAKER_FAILURE, now_ms));
        cr_assert_eq(breaker_wait_ms(&breaker, now_ms), waits[i]);
        now_ms += waits[i];
    }
    cr_assert(one(&breaker, BREAKER_SUCCESS, now_ms));
    cr_assert(one(&breaker, BREAKER_SUCCESS, now_ms));
    cr_assert_eq(breaker.state, BREAKER_CLOSED);
    cr_assert_eq(breaker.open_for_ms, 100);
}

Test(breaker, late_reports_count_for_nothing_and_unknown_ones_give_the_trial_back)
{
    struct breaker breaker;
    struct breaker_pass old, trial;
    breaker_init(&breaker, &rules);
    cr_assert(breaker_admit(&breaker, 0, &old));
    breaker = opened(0);
    cr_assert(breaker_admit(&breaker, 100, &trial));
    cr_assert_not(breaker_report(&breaker, old, BREAKER_FAILURE, 100));
    cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
    cr_assert_not(breaker_report(&breaker, trial, BREAKER_UNKNOWN, 100));
    cr_assert_eq(breaker.trials_out, 0);
    cr_assert(breaker_admit(&breaker, 100, &trial));
    cr_assert(breaker_admit(&breaker, 100, &trial));
    cr_assert_not(breaker_admit(&breaker, 150, &trial));
    cr_assert(breaker_admit(&breaker, 200, &trial), "trials that were lost come back");
}

Test(retry_budget, requests_and_time_pay_in_and_retries_take_out)
{
    struct retry_budget budget;
    retry_budget_init(&budget, &(struct retry_budget_rules){.percent = 10, .each_second = 2, .most = 3}, 0);
    for (int i = 0; i < 3; i++) {
        cr_assert(retry_budget_take(&budget, 0));
    }
    cr_assert_not(retry_budget_take(&budget, 0));
    for (int i = 0; i < 10; i++) {
        retry_budget_pay(&budget, 0);
    }
    cr_assert(retry_budget_take(&budget, 0));
    cr_assert_not(retry_budget_take(&budget, 499));
    cr_assert(retry_budget_take(&budget, 500));
    cr_assert_not(retry_budget_take(&budget, 400), "a clock that goes back pays nothing");
    cr_assert_not(retry_budget_take(&budget, 999));
    retry_budget_pay(&budget, INT64_MAX);
    cr_assert_eq(retry_budget_left(&budget), 3);
}

Test(retry_budget, none_means_none)
{
    struct retry_budget budget;
    retry_budget_init(&budget,
                      &(struct retry_budget_rules){.percent = RETRY_BUDGET_NONE,
                                                   .each_second = RETRY_BUDGET_NONE,
                                                   .most = RETRY_BUDGET_NONE},
                      0);
    retry_budget_pay(&budget, 100000);
    cr_assert_not(retry_budget_take(&budget, 200000));
}

Test(private_address, everything_that_is_not_plainly_public_is_private)
{
    static const char *const refused[] = {"0.0.0.0",
                                          "10.1.2.3",
                                          "100.64.0.1",
                                          "100.127.255.255",
                                          "127.0.0.1",
                                          "127.255.0.1",
                                          "169.254.169.254",
                                          "172.16.0.1",
                                          "172.31.255.255",
                                          "192.0.0.192",
                                          "192.0.2.1",
                                          "192.168.1.1",
                                          "198.18.0.1",
                                          "198.19.255.255",
                                          "198.51.100.1",
                                          "203.0.113.1",
                                          "224.0.0.1",
                                          "239.255.255.255",
                                          "240.0.0.1",
                                          "255.255.255.255",
                                          "168.63.129.16",
                                          "::",
                                          "::1",
                                          "::ffff:127.0.0.1",
                                          "::ffff:10.0.0.1",
                                          "64:ff9b::7f00:1",
                                          "2002:7f00:1::1",
                                          "2001::1",
                                          "2001:db8::1",
                                          "3fff::1",
                                          "fc00::1",
                                          "fd00:ec2::254",
                                          "fe80::1",
                                          "fec0::1",
                                          "ff02::1",
                                          "4000::1",
                                          "localhost",
                                          "",
                                          "1.2.3",
                                          "0x7f.1"};
    static const char *const taken[] = {
        "1.1.1.1",          "8.8.8.8",         "100.63.255.255",  "100.128.0.1",     "172.15.0.1",
        "172.32.0.1",       "192.167.1.1",     "198.17.0.1",      "223.255.255.255", "::ffff:8.8.8.8",
        "64:ff9b::808:808", "2002:808:808::1", "2606:4700::1111", "2a00::1"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cr_expect(address_text_is_private(refused[i]), "%s", refused[i]);
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        cr_expect_not(address_text_is_private(taken[i]), "%s", taken[i]);
    }
}
