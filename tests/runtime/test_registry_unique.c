/* Elixir's registry/unique_test, each case by its name, with 1 and 8 partitions. */
#include "tests/runtime/rooms.h"

#define UNIQUE(name) CASE(registry_unique, TR_UNIQUE_KEYS, name)

UNIQUE(starts_configured_number_of_partitions)
{
    tr_child_counts counts;
    EXPECT(tr_supervisor_count_children(tr_to(rooms_pid), &counts) == TR_OK);
    EXPECT(counts.active == partitions && counts.workers == partitions);
}

UNIQUE(counts_0_keys_in_an_empty_registry)
{
    EXPECT(tr_registry_count(rooms) == 0);
    IS(keys_text(tr_self()), "");
    IS(values_text(KEY, tr_self()), "");
}

UNIQUE(has_unique_registrations)
{
    tr_pid owner = TR_NO_PID;
    EXPECT(registers(KEY, tr_atom("value")));
    IS(keys_text(tr_self()), "hello");
    IS(values_text(KEY, tr_self()), "value");
    IS(looked_up(KEY), "{self,value}");
    EXPECT(tr_registry_register(rooms, KEY, tr_atom("value"), &owner) == TR_E_ALREADY_STARTED);
    EXPECT(owner == tr_self());
    IS(keys_text(tr_self()), "hello");
    EXPECT(registers(tr_atom("world"), tr_atom("value")));
    IS(keys_text(tr_self()), "hello world");
    EXPECT(tr_registry_count(rooms) == 2);
}

UNIQUE(has_unique_registrations_across_processes)
{
    tr_pid owner = TR_NO_PID;
    tr_pid guest = a_guest(KEY, tr_atom("value"));
    EXPECT(tr_registry_register(rooms, KEY, tr_atom("mine"), &owner) == TR_E_ALREADY_STARTED);
    EXPECT(owner == guest);
    IS(keys_text(tr_self()), "");
    IS(values_text(KEY, tr_self()), "");
    IS(keys_text(guest), "hello");
    IS(values_text(KEY, guest), "value");
    kill_and_wait(guest);
    IS(keys_text(guest), "");
    IS(values_text(KEY, guest), "");
    EXPECT(registers(KEY, tr_atom("mine")));
    IS(looked_up(KEY), "{self,mine}");
}

/* Ours needs no process to clean up, so one that is held delays nothing. */
UNIQUE(has_unique_registrations_even_if_partition_is_delayed)
{
    size_t count;
    const tr_child_info *children;
    tr_pid guest = a_guest(KEY, tr_atom("value"));
    EXPECT(tr_supervisor_which_children(tr_to(rooms_pid), &children, &count) == TR_OK);
    for (size_t i = 0; i < count; i++) {
        EXPECT(tr_sys_suspend(tr_to(children[i].pid), 5000) == TR_OK);
    }
    kill_and_wait(guest);
    EXPECT(tr_registry_count(rooms) == 0);
    EXPECT(registers(KEY, tr_atom("other")));
    IS(looked_up(KEY), "{self,other}");
}

UNIQUE(supports_match_patterns)
{
    EXPECT(registers(KEY, size_of(1, 2)));
    IS(matched(KEY, VALUE(.term = size_of(1, 2))), "{self,{size,1,2}}");
    IS(matched(KEY, VALUE(.term = tr_tuple(tr_atom("size"), TR_ANY, tr_int(2)))), "{self,{size,1,2}}");
    IS(matched(KEY, VALUE(.term = tr_tuple(tr_atom("size"), tr_var(1), tr_var(1)))), "");
    IS(matched(KEY, VALUE(.term = tr_tuple(tr_atom("size"), tr_var(1), tr_var(2)))), "{self,{size,1,2}}");
    IS(matched(KEY, VALUE(.term = TR_ANY)), "{self,{size,1,2}}");
    IS(matched(tr_atom("absent"), VALUE(.term = TR_ANY)), "");
}

UNIQUE(supports_guard_conditions)
{
    tr_term any_size = tr_tuple(tr_atom("size"), tr_var(1), tr_var(2));
    EXPECT(registers(KEY, size_of(1, 2)));
    IS(matched(KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_LESS, tr_var(2)}})),
       "{self,{size,1,2}}");
    IS(matched(KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_GREATER, tr_int(1)}})), "");
    IS(matched(KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_AT_LEAST, tr_int(1)},
                                                       {tr_var(2), TR_AT_MOST, tr_int(2)},
                                                       {tr_var(2), TR_NOT_EQUAL, tr_int(1)},
                                                       {tr_var(1), TR_IS_KIND, tr_int(TR_TERM_INT)}})),
       "{self,{size,1,2}}");
    IS(matched(KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_IS_KIND, tr_int(TR_TERM_ATOM)}})), "");
    IS(matched(KEY, VALUE(.term = any_size, .guards = {{tr_var(7), TR_EQUAL, tr_int(1)}})), "");
}

static bool is_wide(const tr_bindings *found, void *ctx)
{
    return tr_int_value(found->vars[1]) > *(const int *)ctx;
}

UNIQUE(a_function_says_what_guards_cannot)
{
    tr_term any_size = tr_tuple(tr_atom("size"), tr_var(1), TR_ANY);
    EXPECT(registers(KEY, size_of(5, 2)));
    IS(matched(KEY, VALUE(.term = any_size, .when = is_wide, .ctx = &(int){4})), "{self,{size,5,2}}");
    IS(matched(KEY, VALUE(.term = any_size, .when = is_wide, .ctx = &(int){5})), "");
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = any_size, .when = is_wide, .ctx = &(int){5}));
    IS(looked_up(KEY), "{self,{size,5,2}}");
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = any_size, .when = is_wide, .ctx = &(int){4}));
    IS(looked_up(KEY), "");
}

UNIQUE(count_match_supports_match_patterns)
{
    EXPECT(registers(KEY, size_of(1, 2)));
    EXPECT(tr_registry_count_match(rooms, KEY, VALUE(.term = size_of(1, 2))) == 1);
    EXPECT(tr_registry_count_match(rooms, KEY, VALUE(.term = size_of(2, 1))) == 0);
    EXPECT(tr_registry_count_match(rooms, tr_atom("absent"), VALUE(.term = TR_ANY)) == 0);
}

UNIQUE(count_match_supports_guard_conditions)
{
    tr_term any_size = tr_tuple(tr_atom("size"), tr_var(1), TR_ANY);
    EXPECT(registers(KEY, size_of(1, 2)));
    EXPECT(tr_registry_count_match(
               rooms, KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_LESS, tr_int(5)}})) == 1);
    EXPECT(tr_registry_count_match(
               rooms, KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_GREATER, tr_int(5)}})) == 0);
}

UNIQUE(unregister_match_supports_patterns)
{
    EXPECT(registers(KEY, size_of(1, 2)));
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = size_of(2, 1)));
    IS(looked_up(KEY), "{self,{size,1,2}}");
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_tuple(tr_atom("size"), TR_ANY, tr_int(2))));
    IS(looked_up(KEY), "");
    EXPECT(link_count() == 1); /* to the registry itself, which the scene started */
}

UNIQUE(unregister_match_supports_guards)
{
    tr_term any_size = tr_tuple(tr_atom("size"), tr_var(1), TR_ANY);
    EXPECT(registers(KEY, size_of(1, 2)));
    tr_registry_unregister_match(rooms, KEY,
                                 VALUE(.term = any_size, .guards = {{tr_var(1), TR_GREATER, tr_int(1)}}));
    EXPECT(tr_registry_count(rooms) == 1);
    tr_registry_unregister_match(rooms, KEY,
                                 VALUE(.term = any_size, .guards = {{tr_var(1), TR_LESS, tr_int(2)}}));
    EXPECT(tr_registry_count(rooms) == 0);
}

UNIQUE(compares_using_exact_equality)
{
    EXPECT(registers(tr_float(1.0), tr_atom("value")));
    EXPECT(registers(tr_int(1), tr_atom("value")));
    IS(keys_text(tr_self()), "1 1.0");
    IS(matched(tr_int(1), VALUE(.term = TR_ANY)), "{self,value}");
    IS(matched(tr_int(2), VALUE(.term = TR_ANY)), "");
}

static tr_term one_more(tr_term old, void *ctx)
{
    (*(int *)ctx)++;
    return tr_int(tr_int_value(old) + 1);
}

UNIQUE(updates_current_process_value)
{
    int calls = 0;
    tr_term fresh = TR_TERM_NONE_VALUE;
    tr_term old = TR_TERM_NONE_VALUE;
    tr_pid guest = a_guest(tr_atom("theirs"), tr_int(1));
    EXPECT(tr_registry_update_value(rooms, KEY, one_more, &calls, NULL, NULL) == TR_E_NOT_FOUND);
    EXPECT(tr_registry_update_value(rooms, tr_atom("theirs"), one_more, &calls, NULL, NULL) ==
           TR_E_NOT_FOUND);
    EXPECT(calls == 0);
    EXPECT(registers(KEY, tr_int(1)));
    EXPECT(tr_registry_update_value(rooms, KEY, one_more, &calls, &fresh, &old) == TR_OK);
    TERM_IS(fresh, "2");
    TERM_IS(old, "1");
    EXPECT(tr_registry_update_value(rooms, KEY, one_more, &calls, NULL, NULL) == TR_OK);
    IS(looked_up(KEY), "{self,3}");
    EXPECT(tr_registry_count(rooms) == 2 && calls == 2);
    tr_registry_unregister(rooms, KEY);
    IS(looked_up(KEY), "");
    kill_and_wait(guest);
}

static void one_dispatch(const tr_registry_entry *entries, size_t count, const void *arg)
{
    say("%s %s", (const char *)arg, entries_text(entries, count));
}

UNIQUE(dispatches_to_a_single_key)
{
    tr_registry_dispatch(rooms, KEY, one_dispatch, "never");
    SAID();
    EXPECT(registers(KEY, tr_atom("world")));
    tr_registry_dispatch(rooms, KEY, one_dispatch, "once");
    SAID("once {self,world}");
    EXPECT(tr_registry_dispatch_parallel(rooms, KEY, one_dispatch, "here", 0) == TR_OK);
    SAID("here {self,world}"); /* one partition has it: no process is needed */
}

UNIQUE(unregisters_process_by_key)
{
    EXPECT(registers(KEY, tr_atom("value")));
    EXPECT(registers(tr_atom("world"), tr_atom("value")));
    tr_registry_unregister(rooms, KEY);
    IS(keys_text(tr_self()), "world");
    tr_registry_unregister(rooms, tr_atom("world"));
    IS(keys_text(tr_self()), "");
    EXPECT(tr_registry_count(rooms) == 0);
}

UNIQUE(unregisters_with_no_entries)
{
    tr_registry_unregister(rooms, KEY);
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = TR_ANY));
    EXPECT(tr_registry_count(rooms) == 0);
}

UNIQUE(links_and_unlinks_on_register_and_unregister)
{
    EXPECT(link_count() == 1); /* to the registry */
    EXPECT(registers(KEY, tr_atom("value")));
    EXPECT(link_count() == 2);
    EXPECT(registers(tr_atom("world"), tr_atom("value")));
    EXPECT(link_count() == 2);
    tr_registry_unregister(rooms, KEY);
    EXPECT(link_count() == 2);
    EXPECT(!registers(tr_atom("world"), tr_atom("value")));
    EXPECT(link_count() == 2);
    tr_registry_unregister(rooms, tr_atom("world"));
    EXPECT(link_count() == 1);
    tr_pid guest = a_guest(KEY, tr_atom("value"));
    EXPECT(!registers(KEY, tr_atom("mine")));
    EXPECT(link_count() == 1); /* refused: not linked either */
    kill_and_wait(guest);
}

SCENE(registry_unique, allows_listeners)
{
    tr_trap_exit(true);
    EXPECT(tr_register(tr_atom("ear"), tr_self()) == TR_OK);
    tr_term listeners[] = {tr_atom("ear"), tr_atom("nobody")};
    rooms_open(&(tr_registry_opts){.listeners = listeners, .listener_count = 2});
    EXPECT(registers(KEY, tr_atom("world")));
    const tr_registry_registered *registered = TR_RECEIVE(tr_registry_registered, 0);
    EXPECT(registered != NULL && registered->pid == tr_self());
    TERM_IS(tr_tuple(registered->registry, registered->key, registered->value), "{rooms,hello,world}");
    EXPECT(!registers(KEY, tr_atom("again")));
    EXPECT(TR_RECEIVE(tr_registry_registered, 0) == NULL);
    tr_registry_unregister(rooms, KEY);
    const tr_registry_unregistered *gone = TR_RECEIVE(tr_registry_unregistered, 0);
    EXPECT(gone != NULL && gone->pid == tr_self());
    TERM_IS(tr_tuple(gone->registry, gone->key), "{rooms,hello}");
    kill_and_wait(a_guest(KEY, tr_atom("theirs"))); /* of an end they are not told */
    EXPECT(TR_RECEIVE(tr_registry_registered, 0) != NULL);
    EXPECT(TR_RECEIVE(tr_registry_unregistered, 0) == NULL);
    rooms_close();
}

SCENE(registry_unique, unknown_registry_names_are_not_found)
{
    tr_started started;
    EXPECT(tr_registry_find("unknown") == NULL);
    EXPECT(tr_registry_start_link(&(tr_registry_opts){.name = tr_int(1)}, &started) == TR_E_BADARG);
    tr_term bad[] = {tr_int(1)};
    EXPECT(tr_registry_start_link(&(tr_registry_opts){.name = KEY, .listeners = bad, .listener_count = 1},
                                  &started) == TR_E_BADARG);
    EXPECT(tr_registry_start_link(&(tr_registry_opts){.name = KEY, .partitions = 1u << 20}, &started) ==
           TR_E_BADARG);
}

/* ---- via ---- */

TR_MESSAGE(ping, { int n; });
typedef struct echo {
    int unused;
} echo;
static tr_next echo_handle_call(echo *self, tr_from from, const tr_msg *msg)
{
    (void)self;
    return TR_REPLY(from, ping, .n = TR_MATCH(msg, ping)->n + 1);
}
TR_GEN_SERVER(echo, .handle_call = echo_handle_call);

UNIQUE(via_callbacks)
{
    ping got = {0};
    tr_started started;
    tr_dest via = tr_to_via(rooms, KEY);
    EXPECT(tr_whereis(via) == TR_NO_PID);
    EXPECT(TR_SEND(via, ping, .n = 1) == TR_E_NOPROC);
    tr_start_opts opts = {.registry = rooms, .key = KEY};
    EXPECT(tr_gen_server_start(echo_server, NULL, 0, &opts, &started) == TR_OK);
    EXPECT(tr_whereis(via) == started.pid);
    EXPECT(TR_CALL(via, 5000, ping, &got, ping, .n = 1) == TR_OK && got.n == 2);
    tr_started again;
    EXPECT(tr_gen_server_start(echo_server, NULL, 0, &opts, &again) == TR_E_ALREADY_STARTED);
    EXPECT(tr_gen_server_stop(via, TR_ATOM(NORMAL), 5000, NULL) == TR_OK);
    EXPECT(tr_whereis(via) == TR_NO_PID);
}

UNIQUE(uses_value_provided_in_via)
{
    tr_started started;
    tr_start_opts opts = {.registry = rooms, .key = KEY, .value = tr_atom("value")};
    EXPECT(tr_gen_server_start(echo_server, NULL, 0, &opts, &started) == TR_OK);
    IS(looked_up(KEY), "{other,value}");
    kill_and_wait(started.pid);
}

/* ---- select ---- */

UNIQUE(empty_list_for_empty_registry)
{
    tr_pattern all = {.body = tr_var(0)};
    IS(selected(&all, 1), "");
}

UNIQUE(select_all)
{
    tr_pattern all = {.term = tr_tuple(tr_var(1), tr_var(2), tr_var(3)),
                      .body = tr_tuple(tr_var(1), tr_var(3))};
    EXPECT(registers(KEY, tr_atom("value")));
    EXPECT(registers(tr_atom("world"), tr_atom("value")));
    tr_pid guest = a_guest(tr_atom("theirs"), TR_TERM_NONE_VALUE);
    IS(selected(&all, 1), "{hello,value} {theirs,nil} {world,value}");
    kill_and_wait(guest);
    IS(selected(&all, 1), "{hello,value} {world,value}");
}

UNIQUE(select_supports_full_match_specs)
{
    tr_term pid = tr_pid_term(tr_self());
    EXPECT(registers(KEY, tr_tuple(tr_int(1), tr_list(tr_atom("a"), tr_string("s")))));
    tr_term deep = tr_tuple(tr_var(1), tr_list(TR_ANY, tr_var(2)));
    IS(selected(VALUE(.term = tr_tuple(KEY, pid, deep), .body = tr_list(tr_var(2), tr_tuple(tr_var(1)))), 1),
       "[\"s\",{1}]");
    IS(selected(VALUE(.term = tr_tuple(KEY, pid, tr_var(1)), .body = tr_var(1)), 1), "{1,[a,\"s\"]}");
    IS(selected(VALUE(.term = whole(tr_atom("absent"), TR_ANY), .body = tr_var(1)), 1), "");
    EXPECT(tr_registry_count_select(rooms, VALUE(.term = tr_tuple(KEY, pid, deep)), 1) == 1);
    EXPECT(tr_registry_count_select(rooms, VALUE(.term = whole(tr_atom("absent"), TR_ANY)), 1) == 0);
    IS(selected(VALUE(.term = tr_tuple(KEY, tr_int(1), TR_ANY)), 1), "");
    IS(selected(VALUE(.term = whole(KEY, deep), .body = tr_tuple(tr_var(9), tr_list_n(0, NULL))), 1),
       "{undefined,[]}");
    tr_term as_map[] = {tr_atom("key"), tr_var(3), tr_var(1), KEY};
    IS(selected(VALUE(.term = whole(tr_var(3), deep), .body = tr_map_n(2, as_map)), 1),
       "#{1=>hello,key=>hello}");
}

UNIQUE(select_supports_guard_conditions)
{
    EXPECT(registers(KEY, size_of(1, 2)));
    EXPECT(registers(tr_atom("world"), size_of(3, 4)));
    tr_term value = tr_tuple(tr_atom("size"), tr_var(2), TR_ANY);
    tr_pattern wide = {
        .term = whole(tr_var(1), value), .guards = {{tr_var(2), TR_GREATER, tr_int(2)}}, .body = tr_var(1)};
    IS(selected(&wide, 1), "world");
    EXPECT(tr_registry_count_select(rooms, &wide, 1) == 1); /* count_select supports guard conditions */
}

UNIQUE(select_allows_multiple_specs)
{
    EXPECT(registers(KEY, tr_atom("a")));
    EXPECT(registers(tr_atom("world"), tr_atom("b")));
    EXPECT(registers(tr_atom("other"), tr_atom("c")));
    tr_pattern either[] = {{.term = whole(TR_ANY, tr_atom("a")), .body = tr_atom("first")},
                           {.term = whole(tr_var(1), tr_atom("b")), .body = tr_var(1)},
                           {.term = whole(KEY, TR_ANY), .body = tr_atom("never: the first one counts")}};
    IS(selected(either, 3), "first world");
    EXPECT(tr_registry_count_select(rooms, either, 3) == 2); /* count_select allows multiple specs */
}

UNIQUE(does_not_grow_on_already_registered_across_processes)
{
    tr_node_stats before, after;
    EXPECT(registers(KEY, tr_string("a value that takes memory of its own")));
    EXPECT(!registers(KEY, tr_string("another value that takes memory of its own")));
    tr_node_stats_get(&before);
    for (int i = 0; i < 1000; i++) {
        EXPECT(!registers(KEY, tr_string("another value that takes memory of its own")));
    }
    tr_node_stats_get(&after);
    EXPECT(tr_registry_count(rooms) == 1);
    EXPECT(after.bytes_allocated - after.bytes_freed < before.bytes_allocated - before.bytes_freed + 200000);
}
