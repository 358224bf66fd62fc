/* The statements that only read: on a reading connection. */
#include "api/webhooks/records.h"
#include "api/webhooks/records_rows.h"

/* ---- webhooks ---- */

enum store_status webhooks_read_one(struct store_reader *reader, const void *arg, void *result,
                                    struct store_rows *rows)
{
    struct webhook *out = result;
    (void)rows;
    out->id = 0;
    enum store_status status =
        store_reader_query(reader, "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE name = ?1",
                           STORE_VALUES(store_text(arg)), webhook_take_row, out);
    return status != STORE_OK || out->id != 0 ? status : STORE_REJECTED;
}

static int add_webhook(void *arg, const struct store_row *row)
{
    struct webhook webhook;
    (void)webhook_take_row(&webhook, row);
    store_rows_add(arg, &webhook, sizeof(webhook));
    return 0;
}

enum store_status webhooks_read_page(struct store_reader *reader, const void *arg, void *result,
                                     struct store_rows *rows)
{
    const struct webhooks_page *page = arg;
    (void)result;
    return store_reader_query(
        reader, "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE name > ?1 ORDER BY name LIMIT ?2",
        STORE_VALUES(store_text(page->after), store_int(page->limit)), add_webhook, rows);
}

/* ---- the log ---- */

static int add_delivery(void *arg, const struct store_row *row)
{
    struct webhook_delivery delivery = {.id = store_row_int(row, 0),
                                        .sequence = store_row_int(row, 2),
                                        .attempt = store_row_int(row, 4),
                                        .at_ms = store_row_int(row, 5),
                                        .duration_ms = store_row_int(row, 6),
                                        .outcome = (enum webhook_outcome)store_row_int(row, 7),
                                        .status = store_row_int(row, 8),
                                        .due_at_ms = store_row_int(row, 10)};
    webhook_take_text(row, 1, delivery.subject, sizeof(delivery.subject));
    webhook_take_text(row, 3, delivery.type, sizeof(delivery.type));
    webhook_take_text(row, 9, delivery.failure, sizeof(delivery.failure));
    store_rows_add(arg, &delivery, sizeof(delivery));
    return 0;
}

enum store_status webhooks_read_deliveries(struct store_reader *reader, const void *arg, void *result,
                                           struct store_rows *rows)
{
    const struct webhook_deliveries_page *page = arg;
    (void)result;
    return store_reader_query(
        reader,
        "SELECT id, subject, sequence, type, attempt, at_ms, duration_ms, outcome, status, failure, due_at_ms "
        "FROM webhooks_deliveries WHERE webhook = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
        STORE_VALUES(store_int(page->webhook), store_int(page->before), store_int(page->limit)), add_delivery,
        rows);
}

/* ---- what is due ---- */

static int take_due(void *arg, const struct store_row *row)
{
    struct webhook_due *due = arg;
    due->rows[due->count++] = store_row_int(row, 0);
    return due->count == WEBHOOKS_DUE_MAX;
}

enum store_status webhooks_read_due(struct store_reader *reader, const void *arg, void *result,
                                    struct store_rows *rows)
{
    const struct webhook_look *look = arg;
    struct webhook_due *due = result;
    int64_t state = 0;
    bool found = false;
    (void)rows;
    due->count = 0;
    enum store_status status = store_reader_int(reader, "SELECT state FROM webhooks WHERE id = ?1",
                                                STORE_VALUES(store_int(look->webhook)), &state, &found);
    if (status != STORE_OK || !found || state != WEBHOOK_ENABLED) {
        return status == STORE_OK ? STORE_REJECTED : status;
    }
    status = store_reader_query(
        reader,
        "SELECT id FROM webhooks_outbox WHERE webhook = ?1 AND due_at_ms IS NOT NULL "
        "AND due_at_ms <= ?2 ORDER BY due_at_ms, id LIMIT ?3",
        STORE_VALUES(store_int(look->webhook), store_int(look->now_ms), store_int(look->limit)), take_due,
        due);
    due->next_at_ms = INT64_MAX;
    return status != STORE_OK
               ? status
               : store_reader_int(reader,
                                  "SELECT due_at_ms FROM webhooks_outbox WHERE webhook = ?1 AND due_at_ms "
                                  "IS NOT NULL AND due_at_ms > ?2 ORDER BY due_at_ms LIMIT 1",
                                  STORE_VALUES(store_int(look->webhook), store_int(look->now_ms)),
                                  &due->next_at_ms, &found);
}

static int add_sending(void *arg, const struct store_row *row)
{
    struct webhook_sending sending = {.old_until_ms = store_row_int(row, 4),
                                      .sequence = store_row_int(row, 6),
                                      .attempts = store_row_int(row, 8),
                                      .event_at_ms = store_row_int(row, 9)};
    const char *payload = store_row_text(row, 10, &sending.payload_bytes);
    webhook_take_text(row, 0, sending.name, sizeof(sending.name));
    webhook_take_text(row, 1, sending.url, sizeof(sending.url));
    webhook_take_secret(row, 2, &sending.secret);
    webhook_take_secret(row, 3, &sending.old_secret);
    webhook_take_text(row, 5, sending.subject, sizeof(sending.subject));
    webhook_take_text(row, 7, sending.type, sizeof(sending.type));
    store_rows_add(arg, &sending, sizeof(sending));
    store_rows_add(arg, payload, sending.payload_bytes);
    return 1;
}

enum store_status webhooks_read_sending(struct store_reader *reader, const void *arg, void *result,
                                        struct store_rows *rows)
{
    const int64_t *row = arg;
    (void)result;
    enum store_status status = store_reader_query(
        reader,
        "SELECT w.name, w.url, w.secret, w.old_secret, w.old_until_ms, o.subject, o.sequence, o.type, o.attempts, "
        "o.at_ms, o.payload FROM webhooks_outbox o JOIN webhooks w ON w.id = o.webhook "
        "WHERE o.id = ?1 AND o.due_at_ms IS NOT NULL AND w.state = 0",
        STORE_VALUES(store_int(*row)), add_sending, rows);
    return status != STORE_OK || rows->count != 0 ? status : STORE_REJECTED;
}

/* ---- all of them ---- */

static int take_overview(void *arg, const struct store_row *row)
{
    struct webhooks_overview *out = arg;
    *out = (struct webhooks_overview){.webhooks = store_row_int(row, 0),
                                      .waiting = store_row_int(row, 1),
                                      .dropped = store_row_int(row, 2),
                                      .removed = store_row_int(row, 3),
                                      .oldest_at_ms = store_row_int(row, 4)};
    return 1;
}

enum store_status webhooks_read_overview(struct store_reader *reader, const void *arg, void *result,
                                         struct store_rows *rows)
{
    (void)arg;
    (void)rows;
    return store_reader_query(reader,
                              "SELECT count(*), coalesce(sum(waiting), 0), coalesce(sum(dropped), 0), "
                              "(SELECT count(*) FROM webhooks_removed), "
                              "(SELECT at_ms FROM webhooks_outbox ORDER BY id LIMIT 1) FROM webhooks",
                              STORE_NO_VALUES, take_overview, result);
}

static int add_id(void *arg, const struct store_row *row)
{
    int64_t id = store_row_int(row, 0);
    store_rows_add(arg, &id, sizeof(id));
    return 0;
}

enum store_status webhooks_read_enabled(struct store_reader *reader, const void *arg, void *result,
                                        struct store_rows *rows)
{
    (void)arg;
    (void)result;
    return store_reader_query(reader, "SELECT id FROM webhooks WHERE state = 0 ORDER BY id", STORE_NO_VALUES,
                              add_id, rows);
}
