/* clock.h: the one place where time is read.
 *
 * Invariants: 1. monotonic, nanoseconds since an arbitrary start, never back; 2. in virtual time only
 * tr__clock_set moves it, and no other clock is consulted; 3. wall time is for reports only and never enters
 * a decision.
 */
#ifndef TROUPE_SYS_CLOCK_H
#define TROUPE_SYS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/** Monotonic now. Context: any thread. */
uint64_t tr__clock_ns(void);
static inline int64_t tr__clock_ms(void)
{
    return (int64_t)(tr__clock_ns() / 1000000u);
}
/** The CPU's own count, several times as quick to read as the clock: for ages that only have to be about right. One tick is at most
 *  a nanosecond; a count may go back between two CPUs. Elsewhere than on x86-64: nanoseconds. */
static inline uint64_t tr__ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return tr__clock_ns();
#endif
}
/** Wall clock, milliseconds since 1970 (virtual time: since its own start). */
int64_t tr__clock_wall_ms(void);
/** Switches to virtual time at this moment / back to real time. Only while no node runs. */
void tr__clock_virtual(bool on, uint64_t now_ns);
/** Virtual time: now is this. Never back. */
void tr__clock_set(uint64_t now_ns);

#endif
