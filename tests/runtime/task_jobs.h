/* task_jobs.h: a task that does what its argument says; for the tests of tasks.
 *
 * 1. JOB(...) is a job from the members of `job`; ASYNC(...) starts it and gives the handle.
 * 2. says(result) writes "ok n", "exit reason" or "nil". */
#ifndef TESTS_RUNTIME_TASK_JOBS_H
#define TESTS_RUNTIME_TASK_JOBS_H

#include "tests/runtime/stage.h"

typedef enum deed {
    GIVE,       /* n                                                      */
    GIVE_AFTER, /* .ms                                                    */
    GIVE_AT_GO, /* n, when a go came                                      */
    GIVE_NULL,
    GIVE_TERM,
    END,             /* tr_exit(.term)                                         */
    END_AT_GO,       /* the same when a go came                                */
    CRASH,           /* tr_error(.term)                                        */
    IGNORE_SHUTDOWN, /* traps exits and waits for go                      */
    GIVE_AT_EXIT,    /* traps exits, gives n when asked to end            */
    END_AT_EXIT,     /* traps exits, ends with .term when asked to end    */
    TELL_CALLERS,    /* says whether .pid is the first of n callers       */
} deed;

TR_MESSAGE_EMPTY(go);
TR_MESSAGE(num, { int64_t n; });
TR_MESSAGE_TERMS(
    job,
    {
        deed deed;
        int64_t n;
        int64_t ms;
        tr_pid pid;
        tr_term term;
    },
    offsetof(job, term));

static inline void wait_for_go(void)
{
    (void)TR_RECEIVE(go, TR_INFINITY);
}

static inline void wait_for_exit(void)
{
    (void)tr_trap_exit(true);
    (void)TR_RECEIVE(tr_exit_msg, TR_INFINITY);
}

static inline void tell_callers(const job *j)
{
    const tr_pid *callers;
    size_t count = tr_task_callers(&callers);
    say("%zu callers, %s", count, count > 0 && callers[0] == j->pid ? "as it should be" : "another first");
}

static inline tr_msg *do_job(const job *j)
{
    switch (j->deed) {
    case GIVE:
        break;
    case GIVE_AFTER:
        tr_sleep(j->ms);
        break;
    case GIVE_AT_GO:
        wait_for_go();
        break;
    case GIVE_NULL:
        return NULL;
    case GIVE_TERM:
        return TR_MSG(tr_term_msg, .value = j->term);
    case END_AT_GO:
        wait_for_go();
        tr_exit(j->term);
    case END:
        tr_exit(j->term);
    case CRASH:
        tr_error(j->term);
    case IGNORE_SHUTDOWN:
        (void)tr_trap_exit(true);
        wait_for_go();
        break;
    case GIVE_AT_EXIT:
        wait_for_exit();
        break;
    case END_AT_EXIT:
        wait_for_exit();
        tr_exit(j->term);
    case TELL_CALLERS:
        tell_callers(j);
        break;
    }
    return TR_MSG(num, .n = j->n);
}

#define JOB(what, ...) TR_TASK(do_job, job, .deed = what, ##__VA_ARGS__)
#define ASYNC(...)                                                      \
    ({                                                                  \
        tr_task async_task_;                                            \
        EXPECT(tr_task_async(JOB(__VA_ARGS__), &async_task_) == TR_OK); \
        async_task_;                                                    \
    })

/* Takes the result. */
static inline void says(tr_task_result result)
{
    char text[128];
    const num *value = TR_MATCH(result.value, num);
    const tr_term_msg *term = TR_MATCH(result.value, tr_term_msg);
    if (value != NULL) {
        say("ok %" PRId64, value->n);
    } else if (result.err == TR_OK) {
        tr_term_print(term->value, text, sizeof text);
        say("ok %s", text);
    } else if (result.err == TR_E_EXIT) {
        tr_term_print(result.reason, text, sizeof text);
        say("exit %s", text);
    } else {
        say("nil");
    }
    tr_msg_drop(result.value);
}

static inline void tell_go(tr_pid pid)
{
    EXPECT(TR_SEND(pid, go) == TR_OK);
}

/* Lets everyone run until quiet: time is virtual. */
static inline void settle(void)
{
    tr_sleep(1);
}

/* Nothing is in the mailbox of the calling process. */
static inline void expect_no_message(void)
{
    settle();
    tr_msg *msg = tr_receive(NULL, NULL, 0);
    EXPECT(msg == NULL);
    if (msg != NULL) {
        say("a message of type %s", msg->type->name);
    }
}

static inline bool has_link(tr_pid pid)
{
    tr_process_info info;
    EXPECT(tr_process_info_of(tr_self(), false, 1000, &info) == TR_OK);
    for (size_t i = 0; i < info.link_count; i++) {
        if (info.links[i] == pid) {
            return true;
        }
    }
    return false;
}

/* How a process ended that ran fn(arg), said as "ended reason"; {Reason, Where} without the list in Where. */
static inline void says_how_it_ends(tr_main_fn fn, const void *arg, size_t bytes)
{
    tr_pid pid;
    tr_ref watch;
    char text[256];
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &watch}, fn, arg, bytes, &pid) == TR_OK);
    tr_msg *msg = tr_receive_ref(watch, 60000);
    if (!EXPECT(msg != NULL)) {
        return;
    }
    tr_term reason = TR_MATCH(msg, tr_down_msg)->reason;
    bool is_pair = tr_term_kind_of(reason) == TR_TERM_TUPLE && tr_term_count(reason) == 2;
    tr_term where = is_pair ? tr_term_items(reason)[1] : reason;
    if (is_pair && tr_term_kind_of(where) == TR_TERM_TUPLE && tr_term_count(where) == 3) {
        reason =
            tr_tuple(tr_term_items(reason)[0], tr_tuple(tr_term_items(where)[0], tr_term_items(where)[1]));
    } else if (is_pair && tr_is_tagged(reason, "badarg", 2) && tr_is_tagged(where, "task_owner", 2)) {
        reason = tr_tuple(TR_ATOM(BADARG), tr_atom("task_owner"));
    }
    tr_term_print(reason, text, sizeof text);
    say("ended %s", text);
    tr_msg_drop(msg);
}

#endif
