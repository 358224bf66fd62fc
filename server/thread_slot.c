#include "server/thread_slot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

_Thread_local unsigned thread_slot_cached;

static struct {
    atomic_bool taken[THREAD_SLOTS];
    pthread_once_t once;
    pthread_key_t key; /* its destructor gives the slot back when the thread ends */
    bool key_made;
} slots = {.once = PTHREAD_ONCE_INIT};

static void give_back(void *value)
{
    unsigned slot = (unsigned)(uintptr_t)value - 1;
    thread_slot_cached = 0;
    atomic_store_explicit(&slots.taken[slot], false, memory_order_release); /* pairs with the take below */
}

static void make_key(void)
{
    slots.key_made = pthread_key_create(&slots.key, give_back) == 0;
}

unsigned thread_slot_take(void)
{
    pthread_once(&slots.once, make_key);
    for (unsigned slot = 0; slots.key_made && slot < THREAD_SLOTS; slot++) {
        bool expected = false;
        if (!atomic_load_explicit(&slots.taken[slot], memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&slots.taken[slot], &expected, true, memory_order_acquire,
                                                    memory_order_relaxed)) {
            if (pthread_setspecific(slots.key, (void *)(uintptr_t)(slot + 1)) != 0) {
                atomic_store_explicit(&slots.taken[slot], false, memory_order_release);
                break;
            }
            thread_slot_cached = slot + 1;
            return slot;
        }
    }
    return THREAD_SLOT_NONE; /* not cached: a later call may find a slot that was given back */
}
