#include "server/store/store_stats.h"

#include "server/store/store_internal.h"

#define WAL_HEADER_BYTES       32U
#define WAL_FRAME_HEADER_BYTES 24U

void store__observe(store__counter *buckets, uint32_t bucket_count, uint64_t value)
{
    uint32_t bucket = value <= 1 ? 0 : 64U - (uint32_t)__builtin_clzll(value - 1);
    store__count(&buckets[bucket < bucket_count ? bucket : bucket_count - 1], 1);
}

static uint64_t get(const store__counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void get_all(const store__counter *from, uint64_t *to, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i] = get(&from[i]);
    }
}

void store_stats_read(const struct store *store, struct store_stats *out)
{
    const struct store__stats *from = &store->stats;
    uint64_t frames = get(&from->wal_frames);
    *out = (struct store_stats){
        .broken = atomic_load_explicit(&store->broken, memory_order_relaxed),
        .queue_length = get(&from->queue_length),
        .wal_bytes =
            frames == 0 ? 0 : WAL_HEADER_BYTES + frames * (store->wal.page_bytes + WAL_FRAME_HEADER_BYTES),
        .commits = get(&from->commits),
        .writes_ok = get(&from->writes_ok),
        .writes_rejected = get(&from->writes_rejected),
        .writes_full = get(&from->writes_full),
        .writes_busy = get(&from->writes_busy),
        .writes_unknown = get(&from->writes_unknown),
        .writes_failed = get(&from->writes_failed),
        .rows_changed = get(&from->rows_changed),
        .groups_split = get(&from->groups_split),
        .checkpoints = get(&from->checkpoints),
        .checkpoints_partial = get(&from->checkpoints_partial),
        .checkpoints_failed = get(&from->checkpoints_failed),
        .commit_us_sum = get(&from->commit_us_sum),
        .group_us_sum = get(&from->group_us_sum),
        .wait_us_sum = get(&from->wait_us_sum),
        .checkpoint_us_sum = get(&from->checkpoint_us_sum),
    };
    get_all(from->group_size, out->group_size, STORE_SIZE_BUCKETS);
    get_all(from->commit_us, out->commit_us, STORE_TIME_BUCKETS);
    get_all(from->group_us, out->group_us, STORE_TIME_BUCKETS);
    get_all(from->wait_us, out->wait_us, STORE_TIME_BUCKETS);
    get_all(from->checkpoint_us, out->checkpoint_us, STORE_TIME_BUCKETS);
}
