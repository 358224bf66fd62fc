/* batch_route: POST /v1/rate-limits/check, many decisions in one request.
 *
 *   independent, or all in one partition: one message a partition from the core, answered with the last reply
 *   all_or_nothing over several partitions: a process of the request's own coordinates (coordinator.c)
 *
 * Invariants
 *   1. A batch with a bad item, an unknown policy, or a cost that can never pass is refused before anything is taken.
 *   2. Results come in the order of the request.
 *   3. An independent batch of which some partition does not answer is 503; what others took stays taken.
 */
#ifndef API_RATE_LIMITS_BATCH_ROUTE_H
#define API_RATE_LIMITS_BATCH_ROUTE_H

#include "api/rate_limits/batch_items.h"
#include "server/http/request.h"

/** One item as it was asked, in the request's memory. */
typedef struct rl_batch_check {
    struct text policy;
    struct text key;
    int64_t cost;
    uint32_t policy_id;
    uint32_t partition;
    rl_hash hash;
} rl_batch_check;

typedef struct rl_batch_request {
    rl_batch_check *checks;
    uint32_t *order; /* room for the places of the results */
    uint32_t count;
    uint32_t waiting; /* partitions that have not answered */
    bool all_or_nothing;
    bool failed;
} rl_batch_request;

/** Makes the batch of a request, sorted.  Returns: one reference. */
tr_blob *rl_batch_build(const rl_batch_request *asked);

/** The end of the items that lie in the partition of item `first`. */
uint32_t rl_batch_run_end(const rl_batch *batch, uint32_t first);

/** Answers with what was decided: results, or why nothing was taken. */
void rl_batch_answer(struct http_request *request, rl_batch_request *asked, const rl_batch *batch);

/** All or nothing over several partitions.  Context: the request's own process. */
void rl_batch_coordinate(struct http_request *request);

#endif
