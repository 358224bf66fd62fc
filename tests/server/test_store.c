/* What the store promises when nothing goes wrong: order, atomicity, groups, statements, readers,
 * counters. */
#include "server/store/store.h"
#include "server/store/store_reader.h"
#include "tests/server/store_kv.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static char dir[256];
static struct store *store;

static void setup(void)
{
    snprintf(dir, sizeof dir, "%s", kv_dir_make());
    store = kv_open(dir, NULL);
}

static void teardown(void)
{
    if (store != NULL) {
        cr_assert_eq(store_close(store), STORE_OK);
    }
    kv_dir_remove(dir);
}

TestSuite(store, .init = setup, .fini = teardown);

static struct store_stats stats(void)
{
    struct store_stats out;
    store_stats_read(store, &out);
    return out;
}

/* Opens the store again with other options. */
static void reopen(const struct store_options *options)
{
    cr_assert_eq(store_close(store), STORE_OK);
    store = kv_open(dir, options);
}

Test(store, write_is_there_for_readers_when_done_was_called)
{
    cr_assert_eq(kv_set(store, "a", "1"), STORE_OK);
    cr_assert_str_eq(kv_get(store, "a"), "1");
    cr_assert_str_eq(kv_get(store, "b"), "");
}

Test(store, write_survives_close_and_open)
{
    cr_assert_eq(kv_set(store, "a", "1"), STORE_OK);
    reopen(NULL);
    struct store_recovery recovery;
    store_recovery_of(store, &recovery);
    cr_assert(!recovery.unclean);
    cr_assert(!recovery.created);
    cr_assert_eq(recovery.frames_restored, 0);
    cr_assert_str_eq(kv_get(store, "a"), "1");
}

Test(store, all_that_waits_is_committed_as_one_group)
{
    struct kv_hold hold;
    struct kv_put puts[40];
    kv_hold(store, &hold);
    struct store_stats before = stats();
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        kv_put_init(&puts[i], key, "v");
        kv_put_start(store, &puts[i]);
    }
    cr_assert_eq(stats().queue_length, 41);
    kv_release(&hold);
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(kv_put_wait(&puts[i]), STORE_OK);
    }
    /* They came while the group of the held write was being applied, and joined it. */
    cr_assert_eq(stats().commits, before.commits + 1);
    cr_assert_eq(stats().group_size[6], before.group_size[6] + 1, "33..64 writes");
    cr_assert_eq(stats().writes_ok, before.writes_ok + 40);
    cr_assert_eq(stats().queue_length, 0);
    cr_assert_eq(kv_count(store), 40);
}

Test(store, groups_of_one_when_told_so)
{
    struct kv_hold hold;
    struct kv_put puts[10];
    reopen(&(struct store_options){.group_writes_max = 1});
    kv_hold(store, &hold);
    for (int i = 0; i < 10; i++) {
        kv_put_init(&puts[i], "k", "v");
        kv_put_start(store, &puts[i]);
    }
    kv_release(&hold);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(kv_put_wait(&puts[i]), STORE_OK);
    }
    cr_assert_eq(stats().commits, 10);
    cr_assert_eq(stats().group_size[0], 10);
}

/* Starts `count` puts of `bytes` each behind a held write and returns how many groups they took. */
static uint64_t groups_for(int count, size_t bytes)
{
    struct kv_hold hold;
    struct kv_put puts[32];
    kv_hold(store, &hold);
    for (int i = 0; i < count; i++) {
        kv_put_init(&puts[i], "k", "v");
        puts[i].padding_bytes = bytes;
        kv_put_start(store, &puts[i]);
    }
    kv_release(&hold);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(kv_put_wait(&puts[i]), STORE_OK);
    }
    return stats().commits;
}

Test(store, group_is_closed_by_its_bytes)
{
    reopen(&(struct store_options){.group_bytes_max = 10000});
    cr_assert_eq(groups_for(12, 4000), 4, "three of 4000 bytes each");
}

Test(store, group_is_closed_by_its_rows)
{
    reopen(&(struct store_options){.group_rows_max = 8});
    cr_assert_eq(groups_for(12, 0), 3, "each put changes two rows");
}

Test(store, writes_are_applied_and_answered_in_order_of_submission)
{
    struct kv_hold hold;
    struct kv_put puts[100];
    kv_hold(store, &hold);
    for (int i = 0; i < 100; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        kv_put_init(&puts[i], "same", value);
        kv_put_start(store, &puts[i]);
    }
    kv_release(&hold);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(kv_put_wait(&puts[i]), STORE_OK);
        cr_assert_eq(puts[i].version, i + 1);
    }
    cr_assert_str_eq(kv_get(store, "same"), "99");
}

Test(store, failing_write_is_undone_alone)
{
    struct kv_hold hold;
    struct kv_put first, half, stale, last;
    kv_hold(store, &hold);
    kv_put_init(&first, "a", "1");
    kv_put_init(&half, "b", "never");
    half.fail_half_way = true;
    kv_put_init(&stale, "a", "never");
    stale.expect = 7;
    kv_put_init(&last, "a", "2");
    last.expect = 1;
    kv_put_start(store, &first);
    kv_put_start(store, &half);
    kv_put_start(store, &stale);
    kv_put_start(store, &last);
    kv_release(&hold);
    cr_assert_eq(kv_put_wait(&first), STORE_OK);
    cr_assert_eq(kv_put_wait(&half), STORE_CONSTRAINT);
    cr_assert_eq(kv_put_wait(&stale), STORE_REJECTED);
    cr_assert_eq(kv_put_wait(&last), STORE_OK);
    cr_assert_eq(stats().commits, 1);
    cr_assert_eq(stats().writes_rejected, 3, "the held write is rejected too");
    cr_assert_str_eq(kv_get(store, "a"), "2");
    cr_assert_str_eq(kv_get(store, "b"), "");
    cr_assert(kv_is_consistent(store));
}

/* A write that only runs one statement and keeps its error. */
struct one_statement {
    struct store_write write;
    const char *sql;
    struct store_values values;
    enum store_status inside;
    enum store_status status;
    sem_t done;
};

static enum store_status one_apply(struct store_tx *tx, void *arg)
{
    struct one_statement *one = arg;
    one->inside = store_tx_run(tx, one->sql, one->values);
    return one->inside;
}

static void one_done(struct store_write *write, enum store_status status)
{
    struct one_statement *one = (struct one_statement *)write;
    one->status = status;
    sem_post(&one->done);
}

static enum store_status run_values(const char *sql, struct store_values values)
{
    struct one_statement one = {
        .write = {.apply = one_apply, .done = one_done, .arg = &one}, .sql = sql, .values = values};
    sem_init(&one.done, 0, 0);
    cr_assert(store_submit(store, &one.write));
    while (sem_wait(&one.done) != 0) {
    }
    sem_destroy(&one.done);
    cr_assert_eq(one.inside, one.status);
    return one.status;
}

static enum store_status run(const char *sql)
{
    return run_values(sql, STORE_NO_VALUES);
}

Test(store, statements_that_break_the_rules_are_refused)
{
    cr_assert_eq(run("COMMIT"), STORE_BAD);
    cr_assert_eq(run("BEGIN"), STORE_BAD);
    cr_assert_eq(run("ROLLBACK"), STORE_BAD);
    cr_assert_eq(run("SAVEPOINT x"), STORE_BAD);
    cr_assert_eq(run("RELEASE w"), STORE_BAD);
    cr_assert_eq(run("PRAGMA synchronous=OFF"), STORE_BAD);
    cr_assert_eq(run("ATTACH 'x' AS y"), STORE_BAD);
    cr_assert_eq(run("CREATE TABLE t(x)"), STORE_BAD);
    cr_assert_eq(run("DROP TABLE kv"), STORE_BAD);
    cr_assert_eq(run("SELECT nonsense"), STORE_BAD);
    cr_assert_eq(run("DELETE FROM kv; DELETE FROM kv"), STORE_BAD);
    cr_assert_eq(run(""), STORE_BAD);
    cr_assert_eq(run("DELETE FROM kv WHERE key = ?1"), STORE_BAD, "a value is missing");
    cr_assert_eq(run_values("DELETE FROM kv", STORE_VALUES(store_int(1))), STORE_BAD, "a value too many");
    cr_assert_eq(run("DELETE FROM kv"), STORE_OK);
    cr_assert(store_is_healthy(store));
}

Test(store, statement_that_rolls_back_everything_costs_only_its_own_write)
{
    struct kv_hold hold;
    struct kv_put before, after;
    cr_assert_eq(kv_set(store, "a", "0"), STORE_OK);
    kv_hold(store, &hold);
    kv_put_init(&before, "a", "1");
    kv_put_init(&after, "a", "2");
    struct one_statement bad = {
        .write = {.apply = one_apply, .done = one_done, .arg = &bad},
        .sql = "INSERT OR ROLLBACK INTO kv(key, value, version) VALUES('a', 'x', 1)",
    };
    sem_init(&bad.done, 0, 0);
    kv_put_start(store, &before);
    cr_assert(store_submit(store, &bad.write));
    kv_put_start(store, &after);
    kv_release(&hold);
    cr_assert_eq(kv_put_wait(&before), STORE_OK);
    cr_assert_eq(kv_put_wait(&after), STORE_OK);
    while (sem_wait(&bad.done) != 0) {
    }
    cr_assert_eq(bad.status, STORE_BAD);
    cr_assert_eq(before.applied, 2, "the group was tried again without the culprit");
    cr_assert_str_eq(kv_get(store, "a"), "2");
    cr_assert(kv_is_consistent(store));
}

/* Everything a row can hold, there and back. */
static int check_kinds(void *arg, const struct store_row *row)
{
    size_t length = 0;
    int *rows = arg;
    ++*rows;
    cr_assert_eq(store_row_columns(row), 6);
    cr_assert_eq(store_row_kind(row, 0), STORE_KIND_INT);
    cr_assert_eq(store_row_int(row, 0), INT64_MIN);
    cr_assert_eq(store_row_kind(row, 1), STORE_KIND_REAL);
    cr_assert_eq(store_row_real(row, 1), 0.5);
    cr_assert_eq(store_row_kind(row, 2), STORE_KIND_TEXT);
    cr_assert_arr_eq(store_row_text(row, 2, &length), "a\0b", 4);
    cr_assert_eq(length, 3);
    cr_assert_eq(store_row_kind(row, 3), STORE_KIND_BLOB);
    cr_assert_arr_eq(store_row_blob(row, 3, &length), "\xff\x00", 2);
    cr_assert_eq(length, 2);
    cr_assert_eq(store_row_kind(row, 4), STORE_KIND_NULL);
    cr_assert_null(store_row_text(row, 4, &length));
    cr_assert_eq(length, 0);
    cr_assert_eq(store_row_kind(row, 5), STORE_KIND_NULL);
    return 0;
}

Test(store, values_go_there_and_back_unchanged)
{
    struct store_reader *reader = NULL;
    int rows = 0;
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    cr_assert_eq(
        store_reader_query(reader, "SELECT ?1, ?2, ?3, ?4, ?5, ?6",
                           STORE_VALUES(store_int(INT64_MIN), store_real(0.5), store_text_n("a\0b", 3),
                                        store_blob("\xff\x00", 2), store_null(), store_text(NULL)),
                           check_kinds, &rows),
        STORE_OK);
    cr_assert_eq(rows, 1);
    store_reader_close(reader);
}

struct nested {
    struct store_reader *reader;
    int rows;
    int depth;
};

static int nest(void *arg, const struct store_row *row)
{
    struct nested *nested = arg;
    (void)row;
    nested->rows++;
    if (nested->depth == 1) {
        return 0;
    }
    nested->depth++;
    cr_assert_eq(store_reader_query(nested->reader, "SELECT key FROM kv", STORE_NO_VALUES, nest, nested),
                 STORE_OK);
    nested->depth--;
    return 0;
}

Test(store, row_callback_may_run_the_same_statement)
{
    struct nested nested = {0};
    kv_set(store, "a", "1");
    kv_set(store, "b", "1");
    kv_set(store, "c", "1");
    cr_assert_eq(store_reader_open(store, 0, &nested.reader, NULL), STORE_OK);
    cr_assert_eq(store_reader_query(nested.reader, "SELECT key FROM kv", STORE_NO_VALUES, nest, &nested),
                 STORE_OK);
    cr_assert_eq(nested.rows, 3 + 9);
    store_reader_close(nested.reader);
}

Test(store, more_statements_than_the_cache_holds_work)
{
    struct store_reader *reader = NULL;
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 300; i++) {
            char sql[64];
            int64_t value = -1;
            bool found = false;
            snprintf(sql, sizeof sql, "SELECT %d + ?1", i);
            cr_assert_eq(store_reader_int(reader, sql, STORE_VALUES(store_int(1)), &value, &found), STORE_OK);
            cr_assert_eq(value, i + 1);
        }
    }
    store_reader_close(reader);
}

Test(store, reader_cannot_write)
{
    struct store_reader *reader = NULL;
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    cr_assert_neq(store_reader_query(reader, "DELETE FROM kv", STORE_NO_VALUES, NULL, NULL), STORE_OK);
    cr_assert_eq(store_reader_query(reader, "PRAGMA query_only=0", STORE_NO_VALUES, NULL, NULL), STORE_BAD);
    cr_assert_eq(store_reader_query(reader, "BEGIN", STORE_NO_VALUES, NULL, NULL), STORE_BAD);
    store_reader_close(reader);
}

Test(store, reader_keeps_its_snapshot_until_it_ends)
{
    struct store_reader *reader = NULL;
    int64_t count = -1;
    bool found = false;
    kv_set(store, "a", "1");
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    cr_assert_eq(store_reader_begin(reader), STORE_OK);
    cr_assert_eq(store_reader_begin(reader), STORE_BAD);
    kv_set(store, "b", "1");
    cr_assert_eq(store_reader_int(reader, "SELECT count(*) FROM kv", STORE_NO_VALUES, &count, &found),
                 STORE_OK);
    cr_assert_eq(count, 1);
    store_reader_end(reader);
    cr_assert_eq(store_reader_int(reader, "SELECT count(*) FROM kv", STORE_NO_VALUES, &count, &found),
                 STORE_OK);
    cr_assert_eq(count, 2);
    store_reader_close(reader);
}

#define ENDLESS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

Test(store, endless_read_ends_at_its_time_limit)
{
    struct store_reader *reader = NULL;
    int64_t count = -1;
    bool found = false;
    cr_assert_eq(store_reader_open(store, 20, &reader, NULL), STORE_OK);
    cr_assert_eq(store_reader_int(reader, ENDLESS, STORE_NO_VALUES, &count, &found), STORE_TIMEOUT);
    cr_assert_eq(store_reader_int(reader, "SELECT 5", STORE_NO_VALUES, &count, &found), STORE_OK);
    cr_assert_eq(count, 5);
    store_reader_close(reader);
}

Test(store, int_of_no_row_is_not_found)
{
    struct store_reader *reader = NULL;
    int64_t value = 42;
    bool found = true;
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    cr_assert_eq(
        store_reader_int(reader, "SELECT version FROM kv WHERE key = 'x'", STORE_NO_VALUES, &value, &found),
        STORE_OK);
    cr_assert(!found);
    cr_assert_eq(value, 42);
    store_reader_close(reader);
}

Test(store, close_waits_for_readers_to_be_closed)
{
    struct store_reader *reader = NULL;
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    cr_assert_eq(store_close(store), STORE_BUSY);
    cr_assert_eq(kv_set(store, "a", "1"), STORE_OK, "it is still open");
    store_reader_close(reader);
}

struct counted {
    struct store_write write;
    _Atomic int *done;
};

static enum store_status nothing_apply(struct store_tx *tx, void *arg)
{
    (void)tx;
    (void)arg;
    return STORE_OK;
}

static void counted_done(struct store_write *write, enum store_status status)
{
    struct counted *counted = (struct counted *)write;
    cr_assert_eq(status, STORE_OK);
    (*counted->done)++;
}

Test(store, close_decides_all_that_was_submitted)
{
    static struct kv_hold hold;
    struct counted writes[200];
    _Atomic int done = 0;
    kv_hold(store, &hold);
    for (int i = 0; i < 200; i++) {
        writes[i] = (struct counted){.write = {.apply = nothing_apply, .done = counted_done}, .done = &done};
        cr_assert(store_submit(store, &writes[i].write));
    }
    sem_post(&hold.release);
    cr_assert_eq(store_close(store), STORE_OK);
    cr_assert_eq(done, 200);
    store = NULL;
}

struct resubmit {
    struct store_write write;
    int left;
    bool refused;
    sem_t end;
};

static void resubmit_done(struct store_write *write, enum store_status status)
{
    struct resubmit *resubmit = (struct resubmit *)write;
    cr_assert_eq(status, STORE_OK);
    if (--resubmit->left == 0) {
        sem_post(&resubmit->end);
    } else {
        cr_assert(store_submit(store, write));
    }
}

Test(store, done_may_submit_the_same_write_again)
{
    struct resubmit resubmit = {.write = {.apply = nothing_apply, .done = resubmit_done}, .left = 50};
    sem_init(&resubmit.end, 0, 0);
    cr_assert(store_submit(store, &resubmit.write));
    while (sem_wait(&resubmit.end) != 0) {
    }
    cr_assert_eq(resubmit.left, 0);
}

static void endless_done(struct store_write *write, enum store_status status)
{
    struct counted *counted = (struct counted *)write;
    (void)status;
    (*counted->done)++;
    store_submit(store, write);
}

Test(store, close_is_not_kept_waiting_by_writes_that_come_again, .timeout = 60)
{
    struct counted writes[8];
    _Atomic int done = 0;
    for (int i = 0; i < 8; i++) {
        writes[i] = (struct counted){.write = {.apply = nothing_apply, .done = endless_done}, .done = &done};
        cr_assert(store_submit(store, &writes[i].write));
    }
    cr_assert_eq(store_close(store), STORE_OK);
    cr_assert_geq(done, 8);
    store = NULL;
}

Test(store, quiesce_returns_when_all_before_it_is_decided)
{
    struct counted writes[64];
    _Atomic int done = 0;
    for (int i = 0; i < 64; i++) {
        writes[i] = (struct counted){.write = {.apply = nothing_apply, .done = counted_done}, .done = &done};
        cr_assert(store_submit(store, &writes[i].write));
    }
    cr_assert_eq(store_quiesce(store), STORE_OK);
    cr_assert_eq(done, 64);
}

Test(store, barrier_commits_nothing)
{
    struct store_stats before = stats();
    _Atomic int done = 0;
    struct counted barrier = {.write = {.done = counted_done}, .done = &done};
    cr_assert(store_barrier(store, &barrier.write));
    cr_assert_eq(store_quiesce(store), STORE_OK);
    cr_assert_eq(done, 1);
    cr_assert_eq(stats().commits, before.commits);
}

static void fill(int writes, size_t bytes)
{
    for (int i = 0; i < writes; i++) {
        struct kv_put put;
        char key[16];
        snprintf(key, sizeof key, "k%d", i % 50);
        kv_put_init(&put, key, "v");
        put.padding_bytes = bytes;
        kv_put_start(store, &put);
        cr_assert_eq(kv_put_wait(&put), STORE_OK);
    }
}

Test(store, wal_is_copied_back_and_reused_when_it_is_long)
{
    reopen(&(struct store_options){.wal_checkpoint_bytes = 128 << 10, .idle_checkpoint_ms = 60000});
    fill(300, 3000);
    cr_assert_geq(stats().checkpoints, 5);
    cr_assert_leq(stats().wal_bytes, 256 << 10);
    cr_assert_eq(stats().checkpoints_failed, 0);
}

Test(store, reader_with_a_snapshot_stops_the_checkpoint_but_no_writer)
{
    struct store_reader *reader = NULL;
    reopen(&(struct store_options){.wal_checkpoint_bytes = 128 << 10, .idle_checkpoint_ms = 60000});
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    fill(10, 3000);
    cr_assert_eq(store_reader_begin(reader), STORE_OK);
    fill(200, 3000);
    cr_assert_geq(stats().checkpoints_partial, 1);
    cr_assert_geq(stats().wal_bytes, 512 << 10, "it cannot begin anew");
    store_reader_end(reader);
    store_reader_close(reader);
    fill(100, 3000);
    cr_assert_leq(stats().wal_bytes, 512 << 10, "now it can");
}

Test(store, idle_store_copies_the_wal_back)
{
    struct store_stats now;
    reopen(&(struct store_options){.idle_checkpoint_ms = 1});
    cr_assert_eq(kv_set(store, "a", "1"), STORE_OK);
    for (int i = 0; i < 20000; i++) { /* until a deadline of 20 s */
        now = stats();
        if (now.checkpoints > 0) {
            break;
        }
        usleep(1000);
    }
    cr_assert_geq(now.checkpoints, 1);
    cr_assert_eq(kv_set(store, "a", "2"), STORE_OK);
    cr_assert_str_eq(kv_get(store, "a"), "2");
}

Test(store, every_status_has_a_name_and_a_text)
{
    for (int i = 0; i < STORE_STATUS_COUNT; i++) {
        cr_assert_not_null(store_status_name((enum store_status)i));
        cr_assert_gt(strlen(store_status_text((enum store_status)i)), 3);
    }
    cr_assert_str_eq(store_status_name(STORE_UNKNOWN), "unknown");
}

Test(store, delayed_group_collects_company)
{
    struct kv_put puts[8];
    reopen(&(struct store_options){.group_delay_us = 300000});
    for (int i = 0; i < 8; i++) {
        kv_put_init(&puts[i], "k", "v");
        kv_put_start(store, &puts[i]);
    }
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(kv_put_wait(&puts[i]), STORE_OK);
    }
    cr_assert_eq(stats().commits, 1);
}
