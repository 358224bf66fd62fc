/* rate_limit_table: a table with one rate, for the tests of the table.
 *
 * Purpose: ask by key number and by time since service start, in one line.
 * Invariants: START is not 0, so that a mix-up of the two kinds of time shows.
 * Life cycle: with(), then rl_table_destroy(f.table).
 */
#ifndef TESTS_API_RATE_LIMIT_TABLE_H
#define TESTS_API_RATE_LIMIT_TABLE_H

#include "api/rate_limits/table.h"
#include "tests/api/rate_limit_support.h"

#include <criterion/criterion.h>

#define START (1000 * SEC) /* service start on the monotonic clock */

typedef struct fixture {
    rl_table *table;
    uint32_t rate_id;
    rl_rate rate;
} fixture;

static inline fixture with(uint32_t max_keys, rl_rate rate)
{
    rl_table_options options = {.start_ns = START, .max_keys = max_keys, .max_rates = 1000};
    fixture f = {.rate = rate};

    cr_assert_eq(rl_table_create(&options, &f.table), RL_OK);
    cr_assert_eq(rl_table_rate_add(f.table, &rate, 1, 0, &f.rate_id), RL_OK);
    return f;
}

static inline enum rl_status check(const fixture *f, uint64_t at_ns, uint64_t key, uint64_t cost)
{
    rl_hash hash = key_number(key);
    rl_verdict verdict;

    rl_table_check(f->table, START + at_ns, f->rate_id, &hash, cost, &verdict);
    return verdict.status;
}

static inline uint32_t remaining(const fixture *f, uint64_t at_ns, uint64_t key)
{
    rl_hash hash = key_number(key);
    rl_verdict verdict;
    rl_decision decision;

    rl_table_peek(f->table, START + at_ns, f->rate_id, &hash, 0, &verdict);
    rl_decision_make(&verdict, &decision);
    return decision.remaining;
}

static inline rl_table_info info(const fixture *f)
{
    rl_table_info out;

    rl_table_info_get(f->table, &out);
    return out;
}

#endif
