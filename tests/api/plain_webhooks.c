/* Deliverers on real workers with a transport of the test's own: order, lanes, retries, crashes at any point. */
#include "tests/api/webhook_stage.h"

#include "server/store/db_connection.h"
#include "tests/support/plain.h"

#include <pthread.h>

enum {
    WORKERS = 3,
    SUBJECTS = 24,
    EVENTS = 12 / (int)PLAIN_SLOWER + 2, /* of each subject */
    KILLS = 60 / (int)PLAIN_SLOWER,
    SEEN_MAX = 20000,
    PATIENCE_MS = 60000
};

/* ---- the receiver: what the transport was asked for ---- */

struct seen {
    int subject, sequence;
    bool accepted;
};

static struct receiver {
    pthread_mutex_t lock;
    struct seen seen[SEEN_MAX];
    int count;
    int open[SUBJECTS], open_all, open_most; /* requests under way */
    int accepted[SUBJECTS];                  /* the highest sequence that was told 2xx */
    int mistakes;
    unsigned random;
    _Atomic int fail_percent, hang_percent, status; /* status: of a failure, 0: no answer */
    _Atomic int poisoned;                           /* this subject always fails; -1: none */
} receiver = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static int chance(int of)
{
    receiver.random = receiver.random * 1103515245u + 12345u;
    return (int)(receiver.random >> 16) % of;
}

static int locked_chance(int of)
{
    pthread_mutex_lock(&receiver.lock);
    int roll = chance(of);
    pthread_mutex_unlock(&receiver.lock);
    return roll;
}

static const char *header(const struct http_call *call, const char *name)
{
    for (size_t i = 0; i < call->header_count; i++) {
        if (strcmp(call->headers[i].name, name) == 0) {
            return call->headers[i].value;
        }
    }
    return "";
}

static bool is_signed(const struct http_call *call)
{
    struct webhook_secret secret;
    const struct webhook_secret none = {.count = 0};
    char expected[WEBHOOK_SIGNATURES_BYTES];
    PLAIN_CHECK(webhook_secret_read(text_of(STAGE_SECRET), &secret));
    webhook_sign(&secret, &none, header(call, "webhook-id"), header(call, "webhook-timestamp"),
                 (struct text){call->body, call->body_bytes}, expected);
    return strcmp(expected, header(call, "webhook-signature")) == 0;
}

/* A request of a killed lane ends as it does in the client: by the resource of its process. */
struct under_way {
    tr_resource resource;
    int subject;
};

static void leave(tr_resource *resource)
{
    struct under_way *way = (struct under_way *)(void *)resource;
    pthread_mutex_lock(&receiver.lock);
    receiver.open[way->subject]--;
    receiver.open_all--;
    pthread_mutex_unlock(&receiver.lock);
}

static int enter(int subject, int sequence)
{
    pthread_mutex_lock(&receiver.lock);
    receiver.open[subject]++;
    receiver.open_all++;
    receiver.open_most = receiver.open_all > receiver.open_most ? receiver.open_all : receiver.open_most;
    /* In order: nothing is asked for before all that came earlier was taken. */
    receiver.mistakes += sequence > receiver.accepted[subject] + 1;
    int roll = chance(100);
    pthread_mutex_unlock(&receiver.lock);
    return roll;
}

static void note(int subject, int sequence, bool accepted)
{
    pthread_mutex_lock(&receiver.lock);
    if (receiver.count < SEEN_MAX) {
        receiver.seen[receiver.count++] = (struct seen){subject, sequence, accepted};
    }
    if (accepted && sequence > receiver.accepted[subject]) {
        receiver.accepted[subject] = sequence;
    }
    pthread_mutex_unlock(&receiver.lock);
}

static tr_err receive(const struct http_call *call, struct http_reply *reply)
{
    int subject = -1;
    int sequence = -1;
    *reply = (struct http_reply){.retry_after_ms = -1};
    PLAIN_CHECK(sscanf(header(call, "webhook-id"), "msg_s%d_%d", &subject, &sequence) == 2);
    PLAIN_CHECK(is_signed(call));
    struct under_way *way = tr_alloc(sizeof(*way));
    way->resource.destroy = leave;
    way->subject = subject;
    int roll = enter(subject, sequence);
    tr_resource_add(&way->resource);
    tr_sleep(roll % 4 == 0 ? 2 : 0);
    bool fails = roll < receiver.fail_percent || subject == receiver.poisoned;
    if (roll < receiver.hang_percent) {
        tr_sleep(50);
    }
    note(subject, sequence, !fails);
    reply->status = fails ? (unsigned)receiver.status : 204;
    reply->failure = reply->status == 0 ? HTTP_FAILURE_LOST : HTTP_FAILURE_NONE;
    tr_resource_remove(&way->resource);
    leave(&way->resource);
    return TR_OK;
}

static int accepted_of(int subject)
{
    pthread_mutex_lock(&receiver.lock);
    int accepted = receiver.accepted[subject];
    pthread_mutex_unlock(&receiver.lock);
    return accepted;
}

static bool all_accepted_but(int subject)
{
    for (int i = 0; i < SUBJECTS; i++) {
        if (i != subject && accepted_of(i) < EVENTS) {
            return false;
        }
    }
    return true;
}

static bool all_accepted(void)
{
    return all_accepted_but(-1);
}

static bool outbox_is_empty(void)
{
    return stage_int("SELECT count(*) FROM webhooks_outbox") == 0;
}

static bool eventually(bool (*holds)(void))
{
    for (int64_t end = tr_now_ms() + PATIENCE_MS; tr_now_ms() < end; tr_sleep(2)) {
        if (holds()) {
            return true;
        }
    }
    return false;
}

/* ---- the tree ---- */

static tr_err root_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec *specs = tr_scratch_alloc(3 * sizeof(*specs));
    specs[0] = store_writer_child_spec(webhooks.store);
    specs[1] = db_connections_child_spec(webhooks.store);
    specs[2] = webhooks_child_spec();
    *flags = (tr_sup_flags){.intensity = 1000000, .period_s = 1};
    *children = specs;
    *count = 3;
    return TR_OK;
}

static tr_pid tree_start(void)
{
    static const tr_supervisor root = {.name = "root", .init = root_init};
    tr_started started;
    TR_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &started) == TR_OK);
    return started.pid;
}

static void tree_stop(tr_pid root)
{
    tr_unlink(tr_to(root));
    PLAIN_CHECK(tr_gen_server_stop(tr_to(root), TR_ATOM(SHUTDOWN), PATIENCE_MS, NULL) == TR_OK);
}

static void log_nothing(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static int64_t hook;

static void renewed(void)
{
    (void)TR_SEND(webhooks.manager, webhooks_renewed, .id = hook);
}

/* Runs fn in a process of a node on a fresh store with one webhook; afterwards all memory is given back. */
static void run(tr_main_fn fn)
{
    tr_pid pid;
    tr_node_opts opts = {.workers = WORKERS, .report = log_nothing};
    tr_node_stats stats;
    log_set_level(LOG_ERROR + 1);
    pthread_mutex_t lock = receiver.lock;
    receiver = (struct receiver){.lock = lock, .random = plain_seed(), .status = 500, .poisoned = -1};
    webhook_stage_open();
    webhooks.transport = receive;
    hook = stage_put("hook", "http://127.0.0.1:1/", "*");
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, fn, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    for (int i = 0; i < 20000; i++) {
        tr_node_stats_get(&stats);
        if (stats.processes == 0) {
            break;
        }
        usleep(1000);
    }
    PLAIN_CHECK(stats.processes == 0);
    tr_node_stop();
    db_connections_teardown();
    PLAIN_CHECK(receiver.mistakes == 0);
    PLAIN_CHECK(receiver.open_all == 0);
    PLAIN_CHECK(receiver.open_most <= (int)webhooks.concurrency);
    webhook_stage_close();
}

static void make_event(int subject, int sequence)
{
    char name[16];
    snprintf(name, sizeof(name), "s%d", subject);
    PLAIN_CHECK(stage_event(name, sequence, "payment.made") == STORE_OK);
    webhooks_wake();
}

static void make_events(void)
{
    for (int sequence = 1; sequence <= EVENTS; sequence++) {
        for (int subject = 0; subject < SUBJECTS; subject++) {
            make_event(subject, sequence);
        }
    }
}

/* ---- tests ---- */

static void plainly(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    renewed();
    make_events();
    PLAIN_CHECK(eventually(all_accepted));
    PLAIN_CHECK(eventually(outbox_is_empty));
    PLAIN_CHECK(receiver.count == SUBJECTS * EVENTS); /* each exactly once */
    PLAIN_CHECK(stage_int("SELECT count(*) FROM webhooks_deliveries WHERE outcome = 0") == SUBJECTS * EVENTS);
    tree_stop(root);
}

PLAIN_TEST(all_arrive_once_and_in_order)
{
    run(plainly);
}

static void among_failures(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    receiver.fail_percent = 10;
    renewed();
    make_events();
    PLAIN_CHECK(eventually(all_accepted));
    receiver.fail_percent = 0;
    PLAIN_CHECK(eventually(outbox_is_empty));
    tree_stop(root);
}

PLAIN_TEST(failures_are_tried_again_in_order)
{
    run(among_failures);
}

static bool all_but_the_poisoned(void)
{
    return all_accepted_but(receiver.poisoned);
}

static void with_poison(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    receiver.poisoned = 3;
    renewed();
    make_events();
    PLAIN_CHECK(eventually(all_but_the_poisoned));
    PLAIN_CHECK(accepted_of(3) == 0);
    receiver.poisoned = -1;
    PLAIN_CHECK(eventually(outbox_is_empty));
    tree_stop(root);
}

PLAIN_TEST(a_failing_event_holds_up_its_subject_only)
{
    run(with_poison);
}

static void kill_one(int round)
{
    tr_pid deliverer = tr_registry_lookup(webhooks.registry, webhook_key(hook), NULL);
    tr_pid manager = tr_whereis(tr_to_name(webhooks.manager));
    tr_pid supervisor = tr_whereis(tr_to_name(webhooks.deliverers));
    tr_pid victim = round % 10 == 9 ? supervisor : round % 5 == 4 ? manager : deliverer;
    tr_exit_signal(tr_to(victim), TR_ATOM(KILL));
}

static void among_kills(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    renewed();
    int made = 0;
    for (int i = 0; i < KILLS; i++) {
        for (int end = SUBJECTS * EVENTS * (i + 1) / KILLS; made < end; made++) {
            make_event(made % SUBJECTS, made / SUBJECTS + 1);
        }
        kill_one(i);
        tr_sleep(locked_chance(8));
    }
    PLAIN_CHECK(eventually(all_accepted));
    PLAIN_CHECK(eventually(outbox_is_empty));
    tree_stop(root);
}

PLAIN_TEST(killed_at_any_point_nothing_is_lost_or_out_of_order)
{
    run(among_kills);
}

/* A lane that crashes is one whose event is sent again. */
static _Atomic int crashes_left;

static tr_err crash_or_receive(const struct http_call *call, struct http_reply *reply)
{
    if (crashes_left > 0) {
        crashes_left--;
        tr_exit(tr_atom("crashed_by_test"));
    }
    return receive(call, reply);
}

static void among_crashes(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    crashes_left = 5;
    webhooks.transport = crash_or_receive;
    renewed();
    make_events();
    PLAIN_CHECK(eventually(all_accepted));
    PLAIN_CHECK(eventually(outbox_is_empty));
    PLAIN_CHECK(crashes_left == 0);
    tree_stop(root);
}

PLAIN_TEST(a_lane_that_crashes_costs_an_attempt)
{
    run(among_crashes);
}

static bool is_gone(void)
{
    return stage_int("SELECT state FROM webhooks") == WEBHOOK_GONE &&
           tr_registry_lookup(webhooks.registry, webhook_key(hook), NULL) == TR_NO_PID;
}

static void until_gone(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    receiver.poisoned = 0;
    receiver.status = 410;
    renewed();
    make_event(0, 1);
    make_event(0, 2);
    PLAIN_CHECK(eventually(is_gone));
    PLAIN_CHECK(accepted_of(0) == 0);
    PLAIN_CHECK(receiver.count == 1);
    receiver.poisoned = -1;
    stage_put("hook", "http://127.0.0.1:1/", "*");
    renewed();
    PLAIN_CHECK(eventually(outbox_is_empty));
    PLAIN_CHECK(accepted_of(0) == 2);
    tree_stop(root);
}

PLAIN_TEST(gone_ends_the_deliverer_and_a_put_starts_it)
{
    run(until_gone);
}

static void with_a_stop(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    receiver.hang_percent = 100;
    renewed();
    make_events();
    tree_stop(root); /* in the middle of requests */
    PLAIN_CHECK(receiver.open_all == 0);
    receiver.hang_percent = 0;
    root = tree_start(); /* nobody says that there is something to do */
    PLAIN_CHECK(eventually(all_accepted));
    PLAIN_CHECK(eventually(outbox_is_empty));
    tree_stop(root);
}

PLAIN_TEST(a_stop_in_the_middle_is_gone_on_from)
{
    run(with_a_stop);
}
