/* Snapshots on real workers: many readers, inside processes and outside, and several publishers. No version is torn, none goes back, and
 * all memory is given back. */
#include <pthread.h>
#include <troupe/troupe.h>

#include "tests/support/plain.h"

enum {
    WORDS = 32,
    READERS = 12,
    OUTSIDERS = 2,
    PUBLISHERS = 3,
    READS = 20000 / PLAIN_SLOWER,
    WRITES = 2000 / PLAIN_SLOWER
};

TR_MESSAGE(sheet, { uint64_t words[WORDS]; });

static tr_snapshot place;
static _Atomic int busy;
static _Atomic uint64_t next_word;

static void publish_one(void)
{
    sheet next;
    uint64_t word = ++next_word;
    for (int i = 0; i < WORDS; i++) {
        next.words[i] = word;
    }
    (void)tr_snapshot_publish(&place, TR_TYPE(sheet), &next);
}

/* Returns: the version's number. */
static uint64_t read_one(uint64_t before)
{
    uint64_t number = 0;
    const sheet *now = tr_snapshot_get(&place, TR_TYPE(sheet), &number);
    PLAIN_CHECK(now != NULL && number >= before);
    for (int i = 1; i < WORDS; i++) {
        PLAIN_CHECK(now->words[i] == now->words[0]);
    }
    tr_snapshot_release(now);
    return number;
}

static void reader(const void *arg)
{
    uint64_t number = 0;
    (void)arg;
    for (int i = 0; i < READS; i++) {
        number = read_one(number);
        if (i % 100 == 0) {
            (void)TR_SNAPSHOT_GET(&place, sheet); /* its end gives it back */
            tr_yield();
        }
    }
    busy--;
}

static void publisher(const void *arg)
{
    (void)arg;
    for (int i = 0; i < WRITES; i++) {
        publish_one();
        if (i % 20 == 0) {
            tr_yield();
        }
    }
    busy--;
}

static void *outsider(void *arg)
{
    uint64_t number = 0;
    (void)arg;
    for (int i = 0; i < READS; i++) {
        number = read_one(number);
    }
    return NULL;
}

static void theatre(const void *arg)
{
    (void)arg;
    busy = READERS + PUBLISHERS;
    for (int i = 0; i < READERS; i++) {
        PLAIN_CHECK(tr_spawn(NULL, reader, NULL, 0, NULL) == TR_OK);
    }
    for (int i = 0; i < PUBLISHERS; i++) {
        PLAIN_CHECK(tr_spawn(NULL, publisher, NULL, 0, NULL) == TR_OK);
    }
    while (busy > 0) {
        tr_sleep(5);
    }
}

PLAIN_TEST(versions_are_whole_and_in_order)
{
    pthread_t threads[OUTSIDERS];
    tr_node_opts opts = {.workers = 3};
    tr_pid pid;
    publish_one();
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    uint64_t first = tr_snapshot_number(&place);
    PLAIN_CHECK(tr_spawn(NULL, theatre, NULL, 0, &pid) == TR_OK);
    for (int i = 0; i < OUTSIDERS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, outsider, NULL) == 0);
    }
    for (int i = 0; i < OUTSIDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    tr_node_join(pid, NULL);
    PLAIN_CHECK(tr_snapshot_number(&place) == first + (uint64_t)PUBLISHERS * WRITES);
    tr_node_stop();
    tr_snapshot_clear(&place);
    /* The first version was made before the node's books began. */
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    PLAIN_CHECK(stats.bytes_freed > stats.bytes_allocated &&
                stats.bytes_freed - stats.bytes_allocated < 1024);
}
