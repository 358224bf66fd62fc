/* Payments on real workers with a store and a gateway of the test's own: many clients, machines, tasks and connections killed all the
 * time. In the end the gateway's ledger, the payments and what clients were told agree. */
#include "api/payments/append.h"
#include "api/payments/machine.h"
#include "api/payments/payments.h"
#include "api/payments/service.h"
#include "api/webhooks/webhooks.h"
#include "server/json.h"
#include "server/log.h"
#include "server/store/db_connection.h"
#include "server/store/store_writer.h"

#include "tests/support/plain.h"

#include <pthread.h>

enum {
    WORKERS = 3,
    PAYMENTS = 24,
    CLIENTS = 3, /* of each payment */
    KILLS = 300 / (int)PLAIN_SLOWER,
    AMOUNT = 1000,
    OPERATIONS_MAX = 20000,
    PATIENCE_MS = 20000
};

static struct scene {
    char directory[64];
    struct settings settings;
    struct store *store;
    char ids[PAYMENTS][PAYMENT_ID_BYTES];
    _Atomic int clients, told_refunds[PAYMENTS];
    _Atomic bool over;
} scene;

/* ---- the gateway ---- */

struct entry {
    struct gateway_operation operation;
    enum gateway_result result;
};

static struct ledger {
    pthread_mutex_t lock;
    struct entry entries[OPERATIONS_MAX];
    int count;
    unsigned random;
} ledger = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned dice(unsigned of)
{
    ledger.random = ledger.random * 1103515245u + 12345u;
    return (ledger.random >> 16) % of;
}

/* Writes the operation down with this result unless it is known; its result in any case. */
static enum gateway_result enter(const struct gateway_operation *operation, enum gateway_result result,
                                 unsigned *roll)
{
    pthread_mutex_lock(&ledger.lock);
    *roll = dice(100);
    int at = 0;
    while (at < ledger.count && strcmp(ledger.entries[at].operation.id, operation->id) != 0) {
        at++;
    }
    if (at == ledger.count && PLAIN_CHECK(at < OPERATIONS_MAX)) {
        ledger.entries[ledger.count++] = (struct entry){.operation = *operation, .result = result};
    }
    enum gateway_result known = ledger.entries[at].result;
    pthread_mutex_unlock(&ledger.lock);
    return known;
}

static void answer(const struct gateway_operation *operation, enum gateway_result result,
                   struct gateway_outcome *out)
{
    *out = (struct gateway_outcome){.result = result, .amount = operation->amount};
    memcpy(out->currency, operation->currency, sizeof(out->currency));
    snprintf(out->decline_code, sizeof(out->decline_code), "declined");
    snprintf(out->detail, sizeof(out->detail), "test");
}

static void perform(const struct gateway_operation *operation, int64_t deadline_ms,
                    struct gateway_outcome *out)
{
    (void)deadline_ms;
    unsigned roll;
    pthread_mutex_lock(&ledger.lock);
    unsigned before = dice(100);
    pthread_mutex_unlock(&ledger.lock);
    tr_sleep(before % 4); /* the fence may be there first */
    if (before < 10) {
        answer(operation, GATEWAY_UNKNOWN, out); /* lost on the way there */
        return;
    }
    enum gateway_result result = enter(operation, before < 20 ? GATEWAY_DECLINED : GATEWAY_APPLIED, &roll);
    tr_sleep(roll % 4);
    TR_CHECK(roll >= 5);                                          /* the task crashes */
    answer(operation, roll < 20 ? GATEWAY_UNKNOWN : result, out); /* lost on the way back */
}

static void query(const struct gateway_operation *operation, int64_t deadline_ms, struct gateway_outcome *out)
{
    (void)deadline_ms;
    unsigned roll;
    enum gateway_result result = enter(operation, GATEWAY_NEVER, &roll);
    answer(operation, roll < 20 ? GATEWAY_UNKNOWN : result, out);
}

static bool is_available(void)
{
    return true;
}

static const struct gateway test_gateway = {
    .name = "test", .available = is_available, .perform = perform, .query = query};

/* ---- a service without HTTP ---- */

static tr_err root_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    tr_child_spec *specs = tr_scratch_alloc(3 * sizeof(*specs));
    (void)arg;
    (void)reason;
    specs[0] = store_writer_child_spec(scene.store);
    specs[1] = db_connections_child_spec(scene.store);
    specs[2] = payments_child_spec();
    *flags = (tr_sup_flags){.intensity = 1000000, .period_s = 1};
    *children = specs;
    *count = 3;
    return TR_OK;
}

static void log_nothing(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static void open_store(void)
{
    struct store_schema schemas[3];
    size_t count;
    struct store_error error;
    schemas[0] = *payments_schemas(&count);
    schemas[1] = *gateway_schemas(&count);
    schemas[2] = *webhooks_schemas(&count);
    struct store_options options = {.schemas = schemas, .schema_count = 3};
    snprintf(scene.directory, sizeof(scene.directory), "/tmp/troupe-plain-XXXXXX");
    PLAIN_CHECK(mkdtemp(scene.directory) != NULL);
    if (!PLAIN_CHECK(store_open(scene.directory, &options, &scene.store, &error) == STORE_OK)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
}

static void run(tr_main_fn fn)
{
    char why[200] = "";
    tr_pid pid;
    tr_node_opts opts = {.workers = WORKERS, .report = log_nothing};
    scene.settings = (struct settings){.gateway = (char *)(uintptr_t) "sandbox",
                                       .gateway_timeout_ms = 500,
                                       .payments_idle_ms = 20,
                                       .payments_live_max = 1000,
                                       .server_max_restarts = 1000000,
                                       .server_max_seconds = 1};
    log_set_level(LOG_ERROR + 1);
    ledger.random = plain_seed();
    open_store();
    PLAIN_CHECK(payments_setup(&scene.settings, scene.store, why, sizeof(why)));
    payments.gateway = &test_gateway;
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, fn, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    tr_node_stop();
    db_connections_teardown();
    PLAIN_CHECK(store_close(scene.store) == STORE_OK);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", scene.directory);
    PLAIN_CHECK(system(command) == 0);
}

/* ---- clients ---- */

static void create(int at)
{
    struct payment payment = {
        .amount = AMOUNT, .currency = "USD", .refunds_multiple = true, .metadata = TEXT("{}")};
    struct draft draft = {.has_event = true,
                          .event = {.type = EVENT_PAYMENT_CREATED, .amount = AMOUNT},
                          .outcome = OUTCOME_CREATED,
                          .code = "",
                          .request_id = "test"};
    payment_id_make(payment.id);
    memcpy(scene.ids[at], payment.id, sizeof(payment.id));
    struct appended appended = append_draft(&payment, &draft, PAYMENT_PENDING);
    PLAIN_CHECK(appended.written);
    tr_msg_drop(appended.answer);
}

/* Asks until there is an answer. Returns: the outcome. */
static enum payment_outcome ask(int at, enum operation_kind kind, int64_t amount)
{
    for (;;) {
        struct payment_command command = {
            .amount = amount, .deadline_ms = tr_now_ms() + PATIENCE_MS, .request_id = "test"};
        tr_msg *reply = NULL;
        tr_pid machine = machine_find_or_start(scene.ids[at]);
        if (machine != TR_NO_PID &&
            tr_gen_statem_call(tr_to(machine), tr_msg_new(machine_command_type(kind), &command), PATIENCE_MS,
                               &reply, NULL) == TR_OK) {
            enum payment_outcome outcome = TR_MATCH(reply, payment_answer)->outcome;
            tr_msg_drop(reply);
            if (outcome != OUTCOME_ASK_AGAIN) {
                return outcome;
            }
        }
        tr_sleep(1);
    }
}

/* Authorizes and captures, whoever of the clients it is that does; then gives back 100 at a time until nothing is left. */
static void client(const void *arg)
{
    int at = *(const int *)arg;
    enum payment_outcome outcome;
    do {
        (void)ask(at, OPERATION_AUTHORIZE, 0);
        outcome = ask(at, OPERATION_CAPTURE, 0);
    } while (outcome != OUTCOME_DONE && outcome != OUTCOME_TERMINAL_STATE);
    do {
        outcome = ask(at, OPERATION_REFUND, 100);
        scene.told_refunds[at] += outcome == OUTCOME_DONE;
    } while (outcome != OUTCOME_TERMINAL_STATE && outcome != OUTCOME_INVALID_AMOUNT);
    scene.clients--;
}

/* ---- the end ---- */

static void stored(int at, struct payment *payment)
{
    struct payment_name name = {0};
    struct store_found found;
    memcpy(name.id, scene.ids[at], sizeof(name.id));
    for (;;) {
        if (store_read_rows(&(struct store_read){.fn = records_payment,
                                                 .arg = &name,
                                                 .arg_bytes = sizeof(name),
                                                 .timeout_ms = PATIENCE_MS},
                            &found) == STORE_OK) {
            PLAIN_CHECK(records_next_payment(&(struct text){found.bytes, found.count}, payment));
            tr_msg_drop(found.reply);
            return;
        }
        tr_sleep(1);
    }
}

static void check(int at)
{
    struct payment payment;
    int64_t applied[OPERATION_CANCEL + 1] = {0};
    int count[OPERATION_CANCEL + 1] = {0};
    for (stored(at, &payment); payment.operation.kind != OPERATION_NONE; stored(at, &payment)) {
        (void)machine_find_or_start(scene.ids[at]);
        tr_sleep(5);
    }
    for (int i = 0; i < ledger.count; i++) {
        const struct entry *entry = &ledger.entries[i];
        if (strcmp(entry->operation.payment_id, scene.ids[at]) == 0 && entry->result == GATEWAY_APPLIED) {
            applied[entry->operation.kind] += entry->operation.amount;
            count[entry->operation.kind]++;
        }
    }
    PLAIN_CHECK(count[OPERATION_AUTHORIZE] == 1 && count[OPERATION_CAPTURE] == 1);
    PLAIN_CHECK(applied[OPERATION_REFUND] == AMOUNT && payment.refunded_amount == AMOUNT);
    PLAIN_CHECK(payment.state == PAYMENT_REFUNDED && payment.captured_amount == 0);
    PLAIN_CHECK(scene.told_refunds[at] <= count[OPERATION_REFUND]); /* what was told happened */
}

/* Kills a machine, or a task, or a connection. */
static void kill_one(int round)
{
    static const char *const others[] = {"payments.reconciler", "db_connection.1", "db_connection.7"};
    if (round % 10 == 9) {
        tr_pid pid = tr_whereis(tr_to_name(tr_atom(others[round / 10 % 3])));
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    } else {
        tr_exit_signal(tr_to(machine_find(text_of(scene.ids[round % PAYMENTS]))), TR_ATOM(KILL));
    }
}

static void chaos(const void *arg)
{
    static const tr_supervisor root = {.name = "root", .init = root_init};
    tr_started started;
    (void)arg;
    TR_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &started) == TR_OK);
    for (int at = 0; at < PAYMENTS; at++) {
        create(at);
    }
    scene.clients = PAYMENTS * CLIENTS;
    for (int i = 0; i < PAYMENTS * CLIENTS; i++) {
        int at = i % PAYMENTS;
        TR_CHECK(tr_spawn(NULL, client, &at, sizeof(at), NULL) == TR_OK);
    }
    for (int i = 0; scene.clients > 0; i++) {
        if (i < KILLS) {
            kill_one(i);
        }
        tr_sleep(5);
    }
    for (int at = 0; at < PAYMENTS; at++) {
        check(at);
    }
    tr_unlink(tr_to(started.pid));
    PLAIN_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), 60000, NULL) == TR_OK);
}

PLAIN_TEST(nothing_is_charged_twice_whoever_is_killed)
{
    run(chaos);
}
