/* Nothing is lost and nothing is made twice, whatever dies when: plain processes and gen_servers send, call, cast, answer
 * late or never, set timers, go by names and aliases, have small mailboxes, crash, kill each other; and the node is stopped
 * in the middle of it. Then, exactly: sent = received + dead letters + refused, and bytes allocated = bytes freed.
 * plain_signals.c has the same books for plain processes that are let to end. */
#include <troupe/troupe.h>

#include "tests/support/plain.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 6, STEPS = 6000 };
#else
enum { ROUNDS = 8, STEPS = 60000 };
#endif
enum { ACTORS = 24, SERVERS = 12, NAMES = 6, OWED = 4 };

TR_MESSAGE(num, { int64_t n; });
TR_MESSAGE_TERMS(
    told, { tr_term what; }, offsetof(told, what));
TR_MESSAGE_BLOBS(
    heavy, { tr_blob *load; }, offsetof(heavy, load));

static struct {
    tr_pid actors[ACTORS], servers[SERVERS];
    uint64_t alias_ids[ACTORS]; /* the pid beside it may be another's by then: such an alias is dead */
    _Atomic uint64_t received;  /* taken out of a mailbox by somebody, or got as an answer */
    _Atomic uint64_t steps, kills, refused_seen, answered;
} at;

static unsigned dice(unsigned *seed, unsigned sides)
{
    return (unsigned)rand_r(seed) % sides;
}

static tr_pid pick(const tr_pid *from, unsigned count, unsigned *seed)
{
    return __atomic_load_n(&from[dice(seed, count)], __ATOMIC_ACQUIRE);
}

static tr_pid anyone(unsigned *seed)
{
    return dice(seed, 2) == 0 ? pick(at.actors, ACTORS, seed) : pick(at.servers, SERVERS, seed);
}

static tr_term name_number(unsigned i)
{
    static const char *const names[NAMES] = {"one", "two", "three", "four", "five", "six"};
    return tr_atom(names[i % NAMES]);
}

/* What the node counts as sent: no exits, no DOWNs. */
static void note_received(const tr_msg *msg)
{
    if (tr_msg_kind_of(msg) != TR_MSG_EXIT && tr_msg_kind_of(msg) != TR_MSG_DOWN) {
        atomic_fetch_add(&at.received, 1);
    }
}

static tr_msg *some_message(unsigned *seed)
{
    tr_blob *blob;
    tr_msg *msg;
    switch (dice(seed, 8)) {
    case 0:
        return TR_MSG(told, .what = tr_tuple(tr_string("a text that needs room of its own"), tr_int(1)));
    case 1:
        blob = tr_blob_new(NULL, 1 + dice(seed, 9000));
        msg = TR_MSG(heavy, .load = blob);
        tr_blob_drop(blob);
        return msg;
    default:
        return TR_MSG(num, rand_r(seed));
    }
}

static void call(tr_dest dest, unsigned *seed)
{
    tr_msg *reply = NULL;
    if (tr_gen_server_call(dest, some_message(seed), dice(seed, 3), &reply, NULL) == TR_OK) {
        atomic_fetch_add(&at.received, 1);
        atomic_fetch_add(&at.answered, 1);
        tr_msg_drop(reply);
    }
}

/* ---- servers ---- */

typedef struct worker {
    unsigned seed;
    tr_from owed[OWED]; /* answered later, by another callback, or never */
    unsigned owing;
} worker;

static tr_next worker_init(worker *self, const void *arg)
{
    self->seed = *(const unsigned *)arg;
    return dice(&self->seed, 16) == 0 ? TR_IGNORE_START : TR_INIT_OK;
}

static void pay(worker *self)
{
    while (self->owing > 0) {
        (void)tr_reply_msg(self->owed[--self->owing], some_message(&self->seed));
    }
}

static tr_next worker_handle_call(worker *self, tr_from from, const tr_msg *msg)
{
    note_received(msg);
    switch (dice(&self->seed, 12)) {
    case 0:
        tr_exit(tr_atom("tired"));
    case 1:
        return (tr_next)TR_STOP_REPLY(TR_ATOM(NORMAL), from, num, 1);
    case 2:
        call(tr_to(pick(at.servers, SERVERS, &self->seed)), &self->seed); /* maybe itself: time is up */
        break;
    case 3:
        pay(self);
        break;
    case 4:
    case 5:
        if (self->owing < OWED) {
            self->owed[self->owing++] = from;
        }
        return TR_NOREPLY;
    default:
        break;
    }
    return TR_REPLY(from, num, 2);
}

static tr_next worker_handle_cast(worker *self, const tr_msg *msg)
{
    note_received(msg);
    if (dice(&self->seed, 8) == 0) {
        pay(self);
    }
    return TR_NOREPLY;
}

static tr_next worker_handle_info(worker *self, const tr_msg *msg)
{
    note_received(msg);
    if (dice(&self->seed, 64) == 0) {
        tr_error(tr_string("a crash"));
    }
    return TR_NOREPLY;
}

TR_GEN_SERVER(worker, .init = worker_init, .handle_call = worker_handle_call,
              .handle_cast = worker_handle_cast, .handle_info = worker_handle_info);

static void start_server(unsigned *seed)
{
    unsigned slot = dice(seed, SERVERS);
    unsigned its_seed = (unsigned)rand_r(seed);
    tr_started started;
    tr_start_opts opts = {.spawn = {.mailbox_max = dice(seed, 3) * 4}};
    if (dice(seed, 3) == 0) {
        opts.name = name_number(dice(seed, NAMES));
    }
    if (!tr_is_alive(__atomic_load_n(&at.servers[slot], __ATOMIC_ACQUIRE)) &&
        tr_gen_server_start(worker_server, &its_seed, sizeof its_seed, &opts, &started) == TR_OK) {
        __atomic_store_n(&at.servers[slot], started.pid, __ATOMIC_RELEASE);
    }
}

/* ---- actors ---- */

typedef struct actor {
    unsigned seed;
    unsigned index;
} actor;

static void take_mail(int64_t timeout_ms)
{
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, timeout_ms)) != NULL; tr_msg_drop(msg)) {
        note_received(msg);
        timeout_ms = 0;
    }
}

static void send_somehow(unsigned *seed)
{
    unsigned i = dice(seed, ACTORS);
    tr_ref alias = {__atomic_load_n(&at.actors[i], __ATOMIC_ACQUIRE),
                    __atomic_load_n(&at.alias_ids[i], __ATOMIC_ACQUIRE)};
    tr_err err = TR_OK;
    switch (dice(seed, 6)) {
    case 0:
        err = tr_send_msg(tr_to_name(name_number(dice(seed, NAMES))), some_message(seed));
        break;
    case 1:
        err = tr_send_msg(tr_to_alias(alias), some_message(seed));
        break;
    case 2:
        (void)tr_gen_server_cast(tr_to(anyone(seed)), some_message(seed));
        break;
    default:
        err = tr_send_msg(tr_to(anyone(seed)), some_message(seed));
        break;
    }
    if (err == TR_E_FULL) {
        atomic_fetch_add(&at.refused_seen, 1);
    }
}

/* A request whose answer is waited for a little, or not at all. */
static void ask(unsigned *seed)
{
    tr_ref request = tr_send_request(tr_to(pick(at.servers, SERVERS, seed)), some_message(seed));
    tr_msg *reply = NULL;
    if (dice(seed, 2) == 0 && tr_receive_response(request, dice(seed, 2), &reply, NULL) == TR_OK) {
        atomic_fetch_add(&at.received, 1);
        tr_msg_drop(reply);
    }
}

static void time_something(unsigned *seed)
{
    tr_ref timer = dice(seed, 2) == 0
                       ? tr_send_after(dice(seed, 3), tr_to(anyone(seed)), some_message(seed))
                       : tr_start_timer(dice(seed, 3), tr_to(anyone(seed)), some_message(seed));
    if (dice(seed, 2) == 0) {
        (void)tr_cancel_timer(timer);
    }
}

static void relate(unsigned *seed)
{
    tr_pid whom = anyone(seed);
    tr_ref monitor;
    switch (dice(seed, 4)) {
    case 0:
        (void)!tr_link(tr_to(whom));
        break;
    case 1:
        tr_unlink(tr_to(whom));
        break;
    default:
        monitor = tr_monitor(tr_to(whom), NULL);
        if (dice(seed, 2) == 0) {
            (void)tr_demonitor(monitor, true);
        }
        break;
    }
}

static void harm(unsigned *seed)
{
    if (dice(seed, 12) == 0) {
        atomic_fetch_add(&at.kills, 1);
        tr_exit_signal(tr_to(anyone(seed)), dice(seed, 2) == 0 ? TR_ATOM(KILL) : tr_string("boom"));
    } else if (dice(seed, 24) == 0) {
        tr_exit(tr_tuple(tr_atom("enough"), tr_string("of it")));
    }
}

static void step(actor *self)
{
    unsigned *seed = &self->seed;
    switch (dice(seed, 12)) {
    case 0:
        take_mail(dice(seed, 2));
        break;
    case 1:
        call(tr_to(anyone(seed)), seed);
        break;
    case 2:
        call(tr_to_name(name_number(dice(seed, NAMES))), seed);
        break;
    case 3:
        ask(seed);
        break;
    case 4:
        time_something(seed);
        break;
    case 5:
        relate(seed);
        break;
    case 6:
        harm(seed);
        break;
    case 7:
        start_server(seed);
        break;
    case 8:
        (void)tr_put(tr_int(dice(seed, 4)), tr_string("kept to the end"));
        (void)some_message(seed); /* held, never sent */
        break;
    default:
        send_somehow(seed);
        break;
    }
}

static void actor_main(const void *arg)
{
    actor self = *(const actor *)arg;
    tr_trap_exit(dice(&self.seed, 2) == 0);
    tr_ref alias = tr_alias(dice(&self.seed, 2) == 0 ? TR_ALIAS_EXPLICIT : TR_ALIAS_REPLY);
    __atomic_store_n(&at.alias_ids[self.index], alias.id, __ATOMIC_RELEASE);
    (void)!tr_register(name_number(dice(&self.seed, NAMES)), tr_self());
    for (;;) {
        tr_scratch_mark mark = tr_scratch();
        step(&self);
        tr_scratch_release(mark);
        atomic_fetch_add(&at.steps, 1);
        if (dice(&self.seed, 8) == 0) {
            tr_yield();
        }
    }
}

/* Keeps as many actors alive as there were; nobody knows its pid, so nobody writes to it or kills it. */
static void nursery(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (unsigned i = 0;; i = (i + 1) % ACTORS) {
        if (!tr_is_alive(at.actors[i])) {
            tr_pid pid;
            actor start = {.seed = (unsigned)rand_r(&seed), .index = i};
            tr_spawn_opts opts = {.mailbox_max = dice(&seed, 3) * 8};
            if (PLAIN_CHECK(tr_spawn(&opts, actor_main, &start, sizeof start, &pid) == TR_OK)) {
                __atomic_store_n(&at.actors[i], pid, __ATOMIC_RELEASE);
            }
        }
        if (i == 0) {
            tr_sleep(1);
        }
    }
}

static void ignore_report(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static void play(unsigned seed, int workers)
{
    tr_node_opts opts = {.workers = workers, .report = ignore_report};
    tr_node_stats stats;
    tr_pid pid;
    memset(&at, 0, sizeof at);
    if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        return;
    }
    uint64_t steps = STEPS / 2 + (uint64_t)dice(&seed, STEPS);
    PLAIN_CHECK(tr_spawn(NULL, nursery, &seed, sizeof seed, &pid) == TR_OK);
    while (atomic_load(&at.steps) < steps) {
        usleep(200);
    }
    tr_node_stop();
    tr_node_stats_get(&stats);
    uint64_t received = atomic_load(&at.received);
    printf(
        "%d workers: %lu sent = %lu received + %lu dead letters + %lu refused; %lu answered, %lu kills, %lu processes\n",
        workers, (unsigned long)stats.messages_sent, (unsigned long)received,
        (unsigned long)stats.messages_dead_letter, (unsigned long)stats.messages_refused,
        (unsigned long)atomic_load(&at.answered), (unsigned long)atomic_load(&at.kills),
        (unsigned long)stats.processes_spawned);
    PLAIN_CHECK(stats.messages_sent == received + stats.messages_dead_letter + stats.messages_refused);
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    PLAIN_CHECK(stats.processes == 0);
    PLAIN_CHECK(received > 0 && stats.messages_dead_letter > 0 && atomic_load(&at.answered) > 0);
    PLAIN_CHECK(stats.messages_refused >= atomic_load(&at.refused_seen));
}

PLAIN_TEST(nothing_is_lost_when_all_is_stopped_in_the_middle)
{
    unsigned seed = plain_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        play(seed + round * 104729u, 1 + (int)round % 4);
    }
}
