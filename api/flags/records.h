/* records: the flags in the store. Functions for store_writer_run(): they run on the commit thread.
 *
 *     flags_documents   one row a flag
 *     flags_meta        revision: of the last change
 *
 * Invariants
 *  S1  a commit is one change and its revision, or nothing.
 *  S2  functions that only read answer STORE_REJECTED when they could, so that nothing is committed for them.
 */
#ifndef API_FLAGS_RECORDS_H
#define API_FLAGS_RECORDS_H

#include "api/flags/flag.h"
#include "server/store/store.h"

#define FLAGS_PAGE_BYTES (256u << 10)

extern const struct store_schema flags_schema;

/* arg of flags_sql_commit, and what a page holds: key and document behind it. */
typedef struct flag_record {
    uint32_t bytes; /* of the record, a multiple of 8 */
    uint32_t key_bytes;
    uint32_t document_bytes; /* 0 in a commit: the flag goes */
    uint32_t spare;
    uint64_t version;
    int64_t at_ms;
    char texts[];
} flag_record;

static inline size_t flag_record_bytes(struct text key, struct text document)
{
    return (sizeof(flag_record) + key.count + document.count + 7u) & ~(size_t)7;
}
/** Writes a record into flag_record_bytes() of memory, aligned to 8. */
void flag_record_write(flag_record *record, struct text key, struct text document, uint64_t version,
                       int64_t at_ms);

static inline struct text flag_record_key(const flag_record *record)
{
    return (struct text){.bytes = record->texts, .count = record->key_bytes};
}
static inline struct text flag_record_document(const flag_record *record)
{
    return (struct text){.bytes = record->texts + record->key_bytes, .count = record->document_bytes};
}

/* arg and result of flags_sql_load: the records behind a key, in their order. */
typedef struct flags_load {
    uint32_t key_bytes; /* 0: from the beginning */
    char key[FLAG_KEY_BYTES_MAX];
} flags_load;

typedef struct flags_page {
    uint64_t revision;
    uint32_t count;
    uint32_t used; /* bytes of records */
    bool more;     /* the page is full; go on behind its last record */
    bool corrupt;
    uint64_t records[FLAGS_PAGE_BYTES / 8];
} flags_page;

enum store_status flags_sql_commit(struct store_tx *tx, const void *arg, void *result);
enum store_status flags_sql_load(struct store_tx *tx, const void *arg, void *result);

#endif
