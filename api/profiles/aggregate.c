/* All parts of one profile in parallel. */
#include "api/profiles/aggregate.h"

#include <string.h>

#define MARGIN_MAX_MS 50 /* a source is late before its caller is: it can say so, and its guard hears of it */

/* Ends the tasks with their owner. */
struct brood {
    tr_resource resource;
    size_t count;
    tr_task tasks[SOURCES_MAX];
    size_t part[SOURCES_MAX];
};

static void brood_end(tr_resource *resource)
{
    const struct brood *brood = (const struct brood *)(const void *)resource;
    for (size_t i = 0; i < brood->count; i++) {
        tr_exit_signal(tr_to(brood->tasks[i].pid), TR_ATOM(SHUTDOWN));
    }
}

static void start(struct brood *brood, tr_msg *(*fetch)(const fetch_order *order), const fetch_order *order,
                  struct profile_part *part, size_t index)
{
    tr_task_job job = {
        .fn = (tr_task_fn)fetch, .arg = tr_msg_new(TR_TYPE(fetch_order), order), .name = "profile_fetch"};
    tr_err err = tr_task_supervisor_async_nolink(tr_to_name(tr_atom("profiles.tasks")), &job, 0,
                                                 &brood->tasks[brood->count]);
    if (err != TR_OK) {
        part->status = SOURCE_ERROR;
        part->why = "no_task";
        return;
    }
    brood->part[brood->count++] = index;
}

static void take(struct profile_part *part, const tr_task_result *result, int64_t elapsed_ms)
{
    const fetch_result *fetched = result->err == TR_OK ? TR_MATCH(result->value, fetch_result) : NULL;
    part->elapsed_ms = elapsed_ms;
    if (fetched != NULL) {
        part->status = fetched->status;
        part->why = fetched->why;
        part->elapsed_ms = fetched->elapsed_ms;
        part->attempts = fetched->attempts;
        part->body = fetched->body;
    } else if (result->err == TR_E_TIMEOUT) {
        part->status = SOURCE_TIMEOUT;
        part->why = "timeout";
    } else {
        part->status = SOURCE_ERROR;
        part->why = "crashed";
    }
}

void profile_aggregate(tr_msg *(*fetch)(const fetch_order *order), struct text user, int64_t timeout_ms,
                       struct profile_part *parts, size_t count)
{
    struct brood *brood = tr_alloc(sizeof(*brood));
    tr_task_result results[SOURCES_MAX];
    int64_t began_ms = tr_now_ms();
    fetch_order order = {
        .user_bytes = (uint32_t)user.count,
    };
    int64_t margin_ms = timeout_ms / 20 > MARGIN_MAX_MS ? MARGIN_MAX_MS : timeout_ms / 20;
    memcpy(order.user, user.bytes, user.count);
    brood->resource.destroy = brood_end;
    tr_resource_add(&brood->resource);
    for (size_t i = 0; i < count; i++) {
        parts[i].status = SOURCE_SKIPPED;
        if (parts[i].wanted) {
            order.source = parts[i].source;
            order.deadline_ms = began_ms + timeout_ms - margin_ms;
            start(brood, fetch, &order, &parts[i], i);
        }
    }
    int64_t left_ms = began_ms + timeout_ms - tr_now_ms();
    tr_task_yield_many(brood->tasks, brood->count,
                       &(tr_task_yield_opts){.timeout_ms = left_ms < 0 ? 0 : left_ms, .late = TR_LATE_KILL},
                       results);
    int64_t elapsed_ms = tr_now_ms() - began_ms;
    for (size_t i = 0; i < brood->count; i++) {
        take(&parts[brood->part[i]], &results[i], elapsed_ms);
    }
    tr_resource_remove(&brood->resource);
    tr_free(brood);
}
