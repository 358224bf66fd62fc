/* upstream: the process that guards one upstream: breaker, bulkhead and retry budget in one place, asked before each
 * attempt and told after it.
 *
 *     err = upstream_enter(guard, true, 1000, &pass);           GO: a place in the bulkhead is taken
 *     if (pass.verdict == UPSTREAM_GO) {
 *         http_client_run(...);
 *         upstream_leave(&pass, BREAKER_SUCCESS);          gives it back, tells the breaker
 *     }
 *     if (upstream_may_retry(guard, 1000)) ... enter again
 *
 * Invariants
 *  1. A place is held from GO to upstream_leave or to the end of the process that entered, whichever comes first: the
 *     guard monitors it. An end without upstream_leave is BREAKER_UNKNOWN: a killed caller says nothing about the peer.
 *  2. The guard never parks and knows nothing of HTTP. It may be killed: places of before are forgotten (its successor
 *     begins with none taken and closed), and what is left of them is ignored.
 *  3. Entering is for attempts: retries enter as well. Only the first attempt of a request pays into the budget.
 */
#ifndef TROUPE_SERVER_CLIENT_UPSTREAM_H
#define TROUPE_SERVER_CLIENT_UPSTREAM_H

#include "server/client/breaker.h"
#include "server/client/retry_budget.h"

#include <troupe/troupe.h>

struct upstream_rules {
    struct breaker_rules breaker;
    struct retry_budget_rules budget;
    uint32_t concurrent_max; /* bulkhead; 0: 512 */
};

enum upstream_verdict {
    UPSTREAM_GO,
    UPSTREAM_OPEN, /* the breaker refuses: wait_ms says how long */
    UPSTREAM_FULL, /* the bulkhead is full */
};

struct upstream_pass {
    tr_dest guard; /* the incarnation that was entered */
    enum upstream_verdict verdict;
    int64_t wait_ms;
    uint64_t number; /* of the place */
};

struct upstream_stats {
    enum breaker_state state;
    int64_t wait_ms;
    uint32_t concurrent, concurrent_max, retries_left;
    uint64_t entered, succeeded, failed, unknown, refused_open, refused_full, retried, retries_refused,
        opened;
};

/** The spec of a guard, registered as name (an atom, also its id). rules are copied into the spec's argument, which is
 *  on the caller's scratch memory: use the spec at once. Context: process. */
tr_child_spec upstream_child_spec(tr_term name, const struct upstream_rules *rules);

/** Asks to make an attempt. first: it is the request's first. Fills *pass whenever it returns TR_OK.
 *  Errors: those of a call (TR_E_NOPROC while the guard restarts: go without, or fail, as the caller sees fit).
 *  Blocks: parks. Context: process. */
TR_MUST_CHECK tr_err upstream_enter(tr_dest guard, bool first, int64_t timeout_ms,
                                    struct upstream_pass *pass);
/** Tells how it went. Only after GO; once. Blocks: no. Context: process that entered. */
void upstream_leave(const struct upstream_pass *pass, enum breaker_outcome outcome);
/** May this request be tried again? Takes a token when it may. False also when the guard cannot be asked. Blocks: parks. */
bool upstream_may_retry(tr_dest guard, int64_t timeout_ms);
/** Errors: those of a call. Blocks: parks. */
TR_MUST_CHECK tr_err upstream_stats_of(tr_dest guard, int64_t timeout_ms, struct upstream_stats *out);

#endif
