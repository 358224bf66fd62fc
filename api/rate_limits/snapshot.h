/* snapshot: all policies as they are now, immutable, read by routes on every core without a message, a lock or a count.
 *
 * Invariants
 *  S1  a snapshot that was published is never changed.
 *  S2  a reader takes the pointer and uses it within one handler or reply function on a core's thread (outside processes), and keeps
 *      nothing of it. So a snapshot that was replaced is unreachable once every core has passed a turn; then it is freed.
 *  S3  entries are sorted by name; the first policy, `default`, is always there.
 *
 * Life cycle: create from a list -> publish (a node may be running or not) -> replaced by the next -> freed by the last core.
 */
#ifndef API_RATE_LIMITS_SNAPSHOT_H
#define API_RATE_LIMITS_SNAPSHOT_H

#include "api/rate_limits/policy.h"
#include "server/text.h"

#define RL_DEFAULT_POLICY_ID 1u
#define RL_POLICIES_MAX      10000u

typedef struct rl_policy_entry {
    char name[RL_POLICY_NAME_MAX + 1];
    uint8_t name_bytes;
    uint32_t policy_id; /* never used again */
    uint64_t version;   /* never used again either: its ETag */
    rl_policy policy;
} rl_policy_entry;

typedef struct rl_snapshot rl_snapshot;

/** Makes a snapshot of a copy of these entries, in any order.  Returns: NULL without memory. */
rl_snapshot *rl_snapshot_create(const rl_policy_entry *entries, uint32_t count);

/** The entry of that name, or NULL.  Borrows: see S2. */
const rl_policy_entry *rl_snapshot_find(const rl_snapshot *snapshot, struct text name);

/** All entries, sorted by name. */
const rl_policy_entry *rl_snapshot_entries(const rl_snapshot *snapshot, uint32_t *count);

/** A place where the current one is found. */
typedef struct rl_snapshot_place {
    rl_snapshot *now;  /* atomic */
    rl_snapshot *past; /* atomic: replaced ones that some core may still read, newest first */
} rl_snapshot_place;

static inline const rl_snapshot *rl_snapshot_now(const rl_snapshot_place *place)
{
    return __atomic_load_n(&place->now, __ATOMIC_ACQUIRE);
}

/** Replaces the current snapshot. Takes: snapshot.  Context: one publisher at a time. */
void rl_snapshot_publish(rl_snapshot_place *place, rl_snapshot *snapshot);

/** Frees all.  Context: no core runs any more. */
void rl_snapshot_fini(rl_snapshot_place *place);

#endif
