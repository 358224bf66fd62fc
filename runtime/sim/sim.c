#include "runtime/sim/sim.h"

#if defined(TROUPE_SIMULATION)

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/base.h>

#include "runtime/core/core.h"
#include "runtime/sys/switch.h"

#define FIBER_BYTES  ((size_t)256 * 1024)
#define POINTS_MAX   50000000u /* within one tr__sim_run: nothing honest takes that many */
#define POINTS_SHORT 16u

struct fiber {
    void *sp;
    char *stack;
    tr__core *entered; /* what tr__core_self says on it */
    void *arg;
    bool asleep, woken, done;
};

static struct sim {
    bool on;
    uint64_t seed;
    uint64_t random;
    uint32_t one_in; /* a fiber loses the thread at one in so many points */
    int count;       /* cores; their fibers are 1..count */
    unsigned running;
    void *outside_sp;
    uint64_t points, switches; /* since tr__sim_run began; of the whole run */
    void *(*main)(void *);
    struct fiber fibers[TR__SIM_THREADS];
    uint32_t fail_every[TR__SIM_FAILURES];
    int plant;
} sim;

/* ---- chance: splitmix64 (Steele, Lea, Flood 2014) ---- */

static uint64_t next_random(void)
{
    uint64_t z = sim.random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t tr__sim_random(uint32_t n)
{
    return (uint32_t)((next_random() >> 32) * n >> 32);
}

/* ---- the end of a run that went wrong ---- */

static void give_up(const char *what)
{
    fprintf(stderr, "simulation: %s; TROUPE_SIM_SEED=%llu%s%s\n", what, (unsigned long long)sim.seed,
            sim.plant == 0 ? "" : " TROUPE_SIM_PLANT=", sim.plant == 0 ? "" : getenv("TROUPE_SIM_PLANT"));
    fflush(NULL);
    _Exit(70);
}

/* ---- which fiber runs ---- */

static void leave(void)
{
    struct fiber *self = &sim.fibers[sim.running];
    self->entered = tr__core_self();
    tr__core_enter(NULL);
    sim.running = 0;
    tr__switch(&self->sp, sim.outside_sp);
}

static void enter(unsigned i)
{
    struct fiber *to = &sim.fibers[i];
    sim.running = i;
    tr__core_enter(to->entered);
    tr__switch(&sim.outside_sp, to->sp);
}

static void fiber_main(void)
{
    struct fiber *self = &sim.fibers[sim.running];
    sim.main(self->arg);
    self->done = true;
    leave();
    give_up("a fiber went on after its end");
}

static bool may_run(unsigned i, bool (*due)(int core))
{
    const struct fiber *fiber = &sim.fibers[i];
    return !fiber->done && (!fiber->asleep || fiber->woken || due((int)i - 1));
}

/* 0 when none may. */
static unsigned pick(bool (*due)(int core))
{
    unsigned able[TR__SIM_THREADS], count = 0;
    for (unsigned i = 1; i <= (unsigned)sim.count; i++) {
        if (may_run(i, due)) {
            able[count++] = i;
        }
    }
    return count == 0 ? 0 : able[count == 1 ? 0 : tr__sim_random(count)];
}

void tr__sim_run(bool (*due)(int core), const char *(*stuck)(void))
{
    unsigned i;
    sim.points = 0;
    while ((i = pick(due)) != 0) {
        enter(i);
    }
    const char *left = stuck();
    if (left != NULL) {
        give_up(left);
    }
}

void tr__sim_point(void)
{
    if (sim.running == 0) {
        return;
    }
    if (++sim.points > POINTS_MAX) {
        give_up("no end in sight");
    }
    if (tr__sim_random(sim.one_in) == 0) {
        leave();
    }
}

void tr__sim_yield(void)
{
    if (sim.running == 0) {
        give_up("the outside waits for a lock that a core holds");
    }
    if (++sim.points > POINTS_MAX) {
        give_up("a lock is never given back");
    }
    leave();
}

void tr__sim_sleep(void)
{
    struct fiber *self = &sim.fibers[sim.running];
    self->asleep = true;
    leave();
    self->asleep = false;
    self->woken = false;
}

void tr__sim_wake(int core)
{
    sim.fibers[core + 1].woken = true;
}

/* ---- beginning and end ---- */

static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static int plant_of(const char *name)
{
    static const char *const names[] = {
        "NONE",
#define X(plant, text) #plant,
#include "runtime/sim/plants.def"
#undef X
    };
    for (int i = 0; name != NULL && i < TR__PLANTS; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

int tr__sim_begin(void)
{
    /* From "interrupted at every second point" to "nearly never": different faults need different haste. */
    static const uint32_t haste[] = {2, 3, 5, 10, 25, 60, 200, 1000};
    if (getenv("TROUPE_SIM_SEED") == NULL) {
        return 0;
    }
    sim = (struct sim){
        .on = true, .seed = number_of("TROUPE_SIM_SEED"), .plant = plant_of(getenv("TROUPE_SIM_PLANT"))};
    sim.random = sim.seed;
    sim.one_in = haste[tr__sim_random(sizeof(haste) / sizeof(haste[0]))];
    sim.count = 1 + (int)tr__sim_random(TR__SIM_CORES);
    return sim.count;
}

void tr__sim_cores(void *(*main)(void *), void *cores, unsigned long bytes, int count)
{
    TR_ASSERT(count <= TR__SIM_CORES);
    sim.main = main;
    for (int i = 0; i < count; i++) {
        struct fiber *fiber = &sim.fibers[i + 1];
        fiber->stack = malloc(FIBER_BYTES);
        TR_ASSERT(fiber->stack != NULL);
        fiber->arg = (char *)cores + (size_t)i * bytes;
        uintptr_t top = ((uintptr_t)fiber->stack + FIBER_BYTES) & ~(uintptr_t)15;
        fiber->sp = tr__switch_prepare((void *)top, fiber_main);
    }
}

void tr__sim_end(void)
{
    for (int i = 1; i <= sim.count; i++) {
        free(sim.fibers[i].stack);
    }
    sim = (struct sim){.on = false};
}

bool tr__sim_is_on(void)
{
    return sim.on;
}

unsigned tr__sim_self(void)
{
    return sim.running;
}

/* ---- what goes wrong on purpose ---- */

void tr__sim_fail(tr__sim_failure what, uint32_t every)
{
    sim.fail_every[what] = every;
}

bool tr__sim_fails(tr__sim_failure what)
{
    return sim.running != 0 && sim.fail_every[what] != 0 && tr__sim_random(sim.fail_every[what]) == 0;
}

bool tr__planted(tr__plant plant)
{
    return sim.plant == (int)plant;
}

#endif
