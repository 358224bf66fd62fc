/* scratch.c: bump allocation in chunks. Under AddressSanitizer released memory is poisoned, so that a term
 * used after its callback is found. */
#include "runtime/core/scratch.h"

#include "runtime/core/mem.h"
#include "runtime/core/process.h"

#if defined(__SANITIZE_ADDRESS__)
#define POISONING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONING 1
#endif
#endif
#ifdef POISONING
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes)   ((void)(memory), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#endif

#define FIRST_BYTES ((size_t)1024)      /* of a chunk with its head */
#define MOST_BYTES  ((size_t)64 * 1024) /* later ones double up to this; a larger request gets its own size */
#define ALIGNMENT   ((size_t)16)
#define REQUEST_MAX ((size_t)1 << 40)

typedef struct tr__scratch_chunk {
    struct tr__scratch_chunk *older;
    size_t bytes; /* of the whole block */
    size_t used;  /* of data */
    uint8_t mem_class;
    _Alignas(16) unsigned char data[];
} chunk;

static size_t room(const chunk *of)
{
    return of->bytes - sizeof(chunk);
}

static void set_used(chunk *of, size_t used)
{
    of->used = used;
    ASAN_POISON_MEMORY_REGION(of->data + used, room(of) - used);
}

static chunk *add_chunk(tr__scratch *scratch, size_t bytes)
{
    size_t block = scratch->top == NULL ? FIRST_BYTES : 2 * scratch->top->bytes;
    block = block > MOST_BYTES ? MOST_BYTES : block;
    if (block < bytes + sizeof(chunk)) {
        block = bytes + sizeof(chunk);
    }
    uint8_t mem_class;
    chunk *made = tr__mem_alloc(block, &mem_class);
    if (made == NULL) {
        tr__out_of_memory();
    }
    made->older = scratch->top;
    made->bytes = block;
    made->mem_class = mem_class;
    set_used(made, 0);
    scratch->top = made;
    return made;
}

static void drop_top(tr__scratch *scratch)
{
    chunk *top = scratch->top;
    scratch->top = top->older;
    ASAN_UNPOISON_MEMORY_REGION(top->data, room(top));
    tr__mem_free(top, top->bytes, top->mem_class);
}

void *tr__scratch_alloc(tr__scratch *scratch, size_t bytes)
{
    TR_ASSERT(bytes < REQUEST_MAX);
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    chunk *top = scratch->top;
    if (top == NULL || room(top) - top->used < rounded) {
        top = add_chunk(scratch, rounded);
    }
    unsigned char *memory = top->data + top->used;
    top->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    return memory;
}

tr_scratch_mark tr__scratch_mark(const tr__scratch *scratch)
{
    const chunk *top = scratch->top;
    return (tr_scratch_mark){.chunk = scratch->top, .used = top == NULL ? 0 : top->used};
}

void tr__scratch_release(tr__scratch *scratch, tr_scratch_mark mark)
{
    while (scratch->top != NULL && scratch->top != mark.chunk && scratch->top->older != NULL) {
        drop_top(scratch);
    }
    chunk *top = scratch->top;
    if (top == NULL) {
        return;
    }
    /* A mark of the empty scratch has no chunk: the first one stays, empty. */
    TR_ASSERT(top == mark.chunk || mark.chunk == NULL);
    TR_ASSERT(mark.used <= top->used);
    set_used(top, mark.used);
}

void tr__scratch_fini(tr__scratch *scratch)
{
    while (scratch->top != NULL) {
        drop_top(scratch);
    }
}

size_t tr__scratch_bytes(const tr__scratch *scratch)
{
    size_t bytes = 0;
    for (const chunk *each = scratch->top; each != NULL; each = each->older) {
        bytes += each->bytes;
    }
    return bytes;
}

tr_scratch_mark tr_scratch(void)
{
    return tr__scratch_mark(tr__scratch_current());
}

void tr_scratch_release(tr_scratch_mark mark)
{
    tr__scratch *scratch = tr__scratch_current();
    if (mark.chunk == NULL) {
        tr__scratch_fini(
            scratch); /* as it was before the first term: threads that end leave nothing behind */
    } else {
        tr__scratch_release(scratch, mark);
    }
}

void *tr_scratch_alloc(size_t bytes)
{
    return tr__scratch_alloc(tr__scratch_current(), bytes);
}
