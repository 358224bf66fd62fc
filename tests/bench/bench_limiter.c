/* Limiter processes without HTTP: checks by call, and batches of 100 as a route sends them. One JSON line; medians of ROUNDS, by the
 * clock (_per_s) and by the time this program was on a processor (_per_cpu_s).
 *
 * Usage: limiter [WORKERS] (default 1). Callers are processes; a call is one message there and one back. */
#include "api/rate_limits/batch_route.h"
#include "api/rate_limits/limiter.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 7, CALLERS = 8, CALLS = 50000, BATCHES = 2000, BATCH = 100, KEYS = 10000, POLICY = 1 };

static struct settings settings = {.server_max_restarts = 100, .server_max_seconds = 5};
static int workers;
static _Atomic int running;

/* Decisions a second. */
struct rates {
    double wall[ROUNDS];
    double cpu[ROUNDS];
};
static struct rates check_rates, batch_rates;

static tr_err tree_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    tr_child_spec *spec = tr_scratch_alloc(sizeof(*spec));

    (void)arg;
    (void)reason;
    *spec = rl_partitions_child_spec();
    *flags = (tr_sup_flags){.intensity = 3, .period_s = 5};
    *children = spec;
    *count = 1;
    return TR_OK;
}

static rl_hash key_of(uint32_t i)
{
    uint32_t key = i % KEYS;

    return rl_key_hash(&rl_service.seed, POLICY, &key, sizeof(key));
}

static void check_caller(const void *arg)
{
    uint32_t first = *(const uint32_t *)arg;
    rl_decided decided;

    for (uint32_t i = 0; i < CALLS; i++) {
        rl_hash hash = key_of(first + i);
        if (TR_CALL(rl_partition_pid(rl_partition_of(&hash)), 5000, rl_decided, &decided, rl_check,
                    .hash = hash, .cost = 1, .policy_id = POLICY) != TR_OK) {
            abort();
        }
    }
    running--;
}

/* One batch: keys hashed, items dealt to partitions, one message to each, all answers awaited. */
static void run_batch(uint32_t first)
{
    rl_batch_check checks[BATCH];
    uint32_t order[BATCH];
    rl_batch_request asked = {.checks = checks, .order = order, .count = BATCH};
    tr_ref requests[BATCH];
    uint32_t parts = 0;
    uint32_t end;

    for (uint32_t i = 0; i < BATCH; i++) {
        checks[i] = (rl_batch_check){.cost = 1, .policy_id = POLICY, .hash = key_of(first + i)};
        checks[i].partition = rl_partition_of(&checks[i].hash);
    }
    tr_blob *blob = rl_batch_build(&asked);
    const rl_batch *batch = rl_batch_of(blob);
    for (uint32_t at = 0; at < BATCH; at = end) {
        end = rl_batch_run_end(batch, at);
        requests[parts++] =
            tr_send_request(tr_to(rl_partition_pid(batch->items[at].partition)),
                            TR_MSG(rl_batch_part, .batch = blob, .first = at, .count = end - at));
    }
    for (uint32_t i = 0; i < parts; i++) {
        tr_msg *reply = NULL;
        if (tr_receive_response(requests[i], 5000, &reply, NULL) != TR_OK) {
            abort();
        }
        tr_msg_drop(reply);
    }
    tr_blob_drop(blob);
}

static void batch_caller(const void *arg)
{
    for (uint32_t i = 0; i < BATCHES; i++) {
        run_batch(*(const uint32_t *)arg + i * BATCH);
    }
    running--;
}

static double cpu_seconds(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* One round of all callers together. */
static void run_round(tr_main_fn caller, double decisions, struct rates *rates, int round)
{
    uint64_t begin = tr_now_ns();
    double begin_cpu = cpu_seconds();

    running = CALLERS;
    for (uint32_t i = 0; i < CALLERS; i++) {
        uint32_t first = i * 1237;
        if (tr_spawn(NULL, caller, &first, sizeof(first), NULL) != TR_OK) {
            abort();
        }
    }
    while (running > 0) {
        tr_sleep(1);
    }
    rates->wall[round] = CALLERS * decisions * 1e9 / (double)(tr_now_ns() - begin);
    rates->cpu[round] = CALLERS * decisions / (cpu_seconds() - begin_cpu);
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;

    return (a > b) - (a < b);
}

static void measure(const void *arg)
{
    static const tr_supervisor tree = {.name = "bench", .init = tree_init};
    tr_started started;

    (void)arg;
    if (tr_supervisor_start_link(&tree, NULL, 0, NULL, &started) != TR_OK) {
        abort();
    }
    for (int round = 0; round < ROUNDS; round++) {
        run_round(check_caller, CALLS, &check_rates, round);
        run_round(batch_caller, (double)BATCHES * BATCH, &batch_rates, round);
    }
    double *all[] = {check_rates.wall, check_rates.cpu, batch_rates.wall, batch_rates.cpu};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        qsort(all[i], ROUNDS, sizeof(double), compare);
    }
    printf("{\"workers\":%d,\"partitions\":%u,\"checks_per_s\":%.0f,\"checks_per_cpu_s\":%.0f,"
           "\"batch_decisions_per_s\":%.0f,\"batch_decisions_per_cpu_s\":%.0f,"
           "\"batch_decisions_per_s_best\":%.0f}\n",
           workers, rl_service.partition_count, check_rates.wall[ROUNDS / 2], check_rates.cpu[ROUNDS / 2],
           batch_rates.wall[ROUNDS / 2], batch_rates.cpu[ROUNDS / 2], batch_rates.wall[ROUNDS - 1]);
    tr_unlink(tr_to(started.pid));
    if (tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) != TR_OK) {
        abort();
    }
}

int main(int argc, char **argv)
{
    rl_policy policy = {.limit = 2000000000, .amount = 1, .every_ms = 86400000, .default_cost = 1};
    char why[200];

    workers = argc > 1 ? atoi(argv[1]) : 1;
    if (!rl_service_init(0, 1000000, workers, why, sizeof(why))) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    rl_service.settings = &settings;
    for (uint32_t i = 0; i < rl_service.partition_count; i++) {
        uint32_t rate_id = 0;
        if (rl_partition_set_policy(&rl_service.partitions[i], tr_now_ns(), POLICY, &rate_id, &policy) !=
            RL_OK) {
            return 1;
        }
    }
    int status = tr_node_run(&(tr_node_opts){.workers = workers}, measure, NULL);
    rl_service_fini();
    return status;
}
