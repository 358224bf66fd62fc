/* limiter: the process `rate_limits.partition.<n>`: the only one that touches the buckets of its keys.
 *
 *     check, peek, reset, batch part ---> [keys locked?] --no--> decide, answer
 *                                              | yes: stands in line (key_locks.h)
 *     lock (all or nothing, several partitions): granted -> evaluated -> held until settled --> commit or nothing
 *
 * Invariants
 *  1. It never parks, and answers every call: at once, or when the keys it needs are free.
 *  2. A check reads the clock once, allocates nothing but its answer, builds no term.
 *  3. Its state can be rebuilt from the partition's memory (service.h): a successor adopts the table, makes its maps anew and
 *     settles the batches that were open; nothing is lost and nothing is filled up.
 *  4. The keys of an open batch are decided on by nobody else until the batch is settled. Who coordinates it is
 *     monitored: its death is a decision to abort.
 */
#ifndef API_RATE_LIMITS_LIMITER_H
#define API_RATE_LIMITS_LIMITER_H

#include "api/rate_limits/batch_items.h"
#include "api/rate_limits/key_locks.h"
#include "api/rate_limits/messages.h"
#include "api/rate_limits/policy_map.h"
#include "api/rate_limits/service.h"

/* What a batch has locked here and not settled yet. On the supervisor's side: a successor settles it. */
typedef struct rl_open_batch {
    struct rl_open_batch *next;
    tr_blob *batch;
    uint32_t first, count;
    uint32_t done; /* items taken, once it is committed */
} rl_open_batch;

enum rl_waiting_kind { RL_WAITS_CHECK, RL_WAITS_RESET, RL_WAITS_PART, RL_WAITS_LOCK };

/* A request that stands in line, or a lock that is held. */
typedef struct rl_waiting {
    rl_ticket ticket; /* first */
    tr_resource resource;
    struct rl_waiting *next, **link; /* locks only: in limiter.locks_asked */
    enum rl_waiting_kind kind;
    tr_from from;
    rl_check check; /* CHECK; RESET: its hash */
    tr_blob *batch; /* PART, LOCK */
    uint32_t first, count;
    tr_ref monitor;      /* LOCK: of the coordinator */
    rl_open_batch *open; /* LOCK: granted, enough, not settled */
    rl_place places[];
} rl_waiting;

typedef struct rl_tally {
    uint64_t allowed, denied, shadow_denied, limiter_full;
} rl_tally;

typedef struct limiter {
    uint32_t index;
    rl_partition *partition;
    rl_policy_map policies;
    rl_key_locks locks;
    rl_waiting *locks_asked;
    uint64_t decisions;
} limiter;

/** The spec of the partitions' supervisor. */
tr_child_spec rl_partitions_child_spec(void);

/* --- limiter.c, for limiter_batch.c --- */

/** The rate a key is decided by now; 0: its policy is gone. */
uint32_t rl__limiter_rate(const limiter *self, uint32_t policy_id, const rl_hash *hash);
void rl__limiter_check(limiter *self, const rl_check *check, rl_decided *out);
bool rl__limiter_reset(limiter *self, const rl_hash *hash);
/** Counts a verdict in the service's metrics, later. */
void rl__limiter_tally(rl_tally *tally, const rl_verdict *verdict);
void rl__limiter_count(limiter *self, const rl_tally *tally);

/* --- limiter_batch.c --- */

/** Puts a request for locked keys in line. Returns: false when the key is free: go on. */
bool rl__limiter_wait_check(limiter *self, tr_from from, const rl_check *check);
bool rl__limiter_wait_reset(limiter *self, tr_from from, const rl_hash *hash);
tr_next rl__limiter_batch_part(limiter *self, tr_from from, const rl_batch_part *part);
tr_next rl__limiter_batch_lock(limiter *self, tr_from from, const rl_batch_lock *lock);
void rl__limiter_batch_settle(limiter *self, const tr_blob *batch);
void rl__limiter_coordinator_down(limiter *self, tr_ref monitor);
/** A successor's first act: what its predecessor held is settled. */
void rl__limiter_settle_all(limiter *self);

#endif
