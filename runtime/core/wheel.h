/* wheel.h: timers of one core: a hierarchical wheel of 1 ms ticks with intrusive nodes.
 *
 * Invariants
 *  1. Only the core's thread touches a wheel.
 *  2. Never early: a timer of deadline d fires at the first tr__wheel_advance(now) with now >= d.
 *  3. Deadlines fire in order; equal deadlines in the order of tr__wheel_add (also across cascades).
 *  4. A node is in the wheel from add to its callback or to remove; remove is O(1); at most one cascade per
 *     timer
 *     between levels (levels of 256 or more slots), work per advance bounded by what expires plus slots
 *     passed (empty stretches are
 *     skipped by bitmap).
 */
#ifndef TROUPE_CORE_WHEEL_H
#define TROUPE_CORE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tr__wheel_node {
    struct tr__wheel_node *next, *prev; /* NULL: not in a wheel */
    int64_t deadline_ms;
    void (*fire)(struct tr__wheel_node *node); /* already out of the wheel; may add, remove and free */
} tr__wheel_node;

typedef struct tr__wheel tr__wheel;

tr__wheel *tr__wheel_create(int64_t now_ms);
void tr__wheel_destroy(tr__wheel *wheel); /* nodes still in it are left alone */
void tr__wheel_add(tr__wheel *wheel, tr__wheel_node *node);
void tr__wheel_remove(tr__wheel *wheel, tr__wheel_node *node);
static inline bool tr__wheel_pending(const tr__wheel_node *node)
{
    return node->next != NULL;
}
/** Fires everything due at now_ms. at most limit (0: no limit). Returns: how many fired. */
size_t tr__wheel_advance(tr__wheel *wheel, int64_t now_ms, size_t limit);
/** Earliest deadline, exactly, or INT64_MAX. Cost: bitmap scan of a level, plus one slot's list. */
int64_t tr__wheel_next(const tr__wheel *wheel);
size_t tr__wheel_count(const tr__wheel *wheel);

#endif
