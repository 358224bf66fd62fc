/* Locks of a registry (Elixir 1.18's lock/3), with keys of either kind, each case with 1 and with 8 partitions. */
#include "tests/runtime/rooms.h"

TR_MESSAGE_EMPTY(go_on);
TR_MESSAGE(lock_held, { int number; });

/* A process that takes the lock of a key, tells its host, holds it until it is told to go on, and ends as it was told. */
typedef struct locker_arg {
    tr_pid host;
    int number;
    const char *key;
    enum { LOCKER_RETURNS, LOCKER_CRASHES } way;
} locker_arg;

static void holds(void *ctx)
{
    const locker_arg *how = ctx;
    TR_SEND(how->host, lock_held, .number = how->number);
    TR_RECEIVE(go_on, TR_INFINITY);
    if (how->way == LOCKER_CRASHES) {
        tr_exit(tr_atom("oops"));
    }
}

static void locker_main(const void *arg)
{
    locker_arg how = *(const locker_arg *)arg;
    EXPECT(tr_registry_lock(rooms, tr_atom(how.key), TR_INFINITY, holds, &how) == TR_OK);
    TR_SEND(how.host, guest_ready);
    TR_RECEIVE(go_on, TR_INFINITY);
}

static tr_pid a_locker(int number, const char *key, int way)
{
    tr_pid pid;
    locker_arg how = {.host = tr_self(), .number = number, .key = key, .way = way};
    TR_CHECK(tr_spawn(&(tr_spawn_opts){.label = "locker"}, locker_main, &how, sizeof how, &pid) == TR_OK);
    return pid;
}

/* Who holds a lock next; 0: nobody within a second. */
static int held(void)
{
    const lock_held *by = TR_RECEIVE(lock_held, 1000);
    return by == NULL ? 0 : by->number;
}

static bool in_registry_of(tr_registry_keys keys, uint32_t count, void (*body)(void))
{
    tr_trap_exit(true);
    partitions = count;
    rooms_open(&(tr_registry_opts){.keys = keys, .partitions = count});
    body();
    rooms_close();
    return true;
}

#define LOCKS(name)                                         \
    static void locks_##name(void);                         \
    SCENE(registry_lock, name)                              \
    {                                                       \
        in_registry_of(TR_UNIQUE_KEYS, 1, locks_##name);    \
        in_registry_of(TR_UNIQUE_KEYS, 8, locks_##name);    \
        in_registry_of(TR_DUPLICATE_KEYS, 1, locks_##name); \
        in_registry_of(TR_DUPLICATE_KEYS, 8, locks_##name); \
    }                                                       \
    static void locks_##name(void)

/* lock/3: does not lock when using different keys */
LOCKS(does_not_lock_when_using_different_keys)
{
    tr_pid one = a_locker(1, "a", LOCKER_RETURNS);
    EXPECT(held() == 1);
    tr_pid two = a_locker(2, "b", LOCKER_RETURNS);
    EXPECT(held() == 2);
    kill_and_wait(one);
    kill_and_wait(two);
}

/* lock/3: locks when using the same key */
LOCKS(locks_when_using_the_same_key)
{
    tr_pid lockers[3];
    for (int i = 0; i < 3; i++) {
        lockers[i] = a_locker(i + 1, "a", LOCKER_RETURNS);
        EXPECT(held() == (i == 0));
    }
    for (int i = 0; i < 3; i++) { /* in order of their asking */
        TR_SEND(lockers[i], go_on);
        EXPECT(TR_RECEIVE(guest_ready, 1000) != NULL);
        EXPECT(held() == (i < 2 ? i + 2 : 0));
    }
    for (int i = 0; i < 3; i++) {
        kill_and_wait(lockers[i]);
    }
}

/* lock/3: locks when the one holding the lock raises */
LOCKS(the_lock_of_one_that_crashes_is_passed_on)
{
    tr_pid one = a_locker(1, "a", LOCKER_CRASHES);
    EXPECT(held() == 1);
    tr_pid two = a_locker(2, "a", LOCKER_RETURNS);
    EXPECT(held() == 0);
    TR_SEND(one, go_on);
    EXPECT(held() == 2);
    kill_and_wait(two);
}

/* lock/3: locks when the one holding the lock terminates */
LOCKS(the_lock_of_one_that_is_killed_is_passed_on)
{
    tr_pid one = a_locker(1, "a", LOCKER_RETURNS);
    EXPECT(held() == 1);
    tr_pid two = a_locker(2, "a", LOCKER_RETURNS);
    EXPECT(held() == 0);
    kill_and_wait(one);
    EXPECT(held() == 2);
    kill_and_wait(two);
}

/* lock/3: locks when the one waiting for the lock terminates */
LOCKS(one_that_ended_while_it_waited_is_passed_over)
{
    tr_pid one = a_locker(1, "a", LOCKER_RETURNS);
    EXPECT(held() == 1);
    tr_pid two = a_locker(2, "a", LOCKER_RETURNS);
    EXPECT(held() == 0);
    tr_pid three = a_locker(3, "a", LOCKER_RETURNS);
    EXPECT(held() == 0);
    kill_and_wait(two);
    TR_SEND(one, go_on);
    EXPECT(TR_RECEIVE(guest_ready, 1000) != NULL);
    EXPECT(held() == 3);
    kill_and_wait(one);
    kill_and_wait(three);
}

static void counts(void *ctx)
{
    ++*(int *)ctx;
}

/* Who gives up leaves the queue: nobody waits behind it for ever. */
LOCKS(who_waits_too_long_gives_up)
{
    int ran = 0;
    tr_pid one = a_locker(1, "a", LOCKER_RETURNS);
    EXPECT(held() == 1);
    EXPECT(tr_registry_lock(rooms, tr_atom("a"), 500, counts, &ran) == TR_E_TIMEOUT && ran == 0);
    tr_pid two = a_locker(2, "a", LOCKER_RETURNS);
    EXPECT(held() == 0);
    EXPECT(tr_registry_lock(rooms, tr_atom("a"), 0, counts, &ran) == TR_E_TIMEOUT && ran == 0);
    TR_SEND(one, go_on);
    EXPECT(TR_RECEIVE(guest_ready, 1000) != NULL);
    EXPECT(held() == 2);
    kill_and_wait(one);
    kill_and_wait(two);
    EXPECT(tr_registry_lock(rooms, tr_atom("a"), 5000, counts, &ran) == TR_OK && ran == 1);
    EXPECT(tr_registry_lock(rooms, tr_atom("a"), 5000, counts, &ran) == TR_OK && ran == 2);
}

static void registers_under_its_lock(void *ctx)
{
    tr_pid owner;
    (void)ctx;
    EXPECT(tr_registry_register(rooms, KEY, tr_int(1), &owner) == TR_OK);
    tr_registry_unregister(rooms, KEY);
}

/* Its keys are its own: not those of entries, and not another lock's. */
LOCKS(a_lock_may_be_taken_under_another_and_has_nothing_to_do_with_entries)
{
    EXPECT(tr_registry_lock(rooms, KEY, 5000, registers_under_its_lock, NULL) == TR_OK);
    tr_registry *other = tr_registry_new("other");
    int ran = 0;
    EXPECT(tr_registry_lock(other, KEY, 5000, counts, &ran) == TR_E_STATE && ran == 0);
    EXPECT(link_count() == 1); /* to the registry */
}

static void waits_for_the_end(const void *arg)
{
    int ran = 0;
    EXPECT(tr_registry_lock(rooms, KEY, TR_INFINITY, counts, &ran) == TR_E_NOPROC && ran == 0);
    TR_SEND(*(const tr_pid *)arg, guest_ready);
}

static void ends_the_registry(void *ctx)
{
    tr_pid self = tr_self(), pid;
    (void)ctx;
    TR_CHECK(tr_spawn(NULL, waits_for_the_end, &self, sizeof self, &pid) == TR_OK);
    tr_sleep(10);
    kill_and_wait(rooms_pid);
    EXPECT(TR_RECEIVE(guest_ready, 1000) != NULL);
}

SCENE(registry_lock, who_waits_hears_of_the_end_and_the_holder_goes_on)
{
    int ran = 0;
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.partitions = 2});
    EXPECT(tr_registry_lock(rooms, KEY, 5000, ends_the_registry, NULL) == TR_OK);
    EXPECT(tr_registry_lock(rooms, KEY, 5000, counts, &ran) == TR_E_NOPROC && ran == 0);
}

/* ---- a handler that crashes under a lock: its manager goes on, and must not keep it ---- */

typedef struct handler {
    int events;
} handler;

static tr_event_next handle_event(handler *self, const tr_msg *event)
{
    (void)event;
    locker_arg how = {
        .host = tr_whereis(tr_to_name(tr_atom("host"))), .number = ++self->events, .way = LOCKER_CRASHES};
    EXPECT(tr_registry_lock(rooms, KEY, 5000, holds, &how) == TR_OK);
    return TR_EVENT_OK;
}

TR_EVENT_HANDLER(handler, .handle_event = handle_event);

SCENE(registry_lock, is_given_back_by_a_handler_whose_crash_is_caught)
{
    int ran = 0;
    tr_started manager;
    tr_trap_exit(true);
    rooms_open(&(tr_registry_opts){.partitions = 1});
    EXPECT(tr_register(tr_atom("host"), tr_self()) == TR_OK);
    EXPECT(tr_gen_event_start_link(NULL, &manager) == TR_OK);
    EXPECT(tr_gen_event_add_handler(tr_to(manager.pid), TR_EVENT(handler), TR_TERM_NONE_VALUE, NULL) ==
           TR_OK);
    TR_NOTIFY(manager.pid, guest_ready);
    EXPECT(held() == 1);
    EXPECT(tr_registry_lock(rooms, KEY, 500, counts, &ran) == TR_E_TIMEOUT);
    TR_SEND(manager.pid, go_on);
    EXPECT(tr_registry_lock(rooms, KEY, 500, counts, &ran) == TR_OK && ran == 1);
    EXPECT(tr_is_alive(manager.pid));
    EXPECT(tr_gen_event_stop(tr_to(manager.pid), TR_ATOM(NORMAL), 5000, NULL) == TR_OK);
    rooms_close();
    REPORTED("supervisor.child_started",
             "gen_server.terminated {'EXIT',oops} last guest_ready state handler");
}
