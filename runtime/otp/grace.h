/* grace.h: when memory that lock-free readers may still look at can be freed. Internal to the registry.
 *
 *     reader:  stripe = tr__grace_enter();  walk shared memory;  tr__grace_leave(stripe);
 *     writer:  unlink the block with a sequentially consistent store;  tr__grace_retire(grace, &block->head);
 *
 * Each thread says in a stripe that it is inside: a cache line of its own. Threads beyond the last stripe but
 * one share the last, as a count.
 * Invariants
 *  1. A block is freed only after every stripe was seen at zero after the block was unlinked: a reader that
 *     came later cannot find it,
 *     one that was there has left. Both sides are sequentially consistent: the reader's count goes before its
 *     loads, the
 *     writer's unlink before its look at the counts.
 *  2. A section is short, never parks and cannot end the process; nor does anything that it calls.
 *  3. Readers never wait; neither do writers: a block whose time has not come stays in the writer's list
 *     until its next retire.
 */
#ifndef TROUPE_OTP_GRACE_H
#define TROUPE_OTP_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#define TR__GRACE_STRIPES 64u

/** First member of whatever can be retired. Readers never look at it. */
typedef struct tr__grace_block {
    struct tr__grace_block *next; /* the owner's until it is retired */
    uint32_t bytes;               /* with mem_class: as from tr__mem_alloc; 0: from malloc */
    uint8_t mem_class;
    bool marks[3]; /* the owner's */
} tr__grace_block;

/** One writer's retired blocks, guarded by the writer's lock. Zeroed memory is a valid empty one. */
typedef struct tr__grace {
    tr__grace_block *fresh;   /* retired while `waiting` waits */
    tr__grace_block *waiting; /* to be freed when `unseen` is empty */
    uint64_t unseen;          /* bit i: stripe i was not seen at zero since `waiting` was filled */
} tr__grace;

unsigned tr__grace_enter(void);
void tr__grace_leave(unsigned stripe);
/** Takes an unlinked block and frees it as soon as that is safe. */
void tr__grace_retire(tr__grace *grace, tr__grace_block *block);
/** Frees everything retired; for when there are no readers any more. */
void tr__grace_fini(tr__grace *grace);

#endif
