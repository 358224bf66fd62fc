#include "server/store/store.h"

#include "server/store/store_clock.h"
#include "server/store/store_internal.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

void store__event(const struct store *store, const char *event, const char *detail)
{
    if (store->options.event != NULL) {
        store->options.event(store->options.hook_arg, event, detail);
    }
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static void fill_defaults(struct store_options *options)
{
    options->group_writes_max = or_default(options->group_writes_max, 512);
    options->group_rows_max = or_default(options->group_rows_max, 16384);
    options->group_bytes_max = options->group_bytes_max == 0 ? (size_t)4 << 20 : options->group_bytes_max;
    options->group_apply_max_us = or_default(options->group_apply_max_us, 20000);
    options->busy_timeout_ms = or_default(options->busy_timeout_ms, 2000);
    options->wal_checkpoint_bytes =
        options->wal_checkpoint_bytes == 0 ? (size_t)8 << 20 : options->wal_checkpoint_bytes;
    options->idle_checkpoint_ms = or_default(options->idle_checkpoint_ms, 1000);
}

static enum store_status note_error(struct store *store, enum store_status status, struct store_error *error)
{
    if (status != STORE_OK) {
        *error = store->conn.last;
    }
    return status;
}

/* Copies back what the last owner left in the WAL, and tells how much that was. */
static enum store_status recover(struct store *store, struct store_error *error)
{
    int frames = 0;
    int copied = 0;
    int code = sqlite3_wal_checkpoint_v2(store->conn.db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_FULL && (code & 0xff) != SQLITE_BUSY) {
        return note_error(store, store__conn_failed(&store->conn, code, "recover"), error);
    }
    /* On a full disk the WAL is read where it is. */
    struct store_recovery *recovery = &store->recovery;
    recovery->wal_bytes = store->dir.wal_bytes;
    recovery->unclean = store->dir.wal_bytes > 0;
    if (recovery->unclean && frames > 0) {
        recovery->frames_restored = (uint64_t)frames;
    }
    uint64_t frame_bytes = (uint64_t)store->wal.page_bytes + 24U;
    uint64_t in_file = store->dir.wal_bytes > 32 ? (store->dir.wal_bytes - 32U) / frame_bytes : 0;
    recovery->frames_dropped = in_file > recovery->frames_restored ? in_file - recovery->frames_restored : 0;
    store->wal.frames = frames > 0 ? (uint32_t)frames : 0;
    store->wal.restored_to = copied > 0 ? (uint32_t)copied : 0;
    if (recovery->unclean) {
        char detail[160];
        snprintf(detail, sizeof detail, "WAL of %llu bytes: %llu pages restored, %llu dropped",
                 (unsigned long long)recovery->wal_bytes, (unsigned long long)recovery->frames_restored,
                 (unsigned long long)recovery->frames_dropped);
        store__event(store, "store.recovered", detail);
    }
    return STORE_OK;
}

static enum store_status prepare_own(struct store *store, struct store_error *error)
{
    struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } const all[] = {
        {&store->own.begin, "BEGIN IMMEDIATE"}, {&store->own.commit, "COMMIT"},
        {&store->own.rollback, "ROLLBACK"},     {&store->own.savepoint, "SAVEPOINT w"},
        {&store->own.release, "RELEASE w"},     {&store->own.undo, "ROLLBACK TO w"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int code =
            sqlite3_prepare_v3(store->conn.db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT, all[i].stmt, NULL);
        if (code != SQLITE_OK) {
            return note_error(store, store__conn_failed(&store->conn, code, all[i].sql), error);
        }
    }
    return STORE_OK;
}

static void finalize_own(struct store *store)
{
    sqlite3_finalize(store->own.begin);
    sqlite3_finalize(store->own.commit);
    sqlite3_finalize(store->own.rollback);
    sqlite3_finalize(store->own.savepoint);
    sqlite3_finalize(store->own.release);
    sqlite3_finalize(store->own.undo);
    store->own = (struct store__own){0};
}

static enum store_status open_database(struct store *store, struct store_error *error)
{
    struct store__conn_options options = {.path = store->dir.db_path,
                                          .vfs = store->options.vfs,
                                          .busy_timeout_ms = store->options.busy_timeout_ms};
    enum store_status status = note_error(store, store__conn_open(&store->conn, &options), error);
    if (status == STORE_OK) {
        status = note_error(store, store__conn_script(&store->conn, "PRAGMA cache_size=-16384"), error);
    }
    if (status == STORE_OK) {
        status = store__format_check(store, error);
    }
    if (status == STORE_OK) {
        store__wal_init(store);
        status = recover(store, error);
    }
    if (status == STORE_OK) {
        status = store__format_migrate(store, error);
    }
    if (status == STORE_OK) {
        status = store__dir_sync(&store->dir, error);
    }
    if (status == STORE_OK) {
        status = note_error(store, store__wal_reserve(store, 0), error);
    }
    return status == STORE_OK ? prepare_own(store, error) : status;
}

/* The thread gets no signals but those that its own faults raise. */
static int start_thread(struct store *store)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&store->thread, NULL, store__commit_main, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void destroy(struct store *store, bool checkpoint)
{
    if (store->conn.db != NULL) {
        finalize_own(store);
        store__conn_close(&store->conn, checkpoint);
    }
    store__dir_close(&store->dir);
    store__queue_fini(&store->queue);
    free(store);
}

enum store_status store_open(const char *path, const struct store_options *options, struct store **store,
                             struct store_error *error)
{
    struct store_error unwanted;
    error = error == NULL ? &unwanted : error;
    struct store *made = calloc(1, sizeof *made);
    if (made == NULL) {
        *error = (struct store_error){.status = STORE_NOMEM, .text = "out of memory"};
        return STORE_NOMEM;
    }
    made->options = *options;
    fill_defaults(&made->options);
    made->group_cap = made->options.group_writes_max;
    store__queue_init(&made->queue);
    enum store_status status = store__dir_open(&made->dir, path, error);
    if (status == STORE_OK) {
        status = open_database(made, error);
        made->conn.mode = STORE__MODE_USER;
        made->options.schemas = NULL;
    }
    if (status == STORE_OK && start_thread(made) != 0) {
        *error = (struct store_error){.status = STORE_NOMEM, .text = "the commit thread does not start"};
        status = STORE_NOMEM;
    }
    if (status != STORE_OK) {
        destroy(made, false);
        return status;
    }
    *store = made;
    return STORE_OK;
}

enum store_status store_close(struct store *store)
{
    assert(!pthread_equal(pthread_self(), store->thread));
    if (atomic_load(&store->readers) != 0) {
        return STORE_BUSY;
    }
    store__queue_stop(&store->queue);
    pthread_join(store->thread, NULL);
    store->conn.mode = STORE__MODE_OWN;
    /* A broken store must not touch the disk again: what a failed sync left in the page cache would be taken
     * for written. */
    enum store_status status = STORE_BROKEN;
    if (!atomic_load(&store->broken)) {
        status = store__wal_checkpoint(store);
    }
    destroy(store, status == STORE_OK);
    return status;
}

bool store_submit(struct store *store, struct store_write *write)
{
    assert(write->apply != NULL && write->done != NULL);
    write->submitted_ns_ = store__now_ns();
    atomic_fetch_add_explicit(&store->stats.queue_length, 1, memory_order_relaxed);
    bool open = store__queue_push(&store->queue, write);
    if (!open) {
        atomic_fetch_sub_explicit(&store->stats.queue_length, 1, memory_order_relaxed);
    }
    return open;
}

bool store_barrier(struct store *store, struct store_write *write)
{
    assert(write->done != NULL);
    write->apply = NULL;
    atomic_fetch_add_explicit(&store->stats.queue_length, 1, memory_order_relaxed);
    bool open = store__queue_push(&store->queue, write);
    if (!open) {
        atomic_fetch_sub_explicit(&store->stats.queue_length, 1, memory_order_relaxed);
    }
    return open;
}

struct quiesce {
    struct store_write write;
    sem_t decided;
    enum store_status status;
};

static void quiesce_done(struct store_write *write, enum store_status status)
{
    struct quiesce *quiesce = (struct quiesce *)write;
    quiesce->status = status;
    sem_post(&quiesce->decided);
}

enum store_status store_quiesce(struct store *store)
{
    assert(!pthread_equal(pthread_self(), store->thread));
    struct quiesce quiesce = {.write = {.done = quiesce_done}};
    sem_init(&quiesce.decided, 0, 0);
    if (!store_barrier(store, &quiesce.write)) {
        quiesce.status = STORE_CLOSED;
    } else {
        while (sem_wait(&quiesce.decided) != 0) {
        }
    }
    sem_destroy(&quiesce.decided);
    return quiesce.status;
}

void store_recovery_of(const struct store *store, struct store_recovery *out)
{
    *out = store->recovery;
}

bool store_is_healthy(const struct store *store)
{
    return !atomic_load(&store->broken);
}

bool store_is_full(const struct store *store)
{
    return atomic_load(&store->full);
}
