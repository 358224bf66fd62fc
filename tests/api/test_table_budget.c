/* Several tables under one bound of keys. */
#include "tests/api/rate_limit_table.h"

static fixture sharing(rl_budget *budget, rl_rate rate)
{
    rl_table_options options = {.start_ns = START, .max_keys = 1000000, .max_rates = 10, .budget = budget};
    fixture f = {.rate = rate};

    cr_assert_eq(rl_table_create(&options, &f.table), RL_OK);
    cr_assert_eq(rl_table_rate_add(f.table, &rate, 1, 0, &f.rate_id), RL_OK);
    return f;
}

Test(budget, bounds_all_tables_together_and_exactly)
{
    rl_budget budget = {.max = 5000};
    fixture tables[3];

    for (int i = 0; i < 3; i++) {
        tables[i] = sharing(&budget, rate_of(10, 1, 86400000, RL_GRADUAL));
    }
    for (uint64_t key = 0; key < 5000; key++) {
        cr_assert_eq(check(&tables[key * key % 3], 0, key, 1), RL_ALLOWED);
    }
    cr_assert_eq(budget.used, 5000);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(check(&tables[i], 0, 90000, 1), RL_LIMITER_FULL);
    }
    cr_assert_eq(check(&tables[0], 0, 0, 1), RL_ALLOWED); /* a known key goes on */
    cr_assert_eq(info(&tables[0]).keys + info(&tables[1]).keys + info(&tables[2]).keys, 5000);
    for (int i = 0; i < 3; i++) {
        rl_table_destroy(tables[i].table);
    }
}

Test(budget, room_made_in_one_table_is_room_in_the_others)
{
    rl_budget budget = {.max = 4};
    fixture one = sharing(&budget, rate_of(10, 1, 1000, RL_GRADUAL));
    fixture other = sharing(&budget, rate_of(10, 1, 1000, RL_GRADUAL));
    rl_hash hash = key_number(0);

    for (uint64_t key = 0; key < 4; key++) {
        cr_assert_eq(check(&one, 0, key, 1), RL_ALLOWED);
    }
    cr_assert_eq(check(&other, 0, 7, 1), RL_LIMITER_FULL);
    cr_assert(rl_table_reset(one.table, &hash));
    cr_assert_eq(check(&other, 0, 7, 1), RL_ALLOWED);
    cr_assert_eq(check(&other, 0, 8, 1), RL_LIMITER_FULL);
    cr_assert_eq(rl_table_sweep(one.table, START + 2 * SEC, 4096), 3);
    cr_assert_eq(budget.used, 1);
    cr_assert_eq(check(&other, 2 * SEC, 8, 1), RL_ALLOWED);
    rl_table_destroy(one.table);
    rl_table_destroy(other.table);
}

Test(budget, adoption_keeps_the_count)
{
    rl_budget budget = {.max = 100};
    fixture f = sharing(&budget, rate_of(10, 1, 86400000, RL_GRADUAL));

    for (uint64_t key = 0; key < 40; key++) {
        cr_assert_eq(check(&f, 0, key, 1), RL_ALLOWED);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rl_table_adopt(f.table), RL_OK);
        cr_assert_eq(budget.used, 40);
    }
    rl_table_destroy(f.table);
}
