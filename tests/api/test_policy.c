#include "api/rate_limits/policy.h"

#include <criterion/criterion.h>

#include <string.h>

static rl_policy_request sound(void)
{
    return (rl_policy_request){.limit = 100, .amount = 10, .every_ms = 1000, .default_cost = 1};
}

Test(policy, built_in_default_is_the_guides)
{
    rl_policy policy = rl_policy_default();

    cr_assert_eq(policy.limit, 100);
    cr_assert_eq(policy.amount, 10);
    cr_assert_eq(policy.every_ms, 1000);
    cr_assert_eq(policy.default_cost, 1);
    cr_assert_eq(policy.style, RL_GRADUAL);
    cr_assert_eq(policy.mode, RL_ENFORCE);
}

Test(policy, both_ends_of_every_range_are_taken)
{
    rl_policy_request low = {.limit = 0, .amount = 1, .every_ms = 1, .default_cost = 1};
    rl_policy_request high = {
        .limit = 2147483647, .amount = 2147483647, .every_ms = 31622400000, .default_cost = 2147483647};
    rl_policy policy;

    cr_assert_eq(rl_policy_make(&low, &policy), 0);
    cr_assert_eq(policy.limit, 0);
    cr_assert_eq(rl_policy_make(&high, &policy), 0);
    cr_assert_eq(policy.limit, 2147483647u);
    cr_assert_eq(policy.every_ms, UINT64_C(31622400000));
}

Test(policy, one_past_either_end_is_that_members_fault)
{
    static const struct {
        rl_policy_request request;
        unsigned fault;
    } cases[] = {
        {{-1, 10, 1000, 1, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_LIMIT},
        {{2147483648, 10, 1000, 1, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_LIMIT},
        {{INT64_MAX, 10, 1000, 1, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_LIMIT},
        {{100, 0, 1000, 1, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_AMOUNT},
        {{100, 2147483648, 1000, 1, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_AMOUNT},
        {{100, 10, 0, 1, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_EVERY_MS},
        {{100, 10, 31622400001, 1, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_EVERY_MS},
        {{100, 10, 1000, 0, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_DEFAULT_COST},
        {{100, 10, 1000, 101, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_DEFAULT_COST},
        {{0, 10, 1000, 2, RL_GRADUAL, RL_ENFORCE}, RL_FAULT_DEFAULT_COST},
        {{INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, RL_GRADUAL, RL_ENFORCE},
         RL_FAULT_LIMIT | RL_FAULT_AMOUNT | RL_FAULT_EVERY_MS | RL_FAULT_DEFAULT_COST},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rl_policy policy = {.limit = 7};
        cr_assert_eq(rl_policy_make(&cases[i].request, &policy), cases[i].fault, "case %zu", i);
        cr_assert_eq(policy.limit, 7, "case %zu wrote its output", i);
    }
}

Test(policy, every_fault_has_a_pointer_and_a_sentence)
{
    unsigned all = 0;

    for (int i = 0; i < RL_POLICY_FAULTS; i++) {
        all |= (unsigned)rl_policy_fault_texts[i].fault;
        cr_assert_eq(rl_policy_fault_texts[i].pointer[0], '/');
        cr_assert(strlen(rl_policy_fault_texts[i].detail) > 0);
    }
    cr_assert_eq(all, RL_FAULT_LIMIT | RL_FAULT_AMOUNT | RL_FAULT_EVERY_MS | RL_FAULT_DEFAULT_COST);
}

Test(policy, sameness_looks_at_every_member)
{
    rl_policy_request request = sound();
    rl_policy one;
    rl_policy other;

    cr_assert_eq(rl_policy_make(&request, &one), 0);
    other = one;
    cr_assert(rl_policy_same(&one, &other));
    other.mode = RL_SHADOW;
    cr_assert_not(rl_policy_same(&one, &other));
    other = one;
    other.style = RL_INTERVAL;
    cr_assert_not(rl_policy_same(&one, &other));
    other = one;
    other.default_cost = 2;
    cr_assert_not(rl_policy_same(&one, &other));
    other = one;
    other.every_ms++;
    cr_assert_not(rl_policy_same(&one, &other));
}

Test(policy, names_are_1_to_64_of_the_plain_bytes)
{
    char longest[65];

    memset(longest, 'a', sizeof longest);
    cr_assert(rl_policy_name_ok("a.B_9-", 6));
    cr_assert(rl_policy_name_ok(longest, 64));
    cr_assert_not(rl_policy_name_ok(longest, 65));
    cr_assert_not(rl_policy_name_ok("", 0));
    cr_assert_not(rl_policy_name_ok("a/b", 3));
    cr_assert_not(rl_policy_name_ok("a\0b", 3));
    cr_assert_not(rl_policy_name_ok("\xc3\xa4", 2));
}

Test(policy, words_are_read_back_and_others_refused)
{
    enum rl_style style = RL_GRADUAL;
    enum rl_mode mode = RL_ENFORCE;

    cr_assert(rl_style_parse(rl_style_name(RL_INTERVAL), &style));
    cr_assert_eq(style, RL_INTERVAL);
    cr_assert_not(rl_style_parse("Gradual", &style));
    cr_assert_eq(style, RL_INTERVAL);
    cr_assert(rl_mode_parse(rl_mode_name(RL_SHADOW), &mode));
    cr_assert_eq(mode, RL_SHADOW);
    cr_assert_not(rl_mode_parse("", &mode));
}
