/* core.h: a worker's core: queues, wheel, stacks, pools, counters; and the node that holds all cores.
 * Internal.
 *
 * One turn: inbox -> posts -> timers -> loop (uv_run, never blocking while work is left) -> hooks.before_run
 * -> up to a budget of slices, of which one may hand the thread to the next without coming back here -> hooks.after_run -> linger -> steal -> sleep in uv_run until woken, the next timer, or
 * the backstop.
 *
 * Invariants
 *  1. Fields after "thread" belong to the core's thread. Others may only push to `inbox` and `posts`, take
 *     from `ring` by
 *     its protocol (runq.h), and flip `sleeping` to 0 (and then, only then, wake the thread).
 *  2. A sender pushes first and reads `sleeping` after, both sequentially consistent; a sleeper publishes
 *     `sleeping` first
 *     and looks at its queues after. So a wake-up is never lost; the backstop bounds the cost of a bug here.
 *  3. Processes are never run from inside a libuv callback.
 *  4. Parked and bound processes go to `pinned`, which nobody steals from. Ring and pinned are served as one
 *     FIFO.
 *  5. A process that waits in another core's ring is left there unless that core would not come to it soon (will_wait): most run
 *     within microseconds where they are, and one that parks stays with the core it parked on, so dealing out what belongs
 *     together makes every message between them cross. Who finds only such work dozes for a millisecond and looks again.
 *  6. A sleeping core never waits in the loop while something of its own is runnable or its alarm has rung
 *     (before_poll).
 */
#ifndef TROUPE_CORE_CORE_H
#define TROUPE_CORE_CORE_H

#include <pthread.h>
#include <uv.h>

#include "runtime/core/process.h"
#include "runtime/core/runq.h"
#include "runtime/core/wheel.h"
#include "runtime/sys/stack.h"

#define TR__CORE_MAX    64
#define TR__ASLEEP      1u
#define TR__DOZING      2u /* asleep, but it has seen work of others that may ripen, and looks again soon */
#define TR__MEM_CLASSES 8

struct tr__post {
    struct tr__post *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct tr__free_block {
    struct tr__free_block *next;
    struct tr__free_block *magazine; /* of the first block of one in the depot: the next one there */
};

typedef struct tr__stats {
    uint64_t spawned, buried, sent, dead_letter, refused, slices, steals, wakeups, parked, bytes_allocated,
        bytes_freed;
} tr__stats;

struct tr__timers; /* timer.c */

/* Why a process's stack came back to the scheduler. */
typedef enum tr__leave {
    TR__LEAVE_NOTHING,
    TR__LEAVE_YIELD,
    TR__LEAVE_YIELD_STACK,
    TR__LEAVE_PARK,
    TR__LEAVE_DROP_FRAMES, /* as YIELD, and its frames will never run again */
    TR__LEAVE_END
} tr__leave;

/* What a core saw of another when it looked there for work. */
struct tr__sight {
    uint64_t ticks; /* when */
    uint64_t slices;
    bool will_wait; /* what it made of it */
};

typedef struct tr__core {
    /* others */
    _Alignas(128) tr__proc
        *inbox; /* runnable processes of this core, pushed by other threads: a stack, detached whole */
    struct tr__post *posts;
    uint32_t sleeping; /* 0: up; TR__ASLEEP; TR__DOZING */

    _Alignas(128) tr__runq ring;

    /* thread */
    _Alignas(128) int index;
    pthread_t thread;
    tr__proc *current;
    tr__stack *stack; /* the one `current` runs on */
    tr__leave leave;
    tr__proc *handed; /* chosen to run next, by one that could not give it the thread itself */
    tr__proc *lifo;
    unsigned lifo_run;  /* slices in a row from lifo */
    unsigned turn_left; /* slices that this turn may still run */
    tr__proc *pinned_head, **pinned_tail;
    unsigned global_in; /* slices until the next look at the global queue */
    bool got_up;        /* slept, and has run nothing since */
    tr__home home;
    tr__stack *stacks; /* free ones */
    size_t stacks_free;
    tr__wheel *wheel;
    struct tr__timers *timers;
    tr__proc *slots;                    /* of the process table, taken for who is spawned here next */
    tr__proc *given_head, **given_tail; /* those of the dead, not given back yet */
    uint32_t given;
    struct tr__free_block *pool[TR__MEM_CLASSES]; /* mem.h */
    uint32_t pooled[TR__MEM_CLASSES];
    struct tr__free_block *spare[TR__MEM_CLASSES];
    uint64_t refs;
    uint64_t now_ns,
        now_ticks; /* the clock, and the CPU's count of ticks, when it was read last: tr__core_recent_ns */
    uint32_t random;
    struct tr__sight sights[TR__CORE_MAX];
    tr__stats stats;
    uv_loop_t loop;
    uv_async_t async;
    uv_timer_t alarm;
    uv_prepare_t prepare;
    bool loop_open;
} tr__core;

typedef struct tr__node {
    tr_node_opts opts;
    int core_count;
    tr__core *cores;
    bool running;
    uint32_t stopping;  /* atomic: cores leave their loop */
    uint32_t asleep;    /* atomic: cores that sleep       */
    uint32_t searching; /* atomic: cores that look for work */
    uint32_t stacks;    /* atomic: stacks alive           */
    uint32_t next_core; /* atomic: whom a foreign thread wakes next */
    int64_t live;       /* atomic: processes              */
    pthread_mutex_t global_lock;
    tr__proc *global_head, **global_tail;
    uint32_t global_count; /* atomic */
    int32_t global_from;   /* atomic: the core whose ring ran over into it; -1: threads outside pushed, too */
    tr__stats
        foreign; /* atomic: threads outside, which count also while no node runs; last, see tr_node_start */
} tr__node;

extern tr__node tr__the_node;

/** The core of the calling thread or NULL. Thread-local addresses must not be kept across a switch: gcc on x86-64 reads the
 *  variable through %fs, so there is none to keep; elsewhere, and where reads are instrumented, it is a call. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(TROUPE_SIMULATION) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TR__CORE_SELF_INLINE 1
extern __thread tr__core *tr__this_core __attribute__((tls_model("initial-exec")));
static inline tr__core *tr__core_self(void)
{
    tr__core *core = tr__this_core;
    __asm__ volatile("" : "+r"(core)::"memory"); /* never folded into another read of the thread's variable */
    return core;
}
#else
tr__core *tr__core_self(void);
#endif
void tr__core_enter(tr__core *core); /* this thread now runs core (NULL: none) */
/** The calling process runs a callback of its behaviour, for a message of this name (NULL allowed), until tr__guard_end: meanwhile
 *  tr_exit and tr_error that nothing catches are told to the behaviour (crashed), deeper on the same stack. It costs a few stores
 *  where a tr__catch costs a setjmp. Not nested. */
static inline void tr__guard_begin(const char *message)
{
    tr__stack *stack = tr__core_self()->stack;
    stack->guard = message;
    stack->guarded = true;
}
static inline void tr__guard_end(void)
{
    tr__core_self()->stack->guarded = false;
}
/** In crashed: the name that was given. */
static inline const char *tr__guard_message(void)
{
    return tr__core_self()->stack->guard;
}
/** Counters of the calling thread's core; foreign threads share node.foreign (atomic adds). */
#define TR__COUNT(field, n)                                              \
    do {                                                                 \
        tr__core *count_core_ = tr__core_self();                         \
        if (count_core_ != NULL) {                                       \
            tr__bump(&count_core_->stats.field, (uint64_t)(n));          \
        } else {                                                         \
            tr__add_relaxed(&tr__the_node.foreign.field, (uint64_t)(n)); \
        }                                                                \
    } while (0)

/** A moment ago: not after now, and less than this before it. Several times as quick as the clock itself, where the CPU counts ticks. */
#define TR__RECENT_NS ((uint64_t)1 << 16)
uint64_t tr__core_read_clock(tr__core *core);
static inline uint64_t tr__core_recent_ns(tr__core *core)
{
#if defined(__x86_64__) && !defined(TROUPE_SIMULATION)
    /* One tick is at most a nanosecond on every x86-64 there is; a count that goes back looks like a very long time. */
    if (__builtin_ia32_rdtsc() - core->now_ticks < TR__RECENT_NS) {
        return core->now_ns;
    }
#endif
    return tr__core_read_clock(core);
}

/** Ends core's wait, or its next one. Any thread. */
void tr__core_ring(tr__core *core);
/** Is a queue of any core not empty? */
bool tr__work_is_queued(void);
/** proc is runnable (its inbox left IDLE): queues it where it may run and wakes a thread if need be. */
void tr__schedule(tr__proc *proc);
void tr__schedule_slowly(tr__core *core, tr__proc *proc);
/** Calls a thief when the ring holds more than what this core does next: anything else here may keep it for long. */
void tr__offer(const tr__core *core);

static inline void tr__pinned_push(tr__core *core, tr__proc *proc)
{
    proc->run_next = NULL;
    proc->turn = tr__load_relaxed(&core->ring.tail);
    *core->pinned_tail = proc;
    core->pinned_tail = &proc->run_next;
}

/** The same from a thread whose core this is: mostly for one that has parked here. */
static inline void tr__schedule_on(tr__core *core, tr__proc *proc)
{
    if (tr__load_relaxed(&proc->home) == core->index) {
        tr__pinned_push(core, proc);
        if (tr__load_relaxed(&core->ring.tail) != tr__load_relaxed(&core->ring.head)) {
            tr__offer(core);
        }
    } else {
        tr__schedule_slowly(core, proc);
    }
}
/** The same behind everything that waits on this core. */
void tr__schedule_last(tr__core *core, tr__proc *proc);
/** Runs one process for a slice, and those that it and its followers hand the thread to (slice.c). */
void tr__core_run(tr__core *core, tr__proc *proc);
/** Something runnable, or NULL. */
tr__proc *tr__core_next(tr__core *core);
/** One turn without sleeping. Returns: did anything run. */
bool tr__core_turn(tr__core *core);
/** Runs slices until nothing is left or the turn's budget is used. */
bool tr__core_run_some(tr__core *core);
/** Detaches what other threads pushed, and runs their posts. */
bool tr__core_drain(tr__core *core);
/** Runs what was posted. Returns: was there anything. */
bool tr__core_run_posts(tr__core *core);
void tr__core_init(tr__core *core, int index);
void tr__core_fini(tr__core *core);
void *tr__core_main(void *core);
/** Calls that core if it sleeps. Returns: did this call wake it? */
bool tr__core_wake(tr__core *core);
/** NULL when the system gives no more. stack_max does not bind here: each core can run something. */
tr__stack *tr__core_take_stack(tr__core *core);
/** Is there room for one more free stack? Else giving one destroys it. */
bool tr__core_may_cache(const tr__core *core);
/** May a process of this core keep the stack it runs on, or would that be one more than stack_max? */
bool tr__core_may_keep_stack(const tr__core *core);
void tr__core_give_stack(tr__core *core, tr__stack *stack);

/** A new reference owned by owner. */
tr_ref tr__ref_new(tr_pid owner);

struct tr__timers *tr__timers_create(tr__core *core);
void tr__timers_destroy(struct tr__timers *timers);
size_t tr__timers_count(const struct tr__timers *timers);

#endif
