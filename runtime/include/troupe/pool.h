/* pool.h: worker processes that are lent, each to one process at a time. Semantics are those of Erlang's poolboy.
 *
 *     checkout --a worker is free---------------------> lent --checkin, its holder's end--+-- somebody waits: lent to him
 *        |------none, room for overflow: starts one---->  |                               +-- overflow: dismissed
 *        +------none, no room: full, or waits in line     +--the worker's end             +-- else: free
 *                                                            somebody waits or no overflow: replaced
 *
 * Invariants
 *  1. A worker is free or lent to one holder. size of them are kept; at most max_overflow more are started while none is
 *     free, and go when they come back and nobody waits.
 *  2. A holder that ends, in whatever way, gives its worker back. One that waits and gives up or ends leaves the line; if it
 *     was given a worker in the same moment, the worker goes back. So no worker is ever lost.
 *  3. A worker that ends is replaced, at the latest when somebody needs it. One that cannot be started ends the pool with
 *     {failed_to_start_child, Id, Reason}.
 *  4. Those who wait are served in the order of their requests.
 *  5. The workers have a supervisor of their own below the pool; when the pool has ended, so have they.
 * Memory: all of it is the pool's process's. Limits: a million workers. A slow init or end of a worker holds the pool up.
 */
#ifndef TROUPE_POOL_H
#define TROUPE_POOL_H

#include <troupe/supervisor.h>

/** Which free worker is lent: the one that came back last, or the one that came back first. */
typedef enum tr_pool_strategy { TR_POOL_LIFO, TR_POOL_FIFO } tr_pool_strategy;

#define TR_POOL_NONE        (-1)
#define TR_POOL_WORKERS_MAX (1 << 20)
typedef struct tr_pool_opts {
    tr_child_spec worker; /* any kind of child; its id, restart and names are not used */
    int32_t size;         /* 0: 5; TR_POOL_NONE: no worker is kept */
    int32_t max_overflow; /* 0: 10; TR_POOL_NONE: none */
    tr_pool_strategy strategy;
} tr_pool_opts;

/** Starts a pool and its workers. Copies the options and the worker's argument (arg_bytes of it); opts may be NULL.
 *  Errors: as tr_gen_server_start_link; {bad_pool, Size, MaxOverflow} for a number below 0, or too many workers.
 *  Blocks: parks the calling process. Context: process. */
TR_MUST_CHECK tr_err tr_pool_start_link(const tr_pool_opts *pool, const tr_start_opts *opts,
                                        tr_started *started);
/** Fills *spec with a child that is a pool, registered under name (none: without a name; the id is then pool).
 *  Copies what tr_pool_start_link copies, to the caller's scratch; the supervisor that gets the spec copies it again. */
void tr_pool_child_spec(const tr_pool_opts *pool, tr_term name, tr_child_spec *spec);

/** Borrows a worker. With block the caller waits in line for up to timeout_ms; timeout_ms limits the whole call.
 *  Errors: TR_E_LIMIT (full, without block), TR_E_TIMEOUT, TR_E_NOPROC, TR_E_EXIT (the pool ended).
 *  Blocks: parks the calling process. Context: process. */
TR_MUST_CHECK tr_err tr_pool_checkout(tr_dest pool, bool block, int64_t timeout_ms, tr_pid *worker);
/** Gives a worker back, once, by its holder or whom he handed it to. A worker that is not lent is ignored, so is a
 *  pool that is gone. Blocks: no. Context: any thread. */
void tr_pool_checkin(tr_dest pool, tr_pid worker);
/** Runs fn(worker, ctx) in the calling process between a blocking checkout and a checkin. When fn does not return,
 *  the end of the process is the checkin. Errors: of the checkout; fn has not run then. Blocks: parks. */
TR_MUST_CHECK tr_err tr_pool_transaction(tr_dest pool, void (*fn)(tr_pid worker, void *ctx), void *ctx,
                                         int64_t timeout_ms);

/** ready: a worker is free. overflow: none is, but one more could be started, or some are beyond size. full: nothing
 *  is left. */
typedef enum tr_pool_state { TR_POOL_READY, TR_POOL_OVERFLOW, TR_POOL_FULL } tr_pool_state;
TR_MESSAGE(tr_pool_status, {
    tr_pool_state state;
    uint32_t available;   /* free workers */
    uint32_t overflow;    /* beyond size */
    uint32_t checked_out; /* lent workers */
    uint32_t waiting;     /* callers in line */
});
/** Errors: as tr_gen_server_call. Blocks: parks. */
TR_MUST_CHECK tr_err tr_pool_status_of(tr_dest pool, int64_t timeout_ms, tr_pool_status *status);
/** Stops the pool and its workers, lent ones too, and awaits that. As tr_gen_server_stop with normal. Blocks: parks. */
TR_MUST_CHECK tr_err tr_pool_stop(tr_dest pool, int64_t timeout_ms);

#endif
