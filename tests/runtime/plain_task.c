/* Tasks on real workers: owners, tasks, keepers of streams and task supervisors are killed at random points; a task ends
 * while its owner gives it up; ten thousand are in flight. At the end nobody is left, and every byte was given back. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tests/runtime/workers.h"

#if PLAIN_SLOWER > 1
enum { OWNERS = 6, KILLS = 60, RACES = 400, IN_FLIGHT = 300, ELEMENTS = 200 };
#else
enum { OWNERS = 16, KILLS = 6000, RACES = 10000, IN_FLIGHT = 10000, ELEMENTS = 3000 };
#endif
enum { HELD = 8 };

TR_MESSAGE(num, { int64_t n; });
TR_MESSAGE_TERMS(
    errand,
    {
        unsigned seed;
        int64_t n;
        tr_term text; /* memory of its own */
    },
    offsetof(errand, text));

static struct {
    _Atomic(tr_pid) sup;
    _Atomic uint64_t values, ends, none, results;
} at;

static void on_workers(tr_main_fn body)
{
    unsigned seed = plain_seed();
    memset(&at, 0, sizeof at);
    run_on_workers(body, &seed, sizeof seed, NULL);
}

static unsigned dice(unsigned *seed, unsigned sides)
{
    return (unsigned)rand_r(seed) % sides;
}

/* ---- tasks that do anything ---- */

static tr_msg *run(const errand *of)
{
    unsigned seed = of->seed;
    switch (dice(&seed, 8)) {
    case 0:
        tr_exit(tr_string("a crash"));
    case 1:
        (void)tr_trap_exit(true);
        tr_sleep(dice(&seed, 4));
        break;
    case 2:
        tr_sleep(dice(&seed, 3));
        break;
    case 3:
        tr_yield();
        break;
    case 4:
        (void)tr_alloc(1 + dice(&seed, 5000));
        tr_sleep(1);
        break;
    default:
        break;
    }
    return dice(&seed, 2) == 0 ? TR_MSG(num, .n = of->n)
                               : TR_MSG(tr_term_msg, .value = tr_string("a value of some length"));
}

static tr_task_job some_job(unsigned *seed)
{
    return *TR_TASK(run, errand, .seed = (unsigned)rand_r(seed),
                    .text = tr_string("an argument of some length"));
}

static void note(tr_task_result result)
{
    atomic_fetch_add(result.err == TR_OK ? &at.values : result.err == TR_E_EXIT ? &at.ends : &at.none, 1);
    tr_msg_drop(result.value);
}

static tr_dest supervisor(void)
{
    return tr_to(atomic_load(&at.sup));
}

static bool start_somehow(unsigned *seed, tr_task *task)
{
    tr_task_job of = some_job(seed);
    switch (dice(seed, 4)) {
    case 0:
        return tr_task_supervisor_async(supervisor(), &of, TR_SHUTDOWN_BRUTAL_KILL, task) == TR_OK;
    case 1:
        return tr_task_supervisor_async_nolink(supervisor(), &of, TR_SHUTDOWN_BRUTAL_KILL, task) == TR_OK;
    case 2:
        tr_msg_drop(of.arg);
        *task = tr_task_completed(TR_MSG(num, .n = 0));
        return true;
    default:
        return tr_task_async(&of, task) == TR_OK;
    }
}

static void settle_somehow(tr_task task, unsigned *seed)
{
    switch (dice(seed, 6)) {
    case 0:
        note(tr_task_await(task, dice(seed, 3)));
        break;
    case 1:
        note(tr_task_yield(task, dice(seed, 3)));
        break;
    case 2:
        note(tr_task_ignore(task));
        break;
    case 3:
        note(tr_task_shutdown(task, TR_SHUTDOWN_BRUTAL_KILL));
        break;
    case 4:
        note(tr_task_shutdown(task, dice(seed, 3)));
        break;
    default:
        break; /* nobody ever asks */
    }
}

static void many_somehow(tr_task *tasks, size_t count, unsigned *seed)
{
    tr_task_result results[HELD];
    tr_task_yield_opts opts = {
        .timeout_ms = dice(seed, 4), .limit = dice(seed, 4), .late = (tr_task_late)dice(seed, 3)};
    if (dice(seed, 3) == 0) {
        tr_err err = tr_task_await_many(tasks, count, dice(seed, 4), results);
        atomic_fetch_add(&at.results, err == TR_OK ? count : 0);
    } else {
        tr_task_yield_many(tasks, count, &opts, results);
    }
    for (size_t i = 0; i < count; i++) {
        note(results[i]);
    }
}

/* ---- streams ---- */

typedef struct source {
    unsigned seed;
    int64_t left;
} source;

static tr_msg *next_errand(void *ctx)
{
    source *from = ctx;
    return from->left-- > 0 ? some_job(&from->seed).arg : NULL;
}

static void stream_somehow(unsigned *seed)
{
    source from = {.seed = (unsigned)rand_r(seed), .left = 10};
    tr_task_stream_opts opts = {.max_concurrency = 1 + dice(seed, 6),
                                .unordered = dice(seed, 2) == 0,
                                .timeout_ms = 1 + dice(seed, 5),
                                .on_timeout = (tr_on_timeout)dice(seed, 2),
                                .shutdown_ms = TR_SHUTDOWN_BRUTAL_KILL};
    tr_task_stream *stream;
    tr_task_result result;
    if (dice(seed, 2) == 0) {
        opts.sup = supervisor();
        opts.nolink = dice(seed, 2) == 0;
    }
    if (!PLAIN_CHECK(tr_task_async_stream(TR_TASK_EACH(run, errand), next_errand, &from, &opts, &stream) ==
                     TR_OK)) {
        return;
    }
    while (dice(seed, 8) != 0 && tr_task_stream_next(stream, &result) == TR_OK) {
        note(result);
    }
    if (dice(seed, 8) != 0) {
        tr_task_stream_close(stream);
    }
}

/* ---- owners ---- */

static void own(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    (void)tr_trap_exit(dice(&seed, 2) == 0);
    for (;;) {
        tr_scratch_mark mark = tr_scratch();
        tr_task tasks[HELD];
        size_t count = 0;
        while (count < HELD && dice(&seed, 6) != 0) {
            count += start_somehow(&seed, &tasks[count]) ? 1 : 0;
            if (atomic_load(&at.sup) == TR_NO_PID) {
                return;
            }
        }
        if (dice(&seed, 3) == 0) {
            stream_somehow(&seed);
        }
        if (dice(&seed, 2) == 0) {
            many_somehow(tasks, count, &seed);
        }
        for (size_t i = 0; i < count; i++) {
            settle_somehow(tasks[i], &seed);
        }
        for (tr_msg *msg; (msg = tr_receive(NULL, NULL, 0)) != NULL;) {
            tr_msg_drop(msg);
        }
        tr_scratch_release(mark);
    }
}

/* ---- killing anybody ---- */

typedef struct choice {
    tr_pid spared;
    unsigned *seed;
    tr_pid chosen;
    unsigned seen;
} choice;

static bool choose(const tr_process_summary *summary, void *ctx)
{
    choice *made = ctx;
    if (summary->pid != made->spared && dice(made->seed, ++made->seen) == 0) {
        made->chosen = summary->pid;
    }
    return true;
}

static tr_pid anyone(unsigned *seed)
{
    choice made = {.spared = tr_self(), .seed = seed};
    tr_process_each(choose, &made);
    return made.chosen;
}

static void keep_supervisor(void)
{
    tr_started started;
    if (!tr_is_alive(atomic_load(&at.sup)) &&
        PLAIN_CHECK(tr_task_supervisor_start_link(&(tr_task_supervisor_opts){.max_children = 40}, NULL,
                                                  &started) == TR_OK)) {
        atomic_store(&at.sup, started.pid);
    }
}

static void keep_owners(tr_pid *owners, unsigned *seed)
{
    for (int i = 0; i < OWNERS; i++) {
        unsigned its_seed = (unsigned)rand_r(seed);
        if (!tr_is_alive(owners[i])) {
            PLAIN_CHECK(tr_spawn(NULL, own, &its_seed, sizeof its_seed, &owners[i]) == TR_OK);
        }
    }
}

static void drain(void)
{
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, 0)) != NULL;) {
        tr_msg_drop(msg);
    }
}

static void kill_at_random(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    tr_pid owners[OWNERS] = {0};
    for (int i = 0; i < KILLS; i++) {
        tr_scratch_mark mark = tr_scratch();
        keep_supervisor();
        keep_owners(owners, &seed);
        tr_exit_signal(tr_to(anyone(&seed)), dice(&seed, 3) != 0 ? TR_ATOM(KILL) : tr_string("boom"));
        drain();
        tr_scratch_release(mark);
        tr_yield();
    }
    atomic_store(&at.sup, TR_NO_PID);
    for (tr_pid one; (one = anyone(&seed)) != TR_NO_PID;) {
        tr_exit_signal(tr_to(one), TR_ATOM(KILL));
        tr_yield();
    }
}

PLAIN_TEST(owners_tasks_and_supervisors_are_killed_at_random)
{
    on_workers(kill_at_random);
    printf("    %" PRIu64 " values, %" PRIu64 " ends, %" PRIu64 " neither\n", atomic_load(&at.values),
           atomic_load(&at.ends), atomic_load(&at.none));
    PLAIN_CHECK(atomic_load(&at.values) > 0 && atomic_load(&at.ends) > 0 && atomic_load(&at.none) > 0);
}

/* ---- an end that races with being given up ---- */

static tr_msg *give_soon(const num *turns)
{
    for (int64_t i = 0; i < turns->n; i++) {
        tr_yield();
    }
    return TR_MSG(num, .n = turns->n);
}

static tr_task_result give_up(tr_task task, unsigned how)
{
    switch (how) {
    case 0:
        return tr_task_await(task, 0);
    case 1:
        return tr_task_ignore(task);
    case 2:
        return tr_task_shutdown(task, 1000);
    default:
        return tr_task_shutdown(task, TR_SHUTDOWN_BRUTAL_KILL);
    }
}

static void race(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    (void)tr_trap_exit(false);
    for (int i = 0; i < RACES; i++) {
        tr_task task;
        unsigned how = dice(&seed, 4);
        if (!PLAIN_CHECK(tr_task_async(TR_TASK(give_soon, num, .n = dice(&seed, 3)), &task) == TR_OK)) {
            return;
        }
        for (unsigned turns = dice(&seed, 4); turns > 0; turns--) {
            tr_yield();
        }
        tr_task_result result = give_up(task, how);
        PLAIN_CHECK(result.err == TR_OK || result.err == TR_E_TIMEOUT);
        tr_msg_drop(result.value);
        PLAIN_CHECK(tr_receive(NULL, NULL, 0) == NULL);
    }
    tr_sleep(10);
    PLAIN_CHECK(tr_receive(NULL, NULL, 0) == NULL);
}

PLAIN_TEST(a_task_that_is_given_up_leaves_no_message)
{
    on_workers(race);
}

/* ---- many at once ---- */

static _Atomic uint64_t arrived;

static tr_msg *wait_for_all(const num *of)
{
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < IN_FLIGHT) {
        tr_sleep(1);
    }
    return TR_MSG(num, .n = of->n);
}

static void in_flight(const void *unused)
{
    (void)unused;
    tr_task *tasks = tr_alloc(IN_FLIGHT * sizeof *tasks);
    tr_task_result *results = tr_alloc(IN_FLIGHT * sizeof *results);
    int64_t right = 0;
    atomic_store(&arrived, 0);
    for (int64_t i = 0; i < IN_FLIGHT; i++) {
        PLAIN_CHECK(tr_task_async(TR_TASK(wait_for_all, num, .n = i), &tasks[i]) == TR_OK);
    }
    PLAIN_CHECK(tr_task_await_many(tasks, IN_FLIGHT, TR_INFINITY, results) == TR_OK);
    for (int64_t i = 0; i < IN_FLIGHT; i++) {
        right += results[i].err == TR_OK && TR_MATCH(results[i].value, num)->n == i ? 1 : 0;
        tr_msg_drop(results[i].value);
    }
    PLAIN_CHECK(right == IN_FLIGHT);
}

PLAIN_TEST(ten_thousand_tasks_are_in_flight)
{
    on_workers(in_flight);
}

static tr_msg *next_number(void *ctx)
{
    int64_t *next = ctx;
    return *next < ELEMENTS ? TR_MSG(num, .n = (*next)++) : NULL;
}

static void stream(const void *unused)
{
    (void)unused;
    for (int unordered = 0; unordered < 2; unordered++) {
        int64_t next = 0;
        int64_t count = 0;
        tr_task_stream_opts opts = {
            .max_concurrency = 16, .timeout_ms = TR_INFINITY, .unordered = unordered == 1};
        tr_task_stream *made;
        tr_task_result result;
        PLAIN_CHECK(tr_task_async_stream(TR_TASK_EACH(give_soon, num), next_number, &next, &opts, &made) ==
                    TR_OK);
        while (tr_task_stream_next(made, &result) == TR_OK) {
            const num *value = TR_MATCH(result.value, num);
            PLAIN_CHECK(value != NULL && (int64_t)tr_task_stream_index(made) == value->n);
            PLAIN_CHECK(unordered == 1 || value->n == count);
            tr_msg_drop(result.value);
            count++;
        }
        tr_task_stream_close(made);
        PLAIN_CHECK(count == ELEMENTS);
    }
    PLAIN_CHECK(tr_receive(NULL, NULL, 0) == NULL);
}

PLAIN_TEST(streams_give_every_element_once)
{
    on_workers(stream);
}
