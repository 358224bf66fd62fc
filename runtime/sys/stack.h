/* stack.h: C stacks for processes: 64 KiB above a 64 KiB guard, pooled by their core.
 *
 * Invariants
 *  1. A stack belongs to one core (its thread) from tr__stack_create to tr__stack_destroy.
 *  2. tr__stack_enter (from the scheduler's own stack), tr__stack_leave (back to it) and tr__stack_cross (from one process's
 *     stack to another's) are the only ways across; they tell AddressSanitizer, ThreadSanitizer and valgrind.
 *  3. tr__stack_reset drops whatever frames are on a stack that is not running; it is then as new, its catches and its timer forgotten.
 *  4. The tops of stacks made one after the other differ in their low 14 bits (colours), or the busiest lines of all of them would
 *     meet in the same few sets of the caches.
 * The guard is wide because library frames compiled without stack-clash protection can step over one page.
 * Limits: two mappings a stack, so vm.max_map_count (65530) bounds them; the node refuses earlier
 * (stack_max).
 */
#ifndef TROUPE_SYS_STACK_H
#define TROUPE_SYS_STACK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tr__stack {
    void *sp;               /* where it stands while it is not running */
    struct tr__stack *next; /* in its core's cache */
    char *base;             /* lowest usable byte; the guard is below */
    size_t bytes;           /* of frames */
    size_t mapped;          /* of frames and colour */
    void (*entry)(void);
    struct tr__catch *catch_top; /* of the frames on it; the core's */
    const char *guard;           /* the core's: tr__guard_begin */
    bool guarded;
    struct tr__wheel_node *park_timer; /* lives in a frame on it; the core's */
    void *asan_fake;
    void *tsan_fiber;
    unsigned valgrind_id;
} tr__stack;

/* The scheduler's side: the thread's own stack. */
typedef struct tr__home {
    void *sp;
    void *asan_fake;
    const void *asan_base;
    size_t asan_bytes;
    void *tsan_fiber;
} tr__home;

/** NULL when memory or mappings are exhausted. */
tr__stack *tr__stack_create(size_t bytes, void (*entry)(void));
void tr__stack_destroy(tr__stack *stack);
void tr__stack_reset(tr__stack *stack);

void tr__home_init(tr__home *home);
/** From the scheduler: run on stack until it leaves. */
void tr__stack_enter(tr__home *home, tr__stack *stack);
/** From the stack: back to the scheduler; returns when entered again. */
void tr__stack_leave(tr__home *home, tr__stack *stack);
/** From one stack to another; returns when the first is entered or crossed to again. */
void tr__stack_cross(tr__stack *from, tr__stack *to);
/** tr__stack_leave for the last time before a reset: its frames will never run again. */
void tr__stack_abandon(tr__home *home, tr__stack *stack) __attribute__((noreturn));
/** First thing in entry. */
void tr__stack_entered(tr__home *home, tr__stack *stack);

#endif
