/* pool.c: three database connections, and two more in a rush, shared by many requests. Each request is a transaction: it has
 * a connection for itself, and gives it back in any case, also when it fails in the middle. */
#include <stdio.h>
#include <troupe/troupe.h>

enum { CONNECTIONS = 3, RUSH = 2, REQUESTS = 40 };
TR_MESSAGE(query, { int64_t account; });
TR_MESSAGE(rows, { int64_t count; });
TR_MESSAGE(request_done, { bool served; });

typedef struct connection {
    int64_t queries;
} connection;

static tr_next connection_handle_call(connection *self, tr_from from, const tr_msg *msg)
{
    if (TR_MATCH(msg, query) == NULL) {
        return tr_unexpected(msg);
    }
    tr_sleep(1); /* the database is at work; this connection, and nobody else, waits */
    return TR_REPLY(from, rows, .count = ++self->queries);
}

TR_GEN_SERVER(connection, .handle_call = connection_handle_call);

static const tr_pool_opts connections = {
    .worker = {.server = &connection__server.server}, .size = CONNECTIONS, .max_overflow = RUSH};

/* ---- requests ---- */

struct request {
    tr_pid asker;
    int64_t account;
};

static void transaction(tr_pid lent, void *ctx)
{
    const struct request *request = ctx;
    rows out;
    TR_CHECK(request->account % 10 != 9); /* every tenth request has a bug: let it crash */
    TR_CHECK(TR_CALL(lent, 30000, rows, &out, query, .account = request->account) == TR_OK);
}

static void serve(const void *arg)
{
    struct request request = *(const struct request *)arg;
    tr_err err = tr_pool_transaction(tr_to_name(tr_atom("db")), transaction, &request, 30000);
    TR_SEND(request.asker, request_done, .served = err == TR_OK);
}

static void run(const void *arg)
{
    tr_child_spec pool;
    tr_pool_child_spec(&connections, tr_atom("db"), &pool);
    tr_supervisor module = {.name = "top", .children = &pool, .child_count = 1};
    tr_started top;
    TR_CHECK(tr_supervisor_start_link(&module, arg, 0, NULL, &top) == TR_OK);
    int served = 0, failed = 0;
    for (int64_t i = 0; i < REQUESTS; i++) {
        tr_ref end;
        struct request request = {tr_self(), i};
        TR_CHECK(tr_spawn(&(tr_spawn_opts){.monitor = &end}, serve, &request, sizeof request, &(tr_pid){0}) ==
                 TR_OK);
    }
    for (int i = 0; i < REQUESTS; i++) { /* each of them ends, one way or the other */
        const tr_down_msg *down = TR_RECEIVE(tr_down_msg, 30000);
        TR_CHECK(down != NULL);
        failed += !tr_reason_is_clean(down->reason);
    }
    for (const request_done *done; (done = TR_RECEIVE(request_done, 0)) != NULL;) {
        served += done->served;
    }
    tr_pool_status status;
    TR_CHECK(tr_pool_status_of(tr_to_name(tr_atom("db")), 5000, &status) == TR_OK);
    TR_CHECK(served == REQUESTS - REQUESTS / 10 && failed == REQUESTS / 10);
    TR_CHECK(status.available == CONNECTIONS && status.checked_out == 0 && status.overflow == 0);
    printf("%d requests served, %d failed; %u of %d connections are free\n", served, failed, status.available,
           CONNECTIONS);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
