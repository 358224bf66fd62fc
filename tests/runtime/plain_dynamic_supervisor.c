/* A dynamic supervisor on real workers: many start, terminate and kill children at once, below the limit and at it. The
 * room is never exceeded, nobody is left at the end, and every byte was given back. */
#include <stdatomic.h>
#include <stdint.h>

#include "tests/runtime/workers.h"

#if PLAIN_SLOWER > 1
enum { STEPS = 400 };
#else
enum { STEPS = 3000 };
#endif
enum { CLIENTS = 6, KEPT = 16, ROOM = 48 };

TR_MESSAGE(at_work, { int64_t n; });

static tr_pid pool;
static atomic_uint finished, started_count, refused_count;
static atomic_int alive, most_alive;

typedef struct worker {
    tr_resource resource; /* tells of its end, whatever ends it */
    uint32_t seed;
} worker;

static void worker_ends(tr_resource *resource)
{
    (void)resource;
    atomic_fetch_sub(&alive, 1);
}

static tr_next worker_init(worker *self, const void *arg)
{
    const uint32_t *args = arg; /* the supervisor's extra one, then the child's own */
    TR_CHECK(args[0] == 0x5eed);
    self->seed = args[1];
    self->resource.destroy = worker_ends;
    tr_resource_add(&self->resource);
    int now = atomic_fetch_add(&alive, 1) + 1;
    int most = atomic_load(&most_alive);
    while (now > most && !atomic_compare_exchange_weak(&most_alive, &most, now)) {
    }
    return TR_INIT_OK;
}

static tr_next worker_handle_info(worker *self, const tr_msg *msg)
{
    const at_work *work = TR_MATCH(msg, at_work);
    return work != NULL && work->n % 3 == 0 ? TR_STOP(tr_tuple(tr_atom("bad_day"), tr_int(self->seed)))
                                            : TR_NOREPLY;
}
TR_GEN_SERVER(worker, .init = worker_init, .handle_info = worker_handle_info);

static uint32_t random_below(uint32_t *seed, uint32_t limit)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed % limit;
}

static tr_pid start_one(uint32_t seed)
{
    static const tr_restart restarts[] = {TR_PERMANENT, TR_TRANSIENT, TR_TEMPORARY};
    tr_child_spec spec = {.server = worker_server,
                          .arg = &seed,
                          .arg_bytes = sizeof seed,
                          .restart = restarts[seed % 3],
                          .shutdown_ms = seed % 2 == 0 ? TR_SHUTDOWN_BRUTAL_KILL : 1000};
    tr_sup_result result = tr_dynamic_supervisor_start_child(tr_to(pool), &spec);
    atomic_fetch_add(result.err == TR_OK ? &started_count : &refused_count, 1U);
    PLAIN_CHECK(result.err == TR_OK ||
                (result.err == TR_E_STATE && tr_same(result.reason, tr_atom("max_children"))));
    return result.err == TR_OK ? result.pid : TR_NO_PID;
}

/* An old pid is not found: the child was restarted, or is gone. */
static void end_one(tr_pid pid)
{
    tr_err err = tr_dynamic_supervisor_terminate_child(tr_to(pool), pid).err;
    PLAIN_CHECK(err == TR_OK || err == TR_E_NOT_FOUND);
}

/* Makes room: restarted children have pids that no client knows. */
static void end_any(uint32_t *seed)
{
    const tr_child_info *children;
    size_t count;
    PLAIN_CHECK(tr_dynamic_supervisor_which_children(tr_to(pool), &children, &count) == TR_OK);
    PLAIN_CHECK(count <= ROOM);
    if (count > 0) {
        end_one(children[random_below(seed, (uint32_t)count)].pid);
    }
}

static void client(const void *arg)
{
    uint32_t seed = *(const uint32_t *)arg;
    tr_pid mine[KEPT] = {TR_NO_PID};
    for (int i = 0; i < STEPS; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_pid *one = &mine[random_below(&seed, KEPT)];
        if (*one == TR_NO_PID) {
            *one = start_one(seed);
            if (*one == TR_NO_PID) {
                end_any(&seed);
            }
        } else if (random_below(&seed, 3) == 0) {
            TR_SEND(*one, at_work, .n = random_below(&seed, 9));
        } else if (random_below(&seed, 4) == 0) {
            tr_exit_signal(tr_to(*one), TR_ATOM(KILL));
        } else {
            end_one(*one);
            *one = TR_NO_PID;
        }
        tr_scratch_release(mark);
    }
    atomic_fetch_add(&finished, 1U);
}

static void under_fire(const void *arg)
{
    static const uint32_t extra = 0x5eed;
    uint32_t seed = *(const uint32_t *)arg | 1u;
    const tr_supervisor module = {.name = "pool",
                                  .flags = {.strategy = TR_DYNAMIC,
                                            .max_children = ROOM,
                                            .intensity = 1 << 30,
                                            .extra_arg = &extra,
                                            .extra_bytes = sizeof extra}};
    tr_started started;
    PLAIN_CHECK(tr_supervisor_start_link(&module, NULL, 0, NULL, &started) == TR_OK);
    pool = started.pid;
    for (int i = 0; i < CLIENTS; i++) {
        uint32_t own = (seed += 0x9e3779b9u) | 1u;
        PLAIN_CHECK(tr_spawn(NULL, client, &own, sizeof own, NULL) == TR_OK);
    }
    while (atomic_load(&finished) < CLIENTS) {
        tr_sleep(5);
    }
    tr_child_counts counts = {0};
    PLAIN_CHECK(tr_dynamic_supervisor_count_children(tr_to(pool), &counts) == TR_OK);
    PLAIN_CHECK(counts.specs <= ROOM && counts.active <= counts.specs);
    PLAIN_CHECK(tr_dynamic_supervisor_stop(tr_to(pool), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
}

PLAIN_TEST(starters_killers_and_terminators_at_once_leave_nothing)
{
    uint32_t seed = (uint32_t)plain_seed();
    run_on_workers(under_fire, &seed, sizeof seed, NULL);
    PLAIN_CHECK(atomic_load(&alive) == 0);
    PLAIN_CHECK(atomic_load(&most_alive) <= ROOM);
    PLAIN_CHECK(atomic_load(&started_count) > 0 && atomic_load(&refused_count) > 0);
    printf("%u started, %u refused, %d at once at most\n", atomic_load(&started_count),
           atomic_load(&refused_count), atomic_load(&most_alive));
}
