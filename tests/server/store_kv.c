#include "tests/server/store_kv.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const migrations[] = {
    "CREATE TABLE kv(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL,"
    " padding BLOB)"
    " STRICT;"
    "CREATE TABLE kv_journal(key TEXT NOT NULL, version INTEGER NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(key, version)) STRICT, WITHOUT ROWID;",
};
const struct store_schema kv_schema = {.name = "kv", .version = 1, .migrations = migrations};

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "store_kv: %s\n", what);
        abort();
    }
}

const char *kv_dir_make(void)
{
    static _Thread_local char path[256];
    const char *top = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/store-test-XXXXXX", top == NULL ? "/tmp" : top);
    require(mkdtemp(path) != NULL, "mkdtemp");
    return path;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

void kv_dir_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct store *kv_open(const char *path, const struct store_options *options)
{
    struct store_options with_schema = options == NULL ? (struct store_options){0} : *options;
    struct store *store = NULL;
    struct store_error error;
    with_schema.schemas = &kv_schema;
    with_schema.schema_count = 1;
    if (with_schema.group_apply_max_us == 0) {
        with_schema.group_apply_max_us = 30000000; /* a slow machine must not change how groups are cut */
    }
    if (store_open(path, &with_schema, &store, &error) != STORE_OK) {
        require(false, error.text);
    }
    return store;
}

static enum store_status change(struct store_tx *tx, struct kv_put *put)
{
    void *padding = calloc(1, put->padding_bytes + 1);
    enum store_status status = store_tx_run(
        tx,
        "INSERT INTO kv(key, value, version, padding) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(key) DO UPDATE SET "
        "value = excluded.value, version = excluded.version, padding = excluded.padding",
        STORE_VALUES(store_text(put->key), store_text(put->value), store_int(put->version),
                     store_blob(padding, put->padding_bytes)));
    if (status == STORE_OK) {
        status =
            store_tx_run(tx, "INSERT INTO kv_journal(key, version, value) VALUES(?1, ?2, ?3)",
                         STORE_VALUES(store_text(put->key), store_int(put->version), store_text(put->value)));
    }
    if (status == STORE_OK && put->fail_half_way) {
        status = store_tx_run(tx, "INSERT INTO kv_journal(key, version, value) VALUES(?1, ?2, NULL)",
                              STORE_VALUES(store_text(put->key), store_int(put->version + 1)));
    }
    free(padding);
    return status;
}

static enum store_status put_apply(struct store_tx *tx, void *arg)
{
    struct kv_put *put = arg;
    int64_t version = 0;
    bool found = false;
    put->applied++;
    enum store_status status = store_tx_int(tx, "SELECT version FROM kv WHERE key = ?1",
                                            STORE_VALUES(store_text(put->key)), &version, &found);
    if (status != STORE_OK) {
        return status;
    }
    if (put->expect >= 0 && put->expect != version) {
        return STORE_REJECTED;
    }
    put->version = version + 1;
    return change(tx, put);
}

static void put_done(struct store_write *write, enum store_status status)
{
    struct kv_put *put = (struct kv_put *)write;
    put->status = status;
    sem_post(&put->done);
}

void kv_put_init(struct kv_put *put, const char *key, const char *value)
{
    *put = (struct kv_put){.write = {.apply = put_apply, .done = put_done, .arg = put}, .expect = -1};
    snprintf(put->key, sizeof put->key, "%s", key);
    snprintf(put->value, sizeof put->value, "%s", value);
    sem_init(&put->done, 0, 0);
}

void kv_put_start(struct store *store, struct kv_put *put)
{
    require(store_submit(store, &put->write), "the store is closed");
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0) {
        require(errno == EINTR, "sem_wait");
    }
}

enum store_status kv_put_wait(struct kv_put *put)
{
    wait_for(&put->done);
    sem_destroy(&put->done);
    return put->status;
}

enum store_status kv_set(struct store *store, const char *key, const char *value)
{
    struct kv_put put;
    kv_put_init(&put, key, value);
    kv_put_start(store, &put);
    return kv_put_wait(&put);
}

static enum store_status hold_apply(struct store_tx *tx, void *arg)
{
    struct kv_hold *hold = arg;
    (void)tx;
    if (!hold->held) {
        hold->held = true;
        sem_post(&hold->entered);
        wait_for(&hold->release);
    }
    return STORE_REJECTED;
}

static void hold_done(struct store_write *write, enum store_status status)
{
    struct kv_hold *hold = (struct kv_hold *)write;
    (void)status;
    sem_post(&hold->done);
}

void kv_hold(struct store *store, struct kv_hold *hold)
{
    *hold = (struct kv_hold){.write = {.apply = hold_apply, .done = hold_done, .arg = hold}};
    sem_init(&hold->entered, 0, 0);
    sem_init(&hold->release, 0, 0);
    sem_init(&hold->done, 0, 0);
    require(store_submit(store, &hold->write), "the store is closed");
    wait_for(&hold->entered);
}

void kv_release(struct kv_hold *hold)
{
    sem_post(&hold->release);
    wait_for(&hold->done);
    sem_destroy(&hold->entered);
    sem_destroy(&hold->release);
    sem_destroy(&hold->done);
}

static int take_value(void *arg, const struct store_row *row)
{
    snprintf(arg, 64, "%s", store_row_text(row, 0, NULL));
    return 1;
}

static struct store_reader *open_reader(struct store *store)
{
    struct store_reader *reader = NULL;
    struct store_error error;
    if (store_reader_open(store, 60000, &reader, &error) != STORE_OK) {
        require(false, error.text);
    }
    return reader;
}

const char *kv_get(struct store *store, const char *key)
{
    static _Thread_local char value[64];
    struct store_reader *reader = open_reader(store);
    value[0] = '\0';
    enum store_status status = store_reader_query(reader, "SELECT value FROM kv WHERE key = ?1",
                                                  STORE_VALUES(store_text(key)), take_value, value);
    require(status == STORE_OK, store_reader_error_text(reader));
    store_reader_close(reader);
    return value;
}

static int64_t read_int(struct store *store, const char *sql)
{
    struct store_reader *reader = open_reader(store);
    int64_t value = -1;
    bool found = false;
    enum store_status status = store_reader_int(reader, sql, STORE_NO_VALUES, &value, &found);
    require(status == STORE_OK && found, store_reader_error_text(reader));
    store_reader_close(reader);
    return value;
}

int64_t kv_count(struct store *store)
{
    return read_int(store, "SELECT count(*) FROM kv");
}

bool kv_is_consistent(struct store *store)
{
    return read_int(store, "SELECT count(*) FROM kv LEFT JOIN kv_journal USING(key, version)"
                           " WHERE kv_journal.value IS NOT kv.value") == 0 &&
           read_int(store, "SELECT (SELECT total(version) FROM kv) = (SELECT count(*) FROM kv_journal)") == 1;
}
