#include "api/rate_limits/region.h"

#include "api/rate_limits/torn.h"

#include <sys/mman.h>

/* One system call for this much growth. */
#define STEP_BYTES ((size_t)1 << 20)

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

bool rl_region_init(rl_region *region, size_t bytes)
{
    size_t reserved_bytes = round_up(bytes, STEP_BYTES);
    void *base = mmap(NULL, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED) {
        return false;
    }
    *region = (rl_region){.base = base, .reserved_bytes = reserved_bytes, .usable_bytes = 0};
    return true;
}

bool rl_region_grow(rl_region *region, size_t bytes)
{
    size_t wanted = round_up(bytes, STEP_BYTES);

    if (bytes <= region->usable_bytes) {
        return true;
    }
    if (wanted > region->reserved_bytes) {
        return false;
    }
    if (mprotect(region->base + region->usable_bytes, wanted - region->usable_bytes,
                 PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    RL_PUT(region->usable_bytes, wanted);
    return true;
}

void rl_region_fini(rl_region *region)
{
    if (region->base != NULL) {
        (void)munmap(region->base, region->reserved_bytes);
        region->base = NULL;
    }
}
