/* The way in: events become rows of the outbox, in the transaction that makes them. */
#include "api/webhooks/service.h"
#include "api/webhooks/webhooks.h"

#include "server/json_out.h"

#define PAYLOAD_MAX   (1u << 20)
#define PAYLOAD_FIRST 8192
#define WANTED_MAX    1000 /* the most that max_webhooks may say */

/* The webhooks that want an event. */
struct wanted {
    struct text type;
    size_t count;
    int64_t ids[WANTED_MAX];
    bool full[WANTED_MAX]; /* their outbox is: they do without this event */
};

static int take_wanted(void *arg, const struct store_row *row)
{
    struct wanted *wanted = arg;
    struct text events;
    events.bytes = store_row_text(row, 1, &events.count);
    if (webhook_wants(events, wanted->type)) {
        wanted->full[wanted->count] = store_row_int(row, 2) >= webhooks.outbox_max;
        wanted->ids[wanted->count++] = store_row_int(row, 0);
    }
    return wanted->count == WANTED_MAX;
}

/* The new event is due at once when nothing of its subject is before it (W1). */
static enum store_status add(struct store_tx *tx, const struct webhook_event *event, int64_t webhook,
                             struct text payload)
{
    enum store_status status = store_tx_run(
        tx,
        "INSERT OR IGNORE INTO webhooks_outbox (webhook, subject, sequence, type, payload, at_ms, due_at_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, CASE WHEN EXISTS (SELECT 1 FROM webhooks_outbox "
        "WHERE webhook = ?1 AND subject = ?2) THEN NULL ELSE ?6 END)",
        STORE_VALUES(store_int(webhook), store_text(event->subject), store_int(event->sequence),
                     store_text(event->type), store_text_n(payload.bytes, payload.count),
                     store_int(event->at_ms)));
    return status != STORE_OK || store_tx_changes(tx) == 0
               ? status
               : store_tx_run(tx, "UPDATE webhooks SET waiting = waiting + 1 WHERE id = ?1",
                              STORE_VALUES(store_int(webhook)));
}

static enum store_status leave_out(struct store_tx *tx, int64_t webhook)
{
    return store_tx_run(tx, "UPDATE webhooks SET dropped = dropped + 1 WHERE id = ?1",
                        STORE_VALUES(store_int(webhook)));
}

static void write_payload(struct json_out *out, const struct webhook_event *event)
{
    json_out_open_object(out);
    json_out_member_string(out, "type", event->type);
    json_out_member_time(out, "timestamp", event->at_ms);
    json_out_key(out, "data");
    json_out_raw(out, event->data);
    json_out_close_object(out);
}

static enum store_status add_to_all(struct store_tx *tx, const struct webhook_event *event,
                                    const struct wanted *wanted)
{
    char first[PAYLOAD_FIRST];
    struct json_out out;
    json_out_init_spilling(&out, first, sizeof(first), PAYLOAD_MAX);
    write_payload(&out, event);
    struct text payload = json_out_text(&out);
    enum store_status status = payload.bytes == NULL ? STORE_NOMEM : STORE_OK;
    for (size_t i = 0; i < wanted->count && status == STORE_OK; i++) {
        status = wanted->full[i] ? leave_out(tx, wanted->ids[i]) : add(tx, event, wanted->ids[i], payload);
    }
    json_out_fini(&out);
    return status;
}

enum store_status webhooks_enqueue(struct store_tx *tx, const struct webhook_event *event)
{
    if (!atomic_load(&webhooks.any)) {
        return STORE_OK;
    }
    struct wanted wanted;
    wanted.type = text_of(event->type);
    wanted.count = 0;
    if (!webhook_subject_fits(text_of(event->subject))) {
        return STORE_BAD;
    }
    enum store_status status = store_tx_query(tx, "SELECT id, events, waiting FROM webhooks WHERE state = 0",
                                              STORE_NO_VALUES, take_wanted, &wanted);
    return status != STORE_OK || wanted.count == 0 ? status : add_to_all(tx, event, &wanted);
}

void webhooks_wake(void)
{
    if (!atomic_load(&webhooks.any) || atomic_exchange(&webhooks.told, true)) {
        return;
    }
    if (TR_SEND(webhooks.manager, webhooks_look) != TR_OK) {
        atomic_store(&webhooks.told, false); /* the manager's successor looks by itself, and at every tick */
    }
}
