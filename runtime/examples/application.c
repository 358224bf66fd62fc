/* application.c: a program of three parts. The web part needs the store and the mailer; asking for it starts all of them in
 * order, each with its own tree of supervisors, and the end of the program stops them in reverse. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

TR_MESSAGE_EMPTY(how_many);
TR_MESSAGE(so_many, { int64_t count; });

/* ---- a server that each part has under its supervisor ---- */

typedef struct part {
    int64_t asked;
} part;

static tr_next part_handle_call(part *self, tr_from from, const tr_msg *msg)
{
    return TR_MATCH(msg, how_many) != NULL ? TR_REPLY(from, so_many, .count = ++self->asked)
                                           : tr_unexpected(msg);
}

TR_GEN_SERVER(part, .handle_call = part_handle_call);

/* The tree of a part: its argument is the name of its server. */
static tr_err tree_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)flags, (void)reason;
    tr_term name = tr_atom(arg);
    tr_child_spec *spec = tr_scratch_alloc(sizeof *spec);
    *spec = (tr_child_spec){.id = name, .server = part_server, .start = {.name = name}};
    *children = spec;
    *count = 1;
    return TR_OK;
}

static const tr_supervisor tree = {.name = "tree", .init = tree_init};

/* ---- the applications ---- */

static tr_term store_env(void)
{
    const tr_term pairs[] = {tr_atom("path"), tr_string("/var/lib/shop"), tr_atom("cache_pages"),
                             tr_int(2000)};
    return tr_map_n(2, pairs);
}

static tr_err web_phase(const tr_app_phase *phase, void *state, tr_term *reason)
{
    (void)state, (void)reason;
    printf("web: %s\n", phase->name); /* the trees of all that it needs, and its own, stand by now */
    return TR_OK;
}

static void web_prep_stop(void *state)
{
    (void)state;
    printf("web: closes its door\n");
}

static void say_stopped(void *state)
{
    (void)state;
    printf("one more has stopped\n");
}

static const char *const web_needs[] = {"store", "mailer", NULL};
static const tr_app_phase web_phases[] = {{.name = "warms its caches"}, {.name = "opens its door"}};

static const tr_application store = {
    .name = "store", .env = store_env, .supervisor = &tree, .arg = "store_server", .stop = say_stopped};
static const tr_application mailer = {
    .name = "mailer", .supervisor = &tree, .arg = "mailer_server", .stop = say_stopped};
static const tr_application web = {.name = "web",
                                   .description = "what customers see",
                                   .applications = web_needs,
                                   .supervisor = &tree,
                                   .arg = "web_server",
                                   .phases = web_phases,
                                   .phase_count = 2,
                                   .start_phase = web_phase,
                                   .prep_stop = web_prep_stop,
                                   .stop = say_stopped};

static void run(const void *arg)
{
    (void)arg;
    const tr_term *list;
    size_t count;
    tr_term reason;
    so_many answer;
    TR_CHECK(tr_application_controller_start_link(NULL, NULL) == TR_OK);
    TR_CHECK(tr_application_load(&store) == TR_OK && tr_application_load(&mailer) == TR_OK &&
             tr_application_load(&web) == TR_OK);
    tr_application_set_env(tr_atom("store"), tr_atom("cache_pages"), tr_int(50));

    TR_CHECK(tr_application_start(tr_atom("web"), TR_APP_PERMANENT, &reason) == TR_E_STATE);
    printf("web alone: %s\n", tr_term_text(reason));
    TR_CHECK(tr_application_ensure_all_started(tr_atom("web"), TR_APP_PERMANENT, &list, &count, &reason) ==
             TR_OK);
    for (size_t i = 0; i < count; i++) {
        printf("%zu: %s\n", i + 1, tr_atom_text(list[i]));
    }
    TR_CHECK(TR_CALL(tr_atom("store_server"), 5000, so_many, &answer, how_many) == TR_OK);
    printf("the store keeps %s pages\n",
           tr_term_text(tr_application_get_env(tr_atom("store"), tr_atom("cache_pages"))));
    TR_CHECK(tr_application_controller_stop(5000) == TR_OK);
    TR_CHECK(tr_whereis(tr_to_name(tr_atom("store_server"))) == TR_NO_PID);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
