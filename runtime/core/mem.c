/* Blocks that are not at hand: magazines changed, the depot, malloc. */
#include "runtime/core/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sim/sim.h"
#include "runtime/sys/lock.h"

#define DEPOT_MAX 64 /* magazines of a class that wait there: half a MiB to two */

const uint16_t tr__mem_class_bytes[TR__MEM_CLASSES] = {64, 96, 128, 192, 256, 512, 1024, 4096};
const uint16_t tr__mem_magazine[TR__MEM_CLASSES] = {128, 128, 128, 64, 64, 32, 16, 8};

static struct {
    pthread_mutex_t lock;
    struct tr__free_block *magazines[TR__MEM_CLASSES]; /* full ones */
    uint32_t counts[TR__MEM_CLASSES];                  /* atomic: looked at without the lock */
} depot = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void blocks_free(struct tr__free_block *block)
{
    while (block != NULL) {
        struct tr__free_block *next = block->next;
        free(block);
        block = next;
    }
}

/* ---- the depot ---- */

static struct tr__free_block *depot_take(uint8_t mem_class)
{
    if (tr__load_relaxed(&depot.counts[mem_class]) == 0) {
        return NULL;
    }
    tr__lock(&depot.lock);
    struct tr__free_block *magazine = depot.magazines[mem_class];
    if (magazine != NULL) {
        depot.magazines[mem_class] = magazine->magazine;
        tr__store_relaxed(&depot.counts[mem_class], depot.counts[mem_class] - 1);
    }
    tr__unlock(&depot.lock);
    return magazine;
}

static void depot_give(uint8_t mem_class, struct tr__free_block *magazine)
{
    if (tr__load_relaxed(&depot.counts[mem_class]) >= DEPOT_MAX) { /* or a few more: it is no promise */
        blocks_free(magazine);
        return;
    }
    tr__lock(&depot.lock);
    magazine->magazine = depot.magazines[mem_class];
    depot.magazines[mem_class] = magazine;
    tr__store_relaxed(&depot.counts[mem_class], depot.counts[mem_class] + 1);
    tr__unlock(&depot.lock);
}

/* ---- a core's magazines ---- */

/* The pool is empty: a full magazine, if one can be had, takes its place. */
static void reload(tr__core *core, uint8_t mem_class)
{
    struct tr__free_block *full = core->spare[mem_class];
    core->spare[mem_class] = NULL;
    full = full != NULL ? full : depot_take(mem_class);
    core->pool[mem_class] = full;
    core->pooled[mem_class] = full == NULL ? 0 : tr__mem_magazine[mem_class];
}

/* The pool is full: it becomes the spare, and a spare that was there goes to the depot. */
static void unload(tr__core *core, uint8_t mem_class)
{
    if (core->spare[mem_class] != NULL) {
        depot_give(mem_class, core->spare[mem_class]);
    }
    core->spare[mem_class] = core->pool[mem_class];
    core->pool[mem_class] = NULL;
    core->pooled[mem_class] = 0;
}

void tr__mem_core_fini(tr__core *core)
{
    for (int i = 0; i < TR__MEM_CLASSES; i++) {
        blocks_free(core->pool[i]);
        blocks_free(core->spare[i]);
    }
}

void tr__mem_fini(void)
{
    for (uint8_t i = 0; i < TR__MEM_CLASSES; i++) {
        struct tr__free_block *magazine;
        while ((magazine = depot_take(i)) != NULL) {
            blocks_free(magazine);
        }
    }
}

/* ---- allocating ---- */

/* Where a process can end for want of memory. */
static bool may_fail(const tr__core *core)
{
    return tr__sim_is_on() && core != NULL && core->current != NULL &&
           tr__load_relaxed(&core->current->status) != TR_STATUS_EXITING;
}

static void *take(tr__core *core, size_t bytes, uint8_t wanted)
{
    if (TR__POOLING && core != NULL && wanted != TR__MEM_LARGE) {
        if (core->pool[wanted] == NULL) {
            reload(core, wanted);
        }
        void *block = tr__mem_pop(core, bytes, wanted);
        if (block != NULL) {
            return block;
        }
    }
    TR__COUNT(bytes_allocated, bytes);
    return malloc(wanted == TR__MEM_LARGE || !TR__POOLING ? bytes : tr__mem_class_bytes[wanted]);
}

void *tr__mem_alloc_slowly(size_t bytes, uint8_t wanted)
{
    tr__core *core = tr__core_self();
    if (may_fail(core) && tr__sim_fails(TR__SIM_MEMORY)) {
        return NULL;
    }
    return take(core, bytes, wanted);
}

void *tr__mem_alloc_surely_slowly(size_t bytes, uint8_t wanted)
{
    void *block = take(tr__core_self(), bytes, wanted);
    TR_ASSERT(block != NULL);
    return block;
}

void tr__mem_free_slowly(void *block, size_t bytes, uint8_t mem_class)
{
    tr__core *core = tr__core_self();
#if defined(TROUPE_SIMULATION)
    memset(block, 0xdd, bytes); /* who still reads it shall notice */
#endif
    TR__COUNT(bytes_freed, bytes);
    if (!TR__POOLING || core == NULL || mem_class == TR__MEM_LARGE) {
        free(block);
        return;
    }
    if (core->pooled[mem_class] == tr__mem_magazine[mem_class]) {
        unload(core, mem_class);
    }
    struct tr__free_block *free_block = block;
    free_block->next = core->pool[mem_class];
    core->pool[mem_class] = free_block;
    core->pooled[mem_class]++;
}
