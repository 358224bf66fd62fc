#include "runtime/core/foreign.h"

#include <pthread.h>

static struct {
    pthread_rwlock_t lock; /* readers come before writers (the default): one may enter twice */
    bool running;          /* under the lock */
} gate = {.lock = PTHREAD_RWLOCK_INITIALIZER};

bool tr__foreign_enter(void)
{
    pthread_rwlock_rdlock(&gate.lock);
    if (!gate.running) {
        pthread_rwlock_unlock(&gate.lock);
        return false;
    }
    return true;
}

void tr__foreign_leave(void)
{
    pthread_rwlock_unlock(&gate.lock);
}

void tr__foreign_shut(void)
{
    pthread_rwlock_wrlock(&gate.lock);
}

void tr__foreign_open(bool running)
{
    gate.running = running;
    pthread_rwlock_unlock(&gate.lock);
}
