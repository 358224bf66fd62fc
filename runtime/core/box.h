/* box.h: the memory layout of terms that are not immediate, and a stack for walking them without recursion.
 *
 * A boxed term is a pointer to a tr__box: one word that says what it is, then its contents.
 *   INT, FLOAT, PID  one word                REF     two words: owner, id
 *   STRING           count bytes and a NUL   TUPLE, LIST  count terms       MAP  count pairs, sorted by key
 * Invariants
 *  1. A box never changes after its constructor returned.
 *  2. flat is the number of bytes of a copy in which nothing is shared, so it is known in O(1). It saturates
 *     at
 *     TR__FLAT_MAX, and such a term cannot be copied.
 *  3. Integers of 61 bits are never boxed, so equal integers have equal words or are both boxed.
 *  4. A tr__walk uses its own memory for TR__WALK_LOCAL frames and scratch memory beyond; tr__walk_end gives
 *     it back.
 */
#ifndef TROUPE_CORE_BOX_H
#define TROUPE_CORE_BOX_H

#include <troupe/term.h>

#define TR__INT_MAX    (((int64_t)1 << 60) - 1)
#define TR__INT_MIN    (-((int64_t)1 << 60))
#define TR__COUNT_BITS 28u
#define TR__COUNT_MAX  ((1u << TR__COUNT_BITS) - 1u)
#define TR__FLAT_MAX   UINT32_MAX
/** The largest copy: 16 MiB. */
#define TR__TERM_BYTES_MAX ((size_t)16 << 20)

typedef struct tr__box {
    uint32_t kind_count; /* kind in the upper 4 bits */
    uint32_t flat;
    uint64_t words[];
} tr__box;

static inline bool tr__is_box(tr_term term)
{
    return (term.word & 7u) == TR__TAG_BOX && term.word != 0;
}
static inline const tr__box *tr__box_of(tr_term term)
{
    return (const tr__box *)(uintptr_t)term.word;
}
static inline tr_term_kind tr__box_kind(const tr__box *box)
{
    return (tr_term_kind)(box->kind_count >> TR__COUNT_BITS);
}
static inline uint32_t tr__box_count(const tr__box *box)
{
    return box->kind_count & TR__COUNT_MAX;
}
static inline const tr_term *tr__box_items(const tr__box *box)
{
    return (const tr_term *)(const void *)box->words;
}
/** Terms inside: 0 for kinds that hold none. */
static inline size_t tr__box_terms(const tr__box *box)
{
    tr_term_kind kind = tr__box_kind(box);
    size_t count = tr__box_count(box);
    return kind == TR_TERM_TUPLE || kind == TR_TERM_LIST ? count : kind == TR_TERM_MAP ? 2 * count : 0;
}
/** Bytes of the box alone. */
size_t tr__box_bytes(const tr__box *box);
/** A box of this kind on scratch memory with room for words words; flat is its own size. */
tr__box *tr__box_new(tr_term_kind kind, size_t count, size_t words);
/** Fills a container's items and adds up flat. Returns: the finished term. */
tr_term tr__box_fill(tr__box *box, const tr_term *items, size_t count);

/* ---- walking
 * ---------------------------------------------------------------------------------------------------- */
#define TR__WALK_LOCAL 32u

typedef struct tr__frame {
    const tr_term *a, *b; /* the next items; b only when two terms are compared */
    uint32_t left;        /* items still to be looked at */
    uint8_t stride;       /* 2 to look at keys or at values only */
    int16_t tail;         /* what the comparison is when nothing is left; the kind when printing */
} tr__frame;

typedef struct tr__walk {
    tr__frame *frames;
    size_t used, capacity;
    tr_scratch_mark mark;
    tr__frame local[TR__WALK_LOCAL];
} tr__walk;

void tr__walk_begin(tr__walk *walk);
void tr__walk_push(tr__walk *walk, tr__frame frame);
void tr__walk_end(tr__walk *walk);

#endif
