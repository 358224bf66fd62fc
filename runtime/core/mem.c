#include "runtime/core/mem.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/core.h"
#include "runtime/sim/sim.h"

/* 64, 128, ... 4096 with finer steps where most messages are. */
static const uint16_t class_bytes[TR__MEM_CLASSES] = {64, 96, 128, 192, 256, 512, 1024, 4096};
#define POOL_BYTES_MAX ((uint32_t)512 * 1024) /* what a core keeps of one class */

#if defined(__SANITIZE_ADDRESS__)
#define POOLING 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLING 0
#endif
#endif
#ifndef POOLING
#define POOLING 1
#endif

uint8_t tr__mem_class(size_t bytes)
{
    for (uint8_t i = 0; i < TR__MEM_CLASSES; i++) {
        if (bytes <= class_bytes[i]) {
            return i;
        }
    }
    return TR__MEM_LARGE;
}

/* Where a process can end for want of memory. */
static bool may_fail(const tr__core *core)
{
    return tr__sim_is_on() && core != NULL && core->current != NULL &&
           tr__load_relaxed(&core->current->status) != TR_STATUS_EXITING;
}

void *tr__mem_alloc(size_t bytes, uint8_t *mem_class)
{
    tr__core *core = tr__core_self();
    if (may_fail(core) && tr__sim_fails(TR__SIM_MEMORY)) {
        return NULL;
    }
    uint8_t wanted = tr__mem_class(bytes);
    *mem_class = wanted;
    if (core == NULL) {
        tr__add_relaxed(&tr__the_node.foreign.bytes_allocated, bytes);
    } else {
        tr__bump(&core->stats.bytes_allocated, bytes);
        if (POOLING && wanted != TR__MEM_LARGE && core->pool[wanted] != NULL) {
            struct tr__free_block *block = core->pool[wanted];
            core->pool[wanted] = block->next;
            core->pooled[wanted]--;
            return block;
        }
    }
    return malloc(wanted == TR__MEM_LARGE || !POOLING ? bytes : class_bytes[wanted]);
}

void tr__mem_free(void *block, size_t bytes, uint8_t mem_class)
{
    tr__core *core = tr__core_self();
#if defined(TROUPE_SIMULATION)
    memset(block, 0xdd, bytes); /* who still reads it shall notice */
#endif
    if (core == NULL) {
        tr__add_relaxed(&tr__the_node.foreign.bytes_freed, bytes);
    } else {
        tr__bump(&core->stats.bytes_freed, bytes);
        if (POOLING && mem_class != TR__MEM_LARGE &&
            core->pooled[mem_class] < POOL_BYTES_MAX / class_bytes[mem_class]) {
            struct tr__free_block *free_block = block;
            free_block->next = core->pool[mem_class];
            core->pool[mem_class] = free_block;
            core->pooled[mem_class]++;
            return;
        }
    }
    free(block);
}
