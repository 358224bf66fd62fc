/* Opening: whose directory, whose database, which version, what the last owner left. */
#include "server/store/store.h"
#include "tests/server/store_kv.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[256];
static char path[300];
static struct store *store;
static struct store_error error;

static void setup(void)
{
    snprintf(dir, sizeof dir, "%s", kv_dir_make());
    snprintf(path, sizeof path, "%s/data", dir);
}

static void teardown(void)
{
    kv_dir_remove(dir);
}

TestSuite(store_open, .init = setup, .fini = teardown);

static enum store_status open_with(const struct store_schema *schemas, size_t count)
{
    struct store_options options = {.schemas = schemas, .schema_count = count, .quick_check = true};
    return store_open(path, &options, &store, &error);
}

static void close_it(void)
{
    cr_assert_eq(store_close(store), STORE_OK);
    store = NULL;
}

/* Changes the database behind the store's back. */
static void tamper(const char *sql)
{
    char name[400];
    sqlite3 *db = NULL;
    snprintf(name, sizeof name, "%s/troupe.db", path);
    cr_assert_eq(sqlite3_open(name, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

static int mode_of(const char *name)
{
    char full[400];
    struct stat info;
    snprintf(full, sizeof full, "%s/%s", path, name);
    cr_assert_eq(stat(full, &info), 0);
    return (int)(info.st_mode & 0777);
}

Test(store_open, makes_the_directory_for_its_owner_only)
{
    umask(0);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK, "%s", error.text);
    cr_assert_eq(mode_of("."), 0700);
    cr_assert_eq(mode_of("troupe.db"), 0600);
    cr_assert_eq(mode_of("troupe.db-wal"), 0600);
    struct store_recovery recovery;
    store_recovery_of(store, &recovery);
    cr_assert(recovery.created);
    cr_assert(!recovery.unclean);
    cr_assert_eq(recovery.migrations_run, 2, "the store's own and that of kv");
    close_it();
}

Test(store_open, clean_close_leaves_no_wal)
{
    char wal[400];
    snprintf(wal, sizeof wal, "%s/troupe.db-wal", path);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK);
    cr_assert_eq(kv_set(store, "a", "1"), STORE_OK);
    cr_assert_eq(access(wal, F_OK), 0);
    close_it();
    cr_assert_neq(access(wal, F_OK), 0);
}

Test(store_open, second_owner_is_refused_with_the_pid_of_the_first)
{
    char pid[24];
    struct store *second = NULL;
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK);
    struct store_options options = {0};
    cr_assert_eq(store_open(path, &options, &second, &error), STORE_LOCKED);
    cr_assert_eq(error.status, STORE_LOCKED);
    cr_assert_not_null(strstr(error.text, pid), "%s", error.text);
    cr_assert_null(second);
    close_it();
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK, "free again");
    close_it();
}

Test(store_open, lock_of_another_process_counts_and_dies_with_it)
{
    int ready[2];
    char byte = 0;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        enum store_status status = open_with(&kv_schema, 1);
        byte = status == STORE_OK ? 'y' : 'n';
        ssize_t wrote = write(ready[1], &byte, 1);
        (void)wrote;
        pause();
        _exit(0);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert_eq(byte, 'y');
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)child);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_LOCKED);
    cr_assert_not_null(strstr(error.text, pid), "%s", error.text);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK, "%s", error.text);
    close_it();
}

Test(store_open, directory_that_is_a_file_is_refused)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_IO);
    cr_assert_not_null(strstr(error.text, path));
}

Test(store_open, newer_format_is_refused_and_left_alone)
{
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK);
    close_it();
    tamper("PRAGMA user_version = 99");
    cr_assert_eq(open_with(&kv_schema, 1), STORE_NEWER);
    cr_assert_not_null(strstr(error.text, "99"), "%s", error.text);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_NEWER, "also the next time, and the lock is free");
}

Test(store_open, newer_tables_are_refused)
{
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK);
    close_it();
    tamper("UPDATE store_schemas SET version = 7 WHERE name = 'kv'");
    cr_assert_eq(open_with(&kv_schema, 1), STORE_NEWER);
    cr_assert_not_null(strstr(error.text, "'kv'"), "%s", error.text);
}

Test(store_open, database_of_another_program_is_refused)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    tamper("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
    cr_assert_eq(open_with(&kv_schema, 1), STORE_FOREIGN);
    tamper("PRAGMA application_id = 12345");
    cr_assert_eq(open_with(&kv_schema, 1), STORE_FOREIGN);
    tamper("INSERT INTO theirs VALUES(2)");
}

Test(store_open, file_that_is_no_database_is_refused)
{
    char name[400];
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(name, sizeof name, "%s/troupe.db", path);
    FILE *file = fopen(name, "w");
    for (int i = 0; i < 1000; i++) {
        fprintf(file, "this is no database at all\n");
    }
    fclose(file);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_CORRUPT);
}

Test(store_open, damaged_page_is_found_by_the_quick_check)
{
    char name[400];
    unsigned char junk[2048];
    memset(junk, 0xa5, sizeof junk);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK);
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        cr_assert_eq(kv_set(store, key, "some value that takes a few bytes of room"), STORE_OK);
    }
    close_it();
    snprintf(name, sizeof name, "%s/troupe.db", path);
    int fd = open(name, O_WRONLY);
    struct stat info;
    cr_assert_eq(fstat(fd, &info), 0);
    for (off_t page = 3; page < info.st_size / 4096; page++) {
        cr_assert_eq(pwrite(fd, junk, sizeof junk, page * 4096), (ssize_t)sizeof junk);
    }
    close(fd);
    cr_assert_eq(open_with(&kv_schema, 1), STORE_CORRUPT);
}

static const char *const steps[] = {
    "CREATE TABLE steps_a(x INTEGER) STRICT; INSERT INTO steps_a VALUES(1);",
    "ALTER TABLE steps_a ADD COLUMN y INTEGER; UPDATE steps_a SET y = x + 1;",
    "CREATE TABLE steps_b AS SELECT x + y AS z FROM steps_a;",
};

static int64_t read_one(const char *sql)
{
    struct store_reader *reader = NULL;
    int64_t value = -1;
    bool found = false;
    cr_assert_eq(store_reader_open(store, 0, &reader, NULL), STORE_OK);
    cr_assert_eq(store_reader_int(reader, sql, STORE_NO_VALUES, &value, &found), STORE_OK, "%s",
                 store_reader_error_text(reader));
    store_reader_close(reader);
    return value;
}

Test(store_open, older_tables_are_brought_up_to_date_step_by_step)
{
    struct store_schema schema = {.name = "steps", .version = 1, .migrations = steps};
    struct store_recovery recovery;
    cr_assert_eq(open_with(&schema, 1), STORE_OK);
    close_it();
    schema.version = 3;
    cr_assert_eq(open_with(&schema, 1), STORE_OK, "%s", error.text);
    store_recovery_of(store, &recovery);
    cr_assert(!recovery.created);
    cr_assert_eq(recovery.migrations_run, 2);
    cr_assert_eq(read_one("SELECT z FROM steps_b"), 3);
    close_it();
    cr_assert_eq(open_with(&schema, 1), STORE_OK);
    store_recovery_of(store, &recovery);
    cr_assert_eq(recovery.migrations_run, 0);
    close_it();
}

Test(store_open, failing_migration_takes_back_those_before_it)
{
    static const char *const bad[] = {"CREATE TABLE bad_a(x);", "CREATE TABLE bad_a(x);"};
    struct store_schema schemas[2] = {{.name = "steps", .version = 3, .migrations = steps},
                                      {.name = "bad", .version = 2, .migrations = bad}};
    cr_assert_eq(open_with(schemas, 2), STORE_BAD);
    cr_assert_eq(open_with(schemas, 1), STORE_OK, "%s", error.text);
    cr_assert_eq(read_one("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'bad%'"), 0);
    struct store_recovery recovery;
    store_recovery_of(store, &recovery);
    cr_assert_eq(recovery.migrations_run, 4, "nothing of the first attempt is left");
    close_it();
}

Test(store_open, migration_cannot_leave_the_transaction)
{
    static const char *const bad[] = {"CREATE TABLE bad_a(x); COMMIT; CREATE TABLE bad_b(x);"};
    struct store_schema schema = {.name = "bad", .version = 1, .migrations = bad};
    cr_assert_eq(open_with(&schema, 1), STORE_BAD);
    cr_assert_eq(open_with(NULL, 0), STORE_OK);
    cr_assert_eq(read_one("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'bad%'"), 0);
    close_it();
}

Test(store_open, schema_may_not_take_the_name_of_the_store)
{
    static const char *const any[] = {"CREATE TABLE x(x);"};
    struct store_schema schema = {.name = "store", .version = 1, .migrations = any};
    cr_assert_eq(open_with(&schema, 1), STORE_BAD);
}

Test(store_open, tables_of_a_schema_that_is_not_listed_are_left_alone)
{
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK);
    cr_assert_eq(kv_set(store, "a", "1"), STORE_OK);
    close_it();
    cr_assert_eq(open_with(NULL, 0), STORE_OK);
    close_it();
    cr_assert_eq(open_with(&kv_schema, 1), STORE_OK);
    cr_assert_str_eq(kv_get(store, "a"), "1");
    close_it();
}
