/* The configuration's agent on real workers: readers of the image and watchers beside writers. */
#include "api/config/cache.h"
#include "api/config/changes.h"
#include "api/config/config.h"
#include "server/log.h"
#include "server/store/store_writer.h"
#include "tests/support/plain.h"

#include <ftw.h>

enum { WORKERS = 3, READERS = 64, WRITERS = 4, PAIR = 2, PATIENCE_MS = 60000, RUN_MS = 1000, POLL_MS = 1 };

static struct {
    char directory[256];
    struct store *store;
    struct settings settings;
} stage = {.settings = {.max_config_keys = 1000,
                        .max_config_key_bytes = 256,
                        .max_config_value_bytes = 16384,
                        .max_config_history = 1000,
                        .max_config_watchers = 100}};

static _Atomic bool over;
static _Atomic int readers_done, writers_done;
static _Atomic uint64_t reads, writes, seen;

/* How long, in milliseconds; TROUPE_CONFIG_TEST_MS makes it longer. */
static int64_t run_ms(void)
{
    const char *asked = getenv("TROUPE_CONFIG_TEST_MS");
    return asked == NULL ? RUN_MS : atoll(asked);
}

/* ---- the stage ---- */

static void stage_open(void)
{
    const char *top = getenv("TMPDIR");
    char why[200] = "";
    size_t count = 0;
    struct store_error error;
    const struct store_schema *schemas = config_schemas(&count);
    struct store_options options = {.schemas = schemas, .schema_count = count};
    snprintf(stage.directory, sizeof(stage.directory), "%s/config-test-XXXXXX", top == NULL ? "/tmp" : top);
    TR_CHECK(mkdtemp(stage.directory) != NULL);
    TR_CHECK(store_open(stage.directory, &options, &stage.store, &error) == STORE_OK);
    TR_CHECK(config_setup(&stage.settings, why, sizeof(why)));
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static void stage_close(void)
{
    config_teardown();
    TR_CHECK(store_close(stage.store) == STORE_OK);
    nftw(stage.directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static tr_err root_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec *specs = tr_scratch_alloc(2 * sizeof(*specs));
    specs[0] = store_writer_child_spec(stage.store);
    specs[1] = config_child_spec();
    *flags = (tr_sup_flags){.intensity = 1000000, .period_s = 1};
    *children = specs;
    *count = 2;
    return TR_OK;
}

/* ---- writers: each changes its two keys at once, always to the same value ---- */

struct writer_arg {
    int index;
};

static void write_pair(int index, uint64_t value)
{
    char key[PAIR][16];
    char text[24];
    size_t bytes = 0;
    size_t text_bytes = (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    for (int i = 0; i < PAIR; i++) {
        snprintf(key[i], sizeof(key[i]), "%c%d", "ab"[i], index);
        bytes += config_op_bytes(text_of(key[i]), (struct text){text, text_bytes});
    }
    char *ops = tr_alloc(bytes);
    char *at = ops;
    for (int i = 0; i < PAIR; i++) {
        config_op_write((config_op *)(void *)at, CONFIG_PUT, text_of(key[i]), (struct text){text, text_bytes},
                        CONFIG_PLAIN, CONFIG_ANY_VERSION);
        at += ((config_op *)(void *)at)->bytes;
    }
    config_change change = {.ops = tr_string_n(ops, bytes)};
    config_changed changed;
    PLAIN_CHECK(config_cache_change(&change, PATIENCE_MS, &changed) == TR_OK &&
                changed.outcome == CONFIG_DONE);
    const config_view *view = TR_SNAPSHOT_GET(&config_now, config_view);
    PLAIN_CHECK(view != NULL && view->revision >= changed.revision); /* who was told of it reads it */
    tr_snapshot_release(view);
    tr_free(ops);
}

static void writer(const void *arg)
{
    int index = ((const struct writer_arg *)arg)->index;
    for (uint64_t value = 1; !atomic_load(&over); value++) {
        tr_scratch_mark mark = tr_scratch();
        write_pair(index, value);
        tr_scratch_release(mark);
        atomic_fetch_add(&writes, 1);
    }
    atomic_fetch_add(&writers_done, 1);
}

/* ---- readers ---- */

static bool is_whole(const config_image *image)
{
    bool whole = true;
    for (int i = 0; i < WRITERS; i++) {
        char one[16];
        char other[16];
        snprintf(one, sizeof(one), "a%d", i);
        snprintf(other, sizeof(other), "b%d", i);
        const config_row *a = config_image_find(image, text_of(one));
        const config_row *b = config_image_find(image, text_of(other));
        whole = whole && (a == NULL) == (b == NULL);
        if (a != NULL && b != NULL) {
            config_parts left = config_row_parts(a);
            config_parts right = config_row_parts(b);
            whole = whole && left.revision == right.revision && text_equal(left.override, right.override);
        }
    }
    return whole;
}

/* Half of the readers also watch: every revision comes once, in its order. */
static void watch_on(uint64_t *since, uint64_t until)
{
    config_revision *revision;
    enum config_after after;
    while ((after = config_changes_after(*since, until, &revision)) == CONFIG_AFTER_FOUND) {
        PLAIN_CHECK(revision->revision == *since + 1);
        PLAIN_CHECK(revision->count == (revision->revision == 1 ? 3 : PAIR));
        *since = revision->revision;
        config_revision_drop(revision);
        atomic_fetch_add(&seen, 1);
    }
    PLAIN_CHECK(after == CONFIG_AFTER_NONE || after == CONFIG_AFTER_COMPACTED);
    *since = after == CONFIG_AFTER_COMPACTED ? until : *since;
}

static void reader(const void *arg)
{
    bool watches = ((const struct writer_arg *)arg)->index % 2 == 0;
    uint64_t last = 0;
    uint64_t since = 0;
    while (!atomic_load(&over)) {
        const config_view *view = TR_SNAPSHOT_GET(&config_now, config_view);
        if (PLAIN_CHECK(view != NULL)) {
            PLAIN_CHECK(view->revision >= last);
            PLAIN_CHECK(is_whole(config_view_image(view)));
            last = view->revision;
        }
        tr_snapshot_release(view);
        if (watches) {
            watch_on(&since, last);
        }
        atomic_fetch_add(&reads, 1);
        tr_sleep(POLL_MS);
    }
    PLAIN_CHECK(!watches || since == last);
    atomic_fetch_add(&readers_done, 1);
}

static void spawn_all(tr_main_fn fn, int count)
{
    for (int i = 0; i < count; i++) {
        tr_pid pid;
        TR_CHECK(tr_spawn(NULL, fn, &(struct writer_arg){i}, sizeof(struct writer_arg), &pid) == TR_OK);
    }
}

static bool all_done(void)
{
    for (int64_t end = tr_now_ms() + PATIENCE_MS; tr_now_ms() < end; tr_sleep(2)) {
        if (atomic_load(&readers_done) == READERS && atomic_load(&writers_done) == WRITERS) {
            return true;
        }
    }
    return false;
}

static void readers_and_writers(const void *arg)
{
    static const tr_supervisor root = {.name = "root", .init = root_init};
    tr_started started;
    (void)arg;
    TR_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &started) == TR_OK);
    spawn_all(writer, WRITERS);
    spawn_all(reader, READERS);
    for (int64_t end = tr_now_ms() + run_ms(); tr_now_ms() < end || atomic_load(&writes) < 10;) {
        tr_sleep(10);
    }
    atomic_store(&over, true);
    PLAIN_CHECK(all_done());
    tr_unlink(tr_to(started.pid));
    PLAIN_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), PATIENCE_MS, NULL) == TR_OK);
}

static void log_nothing(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

PLAIN_TEST(readers_see_whole_maps_that_never_go_back)
{
    tr_pid pid;
    tr_node_opts opts = {.workers = WORKERS, .report = log_nothing};
    log_set_level(LOG_ERROR + 1);
    stage_open();
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, readers_and_writers, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    tr_node_stop();
    stage_close();
    printf("%llu reads, %llu changes, %llu seen by watchers\n", (unsigned long long)atomic_load(&reads),
           (unsigned long long)atomic_load(&writes), (unsigned long long)atomic_load(&seen));
    PLAIN_CHECK(atomic_load(&reads) > READERS && atomic_load(&writes) >= 10 && atomic_load(&seen) > 0);
}
