/* policies: the process `rate_limits.policies`, which owns what policies and overrides say.
 *
 *     PUT -> [same? conflict?] -> intent noted -> durable (store.writer) -> all partitions switched -> snapshot -> answer
 *
 * Invariants
 *  1. Nobody sees a policy that is not durable, or that some partition does not know yet.
 *  2. It may die at any step: the intent tells its successor which policy or key to put right from the store, and the store's order
 *     makes every write that was on its way decided by then.
 *  3. An override that expired is taken out of the partitions first, of the store after: a death in between repeats the first.
 *  4. Partitions never wait for this process. It waits for them, also while one is suspended or restarts.
 */
#ifndef API_RATE_LIMITS_POLICIES_H
#define API_RATE_LIMITS_POLICIES_H

#include "api/rate_limits/records.h"
#include "api/rate_limits/service.h"

#include <troupe/troupe.h>

enum rl_outcome {
    RL_DONE_CREATED,
    RL_DONE_REPLACED,
    RL_DONE_SAME,
    RL_DONE_FOUND,
    RL_DONE_DROPPED,
    RL_NO_SUCH_POLICY,
    RL_NO_SUCH_OVERRIDE,
    RL_VERSION_CONFLICT,
    RL_TOO_MANY, /* policies, or overrides in a partition */
    RL_STORAGE_FULL,
    RL_STORAGE_FAILED /* and perhaps written: read again */
};

/* version conditions: RL_ANY_VERSION, 0 = must not exist, else exactly that one. */
#define RL_ANY_VERSION UINT64_MAX

TR_MESSAGE(rl_ask_put_policy, {
    rl_policy_entry wanted; /* name and policy */
    uint64_t expected;
});
TR_MESSAGE(rl_ask_drop_policy, {
    uint32_t policy_id;
    uint64_t expected;
});
TR_MESSAGE(rl_policy_answer, {
    uint32_t outcome;
    rl_policy_entry entry;
});
TR_MESSAGE(rl_ask_put_override, {
    rl_override_row row;   /* without cookie and version */
    int64_t expires_in_ms; /* 0: never */
    uint64_t expected;
});
TR_MESSAGE(rl_ask_get_override, { rl_key_name name; });
TR_MESSAGE(rl_ask_drop_override, {
    rl_key_name name;
    uint64_t expected;
});
TR_MESSAGE(rl_override_answer, {
    uint32_t outcome;
    rl_override_row row;
});

tr_child_spec rl_policies_child_spec(void);

/* --- switching.c: telling the partitions, until they all know. All park the calling process. --- */
enum rl_result rl__switch_policy(uint32_t policy_id, const rl_policy *policy);
void rl__switch_drop_policy(uint32_t policy_id);
enum rl_result rl__switch_override(const rl_override_row *row);
void rl__switch_drop_override(const rl_key_name *name);

#endif
