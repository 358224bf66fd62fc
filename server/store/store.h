/* The store: durable writes through one commit thread with group commit, over SQLite (WAL, synchronous=FULL).
 *
 * 1. All writes go through store_submit and are applied in order of submission, on the commit thread alone.
 * 2. What waits when the thread becomes free, and what comes while that is applied, is one group with one
 *    sync; nothing waits for company.
 * 3. Each write is atomic by itself: one that fails is undone alone and the others of its group go on.
 * 4. done is called exactly once for every accepted write, on the commit thread, after its fate is decided;
 *    with STORE_OK only after the sync that covers it. The store does not touch the write afterwards.
 * 5. A failed sync or a commit that fails in an undecided way is never retried: STORE_UNKNOWN to its group,
 *    the store is broken for good, the fatal hook is called once.
 * 6. A full disk is no failure of the store: STORE_FULL to whom it concerns, reads go on, later writes
 *    succeed.
 * 7. One process per data directory, enforced by a lock that dies with the process.
 *
 * Life cycle: store_open -> submit from any thread -> store_close. The store belongs to no actor: when the
 * process that speaks for it dies, its successor takes the same store, calls store_barrier (or store_quiesce
 * on a thread that may block), and everything submitted before is decided when that answers.
 * Limits: one group holds at most group_writes_max writes; see struct store_options.
 */
#ifndef TROUPE_SERVER_STORE_H
#define TROUPE_SERVER_STORE_H

#include "server/store/store_schema.h"
#include "server/store/store_stats.h"
#include "server/store/store_status.h"
#include "server/store/store_tx.h"

struct store;
struct store_write;

/* Runs on the commit thread inside the group's transaction. Returns STORE_OK to keep what it did,
 * STORE_REJECTED
 * when its precondition does not hold, or what a store_tx function answered: then all it did is undone.
 * It may run more than once (a group that met a full disk is tried again in smaller groups): it must set its
 * outputs anew each time and do nothing outside the database. It must not block or submit-and-wait. */
typedef enum store_status (*store_apply_fn)(struct store_tx *tx, void *arg);

/* Runs on the commit thread when the write's fate is decided. Must be short and must not block; may free or
 * submit the write again. */
typedef void (*store_done_fn)(struct store_write *write, enum store_status status);

/* A write, owned by the caller and left alone by it from store_submit until done is called. It must not
 * live in
 * memory that dies with an actor. */
struct store_write {
    store_apply_fn apply;
    store_done_fn done;
    void *arg; /* given to apply */

    struct store_write *next_; /* the store's */
    uint64_t submitted_ns_;
    enum store_status result_;
};

struct store_options {
    const struct store_schema *schemas; /* borrowed until store_open returns */
    size_t schema_count;

    uint32_t group_writes_max;   /* writes in one group; 0 = 512; 1 = no grouping */
    uint32_t group_rows_max;     /* a group is closed once it changed that many rows; 0 = 16384 */
    size_t group_bytes_max;      /* ... or bound that many bytes; 0 = 4 MiB */
    uint32_t group_apply_max_us; /* ... or ran that long before its commit; 0 = 20 000 */
    uint32_t group_delay_us; /* wait that long for company after the first write; default 0 = never wait */

    uint32_t busy_timeout_ms;    /* patience with foreign connections (backup tools); 0 = 2000 */
    size_t wal_checkpoint_bytes; /* the WAL is copied back when it is this long; 0 = 8 MiB */
    uint32_t idle_checkpoint_ms; /* ... or when nothing came for that long; 0 = 1000 */
    bool quick_check;            /* read and check the whole database at open */
    const char *vfs;             /* name of a SQLite VFS, NULL = the default one */

    /* Called once, on the commit thread, after the waiters of the failed group heard of it. The service stops
     * with exit status 74. */
    void (*fatal)(void *arg, const struct store_error *error);
    /* Called for the log: event is noun.past_verb (store.recovered, store.filled, store.resumed,
     * store.checkpoint_failed, store.broken). On the commit thread, or in store_open. */
    void (*event)(void *arg, const char *event, const char *detail);
    void *hook_arg;
};

/* What store_open found. */
struct store_recovery {
    bool created;             /* there was no database */
    bool unclean;             /* the last owner did not close: its WAL was still there */
    uint64_t wal_bytes;       /* length of the WAL file found */
    uint64_t frames_restored; /* pages of complete commits found in it */
    uint64_t
        frames_dropped; /* pages behind them: commits cut short, or left over from before the WAL's reuse */
    uint32_t migrations_run;
};

/** Opens the store in directory `path`, creating it (0700) when absent, and starts the commit thread.
 *  Borrows: path and options until it returns (vfs and hook_arg for the life of the store).
 *  Returns: the store in *store; *error (may be NULL) is written only on failure.
 *  Errors: STORE_LOCKED, STORE_NEWER, STORE_FOREIGN, STORE_CORRUPT, STORE_FULL, STORE_IO, STORE_BAD,
 *  STORE_NOMEM.
 *  Blocks: on disk, and for as long as recovery and migrations take.   Context: a thread that may block. */
enum store_status store_open(const char *path, const struct store_options *options, struct store **store,
                             struct store_error *error);

/** Refuses new writes, decides everything submitted before, checkpoints, ends the commit thread, closes,
 *  and frees the store.
 *  Errors: STORE_BUSY while readers are open (nothing is done); STORE_BROKEN, STORE_FULL, STORE_IO: closed,
 *  but without the final checkpoint (the next open recovers).
 *  Blocks: on disk.   Context: a thread that may block, not the commit thread. */
enum store_status store_close(struct store *store);

/** Hands a write to the commit thread.
 *  Returns: false when the store is closing: done is not called. true: done will be called exactly once.
 *  Blocks: no.   Context: any thread, done callbacks included.   Cost: O(1), no allocation, one wake-up
 *  at most. */
bool store_submit(struct store *store, struct store_write *write);

/** Calls write->done(write, STORE_OK) once everything submitted before it is decided, whatever came of it
 *  (STORE_BROKEN when the store is broken). write->apply is ignored.
 *  Returns, Blocks, Context: as store_submit. */
bool store_barrier(struct store *store, struct store_write *write);

/** Waits until everything submitted before is decided and its done callbacks have returned.
 *  Errors: STORE_BROKEN, STORE_CLOSED.   Blocks: the calling thread.   Context: any thread but the
 *  commit thread. */
enum store_status store_quiesce(struct store *store);

/** Tells what store_open found. Context: any thread. */
void store_recovery_of(const struct store *store, struct store_recovery *out);

/** Tells whether the store takes writes, for readiness probes. Context: any thread. */
bool store_is_healthy(const struct store *store);

/** Tells whether the last write found no space: it was refused, reads go on, and the next one may find some.
 *  Context: any thread. */
bool store_is_full(const struct store *store);

#endif
