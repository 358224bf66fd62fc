/* Threads outside the node send, spawn and look names up without a pause while nodes start and stop under their hands: each call
 * finds a whole node or none, and every message is received or a dead letter. */
#include <pthread.h>
#include <troupe/troupe.h>

#include "tests/support/plain.h"

enum { OUTSIDERS = 3, NODES = PLAIN_SLOWER == 1 ? 40 : 4, ECHOES = 8 };

TR_MESSAGE(hello, { int64_t n; });

static struct {
    _Atomic tr_pid pid; /* of a process of the running node, or of one that is gone */
    _Atomic bool over;
    _Atomic uint64_t received, spawned_ran;
} scene;

static void listener(const void *arg)
{
    (void)arg;
    TR_CHECK(tr_register(tr_atom("listener"), tr_self()) == TR_OK);
    for (int i = 0; i < ECHOES; i++) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        PLAIN_CHECK(TR_MATCH(msg, hello) != NULL);
        tr_msg_drop(msg);
        scene.received++;
    }
}

static void short_life(const void *arg)
{
    (void)arg;
    scene.spawned_ran++;
}

static void *outsider(void *arg)
{
    (void)arg;
    for (int64_t n = 0; !scene.over; n++) {
        tr_pid pid = scene.pid;
        PLAIN_CHECK(TR_SEND(pid, hello, n) == TR_OK);
        PLAIN_CHECK(tr_send(tr_to_name(tr_atom("listener")), TR_TYPE(hello), &(hello){n}) != TR_E_FULL);
        tr_err err = tr_spawn(NULL, short_life, NULL, 0, NULL);
        PLAIN_CHECK(err == TR_OK || err == TR_E_STATE || err == TR_E_LIMIT);
        (void)tr_whereis(tr_to_name(tr_atom("listener")));
        tr_exit_signal(tr_to(TR_NO_PID), TR_ATOM(KILL));
    }
    return NULL;
}

PLAIN_TEST(outsiders_find_a_whole_node_or_none)
{
    pthread_t threads[OUTSIDERS];
    for (int i = 0; i < OUTSIDERS; i++) {
        PLAIN_CHECK(pthread_create(&threads[i], NULL, outsider, NULL) == 0);
    }
    for (int i = 0; i < NODES; i++) {
        tr_node_opts opts = {.workers = 2,
                             .process_max = 1000}; /* few: else most of the time goes into burying */
        tr_pid pid = TR_NO_PID;
        if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
            break;
        }
        tr_err err;
        while ((err = tr_spawn(NULL, listener, NULL, 0, &pid)) ==
               TR_E_LIMIT) { /* the outsiders took all slots */
        }
        PLAIN_CHECK(err == TR_OK);
        scene.pid = pid;
        tr_node_join(pid, NULL);
        tr_node_stop();
    }
    scene.over = true;
    for (int i = 0; i < OUTSIDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    PLAIN_CHECK(scene.received == (uint64_t)NODES * ECHOES);
    PLAIN_CHECK(scene.spawned_ran > 0);
    PLAIN_CHECK(tr_spawn(NULL, short_life, NULL, 0, NULL) == TR_E_STATE);
}
