/* The rates of a table: adding, ending, and following a line from an ended one to the one that replaced it. */
#include "api/rate_limits/table_impl.h"

/* Ids tried before a new one is made: old ones come back without a long search. */
#define SCAN_MAX 64u

static uint64_t ended_state(const rl_table *t, enum rate_kind kind, uint32_t next)
{
    return (uint64_t)t->sweeps << 32 | (uint64_t)next << 8 | (uint64_t)kind;
}

/* I5 */
static bool is_reusable(const rl_table *t, const rl_rate_entry *entry)
{
    enum rate_kind kind = rate_kind(entry);
    uint32_t rounds = t->sweeps - (uint32_t)(entry->state >> 32);

    return kind == RATE_FREE || (kind != RATE_LIVE && rounds >= 2);
}

/* Searches at most `tries` ids from where the last search stopped. */
static uint32_t find_reusable(rl_table *t, uint32_t tries)
{
    for (uint32_t i = 0; i < tries && i < t->rate_last; i++) {
        uint32_t id = t->rate_scan;
        t->rate_scan = id < t->rate_last ? id + 1 : 1;
        if (is_reusable(t, &t->rates[id])) {
            return id;
        }
    }
    return 0;
}

static uint32_t make_id(rl_table *t)
{
    uint32_t id = t->rate_last + 1;

    if (id >= t->rates_max || !rl_region_grow(&t->rate_region, (size_t)(id + 1) * sizeof(rl_rate_entry))) {
        return find_reusable(t, t->rate_last);
    }
    RL_PUT(t->rate_last, id);
    return id;
}

/* A free entry with everything filled in but its state; 0 = none. */
static uint32_t prepare(rl_table *t, const rl_rate *rate, uint32_t policy_id, uint64_t cookie)
{
    uint32_t id = find_reusable(t, SCAN_MAX);
    rl_rate_entry *entry;

    if (id == 0) {
        id = make_id(t);
    }
    if (id == 0) {
        return 0;
    }
    entry = &t->rates[id];
    RL_PUT(entry->state, (uint64_t)RATE_FREE);
    entry->rate = *rate;
    entry->policy_id = policy_id;
    entry->cookie = cookie;
    entry->ended_at_ns = 0;
    entry->counts = (rl_rate_counts){0};
    return id;
}

/* Every end pays for enough sweeping that ids come back before rates_max is reached. */
static void pay_sweep(rl_table *t, uint64_t at_ns)
{
    uint64_t lines = (uint64_t)t->segment_count * t->slots;
    uint64_t spare = t->rates_max - t->rates_live_max;

    (void)rl__table_sweep(t, at_ns, (uint32_t)(4 * lines / spare) + GROUP_LINES);
}

enum rl_result rl_table_rate_add(rl_table *table, const rl_rate *rate, uint32_t policy_id, uint64_t cookie,
                                 uint32_t *rate_id)
{
    uint32_t id = prepare(table, rate, policy_id, cookie);

    if (id == 0) {
        return RL_E_RATES_FULL;
    }
    RL_PUT(table->rates[id].state, (uint64_t)RATE_LIVE);
    *rate_id = id;
    return RL_OK;
}

static void end_rate(rl_table *t, uint64_t at_ns, uint32_t rate_id, enum rate_kind kind, uint32_t next)
{
    rl_rate_entry *entry = &t->rates[rate_id];

    /* Buckets may become full earlier than the hand has noted. */
    table_full_at_hint(t, 0);
    RL_PUT(entry->ended_at_ns, at_ns);
    RL_PUT(entry->state, ended_state(t, kind, next));
}

enum rl_result rl_table_rate_replace(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_rate *rate,
                                     uint32_t *new_id)
{
    uint64_t at_ns = pass_time(table, now_ns);
    rl_rate_entry *old;
    uint32_t id;

    if (!rate_is_live(table, rate_id)) {
        return RL_E_UNKNOWN_RATE;
    }
    old = &table->rates[rate_id];
    if (rl_rate_same(&old->rate, rate)) {
        RL_PUT(old->rate.mode, rate->mode);
        *new_id = rate_id;
        return RL_OK;
    }
    pay_sweep(table, at_ns);
    id = prepare(table, rate, old->policy_id, old->cookie);
    if (id == 0) {
        return RL_E_RATES_FULL;
    }
    table->rates[id].counts = old->counts;
    RL_PUT(table->journal.a, (uint64_t)rate_id);
    RL_PUT(table->journal.b, (uint64_t)id);
    RL_PUT(table->journal.op, (uint64_t)OP_RATE);
    end_rate(table, at_ns, rate_id, RATE_RETIRED, id);
    RL_PUT(table->rates[id].state, (uint64_t)RATE_LIVE);
    RL_PUT(table->journal.op, (uint64_t)OP_NONE);
    *new_id = id;
    return RL_OK;
}

enum rl_result rl_table_rate_merge(rl_table *table, uint64_t now_ns, uint32_t rate_id, uint32_t into_id)
{
    uint64_t at_ns = pass_time(table, now_ns);

    if (!rate_is_live(table, rate_id) || !rate_is_live(table, into_id)) {
        return RL_E_UNKNOWN_RATE;
    }
    if (rate_id == into_id) {
        return RL_E_RANGE;
    }
    end_rate(table, at_ns, rate_id, RATE_RETIRED, into_id);
    pay_sweep(table, at_ns);
    return RL_OK;
}

enum rl_result rl_table_rate_remove(rl_table *table, uint64_t now_ns, uint32_t rate_id)
{
    uint64_t at_ns = pass_time(table, now_ns);

    if (!rate_is_live(table, rate_id)) {
        return RL_E_UNKNOWN_RATE;
    }
    end_rate(table, at_ns, rate_id, RATE_REMOVED, 0);
    pay_sweep(table, at_ns);
    return RL_OK;
}

bool rl__table_carry(const rl_table *t, rl_u128 *full_at, uint32_t *rate_id)
{
    const rl_rate_entry *entry = &t->rates[*rate_id];

    while (rate_kind(entry) == RATE_RETIRED) {
        const rl_rate_entry *next = &t->rates[rate_next(entry)];
        *full_at = rl_bucket_carry(&entry->rate, &next->rate, *full_at, entry->ended_at_ns);
        *rate_id = rate_next(entry);
        entry = next;
    }
    return rate_kind(entry) == RATE_LIVE;
}

bool rl_table_rate_get(const rl_table *table, uint32_t rate_id, rl_rate_info *out)
{
    const rl_rate_entry *entry;

    if (!rate_is_live(table, rate_id)) {
        return false;
    }
    entry = &table->rates[rate_id];
    *out = (rl_rate_info){
        .rate = entry->rate, .policy_id = entry->policy_id, .cookie = entry->cookie, .counts = entry->counts};
    return true;
}

uint32_t rl_table_rate_last(const rl_table *table)
{
    return table->rate_last;
}

void rl_table_info_get(const rl_table *table, rl_table_info *out)
{
    *out = (rl_table_info){.keys = table->keys,
                           .max_keys = table->max_keys,
                           .segments = table->segment_count,
                           .lines = (uint64_t)table->segment_count * table->slots,
                           .sweeps = table->rounds,
                           .reclaimed = table->reclaimed,
                           .refused = table->refused,
                           .damaged = table->damaged,
                           .adoptions = table->adoptions};
    out->memory_bytes = sizeof *table + table->segment_count * table->segment_bytes +
                        (sizeof *table->directory << table->directory_bits) +
                        table->segments_max * sizeof *table->heads +
                        (uint64_t)(table->rate_last + 1) * sizeof(rl_rate_entry);
}
