/* Whose database is it, is it too new, and what has to be done to bring it up to date. */
#include "server/store/store_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* The store's own tables are a schema like any other; its version is also the file's user_version, so that a
 * program that knows nothing else can see that the file is too new for it. */
static const char *const own_migrations[] = {
    "CREATE TABLE store_meta(key TEXT NOT NULL PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
    "CREATE TABLE store_schemas(name TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "INSERT INTO store_meta(key, value) VALUES('created_at', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));",
};
static const struct store_schema own_schema = {.name = "store",
                                               .version = sizeof own_migrations / sizeof own_migrations[0],
                                               .migrations = own_migrations};

static enum store_status refuse(struct store_error *error, enum store_status status, const char *text)
{
    *error = (struct store_error){.status = status};
    snprintf(error->text, sizeof error->text, "%s", text);
    return status;
}

static enum store_status failed(struct store *store, struct store_error *error)
{
    *error = store->conn.last;
    return error->status;
}

static enum store_status get_int(struct store *store, const char *sql, struct store_values values,
                                 int64_t *out)
{
    bool found = false;
    *out = 0;
    return store__conn_int(&store->conn, sql, values, out, &found);
}

static enum store_status is_foreign(struct store *store, struct store_error *error)
{
    int64_t application = 0;
    int64_t tables = 0;
    if (get_int(store, "PRAGMA application_id", STORE_NO_VALUES, &application) != STORE_OK ||
        get_int(store, "SELECT count(*) FROM sqlite_schema", STORE_NO_VALUES, &tables) != STORE_OK) {
        return failed(store, error);
    }
    if (application != STORE__APPLICATION_ID && (application != 0 || tables != 0)) {
        return refuse(error, STORE_FOREIGN, "the database was not made by this program (application_id)");
    }
    /* Also after a crash between making the file and the first migration. */
    store->recovery.created = application == 0;
    return STORE_OK;
}

struct check_result {
    char first[160];
    bool ok;
};

static int take_check(void *arg, const struct store_row *row)
{
    struct check_result *result = arg;
    const char *text = store_row_text(row, 0, NULL);
    result->ok = text != NULL && strcmp(text, "ok") == 0;
    snprintf(result->first, sizeof result->first, "%s", text == NULL ? "no answer" : text);
    return 1;
}

static enum store_status quick_check(struct store *store, struct store_error *error)
{
    struct check_result result = {.ok = false};
    struct store__query query = {"PRAGMA quick_check(1)", STORE_NO_VALUES, take_check, &result};
    if (store__conn_query(&store->conn, &query) != STORE_OK) {
        return failed(store, error);
    }
    return result.ok ? STORE_OK : refuse(error, STORE_CORRUPT, result.first);
}

static int take_text(void *arg, const struct store_row *row)
{
    const char *text = store_row_text(row, 0, NULL);
    snprintf(arg, 16, "%s", text == NULL ? "" : text);
    return 1;
}

static enum store_status turn_wal_on(struct store *store, struct store_error *error)
{
    char mode[16] = "";
    struct store__query query = {"PRAGMA journal_mode=WAL", STORE_NO_VALUES, take_text, mode};
    if (store__conn_query(&store->conn, &query) != STORE_OK) {
        return failed(store, error);
    }
    return strcmp(mode, "wal") == 0 ? STORE_OK
                                    : refuse(error, STORE_IO, "this file system does not allow a WAL");
}

enum store_status store__format_check(struct store *store, struct store_error *error)
{
    enum store_status status = is_foreign(store, error);
    if (status != STORE_OK) {
        return status;
    }
    int64_t format = 0;
    if (get_int(store, "PRAGMA user_version", STORE_NO_VALUES, &format) != STORE_OK) {
        return failed(store, error);
    }
    if (format > (int64_t)own_schema.version) {
        status = refuse(error, STORE_NEWER, "");
        snprintf(error->text, sizeof error->text,
                 "the data directory has format %" PRId64 ", this program knows up to %" PRIu32, format,
                 own_schema.version);
        return status;
    }
    if (store->options.quick_check) {
        status = quick_check(store, error);
    }
    return status == STORE_OK ? turn_wal_on(store, error) : status;
}

static enum store_status version_of(struct store *store, const struct store_schema *schema, int64_t *version)
{
    int64_t tables = 0;
    enum store_status status = get_int(
        store, "SELECT count(*) FROM sqlite_schema WHERE name = 'store_schemas'", STORE_NO_VALUES, &tables);
    *version = 0;
    if (status != STORE_OK || tables == 0) {
        return status;
    }
    return get_int(store, "SELECT version FROM store_schemas WHERE name = ?1",
                   STORE_VALUES(store_text(schema->name)), version);
}

static enum store_status migrate_one(struct store *store, const struct store_schema *schema,
                                     struct store_error *error)
{
    int64_t version = 0;
    if (version_of(store, schema, &version) != STORE_OK) {
        return failed(store, error);
    }
    if (version > (int64_t)schema->version) {
        enum store_status status = refuse(error, STORE_NEWER, "");
        snprintf(error->text, sizeof error->text,
                 "the tables of '%s' have version %" PRId64 ", this program knows up to %" PRIu32,
                 schema->name, version, schema->version);
        return status;
    }
    if (version == (int64_t)schema->version) {
        return STORE_OK;
    }
    for (; version < (int64_t)schema->version; version++) {
        store->conn.mode = STORE__MODE_MIGRATION;
        enum store_status status = store__conn_script(&store->conn, schema->migrations[version]);
        store->conn.mode = STORE__MODE_OWN;
        if (status == STORE_OK && sqlite3_get_autocommit(store->conn.db)) {
            return refuse(error, STORE_BAD, "a migration ended the transaction");
        }
        if (status != STORE_OK) {
            return failed(store, error);
        }
        store->recovery.migrations_run++;
    }
    struct store__query note = {"INSERT INTO store_schemas(name, version) VALUES(?1, ?2) "
                                "ON CONFLICT(name) DO UPDATE SET version = excluded.version",
                                STORE_VALUES(store_text(schema->name), store_int(version)), NULL, NULL};
    return store__conn_query(&store->conn, &note) == STORE_OK ? STORE_OK : failed(store, error);
}

static enum store_status stamp(struct store *store, struct store_error *error)
{
    char pragmas[128];
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %" PRIu32 ";",
             STORE__APPLICATION_ID, own_schema.version);
    enum store_status status = store__conn_script(&store->conn, pragmas);
    if (status == STORE_OK) {
        struct store__query query = {"INSERT INTO store_meta(key, value) VALUES('format', ?1) "
                                     "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                     STORE_VALUES(store_int(own_schema.version)), NULL, NULL};
        status = store__conn_query(&store->conn, &query);
    }
    return status == STORE_OK ? STORE_OK : failed(store, error);
}

static enum store_status migrate_all(struct store *store, struct store_error *error)
{
    enum store_status status = migrate_one(store, &own_schema, error);
    if (status == STORE_OK && store->recovery.migrations_run != 0) {
        status = stamp(store, error);
    }
    for (size_t i = 0; i < store->options.schema_count && status == STORE_OK; i++) {
        const struct store_schema *schema = &store->options.schemas[i];
        status = strcmp(schema->name, own_schema.name) == 0
                     ? refuse(error, STORE_BAD, "a schema may not be named 'store'")
                     : migrate_one(store, schema, error);
    }
    return status;
}

enum store_status store__format_migrate(struct store *store, struct store_error *error)
{
    if (store__conn_script(&store->conn, "BEGIN IMMEDIATE") != STORE_OK) {
        return failed(store, error);
    }
    enum store_status status = migrate_all(store, error);
    if (status == STORE_OK && store__conn_script(&store->conn, "COMMIT") != STORE_OK) {
        status = failed(store, error);
    }
    if (status != STORE_OK && !sqlite3_get_autocommit(store->conn.db)) {
        /* The error to report is the one above. */
        (void)store__conn_script(&store->conn, "ROLLBACK");
    }
    return status;
}
