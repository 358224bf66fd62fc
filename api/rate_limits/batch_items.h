/* batch_items: the memory of one batch: what was asked, sorted by partition, and what was decided, in place.
 *
 * It lies in a counted blob that travels by reference: partitions write into their own items only, the reader reads them
 * after their answers came.
 *
 * Invariants
 *  B1  items of one partition are neighbours; in an all-or-nothing batch they are sorted by key, so equal keys are too.
 *  B2  `state` goes from RL_BATCH_OPEN to one of the others once, by compare-and-swap, whoever does it: the coordinator decides COMMITTED
 *      when every partition said enough; anyone may decide ABORTED (deadline, death, a restarted partition).
 */
#ifndef API_RATE_LIMITS_BATCH_ITEMS_H
#define API_RATE_LIMITS_BATCH_ITEMS_H

#include "api/rate_limits/table.h"

#include <troupe/troupe.h>

#define RL_BATCH_MAX 1000

enum rl_batch_state { RL_BATCH_OPEN, RL_BATCH_COMMITTED, RL_BATCH_ABORTED };

typedef struct rl_batch_item {
    rl_hash hash;
    uint64_t cost;
    uint32_t policy_id;
    uint32_t index; /* place in the request */
    uint32_t partition;
    uint32_t status; /* enum rl_status */
    rl_decision decision;
} rl_batch_item;

typedef struct rl_batch {
    uint32_t state; /* atomic, enum rl_batch_state */
    uint32_t count;
    bool all_or_nothing;
    bool looking; /* independent: only whether a cost can never pass is asked; nothing is taken or counted */
    bool doomed;  /* atomic: somebody said not enough: the others are only asked what they would have said */
    rl_batch_item items[];
} rl_batch;

static inline rl_batch *rl_batch_of(const tr_blob *blob)
{
    return (rl_batch *)(uintptr_t)blob->bytes;
}

static inline tr_blob *rl_batch_new(uint32_t count)
{
    tr_blob *blob = tr_blob_new(NULL, sizeof(rl_batch) + count * sizeof(rl_batch_item));

    *rl_batch_of(blob) = (rl_batch){.count = count};
    return blob;
}

/** Sorts items by partition and key; equal keys keep the order they were asked in. */
void rl_batch_sort(rl_batch *batch, uint32_t first, uint32_t count);

/** Decides. Returns: what the batch's fate is, whoever decided it. */
static inline enum rl_batch_state rl_batch_decide(rl_batch *batch, enum rl_batch_state wanted)
{
    uint32_t state = RL_BATCH_OPEN;

    if (__atomic_compare_exchange_n(&batch->state, &state, (uint32_t)wanted, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return wanted;
    }
    return (enum rl_batch_state)state;
}

#endif
