/* A core: what to run next, whom to wake, when to sleep. The invariants are in core.h. */
#include "runtime/core/core.h"

#include <stdlib.h>

#include "runtime/core/mem.h"
#include "runtime/sim/sim.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/lock.h"

#define TURN_SLICES     256 /* processes run between two looks at the loop */
#define LIFO_MAX        3   /* slices in a row from the LIFO slot */
#define GLOBAL_EVERY    61  /* slices between looks at the global queue */
#define BACKSTOP_MS     500 /* longest sleep: turns a lost wake-up into latency */
#define STACK_CACHE_MAX 256 /* free stacks a core keeps */
#define LINGER_NS \
    20000 /* what an idle core waits for its own work while another runs, before it steals or sleeps */
#define LINGER_LOOKS 16                  /* between two looks at the clock */
#define SIGHT_TICKS  ((uint64_t)1 << 20) /* between two looks at another core's progress: 0.2 to 1 ms */
#define STALE_TICKS  ((uint64_t)1 << 24) /* too long between two looks to say anything */
#define WAIT_TICKS \
    ((uint64_t)1 << 23) /* what a process may be left to wait in another core's ring: 2 to 8 ms */
#define DOZE_MS 1

#ifdef TR__CORE_SELF_INLINE
__thread tr__core *tr__this_core __attribute__((tls_model("initial-exec")));
#else
static __thread tr__core *tr__this_core;

__attribute__((noinline)) tr__core *tr__core_self(void)
{
    tr__core *core = tr__this_core;
    __asm__ volatile("" : "+r"(core)::"memory");
    return core;
}
#endif

void tr__core_enter(tr__core *core)
{
    tr__this_core = core;
}

uint64_t tr__core_read_clock(tr__core *core)
{
#if defined(__x86_64__) && !defined(TROUPE_SIMULATION)
    if (!tr__the_node.opts.virtual_time) {
        core->now_ticks =
            __builtin_ia32_rdtsc(); /* before the clock is read: its age is never thought less than it is */
        core->now_ns = tr__clock_ns();
        return core->now_ns;
    }
#else
    (void)core;
#endif
    return tr__clock_ns();
}

/* ---- waking
 * ----------------------------------------------------------------------------------------------------- */

void tr__core_ring(tr__core *core)
{
    if (tr__sim_is_on()) {
        tr__sim_wake(core->index);
    } else {
        uv_async_send(&core->async);
    }
}

bool tr__core_wake(tr__core *core)
{
    if (tr__load_seq(&core->sleeping) == 0 || tr__xchg_seq(&core->sleeping, 0u) == 0) {
        return false;
    }
    TR__COUNT(wakeups, 1);
    tr__core_ring(core);
    return true;
}

/* There is more than the running cores will do at once: one sleeper may come and take it, unless someone is
 * looking already (who looks at every queue again before it sleeps). first: where to begin. */
static void wake_a_thief(int first)
{
    tr__node *node = &tr__the_node;
    if (tr__load_seq(&node->asleep) == 0 || tr__load_seq(&node->searching) != 0) {
        return;
    }
    for (int i = 0; i < node->core_count; i++) {
        tr__core *core = &node->cores[(first + i) % node->core_count];
        if (tr__load_seq(&core->sleeping) == TR__DOZING) {
            return; /* it looks soon enough */
        }
        /* One that just got up by itself may have other work in mind: then the next is called. */
        if (tr__core_wake(core)) {
            return;
        }
    }
}

/* ---- queues
 * ----------------------------------------------------------------------------------------------------- */

static void inbox_push(tr__core *core, tr__proc *proc)
{
    tr__proc *head = tr__load_relaxed(&core->inbox);
    do {
        proc->run_next = head;
    } while (!tr__cas_seq(&core->inbox, &head, proc));
    tr__core_wake(core);
}

static tr__proc *pinned_pop(tr__core *core)
{
    tr__proc *proc = core->pinned_head;
    if (proc != NULL) {
        core->pinned_head = proc->run_next;
        if (core->pinned_head == NULL) {
            core->pinned_tail = &core->pinned_head;
            core->given_tail = &core->given_head;
        }
    }
    return proc;
}

/* from: the core whose ring ran over; -1: a thread outside, whose work is anybody's at once. */
static void global_push(tr__proc *proc, int32_t from)
{
    tr__node *node = &tr__the_node;
    tr__lock(&node->global_lock);
    if (node->global_head == NULL) {
        tr__store_relaxed(&node->global_from, from);
    } else if (node->global_from != from) {
        tr__store_relaxed(&node->global_from, -1);
    }
    proc->run_next = NULL;
    *node->global_tail = proc;
    node->global_tail = &proc->run_next;
    tr__add_seq(&node->global_count, 1u);
    tr__unlock(&node->global_lock);
}

/* In virtual time everything goes first in, first out; a simulation schedules as real cores do. */
static bool in_order(void)
{
    return tr__the_node.opts.virtual_time && !tr__sim_is_on();
}

/* Would the last of those who wait for that core wait for long? It is measured by what that core did since the last look: who gets
 * nothing done, or has more waiting than it does in a while, is helped. */
static bool will_wait(tr__core *core, int at)
{
    const tr__node *node = &tr__the_node;
    const tr__core *victim = &node->cores[at];
    struct tr__sight *sight = &core->sights[at];
    uint64_t ticks = tr__ticks();
    uint64_t slices = tr__load_relaxed(&victim->stats.slices);
    uint64_t passed = ticks - sight->ticks;
    if (node->opts.virtual_time) {
        return true;
    }
    if (passed < SIGHT_TICKS) {
        return sight->will_wait;
    }
    uint64_t waiting = tr__runq_count(&victim->ring);
    if (tr__load_relaxed(&node->global_from) == at) {
        waiting += tr__load_relaxed(&node->global_count);
    }
    uint64_t done = slices - sight->slices;
    if (done == 0 && passed < WAIT_TICKS) {
        return sight->will_wait; /* perhaps the system runs something else there */
    }
    *sight = (struct tr__sight){ticks, slices, false};
    if (passed < STALE_TICKS) {
        sight->will_wait = waiting != 0 && waiting * passed / (done == 0 ? 1 : done) > WAIT_TICKS;
    }
    return sight->will_wait;
}

/* May this core take from the global queue? It always may what ran over from its own ring. */
static bool global_is_ours(tr__core *core)
{
    int32_t from = tr__load_relaxed(&tr__the_node.global_from);
    return from < 0 || from == core->index || will_wait(core, from);
}

/* The global lock is held. */
static tr__proc *global_first(tr__node *node)
{
    tr__proc *proc = node->global_head;
    if (proc != NULL) {
        node->global_head = proc->run_next;
        if (node->global_head == NULL) {
            node->global_tail = &node->global_head;
        }
        tr__sub_seq(&node->global_count, 1u);
    }
    return proc;
}

/* The oldest one, to run now, and with it this core's share of the others, into the ring: they were pushed one after the other
 * and mostly have to do with each other, so dealt out one by one every message between them would cross. */
static tr__proc *global_pop(tr__core *core)
{
    tr__node *node = &tr__the_node;
    uint32_t count = tr__load_seq(&node->global_count);
    if (count == 0 || !global_is_ours(core)) {
        return NULL;
    }
    uint32_t share = in_order() ? 0 : (count - 1) / (uint32_t)node->core_count;
    uint32_t room = (TR__RUNQ_ROOM - tr__runq_count(&core->ring)) / 2;
    tr__lock(&node->global_lock);
    tr__proc *proc = global_first(node);
    for (uint32_t i = 0; proc != NULL && i < share && i < room; i++) {
        tr__proc *other = global_first(node);
        if (other == NULL || !tr__runq_push(&core->ring, other)) {
            TR_ASSERT(other == NULL); /* only this core pushes here, and there was room */
            break;
        }
    }
    tr__unlock(&node->global_lock);
    return proc;
}

void tr__offer(const tr__core *core)
{
    uint32_t count = tr__the_node.core_count > 1 ? tr__runq_count(&core->ring) : 0;
    bool busy = core->current != NULL || core->lifo != NULL || core->pinned_head != NULL;
    if (count > 1 || (count == 1 && busy)) {
        wake_a_thief(core->index + 1);
    }
}

static void ring_push(tr__core *core, tr__proc *proc)
{
    if (!tr__runq_push(&core->ring, proc)) {
        /* Half of the ring goes with it, or every further push would come here. */
        for (uint32_t i = 0; i < TR__RUNQ_ROOM / 2; i++) {
            tr__proc *old = tr__runq_pop(&core->ring);
            if (old == NULL) {
                break;
            }
            global_push(old, core->index);
        }
        global_push(proc, core->index);
    }
    tr__offer(core);
}

/* Of a thread outside. */
static void schedule_from_outside(tr__proc *proc)
{
    tr__node *node = &tr__the_node;
    int32_t home = tr__load_relaxed(&proc->home);
    if (home >= 0) {
        inbox_push(&node->cores[home], proc);
    } else { /* whichever core is free first takes it; a core's inbox would wait for what runs there */
        global_push(proc, -1);
        wake_a_thief((int)(tr__add_relaxed(&node->next_core, 1u) % (uint32_t)node->core_count));
    }
}

void tr__schedule_slowly(tr__core *core, tr__proc *proc)
{
    int32_t home = tr__load_relaxed(&proc->home);
    if (home >= 0 || in_order()) {
        if (home < 0 || home == core->index) {
            tr__pinned_push(core, proc);
            tr__offer(core);
        } else {
            inbox_push(&tr__the_node.cores[home], proc);
        }
        return;
    }
    tr__proc *old = core->lifo;
    core->lifo = proc;
    if (old != NULL) {
        ring_push(core, old);
    }
}

void tr__schedule(tr__proc *proc)
{
    tr__core *core = tr__core_self();
    if (core == NULL) {
        schedule_from_outside(proc);
    } else {
        tr__schedule_on(core, proc);
    }
}

void tr__schedule_last(tr__core *core, tr__proc *proc)
{
    if (tr__load_relaxed(&proc->home) >= 0 || in_order()) {
        tr__schedule(proc);
    } else {
        ring_push(core, proc);
    }
}

bool tr__core_run_posts(tr__core *core)
{
    if (tr__load_relaxed(&core->posts) == NULL) {
        return false;
    }
    struct tr__post *newest = tr__xchg_acquire(&core->posts, (struct tr__post *)NULL);
    struct tr__post *oldest = NULL;
    while (newest != NULL) {
        struct tr__post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct tr__post *post = oldest;
        oldest = post->next;
        post->fn(post->ctx);
        free(post);
    }
    return true;
}

bool tr__core_drain(tr__core *core)
{
    bool any = false;
    if (tr__load_relaxed(&core->inbox) != NULL) {
        tr__proc *newest = tr__xchg_acquire(&core->inbox, (tr__proc *)NULL);
        tr__proc *oldest = NULL;
        while (newest != NULL) {
            tr__proc *next = newest->run_next;
            newest->run_next = oldest;
            oldest = newest;
            newest = next;
        }
        while (oldest != NULL) {
            tr__proc *next = oldest->run_next;
            tr__schedule_last(core, oldest);
            oldest = next;
            any = true;
        }
    }
    return tr__core_run_posts(core) || any;
}

/* ---- what next
 * -------------------------------------------------------------------------------------------------- */

/* Ring and pinned are one queue in two parts: who is pinned goes after what was in the ring when it came. */
static tr__proc *oldest(tr__core *core)
{
    core->lifo_run = 0;
    tr__proc *proc;
    bool ring_first = core->pinned_head == NULL ||
                      (int32_t)(core->pinned_head->turn - tr__load_acquire(&core->ring.head)) > 0;
    if (ring_first && (proc = tr__runq_pop(&core->ring)) != NULL) {
        return proc;
    }
    if ((proc = pinned_pop(core)) != NULL) {
        return proc;
    }
    return global_pop(core);
}

tr__proc *tr__core_next(tr__core *core)
{
    tr__proc *proc = NULL;
    if (core->global_in-- == 0) {
        core->global_in = GLOBAL_EVERY - 1;
        if ((proc = global_pop(core)) != NULL) {
            return proc;
        }
    }
    if (core->lifo == NULL) {
        return oldest(core);
    }
    proc = core->lifo;
    core->lifo = NULL;
    bool others = core->pinned_head != NULL || tr__runq_count(&core->ring) != 0;
    if (core->lifo_run++ < LIFO_MAX || !others) {
        return proc;
    }
    ring_push(core, proc); /* two that wake each other must not starve the rest */
    return oldest(core);
}

bool tr__work_is_queued(void)
{
    const tr__node *node = &tr__the_node;
    bool any = tr__load_seq(&node->global_count) != 0;
    for (int i = 0; i < node->core_count && !any; i++) {
        any = tr__runq_count(&node->cores[i].ring) != 0;
    }
    return any;
}

static tr__proc *steal(tr__core *core)
{
    tr__node *node = &tr__the_node;
    if (node->core_count == 1) {
        return NULL;
    }
    tr__add_seq(&node->searching, 1u);
    core->random = core->random * 1664525u + 1013904223u;
    uint32_t start = core->random >> 8;
    tr__proc *proc = NULL;
    for (uint32_t i = 0; i < (uint32_t)node->core_count && proc == NULL; i++) {
        int at = (int)((start + i) % (uint32_t)node->core_count);
        tr__core *victim = &node->cores[at];
        if (victim != core && tr__runq_count(&victim->ring) != 0 && will_wait(core, at)) {
            proc = tr__runq_steal(&core->ring, &victim->ring);
        }
    }
    bool last = tr__sub_seq(&node->searching, 1u) == 1;
    if (proc != NULL) {
        tr__bump(&core->stats.steals, 1u);
        if (last && tr__work_is_queued()) {
            wake_a_thief(core->index + 1); /* whoever pushed while we looked woke nobody */
        }
    }
    return proc;
}

static bool has_own_work(const tr__core *core)
{
    return core->lifo != NULL || core->pinned_head != NULL || tr__runq_count(&core->ring) != 0 ||
           tr__load_relaxed(&core->inbox) != NULL || tr__load_relaxed(&core->posts) != NULL;
}

/* Called ones count: they are about to run. */
static bool another_is_up(const tr__core *core)
{
    const tr__node *node = &tr__the_node;
    for (int i = 0; i < node->core_count; i++) {
        if (i != core->index && tr__load_relaxed(&node->cores[i].sleeping) == 0) {
            return true;
        }
    }
    return false;
}

/* While another core runs, what it sends here comes within microseconds: no system call wakes who is still up. And what waits there
 * for less is better left to it: a process that parks stays with the core it parked on, so one stolen here and one there makes every
 * message between them cross. Nobody counts on this: a pusher that sees no sleeper is safe because we search and sleep by the rules
 * after. Returns: is there work of our own? */
static bool linger(const tr__core *core)
{
    const tr__node *node = &tr__the_node;
    if (node->core_count == 1 || node->opts.virtual_time || tr__sim_is_on()) {
        return false;
    }
    uint64_t end = tr__clock_ns() + LINGER_NS;
    do {
        for (int i = 0; i < LINGER_LOOKS; i++) {
            if (has_own_work(core)) {
                return true;
            }
            tr__cpu_relax();
        }
    } while (another_is_up(core) && tr__load_relaxed(&node->stopping) == 0 && tr__clock_ns() < end);
    return false;
}

/* Whoever got up takes one process, which may keep it for long, and may have been called for another: so it calls the next. */
static void pass_on_the_call(tr__core *core)
{
    core->got_up = false;
    if (tr__work_is_queued()) {
        wake_a_thief(core->index + 1);
    }
}

bool tr__core_run_some(tr__core *core)
{
    core->turn_left = TURN_SLICES;
    while (core->turn_left > 0) {
        tr__proc *proc = tr__core_next(core);
        if (proc == NULL) {
            if (!tr__core_drain(core)) {
                break;
            }
            continue;
        }
        if (core->got_up) {
            pass_on_the_call(core);
        }
        tr__core_run(core, proc);
    }
    return core->turn_left == 0;
}

bool tr__core_turn(tr__core *core)
{
    tr__node *node = &tr__the_node;
    int index = core->index;
    tr__core_drain(core);
    tr__wheel_advance(core->wheel, tr__clock_ms(), 4096);
    bool more = false;
    if (node->opts.hooks.before_run != NULL) {
        more = node->opts.hooks.before_run(index, node->opts.hooks.ctx);
    }
    more = tr__core_run_some(core) || more;
    if (node->opts.hooks.after_run != NULL) {
        more = node->opts.hooks.after_run(index, node->opts.hooks.ctx) || more;
    }
    if (!more && linger(core)) {
        return true;
    }
    if (!more) {
        tr__proc *stolen = steal(core);
        if (stolen != NULL) {
            if (core->got_up) {
                pass_on_the_call(core);
            }
            core->turn_left = 1;
            tr__core_run(core, stolen);
            more = true;
        }
    }
    return more || core->lifo != NULL || core->pinned_head != NULL || tr__runq_count(&core->ring) != 0;
}

/* ---- sleeping
 * --------------------------------------------------------------------------------------------------- */

static void alarm_rang(uv_timer_t *alarm)
{
    (void)alarm; /* only ends the wait */
}

/* The loop runs timers before it polls: an alarm that rang by then would end no wait, and what the program's
 * own timers made runnable would wait for the next event. */
static void before_poll(uv_prepare_t *prepare)
{
    const tr__core *core = prepare->data;
    bool runnable = core->lifo != NULL || core->pinned_head != NULL || tr__runq_count(&core->ring) != 0;
    if (runnable || !uv_is_active((const uv_handle_t *)&core->alarm)) {
        uv_stop(prepare->loop); /* poll, but do not wait */
    }
}

static void async_rang(uv_async_t *async)
{
    (void)async;
}

/* Is there work that this core may take now, as steal and global_pop see it? */
static bool work_is_ours(tr__core *core)
{
    const tr__node *node = &tr__the_node;
    bool any = tr__load_seq(&node->global_count) != 0 && global_is_ours(core);
    for (int i = 0; i < node->core_count && !any; i++) {
        any = tr__runq_count(&node->cores[i].ring) != 0 && (i == core->index || will_wait(core, i));
    }
    return any;
}

static bool nothing_to_do(tr__core *core)
{
    const tr__node *node = &tr__the_node;
    return tr__load_seq(&core->inbox) == NULL && tr__load_seq(&core->posts) == NULL &&
           tr__load_seq(&node->stopping) == 0 && !work_is_ours(core);
}

static int64_t sleep_ms(const tr__core *core, int64_t longest)
{
    int64_t next = tr__wheel_next(core->wheel);
    if (next == INT64_MAX) {
        return longest;
    }
    uint64_t now = tr__clock_ns();
    int64_t wait =
        next -
        (int64_t)(now / 1000000u); /* libuv's own clock rounds down too: never late by more than 1 ms */
    return wait < 0 ? 0 : wait > longest ? longest : wait;
}

static void loop_poll(tr__core *core)
{
    if (core->loop_open) {
        uv_run(&core->loop, UV_RUN_NOWAIT);
    }
}

static void loop_wait(tr__core *core, int64_t ms)
{
    if (tr__sim_is_on()) {
        tr__sim_sleep();
        return;
    }
    uv_update_time(&core->loop);
    uv_timer_start(&core->alarm, alarm_rang, (uint64_t)ms, 0);
    uv_run(&core->loop, UV_RUN_ONCE);
    uv_timer_stop(&core->alarm);
}

/* There is nothing to do, but perhaps work that will ripen: then the sleep is a doze, unless somebody has called already.
 * Returns: how long, at most. */
static int64_t doze(tr__core *core)
{
    uint32_t asleep = TR__ASLEEP;
    if (tr__the_node.opts.virtual_time || !tr__work_is_queued()) {
        return BACKSTOP_MS; /* in virtual time all work is ripe, and nobody gets up by himself */
    }
    (void)tr__cas_seq(&core->sleeping, &asleep, TR__DOZING);
    return DOZE_MS;
}

/* Publishes the sleep, looks once more, then waits for I/O, a wake-up, the next timer, or the backstop. */
static void core_sleep(tr__core *core)
{
    tr__node *node = &tr__the_node;
    tr__xchg_seq(&core->sleeping, TR__ASLEEP);
    tr__add_seq(&node->asleep, 1u);
    int64_t wait = tr__planted(TR__PLANT_LOST_WAKE) || nothing_to_do(core) ? sleep_ms(core, doze(core)) : 0;
    if (wait > 0) {
        loop_wait(core, wait);
    }
    core->got_up = true;
    tr__sub_seq(&node->asleep, 1u);
    tr__xchg_seq(&core->sleeping, 0u);
    if (wait <= 0) {
        loop_poll(core);
    }
}

/* ---- stacks
 * ----------------------------------------------------------------------------------------------------- */

tr__stack *tr__core_take_stack(tr__core *core)
{
    tr__stack *stack = core->stacks;
    if (stack != NULL) {
        core->stacks = stack->next;
        tr__store_relaxed(&core->stacks_free, core->stacks_free - 1);
        return stack;
    }
    if (tr__sim_fails(TR__SIM_STACK)) {
        return NULL;
    }
    stack = tr__stack_create(tr__the_node.opts.stack_bytes, tr__slice_entry);
    if (stack != NULL) {
        tr__add_relaxed(&tr__the_node.stacks, 1u);
    }
    return stack;
}

bool tr__core_may_keep_stack(const tr__core *core)
{
    return core->stacks_free != 0 || tr__load_relaxed(&tr__the_node.stacks) < tr__the_node.opts.stack_max;
}

bool tr__core_may_cache(const tr__core *core)
{
    return core->stacks_free < STACK_CACHE_MAX;
}

void tr__core_give_stack(tr__core *core, tr__stack *stack)
{
    if (!tr__core_may_cache(core)) {
        tr__stack_destroy(stack);
        tr__sub_relaxed(&tr__the_node.stacks, 1u);
        return;
    }
    stack->next = core->stacks;
    core->stacks = stack;
    tr__store_relaxed(&core->stacks_free, core->stacks_free + 1);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------- */

void tr__core_init(tr__core *core, int index)
{
    core->index = index;
    core->pinned_tail = &core->pinned_head;
    core->given_tail = &core->given_head;
    core->random = (uint32_t)index * 2654435761u + 12345u;
    core->wheel = tr__wheel_create(tr__clock_ms());
    core->timers = tr__timers_create(core);
    TR_ASSERT(core->wheel != NULL && core->timers != NULL);
    if (!tr__the_node.opts.virtual_time) {
        TR_ASSERT(uv_loop_init(&core->loop) == 0);
        TR_ASSERT(uv_async_init(&core->loop, &core->async, async_rang) == 0);
        TR_ASSERT(uv_timer_init(&core->loop, &core->alarm) == 0);
        TR_ASSERT(uv_prepare_init(&core->loop, &core->prepare) == 0);
        core->prepare.data = core;
        TR_ASSERT(uv_prepare_start(&core->prepare, before_poll) == 0);
        core->loop_open = true;
    }
}

static void loop_close(tr__core *core)
{
    uv_close((uv_handle_t *)&core->async, NULL);
    uv_close((uv_handle_t *)&core->alarm, NULL);
    uv_close((uv_handle_t *)&core->prepare, NULL);
    while (uv_run(&core->loop, UV_RUN_DEFAULT) != 0) {
    }
    TR_ASSERT(uv_loop_close(&core->loop) == 0);
}

void tr__core_fini(tr__core *core)
{
    if (core->loop_open) {
        loop_close(core);
    }
    tr__timers_destroy(core->timers);
    tr__wheel_destroy(core->wheel);
    while (core->stacks != NULL) {
        tr__stack *stack = core->stacks;
        core->stacks = stack->next;
        tr__stack_destroy(stack);
    }
    tr__mem_core_fini(core);
}

void *tr__core_main(void *arg)
{
    tr__core *core = arg;
    tr__node *node = &tr__the_node;
    tr__core_enter(core);
    tr__home_init(&core->home);
    while (tr__load_acquire(&node->stopping) == 0) {
        if (tr__core_turn(core)) {
            loop_poll(core);
        } else {
            core_sleep(core);
        }
    }
    tr__core_enter(NULL);
    return NULL;
}
