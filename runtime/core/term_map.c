/* term_map.c: maps: sorted pairs in one box. */
#include "runtime/core/box.h"

#include <string.h>

typedef struct pair {
    tr_term key, value;
} pair;

/* Merges the sorted runs [0, middle) and [middle, count) of from into to; equal keys keep their order. */
static void merge(const pair *from, size_t middle, size_t count, pair *to)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_left =
            left < middle && (right == count || tr_term_compare(from[left].key, from[right].key) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

/* Bottom-up merge sort. Returns: where the sorted pairs are, pairs or spare. */
static pair *sort(pair *pairs, pair *spare, size_t count)
{
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run) {
            size_t length = count - at < 2 * run ? count - at : 2 * run;
            size_t middle = length < run ? length : run;
            merge(pairs + at, middle, length, spare + at);
        }
        pair *sorted = spare;
        spare = pairs;
        pairs = sorted;
    }
    return pairs;
}

static size_t drop_repeated(pair *pairs, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && tr_term_equal(pairs[kept - 1].key, pairs[i].key)) {
            kept--;
        }
        pairs[kept] = pairs[i];
        kept++;
    }
    return kept;
}

tr_term tr_map_n(size_t count, const tr_term *pairs)
{
    TR_CHECK(count <= TR__COUNT_MAX);
    if (count == 0) {
        return tr__box_fill(tr__box_new(TR_TERM_MAP, 0, 0), NULL, 0);
    }
    /* The working copies lie behind the box and go before this returns; the box is as large as needed at
     * most. */
    tr__box *box = tr__box_new(TR_TERM_MAP, count, 2 * count);
    tr_scratch_mark mark = tr_scratch();
    pair *work = tr_scratch_alloc(2 * count * sizeof(pair));
    memcpy(work, pairs, count * sizeof(pair));
    pair *sorted = sort(work, work + count, count);
    size_t kept = drop_repeated(sorted, count);
    box->kind_count = ((uint32_t)TR_TERM_MAP << TR__COUNT_BITS) | (uint32_t)kept;
    size_t bytes = tr__box_bytes(box);
    box->flat = bytes < TR__FLAT_MAX ? (uint32_t)bytes : TR__FLAT_MAX;
    tr_term map = tr__box_fill(box, &sorted[0].key, 2 * kept);
    tr_scratch_release(mark);
    return map;
}

tr_term tr_map_get(tr_term map, tr_term key)
{
    TR_CHECK(tr_term_kind_of(map) == TR_TERM_MAP);
    const tr_term *items = tr_term_items(map);
    size_t low = 0;
    size_t high = tr_term_count(map);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = tr_term_compare(items[2 * middle], key);
        if (order == 0) {
            return items[2 * middle + 1];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return TR_TERM_NONE_VALUE;
}
