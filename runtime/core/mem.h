/* mem.h: where messages, arenas and control data come from: size-class pools of the running core.
 *
 * Blocks of up to 4 KiB come from the calling thread's free lists (workers) or from malloc (other threads,
 * larger blocks, and everything under AddressSanitizer, so that it sees each one).
 * A core keeps at most two magazines of a class, and passes whole ones through a depot: what one core makes and another frees goes
 * round between them at one lock a magazine (after Bonwick and Adams, "Magazines and Vmem", 2001).
 * Invariants: 1. any thread may free any block; 2. the class stored by the owner of a block is what it is
 * freed with; 3. bytes taken and given back are counted per core, so "all freed" can be asserted; 4. pool holds at most a magazine,
 * spare is a full one or nothing.
 * The common case, a block from or to the core's list, is here to be inlined; what else there is, in mem.c.
 */
#ifndef TROUPE_CORE_MEM_H
#define TROUPE_CORE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/core/core.h"

#if defined(__SANITIZE_ADDRESS__)
#define TR__POOLING 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TR__POOLING 0
#endif
#endif
#ifndef TR__POOLING
#define TR__POOLING 1
#endif
#if defined(TROUPE_SIMULATION)
#define TR__POOLING_INLINE 0 /* every allocation passes where it may be made to fail */
#else
#define TR__POOLING_INLINE TR__POOLING
#endif

/** Size class of a request: 64, 96, 128, 192, 256, 512, 1024, 4096. Classes >= TR__MEM_LARGE are malloc'd. */
#define TR__MEM_LARGE 255u
static inline uint8_t tr__mem_class(size_t bytes)
{
    if (bytes <= 128) {
        return bytes <= 64 ? 0 : bytes <= 96 ? 1 : 2;
    }
    if (bytes <= 512) {
        return bytes <= 192 ? 3 : bytes <= 256 ? 4 : 5;
    }
    return bytes <= 1024 ? 6 : bytes <= 4096 ? 7 : TR__MEM_LARGE;
}
/** The same for up to TR__MEM_SMALL bytes: one look. */
#define TR__MEM_SMALL 256u
static inline uint8_t tr__mem_small_class(size_t bytes)
{
    static const uint8_t class_of[TR__MEM_SMALL / 32 + 1] = {0, 0, 0, 1, 2, 3, 3, 4, 4};
    return class_of[(bytes + 31) / 32];
}
extern const uint16_t tr__mem_class_bytes[TR__MEM_CLASSES];
/** Blocks in a magazine of a class: 8 to 32 KiB. */
extern const uint16_t tr__mem_magazine[TR__MEM_CLASSES];
/** Gives the core's blocks, and what is in the depot, back to the system. */
void tr__mem_core_fini(tr__core *core);
void tr__mem_fini(void);

/* The parts of the two below that are not worth inlining. */
void *tr__mem_alloc_slowly(size_t bytes, uint8_t mem_class);
void *tr__mem_alloc_surely_slowly(size_t bytes, uint8_t mem_class);
void tr__mem_free_slowly(void *block, size_t bytes, uint8_t mem_class);

/* From the core's list; NULL: there is none. */
static inline void *tr__mem_pop(tr__core *core, size_t bytes, uint8_t mem_class)
{
    if (mem_class == TR__MEM_LARGE || core->pool[mem_class] == NULL) {
        return NULL;
    }
    struct tr__free_block *block = core->pool[mem_class];
    core->pool[mem_class] = block->next;
    core->pooled[mem_class]--;
    tr__bump(&core->stats.bytes_allocated, bytes);
    return block;
}

/** 16-byte aligned, not zeroed; NULL only when the system has no memory. *class must be handed to
 *  tr__mem_free. bytes also counts for accounting: give the same number back. */
static inline void *tr__mem_alloc(size_t bytes, uint8_t *mem_class)
{
    uint8_t wanted = tr__mem_class(bytes);
    *mem_class = wanted;
    tr__core *core = tr__core_self();
    void *block = TR__POOLING_INLINE && core != NULL ? tr__mem_pop(core, bytes, wanted) : NULL;
    return block != NULL ? block : tr__mem_alloc_slowly(bytes, wanted);
}

/** The same for what a process must not end for the want of: without memory the program ends. */
static inline void *tr__mem_alloc_surely(size_t bytes, uint8_t *mem_class)
{
    uint8_t wanted = tr__mem_class(bytes);
    *mem_class = wanted;
    tr__core *core = tr__core_self();
    void *block = TR__POOLING_INLINE && core != NULL ? tr__mem_pop(core, bytes, wanted) : NULL;
    return block != NULL ? block : tr__mem_alloc_surely_slowly(bytes, wanted);
}

static inline void tr__mem_free(void *block, size_t bytes, uint8_t mem_class)
{
    tr__core *core = tr__core_self();
    if (TR__POOLING_INLINE && core != NULL && mem_class != TR__MEM_LARGE &&
        core->pooled[mem_class] < tr__mem_magazine[mem_class]) {
        struct tr__free_block *free_block = block;
        free_block->next = core->pool[mem_class];
        core->pool[mem_class] = free_block;
        core->pooled[mem_class]++;
        tr__bump(&core->stats.bytes_freed, bytes);
        return;
    }
    tr__mem_free_slowly(block, bytes, mem_class);
}

#endif
