/* Elixir's registry/duplicate_test, each case by its name, with 1 and 8 partitions. */
#include "tests/runtime/rooms.h"

#define DUPLICATE(name) CASE(registry_duplicate, TR_DUPLICATE_KEYS, name)

DUPLICATE(starts_configured_number_of_partitions_of_duplicates)
{
    tr_child_counts counts;
    EXPECT(tr_supervisor_count_children(tr_to(rooms_pid), &counts) == TR_OK);
    EXPECT(counts.active == partitions);
    EXPECT(tr_registry_keys_of(rooms) == TR_DUPLICATE_KEYS);
}

DUPLICATE(counts_the_number_of_keys_in_a_registry)
{
    EXPECT(tr_registry_count(rooms) == 0);
    EXPECT(registers(KEY, tr_atom("value")) && registers(KEY, tr_atom("value")));
    EXPECT(tr_registry_count(rooms) == 2);
}

DUPLICATE(has_duplicate_registrations)
{
    EXPECT(registers(KEY, tr_atom("value")));
    IS(keys_text(tr_self()), "hello");
    IS(values_text(KEY, tr_self()), "value");
    EXPECT(registers(KEY, tr_atom("value")));
    EXPECT(registers(KEY, tr_atom("other")));
    IS(keys_text(tr_self()), "hello hello hello");
    IS(values_text(KEY, tr_self()), "other value value");
    IS(looked_up(KEY), "{self,other} {self,value} {self,value}");
    EXPECT(tr_registry_lookup(rooms, KEY, NULL) == tr_self());
    EXPECT(tr_whereis(tr_to_via(rooms, KEY)) == TR_NO_PID); /* a key is no address here */
}

DUPLICATE(has_duplicate_registrations_across_processes)
{
    tr_pid guest = a_guest(KEY, tr_atom("theirs"));
    IS(looked_up(KEY), "{other,theirs}");
    EXPECT(registers(KEY, tr_atom("mine")));
    IS(looked_up(KEY), "{other,theirs} {self,mine}");
    IS(keys_text(guest), "hello");
    IS(values_text(KEY, guest), "theirs");
    kill_and_wait(guest);
    IS(looked_up(KEY), "{self,mine}");
    IS(keys_text(guest), "");
    EXPECT(tr_registry_count(rooms) == 1);
}

DUPLICATE(entries_of_a_process_stay_in_the_order_they_came)
{
    size_t count;
    for (int i = 0; i < 100; i++) {
        EXPECT(registers(KEY, tr_int(i)));
    }
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_int(0)));
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_int(50)));
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_int(99)));
    EXPECT(registers(KEY, tr_int(100)));
    const tr_registry_entry *entries = tr_registry_entries(rooms, KEY, &count);
    EXPECT(count == 98);
    for (size_t i = 0; i < count; i++) {
        int64_t wanted = i < 49 ? (int64_t)i + 1 : i < 97 ? (int64_t)i + 2 : 100;
        EXPECT(tr_int_value(entries[i].value) == wanted);
    }
}

/* ---- dispatch ---- */

static void tells(const tr_registry_entry *entries, size_t count, const void *arg)
{
    say("dispatch %zu", count);
    for (size_t i = 0; i < count; i++) {
        (void)tr_send_term(tr_to(entries[i].pid), tr_tuple(tr_atom((const char *)arg), entries[i].value));
    }
}

static const char *told(void)
{
    tr_term terms[16];
    size_t count = 0;
    for (const tr_term_msg *msg; count < 16 && (msg = TR_RECEIVE(tr_term_msg, 0)) != NULL;) {
        terms[count++] = msg->value;
    }
    return terms_text(terms, count);
}

DUPLICATE(dispatches_to_multiple_keys_in_serial)
{
    tr_registry_dispatch(rooms, KEY, tells, "never");
    IS(told(), "");
    EXPECT(registers(KEY, tr_int(1)) && registers(KEY, tr_int(2)) && registers(tr_atom("world"), tr_int(3)));
    tr_registry_dispatch(rooms, KEY, tells, "send");
    SAID("dispatch 2"); /* one process: one partition */
    IS(told(), "{send,1} {send,2}");
    tr_registry_dispatch(rooms, tr_atom("world"), tells, "send");
    SAID("dispatch 1");
    IS(told(), "{send,3}");
}

DUPLICATE(dispatches_to_multiple_keys_in_parallel)
{
    EXPECT(tr_registry_dispatch_parallel(rooms, KEY, tells, "never", 6) == TR_OK);
    EXPECT(registers(KEY, tr_int(1)) && registers(KEY, tr_int(2)) && registers(tr_atom("world"), tr_int(3)));
    EXPECT(tr_registry_dispatch_parallel(rooms, KEY, tells, "send", 5) == TR_OK);
    SAID("dispatch 2");
    IS(told(), "{send,1} {send,2}");
    EXPECT(link_count() == 2);                 /* the registry and its partition */
    EXPECT(tr_receive(NULL, NULL, 0) == NULL); /* nothing is left of the processes that did it */
}

static void crashes(const tr_registry_entry *entries, size_t count, const void *arg)
{
    (void)entries, (void)count, (void)arg;
    tr_exit(tr_atom("boom"));
}

static void dispatches_a_crash(const void *arg)
{
    tr_trap_exit(*(const bool *)arg);
    TR_CHECK(registers(KEY, tr_int(1)));
    say("%s", tr_err_name(tr_registry_dispatch_parallel(rooms, KEY, crashes, NULL, 0)));
}

SCENE(registry_duplicate, a_crash_in_a_parallel_dispatch_ends_a_caller_that_does_not_trap)
{
    tr_pid pid;
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.keys = TR_DUPLICATE_KEYS, .partitions = 4});
    EXPECT(tr_spawn(NULL, dispatches_a_crash, &(bool){true}, sizeof(bool), &pid) == TR_OK);
    TERM_IS(end_of(pid), "normal");
    SAID("TR_E_EXIT");
    EXPECT(tr_spawn(NULL, dispatches_a_crash, &(bool){false}, sizeof(bool), &pid) == TR_OK);
    TERM_IS(end_of(pid), "boom");
    SAID();
    rooms_close();
}

/* ---- taking away ---- */

DUPLICATE(unregisters_by_key)
{
    tr_pid guest = a_guest(KEY, tr_atom("theirs"));
    EXPECT(registers(KEY, tr_atom("value")) && registers(KEY, tr_atom("other")));
    EXPECT(registers(tr_atom("world"), tr_atom("value")));
    tr_registry_unregister(rooms, KEY);
    IS(keys_text(tr_self()), "world");
    IS(looked_up(KEY), "{other,theirs}");
    tr_registry_unregister(rooms, tr_atom("world"));
    IS(keys_text(tr_self()), "");
    kill_and_wait(guest);
}

DUPLICATE(unregisters_duplicates_with_no_entries)
{
    tr_registry_unregister(rooms, KEY);
    EXPECT(tr_registry_count(rooms) == 0);
}

DUPLICATE(unregister_match_of_duplicates_supports_patterns)
{
    tr_pid guest = a_guest(KEY, size_of(1, 2));
    EXPECT(registers(KEY, size_of(1, 2)) && registers(KEY, size_of(2, 1)) && registers(KEY, size_of(1, 2)));
    EXPECT(registers(tr_atom("world"), size_of(1, 2)));
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = size_of(2, 1)));
    IS(values_text(KEY, tr_self()), "{size,1,2} {size,1,2}");
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_tuple(tr_atom("size"), TR_ANY, tr_int(2))));
    IS(values_text(KEY, tr_self()), "");
    IS(looked_up(KEY), "{other,{size,1,2}}");
    IS(keys_text(tr_self()), "world");
    kill_and_wait(guest);
}

DUPLICATE(unregister_match_of_duplicates_supports_guards)
{
    tr_term any_size = tr_tuple(tr_atom("size"), tr_var(1), TR_ANY);
    EXPECT(registers(KEY, size_of(1, 2)) && registers(KEY, size_of(5, 1)) && registers(KEY, size_of(7, 1)));
    tr_registry_unregister_match(rooms, KEY,
                                 VALUE(.term = any_size, .guards = {{tr_var(1), TR_GREATER, tr_int(4)}}));
    IS(values_text(KEY, tr_self()), "{size,1,2}");
}

/* ---- matching ---- */

DUPLICATE(supports_match_patterns_of_duplicates)
{
    tr_pid guest = a_guest(KEY, size_of(1, 3));
    EXPECT(registers(KEY, size_of(1, 2)) && registers(KEY, size_of(2, 2)));
    IS(matched(KEY, VALUE(.term = tr_tuple(tr_atom("size"), tr_int(1), TR_ANY))),
       "{other,{size,1,3}} {self,{size,1,2}}");
    IS(matched(KEY, VALUE(.term = tr_tuple(tr_atom("size"), tr_var(1), tr_var(1)))), "{self,{size,2,2}}");
    IS(matched(KEY, VALUE(.term = tr_atom("absent"))), "");
    kill_and_wait(guest);
}

DUPLICATE(supports_guards_of_duplicates)
{
    tr_term any_size = tr_tuple(tr_atom("size"), tr_var(1), tr_var(2));
    EXPECT(registers(KEY, size_of(1, 2)) && registers(KEY, size_of(2, 1)));
    IS(matched(KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_GREATER, tr_var(2)}})),
       "{self,{size,2,1}}");
    IS(matched(KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_AT_LEAST, tr_int(1)}})),
       "{self,{size,1,2}} {self,{size,2,1}}");
    EXPECT(tr_registry_count_match(
               rooms, KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_AT_LEAST, tr_int(1)}})) == 2);
    EXPECT(tr_registry_count_match(
               rooms, KEY, VALUE(.term = any_size, .guards = {{tr_var(1), TR_GREATER, tr_var(2)}})) == 1);
}

DUPLICATE(uses_exact_complex_keys_in_lookup_and_match)
{
    tr_term complex = tr_tuple(tr_atom("any"), TR_ANY, tr_var(1));
    EXPECT(registers(complex, tr_int(1)));
    IS(looked_up(complex), "{self,1}");
    IS(looked_up(tr_tuple(tr_atom("any"), tr_int(1), tr_int(2))), ""); /* a key is no pattern */
    IS(matched(complex, VALUE(.term = tr_var(1))), "{self,1}");
    EXPECT(registers(tr_int(1), tr_atom("int")) && registers(tr_float(1.0), tr_atom("float")));
    IS(looked_up(tr_int(1)), "{self,int}");
    IS(looked_up(tr_float(1.0)), "{self,float}");
}

DUPLICATE(select_all_of_duplicates)
{
    tr_pattern all = {.term = tr_tuple(tr_var(1), TR_ANY, tr_var(2)), .body = tr_tuple(tr_var(1), tr_var(2))};
    IS(selected(&all, 1), "");
    EXPECT(registers(KEY, tr_int(1)) && registers(KEY, tr_int(1)) && registers(tr_atom("world"), tr_int(2)));
    IS(selected(&all, 1), "{hello,1} {hello,1} {world,2}");
}

DUPLICATE(select_of_duplicates_supports_full_match_specs_guards_and_several)
{
    tr_term any_size = tr_tuple(tr_atom("size"), tr_var(2), TR_ANY);
    EXPECT(registers(KEY, size_of(1, 2)) && registers(KEY, size_of(2, 1)) &&
           registers(tr_int(7), size_of(3, 1)));
    tr_pattern patterns[] = {
        {.term = whole(tr_var(1), any_size), .guards = {{tr_var(2), TR_LESS, tr_int(2)}}, .body = tr_var(1)},
        {.term = whole(tr_int(7), any_size), .body = tr_var(2)}};
    IS(selected(patterns, 1), "hello");
    IS(selected(patterns + 1, 1), "3");
    IS(selected(patterns, 2), "3 hello");
    EXPECT(tr_registry_count_select(rooms, patterns, 2) == 2);
}

static tr_term same(tr_term old, void *ctx)
{
    (void)ctx;
    return old;
}

DUPLICATE(update_value_is_not_supported)
{
    EXPECT(registers(KEY, tr_int(1)));
    EXPECT(tr_registry_update_value(rooms, KEY, same, NULL, NULL, NULL) == TR_E_BADARG);
}

/* ---- listeners and links ---- */

SCENE(registry_duplicate, allows_listeners_of_duplicates)
{
    tr_trap_exit(true);
    EXPECT(tr_register(tr_atom("ear"), tr_self()) == TR_OK);
    rooms_open(&(tr_registry_opts){
        .keys = TR_DUPLICATE_KEYS, .listeners = (tr_term[]){tr_atom("ear")}, .listener_count = 1});
    EXPECT(registers(KEY, tr_int(1)) && registers(KEY, tr_int(2)));
    EXPECT(TR_RECEIVE(tr_registry_registered, 0) != NULL && TR_RECEIVE(tr_registry_registered, 0) != NULL);
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_int(1)));
    EXPECT(TR_RECEIVE(tr_registry_unregistered, 0) == NULL); /* it still is under that key */
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_int(2)));
    EXPECT(TR_RECEIVE(tr_registry_unregistered, 0) != NULL);
    EXPECT(registers(KEY, tr_int(1)) && registers(KEY, tr_int(2)));
    tr_registry_unregister(rooms, KEY);
    EXPECT(TR_RECEIVE(tr_registry_unregistered, 0) != NULL);
    EXPECT(TR_RECEIVE(tr_registry_unregistered, 0) == NULL); /* once, not for each */
    while (TR_RECEIVE(tr_registry_registered, 0) != NULL) {
    }
    rooms_close();
}

DUPLICATE(links_and_unlinks_on_register_and_unregister_of_duplicates)
{
    EXPECT(registers(KEY, tr_int(1)) && registers(KEY, tr_int(2)));
    EXPECT(link_count() == 2);
    tr_registry_unregister_match(rooms, KEY, VALUE(.term = tr_int(1)));
    EXPECT(link_count() == 2);
    tr_registry_unregister(rooms, KEY);
    EXPECT(link_count() == 1);
}
