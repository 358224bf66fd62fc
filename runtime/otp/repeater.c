/* repeater.c: apply_repeatedly: a function every so often, one run at a time.
 *
 *     interval of the setter --tick--> repeater (a process) --spawn, monitor--> a run
 *
 * Invariants
 *  1. Each tick is owed one run. Runs that are owed follow one another at once: late ones are made up for.
 *  2. The interval is the handle. Without it no run starts any more, and the repeater ends when it looks next, two
 *     periods or a minute later at the latest; a run that is under way goes on, as in OTP.
 *  3. The end of the setter ends the repeater, and that ends the interval, whose messages have nowhere to go.
 * While a run is under way ticks are taken in and counted: a run that never ends costs no memory.
 */
#include <string.h>
#include <troupe/timer.h>

#define PATIENCE_MS 60000

TR_MESSAGE_EMPTY(tr__repeater_tick);
/* The first message: without an interval there is nothing to do yet. */
TR_MESSAGE(tr__repeater_begin, { tr_ref interval; });

/* What a repeater is started with. */
typedef struct repeat {
    tr_pid setter;
    tr_main_fn fn;
    int64_t period_ms;
    size_t arg_bytes;
    _Alignas(16) char arg[];
} repeat;

typedef struct repeater {
    const repeat *what;
    tr_ref interval;
    tr_ref setter, run; /* monitors; run: none while none is under way */
    uint64_t owed;
} repeater;

/* Starts one run that is owed. Returns false when the interval is gone. */
static bool repeater_run(repeater *self)
{
    if (tr_read_timer(self->interval) < 0) {
        return false;
    }
    const repeat *what = self->what;
    tr_spawn_opts opts = {.monitor = &self->run};
    self->owed--;
    if (tr_spawn(&opts, what->fn, what->arg_bytes == 0 ? NULL : what->arg, what->arg_bytes, &(tr_pid){0}) !=
        TR_OK) {
        self->run = TR_NO_REF; /* no room for one more process: this run is left out */
    }
    return true;
}

/* Returns false when the setter ended. */
static bool repeater_hears(repeater *self, const tr_msg *msg)
{
    const tr__repeater_begin *begin = TR_MATCH(msg, tr__repeater_begin);
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
    if (begin != NULL) {
        self->interval = begin->interval;
    } else if (TR_MATCH(msg, tr__repeater_tick) != NULL) {
        self->owed++;
    } else if (down != NULL && tr_ref_equal(down->ref, self->run)) {
        self->run = TR_NO_REF;
    }
    return down == NULL || !tr_ref_equal(down->ref, self->setter);
}

static void repeater_main(const void *arg)
{
    repeater self = {.what = arg};
    int64_t patience_ms = self.what->period_ms < PATIENCE_MS / 2 ? 2 * self.what->period_ms : PATIENCE_MS;
    self.setter = tr_monitor(tr_to(self.what->setter), NULL);
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, patience_ms);
        bool goes_on = msg == NULL ? tr_read_timer(self.interval) >= 0 : repeater_hears(&self, msg);
        if (msg != NULL) {
            tr_msg_drop(msg);
        }
        if (goes_on && self.run.id == 0 && self.owed != 0) {
            goes_on = repeater_run(&self);
        }
        if (!goes_on) {
            return;
        }
    }
}

tr_ref tr_apply_repeatedly(int64_t ms, tr_main_fn fn, const void *arg, size_t arg_bytes)
{
    if (ms < 0) {
        return TR_NO_REF;
    }
    size_t bytes = sizeof(repeat) + arg_bytes;
    repeat *what = tr_scratch_alloc(bytes);
    *what = (repeat){.setter = tr_self(), .fn = fn, .period_ms = ms < 1 ? 1 : ms, .arg_bytes = arg_bytes};
    if (arg_bytes != 0) {
        memcpy(what->arg, arg, arg_bytes);
    }
    tr_pid pid;
    if (tr_spawn(&(tr_spawn_opts){.label = "apply_repeatedly"}, repeater_main, what, bytes, &pid) != TR_OK) {
        return TR_NO_REF;
    }
    tr_ref interval = tr_send_interval(what->period_ms, tr_to(pid), TR_MSG(tr__repeater_tick));
    TR_SEND(pid, tr__repeater_begin, .interval = interval);
    return interval;
}
