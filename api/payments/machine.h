/* machine: one payment as a gen_statem whose transitions are a table, which also draws the diagrams.
 *
 *     command (call) --judged by the table--> operation.started durable --> task asks the gateway --> outcome durable
 *          --> internal event --row of the table--> new state; and the client hears of it
 *
 * Invariants
 *   1. Nobody hears of anything before it is durable: an act appends its batch (records.h), then answers.
 *   2. A state changes by a row of the table alone, when an event that is durable already is told to the machine. A machine
 *      that starts is told its stored events, one after the other: the table is also the fold (I4).
 *   3. At most one operation is open (I6: with one id for ever). Commands that come meanwhile wait here, oldest first, until
 *      it ends or their deadline; then they are refused and never happen. While it is unknown they are refused at once.
 *   4. An operation ends by the gateway's word alone: a time-out, a lost connection, a killed task or machine make it unknown, and
 *      then the gateway is queried, with back-off, until it says what is true.
 *   5. A batch names the version before it: of two machines of one payment (a killed one whose write was still under way)
 *      one is refused, and ends itself with {shutdown, stale}.
 *   6. Killed anywhere, a payment is what its stored events say. The next request, or the reconciler, starts it again.
 * Memory: everything hangs off the process. It parks while it appends and while it loads; the gateway is asked in a task.
 * Limits: MACHINE_WAITING_MAX commands and watchers wait; it ends itself after settings.payments_idle_ms without work.
 */
#ifndef TROUPE_API_PAYMENTS_MACHINE_H
#define TROUPE_API_PAYMENTS_MACHINE_H

#include "api/payments/answers.h"
#include "api/payments/records.h"

#define MACHINE_WAITING_MAX 64

/* What clients may want. All carry the same: */
struct payment_command {
    int64_t amount;      /* refund */
    int64_t deadline_ms; /* tr_now_ms: until then it may begin */
    uint64_t if_version; /* the version it is meant for; 0: any */
    char card_token[CARD_TOKEN_BYTES];
    char request_id[PAYMENT_REQUEST_ID_MAX + 1];
    struct idempotency_key key;
};
TR_MESSAGE(payment_authorize, { struct payment_command command; });
TR_MESSAGE(payment_capture, { struct payment_command command; });
TR_MESSAGE(payment_refund, { struct payment_command command; });
TR_MESSAGE(payment_cancel, { struct payment_command command; });

/** Tell me when the version is over this one, or at the deadline. Answered with a payment_answer. */
TR_MESSAGE(payment_watch, {
    uint64_t version; /* 0: the one it has when this comes */
    int64_t deadline_ms;
});

/** What every call is answered with: status and body, ready to be sent. */
TR_MESSAGE_BLOBS(
    payment_answer,
    {
        enum payment_outcome outcome;
        unsigned status;
        uint64_t version;
        tr_blob *body;
    },
    offsetof(payment_answer, body));

/** The message type of a command. OPERATION_NONE is none. */
const tr_type *machine_command_type(enum operation_kind kind);

/** The table, for diagrams. */
const tr_statem_table *machine_table(void);

/** The live machine of a payment, started if need be; TR_NO_PID when none can be had. The payment must exist.
 *  Blocks: parks.   Context: process. */
tr_pid machine_find_or_start(const char *payment_id);
/** The live machine, or TR_NO_PID. Context: any thread. */
tr_pid machine_find(struct text payment_id);

/** The child spec of the supervisor of all machines: `payments.machines`. */
tr_child_spec machines_child_spec(void);
/** The child spec of the supervisor of the calls to the gateway: `payments.tasks`. */
tr_child_spec machine_tasks_child_spec(void);

/** How many machines live. Context: any thread. */
uint64_t machines_live(void);

#endif
