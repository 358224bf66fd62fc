/* messages: what limiter processes are asked and what they answer. All of fixed size, no terms: one block each way.
 *
 * Invariants
 *  1. A request names a policy by its id; the process knows the rate behind it. RL_UNKNOWN_RATE: the policy is gone.
 *  2. The policies' requests say what shall be, not what to change: asking twice is harmless.
 */
#ifndef API_RATE_LIMITS_MESSAGES_H
#define API_RATE_LIMITS_MESSAGES_H

#include "api/rate_limits/table.h"

#include <troupe/troupe.h>

/* Decisions. */
enum rl_how { RL_HOW_TAKE, RL_HOW_PEEK };
TR_MESSAGE(rl_check, {
    rl_hash hash;
    uint64_t cost;
    uint32_t policy_id;
    uint32_t how;
});
TR_MESSAGE(rl_decided, {
    rl_decision decision;
    uint32_t status; /* enum rl_status */
});
TR_MESSAGE(rl_reset, { rl_hash hash; });
TR_MESSAGE(rl_was_reset, { bool known; });

/* Room for a new key somewhere else, from a partition's full buckets. */
TR_MESSAGE(rl_make_room, { uint32_t lines; });
TR_MESSAGE(rl_room_made, {
    uint32_t dropped;
    uint64_t room_in_ns; /* 0: not known */
});

/* Batches (batch_items.h): `batch` is shared by all partitions; each works on items first .. first + count - 1. */
TR_MESSAGE_BLOBS(
    rl_batch_part,
    {
        tr_blob *batch;
        uint32_t first;
        uint32_t count;
    },
    offsetof(rl_batch_part, batch));
/* Carries the batch back: whoever hears the last answer reads it there. */
TR_MESSAGE_BLOBS(
    rl_batch_part_done, { tr_blob *batch; }, offsetof(rl_batch_part_done, batch));

/* All or nothing over several partitions: lock, then the batch's word decides; settle tells to look at it. */
TR_MESSAGE_BLOBS(
    rl_batch_lock,
    {
        tr_blob *batch;
        uint32_t first;
        uint32_t count;
        tr_pid coordinator;
    },
    offsetof(rl_batch_lock, batch));
TR_MESSAGE_EMPTY(rl_batch_locked);
TR_MESSAGE_BLOBS(
    rl_batch_settle, { tr_blob *batch; }, offsetof(rl_batch_settle, batch));

/* Numbers. */
TR_MESSAGE(rl_set_policy, {
    uint32_t policy_id;
    rl_policy policy;
});
TR_MESSAGE(rl_drop_policy, { uint32_t policy_id; });
TR_MESSAGE(rl_set_override, {
    rl_hash hash;
    uint64_t cookie;
    uint32_t policy_id;
    rl_policy policy;
});
TR_MESSAGE(rl_drop_override, {
    rl_hash hash;
    uint32_t policy_id;
});
TR_MESSAGE(rl_switched, {
    uint32_t result; /* enum rl_result */
    bool more;       /* rl_drop_policy: ask again */
});

/* Saving. */
TR_MESSAGE(rl_save_slice, {
    uint32_t what; /* enum rl_save */
    uint32_t lines;
    uint32_t room;
    rl_cursor cursor;
});
TR_MESSAGE_BLOBS(
    rl_saved_slice,
    {
        tr_blob *records; /* rl_record[count] */
        uint32_t count;
        rl_cursor cursor;
    },
    offsetof(rl_saved_slice, records));

#endif
