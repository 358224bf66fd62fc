/* runq.h: a core's run queue: a ring of 256 that its owner pushes and pops and other cores steal half of.
 *
 * The shape of Go's and tokio's local queue. head moves by compare-and-swap (owner and thieves), tail only by
 * the owner. A thief copies what it wants first and then claims it by moving head; a failed claim throws the
 * copies away.
 * Invariants: 1. tail - head <= 256; 2. slots in [head, tail) hold runnable processes, each in exactly one
 * queue; 3. only the owner writes slots, and never one that a thief with the current head may still read and
 * claim.
 */
#ifndef TROUPE_CORE_RUNQ_H
#define TROUPE_CORE_RUNQ_H

#include <stdbool.h>
#include <stdint.h>

struct tr__proc;
#define TR__RUNQ_ROOM 256u

typedef struct tr__runq {
    _Alignas(64) uint32_t head;
    _Alignas(64) uint32_t tail;
    struct tr__proc *slots[TR__RUNQ_ROOM];
} tr__runq;

/** Owner. False: full. */
bool tr__runq_push(tr__runq *queue, struct tr__proc *proc);
/** Owner. Oldest, or NULL. */
struct tr__proc *tr__runq_pop(tr__runq *queue);
/** Any thread. How many, a moment ago. */
uint32_t tr__runq_count(const tr__runq *queue);
/** The owner of `to` takes the older half of `from`. Returns one of them to run now (the others are in `to`),
 *  or NULL. */
struct tr__proc *tr__runq_steal(tr__runq *to, tr__runq *from);

#endif
