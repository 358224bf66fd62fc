/* rooms.c: members of chat rooms, each a process started on demand. A registry with unique keys finds a member by name, one with
 * duplicate keys finds all members of a room. A member that leaves or crashes is in neither: nobody has to clean up. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

TR_MESSAGE(said, { char text[48]; });
TR_MESSAGE_EMPTY(how_many);
TR_MESSAGE(heard, { int64_t messages; });

/* ---- a member ---- */

typedef struct member_arg {
    char name[16], room[16];
} member_arg;

typedef struct member {
    member_arg who;
    int64_t heard;
} member;

static tr_registry *rooms(void)
{
    return tr_registry_find("rooms");
}

static tr_next member_init(member *self, const void *arg)
{
    self->who = *(const member_arg *)arg;
    TR_CHECK(tr_registry_register(rooms(), tr_atom(self->who.room), tr_atom(self->who.name), NULL) == TR_OK);
    return TR_INIT_OK;
}

static tr_next member_handle_info(member *self, const tr_msg *msg)
{
    const said *what = TR_MATCH(msg, said);
    TR_CHECK(what != NULL && strcmp(what->text, "boo") != 0); /* whoever is frightened leaves */
    self->heard++;
    return TR_NOREPLY;
}

static tr_next member_handle_call(member *self, tr_from from, const tr_msg *msg)
{
    return TR_MATCH(msg, how_many) != NULL ? TR_REPLY(from, heard, .messages = self->heard)
                                           : tr_unexpected(msg);
}

TR_GEN_SERVER(member, .init = member_init, .handle_info = member_handle_info,
              .handle_call = member_handle_call);

/* ---- who uses them ---- */

static tr_dest member_named(const char *name)
{
    return tr_to_via(tr_registry_find("names"), tr_atom(name));
}

static void enter(tr_dest members, const char *name, const char *room)
{
    member_arg arg = {{0}, {0}};
    snprintf(arg.name, sizeof arg.name, "%s", name);
    snprintf(arg.room, sizeof arg.room, "%s", room);
    tr_child_spec spec = {.server = member_server,
                          .arg = &arg,
                          .arg_bytes = sizeof arg,
                          .start = {.registry = tr_registry_find("names"), .key = tr_atom(name)},
                          .restart = TR_TEMPORARY};
    TR_CHECK(tr_dynamic_supervisor_start_child(members, &spec).err == TR_OK);
}

static void tell_all(const tr_registry_entry *entries, size_t count, const void *text)
{
    for (size_t i = 0; i < count; i++) {
        (void)tr_send(tr_to(entries[i].pid), TR_TYPE(said), text);
    }
}

static void say_in(const char *room, const char *text)
{
    said what = {{0}};
    snprintf(what.text, sizeof what.text, "%s", text);
    tr_registry_dispatch(rooms(), tr_atom(room), tell_all, &what);
}

static void run(const void *arg)
{
    static const tr_supervisor members = {.name = "members", .flags = {.strategy = TR_DYNAMIC}};
    const tr_registry_opts names = {.name = tr_atom("names"), .keys = TR_UNIQUE_KEYS};
    const tr_registry_opts by_room = {.name = tr_atom("rooms"), .keys = TR_DUPLICATE_KEYS};
    tr_started started;
    TR_CHECK(tr_registry_start_link(&names, NULL) == TR_OK &&
             tr_registry_start_link(&by_room, NULL) == TR_OK);
    TR_CHECK(tr_supervisor_start_link(&members, arg, 0, NULL, &started) == TR_OK);
    enter(tr_to(started.pid), "ann", "kitchen");
    enter(tr_to(started.pid), "bob", "kitchen");
    enter(tr_to(started.pid), "cay", "garden");
    say_in("kitchen", "tea is ready");
    heard ann;
    TR_CHECK(TR_CALL(member_named("ann"), 5000, heard, &ann, how_many) == TR_OK);
    tr_ref end = tr_monitor(member_named("bob"), NULL);
    (void)tr_send(member_named("bob"), TR_TYPE(said), &(said){"boo"});
    TR_CHECK(tr_receive_ref(end, TR_INFINITY) != NULL);
    size_t left;
    (void)tr_registry_entries(rooms(), tr_atom("kitchen"), &left);
    printf("ann heard %" PRId64 "; %zu left in the kitchen\n", ann.messages, left);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
