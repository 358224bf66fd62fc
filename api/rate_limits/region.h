/* region: a stretch of addresses reserved once, of which memory is used from the start on.
 *
 * Purpose: the table and its rates grow without ever moving, so growth copies nothing, leaks nothing when its process
 * dies in the middle, and leaves every pointer good.
 *
 * Invariants
 *  R1  base never changes; bytes below `usable` can be read and written, and are zero until written.
 *  R2  reserving costs no memory; only pages that were touched do.
 *
 * Life cycle: init, grow any number of times, fini. It never shrinks.
 */
#ifndef API_RATE_LIMITS_REGION_H
#define API_RATE_LIMITS_REGION_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rl_region {
    unsigned char *base;
    size_t reserved_bytes;
    size_t usable_bytes;
} rl_region;

/** Reserves at least `bytes` addresses.  Errors: false when the system refuses. */
bool rl_region_init(rl_region *region, size_t bytes);

/** Makes the first `bytes` usable; may be repeated after a death in the middle.
 *  Errors: false when the system has no memory to promise or `bytes` is more than was reserved. */
bool rl_region_grow(rl_region *region, size_t bytes);

/** Gives everything back. */
void rl_region_fini(rl_region *region);

#endif
