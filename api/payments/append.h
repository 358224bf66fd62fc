/* append: one durable step of a payment: a draft becomes a batch, is written, and becomes an answer.
 *
 * Invariants
 *   1. The payment after the step is the payment before it with the draft's event applied: nothing else changes it.
 *   2. The answer is made before the write and goes out after it; a write that was not done has another answer.
 * Memory: batch and texts lie on the caller's scratch; the answer is a message of the caller's.
 */
#ifndef TROUPE_API_PAYMENTS_APPEND_H
#define TROUPE_API_PAYMENTS_APPEND_H

#include "api/payments/answers.h"
#include "api/payments/records.h"

struct draft {
    bool has_event;
    struct payment_event event; /* type, kind, operation, amount, code, reference; the rest is filled in */
    enum key_step key_step;
    const struct idempotency_key *key; /* OPENS, ENDS */
    const char *operation;             /* whose key it is: OPENS, SETTLES, FREES */
    enum payment_outcome outcome;      /* of the answer */
    const char *code;                  /* of the answer */
    const char *request_id;            /* of the answer and the event */
};

/* What came of it. */
struct appended {
    enum payment_outcome outcome; /* the draft's, or why nothing was written */
    bool written;
    bool stop; /* whoever holds the payment cannot go on: it is stale, or nobody knows what was written */
    tr_msg *answer; /* a payment_answer: the draft's, or the refusal's. The caller sends or drops it */
};

/** Writes a draft for a payment as it was before (version 0: it is created); `to`: the state the event leads to.
 *  Blocks: parks.   Context: process. */
struct appended append_draft(const struct payment *before, struct draft *draft, enum payment_state to);

/** A payment_answer that nothing is written for. payment may be NULL. */
tr_msg *append_answer(const struct payment *payment, enum payment_outcome outcome, const char *code,
                      const char *request_id);

#endif
