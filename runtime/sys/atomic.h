/* atomic.h: every atomic of the runtime goes through these names.
 *
 * One seam for two reasons: each use names its order in full, and a build for simulation can put a scheduling
 * point at each of them. Plain GNU builtins below, so any aligned integer or pointer member may be used
 * atomically. ThreadSanitizer does not understand stand-alone fences: the runtime orders with seq_cst
 * read-modify-writes instead.
 */
#ifndef TROUPE_SYS_ATOMIC_H
#define TROUPE_SYS_ATOMIC_H

#if defined(TROUPE_SIMULATION)
#include "runtime/sim/sim.h"
#define TR__POINT tr__sim_point()
#else
#define TR__POINT ((void)0)
#endif

#define tr__load_relaxed(p)     (TR__POINT, __atomic_load_n((p), __ATOMIC_RELAXED))
#define tr__load_acquire(p)     (TR__POINT, __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define tr__load_seq(p)         (TR__POINT, __atomic_load_n((p), __ATOMIC_SEQ_CST))
#define tr__store_relaxed(p, v) (TR__POINT, __atomic_store_n((p), (v), __ATOMIC_RELAXED))
#define tr__store_release(p, v) (TR__POINT, __atomic_store_n((p), (v), __ATOMIC_RELEASE))
#define tr__store_seq(p, v)     (TR__POINT, __atomic_store_n((p), (v), __ATOMIC_SEQ_CST))
#define tr__xchg_acquire(p, v)  (TR__POINT, __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE))
#define tr__xchg_seq(p, v)      (TR__POINT, __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST))
#define tr__add_relaxed(p, v)   (TR__POINT, __atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define tr__add_acq_rel(p, v)   (TR__POINT, __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL))
#define tr__add_seq(p, v)       (TR__POINT, __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST))
#define tr__sub_relaxed(p, v)   (TR__POINT, __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED))
#define tr__sub_acq_rel(p, v)   (TR__POINT, __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL))
#define tr__sub_seq(p, v)       (TR__POINT, __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST))
/** Strong compare-and-swap; *expected is updated on failure. Success publishes and acquires. */
#define tr__cas_acq_rel(p, expected, v) \
    (TR__POINT, __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
#define tr__cas_seq(p, expected, v) \
    (TR__POINT, __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

/** A counter that one thread writes and others may read: no locked instruction. */
#define tr__bump(p, v) __atomic_store_n((p), __atomic_load_n((p), __ATOMIC_RELAXED) + (v), __ATOMIC_RELAXED)

#define TR__CACHE_LINE 64

/** Tells the CPU that this is a spin. */
static inline void tr__cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#endif
}

#endif
