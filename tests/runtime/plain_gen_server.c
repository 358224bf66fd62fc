/* gen_server on real workers: callers, kills at random moments, idle time-outs. Nothing is lost, nothing comes twice. */
#include "tests/runtime/callers.h"

TR_MESSAGE(touch, { int64_t idle_ms; });

/* ---- conservation of calls ---- */

typedef struct echo {
    uint64_t seed;
    tr_from kept;
    uint64_t kept_number;
} echo;

/* Answers at once, late, from another callback, never, or dies. */
static tr_next echo_handle_call(echo *self, tr_from from, const tr_msg *msg)
{
    uint64_t number = TR_MATCH(msg, ask)->number;
    if (self->kept.ref.id != 0) {
        TR_ANSWER(self->kept, told, .number = self->kept_number);
        self->kept = (tr_from){TR_NO_REF};
    }
    switch (random_of(&self->seed) % 256) {
    case 0:
        tr_sleep(1);
        break;
    case 1:
        self->kept = from;
        self->kept_number = number;
        return TR_NOREPLY;
    case 2:
        return TR_STOP_REPLY(TR_ATOM(SHUTDOWN), from, told, .number = number);
    case 3:
        return TR_STOP(tr_tuple(TR_ATOM(SHUTDOWN), tr_string("without an answer")));
    case 4:
        return tr_next_timeout(TR_REPLY(from, told, .number = number), 1);
    default:
        break;
    }
    return TR_REPLY(from, told, .number = number);
}

static tr_next echo_init(echo *self, const void *arg)
{
    self->seed = *(const uint64_t *)arg;
    return TR_INIT_OK;
}

static tr_next echo_handle_info(echo *self, const tr_msg *msg)
{
    (void)self;
    PLAIN_CHECK(TR_MATCH(msg, tr_timeout_msg) != NULL);
    return TR_NOREPLY;
}

TR_GEN_SERVER(echo, .init = echo_init, .handle_call = echo_handle_call, .handle_info = echo_handle_info);

static tr_pid start_echo(uint64_t seed)
{
    tr_started started;
    PLAIN_CHECK(tr_gen_server_start(echo_server, &seed, sizeof seed, NULL, &started) == TR_OK);
    return started.pid;
}

PLAIN_TEST(every_call_has_exactly_one_outcome)
{
    start_target = start_echo;
    every_call_has_one_outcome();
}

/* ---- asynchronous requests, many under way at once ---- */

static void pipelines(const void *arg)
{
    uint64_t seed = *(const uint64_t *)arg;
    enum { DEPTH = 32 };
    for (int round = 0; round < CALLS / DEPTH; round++) {
        tr_ref requests[DEPTH];
        tr_scratch_mark mark = tr_scratch();
        for (uint64_t i = 0; i < DEPTH; i++) {
            tr_pid pid = atomic_load(&targets[random_of(&seed) % TARGETS]);
            requests[i] = tr_send_request(tr_to(pid), TR_MSG(ask, .number = i));
        }
        for (uint64_t i = 0; i < DEPTH; i++) {
            tr_msg *reply = NULL;
            tr_term reason;
            tr_err err = tr_receive_response(requests[i], 10, &reply, &reason);
            PLAIN_CHECK(err == TR_OK || err == TR_E_NOPROC || err == TR_E_EXIT || err == TR_E_TIMEOUT);
            PLAIN_CHECK(err != TR_OK || TR_MATCH(reply, told)->number == i);
            tr_msg_drop(reply);
            atomic_fetch_add(&outcomes[err], 1);
        }
        tr_scratch_release(mark);
    }
    tr_sleep(30);
    PLAIN_CHECK(tr_receive(NULL, NULL, 0) == NULL);
}

static void pipelines_and_kills(const void *arg)
{
    uint64_t seed = 2463534242u;
    tr_ref ends[TARGETS];
    (void)arg;
    start_all_targets(&seed);
    for (unsigned i = 0; i < TARGETS; i++) {
        tr_pid pid;
        uint64_t own_seed = random_of(&seed);
        tr_spawn_opts opts = {.monitor = &ends[i]};
        PLAIN_CHECK(tr_spawn(&opts, pipelines, &own_seed, sizeof own_seed, &pid) == TR_OK);
    }
    for (unsigned waiting = 0; waiting < TARGETS;) {
        replace_ended(&seed);
        tr_msg *msg = tr_receive_ref(ends[waiting], 1);
        waiting += msg != NULL;
        tr_msg_drop(msg);
    }
    kill_all_targets();
}

PLAIN_TEST(every_request_of_a_pipeline_has_exactly_one_outcome)
{
    start_target = start_echo;
    run(pipelines_and_kills);
}

/* ---- idle time-outs of servers that are handed from core to core ---- */

typedef struct idler {
    unsigned slot;
} idler;

static atomic_uint timeouts[CALLERS]; /* since the last touch */

static tr_next idler_init(idler *self, const void *arg)
{
    self->slot = *(const unsigned *)arg;
    return TR_INIT_OK;
}

static tr_next idler_handle_cast(idler *self, const tr_msg *msg)
{
    atomic_store(&timeouts[self->slot], 0);
    return tr_next_timeout(TR_NOREPLY, TR_MATCH(msg, touch)->idle_ms);
}

static tr_next idler_handle_info(idler *self, const tr_msg *msg)
{
    PLAIN_CHECK(TR_MATCH(msg, tr_timeout_msg) != NULL);
    atomic_fetch_add(&timeouts[self->slot], 1);
    return TR_NOREPLY;
}

TR_GEN_SERVER(idler, .init = idler_init, .handle_cast = idler_handle_cast, .handle_info = idler_handle_info);

static tr_pid idlers[CALLERS];

static void touches(const void *arg)
{
    uint64_t seed = *(const uint64_t *)arg;
    for (int i = 0; i < CALLS; i++) {
        tr_pid pid = idlers[random_of(&seed) % CALLERS];
        PLAIN_CHECK(TR_CAST(pid, touch, .idle_ms = (int64_t)(random_of(&seed) % 12)) == TR_OK);
        if (i % 64 == 0) {
            tr_sleep((int64_t)(random_of(&seed) % 3));
        }
    }
}

static bool each_timed_out_once(void)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        if (atomic_load(&timeouts[i]) != 1) {
            return false;
        }
    }
    return true;
}

static void touches_from_many(const void *arg)
{
    uint64_t seed = 521288629u;
    tr_ref ends[TARGETS];
    tr_started started;
    (void)arg;
    for (unsigned i = 0; i < CALLERS; i++) {
        PLAIN_CHECK(tr_gen_server_start(idler_server, &i, sizeof i, NULL, &started) == TR_OK);
        idlers[i] = started.pid;
    }
    for (unsigned i = 0; i < TARGETS; i++) {
        tr_pid pid;
        uint64_t own_seed = random_of(&seed);
        tr_spawn_opts opts = {.monitor = &ends[i]};
        PLAIN_CHECK(tr_spawn(&opts, touches, &own_seed, sizeof own_seed, &pid) == TR_OK);
    }
    for (unsigned i = 0; i < TARGETS; i++) {
        tr_msg_drop(tr_receive_ref(ends[i], TR_INFINITY));
    }
    for (int i = 0; i < 5000 && !each_timed_out_once(); i++) {
        tr_sleep(1);
    }
    tr_sleep(30);
    PLAIN_CHECK(each_timed_out_once());
    for (unsigned i = 0; i < CALLERS; i++) {
        PLAIN_CHECK(tr_gen_server_stop(tr_to(idlers[i]), TR_ATOM(NORMAL), 5000, NULL) == TR_OK);
    }
}

PLAIN_TEST(after_the_last_message_an_idle_timeout_comes_exactly_once)
{
    run(touches_from_many);
}

/* ---- starts, stops and a name ---- */

static atomic_uint holders;
static atomic_ulong starts;

static tr_next holder_init(void *self, const void *arg)
{
    (void)self, (void)arg;
    PLAIN_CHECK(atomic_fetch_add(&holders, 1) == 0);
    return TR_INIT_OK;
}

static void holder_terminate(void *self, tr_term reason)
{
    (void)self, (void)reason;
    atomic_fetch_sub(&holders, 1);
}

static const tr_gen_server holder = {.name = "holder", .init = holder_init, .terminate = holder_terminate};

static void starts_and_stops(const void *arg)
{
    (void)arg;
    for (int i = 0; i < CALLS / 4; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_start_opts opts = {.name = tr_atom("the_one")};
        tr_started started;
        tr_err err = tr_gen_server_start(&holder, NULL, 0, &opts, &started);
        if (err == TR_OK) {
            atomic_fetch_add(&starts, 1);
            err = tr_gen_server_stop(tr_to_name(opts.name), TR_ATOM(SHUTDOWN), 5000, NULL);
            PLAIN_CHECK(err == TR_OK || err == TR_E_NOPROC);
        } else {
            PLAIN_CHECK(err == TR_E_ALREADY_STARTED);
            if (i % 8 == 0) {
                err = tr_gen_server_stop(tr_to_name(opts.name), TR_ATOM(SHUTDOWN), 5000, NULL);
                PLAIN_CHECK(err == TR_OK || err == TR_E_NOPROC);
            }
        }
        tr_scratch_release(mark);
    }
}

static void starts_from_many(const void *arg)
{
    tr_ref ends[TARGETS];
    (void)arg;
    for (unsigned i = 0; i < TARGETS; i++) {
        tr_pid pid;
        tr_spawn_opts opts = {.monitor = &ends[i]};
        PLAIN_CHECK(tr_spawn(&opts, starts_and_stops, NULL, 0, &pid) == TR_OK);
    }
    for (unsigned i = 0; i < TARGETS; i++) {
        tr_msg_drop(tr_receive_ref(ends[i], TR_INFINITY));
    }
    PLAIN_CHECK(tr_whereis(tr_to_name(tr_atom("the_one"))) == TR_NO_PID);
}

PLAIN_TEST(a_name_has_one_server_at_a_time_through_starts_and_stops)
{
    atomic_store(&starts, 0);
    run(starts_from_many);
    printf("  %lu servers held the name\n", atomic_load(&starts));
    PLAIN_CHECK(atomic_load(&starts) > 0);
    PLAIN_CHECK(atomic_load(&holders) == 0);
}

/* ---- replace_state while askers die ---- */

typedef struct box {
    uint64_t changes;
} box;

static tr_next box_handle_cast(box *self, const tr_msg *msg)
{
    (void)self, (void)msg;
    return TR_NOREPLY;
}

TR_GEN_SERVER(box, .handle_cast = box_handle_cast);

static atomic_ulong replaced;

/* ctx is the asker's own memory, which is gone with it. */
static void counts(void *self, void *ctx)
{
    box *state = self;
    uint64_t *own = ctx;
    PLAIN_CHECK(*own == 42);
    state->changes++;
    *own = 43;
    atomic_fetch_add(&replaced, 1);
}

static void replaces(const void *arg)
{
    for (;;) {
        uint64_t *own = tr_alloc(sizeof *own);
        *own = 42;
        tr_err err = tr_sys_replace_state(tr_to(*(const tr_pid *)arg), counts, own, 1);
        PLAIN_CHECK(err == TR_E_TIMEOUT ? *own == 42 : err == TR_OK && *own == 43);
        tr_free(own);
    }
}

static void kills_askers(const void *arg)
{
    (void)arg;
    tr_started started;
    PLAIN_CHECK(tr_gen_server_start(box_server, NULL, 0, NULL, &started) == TR_OK);
    for (int i = 0; i < CALLS / 4; i++) {
        tr_ref end;
        tr_pid pid;
        tr_spawn_opts opts = {.monitor = &end};
        PLAIN_CHECK(tr_spawn(&opts, replaces, &started.pid, sizeof started.pid, &pid) == TR_OK);
        if (i % 4 == 0) {
            tr_sleep(1);
        } else {
            tr_yield();
        }
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        tr_msg_drop(tr_receive_ref(end, TR_INFINITY));
    }
    PLAIN_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), 5000, NULL) == TR_OK);
}

PLAIN_TEST(replace_state_never_touches_the_memory_of_an_asker_that_died)
{
    atomic_store(&replaced, 0);
    run(kills_askers);
    printf("  %lu times replaced\n", atomic_load(&replaced));
    PLAIN_CHECK(atomic_load(&replaced) > 0);
}
