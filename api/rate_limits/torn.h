/* torn: how memory is written that must be readable after its writer died between two instructions.
 *
 * A limiter process may be ended by a fault at any instruction; its table lives on and is adopted by the next
 * process, on the same thread or after a hand-over that synchronises. So nothing has to be ordered between
 * threads; the compiler only must not reorder, merge or split the stores.
 *
 * Invariants
 *  T1  every store that adoption relies on is an RL_PUT of at most eight aligned bytes.
 *  T2  RL_PUTs take effect in program order, also against plain stores before them.
 *  T3  RL_STEP() is nothing in the product; tests define it to die before the n-th store, for every n.
 */
#ifndef API_RATE_LIMITS_TORN_H
#define API_RATE_LIMITS_TORN_H

#include <stdatomic.h>
#include <stdlib.h>

#ifndef RL_STEP
#define RL_STEP() ((void)0)
#endif

#define RL_PUT(place, value)                                   \
    do {                                                       \
        RL_STEP();                                             \
        atomic_signal_fence(memory_order_seq_cst);             \
        __atomic_store_n(&(place), (value), __ATOMIC_RELAXED); \
        atomic_signal_fence(memory_order_seq_cst);             \
    } while (0)

/* A broken promise of the caller or of this code: stays on in release builds. */
#define RL_CHECK(condition) \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

#endif
