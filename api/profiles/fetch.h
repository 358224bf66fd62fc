/* fetch: one source's part for one user: the work of a task.
 *
 * Invariants
 *  1. It asks the source's guard before each attempt and tells it after; a kill in between is seen by the guard.
 *  2. All attempts together keep the deadline. Only failures that another attempt may mend are retried, FETCH_TRIES
 *     times at most, inside the source's retry budget.
 *  3. A body is checked before it is handed on: it is one JSON document.
 */
#ifndef API_PROFILES_FETCH_H
#define API_PROFILES_FETCH_H

#include "api/profiles/source.h"

#define FETCH_TRIES          3
#define FETCH_BODY_BYTES_MAX 262144

TR_MESSAGE(fetch_order, {
    uint32_t source;
    uint32_t user_bytes;
    int64_t deadline_ms; /* tr_now_ms */
    char user[USER_ID_BYTES];
});
TR_MESSAGE_BLOBS(
    fetch_result,
    {
        enum source_status status;
        const char *why; /* a static word when it is not OK */
        int64_t elapsed_ms;
        uint32_t attempts;
        tr_blob *body; /* OK: a JSON document */
    },
    offsetof(fetch_result, body));

/** For tr_task: a fetch_result. Blocks: parks. */
tr_msg *fetch_source(const fetch_order *order);

#endif
