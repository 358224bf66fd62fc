/* The node: starting, stopping, again and again; hooks, posts, joining. Real threads. */
#include <criterion/criterion.h>
#include <troupe/troupe.h>
#include <uv.h>

TR_MESSAGE(num, { int64_t n; });

static _Atomic int started, stopped, turns, posted;

static void reset(void)
{
    started = 0;
    stopped = 0;
    turns = 0;
    posted = 0;
}

static void wait_for_ever(const void *arg)
{
    (void)arg;
    for (;;) {
        (void)TR_SEND_AFTER(1, tr_self(), num, 1);
        tr_msg_drop(tr_receive(NULL, NULL, 100000));
        tr_put(tr_int(1), tr_string("some text"));
    }
}

static void end_with(const void *arg)
{
    if (*(const int *)arg == 1) {
        tr_exit(tr_tuple(tr_atom("a"), tr_string("reason")));
    }
}

static uint64_t bytes_left(void)
{
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    return stats.bytes_allocated - stats.bytes_freed;
}

Test(node, starts_and_stops_again_and_again_and_leaves_nothing)
{
    for (int round = 0; round < 10; round++) {
        tr_node_opts opts = {.workers = 1 + round % 4};
        cr_assert(tr_node_start(&opts) == TR_OK);
        cr_expect(tr_node_start(&opts) == TR_E_STATE);
        cr_expect(tr_node_workers() == opts.workers && tr_node_core() == -1);
        for (int i = 0; i < 50; i++) {
            cr_assert(tr_spawn(&(tr_spawn_opts){.label = "x", .core = i % 3 == 0 ? 1 : 0}, wait_for_ever,
                               NULL, 0, NULL) == TR_OK);
        }
        if (round % 2 == 0) {
            uv_sleep(5);
        }
        tr_node_stop();
        tr_node_stop();
        cr_expect(bytes_left() == 0, "%d bytes are left", (int)bytes_left());
    }
}

Test(node, run_gives_the_end_of_its_process)
{
    int clean = 0;
    int crash = 1;
    cr_expect(tr_node_run(&(tr_node_opts){.workers = 2}, end_with, &clean) == 0);
    cr_expect(tr_node_run(&(tr_node_opts){.workers = 2}, end_with, &crash) == 1);
}

Test(node, joining_gives_the_reason_or_noproc_when_it_is_long_gone)
{
    int crash = 1;
    tr_pid pid;
    tr_term reason;
    cr_assert(tr_node_start(&(tr_node_opts){.workers = 2}) == TR_OK);
    cr_assert(tr_spawn(NULL, wait_for_ever, NULL, 0, &pid) == TR_OK);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_node_join(pid, &reason);
    cr_expect(tr_same(reason, TR_ATOM(KILLED)) || tr_same(reason, TR_ATOM(NOPROC)));
    tr_node_join(pid, &reason);
    cr_expect(tr_same(reason, TR_ATOM(NOPROC)));
    for (int i = 0; i < 200;
         i++) { /* joined at any moment of its life and burial: the answer is one of the two, and it comes */
        cr_assert(tr_spawn(NULL, end_with, &crash, sizeof crash, &pid) == TR_OK);
        tr_node_join(pid, &reason);
        cr_expect(tr_is_tagged(reason, "a", 2) || tr_same(reason, TR_ATOM(NOPROC)));
        cr_expect(tr_process_summary_of(pid, &(tr_process_summary){0}) == TR_E_NOPROC);
    }
    tr_node_join(TR_NO_PID, &reason);
    tr_node_stop();
}

static tr_err hook_start(int core, uv_loop_t *loop, void *ctx)
{
    cr_assert(tr_node_core() == core && loop != NULL && ctx == &started);
    started++;
    return TR_OK;
}
static tr_err hook_start_fails(int core, uv_loop_t *loop, void *ctx)
{
    (void)loop;
    (void)ctx;
    return core == 1 ? TR_E_LIMIT : TR_OK;
}
static bool hook_turn(int core, void *ctx)
{
    (void)ctx;
    cr_assert(tr_node_core() == core && tr_self() == TR_NO_PID);
    turns++;
    return false;
}
static void hook_stop(int core, uv_loop_t *loop, void *ctx)
{
    (void)core;
    (void)loop;
    (void)ctx;
    stopped++;
}

static void turn_taken(void *ctx)
{
    uv_sem_post(ctx);
}
/* Returns after a whole turn of that core: the first post runs in some turn, the second in a later one. */
static void take_a_turn(int core)
{
    uv_sem_t sem;
    cr_assert(uv_sem_init(&sem, 0) == 0);
    for (int i = 0; i < 2; i++) {
        tr_node_post(core, turn_taken, &sem);
        uv_sem_wait(&sem);
    }
    uv_sem_destroy(&sem);
}

Test(node, hooks_are_called_on_every_core)
{
    reset();
    tr_node_opts opts = {.workers = 3, .hooks = {hook_start, hook_turn, hook_turn, hook_stop, &started}};
    cr_assert(tr_node_start(&opts) == TR_OK);
    cr_expect(started == 3);
    for (int core = 0; core < 3; core++) { /* a node that stops at once may stop before a core's first turn */
        take_a_turn(core);
    }
    cr_expect(turns >= 6);
    tr_node_stop();
    cr_expect(stopped == 3);
}

Test(node, a_start_hook_that_fails_stops_the_node)
{
    tr_node_opts opts = {.workers = 2, .hooks = {.start = hook_start_fails}};
    cr_expect(tr_node_start(&opts) == TR_E_LIMIT);
    cr_assert(tr_node_start(&(tr_node_opts){.workers = 1}) == TR_OK);
    tr_node_stop();
}

static void post_frees(void *ctx)
{
    free(ctx);
    posted++;
}

Test(node, everything_posted_runs_once_even_when_the_node_stops)
{
    for (int round = 0; round < 20; round++) {
        reset();
        cr_assert(tr_node_start(&(tr_node_opts){.workers = 2}) == TR_OK);
        for (int i = 0; i < 100; i++) {
            tr_node_post(i % 2, post_frees, malloc(8));
        }
        tr_node_stop();
        cr_expect(posted == 100);
    }
}

static void cancels_remotely(const void *arg)
{
    (void)arg;
    for (;;) {
        (void)tr_cancel_timer(TR_SEND_AFTER(1000, tr_self(), num, 1));
        tr_sleep(0);
        TR_SEND(tr_self(), num, 1);
        tr_msg_drop(tr_receive(NULL, NULL, 1));
    }
}

Test(node, stops_while_cancels_are_under_way)
{
    for (int round = 0; round < 10; round++) {
        cr_assert(tr_node_start(&(tr_node_opts){.workers = 3}) == TR_OK);
        for (int i = 0; i < 20; i++) {
            cr_assert(tr_spawn(NULL, cancels_remotely, NULL, 0, NULL) == TR_OK);
        }
        uv_sleep(2);
        tr_node_stop();
        cr_expect(bytes_left() == 0);
    }
}

static void bound_main(const void *arg)
{
    int core = *(const int *)arg;
    for (int i = 0; i < 20; i++) {
        TR_CHECK(tr_node_core() == core);
        tr_yield();
        tr_sleep(1);
    }
}

Test(node, a_bound_process_never_leaves_its_core)
{
    cr_assert(tr_node_start(&(tr_node_opts){.workers = 3}) == TR_OK);
    for (int core = 0; core < 3; core++) {
        tr_pid pid;
        tr_term reason;
        cr_assert(tr_spawn(&(tr_spawn_opts){.core = core + 1}, bound_main, &core, sizeof core, &pid) ==
                  TR_OK);
        tr_node_join(pid, &reason);
        cr_expect(tr_same(reason, TR_ATOM(NORMAL)));
    }
    tr_node_stop();
}

static void *build_terms(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        tr_term term = tr_tuple(tr_atom("x"), tr_string("outside of any process"));
        cr_expect(tr_term_count(term) == 2);
    }
    return NULL;
}

Test(node, a_foreign_thread_leaves_no_scratch_memory)
{
    cr_assert(tr_node_start(&(tr_node_opts){.workers = 1}) == TR_OK);
    uv_thread_t thread;
    for (int i = 0; i < 5; i++) {
        cr_assert(pthread_create(&thread, NULL, build_terms, NULL) == 0);
        pthread_join(thread, NULL);
    }
    tr_node_stop();
    cr_expect(bytes_left() == 0);
}
