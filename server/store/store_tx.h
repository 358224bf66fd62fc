/* Statements inside a write: values to bind, rows to read, and the transaction handle given to `apply`.
 *
 * 1. A store_tx exists only inside an apply callback and only on the commit thread; it is never kept.
 * 2. Values are borrowed until the call returns; a row and what it points to, until the row callback returns.
 * 3. SQL texts are compiled once and kept in a bounded cache: use literals with ?1, ?2..., never built
 *    strings.
 * 4. One call runs one statement. Transaction control, PRAGMA, ATTACH and schema changes are refused:
 *    STORE_BAD.
 * 5. A row callback may run other statements. It returns 0 to go on, anything else to end the statement.
 * Limits: 64 statements are kept compiled per connection; a value or row is at most 1 GB (SQLite's own
 * limit).
 */
#ifndef TROUPE_SERVER_STORE_TX_H
#define TROUPE_SERVER_STORE_TX_H

#include "server/store/store_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct store_tx;
struct store_row;

enum store_kind { STORE_KIND_NULL, STORE_KIND_INT, STORE_KIND_REAL, STORE_KIND_TEXT, STORE_KIND_BLOB };

struct store_value {
    enum store_kind kind;
    union {
        int64_t integer;
        double real;
        struct {
            const void *data;
            size_t length;
        } bytes;
    } as;
};

struct store_values {
    const struct store_value *items;
    size_t count;
};

/* STORE_VALUES(store_text("alice"), store_int(3)): binds ?1, ?2... lives until the end of the enclosing
 * block. */
#define STORE_VALUES(...)                                             \
    ((struct store_values){(const struct store_value[]){__VA_ARGS__}, \
                           sizeof((const struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value)})
#define STORE_NO_VALUES ((struct store_values){NULL, 0})

static inline struct store_value store_null(void)
{
    return (struct store_value){.kind = STORE_KIND_NULL};
}

static inline struct store_value store_int(int64_t integer)
{
    return (struct store_value){.kind = STORE_KIND_INT, .as.integer = integer};
}

static inline struct store_value store_real(double real)
{
    return (struct store_value){.kind = STORE_KIND_REAL, .as.real = real};
}

/* Text of a known length (NULL binds SQL NULL); it must be UTF-8. */
static inline struct store_value store_text_n(const char *text, size_t length)
{
    return (struct store_value){.kind = text == NULL ? STORE_KIND_NULL : STORE_KIND_TEXT,
                                .as.bytes = {.data = text, .length = length}};
}

static inline struct store_value store_text(const char *text)
{
    return store_text_n(text, text == NULL ? 0 : strlen(text));
}

static inline struct store_value store_blob(const void *data, size_t length)
{
    return (struct store_value){.kind = data == NULL ? STORE_KIND_NULL : STORE_KIND_BLOB,
                                .as.bytes = {.data = data, .length = length}};
}

/* Called for each row of a result. Returns 0 to go on, anything else when it has seen enough. */
typedef int (*store_row_fn)(void *arg, const struct store_row *row);

/** Runs one statement that returns no rows (or whose rows do not matter).
 *  Borrows: sql, values. Errors: STORE_CONSTRAINT, STORE_BAD, STORE_FULL, STORE_NOMEM, STORE_IO,
 *  STORE_CORRUPT.
 *  An apply that gets an error may handle it and go on; if it returns STORE_OK what succeeded is kept.
 *  Blocks: on disk reads.   Context: inside apply. */
enum store_status store_tx_run(struct store_tx *tx, const char *sql, struct store_values values);

/** Runs one statement and calls `row` for each row of its result.
 *  Borrows: sql, values, arg. Errors: as store_tx_run.   Context: inside apply. */
enum store_status store_tx_query(struct store_tx *tx, const char *sql, struct store_values values,
                                 store_row_fn row, void *arg);

/** Reads the first column of the first row as an integer; *found tells whether there was a row with a non-
 *  null value.
 *  Errors: as store_tx_run; outputs are untouched on error.   Context: inside apply. */
enum store_status store_tx_int(struct store_tx *tx, const char *sql, struct store_values values, int64_t *out,
                               bool *found);

/** Returns how many rows the last store_tx_run of this connection inserted, changed or deleted. */
int64_t store_tx_changes(const struct store_tx *tx);

/** Returns the rowid of the last row inserted by this connection. */
int64_t store_tx_last_rowid(const struct store_tx *tx);

/** Returns the text of the last error in this transaction, "" when there was none; valid until the next
 *  call. */
const char *store_tx_error_text(const struct store_tx *tx);

/** Returns how many columns the row has. */
int store_row_columns(const struct store_row *row);

/** Returns what column `column` (from 0) holds. */
enum store_kind store_row_kind(const struct store_row *row, int column);

/** Returns column `column` as an integer; 0 when it is null. */
int64_t store_row_int(const struct store_row *row, int column);

/** Returns column `column` as a double; 0 when it is null. */
double store_row_real(const struct store_row *row, int column);

/** Returns column `column` as terminated UTF-8 and its length in bytes (length may be NULL); NULL when it
 *  is null.
 *  Returns: borrowed until the row callback returns. */
const char *store_row_text(const struct store_row *row, int column, size_t *length);

/** Returns column `column` as bytes; NULL when it is null or empty. Returns: borrowed until the row
 *  callback returns. */
const void *store_row_blob(const struct store_row *row, int column, size_t *length);

#endif
