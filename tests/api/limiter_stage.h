/* limiter_stage: limiter processes without HTTP and without a store, for scenes in virtual time and plain programs.
 *
 *     limiter_stage_start(4, 1000);               in a process: tables, policy "default" (id 1), partitions under a supervisor
 *     rl_decided got = limiter_ask(key, 1, RL_HOW_TAKE);
 *     limiter_stage_stop();
 *
 * Calls that must succeed crash the calling process when they do not. */
#ifndef TESTS_API_LIMITER_STAGE_H
#define TESTS_API_LIMITER_STAGE_H

#include "api/rate_limits/batch_items.h"
#include "api/rate_limits/messages.h"
#include "api/rate_limits/service.h"

#include <troupe/troupe.h>

enum { STAGE_POLICY = 1, STAGE_CALL_MS = 5000 };

/** limit tokens, refilled by one in ten minutes: for a test, what is taken stays taken. */
rl_policy stage_policy(uint32_t limit);
void limiter_stage_start(uint32_t partitions, uint32_t max_keys, uint32_t limit);
void limiter_stage_stop(void);

/** The n-th key (n from 0) whose bucket lies in this partition. */
rl_hash stage_key(uint32_t partition, uint32_t n);
rl_decided limiter_ask(const rl_hash *key, uint64_t cost, enum rl_how how);
uint32_t limiter_remaining(const rl_hash *key);
/** Sends a numbers' request to one partition and waits for the answer. */
rl_switched limiter_tell(uint32_t partition, const tr_type *type, const void *payload);
/** Kills a partition and waits for its successor. */
void limiter_kill(uint32_t partition);

/** A batch of one item a key, all or nothing. */
tr_blob *stage_batch(const rl_hash *keys, const uint64_t *costs, uint32_t count);
/** Sends the lock for the batch's items in one partition, without waiting. */
tr_ref stage_lock(tr_blob *batch, uint32_t first, uint32_t count);
void stage_settle(tr_blob *batch, uint32_t partition);

#endif
