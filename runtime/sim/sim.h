/* sim.h: the runtime on one OS thread with virtual cores that a seeded scheduler switches between at atomics. Internal.
 *
 * A build with TROUPE_SIMULATION puts a point before each atomic operation (sys/atomic.h), each lock (sys/lock.h) and each sleep of
 * a core. A node in virtual time then runs its cores as fibers of this one thread: the same core_main, queues, stealing, parking and
 * sleeping as on real threads. At a point the running fiber may lose the thread to another; which, and when, follows from the seed
 * alone, so one number replays a run.
 *
 * Invariants
 *  1. Fiber 0 is "outside": the test's own code. It is never interrupted; cores run only inside tr__sim_run.
 *  2. tr__sim_run returns when every core sleeps, none is due, and nothing is queued anywhere. A queue that is not empty then is a lost
 *     wake-up, a fiber that never sleeps is a livelock: both end the program with the seed and a text.
 *  3. Virtual time moves only between two tr__sim_run, so a core's sleep has no backstop here.
 *  4. Between two points nothing else runs: what the C standard calls a data race is ThreadSanitizer's to find, not ours.
 * Memory: the fibers' stacks live from tr__sim_begin to tr__sim_end. In any other build all of this is empty. */
#ifndef TROUPE_SIM_SIM_H
#define TROUPE_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

/** What may be made to fail. */
typedef enum tr__sim_failure {
    TR__SIM_MEMORY, /* an allocation of a process that may end it */
    TR__SIM_STACK,  /* a stack to run on */
    TR__SIM_SLOT,   /* a slot of the process table */
    TR__SIM_FAILURES
} tr__sim_failure;

/** A deliberate fault, to show that the sweep finds it; runtime/sim/plants.def lists them. */
typedef enum tr__plant {
    TR__PLANT_NONE,
#define X(name, text) TR__PLANT_##name,
#include "runtime/sim/plants.def"
#undef X
    TR__PLANTS
} tr__plant;

#if defined(TROUPE_SIMULATION)

#define TR__SIM_CORES   4
#define TR__SIM_THREADS (TR__SIM_CORES + 1)

/** Reads TROUPE_SIM_SEED and TROUPE_SIM_PLANT. Returns: how many cores the node in virtual time gets; 0: no simulation asked for. */
int tr__sim_begin(void);
/** The node's cores become fibers 1..count, each to run main(arg + i * bytes). */
void tr__sim_cores(void *(*main)(void *), void *cores, unsigned long bytes, int count);
/** Stacks are given back; all fibers have ended. */
void tr__sim_end(void);
bool tr__sim_is_on(void);
/** Number of the running fiber; 0: outside. */
unsigned tr__sim_self(void);
void tr__sim_point(void);
/** Runs until every core sleeps. due(core) tells whether a sleeper has a timer to fire; stuck() what is left undone, or NULL. */
void tr__sim_run(bool (*due)(int core), const char *(*stuck)(void));
/** Of the running core: until woken or due. */
void tr__sim_sleep(void);
void tr__sim_wake(int core);
/** For a fiber that must wait for another: gives the thread away. */
void tr__sim_yield(void);
/** 0 .. n - 1, from the seed. */
uint32_t tr__sim_random(uint32_t n);
/** From now on one in `every` fails; 0: none. */
void tr__sim_fail(tr__sim_failure what, uint32_t every);
bool tr__sim_fails(tr__sim_failure what);
bool tr__planted(tr__plant plant);

#else

#define TR__SIM_THREADS 1

static inline int tr__sim_begin(void)
{
    return 0;
}
static inline void tr__sim_cores(void *(*main)(void *), void *cores, unsigned long bytes, int count)
{
    (void)main, (void)cores, (void)bytes, (void)count;
}
static inline void tr__sim_end(void) {}
static inline bool tr__sim_is_on(void)
{
    return false;
}
static inline unsigned tr__sim_self(void)
{
    return 0;
}
static inline void tr__sim_run(bool (*due)(int core), const char *(*stuck)(void))
{
    (void)due, (void)stuck;
}
static inline void tr__sim_sleep(void) {}
static inline void tr__sim_wake(int core)
{
    (void)core;
}
static inline uint32_t tr__sim_random(uint32_t n)
{
    (void)n;
    return 0;
}
static inline void tr__sim_fail(tr__sim_failure what, uint32_t every)
{
    (void)what, (void)every;
}
static inline bool tr__sim_fails(tr__sim_failure what)
{
    (void)what;
    return false;
}
static inline bool tr__planted(tr__plant plant)
{
    (void)plant;
    return false;
}

#endif

#endif
