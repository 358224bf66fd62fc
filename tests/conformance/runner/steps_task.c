/* steps_task.c: tasks, task supervisors, streams of tasks. */
#include "tests/conformance/runner/task.h"

#include <string.h>

#include "tests/conformance/runner/trace.h"

/* Exits of the library's functions are outcomes here. */
#include "runtime/core/behaviour.h"

/* ---- what a task does: it becomes a puppet and runs its script ---------------------------------------------------- */
typedef struct play {
    const actor *as;
    tr_term script;
    env in;
} play;

TR_MESSAGE(task_play, { const play *play; });

static const play *play_of(tr_term name, tr_term script, const env *in)
{
    play *made = world_alloc(sizeof *made);
    made->as = world_actor(tr_atom("task"), name, tr_map_n(0, NULL), NULL);
    made->script = world_keep(script);
    made->in = (env){.state = world_keep(in->state),
                     .message = world_keep(in->message),
                     .from = world_keep(in->from),
                     .value = world_keep(in->value),
                     .element = world_keep(in->element)};
    return made;
}

static tr_term perform(const play *of)
{
    (void)world_enter_self(of->as);
    outcome result = script_run(of->script, &of->in, TR_ATOM(OK));
    if (outcome_failed(result)) {
        outcome_raise(result);
    }
    return result.value;
}

static tr_msg *task_fn(const task_play *of)
{
    return value_message(perform(of->play));
}

static void task_main(const void *arg)
{
    (void)perform(*(const play *const *)arg);
}

void task_child_main(const void *actor_self)
{
    static const env nothing;
    const actor *as = *(actor *const *)actor_self;
    (void)world_enter_self(as);
    trace_log("init");
    outcome result = script_run(value_get(as->opts, "do"), &nothing, TR_ATOM(OK));
    if (outcome_failed(result)) {
        outcome_raise(result);
    }
}

/* ---- handles by name ---------------------------------------------------------------------------------------------- */
static void note_task(tr_term name, tr_task task)
{
    tr_term ref = tr_ref_term(task.ref);
    world_put(NAME_REF, name, ref);
    world_put(NAME_TASK, name, tr_tuple(tr_pid_term(task.pid), tr_pid_term(task.owner), ref));
}

static tr_task task_named(tr_term name)
{
    tr_term handle = world_get(NAME_TASK, name);
    if (tr_is_none(handle)) {
        tr_error(TR_ATOM(BADARG));
    }
    return (tr_task){.pid = tr_pid_value(value_item(handle, 0)),
                     .owner = tr_pid_value(value_item(handle, 1)),
                     .ref = tr_ref_value(value_item(handle, 2))};
}

static size_t tasks_named(tr_term names, tr_task *tasks)
{
    for (size_t i = 0; i < value_count(names); i++) {
        tasks[i] = task_named(value_item(names, i));
    }
    return value_count(names);
}

/* ---- outcomes ----------------------------------------------------------------------------------------------------- */
typedef struct attempt {
    outcome (*step)(const step_args *args);
    const step_args *args;
    outcome result;
} attempt;

static void run_attempt(void *ctx)
{
    attempt *at = ctx;
    at->result = at->step(at->args);
}

/* A step whose library function may end its caller. A wrong owner is a bug of the caller, and so is too little room. */
static outcome tried(outcome (*step)(const step_args *args), const step_args *args)
{
    attempt at = {.step = step, .args = args};
    tr_term reason;
    if (!tr__catch(run_attempt, &at, &reason)) {
        return at.result;
    }
    if (value_is(reason, "max_children")) {
        return outcome_error(tr_atom("%RuntimeError{}"));
    }
    bool misuse = value_is(value_item(reason, 0), "badarg");
    return misuse ? outcome_error(tr_atom("%ArgumentError{}")) : outcome_exit(reason);
}

static tr_term taken(tr_msg *value)
{
    tr_term copy = value_copy(value_payload(value));
    tr_msg_drop(value);
    return copy;
}

/* {ok, Value}, {exit, Reason} or nil. */
static tr_term result_term(const tr_task_result *result)
{
    switch (result->err) {
    case TR_OK:
        return tr_tuple(TR_ATOM(OK), taken(result->value));
    case TR_E_EXIT:
        return tr_tuple(tr_atom("exit"), result->reason);
    default:
        return TR_ATOM(NIL);
    }
}

static outcome from_result(tr_task_result result)
{
    return outcome_value(result_term(&result));
}

/* ---- starting ----------------------------------------------------------------------------------------------------- */
static outcome do_async(const step_args *args)
{
    tr_term opts = step_arg(args, 2);
    tr_dest sup;
    tr_task task;
    tr_err err;
    const play *of = play_of(args->item[0], args->item[1], args->in);
    if (tr_is_none(value_get(opts, "sup"))) {
        err = tr_task_async(TR_TASK(task_fn, task_play, .play = of), &task);
    } else {
        TRY(step_dest(value_get(opts, "sup"), &sup));
        err = (value_flag(opts, "nolink") ? tr_task_supervisor_async_nolink : tr_task_supervisor_async)(
            sup, TR_TASK(task_fn, task_play, .play = of), 0, &task);
    }
    if (err != TR_OK) {
        return outcome_error(tr_atom("%RuntimeError{}"));
    }
    note_task(args->item[0], task);
    return outcome_value(TR_ATOM(OK));
}

static outcome started(tr_err err)
{
    return outcome_value(err == TR_OK ? TR_ATOM(OK) : tr_tuple(TR_ATOM(ERROR), tr_atom(tr_err_name(err))));
}

static outcome do_task_start(const step_args *args)
{
    tr_pid pid;
    const play *of = play_of(args->item[0], args->item[1], args->in);
    return started(tr_task_start(task_main, &of, sizeof of, &pid));
}

static outcome do_task_start_link(const step_args *args)
{
    tr_pid pid;
    const play *of = play_of(args->item[0], args->item[1], args->in);
    return started(tr_task_start_link(task_main, &of, sizeof of, &pid));
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */
static int64_t timeout_arg(const step_args *args, size_t i)
{
    return tr_is_none(step_arg(args, i)) ? TR_TASK_TIMEOUT_MS : value_ms(step_arg(args, i));
}

static outcome await(const step_args *args)
{
    return outcome_value(taken(tr_task_await_or_exit(task_named(args->item[0]), timeout_arg(args, 1))));
}

static outcome await_many(const step_args *args)
{
    tr_task tasks[VALUE_ITEMS_MAX];
    tr_task_result results[VALUE_ITEMS_MAX];
    tr_term values[VALUE_ITEMS_MAX];
    size_t count = tasks_named(args->item[0], tasks);
    tr_task_await_many_or_exit(tasks, count, timeout_arg(args, 1), results);
    for (size_t i = 0; i < count; i++) {
        values[i] = taken(results[i].value);
    }
    return outcome_value(tr_list_n(count, values));
}

static outcome yield(const step_args *args)
{
    return from_result(tr_task_yield(task_named(args->item[0]), timeout_arg(args, 1)));
}

static outcome yield_many(const step_args *args)
{
    tr_task tasks[VALUE_ITEMS_MAX];
    tr_task_result results[VALUE_ITEMS_MAX];
    tr_term pairs[VALUE_ITEMS_MAX];
    size_t count = tasks_named(args->item[0], tasks);
    tr_task_yield_many(tasks, count, &(tr_task_yield_opts){.timeout_ms = timeout_arg(args, 1)}, results);
    for (size_t i = 0; i < count; i++) {
        pairs[i] = tr_tuple(value_item(args->item[0], i), result_term(&results[i]));
    }
    return outcome_value(tr_list_n(count, pairs));
}

static outcome task_shutdown(const step_args *args)
{
    bool brutal = value_is(step_arg(args, 1), "brutal_kill");
    int64_t timeout_ms = brutal ? TR_SHUTDOWN_BRUTAL_KILL : timeout_arg(args, 1);
    return from_result(tr_task_shutdown(task_named(args->item[0]), timeout_ms));
}

static outcome task_ignore(const step_args *args)
{
    return from_result(tr_task_ignore(task_named(args->item[0])));
}

static outcome do_await(const step_args *args)
{
    return tried(await, args);
}

static outcome do_await_many(const step_args *args)
{
    return tried(await_many, args);
}

static outcome do_yield(const step_args *args)
{
    return tried(yield, args);
}

static outcome do_yield_many(const step_args *args)
{
    return tried(yield_many, args);
}

static outcome do_task_shutdown(const step_args *args)
{
    return tried(task_shutdown, args);
}

static outcome do_task_ignore(const step_args *args)
{
    return tried(task_ignore, args);
}

/* ---- task supervisors ---------------------------------------------------------------------------------------------- */
static outcome do_task_child(const step_args *args)
{
    tr_dest sup;
    tr_term opts = step_arg(args, 3);
    tr_term restart = value_get(opts, "restart");
    tr_term shutdown = value_get(opts, "shutdown");
    tr_task_child_opts child = {.restart = value_is(restart, "permanent")   ? TR_PERMANENT
                                           : value_is(restart, "transient") ? TR_TRANSIENT
                                                                            : TR_TEMPORARY,
                                .shutdown_ms = value_is_int(shutdown) ? tr_int_value(shutdown) : 0};
    TRY(step_dest(args->item[0], &sup));
    const play *of = play_of(args->item[1], args->item[2], args->in);
    tr_sup_result result = tr_task_supervisor_start_child(sup, task_main, &of, sizeof of, &child);
    return outcome_value(result.err == TR_OK ? TR_ATOM(OK) : tr_tuple(TR_ATOM(ERROR), result.reason));
}

static outcome do_task_children(const step_args *args)
{
    tr_dest sup;
    const tr_pid *pids;
    size_t count;
    TRY(step_dest(args->item[0], &sup));
    if (tr_task_supervisor_children(sup, &pids, &count) != TR_OK) {
        return outcome_exit(TR_ATOM(NOPROC));
    }
    tr_term *items = tr_scratch_alloc((count + 1) * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i] = tr_pid_term(pids[i]);
    }
    return outcome_value(value_sorted(count, items));
}

static outcome do_task_terminate(const step_args *args)
{
    tr_dest sup;
    tr_pid pid;
    TRY(step_dest(args->item[0], &sup));
    TRY(step_pid(args->item[1], &pid));
    tr_sup_result result = tr_task_supervisor_terminate_child(sup, pid);
    return outcome_value(result.err == TR_OK ? TR_ATOM(OK) : tr_tuple(TR_ATOM(ERROR), result.reason));
}

/* ---- streams: the task of element x is puppet Px -------------------------------------------------------------------- */
typedef struct elements {
    const step_args *args;
    size_t taken;
} elements;

static tr_msg *next_element(void *ctx)
{
    elements *left = ctx;
    tr_term list = left->args->item[1];
    if (left->taken == value_count(list)) {
        return NULL;
    }
    env in = *left->args->in;
    in.element = value_item(list, left->taken++);
    const char *prefix = tr_atom_text(left->args->item[0]);
    tr_term name = tr_atom(value_format("%s%s", prefix, value_text(in.element)));
    return TR_MSG(task_play, .play = play_of(name, left->args->item[2], &in));
}

static outcome stream_opts(tr_term given, tr_task_stream_opts *opts)
{
    tr_term most = value_get(given, "max_concurrency");
    tr_term timeout = value_get(given, "timeout");
    tr_term sup = value_get(given, "sup");
    *opts = (tr_task_stream_opts){.max_concurrency = value_is_int(most) ? (size_t)tr_int_value(most) : 0,
                                  .unordered = tr_same(value_get(given, "ordered"), TR_ATOM(FALSE)),
                                  .timeout_ms = tr_is_none(timeout) ? 0 : value_ms(timeout),
                                  .on_timeout = value_is(value_get(given, "on_timeout"), "kill_task")
                                                    ? TR_ON_TIMEOUT_KILL_TASK
                                                    : TR_ON_TIMEOUT_EXIT,
                                  .nolink = value_flag(given, "nolink")};
    return tr_is_none(sup) ? outcome_value(TR_ATOM(OK)) : step_dest(sup, &opts->sup);
}

/* A result whose time was up is an exit here. */
static tr_term stream_result(const tr_task_result *result)
{
    return result->err == TR_E_TIMEOUT ? tr_tuple(tr_atom("exit"), result->reason) : result_term(result);
}

static outcome stream(const step_args *args)
{
    tr_term items[VALUE_ITEMS_MAX];
    size_t count = 0;
    tr_task_stream_opts opts;
    tr_task_stream *made;
    tr_task_result result;
    elements left = {.args = args};
    tr_term take = value_get(args->item[3], "take");
    size_t most = value_is_int(take) ? (size_t)tr_int_value(take) : VALUE_ITEMS_MAX;
    TRY(stream_opts(args->item[3], &opts));
    if (tr_task_async_stream(TR_TASK_EACH(task_fn, task_play), next_element, &left, &opts, &made) != TR_OK) {
        return outcome_error(tr_atom("system_limit"));
    }
    while (count < most && tr_task_stream_next_or_exit(made, &result)) {
        items[count++] = stream_result(&result);
    }
    tr_task_stream_close(made);
    return outcome_value(tr_list_n(count, items));
}

static outcome do_stream(const step_args *args)
{
    return tried(stream, args);
}

const step_verb steps_task[] = {
    {"stream", 4, 4, do_stream},
    {"async", 2, 3, do_async},
    {"task_start", 2, 2, do_task_start},
    {"task_start_link", 2, 2, do_task_start_link},
    {"await", 1, 2, do_await},
    {"await_many", 1, 2, do_await_many},
    {"yield", 1, 2, do_yield},
    {"yield_many", 1, 2, do_yield_many},
    {"task_shutdown", 1, 2, do_task_shutdown},
    {"task_ignore", 1, 1, do_task_ignore},
    {"task_child", 3, 4, do_task_child},
    {"task_children", 1, 1, do_task_children},
    {"task_terminate", 2, 2, do_task_terminate},
    {NULL, 0, 0, NULL},
};
