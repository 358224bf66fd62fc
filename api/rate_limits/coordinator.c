/* All or nothing over several partitions.
 *
 *     for each partition, in order: lock my keys, judge them          (it answers when the keys are mine)
 *     all enough -> the batch's word becomes COMMITTED: from here on it has happened, whoever dies
 *     else, or deadline, or a death -> ABORTED: it never happened
 *     settle to all: they take or forget, and let others at the keys
 *
 * No deadlock: a batch waits in a partition only for batches that came to that partition before it, and those wait only for
 * partitions further on. No half: everyone who settles, this process, a partition that sees it die, or a partition's
 * successor, acts by the one word.
 */
#include "api/rate_limits/asking.h"
#include "api/rate_limits/batch_route.h"

#define ANSWER_MARGIN_MS 20 /* before the request's deadline, so that this process gives up first */

typedef struct coordinator {
    tr_resource resource;
    tr_blob *blob;
    uint32_t asked; /* items up to here have been asked to be locked */
} coordinator;

static void coordinator_destroy(tr_resource *resource)
{
    tr_blob_drop(((coordinator *)(void *)resource)->blob);
}

/* Locks one partition's items. Returns: it answered. */
static bool lock(coordinator *self, struct http_request *request, uint32_t first, uint32_t end)
{
    const rl_batch *batch = rl_batch_of(self->blob);
    tr_pid pid = rl_partition_pid(batch->items[first].partition);
    int64_t left_ms = http_request_left_ms(request) - ANSWER_MARGIN_MS;
    tr_msg *reply = NULL;

    self->asked = end;
    return pid != TR_NO_PID && left_ms > 0 &&
           tr_gen_server_call(tr_to(pid),
                              TR_MSG(rl_batch_lock, .batch = self->blob, .first = first, .count = end - first,
                                     .coordinator = tr_self()),
                              left_ms, &reply, NULL) == TR_OK;
}

static void settle(const coordinator *self)
{
    const rl_batch *batch = rl_batch_of(self->blob);
    uint32_t end;

    for (uint32_t first = 0; first < self->asked; first = end) {
        tr_pid pid = rl_partition_pid(batch->items[first].partition);
        end = rl_batch_run_end(batch, first);
        if (pid != TR_NO_PID) {
            (void)TR_CAST(pid, rl_batch_settle, .batch = self->blob);
        }
    }
}

void rl_batch_coordinate(struct http_request *request)
{
    rl_batch_request *asked = http_request_state(request);
    coordinator *self = tr_alloc(sizeof(*self));
    enum rl_batch_state state;
    rl_batch *batch;
    bool answered = true;
    uint32_t end;

    self->blob = rl_batch_build(asked);
    self->resource.destroy = coordinator_destroy;
    tr_resource_add(&self->resource);
    batch = rl_batch_of(self->blob);
    for (uint32_t first = 0; answered && first < batch->count; first = end) {
        end = rl_batch_run_end(batch, first);
        answered = lock(self, request, first, end);
    }
    bool passed = answered && !__atomic_load_n(&batch->doomed, __ATOMIC_RELAXED);
    state = rl_batch_decide(batch, passed ? RL_BATCH_COMMITTED : RL_BATCH_ABORTED);
    settle(self);
    if (state == RL_BATCH_COMMITTED || (answered && !passed)) {
        rl_batch_answer(request, asked, batch);
    } else {
        rl_answer_unavailable(request);
    }
}
