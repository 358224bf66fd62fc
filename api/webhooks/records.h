/* records: the tables of this room in the store, and every statement on them.
 *
 *     webhooks             one row a webhook
 *     webhooks_outbox      one row for an event and a webhook, with the payload as it goes out
 *     webhooks_deliveries  one row an attempt
 *     webhooks_removed     webhooks that are gone, whose rows are still to be taken out
 *     webhooks_numbers     the last version given
 *
 * webhooks_sql_* run on the commit thread inside a transaction (store_writer_run); webhooks_read_* on a reading connection
 * (store_read). Their arguments and results are plain memory. STORE_REJECTED: what was asked for is not there.
 *
 * Invariants
 *   W1. Of each webhook and subject the oldest row of the outbox, and no other, has a time at which it is due.
 *   W2. webhooks.waiting is the number of its rows in the outbox.
 *   W3. Events of a subject are in the outbox in the order of their sequence, each at most once.
 *   W4. Ids and versions are never used again.
 *   W5. The note of an attempt names the attempt's number: a note that is made twice (its answer was lost) counts once.
 */
#ifndef TROUPE_API_WEBHOOKS_RECORDS_H
#define TROUPE_API_WEBHOOKS_RECORDS_H

#include "api/webhooks/retry.h"
#include "api/webhooks/signature.h"
#include "api/webhooks/webhook.h"
#include "server/store/db_connection.h"
#include "server/store/store_schema.h"
#include "server/store/store_tx.h"

#define WEBHOOKS_ANY_VERSION UINT64_MAX
#define WEBHOOKS_DUE_MAX     128
#define WEBHOOK_FAILURE_MAX  32

extern const struct store_schema webhooks_schema;

/* ---- changing webhooks ---- */

enum webhook_change {
    WEBHOOK_CREATED,
    WEBHOOK_REPLACED,
    WEBHOOK_DROPPED,
    WEBHOOK_MISSING,
    WEBHOOK_CONFLICT,
    WEBHOOK_TOO_MANY
};

struct webhook_put {
    struct webhook webhook; /* name, url, events */
    uint64_t expected;      /* version; 0: must not be there; WEBHOOKS_ANY_VERSION */
    int64_t now_ms;
    int64_t max;        /* webhooks there may be */
    int64_t overlap_ms; /* how long a replaced secret signs as well */
    bool new_secret;    /* it replaces the one that is there; a new webhook takes it in any case */
    struct webhook_secret secret;
};

struct webhook_changed {
    enum webhook_change change;
    struct webhook webhook; /* CREATED, REPLACED */
    int64_t id;             /* DROPPED */
};

/** arg: struct webhook_put; result: struct webhook_changed. A webhook that was disabled, or leads to another URL now, begins
 *  anew with what is waiting. */
enum store_status webhooks_sql_put(struct store_tx *tx, const void *arg, void *result);

struct webhook_drop {
    char name[WEBHOOK_NAME_MAX + 1];
    uint64_t expected;
};
/** arg: struct webhook_drop; result: struct webhook_changed. Its outbox and log go later, slice by slice. */
enum store_status webhooks_sql_drop(struct store_tx *tx, const void *arg, void *result);

/* ---- attempts ---- */

/* What became of an attempt. Zeroed but for what is set: it is compared and copied as bytes. */
struct webhook_note {
    int64_t webhook, row;
    int64_t attempt; /* its number, from 1 */
    int64_t at_ms, duration_ms;
    enum webhook_outcome outcome;
    int64_t status;                    /* 0: no answer */
    char failure[WEBHOOK_FAILURE_MAX]; /* "": there was an answer */
    int64_t due_at_ms;                 /* FAILED: when it is tried again */
    int64_t disable_before_ms;         /* failing since before this: the webhook is disabled */
    int64_t now_ms;
};

struct webhook_noted {
    bool disabled;    /* by this note */
    int64_t promoted; /* the row of the subject's next event, due now; 0: there is none */
};

/** arg: struct webhook_note; result: struct webhook_noted. STORE_REJECTED: noted before, or the event is gone. */
enum store_status webhooks_sql_note(struct store_tx *tx, const void *arg, void *result);

/* ---- cleaning ---- */

struct webhooks_clean {
    int64_t before_ms; /* older attempts, and what disabled webhooks left waiting since before, go */
    int64_t log_max;   /* attempts kept at most */
};
/** arg: struct webhooks_clean; result: int64_t rows taken out, at most a few thousand a time. */
enum store_status webhooks_sql_clean(struct store_tx *tx, const void *arg, void *result);

/* ---- reading ---- */

/** arg: a name with its NUL; result: struct webhook. */
enum store_status webhooks_read_one(struct store_reader *reader, const void *arg, void *result,
                                    struct store_rows *rows);

struct webhooks_page {
    char after[WEBHOOK_NAME_MAX + 1]; /* names after this one */
    int64_t limit;
};
/** arg: struct webhooks_page; rows: struct webhook, by name. */
enum store_status webhooks_read_page(struct store_reader *reader, const void *arg, void *result,
                                     struct store_rows *rows);

struct webhook_delivery {
    int64_t id;
    char subject[WEBHOOK_SUBJECT_MAX + 1];
    int64_t sequence;
    char type[WEBHOOK_TYPE_MAX + 1];
    int64_t attempt, at_ms, duration_ms;
    enum webhook_outcome outcome;
    int64_t status;
    char failure[WEBHOOK_FAILURE_MAX];
    int64_t due_at_ms;
};
struct webhook_deliveries_page {
    int64_t webhook;
    int64_t before; /* ids below this one; INT64_MAX: from the newest */
    int64_t limit;
};
/** arg: struct webhook_deliveries_page; rows: struct webhook_delivery, newest first. */
enum store_status webhooks_read_deliveries(struct store_reader *reader, const void *arg, void *result,
                                           struct store_rows *rows);

struct webhook_look {
    int64_t webhook, now_ms;
    int64_t limit; /* at most WEBHOOKS_DUE_MAX */
};
struct webhook_due {
    uint32_t count;
    int64_t rows[WEBHOOKS_DUE_MAX]; /* in the order they are due */
    int64_t next_at_ms;             /* of what is due later; INT64_MAX: nothing is */
};
/** arg: struct webhook_look; result: struct webhook_due. STORE_REJECTED: there is no such webhook, or it is disabled. */
enum store_status webhooks_read_due(struct store_reader *reader, const void *arg, void *result,
                                    struct store_rows *rows);

/* What an attempt needs, its payload behind it. */
struct webhook_sending {
    char name[WEBHOOK_NAME_MAX + 1];
    char url[WEBHOOK_URL_MAX + 1];
    struct webhook_secret secret, old_secret;
    int64_t old_until_ms;
    char subject[WEBHOOK_SUBJECT_MAX + 1];
    int64_t sequence;
    char type[WEBHOOK_TYPE_MAX + 1];
    int64_t attempts; /* before this one */
    int64_t event_at_ms;
    size_t payload_bytes;
};
/** arg: int64_t row; rows: struct webhook_sending and the payload. STORE_REJECTED: it is not due, or its webhook is gone or
 *  disabled. */
enum store_status webhooks_read_sending(struct store_reader *reader, const void *arg, void *result,
                                        struct store_rows *rows);

struct webhooks_overview {
    int64_t webhooks, waiting, dropped, removed;
    int64_t oldest_at_ms; /* of the outbox; 0: it is empty */
};
/** result: struct webhooks_overview. */
enum store_status webhooks_read_overview(struct store_reader *reader, const void *arg, void *result,
                                         struct store_rows *rows);
/** rows: int64_t, the ids of those that are enabled. */
enum store_status webhooks_read_enabled(struct store_reader *reader, const void *arg, void *result,
                                        struct store_rows *rows);

#endif
