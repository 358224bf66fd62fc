/* Walking and finding processes, in virtual time: one core, so that turns can be counted. */
#include "api/system/process_text.h"
#include "api/system/process_walk.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define CROWD (WALK_SLICE * 4)

static struct {
    size_t seen;
    size_t in_order;
    uint32_t last;
    size_t stop_after;
    unsigned turns_of_other;
    unsigned turns_at_end;
    bool done;
    tr_pid found[8];
} scene;

static void idle_main(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

static tr_pid spawn_idle(void)
{
    tr_pid pid = TR_NO_PID;
    cr_assert_eq(tr_spawn(NULL, idle_main, NULL, 0, &pid), TR_OK);
    return pid;
}

static void start(void)
{
    memset(&scene, 0, sizeof(scene));
    tr_node_opts opts = {.virtual_time = true};
    cr_assert_eq(tr_node_start(&opts), TR_OK);
}

TestSuite(process_walk, .init = start, .fini = tr_node_stop);

static void run(tr_main_fn fn)
{
    tr_pid pid = TR_NO_PID;
    cr_assert_eq(tr_spawn(NULL, fn, NULL, 0, &pid), TR_OK);
    tr_virtual_run();
    cr_assert(scene.done, "the process did not come to its end");
}

static bool count(const tr_process_summary *summary, void *ctx)
{
    (void)ctx;
    uint32_t slot = TR_PID_SLOT(summary->pid);
    scene.in_order += scene.seen == 0 || slot > scene.last ? 1 : 0;
    scene.last = slot;
    scene.seen++;
    (void)tr_string("left on scratch memory by purpose");
    return scene.stop_after == 0 || scene.seen < scene.stop_after;
}

static void walking_main(const void *arg)
{
    (void)arg;
    process_walk(count, NULL);
    scene.turns_at_end = scene.turns_of_other;
    scene.done = true;
}

static void other_main(const void *arg)
{
    (void)arg;
    while (!scene.done) {
        scene.turns_of_other++;
        tr_yield();
    }
}

/* From within, so that both stand in the same queue. */
static void both_main(const void *arg)
{
    (void)arg;
    tr_pid pid = TR_NO_PID;
    cr_assert_eq(tr_spawn(NULL, walking_main, NULL, 0, &pid), TR_OK);
    cr_assert_eq(tr_spawn(NULL, other_main, NULL, 0, &pid), TR_OK);
}

Test(process_walk, meets_each_process_once_by_ascending_slot)
{
    for (int i = 0; i < CROWD; i++) {
        (void)spawn_idle();
    }
    tr_virtual_run();
    run(walking_main);
    cr_assert_eq(scene.seen, CROWD + 1u);
    cr_assert_eq(scene.in_order, scene.seen);
}

Test(process_walk, lets_others_run_between_its_slices)
{
    for (int i = 0; i < CROWD; i++) {
        (void)spawn_idle();
    }
    tr_virtual_run();
    run(both_main);
    cr_assert(scene.turns_at_end >= CROWD / WALK_SLICE, "%u turns", scene.turns_at_end);
}

Test(process_walk, ends_when_it_is_told_to)
{
    for (int i = 0; i < 20; i++) {
        (void)spawn_idle();
    }
    tr_virtual_run();
    scene.stop_after = 7;
    run(walking_main);
    cr_assert_eq(scene.seen, 7);
}

static void named_main(const void *arg)
{
    (void)arg;
    cr_assert_eq(tr_register(tr_atom("service.with.dots"), tr_self()), TR_OK);
    tr_sleep(TR_INFINITY);
}

static void keyed_main(const void *arg)
{
    (void)arg;
    tr_registry *registry = tr_registry_new("test_system_walk");
    cr_assert_eq(tr_registry_register(registry, tr_string("order 7"), TR_TERM_NONE_VALUE, NULL), TR_OK);
    tr_sleep(TR_INFINITY);
}

static void finding_main(const void *arg)
{
    (void)arg;
    char text[PID_TEXT_BYTES];
    scene.found[0] = process_find(TEXT("service.with.dots"));
    scene.found[1] = process_find(TEXT("order 7"));
    scene.found[2] = process_find(process_pid_text(tr_self(), text));
    scene.found[3] = process_find(TEXT("nobody_ever_had_this_name"));
    scene.found[4] = process_find(process_pid_text(tr_self() + (UINT64_C(1) << 32), text));
    scene.found[5] = process_find(TEXT("undefined"));
    scene.found[6] = tr_self();
    scene.done = true;
}

Test(process_walk, finds_pids_registered_names_and_keys_of_registries)
{
    tr_pid named = TR_NO_PID;
    tr_pid keyed = TR_NO_PID;
    cr_assert_eq(tr_spawn(NULL, named_main, NULL, 0, &named), TR_OK);
    cr_assert_eq(tr_spawn(NULL, keyed_main, NULL, 0, &keyed), TR_OK);
    tr_virtual_run();
    run(finding_main);
    cr_assert_eq(scene.found[0], named);
    cr_assert_eq(scene.found[1], keyed);
    cr_assert_eq(scene.found[2], scene.found[6]);
    cr_assert_eq(scene.found[3], TR_NO_PID);
    cr_assert_eq(scene.found[4], TR_NO_PID, "another generation is another process");
    cr_assert_eq(scene.found[5], TR_NO_PID, "a process without a name is not called undefined");
}

Test(process_walk, looking_for_a_name_makes_no_atom)
{
    run(finding_main);
    tr_term atom;
    static const char name[] = "nobody_ever_had_this_name";
    cr_assert_not(tr_atom_find(name, sizeof(name) - 1, &atom));
}
