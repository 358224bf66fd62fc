#include "tests/api/rate_limit_table.h"

#include <criterion/criterion.h>

#include <string.h>

Test(table_save, the_sweep_drops_full_buckets_and_only_those)
{
    fixture f = with(10000, rate_of(10, 1, 1000, RL_GRADUAL));

    for (uint64_t key = 0; key < 10000; key++) {
        cr_assert_eq(check(&f, 0, key, 1 + key % 10), RL_ALLOWED);
    }
    cr_assert_eq(rl_table_sweep(f.table, START + 5 * SEC, 1000000), 5000);
    cr_assert_eq(info(&f).keys, 5000);
    for (uint64_t key = 0; key < 10000; key++) {
        uint32_t taken = 1 + (uint32_t)(key % 10);
        cr_assert_eq(remaining(&f, 5 * SEC, key), taken <= 5 ? 10 : 15 - taken);
    }
    rl_table_destroy(f.table);
}

static size_t save_all(const fixture *f, uint64_t at_ns, enum rl_save what, rl_record *out, size_t room)
{
    rl_cursor cursor = {0};
    size_t written = 0;

    while (!cursor.done) {
        written += rl_table_save(f->table, START + at_ns, what, &cursor, 100, out + written, room - written);
    }
    return written;
}

Test(table_save, saved_buckets_come_back_less_what_time_refilled)
{
    fixture f = with(2000, rate_of(100, 10, 1000, RL_GRADUAL));
    fixture g = with(2000, rate_of(100, 10, 1000, RL_GRADUAL));
    rl_record *records = calloc(4000, sizeof *records);
    size_t count;

    for (uint64_t key = 0; key < 2000; key++) {
        cr_assert_eq(check(&f, 0, key, 1 + key % 100), RL_ALLOWED);
    }
    count = save_all(&f, 2 * SEC, RL_SAVE_ALL, records, 4000);
    cr_assert_eq(count, 2000 - 400);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(records[i].policy_id, 1);
        cr_assert_eq(rl_table_restore(g.table, START + 50 * SEC, g.rate_id, &records[i], 3 * SEC), RL_OK);
    }
    for (uint64_t key = 0; key < 2000; key++) {
        uint32_t debt = 1 + (uint32_t)(key % 100);
        cr_assert_eq(remaining(&g, 50 * SEC, key), debt <= 50 ? 100 : 150 - debt);
    }
    free(records);
    rl_table_destroy(f.table);
    rl_table_destroy(g.table);
}

Test(table_save, restoring_never_fills_and_bad_records_are_refused)
{
    fixture f = with(100, rate_of(10, 1, 1000, RL_GRADUAL));
    rl_record record = {.hash = key_number(1), .debt_tokens = 4, .debt_part = 1, .debt_unit = 1000 * MS};
    rl_record bad = record;

    cr_assert_eq(check(&f, 0, 1, 7), RL_ALLOWED);
    cr_assert_eq(rl_table_restore(f.table, START, f.rate_id, &record, 0), RL_OK);
    cr_assert_eq(remaining(&f, 0, 1), 3);
    record.debt_tokens = 2000000000;
    cr_assert_eq(rl_table_restore(f.table, START, f.rate_id, &record, 0), RL_OK);
    cr_assert_eq(remaining(&f, 0, 1), 0);
    cr_assert_eq(rl_table_restore(f.table, START, f.rate_id, &record, UINT64_MAX), RL_OK);
    cr_assert_eq(remaining(&f, 0, 1), 0);
    bad.debt_unit = 0;
    cr_assert_eq(rl_table_restore(f.table, START, f.rate_id, &bad, 0), RL_E_RANGE);
    bad.debt_unit = bad.debt_part;
    cr_assert_eq(rl_table_restore(f.table, START, f.rate_id, &bad, 0), RL_E_RANGE);
    bad = record;
    bad.debt_tokens = UINT32_MAX;
    cr_assert_eq(rl_table_restore(f.table, START, f.rate_id, &bad, 0), RL_E_RANGE);
    cr_assert_eq(rl_table_restore(f.table, START, 99, &record, 0), RL_E_UNKNOWN_RATE);
    rl_table_destroy(f.table);
}

Test(table_save, a_bucket_restored_under_another_unit_is_rounded_down)
{
    fixture f = with(100, rate_of(10, 1, 3, RL_GRADUAL));
    rl_record record = {.hash = key_number(1), .debt_tokens = 9, .debt_part = 1, .debt_unit = 7};
    rl_verdict verdict;

    cr_assert_eq(rl_table_restore(f.table, START, f.rate_id, &record, 0), RL_OK);
    rl_table_peek(f.table, START, f.rate_id, &record.hash, 0, &verdict);
    cr_assert(verdict.debt == 9 * (rl_u128)(3 * MS) + 3 * MS / 7 + 1);
    rl_table_destroy(f.table);
}

Test(table_save, only_what_changed_is_saved_again)
{
    fixture f = with(50000, rate_of(10, 1, DAY_S * 1000, RL_GRADUAL));
    rl_record *records = calloc(100000, sizeof *records);
    rl_cursor cursor = {0};
    size_t first;

    for (uint64_t key = 0; key < 50000; key++) {
        cr_assert_eq(check(&f, 0, key, 1), RL_ALLOWED);
    }
    cr_assert_eq(save_all(&f, 0, RL_SAVE_CHANGED, records, 100000), 50000);
    cr_assert_eq(save_all(&f, 0, RL_SAVE_CHANGED, records, 100000), 0);
    for (uint64_t key = 0; key < 50000; key += 1000) {
        cr_assert_eq(check(&f, 0, key, 1), RL_ALLOWED);
    }
    cr_assert_eq(save_all(&f, 0, RL_SAVE_CHANGED, records, 100000), 50);
    /* A walk that is given up in the middle of a segment loses none. */
    for (uint64_t key = 0; key < 50000; key++) {
        cr_assert_eq(check(&f, 0, key, 1), RL_ALLOWED);
    }
    first = rl_table_save(f.table, START, RL_SAVE_CHANGED, &cursor, 100, records, 100000);
    cr_assert(first > 0 && first < 100);
    cr_assert_eq(first + save_all(&f, 0, RL_SAVE_CHANGED, records, 100000), 50000);
    cr_assert_eq(save_all(&f, 0, RL_SAVE_CHANGED, records, 100000), 0);
    free(records);
    rl_table_destroy(f.table);
}

Test(table_save, a_walk_in_slices_misses_nothing_while_the_table_grows)
{
    fixture f = with(50000, rate_of(10, 1, DAY_S * 1000, RL_GRADUAL));
    rl_record *records = calloc(200000, sizeof *records);
    unsigned char *seen = calloc(5000, 1);
    rl_cursor cursor = {0};
    uint64_t key = 0;
    size_t count = 0;

    for (; key < 5000; key++) {
        cr_assert_eq(check(&f, 0, key, 1), RL_ALLOWED);
    }
    while (!cursor.done) {
        count += rl_table_save(f.table, START, RL_SAVE_ALL, &cursor, 50, records + count, 200000 - count);
        for (int i = 0; i < 40 && key < 50000; i++, key++) {
            cr_assert_eq(check(&f, 0, key, 1), RL_ALLOWED);
        }
    }
    for (uint64_t k = 0; k < 5000; k++) {
        rl_hash hash = key_number(k);
        for (size_t i = 0; i < count && !seen[k]; i++) {
            seen[k] = memcmp(&records[i].hash, &hash, sizeof hash) == 0;
        }
        cr_assert(seen[k], "key %llu was missed", (unsigned long long)k);
    }
    free(seen);
    free(records);
    rl_table_destroy(f.table);
}
