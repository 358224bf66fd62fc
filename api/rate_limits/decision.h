/* decision: what a verdict of the engine means in the numbers of an answer.
 *
 * Purpose: the table says allowed or not and how much is missing; this turns that into remaining, waiting times and
 * header fields. It is kept apart because it divides, and the table's own path does not.
 *
 * Invariants
 *  D1  waiting exactly retry_after_ms admits the same cost (if nobody else takes), one millisecond less does not.
 *  D2  every time is rounded up, every count of tokens down. Retry-After is at least 1 where there is one.
 *  D3  numbers are at most 2^53 - 1: longer times (285 000 years) are given as that.
 */
#ifndef API_RATE_LIMITS_DECISION_H
#define API_RATE_LIMITS_DECISION_H

#include "api/rate_limits/bucket.h"

#include <stdbool.h>
#include <stdint.h>

#define RL_EXACT_MAX UINT64_C(9007199254740991)

/** What the table answers. `rate` is borrowed until the next change of rates in that table. */
typedef struct rl_verdict {
    enum rl_status status;
    bool admitted;       /* let it pass: RL_ALLOWED, or any denial in shadow mode */
    bool known;          /* the key has a line in the table */
    const rl_rate *rate; /* NULL with RL_UNKNOWN_RATE */
    uint64_t at_ns;      /* since service start */
    uint64_t cost;
    rl_u128 debt;        /* what is missing after this decision, in rate->unit per token */
    uint64_t room_in_ns; /* RL_LIMITER_FULL: when a bucket is due to be full again; 0 = not known */
} rl_verdict;

typedef struct rl_decision {
    bool allowed;
    uint32_t limit;
    uint32_t remaining;
    bool has_retry_after;      /* false: no waiting helps (limit 0, cost above the limit), or allowed */
    uint64_t retry_after_ms;   /* 0 when allowed */
    uint64_t retry_after_s;    /* for Retry-After, >= 1 when has_retry_after */
    uint64_t reset_ms;         /* time to full */
    uint64_t policy_quota;     /* RateLimit-Policy q */
    uint64_t policy_window_s;  /* RateLimit-Policy w, >= 1 */
    uint64_t header_remaining; /* RateLimit r */
    bool has_next_token;       /* false: limit 0, leave t out */
    uint64_t next_token_s;     /* RateLimit t: 0 while r >= 1 */
} rl_decision;

/** Works out an answer.  Takes: a verdict that is not RL_UNKNOWN_RATE.
 *  RL_LIMITER_FULL gives remaining = limit and a retry_after of 1 s to 60 s. */
void rl_decision_make(const rl_verdict *verdict, rl_decision *out);

/** Seconds to fill an empty bucket, rounded up, at least 1 (w of RateLimit-Policy). */
uint64_t rl_rate_window_s(const rl_rate *rate);

/** Wall time between saving and restoring, for rl_table_restore(): 0 when the clock went back. */
uint64_t rl_wall_elapsed_ns(int64_t saved_ms, int64_t now_ms);

#endif
