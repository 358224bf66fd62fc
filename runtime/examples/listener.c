/* listener.c: a plain process under a supervisor. It has a loop of its own where a server would have callbacks; by the start
 * protocol its supervisor goes on only when it is ready, and hears why when it cannot be. */
#include <stdio.h>
#include <troupe/troupe.h>

TR_MESSAGE(connection, { int socket; });

typedef struct listener_arg {
    int port;
    tr_pid boss;
} listener_arg;

static void listener_main(const void *arg)
{
    const listener_arg *how = arg;
    if (how->port < 1024) { /* what would be bind's EACCES */
        tr_init_fail(tr_atom("eacces"), tr_atom("eacces"));
    }
    tr_init_ack(TR_TERM_NONE_VALUE); /* whoever starts it goes on from here */
    for (int socket = 0; socket < 2; socket++) {
        TR_SEND(how->boss, connection, .socket = socket);
    }
    tr_exit(tr_atom("lost_interface")); /* its supervisor starts it anew */
}

static tr_child_spec listener_on(int port)
{
    listener_arg *how = tr_scratch_alloc(sizeof *how);
    *how = (listener_arg){.port = port, .boss = tr_self()};
    return (tr_child_spec){.id = tr_int(port),
                           .main = listener_main,
                           .manual_ack = true, /* started when it says so, not when it is spawned */
                           .arg = how,
                           .arg_bytes = sizeof *how,
                           .shutdown_ms = 500};
}

/* The same without a supervisor. */
static void start_alone(int port)
{
    tr_started started;
    listener_arg how = {.port = port, .boss = tr_self()};
    tr_err err = tr_proc_lib_start(listener_main, &how, sizeof how, NULL, &started, NULL);
    printf("port %d: %s\n", port, err == TR_OK ? "started" : tr_term_text(started.reason));
}

static void run(const void *arg)
{
    (void)arg;
    static const tr_supervisor root = {.name = "root", .flags = {.intensity = 2}};
    tr_started top;
    start_alone(80);
    tr_trap_exit(true);
    TR_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &top) == TR_OK);
    tr_child_spec refused = listener_on(443), good = listener_on(8080);
    tr_sup_result result = tr_supervisor_start_child(tr_to(top.pid), &refused);
    TR_CHECK(result.err == TR_E_EXIT);
    printf("port 443: %s\n", tr_term_text(result.reason));
    TR_CHECK(tr_supervisor_start_child(tr_to(top.pid), &good).err == TR_OK);
    int connections = 0;
    const tr_exit_msg *end = NULL;
    while (end == NULL) { /* three lives of two connections each; then the supervisor gives up */
        connections += TR_RECEIVE(connection, 100) != NULL;
        end = TR_RECEIVE(tr_exit_msg, 0);
    }
    while (TR_RECEIVE(connection, 0) != NULL) {
        connections++;
    }
    printf("%d connections, then %s\n", connections, tr_atom_text(end->reason));
    TR_CHECK(connections == 6);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
