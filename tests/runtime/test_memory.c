/* What a process owns: arena, kept terms, messages, resources; all of it goes at its end. stage.h checks after every scene that all
 * bytes taken were given back. */
#include "tests/runtime/stage.h"

#include "runtime/core/mem.h"

TR_MESSAGE(num, { int64_t n; });

static void allocate_and_wait(const void *arg)
{
    (void)arg;
    for (size_t bytes = 0; bytes < 300; bytes += 7) {
        unsigned char *memory = tr_alloc(bytes);
        EXPECT(((uintptr_t)memory & 15u) == 0);
        for (size_t i = 0; i < bytes; i++) {
            EXPECT(memory[i] == 0);
            memory[i] = 0xee;
        }
        if (bytes % 2 == 0) {
            tr_free(memory);
        }
    }
    (void)tr_alloc((size_t)200 * 1024);
    (void)tr_keep(tr_tuple(tr_string("kept"), tr_list(tr_int(1), tr_float(2.5))));
    (void)tr_put(tr_string("key"), tr_string("value"));
    (void)TR_MSG(num, 1); /* made, never sent */
    (void)tr_tuple(tr_string("on scratch"));
    TR_SEND(tr_self(), num, 2);
    tr_sleep(TR_INFINITY);
}

SCENE(memory, a_kill_frees_everything)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, allocate_and_wait, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_sleep(1);
    EXPECT(!tr_is_alive(pid));
}

SCENE(memory, realloc_keeps_the_contents)
{
    char *text = tr_realloc(NULL, 6);
    memcpy(text, "hello", 6);
    text = tr_realloc(text, 5000);
    EXPECT(strcmp(text, "hello") == 0 && text[4999] == 0);
    text = tr_realloc(text, 3);
    EXPECT(memcmp(text, "hel", 3) == 0);
    tr_free(text);
    tr_free(NULL);
}

static void want_too_much(const void *arg)
{
    (void)arg;
    say("%s", tr_alloc(SIZE_MAX / 4) == NULL ? "null" : "memory");
}

SCENE(memory, a_request_that_cannot_be_met_ends_the_process_that_made_it)
{
    tr_ref monitor;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, want_too_much, NULL, 0, NULL) == TR_OK);
    TERM_IS(TR_MATCH(tr_receive_ref(monitor, 10), tr_down_msg)->reason, "nomem");
    SAID();
}

typedef struct thing {
    tr_resource resource;
    int id;
} thing;

static void destroy_thing(tr_resource *resource)
{
    say("destroy %d in %s", ((thing *)resource)->id, tr_self() == TR_NO_PID ? "no process" : "a process");
}

static void own_things(const void *arg)
{
    thing *things = tr_alloc(4 * sizeof *things);
    (void)arg;
    for (int i = 0; i < 4; i++) {
        things[i] = (thing){.resource = {.destroy = destroy_thing}, .id = i};
        tr_resource_add(&things[i].resource);
    }
    tr_resource_remove(&things[1].resource);
    tr_resource_remove(&things[3].resource);
    EXPECT(tr_register(tr_atom("owner"), tr_self()) == TR_OK);
    tr_sleep(TR_INFINITY);
}

SCENE(memory, resources_are_destroyed_newest_first_outside_the_process)
{
    tr_pid pid;
    tr_ref monitor;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, own_things, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    EXPECT(tr_receive_ref(monitor, 10) != NULL);
    SAID("destroy 2 in no process", "destroy 0 in no process");
}

Test(memory, size_classes_hold_what_was_asked_for)
{
    tr_node_opts opts = {.virtual_time = true};
    cr_assert(tr_node_start(&opts) == TR_OK);
    for (size_t bytes = 1; bytes < 6000; bytes++) {
        uint8_t mem_class;
        unsigned char *block = tr__mem_alloc(bytes, &mem_class);
        cr_assert(block != NULL && ((uintptr_t)block & 15u) == 0);
        cr_assert(mem_class == tr__mem_class(bytes));
        memset(block, 0xff, bytes); /* AddressSanitizer watches */
        tr__mem_free(block, bytes, mem_class);
    }
    tr_node_stop();
}

static void make_blobs(const void *arg)
{
    const tr_pid *to = arg;
    tr_blob *blob = tr_blob_new(NULL, 100000);
    memset(blob->bytes, 7, blob->size);
    tr_blob *again = tr_blob_retain(blob);
    EXPECT(again == blob);
    tr_blob_drop(again);
    tr_blob_drop(blob);
    tr_blob_drop(NULL);
    TR_SEND(*to, num, 1);
}

SCENE(memory, blobs_are_counted)
{
    tr_pid self = tr_self();
    EXPECT(tr_spawn(NULL, make_blobs, &self, sizeof self, NULL) == TR_OK);
    EXPECT(TR_RECEIVE(num, 10) != NULL);
}

SCENE(memory, asking_again_and_again_holds_nothing)
{
    tr_pid pid;
    tr_process_info info;
    tr_node_stats before;
    tr_node_stats after;
    EXPECT(tr_spawn(NULL, allocate_and_wait, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    (void)tr_is_alive(pid);
    tr_node_stats_get(&before);
    for (int i = 0; i < 1000; i++) {
        tr_scratch_mark mark = tr_scratch();
        EXPECT(tr_is_alive(pid));
        EXPECT(tr_process_info_of(pid, true, 10, &info) == TR_OK);
        tr_scratch_release(mark);
    }
    tr_node_stats_get(&after);
    int64_t held = (int64_t)(after.bytes_allocated - after.bytes_freed) -
                   (int64_t)(before.bytes_allocated - before.bytes_freed);
    EXPECT(held < 8192);
}

static const tr_gen_server kept = {.name = "kept", .state_bytes = 32};

SCENE(memory, a_starter_holds_nothing_of_those_it_started)
{
    tr_node_stats before;
    tr_node_stats after;
    tr_node_stats_get(&before);
    for (int i = 0; i < 400; i++) {
        tr_started started;
        EXPECT(tr_gen_server_start(&kept, NULL, 0, NULL, &started) == TR_OK);
        tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
    }
    tr_sleep(1);
    tr_node_stats_get(&after);
    int64_t held = (int64_t)(after.bytes_allocated - after.bytes_freed) -
                   (int64_t)(before.bytes_allocated - before.bytes_freed);
    EXPECT(held < 8192);
}
