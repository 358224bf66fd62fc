/* aggregate: all parts of one profile in parallel, under one deadline.
 *
 * Invariants
 *  1. One task a source under `profiles.tasks`, not linked: a task that crashes is an error of its source alone.
 *  2. At the deadline what is late is killed, and with it its transfer and its connection.
 *  3. When the calling process ends in the middle, so do its tasks.
 */
#ifndef API_PROFILES_AGGREGATE_H
#define API_PROFILES_AGGREGATE_H

#include "api/profiles/fetch.h"

struct profile_part {
    bool wanted;
    uint32_t source; /* its place */
    enum source_status status;
    const char *why;
    int64_t elapsed_ms;
    uint32_t attempts;
    const tr_blob *body; /* OK: the caller's until its end */
};

/** Fetches with `fetch` (a task's function) what is wanted of parts[0..count). Blocks: parks, at most timeout_ms and the
 *  time to end what is late. Context: process. */
void profile_aggregate(tr_msg *(*fetch)(const fetch_order *order), struct text user, int64_t timeout_ms,
                       struct profile_part *parts, size_t count);

#endif
