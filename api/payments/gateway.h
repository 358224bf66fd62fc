/* gateway: where money moves. The interface between payments and whoever carries out their operations.
 *
 * Invariants
 *   1. An operation is known by its id for ever: the id is durable before the first send, and every attempt and every
 *      query of it carries the same one. A gateway applies an id at most once.
 *   2. GATEWAY_APPLIED, GATEWAY_DECLINED and GATEWAY_NEVER are the truth and final. All else is GATEWAY_UNKNOWN: a time-out, a lost
 *      connection, an answer that makes no sense. Unknown is never turned into anything but by a query.
 *   3. A query is a fence: when it answers GATEWAY_NEVER, the gateway has noted that this id is void, and a late copy of the
 *      request moves nothing.
 *   4. perform and query run in a task, never in a payment. They park; they may be killed at any point, and what the
 *      gateway did then is found out by a query.
 *   5. A card token is handed over once, to perform, and is neither kept nor logged.
 */
#ifndef TROUPE_API_PAYMENTS_GATEWAY_H
#define TROUPE_API_PAYMENTS_GATEWAY_H

#include "server/settings.h"
#include "server/store/store.h"

#include <troupe/troupe.h>

#define PAYMENT_ID_BYTES     32  /* "pay_" and 24 letters and digits, with the NUL and room */
#define OPERATION_ID_BYTES   32  /* "op_" and 24 letters and digits */
#define CARD_TOKEN_BYTES     129 /* with the NUL */
#define CURRENCY_BYTES       4
#define GATEWAY_TEXT_BYTES   64
#define GATEWAY_CHILDREN_MAX 4

enum operation_kind {
    OPERATION_NONE,
    OPERATION_AUTHORIZE,
    OPERATION_CAPTURE,
    OPERATION_REFUND,
    OPERATION_CANCEL
};

/** One operation. Immutable, copied into tasks. */
struct gateway_operation {
    enum operation_kind kind;
    char id[OPERATION_ID_BYTES];
    char payment_id[PAYMENT_ID_BYTES];
    int64_t amount; /* minor units: what to authorize, capture, give back or let go */
    char currency[CURRENCY_BYTES];
    char card_token[CARD_TOKEN_BYTES]; /* AUTHORIZE, perform only; "" otherwise */
};

enum gateway_result {
    GATEWAY_UNKNOWN,  /* nobody can say yet */
    GATEWAY_APPLIED,  /* done, exactly once */
    GATEWAY_DECLINED, /* judged and refused: decline_code says why */
    GATEWAY_NEVER     /* not applied, and it never will be: not sent, or void */
};

struct gateway_outcome {
    enum gateway_result result;
    int64_t amount;                /* APPLIED: as the gateway has it */
    char currency[CURRENCY_BYTES]; /* APPLIED: as the gateway has it */
    char
        decline_code[GATEWAY_TEXT_BYTES]; /* DECLINED: card_declined, insufficient_funds, expired_card, ... */
    char reference[GATEWAY_TEXT_BYTES];   /* APPLIED: the gateway's own name for it, "" when it has none */
    char detail[GATEWAY_TEXT_BYTES];      /* for the event log and people: timeout, connection_lost, ... */
};

struct gateway {
    const char *name;
    /** Would an operation be sent now? false while the circuit breaker is open: then a payment refuses before it notes
     *  anything. Context: any process. Blocks: no. */
    bool (*available)(void);
    /** Asks for the operation, again (same id) where that is safe and worth it, until deadline_ms (tr_now_ms). Fills
     *  *out whatever happens.   Blocks: parks.   Context: a task. */
    void (*perform)(const struct gateway_operation *operation, int64_t deadline_ms,
                    struct gateway_outcome *out);
    /** Asks what became of it (see 3). Fills *out whatever happens.   Blocks: parks.   Context: a task. */
    void (*query)(const struct gateway_operation *operation, int64_t deadline_ms,
                  struct gateway_outcome *out);
    /** Child specs of the processes it needs (a breaker ...), written into out. Returns: how many. NULL: none. */
    size_t (*children)(tr_child_spec out[GATEWAY_CHILDREN_MAX]);
};

/** Chooses the adapter by the setting `gateway` (`sandbox` or a URL) and makes it ready. Borrows settings and store for its life.
 *  Returns: false with a sentence in why when the setting makes no sense.   Context: start, before the node runs. */
bool gateway_setup(const struct settings *settings, struct store *store, char *why, size_t bytes);

/** The adapter that gateway_setup chose. Context: any thread after it. */
const struct gateway *gateway_chosen(void);

/** The schemas of the adapters' tables (the sandbox keeps its ledger in the data directory). */
const struct store_schema *gateway_schemas(size_t *count);

/** authorize, capture, refund, cancel. Static. */
const char *operation_kind_text(enum operation_kind kind);

#endif
