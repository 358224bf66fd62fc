/* payment: what a payment is, as a value: its numbers, its open operation, and the events that made it so.
 *
 * Invariants (I1.. as the tests name them)
 *   I1. 0 <= captured_amount <= authorized amount as it was captured; no amount is ever negative.
 *   I2. refunded_amount + what is left never exceeds what was authorized.
 *   I4. A payment is the fold of its events: payment_apply, one after the other. version is their number.
 *   I9. After a terminal state nothing is applied any more.
 * A payment holds no pointers but `metadata`, which belongs to whoever holds the payment. Nothing here knows of processes,
 * HTTP or SQL.
 */
#ifndef TROUPE_API_PAYMENTS_PAYMENT_H
#define TROUPE_API_PAYMENTS_PAYMENT_H

#include "api/payments/gateway.h"
#include "server/text.h"

#define PAYMENT_AMOUNT_MAX     INT64_C(1000000000000)
#define PAYMENT_REFERENCE_MAX  128
#define PAYMENT_METADATA_MAX   4096 /* bytes of its JSON text */
#define PAYMENT_REQUEST_ID_MAX 128

/* state, its name */
#define PAYMENT_STATES(X)                       \
    X(PENDING, "pending")                       \
    X(AUTHORIZED, "authorized")                 \
    X(CAPTURED, "captured")                     \
    X(PARTIALLY_REFUNDED, "partially_refunded") \
    X(REFUNDED, "refunded")                     \
    X(CANCELLED, "cancelled")

#define PAYMENT_STATE_NAME(name, text) PAYMENT_##name,
enum payment_state { PAYMENT_STATES(PAYMENT_STATE_NAME) PAYMENT_STATES_COUNT };
#undef PAYMENT_STATE_NAME

/* event, its type as clients see it */
#define PAYMENT_EVENTS(X)                             \
    X(PAYMENT_CREATED, "payment.created")             \
    X(PAYMENT_AUTHORIZED_EVENT, "payment.authorized") \
    X(PAYMENT_DECLINED, "payment.declined")           \
    X(PAYMENT_CAPTURED_EVENT, "payment.captured")     \
    X(PAYMENT_REFUNDED_EVENT, "payment.refunded")     \
    X(PAYMENT_CANCELLED_EVENT, "payment.cancelled")   \
    X(OPERATION_STARTED, "operation.started")         \
    X(OPERATION_UNKNOWN, "operation.unknown")         \
    X(OPERATION_FAILED, "operation.failed")

#define PAYMENT_EVENT_NAME(name, text) EVENT_##name,
enum payment_event_type { PAYMENT_EVENTS(PAYMENT_EVENT_NAME) PAYMENT_EVENTS_COUNT };
#undef PAYMENT_EVENT_NAME

enum operation_status { OPERATION_IN_FLIGHT, OPERATION_STATUS_UNKNOWN };

/* The open call to the gateway; kind OPERATION_NONE: there is none. */
struct payment_operation {
    enum operation_kind kind;
    enum operation_status status;
    char id[OPERATION_ID_BYTES];
    int64_t amount;
    int64_t since_ms;
};

struct payment {
    char id[PAYMENT_ID_BYTES];
    int64_t amount;
    char currency[CURRENCY_BYTES];
    enum payment_state state;
    bool refunds_multiple;
    int64_t authorized_amount, captured_amount, refunded_amount;
    struct payment_operation operation;
    uint64_t version;
    int64_t created_at_ms, updated_at_ms; /* wall clock */
    bool has_reference;
    char reference[PAYMENT_REFERENCE_MAX + 1];
    struct text metadata; /* a JSON object's text, "{}" at least */
};

/* One thing that happened. Which members mean something depends on the type: see payment_event_write. */
struct payment_event {
    enum payment_event_type type;
    uint64_t seq; /* from 1; the payment's version after it */
    int64_t at_ms;
    char request_id[PAYMENT_REQUEST_ID_MAX + 1]; /* of the request that led to it */
    enum operation_kind kind; /* of the operation it is about; OPERATION_NONE: about none */
    char operation[OPERATION_ID_BYTES];
    int64_t amount;
    char code[GATEWAY_TEXT_BYTES];      /* why it was declined, failed or is not known */
    char reference[GATEWAY_TEXT_BYTES]; /* the gateway's own name for what it did */
};

/** Applies an event to the payment it belongs to; `to` is the state the machine's table leads to. Nothing is checked but
 *  invariants: the event happened. created fills in nothing but times and version: the rest comes with the payment's row. */
void payment_apply(struct payment *payment, const struct payment_event *event, enum payment_state to);

/** How much a refund may take now; 0 in states that have no refunds. */
int64_t payment_refundable(const struct payment *payment);

/** Whether nothing but refunds (or nothing at all) is possible any more: captured and what follows, cancelled. */
bool payment_is_terminal(enum payment_state state);

const char *payment_state_text(enum payment_state state);
/** false when there is no such state. */
bool payment_state_of(struct text name, enum payment_state *state);
const char *payment_event_text(enum payment_event_type type);

/** Fills with a prefix and 24 random letters and digits (142 bits).   Context: any thread. */
void payment_id_make(char out[PAYMENT_ID_BYTES]);
void operation_id_make(char out[OPERATION_ID_BYTES]);
/** Whether a text has the form of a payment's id. */
bool payment_id_fits(struct text id);

/** Whether a text is an ISO 4217 code of a currency that money is counted in today. */
bool currency_is_known(struct text code);

#endif
