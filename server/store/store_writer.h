/* store_writer: the process `store.writer`: durable writes for processes, in direct style.
 *
 * A caller hands over a function and its argument; the commit thread runs it inside the next group's
 * transaction, and the caller goes on when the group is durable. Nobody hears of a write before that.
 *
 * Invariants
 *  1. The writer only passes jobs on: the store owns what was submitted. If the writer dies its callers hear
 *     at once and get
 *     STORE_UNKNOWN; what was submitted is decided all the same; its successor goes on with the same store.
 *  2. A job is one counted blob: it lives as long as anyone (message, store, answer) still needs it, whoever
 *     is killed.
 *  3. apply runs on the commit thread: it touches its argument, its result and the transaction, nothing else.
 *  4. The writer never parks.
 */
#ifndef TROUPE_SERVER_STORE_WRITER_H
#define TROUPE_SERVER_STORE_WRITER_H

#include "server/store/store.h"

#include <troupe/troupe.h>

/** What a write does: arg is the caller's argument (copied), result is zeroed memory that goes back to the
 *  caller on STORE_OK and STORE_REJECTED. May run more than once: it must set *result anew each time. */
typedef enum store_status (*store_writer_fn)(struct store_tx *tx, const void *arg, void *result);

/** The child spec of the writer: registered as `store.writer`. Borrows store for its life. */
tr_child_spec store_writer_child_spec(struct store *store);

/** Writes durably. result (result_bytes, may be NULL) is filled as apply left it.
 *  Returns: the write's fate; STORE_UNKNOWN when the writer died or timeout_ms passed before it was known
 *  (re-read to find out); STORE_BUSY when too many writes wait (nothing was written). Blocks: parks the
 *  calling process. */
enum store_status store_writer_run(store_writer_fn apply, const void *arg, size_t arg_bytes, void *result,
                                   size_t result_bytes, int64_t timeout_ms);

#endif
