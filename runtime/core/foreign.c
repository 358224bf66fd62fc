#include "runtime/core/foreign.h"

#include <pthread.h>

#include "runtime/sys/atomic.h"

static struct {
    pthread_rwlock_t lock; /* readers come before writers (the default): one may enter twice */
    bool running;          /* atomic; changed only by the thread that starts and stops nodes */
} gate = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static __thread bool keeper; /* this thread stops the node */

bool tr__foreign_enter(void)
{
    if (keeper) {
        return true;
    }
    if (!tr__load_acquire(
            &gate.running)) { /* not even for the lock: a stopper that waits for it must get it */
        return false;
    }
    pthread_rwlock_rdlock(&gate.lock);
    if (!tr__load_acquire(&gate.running)) {
        pthread_rwlock_unlock(&gate.lock);
        return false;
    }
    return true;
}

void tr__foreign_leave(void)
{
    if (!keeper) {
        pthread_rwlock_unlock(&gate.lock);
    }
}

void tr__foreign_open(void)
{
    tr__store_release(&gate.running, true);
}

void tr__foreign_shut(void)
{
    tr__store_release(&gate.running, false);
    pthread_rwlock_wrlock(
        &gate.lock); /* who got it before has left when this returns; who gets it later sees */
    pthread_rwlock_unlock(&gate.lock);
    keeper = true;
}

void tr__foreign_done(void)
{
    keeper = false;
}
