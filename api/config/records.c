#include "api/config/records.h"

static const char *const migrations[] = {
    "CREATE TABLE config_meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO config_meta(name, value) VALUES('revision', 0), ('floor', 0);"
    "CREATE TABLE config_entries("
    "  key TEXT PRIMARY KEY, version INTEGER NOT NULL, revision INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    "  layer TEXT, layer_source TEXT NOT NULL, layer_secret INTEGER NOT NULL,"
    "  override TEXT, override_secret INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX config_entries_gone ON config_entries(revision) WHERE layer IS NULL AND override IS NULL;"
    "CREATE TABLE config_history("
    "  key TEXT NOT NULL, version INTEGER NOT NULL, revision INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    "  source TEXT, secret INTEGER NOT NULL, value TEXT, PRIMARY KEY(key, version)) WITHOUT ROWID;"
    "CREATE INDEX config_history_revision ON config_history(revision);",
};

const struct store_schema config_schema = {
    .name = "config", .version = sizeof(migrations) / sizeof(migrations[0]), .migrations = migrations};

static struct store_value bind(struct text text)
{
    return store_text_n(text.bytes, text.count);
}

static size_t padded(size_t bytes)
{
    return (bytes + 7u) & ~(size_t)7;
}

/* ---- writing ---- */

static enum store_status put_entry(struct store_tx *tx, const config_parts *parts)
{
    return store_tx_run(
        tx,
        "INSERT INTO config_entries(key, version, revision, at_ms, layer, layer_source, layer_secret, override,"
        " override_secret) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(key) DO UPDATE SET version = ?2,"
        " revision = ?3, at_ms = ?4, layer = ?5, layer_source = ?6, layer_secret = ?7, override = ?8,"
        " override_secret = ?9",
        STORE_VALUES(bind(parts->key), store_int((int64_t)parts->version),
                     store_int((int64_t)parts->revision), store_int(parts->at_ms), bind(parts->layer),
                     store_text(config_source_text(parts->layer_source)), store_int(parts->layer_secret),
                     bind(parts->override), store_int(parts->override_secret)));
}

static enum store_status put_history(struct store_tx *tx, const config_parts *parts, uint64_t floor)
{
    struct text value = config_parts_value(parts);
    enum store_status status = store_tx_run(
        tx,
        "INSERT INTO config_history(key, version, revision, at_ms, source, secret, value) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        STORE_VALUES(bind(parts->key), store_int((int64_t)parts->version),
                     store_int((int64_t)parts->revision), store_int(parts->at_ms),
                     value.bytes == NULL ? store_null()
                                         : store_text(config_source_text(config_parts_source(parts))),
                     store_int(config_parts_secret(parts)), bind(value)));

    if (status != STORE_OK) {
        return status;
    }
    /* What was kept below the floor as the version that held, and holds no more. */
    return store_tx_run(
        tx, "DELETE FROM config_history WHERE key = ?1 AND version < ?2 AND revision <= ?3",
        STORE_VALUES(bind(parts->key), store_int((int64_t)parts->version), store_int((int64_t)floor)));
}

static enum store_status forget(struct store_tx *tx, const config_commit *commit)
{
    struct store_values floors =
        STORE_VALUES(store_int((int64_t)commit->old_floor), store_int((int64_t)commit->floor));
    enum store_status status = store_tx_run(
        tx,
        "DELETE FROM config_entries WHERE layer IS NULL AND override IS NULL AND revision > ?1 AND revision <= ?2",
        floors);

    if (status != STORE_OK) {
        return status;
    }
    return store_tx_run(tx,
                        "DELETE FROM config_history WHERE revision > ?1 AND revision <= ?2 AND NOT EXISTS("
                        "SELECT 1 FROM config_entries AS e WHERE e.key = config_history.key AND e.version = "
                        "config_history.version)",
                        floors);
}

static enum store_status put_meta(struct store_tx *tx, const char *name, uint64_t value)
{
    return store_tx_run(tx, "UPDATE config_meta SET value = ?2 WHERE name = ?1",
                        STORE_VALUES(store_text(name), store_int((int64_t)value)));
}

enum store_status config_sql_commit(struct store_tx *tx, const void *arg, void *result)
{
    const config_commit *commit = arg;
    const config_row *row = (const config_row *)(const void *)commit->rows;
    enum store_status status = STORE_OK;

    (void)result;
    for (uint32_t i = 0; status == STORE_OK && i < commit->count; i++, row = config_row_next(row)) {
        config_parts parts = config_row_parts(row);
        status = put_entry(tx, &parts);
        if (status == STORE_OK && parts.is_new) {
            status = put_history(tx, &parts, commit->floor);
        }
    }
    if (status == STORE_OK && commit->floor != commit->old_floor) {
        status = forget(tx, commit);
    }
    if (status == STORE_OK) {
        status = put_meta(tx, "revision", commit->revision);
    }
    return status == STORE_OK ? put_meta(tx, "floor", commit->floor) : status;
}

/* ---- reading ---- */

static enum store_status meta(struct store_tx *tx, const char *name, uint64_t *out)
{
    int64_t value = 0;
    bool found = false;
    enum store_status status = store_tx_int(tx, "SELECT value FROM config_meta WHERE name = ?1",
                                            STORE_VALUES(store_text(name)), &value, &found);

    *out = (uint64_t)value;
    return status == STORE_OK && !found ? STORE_CORRUPT : status;
}

static struct text column(const struct store_row *row, int at)
{
    size_t count = 0;
    const char *bytes = store_row_text(row, at, &count);

    return (struct text){.bytes = bytes, .count = count};
}

/* The columns live until the row callback returns. */
static bool parts_of_row(const struct store_row *row, config_parts *parts)
{
    *parts = (config_parts){.key = column(row, 0),
                            .version = (uint64_t)store_row_int(row, 1),
                            .revision = (uint64_t)store_row_int(row, 2),
                            .at_ms = store_row_int(row, 3),
                            .layer = column(row, 4),
                            .layer_secret = store_row_int(row, 6) != 0,
                            .override = column(row, 7),
                            .override_secret = store_row_int(row, 8) != 0};
    return config_source_parse(store_row_text(row, 5, NULL), &parts->layer_source) &&
           config_key_ok(parts->key, CONFIG_KEY_BYTES_MAX) && parts->layer.count <= CONFIG_VALUE_BYTES_MAX &&
           parts->override.count <= CONFIG_VALUE_BYTES_MAX;
}

struct filling {
    config_page *page;
    bool corrupt;
};

/* Room for `bytes` more in the page; NULL when it is full. */
static void *room(config_page *page, size_t bytes)
{
    if (page->used + bytes > sizeof(page->rows)) {
        page->more = true;
        return NULL;
    }
    void *at = (char *)page->rows + page->used;
    page->used += (uint32_t)bytes;
    page->count++;
    return at;
}

static int load_row(void *arg, const struct store_row *row)
{
    struct filling *filling = arg;
    config_parts parts;

    if (!parts_of_row(row, &parts)) {
        filling->corrupt = true;
        return 1;
    }
    config_row *at = room(filling->page, config_row_bytes(&parts));
    if (at == NULL) {
        return 1;
    }
    config_row_write(&parts, at);
    return 0;
}

enum store_status config_sql_load(struct store_tx *tx, const void *arg, void *result)
{
    const config_load *load = arg;
    struct filling filling = {.page = result};
    enum store_status status = meta(tx, "revision", &filling.page->revision);

    if (status == STORE_OK) {
        status = meta(tx, "floor", &filling.page->floor);
    }
    if (status == STORE_OK) {
        status = store_tx_query(tx,
                                "SELECT key, version, revision, at_ms, layer, layer_source, layer_secret, "
                                "override, override_secret FROM config_entries WHERE key > ?1 ORDER BY key",
                                STORE_VALUES(store_text_n(load->key, load->key_bytes)), load_row, &filling);
    }
    if (status == STORE_OK && filling.corrupt) {
        status = STORE_CORRUPT;
    }
    return status == STORE_OK ? STORE_REJECTED : status;
}

static int past_row(void *arg, const struct store_row *row)
{
    struct filling *filling = arg;
    struct text value = column(row, 5);
    enum config_source source = CONFIG_DEFAULT;
    config_past *past = room(filling->page, padded(sizeof(*past) + value.count));

    if (past == NULL) {
        return 1;
    }
    if (value.bytes != NULL && !config_source_parse(store_row_text(row, 3, NULL), &source)) {
        filling->corrupt = true;
        return 1;
    }
    *past = (config_past){.bytes = (uint32_t)padded(sizeof(*past) + value.count),
                          .value_bytes = value.bytes == NULL ? CONFIG_NO_VALUE : (uint32_t)value.count,
                          .version = (uint64_t)store_row_int(row, 0),
                          .revision = (uint64_t)store_row_int(row, 1),
                          .at_ms = store_row_int(row, 2),
                          .source = (uint8_t)source,
                          .secret = store_row_int(row, 4) != 0};
    if (value.bytes != NULL) {
        (void)text_put(past->value, value);
    }
    return 0;
}

enum store_status config_sql_history(struct store_tx *tx, const void *arg, void *result)
{
    const config_history_ask *ask = arg;
    struct filling filling = {.page = result};
    enum store_status status =
        store_tx_query(tx,
                       "SELECT version, revision, at_ms, source, secret, value FROM config_history "
                       "WHERE key = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3",
                       STORE_VALUES(store_text_n(ask->key, ask->key_bytes), store_int((int64_t)ask->before),
                                    store_int(ask->limit)),
                       past_row, &filling);

    if (status == STORE_OK && filling.corrupt) {
        status = STORE_CORRUPT;
    }
    return status == STORE_OK ? STORE_REJECTED : status;
}

/* A version of a key as a row: its value is where its source says. */
static int recent_row(void *arg, const struct store_row *row)
{
    struct filling *filling = arg;
    struct text value = column(row, 6);
    enum config_source source = CONFIG_DEFAULT;
    bool secret = store_row_int(row, 5) != 0;
    config_parts parts = {.key = column(row, 0),
                          .version = (uint64_t)store_row_int(row, 1),
                          .revision = (uint64_t)store_row_int(row, 2),
                          .at_ms = store_row_int(row, 3),
                          .is_new = true};

    if (value.bytes != NULL && !config_source_parse(store_row_text(row, 4, NULL), &source)) {
        filling->corrupt = true;
        return 1;
    }
    parts.layer_source = source == CONFIG_OVERRIDE ? CONFIG_DEFAULT : source;
    *(source == CONFIG_OVERRIDE ? &parts.override : &parts.layer) = value;
    *(source == CONFIG_OVERRIDE ? &parts.override_secret : &parts.layer_secret) = secret;
    config_row *at = room(filling->page, config_row_bytes(&parts));
    if (at == NULL) {
        return 1;
    }
    config_row_write(&parts, at);
    return 0;
}

enum store_status config_sql_recent(struct store_tx *tx, const void *arg, void *result)
{
    struct filling filling = {.page = result};
    enum store_status status = meta(tx, "floor", &filling.page->floor);

    (void)arg;
    if (status == STORE_OK) {
        status =
            store_tx_query(tx,
                           "SELECT key, version, revision, at_ms, source, secret, value FROM config_history "
                           "WHERE revision > ?1 ORDER BY revision DESC, key DESC",
                           STORE_VALUES(store_int((int64_t)filling.page->floor)), recent_row, &filling);
    }
    if (status == STORE_OK && filling.corrupt) {
        status = STORE_CORRUPT;
    }
    return status == STORE_OK ? STORE_REJECTED : status;
}
