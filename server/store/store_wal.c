#include "server/store/store_clock.h"
#include "server/store/store_internal.h"

#include <stdio.h>

/* The WAL index is a file of 32 KiB regions; the first describes 4062 frames, the others 4096 each
 * (SQLite's walformat document). It is grown through the VFS, as SQLite does it itself. */
#define REGION_BYTES    32768
#define REGION_FRAMES   4096U
#define REGION_0_LESS   34U
#define RESERVE_FRAMES  2048U /* always ready beyond the last commit */
#define IDLE_FRAMES_MIN 1U

static int on_wal_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct store *store = arg;
    (void)db;
    (void)name;
    store->wal.frames = (uint32_t)frames;
    if (store->wal.restored_to >= store->wal.frames) {
        store->wal.restored_to = 0; /* the WAL began anew */
        store->wal.checkpoint_at = store->wal.checkpoint_step;
    }
    atomic_store_explicit(&store->stats.wal_frames, (uint64_t)frames, memory_order_relaxed);
    return SQLITE_OK;
}

void store__wal_init(struct store *store)
{
    bool found = false;
    int64_t page_bytes = 4096;
    store__conn_int(&store->conn, "PRAGMA page_size", STORE_NO_VALUES, &page_bytes, &found);
    store->wal.page_bytes = (uint32_t)page_bytes;
    size_t step = store->options.wal_checkpoint_bytes / (size_t)page_bytes;
    store->wal.checkpoint_step = step < 1 ? 1 : (uint32_t)step;
    store->wal.checkpoint_at = store->wal.checkpoint_step;
    sqlite3_wal_hook(store->conn.db, on_wal_commit, store);
}

enum store_status store__wal_reserve(struct store *store, uint32_t frames)
{
    uint32_t ahead = frames > RESERVE_FRAMES ? frames : RESERVE_FRAMES;
    uint32_t wanted = (store->wal.frames + ahead + REGION_0_LESS + REGION_FRAMES - 1) / REGION_FRAMES;
    if (wanted <= store->wal.regions) {
        return STORE_OK;
    }
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(store->conn.db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    while (code == SQLITE_OK && store->wal.regions < wanted) {
        void volatile *region = NULL;
        code = file->pMethods->xShmMap(file, (int)store->wal.regions, REGION_BYTES, 1, &region);
        if (code == SQLITE_OK) {
            store->wal.regions++;
        }
    }
    return code == SQLITE_OK ? STORE_OK : store__conn_failed(&store->conn, code, "grow the WAL index");
}

uint32_t store__wal_dirty_max(const struct store *store)
{
    int now = 0;
    int highest = 0;
    sqlite3_db_status(store->conn.db, SQLITE_DBSTATUS_CACHE_USED, &now, &highest, 0);
    return (uint32_t)now / store->wal.page_bytes + 1;
}

enum store_status store__wal_checkpoint(struct store *store)
{
    uint64_t begin_ns = store__now_ns();
    int frames = -1;
    int copied = -1;
    store->conn.checkpointing = true;
    int code = sqlite3_wal_checkpoint_v2(store->conn.db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    enum store_status status = STORE_OK;
    if (code != SQLITE_OK) {
        status = store__conn_failed(&store->conn, code, "checkpoint");
        store__count(&store->stats.checkpoints_failed, 1);
        store->wal.checkpoint_at = store->wal.frames + store->wal.checkpoint_step;
        store__event(store, "store.checkpoint_failed", store->conn.last.text);
    } else if (frames >= 0) {
        bool complete = copied >= frames;
        store__count(complete ? &store->stats.checkpoints : &store->stats.checkpoints_partial, 1);
        store->wal.restored_to = (uint32_t)copied;
        store->wal.checkpoint_at = (uint32_t)frames + store->wal.checkpoint_step;
    }
    store->conn.checkpointing = false;
    uint64_t us = (store__now_ns() - begin_ns) / 1000U;
    store__observe(store->stats.checkpoint_us, STORE_TIME_BUCKETS, us);
    store__count(&store->stats.checkpoint_us_sum, us);
    return status;
}

bool store__wal_is_due(const struct store *store)
{
    return store->wal.frames >= store->wal.checkpoint_at;
}

bool store__wal_is_idle_due(const struct store *store)
{
    return store->wal.frames >= store->wal.restored_to + IDLE_FRAMES_MIN;
}
