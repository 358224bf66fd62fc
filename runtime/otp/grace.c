#include "runtime/otp/grace.h"

#include <stdbool.h>
#include <stdlib.h>

#include "runtime/core/mem.h"
#include "runtime/sim/sim.h"
#include "runtime/sys/atomic.h"

#define SHARED (TR__GRACE_STRIPES - 1)

static struct {
    _Alignas(TR__CACHE_LINE) uint32_t readers; /* 0 or 1; in the shared one: how many */
} stripes[TR__GRACE_STRIPES];
static uint32_t threads; /* how many ever entered: stripes from there on are still at zero */

static _Thread_local unsigned own_stripes[TR__SIM_THREADS]; /* 1 + index; 0: none yet */

/* noinline: a thread-local address must not be kept where the process may go on on another thread. */
__attribute__((noinline)) unsigned tr__grace_enter(void)
{
    unsigned *own = &own_stripes[tr__sim_self()];
    if (*own == 0) {
        uint32_t number = tr__add_seq(&threads, 1u);
        *own = 1 + (number < SHARED ? number : SHARED);
    }
    unsigned stripe = *own - 1;
    if (stripe == SHARED) {
        (void)tr__add_seq(&stripes[stripe].readers, 1u);
    } else {
        (void)tr__xchg_seq(&stripes[stripe].readers, 1u); /* a plain store would let the reads go first */
    }
    return stripe;
}

void tr__grace_leave(unsigned stripe)
{
    /* release: all that was read inside was read before a writer sees this */
    if (stripe == SHARED) {
        (void)tr__sub_acq_rel(&stripes[stripe].readers, 1u);
    } else {
        tr__store_release(&stripes[stripe].readers, 0u);
    }
}

static void free_all(tr__grace_block *block)
{
    while (block != NULL) {
        tr__grace_block *next = block->next;
        if (block->bytes == 0) {
            free(block);
        } else {
            tr__mem_free(block, block->bytes, block->mem_class);
        }
        block = next;
    }
}

/* Returns: were all the stripes at zero at some time since they were put into *unseen. */
static bool all_seen(uint64_t *unseen)
{
    for (unsigned i = 0; i < TR__GRACE_STRIPES && *unseen >> i != 0; i++) {
        if ((*unseen >> i & 1) != 0 && tr__load_seq(&stripes[i].readers) == 0) {
            *unseen &= ~(UINT64_C(1) << i);
        }
    }
    return *unseen == 0;
}

/* A thread that enters for the first time after this found nothing that was unlinked before. */
static uint64_t stripes_in_use(void)
{
    uint32_t count = tr__load_seq(&threads);
    return count >= TR__GRACE_STRIPES ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

void tr__grace_retire(tr__grace *grace, tr__grace_block *block)
{
    block->next = grace->fresh;
    if (tr__planted(TR__PLANT_EARLY_FREE)) {
        block->next = NULL;
        free_all(block);
        return;
    }
    grace->fresh = block;
    if (grace->waiting != NULL) {
        if (!all_seen(&grace->unseen)) {
            return;
        }
        free_all(grace->waiting);
    }
    grace->waiting = grace->fresh;
    grace->fresh = NULL;
    grace->unseen = stripes_in_use();
    if (all_seen(&grace->unseen)) {
        free_all(grace->waiting);
        grace->waiting = NULL;
    }
}

void tr__grace_fini(tr__grace *grace)
{
    free_all(grace->fresh);
    free_all(grace->waiting);
    *grace = (tr__grace){0};
}
