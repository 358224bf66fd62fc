/* retry: what an attempt's end means, and when the next one is due. Plain arithmetic: no clock, no chance of its own.
 *
 * An event is tried WEBHOOK_ATTEMPTS_MAX times: at once, then after these times from the end of the attempt before, each
 * longer by up to a fifth by chance, 75.6 hours in all:
 *
 *     5 s   5 min   30 min   2 h   5 h   10 h   14 h   20 h   24 h
 *
 * The setting webhook_retry_first_ms is the first of them; the others keep their proportion to it.
 *
 * Besides, a webhook pauses as a whole, for all its events, when its receiver is not there (no answer), or says that it
 * has too much to do (429, 502, 503, 504): a fifth of the first time, doubled at each such end after a pause, up to twelve
 * times the first; or for as long as Retry-After says, up to WEBHOOK_RETRY_AFTER_MAX_MS. A 2xx ends that.
 * Other failures (a 500 for one event, say) hold up later events of the same subject only.
 * Source: Standard Webhooks 1.0.0, its example of a schedule and its handling of status codes.
 */
#ifndef TROUPE_API_WEBHOOKS_RETRY_H
#define TROUPE_API_WEBHOOKS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define WEBHOOK_ATTEMPTS_MAX       10
#define WEBHOOK_RETRY_FIRST_MS     5000
#define WEBHOOK_RETRY_AFTER_MAX_MS INT64_C(86400000)

/* outcome of an attempt, its name; the store has the numbers: append only */
#define WEBHOOK_OUTCOMES(X)   \
    X(DELIVERED, "delivered") \
    X(FAILED, "failed")       \
    X(GIVEN_UP, "given_up")   \
    X(GONE, "gone")

#define WEBHOOK_OUTCOME_NAME(name, text) WEBHOOK_OUTCOME_##name,
enum webhook_outcome { WEBHOOK_OUTCOMES(WEBHOOK_OUTCOME_NAME) WEBHOOK_OUTCOMES_COUNT };
#undef WEBHOOK_OUTCOME_NAME

/* How an attempt ended, as far as its meaning goes. */
struct webhook_ending {
    unsigned status;        /* 0: there was no answer */
    int64_t retry_after_ms; /* -1: the answer named none */
};

/** What it means for an event that has been tried `attempts` times, this one counted. */
enum webhook_outcome webhook_judge(const struct webhook_ending *ending, unsigned attempts);

/** How long an event waits that has failed `attempts` times (1 .. WEBHOOK_ATTEMPTS_MAX - 1). random: any 32 bits. */
int64_t webhook_retry_ms(const struct webhook_ending *ending, unsigned attempts, int64_t first_ms,
                         uint32_t random);

/** How long the whole webhook pauses; 0: not at all. strikes: how many such ends in a row, this one counted. */
int64_t webhook_pause_ms(const struct webhook_ending *ending, unsigned strikes, int64_t first_ms,
                         uint32_t random);

const char *webhook_outcome_text(enum webhook_outcome outcome);

#endif
