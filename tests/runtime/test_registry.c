#include "tests/runtime/stage.h"

TR_MESSAGE_EMPTY(go_on);

/* Waits until it is told to end. */
static void waits(const void *arg)
{
    (void)arg;
    TR_RECEIVE(go_on, TR_INFINITY);
}

static tr_pid a_process(void)
{
    tr_pid pid;
    TR_CHECK(tr_spawn(NULL, waits, NULL, 0, &pid) == TR_OK);
    return pid;
}

static void kill_and_wait(tr_pid pid)
{
    tr_ref ref = tr_monitor(tr_to(pid), NULL);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_msg_drop(tr_receive_ref(ref, TR_INFINITY));
}

/* ---- registered names ---- */

SCENE(registry, a_registered_name_is_found)
{
    tr_term name = tr_atom("n");
    tr_pid pid = a_process();
    EXPECT(tr_whereis(tr_to_name(name)) == TR_NO_PID);
    EXPECT(tr_register(name, pid) == TR_OK);
    EXPECT(tr_whereis(tr_to_name(name)) == pid);
    EXPECT(tr_whereis(tr_to_name(tr_atom("m"))) == TR_NO_PID);
}

SCENE(registry, a_taken_name_is_refused_also_to_its_holder)
{
    tr_term name = tr_atom("n");
    tr_pid pid = a_process();
    EXPECT(tr_register(name, pid) == TR_OK);
    EXPECT(tr_register(name, tr_self()) == TR_E_ALREADY_STARTED);
    EXPECT(tr_register(name, pid) == TR_E_ALREADY_STARTED);
    EXPECT(tr_whereis(tr_to_name(name)) == pid);
}

SCENE(registry, a_process_holds_one_name_only)
{
    EXPECT(tr_register(tr_atom("n"), tr_self()) == TR_OK);
    EXPECT(tr_register(tr_atom("m"), tr_self()) == TR_E_BADARG);
    EXPECT(tr_whereis(tr_to_name(tr_atom("m"))) == TR_NO_PID);
    EXPECT(tr_unregister(tr_atom("n")) == TR_OK);
    EXPECT(tr_register(tr_atom("m"), tr_self()) == TR_OK);
}

SCENE(registry, undefined_and_what_is_no_atom_are_no_names)
{
    EXPECT(tr_register(TR_ATOM(UNDEFINED), tr_self()) == TR_E_BADARG);
    EXPECT(tr_register(tr_int(1), tr_self()) == TR_E_BADARG);
    EXPECT(tr_register(tr_string("n"), tr_self()) == TR_E_BADARG);
    EXPECT(tr_register(TR_TERM_NONE_VALUE, tr_self()) == TR_E_BADARG);
    EXPECT(tr_register(tr_atom("n"), TR_NO_PID) == TR_E_BADARG);
    EXPECT(tr_whereis(tr_to_name(TR_TERM_NONE_VALUE)) == TR_NO_PID);
}

SCENE(registry, a_dead_process_cannot_be_registered)
{
    tr_pid pid = a_process();
    kill_and_wait(pid);
    EXPECT(tr_register(tr_atom("n"), pid) == TR_E_NOPROC);
    EXPECT(tr_whereis(tr_to_name(tr_atom("n"))) == TR_NO_PID);
    EXPECT(tr_register(tr_atom("n"), tr_self()) == TR_OK);
}

SCENE(registry, anybody_may_unregister_a_name)
{
    tr_pid pid = a_process();
    EXPECT(tr_register(tr_atom("n"), pid) == TR_OK);
    EXPECT(tr_unregister(tr_atom("n")) == TR_OK);
    EXPECT(tr_unregister(tr_atom("n")) == TR_E_NOT_FOUND);
    EXPECT(tr_whereis(tr_to_name(tr_atom("n"))) == TR_NO_PID);
}

SCENE(registry, a_name_is_free_when_the_down_arrives)
{
    for (int i = 0; i < 5; i++) {
        tr_pid pid = a_process();
        EXPECT(tr_register(tr_atom("n"), pid) == TR_OK);
        kill_and_wait(pid);
        EXPECT(tr_whereis(tr_to_name(tr_atom("n"))) == TR_NO_PID);
    }
}

static void registers_itself(const void *arg)
{
    (void)arg;
    TR_CHECK(tr_register(tr_atom("n"), tr_self()) == TR_OK);
    TR_RECEIVE(go_on, TR_INFINITY);
}

SCENE(registry, a_name_one_took_oneself_goes_with_the_process)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, registers_itself, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_whereis(tr_to_name(tr_atom("n"))) == pid);
    kill_and_wait(pid);
    EXPECT(tr_whereis(tr_to_name(tr_atom("n"))) == TR_NO_PID);
}

SCENE(registry, messages_go_to_the_holder_of_a_name)
{
    EXPECT(tr_register(tr_atom("n"), tr_self()) == TR_OK);
    EXPECT(TR_SEND(tr_atom("n"), go_on) == TR_OK);
    EXPECT(TR_RECEIVE(go_on, 0) != NULL);
    EXPECT(TR_SEND(tr_atom("nobody"), go_on) == TR_E_NOPROC);
}

static void name_of(tr_pid pid, const char *wanted)
{
    tr_process_summary summary;
    EXPECT(tr_process_summary_of(pid, &summary) == TR_OK);
    TERM_IS(tr_is_none(summary.name) ? tr_atom("none") : summary.name, wanted);
}

SCENE(registry, process_lists_show_the_name_before_any_key)
{
    tr_registry *registry = tr_registry_new("lists");
    name_of(tr_self(), "none");
    EXPECT(tr_registry_register(registry, tr_int(1), TR_TERM_NONE_VALUE, NULL) == TR_OK);
    name_of(tr_self(), "1");
    EXPECT(tr_register(tr_atom("n"), tr_self()) == TR_OK);
    name_of(tr_self(), "n");
    EXPECT(tr_unregister(tr_atom("n")) == TR_OK);
    name_of(tr_self(), "1");
    tr_registry_unregister(registry, tr_int(1));
    name_of(tr_self(), "none");
}

SCENE(registry, whereis_answers_for_every_kind_of_destination)
{
    tr_registry *registry = tr_registry_new("kinds");
    EXPECT(tr_register(tr_atom("n"), tr_self()) == TR_OK);
    EXPECT(tr_registry_register(registry, tr_atom("k"), TR_TERM_NONE_VALUE, NULL) == TR_OK);
    EXPECT(tr_whereis(TR_DEST(tr_self())) == tr_self());
    EXPECT(tr_whereis(TR_DEST(tr_atom("n"))) == tr_self());
    EXPECT(tr_whereis(tr_to_via(registry, tr_atom("k"))) == tr_self());
    EXPECT(tr_whereis(tr_to_via(registry, tr_atom("n"))) == TR_NO_PID);
    EXPECT(tr_whereis(TR_DEST(tr_alias(TR_ALIAS_EXPLICIT))) == tr_self());
    EXPECT(tr_whereis(TR_DEST(TR_NO_PID)) == TR_NO_PID);
}

/* ---- registries ---- */

SCENE(registry, a_registry_is_made_once_and_found_by_name)
{
    EXPECT(tr_registry_find("one") == NULL);
    tr_registry *one = tr_registry_new("one");
    tr_registry *two = tr_registry_new("two");
    EXPECT(one != two);
    EXPECT(tr_registry_new("one") == one);
    EXPECT(tr_registry_find("one") == one);
    EXPECT(tr_registry_find("two") == two);
}

SCENE(registry, a_key_leads_to_its_owner_and_value)
{
    tr_registry *registry = tr_registry_new("r");
    tr_term value = TR_TERM_NONE_VALUE;
    tr_term key = tr_tuple(tr_atom("user"), tr_string("long enough to need memory of its own"));
    EXPECT(tr_registry_lookup(registry, key, &value) == TR_NO_PID);
    EXPECT(tr_registry_register(registry, key, tr_list(tr_int(1), tr_string("v")), NULL) == TR_OK);
    EXPECT(tr_registry_lookup(registry, key, &value) == tr_self());
    TERM_IS(value, "[1,\"v\"]");
    EXPECT(tr_registry_lookup(registry, key, NULL) == tr_self());
    EXPECT(tr_registry_count(registry) == 1);
}

SCENE(registry, any_term_is_a_key_and_1_is_not_1_0)
{
    tr_registry *registry = tr_registry_new("r");
    tr_pid owner = TR_NO_PID;
    EXPECT(tr_registry_register(registry, tr_int(1), tr_atom("int"), NULL) == TR_OK);
    EXPECT(tr_registry_register(registry, tr_float(1.0), tr_atom("float"), NULL) == TR_OK);
    EXPECT(tr_registry_register(registry, tr_tuple(tr_int(1)), tr_atom("tuple"), NULL) == TR_OK);
    EXPECT(tr_registry_register(registry, tr_string("1"), tr_atom("string"), NULL) == TR_OK);
    EXPECT(tr_registry_register(registry, tr_string("1"), tr_atom("again"), &owner) == TR_E_ALREADY_STARTED);
    EXPECT(owner == tr_self());
    EXPECT(tr_registry_count(registry) == 4);
    tr_term value;
    EXPECT(tr_registry_lookup(registry, tr_float(1.0), &value) == tr_self());
    TERM_IS(value, "float");
}

SCENE(registry, the_same_key_in_two_registries_is_two_entries)
{
    tr_registry *one = tr_registry_new("one");
    tr_registry *two = tr_registry_new("two");
    EXPECT(tr_registry_register(one, tr_atom("k"), TR_TERM_NONE_VALUE, NULL) == TR_OK);
    EXPECT(tr_registry_lookup(two, tr_atom("k"), NULL) == TR_NO_PID);
    EXPECT(tr_registry_register(two, tr_atom("k"), TR_TERM_NONE_VALUE, NULL) == TR_OK);
    tr_registry_unregister(one, tr_atom("k"));
    EXPECT(tr_registry_lookup(two, tr_atom("k"), NULL) == tr_self());
}

static tr_registry *shared;
static void takes_key(const void *arg)
{
    (void)arg;
    tr_pid owner = TR_NO_PID;
    tr_err err = tr_registry_register(shared, tr_atom("k"), tr_atom("theirs"), &owner);
    say("%s %s", tr_err_name(err), owner == TR_NO_PID ? "free" : "taken");
    tr_registry_unregister(shared, tr_atom("k"));
    TR_RECEIVE(go_on, TR_INFINITY);
}

SCENE(registry, a_taken_key_tells_its_owner_and_only_the_owner_gives_it_back)
{
    tr_pid other;
    shared = tr_registry_new("r");
    EXPECT(tr_registry_register(shared, tr_atom("k"), tr_atom("mine"), NULL) == TR_OK);
    EXPECT(tr_spawn(NULL, takes_key, NULL, 0, &other) == TR_OK);
    tr_sleep(1);
    SAID("TR_E_ALREADY_STARTED taken");
    EXPECT(tr_registry_lookup(shared, tr_atom("k"), NULL) == tr_self());
    tr_registry_unregister(shared, tr_atom("absent"));
}

static void takes_many(const void *arg)
{
    int count = *(const int *)arg;
    for (int i = 0; i < count; i++) {
        TR_CHECK(tr_registry_register(shared, tr_tuple(tr_atom("k"), tr_int(i)), tr_int(i), NULL) == TR_OK);
    }
    TR_RECEIVE(go_on, TR_INFINITY);
}

SCENE(registry, all_entries_go_with_their_process_before_its_down)
{
    tr_pid pid;
    shared = tr_registry_new("r");
    EXPECT(tr_spawn(NULL, takes_many, &(int){1000}, sizeof(int), &pid) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_registry_count(shared) == 1000);
    EXPECT(tr_registry_register(shared, tr_atom("mine"), TR_TERM_NONE_VALUE, NULL) == TR_OK);
    kill_and_wait(pid);
    EXPECT(tr_registry_count(shared) == 1);
    EXPECT(tr_registry_lookup(shared, tr_tuple(tr_atom("k"), tr_int(7)), NULL) == TR_NO_PID);
    EXPECT(tr_registry_register(shared, tr_tuple(tr_atom("k"), tr_int(7)), TR_TERM_NONE_VALUE, NULL) ==
           TR_OK);
}

SCENE(registry, tables_grow_and_keep_every_entry_through_churn)
{
    shared = tr_registry_new("r");
    for (int i = 0; i < 5000; i++) {
        EXPECT(tr_registry_register(shared, tr_int(i), tr_int(-i), NULL) == TR_OK);
        if (i >= 1000) {
            tr_registry_unregister(shared, tr_int(i - 1000));
        }
    }
    EXPECT(tr_registry_count(shared) == 1000);
    tr_term value = TR_TERM_NONE_VALUE;
    for (int i = 0; i < 5000; i++) {
        tr_pid pid = tr_registry_lookup(shared, tr_int(i), &value);
        EXPECT((pid != TR_NO_PID) == (i >= 4000));
        EXPECT(pid == TR_NO_PID || tr_int_value(value) == -i);
    }
}

static bool adds_up(tr_term key, tr_term value, tr_pid owner, void *ctx)
{
    int64_t *sum = ctx;
    EXPECT(owner == tr_self());
    *sum += tr_int_value(key);
    EXPECT(tr_int_value(value) == -tr_int_value(key));
    tr_registry_unregister(shared, key); /* may change what it walks over */
    tr_sleep(1);                         /* and may block */
    return *sum < 1000;
}

SCENE(registry, each_shows_every_entry_until_told_to_stop)
{
    shared = tr_registry_new("r");
    int64_t sum = 0;
    for (int i = 1; i <= 10; i++) {
        EXPECT(tr_registry_register(shared, tr_int(i), tr_int(-i), NULL) == TR_OK);
    }
    tr_registry_each(shared, adds_up, &sum);
    EXPECT(sum == 55);
    EXPECT(tr_registry_count(shared) == 0);
    EXPECT(tr_registry_register(shared, tr_int(1000), tr_int(-1000), NULL) == TR_OK);
    EXPECT(tr_registry_register(shared, tr_int(2000), tr_int(-2000), NULL) == TR_OK);
    sum = 0;
    tr_registry_each(shared, adds_up, &sum);
    EXPECT(sum == 1000 || sum == 2000);
}

/* ---- outside of processes ---- */

static void look_from_outside(void *ctx)
{
    tr_registry *registry = ctx;
    say("lookup %d", tr_registry_lookup(registry, tr_atom("k"), NULL) != TR_NO_PID);
    say("register %s", tr_err_name(tr_registry_register(registry, tr_atom("j"), TR_TERM_NONE_VALUE, NULL)));
}

SCENE(registry, outside_of_processes_one_looks_up_but_does_not_register)
{
    shared = tr_registry_new("r");
    EXPECT(tr_registry_register(shared, tr_atom("k"), TR_TERM_NONE_VALUE, NULL) == TR_OK);
    tr_node_post(0, look_from_outside, shared);
    tr_sleep(1);
    SAID("lookup 1", "register TR_E_STATE");
}
