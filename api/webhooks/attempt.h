/* attempt: one event on its way to one webhook, in a task of its own.
 *
 *     read what is due (secret, URL and payload as they are now) -> sign -> send -> note the end durably -> tell the deliverer
 *
 * Invariants
 *   1. The end is noted before anybody hears of it. While the store takes no writes the task waits and tries again: the
 *      receiver is not asked a second time for what it has taken.
 *   2. Killed at any point it leaves the event in the outbox: the next attempt has the same webhook-id (and maybe the same
 *      number, when this one's end was not noted).
 *   3. Secrets leave the store for this task only, and go with its memory.
 */
#ifndef TROUPE_API_WEBHOOKS_ATTEMPT_H
#define TROUPE_API_WEBHOOKS_ATTEMPT_H

#include "api/webhooks/service.h"

TR_MESSAGE(webhook_job, { int64_t webhook, row; });

/* What the deliverer is told. */
TR_MESSAGE(webhook_done, {
    bool tried;                   /* false: the event was not due any more, or the store did not say */
    struct webhook_ending ending; /* tried */
    enum webhook_outcome outcome;
    bool disabled;     /* the webhook was, by this */
    int64_t promoted;  /* the row that is due in its place; 0: none */
    int64_t due_at_ms; /* FAILED: when it is tried again */
});

/** A task's function: makes the attempt.   Blocks: parks.   Context: a task. */
tr_msg *webhook_attempt(const webhook_job *job);

#endif
