/* gen_statem as a behaviour: its start, its messages, sys. */
#include <string.h>

#include "runtime/core/process.h"
#include "runtime/otp/statem.h"

/* ---- init ---- */

typedef struct start {
    tr__statem *m;
    tr_step step;
} start;

static void run_init(void *ctx)
{
    start *s = ctx;
    s->step = s->m->module->init(s->m->data, s->m->init_arg);
}

static TR_NORETURN void init_failed(tr_term reason)
{
    tr__init_fail(TR__ACK_ERROR, reason, reason);
}

static tr_step init(tr__statem *m)
{
    start s = {.m = m, .step = TR_KEEP_STATE};
    tr_term reason;
    if (m->module->init != NULL && tr__catch(run_init, &s, &reason)) {
        init_failed(reason);
    }
    tr__gen_arg_drop(&m->sys, m->init_arg);
    m->init_arg = NULL;
    return s.step;
}

/* The state that init said, or the machine's first one. */
static void go_first(tr__statem *m, const tr_step *step)
{
    tr_term state = step->kind == TR_STEP_NEXT ? step->state : tr__statem_first(m);
    if (tr_is_none(state)) {
        init_failed(tr_tuple(tr_atom("bad_return_from_init"), tr__statem_step_term(step)));
    }
    if (!tr__statem_go(m, state)) {
        init_failed(tr_tuple(tr_atom("unknown_state"), state));
    }
}

static void machine_destroy(tr_resource *resource)
{
    tr__statem *m = (tr__statem *)(void *)((char *)resource - offsetof(tr__statem, resource));
    if (!m->lent) {
        tr__statem_entry_drop(m->current);
    }
    tr__statem_list_drop(&m->queue);
    tr__statem_list_drop(&m->postponed);
    tr__statem_list_drop(&m->next_events);
    tr__statem_list_drop(&m->new_timeouts);
    tr__statem_timeouts_drop(&m->timeouts);
}

static void prepare(tr__statem *m)
{
    m->resource.destroy = machine_destroy;
    tr_resource_add(&m->resource);
    tr_term error = tr__statem_prepare(m);
    if (!tr_is_none(error)) {
        init_failed(tr_tuple(tr_atom("bad_machine"), error));
    }
}

static void machine_start(void *data)
{
    tr__statem *m = data;
    prepare(m);
    tr_step step = init(m);
    switch (step.kind) {
    case TR_STEP_KEEP:
    case TR_STEP_NEXT:
        break;
    case TR_STEP_IGNORE:
        tr__init_fail(TR__ACK_IGNORE, TR_TERM_NONE_VALUE, TR_ATOM(NORMAL));
    case TR_STEP_STOP:
        init_failed(step.reason);
    default:
        init_failed(tr_tuple(tr_atom("bad_return_from_init"), tr__statem_step_term(&step)));
    }
    go_first(m, &step);
    tr__init_ack(TR_TERM_NONE_VALUE);
    tr__statem_begin(m, &step);
}

/* ---- messages ---- */

static const tr__sys_ops sys_ops;

static inline void deliver(tr__statem *m, tr_event_type type, tr_msg *msg)
{
    tr__statem_entry entry __attribute__((uninitialized)); /* the rest is of events that wait */
    entry.event = (tr_event){.type = type, .msg = msg};
    entry.msg = msg;
    if (type == TR_EVENT_CALL) {
        entry.event.from = tr_msg_from(msg);
    }
    tr__statem_told(m, TR_SYS_IN, &entry);
    tr__statem_event_lent(m, &entry);
}

static void timer_fired(tr__statem *m, const tr_msg *msg)
{
    tr__statem_entry *entry = tr__statem_timeout_fired(&m->timeouts, msg);
    if (entry != NULL) {
        tr__statem_told(m, TR_SYS_IN, entry);
        tr__statem_event(m, entry);
    }
}

static void machine_handle(void *data, tr_msg *msg)
{
    tr__statem *m = data;
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_CALL:
        deliver(m, TR_EVENT_CALL, msg);
        return;
    case TR_MSG_CAST:
        deliver(m, TR_EVENT_CAST, msg);
        return;
    case TR_MSG_EXIT:
        if (tr__gen_is_parents_exit(&m->sys, msg)) {
            tr__statem_end(m, ((const tr_exit_msg *)tr_msg_data(msg))->reason);
        }
        deliver(m, TR_EVENT_INFO, msg);
        return;
    case TR_MSG_SYSTEM:
        (void)tr__sys_handle(&m->sys, msg, &sys_ops, m);
        return;
    case TR_MSG_ACK:
        if (tr__statem_is_timer(msg)) {
            timer_fired(m, msg);
        }
        return;
    default:
        deliver(m, TR_EVENT_INFO, msg);
        return;
    }
}

static const char *module_of(const void *data)
{
    return ((const tr__statem *)data)->module->name;
}

static void machine_crashed(void *data, tr_term reason)
{
    tr__statem_end(data, reason);
}

const tr__behaviour tr__statem_behaviour = {
    .name = "gen_statem",
    .start = machine_start,
    .handle = machine_handle,
    .module = module_of,
    .crashed = machine_crashed,
};

/* ---- a process that becomes a machine ---- */

typedef struct entering {
    const tr_gen_statem *module;
    const void *data;
    const tr_step *step;
} entering;

static void fill_entering(void *data, void *ctx)
{
    const entering *e = ctx;
    tr__statem *m = data;
    m->module = e->module;
    m->sys.parent = tr_parent();
    if (e->data != NULL) {
        memcpy(m->data, e->data, e->module->data_bytes);
    }
    m->init_arg = e->step;
}

/* The step lies on the process's stack, whose frames are still there. */
static void machine_enter(void *data)
{
    tr__statem *m = data;
    tr_step step = *(const tr_step *)m->init_arg;
    m->init_arg = NULL;
    prepare(m);
    if (m->module->trap_exit) {
        (void)tr_trap_exit(true);
    }
    if (step.kind != TR_STEP_KEEP && step.kind != TR_STEP_NEXT) {
        init_failed(tr_tuple(tr_atom("bad_step"), tr__statem_step_term(&step)));
    }
    go_first(m, &step);
    tr__statem_begin(m, &step);
}

static const tr__behaviour entered = {
    .name = "gen_statem",
    .start = machine_enter,
    .handle = machine_handle,
    .module = module_of,
    .crashed = machine_crashed,
};

void tr_gen_statem_enter_loop(const tr_gen_statem *machine, const void *data, tr_step step)
{
    entering e = {machine, data, &step};
    tr__become(&entered, sizeof(tr__statem) + machine->data_bytes, fill_entering, &e);
}

/* ---- for sys ---- */

static void *memory_of(void *data)
{
    return ((tr__statem *)data)->data;
}

static void terminate_by_sys(void *data, tr_term reason)
{
    tr__statem_end(data, reason);
}

static const tr__sys_ops sys_ops = {
    .state = tr__statem_state, .memory = memory_of, .terminate = terminate_by_sys};

static tr__statem *machine_of(const void *data)
{
    return (tr__statem *)(uintptr_t)((const char *)data - offsetof(tr__statem, data));
}

tr_term tr_gen_statem_state(const void *data)
{
    return machine_of(data)->state;
}

void tr_gen_statem_set_state(void *data, tr_term state)
{
    tr__statem *m = machine_of(data);
    tr_term old = m->state;
    if (!tr__statem_go(m, state)) {
        tr_error(tr_tuple(tr_atom("unknown_state"), state));
    }
    tr_free_term(old);
}

/* ---- starting ---- */

static void fill(struct tr__proc *proc, void *data, void *ctx)
{
    const tr__statem_args *args = ctx;
    tr__statem *m = data;
    m->module = args->machine;
    m->init_arg = tr__gen_fill(proc, &m->sys, &args->gen);
    tr__sys_debug_start(proc, &m->sys, &sys_ops, m, args->gen.debug);
}

void tr__statem_spawn(tr__spawn *spawn, tr__statem_args *args, const tr_start_opts *opts)
{
    const tr_gen_statem *module = args->machine;
    *spawn = (tr__spawn){
        .behaviour = &tr__statem_behaviour,
        .data_bytes = sizeof(tr__statem) + module->data_bytes,
        .label = module->name,
        .fill = fill,
        .fill_ctx = args,
    };
    tr__gen_options(spawn, opts, module->trap_exit, &args->gen);
}

static tr_err start_machine(tr__statem_args args, tr__start_how how, const tr_start_opts *opts,
                            tr_started *started)
{
    tr__spawn spawn;
    args.gen.linked = how == TR__START_LINKED;
    tr__statem_spawn(&spawn, &args, opts);
    return tr__gen_start(&spawn, how, opts, started);
}

tr_err tr_gen_statem_start(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                           const tr_start_opts *opts, tr_started *started)
{
    return start_machine((tr__statem_args){machine, {.arg = arg, .arg_bytes = arg_bytes}}, TR__START_ALONE,
                         opts, started);
}

tr_err tr_gen_statem_start_link(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                                const tr_start_opts *opts, tr_started *started)
{
    return start_machine((tr__statem_args){machine, {.arg = arg, .arg_bytes = arg_bytes}}, TR__START_LINKED,
                         opts, started);
}

tr_err tr_gen_statem_start_monitor(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                                   const tr_start_opts *opts, tr_started *started)
{
    return start_machine((tr__statem_args){machine, {.arg = arg, .arg_bytes = arg_bytes}},
                         TR__START_MONITORED, opts, started);
}
