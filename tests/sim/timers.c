/* Timers that are cancelled from another core than theirs. */
#include "tests/sim/scene.h"

enum { SETTERS = 5, ROUNDS = 6 };

TR_MESSAGE(rang, { int64_t round; });

static int setting;

static struct cancelling {
    tr_ref timer;
    int64_t left;
} cancelling[SETTERS];

static void cancels(const void *arg)
{
    struct cancelling *mine = &cancelling[*(const int *)arg];
    mine->left = tr_cancel_timer(mine->timer);
}

/* What cancel says is what happens: cancelled with time left, or it has rung. The canceller may run on another core. */
static void sets(const void *arg)
{
    int me = *(const int *)arg;
    for (int64_t round = 0; round < ROUNDS; round++) {
        tr_ref end;
        cancelling[me].timer =
            tr_send_after(1 + (int64_t)any(3), tr_to(tr_self()), TR_MSG(rang, .round = round));
        tr_sleep(any(3));
        CHECK(tr_spawn(&(tr_spawn_opts){.monitor = &end, .core = any_core()}, cancels, &me, sizeof(me),
                       NULL) == TR_OK);
        for (unsigned n = any(6); n > 0; n--) {
            tr_yield(); /* so that another core may take the canceller */
        }
        tr_msg_drop(tr_receive_ref(end, TR_INFINITY));
        tr_msg *msg = tr_receive(NULL, NULL, 20);
        CHECK(cancelling[me].left < 0 ? msg != NULL : msg == NULL);
        if (msg != NULL) {
            CHECK(TR_MATCH(msg, rang)->round == round);
            scene_received++;
            tr_msg_drop(msg);
        }
    }
    setting--;
}

void scene_cancelled_never_fires(const void *arg)
{
    (void)arg;
    setting = SETTERS;
    for (int i = 0; i < SETTERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, sets, &i, sizeof(i), NULL) == TR_OK);
    }
    while (setting > 0) {
        tr_sleep(10);
    }
    scene_over = true;
}
