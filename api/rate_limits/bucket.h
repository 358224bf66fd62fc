/* bucket: one token bucket in exact integers.
 *
 * The whole state of a bucket is one number: the moment at which it will be full again, on a clock that runs
 * `amount` units a step (a step is a nanosecond for gradual buckets, a tick for interval ones):
 *
 *     clock(t) = t x amount                 gradual;  a token costs unit = every_ms x 10^6 units
 *     clock(t) = (t / every) x amount       interval; a token costs unit = 1
 *     debt(t)  = max(0, full_at - clock(t)) what is missing, in units
 *     level(t) = limit x unit - debt(t)
 *     take     : if debt + cost x unit <= limit x unit then full_at := clock(t) + debt + cost x unit
 *
 * Invariants
 *  B1  nothing is divided to be stored, so no fraction is ever lost or made.
 *  B2  a look and a denial write nothing. An absent bucket is full_at = 0: full.
 *  B3  the level is never above the limit, nor below 0, whatever the history and whatever the time passed in; a time
 *      that goes back only makes the level smaller.
 *  B4  a change of numbers keeps the debt (that is: level := clamp(level + new limit - old limit, 0, new limit)).
 *      When the unit changes, the fraction of a token that is missing is rounded up: never minted, less than
 *      1/unit of a token lost a change.
 *  B5  full_at < 2^96: t < 2^64, amount < 2^31, limit x unit < 2^31 x 2^54.9.
 *
 * Life cycle: plain values. Times are nanoseconds since service start, passed in; no clock is read here.
 */
#ifndef API_RATE_LIMITS_BUCKET_H
#define API_RATE_LIMITS_BUCKET_H

#include "api/rate_limits/policy.h"

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 rl_u128;

/** The numbers of a policy or an override, made ready for arithmetic. */
typedef struct rl_rate {
    rl_u128 capacity;   /* limit x unit */
    uint64_t period_ns; /* every_ms x 10^6 */
    uint64_t unit;      /* what one token costs on the clock */
    uint32_t limit;
    uint32_t amount;
    uint8_t style; /* enum rl_style */
    uint8_t mode;  /* enum rl_mode */
} rl_rate;

typedef struct rl_bucket {
    rl_u128 full_at;
} rl_bucket;

enum rl_status {
    RL_ALLOWED,
    RL_DENIED,             /* not enough now; waiting helps */
    RL_BLOCKED,            /* the limit is 0: waiting does not help */
    RL_COST_EXCEEDS_LIMIT, /* can never pass */
    RL_LIMITER_FULL,       /* a new key, and no room for it */
    RL_UNKNOWN_RATE        /* no such rate in this table: the caller's map is out of date */
};

/** Makes a rate of a policy's numbers. */
rl_rate rl_rate_make(const rl_policy *policy);

/** Tells whether two rates refill alike (the mode is not compared). */
bool rl_rate_same(const rl_rate *one, const rl_rate *other);

/** How long until `need` units have come in, counted from at_ns: 0 for nothing, rounded up to a nanosecond. */
rl_u128 rl_rate_time_for(const rl_rate *rate, uint64_t at_ns, rl_u128 need);

/** When a bucket becomes full, in ns since service start, rounded up, at most UINT64_MAX. */
uint64_t rl_rate_full_at_ns(const rl_rate *rate, rl_u128 full_at);

/** Restates a debt in another unit, rounding up (B4).  Takes: from, to >= 1. */
rl_u128 rl_debt_convert(rl_u128 debt, uint64_t from, uint64_t to);

/** The state a bucket has when its numbers change from `old` to `now` at at_ns (B4). */
rl_u128 rl_bucket_carry(const rl_rate *old, const rl_rate *now, rl_u128 full_at, uint64_t at_ns);

/** Decides, and takes the cost when the answer is RL_ALLOWED. A cost of 0 takes nothing. */
enum rl_status rl_bucket_take(rl_bucket *bucket, const rl_rate *rate, uint64_t at_ns, uint64_t cost);

/** The level in units of 1/rate->unit tokens. */
rl_u128 rl_bucket_level(const rl_bucket *bucket, const rl_rate *rate, uint64_t at_ns);

static inline rl_u128 rl_rate_clock(const rl_rate *rate, uint64_t at_ns)
{
    uint64_t steps = rate->style == RL_GRADUAL ? at_ns : at_ns / rate->period_ns;

    return (rl_u128)steps * rate->amount;
}

static inline rl_u128 rl_bucket_debt(const rl_rate *rate, rl_u128 full_at, rl_u128 clock)
{
    rl_u128 debt = full_at > clock ? full_at - clock : 0;

    return debt < rate->capacity ? debt : rate->capacity;
}

/** Judges a cost against a debt. Pure. */
static inline enum rl_status rl_bucket_judge(const rl_rate *rate, rl_u128 debt, uint64_t cost)
{
    if (rate->limit == 0) {
        return RL_BLOCKED;
    }
    if (cost > rate->limit) {
        return RL_COST_EXCEEDS_LIMIT;
    }
    return debt + (rl_u128)cost * rate->unit <= rate->capacity ? RL_ALLOWED : RL_DENIED;
}

#endif
