#include "api/rate_limits/policy.h"

#include <string.h>

const rl_policy_fault_text rl_policy_fault_texts[RL_POLICY_FAULTS] = {
    {RL_FAULT_LIMIT, "/limit", "must be between 0 and 2147483647"},
    {RL_FAULT_AMOUNT, "/refill/amount", "must be between 1 and 2147483647"},
    {RL_FAULT_EVERY_MS, "/refill/every_ms", "must be between 1 and 31622400000 (366 days)"},
    {RL_FAULT_DEFAULT_COST, "/default_cost", "must be between 1 and the limit"},
};

static const char *const style_names[] = {[RL_GRADUAL] = "gradual", [RL_INTERVAL] = "interval"};
static const char *const mode_names[] = {[RL_ENFORCE] = "enforce", [RL_SHADOW] = "shadow"};

rl_policy rl_policy_default(void)
{
    return (rl_policy){.limit = 100,
                       .amount = 10,
                       .every_ms = 1000,
                       .default_cost = 1,
                       .style = RL_GRADUAL,
                       .mode = RL_ENFORCE};
}

static bool between(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

unsigned rl_policy_make(const rl_policy_request *request, rl_policy *out)
{
    unsigned faults = 0;
    /* A limit of 0 denies everything; its default cost still has to be some cost, and 1 is the least. */
    int64_t cost_max = request->limit > 1 ? request->limit : 1;

    if (!between(request->limit, 0, RL_LIMIT_MAX)) {
        faults |= RL_FAULT_LIMIT;
        cost_max = RL_LIMIT_MAX; /* do not blame the cost for a limit that is itself wrong */
    }
    if (!between(request->amount, 1, RL_AMOUNT_MAX)) {
        faults |= RL_FAULT_AMOUNT;
    }
    if (!between(request->every_ms, 1, RL_EVERY_MS_MAX)) {
        faults |= RL_FAULT_EVERY_MS;
    }
    if (!between(request->default_cost, 1, cost_max)) {
        faults |= RL_FAULT_DEFAULT_COST;
    }
    if (faults == 0) {
        *out = (rl_policy){.limit = (uint32_t)request->limit,
                           .amount = (uint32_t)request->amount,
                           .every_ms = (uint64_t)request->every_ms,
                           .default_cost = (uint32_t)request->default_cost,
                           .style = request->style,
                           .mode = request->mode};
    }
    return faults;
}

bool rl_policy_same(const rl_policy *one, const rl_policy *other)
{
    return one->limit == other->limit && one->amount == other->amount && one->every_ms == other->every_ms &&
           one->default_cost == other->default_cost && one->style == other->style && one->mode == other->mode;
}

static bool name_byte_ok(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '.' || byte == '_' || byte == '-';
}

bool rl_policy_name_ok(const char *name, size_t length)
{
    if (length < 1 || length > RL_POLICY_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!name_byte_ok((unsigned char)name[i])) {
            return false;
        }
    }
    return true;
}

const char *rl_style_name(enum rl_style style)
{
    return style_names[style];
}

const char *rl_mode_name(enum rl_mode mode)
{
    return mode_names[mode];
}

bool rl_style_parse(const char *word, enum rl_style *out)
{
    if (strcmp(word, style_names[RL_GRADUAL]) == 0) {
        *out = RL_GRADUAL;
    } else if (strcmp(word, style_names[RL_INTERVAL]) == 0) {
        *out = RL_INTERVAL;
    } else {
        return false;
    }
    return true;
}

bool rl_mode_parse(const char *word, enum rl_mode *out)
{
    if (strcmp(word, mode_names[RL_ENFORCE]) == 0) {
        *out = RL_ENFORCE;
    } else if (strcmp(word, mode_names[RL_SHADOW]) == 0) {
        *out = RL_SHADOW;
    } else {
        return false;
    }
    return true;
}
