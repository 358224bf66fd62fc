/* Durable writes per second: group commit against groups of one, on the same disk, in one run.
 *
 *     bench_store [DIRECTORY] [ROUNDS] [SECONDS_PER_ROUND]
 *
 * N writers each have one write under way and submit the next when the last was answered (from another
 * thread than
 * the commit thread, as actors would). A write inserts one row of 200 bytes into a table with one index, as
 * an
 * event of a payment does. Rounds alternate between the two ways, so that a disk that changes its mood
 * hits both. Prints one JSON line for each number of writers: medians over the rounds, and of the ratios of
 * neighbouring rounds the median, the lowest and the highest: where these are far apart, the disk was not
 * quiet.
 */
#include "server/store/store.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITERS_MAX   256
#define ROUNDS_MAX    51
#define PAYLOAD_BYTES 200

static const char *const migrations[] = {
    "CREATE TABLE bench_event(seq INTEGER PRIMARY KEY, entity TEXT NOT NULL, version INTEGER NOT NULL,"
    " body TEXT) STRICT;"
    "CREATE UNIQUE INDEX bench_event_by_entity ON bench_event(entity, version);",
};
static const struct store_schema schema = {.name = "bench", .version = 1, .migrations = migrations};

struct bench;

struct writer {
    struct store_write write;
    struct bench *bench;
    struct writer *next;
    char entity[64];
    int64_t version;
};

struct bench {
    struct store *store;
    struct writer *_Atomic answered;
    sem_t wake;
    _Atomic bool stop;
    _Atomic uint64_t done;
    _Atomic uint64_t failed;
    struct writer writers[WRITERS_MAX];
    char body[PAYLOAD_BYTES];
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum store_status apply(struct store_tx *tx, void *arg)
{
    struct writer *writer = arg;
    return store_tx_run(tx, "INSERT INTO bench_event(entity, version, body) VALUES(?1, ?2, ?3)",
                        STORE_VALUES(store_text(writer->entity), store_int(writer->version),
                                     store_text_n(writer->bench->body, PAYLOAD_BYTES)));
}

/* On the commit thread: hands the writer over to the driver, which lets it go on. */
static void done(struct store_write *write, enum store_status status)
{
    struct writer *writer = (struct writer *)write;
    struct bench *bench = writer->bench;
    atomic_fetch_add_explicit(status == STORE_OK ? &bench->done : &bench->failed, 1, memory_order_relaxed);
    struct writer *head = atomic_load_explicit(&bench->answered, memory_order_relaxed);
    do {
        writer->next = head;
    } while (!atomic_compare_exchange_weak(&bench->answered, &head, writer));
    if (head == NULL) {
        sem_post(&bench->wake);
    }
}

static void *drive(void *arg)
{
    struct bench *bench = arg;
    while (!atomic_load(&bench->stop)) {
        struct writer *writer = atomic_exchange(&bench->answered, NULL);
        if (writer == NULL) {
            sem_wait(&bench->wake);
        }
        while (writer != NULL) {
            struct writer *next = writer->next;
            writer->version++;
            store_submit(bench->store, &writer->write);
            writer = next;
        }
    }
    return NULL;
}

struct round_result {
    double per_second;
    double wait_us;
    double group_size;
};

static struct round_result measure(const char *path, int writers, uint32_t group_writes_max, double seconds)
{
    static struct bench bench;
    static int64_t generation;
    struct store_options options = {
        .schemas = &schema, .schema_count = 1, .group_writes_max = group_writes_max};
    struct store_error error;
    pthread_t driver;
    memset(&bench, 0, sizeof bench);
    memset(bench.body, 'x', sizeof bench.body);
    if (store_open(path, &options, &bench.store, &error) != STORE_OK) {
        fprintf(stderr, "%s\n", error.text);
        exit(74);
    }
    sem_init(&bench.wake, 0, 0);
    generation++;
    pthread_create(&driver, NULL, drive, &bench);
    for (int i = 0; i < writers; i++) {
        struct writer *writer = &bench.writers[i];
        *writer = (struct writer){.write = {.apply = apply, .done = done, .arg = writer}, .bench = &bench};
        snprintf(writer->entity, sizeof writer->entity, "pay_%lld_%ld_%lld_%d", (long long)time(NULL),
                 (long)getpid(), (long long)generation,
                 i); /* new ones in every round and run: the directory may be an old one */
        store_submit(bench.store, &writer->write);
    }
    usleep(100000); /* warm up */
    struct store_stats before;
    struct store_stats after;
    store_stats_read(bench.store, &before);
    double begin = now_s();
    usleep((useconds_t)(seconds * 1e6));
    store_stats_read(bench.store, &after);
    double took = now_s() - begin;
    atomic_store(&bench.stop, true);
    sem_post(&bench.wake);
    pthread_join(driver, NULL);
    store_close(bench.store);
    sem_destroy(&bench.wake);
    if (atomic_load(&bench.failed) != 0) {
        fprintf(stderr, "%llu writes failed\n", (unsigned long long)atomic_load(&bench.failed));
        exit(74);
    }
    double writes = (double)(after.writes_ok - before.writes_ok);
    return (struct round_result){.per_second = writes / took,
                                 .wait_us = (double)(after.wait_us_sum - before.wait_us_sum) / writes,
                                 .group_size = writes / (double)(after.commits - before.commits)};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static void bench_writers(const char *path, int writers, int rounds, double seconds)
{
    double grouped[ROUNDS_MAX], single[ROUNDS_MAX], grouped_us[ROUNDS_MAX], single_us[ROUNDS_MAX];
    double ratio[ROUNDS_MAX], size[ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        struct round_result with = measure(path, writers, 0, seconds);
        struct round_result without = measure(path, writers, 1, seconds);
        grouped[i] = with.per_second;
        grouped_us[i] = with.wait_us;
        single[i] = without.per_second;
        single_us[i] = without.wait_us;
        ratio[i] = with.per_second / without.per_second;
        size[i] = with.group_size;
    }
    printf("{\"bench\":\"store\",\"writers\":%d,\"rounds\":%d,\"grouped_per_s\":%.0f,\"single_per_s\":%.0f,"
           "\"group_size\":%.1f,\"grouped_mean_us\":%.0f,\"single_mean_us\":%.0f,\"ratio\":%.2f",
           writers, rounds, median(grouped, rounds), median(single, rounds), median(size, rounds),
           median(grouped_us, rounds), median(single_us, rounds), median(ratio, rounds));
    printf(",\"ratio_min\":%.2f,\"ratio_max\":%.2f}\n", ratio[0], ratio[rounds - 1]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "bench_store.data";
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    double seconds = argc > 3 ? atof(argv[3]) : 1.0;
    static const int writers[] = {1, 8, 64, 256};
    if (rounds < 1 || rounds > ROUNDS_MAX || seconds <= 0) {
        fprintf(stderr, "usage: bench_store [DIRECTORY] [ROUNDS 1..%d] [SECONDS_PER_ROUND]\n", ROUNDS_MAX);
        return 64;
    }
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        bench_writers(path, writers[i], rounds, seconds);
    }
    return 0;
}
