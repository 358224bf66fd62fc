/* What one rate-limit decision costs inside a process, in ns: one JSON line. Medians of ROUNDS rounds. */
#include "api/rate_limits/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS    7
#define DECISIONS 2000000u
#define MILLION   1000000u

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static rl_hash spread(uint64_t i)
{
    rl_hash hash;

    for (int half = 0; half < 2; half++) {
        uint64_t x = (i * 2 + (uint64_t)half + 1) * UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        hash.word[half] = x ^ (x >> 31);
    }
    return hash;
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;

    return (a > b) - (a < b);
}

static double median(double *times)
{
    qsort(times, ROUNDS, sizeof *times, compare);
    return times[ROUNDS / 2];
}

static rl_table *table_with(uint32_t max_keys, uint32_t limit, uint32_t amount, enum rl_style style,
                            uint32_t *rate_id)
{
    rl_policy policy = {
        .limit = limit, .amount = amount, .every_ms = 1000, .default_cost = 1, .style = style};
    rl_rate rate = rl_rate_make(&policy);
    rl_table *table;

    if (rl_table_create(&(rl_table_options){.max_keys = max_keys, .max_rates = 16}, &table) != RL_OK ||
        rl_table_rate_add(table, &rate, 1, 0, rate_id) != RL_OK) {
        abort();
    }
    return table;
}

/* ns a decision over `keys` keys, asked in a scattered order; the hashes are made beforehand. */
static double checks(uint32_t keys, uint32_t limit, uint32_t amount, enum rl_style style, uint64_t *admitted)
{
    uint32_t rate_id;
    rl_table *table = table_with(keys, limit, amount, style, &rate_id);
    rl_hash *hashes = calloc(DECISIONS, sizeof *hashes);
    double times[ROUNDS];
    uint64_t now_ns = 0;
    rl_verdict verdict;

    if (hashes == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < DECISIONS; i++) {
        hashes[i] = spread(spread(i).word[0] % keys);
    }
    for (int round = -1; round < ROUNDS; round++) {
        uint64_t from = clock_ns(CLOCK_MONOTONIC);
        for (uint32_t i = 0; i < DECISIONS; i++) {
            rl_table_check(table, now_ns++, rate_id, &hashes[i], 1, &verdict);
            *admitted += verdict.admitted;
        }
        if (round >= 0) {
            times[round] = (double)(clock_ns(CLOCK_MONOTONIC) - from) / DECISIONS;
        }
    }
    free(hashes);
    rl_table_destroy(table);
    return median(times);
}

static double decisions(uint64_t *sum)
{
    uint32_t rate_id;
    rl_table *table = table_with(1000, 100, 10, RL_GRADUAL, &rate_id);
    rl_hash hash = spread(1);
    double times[ROUNDS];
    rl_verdict verdict;
    rl_decision decision;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t from = clock_ns(CLOCK_MONOTONIC);
        for (uint32_t i = 0; i < DECISIONS; i++) {
            rl_table_check(table, i * UINT64_C(1000), rate_id, &hash, 1, &verdict);
            rl_decision_make(&verdict, &decision);
            *sum += decision.reset_ms;
        }
        times[round] = (double)(clock_ns(CLOCK_MONOTONIC) - from) / DECISIONS;
    }
    rl_table_destroy(table);
    return median(times);
}

static double hashing(uint64_t *sum)
{
    rl_seed seed = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    char key[17] = "0123456789abcdef";
    double times[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t from = clock_ns(CLOCK_MONOTONIC);
        for (uint32_t i = 0; i < DECISIONS; i++) {
            key[i % 16] = (char)i;
            *sum += rl_key_hash(&seed, i, key, 16).word[0];
        }
        times[round] = (double)(clock_ns(CLOCK_MONOTONIC) - from) / DECISIONS;
    }
    return median(times);
}

static rl_table *fill(uint64_t *longest_ns)
{
    uint32_t rate_id;
    rl_table *table = table_with(MILLION, 100, 1, RL_GRADUAL, &rate_id);
    rl_verdict verdict;

    for (uint32_t i = 0; i < MILLION; i++) {
        rl_hash hash = spread(i);
        uint64_t before_ns = longest_ns != NULL ? clock_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
        rl_table_check(table, 0, rate_id, &hash, 1, &verdict);
        if (longest_ns != NULL) {
            uint64_t took_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
            *longest_ns = took_ns > *longest_ns ? took_ns : *longest_ns;
        }
    }
    return table;
}

/* A million new keys into a growing table: the mean, and the longest single call in processor time. */
static double inserts(uint64_t *longest_ns, double *bytes_a_key)
{
    uint64_t from = clock_ns(CLOCK_MONOTONIC);
    rl_table *table = fill(NULL);
    uint64_t total_ns = clock_ns(CLOCK_MONOTONIC) - from;
    rl_table_info info;

    rl_table_info_get(table, &info);
    *bytes_a_key = (double)info.memory_bytes / (double)info.keys;
    rl_table_destroy(table);
    rl_table_destroy(fill(longest_ns));
    return (double)total_ns / MILLION;
}

int main(void)
{
    uint64_t sum = 0;
    uint64_t longest_ns = 0;
    double bytes_a_key;
    double insert_ns = inserts(&longest_ns, &bytes_a_key);

    printf("{\"bench\":\"bucket\",\"unit\":\"ns\",\"allow_one_key\":%.1f,\"deny_one_key\":%.1f,", //
           checks(1, 2147483647, 1, RL_GRADUAL, &sum), checks(1, 10, 1, RL_GRADUAL, &sum));
    printf("\"allow_one_key_interval\":%.1f,", checks(1, 2147483647, 1, RL_INTERVAL, &sum));
    printf("\"allow_10k_keys\":%.1f,\"deny_10k_keys\":%.1f,\"allow_1m_keys\":%.1f,", //
           checks(10000, 2147483647, 1, RL_GRADUAL, &sum), checks(10000, 10, 1, RL_GRADUAL, &sum),
           checks(MILLION, 2147483647, 1, RL_GRADUAL, &sum));
    printf("\"with_answer_numbers\":%.1f,\"key_hash_16_bytes\":%.1f,", decisions(&sum), hashing(&sum));
    printf("\"insert\":%.1f,\"insert_longest_cpu\":%llu,\"bytes_a_key_at_1m\":%.1f,\"sum\":%llu}\n",
           insert_ns, (unsigned long long)longest_ns, bytes_a_key, (unsigned long long)(sum & 1));
    return 0;
}
