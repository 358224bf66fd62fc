/* saver: the process `rate_limits.saver`, which keeps levels in the store.
 *
 *     every save_interval_ms: partitions that took something -> slices of changed buckets -> one transaction a slice
 *
 * Invariants
 *  1. In a round, buckets that are full within RL_SAVE_SLOW_MS are left out: the last save takes all.
 *  2. A round that failed is repeated over everything: the tables have forgotten what was changed.
 *  3. Checks never wait for it: partitions answer slice by slice, and nothing is asked of those that took nothing.
 *  4. What it forgets (a key that was reset) stays forgotten: it does one thing after the other.
 */
#ifndef API_RATE_LIMITS_SAVER_H
#define API_RATE_LIMITS_SAVER_H

#include "api/rate_limits/service.h"

#include <troupe/troupe.h>

#define RL_SAVE_SLOW_MS 10000

TR_MESSAGE_EMPTY(rl_ask_save_all);
TR_MESSAGE(rl_ask_forget, { rl_hash hash; });
TR_MESSAGE(rl_saver_answer, { bool ok; });

tr_child_spec rl_saver_child_spec(void);

#endif
