#include "runtime/core/mem.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/core.h"
#include "runtime/sim/sim.h"

const uint16_t tr__mem_class_bytes[TR__MEM_CLASSES] = {64, 96, 128, 192, 256, 512, 1024, 4096};
const uint16_t tr__mem_class_kept[TR__MEM_CLASSES] = {8192, 5461, 4096, 2730, 2048, 1024, 512, 128};

/* Where a process can end for want of memory. */
static bool may_fail(const tr__core *core)
{
    return tr__sim_is_on() && core != NULL && core->current != NULL &&
           tr__load_relaxed(&core->current->status) != TR_STATUS_EXITING;
}

static void *take(tr__core *core, size_t bytes, uint8_t wanted)
{
    void *block = TR__POOLING && core != NULL ? tr__mem_pop(core, bytes, wanted) : NULL;
    if (block != NULL) {
        return block;
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
    if (core == NULL) {
        tr__add_relaxed(&tr__the_node.foreign.bytes_freed, bytes);
    } else {
        tr__bump(&core->stats.bytes_freed, bytes);
        if (TR__POOLING && mem_class != TR__MEM_LARGE &&
            core->pooled[mem_class] < tr__mem_class_kept[mem_class]) {
            struct tr__free_block *free_block = block;
            free_block->next = core->pool[mem_class];
            core->pool[mem_class] = free_block;
            core->pooled[mem_class]++;
            return;
        }
    }
    free(block);
}
