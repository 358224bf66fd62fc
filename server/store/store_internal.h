/* The store behind store.h, for the files of server/store only.
 *
 * 1. After store_open, `conn` and all fields marked so belong to the commit thread until store_close joined
 *    it.
 * 2. `broken` only goes from false to true.
 * 3. Before a COMMIT the WAL index has room for every frame it can write (store__wal_reserve): otherwise a
 *    full disk
 *    could fail a commit whose frames are complete in the WAL, and a crash would bring back what was refused.
 */
#ifndef TROUPE_SERVER_STORE_INTERNAL_H
#define TROUPE_SERVER_STORE_INTERNAL_H

#include "server/store/store.h"
#include "server/store/store_conn.h"
#include "server/store/store_dir.h"
#include "server/store/store_queue.h"

#include <pthread.h>
#include <stdatomic.h>

#define STORE__APPLICATION_ID 0x54725570 /* "TrUp" */

typedef _Atomic uint64_t store__counter;

struct store__stats {
    store__counter queue_length, wal_frames;
    store__counter commits, writes_ok, writes_rejected, writes_full, writes_busy, writes_unknown,
        writes_failed;
    store__counter rows_changed, groups_split, checkpoints, checkpoints_partial, checkpoints_failed;
    store__counter group_size[STORE_SIZE_BUCKETS];
    store__counter commit_us[STORE_TIME_BUCKETS], group_us[STORE_TIME_BUCKETS], wait_us[STORE_TIME_BUCKETS];
    store__counter checkpoint_us[STORE_TIME_BUCKETS];
    store__counter commit_us_sum, group_us_sum, wait_us_sum, checkpoint_us_sum;
};

/* The commit thread's own statements. */
struct store__own {
    sqlite3_stmt *begin, *commit, *rollback, *savepoint, *release, *undo;
};

struct store__wal {
    uint32_t frames;          /* in the WAL after the last commit */
    uint32_t restored_to;     /* of them already copied back */
    uint32_t checkpoint_at;   /* frames at which the next forced checkpoint runs */
    uint32_t checkpoint_step; /* the setting, in frames */
    uint32_t regions;         /* of the WAL index that are known to be allocated */
    uint32_t page_bytes;
};

struct store {
    struct store_options options; /* with the defaults filled in */
    struct store__dir dir;
    struct store__queue queue;
    struct store__stats stats;
    struct store_recovery recovery;
    _Atomic bool broken;
    _Atomic uint32_t readers;
    pthread_t thread;

    /* Of the commit thread: */
    struct store__conn conn;
    struct store__own own;
    struct store__wal wal;
    struct store__list pending; /* taken from the queue and not yet tried, or to be tried again */
    uint32_t group_cap;         /* halved when a group meets a limit, doubled by each commit */
    atomic_bool full;           /* the last group met a full disk */
    struct store_error failure; /* why it broke */
};

void store__event(const struct store *store, const char *event, const char *detail);
void *store__commit_main(void *store);

/* store_format.c: checks whose database this is, turns WAL on, brings the schema up to date. */
enum store_status store__format_check(struct store *store, struct store_error *error);
enum store_status store__format_migrate(struct store *store, struct store_error *error);

/* store_wal.c */
void store__wal_init(struct store *store);
/* Makes room in the WAL index for `frames` more. STORE_FULL: nothing happened. */
enum store_status store__wal_reserve(struct store *store, uint32_t frames);
/* The most frames the open transaction can add. */
uint32_t store__wal_dirty_max(const struct store *store);
/* Copies the WAL back as far as readers allow. STORE_OK, also when it stopped short; STORE_FULL,
 * STORE_BUSY; STORE_IO: broken. */
enum store_status store__wal_checkpoint(struct store *store);
bool store__wal_is_due(const struct store *store);
bool store__wal_is_idle_due(const struct store *store);

/* store_stats.c */
static inline void store__count(store__counter *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}
void store__observe(store__counter *buckets, uint32_t bucket_count, uint64_t value);

#endif
