/* Pools: the cases of poolboy's own suite, and what ours promises beyond them. */
#include "tests/runtime/stage.h"

TR_MESSAGE(errand, {
    bool naps; /* before it answers */
});
TR_MESSAGE(errand_done, { int64_t number; });

typedef struct clerk {
    int64_t number;
} clerk;

static int64_t clerks; /* started in this scene */
static int64_t clerks_that_start;

static tr_next clerk_init(clerk *self, const void *arg)
{
    self->number = ++clerks;
    if (arg != NULL && *(const int64_t *)arg > 0) {
        self->number += *(const int64_t *)arg;
    }
    return clerks > clerks_that_start ? TR_STOP(tr_atom("no_more")) : TR_INIT_OK;
}

static tr_next clerk_handle_call(clerk *self, tr_from from, const tr_msg *msg)
{
    if (TR_MATCH(msg, errand)->naps) {
        tr_sleep(1000);
    }
    return TR_REPLY(from, errand_done, .number = self->number);
}

static void clerk_terminate(clerk *self, tr_term reason)
{
    say("%" PRId64 " %s", self->number, tr_term_text(reason));
}

TR_GEN_SERVER(clerk, .init = clerk_init, .handle_call = clerk_handle_call, .terminate = clerk_terminate,
              .trap_exit = true);

/* ---- what scenes do ---- */

static tr_dest pool;

static tr_err start_pool(int32_t size, int32_t max_overflow, tr_pool_strategy strategy, tr_started *started)
{
    tr_pool_opts opts = {.worker = {.server = clerk_server},
                         .size = size == 0 ? TR_POOL_NONE : size,
                         .max_overflow = max_overflow == 0 ? TR_POOL_NONE : max_overflow,
                         .strategy = strategy};
    tr_err err = tr_pool_start_link(&opts, NULL, started);
    pool = tr_to(started->pid);
    return err;
}

static void a_pool(int32_t size, int32_t max_overflow)
{
    tr_started started = {.pid = TR_NO_PID};
    clerks = 0;
    clerks_that_start = INT64_MAX;
    EXPECT(start_pool(size, max_overflow, TR_POOL_LIFO, &started) == TR_OK);
}

static tr_pid checked_out(void)
{
    tr_pid worker = TR_NO_PID;
    EXPECT(tr_pool_checkout(pool, true, 5000, &worker) == TR_OK);
    return worker;
}

static void check_out_all(tr_pid *workers, int count)
{
    for (int i = 0; i < count; i++) {
        workers[i] = checked_out();
    }
}

static void check_in_all(const tr_pid *workers, int count)
{
    for (int i = 0; i < count; i++) {
        tr_pool_checkin(pool, workers[i]);
    }
}

static bool is_full(void)
{
    tr_pid worker = TR_NO_PID;
    return tr_pool_checkout(pool, false, 5000, &worker) == TR_E_LIMIT && worker == TR_NO_PID;
}

/* "ready 5 0 0": as poolboy's status; and how many wait, if anybody does. */
static const char *status(void)
{
    static char text[128];
    static const char *const names[] = {"ready", "overflow", "full"};
    tr_pool_status s = {0};
    EXPECT(tr_pool_status_of(pool, 5000, &s) == TR_OK);
    int used =
        snprintf(text, sizeof text, "%s %u %u %u", names[s.state], s.available, s.overflow, s.checked_out);
    if (s.waiting > 0) {
        snprintf(text + used, sizeof text - (size_t)used, " waiting %u", s.waiting);
    }
    return text;
}

#define STATUS(text) stage_status((text), __LINE__)
static void stage_status(const char *wanted, int line)
{
    const char *is = status();
    if (strcmp(is, wanted) != 0) {
        stage_add(&stage.failed, "line %d: expected %s but it was %s\n", line, wanted, is);
    }
}

/* Processes below the pool's supervisor, asked of the table of processes. */
static bool count_clerk(const tr_process_summary *summary, void *ctx)
{
    *(int *)ctx += strcmp(summary->label, "clerk") == 0;
    return true;
}

static int clerks_alive(void)
{
    int count = 0;
    tr_process_each(count_clerk, &count);
    return count;
}

/* Borrowers that the pool watches, besides its workers. */
static int monitors(void)
{
    tr_process_info info = {.monitor_count = 99};
    EXPECT(tr_process_info_of(pool.pid, false, 5000, &info) == TR_OK);
    return (int)info.monitor_count - clerks_alive();
}

static void kill_worker(tr_pid worker)
{
    tr_ref end = tr_monitor(tr_to(worker), NULL);
    tr_exit_signal(tr_to(worker), TR_ATOM(KILL));
    tr_msg_drop(tr_receive_ref(end, 5000));
    (void)status(); /* the pool watched it first and has heard of it */
}

static tr_pid spawned(tr_main_fn fn)
{
    tr_pid pid = TR_NO_PID;
    EXPECT(tr_spawn(NULL, fn, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    return pid;
}

static void kill_and_settle(tr_pid pid)
{
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_sleep(1);
}

/* A customer that waits in line, and comes back after a moment. */
static void customer(const void *arg)
{
    (void)arg;
    tr_pid worker = checked_out();
    say("got a worker");
    tr_pool_checkin(pool, worker);
}

/* Overflow workers that were dismissed may have said so after him. */
static void customer_was_served(void)
{
    EXPECT(strncmp(stage.said.text, "got a worker\n", 13) == 0);
    stage.said.used = 0;
    stage.said.text[0] = '\0';
}

/* ---- poolboy's suite ---- */

/* poolboy_tests: pool_startup */
SCENE(pool, starts_with_its_workers)
{
    a_pool(10, 5);
    STATUS("ready 10 0 0");
    (void)checked_out();
    STATUS("ready 9 0 1");
    tr_pid worker = checked_out();
    STATUS("ready 8 0 2");
    tr_pool_checkin(pool, worker);
    STATUS("ready 9 0 1");
    EXPECT(monitors() == 1 && clerks_alive() == 10);
}

/* poolboy_tests: pool_overflow */
SCENE(pool, overflow_workers_are_dismissed_when_they_come_back)
{
    tr_pid workers[7];
    a_pool(5, 5);
    check_out_all(workers, 7);
    STATUS("overflow 0 2 7");
    EXPECT(clerks_alive() == 7 && monitors() == 7);
    tr_pool_checkin(pool, workers[0]);
    STATUS("overflow 0 1 6");
    tr_pool_checkin(pool, workers[1]);
    STATUS("overflow 0 0 5");
    EXPECT(clerks_alive() == 5);
    tr_pool_checkin(pool, workers[2]);
    STATUS("ready 1 0 4");
    check_in_all(workers + 3, 4);
    STATUS("ready 5 0 0");
    EXPECT(clerks_alive() == 5 && monitors() == 0);
    SAID("5 shutdown", "4 shutdown"); /* last in, first out: those two had been lent first */
}

static void waits_for_a_worker(int size, int max_overflow)
{
    tr_pid workers[7];
    int all = size + max_overflow;
    a_pool(size, max_overflow);
    check_out_all(workers, all);
    spawned(customer);
    tr_sleep(500);
    SAID();
    tr_pool_checkin(pool, workers[0]);
    tr_sleep(1);
    customer_was_served();
    check_in_all(workers + 1, all - 1);
    STATUS("ready 5 0 0");
    EXPECT(clerks_alive() == size && monitors() == 0);
}

/* poolboy_tests: pool_empty */
SCENE(pool, waits_when_overflow_is_used_up)
{
    waits_for_a_worker(5, 2);
}

/* poolboy_tests: pool_empty_no_overflow */
SCENE(pool, waits_when_there_is_no_overflow)
{
    waits_for_a_worker(5, 0);
}

/* poolboy_tests: worker_death */
SCENE(pool, dead_workers_are_replaced_unless_beyond_size)
{
    tr_pid workers[7];
    a_pool(5, 2);
    kill_worker(checked_out());
    STATUS("ready 5 0 0");
    EXPECT(clerks_alive() == 5);
    check_out_all(workers, 7);
    STATUS("full 0 2 7");
    kill_worker(workers[0]);
    STATUS("overflow 0 1 6");
    kill_worker(workers[1]);
    STATUS("overflow 0 0 5");
    kill_worker(workers[2]);
    STATUS("ready 1 0 4");
    EXPECT(clerks_alive() == 5 && monitors() == 4);
}

static void dies_while_somebody_waits(int size, int max_overflow)
{
    tr_pid workers[7];
    int all = size + max_overflow;
    a_pool(size, max_overflow);
    check_out_all(workers, all);
    spawned(customer);
    kill_worker(workers[0]);
    tr_sleep(1);
    customer_was_served();
    EXPECT(clerks_alive() == (max_overflow > 0 ? all - 1 : all)); /* the new one came back: beyond size */
    check_in_all(workers + 1, all - 1);
    STATUS("ready 5 0 0");
    EXPECT(clerks_alive() == 5 && monitors() == 0);
}

/* poolboy_tests: worker_death_while_full */
SCENE(pool, a_worker_that_dies_is_replaced_for_who_waits)
{
    dies_while_somebody_waits(5, 2);
}

/* poolboy_tests: worker_death_while_full_no_overflow */
SCENE(pool, a_worker_that_dies_is_replaced_for_who_waits_without_overflow)
{
    dies_while_somebody_waits(5, 0);
}

/* poolboy_tests: pool_full_nonblocking_no_overflow */
SCENE(pool, full_is_told_to_who_does_not_wait_without_overflow)
{
    tr_pid workers[5];
    a_pool(5, 0);
    check_out_all(workers, 5);
    EXPECT(is_full() && is_full());
    tr_pool_checkin(pool, workers[0]);
    tr_pid again = TR_NO_PID;
    EXPECT(tr_pool_checkout(pool, false, 5000, &again) == TR_OK && again == workers[0]);
    EXPECT(is_full());
    EXPECT(monitors() == 5);
}

/* poolboy_tests: pool_full_nonblocking */
SCENE(pool, full_is_told_to_who_does_not_wait)
{
    tr_pid workers[10];
    a_pool(5, 5);
    check_out_all(workers, 10);
    EXPECT(is_full());
    tr_pool_checkin(pool, workers[0]);
    tr_pid another = TR_NO_PID;
    EXPECT(tr_pool_checkout(pool, false, 5000, &another) == TR_OK);
    EXPECT(another != workers[0] && !tr_is_alive(workers[0])); /* it was beyond size */
    EXPECT(is_full() && is_full());
    EXPECT(monitors() == 10);
    SAID("5 shutdown");
}

static void owner(const void *arg)
{
    (void)arg;
    (void)checked_out();
    tr_sleep(500);
}

/* poolboy_tests: owner_death */
SCENE(pool, a_holder_that_ends_gives_its_worker_back)
{
    a_pool(5, 0);
    spawned(owner);
    STATUS("ready 4 0 1");
    tr_sleep(1000);
    STATUS("ready 5 0 0");
    tr_pid killed = spawned(owner);
    kill_and_settle(killed);
    STATUS("ready 5 0 0");
    EXPECT(clerks_alive() == 5 && monitors() == 0);
}

static void fails_in_the_middle(tr_pid worker, void *ctx)
{
    errand_done done;
    (void)ctx;
    EXPECT(TR_CALL(worker, 5000, errand_done, &done, errand, .naps = false) == TR_OK);
    STATUS("ready 1 0 1");
    tr_exit(tr_atom("oops"));
}

static void transacts_and_fails(const void *arg)
{
    (void)arg;
    (void)!tr_pool_transaction(pool, fails_in_the_middle, NULL, 5000);
    EXPECT(false);
}

/* poolboy_tests: checkin_after_exception_in_transaction */
SCENE(pool, a_transaction_gives_the_worker_back_when_its_function_does_not_return)
{
    a_pool(2, 0);
    spawned(transacts_and_fails);
    STATUS("ready 2 0 0");
    EXPECT(monitors() == 0);
}

/* poolboy_tests: pool_returns_status */
SCENE(pool, tells_its_status)
{
    a_pool(2, 0);
    STATUS("ready 2 0 0");
    (void)checked_out();
    STATUS("ready 1 0 1");
    (void)checked_out();
    STATUS("full 0 0 2");
    a_pool(1, 1);
    STATUS("ready 1 0 0");
    (void)checked_out();
    STATUS("overflow 0 0 1");
    (void)checked_out();
    STATUS("full 0 1 2");
    a_pool(0, 2);
    STATUS("overflow 0 0 0");
    (void)checked_out();
    STATUS("overflow 0 1 1");
    (void)checked_out();
    STATUS("full 0 2 2");
    a_pool(0, 0);
    STATUS("full 0 0 0");
}

static void waits_and_keeps(const void *arg)
{
    (void)arg;
    (void)checked_out();
    say("served");
    tr_sleep(TR_INFINITY);
}

/* poolboy_tests: demonitors_previously_waiting_processes */
SCENE(pool, watches_who_waited_only_as_long_as_he_holds)
{
    a_pool(1, 0);
    tr_pid worker = checked_out();
    tr_pid waiter = spawned(waits_and_keeps);
    EXPECT(monitors() == 2);
    tr_pool_checkin(pool, worker);
    tr_sleep(1);
    SAID("served");
    EXPECT(monitors() == 1);
    tr_pool_checkin(pool, worker);
    STATUS("ready 1 0 0");
    EXPECT(monitors() == 0);
    kill_and_settle(waiter);
    STATUS("ready 1 0 0");
}

/* poolboy_tests: demonitors_when_checkout_cancelled */
SCENE(pool, forgets_who_gave_up)
{
    tr_pid none = TR_NO_PID;
    a_pool(1, 0);
    tr_pid worker = checked_out();
    EXPECT(tr_pool_checkout(pool, true, 1000, &none) == TR_E_TIMEOUT && none == TR_NO_PID);
    STATUS("full 0 0 1");
    EXPECT(monitors() == 1);
    tr_pool_checkin(pool, worker);
    STATUS("ready 1 0 0");
    EXPECT(monitors() == 0);
}

/* poolboy_tests: default_strategy_lifo, lifo_strategy */
SCENE(pool, lifo_lends_what_came_back_last)
{
    a_pool(2, 0);
    tr_pid first = checked_out();
    tr_pool_checkin(pool, first);
    EXPECT(checked_out() == first);
}

/* poolboy_tests: fifo_strategy */
SCENE(pool, fifo_lends_what_came_back_first)
{
    tr_started started;
    clerks_that_start = INT64_MAX;
    EXPECT(start_pool(2, 0, TR_POOL_FIFO, &started) == TR_OK);
    tr_pid first = checked_out();
    tr_pool_checkin(pool, first);
    tr_pid second = checked_out();
    EXPECT(second != first);
    tr_pool_checkin(pool, second);
    EXPECT(checked_out() == first);
}

/* poolboy_tests: reuses_waiting_monitor_on_worker_exit */
SCENE(pool, watches_who_waited_once_when_his_worker_is_a_new_one)
{
    a_pool(1, 0);
    tr_pid worker = checked_out();
    tr_pid waiter = spawned(waits_and_keeps);
    EXPECT(monitors() == 2);
    kill_worker(worker);
    tr_sleep(1);
    SAID("served");
    EXPECT(monitors() == 1);
    kill_and_settle(waiter);
    STATUS("ready 1 0 0");
    EXPECT(monitors() == 0);
}

static void does_an_errand(tr_pid worker, void *ctx)
{
    EXPECT(TR_CALL(worker, 5000, errand_done, (errand_done *)ctx, errand, .naps = false) == TR_OK);
}

/* poolboy_tests: transaction, transaction_timeout */
SCENE(pool, a_transaction_may_run_out_of_time_before_it_begins)
{
    errand_done done = {0};
    a_pool(10, 0);
    EXPECT(tr_pool_transaction(pool, does_an_errand, &done, 5000) == TR_OK && done.number == 10);
    STATUS("ready 10 0 0");
    done.number = 0;
    EXPECT(tr_pool_transaction(pool, does_an_errand, &done, 0) == TR_E_TIMEOUT && done.number == 0);
    STATUS("ready 10 0 0");
    EXPECT(clerks == 10 && monitors() == 0);
}

/* ---- what ours promises beyond ---- */

SCENE(pool, who_waits_and_dies_leaves_the_line)
{
    a_pool(1, 0);
    tr_pid worker = checked_out();
    tr_pid first = spawned(waits_and_keeps);
    spawned(customer);
    STATUS("full 0 0 1 waiting 2");
    kill_and_settle(first);
    STATUS("full 0 0 1 waiting 1");
    tr_pool_checkin(pool, worker);
    tr_sleep(1);
    SAID("got a worker");
    STATUS("ready 1 0 0");
}

/* The answer is under way when the caller stops waiting for it. */
SCENE(pool, a_worker_given_to_who_gave_up_in_that_moment_comes_back)
{
    tr_pid none = TR_NO_PID;
    a_pool(1, 1);
    for (int i = 0; i < 3; i++) {
        EXPECT(tr_pool_checkout(pool, true, 0, &none) == TR_E_TIMEOUT && none == TR_NO_PID);
    }
    STATUS("ready 1 0 0");
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
}

SCENE(pool, checkins_of_what_is_not_lent_are_ignored)
{
    a_pool(2, 0);
    tr_pid worker = checked_out();
    tr_pool_checkin(pool, worker);
    tr_pool_checkin(pool, worker);
    tr_pool_checkin(pool, tr_self());
    tr_pool_checkin(pool, TR_NO_PID);
    STATUS("ready 2 0 0");
}

SCENE(pool, free_workers_that_die_are_replaced)
{
    a_pool(2, 0);
    tr_pid worker = checked_out();
    tr_pool_checkin(pool, worker);
    kill_worker(worker);
    STATUS("ready 2 0 0");
    tr_pid other = checked_out();
    EXPECT(other != worker && tr_is_alive(other));
    EXPECT(clerks == 3);
}

SCENE(pool, ends_when_a_worker_cannot_be_started)
{
    tr_started started = {.pid = TR_NO_PID};
    tr_trap_exit(true);
    clerks = 0;
    clerks_that_start = 2;
    EXPECT(start_pool(3, 0, TR_POOL_LIFO, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{failed_to_start_child,worker,no_more}");
    tr_sleep(1);
    EXPECT(clerks_alive() == 0);
    stage.said.used = 0;
    a_pool(1, 0);
    clerks_that_start = 1;
    tr_pid worker = checked_out();
    tr_ref end = tr_monitor(pool, NULL);
    tr_exit_signal(tr_to(worker), TR_ATOM(KILL));
    tr_msg *down = tr_receive_ref(end, 5000);
    TERM_IS(TR_MATCH(down, tr_down_msg)->reason, "{failed_to_start_child,worker,no_more}");
    stage.reported.used = 0;
}

SCENE(pool, refuses_numbers_that_make_no_sense)
{
    tr_started started = {.pid = TR_NO_PID};
    tr_trap_exit(true);
    clerks_that_start = INT64_MAX;
    EXPECT(start_pool(-7, 3, TR_POOL_LIFO, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_pool,-7,3}");
    EXPECT(start_pool(1, TR_POOL_WORKERS_MAX, TR_POOL_LIFO, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_pool,1,1048576}");
}

SCENE(pool, has_poolboys_numbers_by_default)
{
    tr_started started;
    clerks = 0;
    clerks_that_start = INT64_MAX;
    tr_pool_opts opts = {.worker = {.server = clerk_server}};
    EXPECT(tr_pool_start_link(&opts, NULL, &started) == TR_OK);
    pool = tr_to(started.pid);
    STATUS("ready 5 0 0");
    tr_pid workers[15];
    check_out_all(workers, 15);
    STATUS("full 0 10 15");
}

/* Free or lent, the workers end before the pool has ended, each asked to. */
SCENE(pool, stops_with_all_its_workers)
{
    tr_pid workers[3];
    a_pool(2, 1);
    check_out_all(workers, 3);
    EXPECT(tr_pool_stop(pool, 5000) == TR_OK);
    SAID("1 shutdown", "2 shutdown", "3 shutdown");
    EXPECT(clerks_alive() == 0);
    tr_pid none;
    EXPECT(tr_pool_checkout(pool, true, 5000, &none) == TR_E_NOPROC);
    tr_pool_checkin(pool, tr_self());
}

SCENE(pool, who_waits_hears_of_the_pools_end)
{
    a_pool(1, 0);
    tr_pid worker = checked_out();
    tr_pid none;
    tr_ref later = tr_exit_after(500, pool, TR_ATOM(KILL));
    tr_trap_exit(true);
    EXPECT(tr_pool_checkout(pool, true, 5000, &none) == TR_E_EXIT && later.id != 0);
    tr_sleep(10);
    EXPECT(!tr_is_alive(worker) && clerks_alive() == 0);
}

SCENE(pool, ends_with_the_supervisor_of_its_workers)
{
    tr_process_info info;
    tr_trap_exit(true);
    a_pool(1, 0);
    EXPECT(tr_process_info_of(checked_out(), false, 5000, &info) == TR_OK);
    tr_ref end = tr_monitor(pool, NULL);
    tr_exit_signal(tr_to(info.summary.parent), TR_ATOM(KILL));
    tr_msg *down = tr_receive_ref(end, 5000);
    TERM_IS(TR_MATCH(down, tr_down_msg)->reason, "killed");
    stage.reported.used = 0;
}

/* As the child of a supervisor; the worker's argument is not the caller's any more. */
SCENE(pool, is_a_child_with_a_name)
{
    tr_child_spec spec;
    tr_scratch_mark mark = tr_scratch();
    int64_t hundred = 100;
    tr_trap_exit(true);
    clerks = 0;
    clerks_that_start = INT64_MAX;
    tr_pool_child_spec(
        &(tr_pool_opts){.worker = {.server = clerk_server, .arg = &hundred, .arg_bytes = sizeof hundred},
                        .size = 2},
        tr_atom("clerks"), &spec);
    tr_supervisor top = {.name = "top", .children = &spec, .child_count = 1};
    tr_started started;
    EXPECT(tr_supervisor_start_link(&top, NULL, 0, NULL, &started) == TR_OK);
    tr_scratch_release(mark);
    hundred = 0;
    pool = tr_to_name(tr_atom("clerks"));
    errand_done done;
    EXPECT(tr_pool_transaction(pool, does_an_errand, &done, 5000) == TR_OK && done.number == 102);
    tr_pid first = tr_whereis(pool);
    tr_exit_signal(pool, TR_ATOM(KILL));
    tr_sleep(10);
    EXPECT(tr_whereis(pool) != first);
    EXPECT(tr_pool_transaction(pool, does_an_errand, &done, 5000) == TR_OK && done.number == 104);
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), 5000, NULL) == TR_OK);
    EXPECT(clerks_alive() == 0);
    stage.reported.used = 0;
}

/* A mailbox limit of the node must not lose workers: a pool has none. */
static void checks_in_many(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        tr_pool_checkin(pool, TR_NO_PID);
    }
}

SCENE(pool, has_no_mailbox_limit)
{
    tr_started started;
    clerks_that_start = INT64_MAX;
    tr_pool_opts opts = {.worker = {.server = clerk_server}, .size = 1};
    EXPECT(tr_pool_start_link(&opts, &(tr_start_opts){.spawn = {.mailbox_max = 4}}, &started) == TR_OK);
    pool = tr_to(started.pid);
    tr_pid worker = checked_out();
    checks_in_many(NULL);
    tr_pool_checkin(pool, worker);
    STATUS("ready 1 0 0");
}

SCENE(pool, answers_sys)
{
    tr_term state;
    a_pool(2, 3);
    (void)checked_out();
    EXPECT(tr_sys_get_state(pool, 5000, &state) == TR_OK);
    TERM_IS(state, "{ready,1,0,1}");
    TR_SEND(pool, errand, .naps = false); /* no reason to end */
    STATUS("ready 1 0 1");
}
