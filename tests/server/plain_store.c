/* The store under concurrency: many submitters, readers, barriers, counters and closing at once. */
#include "server/store/store.h"
#include "server/store/store_reader.h"
#include "tests/server/store_kv.h"
#include "tests/support/plain.h"

#include <pthread.h>

#define SUBMITTERS 8
#define WRITES     200

static char dir[256];
static struct store *store;
static _Atomic bool stop;

static void open_fresh(const struct store_options *options)
{
    snprintf(dir, sizeof dir, "%s", kv_dir_make());
    store = kv_open(dir, options);
    atomic_store(&stop, false);
}

static void close_and_remove(void)
{
    PLAIN_CHECK(store_close(store) == STORE_OK);
    kv_dir_remove(dir);
}

static void *raise_one_key(void *arg)
{
    const char *key = arg;
    for (int i = 0; i < WRITES; i++) {
        struct kv_put put;
        kv_put_init(&put, key, "v");
        put.expect = i; /* its own writes, in its own order */
        kv_put_start(store, &put);
        PLAIN_CHECK(kv_put_wait(&put) == STORE_OK);
    }
    return NULL;
}

static int64_t total_version(struct store_reader *reader)
{
    int64_t total = -1;
    bool found = false;
    PLAIN_CHECK(store_reader_int(reader, "SELECT CAST(total(version) AS INTEGER) FROM kv", STORE_NO_VALUES,
                                 &total, &found) == STORE_OK);
    return total;
}

/* Two statements under one snapshot agree, and later snapshots are never older. */
static void *read_on(void *arg)
{
    struct store_reader *reader = NULL;
    int64_t last = 0;
    (void)arg;
    PLAIN_CHECK(store_reader_open(store, 60000, &reader, NULL) == STORE_OK);
    while (!atomic_load(&stop)) {
        int64_t rows = -1;
        bool found = false;
        PLAIN_CHECK(store_reader_begin(reader) == STORE_OK);
        int64_t total = total_version(reader);
        PLAIN_CHECK(store_reader_int(reader, "SELECT count(*) FROM kv_journal", STORE_NO_VALUES, &rows,
                                     &found) == STORE_OK);
        PLAIN_CHECK(rows == total);
        PLAIN_CHECK(total >= last);
        last = total;
        store_reader_end(reader);
    }
    store_reader_close(reader);
    return NULL;
}

static void *watch(void *arg)
{
    struct store_stats stats;
    (void)arg;
    while (!atomic_load(&stop)) {
        store_stats_read(store, &stats);
        PLAIN_CHECK(!stats.broken);
        PLAIN_CHECK(store_is_healthy(store));
        PLAIN_CHECK(store_quiesce(store) == STORE_OK);
    }
    return NULL;
}

PLAIN_TEST(submitters_readers_and_watchers_at_once)
{
    static char keys[SUBMITTERS][16];
    pthread_t submitters[SUBMITTERS], readers[2], watcher;
    open_fresh(&(struct store_options){.wal_checkpoint_bytes = 200000, .idle_checkpoint_ms = 1});
    for (int i = 0; i < SUBMITTERS; i++) {
        snprintf(keys[i], sizeof keys[i], "s%d", i);
        pthread_create(&submitters[i], NULL, raise_one_key, keys[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_create(&readers[i], NULL, read_on, NULL);
    }
    pthread_create(&watcher, NULL, watch, NULL);
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(submitters[i], NULL);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    pthread_join(watcher, NULL);
    struct store_stats stats;
    store_stats_read(store, &stats);
    PLAIN_CHECK(stats.writes_ok == SUBMITTERS * WRITES);
    PLAIN_CHECK(stats.queue_length == 0);
    PLAIN_CHECK(kv_is_consistent(store));
    close_and_remove();
}

struct flood {
    struct store_write write;
    uint32_t number;
    bool accepted;
};

static struct flood flood[SUBMITTERS][2000];
static _Atomic uint32_t answered;
static _Atomic uint32_t out_of_order;
static uint32_t next_of[SUBMITTERS]; /* of the commit thread */

static enum store_status flood_apply(struct store_tx *tx, void *arg)
{
    (void)tx;
    (void)arg;
    return STORE_OK;
}

static void flood_done(struct store_write *write, enum store_status status)
{
    struct flood *one = (struct flood *)write;
    size_t submitter = (size_t)(one - flood[0]) / 2000;
    out_of_order += one->number != next_of[submitter]++ || status != STORE_OK;
    answered++;
}

static void *submit_flood(void *arg)
{
    struct flood *mine = arg;
    for (uint32_t i = 0; i < 2000; i++) {
        mine[i] = (struct flood){.write = {.apply = flood_apply, .done = flood_done}, .number = i};
        mine[i].accepted = store_submit(store, &mine[i].write);
    }
    return NULL;
}

/* Every accepted write is answered exactly once, in its submitter's order, whenever the store stops. */
PLAIN_TEST(every_accepted_write_is_answered_once_and_in_order)
{
    for (int round = 0; round < 5; round++) {
        pthread_t threads[SUBMITTERS];
        uint32_t accepted = 0;
        open_fresh(NULL);
        answered = 0;
        memset(next_of, 0, sizeof next_of);
        for (int i = 0; i < SUBMITTERS; i++) {
            pthread_create(&threads[i], NULL, submit_flood, flood[i]);
        }
        for (int i = 0; i < SUBMITTERS; i++) {
            pthread_join(threads[i], NULL);
        }
        for (int i = 0; i < SUBMITTERS * 2000; i++) {
            accepted += flood[i / 2000][i % 2000].accepted;
        }
        close_and_remove();
        PLAIN_CHECK(accepted == SUBMITTERS * 2000);
        PLAIN_CHECK(answered == accepted);
        PLAIN_CHECK(out_of_order == 0);
    }
}

/* The last answer may be heard, and the store closed, while the submitter is still inside store_submit. */
static sem_t last_heard;

static void last_done(struct store_write *write, enum store_status status)
{
    (void)write;
    (void)status;
    sem_post(&last_heard);
}

static void *submit_last(void *arg)
{
    store_submit(store, arg);
    return NULL;
}

PLAIN_TEST(store_may_be_closed_as_soon_as_the_last_answer_is_heard)
{
    sem_init(&last_heard, 0, 0);
    for (int i = 0; i < 60; i++) {
        pthread_t thread;
        struct store_write write = {.apply = flood_apply, .done = last_done};
        open_fresh(NULL);
        pthread_create(&thread, NULL, submit_last, &write);
        while (sem_wait(&last_heard) != 0) {
        }
        close_and_remove();
        pthread_join(thread, NULL);
    }
}
