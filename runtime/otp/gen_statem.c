#include <string.h>
#include <troupe/gen_statem.h>
#include <troupe/timer.h>

#include "runtime/core/process.h"
#include "runtime/otp/sys.h"

TR_MESSAGE_EMPTY(tr__statem_timer_msg);

/* An event that waits, or a time-out: one record for both. */
typedef struct entry {
    struct entry *next;
    tr_event event; /* name is kept */
    tr_msg *msg;    /* ours */
    tr_ref timer;   /* id 0: a time-out of 0 ms */
    int64_t ms;
    bool update;
} entry;

typedef struct machine {
    tr__sys sys;
    const tr_gen_statem *module;
    const void *arg;
    tr_resource resource;
    tr_term state; /* kept */
    entry *current, *queue, *postponed, *timers;
    entry *next_events, *new_timers; /* of the transition under way */
    bool postpone;
    _Alignas(16) unsigned char data[];
} machine;

typedef struct turn {
    machine *m;
    const void *arg;
    const tr_event *event;
    tr_term reason, formatted;
    tr_step step;
} turn;

/* ---- entries ---- */

static void append(entry **list, entry *e)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = e;
}

static entry *entry_new(tr_event_type type, tr_term name, tr_msg *msg)
{
    entry *e = tr_alloc(sizeof *e);
    e->event = (tr_event){.type = type, .name = tr_keep(name), .msg = msg};
    e->msg = msg;
    if (msg != NULL) {
        tr__msg_keep(msg);
    }
    return e;
}

static void entry_free(entry *e)
{
    tr_msg_drop(e->msg);
    tr_free_term(e->event.name);
    tr_free(e);
}

static void drop_messages(entry *e)
{
    for (; e != NULL; e = e->next) {
        tr__msg_free(e->msg);
    }
}

static void machine_destroy(tr_resource *resource)
{
    machine *m = (machine *)(void *)((char *)resource - offsetof(machine, resource));
    for (entry *t = m->timers; t != NULL; t = t->next) {
        if (t->timer.id != 0) {
            tr__forget_timer(t->timer);
        }
    }
    drop_messages(m->timers);
    drop_messages(m->queue);
    drop_messages(m->postponed);
    drop_messages(m->current);
    drop_messages(m->next_events);
    drop_messages(m->new_timers);
}

/* ---- ending ---- */

static tr_term data_of(const machine *m)
{
    const tr_gen_statem *module = m->module;
    return module->format_data != NULL ? module->format_data(m->data)
                                       : tr_tuple(tr_atom(module->name), tr_int((int64_t)module->data_bytes));
}

static tr_term state_of(void *data)
{
    const machine *m = data;
    return tr_tuple(m->state, data_of(m));
}

static void run_terminate(void *ctx)
{
    turn *t = ctx;
    t->m->module->terminate(t->m->data, t->m->state, t->reason);
}

static void run_format(void *ctx)
{
    turn *t = ctx;
    t->formatted = state_of(t->m);
}

static TR_NORETURN void machine_end(machine *m, tr_term reason)
{
    turn t = {.m = m, .reason = reason};
    if (m->module->terminate != NULL) {
        (void)tr__catch(run_terminate, &t, &t.reason);
    }
    if (!tr_reason_is_clean(t.reason)) {
        tr_term crash;
        const char *last = m->current != NULL ? m->current->msg->type->name : NULL;
        if (tr__catch(run_format, &t, &crash)) {
            t.formatted = tr_tuple(tr_atom("format_data_crashed"), crash);
        }
        tr__report(TR_REPORT_SERVER_TERMINATED, t.reason, last, t.formatted, TR_NO_PID, TR_TERM_NONE_VALUE,
                   0);
    }
    tr__finish(t.reason);
}

static TR_NORETURN void machine_bad(machine *m, const char *what, tr_term value)
{
    machine_end(m, tr_tuple(tr_atom(what), value));
}

/* ---- time-outs ---- */

static bool same_timeout(const entry *e, tr_event_type type, tr_term name)
{
    return e->event.type == type && (type != TR_EVENT_GENERIC_TIMEOUT || tr_term_equal(e->event.name, name));
}

static entry **find_timeout(entry **list, tr_event_type type, tr_term name)
{
    while (*list != NULL && !same_timeout(*list, type, name)) {
        list = &(*list)->next;
    }
    return list;
}

static entry *take(entry **at)
{
    entry *e = *at;
    if (e != NULL) {
        *at = e->next;
        e->next = NULL;
    }
    return e;
}

/* One that has fired already finds no entry with its reference, and is dropped. */
static void cancel_timeout(machine *m, tr_event_type type, tr_term name)
{
    entry *e = take(find_timeout(&m->timers, type, name));
    if (e != NULL) {
        if (e->timer.id != 0) {
            tr__forget_timer(e->timer);
        }
        entry_free(e);
    }
}

static void start_timeout(machine *m, entry *e)
{
    entry *old = *find_timeout(&m->timers, e->event.type, e->event.name);
    if (e->update && old != NULL) {
        tr_msg *msg = old->msg;
        old->event.msg = old->msg = e->msg;
        e->msg = msg;
        entry_free(e);
        return;
    }
    cancel_timeout(m, e->event.type, e->event.name);
    if (e->ms == TR_INFINITY) {
        entry_free(e);
        return;
    }
    append(&m->timers, e);
    if (e->ms > 0) {
        e->timer = tr__timer_start(e->ms, tr_self(), TR_MSG_TIMER, TR_MSG(tr__statem_timer_msg));
    }
}

/* ---- actions ---- */

tr_step tr_step_with(tr_step step, size_t count, const tr_action *actions)
{
    tr_action *copy = tr_scratch_alloc(count * sizeof *copy);
    memcpy(copy, actions, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        if (copy[i].msg != NULL) {
            tr__held_add(tr__proc_self(), copy[i].msg); /* freed with the callback if it is not taken */
        }
    }
    step.count = count;
    step.actions = copy;
    return step;
}

static void reply(machine *m, const tr_action *action)
{
    tr__msg_keep(action->msg);
    (void)tr__reply(action->from, action->msg);
    tr__sys_out(&m->sys);
}

static void add_timeout(machine *m, const tr_action *action)
{
    entry *same = take(find_timeout(&m->new_timers, action->type, action->name));
    if (same != NULL) {
        entry_free(same);
    }
    entry *e = entry_new(action->type, action->name, action->msg);
    e->ms = action->ms;
    e->update = action->kind == TR_ACTION_UPDATE;
    append(&m->new_timers, e);
}

static void act(machine *m, const tr_action *action, bool entering)
{
    const char *bad =
        entering ? "bad_state_enter_action_from_state_function" : "bad_action_from_state_function";
    switch (action->kind) {
    case TR_ACTION_REPLY:
        reply(m, action);
        return;
    case TR_ACTION_NEXT_EVENT:
    case TR_ACTION_POSTPONE:
        if (entering) {
            machine_bad(m, bad, action->what);
        }
        if (action->kind == TR_ACTION_POSTPONE) {
            m->postpone = action->on;
            return;
        }
        entry *e = entry_new(action->type, action->name, action->msg);
        e->event.from = action->from;
        append(&m->next_events, e);
        return;
    case TR_ACTION_TIMEOUT:
    case TR_ACTION_UPDATE:
        add_timeout(m, action);
        return;
    case TR_ACTION_HIBERNATE:
        return;
    case TR_ACTION_BAD:
        break;
    }
    machine_bad(m, bad, action->what);
}

/* ---- transitions ---- */

static void run_event(void *ctx)
{
    turn *t = ctx;
    t->step = t->m->module->handle_event(t->m->data, t->m->state, t->event);
}

static void stop(machine *m, const tr_step *step)
{
    for (size_t i = 0; i < step->count; i++) {
        if (step->actions[i].kind != TR_ACTION_REPLY) {
            machine_bad(m, "bad_reply_action_from_state_function", step->actions[i].what);
        }
        reply(m, &step->actions[i]);
    }
    machine_end(m, step->reason);
}

static tr_step ask(machine *m, const tr_event *event)
{
    turn t = {.m = m, .event = event};
    if (tr__catch(run_event, &t, &t.reason)) {
        machine_end(m, t.reason);
    }
    if (t.step.kind == TR_STEP_STOP) {
        stop(m, &t.step);
    }
    return t.step;
}

static void act_all(machine *m, const tr_step *step, bool entering)
{
    for (size_t i = 0; i < step->count; i++) {
        act(m, &step->actions[i], entering);
    }
}

static void enter(machine *m, tr_term old)
{
    tr_step step = {.kind = TR_STEP_REPEAT};
    while (m->module->enter_calls && step.kind == TR_STEP_REPEAT) {
        step = ask(m, &(tr_event){.type = TR_EVENT_ENTER, .old_state = old});
        bool stays = step.kind == TR_STEP_NEXT && tr_term_equal(step.state, m->state);
        if (step.kind != TR_STEP_KEEP && step.kind != TR_STEP_REPEAT && !stays) {
            machine_bad(m, "bad_state_enter_return_from_state_function", step.reason);
        }
        act_all(m, &step, true);
        old = m->state;
    }
}

/* What follows the callback of an event, or init (no current event). */
static void settle(machine *m, tr_term old, bool changed, bool enters)
{
    if (enters) {
        enter(m, old);
    }
    entry *done = m->current;
    m->current = NULL;
    if (done != NULL && m->postpone) {
        append(&m->postponed, done);
    } else if (done != NULL) {
        entry_free(done);
    }
    cancel_timeout(m, TR_EVENT_TIMEOUT, TR_TERM_NONE_VALUE);
    entry *rest = m->queue;
    m->queue = m->next_events;
    m->next_events = NULL;
    if (changed) {
        cancel_timeout(m, TR_EVENT_STATE_TIMEOUT, TR_TERM_NONE_VALUE);
        append(&m->queue, m->postponed);
        m->postponed = NULL;
    }
    append(&m->queue, rest);
    while (m->new_timers != NULL) {
        start_timeout(m, take(&m->new_timers));
    }
}

static void process(machine *m, entry *e)
{
    m->current = e;
    m->postpone = false;
    tr_step step = ask(m, &e->event);
    tr_term old = m->state;
    bool changed = step.kind == TR_STEP_NEXT && !tr_term_equal(step.state, old);
    if (step.kind != TR_STEP_KEEP && step.kind != TR_STEP_NEXT && step.kind != TR_STEP_REPEAT) {
        machine_bad(m, "bad_return_from_state_function", step.reason);
    }
    if (changed) {
        m->state = tr_keep(step.state);
    }
    act_all(m, &step, false);
    settle(m, old, changed, changed || step.kind == TR_STEP_REPEAT);
    if (changed) {
        tr_free_term(old);
    }
}

static void drain(machine *m)
{
    for (;;) {
        entry **next = &m->queue;
        if (m->queue == NULL) {
            for (next = &m->timers; *next != NULL && (*next)->timer.id != 0;) {
                next = &(*next)->next;
            }
        }
        if (*next == NULL) {
            return;
        }
        entry *e = take(next);
        m->current = e;
        tr__boundary(NULL);
        process(m, e);
    }
}

/* ---- the behaviour ---- */

static void run_init(void *ctx)
{
    turn *t = ctx;
    t->step = t->m->module->init(t->m->data, t->arg);
}

static void machine_start(void *data)
{
    machine *m = data;
    m->resource.destroy = machine_destroy;
    tr_resource_add(&m->resource);
    turn t = {.m = m, .arg = m->arg, .step = {.kind = TR_STEP_NEXT}};
    if (m->module->init == NULL) {
        t.step.state = tr_atom(m->module->first);
    } else if (tr__catch(run_init, &t, &t.reason)) {
        tr__init_fail(TR__ACK_ERROR, t.reason, t.reason);
    }
    switch (t.step.kind) {
    case TR_STEP_NEXT:
        break;
    case TR_STEP_IGNORE:
        tr__init_fail(TR__ACK_IGNORE, TR_TERM_NONE_VALUE, TR_ATOM(NORMAL));
    case TR_STEP_STOP:
        tr__init_fail(TR__ACK_ERROR, t.step.reason, t.step.reason);
    default:
        t.reason = tr_tuple(tr_atom("bad_return_from_init"), t.step.reason);
        tr__init_fail(TR__ACK_ERROR, t.reason, t.reason);
    }
    m->state = tr_keep(t.step.state);
    tr__init_ack(TR_TERM_NONE_VALUE);
    act_all(m, &t.step, false);
    settle(m, m->state, true, true);
    drain(m);
}

static const tr__sys_ops sys_ops;

static void deliver(machine *m, tr_event_type type, tr_msg *msg)
{
    entry *e = entry_new(type, TR_TERM_NONE_VALUE, msg);
    if (type == TR_EVENT_CALL) {
        e->event.from = tr_msg_from(msg);
    }
    tr__sys_in(&m->sys);
    process(m, e);
    drain(m);
}

static void timer_fired(machine *m, tr_ref ref)
{
    entry **at = &m->timers;
    while (*at != NULL && !tr_ref_equal((*at)->timer, ref)) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        process(m, take(at));
        drain(m);
    }
}

static void machine_handle(void *data, tr_msg *msg)
{
    machine *m = data;
    if (msg->type == TR_TYPE(tr__statem_timer_msg)) {
        timer_fired(m, tr_msg_ref(msg));
        return;
    }
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_CALL:
        deliver(m, TR_EVENT_CALL, msg);
        return;
    case TR_MSG_CAST:
        deliver(m, TR_EVENT_CAST, msg);
        return;
    case TR_MSG_EXIT:
        if (m->sys.parent != TR_NO_PID && tr_msg_ref(msg).owner == m->sys.parent) {
            machine_end(m, ((const tr_exit_msg *)tr_msg_data(msg))->reason);
        }
        deliver(m, TR_EVENT_INFO, msg);
        return;
    case TR_MSG_SYSTEM:
        (void)tr__sys_handle(&m->sys, msg, &sys_ops, m);
        return;
    case TR_MSG_ACK:
        return;
    default:
        deliver(m, TR_EVENT_INFO, msg);
        return;
    }
}

static const tr__behaviour behaviour = {
    .name = "gen_statem", .start = machine_start, .handle = machine_handle};

/* ---- for sys ---- */

static void *memory_of(void *data)
{
    return ((machine *)data)->data;
}

static void terminate_by_sys(void *data, tr_term reason)
{
    machine_end(data, reason);
}

static const tr__sys_ops sys_ops = {.state = state_of, .memory = memory_of, .terminate = terminate_by_sys};

static machine *machine_of(const void *data)
{
    return (machine *)(uintptr_t)((const char *)data - offsetof(machine, data));
}

tr_term tr_gen_statem_state(const void *data)
{
    return machine_of(data)->state;
}

void tr_gen_statem_set_state(void *data, tr_term state)
{
    machine *m = machine_of(data);
    tr_term old = m->state;
    m->state = tr_keep(state);
    tr_free_term(old);
}

/* ---- starting ---- */

typedef struct start_args {
    const tr_gen_statem *module;
    const void *arg;
    size_t arg_bytes;
    bool linked;
} start_args;

static void fill(struct tr__proc *proc, void *data, void *ctx)
{
    const start_args *args = ctx;
    machine *m = data;
    m->module = args->module;
    m->sys.parent = args->linked ? tr_self() : TR_NO_PID;
    m->arg = args->arg;
    if (args->arg_bytes != 0) {
        void *copy = tr__arena_alloc(proc, args->arg_bytes);
        memcpy(copy, args->arg, args->arg_bytes);
        m->arg = copy;
    }
}

static tr_err start(start_args args, const tr_start_opts *opts, int how, tr_started *started)
{
    tr_started unused;
    args.linked = how == 1;
    tr__spawn spawn = {.behaviour = &behaviour,
                       .data_bytes = sizeof(machine) + args.module->data_bytes,
                       .label = args.module->name,
                       .fill = fill,
                       .fill_ctx = &args};
    if (opts != NULL) {
        spawn.start = *opts;
        spawn.opts = opts->spawn;
    }
    spawn.opts.trap_exit = spawn.opts.trap_exit || args.module->trap_exit;
    int64_t timeout_ms = opts == NULL || opts->timeout_ms == 0 ? TR_INFINITY : opts->timeout_ms;
    return tr__start(&spawn, how, timeout_ms, started != NULL ? started : &unused, NULL);
}

tr_err tr_gen_statem_start(const tr_gen_statem *machine_, const void *arg, size_t arg_bytes,
                           const tr_start_opts *opts, tr_started *started)
{
    return start((start_args){machine_, arg, arg_bytes, false}, opts, 0, started);
}

tr_err tr_gen_statem_start_link(const tr_gen_statem *machine_, const void *arg, size_t arg_bytes,
                                const tr_start_opts *opts, tr_started *started)
{
    return start((start_args){machine_, arg, arg_bytes, false}, opts, 1, started);
}

tr_err tr_gen_statem_start_monitor(const tr_gen_statem *machine_, const void *arg, size_t arg_bytes,
                                   const tr_start_opts *opts, tr_started *started)
{
    return start((start_args){machine_, arg, arg_bytes, false}, opts, 2, started);
}
