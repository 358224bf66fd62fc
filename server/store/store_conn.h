/* One SQLite connection with its statement cache: shared by the commit thread and the readers. Private to
 * server/store.
 *
 * 1. A connection is used by one thread at a time (SQLITE_OPEN_NOMUTEX).
 * 2. In mode USER the authorizer refuses transaction control, PRAGMA, ATTACH and schema changes; in MIGRATION
 *    it lets schema changes through; OWN is for the store's own statements.
 * 3. A cached statement is reset and its bindings cleared when it is not running; while it runs it is `busy`
 *    and a second use of the same text gets a statement of its own.
 * 4. `fatal` keeps the first status after which the writer's store has to stop (STORE_IO, STORE_CORRUPT),
 *    even
 *    when the caller swallowed it.
 */
#ifndef TROUPE_SERVER_STORE_CONN_H
#define TROUPE_SERVER_STORE_CONN_H

#include "server/store/store_tx.h"

#include <sqlite3.h>

#define STORE__CACHE_SETS 16
#define STORE__CACHE_WAYS 4

enum store__mode { STORE__MODE_OWN, STORE__MODE_MIGRATION, STORE__MODE_USER };

struct store__stmt {
    sqlite3_stmt *stmt;
    uint64_t used;
    uint32_t hash;
    bool busy;
};

struct store__conn {
    sqlite3 *db;
    enum store__mode mode;
    struct store__stmt cache[STORE__CACHE_SETS][STORE__CACHE_WAYS];
    uint64_t tick;
    uint64_t bytes_bound;    /* by statements since it was last set to 0 */
    enum store_status fatal; /* STORE_OK, or see 4 */
    uint32_t limit_ms;       /* of one statement; 0 = none */
    uint64_t deadline_ns;    /* of the running statement; 0 = none */
    bool checkpointing;
    struct store_error last; /* status STORE_OK when nothing went wrong yet */
};

struct store_tx {
    struct store__conn *conn;
};

struct store_row {
    sqlite3_stmt *stmt;
};

struct store__query {
    const char *sql;
    struct store_values values;
    store_row_fn row;
    void *arg;
};

struct store__conn_options {
    const char *path;
    const char *vfs;
    bool read_only;
    uint32_t busy_timeout_ms;
    uint32_t limit_ms;
};

/* Opens in mode OWN. On error the connection is closed again and conn->last tells why. */
enum store_status store__conn_open(struct store__conn *conn, const struct store__conn_options *options);
/* checkpoint: whether the last connection may copy the WAL back and delete it. */
void store__conn_close(struct store__conn *conn, bool checkpoint);

enum store_status store__conn_query(struct store__conn *conn, const struct store__query *query);
enum store_status store__conn_int(struct store__conn *conn, const char *sql, struct store_values values,
                                  int64_t *out, bool *found);
/* A script of several statements, without values; for pragmas and migrations. */
enum store_status store__conn_script(struct store__conn *conn, const char *sql);

/* Records a failed SQLite call in conn->last and returns the status it stands for. */
enum store_status store__conn_failed(struct store__conn *conn, int code, const char *doing);

#endif
