#include "api/webhooks/records.h"
#include "api/webhooks/records_rows.h"

#include <stdio.h>

static const char *const migrations[] = {
    "CREATE TABLE webhooks ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, url TEXT NOT NULL, events TEXT NOT NULL,"
    " secret BLOB NOT NULL, old_secret BLOB, old_until_ms INTEGER NOT NULL DEFAULT 0,"
    " state INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL,"
    " created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL, disabled_at_ms INTEGER NOT NULL DEFAULT 0,"
    " failing_since_ms INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0,"
    " dropped INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE webhooks_outbox ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, webhook INTEGER NOT NULL, subject TEXT NOT NULL,"
    " sequence INTEGER NOT NULL, type TEXT NOT NULL, payload TEXT NOT NULL, at_ms INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL DEFAULT 0, due_at_ms INTEGER, UNIQUE (webhook, subject, sequence));"
    "CREATE INDEX webhooks_outbox_due ON webhooks_outbox (webhook, due_at_ms, id) WHERE due_at_ms IS NOT NULL;"
    "CREATE TABLE webhooks_deliveries ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, webhook INTEGER NOT NULL, subject TEXT NOT NULL,"
    " sequence INTEGER NOT NULL, type TEXT NOT NULL, attempt INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    " duration_ms INTEGER NOT NULL, outcome INTEGER NOT NULL, status INTEGER NOT NULL, failure TEXT NOT NULL,"
    " due_at_ms INTEGER NOT NULL);"
    "CREATE INDEX webhooks_deliveries_webhook ON webhooks_deliveries (webhook, id);"
    "CREATE TABLE webhooks_removed (webhook INTEGER PRIMARY KEY);"
    "CREATE TABLE webhooks_numbers (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);"
    "INSERT INTO webhooks_numbers VALUES (1, 0);",
};

const struct store_schema webhooks_schema = {
    .name = "webhooks", .version = sizeof(migrations) / sizeof(migrations[0]), .migrations = migrations};

/* ---- rows ---- */

void webhook_take_text(const struct store_row *row, int column, char *out, size_t bytes)
{
    const char *text = store_row_text(row, column, NULL);
    snprintf(out, bytes, "%s", text == NULL ? "" : text);
}

void webhook_take_secret(const struct store_row *row, int column, struct webhook_secret *out)
{
    size_t count = 0;
    const void *bytes = store_row_blob(row, column, &count);
    out->count = 0;
    if (bytes != NULL && count <= sizeof(out->bytes)) {
        memcpy(out->bytes, bytes, count);
        out->count = count;
    }
}

int webhook_take_row(void *arg, const struct store_row *row)
{
    struct webhook *out = arg;
    *out = (struct webhook){.id = store_row_int(row, 0),
                            .state = (enum webhook_state)store_row_int(row, 4),
                            .version = (uint64_t)store_row_int(row, 5),
                            .created_at_ms = store_row_int(row, 6),
                            .updated_at_ms = store_row_int(row, 7),
                            .disabled_at_ms = store_row_int(row, 8),
                            .failing_since_ms = store_row_int(row, 9),
                            .waiting = store_row_int(row, 10),
                            .dropped = store_row_int(row, 11)};
    webhook_take_text(row, 1, out->name, sizeof(out->name));
    webhook_take_text(row, 2, out->url, sizeof(out->url));
    webhook_take_text(row, 3, out->events, sizeof(out->events));
    return 1;
}

static enum store_status find(struct store_tx *tx, const char *name, struct webhook *out)
{
    out->id = 0;
    return store_tx_query(tx, "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE name = ?1",
                          STORE_VALUES(store_text(name)), webhook_take_row, out);
}

/* ---- changing webhooks ---- */

static enum store_status next_version(struct store_tx *tx, int64_t *version)
{
    bool found = false;
    enum store_status status =
        store_tx_run(tx, "UPDATE webhooks_numbers SET version = version + 1", STORE_NO_VALUES);
    return status != STORE_OK
               ? status
               : store_tx_int(tx, "SELECT version FROM webhooks_numbers", STORE_NO_VALUES, version, &found);
}

/* Whether the version is the one that was expected. */
static bool is_expected(const struct webhook *there, uint64_t expected)
{
    return expected == WEBHOOKS_ANY_VERSION || expected == (there->id == 0 ? 0 : there->version);
}

static enum store_status create(struct store_tx *tx, const struct webhook_put *put, int64_t version)
{
    return store_tx_run(
        tx,
        "INSERT INTO webhooks (name, url, events, secret, version, created_at_ms, updated_at_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        STORE_VALUES(store_text(put->webhook.name), store_text(put->webhook.url),
                     store_text(put->webhook.events), store_blob(put->secret.bytes, put->secret.count),
                     store_int(version), store_int(put->now_ms)));
}

static enum store_status replace_secret(struct store_tx *tx, const struct webhook_put *put, int64_t id)
{
    return store_tx_run(tx,
                        "UPDATE webhooks SET old_secret = secret, old_until_ms = ?3, secret = ?2 "
                        "WHERE id = ?1 AND secret <> ?2",
                        STORE_VALUES(store_int(id), store_blob(put->secret.bytes, put->secret.count),
                                     store_int(put->now_ms + put->overlap_ms)));
}

/* The oldest event of each subject is due now, as if never tried; no other is. */
static enum store_status begin_anew(struct store_tx *tx, int64_t id, int64_t now_ms)
{
    return store_tx_run(tx,
                        "UPDATE webhooks_outbox SET attempts = 0, due_at_ms = ?2 WHERE id IN "
                        "(SELECT min(id) FROM webhooks_outbox WHERE webhook = ?1 GROUP BY subject)",
                        STORE_VALUES(store_int(id), store_int(now_ms)));
}

static enum store_status replace(struct store_tx *tx, const struct webhook_put *put,
                                 const struct webhook *there, int64_t version)
{
    bool anew = there->state != WEBHOOK_ENABLED || strcmp(there->url, put->webhook.url) != 0;
    enum store_status status = store_tx_run(
        tx,
        "UPDATE webhooks SET url = ?2, events = ?3, version = ?4, updated_at_ms = ?5, state = 0, "
        "disabled_at_ms = 0, failing_since_ms = CASE WHEN ?6 THEN 0 ELSE failing_since_ms END "
        "WHERE id = ?1",
        STORE_VALUES(store_int(there->id), store_text(put->webhook.url), store_text(put->webhook.events),
                     store_int(version), store_int(put->now_ms), store_int(anew)));
    if (status == STORE_OK && put->new_secret) {
        status = replace_secret(tx, put, there->id);
    }
    if (status == STORE_OK && anew) {
        status = begin_anew(tx, there->id, put->now_ms);
    }
    return status;
}

/* Whether there is room for one more. */
static enum store_status has_room(struct store_tx *tx, int64_t max, bool *room)
{
    int64_t count = 0;
    bool found = false;
    enum store_status status =
        store_tx_int(tx, "SELECT count(*) FROM webhooks", STORE_NO_VALUES, &count, &found);
    *room = count < max;
    return status;
}

enum store_status webhooks_sql_put(struct store_tx *tx, const void *arg, void *result)
{
    const struct webhook_put *put = arg;
    struct webhook_changed *out = result;
    struct webhook there;
    int64_t version = 0;
    bool room = true;
    enum store_status status = find(tx, put->webhook.name, &there);
    if (status == STORE_OK && there.id == 0) {
        status = has_room(tx, put->max, &room);
    }
    if (status != STORE_OK) {
        return status;
    }
    out->change = there.id == 0 ? WEBHOOK_CREATED : WEBHOOK_REPLACED;
    if (!is_expected(&there, put->expected) || !room) {
        out->change = room ? WEBHOOK_CONFLICT : WEBHOOK_TOO_MANY;
        return STORE_REJECTED;
    }
    status = next_version(tx, &version);
    if (status == STORE_OK) {
        status = there.id == 0 ? create(tx, put, version) : replace(tx, put, &there, version);
    }
    return status == STORE_OK ? find(tx, put->webhook.name, &out->webhook) : status;
}

enum store_status webhooks_sql_drop(struct store_tx *tx, const void *arg, void *result)
{
    const struct webhook_drop *drop = arg;
    struct webhook_changed *out = result;
    struct webhook there;
    enum store_status status = find(tx, drop->name, &there);
    if (status != STORE_OK) {
        return status;
    }
    out->id = there.id;
    out->change = WEBHOOK_DROPPED;
    if (there.id == 0 || !is_expected(&there, drop->expected)) {
        out->change = there.id == 0 ? WEBHOOK_MISSING : WEBHOOK_CONFLICT;
        return STORE_REJECTED;
    }
    status = store_tx_run(tx, "DELETE FROM webhooks WHERE id = ?1", STORE_VALUES(store_int(there.id)));
    return status != STORE_OK ? status
                              : store_tx_run(tx, "INSERT INTO webhooks_removed VALUES (?1)",
                                             STORE_VALUES(store_int(there.id)));
}

/* ---- attempts ---- */

static enum store_status write_log(struct store_tx *tx, const struct webhook_note *note)
{
    return store_tx_run(tx,
                        "INSERT INTO webhooks_deliveries (webhook, subject, sequence, type, attempt, at_ms, "
                        "duration_ms, outcome, status, failure, due_at_ms) "
                        "SELECT webhook, subject, sequence, type, ?2, ?3, ?4, ?5, ?6, ?7, ?8 "
                        "FROM webhooks_outbox WHERE id = ?1",
                        STORE_VALUES(store_int(note->row), store_int(note->attempt), store_int(note->at_ms),
                                     store_int(note->duration_ms), store_int(note->outcome),
                                     store_int(note->status), store_text(note->failure),
                                     store_int(note->due_at_ms)));
}

/* Takes the event out; the next one of its subject is due now. */
static enum store_status finish(struct store_tx *tx, const struct webhook_note *note, int64_t *promoted)
{
    bool found = false;
    enum store_status status =
        store_tx_int(tx,
                     "SELECT n.id FROM webhooks_outbox o JOIN webhooks_outbox n "
                     "ON n.webhook = o.webhook AND n.subject = o.subject AND n.sequence > o.sequence "
                     "WHERE o.id = ?1 ORDER BY n.sequence LIMIT 1",
                     STORE_VALUES(store_int(note->row)), promoted, &found);
    if (status == STORE_OK && found) {
        status = store_tx_run(tx, "UPDATE webhooks_outbox SET due_at_ms = ?2 WHERE id = ?1",
                              STORE_VALUES(store_int(*promoted), store_int(note->now_ms)));
    }
    if (status == STORE_OK) {
        status =
            store_tx_run(tx, "DELETE FROM webhooks_outbox WHERE id = ?1", STORE_VALUES(store_int(note->row)));
    }
    return status != STORE_OK ? status
                              : store_tx_run(tx, "UPDATE webhooks SET waiting = waiting - 1 WHERE id = ?1",
                                             STORE_VALUES(store_int(note->webhook)));
}

static enum store_status put_off(struct store_tx *tx, const struct webhook_note *note)
{
    return store_tx_run(
        tx, "UPDATE webhooks_outbox SET attempts = ?2, due_at_ms = ?3 WHERE id = ?1",
        STORE_VALUES(store_int(note->row), store_int(note->attempt), store_int(note->due_at_ms)));
}

static enum store_status disable(struct store_tx *tx, const struct webhook_note *note,
                                 enum webhook_state state, bool *disabled)
{
    enum store_status status =
        store_tx_run(tx,
                     "UPDATE webhooks SET state = ?2, disabled_at_ms = ?3 WHERE id = ?1 AND state = 0 "
                     "AND (?2 <> ?4 OR failing_since_ms < ?5)",
                     STORE_VALUES(store_int(note->webhook), store_int(state), store_int(note->now_ms),
                                  store_int(WEBHOOK_FAILING), store_int(note->disable_before_ms)));
    *disabled = store_tx_changes(tx) != 0;
    return status;
}

/* A failure begins a bad time, or is one more of it; when that lasts too long, the webhook is disabled. */
static enum store_status note_failure(struct store_tx *tx, const struct webhook_note *note, bool *disabled)
{
    enum store_status status =
        store_tx_run(tx, "UPDATE webhooks SET failing_since_ms = ?2 WHERE id = ?1 AND failing_since_ms = 0",
                     STORE_VALUES(store_int(note->webhook), store_int(note->at_ms)));
    return status != STORE_OK ? status : disable(tx, note, WEBHOOK_FAILING, disabled);
}

static enum store_status note_success(struct store_tx *tx, const struct webhook_note *note)
{
    return store_tx_run(tx,
                        "UPDATE webhooks SET failing_since_ms = 0 WHERE id = ?1 AND failing_since_ms <> 0",
                        STORE_VALUES(store_int(note->webhook)));
}

static enum store_status carry_out(struct store_tx *tx, const struct webhook_note *note,
                                   struct webhook_noted *out)
{
    enum store_status status = STORE_OK;
    switch (note->outcome) {
    case WEBHOOK_OUTCOME_DELIVERED:
        status = finish(tx, note, &out->promoted);
        return status != STORE_OK ? status : note_success(tx, note);
    case WEBHOOK_OUTCOME_GIVEN_UP:
        status = finish(tx, note, &out->promoted);
        return status != STORE_OK ? status : note_failure(tx, note, &out->disabled);
    case WEBHOOK_OUTCOME_GONE:
        status = put_off(tx, note);
        return status != STORE_OK ? status : disable(tx, note, WEBHOOK_GONE, &out->disabled);
    default:
        status = put_off(tx, note);
        return status != STORE_OK ? status : note_failure(tx, note, &out->disabled);
    }
}

enum store_status webhooks_sql_note(struct store_tx *tx, const void *arg, void *result)
{
    const struct webhook_note *note = arg;
    struct webhook_noted *out = result;
    int64_t attempts = 0;
    bool found = false;
    *out = (struct webhook_noted){.promoted = 0};
    enum store_status status = store_tx_int(
        tx, "SELECT o.attempts FROM webhooks_outbox o JOIN webhooks w ON w.id = o.webhook WHERE o.id = ?1",
        STORE_VALUES(store_int(note->row)), &attempts, &found);
    if (status != STORE_OK) {
        return status;
    }
    if (!found || attempts != note->attempt - 1) {
        return STORE_REJECTED;
    }
    status = write_log(tx, note);
    return status != STORE_OK ? status : carry_out(tx, note, out);
}

/* ---- cleaning ---- */

#define SLICE "2000"

/* Each takes out a slice: the webhooks that were removed, the log's old end, what nobody will fetch any more. */
static const char *const sweeps[] = {
    "DELETE FROM webhooks_outbox WHERE id IN (SELECT o.id FROM webhooks_removed r JOIN webhooks_outbox o "
    "ON o.webhook = r.webhook LIMIT " SLICE ")",
    "DELETE FROM webhooks_deliveries WHERE id IN (SELECT d.id FROM webhooks_removed r JOIN webhooks_deliveries d "
    "ON d.webhook = r.webhook LIMIT " SLICE ")",
    "DELETE FROM webhooks_removed WHERE NOT EXISTS (SELECT 1 FROM webhooks_outbox o WHERE o.webhook = "
    "webhooks_removed.webhook) AND NOT EXISTS (SELECT 1 FROM webhooks_deliveries d WHERE d.webhook = "
    "webhooks_removed.webhook)",
    "DELETE FROM webhooks_deliveries WHERE id IN (SELECT id FROM webhooks_deliveries ORDER BY id LIMIT " SLICE
    ") "
    "AND (at_ms < ?1 OR id <= (SELECT max(id) FROM webhooks_deliveries) - ?2)",
    "DELETE FROM webhooks_outbox WHERE id IN (SELECT o.id FROM webhooks w JOIN webhooks_outbox o ON o.webhook = w.id "
    "WHERE w.state <> 0 AND w.disabled_at_ms < ?1 LIMIT " SLICE ")",
    ("UPDATE webhooks SET waiting = (SELECT count(*) FROM webhooks_outbox o WHERE o.webhook = webhooks.id) "
     "WHERE state <> 0 AND disabled_at_ms < ?1 AND waiting <> 0"),
};
#define SWEEPS_WITH_VALUES 3 /* from here on */

enum store_status webhooks_sql_clean(struct store_tx *tx, const void *arg, void *result)
{
    const struct webhooks_clean *clean = arg;
    int64_t *gone = result;
    *gone = 0;
    for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
        struct store_values values = STORE_VALUES(store_int(clean->before_ms), store_int(clean->log_max));
        values.count = i < SWEEPS_WITH_VALUES ? 0 : i == SWEEPS_WITH_VALUES ? 2 : 1;
        enum store_status status = store_tx_run(tx, sweeps[i], values);
        if (status != STORE_OK) {
            return status;
        }
        *gone += store_tx_changes(tx);
    }
    return *gone == 0 ? STORE_REJECTED : STORE_OK;
}
