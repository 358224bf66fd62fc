#include "runtime/sys/clock.h"

#include <time.h>
#include <troupe/base.h>

#include "runtime/sys/atomic.h"

static bool clock_is_virtual;
static uint64_t virtual_ns;

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t tr__clock_ns(void)
{
    if (tr__load_relaxed(&clock_is_virtual)) {
        return tr__load_relaxed(&virtual_ns);
    }
    return read_clock(CLOCK_MONOTONIC);
}

int64_t tr__clock_wall_ms(void)
{
    if (tr__load_relaxed(&clock_is_virtual)) {
        return (int64_t)(tr__load_relaxed(&virtual_ns) / 1000000u);
    }
    return (int64_t)(read_clock(CLOCK_REALTIME) / 1000000u);
}

void tr__clock_virtual(bool on, uint64_t now_ns)
{
    tr__store_relaxed(&virtual_ns, now_ns);
    tr__store_relaxed(&clock_is_virtual, on);
}

void tr__clock_set(uint64_t now_ns)
{
    TR_ASSERT(tr__load_relaxed(&clock_is_virtual));
    TR_ASSERT(now_ns >= tr__load_relaxed(&virtual_ns));
    tr__store_relaxed(&virtual_ns, now_ns);
}
