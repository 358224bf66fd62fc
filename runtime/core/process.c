/* A process's own affairs: who am I, ending, memory, resources, dictionary. Its birth is in spawn.c, its
 * burial in bury.c. */
#include "runtime/core/process.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/box.h"
#include "runtime/core/core.h"
#include "runtime/core/mem.h"
#include "runtime/sim/sim.h"

tr__proc *tr__proc_self(void)
{
    tr__core *core = tr__core_self();
    return core == NULL ? NULL : core->current;
}

static tr__proc *self_checked(void)
{
    tr__proc *proc = tr__proc_self();
    TR_ASSERT(proc != NULL);
    return proc;
}

tr_pid tr_self(void)
{
    tr__proc *proc = tr__proc_self();
    return proc == NULL ? TR_NO_PID : proc->pid;
}

tr_pid tr_parent(void)
{
    tr__proc *proc = tr__proc_self();
    return proc == NULL ? TR_NO_PID : proc->parent;
}

bool tr__proc_is_alive(tr_pid pid)
{
    tr__proc *proc = pid == TR_NO_PID ? NULL : tr__table_at(pid);
    /* The pid is read again: the slot may have been reused, and dying cleared, between the first two. */
    return proc != NULL && tr__load_acquire(&proc->pid) == pid && tr__load_seq(&proc->dying) == 0 &&
           tr__load_acquire(&proc->pid) == pid;
}

void **tr__proc_names(tr__proc *proc)
{
    return &proc->names;
}

uint64_t tr__reductions(void)
{
    return self_checked()->reductions;
}

void tr__set_suspended(bool on)
{
    self_checked()->suspended = on;
}

void tr__set_filter(bool (*wants)(void *data, const tr_msg *msg))
{
    tr__proc *proc = self_checked();
    proc->filter = wants;
    proc->scan = &proc->head;
}

void tr__set_filter_new(bool (*wants)(void *data, const tr_msg *msg))
{
    tr__proc *proc = self_checked();
    proc->filter = wants;
    proc->scan = proc->tail;
}

/* ---- ending
 * ----------------------------------------------------------------------------------------------------- */

void tr__proc_doom(tr__proc *proc, tr_term reason, bool signalled)
{
    if (tr__load_relaxed(&proc->status) == TR_STATUS_EXITING) {
        return; /* the first one counts */
    }
    proc->exit_reason = tr_term_keep(reason);
    proc->silent = proc->silent || signalled;
    tr__store_relaxed(&proc->status, (uint8_t)TR_STATUS_EXITING);
}

void tr__proc_leave_for_good(tr__proc *proc)
{
    tr__core *core = tr__core_self();
    TR_ASSERT(core->current == proc);
    core->leave = TR__LEAVE_END;
    tr__stack_abandon(&core->home, core->stack);
}

void tr__proc_end(tr__proc *proc, tr_term reason, bool signalled)
{
    tr__proc_doom(proc, reason, signalled);
    tr__proc_leave_for_good(proc);
}

void tr__finish(tr_term reason)
{
    tr__proc_end(self_checked(), reason, false);
}

static TR_NORETURN void raise_reason(tr_term reason, bool error)
{
    tr__proc *proc = tr__proc_self();
    if (proc == NULL) { /* a bug outside of any process takes the program */
        tr__assert_failed("tr_exit outside of a process", tr_term_text(reason), 0);
    }
    if (error && tr_reason_is_clean(reason)) {
        reason = tr_tuple(reason, TR_ATOM(ERROR)); /* a bug is no clean end, whatever its reason */
    }
    struct tr__catch *catch_top = tr__core_self()->stack->catch_top;
    if (catch_top != NULL) {
        catch_top->reason = reason;
        longjmp(catch_top->buf, 1);
    }
    tr__stack *stack = tr__core_self()->stack;
    if (stack->guarded) {
        stack->guarded = false;
        proc->behaviour->crashed(proc->data, reason);
    }
    proc->report_crash = proc->report_crash || error;
    tr__proc_end(proc, reason, false);
}

void tr_exit(tr_term reason)
{
    raise_reason(reason, false);
}

void tr__out_of_memory(void)
{
    const tr__proc *proc = tr__proc_self();
    if (proc == NULL || tr__load_relaxed(&proc->status) == TR_STATUS_EXITING) {
        tr__assert_failed("out of memory", "outside of a process", 0);
    }
    tr_exit(TR_ATOM(NOMEM));
}

void tr_error(tr_term reason)
{
    raise_reason(reason, true);
}

void tr__check_failed(const char *expr, const char *file, int line)
{
    if (tr__proc_self() == NULL) {
        tr__assert_failed(expr, file, line);
    }
    tr_error(tr_tuple(TR_ATOM(CHECK_FAILED), tr_string(expr), tr_string(file), tr_int(line)));
}

/* setjmp's frame must be the caller of fn for as long as fn runs, so both live here and nothing is inlined.
 * */
__attribute__((noinline)) bool tr__catch(void (*fn)(void *ctx), void *ctx, tr_term *reason)
{
    tr__stack *stack = tr__core_self()->stack;
    struct tr__catch frame __attribute__((uninitialized)); /* setjmp fills all that is read of it */
    frame.outer = stack->catch_top;
    stack->catch_top = &frame;
    if (setjmp(frame.buf) == 0) {
        fn(ctx);
        tr__core_self()->stack->catch_top = frame.outer;
        return false;
    }
    tr__core_self()->stack->catch_top = frame.outer;
    *reason = frame.reason;
    return true;
}

/* ---- memory
 * ----------------------------------------------------------------------------------------------------- */

#define BLOCK_HEADER ((sizeof(struct tr__block) + 15u) & ~(size_t)15)

static struct tr__block *block_of(void *memory)
{
    return (struct tr__block *)(void *)((char *)memory - BLOCK_HEADER);
}

void *tr__arena_alloc(tr__proc *proc, size_t bytes)
{
    size_t total = BLOCK_HEADER + bytes;
    uint8_t mem_class;
    struct tr__block *block = total > UINT32_MAX ? NULL : tr__mem_alloc(total, &mem_class);
    if (block == NULL) {
        tr__out_of_memory();
    }
    *block = (struct tr__block){.next = proc->blocks, .bytes = (uint32_t)total, .mem_class = mem_class};
    if (proc->blocks != NULL) {
        proc->blocks->prev = block;
    }
    proc->blocks = block;
    tr__bump(&proc->memory, total);
    void *memory = (char *)block + BLOCK_HEADER;
    memset(memory, 0, bytes);
    return memory;
}

void tr__arena_free(tr__proc *proc, void *memory)
{
    struct tr__block *block = block_of(memory);
    if (block->prev != NULL) {
        block->prev->next = block->next;
    } else {
        proc->blocks = block->next;
    }
    if (block->next != NULL) {
        block->next->prev = block->prev;
    }
    tr__store_relaxed(&proc->memory, proc->memory - block->bytes);
    tr__mem_free(block, block->bytes, block->mem_class);
}

void *tr__arena_realloc(tr__proc *proc, void *memory, size_t bytes)
{
    void *fresh = tr__arena_alloc(proc, bytes);
    if (memory != NULL) {
        size_t old = block_of(memory)->bytes - BLOCK_HEADER;
        memcpy(fresh, memory, old < bytes ? old : bytes);
        tr__arena_free(proc, memory);
    }
    return fresh;
}

void *tr_alloc(size_t bytes)
{
    return tr__arena_alloc(self_checked(), bytes);
}

void *tr_realloc(void *memory, size_t bytes)
{
    return tr__arena_realloc(self_checked(), memory, bytes);
}

void tr_free(void *memory)
{
    if (memory != NULL) {
        tr__arena_free(self_checked(), memory);
    }
}

tr_term tr__arena_keep(tr__proc *proc, tr_term term)
{
    size_t bytes = tr_term_flat_bytes(term);
    return bytes == 0 ? term : tr_term_flatten(term, tr__arena_alloc(proc, bytes));
}

tr_term tr_keep(tr_term term)
{
    if (!tr__is_box(term)) {
        return term;
    }
    return tr__arena_keep(self_checked(), term);
}

void tr_free_term(tr_term kept)
{
    if ((kept.word & 7u) == TR__TAG_BOX && kept.word != 0) {
        tr_free((void *)(uintptr_t)kept.word);
    }
}

/* ---- scratch: the process's, or the thread's outside ---- */

struct thread_scratch {
    tr__scratch scratch;
    bool known; /* to the key that frees it at the thread's end */
};
static __thread struct thread_scratch outsides[TR__SIM_THREADS];
static pthread_key_t outside_key;
static pthread_once_t outside_once = PTHREAD_ONCE_INIT;

static void outside_free(void *scratch)
{
    tr__scratch_fini(scratch);
}

static void outside_init(void)
{
    TR_ASSERT(pthread_key_create(&outside_key, outside_free) == 0);
}

static tr__scratch *outside_scratch(void)
{
    struct thread_scratch *outside = &outsides[tr__sim_self()];
    if (!outside->known) {
        outside->known = pthread_once(&outside_once, outside_init) == 0 &&
                         pthread_setspecific(outside_key, &outside->scratch) == 0;
    }
    return &outside->scratch;
}

__attribute__((noinline)) tr__scratch *tr__scratch_current(void)
{
    tr__proc *proc = tr__proc_self();
    return proc != NULL ? &proc->scratch : outside_scratch();
}

/* ---- resources
 * -------------------------------------------------------------------------------------------------- */

void tr_resource_add(tr_resource *resource)
{
    tr__proc *proc = self_checked();
    resource->tr__prev = NULL;
    resource->tr__next = proc->resources;
    if (proc->resources != NULL) {
        proc->resources->tr__prev = resource;
    }
    proc->resources = resource;
}

void tr_resource_remove(tr_resource *resource)
{
    tr__proc *proc = self_checked();
    if (resource->tr__prev != NULL) {
        resource->tr__prev->tr__next = resource->tr__next;
    } else {
        proc->resources = resource->tr__next;
    }
    if (resource->tr__next != NULL) {
        resource->tr__next->tr__prev = resource->tr__prev;
    }
}

/* ---- dictionary: a list in the arena; people keep a handful of keys ---- */

struct tr__dict {
    struct tr__dict *next;
    tr_term key, value;
};

static struct tr__dict *dict_find(tr__proc *proc, tr_term key)
{
    struct tr__dict *entry = proc->dict;
    while (entry != NULL && !tr_term_equal(entry->key, key)) {
        entry = entry->next;
    }
    return entry;
}

tr_term tr__to_scratch(tr_term term)
{
    size_t bytes = tr_term_flat_bytes(term);
    return bytes == 0 ? term : tr_term_flatten(term, tr_scratch_alloc(bytes));
}

tr_term tr_put(tr_term key, tr_term value)
{
    tr__proc *proc = self_checked();
    struct tr__dict *entry = dict_find(proc, key);
    tr_term old = TR_TERM_NONE_VALUE;
    if (entry == NULL) {
        entry = tr_alloc(sizeof(*entry));
        *entry = (struct tr__dict){.next = proc->dict, .key = tr_keep(key)};
        proc->dict = entry;
    } else {
        old = tr__to_scratch(entry->value);
        tr_free_term(entry->value);
    }
    entry->value = tr_keep(value);
    return old;
}

tr_term tr_erase(tr_term key)
{
    tr__proc *proc = self_checked();
    for (struct tr__dict **at = &proc->dict; *at != NULL; at = &(*at)->next) {
        struct tr__dict *entry = *at;
        if (tr_term_equal(entry->key, key)) {
            tr_term old = tr__to_scratch(entry->value);
            *at = entry->next;
            tr_free_term(entry->key);
            tr_free_term(entry->value);
            tr_free(entry);
            return old;
        }
    }
    return TR_TERM_NONE_VALUE;
}

tr_term tr__proc_dictionary(const tr__proc *proc, size_t bytes_max)
{
    size_t count = 0;
    for (const struct tr__dict *entry = proc->dict; entry != NULL; entry = entry->next) {
        count++;
    }
    tr_term *pairs = tr_scratch_alloc((count + 1) * 2 * sizeof(*pairs));
    size_t used = 0;
    size_t bytes = 0;
    for (const struct tr__dict *entry = proc->dict; entry != NULL && bytes < bytes_max; entry = entry->next) {
        bytes += 2 * sizeof(*pairs) + tr_term_flat_bytes(entry->key) + tr_term_flat_bytes(entry->value);
        if (bytes < bytes_max) {
            pairs[used++] = entry->key;
            pairs[used++] = entry->value;
        }
    }
    return tr_map_n(used / 2, pairs);
}

tr_term tr_get(tr_term key)
{
    struct tr__dict *entry = dict_find(self_checked(), key);
    return entry == NULL ? TR_TERM_NONE_VALUE : entry->value;
}
