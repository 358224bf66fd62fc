/* What memory holds: gen_servers alive at once, and the keys of a limiter's table when five times as many are offered.
 * Two JSON lines; status 1 and a line on stderr for each bound that is broken.
 *
 * Usage: memory [SERVERS [MAX_KEYS]] (default a million each). The bounds in bytes are for counts that make a
 * process's own few hundred KiB small: use 50 000 or more. */
#include "api/rate_limits/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <troupe/troupe.h>
#include <unistd.h>

#define SERVER_BYTES_MAX 384u /* resident, each */
#define KEY_BYTES_MAX    96u
#define SPARE_BYTES      ((size_t)2 << 20) /* libc's and the kernel's own, whatever the count */
#define OFFERED          5u                /* times max_keys */
#define KILLED_OF        3u                /* one in so many is killed before the node stops */

TR_MESSAGE(held_add, { int64_t by; });
TR_MESSAGE(held_value, { int64_t value; });

typedef struct held {
    int64_t value;
    int64_t rest[3];
} held;
_Static_assert(sizeof(held) == 32, "the state that the bound is stated for");

static unsigned broken;

static struct {
    uint32_t count;
    tr_pid *pids;
    size_t resident_bytes, counted_bytes;
    uint64_t memory_bytes; /* as a process's page tells it */
} servers;

static bool holds(bool condition, const char *what, double found, double bound)
{
    if (!condition) {
        fprintf(stderr, "memory: %s: %.1f, the bound is %.1f\n", what, found, bound);
        broken++;
    }
    return condition;
}

static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t total = 0;
    size_t pages = 0;

    if (file == NULL || fscanf(file, "%zu %zu", &total, &pages) != 2) {
        abort();
    }
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* --- gen_servers --- */

static tr_next held_handle_call(held *self, tr_from from, const tr_msg *msg)
{
    const held_add *add = TR_MATCH(msg, held_add);

    if (add == NULL) {
        return tr_unexpected(msg);
    }
    self->value += add->by;
    return TR_REPLY(from, held_value, .value = self->value);
}

TR_GEN_SERVER(held, .handle_call = held_handle_call);

static size_t counted(void)
{
    tr_node_stats stats;

    tr_node_stats_get(&stats);
    return (size_t)(stats.bytes_allocated - stats.bytes_freed);
}

/* Unnamed, unlinked; each has answered a call. */
static void start_and_ask(uint32_t i)
{
    tr_started started;
    held_value out = {0};

    if (tr_gen_server_start(held_server, NULL, 0, NULL, &started) != TR_OK ||
        TR_CALL(started.pid, TR_INFINITY, held_value, &out, held_add, .by = i) != TR_OK || out.value != i) {
        abort();
    }
    servers.pids[i] = started.pid;
}

/* All are there, and each knows what it was told. */
static void ask_all(void)
{
    uint32_t right = 0;

    for (uint32_t i = 0; i < servers.count; i++) {
        held_value out = {0};
        tr_scratch_mark mark = tr_scratch();
        right += TR_CALL(servers.pids[i], TR_INFINITY, held_value, &out, held_add, .by = 1) == TR_OK &&
                 out.value == (int64_t)i + 1;
        tr_scratch_release(mark);
    }
    (void)holds(right == servers.count, "servers that answer right", right, servers.count);
}

static void hold_servers(const void *arg)
{
    tr_process_info info;
    unsigned seed = 1;

    (void)arg;
    start_and_ask(0); /* what is made once */
    size_t before = resident();
    size_t counted_before = counted();
    for (uint32_t i = 0; i < servers.count; i++) {
        tr_scratch_mark mark = tr_scratch();
        start_and_ask(i);
        tr_scratch_release(mark);
    }
    servers.resident_bytes = resident() - before;
    servers.counted_bytes = counted() - counted_before;
    if (tr_process_info_of(servers.pids[0], false, TR_INFINITY, &info) == TR_OK) {
        servers.memory_bytes = info.summary.memory_bytes;
    }
    ask_all();
    for (uint32_t i = 0; i < servers.count; i++) {
        if ((unsigned)rand_r(&seed) % KILLED_OF == 0) {
            tr_exit_signal(tr_to(servers.pids[i]), TR_ATOM(KILL));
        }
    }
}

static void measure_servers(uint32_t count)
{
    tr_node_opts opts = {.workers = 1, .process_max = count + 1000};
    tr_node_stats stats;

    servers.count = count;
    servers.pids = malloc(count * sizeof(*servers.pids));
    if (servers.pids == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < count; i++) {
        servers.pids[i] = i + 1; /* touched: not part of what is measured */
    }
    if (tr_node_run(&opts, hold_servers, NULL) != 0) {
        abort();
    }
    tr_node_stats_get(&stats);
    double each = (double)servers.resident_bytes / count;
    printf("{\"bench\":\"memory\",\"what\":\"gen_servers\",\"count\":%u,\"resident_bytes_each\":%.1f,"
           "\"counted_bytes_each\":%.1f,\"process_memory_bytes\":%llu}\n",
           count, each, (double)servers.counted_bytes / count, (unsigned long long)servers.memory_bytes);
    (void)holds(servers.resident_bytes <= (size_t)count * SERVER_BYTES_MAX + SPARE_BYTES,
                "resident bytes a server", each, SERVER_BYTES_MAX);
    (void)holds(servers.memory_bytes > 0 && servers.memory_bytes <= SERVER_BYTES_MAX,
                "bytes a server by the runtime's books", (double)servers.memory_bytes, SERVER_BYTES_MAX);
    (void)holds(stats.bytes_allocated == stats.bytes_freed, "bytes left after the stop",
                (double)(stats.bytes_allocated - stats.bytes_freed), 0);
    free(servers.pids);
}

/* --- keys --- */

static rl_hash key_number(uint64_t i)
{
    static const rl_seed seed = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

    return rl_key_hash(&seed, 1, &i, sizeof(i));
}

static enum rl_status take(rl_table *table, uint64_t now_ns, uint32_t rate_id, uint64_t key, uint64_t cost)
{
    rl_hash hash = key_number(key);
    rl_verdict verdict;

    rl_table_check(table, now_ns, rate_id, &hash, cost, &verdict);
    return verdict.status;
}

/* One token a day: nothing is full again while this runs, so nothing may be dropped. */
static void measure_keys(uint32_t max_keys)
{
    rl_policy policy = {.limit = 5, .amount = 1, .every_ms = 86400000, .default_cost = 1};
    rl_rate rate = rl_rate_make(&policy);
    rl_table *table;
    rl_table_info info;
    uint32_t rate_id;
    uint64_t let_in = 0;
    uint64_t now_ns = 0;
    size_t before = resident();

    if (rl_table_create(&(rl_table_options){.max_keys = max_keys, .max_rates = 16}, &table) != RL_OK ||
        rl_table_rate_add(table, &rate, 1, 0, &rate_id) != RL_OK ||
        take(table, now_ns, rate_id, 0, 5) != RL_ALLOWED) {
        abort();
    }
    for (uint64_t key = 1; key < (uint64_t)OFFERED * max_keys; key++) {
        let_in += take(table, now_ns++, rate_id, key, 1) == RL_ALLOWED;
    }
    size_t grown = resident() - before;
    bool denied = take(table, now_ns, rate_id, 0, 1) == RL_DENIED;
    rl_table_info_get(table, &info);
    double each = (double)info.memory_bytes / (double)info.keys;
    double resident_each = (double)grown / (double)info.keys;
    printf("{\"bench\":\"memory\",\"what\":\"keys\",\"max_keys\":%u,\"offered\":%llu,\"let_in\":%llu,"
           "\"bytes_a_key\":%.1f,\"resident_bytes_a_key\":%.1f}\n",
           max_keys, (unsigned long long)OFFERED * max_keys, (unsigned long long)let_in + 1, each,
           resident_each);
    (void)holds(info.keys == max_keys && let_in + 1 == max_keys, "keys let in", (double)let_in + 1, max_keys);
    (void)holds(each <= KEY_BYTES_MAX, "bytes a key by the table's books", each, KEY_BYTES_MAX);
    (void)holds(grown <= (size_t)max_keys * KEY_BYTES_MAX + SPARE_BYTES, "resident bytes a key",
                resident_each, KEY_BYTES_MAX);
    (void)holds(denied, "a key drained before the others came is denied", denied, 1);
    rl_table_destroy(table);
}

static uint32_t count_of(int argc, char **argv, int at)
{
    return argc > at ? (uint32_t)strtoul(argv[at], NULL, 10) : 1000000;
}

int main(int argc, char **argv)
{
    uint32_t server_count = count_of(argc, argv, 1);
    uint32_t max_keys = count_of(argc, argv, 2);

    if (server_count == 0 || max_keys == 0) {
        fprintf(stderr, "usage: memory [SERVERS [MAX_KEYS]]\n");
        return 2;
    }
    measure_keys(max_keys); /* first: what the servers leave in malloc's hands would hide its pages */
    measure_servers(server_count);
    return broken == 0 ? 0 : 1;
}
