/* records: the configuration in the store. Functions for store_writer_run(): they run on the commit thread.
 *
 *     config_entries   one row a key: what the lower layers last said, the override, the version that holds
 *     config_history   one row a version
 *     config_meta      revision, and the floor: history of revisions up to there may be gone
 *
 * Invariants
 *  S1  a commit is one revision: all its rows, their history and the revision itself, or nothing.
 *  S2  the version that holds is always in the history; older ones go when their revision is not above the floor.
 *  S3  a tombstone goes when its revision is not above the floor.
 *  S4  functions that only read answer STORE_REJECTED when they could, so that nothing is committed for them.
 */
#ifndef API_CONFIG_RECORDS_H
#define API_CONFIG_RECORDS_H

#include "api/config/row.h"
#include "server/store/store.h"

#define CONFIG_PAGE_BYTES (256u << 10)

extern const struct store_schema config_schema;

/* arg of config_sql_commit: rows behind it. Only rows with is_new get into the history. */
typedef struct config_commit {
    uint64_t revision;
    uint64_t floor;
    uint64_t old_floor;
    uint32_t count;
    uint32_t spare;
    uint64_t rows[];
} config_commit;

/* arg and result of config_sql_load: the rows behind a key, in their order. */
typedef struct config_load {
    uint32_t key_bytes; /* 0: from the beginning */
    char key[CONFIG_KEY_BYTES_MAX];
} config_load;

typedef struct config_page {
    uint64_t revision;
    uint64_t floor;
    uint32_t count;
    uint32_t used; /* bytes of rows */
    bool more;     /* the page is full; go on behind its last row */
    uint64_t rows[CONFIG_PAGE_BYTES / 8];
} config_page;

/* One version of a key. */
typedef struct config_past {
    uint32_t bytes;       /* of this record; a multiple of 8 */
    uint32_t value_bytes; /* CONFIG_NO_VALUE: the key went away */
    uint64_t version;
    uint64_t revision;
    int64_t at_ms;
    uint8_t source;
    uint8_t secret;
    char value[];
} config_past;

/* arg of config_sql_history: the versions of a key below `before`, newest first; result: a page of config_past. */
typedef struct config_history_ask {
    uint64_t before;
    uint32_t limit;
    uint32_t key_bytes;
    char key[CONFIG_KEY_BYTES_MAX];
} config_history_ask;

enum store_status config_sql_commit(struct store_tx *tx, const void *arg, void *result);
enum store_status config_sql_load(struct store_tx *tx, const void *arg, void *result);
/** The latest revisions' rows, newest first, as they were seen: a page of config_row. */
enum store_status config_sql_recent(struct store_tx *tx, const void *arg, void *result);
enum store_status config_sql_history(struct store_tx *tx, const void *arg, void *result);

static inline struct text config_past_value(const config_past *past)
{
    return past->value_bytes == CONFIG_NO_VALUE
               ? (struct text){0}
               : (struct text){.bytes = past->value, .count = past->value_bytes};
}

#endif
