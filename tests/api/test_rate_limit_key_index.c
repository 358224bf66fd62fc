/* key_index and key_locks and snapshot: the small structures around the limiter. */
#include "api/rate_limits/key_index.h"
#include "api/rate_limits/snapshot.h"
#include "tests/api/rate_limit_support.h"

#include <criterion/criterion.h>
#include <stdio.h>

static rl_hash hash_of(uint64_t n)
{
    return (rl_hash){{n * 3, n % 7}}; /* few different second words: long searches */
}

Test(key_index, agrees_with_a_model)
{
    enum { KEYS = 500, STEPS = 20000 };
    rl_key_index *index = rl_key_index_create();
    test_random random = random_start(20261122);
    uint32_t model[KEYS] = {0};
    uint64_t live = 0;

    for (int step = 0; step < STEPS; step++) {
        uint64_t key = random_below(&random, KEYS);
        rl_hash hash = hash_of(key);
        rl_key_entry entry = {.cookie = key + 1, .rate_id = (uint32_t)random_below(&random, 1u << 24)};
        if (random_below(&random, 3) == 0) {
            rl_key_index_erase(index, &hash);
            live -= model[key] != 0;
            model[key] = 0;
        } else {
            entry.rate_id |= 1;
            cr_assert(rl_key_index_put(index, &hash, &entry));
            live += model[key] == 0;
            model[key] = entry.rate_id;
        }
        key = random_below(&random, KEYS);
        hash = hash_of(key);
        bool found = rl_key_index_find(index, &hash, &entry);
        cr_assert_eq(found, model[key] != 0, "seed %llu step %d", (unsigned long long)random.seed, step);
        if (found) {
            cr_assert(entry.rate_id == model[key] && entry.cookie == key + 1);
        }
    }
    cr_assert_eq(rl_key_index_count(index), live);
    uint64_t at = 0;
    rl_hash hash;
    rl_key_entry entry;
    while (rl_key_index_next(index, &at, &hash, &entry)) {
        live--;
        cr_assert_eq(model[entry.cookie - 1], entry.rate_id);
    }
    cr_assert_eq(live, 0);
    rl_key_index_destroy(index);
}

static rl_policy_entry policy_named(const char *name, uint32_t id)
{
    rl_policy_entry entry = {
        .policy_id = id, .name_bytes = (uint8_t)strlen(name), .policy = rl_policy_default()};

    snprintf(entry.name, sizeof(entry.name), "%s", name);
    return entry;
}

Test(snapshot, finds_every_policy_and_no_other)
{
    enum { POLICIES = 1000 };
    static rl_policy_entry entries[POLICIES];
    char name[32];

    for (uint32_t i = 0; i < POLICIES; i++) {
        snprintf(name, sizeof(name), "policy-%u", i * 7919 % POLICIES);
        entries[i] = policy_named(name, i + 1);
    }
    rl_snapshot *snapshot = rl_snapshot_create(entries, POLICIES);
    for (uint32_t i = 0; i < POLICIES; i++) {
        const rl_policy_entry *found = rl_snapshot_find(snapshot, text_of(entries[i].name));
        cr_assert(found != NULL && found->policy_id == i + 1);
    }
    cr_assert_null(rl_snapshot_find(snapshot, TEXT("policy-1000")));
    cr_assert_null(rl_snapshot_find(snapshot, TEXT("policy-")));
    cr_assert_null(rl_snapshot_find(snapshot, TEXT("")));
    uint32_t count;
    const rl_policy_entry *sorted = rl_snapshot_entries(snapshot, &count);
    for (uint32_t i = 1; i < count; i++) {
        cr_assert(strcmp(sorted[i - 1].name, sorted[i].name) < 0);
    }
    rl_snapshot_place place = {.now = snapshot};
    rl_snapshot_fini(&place);
}

Test(snapshot, replaced_ones_are_freed_when_all_is_over)
{
    rl_snapshot_place place = {0};

    for (uint32_t i = 1; i <= 5; i++) {
        rl_policy_entry entry = policy_named("default", i);
        rl_snapshot_publish(&place, rl_snapshot_create(&entry, 1));
        cr_assert_eq(rl_snapshot_find(rl_snapshot_now(&place), TEXT("default"))->policy_id, i);
    }
    rl_snapshot_fini(&place);
}
