/* How a limiter process takes over a partition's memory: after its start, or after its predecessor's death at any
 * instruction. The table has mended itself; here maps and rates are made to agree again. */
#include "api/rate_limits/limiter_adopt.h"

#include <stdlib.h>

typedef struct known_rate {
    uint64_t cookie;
    uint32_t rate_id;
    uint32_t policy_id;
    bool has_key;
} known_rate;

typedef struct known_rates {
    known_rate *items;
    size_t count, room;
} known_rates;

static void note(known_rates *known, const rl_rate_info *info, uint32_t rate_id)
{
    if (known->count == known->room) {
        known->room = known->room == 0 ? 64 : 2 * known->room;
        known->items = tr_realloc(known->items, known->room * sizeof(*known->items));
    }
    known->items[known->count++] =
        (known_rate){.cookie = info->cookie, .rate_id = rate_id, .policy_id = info->policy_id};
}

static int by_cookie(const void *one, const void *other)
{
    uint64_t a = ((const known_rate *)one)->cookie;
    uint64_t b = ((const known_rate *)other)->cookie;

    return a < b ? -1 : a > b;
}

static known_rate *find_cookie(const known_rates *known, uint64_t cookie)
{
    known_rate wanted = {.cookie = cookie};

    return known->count == 0 ? NULL
                             : bsearch(&wanted, known->items, known->count, sizeof(*known->items), by_cookie);
}

/* Policies into the map, overrides into `known`. */
static void collect(limiter *self, known_rates *known)
{
    rl_rate_info info;

    for (uint32_t id = 1; id <= rl_table_rate_last(self->partition->table); id++) {
        if (!rl_table_rate_get(self->partition->table, id, &info)) {
            continue;
        }
        if (info.cookie == 0) {
            (void)rl_policy_map_put(&self->policies, info.policy_id, id);
        } else {
            note(known, &info, id);
        }
    }
    if (known->count > 1) {
        qsort(known->items, known->count, sizeof(*known->items), by_cookie);
    }
}

/* Every key of the index gets the live rate of its override, or goes. */
static void match_keys(limiter *self, known_rates *known)
{
    rl_key_entry entry;
    rl_hash hash;
    uint64_t at = 0;
    uint32_t count = 0;

    while (rl_key_index_next(self->partition->overrides, &at, &hash, &entry)) {
        known_rate *rate = find_cookie(known, entry.cookie);
        rl_policy_slot *policy = rate == NULL ? NULL : rl_policy_map_find(&self->policies, rate->policy_id);
        if (policy == NULL) {
            rl_key_index_erase(self->partition->overrides, &hash);
            continue;
        }
        rate->has_key = true;
        policy->overrides++;
        count++;
        if (rate->rate_id != entry.rate_id) {
            entry.rate_id = rate->rate_id;
            (void)rl_key_index_put(self->partition->overrides, &hash, &entry);
        }
    }
    __atomic_store_n(&self->partition->override_count, count, __ATOMIC_RELAXED);
}

/* A rate that no key names was being added or ended: its lines go back to their policy. */
static void end_strays(limiter *self, const known_rates *known, uint64_t now_ns)
{
    for (size_t i = 0; i < known->count; i++) {
        const known_rate *rate = &known->items[i];
        const rl_policy_slot *policy = rl_policy_map_find(&self->policies, rate->policy_id);
        if (rate->has_key) {
            continue;
        }
        if (policy != NULL) {
            (void)rl_table_rate_merge(self->partition->table, now_ns, rate->rate_id, policy->rate_id);
        } else {
            (void)rl_table_rate_remove(self->partition->table, now_ns, rate->rate_id);
        }
    }
}

bool rl__limiter_adopt(limiter *self)
{
    known_rates known = {0};

    if (rl_table_adopt(self->partition->table) != RL_OK) {
        return false;
    }
    collect(self, &known);
    match_keys(self, &known);
    end_strays(self, &known, tr_now_ns());
    tr_free(known.items);
    return true;
}
