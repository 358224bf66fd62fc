/* scratch.h: bump memory that lives until the running callback returns.
 *
 * Each process and each thread outside processes has one tr__scratch. Chunks come from tr__mem (mem.h); the
 * first is kept by a release, the others are given back.
 * Invariants: 1. only the owner's thread touches it; 2. release to a mark frees everything after it, in
 * O(chunks).
 */
#ifndef TROUPE_CORE_SCRATCH_H
#define TROUPE_CORE_SCRATCH_H

#include <troupe/term.h>

struct tr__scratch_chunk;
typedef struct tr__scratch {
    struct tr__scratch_chunk *top; /* newest chunk, linked to older ones; NULL: never used */
} tr__scratch;

/** The scratch of the calling process, or of the calling thread outside processes. (process.c) */
tr__scratch *tr__scratch_current(void);

/** 16-byte aligned, not zeroed; never NULL. */
void *tr__scratch_alloc(tr__scratch *scratch, size_t bytes);
tr_scratch_mark tr__scratch_mark(const tr__scratch *scratch);
void tr__scratch_release(tr__scratch *scratch, tr_scratch_mark mark);
/** Gives all chunks back. */
void tr__scratch_fini(tr__scratch *scratch);
size_t tr__scratch_bytes(const tr__scratch *scratch);

#endif
