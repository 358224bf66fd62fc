/* retry_budget: how many requests may be made again, so that retries never become the load. Token based; plain data.
 *
 * Each first attempt pays in `percent` of a token, time pays in `each_second` tokens, a retry takes one. So under load
 * at most `percent` of the requests are made twice; a service with little to do can still retry a little.
 *
 * Invariants
 *  1. It belongs to one process (or thread); nothing in it blocks, allocates or reads a clock: now_ms is monotonic.
 *  2. 0 <= balance <= most, exactly: it counts thousandths of a token.
 */
#ifndef TROUPE_SERVER_CLIENT_RETRY_BUDGET_H
#define TROUPE_SERVER_CLIENT_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* 0 takes the default; RETRY_BUDGET_NONE means 0. */
#define RETRY_BUDGET_NONE UINT32_MAX
struct retry_budget_rules {
    uint32_t percent;     /* of the requests; 10, at most 100 */
    uint32_t each_second; /* tokens; 1, at most 1000 */
    uint32_t most;        /* tokens; 10, at most 1 000 000 */
};

struct retry_budget {
    struct retry_budget_rules rules;
    uint64_t balance; /* thousandths */
    int64_t paid_ms;  /* when time paid in last */
};

/** Full. rules (NULL: all defaults) are copied. */
void retry_budget_init(struct retry_budget *budget, const struct retry_budget_rules *rules, int64_t now_ms);
/** A request is made for the first time. */
void retry_budget_pay(struct retry_budget *budget, int64_t now_ms);
/** May a request be made again? Takes a token when it may. */
bool retry_budget_take(struct retry_budget *budget, int64_t now_ms);
/** Whole tokens left. */
uint32_t retry_budget_left(const struct retry_budget *budget);

#endif
