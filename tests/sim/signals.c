/* Links, monitors and calls between processes that end at the worst time. */
#include "tests/sim/scene.h"

#include <string.h>

enum { PAIRS = 12, WATCHERS = 6, TARGETS = 8 };

TR_MESSAGE(ask, { int64_t delay_ms; });
TR_MESSAGE(answer, { int64_t n; });

static bool is_answer(const tr_msg *msg, void *ctx)
{
    (void)ctx;
    return TR_MATCH(msg, answer) != NULL;
}

/* ---- unlink ---- */

static struct pair {
    bool unlinked, done;
} pairs[PAIRS];

static void ends_soon(const void *arg)
{
    (void)arg;
    if (any(2) == 0) {
        tr_yield();
    }
    tr_exit(tr_atom("boom"));
}

/* Once unlink has returned the other's end may not take it along. */
static void unlinks(const void *arg)
{
    struct pair *pair = &pairs[*(const int *)arg];
    tr_pid other;
    CHECK(tr_spawn(&(tr_spawn_opts){.link = true, .core = any_core()}, ends_soon, NULL, 0, &other) == TR_OK);
    for (unsigned n = any(3); n > 0; n--) {
        tr_yield();
    }
    tr_unlink(tr_to(other));
    pair->unlinked = true;
    tr_sleep(5);
    pair->done = true;
}

void scene_unlinked_is_safe(const void *arg)
{
    (void)arg;
    memset(pairs, 0, sizeof(pairs));
    for (int i = 0; i < PAIRS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, unlinks, &i, sizeof(i), NULL) == TR_OK);
    }
    tr_sleep(1000);
    for (int i = 0; i < PAIRS; i++) {
        CHECK(pairs[i].done == pairs[i].unlinked);
    }
    scene_over = true;
}

/* ---- demonitor with flush ---- */

static int flushing;

static void flushes(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 6; i++) {
        tr_pid other;
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, ends_soon, NULL, 0, &other) == TR_OK);
        tr_ref ref = tr_monitor(tr_to(other), NULL);
        if (any(2) == 0) {
            tr_sleep(any(3));
        }
        (void)TR_SEND(tr_self(), answer, i);
        tr_msg *own = tr_receive(is_answer, NULL, 0); /* fetches, and leaves a DOWN in the queue */
        scene_received += own != NULL;
        tr_msg_drop(own);
        (void)tr_demonitor(ref, true);
        CHECK(tr_receive(NULL, NULL, (int64_t)any(3)) == NULL);
    }
    flushing--;
}

void scene_flushed_is_gone(const void *arg)
{
    (void)arg;
    flushing = WATCHERS;
    for (int i = 0; i < WATCHERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, flushes, NULL, 0, NULL) == TR_OK);
    }
    while (flushing > 0) {
        tr_sleep(10);
    }
    scene_over = true;
}

/* ---- monitors ---- */

static struct {
    tr_pid targets[TARGETS];
    int watching;
} theatre;

static void lives_a_while(const void *arg)
{
    (void)arg;
    tr_sleep(any(4));
}

static void watches(const void *arg)
{
    int downs[TARGETS] = {0};
    tr_ref refs[TARGETS];
    (void)arg;
    for (int i = 0; i < TARGETS; i++) {
        refs[i] = tr_monitor(tr_to(theatre.targets[i]), NULL);
    }
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, 100)) != NULL; tr_msg_drop(msg)) {
        const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
        for (int i = 0; down != NULL && i < TARGETS; i++) {
            downs[i] += tr_ref_equal(refs[i], down->ref);
        }
    }
    for (int i = 0; i < TARGETS; i++) {
        CHECK(downs[i] == 1);
    }
    theatre.watching--;
}

void scene_each_monitor_fires_once(const void *arg)
{
    (void)arg;
    theatre.watching = WATCHERS;
    for (int i = 0; i < TARGETS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, lives_a_while, NULL, 0, &theatre.targets[i]) ==
              TR_OK);
    }
    for (int i = 0; i < WATCHERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, watches, NULL, 0, NULL) == TR_OK);
    }
    while (theatre.watching > 0) {
        tr_sleep(10);
    }
    scene_over = true;
}

/* ---- calls that time out ---- */

typedef struct slow {
    int64_t calls;
} slow;

static tr_next slow_handle_call(slow *self, tr_from from, const tr_msg *msg)
{
    self->calls++;
    tr_sleep(TR_MATCH(msg, ask)->delay_ms);
    return TR_REPLY(from, answer, .n = self->calls);
}

TR_GEN_SERVER(slow, .handle_call = slow_handle_call);

static int calling;

static void calls(const void *arg)
{
    tr_pid server = *(const tr_pid *)arg;
    for (int i = 0; i < 5; i++) {
        answer out;
        tr_err err = TR_CALL(server, 2, answer, &out, ask, .delay_ms = (int64_t)any(3));
        CHECK(err == TR_OK || err == TR_E_TIMEOUT);
        CHECK(tr_receive(NULL, NULL, err == TR_OK ? 0 : (int64_t)any(8)) == NULL);
    }
    calling--;
}

void scene_late_replies_are_dropped(const void *arg)
{
    (void)arg;
    tr_started started;
    CHECK(tr_gen_server_start(slow_server, NULL, 0, NULL, &started) == TR_OK);
    calling = 3;
    for (int i = 0; i < 3; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, calls, &started.pid, sizeof(started.pid),
                       NULL) == TR_OK);
    }
    while (calling > 0) {
        tr_sleep(10);
    }
    scene_over = true;
}
