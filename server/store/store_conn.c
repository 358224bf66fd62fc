#include "server/store/store_conn.h"

#include "server/store/store_clock.h"

#include <errno.h>
#include <stdio.h>

#define PROGRESS_STEPS 2000 /* virtual machine steps between two looks at the clock */

/* errno of the last failed call on the file that is written: the database in a checkpoint, else the WAL.
 * sqlite3_system_errno() reads errno too late to be relied on. */
static int file_errno(const struct store__conn *conn)
{
    int op = conn->checkpointing ? SQLITE_FCNTL_FILE_POINTER : SQLITE_FCNTL_JOURNAL_POINTER;
    sqlite3_file *file = NULL;
    int code = 0;
    if (conn->db == NULL || sqlite3_file_control(conn->db, "main", op, &file) != SQLITE_OK || file == NULL ||
        file->pMethods == NULL ||
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &code) != SQLITE_OK) {
        return 0;
    }
    return code;
}

/* SQLite says FULL for ENOSPC and short writes only; a quota or a file size limit is the same thing to us. */
static bool is_space(int os_errno)
{
    return os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG;
}

static enum store_status classify_io(int code, int os_errno)
{
    switch (code) {
    case SQLITE_IOERR_NOMEM:
        return STORE_NOMEM;
    case SQLITE_IOERR_WRITE:
        return is_space(os_errno) ? STORE_FULL : STORE_IO;
    case SQLITE_IOERR_SHMSIZE: /* the WAL index could not grow */
        return STORE_FULL;
    default:
        return STORE_IO;
    }
}

static enum store_status classify(int code, int os_errno)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STORE_OK;
    case SQLITE_CONSTRAINT:
        return STORE_CONSTRAINT;
    case SQLITE_FULL:
        return STORE_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* lost the race for a lock again and again */
        return STORE_BUSY;
    case SQLITE_NOMEM:
        return STORE_NOMEM;
    case SQLITE_INTERRUPT:
        return STORE_TIMEOUT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return STORE_CORRUPT;
    case SQLITE_IOERR:
        return classify_io(code, os_errno);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return STORE_IO;
    default: /* ERROR, AUTH, MISUSE, RANGE, TOOBIG, MISMATCH, SCHEMA: the statement is wrong */
        return STORE_BAD;
    }
}

enum store_status store__conn_failed(struct store__conn *conn, int code, const char *doing)
{
    int os_errno = (code & 0xff) == SQLITE_IOERR ? file_errno(conn) : 0;
    if (os_errno == 0 && ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN)) {
        os_errno = conn->db == NULL ? 0 : sqlite3_system_errno(conn->db);
    }
    enum store_status status = classify(code, os_errno);
    bool told = conn->db != NULL && sqlite3_extended_errcode(conn->db) == code;
    const char *why = told ? sqlite3_errmsg(conn->db) : sqlite3_errstr(code);
    conn->last = (struct store_error){.status = status, .sqlite_code = code, .os_errno = os_errno};
    snprintf(conn->last.text, sizeof conn->last.text, "%s: %s (SQLite %d, errno %d)", doing, why, code,
             os_errno);
    if ((status == STORE_IO || status == STORE_CORRUPT) && conn->fatal == STORE_OK) {
        conn->fatal = status;
    }
    return status;
}

static bool is_schema_change(int action)
{
    switch (action) {
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_DROP_TEMP_TRIGGER:
    case SQLITE_DROP_TEMP_VIEW:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_VTABLE:
    case SQLITE_ALTER_TABLE:
        return true;
    default:
        return false;
    }
}

static int authorize(void *arg, int action, const char *a, const char *b, const char *database,
                     const char *trigger)
{
    const struct store__conn *conn = arg;
    (void)a;
    (void)b;
    (void)database;
    (void)trigger;
    if (conn->mode == STORE__MODE_OWN) {
        return SQLITE_OK;
    }
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_PRAGMA:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return SQLITE_DENY;
    default:
        return conn->mode == STORE__MODE_USER && is_schema_change(action) ? SQLITE_DENY : SQLITE_OK;
    }
}

static int look_at_clock(void *arg)
{
    const struct store__conn *conn = arg;
    return conn->deadline_ns != 0 && store__now_ns() >= conn->deadline_ns;
}

enum store_status store__conn_open(struct store__conn *conn, const struct store__conn_options *options)
{
    memset(conn, 0, sizeof *conn);
    int flags = SQLITE_OPEN_NOMUTEX | (options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    int code = sqlite3_open_v2(options->path, &conn->db, flags, options->vfs);
    if (code != SQLITE_OK) {
        enum store_status status = store__conn_failed(conn, code, "open the database");
        sqlite3_close(conn->db);
        conn->db = NULL;
        return status;
    }
    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_busy_timeout(conn->db, (int)options->busy_timeout_ms);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_set_authorizer(conn->db, authorize, conn);
    conn->limit_ms = options->limit_ms;
    if (options->limit_ms != 0) {
        sqlite3_progress_handler(conn->db, PROGRESS_STEPS, look_at_clock, conn);
    }
    /* Sorting and undo data in memory: a read or a rollback must not need disk space. No spilling: the WAL is
     * written by COMMIT alone, so an error before it leaves nothing behind. */
    enum store_status status =
        store__conn_script(conn, "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
                                 "PRAGMA cache_spill=OFF; PRAGMA cell_size_check=ON;"
                                 "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL;");
    if (status != STORE_OK) {
        store__conn_close(conn, false);
    }
    return status;
}

void store__conn_close(struct store__conn *conn, bool checkpoint)
{
    for (size_t i = 0; i < STORE__CACHE_SETS * STORE__CACHE_WAYS; i++) {
        struct store__stmt *entry = &conn->cache[i / STORE__CACHE_WAYS][i % STORE__CACHE_WAYS];
        sqlite3_finalize(entry->stmt);
        *entry = (struct store__stmt){0};
    }
    if (conn->db != NULL) {
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, checkpoint ? 0 : 1, NULL);
        sqlite3_close(conn->db);
        conn->db = NULL;
    }
}

static uint32_t hash_text(const char *text)
{
    uint32_t hash = 2166136261U;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 16777619U;
    }
    return hash;
}

static int compile(struct store__conn *conn, const char *sql, unsigned flags, sqlite3_stmt **stmt)
{
    const char *rest = NULL;
    int code = sqlite3_prepare_v3(conn->db, sql, -1, flags, stmt, &rest);
    if (code == SQLITE_OK && (*stmt == NULL || (rest != NULL && strspn(rest, " \t\r\n;") != strlen(rest)))) {
        sqlite3_finalize(*stmt);
        *stmt = NULL;
        code = SQLITE_MISUSE; /* empty, or more than one statement */
    }
    return code;
}

/* Finds or compiles a statement. *entry is NULL for one that is outside the cache and has to be finalized. */
static int find_stmt(struct store__conn *conn, const char *sql, struct store__stmt **entry,
                     sqlite3_stmt **stmt)
{
    uint32_t hash = hash_text(sql);
    struct store__stmt *set = conn->cache[hash % STORE__CACHE_SETS];
    struct store__stmt *victim = NULL;
    for (size_t i = 0; i < STORE__CACHE_WAYS; i++) {
        bool same = set[i].stmt != NULL && set[i].hash == hash && strcmp(sqlite3_sql(set[i].stmt), sql) == 0;
        if (same && !set[i].busy) {
            set[i].used = ++conn->tick;
            *entry = &set[i];
            *stmt = set[i].stmt;
            return SQLITE_OK;
        }
        if (same) { /* running: a row callback runs the same text again */
            *entry = NULL;
            return compile(conn, sql, 0, stmt);
        }
        if (!set[i].busy && (victim == NULL || set[i].used < victim->used)) {
            victim = &set[i];
        }
    }
    *entry = victim;
    int code = compile(conn, sql, victim == NULL ? 0 : SQLITE_PREPARE_PERSISTENT, stmt);
    if (code == SQLITE_OK && victim != NULL) {
        sqlite3_finalize(victim->stmt);
        *victim = (struct store__stmt){.stmt = *stmt, .hash = hash, .used = ++conn->tick};
    }
    return code;
}

static int bind_one(sqlite3_stmt *stmt, int at, const struct store_value *value)
{
    switch (value->kind) {
    case STORE_KIND_INT:
        return sqlite3_bind_int64(stmt, at, value->as.integer);
    case STORE_KIND_REAL:
        return sqlite3_bind_double(stmt, at, value->as.real);
    case STORE_KIND_TEXT:
        return sqlite3_bind_text64(stmt, at, value->as.bytes.data, value->as.bytes.length, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case STORE_KIND_BLOB:
        return sqlite3_bind_blob64(stmt, at, value->as.bytes.data, value->as.bytes.length, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(stmt, at);
    }
}

static int bind_all(struct store__conn *conn, sqlite3_stmt *stmt, struct store_values values)
{
    if ((int)values.count != sqlite3_bind_parameter_count(stmt)) {
        return SQLITE_RANGE;
    }
    for (size_t i = 0; i < values.count; i++) {
        const struct store_value *value = &values.items[i];
        int code = bind_one(stmt, (int)i + 1, value);
        if (code != SQLITE_OK) {
            return code;
        }
        bool bytes = value->kind == STORE_KIND_TEXT || value->kind == STORE_KIND_BLOB;
        conn->bytes_bound += bytes ? value->as.bytes.length : sizeof(int64_t);
    }
    return SQLITE_OK;
}

static int step_all(sqlite3_stmt *stmt, const struct store__query *query)
{
    struct store_row row = {stmt};
    for (;;) {
        int code = sqlite3_step(stmt);
        if (code != SQLITE_ROW) {
            return code == SQLITE_DONE ? SQLITE_OK : code;
        }
        if (query->row != NULL && query->row(query->arg, &row) != 0) {
            return SQLITE_OK;
        }
    }
}

enum store_status store__conn_query(struct store__conn *conn, const struct store__query *query)
{
    struct store__stmt *entry = NULL;
    sqlite3_stmt *stmt = NULL;
    uint64_t outer_deadline_ns = conn->deadline_ns;
    if (conn->limit_ms != 0 && outer_deadline_ns == 0) {
        conn->deadline_ns = store__now_ns() + (uint64_t)conn->limit_ms * 1000000U;
    }
    enum store_status status = STORE_OK;
    int code = find_stmt(conn, query->sql, &entry, &stmt);
    if (code == SQLITE_OK) {
        if (entry != NULL) {
            entry->busy = true;
        }
        code = bind_all(conn, stmt, query->values);
    }
    if (code == SQLITE_OK) {
        code = step_all(stmt, query);
    }
    if (code != SQLITE_OK) {
        status = store__conn_failed(conn, code, query->sql);
    }
    if (entry != NULL && stmt != NULL) {
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        entry->busy = false;
    } else {
        sqlite3_finalize(stmt);
    }
    conn->deadline_ns = outer_deadline_ns;
    return status;
}

struct first_int {
    int64_t value;
    bool found;
};

static int take_first_int(void *arg, const struct store_row *row)
{
    struct first_int *first = arg;
    if (store_row_columns(row) > 0 && store_row_kind(row, 0) != STORE_KIND_NULL) {
        first->value = store_row_int(row, 0);
        first->found = true;
    }
    return 1;
}

enum store_status store__conn_int(struct store__conn *conn, const char *sql, struct store_values values,
                                  int64_t *out, bool *found)
{
    struct first_int first = {0, false};
    enum store_status status =
        store__conn_query(conn, &(struct store__query){sql, values, take_first_int, &first});
    if (status == STORE_OK) {
        if (first.found) {
            *out = first.value;
        }
        *found = first.found;
    }
    return status;
}

enum store_status store__conn_script(struct store__conn *conn, const char *sql)
{
    int code = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STORE_OK : store__conn_failed(conn, code, sql);
}

enum store_status store_tx_run(struct store_tx *tx, const char *sql, struct store_values values)
{
    return store__conn_query(tx->conn, &(struct store__query){sql, values, NULL, NULL});
}

enum store_status store_tx_query(struct store_tx *tx, const char *sql, struct store_values values,
                                 store_row_fn row, void *arg)
{
    return store__conn_query(tx->conn, &(struct store__query){sql, values, row, arg});
}

enum store_status store_tx_int(struct store_tx *tx, const char *sql, struct store_values values, int64_t *out,
                               bool *found)
{
    return store__conn_int(tx->conn, sql, values, out, found);
}

int64_t store_tx_changes(const struct store_tx *tx)
{
    return sqlite3_changes64(tx->conn->db);
}

int64_t store_tx_last_rowid(const struct store_tx *tx)
{
    return sqlite3_last_insert_rowid(tx->conn->db);
}

const char *store_tx_error_text(const struct store_tx *tx)
{
    return tx->conn->last.text;
}
