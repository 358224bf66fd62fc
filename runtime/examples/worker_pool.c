/* worker_pool.c: ten database connections under a supervisor. One that is lost stops ("let it crash"); the supervisor
 * starts a fresh one, which connects again and is found under the same key. */
#include <stdio.h>
#include <troupe/troupe.h>

enum { POOL_SIZE = 10 };
TR_MESSAGE_EMPTY(query);
TR_MESSAGE(rows, { int64_t count; });
TR_MESSAGE_EMPTY(connection_lost);
typedef struct connection {
    int64_t queries;
} connection;

static tr_next connection_handle_call(connection *self, tr_from from, const tr_msg *msg)
{
    return TR_MATCH(msg, query) != NULL ? TR_REPLY(from, rows, .count = ++self->queries) : tr_unexpected(msg);
}

static tr_next connection_handle_info(__attribute__((unused)) connection *self, const tr_msg *msg)
{
    return TR_MATCH(msg, connection_lost) != NULL ? TR_STOP(tr_atom("connection_lost")) : tr_unexpected(msg);
}

TR_GEN_SERVER(connection, .handle_call = connection_handle_call, .handle_info = connection_handle_info);

static tr_err pool_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg, (void)flags, (void)reason; /* one_for_one, three restarts in five seconds */
    tr_child_spec *specs = tr_scratch_alloc(POOL_SIZE * sizeof(*specs)); /* the supervisor copies them */
    for (*count = 0; *count < POOL_SIZE; ++*count) {
        tr_term id = tr_tuple(tr_atom("db_connection"), tr_int((int64_t)*count));
        tr_start_opts via = {.registry = tr_registry_new("connections"), .key = id};
        specs[*count] = (tr_child_spec){.id = id, .server = connection_server, .start = via};
    }
    *children = specs;
    return TR_OK;
}

static void run(const void *arg)
{
    static const tr_supervisor pool = {.name = "pool", .init = pool_init};
    tr_started top;
    TR_CHECK(tr_supervisor_start_link(&pool, arg, 0, NULL, &top) == TR_OK);
    tr_dest third = tr_to_via(tr_registry_find("connections"), tr_tuple(tr_atom("db_connection"), tr_int(3)));
    rows out;
    TR_CHECK(TR_CALL(third, 30000, rows, &out, query) == TR_OK && out.count == 1);
    tr_ref end = tr_monitor(third, NULL);
    TR_CHECK(TR_SEND(third, connection_lost) == TR_OK && tr_receive_ref(end, TR_INFINITY) != NULL);
    tr_child_counts counts; /* answered after the restart: the supervisor heard of the end first */
    TR_CHECK(tr_supervisor_count_children(tr_to(top.pid), &counts) == TR_OK);
    TR_CHECK(TR_CALL(third, 30000, rows, &out, query) == TR_OK && out.count == 1);
    printf("connection 3 was replaced; %zu of %d are up\n", counts.active, POOL_SIZE);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
