#include "server/store/store_reader.h"

#include "server/store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT_MS_DEFAULT 2000U

struct store_reader {
    struct store__conn conn;
    struct store *store;
    bool in_snapshot;
};

static enum store_status prepare_reader(struct store_reader *reader, uint32_t limit_ms,
                                        struct store_error *error)
{
    struct store__conn_options options = {.path = reader->store->dir.db_path,
                                          .vfs = reader->store->options.vfs,
                                          .read_only = true,
                                          .busy_timeout_ms = reader->store->options.busy_timeout_ms,
                                          .limit_ms = limit_ms == 0 ? LIMIT_MS_DEFAULT : limit_ms};
    enum store_status status = store__conn_open(&reader->conn, &options);
    if (status == STORE_OK) {
        status = store__conn_script(&reader->conn, "PRAGMA query_only=1");
        if (status != STORE_OK) {
            store__conn_close(&reader->conn, false);
        }
    }
    if (status != STORE_OK && error != NULL) {
        *error = reader->conn.last;
    }
    reader->conn.mode = STORE__MODE_USER;
    return status;
}

enum store_status store_reader_open(struct store *store, uint32_t limit_ms, struct store_reader **reader,
                                    struct store_error *error)
{
    struct store_reader *made = calloc(1, sizeof *made);
    if (made == NULL) {
        if (error != NULL) {
            *error = (struct store_error){.status = STORE_NOMEM, .text = "out of memory"};
        }
        return STORE_NOMEM;
    }
    made->store = store;
    atomic_fetch_add(&store->readers, 1);
    enum store_status status = prepare_reader(made, limit_ms, error);
    if (status != STORE_OK) {
        atomic_fetch_sub(&store->readers, 1);
        free(made);
        return status;
    }
    *reader = made;
    return STORE_OK;
}

void store_reader_close(struct store_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    store_reader_end(reader);
    store__conn_close(&reader->conn, false);
    atomic_fetch_sub(&reader->store->readers, 1);
    free(reader);
}

enum store_status store_reader_begin(struct store_reader *reader)
{
    if (reader->in_snapshot) {
        return STORE_BAD;
    }
    /* A deferred BEGIN takes its snapshot with the first read, so one is made here. */
    reader->conn.mode = STORE__MODE_OWN;
    enum store_status status =
        store__conn_script(&reader->conn, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;");
    reader->conn.mode = STORE__MODE_USER;
    reader->in_snapshot = status == STORE_OK;
    return status;
}

void store_reader_end(struct store_reader *reader)
{
    if (!reader->in_snapshot) {
        return;
    }
    reader->in_snapshot = false;
    reader->conn.mode = STORE__MODE_OWN;
    if (sqlite3_get_autocommit(reader->conn.db) == 0) {
        (void)store__conn_script(&reader->conn,
                                 "ROLLBACK"); /* nothing was written: there is nothing to lose */
    }
    reader->conn.mode = STORE__MODE_USER;
}

enum store_status store_reader_query(struct store_reader *reader, const char *sql, struct store_values values,
                                     store_row_fn row, void *arg)
{
    return store__conn_query(&reader->conn, &(struct store__query){sql, values, row, arg});
}

enum store_status store_reader_int(struct store_reader *reader, const char *sql, struct store_values values,
                                   int64_t *out, bool *found)
{
    return store__conn_int(&reader->conn, sql, values, out, found);
}

void store_reader_set_limit(struct store_reader *reader, uint32_t limit_ms)
{
    reader->conn.limit_ms = limit_ms == 0 ? LIMIT_MS_DEFAULT : limit_ms;
}

const char *store_reader_error_text(const struct store_reader *reader)
{
    return reader->conn.last.text;
}
