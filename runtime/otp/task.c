/* task.c: the process of a task, and its owner's functions for one task. */
#include "runtime/otp/task.h"

#include <string.h>

#include "runtime/otp/gen_server.h"

/* Of a job without an argument. */
TR_MESSAGE_EMPTY(tr__task_nothing);

/* ---- birth ---- */

static size_t round_up(size_t bytes)
{
    return (bytes + 15u) & ~(size_t)15;
}

static const tr_pid *callers_of(const tr__task_birth *birth)
{
    return (const tr_pid *)(const void *)((const char *)(birth + 1) + round_up(birth->arg_bytes));
}

const tr__task_birth *tr__task_birth_of(tr__task_birth base, size_t *bytes)
{
    const tr_pid *callers;
    size_t count = tr_task_callers(&callers);
    *bytes = sizeof(base) + round_up(base.arg_bytes) + (count + 1) * sizeof(tr_pid);
    tr__task_birth *birth = tr_scratch_alloc(*bytes);
    *birth = base;
    birth->owner = tr_self();
    birth->caller_count = (uint32_t)(count + 1);
    if (base.arg_bytes != 0) {
        memcpy(birth + 1, base.arg, base.arg_bytes);
    }
    tr_pid *own = (tr_pid *)(uintptr_t)callers_of(birth);
    own[0] = birth->owner;
    if (count != 0) {
        memcpy(own + 1, callers, count * sizeof(tr_pid));
    }
    return birth;
}

tr_err tr__task_spawn(const tr__task_birth *birth, size_t birth_bytes, const char *name, bool link,
                      tr_pid *pid)
{
    tr__spawn spawn = {.main = tr__task_main,
                       .arg = birth,
                       .arg_bytes = birth_bytes,
                       .label = name,
                       .opts = {.link = link},
                       .report_crash = true};
    return tr__spawn_process(&spawn, pid);
}

static tr_err spawn(const tr__task_birth *base, const char *name, bool link, tr_pid *pid)
{
    tr_scratch_mark mark = tr_scratch();
    size_t bytes;
    const tr__task_birth *birth = tr__task_birth_of(*base, &bytes);
    tr_err err = tr__task_spawn(birth, bytes, name, link, pid);
    tr_scratch_release(mark);
    return err;
}

/* ---- callers ---- */

static tr_term callers_key(void)
{
    return tr_atom("$callers");
}

static void note_callers(const tr__task_birth *birth)
{
    tr_scratch_mark mark = tr_scratch();
    tr_term *list = tr_scratch_alloc(birth->caller_count * sizeof(*list));
    for (uint32_t i = 0; i < birth->caller_count; i++) {
        list[i] = tr_pid_term(callers_of(birth)[i]);
    }
    (void)tr_put(callers_key(), tr_list_n(birth->caller_count, list));
    tr_scratch_release(mark);
}

size_t tr_task_callers(const tr_pid **callers)
{
    tr_term list = tr_get(callers_key());
    size_t count = tr_term_kind_of(list) == TR_TERM_LIST ? tr_term_count(list) : 0;
    tr_pid *pids = tr_scratch_alloc((count + 1) * sizeof(*pids));
    for (size_t i = 0; i < count; i++) {
        pids[i] = tr_pid_value(tr_term_items(list)[i]);
    }
    *callers = pids;
    return count;
}

/* ---- in the task ---- */

static bool is_work_or_down(const tr_msg *msg, void *watch)
{
    bool is_down = tr_msg_kind_of(msg) == TR_MSG_DOWN && tr_ref_equal(tr_msg_ref(msg), *(tr_ref *)watch);
    return is_down || tr_msg_kind_of(msg) == TR_MSG_ACK;
}

static tr_msg *wait_for_work(const tr__task_birth *birth)
{
    tr_ref watch = TR_NO_REF;
    if (!birth->supervised) { /* its owner is linked */
        return tr__receive_own(is_work_or_down, &watch, TR_INFINITY);
    }
    watch = tr_monitor(tr_to(birth->owner), NULL);
    tr_msg *msg = tr__receive_own(is_work_or_down, &watch, TR__TASK_WORK_MS);
    if (msg == NULL) {
        tr_exit(TR_ATOM(TIMEOUT));
    }
    if (tr_msg_kind_of(msg) == TR_MSG_DOWN) {
        tr_exit(tr_tuple(TR_ATOM(SHUTDOWN), ((const tr_down_msg *)tr_msg_data(msg))->reason));
    }
    tr_demonitor(watch, true);
    return msg;
}

static void answer(const tr__task_birth *birth, tr_ref ref, tr_msg *value)
{
    if (birth->in_stream) {
        (void)tr__send_kind(tr_to(birth->owner), TR_MSG_ACK, ref, value);
    } else {
        (void)tr__send_alias(ref, TR_MSG_REPLY, value);
    }
}

void tr__task_main(const void *arg)
{
    const tr__task_birth *birth = arg;
    note_callers(birth);
    if (birth->main != NULL) {
        birth->main(birth->arg_bytes != 0 ? (const void *)(birth + 1) : birth->arg);
        return;
    }
    tr_msg *work = wait_for_work(birth);
    tr_ref ref = tr_msg_ref(work);
    tr_msg *value = birth->fn(work->type == TR_TYPE(tr__task_nothing) ? NULL : tr_msg_data(work));
    answer(birth, ref, value != NULL ? value : TR_MSG(tr_term_msg, .value = TR_ATOM(NIL)));
}

/* ---- starting ---- */

void tr__task_send_work(tr_pid pid, tr_ref ref, tr_msg *arg)
{
    (void)tr__send_kind(tr_to(pid), TR_MSG_ACK, ref, arg != NULL ? arg : TR_MSG(tr__task_nothing));
}

tr_task tr__task_own(tr_pid pid, tr_msg *arg)
{
    tr_ref ref = tr_monitor(tr_to(pid), &(tr_monitor_opts){.alias = TR_ALIAS_DEMONITOR});
    tr__task_send_work(pid, ref, arg);
    return (tr_task){.pid = pid, .owner = tr_self(), .ref = ref};
}

tr_err tr_task_async(const tr_task_job *job, tr_task *task)
{
    tr_pid pid;
    TR_CHECK(job->fn != NULL);
    tr_err err = spawn(&(tr__task_birth){.fn = job->fn}, job->name != NULL ? job->name : "task", true, &pid);
    if (err != TR_OK) {
        tr_msg_drop(job->arg);
        return err;
    }
    *task = tr__task_own(pid, job->arg);
    return TR_OK;
}

tr_task tr_task_completed(tr_msg *value)
{
    tr_task task = {.owner = tr_self(), .ref = tr_monitor(tr_to(tr_self()), NULL)}; /* that never fires */
    (void)tr__send_kind(tr_to(task.owner), TR_MSG_REPLY, task.ref, value);
    return task;
}

static tr_err start(tr_main_fn fn, const void *arg, size_t arg_bytes, bool link, tr_pid *pid)
{
    TR_CHECK(fn != NULL);
    return spawn(&(tr__task_birth){.main = fn, .arg = arg, .arg_bytes = arg_bytes}, "task", link, pid);
}

tr_err tr_task_start(tr_main_fn fn, const void *arg, size_t arg_bytes, tr_pid *pid)
{
    return start(fn, arg, arg_bytes, false, pid);
}

tr_err tr_task_start_link(tr_main_fn fn, const void *arg, size_t arg_bytes, tr_pid *pid)
{
    return start(fn, arg, arg_bytes, true, pid);
}

tr_child_spec tr_task_child_spec(tr_main_fn fn, const void *arg, size_t arg_bytes)
{
    return (tr_child_spec){
        .id = tr_atom("task"), .main = fn, .arg = arg, .arg_bytes = arg_bytes, .restart = TR_TEMPORARY};
}

/* ---- what every wait shares ---- */

void tr__task_check_owner(const tr_task *task)
{
    if (task->owner != tr_self()) {
        tr_error(tr_tuple(TR_ATOM(BADARG), tr_tuple(tr_atom("task_owner"), tr_pid_term(task->owner))));
    }
}

tr_task_result tr__task_result_of(tr_msg *msg)
{
    if (tr_msg_kind_of(msg) != TR_MSG_DOWN) {
        return (tr_task_result){.err = TR_OK, .value = msg};
    }
    tr_term reason = tr__to_scratch(((const tr_down_msg *)tr_msg_data(msg))->reason);
    tr_msg_drop(msg);
    return (tr_task_result){.err = TR_E_EXIT, .reason = reason};
}

tr_term tr__task_ms(int64_t ms)
{
    return ms == TR_INFINITY ? TR_ATOM(INFINITY) : tr_int(ms);
}

void tr__task_exit(tr_term reason, const char *module, const char *function, tr_term args)
{
    tr_exit(tr_tuple(reason, tr_tuple(tr_atom(module), tr_atom(function), args)));
}

tr_err tr__task_unpack(tr_task_result result, const tr_type *type, void *out)
{
    return result.err == TR_OK ? tr__reply_unpack(result.value, type, out) : result.err;
}

/* ---- one task ---- */

tr_task_result tr_task_yield(tr_task task, int64_t timeout_ms)
{
    tr__task_check_owner(&task);
    tr_msg *msg = tr_receive_ref(task.ref, timeout_ms);
    if (msg == NULL) {
        return (tr_task_result){.err = TR_E_TIMEOUT};
    }
    tr_demonitor(task.ref, true);
    return tr__task_result_of(msg);
}

tr_task_result tr_task_await(tr_task task, int64_t timeout_ms)
{
    tr_task_result result = tr_task_yield(task, timeout_ms);
    if (result.err == TR_E_TIMEOUT) {
        tr_demonitor(task.ref, true);
    }
    return result;
}

tr_msg *tr_task_await_or_exit(tr_task task, int64_t timeout_ms)
{
    tr_task_result result = tr_task_await(task, timeout_ms);
    if (result.err != TR_OK) {
        tr_term reason = result.err == TR_E_TIMEOUT ? TR_ATOM(TIMEOUT) : result.reason;
        tr__task_exit(reason, "Task", "await", tr_list(tr_pid_term(task.pid), tr__task_ms(timeout_ms)));
    }
    return result.value;
}

tr_task_result tr_task_ignore(tr_task task)
{
    tr_task_result result = tr_task_await(task, 0);
    tr_unlink(tr_to(task.pid));
    return result;
}

/* ---- shutdown ---- */

static bool is_down_of(const tr_msg *msg, void *ref)
{
    return tr_msg_kind_of(msg) == TR_MSG_DOWN && tr_ref_equal(tr_msg_ref(msg), *(tr_ref *)ref);
}

static tr_msg *end_of(tr_ref watch, int64_t timeout_ms)
{
    return tr_receive(is_down_of, &watch, timeout_ms);
}

static tr_term asked_end(int64_t timeout_ms, bool as_signal)
{
    if (timeout_ms == TR_SHUTDOWN_BRUTAL_KILL) {
        return as_signal ? TR_ATOM(KILL) : TR_ATOM(KILLED);
    }
    return TR_ATOM(SHUTDOWN);
}

/* Its DOWN. A settled task has no monitor any more, but may still run. */
static tr_msg *end_task(const tr_task *task, int64_t timeout_ms)
{
    tr_ref watch = task->ref;
    bool stands = tr__monitor_stands(watch);
    tr_msg *msg = stands ? NULL : end_of(watch, 0);
    if (!stands && msg == NULL) {
        watch = tr_monitor(tr_to(task->pid), NULL);
    }
    tr_unlink(tr_to(task->pid)); /* nothing ends the owner between this and the next: the task gets both */
    tr_exit_signal(tr_to(task->pid), asked_end(timeout_ms, true));
    if (msg == NULL) {
        msg = end_of(watch, timeout_ms == TR_SHUTDOWN_BRUTAL_KILL ? TR_INFINITY : timeout_ms);
    }
    if (msg == NULL) {
        tr_exit_signal(tr_to(task->pid), TR_ATOM(KILL));
        msg = end_of(watch, TR_INFINITY);
    }
    return msg;
}

tr_task_result tr_task_shutdown(tr_task task, int64_t timeout_ms)
{
    tr__task_check_owner(&task);
    if (task.pid == TR_NO_PID) {
        return tr_task_ignore(task);
    }
    tr_task_result end = tr__task_result_of(end_task(&task, timeout_ms));
    tr_msg *value = tr_receive_ref(task.ref, 0); /* it came before the DOWN, if ever */
    if (value != NULL) {
        return (tr_task_result){.err = TR_OK, .value = value};
    }
    bool as_asked = tr_same(end.reason, asked_end(timeout_ms, false));
    return as_asked ? (tr_task_result){.err = TR_E_TIMEOUT} : end;
}
