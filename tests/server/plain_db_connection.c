/* The pool of reading connections on real workers: many readers, workers killed and connections lost under way. */
#include "server/store/db_connection.h"

#include "tests/server/store_kv.h"
#include "tests/support/plain.h"

#include <troupe/troupe.h>

enum { WORKERS = 3, READERS = 16, READS = 1500 / PLAIN_SLOWER, LOSSES = 40 / PLAIN_SLOWER };

static struct scene {
    const char *directory;
    struct store *store;
    _Atomic int good, wrong, over;
} scene;

static tr_err root_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec *specs = tr_scratch_alloc(sizeof(*specs));
    specs[0] = db_connections_child_spec(scene.store);
    *flags = (tr_sup_flags){.intensity = 1000000, .period_s = 1};
    *children = specs;
    *count = 1;
    return TR_OK;
}

static void log_nothing(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static tr_pid tree_start(void)
{
    static const tr_supervisor root = {.name = "root", .init = root_init};
    tr_started started;
    TR_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &started) == TR_OK);
    return started.pid;
}

static void tree_stop(tr_pid root)
{
    tr_unlink(tr_to(root));
    PLAIN_CHECK(tr_gen_server_stop(tr_to(root), TR_ATOM(SHUTDOWN), 60000, NULL) == TR_OK);
}

/* Runs fn in a process of a node that has a store with the key `a`. */
static void run(tr_main_fn fn)
{
    tr_pid pid;
    tr_node_opts opts = {.workers = WORKERS, .report = log_nothing};
    scene.directory = kv_dir_make();
    scene.store = kv_open(scene.directory, NULL);
    PLAIN_CHECK(kv_set(scene.store, "a", "alpha") == STORE_OK);
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, fn, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    tr_node_stop();
    db_connections_teardown();
    PLAIN_CHECK(store_close(scene.store) == STORE_OK); /* no reader is open any more */
    kv_dir_remove(scene.directory);
}

/* ---- what is read ---- */

static int length_of(void *arg, const struct store_row *row)
{
    size_t length = 0;
    const char *text = store_row_text(row, 0, &length);
    store_rows_add(arg, text, length);
    return 0;
}

static enum store_status read_value(struct store_reader *reader, const void *arg, void *result,
                                    struct store_rows *rows)
{
    bool found = false;
    enum store_status status = store_reader_query(reader, "SELECT value FROM kv WHERE key = ?1",
                                                  STORE_VALUES(store_text(arg)), length_of, rows);
    return result == NULL || status != STORE_OK
               ? status
               : store_reader_int(reader, "SELECT count(*) FROM kv", STORE_NO_VALUES, result, &found);
}

static bool reads_alpha(void)
{
    struct store_found found = {0};
    struct store_read read = {.fn = read_value, .arg = "a", .arg_bytes = 2, .timeout_ms = 30000};
    bool is_alpha = store_read_rows(&read, &found) == STORE_OK && found.count == 5 &&
                    memcmp(found.bytes, "alpha", 5) == 0;
    if (found.reply != NULL) {
        tr_msg_drop(found.reply);
    }
    return is_alpha;
}

/* ---- tests ---- */

static void basics(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    int64_t count = 0;
    PLAIN_CHECK(reads_alpha());
    PLAIN_CHECK(store_read(read_value, "none", 5, &count, sizeof(count), 30000) == STORE_OK);
    PLAIN_CHECK(count == 1);
    for (int i = 1; i <= DB_CONNECTIONS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "db_connection.%d", i);
        PLAIN_CHECK(tr_whereis(tr_to_name(tr_atom(name))) != TR_NO_PID);
        PLAIN_CHECK(tr_whereis(tr_to_via(tr_registry_find("db_connections"),
                                         tr_tuple(tr_atom("db_connection"), tr_int(i)))) != TR_NO_PID);
    }
    tree_stop(root);
    PLAIN_CHECK(store_read(read_value, "a", 2, NULL, 0, 1000) == STORE_BUSY);
}

PLAIN_TEST(ten_named_workers_read)
{
    run(basics);
}

static void reader(const void *arg)
{
    (void)arg;
    for (int i = 0; i < READS; i++) {
        _Atomic int *count = reads_alpha() ? &scene.good : &scene.wrong;
        (*count)++;
    }
    scene.over++;
}

/* Ends workers in turn: one loses its connection, the next is killed. */
static void lose(int round)
{
    tr_term key = tr_tuple(tr_atom("db_connection"), tr_int(round % DB_CONNECTIONS + 1));
    tr_pid worker = tr_whereis(tr_to_via(tr_registry_find("db_connections"), key));
    if (round % 2 == 0) {
        (void)TR_SEND(worker, db_connection_lost);
    } else {
        tr_exit_signal(tr_to(worker), TR_ATOM(KILL));
    }
    tr_sleep(2);
}

static void crowd(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    scene.good = scene.wrong = scene.over = 0;
    for (int i = 0; i < READERS; i++) {
        TR_CHECK(tr_spawn(NULL, reader, NULL, 0, NULL) == TR_OK);
    }
    for (int i = 0; i < LOSSES; i++) {
        lose(i);
    }
    while (scene.over < READERS) {
        tr_sleep(5);
    }
    PLAIN_CHECK(scene.good == READERS * READS);
    PLAIN_CHECK(scene.wrong == 0);
    tree_stop(root);
}

PLAIN_TEST(readers_do_not_notice_lost_connections)
{
    run(crowd);
}

static enum store_status read_slowly(struct store_reader *reader, const void *arg, void *result,
                                     struct store_rows *rows)
{
    (void)arg;
    (void)result;
    (void)rows;
    int64_t number = 0;
    bool found = false;
    return store_reader_int(
        reader, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        STORE_NO_VALUES, &number, &found);
}

static void endless_reader(const void *arg)
{
    (void)arg;
    (void)store_read(read_slowly, NULL, 0, NULL, 0, 60000);
}

static void killed_readers(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    for (int i = 0; i < 5; i++) {
        tr_pid pid;
        TR_CHECK(tr_spawn(NULL, endless_reader, NULL, 0, &pid) == TR_OK);
        tr_sleep(5);
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    }
    PLAIN_CHECK(reads_alpha()); /* five connections are busy until their limit, the others are not */
    tree_stop(root);
}

PLAIN_TEST(a_killed_reader_leaves_its_connection_whole)
{
    run(killed_readers);
}
