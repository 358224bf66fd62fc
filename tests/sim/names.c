/* Names: free before anyone hears of their owner's end, and whole for those who read them meanwhile. */
#include "tests/sim/scene.h"

enum { OWNERS = 8, READERS = 3, NAMES = 3, LOOKS = 120 };

static tr_registry *registry;
static int at_work;

static void owner(const void *arg)
{
    (void)arg;
    CHECK(tr_register(tr_atom("throne"), tr_self()) == TR_OK);
    tr_sleep(any(3));
}

/* Each heir takes the throne as soon as it hears of the end before it. */
void scene_names_go_before_down(const void *arg)
{
    (void)arg;
    for (int i = 0; i < OWNERS; i++) {
        tr_pid pid;
        tr_ref ref;
        CHECK(tr_spawn(&(tr_spawn_opts){.monitor = &ref, .core = any_core()}, owner, NULL, 0, &pid) == TR_OK);
        tr_msg *down = tr_receive_ref(ref, TR_INFINITY);
        CHECK(tr_whereis(tr_to_name(tr_atom("throne"))) == TR_NO_PID);
        CHECK(tr_same(TR_MATCH(down, tr_down_msg)->reason, TR_ATOM(NORMAL)));
        tr_msg_drop(down);
    }
    scene_over = true;
}

/* ---- readers without locks ---- */

static tr_term key_of(unsigned i)
{
    return tr_tuple(tr_atom("key"), tr_int((int64_t)i),
                    tr_string("a text that is long enough to be freed visibly"));
}

static void comes_and_goes(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        unsigned k = any(NAMES);
        tr_pid holder;
        tr_err err = tr_registry_register(registry, key_of(k), tr_int(1000 + (int64_t)k), &holder);
        CHECK(err == TR_OK || err == TR_E_ALREADY_STARTED);
        if (any(2) == 0) {
            tr_yield();
        }
        (void)tr_registry_unregister(registry, key_of(k));
    }
    at_work--;
}

static void looks(const void *arg)
{
    (void)arg;
    for (int i = 0; i < LOOKS; i++) {
        unsigned k = any(NAMES);
        tr_term value = TR_TERM_NONE_VALUE;
        tr_pid pid = tr_registry_lookup(registry, key_of(k), &value);
        CHECK(pid == TR_NO_PID || tr_int_value(value) == 1000 + (int64_t)k);
        if (any(8) == 0) {
            tr_yield();
        }
    }
    at_work--;
}

void scene_names_are_whole(const void *arg)
{
    (void)arg;
    registry = tr_registry_new("simulated");
    at_work = OWNERS + READERS;
    for (int i = 0; i < OWNERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, comes_and_goes, NULL, 0, NULL) == TR_OK);
    }
    for (int i = 0; i < READERS; i++) {
        CHECK(tr_spawn(&(tr_spawn_opts){.core = any_core()}, looks, NULL, 0, NULL) == TR_OK);
    }
    while (at_work > 0) {
        tr_sleep(10);
    }
    scene_over = true;
}
