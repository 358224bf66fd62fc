/* The reading half of records.h: rows of the store packed one behind the other. */
#include "api/payments/records.h"

#include <string.h>

#define PAYMENT_COLUMNS                                                                                     \
    "id, amount, currency, state, multiple, authorized, captured, refunded, reference, metadata, version, " \
    "created_ms, updated_ms, op_id, op_kind, op_status, op_amount, op_since_ms"

/* ---- one row ---- */

/* Copies a text column, cut to the room there is: what is longer was never written. */
static void copy_text(const struct store_row *row, int column, char *out, size_t bytes)
{
    size_t length = 0;
    const char *text = store_row_text(row, column, &length);
    length = text == NULL ? 0 : length < bytes ? length : bytes - 1;
    if (length > 0) {
        memcpy(out, text, length);
    }
    out[length] = 0;
}

/* Whether an integer of the database is one that this program wrote. */
static bool in_range(int64_t value, int count)
{
    return value >= 0 && value < count;
}

static bool payment_of_row(const struct store_row *row, struct payment *out)
{
    *out = (struct payment){.amount = store_row_int(row, 1),
                            .state = (enum payment_state)store_row_int(row, 3),
                            .refunds_multiple = store_row_int(row, 4) != 0,
                            .authorized_amount = store_row_int(row, 5),
                            .captured_amount = store_row_int(row, 6),
                            .refunded_amount = store_row_int(row, 7),
                            .has_reference = store_row_kind(row, 8) != STORE_KIND_NULL,
                            .version = (uint64_t)store_row_int(row, 10),
                            .created_at_ms = store_row_int(row, 11),
                            .updated_at_ms = store_row_int(row, 12),
                            .operation = {.kind = (enum operation_kind)store_row_int(row, 14),
                                          .status = (enum operation_status)store_row_int(row, 15),
                                          .amount = store_row_int(row, 16),
                                          .since_ms = store_row_int(row, 17)}};
    copy_text(row, 0, out->id, sizeof(out->id));
    copy_text(row, 2, out->currency, sizeof(out->currency));
    copy_text(row, 8, out->reference, sizeof(out->reference));
    copy_text(row, 13, out->operation.id, sizeof(out->operation.id));
    return in_range(store_row_int(row, 3), PAYMENT_STATES_COUNT) &&
           in_range(store_row_int(row, 14), OPERATION_CANCEL + 1);
}

/* A payment, then its metadata padded to eight bytes. */
static int add_payment(void *arg, const struct store_row *row)
{
    static const char zeros[8] = {0};
    struct store_rows *rows = arg;
    struct payment payment;
    size_t bytes = 0;
    const char *metadata = store_row_text(row, 9, &bytes);
    if (!payment_of_row(row, &payment) || metadata == NULL) {
        rows->failed = true;
        return 1;
    }
    payment.metadata = (struct text){.bytes = NULL, .count = bytes};
    store_rows_add(rows, &payment, sizeof(payment));
    store_rows_add(rows, metadata, bytes);
    store_rows_add(rows, zeros, -bytes & 7u);
    return 0;
}

bool records_next_payment(struct text *rows, struct payment *payment)
{
    if (rows->count < sizeof(*payment)) {
        return false;
    }
    memcpy(payment, rows->bytes, sizeof(*payment));
    size_t padded = (payment->metadata.count + 7u) & ~(size_t)7;
    payment->metadata.bytes = rows->bytes + sizeof(*payment);
    *rows = (struct text){.bytes = rows->bytes + sizeof(*payment) + padded,
                          .count = rows->count - sizeof(*payment) - padded};
    return true;
}

static int add_event(void *arg, const struct store_row *row)
{
    struct store_rows *rows = arg;
    struct payment_event event = {.seq = (uint64_t)store_row_int(row, 0),
                                  .type = (enum payment_event_type)store_row_int(row, 1),
                                  .at_ms = store_row_int(row, 2),
                                  .kind = (enum operation_kind)store_row_int(row, 4),
                                  .amount = store_row_int(row, 6)};
    copy_text(row, 3, event.request_id, sizeof(event.request_id));
    copy_text(row, 5, event.operation, sizeof(event.operation));
    copy_text(row, 7, event.code, sizeof(event.code));
    copy_text(row, 8, event.reference, sizeof(event.reference));
    if (!in_range(store_row_int(row, 1), PAYMENT_EVENTS_COUNT)) {
        rows->failed = true;
        return 1;
    }
    store_rows_add(rows, &event, sizeof(event));
    return 0;
}

/* ---- one payment ---- */

enum store_status records_payment(struct store_reader *reader, const void *arg, void *result,
                                  struct store_rows *rows)
{
    (void)result;
    const struct payment_name *name = arg;
    return store_reader_query(reader, "SELECT " PAYMENT_COLUMNS " FROM payments WHERE id = ?1",
                              STORE_VALUES(store_text(name->id)), add_payment, rows);
}

static enum store_status add_events(struct store_reader *reader, const struct event_query *query,
                                    struct store_rows *rows)
{
    return store_reader_query(
        reader,
        "SELECT seq, type, at_ms, request_id, kind, operation, amount, code, reference FROM payments_events "
        "WHERE payment_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        STORE_VALUES(store_text(query->id), store_int((int64_t)query->after), store_int(query->limit)),
        add_event, rows);
}

enum store_status records_load(struct store_reader *reader, const void *arg, void *result,
                               struct store_rows *rows)
{
    struct event_query query = {.limit = -1};
    memcpy(query.id, ((const struct payment_name *)arg)->id, sizeof(query.id));
    enum store_status status = store_reader_begin(reader);
    if (status != STORE_OK) {
        return status;
    }
    status = records_payment(reader, arg, result, rows);
    if (status == STORE_OK) {
        status = add_events(reader, &query, rows);
    }
    store_reader_end(reader);
    return status;
}

enum store_status records_events(struct store_reader *reader, const void *arg, void *result,
                                 struct store_rows *rows)
{
    struct event_query query = *(const struct event_query *)arg;
    int64_t *exists = result;
    query.limit++;
    bool found = false;
    enum store_status status = store_reader_int(reader, "SELECT 1 FROM payments WHERE id = ?1",
                                                STORE_VALUES(store_text(query.id)), exists, &found);
    return status == STORE_OK ? add_events(reader, &query, rows) : status;
}

/* ---- lists ---- */

#define NEWER_THAN " created_ms > ?1 AND (created_ms, id) < (?2, ?3) "
#define NEWEST     " ORDER BY created_ms DESC, id DESC LIMIT ?4"

enum store_status records_list(struct store_reader *reader, const void *arg, void *result,
                               struct store_rows *rows)
{
    (void)result;
    const struct payment_query *query = arg;
    bool first = query->cursor_id[0] == 0;
    struct store_value after = store_int(query->after_ms);
    struct store_value before = store_int(first ? INT64_MAX : query->cursor_ms);
    struct store_value before_id = store_text(query->cursor_id);
    struct store_value limit = store_int(query->limit + 1);
    bool of_reference = query->reference[0] != 0;
    if (of_reference && query->state >= 0) {
        return store_reader_query(reader,
                                  "SELECT " PAYMENT_COLUMNS
                                  " FROM payments WHERE reference = ?5 AND state = ?6 AND" NEWER_THAN NEWEST,
                                  STORE_VALUES(after, before, before_id, limit, store_text(query->reference),
                                               store_int(query->state)),
                                  add_payment, rows);
    }
    if (of_reference) {
        return store_reader_query(
            reader, "SELECT " PAYMENT_COLUMNS " FROM payments WHERE reference = ?5 AND" NEWER_THAN NEWEST,
            STORE_VALUES(after, before, before_id, limit, store_text(query->reference)), add_payment, rows);
    }
    if (query->state >= 0) {
        return store_reader_query(
            reader, "SELECT " PAYMENT_COLUMNS " FROM payments WHERE state = ?5 AND" NEWER_THAN NEWEST,
            STORE_VALUES(after, before, before_id, limit, store_int(query->state)), add_payment, rows);
    }
    return store_reader_query(reader, "SELECT " PAYMENT_COLUMNS " FROM payments WHERE" NEWER_THAN NEWEST,
                              STORE_VALUES(after, before, before_id, limit), add_payment, rows);
}

enum store_status records_open(struct store_reader *reader, const void *arg, void *result,
                               struct store_rows *rows)
{
    (void)result;
    const struct open_query *query = arg;
    return store_reader_query(reader,
                              "SELECT " PAYMENT_COLUMNS " FROM payments WHERE op_id IS NOT NULL AND id > ?1 "
                              "AND op_status >= ?2 ORDER BY id LIMIT ?3",
                              STORE_VALUES(store_text(query->after),
                                           store_int(query->unknown_only ? OPERATION_STATUS_UNKNOWN : 0),
                                           store_int(query->limit + 1)),
                              add_payment, rows);
}

/* ---- keys ---- */

struct answer_rows {
    const struct idempotency_key *key;
    struct stored_answer *answer;
    struct store_rows *rows;
};

static int add_answer(void *arg, const struct store_row *row)
{
    struct answer_rows *found = arg;
    size_t bytes = 0;
    const void *fingerprint = store_row_blob(row, 0, &bytes);
    *found->answer = (struct stored_answer){.found = true,
                                            .running = store_row_kind(row, 1) == STORE_KIND_NULL,
                                            .same = fingerprint != NULL && bytes == IDEMPOTENCY_HASH_BYTES &&
                                                    memcmp(fingerprint, found->key->fingerprint, bytes) == 0,
                                            .status = (unsigned)store_row_int(row, 1),
                                            .version = (uint64_t)store_row_int(row, 2)};
    const char *answer = store_row_text(row, 3, &bytes);
    if (answer != NULL) {
        store_rows_add(found->rows, answer, bytes);
    }
    return 0;
}

enum store_status records_answer(struct store_reader *reader, const void *arg, void *result,
                                 struct store_rows *rows)
{
    const struct idempotency_key *key = arg;
    struct answer_rows found = {.key = key, .answer = result, .rows = rows};
    return store_reader_query(
        reader,
        "SELECT fingerprint, status, version, answer FROM payments_keys WHERE scope = ?1 AND key = ?2",
        STORE_VALUES(store_blob(key->scope, IDEMPOTENCY_HASH_BYTES), store_text(key->key)), add_answer,
        &found);
}
