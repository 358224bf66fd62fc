/* Applications on real workers: many start, stop and end them at once, while threads outside read and set their
 * environment. At the end nobody is left, and every byte was given back. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tests/runtime/workers.h"

#if PLAIN_SLOWER > 1
enum { STEPS = 60 };
#else
enum { STEPS = 300 };
#endif
enum { CLIENTS = 6, READERS = 2, APPS = 4 };

static atomic_uint finished, started_count, refused_count;
static atomic_int running[APPS];
static atomic_bool reading;

static const char *const names[APPS] = {"base", "left", "right", "top"};

static tr_next worker_init(void *self, const void *arg)
{
    (void)self;
    (void)arg;
    return TR_INIT_OK;
}
static const tr_gen_server worker = {.name = "worker", .init = worker_init};
static const tr_child_spec children[] = {{.id = TR_ATOM(OK), .server = &worker}};
static const tr_supervisor tree = {.name = "tree", .children = children, .child_count = 1};

/* One of it runs at most, whoever starts it. */
static tr_err begins(const void *arg, tr_pid *top, void **state, tr_term *reason)
{
    tr_started started;
    size_t which = (size_t)(uintptr_t)arg;
    PLAIN_CHECK(atomic_fetch_add(&running[which], 1) == 0);
    tr_err err = tr_supervisor_start_link(&tree, NULL, 0, NULL, &started);
    *top = started.pid;
    *state = (void *)(uintptr_t)arg;
    *reason = started.reason;
    return err;
}

static void ends(void *state)
{
    PLAIN_CHECK(atomic_fetch_sub(&running[(size_t)(uintptr_t)state], 1) == 1);
}

static const char *const needs_base[] = {"base", NULL};
static const char *const needs_both[] = {"left", "right", NULL};
static const tr_application apps[APPS] = {
    {.name = "base", .start = begins, .stop = ends, .arg = (const void *)0},
    {.name = "left", .start = begins, .stop = ends, .arg = (const void *)1, .applications = needs_base},
    {.name = "right", .start = begins, .stop = ends, .arg = (const void *)2, .applications = needs_base},
    {.name = "top", .start = begins, .stop = ends, .arg = (const void *)3, .applications = needs_both},
};

static void client(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (int i = 0; i < STEPS; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_term name = tr_atom(names[rand_r(&seed) % APPS]);
        tr_app_info info;
        tr_err err = TR_OK;
        switch (rand_r(&seed) % 5) {
        case 0:
        case 1:
            err = tr_application_ensure_all_started(name, TR_APP_TEMPORARY, NULL, NULL, NULL);
            break;
        case 2:
            err = tr_application_start(name, TR_APP_TRANSIENT, NULL);
            break;
        case 3:
            err = tr_application_stop(name, NULL);
            break;
        default: /* its tree ends by itself */
            if (tr_application_get(name, &info) == TR_OK && info.running) {
                (void)!tr_gen_server_stop(tr_to(info.top), TR_ATOM(NORMAL), TR_INFINITY, NULL);
            }
            break;
        }
        PLAIN_CHECK(err == TR_OK || err == TR_E_STATE || err == TR_E_ALREADY_STARTED);
        atomic_fetch_add(err == TR_OK ? &started_count : &refused_count, 1U);
        tr_scratch_release(mark);
    }
    atomic_fetch_add(&finished, 1U);
}

static void all_at_once(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    tr_started started;
    PLAIN_CHECK(tr_application_controller_start_link(NULL, &started) == TR_OK);
    for (int i = 0; i < APPS; i++) {
        PLAIN_CHECK(tr_application_load(&apps[i]) == TR_OK);
    }
    for (int i = 0; i < CLIENTS; i++) {
        unsigned own = (unsigned)rand_r(&seed);
        PLAIN_CHECK(tr_spawn(NULL, client, &own, sizeof own, NULL) == TR_OK);
    }
    while (atomic_load(&finished) < CLIENTS) {
        tr_sleep(5);
    }
    PLAIN_CHECK(tr_application_controller_stop(TR_INFINITY) == TR_OK);
    for (int i = 0; i < APPS; i++) {
        PLAIN_CHECK(atomic_load(&running[i]) == 0);
    }
}

/* A value is read whole or not at all. */
static void *reader(void *unused)
{
    (void)unused;
    const tr_term key = tr_atom("pair");
    for (int64_t i = 0; atomic_load(&reading); i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_application_set_env(tr_atom("base"), key, tr_tuple(tr_int(i), tr_int(-i)));
        tr_term pair = tr_application_get_env(tr_atom("base"), key);
        if (!tr_is_none(pair)) {
            PLAIN_CHECK(tr_int_value(tr_term_items(pair)[0]) == -tr_int_value(tr_term_items(pair)[1]));
        }
        if (i % 7 == 0) {
            tr_application_unset_env(tr_atom("base"), key);
        }
        tr_scratch_release(mark);
    }
    tr_application_unset_env(tr_atom("base"), key);
    return NULL;
}

static void readers(bool begin)
{
    static pthread_t threads[READERS];
    atomic_store(&reading, begin);
    for (int i = 0; i < READERS; i++) {
        PLAIN_CHECK(
            (begin ? pthread_create(&threads[i], NULL, reader, NULL) : pthread_join(threads[i], NULL)) == 0);
    }
}

PLAIN_TEST(starts_stops_and_ends_at_once_leave_each_application_alone_or_running_once)
{
    unsigned seed = plain_seed();
    run_on_workers(all_at_once, &seed, sizeof seed, readers);
    PLAIN_CHECK(atomic_load(&started_count) > 0 && atomic_load(&refused_count) > 0);
    printf("%u done, %u refused\n", atomic_load(&started_count), atomic_load(&refused_count));
}
