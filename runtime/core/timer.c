/* Timers that people see: a table per core from reference to timer, over the core's wheel. Another core's
 * timer is cancelled or read by a post to that core, answered by a message. */
#include <troupe/timer.h>

#include <stdlib.h>
#include <string.h>

#include "runtime/core/box.h"
#include "runtime/core/core.h"
#include "runtime/core/message.h"
#include "runtime/sim/sim.h"
#include "runtime/sys/clock.h"

enum timer_kind { TIMER_SEND, TIMER_START, TIMER_INTERVAL, TIMER_EXIT, TIMER_APPLY, TIMER_APPLY_INTERVAL };

struct timer {
    tr__wheel_node node; /* first: fire() gets it */
    struct timer *chain;
    struct tr__timers *timers;
    tr_ref ref;
    enum timer_kind kind;
    tr_msg_kind as; /* START */
    tr_dest dest;   /* its name is kept; APPLY_INTERVAL: who set it */
    tr_msg *msg;    /* EXIT: its exit signal */
    int64_t period_ms;
    tr_main_fn fn;
    uint32_t arg_bytes;
    uint8_t mem_class; /* from the pools of the core it belongs to */
    uint64_t arg[];
};

struct tr__timers {
    struct timer **buckets;
    size_t room, count;
    tr__core *core;
};

struct tr__timers *tr__timers_create(tr__core *core)
{
    struct tr__timers *timers = calloc(1, sizeof(*timers));
    if (timers != NULL) {
        timers->room = 64;
        timers->buckets = calloc(timers->room, sizeof(struct timer *));
        timers->core = core;
        TR_ASSERT(timers->buckets != NULL);
    }
    return timers;
}

size_t tr__timers_count(const struct tr__timers *timers)
{
    return tr__load_relaxed(&timers->count);
}

static inline struct timer **bucket_of(struct tr__timers *timers, uint64_t id)
{
    return &timers->buckets[(id * 0x9e3779b97f4a7c15u >> 32) & (timers->room - 1)];
}

static void grow(struct tr__timers *timers)
{
    struct timer **old = timers->buckets;
    size_t old_room = timers->room;
    timers->room *= 2;
    timers->buckets = calloc(timers->room, sizeof(struct timer *));
    TR_ASSERT(timers->buckets != NULL);
    for (size_t i = 0; i < old_room; i++) {
        while (old[i] != NULL) {
            struct timer *timer = old[i];
            old[i] = timer->chain;
            struct timer **at = bucket_of(timers, timer->ref.id);
            timer->chain = *at;
            *at = timer;
        }
    }
    free(old);
}

static inline struct timer **find(struct tr__timers *timers, tr_ref ref)
{
    struct timer **at = bucket_of(timers, ref.id);
    while (*at != NULL && !tr_ref_equal((*at)->ref, ref)) {
        at = &(*at)->chain;
    }
    return at;
}

/* at: the link that leads to it. */
static inline void unchain_at(struct tr__timers *timers, struct timer **at)
{
    *at = (*at)->chain;
    tr__store_relaxed(&timers->count, timers->count - 1);
}

static void unchain(struct timer *timer)
{
    unchain_at(timer->timers, find(timer->timers, timer->ref));
}

static void timer_free(struct timer *timer)
{
    if (timer->msg != NULL) {
        tr__msg_free(timer->msg);
    }
    if (tr__is_box(timer->dest.name)) {
        tr_term_free(timer->dest.name);
    }
    tr__mem_free(timer, sizeof(*timer) + timer->arg_bytes, timer->mem_class);
}

void tr__timers_destroy(struct tr__timers *timers)
{
    for (size_t i = 0; i < timers->room; i++) {
        while (timers->buckets[i] != NULL) {
            struct timer *timer = timers->buckets[i];
            timers->buckets[i] = timer->chain;
            timer_free(timer);
        }
    }
    free(timers->buckets);
    free(timers);
}

/* ---- firing
 * ----------------------------------------------------------------------------------------------------- */

static bool target_is_gone(const struct timer *timer)
{
    return timer->dest.kind == TR_TO_PID && !tr__proc_is_alive(timer->dest.pid);
}

static void deliver(const struct timer *timer, tr_msg *msg)
{
    if (timer->kind == TIMER_START) {
        (void)tr__send_kind(timer->dest, timer->as, timer->ref, msg);
    } else if (timer->kind == TIMER_EXIT) {
        if (tr__push(tr_whereis(timer->dest), msg) != TR_OK) {
            tr__msg_free(msg);
        }
    } else {
        (void)tr_send_msg(timer->dest, msg);
    }
}

static void apply(const struct timer *timer)
{
    (void)!tr_spawn(&(tr_spawn_opts){.label = "timer"}, timer->fn, timer->arg, timer->arg_bytes, NULL);
}

static void fire_interval(struct timer *timer)
{
    if (target_is_gone(timer)) {
        unchain(timer);
        timer_free(timer);
        return;
    }
    if (timer->kind == TIMER_APPLY_INTERVAL) {
        apply(timer);
    } else {
        deliver(timer, tr__msg_make(timer->msg->type, tr_msg_data(timer->msg), TR_MSG_INFO, TR_NO_REF));
    }
    timer->node.deadline_ms += timer->period_ms; /* absolute schedule: no drift */
    tr__wheel_add(timer->timers->core->wheel, &timer->node);
}

static void fire(tr__wheel_node *node)
{
    struct timer *timer = (struct timer *)(void *)node;
    if (timer->kind == TIMER_INTERVAL || timer->kind == TIMER_APPLY_INTERVAL) {
        fire_interval(timer);
        return;
    }
    unchain(timer);
    if (timer->kind == TIMER_APPLY) {
        apply(timer);
    } else {
        deliver(timer, timer->msg);
        timer->msg = NULL;
    }
    timer_free(timer);
}

/* ---- setting
 * ---------------------------------------------------------------------------------------------------- */

static struct timer *timer_new(enum timer_kind kind, tr_dest dest, tr_msg *msg, size_t arg_bytes)
{
    tr__core *core = tr__core_self();
    TR_ASSERT(core != NULL && arg_bytes <= UINT32_MAX - sizeof(struct timer));
    if (msg != NULL) {
        tr__msg_unhold(msg);
    }
    uint8_t mem_class;
    struct timer *timer = tr__mem_alloc_surely(sizeof(*timer) + arg_bytes, &mem_class);
    timer->timers = core->timers;
    timer->ref = tr__ref_new(core->current == NULL ? TR_NO_PID : core->current->pid);
    timer->kind = kind;
    timer->as = TR_MSG_INFO;
    timer->dest = dest;
    timer->dest.name = tr__is_box(dest.name) ? tr_term_keep(dest.name) : dest.name;
    timer->msg = msg;
    timer->period_ms = 0;
    timer->fn = NULL;
    timer->arg_bytes = (uint32_t)arg_bytes;
    timer->mem_class = mem_class;
    return timer;
}

static tr_ref timer_set(struct timer *timer, int64_t ms)
{
    struct tr__timers *timers = timer->timers;
    if (timers->count >= timers->room) {
        grow(timers);
    }
    struct timer **at = bucket_of(timers, timer->ref.id);
    timer->chain = *at;
    *at = timer;
    tr__store_relaxed(&timers->count, timers->count + 1);
    timer->node.deadline_ms = tr__deadline(ms < 0 ? 0 : ms);
    timer->node.fire = fire;
    tr__wheel_add(timers->core->wheel, &timer->node);
    return timer->ref;
}

tr_ref tr_send_after(int64_t ms, tr_dest dest, tr_msg *msg)
{
    return timer_set(timer_new(TIMER_SEND, dest, msg, 0), ms);
}

tr_ref tr_start_timer(int64_t ms, tr_dest dest, tr_msg *msg)
{
    struct timer *timer = timer_new(TIMER_START, dest, msg, 0);
    timer->as = TR_MSG_TIMER;
    return timer_set(timer, ms);
}

/* What tr__deadline makes at_ms of again: never early, however late it is read. */
static int64_t ms_until(int64_t at_ms)
{
    int64_t now = tr__deadline(0);
    return at_ms > now ? at_ms - now : 0;
}

tr_ref tr_send_at(int64_t at_ms, tr_dest dest, tr_msg *msg)
{
    return tr_send_after(ms_until(at_ms), dest, msg);
}

tr_ref tr_start_timer_at(int64_t at_ms, tr_dest dest, tr_msg *msg)
{
    return tr_start_timer(ms_until(at_ms), dest, msg);
}

tr_ref tr__timer_start(int64_t ms, tr_pid to, tr_msg_kind kind, tr_msg *msg)
{
    struct timer *timer = timer_new(TIMER_START, tr_to(to), msg, 0);
    timer->as = kind;
    return timer_set(timer, ms);
}

static tr_ref set_interval(struct timer *timer, int64_t ms)
{
    timer->period_ms = ms < 1 ? 1 : ms;
    return timer_set(timer, timer->period_ms);
}

tr_ref tr_send_interval(int64_t ms, tr_dest dest, tr_msg *msg)
{
    if (ms < 0) {
        tr_msg_drop(msg);
        return TR_NO_REF;
    }
    return set_interval(timer_new(TIMER_INTERVAL, dest, msg, 0), ms);
}

/* The signal is the timer's own, not the setter's: a parent's EXIT would end a server, and one's own normal end oneself. */
tr_ref tr_exit_after(int64_t ms, tr_dest dest, tr_term reason)
{
    if (ms < 0) {
        return TR_NO_REF;
    }
    return timer_set(timer_new(TIMER_EXIT, dest, tr__exit_make(TR__SIG_EXIT, TR_NO_PID, reason), 0), ms);
}

static struct timer *apply_new(enum timer_kind kind, tr_pid setter, tr_main_fn fn, const void *arg,
                               size_t arg_bytes)
{
    struct timer *timer = timer_new(kind, tr_to(setter), NULL, arg_bytes);
    timer->fn = fn;
    if (arg_bytes != 0) {
        memcpy(timer->arg, arg, arg_bytes);
    }
    return timer;
}

tr_ref tr_apply_after(int64_t ms, tr_main_fn fn, const void *arg, size_t arg_bytes)
{
    if (ms < 0) {
        return TR_NO_REF;
    }
    return timer_set(apply_new(TIMER_APPLY, TR_NO_PID, fn, arg, arg_bytes), ms);
}

tr_ref tr_apply_interval(int64_t ms, tr_main_fn fn, const void *arg, size_t arg_bytes)
{
    if (ms < 0) {
        return TR_NO_REF;
    }
    return set_interval(apply_new(TIMER_APPLY_INTERVAL, tr_self(), fn, arg, arg_bytes), ms);
}

/* ---- cancelling and reading
 * ------------------------------------------------------------------------------------- */

/* On the core that holds it. Returns: ms left or -1. */
static int64_t timer_look(struct tr__timers *timers, tr_ref ref, bool cancel)
{
    struct timer **at = find(timers, ref);
    struct timer *timer = *at;
    if (timer == NULL) {
        return -1;
    }
    int64_t left =
        timer->node.deadline_ms - tr__deadline(0); /* whole milliseconds: never more than was asked for */
    left = target_is_gone(timer) ? -1 : left < 0 ? 0 : left;
    if (cancel) {
        tr__wheel_remove(timers->core->wheel, &timer->node);
        unchain_at(timers, at);
        timer_free(timer);
    }
    return left;
}

TR_MESSAGE(tr__timer_left, { int64_t ms; });

struct remote_look {
    tr_ref timer, asker;
    bool cancel;
};

static bool cancels(const struct remote_look *look)
{
    return look->cancel && !tr__planted(TR__PLANT_CANCELLED_FIRES);
}

static void remote_look(void *ctx)
{
    struct remote_look *look = ctx;
    int64_t left = timer_look(tr__core_self()->timers, look->timer, cancels(look));
    if (look->asker.id != 0) {
        tr_msg *msg =
            tr__msg_make(TR_TYPE(tr__timer_left), &(tr__timer_left){left}, TR_MSG_REPLY, look->asker);
        msg->tr__flags |= TR__F_ALIAS | TR__F_OWN;
        if (tr__push(look->asker.owner, msg) != TR_OK) {
            tr__msg_free(msg);
        }
    }
    free(look);
}

static int64_t look_from_anywhere(tr_ref ref, bool cancel, bool wants_answer)
{
    uint64_t at = ref.id >> 56;
    tr__core *core = tr__core_self();
    if (ref.id == 0 || at >= (uint64_t)tr__the_node.core_count) {
        return -1;
    }
    if (core != NULL && (uint64_t)core->index == at) {
        return timer_look(core->timers, ref, cancel);
    }
    tr__proc *self = tr__proc_self();
    bool waits = wants_answer && self != NULL && !self->behaviour->never_parks;
    struct remote_look *look = malloc(sizeof(*look));
    TR_ASSERT(look != NULL);
    *look = (struct remote_look){.timer = ref, .cancel = cancel};
    if (waits) {
        look->asker = tr_alias(TR_ALIAS_REPLY);
    }
    tr_ref asker = look->asker;
    tr_node_post((int)at, remote_look, look);
    if (!waits) {
        return -1;
    }
    tr_msg *msg = tr_receive_ref(asker, TR_INFINITY);
    int64_t left = TR_MATCH(msg, tr__timer_left)->ms;
    tr_msg_drop(msg);
    return left;
}

int64_t tr_cancel_timer(tr_ref timer)
{
    return look_from_anywhere(timer, true, true);
}

int64_t tr_read_timer(tr_ref timer)
{
    return look_from_anywhere(timer, false, true);
}

void tr__forget_timer(tr_ref timer)
{
    (void)look_from_anywhere(timer, true, false);
}

tr_err tr_cancel_interval(tr_ref timer)
{
    (void)look_from_anywhere(timer, true, false);
    return TR_OK;
}

/* ---- now
 * -------------------------------------------------------------------------------------------------------- */

int64_t tr_now_ms(void)
{
    return tr__clock_ms();
}

uint64_t tr_now_ns(void)
{
    return tr__clock_ns();
}

int64_t tr_tc(tr_main_fn fn, const void *arg)
{
    uint64_t begin = tr_now_ns();
    fn(arg);
    return (int64_t)((tr_now_ns() - begin) / 1000);
}
