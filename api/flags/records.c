#include "api/flags/records.h"

static const char *const migrations[] = {
    "CREATE TABLE flags_meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO flags_meta(name, value) VALUES('revision', 0);"
    "CREATE TABLE flags_documents("
    "  key TEXT PRIMARY KEY, version INTEGER NOT NULL, at_ms INTEGER NOT NULL, document TEXT NOT NULL"
    ") WITHOUT ROWID;",
};

const struct store_schema flags_schema = {
    .name = "flags", .version = sizeof(migrations) / sizeof(migrations[0]), .migrations = migrations};

void flag_record_write(flag_record *record, struct text key, struct text document, uint64_t version,
                       int64_t at_ms)
{
    *record = (flag_record){.bytes = (uint32_t)flag_record_bytes(key, document),
                            .key_bytes = (uint32_t)key.count,
                            .document_bytes = (uint32_t)document.count,
                            .version = version,
                            .at_ms = at_ms};
    (void)text_put(text_put(record->texts, key), document);
}

static struct store_value bind(struct text text)
{
    return store_text_n(text.bytes, text.count);
}

enum store_status flags_sql_commit(struct store_tx *tx, const void *arg, void *result)
{
    const flag_record *record = arg;
    struct text key = flag_record_key(record);
    enum store_status status;

    (void)result;
    if (record->document_bytes == 0) {
        status = store_tx_run(tx, "DELETE FROM flags_documents WHERE key = ?1", STORE_VALUES(bind(key)));
    } else {
        status =
            store_tx_run(tx,
                         "INSERT INTO flags_documents(key, version, at_ms, document) VALUES(?1, ?2, ?3, ?4) "
                         "ON CONFLICT(key) DO UPDATE SET version = ?2, at_ms = ?3, document = ?4",
                         STORE_VALUES(bind(key), store_int((int64_t)record->version),
                                      store_int(record->at_ms), bind(flag_record_document(record))));
    }
    return status != STORE_OK ? status
                              : store_tx_run(tx, "UPDATE flags_meta SET value = ?1 WHERE name = 'revision'",
                                             STORE_VALUES(store_int((int64_t)record->version)));
}

static int load_row(void *arg, const struct store_row *row)
{
    flags_page *page = arg;
    struct text key, document;
    key.bytes = store_row_text(row, 0, &key.count);
    document.bytes = store_row_text(row, 3, &document.count);
    size_t bytes = flag_record_bytes(key, document);

    if (!flag_key_ok(key) || document.count > FLAG_BYTES_MAX) {
        page->corrupt = true;
        return 1;
    }
    if (page->used + bytes > sizeof(page->records)) {
        page->more = true;
        return 1;
    }
    flag_record_write((flag_record *)(void *)((char *)page->records + page->used), key, document,
                      (uint64_t)store_row_int(row, 1), store_row_int(row, 2));
    page->used += (uint32_t)bytes;
    page->count++;
    return 0;
}

enum store_status flags_sql_load(struct store_tx *tx, const void *arg, void *result)
{
    const flags_load *load = arg;
    flags_page *page = result;
    int64_t revision = 0;
    bool found = false;
    enum store_status status = store_tx_int(tx, "SELECT value FROM flags_meta WHERE name = ?1",
                                            STORE_VALUES(store_text("revision")), &revision, &found);

    page->revision = (uint64_t)revision;
    page->count = page->used = 0;
    page->more = page->corrupt = false;
    if (status == STORE_OK) {
        status = store_tx_query(tx,
                                "SELECT key, version, at_ms, document FROM flags_documents WHERE key > ?1 "
                                "ORDER BY key",
                                STORE_VALUES(store_text_n(load->key, load->key_bytes)), load_row, page);
    }
    if (status == STORE_OK && (page->corrupt || !found)) {
        status = STORE_CORRUPT;
    }
    return status == STORE_OK ? STORE_REJECTED : status;
}
