/* The process table: chunks of control blocks, never given back while the node runs; free slots in FIFO order
 * so that a slot is reused as late as possible (the tag in the inbox word lives on that). Taking and giving
 * is under one lock; a core takes and gives a batch of slots at a time, so that it passes there seldom. Look-ups take no lock. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/core.h"
#include "runtime/sim/sim.h"
#include "runtime/sys/lock.h"

#define CHUNK TR__TABLE_CHUNK
#define BATCH \
    32u /* slots that a core takes or gives at a time; in a small table one, so that its last slot can be had */
#define SMALL 4096u
#define OWNED offsetof(tr__proc, trap_exit) /* from here on: its owner's alone */

struct tr__table_index tr__proc_table;

static struct {
    pthread_mutex_t lock;
    uint32_t max;
    tr__proc *free_head, **free_tail;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

void tr__table_init(uint32_t process_max)
{
    table.max = process_max;
    table.free_head = NULL;
    table.free_tail = &table.free_head;
}

void tr__table_fini(void)
{
    for (uint32_t i = 0; i < TR__TABLE_CHUNKS && tr__proc_table.chunks[i] != NULL; i++) {
        free(tr__proc_table.chunks[i]);
        tr__proc_table.chunks[i] = NULL;
    }
    tr__proc_table.slots = 0;
}

uint32_t tr__table_slots(void)
{
    return tr__load_acquire(&tr__proc_table.slots);
}

/* Lock held. A new chunk's slots go to the free list with generation 0 remembered in `restarts` of the free
 * block. */
static bool table_grow(void)
{
    uint32_t slots = tr__proc_table.slots;
    if (slots >= table.max) {
        return false;
    }
    uint32_t count = table.max - slots < CHUNK ? table.max - slots : CHUNK; /* fewer only in the last one */
    tr__proc *chunk = aligned_alloc(TR__CACHE_LINE, count * sizeof(tr__proc));
    if (chunk == NULL) {
        return false;
    }
    memset(chunk, 0, count * sizeof(tr__proc));
    for (uint32_t i = 0; i < count; i++) {
        chunk[i].inbox = TR__INBOX_CLOSED;
        chunk[i].run_next = i + 1 < count ? &chunk[i + 1] : NULL;
        tr__store_relaxed(&chunk[i].queued, slots + i); /* while free: the slot's number */
    }
    tr__store_release(&tr__proc_table.chunks[slots >> TR__TABLE_CHUNK_BITS], chunk);
    tr__store_release(&tr__proc_table.slots, slots + count);
    *table.free_tail = chunk;
    table.free_tail = &chunk[count - 1].run_next;
    return true;
}

static uint32_t batch(void)
{
    return table.max < SMALL ? 1 : BATCH;
}

/* Lock held. */
static void give_back(tr__core *core)
{
    if (core->given_head != NULL) {
        *table.free_tail = core->given_head;
        table.free_tail = core->given_tail;
        core->given_head = NULL;
        core->given_tail = &core->given_head;
        core->given = 0;
    }
}

/* Lock held. Up to count of the oldest free slots, as a list, or NULL. core (or NULL): whose dead may be had in need. */
static tr__proc *detach(tr__core *core, uint32_t count)
{
    if (table.free_head == NULL && core != NULL) {
        give_back(core);
    }
    if (table.free_head == NULL) {
        (void)table_grow();
    }
    tr__proc *first = table.free_head;
    if (first == NULL) {
        return NULL;
    }
    tr__proc *last = first;
    for (uint32_t i = 1; i < count && last->run_next != NULL; i++) {
        last = last->run_next;
    }
    table.free_head = last->run_next;
    if (table.free_head == NULL) {
        table.free_tail = &table.free_head;
    }
    last->run_next = NULL;
    return first;
}

static tr__proc *take_slot(void)
{
    tr__core *core = tr__core_self();
    if (core == NULL || core->slots == NULL) {
        tr__lock(&table.lock);
        tr__proc *slots = detach(core, core == NULL ? 1 : batch());
        tr__unlock(&table.lock);
        if (core == NULL || slots == NULL) {
            return slots;
        }
        core->slots = slots;
    }
    tr__proc *proc = core->slots;
    core->slots = proc->run_next;
    return proc;
}

static void give_slot(tr__proc *proc)
{
    tr__core *core = tr__core_self();
    proc->run_next = NULL;
    if (core == NULL) {
        tr__lock(&table.lock);
        *table.free_tail = proc;
        table.free_tail = &proc->run_next;
        tr__unlock(&table.lock);
        return;
    }
    *core->given_tail = proc;
    core->given_tail = &proc->run_next;
    if (++core->given >= batch()) {
        tr__lock(&table.lock);
        give_back(core);
        tr__unlock(&table.lock);
    }
}

tr__proc *tr__table_take(void)
{
    tr__proc *proc = tr__sim_fails(TR__SIM_SLOT) ? NULL : take_slot();
    if (proc == NULL) {
        return NULL;
    }
    uint32_t slot = proc->queued;
    uint32_t generation = proc->restarts + 1;
    tr_pid pid = ((uint64_t)generation << 32) | slot;
    /* Senders with a stale pid may look at the first line at any time: its words change by atomic stores. */
    tr__store_release(&proc->dying, (uint8_t)0); /* after give's pid = 0, see tr__proc_is_alive */
    tr__store_relaxed(&proc->open_replies, (uint8_t)0);
    tr__store_relaxed(&proc->messages, (uint64_t)0);
    tr__store_relaxed(&proc->reductions, (uint64_t)0);
    tr__store_relaxed(&proc->memory, (uint64_t)0);
    tr__store_relaxed(&proc->queued, 0u);
    tr__store_relaxed(&proc->restarts, 0u);
    proc->run_next = NULL;
    memset((char *)proc + OWNED, 0, sizeof(tr__proc) - OWNED);
    proc->tail = &proc->head;
    tr__store_relaxed(&proc->home, -1);
    tr__store_release(&proc->pid, pid);
    return proc;
}

void tr__table_open(tr__proc *proc)
{
    tr__store_release(&proc->inbox, TR__INBOX_TAG(proc->pid) | TR__INBOX_EMPTY);
}

void tr__table_give(tr__proc *proc)
{
    tr_pid pid = proc->pid;
    tr__store_relaxed(&proc->queued, TR_PID_SLOT(pid));
    tr__store_relaxed(&proc->restarts, TR_PID_GENERATION(pid));
    tr__store_seq(&proc->pid, TR_NO_PID); /* seq: before the look at who joins, see bury.c */
    if (proc->restarts == UINT32_MAX) {
        return; /* retired: its generations are used up */
    }
    give_slot(proc);
}
