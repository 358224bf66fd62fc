/* service: what the files of this room share: the partitions' memory, the seed, the current policies, names of processes.
 *
 * Invariants
 *  1. A partition's table, override index and open batches belong to its process while that lives, to its successor after;
 *     before the node starts and after it stopped, to setup and teardown.
 *  2. Everything else here is written by setup only, or marked atomic.
 */
#ifndef API_RATE_LIMITS_SERVICE_H
#define API_RATE_LIMITS_SERVICE_H

#include "api/rate_limits/key_index.h"
#include "api/rate_limits/rate_limits.h"
#include "api/rate_limits/snapshot.h"
#include "api/rate_limits/table.h"
#include "server/metrics.h"

#define RL_PARTITIONS_MAX 1024
#define RL_RATES_MAX      1000000u /* policies and overrides of one partition */

struct rl_open_batch;

typedef struct rl_partition {
    rl_table *table;
    rl_key_index *overrides;
    struct rl_open_batch *open; /* batches whose keys are locked here (batch_lock.h) */
    uint32_t dirty;             /* atomic: something was taken since it was last saved */
    uint32_t override_count;    /* atomic: keys with numbers of their own */
    uint64_t memory_bytes;      /* atomic, for the metrics; a moment old */
    tr_term name;
} __attribute__((aligned(64))) rl_partition;

/* What the policies' process was about to do in the partitions when it died; cleared when done. */
typedef struct rl_intent {
    uint32_t kind; /* 0: none; written last */
    uint32_t policy_id;
    uint32_t key_bytes;
    char key[RL_KEY_BYTES_MAX];
} rl_intent;

enum rl_intent_kind { RL_INTENT_NONE, RL_INTENT_POLICY, RL_INTENT_OVERRIDE };

struct rl_metrics {
    metric_counter allowed, denied, shadow_denied, limiter_full;
    metric_counter saves, save_failures, saved_levels;
};

struct rl_service {
    const struct settings *settings;
    struct store *store;
    rl_seed seed;
    uint64_t start_ns;
    uint32_t partition_count;
    uint32_t save_interval_ms;
    rl_partition *partitions;
    rl_budget budget;
    rl_snapshot_place policies;
    rl_intent intent;
    uint64_t full_until_ns;  /* atomic: until then a round over all partitions found no room for a new key */
    uint64_t full_logged_ns; /* atomic: when that was logged last; 0: never */
    struct rl_metrics metrics;
    tr_term partitions_name, policies_name, saver_name;
};

extern struct rl_service rl_service;

/** Makes tables, indexes and metrics; loads nothing. For setup and tests.  Takes: partitions 0 = chosen from workers. */
bool rl_service_init(uint32_t partitions, uint32_t max_keys, int workers, char *why, size_t bytes);
void rl_service_fini(void);

/** The partition a key's bucket lies in, and its process now (TR_NO_PID while it restarts). */
static inline uint32_t rl_partition_of(const rl_hash *hash)
{
    return rl_hash_partition(hash, rl_service.partition_count);
}

static inline tr_pid rl_partition_pid(uint32_t partition)
{
    return tr_partition_at(rl_service.partitions_name, partition);
}

/** Keys with numbers of their own, in all partitions. */
uint64_t rl_override_count(void);

/** Wall clock, milliseconds since 1970. Never part of a decision. */
int64_t rl_wall_ms(void);

/** Adds a policy or replaces its numbers in one partition; what a limiter does with rl_set_policy. */
enum rl_result rl_partition_set_policy(rl_partition *partition, uint64_t now_ns, uint32_t policy_id,
                                       uint32_t *rate_id, const rl_policy *policy);

/** Gives a key its own numbers, or changes them. policy_rate is its policy's rate id. */
enum rl_result rl_partition_set_override(rl_partition *partition, uint64_t now_ns, uint32_t policy_id,
                                         const rl_hash *hash, uint64_t cookie, const rl_policy *policy);

#endif
