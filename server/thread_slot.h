/* A small number for each living thread, so that logs and metrics can give every thread memory of its own.
 *
 * 1. Two living threads never have the same slot below THREAD_SLOTS.
 * 2. A slot is given back when its thread ends; what the next owner finds there was published by the last
 *    one.
 * 3. When all slots are taken, further threads get THREAD_SLOT_NONE and must use a shared path.
 *
 * Life cycle: nothing to set up; a thread takes its slot at its first call and keeps it until it ends.
 * Limits: THREAD_SLOTS threads at a time (workers, spares, database threads and the log's own).
 */
#ifndef TROUPE_SERVER_THREAD_SLOT_H
#define TROUPE_SERVER_THREAD_SLOT_H

enum {
    THREAD_SLOTS = 512,
    THREAD_SLOT_NONE = THREAD_SLOTS,
};

extern _Thread_local unsigned thread_slot_cached; /* slot + 1; 0 = this thread has not asked yet */

/** Takes a slot for this thread. Use thread_slot().
 *  Returns: 0..THREAD_SLOTS-1, or THREAD_SLOT_NONE. Context: any thread. Cost: O(THREAD_SLOTS), once a
 *  thread. */
unsigned thread_slot_take(void);

/** This thread's slot.
 *  Returns: 0..THREAD_SLOTS-1, or THREAD_SLOT_NONE.   Blocks: no.   Context: any thread.   Cost: one load. */
static inline unsigned thread_slot(void)
{
    return thread_slot_cached != 0 ? thread_slot_cached - 1 : thread_slot_take();
}

#endif
