/* answers: what a payment's machine has to say to a request: one outcome, one status, one body.
 *
 * Invariants
 *   1. The bytes a client gets and the bytes kept for its idempotency key are the same: both come from answer_write.
 *   2. Whether an outcome is kept is a property of the outcome (answer_is_kept), not of whoever answers.
 */
#ifndef TROUPE_API_PAYMENTS_ANSWERS_H
#define TROUPE_API_PAYMENTS_ANSWERS_H

#include "api/payments/payment.h"
#include "server/json_out.h"

/* outcome, kept for the key */
#define PAYMENT_OUTCOMES(X)       \
    X(DONE, true)                 \
    X(CREATED, true)              \
    X(ACCEPTED, true) /* 202 */   \
    X(CARD_DECLINED, true)        \
    X(GATEWAY_DECLINED, true)     \
    X(INVALID_EVENT, true)        \
    X(TERMINAL_STATE, true)       \
    X(INVALID_AMOUNT, true)       \
    X(IN_PROGRESS, false)         \
    X(VERSION_CONFLICT, false)    \
    X(KEY_IN_USE, false)          \
    X(KEY_REUSED, false)          \
    X(GATEWAY_UNAVAILABLE, false) \
    X(STORAGE_FULL, false)        \
    X(UNAVAILABLE, false)         \
    X(ASK_AGAIN, false) /* no answer: the machine is stale, or the key is taken; look again */

#define PAYMENT_OUTCOME_NAME(name, kept) OUTCOME_##name,
enum payment_outcome { PAYMENT_OUTCOMES(PAYMENT_OUTCOME_NAME) PAYMENT_OUTCOMES_COUNT };
#undef PAYMENT_OUTCOME_NAME

/** Writes the body of an outcome: the payment, or a problem.
 *  code: the decline's or the failure's ("" when there is none). request_id: of the request that is answered.
 *  Returns: the HTTP status. */
unsigned answer_write(struct json_out *out, enum payment_outcome outcome, const struct payment *payment,
                      const char *code, const char *request_id);

bool answer_is_kept(enum payment_outcome outcome);

/** What a client is told of its card or its gateway: sets Retry-After, in seconds; 0: none. */
unsigned answer_retry_after_s(enum payment_outcome outcome);

#endif
