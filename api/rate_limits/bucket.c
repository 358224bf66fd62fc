#include "api/rate_limits/bucket.h"

#define NS_PER_MS UINT64_C(1000000)

rl_rate rl_rate_make(const rl_policy *policy)
{
    uint64_t period_ns = policy->every_ms * NS_PER_MS;
    uint64_t unit = policy->style == RL_GRADUAL ? period_ns : 1;

    return (rl_rate){.capacity = (rl_u128)policy->limit * unit,
                     .period_ns = period_ns,
                     .unit = unit,
                     .limit = policy->limit,
                     .amount = policy->amount,
                     .style = (uint8_t)policy->style,
                     .mode = (uint8_t)policy->mode};
}

bool rl_rate_same(const rl_rate *one, const rl_rate *other)
{
    return one->limit == other->limit && one->amount == other->amount && one->period_ns == other->period_ns &&
           one->style == other->style;
}

static rl_u128 divide_up(rl_u128 dividend, uint64_t divisor)
{
    return dividend / divisor + (dividend % divisor != 0);
}

rl_u128 rl_rate_time_for(const rl_rate *rate, uint64_t at_ns, rl_u128 need)
{
    rl_u128 steps = divide_up(need, rate->amount);

    if (rate->style == RL_GRADUAL || need == 0) {
        return steps;
    }
    /* The first of the ticks comes sooner than a whole period. */
    return steps * rate->period_ns - at_ns % rate->period_ns;
}

uint64_t rl_rate_full_at_ns(const rl_rate *rate, rl_u128 full_at)
{
    rl_u128 steps = divide_up(full_at, rate->amount);

    if (rate->style == RL_INTERVAL) {
        if (steps > UINT64_MAX / rate->period_ns) {
            return UINT64_MAX;
        }
        steps *= rate->period_ns;
    }
    return steps < UINT64_MAX ? (uint64_t)steps : UINT64_MAX;
}

rl_u128 rl_debt_convert(rl_u128 debt, uint64_t from, uint64_t to)
{
    rl_u128 tokens;
    rl_u128 part;

    if (from == to) {
        return debt;
    }
    /* In two halves, because debt x to may need 141 bits. */
    tokens = debt / from;
    part = debt % from;
    return tokens * to + divide_up(part * to, from);
}

rl_u128 rl_bucket_carry(const rl_rate *old, const rl_rate *now, rl_u128 full_at, uint64_t at_ns)
{
    rl_u128 debt = rl_bucket_debt(old, full_at, rl_rate_clock(old, at_ns));

    debt = rl_debt_convert(debt, old->unit, now->unit);
    if (debt > now->capacity) {
        debt = now->capacity;
    }
    return debt == 0 ? 0 : rl_rate_clock(now, at_ns) + debt;
}

enum rl_status rl_bucket_take(rl_bucket *bucket, const rl_rate *rate, uint64_t at_ns, uint64_t cost)
{
    rl_u128 clock = rl_rate_clock(rate, at_ns);
    rl_u128 debt = rl_bucket_debt(rate, bucket->full_at, clock);
    enum rl_status status = rl_bucket_judge(rate, debt, cost);

    if (status == RL_ALLOWED && cost > 0) {
        bucket->full_at = clock + debt + (rl_u128)cost * rate->unit;
    }
    return status;
}

rl_u128 rl_bucket_level(const rl_bucket *bucket, const rl_rate *rate, uint64_t at_ns)
{
    return rate->capacity - rl_bucket_debt(rate, bucket->full_at, rl_rate_clock(rate, at_ns));
}
