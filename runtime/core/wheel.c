/* wheel.c: eight levels of 256 slots. A timer lies in the level of the highest byte in which its deadline
 * differs from `now`, in the slot that this byte of the deadline names. Consequences:
 *   - where a node lies is a function of its deadline and of now, so removal needs to remember nothing;
 *   - a slot of a higher level is dealt out at the moment now enters it, before anything can be added below
 *   it, so
 *     nodes with equal deadlines keep the order in which they were added;
 *   - the lowest level that holds anything holds the earliest deadline, in its first slot in use.
 * What is due waits in one more list, sorted by deadline.
 */
#include "runtime/core/wheel.h"

#include <stdlib.h>
#include <troupe/base.h>

#define LEVELS    8
#define SLOT_BITS 8
#define SLOTS     (1 << SLOT_BITS)
#define SLOT_MASK ((uint64_t)SLOTS - 1)
#define WORDS     (SLOTS / 64)

struct tr__wheel {
    int64_t now_ms; /* everything up to here is fired or due */
    size_t count;
    bool next_known;
    int64_t next_ms;
    tr__wheel_node *due;
    uint64_t used[LEVELS][WORDS];
    tr__wheel_node *slots[LEVELS][SLOTS]; /* first node of a ring, or NULL */
};

/* ---- rings
 * ------------------------------------------------------------------------------------------------------- */
/* Puts node in front of at; *first stays the first. */
static void ring_insert(tr__wheel_node **first, tr__wheel_node *at, tr__wheel_node *node)
{
    if (*first == NULL) {
        node->next = node;
        node->prev = node;
        *first = node;
        return;
    }
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}

static void ring_append(tr__wheel_node **first, tr__wheel_node *node)
{
    ring_insert(first, *first, node);
}

static void ring_remove(tr__wheel_node **first, tr__wheel_node *node)
{
    if (node->next == node) {
        *first = NULL;
    } else {
        node->prev->next = node->next;
        node->next->prev = node->prev;
        *first = *first == node ? node->next : *first;
    }
    node->next = NULL;
    node->prev = NULL;
}

/* ---- places
 * ------------------------------------------------------------------------------------------------------ */
static int level_of(const tr__wheel *wheel, int64_t deadline_ms)
{
    uint64_t difference = (uint64_t)deadline_ms ^ (uint64_t)wheel->now_ms;
    return (63 - __builtin_clzll(difference)) / SLOT_BITS;
}

static unsigned slot_of(int64_t time_ms, int level)
{
    return (unsigned)(((uint64_t)time_ms >> (level * SLOT_BITS)) & SLOT_MASK);
}

/* The first slot in use of a level, or -1. Those that now has passed are empty. */
static int first_slot(const tr__wheel *wheel, int level)
{
    for (int word = 0; word < WORDS; word++) {
        if (wheel->used[level][word] != 0) {
            return word * 64 + __builtin_ctzll(wheel->used[level][word]);
        }
    }
    return -1;
}

static void add_due(tr__wheel *wheel, tr__wheel_node *node)
{
    /* From the end: it is nearly always the latest so far. */
    if (wheel->due == NULL || wheel->due->prev->deadline_ms <= node->deadline_ms) {
        ring_append(&wheel->due, node);
        return;
    }
    tr__wheel_node *at = wheel->due->prev;
    while (at != wheel->due && at->prev->deadline_ms > node->deadline_ms) {
        at = at->prev;
    }
    ring_insert(&wheel->due, at, node);
    wheel->due = at == wheel->due ? node : wheel->due;
}

static void place(tr__wheel *wheel, tr__wheel_node *node)
{
    if (node->deadline_ms <= wheel->now_ms) {
        add_due(wheel, node);
        return;
    }
    int level = level_of(wheel, node->deadline_ms);
    unsigned slot = slot_of(node->deadline_ms, level);
    wheel->used[level][slot / 64] |= (uint64_t)1 << (slot % 64);
    ring_append(&wheel->slots[level][slot], node);
}

static void displace(tr__wheel *wheel, tr__wheel_node *node)
{
    if (node->deadline_ms <= wheel->now_ms) {
        ring_remove(&wheel->due, node);
        return;
    }
    int level = level_of(wheel, node->deadline_ms);
    unsigned slot = slot_of(node->deadline_ms, level);
    ring_remove(&wheel->slots[level][slot], node);
    if (wheel->slots[level][slot] == NULL) {
        wheel->used[level][slot / 64] &= ~((uint64_t)1 << (slot % 64));
    }
}

/* Moves now to the beginning of the first slot in use, if that is not after limit_ms, and deals the slot out.
 * */
static bool enter_slot(tr__wheel *wheel, int64_t limit_ms)
{
    int level = 0;
    int slot = -1;
    while (level < LEVELS && (slot = first_slot(wheel, level)) < 0) {
        level++;
    }
    if (level == LEVELS) {
        return false;
    }
    int shift = level * SLOT_BITS;
    uint64_t above = shift + SLOT_BITS < 64 ? (uint64_t)wheel->now_ms >> (shift + SLOT_BITS) << SLOT_BITS : 0;
    int64_t begin_ms = (int64_t)((above | (unsigned)slot) << shift);
    if (begin_ms > limit_ms) {
        return false;
    }
    wheel->now_ms = begin_ms;
    wheel->used[level][slot / 64] &= ~((uint64_t)1 << (slot % 64));
    tr__wheel_node *ring = wheel->slots[level][slot];
    wheel->slots[level][slot] = NULL;
    while (ring != NULL) {
        tr__wheel_node *node = ring;
        ring_remove(&ring, node);
        place(wheel, node);
    }
    return true;
}

/* ---- the interface
 * ----------------------------------------------------------------------------------------------- */
tr__wheel *tr__wheel_create(int64_t now_ms)
{
    TR_ASSERT(now_ms >= 0);
    tr__wheel *wheel = calloc(1, sizeof *wheel);
    if (wheel != NULL) {
        wheel->now_ms = now_ms;
    }
    return wheel;
}

void tr__wheel_destroy(tr__wheel *wheel)
{
    free(wheel);
}

void tr__wheel_add(tr__wheel *wheel, tr__wheel_node *node)
{
    place(wheel, node);
    wheel->count++;
    if (wheel->next_known && node->deadline_ms < wheel->next_ms) {
        wheel->next_ms = node->deadline_ms;
    }
}

void tr__wheel_remove(tr__wheel *wheel, tr__wheel_node *node)
{
    displace(wheel, node);
    wheel->count--;
    if (node->deadline_ms == wheel->next_ms) {
        wheel->next_known = false;
    }
}

size_t tr__wheel_advance(tr__wheel *wheel, int64_t now_ms, size_t limit)
{
    size_t fired = 0;
    for (;;) {
        while (wheel->due != NULL && wheel->due->deadline_ms <= now_ms) {
            if (limit != 0 && fired == limit) {
                return fired;
            }
            tr__wheel_node *node = wheel->due;
            tr__wheel_remove(wheel, node);
            node->fire(node);
            fired++;
        }
        if (now_ms <= wheel->now_ms || !enter_slot(wheel, now_ms)) {
            break;
        }
    }
    wheel->now_ms = now_ms > wheel->now_ms ? now_ms : wheel->now_ms;
    return fired;
}

static int64_t earliest(const tr__wheel *wheel)
{
    if (wheel->due != NULL) {
        return wheel->due->deadline_ms;
    }
    for (int level = 0; level < LEVELS; level++) {
        int slot = first_slot(wheel, level);
        if (slot >= 0) {
            const tr__wheel_node *first = wheel->slots[level][slot];
            int64_t least = first->deadline_ms;
            for (const tr__wheel_node *node = first->next; node != first; node = node->next) {
                least = node->deadline_ms < least ? node->deadline_ms : least;
            }
            return least;
        }
    }
    return INT64_MAX;
}

int64_t tr__wheel_next(const tr__wheel *wheel)
{
    if (!wheel->next_known) {
        tr__wheel *cache = (tr__wheel *)(uintptr_t)wheel; /* the cache is no part of the wheel's value */
        cache->next_ms = earliest(wheel);
        cache->next_known = true;
    }
    return wheel->next_ms;
}

size_t tr__wheel_count(const tr__wheel *wheel)
{
    return wheel->count;
}
