/* task_keeper.c: the process that starts a stream's tasks, kills those whose time is up, and tells of their ends. */
#include <string.h>

#include "runtime/core/process.h"
#include "runtime/otp/task_stream.h"

#define NO_SLOT UINT32_MAX

typedef struct slot {
    tr_pid pid; /* TR_NO_PID: nothing runs here */
    int64_t deadline_ms;
    uint32_t earlier, later; /* among those with a deadline to come */
    bool timed, late;
} slot;

typedef struct keeper {
    const tr__stream_keeping *of;
    tr_ref consumer; /* monitor */
    slot *slots;
    uint32_t room, running;
    uint32_t first, last; /* by start, which is by deadline */
    bool over;
} keeper;

static void tell(const keeper *self, tr__stream_event event)
{
    tr_ref ref = {tr_self(), (uint64_t)event.slot + 1};
    (void)tr__send_kind(tr_to(self->of->consumer), TR_MSG_ACK, ref,
                        tr_msg_new(TR_TYPE(tr__stream_event), &event));
}

/* ---- time limits ---- */

static void time_begins(keeper *self, uint32_t at)
{
    slot *task = &self->slots[at];
    if (self->of->timeout_ms == TR_INFINITY) {
        return;
    }
    task->deadline_ms = tr__deadline(self->of->timeout_ms);
    task->timed = true;
    task->later = NO_SLOT;
    task->earlier = self->last;
    *(self->last == NO_SLOT ? &self->first : &self->slots[self->last].later) = at;
    self->last = at;
}

static void time_ends(keeper *self, uint32_t at)
{
    slot *task = &self->slots[at];
    if (!task->timed) {
        return;
    }
    task->timed = false;
    *(task->earlier == NO_SLOT ? &self->first : &self->slots[task->earlier].later) = task->later;
    *(task->later == NO_SLOT ? &self->last : &self->slots[task->later].earlier) = task->earlier;
}

static int64_t time_left(const keeper *self)
{
    return self->first == NO_SLOT ? TR_INFINITY : tr__task_left(self->slots[self->first].deadline_ms);
}

static void kill_late(keeper *self)
{
    while (time_left(self) == 0) {
        uint32_t at = self->first;
        time_ends(self, at);
        self->slots[at].late = true;
        tr_unlink(tr_to(self->slots[at].pid));
        tr_exit_signal(tr_to(self->slots[at].pid), TR_ATOM(KILL));
    }
}

/* ---- tasks ---- */

static void make_room(keeper *self, uint32_t at)
{
    if (at < self->room) {
        return;
    }
    uint32_t room = self->room == 0 ? 8 : self->room;
    while (room <= at) {
        room *= 2;
    }
    self->slots = tr_realloc(self->slots, room * sizeof(slot));
    memset(self->slots + self->room, 0, (room - self->room) * sizeof(slot));
    self->room = room;
}

static void start(keeper *self, const tr__stream_order *order)
{
    const tr__stream_keeping *of = self->of;
    const tr__task_birth *birth = (const void *)(of + 1);
    tr_pid pid;
    tr_err err = of->supervised ? tr__task_start_supervised(tr_to(order->sup), birth, of->birth_bytes,
                                                            of->name, of->shutdown_ms, of->link, &pid)
                                : tr__task_spawn(birth, of->birth_bytes, of->name, true, &pid);
    if (err != TR_OK) {
        tell(self, (tr__stream_event){.news = TR__STREAM_REFUSED, .slot = order->slot, .err = err});
        return;
    }
    make_room(self, order->slot);
    self->slots[order->slot] = (slot){.pid = pid};
    self->running++;
    time_begins(self, order->slot);
    (void)tr_monitor(tr_to(pid), &(tr_monitor_opts){.tag = tr_int(order->slot)});
    tell(self, (tr__stream_event){.news = TR__STREAM_STARTED, .slot = order->slot, .pid = pid});
}

/* The monitors of tasks are told apart by their tags. */
static uint32_t forget(keeper *self, const tr_down_msg *down)
{
    uint32_t at = (uint32_t)tr_int_value(down->tag);
    TR_ASSERT(self->slots != NULL && at < self->room);
    time_ends(self, at);
    self->slots[at].pid = TR_NO_PID;
    self->running--;
    return at;
}

static void signal_all(const keeper *self, tr_term reason)
{
    for (uint32_t i = 0; i < self->room; i++) {
        if (self->slots[i].pid != TR_NO_PID) {
            tr_exit_signal(tr_to(self->slots[i].pid), reason);
        }
    }
}

static bool is_end_of_task(const tr_msg *msg, void *ctx)
{
    const keeper *self = ctx;
    return tr_msg_kind_of(msg) == TR_MSG_DOWN && !tr_ref_equal(tr_msg_ref(msg), self->consumer);
}

static void stop(keeper *self)
{
    (void)tr_trap_exit(true);
    signal_all(self, TR_ATOM(KILL));
    while (self->running > 0) {
        tr_msg *msg = tr_receive(is_end_of_task, self, TR_INFINITY);
        (void)forget(self, tr_msg_data(msg));
        tr_msg_drop(msg);
    }
    self->over = true;
}

/* ---- messages ---- */

static void consumer_ended(keeper *self, tr_term reason)
{
    if (tr_same(reason, TR_ATOM(NORMAL))) { /* it forgot to close */
        stop(self);
        return;
    }
    if (self->of->link) {
        signal_all(self, reason);
    }
    tr_exit(reason);
}

static void ended(keeper *self, const tr_down_msg *down)
{
    if (tr_ref_equal(down->ref, self->consumer)) {
        consumer_ended(self, down->reason);
        return;
    }
    uint32_t at = forget(self, down);
    tell(self,
         (tr__stream_event){
             .news = TR__STREAM_ENDED, .slot = at, .late = self->slots[at].late, .reason = down->reason});
}

static bool any(const tr_msg *msg, void *unused)
{
    (void)unused;
    return tr_msg_kind_of(msg) != TR_MSG_SYSTEM;
}

void tr__stream_keeper(const void *keeping)
{
    keeper self = {.of = keeping, .first = NO_SLOT, .last = NO_SLOT};
    self.consumer = tr_monitor(tr_to(self.of->consumer), NULL);
    while (!self.over) {
        tr_scratch_mark mark = tr_scratch();
        tr_msg *msg = tr__receive_own(any, NULL, time_left(&self));
        const tr__stream_order *order = TR_MATCH(msg, tr__stream_order);
        if (msg != NULL && tr_msg_kind_of(msg) == TR_MSG_DOWN) {
            ended(&self, tr_msg_data(msg));
        } else if (order != NULL && order->no_more) {
            stop(&self);
        } else if (order != NULL) {
            start(&self, order);
        } /* else the EXIT of a task, or time is up */
        tr_msg_drop(msg);
        tr_scratch_release(mark);
        kill_late(&self);
    }
}
