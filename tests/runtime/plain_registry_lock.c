/* Locks of a registry under threads: never two under one key, whatever ends in the middle; and nobody is forgotten. */
#include <troupe/troupe.h>

#include "tests/support/plain.h"

enum { LOCKERS = 8, KEYS = 3, ROUNDS = 2000 / PLAIN_SLOWER, KILLS = 200 / PLAIN_SLOWER };

static tr_registry *registry;
static unsigned long inside[KEYS]; /* not atomic: only under their lock */
static atomic_ulong entered[KEYS];

static void is_alone(void *ctx)
{
    size_t key = *(const size_t *)ctx;
    unsigned long before = inside[key];
    tr_yield(); /* whoever else got in would be seen */
    inside[key] = before + 1;
    atomic_fetch_add(&entered[key], 1);
}

static void locks_often(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        size_t key = (size_t)rand_r(&seed) % KEYS;
        int64_t patience_ms = rand_r(&seed) % 8 == 0 ? 0 : TR_INFINITY;
        tr_err err = tr_registry_lock(registry, tr_int((int64_t)key), patience_ms, is_alone, &key);
        PLAIN_CHECK(err == TR_OK || (err == TR_E_TIMEOUT && patience_ms == 0));
    }
}

static void locks_for_ever(const void *arg)
{
    size_t key = *(const size_t *)arg;
    while (tr_registry_lock(registry, tr_int((int64_t)key), TR_INFINITY, is_alone, &key) == TR_OK) {
    }
}

/* A holder that is killed between the two lines of is_alone may have counted in one place and not in the other. */
static void kills_some(void)
{
    for (size_t i = 0; i < KILLS; i++) {
        size_t key = i % KEYS;
        tr_ref end;
        tr_pid pid;
        tr_spawn_opts opts = {.monitor = &end};
        PLAIN_CHECK(tr_spawn(&opts, locks_for_ever, &key, sizeof key, &pid) == TR_OK);
        for (size_t turn = 0; turn < i % 7; turn++) {
            tr_yield();
        }
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        PLAIN_CHECK(tr_receive_ref(end, 60000) != NULL);
    }
}

static void run(const void *arg)
{
    tr_registry_opts opts = {.name = tr_atom("guarded"), .partitions = 2};
    tr_ref ends[LOCKERS];
    tr_pid pid;
    PLAIN_CHECK(tr_registry_start_link(&opts, NULL) == TR_OK);
    registry = tr_registry_find("guarded");
    for (unsigned i = 0; i < LOCKERS; i++) {
        tr_spawn_opts watched = {.monitor = &ends[i]};
        PLAIN_CHECK(tr_spawn(&watched, locks_often, &i, sizeof i, &pid) == TR_OK);
    }
    if (*(const bool *)arg) {
        kills_some();
    }
    for (unsigned i = 0; i < LOCKERS; i++) {
        const tr_msg *end = tr_receive_ref(ends[i], 60000);
        PLAIN_CHECK(end != NULL && tr_reason_is_clean(TR_MATCH(end, tr_down_msg)->reason));
    }
}

static void many_lock(bool with_kills)
{
    for (size_t key = 0; key < KEYS; key++) {
        inside[key] = 0;
        atomic_store(&entered[key], 0);
    }
    PLAIN_CHECK(tr_node_run(&(tr_node_opts){.workers = 2}, run, &with_kills) == 0);
}

PLAIN_TEST(no_two_are_inside_at_once)
{
    many_lock(false);
    for (size_t key = 0; key < KEYS; key++) {
        PLAIN_CHECK(inside[key] == atomic_load(&entered[key]) && inside[key] != 0);
    }
}

PLAIN_TEST(a_holder_that_is_killed_keeps_nobody_out)
{
    many_lock(true);
}
