/* task.h: what the files of tasks share: the birth of a task's process, and the messages it lives by. Not public;
 * <troupe/task.h> is.
 *
 * A task that somebody awaits is born without its work. Its owner sends that once it watches the process: the job's
 * argument itself, as a message of kind TR_MSG_ACK (no receive of the function sees it) that carries the reference to
 * answer under.
 *
 * Invariants
 *  1. The argument message belongs to the sender until it is sent, then to the task's mailbox, then to the task: a kill
 *     at any point frees it with one of them.
 *  2. A task with a supervisor may be born for an owner that died meanwhile: it monitors the owner and waits
 *     TR__TASK_WORK_MS at most.
 *  3. To an owner the answer goes through the alias of its monitor, which ends with the demonitor; to a stream's
 *     consumer it goes under {keeper, slot + 1}, as TR_MSG_ACK.
 */
#ifndef TROUPE_OTP_TASK_H
#define TROUPE_OTP_TASK_H

#include <troupe/task.h>

#include "runtime/core/behaviour.h"

#define TR__TASK_WORK_MS 5000

/** What a task's process is started with. The argument of a fire-and-forget task follows, then the callers. */
typedef struct tr__task_birth {
    _Alignas(16) tr_task_fn fn;
    tr_main_fn main; /* nobody awaits it: instead of fn */
    tr_pid owner;
    bool in_stream;
    bool supervised; /* see invariant 2 */
    uint32_t caller_count;
    size_t arg_bytes;
    const void *arg; /* handed on as it is when arg_bytes is 0 */
} tr__task_birth;

/** The whole birth on scratch memory: with the calling process as owner and first caller, and a copy of what base.arg
 *  points to. *bytes: its size. */
const tr__task_birth *tr__task_birth_of(tr__task_birth base, size_t *bytes);
/** Spawns one. name is static. Errors as tr_spawn. */
tr_err tr__task_spawn(const tr__task_birth *birth, size_t birth_bytes, const char *name, bool link,
                      tr_pid *pid);
/** The main function of every task; its argument is a birth. */
void tr__task_main(const void *birth);
/** The work of a task that was born; takes arg. */
void tr__task_send_work(tr_pid pid, tr_ref ref, tr_msg *arg);
/** The calling process becomes the owner of a process that waits for its work: monitor and work. */
tr_task tr__task_own(tr_pid pid, tr_msg *arg);

/** Starts one as the child of a supervisor, and links it to the caller. Errors as tr_task_supervisor_async. */
tr_err tr__task_start_supervised(tr_dest sup, const tr__task_birth *birth, size_t birth_bytes,
                                 const char *name, int64_t shutdown_ms, bool link, tr_pid *pid);

/** Crashes a caller that does not own the task. */
void tr__task_check_owner(const tr_task *task);
/** The result in a REPLY or DOWN that was received; a DOWN is dropped. */
tr_task_result tr__task_result_of(tr_msg *msg);
/** What is left until a deadline (tr__deadline), for a receive. */
int64_t tr__task_left(int64_t deadline_ms);
/** Ends the caller with {Reason, {Module, Function, Args}}. */
TR_NORETURN void tr__task_exit(tr_term reason, const char *module, const char *function, tr_term args);
/** Milliseconds, or infinity. */
tr_term tr__task_ms(int64_t ms);

#endif
