#include "api/webhooks/retry.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static const int64_t schedule_ms[WEBHOOK_ATTEMPTS_MAX - 1] = {WEBHOOK_RETRY_FIRST_MS,
                                                              5 * MINUTE,
                                                              30 * MINUTE,
                                                              2 * HOUR,
                                                              5 * HOUR,
                                                              10 * HOUR,
                                                              14 * HOUR,
                                                              20 * HOUR,
                                                              24 * HOUR};

#define PAUSES_DOUBLED 6 /* after so many in a row they are as long as they get */

const char *webhook_outcome_text(enum webhook_outcome outcome)
{
#define WEBHOOK_OUTCOME_TEXT(name, text) text,
    static const char *const texts[] = {WEBHOOK_OUTCOMES(WEBHOOK_OUTCOME_TEXT)};
#undef WEBHOOK_OUTCOME_TEXT
    return texts[outcome];
}

enum webhook_outcome webhook_judge(const struct webhook_ending *ending, unsigned attempts)
{
    if (ending->status >= 200 && ending->status <= 299) {
        return WEBHOOK_OUTCOME_DELIVERED;
    }
    if (ending->status == 410) {
        return WEBHOOK_OUTCOME_GONE;
    }
    return attempts >= WEBHOOK_ATTEMPTS_MAX ? WEBHOOK_OUTCOME_GIVEN_UP : WEBHOOK_OUTCOME_FAILED;
}

/* Up to a fifth more. */
static int64_t with_jitter(int64_t delay_ms, uint32_t random)
{
    int64_t most = delay_ms / 5;
    return delay_ms + (int64_t)(((uint64_t)random * (uint64_t)(most + 1)) >> 32);
}

static int64_t asked_for(const struct webhook_ending *ending)
{
    return ending->retry_after_ms < WEBHOOK_RETRY_AFTER_MAX_MS ? ending->retry_after_ms
                                                               : WEBHOOK_RETRY_AFTER_MAX_MS;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t webhook_retry_ms(const struct webhook_ending *ending, unsigned attempts, int64_t first_ms,
                         uint32_t random)
{
    unsigned at = attempts < 1                      ? 0
                  : attempts < WEBHOOK_ATTEMPTS_MAX ? attempts - 1
                                                    : WEBHOOK_ATTEMPTS_MAX - 2;
    int64_t delay_ms = schedule_ms[at] / WEBHOOK_RETRY_FIRST_MS * first_ms;
    return longer(with_jitter(delay_ms, random), asked_for(ending));
}

static bool holds_up_all(const struct webhook_ending *ending)
{
    unsigned status = ending->status;
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

int64_t webhook_pause_ms(const struct webhook_ending *ending, unsigned strikes, int64_t first_ms,
                         uint32_t random)
{
    if (!holds_up_all(ending)) {
        return 0;
    }
    unsigned doubled = strikes < 1 ? 0 : strikes - 1;
    int64_t most_ms = 12 * first_ms;
    int64_t step_ms = doubled >= PAUSES_DOUBLED ? most_ms : (first_ms / 5 + 1) << doubled;
    return longer(with_jitter(step_ms < most_ms ? step_ms : most_ms, random), asked_for(ending));
}
