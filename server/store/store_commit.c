/* The commit thread: takes what waits, applies it in one transaction, commits, tells everyone.
 *
 *   take -> [begin -> apply each under a savepoint -> commit] -> done each -> checkpoint when due -> again
 *
 * A group ends in one of four ways (enum verdict); see NOTES.md for the table of errors. */
#include "server/store/store_clock.h"
#include "server/store/store_internal.h"

#include <assert.h>
#include <stdio.h>
#include <sys/prctl.h>

enum verdict {
    VERDICT_COMMITTED, /* each write has its own result */
    VERDICT_AGAIN,     /* rolled back; nothing is decided, the writes are tried again in smaller groups */
    VERDICT_FAILED,    /* rolled back; all have the group's status */
    VERDICT_BROKEN     /* the store stops; all have the group's status (STORE_UNKNOWN or STORE_BROKEN) */
};

struct group {
    struct store__list writes;
    uint32_t count; /* without barriers */
    uint32_t kept;  /* of them, those whose apply succeeded */
    bool begun;
    enum store_status status;    /* STORE_OK, or what ended the group */
    struct store_write *culprit; /* whose apply lost the transaction, or NULL */
    uint64_t begin_ns;
    int64_t rows_before;
};

/* Runs one of the store's own statements and returns SQLite's code. */
static int step_own(struct store *store, sqlite3_stmt *stmt)
{
    store->conn.mode = STORE__MODE_OWN;
    sqlite3_step(stmt);
    int code = sqlite3_reset(stmt);
    store->conn.mode = STORE__MODE_USER;
    return code;
}

/* Runs one of the store's own statements, noting a failure. */
static enum store_status run_own(struct store *store, sqlite3_stmt *stmt, const char *doing)
{
    int code = step_own(store, stmt);
    return code == SQLITE_OK ? STORE_OK : store__conn_failed(&store->conn, code, doing);
}

static bool in_transaction(const struct store *store)
{
    return sqlite3_get_autocommit(store->conn.db) == 0;
}

static void begin_group(struct store *store, struct group *group)
{
    group->begun = true;
    group->status = store__wal_reserve(store, 0);
    if (group->status == STORE_OK) {
        group->status = run_own(store, store->own.begin, "begin");
    }
}

/* Applies one write under its own savepoint. Sets group->status when the transaction as a whole is lost. */
static void apply_one(struct store *store, struct group *group, struct store_write *write)
{
    struct store_tx tx = {&store->conn};
    group->count++;
    enum store_status lost = run_own(store, store->own.savepoint, "savepoint");
    if (lost != STORE_OK) {
        group->status = lost;
        return;
    }
    enum store_status status = write->apply(&tx, write->arg);
    if (status == STORE_UNKNOWN || status == STORE_BROKEN || status == STORE_CLOSED) {
        status = STORE_BAD; /* not for an apply to say */
    }
    if (status == STORE_OK && store->conn.fatal == STORE_OK && in_transaction(store)) {
        lost = run_own(store, store->own.release, "release");
        group->kept++;
    } else if (in_transaction(store)) {
        lost = run_own(store, store->own.undo, "undo");
        if (lost == STORE_OK) {
            lost = run_own(store, store->own.release, "release");
        }
    } else {
        /* SQLite undid everything: out of space or memory, an I/O error, or a statement with OR ROLLBACK. */
        lost = status == STORE_FULL || status == STORE_NOMEM ? status : STORE_BAD;
        group->culprit = write;
    }
    if (store->conn.fatal != STORE_OK) {
        lost = store->conn.fatal;
    }
    write->result_ = status;
    /* A full disk is a matter of the group, not of the one write that met it. */
    group->status = lost == STORE_OK && (status == STORE_FULL || status == STORE_NOMEM) ? status : lost;
}

static bool has_room(const struct store *store, const struct group *group)
{
    const struct store_options *options = &store->options;
    if (group->count == 0) {
        return true;
    }
    return group->count < store->group_cap && store->conn.bytes_bound < options->group_bytes_max &&
           sqlite3_total_changes64(store->conn.db) - group->rows_before < (int64_t)options->group_rows_max &&
           store__now_ns() - group->begin_ns < (uint64_t)options->group_apply_max_us * 1000U;
}

/* Those that came while the group was being applied join it: no one is better off waiting for the next
 * sync. */
static bool more_pending(struct store *store)
{
    return store->pending.head != NULL || store__queue_take(&store->queue, &store->pending);
}

static void fill_group(struct store *store, struct group *group)
{
    store->conn.bytes_bound = 0;
    group->begin_ns = store__now_ns();
    group->rows_before = sqlite3_total_changes64(store->conn.db);
    while (group->status == STORE_OK && more_pending(store) && has_room(store, group)) {
        struct store_write *write = store__list_pop(&store->pending);
        store__list_append(&group->writes, write);
        write->result_ = STORE_OK;
        if (write->apply == NULL) {
            continue; /* a barrier */
        }
        if (!group->begun) {
            begin_group(store, group);
        }
        if (group->status == STORE_OK) {
            apply_one(store, group, write);
        } else {
            group->count++;
        }
    }
}

static void roll_back(struct store *store)
{
    if (in_transaction(store)) {
        /* Nothing was written before COMMIT, so this is a matter of memory; an error would end the
     * transaction too. */
        (void)step_own(store, store->own.rollback);
    }
}

/* Commits. Only "busy" and "full" are certain to have left nothing behind: a frame is missing from the WAL.
 * After
 * any other error the frames may be complete in the file although SQLite has rolled back in memory, and the
 * next recovery would find them. */
static enum store_status commit(struct store *store)
{
    enum store_status status = store__wal_reserve(store, store__wal_dirty_max(store));
    if (status != STORE_OK) {
        return status;
    }
    uint64_t begin_ns = store__now_ns();
    int code = step_own(store, store->own.commit);
    uint64_t us = (store__now_ns() - begin_ns) / 1000U;
    if (code == SQLITE_OK) {
        store__observe(store->stats.commit_us, STORE_TIME_BUCKETS, us);
        store__count(&store->stats.commit_us_sum, us);
        return STORE_OK;
    }
    bool rolled_back = !in_transaction(store);
    status =
        store__conn_failed(&store->conn, code, rolled_back ? "commit (rolled back in memory)" : "commit");
    bool certain = (status == STORE_FULL && code != SQLITE_IOERR_SHMSIZE) || status == STORE_BUSY;
    return certain ? status : STORE_UNKNOWN;
}

static enum verdict judge(struct store *store, const struct group *group)
{
    switch (group->status) {
    case STORE_OK:
        return VERDICT_COMMITTED;
    case STORE_FULL:
    case STORE_NOMEM:
        return group->count > 1 ? VERDICT_AGAIN : VERDICT_FAILED;
    case STORE_UNKNOWN:
        store->failure = store->conn.last;
        store->failure.status = STORE_UNKNOWN;
        return VERDICT_BROKEN;
    case STORE_IO:
    case STORE_CORRUPT:
        store->failure = store->conn.last;
        return VERDICT_BROKEN;
    case STORE_BAD:
        return group->culprit != NULL ? VERDICT_AGAIN : VERDICT_FAILED;
    default:
        return VERDICT_FAILED;
    }
}

static void count_result(struct store *store, enum store_status status)
{
    struct store__stats *stats = &store->stats;
    switch (status) {
    case STORE_OK:
        store__count(&stats->writes_ok, 1);
        break;
    case STORE_REJECTED:
    case STORE_CONSTRAINT:
    case STORE_BAD:
        store__count(&stats->writes_rejected, 1);
        break;
    case STORE_FULL:
        store__count(&stats->writes_full, 1);
        break;
    case STORE_BUSY:
        store__count(&stats->writes_busy, 1);
        break;
    case STORE_UNKNOWN:
        store__count(&stats->writes_unknown, 1);
        break;
    default:
        store__count(&stats->writes_failed, 1);
        break;
    }
}

/* The last the store does with a write. */
static void settle(struct store *store, struct store_write *write, enum store_status status, uint64_t now_ns)
{
    if (write->apply != NULL) {
        uint64_t us = (now_ns - write->submitted_ns_) / 1000U;
        store__observe(store->stats.wait_us, STORE_TIME_BUCKETS, us);
        store__count(&store->stats.wait_us_sum, us);
        count_result(store, status);
    } else if (status != STORE_BROKEN) {
        status = STORE_OK;
    }
    atomic_fetch_sub_explicit(&store->stats.queue_length, 1, memory_order_relaxed);
    write->done(write, status);
}

static void settle_group(struct store *store, struct group *group, enum verdict verdict)
{
    uint64_t now_ns = store__now_ns();
    enum store_status all = group->status;
    if (verdict == VERDICT_BROKEN && all != STORE_UNKNOWN) {
        all = STORE_BROKEN; /* it ended before COMMIT: certainly not written */
    }
    for (struct store_write *write = store__list_pop(&group->writes); write != NULL;
         write = store__list_pop(&group->writes)) {
        bool barrier_broken = write->apply == NULL && verdict == VERDICT_BROKEN;
        enum store_status own = barrier_broken ? STORE_BROKEN : all;
        settle(store, write, verdict == VERDICT_COMMITTED ? write->result_ : own, now_ns);
    }
}

static void count_commit(struct store *store, const struct group *group)
{
    uint64_t us = (store__now_ns() - group->begin_ns) / 1000U;
    int64_t rows = sqlite3_total_changes64(store->conn.db) - group->rows_before;
    store__count(&store->stats.commits, 1);
    store__count(&store->stats.rows_changed, rows > 0 ? (uint64_t)rows : 0);
    store__observe(store->stats.group_size, STORE_SIZE_BUCKETS, group->count);
    store__observe(store->stats.group_us, STORE_TIME_BUCKETS, us);
    store__count(&store->stats.group_us_sum, us);
}

/* All waited out the same patience: they hear of it now instead of one after the other. */
static void add_pending(struct store *store, struct group *group)
{
    for (struct store_write *write = store__list_pop(&store->pending); write != NULL;
         write = store__list_pop(&store->pending)) {
        store__list_append(&group->writes, write);
    }
}

static void grow_cap(struct store *store)
{
    uint32_t most = store->options.group_writes_max;
    store->group_cap = store->group_cap > most / 2 ? most : store->group_cap * 2;
}

/* A group that met a limit goes back to the head of the line, and the next groups are half as large. A
 * write that
 * lost the transaction for the others is answered and left out. */
static void put_back(struct store *store, struct group *group)
{
    store__count(&store->stats.groups_split, 1);
    if (group->status != STORE_BAD) {
        store->group_cap = group->count / 2 > 0 ? group->count / 2 : 1;
    }
    struct store__list again = {NULL, NULL};
    for (struct store_write *write = store__list_pop(&group->writes); write != NULL;
         write = store__list_pop(&group->writes)) {
        if (write == group->culprit && group->status == STORE_BAD) {
            settle(store, write, STORE_BAD, store__now_ns());
        } else {
            store__list_append(&again, write);
        }
    }
    store__list_prepend(&store->pending, &again);
}

static void break_store(struct store *store)
{
    atomic_store(&store->broken, true);
    store__event(store, "store.broken", store->failure.text);
    if (store->options.fatal != NULL) {
        store->options.fatal(store->options.hook_arg, &store->failure);
    }
}

static void checkpoint_now(struct store *store)
{
    enum store_status status = store__wal_checkpoint(store);
    if (status != STORE_OK && store->conn.fatal != STORE_OK) {
        store->failure = store->conn.last;
        break_store(store);
    }
}

static void note_full(struct store *store, bool full)
{
    if (full != atomic_load(&store->full)) {
        atomic_store(&store->full, full);
        store__event(store, full ? "store.filled" : "store.resumed", full ? store->conn.last.text : "");
        if (full && store->wal.frames > store->wal.restored_to) {
            /* Copying the WAL back may need no space at all, and lets the next commits reuse it. */
            checkpoint_now(store);
        }
    }
}

static void run_group(struct store *store)
{
    struct group group = {.status = STORE_OK};
    fill_group(store, &group);
    if (group.begun && group.status == STORE_OK && group.kept > 0) {
        group.status = commit(store);
    }
    if (group.begun) {
        roll_back(store); /* unless committed */
    }
    enum verdict verdict = judge(store, &group);
    if (verdict == VERDICT_COMMITTED && group.kept > 0) {
        count_commit(store, &group);
        grow_cap(store);
        note_full(store, false);
    }
    if (verdict == VERDICT_BROKEN) {
        atomic_store(&store->broken, true);
    }
    if (verdict == VERDICT_AGAIN) {
        put_back(store, &group);
    } else {
        if (group.status == STORE_BUSY) {
            add_pending(store, &group);
        }
        settle_group(store, &group, verdict);
    }
    if (verdict == VERDICT_BROKEN) {
        break_store(store);
    } else if (group.status == STORE_FULL) {
        note_full(store, true);
    }
}

static void answer_all_broken(struct store *store)
{
    uint64_t now_ns = store__now_ns();
    for (struct store_write *write = store__list_pop(&store->pending); write != NULL;
         write = store__list_pop(&store->pending)) {
        settle(store, write, STORE_BROKEN, now_ns);
    }
}

/* Waits for work; when none comes, copies the WAL back, less and less often while that does not succeed. */
static void idle(struct store *store, uint32_t *idle_ms)
{
    bool due = !atomic_load(&store->broken) && store__wal_is_idle_due(store);
    store__queue_wait(&store->queue, due ? *idle_ms : 0);
    if (due && atomic_load(&store->queue.head) == NULL && !atomic_load(&store->queue.stopping)) {
        checkpoint_now(store);
        *idle_ms = *idle_ms < 30000 ? *idle_ms * 2 : *idle_ms;
    }
}

static void wait_for_company(const struct store *store)
{
    uint32_t us = store->options.group_delay_us;
    if (us != 0) {
        struct timespec delay = {(time_t)(us / 1000000U), (long)(us % 1000000U) * 1000L};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
    }
}

void *store__commit_main(void *arg)
{
    struct store *store = arg;
    uint32_t idle_ms = store->options.idle_checkpoint_ms;
    prctl(PR_SET_NAME, "store.commit");
    for (;;) {
        bool fresh = store__queue_take(&store->queue, &store->pending);
        if (fresh && store->options.group_delay_us != 0) {
            wait_for_company(store);
            store__queue_take(&store->queue, &store->pending);
        }
        if (store->pending.head == NULL) {
            if (atomic_load(&store->queue.stopping) && store__queue_close_if_empty(&store->queue)) {
                return NULL;
            }
            idle(store, &idle_ms);
        } else if (atomic_load(&store->broken)) {
            answer_all_broken(store);
        } else {
            run_group(store);
            idle_ms = store->options.idle_checkpoint_ms;
            if (!atomic_load(&store->broken) && store__wal_is_due(store)) {
                checkpoint_now(store);
            }
        }
    }
}
