/* What the store promises when the disk does not: the table of errors in server/store/NOTES.md, line by
 * line. */
#include "server/store/store.h"
#include "server/store/store_reader.h"
#include "tests/server/fault_vfs.h"
#include "tests/server/store_kv.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[256];
static struct store *store;
static _Atomic int fatal_calls;
static struct store_error fatal_error;
static _Atomic int filled_events;
static _Atomic int resumed_events;

static void on_fatal(void *arg, const struct store_error *error)
{
    (void)arg;
    fatal_error = *error;
    fatal_calls++;
}

static void on_event(void *arg, const char *event, const char *detail)
{
    (void)arg;
    (void)detail;
    filled_events += strcmp(event, "store.filled") == 0;
    resumed_events += strcmp(event, "store.resumed") == 0;
}

static struct store_options options(void)
{
    return (struct store_options){.vfs = "fault",
                                  .fatal = on_fatal,
                                  .event = on_event,
                                  .idle_checkpoint_ms = 600000,
                                  .busy_timeout_ms = 30};
}

static void open_it(void)
{
    struct store_options with = options();
    store = kv_open(dir, &with);
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "%s", kv_dir_make());
    fault_vfs_register();
    open_it();
    cr_assert_eq(kv_set(store, "before", "1"), STORE_OK);
}

static void teardown(void)
{
    fault_vfs_disarm();
    if (store != NULL) {
        store_close(store);
    }
    kv_dir_remove(dir);
}

TestSuite(store_faults, .init = setup, .fini = teardown);

/* Starts three puts as one group. */
static void start_group(struct kv_put puts[3])
{
    static const char *const keys[] = {"g0", "g1", "g2"};
    struct kv_hold hold;
    kv_hold(store, &hold);
    for (int i = 0; i < 3; i++) {
        kv_put_init(&puts[i], keys[i], "v");
        kv_put_start(store, &puts[i]);
    }
    kv_release(&hold);
}

static void expect_all(struct kv_put puts[3], enum store_status status)
{
    for (int i = 0; i < 3; i++) {
        enum store_status got = kv_put_wait(&puts[i]);
        cr_assert_eq(got, status, "write %d: %s", i, store_status_name(got));
    }
}

static void expect_broken(void)
{
    cr_assert_eq(kv_set(store, "later", "1"), STORE_BROKEN);
    cr_assert_eq(store_quiesce(store), STORE_BROKEN);
    cr_assert(!store_is_healthy(store));
    cr_assert_eq(fatal_calls, 1);
    cr_assert_str_eq(kv_get(store, "before"), "1", "reads go on");
}

/* Closes without faults, opens again, and tells how many of the group's writes are there. */
static int64_t after_reopening(void)
{
    fault_vfs_disarm();
    store_close(store);
    open_it();
    cr_assert(kv_is_consistent(store));
    cr_assert_str_eq(kv_get(store, "before"), "1");
    cr_assert_str_eq(kv_get(store, "later"), "");
    return kv_count(store) - 1;
}

Test(store_faults, failed_sync_is_unknown_and_never_retried)
{
    struct kv_put puts[3];
    uint32_t syncs = fault_vfs_calls(FAULT_SYNC, FAULT_WAL);
    fault_vfs_arm((struct fault_plan){.op = FAULT_SYNC, .file = FAULT_WAL, .kind = FAULT_EIO, .count = 1});
    start_group(puts);
    expect_all(puts, STORE_UNKNOWN);
    expect_broken();
    cr_assert_eq(fatal_error.status, STORE_UNKNOWN);
    cr_assert_eq(fatal_error.sqlite_code, SQLITE_IOERR_FSYNC);
    cr_assert_eq(fault_vfs_calls(FAULT_SYNC, FAULT_WAL), syncs + 1);
    cr_assert_eq(store_close(store), STORE_BROKEN);
    cr_assert_eq(fault_vfs_calls(FAULT_SYNC, FAULT_WAL), syncs + 1, "closing syncs nothing either");
    open_it();
    cr_assert(kv_is_consistent(store));
    /* SQLite had rolled back in memory; the frames were complete in the file all the same. */
    cr_assert_eq(kv_count(store), 4, "which is why the answer was unknown, not failed");
}

Test(store_faults, failed_write_of_the_wal_is_unknown)
{
    struct kv_put puts[3];
    fault_vfs_arm(
        (struct fault_plan){.op = FAULT_WRITE, .file = FAULT_WAL, .kind = FAULT_EIO, .skip = 1, .count = 1});
    start_group(puts);
    expect_all(puts, STORE_UNKNOWN);
    expect_broken();
    int64_t there = after_reopening();
    cr_assert(there == 0 || there == 3, "%d of 3", (int)there);
}

/* Each write of the WAL in a commit fails in turn, in each way: the group is there wholly or not at all. */
static void sweep_writes(enum fault_kind kind)
{
    for (uint32_t nth = 0;; nth++) {
        struct kv_put put;
        char key[16];
        snprintf(key, sizeof key, "sweep%u", nth);
        int64_t before = kv_count(store);
        fault_vfs_arm(
            (struct fault_plan){.op = FAULT_WRITE, .file = FAULT_WAL, .kind = kind, .skip = nth, .count = 1});
        kv_put_init(&put, key, "v");
        put.padding_bytes = 20000;
        kv_put_start(store, &put);
        enum store_status status = kv_put_wait(&put);
        uint32_t fired = fault_vfs_fired();
        fault_vfs_disarm();
        if (fired == 0) {
            cr_assert_eq(status, STORE_OK);
            cr_assert_gt(nth, 6, "a commit of this size has more writes");
            return;
        }
        cr_assert_eq(status, kind == FAULT_EIO ? STORE_UNKNOWN : STORE_FULL);
        store_close(store);
        open_it();
        cr_assert(kv_is_consistent(store));
        cr_assert_eq(kv_count(store), before);
    }
}

Test(store_faults, every_failing_write_of_a_commit_leaves_all_or_nothing)
{
    sweep_writes(FAULT_EIO);
}

Test(store_faults, every_full_disk_in_a_commit_leaves_nothing)
{
    sweep_writes(FAULT_ENOSPC);
}

Test(store_faults, every_short_write_in_a_commit_leaves_nothing)
{
    sweep_writes(FAULT_SHORT);
}

Test(store_faults, full_disk_fails_all_and_breaks_nothing)
{
    struct kv_put puts[3];
    struct store_stats stats;
    fault_vfs_arm((struct fault_plan){.op = FAULT_WRITE, .file = FAULT_WAL, .kind = FAULT_ENOSPC});
    start_group(puts);
    expect_all(puts, STORE_FULL);
    cr_assert_eq(kv_set(store, "later", "1"), STORE_FULL);
    cr_assert(store_is_healthy(store));
    cr_assert_str_eq(kv_get(store, "before"), "1", "reads go on");
    cr_assert_eq(store_quiesce(store), STORE_OK);
    cr_assert_eq(filled_events, 1, "one event for the whole time");
    fault_vfs_disarm();
    cr_assert_eq(kv_set(store, "after", "1"), STORE_OK);
    cr_assert_eq(store_quiesce(store), STORE_OK);
    cr_assert_eq(resumed_events, 1);
    cr_assert_eq(fatal_calls, 0);
    store_stats_read(store, &stats);
    cr_assert_eq(stats.writes_full, 4);
    cr_assert_eq(after_reopening(), 1, "only the one after");
}

Test(store_faults, group_that_met_a_full_disk_is_tried_again_in_smaller_ones)
{
    struct kv_put puts[3];
    struct store_stats stats;
    fault_vfs_arm((struct fault_plan){.op = FAULT_WRITE, .file = FAULT_WAL, .kind = FAULT_SHORT, .count = 1});
    start_group(puts);
    expect_all(puts, STORE_OK);
    cr_assert_eq(fault_vfs_fired(), 1);
    cr_assert_eq(puts[0].applied, 2);
    store_stats_read(store, &stats);
    cr_assert_eq(stats.groups_split, 1);
    cr_assert_eq(after_reopening(), 3);
}

/* A WAL index that cannot grow fails a COMMIT after its frames are complete and synced: the refused write
 * would come back after a crash. The store grows the index before it begins. */
Test(store_faults, wal_index_that_cannot_grow_refuses_before_anything_is_written)
{
    enum store_status status = STORE_OK;
    uint32_t writes = 0;
    store_close(store);
    struct store_options late = options();
    late.wal_checkpoint_bytes = (size_t)1 << 30; /* the WAL grows past what one region describes */
    store = kv_open(dir, &late);
    fault_vfs_arm((struct fault_plan){.op = FAULT_SHM_GROW, .file = FAULT_DB, .kind = FAULT_ENOSPC});
    for (int i = 0; i < 200 && status == STORE_OK; i++) {
        struct kv_put put;
        char key[16];
        snprintf(key, sizeof key, "big%d",
                 i); /* new keys: pages that stay as they are are not written again */
        kv_put_init(&put, key, "v");
        put.padding_bytes = 400000;
        writes = fault_vfs_calls(FAULT_WRITE, FAULT_WAL);
        kv_put_start(store, &put);
        status = kv_put_wait(&put);
    }
    cr_assert_eq(status, STORE_FULL, "%s", store_status_name(status));
    cr_assert_gt(fault_vfs_fired(), 0);
    cr_assert_eq(fault_vfs_calls(FAULT_WRITE, FAULT_WAL), writes, "no frame was written for it");
    cr_assert(store_is_healthy(store));
    fault_vfs_disarm();
    cr_assert_eq(kv_set(store, "after", "1"), STORE_OK);
}

Test(store_faults, failed_read_before_the_commit_is_certainly_not_written)
{
    struct kv_put puts[3];
    struct store_options small = options();
    for (int i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "fill%d", i);
        kv_set(store, key, "some value that takes a few bytes of room in the page");
    }
    store_close(store);
    store = kv_open(dir, &small);
    fault_vfs_arm((struct fault_plan){.op = FAULT_READ, .file = FAULT_DB, .kind = FAULT_EIO});
    start_group(puts);
    expect_all(puts, STORE_BROKEN);
    fault_vfs_disarm();
    expect_broken();
    cr_assert_eq(after_reopening(), 300);
}

Test(store_faults, failed_sync_in_a_checkpoint_breaks_the_store_and_loses_nothing)
{
    store_close(store);
    struct store_options soon = options();
    soon.wal_checkpoint_bytes = 40000;
    store = kv_open(dir, &soon);
    fault_vfs_arm((struct fault_plan){.op = FAULT_SYNC, .file = FAULT_DB, .kind = FAULT_EIO, .count = 1});
    int64_t acknowledged = 0;
    enum store_status status = STORE_OK;
    for (int i = 0; i < 100 && status == STORE_OK; i++) {
        char key[16];
        snprintf(key, sizeof key, "c%d", i);
        status = kv_set(store, key, "v");
        acknowledged += status == STORE_OK;
    }
    cr_assert_eq(status, STORE_BROKEN);
    cr_assert_eq(fault_vfs_fired(), 1);
    expect_broken();
    cr_assert_eq(after_reopening(), acknowledged);
}

Test(store_faults, checkpoint_on_a_full_disk_is_put_off)
{
    store_close(store);
    struct store_options soon = options();
    soon.wal_checkpoint_bytes = 40000;
    store = kv_open(dir, &soon);
    fault_vfs_arm((struct fault_plan){.op = FAULT_WRITE, .file = FAULT_DB, .kind = FAULT_ENOSPC});
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "c%d", i);
        cr_assert_eq(kv_set(store, key, "v"), STORE_OK);
    }
    struct store_stats stats;
    store_stats_read(store, &stats);
    cr_assert_geq(stats.checkpoints_failed, 1);
    cr_assert(store_is_healthy(store));
    cr_assert_eq(after_reopening(), 40);
}

Test(store_faults, acknowledged_write_is_synced_before_its_answer)
{
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(kv_set(store, "a", "v"), STORE_OK);
        cr_assert(!fault_vfs_wal_is_dirty());
    }
}

Test(store_faults, foreign_writer_makes_writes_busy_and_then_they_work)
{
    char name[300];
    struct kv_put puts[3];
    sqlite3 *db = NULL;
    snprintf(name, sizeof name, "%s/troupe.db", dir);
    cr_assert_eq(sqlite3_open(name, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 3; i++) { /* without a hold: its apply would not be called */
        kv_put_init(&puts[i], "busy", "v");
        kv_put_start(store, &puts[i]);
    }
    expect_all(puts, STORE_BUSY);
    cr_assert_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    cr_assert_eq(puts[0].applied, 0);
    cr_assert_eq(kv_set(store, "a", "1"), STORE_OK);
    cr_assert(store_is_healthy(store));
}

/* The kernel's own refusal, without the VFS: EFBIG, which SQLite reports as an I/O error. */
Test(store_faults, file_size_limit_of_the_kernel_counts_as_full)
{
    struct rlimit limit;
    struct rlimit before;
    store_close(store);
    struct store_options plain = {.fatal = on_fatal, .idle_checkpoint_ms = 600000};
    store = kv_open(dir, &plain);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 512 << 10;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum store_status status = STORE_OK;
    int64_t acknowledged = 0;
    for (int i = 0; i < 100 && status == STORE_OK; i++) {
        struct kv_put put;
        char key[16];
        snprintf(key, sizeof key, "r%d", i);
        kv_put_init(&put, key, "v");
        put.padding_bytes = 20000;
        kv_put_start(store, &put);
        status = kv_put_wait(&put);
        acknowledged += status == STORE_OK;
    }
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_assert_eq(status, STORE_FULL, "%s", store_status_name(status));
    cr_assert_eq(fatal_calls, 0);
    cr_assert_eq(kv_count(store), acknowledged + 1);
    cr_assert_eq(kv_set(store, "after", "1"), STORE_OK);
}

Test(store_faults, open_that_cannot_write_says_so)
{
    struct store_error error;
    struct store *none = NULL;
    char fresh[300];
    snprintf(fresh, sizeof fresh, "%s/fresh", dir);
    struct store_options with = options();
    with.schemas = &kv_schema;
    with.schema_count = 1;
    fault_vfs_arm((struct fault_plan){.op = FAULT_WRITE, .file = FAULT_WAL, .kind = FAULT_ENOSPC});
    cr_assert_eq(store_open(fresh, &with, &none, &error), STORE_FULL);
    cr_assert_eq(error.status, STORE_FULL);
    cr_assert_null(none);
    fault_vfs_disarm();
    cr_assert_eq(store_open(fresh, &with, &none, &error), STORE_OK, "%s", error.text);
    cr_assert_eq(store_close(none), STORE_OK);
}
