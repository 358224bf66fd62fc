/* Running a process: the loop on a borrowed stack, parking in the middle, and the scheduler's side of both.
 * */
#include "runtime/core/core.h"
#include "runtime/core/mem.h"
#include "runtime/core/message.h"
#include "runtime/sys/clock.h"

#define SLICE_CALLBACKS 64
#define TIMEOUT_MAX_MS  ((int64_t)1 << 48)

/* ---- on the process's stack
 * ------------------------------------------------------------------------------------- */

static void callback_done(tr__proc *proc)
{
    tr__bump(&proc->reductions, 1u);
    tr__held_drop_all(proc);
    if (proc->scratch.top != NULL) {
        tr__scratch_fini(&proc->scratch);
    }
}

void tr__boundary(tr_msg *keep)
{
    tr__proc *proc = tr__proc_self();
    if (keep != NULL) {
        tr__msg_unhold(keep);
    }
    callback_done(proc);
    if (keep != NULL) {
        tr__held_add(proc, keep);
    }
    if (proc->reductions % SLICE_CALLBACKS == 0 && !proc->behaviour->never_parks) {
        tr_yield();
    }
    tr__fetch(proc);
}

static tr_msg *next_message(tr__proc *proc)
{
    tr_msg **at = &proc->head;
    if (proc->filter != NULL) {
        for (at = proc->scan; *at != NULL && !proc->filter(proc->data, *at);) {
            at = &(*at)->tr__next;
        }
        proc->scan = at;
    }
    return *at == NULL ? NULL : tr__queue_take(proc, at);
}

static void first_run(tr__proc *proc)
{
    proc->started = true;
    tr__boot(proc);
    if (proc->behaviour->start != NULL) {
        proc->behaviour->start(proc->data);
    }
    callback_done(proc);
}

/* Returns true when it rested: then the process is not ours any more. */
static bool run_slice(tr__proc *proc)
{
    const tr__behaviour *behaviour = proc->behaviour;
    if (!proc->started) {
        tr__fetch(proc);
        first_run(proc);
    }
    for (int budget = SLICE_CALLBACKS; budget > 0; budget--) {
        tr__fetch(proc);
        tr_msg *msg = next_message(proc);
        if (msg != NULL) {
            tr__held_add(proc, msg);
            behaviour->handle(proc->data, msg);
            callback_done(proc);
        } else if (behaviour->idle != NULL && behaviour->idle(proc->data)) {
            callback_done(proc);
        } else if (tr__inbox_rest(proc)) {
            return true;
        }
    }
    return false;
}

/* proc is what this thread runs from now on, on that stack. */
static inline void run_on(tr__core *core, tr__proc *proc, tr__stack *stack)
{
    core->turn_left--;
    core->current = proc;
    core->stack = stack;
    tr__store_relaxed(&proc->status, (uint8_t)TR_STATUS_RUNNING);
    tr__bump(&core->stats.slices, 1u);
}

/* It runs on the stack it parked on, which is its own no longer. */
static inline tr__stack *take_parked(tr__proc *proc)
{
    tr__stack *stack = proc->stack;
    proc->stack = NULL;
    if (!proc->bound) {
        tr__store_relaxed(&proc->home, -1);
    }
    return stack;
}

/* From the stack of one process to that of the next, in this turn of the scheduler. */
static inline void cross(tr__core *core, tr__stack *from, tr__proc *next, tr__stack *to)
{
    run_on(core, next, to);
    tr__stack_cross(from, to);
}

/* The slice that ran on this stack is over and its process rests: the next one, if this turn has one left, runs here at once
 * (true) or, having frames of its own, there, until somebody wants this stack again (true). */
static bool go_on(tr__core *core)
{
    tr__stack *mine = core->stack;
    if (core->turn_left == 0 || !tr__core_may_cache(core)) {
        return false;
    }
    tr__proc *next = tr__core_next(core);
    if (next == NULL) {
        return false;
    }
    if (next->stack == NULL) {
        run_on(core, next, mine);
        return true;
    }
    tr__core_give_stack(core, mine);
    cross(core, mine, next, take_parked(next));
    return true;
}

void tr__slice_entry(void)
{
    tr__core *core = tr__core_self();
    tr__stack_entered(&core->home, core->stack);
    for (;;) {
        core = tr__core_self();
        bool rested = run_slice(core->current);
        core = tr__core_self();
        if (rested && go_on(core)) {
            continue;
        }
        core->leave = rested ? TR__LEAVE_NOTHING : TR__LEAVE_YIELD;
        tr__stack_leave(&core->home, core->stack);
    }
}

void tr__drop_frames(void)
{
    tr__core *core = tr__core_self();
    callback_done(core->current);
    core->leave = TR__LEAVE_DROP_FRAMES;
    tr__stack_abandon(&core->home, core->stack);
}

void tr__become(const tr__behaviour *behaviour, size_t data_bytes, void (*fill)(void *data, void *ctx),
                void *ctx)
{
    tr__proc *proc = tr__proc_self();
    TR_CHECK(proc != NULL && proc->behaviour == &tr__plain_behaviour);
    void *old = proc->data;
    uint32_t old_bytes = proc->data_bytes;
    fill(tr__data_alloc(proc, data_bytes), ctx);
    tr__mem_free(old, old_bytes, tr__mem_class(old_bytes));
    tr__store_relaxed(&proc->memory, proc->memory - old_bytes);
    proc->report_crash = true;
    tr__store_relaxed(&proc->behaviour, behaviour);
    behaviour->start(proc->data);
    tr__drop_frames();
}

static void leave(tr__proc *proc, tr__leave how)
{
    tr__core *core = tr__core_self();
    TR_ASSERT(core->current == proc);
    core->leave = how;
    tr__stack_leave(&core->home, core->stack);
}

static tr_term out_of_stacks(void)
{
    return tr_tuple(tr_atom("system_limit"), tr_atom("stacks"));
}

/* From now on only this thread may run it. */
static inline void keep_stack(tr__core *core, tr__proc *proc, tr__stack *stack)
{
    proc->stack = stack;
    tr__store_relaxed(&proc->home, core->index);
    tr__bump(&core->stats.parked, 1u);
}

/* Parks and gives the thread to the next process without the scheduler in between. Returns false when that cannot be: the turn is
 * over, or nothing is runnable. Between its rest and the crossing the process still runs on frames that it has published as parked:
 * nobody but this thread may enter them (its home is this core), and that is here. */
static inline bool park_over(tr__core *core, tr__proc *proc)
{
    tr__proc *next = core->turn_left == 0 ? NULL : tr__core_next(core);
    if (next == NULL) {
        return false;
    }
    tr__stack *to = next->stack != NULL ? take_parked(next) : tr__core_take_stack(core);
    if (to == NULL) {
        core->handed = next; /* for want of a stack it ends, on the scheduler's */
        return false;
    }
    tr__stack *mine = core->stack;
    keep_stack(core, proc, mine);
    if (!tr__inbox_rest(proc)) {
        tr__schedule(proc); /* mail came meanwhile: its turn is after next's */
    }
    cross(core, mine, next, to);
    return true;
}

void tr__park(tr__proc *proc)
{
    TR_ASSERT(!proc->behaviour->never_parks);
    tr__core *core = tr__core_self();
    if (!tr__core_may_keep_stack(core)) {
        tr__proc_end(proc, out_of_stacks(), false);
    }
    if (!park_over(core, proc)) {
        leave(proc, TR__LEAVE_PARK);
    }
}

void tr_yield(void)
{
    tr__proc *proc = tr__proc_self();
    TR_ASSERT(proc != NULL);
    if (tr__core_may_keep_stack(tr__core_self())) { /* else it goes on: better unfair than dead */
        leave(proc, TR__LEAVE_YIELD_STACK);
    }
    tr__fetch(proc);
}

/* ---- parking with a deadline: the timer lives on the parked stack, in the wheel of the core that is its
 * home ---- */

struct park_timer {
    tr__wheel_node node;
    tr__proc *proc;
};

static void park_timer_fire(tr__wheel_node *node)
{
    tr__proc *proc = ((struct park_timer *)(void *)node)->proc;
    proc->timer_fired = true;
    tr__inbox_wake(proc);
}

bool tr__park_until(tr__proc *proc, int64_t deadline_ms)
{
    if (deadline_ms == TR_INFINITY) {
        tr__park(proc);
        return true;
    }
    tr__core *core = tr__core_self();
    if (!tr__core_may_keep_stack(core)) {
        tr__proc_end(proc, out_of_stacks(), false);
    }
    struct park_timer timer = {.node = {.deadline_ms = deadline_ms, .fire = park_timer_fire}, .proc = proc};
    proc->timer_fired = false;
    tr__wheel_add(core->wheel, &timer.node);
    core->stack->park_timer = &timer.node;
    tr__park(proc);
    tr__core_self()->stack->park_timer = NULL;
    if (tr__wheel_pending(&timer.node)) {
        tr__wheel_remove(tr__core_self()->wheel, &timer.node);
    }
    return !proc->timer_fired;
}

int64_t tr__deadline(int64_t timeout_ms)
{
    if (timeout_ms == TR_INFINITY) {
        return TR_INFINITY;
    }
    tr__core *core = tr__core_self();
    uint64_t now = core == NULL || tr__the_node.opts.virtual_time ? tr__clock_ns()
                                                                  : tr__core_recent_ns(core) + TR__RECENT_NS;
    int64_t in_ms = timeout_ms < 0 ? 0 : timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : timeout_ms;
    return (int64_t)((now + 999999u) / 1000000u) + in_ms;
}

/* ---- on the scheduler's stack
 * ----------------------------------------------------------------------------------- */

static void bury_current(tr__core *core, tr__proc *proc, tr__stack *stack)
{
    if (stack->park_timer != NULL && tr__wheel_pending(stack->park_timer)) {
        tr__wheel_remove(core->wheel, stack->park_timer);
    }
    tr__stack_reset(stack);
    tr__core_give_stack(core, stack);
    core->current = NULL;
    tr__proc_bury(proc);
}

static void park_current(tr__core *core, tr__proc *proc, tr__stack *stack)
{
    keep_stack(core, proc, stack);
    core->current = NULL;
    if (!tr__inbox_rest(proc)) {
        tr__schedule(proc);
    }
}

static void yield_current(tr__core *core, tr__proc *proc, tr__stack *stack)
{
    core->current = NULL;
    tr__store_relaxed(&proc->status, (uint8_t)TR_STATUS_RUNNABLE);
    if (core->leave == TR__LEAVE_YIELD_STACK) {
        proc->stack = stack;
        tr__store_relaxed(&proc->home, core->index);
    } else {
        tr__core_give_stack(core, stack);
    }
    tr__schedule_last(core, proc);
}

/* The system gave no stack: the process that needed one ends, the others go on. */
static void end_without_stack(tr__proc *proc)
{
    tr_scratch_mark mark = tr_scratch();
    tr__proc_doom(proc, out_of_stacks(), false);
    tr_scratch_release(mark);
    tr__proc_bury(proc);
}

/* What came back is not always what was run: it may have handed the thread on. */
static void come_back(tr__core *core)
{
    tr__proc *proc = core->current;
    tr__stack *stack = core->stack;
    switch (core->leave) {
    case TR__LEAVE_NOTHING: /* rested: proc may be running elsewhere by now */
        core->current = NULL;
        tr__core_give_stack(core, stack);
        break;
    case TR__LEAVE_YIELD:
    case TR__LEAVE_YIELD_STACK:
        yield_current(core, proc, stack);
        break;
    case TR__LEAVE_DROP_FRAMES:
        tr__stack_reset(stack);
        yield_current(core, proc, stack);
        break;
    case TR__LEAVE_PARK:
        park_current(core, proc, stack);
        break;
    case TR__LEAVE_END:
        bury_current(core, proc, stack);
        break;
    }
}

void tr__core_run(tr__core *core, tr__proc *proc)
{
    tr__stack *stack = proc->stack != NULL ? take_parked(proc) : tr__core_take_stack(core);
    if (stack == NULL) {
        core->turn_left--;
        end_without_stack(proc);
        return;
    }
    run_on(core, proc, stack);
    tr__stack_enter(&core->home, stack);
    come_back(core);
    if (core->handed != NULL) {
        proc = core->handed;
        core->handed = NULL;
        tr__core_run(core, proc);
    }
}
