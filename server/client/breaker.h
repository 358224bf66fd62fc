/* breaker: when to stop asking someone who fails, and when to try again. A circuit breaker; plain data, no process.
 *
 *            failures >= failure_percent of the last `window`, of which there are at least `least`
 *     CLOSED ------------------------------------------------------------------------------> OPEN
 *       ^                                                                                    |  |
 *       | `trials` successes in a row                         open time is over, asked again |  | refuses
 *       +------------------------------- HALF_OPEN <-----------------------------------------+  | everyone
 *                                            | one failure: open for twice as long, at most open_max_ms
 *                                            +--------------------------------------------------+
 * Invariants
 *  1. It belongs to one process (or thread); nothing in it blocks, allocates or reads a clock: now_ms is monotonic.
 *  2. A pass is given for each attempt and reported once. A report from before the last change of state (`era`) counts
 *     for nothing: a slow failure of yesterday does not open what was closed since.
 *  3. In HALF_OPEN at most `trials` passes are out at a time. A pass that will never be reported otherwise (its holder
 *     died) is reported as BREAKER_UNKNOWN, or its place is lost until open_ms later.
 *  4. BREAKER_UNKNOWN counts neither for nor against.
 * server/client/upstream.h is a process around it, with a retry budget and a bulkhead.
 */
#ifndef TROUPE_SERVER_CLIENT_BREAKER_H
#define TROUPE_SERVER_CLIENT_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_WINDOW_MAX 128u

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
enum breaker_outcome { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_UNKNOWN };

/* 0 takes the default. */
struct breaker_rules {
    uint32_t window;          /* outcomes looked at; 20, at most BREAKER_WINDOW_MAX */
    uint32_t least;           /* of them, before it may open; 10 */
    uint32_t failure_percent; /* 50 */
    int64_t open_ms;          /* 5000 */
    int64_t open_max_ms;      /* 60000 */
    uint32_t trials;          /* 1 */
};

struct breaker_pass {
    uint64_t era;
    bool trial;
};

struct breaker {
    struct breaker_rules rules;
    enum breaker_state state;
    uint64_t era;
    uint64_t failed[BREAKER_WINDOW_MAX / 64]; /* one bit an outcome, a ring */
    uint32_t at, seen, failures;
    int64_t open_for_ms, until_ms; /* OPEN: no pass before; HALF_OPEN: lost trials come back then */
    uint32_t trials_out, trials_good;
    uint64_t opened; /* how often */
};

/** Closed, with nothing seen. rules (NULL: all defaults) are copied. */
void breaker_init(struct breaker *breaker, const struct breaker_rules *rules);
/** May an attempt be made now? Fills *pass when it may. */
bool breaker_admit(struct breaker *breaker, int64_t now_ms, struct breaker_pass *pass);
/** What became of an attempt. Returns: true when this changed the state. */
bool breaker_report(struct breaker *breaker, struct breaker_pass pass, enum breaker_outcome outcome,
                    int64_t now_ms);
/** How long it refuses everyone; 0 when it does not. */
int64_t breaker_wait_ms(const struct breaker *breaker, int64_t now_ms);
/** "closed", "open", "half_open". Static. */
const char *breaker_state_word(enum breaker_state state);

#endif
