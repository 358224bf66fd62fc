/* What survives: kill -9 of a busy process at any moment, and power cuts that lose what was not synced. */
#include "server/store/store.h"
#include "tests/server/fault_vfs.h"
#include "tests/server/store_kv.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITERS 16
#define KILLS   25
#define CUTS    60

static char dir[256];

static void setup(void)
{
    snprintf(dir, sizeof dir, "%s", kv_dir_make());
}

static void teardown(void)
{
    kv_dir_remove(dir);
}

TestSuite(store_crash, .init = setup, .fini = teardown);

/* Each writer raises the version of its own key for ever; every answer goes to the observer. */
struct ack {
    int32_t writer;
    int32_t status;
    int64_t version;
};

static struct store *store;
static struct kv_put writers[WRITERS];
static void (*observe)(const struct ack *ack);

static void tell_and_go_on(struct store_write *write, enum store_status status)
{
    struct kv_put *put = (struct kv_put *)write;
    struct ack ack = {(int32_t)(put - writers), (int32_t)status, put->version};
    observe(&ack);
    store_submit(store, write); /* refused when the store closes */
}

static void start_writers(const struct store_options *options)
{
    store = kv_open(dir, options);
    for (int i = 0; i < WRITERS; i++) {
        char key[16];
        snprintf(key, sizeof key, "w%d", i);
        kv_put_init(&writers[i], key, "v");
        writers[i].write.done = tell_and_go_on;
        kv_put_start(store, &writers[i]);
    }
}

static int64_t version_of(struct store *from, int writer)
{
    struct store_reader *reader = NULL;
    char key[16];
    int64_t version = 0;
    bool found = false;
    snprintf(key, sizeof key, "w%d", writer);
    cr_assert_eq(store_reader_open(from, 60000, &reader, NULL), STORE_OK);
    cr_assert_eq(store_reader_int(reader, "SELECT version FROM kv WHERE key = ?1",
                                  STORE_VALUES(store_text(key)), &version, &found),
                 STORE_OK);
    store_reader_close(reader);
    return version;
}

/* Every acknowledged version is there; at most the one write under way was committed without an answer. */
static void expect_survivors(const char *path, const int64_t acknowledged[WRITERS])
{
    struct store_options options = {.quick_check = true};
    struct store *survivor = kv_open(path, &options);
    cr_assert(kv_is_consistent(survivor));
    for (int i = 0; i < WRITERS; i++) {
        int64_t version = version_of(survivor, i);
        cr_assert(version == acknowledged[i] || version == acknowledged[i] + 1,
                  "writer %d: version %ld, acknowledged %ld", i, (long)version, (long)acknowledged[i]);
    }
    cr_assert_eq(store_close(survivor), STORE_OK);
}

static int ack_pipe[2];

static void send_ack(const struct ack *ack)
{
    ssize_t wrote = write(ack_pipe[1], ack, sizeof *ack); /* below PIPE_BUF: whole or not at all */
    if (wrote != (ssize_t)sizeof *ack) {
        _exit(1);
    }
}

static void take_ack(const struct ack *ack, int64_t acknowledged[WRITERS])
{
    cr_assert_eq(ack->status, STORE_OK);
    acknowledged[ack->writer] = ack->version;
}

/* Runs a child, kills it after `kill_after` answers, and takes in what it still had said. */
static void run_and_kill(int kill_after, int64_t acknowledged[WRITERS])
{
    struct ack ack;
    cr_assert_eq(pipe(ack_pipe), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store_options options = {.wal_checkpoint_bytes = 100000, .idle_checkpoint_ms = 1};
        observe = send_ack;
        close(ack_pipe[0]);
        start_writers(&options);
        for (;;) {
            pause();
        }
    }
    close(ack_pipe[1]);
    for (int i = 0; i < kill_after; i++) {
        cr_assert_eq(read(ack_pipe[0], &ack, sizeof ack), (ssize_t)sizeof ack);
        take_ack(&ack, acknowledged);
    }
    kill(child, SIGKILL);
    while (read(ack_pipe[0], &ack, sizeof ack) == (ssize_t)sizeof ack) {
        take_ack(&ack, acknowledged);
    }
    close(ack_pipe[0]);
    waitpid(child, NULL, 0);
}

Test(store_crash, acknowledged_writes_survive_kill_9)
{
    unsigned seed = 20231117;
    int64_t acknowledged[WRITERS] = {0};
    for (int round = 0; round < KILLS; round++) {
        run_and_kill(rand_r(&seed) % 500, acknowledged);
        expect_survivors(dir, acknowledged);
        struct store *again = kv_open(dir, NULL);
        for (int i = 0; i < WRITERS; i++) {
            acknowledged[i] = version_of(again, i);
        }
        cr_assert_eq(store_close(again), STORE_OK);
    }
}

Test(store_crash, open_tells_what_it_restored)
{
    int64_t acknowledged[WRITERS] = {0};
    struct store_recovery recovery;
    run_and_kill(40, acknowledged);
    struct store *again = kv_open(dir, NULL);
    store_recovery_of(again, &recovery);
    cr_assert(recovery.unclean);
    cr_assert(!recovery.created);
    cr_assert_gt(recovery.wal_bytes, 0);
    cr_assert_gt(recovery.frames_restored, 0);
    cr_assert_eq(store_close(again), STORE_OK);
}

/* The power cut happens inside a done callback: everything answered so far must be in the image. */
static struct {
    int64_t acknowledged[WRITERS];
    int64_t at_cut[CUTS][WRITERS];
    _Atomic int cuts;
    int answers;
    unsigned seed;
} power;

static void cut_now_and_then(const struct ack *ack)
{
    if (ack->status != STORE_OK) {
        return;
    }
    power.acknowledged[ack->writer] = ack->version;
    int cut = power.cuts;
    if (++power.answers % 23 != 0 || cut == CUTS) {
        return;
    }
    char path[300];
    snprintf(path, sizeof path, "%s/cut%d", dir, cut);
    if (mkdir(path, 0700) != 0) {
        abort();
    }
    fault_vfs_power_cut(path, (uint64_t)rand_r(&power.seed));
    memcpy(power.at_cut[cut], power.acknowledged, sizeof power.acknowledged);
    power.cuts = cut + 1;
}

Test(store_crash, acknowledged_writes_survive_power_cuts)
{
    struct store_options options = {.vfs = "fault", .wal_checkpoint_bytes = 100000, .idle_checkpoint_ms = 1};
    power.seed = 4711;
    observe = cut_now_and_then;
    fault_vfs_record();
    start_writers(&options);
    while (power.cuts < CUTS) {
        store_quiesce(store);
    }
    store_close(store);
    for (int cut = 0; cut < CUTS; cut++) {
        char path[300];
        snprintf(path, sizeof path, "%s/cut%d", dir, cut);
        expect_survivors(path, power.at_cut[cut]);
    }
}
