/* lock.h: the runtime's mutexes go through these two names, for the same reason as its atomics (atomic.h): in a simulation the holder may
 * lose the thread, and who waits must give it back instead of blocking it. */
#ifndef TROUPE_SYS_LOCK_H
#define TROUPE_SYS_LOCK_H

#include <pthread.h>

#if defined(TROUPE_SIMULATION)
#include "runtime/sim/sim.h"
#endif

static inline void tr__lock(pthread_mutex_t *mutex)
{
#if defined(TROUPE_SIMULATION)
    if (!tr__sim_is_on()) {
        pthread_mutex_lock(mutex);
        return;
    }
    tr__sim_point();
    while (pthread_mutex_trylock(mutex) != 0) {
        tr__sim_yield();
    }
#else
    pthread_mutex_lock(mutex);
#endif
}

static inline void tr__unlock(pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
#if defined(TROUPE_SIMULATION)
    tr__sim_point();
#endif
}

#endif
