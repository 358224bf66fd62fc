#define _GNU_SOURCE
#include "runtime/sys/stack.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <troupe/base.h>

#include "runtime/sys/atomic.h"
#include "runtime/sys/switch.h"

#if defined(__SANITIZE_ADDRESS__)
#define TR__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TR__ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TR__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TR__TSAN 1
#endif
#endif

#ifdef TR__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TR__TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define TR__VALGRIND 1
#endif
#endif

#define GUARD_BYTES ((size_t)64 * 1024)
#define COLOUR_BYTES \
    ((size_t)16 * 1024) /* address space above each stack that its colour moves the top into */
#define COLOUR_STEP \
    ((size_t)192) /* three lines: neighbours do not meet, and 85 stacks pass before the first returns */

/* The next stack's distance from the top of its mapping. A multiple of the stack's alignment. */
static size_t next_colour(void)
{
    static uint32_t stacks;
    return tr__add_relaxed(&stacks, 1u) * COLOUR_STEP % COLOUR_BYTES;
}

tr__stack *tr__stack_create(size_t bytes, void (*entry)(void))
{
    size_t mapped = bytes + COLOUR_BYTES;
    char *map =
        mmap(NULL, mapped + GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    tr__stack *stack = calloc(1, sizeof(*stack));
    if (stack == NULL || mprotect(map + GUARD_BYTES, mapped, PROT_READ | PROT_WRITE) != 0) {
        free(stack);
        munmap(map, mapped + GUARD_BYTES);
        return NULL;
    }
    stack->base = map + GUARD_BYTES;
    stack->bytes = mapped - next_colour();
    stack->mapped = mapped;
    stack->entry = entry;
#ifdef TR__VALGRIND
    stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->base, stack->base + bytes);
#endif
#ifdef TR__TSAN
    stack->tsan_fiber = __tsan_create_fiber(0);
#endif
    stack->sp = tr__switch_prepare(stack->base + bytes, entry);
    return stack;
}

void tr__stack_destroy(tr__stack *stack)
{
#ifdef TR__TSAN
    __tsan_destroy_fiber(stack->tsan_fiber);
#endif
#ifdef TR__VALGRIND
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
#endif
#ifdef TR__ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack->base, stack->bytes);
#endif
    munmap(stack->base - GUARD_BYTES, stack->mapped + GUARD_BYTES);
    free(stack);
}

void tr__stack_reset(tr__stack *stack)
{
    stack->catch_top = NULL;
    stack->guarded = false;
    stack->park_timer = NULL;
#ifdef TR__ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack->base, stack->bytes);
    stack->asan_fake = NULL;
#endif
#ifdef TR__TSAN
    /* Its shadow call stack still holds the dropped frames. */
    __tsan_destroy_fiber(stack->tsan_fiber);
    stack->tsan_fiber = __tsan_create_fiber(0);
#endif
    stack->sp = tr__switch_prepare(stack->base + stack->bytes, stack->entry);
}

void tr__home_init(tr__home *home)
{
    *home = (tr__home){0};
#ifdef TR__ASAN
    pthread_attr_t attr;
    void *base;
    TR_ASSERT(pthread_getattr_np(pthread_self(), &attr) == 0);
    TR_ASSERT(pthread_attr_getstack(&attr, &base, &home->asan_bytes) == 0);
    home->asan_base = base;
    pthread_attr_destroy(&attr);
#endif
#ifdef TR__TSAN
    home->tsan_fiber = __tsan_get_current_fiber();
#endif
}

void tr__stack_enter(tr__home *home, tr__stack *stack)
{
#ifdef TR__ASAN
    __sanitizer_start_switch_fiber(&home->asan_fake, stack->base, stack->bytes);
#endif
#ifdef TR__TSAN
    __tsan_switch_to_fiber(stack->tsan_fiber, 0);
#endif
    tr__switch(&home->sp, stack->sp);
#ifdef TR__ASAN
    __sanitizer_finish_switch_fiber(home->asan_fake, NULL, NULL);
#endif
}

void tr__stack_leave(tr__home *home, tr__stack *stack)
{
#ifdef TR__ASAN
    __sanitizer_start_switch_fiber(&stack->asan_fake, home->asan_base, home->asan_bytes);
#endif
#ifdef TR__TSAN
    __tsan_switch_to_fiber(home->tsan_fiber, 0);
#endif
    tr__switch(&stack->sp, home->sp);
    tr__stack_entered(home, stack);
}

void tr__stack_cross(tr__stack *from, tr__stack *to)
{
#ifdef TR__ASAN
    __sanitizer_start_switch_fiber(&from->asan_fake, to->base, to->bytes);
#endif
#ifdef TR__TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    tr__switch(&from->sp, to->sp);
    tr__stack_entered(NULL, from);
}

void tr__stack_abandon(tr__home *home, tr__stack *stack)
{
#ifdef TR__ASAN
    __sanitizer_start_switch_fiber(NULL, home->asan_base, home->asan_bytes);
#endif
#ifdef TR__TSAN
    __tsan_switch_to_fiber(home->tsan_fiber, 0);
#endif
    tr__switch(&stack->sp, home->sp);
    __builtin_unreachable();
}

void tr__stack_entered(tr__home *home, tr__stack *stack)
{
    (void)home;
    (void)stack;
#ifdef TR__ASAN
    __sanitizer_finish_switch_fiber(stack->asan_fake, NULL, NULL);
#endif
}
