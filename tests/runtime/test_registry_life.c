/* A registry's own life: its start, its partitions, its end, metadata. */
#include "tests/runtime/rooms.h"

static tr_pid partition_of_index(int64_t index)
{
    size_t count;
    const tr_child_info *children;
    EXPECT(tr_supervisor_which_children(tr_to(rooms_pid), &children, &count) == TR_OK);
    for (size_t i = 0; i < count; i++) {
        if (tr_int_value(children[i].id) == index) {
            return children[i].pid;
        }
    }
    return TR_NO_PID;
}

SCENE(registry_life, a_name_is_taken_once)
{
    tr_started started;
    tr_registry_opts opts = {.name = tr_atom("rooms")};
    tr_trap_exit(true);
    rooms_open(&opts);
    EXPECT(tr_registry_start_link(&opts, &started) == TR_E_ALREADY_STARTED);
    EXPECT(tr_term_equal(started.reason, tr_tuple(TR_ATOM(ALREADY_STARTED), tr_pid_term(rooms_pid))));
    EXPECT(tr_registry_new("rooms") == rooms);
    rooms_close();
    tr_registry *plain = tr_registry_new("plain");
    opts.name = tr_atom("plain");
    EXPECT(tr_registry_start_link(&opts, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "already_present");
    EXPECT(tr_registry_find("plain") == plain);
}

/* Elixir: registered processes die with the registry, because they are linked to it. */
SCENE(registry_life, who_is_registered_ends_with_the_registry)
{
    tr_trap_exit(true);
    for (int keys = TR_UNIQUE_KEYS; keys <= TR_DUPLICATE_KEYS; keys++) {
        rooms_open(&(tr_registry_opts){.keys = (tr_registry_keys)keys, .partitions = 4});
        tr_ref one = tr_monitor(tr_to(a_guest(KEY, tr_int(1))), NULL);
        tr_ref two = tr_monitor(tr_to(a_guest(tr_atom("world"), tr_int(2))), NULL);
        kill_and_wait(rooms_pid);
        EXPECT(tr_registry_find("rooms") == NULL);
        TERM_IS(TR_MATCH(tr_receive_ref(one, 1000), tr_down_msg)->reason, "killed");
        TERM_IS(TR_MATCH(tr_receive_ref(two, 1000), tr_down_msg)->reason, "killed");
        EXPECT(tr_registry_count(rooms) == 0);
    }
}

/* registry_test: clean up registry on process crash */
SCENE(registry_life, entries_go_with_a_process_that_crashes_before_its_down)
{
    tr_trap_exit(true);
    for (int keys = TR_UNIQUE_KEYS; keys <= TR_DUPLICATE_KEYS; keys++) {
        rooms_open(&(tr_registry_opts){.keys = (tr_registry_keys)keys, .partitions = 4});
        tr_pid guest = a_guest(KEY, tr_int(1));
        kill_and_wait(guest);
        EXPECT(tr_registry_count(rooms) == 0);
        IS(looked_up(KEY), "");
        rooms_close();
    }
}

/* The pointer is still good; nothing is found and nothing can be registered. */
SCENE(registry_life, a_registry_that_ended_is_empty_and_takes_nothing)
{
    tr_term value;
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){0});
    EXPECT(registers(KEY, tr_int(1)));
    rooms_close();
    EXPECT(tr_registry_lookup(rooms, KEY, NULL) == TR_NO_PID);
    EXPECT(tr_registry_register(rooms, KEY, tr_int(1), NULL) == TR_E_NOPROC);
    EXPECT(tr_registry_meta(rooms, KEY, &value) == TR_E_NOPROC);
    EXPECT(tr_registry_put_meta(rooms, KEY, KEY) == TR_E_NOPROC);
    tr_registry_unregister(rooms, KEY);
    IS(keys_text(tr_self()), "");
    EXPECT(tr_whereis(tr_to_via(rooms, KEY)) == TR_NO_PID);
    tr_registry *before = rooms;
    rooms_open(&(tr_registry_opts){.keys = TR_DUPLICATE_KEYS, .partitions = 3}); /* in another shape */
    EXPECT(rooms == before);
    EXPECT(registers(KEY, tr_int(1)) && registers(KEY, tr_int(2)));
    rooms_close();
    EXPECT(tr_registry_new("rooms") == before);
    EXPECT(registers(KEY, tr_int(1))); /* now without processes */
    IS(looked_up(KEY), "{self,1}");
    EXPECT(link_count() == 0);
}

/* A process that traps exits outlives its partition, but its entries do not. */
SCENE(registry_life, one_for_all_with_unique_keys)
{
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.keys = TR_UNIQUE_KEYS, .partitions = 2});
    EXPECT(registers(KEY, tr_int(1)));
    tr_pid first = partition_of_index(0);
    tr_pid second = partition_of_index(1);
    kill_and_wait(first);
    tr_sleep(100);
    EXPECT(partition_of_index(0) != first && partition_of_index(1) != second);
    EXPECT(tr_registry_count(rooms) == 0);
    EXPECT(registers(KEY, tr_int(2)));
    IS(looked_up(KEY), "{self,2}");
    rooms_close();
}

SCENE(registry_life, one_for_one_with_duplicate_keys)
{
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.keys = TR_DUPLICATE_KEYS, .partitions = 2});
    tr_pid guests[16];
    for (int i = 0; i < 16; i++) {
        guests[i] = a_guest(KEY, tr_int(i));
    }
    tr_pid first = partition_of_index(0);
    tr_pid second = partition_of_index(1);
    kill_and_wait(first);
    tr_sleep(100);
    EXPECT(partition_of_index(0) != first && partition_of_index(1) == second);
    size_t alive = 0;
    for (int i = 0; i < 16; i++) {
        alive += tr_is_alive(guests[i]) ? 1 : 0;
    }
    EXPECT(alive > 0 && alive < 16); /* those of the other partition */
    EXPECT(tr_registry_count(rooms) == alive);
    rooms_close();
}

/* The supervisor's successor starts while the predecessor's partitions still end. */
static tr_registry_opts under_tree;
SCENE(registry_life, a_registry_under_a_supervisor_comes_back_empty)
{
    tr_started started;
    tr_child_spec spec;
    under_tree = (tr_registry_opts){.name = tr_atom("rooms"), .keys = TR_DUPLICATE_KEYS, .partitions = 4};
    tr_registry_child_spec(&under_tree, &spec);
    tr_supervisor top = {.name = "top", .children = &spec, .child_count = 1};
    tr_trap_exit(true);
    EXPECT(tr_supervisor_start_link(&top, NULL, 0, NULL, &started) == TR_OK);
    rooms = tr_registry_find("rooms");
    for (int round = 0; round < 3; round++) {
        EXPECT(registers(KEY, tr_int(round)));
        tr_pid guest = a_guest(KEY, tr_atom("guest"));
        kill_and_wait(tr_whereis(tr_to_name(tr_atom("rooms"))));
        tr_sleep(100);
        EXPECT(tr_registry_find("rooms") == rooms);
        EXPECT(tr_registry_count(rooms) == 0);
        EXPECT(!tr_is_alive(guest));
    }
    EXPECT(registers(KEY, tr_atom("again")));
    IS(looked_up(KEY), "{self,again}");
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    EXPECT(tr_registry_find("rooms") == NULL);
}

SCENE(registry_life, a_key_of_duplicates_is_no_name_to_start_under)
{
    static const tr_gen_server idle = {.name = "idle"};
    tr_started started;
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.keys = TR_DUPLICATE_KEYS});
    tr_start_opts opts = {.registry = rooms, .key = KEY};
    EXPECT(tr_gen_server_start(&idle, NULL, 0, &opts, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "badarg");
    EXPECT(tr_registry_count(rooms) == 0);
    rooms_close();
}

/* More, and larger, than what room is first asked for. */
SCENE(registry_life, a_process_with_many_long_keys_has_them_all)
{
    tr_term value;
    char text[600];
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.partitions = 2});
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "%0500d", i);
        EXPECT(registers(tr_string(text), tr_int(i)));
    }
    size_t count;
    const tr_term *keys = tr_registry_keys_list(rooms, tr_self(), &count);
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        EXPECT(tr_registry_lookup(rooms, keys[i], &value) == tr_self());
        sum += tr_int_value(value);
    }
    EXPECT(count == 50 && sum == 49 * 25);
    EXPECT(tr_registry_put_meta(rooms, tr_atom("long"), tr_string(text)) == TR_OK);
    EXPECT(tr_registry_meta(rooms, tr_atom("long"), &value) == TR_OK);
    EXPECT(tr_term_equal(value, tr_string(text)));
    rooms_close();
}

/* registry_test: put_meta, meta, delete_meta */
SCENE(registry_life, metadata_is_kept_by_the_registry_and_goes_with_it)
{
    tr_term value = TR_TERM_NONE_VALUE;
    tr_registry_meta_pair meta[] = {{tr_atom("a"), tr_string("first")}, {tr_tuple(tr_int(1)), tr_int(2)}};
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.meta = meta, .meta_count = 2});
    EXPECT(tr_registry_meta(rooms, tr_atom("a"), &value) == TR_OK);
    TERM_IS(value, "\"first\"");
    EXPECT(tr_registry_meta(rooms, tr_tuple(tr_int(1)), &value) == TR_OK);
    TERM_IS(value, "2");
    EXPECT(tr_registry_meta(rooms, tr_atom("b"), &value) == TR_E_NOT_FOUND);
    EXPECT(tr_registry_put_meta(rooms, tr_atom("a"), tr_list(tr_string("second"))) == TR_OK);
    EXPECT(tr_registry_meta(rooms, tr_atom("a"), &value) == TR_OK);
    TERM_IS(value, "[\"second\"]");
    EXPECT(tr_registry_delete_meta(rooms, tr_atom("a")) == TR_OK);
    EXPECT(tr_registry_delete_meta(rooms, tr_atom("a")) == TR_OK);
    EXPECT(tr_registry_meta(rooms, tr_atom("a"), &value) == TR_E_NOT_FOUND);
    rooms_close();
    rooms_open(&(tr_registry_opts){0});
    EXPECT(tr_registry_meta(rooms, tr_tuple(tr_int(1)), &value) == TR_E_NOT_FOUND);
    rooms_close();
}
