/* When to stop asking someone who fails. The states are drawn in breaker.h. */
#include "server/client/breaker.h"

#include <stddef.h>
#include <string.h>

#define WINDOW          20u
#define LEAST           10u
#define FAILURE_PERCENT 50u
#define OPEN_MS         5000
#define OPEN_MAX_MS     60000
#define TRIALS          1u

static uint32_t rule(uint32_t given, uint32_t fallback, uint32_t most)
{
    uint32_t value = given == 0 ? fallback : given;
    return value > most ? most : value;
}

static int64_t rule_ms(int64_t given, int64_t fallback)
{
    return given <= 0 ? fallback : given;
}

static struct breaker_rules complete(const struct breaker_rules *given)
{
    struct breaker_rules rules = {.window = rule(given->window, WINDOW, BREAKER_WINDOW_MAX),
                                  .failure_percent = rule(given->failure_percent, FAILURE_PERCENT, 100),
                                  .open_ms = rule_ms(given->open_ms, OPEN_MS),
                                  .open_max_ms = rule_ms(given->open_max_ms, OPEN_MAX_MS),
                                  .trials = rule(given->trials, TRIALS, BREAKER_WINDOW_MAX)};
    rules.least = rule(given->least, LEAST < rules.window ? LEAST : rules.window, rules.window);
    rules.open_max_ms = rules.open_max_ms < rules.open_ms ? rules.open_ms : rules.open_max_ms;
    return rules;
}

void breaker_init(struct breaker *breaker, const struct breaker_rules *rules)
{
    *breaker = (struct breaker){.rules = complete(rules == NULL ? &(struct breaker_rules){0} : rules)};
    breaker->open_for_ms = breaker->rules.open_ms;
}

/* ---- changes of state: a new era each ---- */

static void become(struct breaker *breaker, enum breaker_state state)
{
    breaker->state = state;
    breaker->era++;
    memset(breaker->failed, 0, sizeof(breaker->failed));
    breaker->at = breaker->seen = breaker->failures = 0;
    breaker->trials_out = breaker->trials_good = 0;
}

static void open(struct breaker *breaker, int64_t now_ms)
{
    become(breaker, BREAKER_OPEN);
    breaker->until_ms = now_ms + breaker->open_for_ms;
    breaker->opened++;
}

static void close(struct breaker *breaker)
{
    become(breaker, BREAKER_CLOSED);
    breaker->open_for_ms = breaker->rules.open_ms;
}

static void try_again(struct breaker *breaker, int64_t now_ms)
{
    become(breaker, BREAKER_HALF_OPEN);
    breaker->until_ms = now_ms + breaker->rules.open_ms;
}

/* ---- asking ---- */

static bool admit_trial(struct breaker *breaker, int64_t now_ms, struct breaker_pass *pass)
{
    if (breaker->trials_out >= breaker->rules.trials) {
        if (now_ms < breaker->until_ms) {
            return false;
        }
        try_again(breaker, now_ms); /* they were lost */
    }
    breaker->trials_out++;
    *pass = (struct breaker_pass){.era = breaker->era, .trial = true};
    return true;
}

bool breaker_admit(struct breaker *breaker, int64_t now_ms, struct breaker_pass *pass)
{
    if (breaker->state == BREAKER_OPEN && now_ms >= breaker->until_ms) {
        try_again(breaker, now_ms);
    }
    switch (breaker->state) {
    case BREAKER_OPEN:
        return false;
    case BREAKER_HALF_OPEN:
        return admit_trial(breaker, now_ms, pass);
    case BREAKER_CLOSED:
        break;
    }
    *pass = (struct breaker_pass){.era = breaker->era};
    return true;
}

int64_t breaker_wait_ms(const struct breaker *breaker, int64_t now_ms)
{
    bool refuses = breaker->state == BREAKER_OPEN ||
                   (breaker->state == BREAKER_HALF_OPEN && breaker->trials_out >= breaker->rules.trials);
    return refuses && breaker->until_ms > now_ms ? breaker->until_ms - now_ms : 0;
}

/* ---- telling ---- */

static void note(struct breaker *breaker, bool failed)
{
    uint64_t *word = &breaker->failed[breaker->at / 64];
    uint64_t bit = UINT64_C(1) << (breaker->at % 64);
    if (breaker->seen == breaker->rules.window) {
        breaker->failures -= (*word & bit) != 0;
    } else {
        breaker->seen++;
    }
    *word = failed ? *word | bit : *word & ~bit;
    breaker->failures += failed;
    breaker->at = (breaker->at + 1) % breaker->rules.window;
}

static bool report_closed(struct breaker *breaker, bool failed, int64_t now_ms)
{
    note(breaker, failed);
    if (!failed || breaker->seen < breaker->rules.least ||
        breaker->failures * 100 < breaker->seen * breaker->rules.failure_percent) {
        return false;
    }
    open(breaker, now_ms);
    return true;
}

static bool report_trial(struct breaker *breaker, bool failed, int64_t now_ms)
{
    if (failed) {
        int64_t twice = breaker->open_for_ms * 2;
        breaker->open_for_ms = twice > breaker->rules.open_max_ms ? breaker->rules.open_max_ms : twice;
        open(breaker, now_ms);
        return true;
    }
    breaker->trials_good++;
    if (breaker->trials_good < breaker->rules.trials) {
        breaker->trials_out--; /* the next one */
        return false;
    }
    close(breaker);
    return true;
}

bool breaker_report(struct breaker *breaker, struct breaker_pass pass, enum breaker_outcome outcome,
                    int64_t now_ms)
{
    if (pass.era != breaker->era || breaker->state == BREAKER_OPEN) {
        return false;
    }
    if (outcome == BREAKER_UNKNOWN) {
        breaker->trials_out -= breaker->state == BREAKER_HALF_OPEN;
        return false;
    }
    bool failed = outcome == BREAKER_FAILURE;
    return breaker->state == BREAKER_CLOSED ? report_closed(breaker, failed, now_ms)
                                            : report_trial(breaker, failed, now_ms);
}

const char *breaker_state_word(enum breaker_state state)
{
    static const char *const words[] = {"closed", "open", "half_open"};
    return words[state];
}
