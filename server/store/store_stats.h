/* Counters of a store, readable from any thread at any time.
 *
 * 1. The commit thread alone counts (except queue_length); readers take each number by itself, so sums of
 *    different fields may be off by what happened in between.
 * 2. Histograms have power-of-two buckets: bucket 0 counts the values 0 and 1, bucket i counts 2^(i-1) < v
 *    <= 2^i,
 *    the last one takes all that is larger.
 * 3. Counters never go down; queue_length and wal_bytes are gauges.
 */
#ifndef TROUPE_SERVER_STORE_STATS_H
#define TROUPE_SERVER_STORE_STATS_H

#include <stdbool.h>
#include <stdint.h>

#define STORE_SIZE_BUCKETS 12 /* group sizes 1, 2, 4 ... 1024, more */
#define STORE_TIME_BUCKETS 24 /* microseconds 1, 2, 4 ... 4 194 304, more */

struct store_stats {
    bool broken;
    uint64_t queue_length; /* submitted and not yet decided */
    uint64_t wal_bytes;    /* used part of the WAL */
    uint64_t commits;      /* groups committed */
    uint64_t writes_ok;
    uint64_t writes_rejected; /* refused by themselves: precondition, constraint, bad statement */
    uint64_t writes_full;
    uint64_t writes_busy;
    uint64_t writes_unknown;
    uint64_t writes_failed; /* broken, out of memory, and the like */
    uint64_t rows_changed;
    uint64_t groups_split;        /* groups that met a limit and were tried again in smaller ones */
    uint64_t checkpoints;         /* complete ones */
    uint64_t checkpoints_partial; /* stopped short by a reader */
    uint64_t checkpoints_failed;
    uint64_t group_size[STORE_SIZE_BUCKETS]; /* writes in a committed group */
    uint64_t commit_us[STORE_TIME_BUCKETS];  /* COMMIT alone: writing and syncing */
    uint64_t group_us[STORE_TIME_BUCKETS];   /* BEGIN to the end of COMMIT */
    uint64_t wait_us[STORE_TIME_BUCKETS];    /* a write's way from submit to its done */
    uint64_t checkpoint_us[STORE_TIME_BUCKETS];
    uint64_t commit_us_sum, group_us_sum, wait_us_sum, checkpoint_us_sum;
};

struct store;

/** Copies the counters. Context: any thread. Blocks: no. */
void store_stats_read(const struct store *store, struct store_stats *out);

#endif
