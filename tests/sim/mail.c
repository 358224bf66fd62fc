/* Mailboxes: each sender's order is kept, nothing is lost, and nobody gets what was meant for another. */
#include "tests/sim/scene.h"

enum { SENDERS = 5, MESSAGES = 12, STALE_ROUNDS = 150 };

TR_MESSAGE(numbered, { int64_t sender, n; });
TR_MESSAGE(addressed, { tr_pid meant; });

typedef struct sending {
    tr_pid to;
    int64_t sender;
} sending;

static void sender(const void *arg)
{
    const sending *self = arg;
    for (int64_t n = 0; n < MESSAGES; n++) {
        CHECK(TR_SEND(self->to, numbered, self->sender, n) == TR_OK);
        if (any(4) == 0) {
            tr_sleep(any(3)); /* the receiver rests meanwhile, now and then */
        }
    }
}

/* Its mail comes from cores that fall asleep and wake; it counts, so a lost message or wake-up ends the scene by its clock. */
void scene_mail_is_kept(const void *arg)
{
    int64_t next[SENDERS] = {0};
    (void)arg;
    for (int64_t i = 0; i < SENDERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, sender, &(sending){tr_self(), i},
                       sizeof(sending), NULL) == TR_OK);
    }
    for (int i = 0; i < SENDERS * MESSAGES; i++) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const numbered *one = TR_MATCH(msg, numbered);
        CHECK(one->n == next[one->sender]);
        next[one->sender] = one->n + 1;
        scene_received++;
        tr_msg_drop(msg);
    }
    scene_over = true;
}

/* ---- slots that change hands ---- */

static void tenant(const void *arg)
{
    (void)arg;
    for (unsigned left = 1 + any(3); left > 0; left--) {
        tr_msg *msg = tr_receive(NULL, NULL, 1 + (int64_t)any(3));
        if (msg != NULL) {
            CHECK(TR_MATCH(msg, addressed)->meant == tr_self());
            scene_received++;
            tr_msg_drop(msg);
        }
    }
}

typedef struct pests {
    tr_pid pids[STALE_ROUNDS];
    int count, alive;
} pests;

static pests known;

static void pest(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        if (known.count > 0) {
            tr_pid to = known.pids[any((unsigned)known.count)];
            CHECK(TR_SEND(to, addressed, to) == TR_OK);
        }
        if (any(3) == 0) {
            tr_yield();
        }
        if (any(20) == 0) {
            tr_sleep(1);
        }
    }
    known.alive--;
}

void scene_stale_pids_reach_nobody(const void *arg)
{
    (void)arg;
    known = (pests){.alive = 3};
    for (int i = 0; i < 3; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, pest, NULL, 0, NULL) == TR_OK);
    }
    for (int i = 0; i < STALE_ROUNDS; i++) {
        tr_pid pid;
        if (tr_spawn(&(tr_spawn_opts){.core = any_core()}, tenant, NULL, 0, &pid) ==
            TR_OK) { /* there are few slots, so that they change hands */
            known.pids[known.count++] = pid;
        }
        if (any(3) == 0) {
            tr_sleep(any(4));
        }
    }
    while (known.alive > 0) {
        tr_sleep(10);
    }
    scene_over = true;
}
