/* A read-only connection of its own: what the pool of readers is made of.
 *
 * 1. A reader belongs to one thread at a time; several readers run at once and never wait for the commit
 *    thread.
 * 2. Each statement sees the last commit that was complete when it began; between store_reader_begin and
 *    store_reader_end all statements see the same one.
 * 3. A write whose done was called with STORE_OK is seen by every statement that begins later.
 * 4. No statement can write. A statement over the time limit ends with STORE_TIMEOUT: an endless read would
 *    keep the WAL from being reused.
 * 5. Reads go on when the disk is full and when the store is broken.
 * Life cycle: open after store_open, close before store_close (which refuses while readers are open).
 */
#ifndef TROUPE_SERVER_STORE_READER_H
#define TROUPE_SERVER_STORE_READER_H

#include "server/store/store_tx.h"

struct store;
struct store_reader;

/** Opens a read-only connection to the store's database.
 *  limit_ms: longest time for one statement, 0 = 2000.
 *  Returns: a reader the caller closes. Errors: STORE_CLOSED, STORE_NOMEM, STORE_IO, ...; error may be NULL.
 *  Blocks: on disk reads.   Context: any thread that may block. */
enum store_status store_reader_open(struct store *store, uint32_t limit_ms, struct store_reader **reader,
                                    struct store_error *error);

/** Closes a reader (NULL is allowed). Context: the thread that uses it. */
void store_reader_close(struct store_reader *reader);

/** Holds one snapshot for the statements that follow. Errors: STORE_BAD when one is held already,
 *  STORE_IO. */
enum store_status store_reader_begin(struct store_reader *reader);

/** Lets the snapshot go; does nothing when none is held. */
void store_reader_end(struct store_reader *reader);

/** Runs one statement and calls `row` for each row.
 *  Borrows: sql, values, arg. Errors: STORE_TIMEOUT, STORE_BUSY, STORE_BAD, STORE_NOMEM, STORE_IO,
 *  STORE_CORRUPT.
 *  Blocks: on disk reads, no longer than the limit plus one read. */
enum store_status store_reader_query(struct store_reader *reader, const char *sql, struct store_values values,
                                     store_row_fn row, void *arg);

/** Reads the first column of the first row as an integer, as store_tx_int. */
enum store_status store_reader_int(struct store_reader *reader, const char *sql, struct store_values values,
                                   int64_t *out, bool *found);

/** Changes the time limit for the statements that follow, 0 = 2000 ms. */
void store_reader_set_limit(struct store_reader *reader, uint32_t limit_ms);

/** Returns the text of the last error, "" when there was none; valid until the next call. */
const char *store_reader_error_text(const struct store_reader *reader);

#endif
