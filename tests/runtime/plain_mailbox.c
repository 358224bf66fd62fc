/* Mailboxes under many senders: nothing is lost, nothing twice, the order of each sender is kept, limits and books are exact, and a
 * message for one that is gone never reaches the next tenant of its slot. */
#include <pthread.h>
#include <troupe/troupe.h>

#include "tests/support/plain.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { SENDERS = 6, MESSAGES = 2000, LIVES = 1500 };
#else
enum { SENDERS = 8, MESSAGES = 40000, LIVES = 20000 };
#endif

TR_MESSAGE(numbered, {
    int64_t sender, n;
    tr_pid meant;
});

static bool node_with(int workers, uint32_t mailbox_max, uint32_t process_max)
{
    tr_node_opts opts = {.workers = workers, .mailbox_max = mailbox_max, .process_max = process_max};
    return PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
}

static void stop_and_balance(uint64_t received)
{
    tr_node_stop();
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    PLAIN_CHECK(stats.messages_sent == received + stats.messages_dead_letter + stats.messages_refused);
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
}

static void receiver(const void *arg)
{
    int64_t next[SENDERS] = {0};
    (void)arg;
    for (int64_t i = 0; i < (int64_t)SENDERS * MESSAGES; i++) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const numbered *one = TR_MATCH(msg, numbered);
        PLAIN_CHECK(one->n == next[one->sender]);
        next[one->sender] = one->n + 1;
        tr_msg_drop(msg);
    }
}

typedef struct sending {
    tr_pid to;
    int64_t sender;
} sending;

static void sender(const void *arg)
{
    const sending *self = arg;
    for (int64_t n = 0; n < MESSAGES; n++) {
        PLAIN_CHECK(TR_SEND(self->to, numbered, self->sender, n, self->to) == TR_OK);
        if (n % 100 == 0) {
            tr_yield();
        }
    }
}

static void *sender_outside(void *arg)
{
    const sending *self = arg;
    for (int64_t n = 0; n < MESSAGES; n++) {
        PLAIN_CHECK(TR_SEND(self->to, numbered, self->sender, n, self->to) == TR_OK);
    }
    return NULL;
}

PLAIN_TEST(the_order_of_each_sender_is_kept_and_nothing_is_lost)
{
    pthread_t threads[SENDERS];
    sending args[SENDERS];
    tr_pid pid;
    if (!node_with(3, 0, 0)) {
        return;
    }
    PLAIN_CHECK(tr_spawn(NULL, receiver, NULL, 0, &pid) == TR_OK);
    for (int i = 0; i < SENDERS; i++) {
        args[i] = (sending){pid, i};
        if (i % 3 == 0) {
            PLAIN_CHECK(pthread_create(&threads[i], NULL, sender_outside, &args[i]) == 0);
        } else {
            PLAIN_CHECK(tr_spawn(NULL, sender, &args[i], sizeof args[i], NULL) == TR_OK);
        }
    }
    for (int i = 0; i < SENDERS; i += 3) {
        pthread_join(threads[i], NULL);
    }
    tr_node_join(pid, NULL);
    stop_and_balance((uint64_t)SENDERS * MESSAGES);
}

/* ---- limits ---- */

static _Atomic uint64_t accepted;
static _Atomic uint64_t taken;
static _Atomic int senders_left;

static void limited_receiver(const void *arg)
{
    (void)arg;
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, 1);
        if (msg == NULL && atomic_load(&senders_left) == 0 && (msg = tr_receive(NULL, NULL, 0)) == NULL) {
            break;
        }
        if (msg != NULL) {
            atomic_fetch_add(&taken, 1);
            tr_msg_drop(msg);
        }
    }
    tr_process_summary summary;
    PLAIN_CHECK(tr_process_summary_of(tr_self(), &summary) == TR_OK);
    PLAIN_CHECK(summary.mailbox == 0); /* the count came back to nothing: no message is counted for ever */
}

static void flooder(const void *arg)
{
    tr_pid to = *(const tr_pid *)arg;
    for (int64_t n = 0; n < MESSAGES; n++) {
        tr_err err = TR_SEND(to, numbered, 0, n, to);
        PLAIN_CHECK(err == TR_OK || err == TR_E_FULL);
        if (err == TR_OK) {
            atomic_fetch_add(&accepted, 1);
        } else {
            tr_yield();
        }
    }
    atomic_fetch_sub(&senders_left, 1);
}

PLAIN_TEST(a_limited_mailbox_refuses_and_its_books_balance)
{
    tr_pid pid;
    if (!node_with(3, 8, 0)) {
        return;
    }
    atomic_store(&accepted, 0);
    atomic_store(&taken, 0);
    atomic_store(&senders_left, SENDERS);
    PLAIN_CHECK(tr_spawn(NULL, limited_receiver, NULL, 0, &pid) == TR_OK);
    for (int i = 0; i < SENDERS; i++) {
        PLAIN_CHECK(tr_spawn(NULL, flooder, &pid, sizeof pid, NULL) == TR_OK);
    }
    tr_node_join(pid, NULL);
    PLAIN_CHECK(atomic_load(&accepted) == atomic_load(&taken));
    stop_and_balance(atomic_load(&taken));
}

/* ---- slots that are reused ---- */

static _Atomic tr_pid tenant;
static _Atomic bool lives_over;

static void tenant_main(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (unsigned i = seed % 4; i > 0; i--) {
        tr_msg *msg = tr_receive(NULL, NULL, 0);
        if (msg != NULL) {
            atomic_fetch_add(&taken, 1);
            PLAIN_CHECK(TR_MATCH(msg, numbered)->meant == tr_self());
            tr_msg_drop(msg);
        }
    }
}

static void tenant_sender(const void *arg)
{
    (void)arg;
    while (!atomic_load(&lives_over)) {
        tr_pid to = atomic_load(&tenant);
        if (to != TR_NO_PID) {
            tr_err err = TR_SEND(to, numbered, 0, 0, to);
            PLAIN_CHECK(err == TR_OK || err == TR_E_FULL);
        }
        tr_yield();
    }
}

static void *tenant_sender_outside(void *arg)
{
    (void)arg;
    while (!atomic_load(&lives_over)) {
        tr_pid to = atomic_load(&tenant);
        if (to != TR_NO_PID) {
            (void)TR_SEND(to, numbered, 0, 0, to);
        }
    }
    return NULL;
}

static bool looks(const tr_process_summary *summary, void *ctx)
{
    *(uint64_t *)ctx += summary->messages;
    return true;
}

static void landlord(const void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < LIVES; i++) {
        tr_pid pid;
        tr_ref monitor;
        PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.monitor = &monitor, .mailbox_max = i % 3 * 2}, tenant_main, &i,
                             sizeof i, &pid) == TR_OK);
        atomic_store(&tenant, pid);
        tr_msg_drop(tr_receive_ref(monitor, TR_INFINITY));
        uint64_t sum = 0;
        tr_scratch_mark mark = tr_scratch();
        if (i % 16 == 0) {
            tr_process_each(looks, &sum);
        }
        tr_scratch_release(mark);
    }
    atomic_store(&lives_over, true);
}

PLAIN_TEST(a_message_never_reaches_the_next_tenant_of_a_slot)
{
    pthread_t thread;
    tr_pid pid;
    if (!node_with(3, 0, 5)) { /* five slots: reused all the time */
        return;
    }
    atomic_store(&tenant, TR_NO_PID);
    atomic_store(&lives_over, false);
    atomic_store(&taken, 0);
    PLAIN_CHECK(tr_spawn(NULL, landlord, NULL, 0, &pid) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, tenant_sender, NULL, 0, NULL) == TR_OK);
    PLAIN_CHECK(pthread_create(&thread, NULL, tenant_sender_outside, NULL) == 0);
    tr_node_join(pid, NULL);
    pthread_join(thread, NULL);
    stop_and_balance(atomic_load(&taken));
}
