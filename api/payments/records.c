#include "api/payments/records.h"

#include "api/webhooks/webhooks.h"

#include <string.h>

static const char *const migrations[] = {
    "CREATE TABLE payments("
    "  id TEXT PRIMARY KEY, amount INTEGER NOT NULL, currency TEXT NOT NULL, state INTEGER NOT NULL,"
    "  multiple INTEGER NOT NULL, authorized INTEGER NOT NULL, captured INTEGER NOT NULL, refunded INTEGER NOT NULL,"
    "  reference TEXT, metadata TEXT NOT NULL, version INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    "  op_id TEXT, op_kind INTEGER NOT NULL, op_status INTEGER NOT NULL, op_amount INTEGER NOT NULL,"
    "  op_since_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX payments_created ON payments(created_ms, id);"
    "CREATE INDEX payments_state ON payments(state, created_ms, id);"
    "CREATE INDEX payments_reference ON payments(reference, created_ms, id) WHERE reference IS NOT NULL;"
    "CREATE INDEX payments_open ON payments(id) WHERE op_id IS NOT NULL;"
    "CREATE TABLE payments_events("
    "  payment_id TEXT NOT NULL, seq INTEGER NOT NULL, type INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    "  request_id TEXT NOT NULL, kind INTEGER NOT NULL, operation TEXT NOT NULL, amount INTEGER NOT NULL,"
    "  code TEXT NOT NULL, reference TEXT NOT NULL, PRIMARY KEY(payment_id, seq)) WITHOUT ROWID;"
    "CREATE TABLE payments_keys("
    "  scope BLOB NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, created_ms INTEGER NOT NULL,"
    "  operation TEXT, status INTEGER, version INTEGER NOT NULL, answer TEXT, PRIMARY KEY(scope, key)) WITHOUT ROWID;"
    "CREATE INDEX payments_keys_operation ON payments_keys(operation) WHERE operation IS NOT NULL;"
    "CREATE INDEX payments_keys_created ON payments_keys(created_ms);",
};

const struct store_schema payments_schema = {
    .name = "payments", .version = sizeof(migrations) / sizeof(migrations[0]), .migrations = migrations};

/* ---- appending: payments ---- */

static struct store_value hash_value(const uint8_t hash[IDEMPOTENCY_HASH_BYTES])
{
    return store_blob(hash, IDEMPOTENCY_HASH_BYTES);
}

static struct store_value operation_value(const struct payment *payment)
{
    return payment->operation.kind == OPERATION_NONE ? store_null() : store_text(payment->operation.id);
}

static enum store_status insert_payment(struct store_tx *tx, const struct payment_batch *batch)
{
    const struct payment *payment = &batch->payment;
    return store_tx_run(
        tx,
        "INSERT INTO payments(id, amount, currency, state, multiple, authorized, captured, refunded, reference, "
        "metadata, version, created_ms, updated_ms, op_id, op_kind, op_status, op_amount, op_since_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, 0, 0, 0, ?6, ?7, ?8, ?9, ?9, NULL, 0, 0, 0, 0)",
        STORE_VALUES(store_text(payment->id), store_int(payment->amount), store_text(payment->currency),
                     store_int(payment->state), store_int(payment->refunds_multiple),
                     store_text(payment->has_reference ? payment->reference : NULL),
                     store_text_n(batch->bytes, batch->metadata_bytes), store_int((int64_t)payment->version),
                     store_int(payment->created_at_ms)));
}

/* *fits: whether the payment had the version that the batch was made for. */
static enum store_status update_payment(struct store_tx *tx, const struct payment_batch *batch, bool *fits)
{
    const struct payment *payment = &batch->payment;
    enum store_status status = store_tx_run(
        tx,
        "UPDATE payments SET state = ?3, authorized = ?4, captured = ?5, refunded = ?6, version = ?7, updated_ms = ?8, "
        "op_id = ?9, op_kind = ?10, op_status = ?11, op_amount = ?12, op_since_ms = ?13 "
        "WHERE id = ?1 AND version = ?2",
        STORE_VALUES(store_text(payment->id), store_int((int64_t)batch->expected), store_int(payment->state),
                     store_int(payment->authorized_amount), store_int(payment->captured_amount),
                     store_int(payment->refunded_amount), store_int((int64_t)payment->version),
                     store_int(payment->updated_at_ms), operation_value(payment),
                     store_int(payment->operation.kind), store_int(payment->operation.status),
                     store_int(payment->operation.amount), store_int(payment->operation.since_ms)));
    *fits = status == STORE_OK && store_tx_changes(tx) == 1;
    return status;
}

static enum store_status insert_event(struct store_tx *tx, const char *payment_id,
                                      const struct payment_event *event)
{
    return store_tx_run(
        tx,
        "INSERT INTO payments_events(payment_id, seq, type, at_ms, request_id, kind, operation, amount, code, reference) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        STORE_VALUES(store_text(payment_id), store_int((int64_t)event->seq), store_int(event->type),
                     store_int(event->at_ms), store_text(event->request_id), store_int(event->kind),
                     store_text(event->operation), store_int(event->amount), store_text(event->code),
                     store_text(event->reference)));
}

static enum store_status tell_webhooks(struct store_tx *tx, const struct payment_batch *batch,
                                       const struct payment_event *event)
{
    if (event->type >= EVENT_OPERATION_STARTED) {
        return STORE_OK;
    }
    return webhooks_enqueue(
        tx,
        &(struct webhook_event){.subject = batch->payment.id,
                                .sequence = (int64_t)event->seq,
                                .type = payment_event_text(event->type),
                                .at_ms = event->at_ms,
                                .data = {.bytes = batch->bytes + batch->metadata_bytes + batch->answer_bytes,
                                         .count = batch->data_bytes}});
}

static enum store_status append_event(struct store_tx *tx, const struct payment_batch *batch)
{
    if (!batch->has_event) {
        return STORE_OK;
    }
    enum store_status status = insert_event(tx, batch->payment.id, &batch->event);
    return status == STORE_OK ? tell_webhooks(tx, batch, &batch->event) : status;
}

/* ---- appending: keys ---- */

static struct store_value answer_value(const struct payment_batch *batch)
{
    return store_text_n(batch->bytes + batch->metadata_bytes, batch->answer_bytes);
}

/* Takes a key that nobody has, or that has outlived its time. *taken: somebody has it. */
static enum store_status take_key(struct store_tx *tx, const struct payment_batch *batch, bool *taken)
{
    bool ends = batch->key_step == KEY_ENDS;
    struct store_value scope = hash_value(batch->key.scope);
    struct store_value key = store_text(batch->key.key);
    enum store_status status = store_tx_run(
        tx,
        "DELETE FROM payments_keys WHERE scope = ?1 AND key = ?2 AND created_ms <= ?3 AND status IS NOT NULL",
        STORE_VALUES(scope, key, store_int(batch->now_ms - IDEMPOTENCY_KEPT_MS)));
    if (status != STORE_OK) {
        return status;
    }
    status = store_tx_run(
        tx,
        "INSERT INTO payments_keys(scope, key, fingerprint, created_ms, operation, status, version, answer) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(scope, key) DO NOTHING",
        STORE_VALUES(scope, key, hash_value(batch->key.fingerprint), store_int(batch->now_ms),
                     ends ? store_null() : store_text(batch->operation),
                     ends ? store_int((int64_t)batch->status) : store_null(),
                     store_int((int64_t)batch->payment.version), ends ? answer_value(batch) : store_null()));
    *taken = status == STORE_OK && store_tx_changes(tx) == 0;
    return status;
}

static enum store_status step_key(struct store_tx *tx, const struct payment_batch *batch, bool *taken)
{
    switch (batch->key_step) {
    case KEY_OPENS:
    case KEY_ENDS:
        return take_key(tx, batch, taken);
    case KEY_SETTLES:
        return store_tx_run(
            tx, "UPDATE payments_keys SET status = ?2, answer = ?3, version = ?4 WHERE operation = ?1",
            STORE_VALUES(store_text(batch->operation), store_int((int64_t)batch->status), answer_value(batch),
                         store_int((int64_t)batch->payment.version)));
    case KEY_FREES:
        return store_tx_run(tx, "DELETE FROM payments_keys WHERE operation = ?1",
                            STORE_VALUES(store_text(batch->operation)));
    default:
        return STORE_OK;
    }
}

/* ---- appending: the batch ---- */

static enum store_status store_payment(struct store_tx *tx, const struct payment_batch *batch, bool *fits)
{
    if (batch->expected == 0) {
        *fits = true;
        return insert_payment(tx, batch);
    }
    return update_payment(tx, batch, fits);
}

enum store_status records_append(struct store_tx *tx, const void *arg, void *result)
{
    const struct payment_batch *batch = arg;
    enum batch_result *answer = result;
    bool taken = false;
    bool fits = false;
    enum store_status status = step_key(tx, batch, &taken);
    if (status == STORE_OK && taken) {
        *answer = BATCH_KEY_TAKEN;
        return STORE_REJECTED;
    }
    if (status == STORE_OK) {
        status = store_payment(tx, batch, &fits);
    }
    if (status == STORE_OK && !fits) {
        *answer = BATCH_STALE;
        return STORE_REJECTED;
    }
    *answer = BATCH_APPENDED;
    return status == STORE_OK ? append_event(tx, batch) : status;
}

enum store_status records_sweep_keys(struct store_tx *tx, const void *arg, void *result)
{
    enum store_status status =
        store_tx_run(tx,
                     "DELETE FROM payments_keys WHERE (scope, key) IN (SELECT scope, key FROM payments_keys "
                     "WHERE created_ms <= ?1 AND status IS NOT NULL LIMIT 1000)",
                     STORE_VALUES(store_int(*(const int64_t *)arg - IDEMPOTENCY_KEPT_MS)));
    *(int64_t *)result = status == STORE_OK ? store_tx_changes(tx) : 0;
    return status;
}
