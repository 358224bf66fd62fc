/* Many processes link, unlink, monitor, demonitor, send, exit and kill at random on several workers. What must hold at the end:
 * links are symmetric when all is quiet; each monitor fired exactly once unless demonitored; every message sent was received, is a
 * dead letter or was refused; every byte allocated was freed. */
#include <troupe/troupe.h>

#include "tests/support/plain.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 6, ACTORS = 40, STEPS = 150 };
#else
enum { ROUNDS = 20, ACTORS = 60, STEPS = 400 };
#endif

TR_MESSAGE(num, { int64_t n; });

static struct {
    tr_pid pids[ACTORS];
    _Atomic uint64_t received; /* user messages somebody took out of a mailbox */
} at;

static tr_pid peer(unsigned *seed)
{
    return __atomic_load_n(&at.pids[(unsigned)rand_r(seed) % ACTORS], __ATOMIC_ACQUIRE);
}

typedef struct watch {
    tr_ref ref;
    bool down, given_up;
} watch;

typedef struct actor {
    unsigned seed;
    int index;
    bool lives; /* no random ends: it keeps the books of its monitors */
    watch watches[STEPS];
    int count;
} actor;

/* Notes a DOWN. Two for one reference, or one after demonitor, break the contract. */
static void note_down(actor *self, const tr_down_msg *down)
{
    bool asked_for = false;
    for (int i = 0; i < self->count && !asked_for; i++) {
        asked_for = tr_ref_equal(self->watches[i].ref, down->ref);
        if (asked_for) {
            PLAIN_CHECK(!self->watches[i].down);
            PLAIN_CHECK(!self->watches[i].given_up);
            self->watches[i].down = true;
        }
    }
    PLAIN_CHECK(asked_for);
}

static void take_mail(actor *self, int64_t timeout_ms)
{
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, timeout_ms)) != NULL; tr_msg_drop(msg)) {
        const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
        if (down != NULL) {
            note_down(self, down);
        }
        if (TR_MATCH(msg, num) != NULL) {
            atomic_fetch_add(&at.received, 1);
        }
    }
}

static void step(actor *self)
{
    tr_pid whom = peer(&self->seed);
    switch ((unsigned)rand_r(&self->seed) % 10) {
    case 0:
        (void)!tr_link(tr_to(whom));
        break;
    case 1:
        tr_unlink(tr_to(whom));
        break;
    case 2:
        if (self->count < STEPS) {
            self->watches[self->count++].ref = tr_monitor(tr_to(whom), NULL);
        }
        break;
    case 3:
        if (self->count > 0) {
            watch *one = &self->watches[(unsigned)rand_r(&self->seed) % (unsigned)self->count];
            if (!one->down) {
                (void)tr_demonitor(one->ref, true);
                one->given_up = true;
            }
        }
        break;
    case 4:
        take_mail(self, 0);
        break;
    case 5:
        if (rand_r(&self->seed) % 4 == 0) {
            tr_yield();
        }
        break;
    case 6:
        if (rand_r(&self->seed) % 3 == 0) {
            tr_exit_signal(tr_to(whom), rand_r(&self->seed) % 2 == 0 ? TR_ATOM(KILL) : tr_atom("boom"));
        }
        break;
    default:
        (void)TR_SEND(whom, num, 1);
        break;
    }
}

static void actor_main(const void *arg)
{
    actor *self = tr_alloc(sizeof *self);
    *self = *(const actor *)arg;
    tr_trap_exit(rand_r(&self->seed) % 2 == 0 || self->lives);
    for (int i = 0; i < STEPS; i++) {
        (void)tr_alloc((size_t)rand_r(&self->seed) % 200); /* left to the end */
        if (!self->lives && rand_r(&self->seed) % 64 == 0) {
            tr_exit(tr_tuple(tr_atom("tired"), tr_int(i)));
        }
        step(self);
    }
    take_mail(self, self->lives ? 5 : 0);
}

/* Actors come and go until the round is over; those that end are replaced, so that pids and slots change under everyone. */
static void spawner(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    tr_trap_exit(true);
    for (int i = 0; i < ACTORS; i++) {
        tr_pid pid;
        actor start = {.seed = seed + (unsigned)i * 7919u, .index = i, .lives = i % 4 == 0};
        if (PLAIN_CHECK(tr_spawn(NULL, actor_main, &start, sizeof start, &pid) == TR_OK)) {
            __atomic_store_n(&at.pids[i], pid, __ATOMIC_RELEASE);
        }
    }
    for (int i = 0; i < ACTORS * 4; i++) {
        int which = (int)((unsigned)rand_r(&seed) % ACTORS);
        if (!tr_is_alive(at.pids[which])) {
            tr_pid pid;
            actor start = {.seed = seed, .index = which};
            if (PLAIN_CHECK(tr_spawn(NULL, actor_main, &start, sizeof start, &pid) == TR_OK)) {
                __atomic_store_n(&at.pids[which], pid, __ATOMIC_RELEASE);
            }
        }
        tr_msg *msg;
        while ((msg = tr_receive(NULL, NULL, 0)) != NULL) {
            tr_msg_drop(msg);
        }
    }
}

static void wait_until_gone(void)
{
    tr_node_stats stats = {.processes = 1};
    for (int i = 0; i < 20000 && stats.processes > 0; i++) {
        usleep(1000);
        tr_node_stats_get(&stats);
    }
    PLAIN_CHECK(stats.processes == 0);
}

PLAIN_TEST(chaos_keeps_every_book)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        tr_node_opts opts = {.workers = 2 + (int)round % 3, .mailbox_max = round % 2 == 0 ? 0 : 16};
        tr_pid pid;
        memset(&at, 0, sizeof at);
        if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
            return;
        }
        unsigned seed = round * 104729u + 1;
        PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.label = "spawner"}, spawner, &seed, sizeof seed, &pid) ==
                    TR_OK);
        tr_node_join(pid, NULL);
        wait_until_gone();
        tr_node_stop();
        tr_node_stats stats;
        tr_node_stats_get(&stats);
        PLAIN_CHECK(stats.processes == 0);
        PLAIN_CHECK(stats.messages_sent ==
                    atomic_load(&at.received) + stats.messages_dead_letter + stats.messages_refused);
        PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
        if (stats.messages_sent !=
            atomic_load(&at.received) + stats.messages_dead_letter + stats.messages_refused) {
            fprintf(stderr, "round %u: sent %lu received %lu dead %lu refused %lu\n", round,
                    (unsigned long)stats.messages_sent, (unsigned long)atomic_load(&at.received),
                    (unsigned long)stats.messages_dead_letter, (unsigned long)stats.messages_refused);
        }
    }
}

/* ---- links at quiescence ---- */

TR_MESSAGE_EMPTY(stop_now);

static void linker(const void *arg)
{
    actor self = *(const actor *)arg;
    tr_trap_exit(true);
    while (TR_RECEIVE(num, TR_INFINITY) == NULL) {
    }
    for (int i = 0; i < STEPS; i++) {
        tr_pid whom = peer(&self.seed);
        if (rand_r(&self.seed) % 2 == 0) {
            (void)!tr_link(tr_to(whom));
        } else {
            tr_unlink(tr_to(whom));
        }
        if (rand_r(&self.seed) % 8 == 0) {
            tr_yield();
        }
    }
    (void)TR_SEND(tr_parent(), num, 1);
    while (TR_RECEIVE(stop_now, TR_INFINITY) == NULL) {
    }
}

static bool is_linked(tr_pid from, tr_pid to)
{
    tr_process_info info;
    tr_scratch_mark mark = tr_scratch();
    bool linked = false;
    if (PLAIN_CHECK(tr_process_info_of(from, false, TR_INFINITY, &info) == TR_OK)) {
        for (size_t i = 0; i < info.link_count; i++) {
            linked = linked || info.links[i] == to;
        }
    }
    tr_scratch_release(mark);
    return linked;
}

static void link_referee(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    enum { LINKERS = 8 };
    for (int i = 0; i < ACTORS; i++) { /* few, so that the same pairs meet often */
        if (i < LINKERS) {
            actor start = {.seed = seed + (unsigned)i * 31u};
            PLAIN_CHECK(tr_spawn(NULL, linker, &start, sizeof start, &at.pids[i]) == TR_OK);
        } else {
            at.pids[i] = at.pids[i % LINKERS];
        }
    }
    for (int i = 0; i < LINKERS; i++) {
        (void)TR_SEND(at.pids[i], num, 0);
    }
    for (int i = 0; i < LINKERS; i++) {
        while (TR_RECEIVE(num, TR_INFINITY) == NULL) {
        }
    }
    int linked = 0;
    for (int i = 0; i < LINKERS * 2;
         i++) { /* unlinks and their confirmations settle: two exact questions to each */
        (void)is_linked(at.pids[i % LINKERS], TR_NO_PID);
    }
    for (int i = 0; i < LINKERS; i++) {
        for (int j = 0; j < i; j++) {
            bool there = is_linked(at.pids[i], at.pids[j]);
            PLAIN_CHECK(there == is_linked(at.pids[j], at.pids[i]));
            linked += there;
        }
    }
    PLAIN_CHECK(linked > 0);
    for (int i = 0; i < LINKERS; i++) {
        (void)TR_SEND(at.pids[i], stop_now);
    }
}

PLAIN_TEST(links_are_symmetric_when_all_is_quiet)
{
    for (unsigned round = 0; round < ROUNDS * 2; round++) {
        tr_node_opts opts = {.workers = 2 + (int)round % 3};
        tr_pid pid;
        memset(&at, 0, sizeof at);
        if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
            return;
        }
        unsigned seed = round + 1;
        tr_term reason;
        PLAIN_CHECK(tr_spawn(NULL, link_referee, &seed, sizeof seed, &pid) == TR_OK);
        tr_node_join(pid, &reason);
        wait_until_gone();
        tr_node_stop();
    }
}

/* ---- monitors of processes that end at any moment ---- */

static void short_life(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    if (seed % 3 == 0) {
        tr_yield();
    } else if (seed % 3 == 1) {
        tr_exit(tr_atom("quick"));
    }
    tr_sleep(TR_INFINITY); /* until it is killed */
}

static void monitor_referee(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (unsigned i = 0; i < STEPS * 2; i++) {
        tr_pid pid;
        tr_ref refs[4];
        unsigned kind = (unsigned)rand_r(&seed);
        PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.monitor = &refs[0]}, short_life, &kind, sizeof kind, &pid) ==
                    TR_OK);
        refs[1] = tr_monitor(tr_to(pid), NULL);
        refs[2] = tr_monitor(tr_to(pid), NULL);
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        refs[3] = tr_monitor(tr_to(pid), NULL);
        bool active = tr_demonitor(refs[2], false);
        for (int j = 0; j < 4; j++) {
            bool never = j == 2 && active;
            tr_msg *msg = tr_receive_ref(refs[j], never ? 0 : TR_INFINITY);
            PLAIN_CHECK((msg == NULL) == never);
            tr_msg_drop(msg);
        }
        PLAIN_CHECK(tr_receive(NULL, NULL, 0) == NULL);
        PLAIN_CHECK(!tr_is_alive(pid));
    }
}

PLAIN_TEST(each_monitor_fires_exactly_once)
{
    for (int workers = 1; workers <= 4; workers++) {
        tr_node_opts opts = {.workers = workers};
        if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
            return;
        }
        tr_pid pids[3];
        for (unsigned i = 0; i < 3; i++) {
            unsigned seed = i + (unsigned)workers * 17u;
            PLAIN_CHECK(tr_spawn(NULL, monitor_referee, &seed, sizeof seed, &pids[i]) == TR_OK);
        }
        for (int i = 0; i < 3; i++) {
            tr_node_join(pids[i], NULL);
        }
        wait_until_gone();
        tr_node_stop();
        tr_node_stats stats;
        tr_node_stats_get(&stats);
        PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    }
}

/* ---- killed at any moment, anywhere ---- */

static void victim(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (;;) {
        tr_term kept = tr_keep(tr_tuple(tr_atom("x"), tr_string("some text"), tr_int(rand_r(&seed))));
        tr_msg *unsent = TR_MSG(num, 1);
        (void)tr_put(tr_int((int64_t)(rand_r(&seed) % 8)), kept);
        tr_ref timer = TR_SEND_AFTER((int64_t)(rand_r(&seed) % 3), tr_self(), num, 2);
        if (rand_r(&seed) % 2 == 0) {
            tr_yield();
        }
        (void)tr_receive(NULL, NULL, (int64_t)(rand_r(&seed) % 2));
        (void)tr_cancel_timer(timer);
        tr_free_term(kept);
        (void)tr_send_msg(tr_to(tr_parent()), unsent);
    }
}

static void killer(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (int i = 0; i < STEPS; i++) {
        tr_pid pid;
        tr_ref monitor;
        unsigned its_seed = (unsigned)rand_r(&seed);
        PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, victim, &its_seed, sizeof its_seed,
                             &pid) == TR_OK);
        for (unsigned n = (unsigned)rand_r(&seed) % 12; n > 0; n--) {
            tr_yield();
        }
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        tr_msg *msg = tr_receive_ref(monitor, TR_INFINITY);
        PLAIN_CHECK(tr_same(TR_MATCH(msg, tr_down_msg)->reason, TR_ATOM(KILLED)));
        tr_msg_drop(msg);
        while ((msg = tr_receive(NULL, NULL, 0)) != NULL) {
            tr_msg_drop(msg);
        }
    }
}

PLAIN_TEST(whoever_is_killed_anywhere_leaves_nothing)
{
    for (int workers = 1; workers <= 3; workers++) {
        tr_node_opts opts = {.workers = workers};
        if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
            return;
        }
        tr_pid pids[3];
        for (unsigned i = 0; i < 3; i++) {
            PLAIN_CHECK(tr_spawn(NULL, killer, &i, sizeof i, &pids[i]) == TR_OK);
        }
        for (int i = 0; i < 3; i++) {
            tr_node_join(pids[i], NULL);
        }
        tr_node_stop();
        tr_node_stats stats;
        tr_node_stats_get(&stats);
        PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
        PLAIN_CHECK(stats.processes == 0);
    }
}
