#include "api/rate_limits/batch_items.h"

#include <stdlib.h>

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_place(const void *one, const void *other)
{
    const rl_batch_item *a = one;
    const rl_batch_item *b = other;
    int order = compare(a->partition, b->partition);

    order = order != 0 ? order : compare(a->hash.word[0], b->hash.word[0]);
    order = order != 0 ? order : compare(a->hash.word[1], b->hash.word[1]);
    return order != 0 ? order : compare(a->index, b->index);
}

void rl_batch_sort(rl_batch *batch, uint32_t first, uint32_t count)
{
    qsort(batch->items + first, count, sizeof(*batch->items), by_place);
}
