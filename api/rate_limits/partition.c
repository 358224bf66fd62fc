/* What changes the numbers in a partition's memory: the same steps for setup, before there are processes, and for limiters. */
#include "api/rate_limits/service.h"

enum rl_result rl_partition_set_policy(rl_partition *partition, uint64_t now_ns, uint32_t policy_id,
                                       uint32_t *rate_id, const rl_policy *policy)
{
    rl_rate rate = rl_rate_make(policy);

    if (*rate_id == 0) {
        return rl_table_rate_add(partition->table, &rate, policy_id, 0, rate_id);
    }
    return rl_table_rate_replace(partition->table, now_ns, *rate_id, &rate, rate_id);
}

enum rl_result rl_partition_set_override(rl_partition *partition, uint64_t now_ns, uint32_t policy_id,
                                         const rl_hash *hash, uint64_t cookie, const rl_policy *policy)
{
    rl_rate rate = rl_rate_make(policy);
    rl_key_entry entry;
    enum rl_result result;

    if (rl_key_index_find(partition->overrides, hash, &entry)) {
        result = rl_table_rate_replace(partition->table, now_ns, entry.rate_id, &rate, &entry.rate_id);
        if (result == RL_OK) {
            (void)rl_key_index_put(partition->overrides, hash, &entry);
        }
        return result;
    }
    entry.cookie = cookie;
    result = rl_table_rate_add(partition->table, &rate, policy_id, cookie, &entry.rate_id);
    if (result != RL_OK) {
        return result;
    }
    (void)rl_table_rebase(partition->table, now_ns, entry.rate_id, hash);
    /* A death here leaves a rate without a key; a successor merges it back (limiter.c). */
    if (!rl_key_index_put(partition->overrides, hash, &entry)) {
        (void)rl_table_rate_remove(partition->table, now_ns, entry.rate_id);
        return RL_E_NOMEM;
    }
    __atomic_add_fetch(&partition->override_count, 1, __ATOMIC_RELAXED);
    return RL_OK;
}
