/* term_flat.c: copying a term into one block: breadth first, the block itself is the queue. */
#include "runtime/core/box.h"

#include <stdlib.h>
#include <string.h>

size_t tr_term_flat_bytes(tr_term term)
{
    return tr__is_box(term) ? tr__box_of(term)->flat : 0;
}

/* Copies one box to *end; its items still point into the source. */
static tr_term copy_box(const tr__box *box, char **end)
{
    size_t bytes = tr__box_bytes(box);
    tr_term copy = {(uint64_t)(uintptr_t)*end};
    memcpy(*end, box, bytes);
    *end += bytes;
    return copy;
}

tr_term tr_term_flatten(tr_term term, void *memory)
{
    if (!tr__is_box(term)) {
        return term;
    }
    const tr__box *source = tr__box_of(term);
    TR_CHECK(source->flat <= TR__TERM_BYTES_MAX);
    char *end = memory;
    tr_term copy = copy_box(source, &end);
    /* Between scan and end lie boxes whose items are still the source's. */
    for (char *scan = memory; scan < end;) {
        tr__box *box = (tr__box *)(void *)scan;
        size_t count = tr__box_terms(box);
        for (size_t i = 0; i < count; i++) {
            tr_term item = {box->words[i]};
            if (tr__is_box(item)) {
                box->words[i] = copy_box(tr__box_of(item), &end).word;
            }
        }
        scan += tr__box_bytes(box);
    }
    TR_ASSERT((size_t)(end - (char *)memory) == source->flat);
    return copy;
}

tr_term tr_term_keep(tr_term term)
{
    size_t bytes = tr_term_flat_bytes(term);
    if (bytes == 0) {
        return term;
    }
    TR_CHECK(bytes <= TR__TERM_BYTES_MAX);
    void *memory = malloc(bytes);
    TR_ASSERT(memory != NULL);
    return tr_term_flatten(term, memory); /* NOLINT(clang-analyzer-unix.Malloc): the term is the pointer */
}

void tr_term_free(tr_term kept)
{
    if (tr__is_box(kept)) {
        free((void *)(uintptr_t)kept.word);
    }
}
