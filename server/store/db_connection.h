/* db_connection: the pool of reading connections: the supervisor `db_connections` with ten workers, one_for_one.
 *
 *     process --store_read--> db_connection.N (gen_server) --job--> its own thread: SQLite --reply--> process
 *
 * Invariants
 *  1. A worker never parks and never touches SQLite: its thread does (db_thread.h). It is found through the registry
 *     `db_connections` under the key {db_connection, N}, and by people under the name db_connection.N.
 *  2. A worker that is told connection_lost stops with that reason; its supervisor starts a fresh one, whose thread connects
 *     again, with back-off, while its first reads already wait.
 *  3. A job is one counted blob: it lives as long as anyone (message, thread, answer) still needs it, whoever is killed.
 *     fn runs on the connection's thread: it touches its argument, its result, the rows and the reader, nothing else.
 *  4. A read whose worker dies is handed to another one.
 *  5. What store_read answers with STORE_OK has seen every write that was acknowledged before it was called.
 */
#ifndef TROUPE_SERVER_STORE_DB_CONNECTION_H
#define TROUPE_SERVER_STORE_DB_CONNECTION_H

#include "server/store/store.h"
#include "server/store/store_reader.h"

#include <troupe/troupe.h>

#define DB_CONNECTIONS 10

/** A worker that gets this stops with connection_lost: its thread sends it when SQLite fails, drills and tests may. */
TR_MESSAGE_EMPTY(db_connection_lost);

/** Bytes a read gathers when their number is not known before. */
struct store_rows {
    char *bytes;
    size_t count, room;
    bool failed; /* no memory, or over STORE_ROWS_MAX: the read ends with STORE_NOMEM */
};
#define STORE_ROWS_MAX ((size_t)16 << 20)

/** Adds bytes. Context: inside fn. */
void store_rows_add(struct store_rows *rows, const void *bytes, size_t count);

/** What a read does: arg is the caller's argument (copied), result is zeroed memory that goes back to the caller on
 *  STORE_OK and STORE_REJECTED (NULL when the caller wants none); rows go back on STORE_OK. */
typedef enum store_status (*store_read_fn)(struct store_reader *reader, const void *arg, void *result,
                                           struct store_rows *rows);

/** Reads. result (result_bytes, may be NULL) is filled as fn left it.
 *  Returns: fn's status; STORE_BUSY when there was no connection to be had; STORE_TIMEOUT after
 *  timeout_ms. Blocks: parks the calling process.   Context: process. */
enum store_status store_read(store_read_fn fn, const void *arg, size_t arg_bytes, void *result,
                             size_t result_bytes, int64_t timeout_ms);

/** What fn added to its rows: bytes that live until tr_msg_drop(reply), or the end of the running callback. */
struct store_found {
    const char *bytes;
    size_t count;
    tr_msg *reply;
};

/** A read whose fn adds rows; the members as the parameters of store_read. */
struct store_read {
    store_read_fn fn;
    const void *arg;
    size_t arg_bytes;
    void *result;
    size_t result_bytes;
    int64_t timeout_ms;
};

/** The same for fn that adds rows. *found is written on STORE_OK only. */
enum store_status store_read_rows(const struct store_read *read, struct store_found *found);

/** The child spec of the pool's supervisor. Borrows store for the life of the node. */
tr_child_spec db_connections_child_spec(struct store *store);

/** Waits until the threads of all connections have closed them: after the node stopped, before store_close. */
void db_connections_teardown(void);

#endif
