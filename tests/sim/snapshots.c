/* Snapshots: readers see whole versions in order while publishers replace them and readers end in the middle. */
#include "tests/sim/scene.h"

enum { READERS = 4, PUBLISHERS = 2, ROUNDS = 12 };

TR_MESSAGE_TERMS(
    sheet,
    {
        int64_t n;
        tr_term text;
    },
    offsetof(sheet, text));

static tr_snapshot place;
static int busy;
static int64_t newest;

static void publish_one(void)
{
    int64_t n = ++newest;
    (void)tr_snapshot_publish(&place, TR_TYPE(sheet), &(sheet){n, tr_tuple(tr_atom("sheet"), tr_int(n))});
}

static void publishes(const void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        publish_one();
        if (any(3) == 0) {
            tr_yield();
        }
    }
    busy--;
}

static void reads(const void *arg)
{
    uint64_t before = 0, number = 0;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        const sheet *now = tr_snapshot_get(&place, TR_TYPE(sheet), &number);
        CHECK(now != NULL && number >= before);
        if (any(3) == 0) {
            tr_yield();
        }
        CHECK(tr_int_value(tr_term_items(now->text)[1]) == now->n);
        before = number;
        if (any(4) != 0) {
            tr_snapshot_release(now); /* else its end does */
        }
    }
    busy--;
}

void scene_versions_are_whole(const void *arg)
{
    (void)arg;
    newest = 0;
    publish_one();
    busy = READERS + PUBLISHERS;
    for (int i = 0; i < PUBLISHERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, publishes, NULL, 0, NULL) == TR_OK);
    }
    for (int i = 0; i < READERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, reads, NULL, 0, NULL) == TR_OK);
    }
    while (busy > 0) {
        tr_sleep(10);
    }
    tr_snapshot_clear(&place);
    scene_over = true;
}
