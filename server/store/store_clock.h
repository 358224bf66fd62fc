/* The store's one way to read time: monotonic, for limits and measurements, never stored.
 * Its threads are not actors and their waits are on disks and kernels, so virtual time does not reach here.
 */
#ifndef TROUPE_SERVER_STORE_CLOCK_H
#define TROUPE_SERVER_STORE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t store__now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

#endif
