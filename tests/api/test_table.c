#include "tests/api/rate_limit_table.h"

#include <criterion/criterion.h>

/* --- one key --- */

Test(table, admits_the_limit_and_then_the_rate)
{
    fixture f = with(1000, rate_of(100, 10, 1000, RL_GRADUAL));
    unsigned admitted = 0;

    for (uint64_t ms = 0; ms <= 60000; ms++) {
        admitted += check(&f, ms * MS, 1, 1) == RL_ALLOWED;
    }
    cr_assert_eq(admitted, 100 + 600);
    rl_table_destroy(f.table);
}

/* 5.2 */
Test(table, looking_changes_nothing_and_creates_nothing)
{
    fixture f = with(1000, rate_of(10, 10, 10000, RL_GRADUAL));

    cr_assert_eq(remaining(&f, 0, 1), 10);
    cr_assert_eq(info(&f).keys, 0);
    cr_assert_eq(check(&f, 0, 1, 10), RL_ALLOWED);
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(remaining(&f, 1200 * MS, 1), 1);
    }
    cr_assert_eq(remaining(&f, 3600 * SEC, 1), 10);
    cr_assert_eq(check(&f, 1200 * MS, 1, 1), RL_ALLOWED);
    cr_assert_eq(check(&f, 1200 * MS, 1, 1), RL_DENIED);
    rl_table_destroy(f.table);
}

/* 5.5 */
Test(table, time_that_goes_back_counts_as_the_latest)
{
    fixture f = with(1000, rate_of(10, 10, 1000, RL_GRADUAL));

    cr_assert_eq(check(&f, 5 * SEC, 1, 10), RL_ALLOWED);
    cr_assert_eq(check(&f, 4 * SEC, 1, 1), RL_DENIED);
    cr_assert_eq(remaining(&f, 0, 1), 0);
    cr_assert_eq(check(&f, 4 * SEC, 2, 10), RL_ALLOWED);
    cr_assert_eq(remaining(&f, 5 * SEC + 500 * MS, 2), 5);
    rl_table_destroy(f.table);
}

/* 5.19 */
Test(table, denials_take_nothing)
{
    fixture f = with(1000, rate_of(10, 1, 1000, RL_GRADUAL));

    cr_assert_eq(check(&f, 0, 1, 8), RL_ALLOWED);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(check(&f, 0, 1, 3), RL_DENIED);
    }
    cr_assert_eq(check(&f, 0, 1, 2), RL_ALLOWED);
    rl_table_destroy(f.table);
}

Test(table, a_cost_above_the_limit_is_its_own_verdict_and_leaves_no_trace)
{
    fixture f = with(1000, rate_of(10, 1, 1000, RL_GRADUAL));

    cr_assert_eq(check(&f, 0, 1, 11), RL_COST_EXCEEDS_LIMIT);
    cr_assert_eq(check(&f, 0, 1, UINT64_MAX), RL_COST_EXCEEDS_LIMIT);
    cr_assert_eq(check(&f, 0, 1, 0), RL_ALLOWED);
    cr_assert_eq(info(&f).keys, 0);
    rl_table_destroy(f.table);
}

/* 5.10 */
Test(table, limit_zero_blocks_and_leaves_no_trace)
{
    fixture f = with(1000, rate_of(0, 1, 1000, RL_GRADUAL));

    cr_assert_eq(check(&f, 0, 1, 1), RL_BLOCKED);
    cr_assert_eq(check(&f, 0, 1, 5), RL_BLOCKED);
    cr_assert_eq(remaining(&f, 0, 1), 0);
    cr_assert_eq(info(&f).keys, 0);
    rl_table_destroy(f.table);
}

Test(table, shadow_admits_counts_and_takes_nothing_it_would_have_denied)
{
    rl_rate rate = rate_of(3, 1, 1000, RL_GRADUAL);
    rl_hash hash = key_number(1);
    rl_rate_info counts;
    rl_verdict verdict;
    fixture f;

    rate.mode = RL_SHADOW;
    f = with(1000, rate);
    for (int i = 0; i < 10; i++) {
        rl_table_check(f.table, START, f.rate_id, &hash, 1, &verdict);
        cr_assert(verdict.admitted);
        cr_assert_eq(verdict.status, i < 3 ? RL_ALLOWED : RL_DENIED);
    }
    cr_assert(rl_table_rate_get(f.table, f.rate_id, &counts));
    cr_assert_eq(counts.counts.allowed, 3);
    cr_assert_eq(counts.counts.shadow_denied, 7);
    cr_assert_eq(counts.counts.denied, 0);
    cr_assert_eq(check(&f, SEC, 1, 1), RL_ALLOWED);
    cr_assert_eq(check(&f, SEC, 1, 1), RL_DENIED);
    rl_table_destroy(f.table);
}

Test(table, a_reset_key_is_full)
{
    fixture f = with(1000, rate_of(10, 1, 1000, RL_GRADUAL));
    rl_hash hash = key_number(1);

    cr_assert_eq(check(&f, 0, 1, 10), RL_ALLOWED);
    cr_assert(rl_table_reset(f.table, &hash));
    cr_assert_not(rl_table_reset(f.table, &hash));
    cr_assert_eq(info(&f).keys, 0);
    cr_assert_eq(check(&f, 0, 1, 10), RL_ALLOWED);
    rl_table_destroy(f.table);
}

Test(table, enough_then_take_is_a_check_in_two_steps)
{
    fixture f = with(2, rate_of(10, 1, 100000, RL_GRADUAL));
    rl_hash hash = key_number(1);
    rl_hash third = key_number(3);
    rl_verdict verdict;

    rl_table_enough(f.table, START, f.rate_id, &hash, 7, &verdict);
    cr_assert_eq(verdict.status, RL_ALLOWED);
    cr_assert_eq(info(&f).keys, 0);
    rl_table_take(f.table, START, f.rate_id, &hash, 7, &verdict);
    cr_assert_eq(verdict.status, RL_ALLOWED);
    rl_table_enough(f.table, START, f.rate_id, &hash, 4, &verdict);
    cr_assert_eq(verdict.status, RL_DENIED);
    cr_assert_eq(remaining(&f, 0, 1), 3);
    cr_assert_eq(check(&f, 0, 2, 1), RL_ALLOWED);
    rl_table_enough(f.table, START, f.rate_id, &third, 1, &verdict);
    cr_assert_eq(verdict.status, RL_LIMITER_FULL);
    rl_table_take(f.table, START, f.rate_id, &third, 1, &verdict);
    cr_assert_eq(verdict.status, RL_ALLOWED, "room that was promised is given");
    cr_assert_eq(info(&f).keys, 3);
    cr_assert_eq(check(&f, 0, 4, 1), RL_LIMITER_FULL);
    rl_table_destroy(f.table);
}

Test(table, tokens_given_back_stop_at_full)
{
    fixture f = with(1000, rate_of(10, 1, 100000, RL_GRADUAL));
    rl_hash hash = key_number(1);

    cr_assert_eq(check(&f, 0, 1, 6), RL_ALLOWED);
    cr_assert_eq(rl_table_give_back(f.table, START, f.rate_id, &hash, 2), RL_OK);
    cr_assert_eq(remaining(&f, 0, 1), 6);
    cr_assert_eq(rl_table_give_back(f.table, START, f.rate_id, &hash, 1000), RL_OK);
    cr_assert_eq(remaining(&f, 0, 1), 10);
    cr_assert_eq(check(&f, 0, 1, 10), RL_ALLOWED);
    cr_assert_eq(check(&f, 0, 1, 1), RL_DENIED);
    cr_assert_eq(rl_table_give_back(f.table, START, 77, &hash, 1), RL_E_UNKNOWN_RATE);
    rl_table_destroy(f.table);
}

/* --- many keys against the plain bucket --- */

static void follow_buckets(test_random *random, fixture *f, rl_bucket *buckets, unsigned keys, unsigned steps)
{
    uint64_t at_ns = 0;

    for (unsigned i = 0; i < steps; i++) {
        uint64_t key = random_below(random, keys);
        uint64_t cost = 1 + random_below(random, f->rate.limit);
        enum rl_status expected;
        at_ns += random_below(random, 2 * MS);
        expected = rl_bucket_take(&buckets[key], &f->rate, at_ns, cost);
        cr_assert_eq(check(f, at_ns, key, cost), expected, "seed %llu step %u",
                     (unsigned long long)random->seed, i);
        if (i % 10000 == 0) {
            (void)rl_table_sweep(f->table, START + at_ns, 3000);
        }
    }
}

Test(table, every_key_behaves_as_a_bucket_of_its_own)
{
    test_random random = random_start(4711);
    unsigned keys = 20000;
    rl_bucket *buckets = calloc(keys, sizeof *buckets);
    fixture f = with(keys, rate_of(20, 3, 700, RL_GRADUAL));

    follow_buckets(&random, &f, buckets, keys, 1500000);
    cr_assert_leq(info(&f).keys, keys);
    free(buckets);
    rl_table_destroy(f.table);
}

/* --- bounds --- */

Test(table, sizes_outside_the_range_are_refused)
{
    rl_table *table = NULL;

    cr_assert_eq(rl_table_create(&(rl_table_options){.max_keys = 0, .max_rates = 1}, &table), RL_E_RANGE);
    cr_assert_eq(rl_table_create(&(rl_table_options){.max_keys = UINT32_MAX, .max_rates = 1}, &table),
                 RL_E_RANGE);
    cr_assert_eq(rl_table_create(&(rl_table_options){.max_keys = 1, .max_rates = 0}, &table), RL_E_RANGE);
    cr_assert_null(table);
    rl_table_destroy(NULL);
}

static void fill_and_measure(uint32_t max_keys)
{
    fixture f = with(max_keys, rate_of(10, 1, 86400000, RL_GRADUAL));
    double bytes_a_key;

    for (uint64_t key = 0; key < max_keys; key++) {
        cr_assert_eq(check(&f, key, key, 1), RL_ALLOWED, "key %llu of %u", (unsigned long long)key, max_keys);
    }
    cr_assert_eq(info(&f).keys, max_keys);
    bytes_a_key = (double)info(&f).memory_bytes / max_keys;
    cr_log_info("max_keys %u: %.1f bytes a key, %llu segments", max_keys, bytes_a_key,
                (unsigned long long)info(&f).segments);
    cr_assert_leq(bytes_a_key, 96.0, "max_keys %u: %f", max_keys, bytes_a_key);
    for (uint64_t key = max_keys; key < max_keys + 2000; key++) {
        cr_assert_eq(check(&f, max_keys, key, 1), RL_LIMITER_FULL);
    }
    for (uint64_t key = 0; key < max_keys; key++) {
        cr_assert_eq(check(&f, max_keys, key, 10), RL_DENIED);
        cr_assert_eq(check(&f, max_keys, key, 9), RL_ALLOWED);
    }
    rl_table_destroy(f.table);
}

Test(table, holds_exactly_max_keys_in_at_most_96_bytes_each, .timeout = 300)
{
    static const uint32_t sizes[] = {5000, 8191, 10000, 13107, 30000, 52429, 100000, 209716, 419431, 1000000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill_and_measure(sizes[i]);
    }
}

Test(table, the_smallest_table_holds_one_key)
{
    fixture f = with(1, rate_of(10, 1, 1000, RL_GRADUAL));

    cr_assert_eq(check(&f, 0, 1, 1), RL_ALLOWED);
    cr_assert_eq(check(&f, 0, 2, 1), RL_LIMITER_FULL);
    cr_assert_eq(check(&f, 0, 1, 9), RL_ALLOWED);
    cr_assert_eq(check(&f, 10 * SEC, 2, 1), RL_ALLOWED, "the first is full again and makes room");
    cr_assert_eq(info(&f).keys, 1);
    rl_table_destroy(f.table);
}

Test(table, a_single_full_bucket_anywhere_makes_room_in_a_small_table)
{
    for (uint64_t full = 0; full < 300; full += 13) {
        fixture f = with(300, rate_of(10, 1, 1000, RL_GRADUAL));
        for (uint64_t key = 0; key < 300; key++) {
            cr_assert_eq(check(&f, 0, key, key == full ? 1 : 10), RL_ALLOWED);
        }
        cr_assert_eq(check(&f, 999 * MS, 1000, 1), RL_LIMITER_FULL);
        cr_assert_eq(check(&f, SEC, 1001, 1), RL_ALLOWED, "full key %llu", (unsigned long long)full);
        cr_assert_eq(check(&f, SEC, 1002, 1), RL_LIMITER_FULL);
        rl_table_destroy(f.table);
    }
}

Test(table, refusals_say_when_room_is_due)
{
    fixture f = with(300, rate_of(10, 1, 1000, RL_GRADUAL));
    rl_hash hash = key_number(5000);
    rl_verdict verdict;

    for (uint64_t key = 0; key < 300; key++) {
        cr_assert_eq(check(&f, 0, key, key == 77 ? 3 : 10), RL_ALLOWED);
    }
    for (int i = 0; i < 4; i++) {
        rl_table_check(f.table, START + SEC, f.rate_id, &hash, 1, &verdict);
        cr_assert_eq(verdict.status, RL_LIMITER_FULL);
    }
    cr_assert_eq(verdict.room_in_ns, 2 * SEC);
    rl_table_check(f.table, START + 3 * SEC, f.rate_id, &hash, 1, &verdict);
    cr_assert_eq(verdict.status, RL_ALLOWED);
    rl_table_destroy(f.table);
}

/* 5.12 and acceptance test 8 */
Test(table, a_drained_key_outlives_millions_of_others, .timeout = 300)
{
    fixture f = with(100000, rate_of(100, 10, 1000, RL_GRADUAL));
    fixture slow = f;
    rl_rate daily = rate_of(100, 100, DAY_S * 1000, RL_GRADUAL);
    uint64_t at_ns = 0;

    cr_assert_eq(rl_table_rate_add(f.table, &daily, 2, 0, &slow.rate_id), RL_OK);
    cr_assert_eq(check(&slow, 0, 0, 100), RL_ALLOWED);
    for (uint64_t key = 1; key <= 3000000; key++) {
        at_ns += 2 * 1000;
        cr_assert_eq(check(&f, at_ns, key, 1), RL_ALLOWED);
    }
    cr_assert_leq(info(&f).keys, 100000);
    cr_assert_eq(check(&slow, at_ns, 0, 1), RL_DENIED);
    cr_assert_gt(info(&f).reclaimed, 2800000);
    /* Now keys that do not fill again: all room is taken, known ones go on, new ones are refused. */
    for (uint64_t key = 4000000; key < 6000000; key++) {
        enum rl_status status = check(&f, at_ns, key, 90);
        cr_assert(status == RL_ALLOWED || status == RL_LIMITER_FULL);
    }
    cr_assert_eq(info(&f).keys, 100000);
    cr_assert_eq(check(&slow, at_ns, 0, 1), RL_DENIED);
    cr_assert_eq(check(&f, at_ns, 4000000, 10), RL_ALLOWED);
    cr_assert_eq(check(&f, at_ns, 4000000, 1), RL_DENIED);
    rl_table_destroy(f.table);
}

/* --- rates --- */

Test(table, a_replaced_rate_settles_each_key_at_the_old_one_up_to_the_change)
{
    fixture f = with(1000, rate_of(100, 10, 1000, RL_GRADUAL));
    rl_rate ten = rate_of(10, 10, 1000, RL_GRADUAL);
    rl_rate hundred = rate_of(100, 10, 1000, RL_GRADUAL);
    uint32_t old = f.rate_id;

    cr_assert_eq(check(&f, 0, 1, 100), RL_ALLOWED);
    cr_assert_eq(check(&f, 0, 2, 30), RL_ALLOWED);
    cr_assert_eq(rl_table_rate_replace(f.table, START + SEC, f.rate_id, &ten, &f.rate_id), RL_OK);
    cr_assert_eq(remaining(&f, SEC, 3), 10);
    cr_assert_eq(remaining(&f, SEC, 1), 0);
    cr_assert_eq(rl_table_rate_replace(f.table, START + SEC + 500 * MS, f.rate_id, &hundred, &f.rate_id),
                 RL_OK);
    /* Key 1: 90 missing, clamped to 10 by the change, 5 came back, then the limit grew by 90. */
    cr_assert_eq(remaining(&f, SEC + 500 * MS, 1), 95);
    cr_assert_eq(remaining(&f, 2 * SEC, 1), 100);
    cr_assert_eq(remaining(&f, SEC + 500 * MS, 2), 95);
    cr_assert_eq(check(&f, SEC + 500 * MS, 1, 96), RL_DENIED);
    cr_assert_eq(check(&f, SEC + 500 * MS, 1, 95), RL_ALLOWED);
    f.rate_id = old;
    cr_assert_eq(check(&f, 2 * SEC, 1, 1), RL_UNKNOWN_RATE);
    rl_table_destroy(f.table);
}

/* 5.17 */
Test(table, a_raised_limit_is_felt_at_once)
{
    fixture f = with(1000, rate_of(10, 1, DAY_S * 1000, RL_GRADUAL));
    rl_rate more = rate_of(15, 1, DAY_S * 1000, RL_GRADUAL);

    cr_assert_eq(check(&f, 0, 1, 10), RL_ALLOWED);
    cr_assert_eq(rl_table_rate_replace(f.table, START, f.rate_id, &more, &f.rate_id), RL_OK);
    cr_assert_eq(check(&f, 0, 1, 5), RL_ALLOWED);
    cr_assert_eq(check(&f, 0, 1, 1), RL_DENIED);
    rl_table_destroy(f.table);
}

Test(table, the_same_numbers_change_nothing_but_the_mode)
{
    fixture f = with(1000, rate_of(10, 1, 1000, RL_GRADUAL));
    rl_rate shadow = f.rate;
    uint32_t id;
    rl_rate_info got;

    shadow.mode = RL_SHADOW;
    cr_assert_eq(check(&f, 0, 1, 4), RL_ALLOWED);
    cr_assert_eq(rl_table_rate_replace(f.table, START, f.rate_id, &shadow, &id), RL_OK);
    cr_assert_eq(id, f.rate_id);
    cr_assert(rl_table_rate_get(f.table, id, &got));
    cr_assert_eq(got.rate.mode, RL_SHADOW);
    cr_assert_eq(remaining(&f, 0, 1), 6);
    rl_table_destroy(f.table);
}

typedef struct change_model {
    rl_bucket bucket[64];
    rl_rate rate;
} change_model;

/* Lazy settling over chains of changes must equal changing every key at once. */
Test(table, lazy_changes_equal_changes_of_every_key_at_once, .timeout = 300)
{
    test_random random = random_start(1717);
    change_model m = {.rate = rate_of(50, 7, 900, RL_GRADUAL)};
    fixture f = with(64, m.rate);
    uint64_t at_ns = 0;

    for (unsigned i = 0; i < 300000; i++) {
        uint64_t key = random_below(&random, 64);
        at_ns += random_below(&random, 50 * MS);
        if (random_below(&random, 40) == 0) {
            rl_rate next =
                rate_of((uint32_t)random_below(&random, 80), 1 + (uint32_t)random_below(&random, 30),
                        1 + random_below(&random, 2000), random_below(&random, 2) ? RL_GRADUAL : RL_INTERVAL);
            for (int k = 0; k < 64; k++) {
                m.bucket[k].full_at = rl_bucket_carry(&m.rate, &next, m.bucket[k].full_at, at_ns);
            }
            m.rate = next;
            cr_assert_eq(rl_table_rate_replace(f.table, START + at_ns, f.rate_id, &next, &f.rate_id), RL_OK);
        }
        uint64_t cost = 1 + random_below(&random, m.rate.limit + 1);
        cr_assert_eq(check(&f, at_ns, key, cost), rl_bucket_take(&m.bucket[key], &m.rate, at_ns, cost),
                     "seed %llu step %u", (unsigned long long)random.seed, i);
    }
    cr_assert_leq(rl_table_rate_last(f.table), 6000, "ids come back: 7500 changes used %u",
                  rl_table_rate_last(f.table));
    rl_table_destroy(f.table);
}

Test(table, rate_ids_never_run_out_from_changes_alone, .timeout = 300)
{
    rl_table_options options = {.start_ns = START, .max_keys = 20000, .max_rates = 1};
    fixture f = {.rate = rate_of(10, 1, DAY_S * 1000, RL_GRADUAL)};

    cr_assert_eq(rl_table_create(&options, &f.table), RL_OK);
    cr_assert_eq(rl_table_rate_add(f.table, &f.rate, 1, 0, &f.rate_id), RL_OK);
    for (uint64_t key = 0; key < 20000; key++) {
        cr_assert_eq(check(&f, 0, key, 5), RL_ALLOWED);
    }
    for (uint32_t i = 0; i < 30000; i++) {
        rl_rate next = rate_of(10 + i % 2, 1, DAY_S * 1000, RL_GRADUAL);
        cr_assert_eq(rl_table_rate_replace(f.table, START + i, f.rate_id, &next, &f.rate_id), RL_OK,
                     "change %u", i);
    }
    for (uint64_t key = 0; key < 20000; key++) {
        cr_assert_eq(check(&f, 30000, key, 7), RL_DENIED);
        cr_assert_eq(check(&f, 30000, key, 5), RL_ALLOWED);
    }
    rl_table_destroy(f.table);
}

Test(table, an_override_takes_its_key_over_and_gives_it_back)
{
    fixture f = with(1000, rate_of(100, 100, DAY_S * 1000, RL_GRADUAL));
    fixture own = f;
    rl_rate numbers = rate_of(1000, 1, DAY_S * 1000, RL_GRADUAL);
    rl_hash hash = key_number(1);
    rl_rate_info got;

    cr_assert_eq(check(&f, 0, 1, 40), RL_ALLOWED);
    cr_assert_eq(rl_table_rate_add(f.table, &numbers, 1, 99, &own.rate_id), RL_OK);
    cr_assert_eq(rl_table_rebase(f.table, START, own.rate_id, &hash), RL_OK);
    cr_assert_eq(remaining(&own, 0, 1), 960);
    cr_assert(rl_table_rate_get(f.table, own.rate_id, &got));
    cr_assert_eq(got.cookie, 99);
    cr_assert_eq(check(&own, 0, 1, 900), RL_ALLOWED);
    cr_assert_eq(rl_table_rate_merge(f.table, START, own.rate_id, f.rate_id), RL_OK);
    cr_assert_not(rl_table_rate_get(f.table, own.rate_id, &got));
    cr_assert_eq(remaining(&f, 0, 1), 0);
    cr_assert_eq(remaining(&f, DAY_S * SEC / 2, 1), 50);
    cr_assert_eq(rl_table_rate_merge(f.table, START, f.rate_id, f.rate_id), RL_E_RANGE);
    rl_table_destroy(f.table);
}

Test(table, a_removed_policys_lines_are_free)
{
    fixture f = with(500, rate_of(10, 1, DAY_S * 1000, RL_GRADUAL));
    fixture other = f;

    cr_assert_eq(rl_table_rate_add(f.table, &f.rate, 2, 0, &other.rate_id), RL_OK);
    for (uint64_t key = 0; key < 500; key++) {
        cr_assert_eq(check(&f, 0, key, 10), RL_ALLOWED);
    }
    cr_assert_eq(check(&other, 0, 1000, 1), RL_LIMITER_FULL);
    cr_assert_eq(rl_table_rate_remove(f.table, START, f.rate_id), RL_OK);
    cr_assert_eq(rl_table_rate_remove(f.table, START, f.rate_id), RL_E_UNKNOWN_RATE);
    for (uint64_t key = 1000; key < 1500; key++) {
        cr_assert_eq(check(&other, 0, key, 10), RL_ALLOWED);
    }
    cr_assert_eq(info(&f).keys, 500);
    cr_assert_eq(check(&f, 0, 1, 1), RL_UNKNOWN_RATE);
    rl_table_destroy(f.table);
}
