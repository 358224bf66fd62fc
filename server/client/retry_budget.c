/* How many requests may be made again. */
#include "server/client/retry_budget.h"

#include <stddef.h>

#define TOKEN       1000u
#define PERCENT     10u
#define PERCENT_MAX 100u
#define EACH_SECOND 1u
#define EACH_MAX    1000u
#define MOST        10u
#define MOST_MAX    1000000u
#define LONG_MS     ((int64_t)86400000) /* a budget is full long before */

static uint32_t rule(uint32_t given, uint32_t fallback, uint32_t most)
{
    uint32_t value = given == 0 ? fallback : given == RETRY_BUDGET_NONE ? 0 : given;
    return value > most ? most : value;
}

static void add(struct retry_budget *budget, uint64_t thousandths)
{
    uint64_t most = (uint64_t)budget->rules.most * TOKEN;
    budget->balance = thousandths > most - budget->balance ? most : budget->balance + thousandths;
}

/* each_second tokens a second are as many thousandths a millisecond. */
static void time_pays(struct retry_budget *budget, int64_t now_ms)
{
    int64_t passed_ms = now_ms - budget->paid_ms;
    if (passed_ms > 0) {
        passed_ms = passed_ms > LONG_MS ? LONG_MS : passed_ms;
        add(budget, (uint64_t)passed_ms * budget->rules.each_second);
        budget->paid_ms = now_ms;
    }
}

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_rules *rules, int64_t now_ms)
{
    struct retry_budget_rules given = rules == NULL ? (struct retry_budget_rules){0} : *rules;
    *budget = (struct retry_budget){.rules = {.percent = rule(given.percent, PERCENT, PERCENT_MAX),
                                              .each_second = rule(given.each_second, EACH_SECOND, EACH_MAX),
                                              .most = rule(given.most, MOST, MOST_MAX)},
                                    .paid_ms = now_ms};
    budget->balance = (uint64_t)budget->rules.most * TOKEN;
}

void retry_budget_pay(struct retry_budget *budget, int64_t now_ms)
{
    time_pays(budget, now_ms);
    add(budget, (uint64_t)budget->rules.percent * TOKEN / 100);
}

bool retry_budget_take(struct retry_budget *budget, int64_t now_ms)
{
    time_pays(budget, now_ms);
    if (budget->balance < TOKEN) {
        return false;
    }
    budget->balance -= TOKEN;
    return true;
}

uint32_t retry_budget_left(const struct retry_budget *budget)
{
    return (uint32_t)(budget->balance / TOKEN);
}
