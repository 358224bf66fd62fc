/* Threads that make the same atoms at the same time agree on every one of them. */
#include <pthread.h>
#include <stdio.h>
#include <troupe/term.h>

#include "tests/support/plain.h"

enum { THREADS = 4, NAMES = 20000 };

static tr_term found[THREADS][NAMES];
static pthread_barrier_t start;

static void *make_all(void *argument)
{
    size_t thread = (size_t)(uintptr_t)argument;
    char text[32];
    pthread_barrier_wait(&start);
    for (size_t i = 0; i < NAMES; i++) {
        /* Each from its own corner, so that everyone is first somewhere. */
        size_t name = (i + thread * (NAMES / THREADS)) % NAMES;
        snprintf(text, sizeof text, "shared_%zu", name);
        tr_term atom = tr_atom(text);
        found[thread][name] = atom;
        if (!PLAIN_CHECK(strcmp(tr_atom_text(atom), text) == 0)) {
            break;
        }
    }
    return NULL;
}

PLAIN_TEST(threads_agree_on_every_atom)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, make_all, (void *)(uintptr_t)i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_join(threads[i], NULL) == 0);
    }
    pthread_barrier_destroy(&start);
    size_t different = 0;
    for (size_t name = 0; name < NAMES; name++) {
        for (size_t thread = 1; thread < THREADS; thread++) {
            different += tr_same(found[0][name], found[thread][name]) ? 0 : 1;
        }
        different += name > 0 && tr_same(found[0][name], found[0][name - 1]) ? 1 : 0;
    }
    PLAIN_CHECK(different == 0);
}

static void *read_known(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&start);
    PLAIN_CHECK(tr_same(tr_atom("noproc"), TR_ATOM(NOPROC)));
    PLAIN_CHECK(strcmp(tr_atom_text(TR_ATOM(TIMEOUT)), "timeout") == 0);
    return NULL;
}

PLAIN_TEST(known_atoms_are_the_same_on_every_thread)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, read_known, NULL) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        PLAIN_CHECK(pthread_join(threads[i], NULL) == 0);
    }
    pthread_barrier_destroy(&start);
}
