/* Our half of ./dev bench peers: one workload of the runtime, with the message sizes and counts of peers/peers.erl and peers/peers.go.
 *
 *     peers WORKLOAD COUNT WORKERS     a JSON line: operations, seconds by the clock, CPU seconds of all threads; for idle: bytes
 *
 * A tenth of the count runs first, unmeasured. Processes are plain where the peers' are, gen_server and gen_statem where theirs are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <troupe/troupe.h>
#include <unistd.h>

#define RING    503
#define SENDERS 16
#define BATCH   1000 /* timers alive at once; casts between two calls */
#define FAN_OUT 100  /* tasks at once */
#define BURST   256  /* messages of a source between two yields */

TR_MESSAGE(token, {
    tr_pid from;
    int64_t value;
});
TR_MESSAGE_EMPTY(done);
TR_MESSAGE(add, { int64_t by; });
TR_MESSAGE(sum, { int64_t value; });

typedef struct job {
    tr_pid parent;
    tr_pid peer;
    int64_t count;
} job;

static tr_pid spawn(tr_main_fn fn, tr_pid peer, int64_t count)
{
    tr_pid pid;
    job j = {tr_self(), peer, count};
    TR_ASSERT(tr_spawn(NULL, fn, &j, sizeof(j), &pid) == TR_OK);
    return pid;
}

static int64_t take_token(tr_pid *from)
{
    tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
    const token *got = TR_MATCH(msg, token);
    TR_ASSERT(got != NULL);
    int64_t value = got->value;
    if (from != NULL) {
        *from = got->from;
    }
    tr_msg_drop(msg);
    return value;
}

static void give(tr_pid to, int64_t value)
{
    (void)TR_SEND(to, token, .from = tr_self(), .value = value);
}

static void await_done(int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        tr_msg_drop(tr_receive(NULL, NULL, TR_INFINITY));
    }
}

/* ---- messages ---- */

static void echo(const void *arg)
{
    const job *j = arg;
    for (int64_t i = 0; i < j->count; i++) {
        tr_pid from;
        int64_t value = take_token(&from);
        give(from, value);
    }
}

static void ping_pong(int64_t count)
{
    tr_pid peer = spawn(echo, TR_NO_PID, count);
    for (int64_t i = 0; i < count; i++) {
        give(peer, i);
        (void)take_token(NULL);
    }
}

/* Hands the token on, one less, until it is used up; then the stop token (-1) goes round once. */
static void ring_member(const void *arg)
{
    const job *j = arg;
    for (;;) {
        int64_t left = take_token(NULL);
        if (left == 0) {
            (void)TR_SEND(j->parent, done);
        }
        give(j->peer, left == 0 ? -1 : left < 0 ? left : left - 1);
        if (left <= 0) {
            return;
        }
    }
}

static void ring_first(const void *arg)
{
    job j = *(const job *)arg;
    j.peer = (tr_pid)take_token(NULL);
    ring_member(&j);
}

static void ring(int64_t count)
{
    tr_pid first = spawn(ring_first, TR_NO_PID, 0);
    tr_pid next = first;
    for (int i = 1; i < RING; i++) {
        next = spawn(ring_member, next, 0);
    }
    give(first, (int64_t)next);
    give(first, count);
    await_done(1);
}

static void sink(const void *arg)
{
    const job *j = arg;
    for (int64_t i = 0; i < j->count; i++) {
        (void)take_token(NULL);
    }
    (void)TR_SEND(j->parent, done);
}

/* Nobody is preempted here, as on the BEAM and in Go: who sends much lets others run now and then. */
static void source(const void *arg)
{
    const job *j = arg;
    for (int64_t i = 0; i < j->count; i++) {
        give(j->peer, i);
        if (i % BURST == BURST - 1) {
            tr_yield();
        }
    }
}

static void stream_from(int64_t senders, int64_t count)
{
    int64_t each = count / senders;
    tr_pid to = spawn(sink, TR_NO_PID, each * senders);
    for (int64_t i = 0; i < senders; i++) {
        (void)spawn(source, to, each);
    }
    await_done(1);
}

static void stream(int64_t count)
{
    stream_from(1, count);
}

static void fan_in(int64_t count)
{
    stream_from(SENDERS, count);
}

/* ---- gen_server ---- */

typedef struct adder {
    int64_t value;
    int64_t rest[3];
} adder;

static tr_next adder_handle_call(adder *self, tr_from from, const tr_msg *msg)
{
    const add *by = TR_MATCH(msg, add);
    if (by == NULL) {
        return tr_unexpected(msg);
    }
    self->value += by->by;
    return TR_REPLY(from, sum, .value = self->value);
}

TR_GEN_SERVER(adder, .handle_call = adder_handle_call);

static tr_pid start_adder(void)
{
    tr_started started;
    TR_ASSERT(tr_gen_server_start(adder_server, NULL, 0, NULL, &started) == TR_OK);
    return started.pid;
}

static void caller(const void *arg)
{
    const job *j = arg;
    for (int64_t i = 0; i < j->count; i++) {
        sum out;
        TR_ASSERT(TR_CALL(j->peer, TR_INFINITY, sum, &out, add, .by = 1) == TR_OK);
    }
    (void)TR_SEND(j->parent, done);
}

static void call_from(int64_t callers, int64_t count)
{
    tr_pid server = start_adder();
    for (int64_t i = 0; i < callers; i++) {
        (void)spawn(caller, server, count / callers);
    }
    await_done(callers);
    TR_ASSERT(tr_gen_server_stop(tr_to(server), tr_atom("normal"), TR_INFINITY, NULL) == TR_OK);
}

static void call_1(int64_t count)
{
    call_from(1, count);
}

static void call_16(int64_t count)
{
    call_from(SENDERS, count);
}

/* ---- processes ---- */

static void nothing(const void *arg)
{
    (void)arg;
}

static void spawn_monitored(tr_main_fn fn, tr_ref *ref)
{
    tr_pid self = tr_self();
    tr_pid pid;
    TR_ASSERT(tr_spawn(&(tr_spawn_opts){.monitor = ref}, fn, &self, sizeof(self), &pid) == TR_OK);
}

static void spawn_exit(int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        tr_ref ref;
        spawn_monitored(nothing, &ref);
        tr_msg_drop(tr_receive_ref(ref, TR_INFINITY));
    }
}

static void task(const void *arg)
{
    give(*(const tr_pid *)arg, 1);
}

/* A result and a DOWN of each. */
static void fan_out(int64_t count)
{
    for (int64_t i = 0; i < count; i += FAN_OUT) {
        for (int k = 0; k < FAN_OUT; k++) {
            tr_ref ref;
            spawn_monitored(task, &ref);
        }
        await_done(2 * FAN_OUT);
    }
}

static void timers(int64_t count)
{
    static tr_ref set[BATCH];
    for (int64_t i = 0; i < count; i += BATCH) {
        for (int k = 0; k < BATCH; k++) {
            set[k] = TR_SEND_AFTER(60000 + k, tr_self(), done);
        }
        for (int k = 0; k < BATCH; k++) {
            TR_ASSERT(tr_cancel_timer(set[k]) >= 0);
        }
    }
}

/* ---- gen_statem ---- */

typedef struct lamp {
    int64_t switched;
} lamp;

static tr_term lamp_on, lamp_off;

static tr_step lamp_event(void *data, tr_term state, const tr_event *event)
{
    lamp *self = data;
    if (event->type == TR_EVENT_CALL) {
        return tr_step_with(TR_KEEP_STATE, 1,
                            (tr_action[]){TR_REPLY_TO(event->from, sum, .value = self->switched)});
    }
    self->switched++;
    return TR_NEXT_STATE(tr_same(state, lamp_on) ? lamp_off : lamp_on);
}

static const tr_gen_statem lamp_machine = {
    .name = "lamp", .data_bytes = sizeof(lamp), .first = "off", .handle_event = lamp_event};

static void statem(int64_t count)
{
    lamp_on = tr_atom("on");
    lamp_off = tr_atom("off");
    tr_started started;
    TR_ASSERT(tr_gen_statem_start(&lamp_machine, NULL, 0, NULL, &started) == TR_OK);
    sum out = {0};
    for (int64_t i = 0; i < count; i += BATCH) {
        for (int k = 0; k < BATCH; k++) {
            TR_ASSERT(TR_CAST(started.pid, add, .by = 1) == TR_OK);
        }
        TR_ASSERT(TR_CALL(started.pid, TR_INFINITY, sum, &out, add, .by = 0) == TR_OK);
    }
    TR_ASSERT(out.value >= count);
    TR_ASSERT(tr_gen_server_stop(tr_to(started.pid), tr_atom("normal"), TR_INFINITY, NULL) == TR_OK);
}

/* ---- measuring ---- */

static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t total = 0;
    size_t pages = 0;
    TR_ASSERT(file != NULL && fscanf(file, "%zu %zu", &total, &pages) == 2);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Each has answered a call before it is idle. */
static void idle(int64_t count)
{
    (void)start_adder();
    size_t before = resident();
    for (int64_t i = 0; i < count; i++) {
        tr_scratch_mark mark = tr_scratch();
        sum out;
        TR_ASSERT(TR_CALL(start_adder(), TR_INFINITY, sum, &out, add, .by = 1) == TR_OK);
        tr_scratch_release(mark);
    }
    printf("{\"bytes\": %.1f}\n", (double)(resident() - before) / (double)count);
}

static double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static const struct workload {
    const char *name;
    void (*run)(int64_t count);
} workloads[] = {
    {"ping_pong", ping_pong}, {"ring", ring},       {"stream", stream},    {"fan_in", fan_in},
    {"call_1", call_1},       {"call_16", call_16}, {"spawn", spawn_exit}, {"timers", timers},
    {"statem", statem},       {"fan_out", fan_out}, {"idle", idle},
};

struct order {
    const struct workload *what;
    int64_t count;
};

static void measure(const void *arg)
{
    const struct order *order = arg;
    if (order->what->run == idle) {
        idle(order->count);
        return;
    }
    order->what->run(order->count / 10);
    double begin = clock_s();
    double cpu = cpu_s();
    order->what->run(order->count);
    printf("{\"ops\": %lld, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", (long long)order->count,
           clock_s() - begin, cpu_s() - cpu);
}

int main(int argc, char **argv)
{
    struct order order = {.count = argc == 4 ? strtoll(argv[2], NULL, 10) : 0};
    for (size_t i = 0; argc == 4 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        if (strcmp(workloads[i].name, argv[1]) == 0) {
            order.what = &workloads[i];
        }
    }
    if (order.what == NULL || order.count <= 0) {
        fprintf(stderr, "usage: peers WORKLOAD COUNT WORKERS\n");
        return 64;
    }
    return tr_node_run(&(tr_node_opts){.workers = atoi(argv[3]), .process_max = 1u << 21}, measure, &order);
}
