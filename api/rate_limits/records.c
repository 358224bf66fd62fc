#include "api/rate_limits/records.h"

#define NS_PER_MS      INT64_C(1000000)
#define CLEAN_ROWS_MAX "2000"

static const char *const migrations[] = {
    "CREATE TABLE rate_limits_meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE rate_limits_policies("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,"
    "  tokens INTEGER NOT NULL, amount INTEGER NOT NULL, every_ms INTEGER NOT NULL,"
    "  default_cost INTEGER NOT NULL, style TEXT NOT NULL, mode TEXT NOT NULL);"
    "CREATE TABLE rate_limits_overrides("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, policy_id INTEGER NOT NULL, key BLOB NOT NULL,"
    "  tokens INTEGER NOT NULL, amount INTEGER NOT NULL, every_ms INTEGER NOT NULL,"
    "  style TEXT NOT NULL, mode TEXT NOT NULL, expires_at_ms INTEGER NOT NULL, UNIQUE(policy_id, key));"
    "CREATE INDEX rate_limits_overrides_expiry ON rate_limits_overrides(expires_at_ms);"
    "CREATE TABLE rate_limits_levels("
    "  hash BLOB PRIMARY KEY, policy_id INTEGER NOT NULL, debt_tokens INTEGER NOT NULL,"
    "  debt_part INTEGER NOT NULL, debt_unit INTEGER NOT NULL, full_in_ns INTEGER NOT NULL,"
    "  saved_at_ms INTEGER NOT NULL, full_at_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX rate_limits_levels_full ON rate_limits_levels(full_at_ms);",
    /* Those that are there get the next versions, in the order of their ids. */
    "ALTER TABLE rate_limits_overrides ADD COLUMN version INTEGER NOT NULL DEFAULT 0;"
    "UPDATE rate_limits_overrides SET version = id + (SELECT value FROM rate_limits_meta WHERE name = 'revision');"
    "UPDATE rate_limits_meta SET value = value + (SELECT coalesce(max(id), 0) FROM rate_limits_overrides)"
    "  WHERE name = 'revision';",
};

const struct store_schema rl_schema = {
    .name = "rate_limits", .version = sizeof(migrations) / sizeof(migrations[0]), .migrations = migrations};

#define POLICY_COLUMNS "id, name, version, tokens, amount, every_ms, default_cost, style, mode"
#define OVERRIDE_COLUMNS \
    "id, policy_id, key, tokens, amount, every_ms, 1, style, mode, expires_at_ms, version"

/* --- rows --- */

/* Columns first: tokens, amount, every_ms, default_cost, style, mode. */
static bool policy_of_row(const struct store_row *row, int first, rl_policy *out)
{
    rl_policy_request request = {.limit = store_row_int(row, first),
                                 .amount = store_row_int(row, first + 1),
                                 .every_ms = store_row_int(row, first + 2),
                                 .default_cost = store_row_int(row, first + 3)};
    const char *style = store_row_text(row, first + 4, NULL);
    const char *mode = store_row_text(row, first + 5, NULL);

    return style != NULL && mode != NULL && rl_style_parse(style, &request.style) &&
           rl_mode_parse(mode, &request.mode) && rl_policy_make(&request, out) == 0;
}

static bool entry_of_row(const struct store_row *row, rl_policy_entry *out)
{
    size_t bytes = 0;
    const char *name = store_row_text(row, 1, &bytes);

    *out = (rl_policy_entry){.policy_id = (uint32_t)store_row_int(row, 0),
                             .version = (uint64_t)store_row_int(row, 2)};
    if (name == NULL || !rl_policy_name_ok(name, bytes)) {
        return false;
    }
    memcpy(out->name, name, bytes);
    out->name_bytes = (uint8_t)bytes;
    return policy_of_row(row, 3, &out->policy);
}

static bool key_of_row(const struct store_row *row, int policy, int key, rl_key_name *out)
{
    size_t bytes = 0;
    const void *data = store_row_blob(row, key, &bytes);

    if (data == NULL || bytes > RL_KEY_BYTES_MAX) {
        return false;
    }
    out->policy_id = (uint32_t)store_row_int(row, policy);
    out->key_bytes = (uint32_t)bytes;
    memcpy(out->key, data, bytes);
    return true;
}

static bool override_of_row(const struct store_row *row, rl_override_row *out)
{
    *out = (rl_override_row){.cookie = (uint64_t)store_row_int(row, 0),
                             .expires_at_ms = store_row_int(row, 9),
                             .version = (uint64_t)store_row_int(row, 10)};
    return key_of_row(row, 1, 2, &out->name) && policy_of_row(row, 3, &out->policy);
}

/* --- policies --- */

static enum store_status next_version(struct store_tx *tx, uint64_t *version)
{
    int64_t value = 0;
    bool found = false;
    enum store_status status = store_tx_run(tx,
                                            "INSERT INTO rate_limits_meta(name, value) VALUES('revision', 1) "
                                            "ON CONFLICT(name) DO UPDATE SET value = value + 1",
                                            STORE_NO_VALUES);

    if (status == STORE_OK) {
        status = store_tx_int(tx, "SELECT value FROM rate_limits_meta WHERE name = 'revision'",
                              STORE_NO_VALUES, &value, &found);
    }
    *version = (uint64_t)value;
    return status;
}

enum store_status rl_sql_put_policy(struct store_tx *tx, const void *arg, void *result)
{
    const rl_policy_entry *wanted = arg;
    const rl_policy *policy = &wanted->policy;
    rl_policy_entry *written = result;
    int64_t id = 0;
    bool found = false;
    enum store_status status;

    *written = *wanted;
    status = next_version(tx, &written->version);
    if (status == STORE_OK) {
        status = store_tx_run(
            tx,
            "INSERT INTO rate_limits_policies(name, version, tokens, amount, every_ms, default_cost, style, mode) "
            "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(name) DO UPDATE SET version = ?2, tokens = ?3, "
            "amount = ?4, every_ms = ?5, default_cost = ?6, style = ?7, mode = ?8",
            STORE_VALUES(store_text_n(wanted->name, wanted->name_bytes), store_int((int64_t)written->version),
                         store_int(policy->limit), store_int(policy->amount),
                         store_int((int64_t)policy->every_ms), store_int(policy->default_cost),
                         store_text(rl_style_name(policy->style)), store_text(rl_mode_name(policy->mode))));
    }
    if (status == STORE_OK) {
        status = store_tx_int(tx, "SELECT id FROM rate_limits_policies WHERE name = ?1",
                              STORE_VALUES(store_text_n(wanted->name, wanted->name_bytes)), &id, &found);
        written->policy_id = (uint32_t)id;
    }
    return status;
}

enum store_status rl_sql_drop_policy(struct store_tx *tx, const void *arg, void *result)
{
    struct store_value id = store_int(*(const uint32_t *)arg);
    enum store_status status =
        store_tx_run(tx, "DELETE FROM rate_limits_overrides WHERE policy_id = ?1", STORE_VALUES(id));

    (void)result;
    return status != STORE_OK
               ? status
               : store_tx_run(tx, "DELETE FROM rate_limits_policies WHERE id = ?1", STORE_VALUES(id));
}

static int add_policy(void *arg, const struct store_row *row)
{
    rl_policy_page *page = arg;

    page->count += entry_of_row(row, &page->entries[page->count]);
    return 0;
}

enum store_status rl_sql_list_policies(struct store_tx *tx, const void *arg, void *result)
{
    enum store_status status = store_tx_query(
        tx, "SELECT " POLICY_COLUMNS " FROM rate_limits_policies WHERE id > ?1 ORDER BY id LIMIT ?2",
        STORE_VALUES(store_int(*(const uint32_t *)arg), store_int(RL_PAGE_POLICIES)), add_policy, result);

    return status == STORE_OK ? STORE_REJECTED : status;
}

/* --- overrides --- */

static struct store_value key_value(const rl_key_name *name)
{
    return store_blob(name->key, name->key_bytes);
}

static enum store_status find_override(struct store_tx *tx, const rl_key_name *name, rl_override_written *out)
{
    int64_t id = 0;
    enum store_status status =
        store_tx_int(tx, "SELECT id FROM rate_limits_overrides WHERE policy_id = ?1 AND key = ?2",
                     STORE_VALUES(store_int(name->policy_id), key_value(name)), &id, &out->existed);

    out->cookie = (uint64_t)id;
    return status;
}

enum store_status rl_sql_put_override(struct store_tx *tx, const void *arg, void *result)
{
    const rl_override_row *row = arg;
    rl_override_written *written = result;
    bool existed;
    enum store_status status = find_override(tx, &row->name, written);

    existed = written->existed;
    if (status == STORE_OK) {
        status = next_version(tx, &written->version);
    }
    if (status == STORE_OK) {
        status = store_tx_run(
            tx,
            "INSERT INTO rate_limits_overrides(policy_id, key, tokens, amount, every_ms, style, mode, "
            "expires_at_ms, version) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
            "ON CONFLICT(policy_id, key) DO UPDATE SET tokens = ?3, amount = ?4, every_ms = ?5, style = ?6, "
            "mode = ?7, expires_at_ms = ?8, version = ?9",
            STORE_VALUES(store_int(row->name.policy_id), key_value(&row->name), store_int(row->policy.limit),
                         store_int(row->policy.amount), store_int((int64_t)row->policy.every_ms),
                         store_text(rl_style_name(row->policy.style)),
                         store_text(rl_mode_name(row->policy.mode)), store_int(row->expires_at_ms),
                         store_int((int64_t)written->version)));
    }
    if (status == STORE_OK) {
        status = find_override(tx, &row->name, written);
    }
    written->existed = existed;
    return status;
}

enum store_status rl_sql_drop_override(struct store_tx *tx, const void *arg, void *result)
{
    const rl_key_name *name = arg;
    rl_override_written *dropped = result;
    enum store_status status = find_override(tx, name, dropped);

    if (status == STORE_OK && dropped->existed) {
        status = store_tx_run(tx, "DELETE FROM rate_limits_overrides WHERE id = ?1",
                              STORE_VALUES(store_int((int64_t)dropped->cookie)));
    }
    return status;
}

static int take_override(void *arg, const struct store_row *row)
{
    rl_override_found *found = arg;

    found->found = override_of_row(row, &found->row);
    return 1;
}

enum store_status rl_sql_get_override(struct store_tx *tx, const void *arg, void *result)
{
    const rl_key_name *name = arg;
    enum store_status status = store_tx_query(
        tx, "SELECT " OVERRIDE_COLUMNS " FROM rate_limits_overrides WHERE policy_id = ?1 AND key = ?2",
        STORE_VALUES(store_int(name->policy_id), key_value(name)), take_override, result);

    return status == STORE_OK ? STORE_REJECTED : status;
}

static int add_name(void *arg, const struct store_row *row)
{
    rl_expired_page *page = arg;

    page->count += key_of_row(row, 0, 1, &page->names[page->count]);
    return 0;
}

enum store_status rl_sql_expired(struct store_tx *tx, const void *arg, void *result)
{
    rl_expired_page *page = result;
    bool found = false;
    enum store_status status = store_tx_query(
        tx,
        "SELECT policy_id, key FROM rate_limits_overrides WHERE expires_at_ms <= ?1 "
        "ORDER BY expires_at_ms LIMIT ?2",
        STORE_VALUES(store_int(*(const int64_t *)arg), store_int(RL_PAGE_OVERRIDES)), add_name, result);

    page->next_at_ms = RL_NEVER;
    if (status == STORE_OK) {
        status = store_tx_int(tx, "SELECT min(expires_at_ms) FROM rate_limits_overrides", STORE_NO_VALUES,
                              &page->next_at_ms, &found);
    }
    return status == STORE_OK ? STORE_REJECTED : status;
}

/* --- levels --- */

static int64_t full_at_ms(const rl_record *record, int64_t saved_at_ms)
{
    uint64_t full_in_ms = record->full_in_ns / (uint64_t)NS_PER_MS + 1;

    return full_in_ms < (uint64_t)(INT64_MAX - saved_at_ms) ? saved_at_ms + (int64_t)full_in_ms : INT64_MAX;
}

static int64_t clamp_int(uint64_t value)
{
    return value < (uint64_t)INT64_MAX ? (int64_t)value : INT64_MAX;
}

enum store_status rl_sql_put_levels(struct store_tx *tx, const void *arg, void *result)
{
    const rl_levels_arg *levels = arg;

    (void)result;
    for (uint32_t i = 0; i < levels->count; i++) {
        const rl_record *record = &levels->records[i];
        enum store_status status = store_tx_run(
            tx,
            "INSERT OR REPLACE INTO rate_limits_levels(hash, policy_id, debt_tokens, debt_part, debt_unit, "
            "full_in_ns, saved_at_ms, full_at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            STORE_VALUES(store_blob(&record->hash, sizeof(record->hash)), store_int(record->policy_id),
                         store_int(record->debt_tokens), store_int(clamp_int(record->debt_part)),
                         store_int(clamp_int(record->debt_unit)), store_int(clamp_int(record->full_in_ns)),
                         store_int(levels->saved_at_ms), store_int(full_at_ms(record, levels->saved_at_ms))));
        if (status != STORE_OK) {
            return status;
        }
    }
    return STORE_OK;
}

enum store_status rl_sql_forget_level(struct store_tx *tx, const void *arg, void *result)
{
    enum store_status status = store_tx_run(tx, "DELETE FROM rate_limits_levels WHERE hash = ?1",
                                            STORE_VALUES(store_blob(arg, sizeof(rl_hash))));

    (void)result;
    return status == STORE_OK && store_tx_changes(tx) == 0 ? STORE_REJECTED : status;
}

enum store_status rl_sql_clean_levels(struct store_tx *tx, const void *arg, void *result)
{
    enum store_status status =
        store_tx_run(tx,
                     "DELETE FROM rate_limits_levels WHERE hash IN (SELECT hash FROM rate_limits_levels "
                     "WHERE full_at_ms <= ?1 LIMIT " CLEAN_ROWS_MAX ")",
                     STORE_VALUES(store_int(*(const int64_t *)arg)));

    *(int64_t *)result = store_tx_changes(tx);
    return status == STORE_OK && store_tx_changes(tx) == 0 ? STORE_REJECTED : status;
}

/* --- setup --- */

enum store_status rl_sql_first_rows(struct store_tx *tx, const void *arg, void *result)
{
    rl_policy policy = rl_policy_default();
    uint64_t version = 1;
    int64_t id = 0;
    bool found = false;
    enum store_status status =
        store_tx_run(tx, "INSERT OR IGNORE INTO rate_limits_meta(name, value) VALUES('seed', ?1)",
                     STORE_VALUES(store_blob(arg, sizeof(rl_seed))));

    (void)result;
    if (status == STORE_OK) {
        status = store_tx_int(tx, "SELECT id FROM rate_limits_policies WHERE name = 'default'",
                              STORE_NO_VALUES, &id, &found);
    }
    if (status != STORE_OK || found) {
        return status;
    }
    status = next_version(tx, &version);
    return status != STORE_OK
               ? status
               : store_tx_run(
                     tx,
                     "INSERT INTO rate_limits_policies(id, name, version, tokens, amount, every_ms, default_cost, "
                     "style, mode) VALUES(?1, 'default', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                     STORE_VALUES(store_int(RL_DEFAULT_POLICY_ID), store_int((int64_t)version),
                                  store_int(policy.limit), store_int(policy.amount),
                                  store_int((int64_t)policy.every_ms), store_int(policy.default_cost),
                                  store_text(rl_style_name(policy.style)),
                                  store_text(rl_mode_name(policy.mode))));
}

struct each {
    int (*policy)(void *ctx, const rl_policy_entry *entry);
    int (*override)(void *ctx, const rl_override_row *row);
    int (*level)(void *ctx, const rl_record *record, int64_t saved_at_ms);
    void *ctx;
};

static int each_policy(void *arg, const struct store_row *row)
{
    const struct each *each = arg;
    rl_policy_entry entry;

    return entry_of_row(row, &entry) ? each->policy(each->ctx, &entry) : 0;
}

static int each_override(void *arg, const struct store_row *row)
{
    const struct each *each = arg;
    rl_override_row override;

    return override_of_row(row, &override) ? each->override(each->ctx, &override) : 0;
}

static int each_level(void *arg, const struct store_row *row)
{
    const struct each *each = arg;
    size_t bytes = 0;
    const void *hash = store_row_blob(row, 0, &bytes);
    rl_record record = {.policy_id = (uint32_t)store_row_int(row, 1),
                        .debt_tokens = (uint32_t)store_row_int(row, 2),
                        .debt_part = (uint64_t)store_row_int(row, 3),
                        .debt_unit = (uint64_t)store_row_int(row, 4),
                        .full_in_ns = (uint64_t)store_row_int(row, 5)};

    if (hash == NULL || bytes != sizeof(record.hash)) {
        return 0;
    }
    memcpy(&record.hash, hash, sizeof(record.hash));
    return each->level(each->ctx, &record, store_row_int(row, 6));
}

static int take_seed(void *arg, const struct store_row *row)
{
    size_t bytes = 0;
    const void *seed = store_row_blob(row, 0, &bytes);

    if (seed != NULL && bytes == sizeof(rl_seed)) {
        memcpy(arg, seed, bytes);
        return 1;
    }
    return 0;
}

enum store_status rl_read_seed(struct store_reader *reader, rl_seed *seed, bool *found)
{
    rl_seed read = {{0}};
    static const rl_seed none = {{0}};
    enum store_status status = store_reader_query(
        reader, "SELECT value FROM rate_limits_meta WHERE name = 'seed'", STORE_NO_VALUES, take_seed, &read);

    *found = status == STORE_OK && memcmp(&read, &none, sizeof(read)) != 0;
    *seed = read;
    return status;
}

enum store_status rl_read_policies(struct store_reader *reader,
                                   int (*fn)(void *ctx, const rl_policy_entry *entry), void *ctx)
{
    struct each each = {.policy = fn, .ctx = ctx};

    return store_reader_query(reader, "SELECT " POLICY_COLUMNS " FROM rate_limits_policies ORDER BY id",
                              STORE_NO_VALUES, each_policy, &each);
}

enum store_status rl_read_overrides(struct store_reader *reader,
                                    int (*fn)(void *ctx, const rl_override_row *row), void *ctx)
{
    struct each each = {.override = fn, .ctx = ctx};

    return store_reader_query(reader, "SELECT " OVERRIDE_COLUMNS " FROM rate_limits_overrides",
                              STORE_NO_VALUES, each_override, &each);
}

enum store_status rl_read_levels(struct store_reader *reader,
                                 int (*fn)(void *ctx, const rl_record *record, int64_t saved_at_ms),
                                 void *ctx)
{
    struct each each = {.level = fn, .ctx = ctx};

    return store_reader_query(reader,
                              "SELECT hash, policy_id, debt_tokens, debt_part, debt_unit, full_in_ns, "
                              "saved_at_ms FROM rate_limits_levels",
                              STORE_NO_VALUES, each_level, &each);
}
