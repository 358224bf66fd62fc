/* records: payments in the store: rows, events, and the answers kept for idempotency keys.
 *
 * Invariants
 *   1. What belongs together is one batch, and a batch is one atomic write: events, the payment's row, the stored answer, the
 *      outbox. The row is the fold of the events (I4) and is only there for lists and look-ups.
 *   2. A batch names the version it was made for. If the payment has another one meanwhile nothing is written (BATCH_STALE): two
 *      machines of one payment can never both go on.
 *   3. A key is taken in the batch that begins its request's work, or ends it: whoever comes second finds it taken.
 *   4. Functions with a store_tx run on the commit thread, those with a store_reader on a connection's thread.
 */
#ifndef TROUPE_API_PAYMENTS_RECORDS_H
#define TROUPE_API_PAYMENTS_RECORDS_H

#include "api/payments/payment.h"
#include "server/store/db_connection.h"

#define IDEMPOTENCY_KEY_MAX    255
#define IDEMPOTENCY_HASH_BYTES 32
#define IDEMPOTENCY_KEPT_MS    INT64_C(86400000)
#define PAYMENT_ANSWER_MAX     ((size_t)64 << 10)

extern const struct store_schema payments_schema;

/* Whose request it is: the token's scope, the key the client chose, and what was asked under it. */
struct idempotency_key {
    uint8_t scope[IDEMPOTENCY_HASH_BYTES];
    uint8_t fingerprint[IDEMPOTENCY_HASH_BYTES]; /* SHA-256 of method, path and body */
    char key[IDEMPOTENCY_KEY_MAX + 1];           /* "": the request has none */
};

enum key_step {
    KEY_STAYS,   /* nothing */
    KEY_OPENS,   /* taken for an operation that begins */
    KEY_ENDS,    /* taken and answered at once */
    KEY_SETTLES, /* of the operation: gets its answer, over one that was there (202) */
    KEY_FREES    /* of the operation: forgotten, the request may be sent again and runs anew */
};

/* One atomic write. Copied whole to the commit thread: texts lie behind it. */
struct payment_batch {
    struct payment payment; /* as it is afterwards; metadata counts for a creation only */
    uint64_t expected;      /* its version before; 0: it is created */
    bool has_event;
    struct payment_event event;
    enum key_step key_step;
    struct idempotency_key key;         /* OPENS, ENDS */
    char operation[OPERATION_ID_BYTES]; /* OPENS, SETTLES, FREES */
    unsigned status;                    /* of the answer: ENDS, SETTLES */
    int64_t now_ms;
    size_t metadata_bytes, answer_bytes, data_bytes; /* in bytes[], in this order */
    char bytes[]; /* metadata (creation), answer, the payment as JSON for webhooks */
};

enum batch_result {
    BATCH_APPENDED,
    BATCH_STALE,
    BATCH_KEY_TAKEN /* by another request, running or done: read it with records_answer */
};

/** A store_writer_fn: arg is a payment_batch, result an enum batch_result (STORE_REJECTED unless APPENDED). */
enum store_status records_append(struct store_tx *tx, const void *arg, void *result);

/** A store_writer_fn: forgets keys that are over 24 h old and have their answer, a bounded number. result: int64_t, how many. arg:
 *  int64_t now_ms. */
enum store_status records_sweep_keys(struct store_tx *tx, const void *arg, void *result);

/* ---- reading; store_read_fn ---- */

struct payment_name {
    char id[PAYMENT_ID_BYTES];
};

/** arg: payment_name. rows: struct payment, its metadata's bytes, then all its events. None: there is no such payment. */
enum store_status records_load(struct store_reader *reader, const void *arg, void *result,
                               struct store_rows *rows);

/** arg: payment_name. rows: struct payment and its metadata; none when there is no such payment. */
enum store_status records_payment(struct store_reader *reader, const void *arg, void *result,
                                  struct store_rows *rows);

/** Where a list goes on, and how long it is. */
struct payment_query {
    int64_t limit;
    int64_t after_ms;                          /* created later than this; INT64_MIN: all */
    int state;                                 /* -1: any */
    char reference[PAYMENT_REFERENCE_MAX + 1]; /* "": any */
    int64_t cursor_ms;                         /* newest first: before this ... */
    char cursor_id[PAYMENT_ID_BYTES];          /* ... and before this id; "": from the newest */
};
/** arg: payment_query. rows: one packed payment after the other (records_next_payment), one more than limit if there is. */
enum store_status records_list(struct store_reader *reader, const void *arg, void *result,
                               struct store_rows *rows);

struct event_query {
    char id[PAYMENT_ID_BYTES];
    uint64_t after; /* seq */
    int64_t limit;
};
/** arg: event_query. result: int64_t, whether the payment exists. rows: events, one more than limit if there is. */
enum store_status records_events(struct store_reader *reader, const void *arg, void *result,
                                 struct store_rows *rows);

struct open_query {
    bool unknown_only;
    int64_t limit;
    char after[PAYMENT_ID_BYTES]; /* id; "": from the first */
};
/** arg: open_query. rows: packed payments with an open operation, by id, one more than limit if there is. */
enum store_status records_open(struct store_reader *reader, const void *arg, void *result,
                               struct store_rows *rows);

/* What is known of a key. */
struct stored_answer {
    bool found;
    bool running; /* no answer yet */
    bool same;    /* the fingerprint is */
    unsigned status;
    uint64_t version; /* of the payment in the answer, for its ETag; 0: none */
};
/** arg: idempotency_key. result: stored_answer. rows: the answer's body. */
enum store_status records_answer(struct store_reader *reader, const void *arg, void *result,
                                 struct store_rows *rows);

/** Takes the next payment out of rows of records_list and its kin; metadata borrows from them.
 *  Returns: false at the end. */
bool records_next_payment(struct text *rows, struct payment *payment);

#endif
