#include "api/rate_limits/decision.h"

#define NS_PER_MS        UINT64_C(1000000)
#define NS_PER_S         UINT64_C(1000000000)
#define ROOM_WAIT_MIN_MS 1000
#define ROOM_WAIT_MAX_MS 60000

static uint64_t divide_up(rl_u128 dividend, uint64_t divisor)
{
    rl_u128 quotient;

    if (dividend >> 64 == 0) { /* the usual case, and a much cheaper division */
        uint64_t low = (uint64_t)dividend;
        uint64_t up = low / divisor + (low % divisor != 0);
        return up < RL_EXACT_MAX ? up : RL_EXACT_MAX;
    }
    quotient = dividend / divisor + (dividend % divisor != 0);
    return quotient < RL_EXACT_MAX ? (uint64_t)quotient : RL_EXACT_MAX;
}

uint64_t rl_rate_window_s(const rl_rate *rate)
{
    uint64_t window_s = divide_up(rl_rate_time_for(rate, 0, rate->capacity), NS_PER_S);

    return window_s > 0 ? window_s : 1;
}

/* What has to come in before the cost of this verdict fits. */
static rl_u128 missing_for_cost(const rl_verdict *verdict)
{
    rl_u128 wanted = verdict->debt + (rl_u128)verdict->cost * verdict->rate->unit;

    return wanted > verdict->rate->capacity ? wanted - verdict->rate->capacity : 0;
}

static uint64_t room_wait_ms(uint64_t room_in_ns)
{
    uint64_t wait_ms = divide_up(room_in_ns, NS_PER_MS);

    if (wait_ms < ROOM_WAIT_MIN_MS) {
        return ROOM_WAIT_MIN_MS;
    }
    return wait_ms < ROOM_WAIT_MAX_MS ? wait_ms : ROOM_WAIT_MAX_MS;
}

static void set_retry_after(const rl_verdict *verdict, rl_decision *out)
{
    if (verdict->admitted) {
        return;
    }
    if (verdict->status == RL_DENIED) {
        rl_u128 wait_ns = rl_rate_time_for(verdict->rate, verdict->at_ns, missing_for_cost(verdict));
        out->retry_after_ms = divide_up(wait_ns, NS_PER_MS);
    } else if (verdict->status == RL_LIMITER_FULL) {
        out->retry_after_ms = room_wait_ms(verdict->room_in_ns);
    } else {
        return;
    }
    out->has_retry_after = true;
    out->retry_after_s = divide_up(out->retry_after_ms, 1000);
}

static void set_next_token(const rl_verdict *verdict, rl_decision *out)
{
    const rl_rate *rate = verdict->rate;

    out->has_next_token = rate->limit > 0;
    if (out->has_next_token && out->remaining == 0) {
        rl_u128 missing = rate->unit - (rate->capacity - verdict->debt);
        out->next_token_s = divide_up(rl_rate_time_for(rate, verdict->at_ns, missing), NS_PER_S);
    }
}

void rl_decision_make(const rl_verdict *verdict, rl_decision *out)
{
    const rl_rate *rate = verdict->rate;

    *out = (rl_decision){.allowed = verdict->admitted, .limit = rate->limit};
    out->remaining = (uint32_t)((rate->capacity - verdict->debt) / rate->unit);
    out->reset_ms = divide_up(rl_rate_time_for(rate, verdict->at_ns, verdict->debt), NS_PER_MS);
    out->policy_quota = rate->limit;
    out->policy_window_s = rl_rate_window_s(rate);
    out->header_remaining = out->remaining;
    set_retry_after(verdict, out);
    set_next_token(verdict, out);
}

uint64_t rl_wall_elapsed_ns(int64_t saved_ms, int64_t now_ms)
{
    int64_t elapsed_ms;

    if (now_ms <= saved_ms) {
        return 0;
    }
    if (__builtin_sub_overflow(now_ms, saved_ms, &elapsed_ms)) {
        return UINT64_MAX;
    }
    return (uint64_t)elapsed_ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : (uint64_t)elapsed_ms * NS_PER_MS;
}
