/* counter.c: a server with one number, its two requests, and a process that calls it in direct style. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

TR_MESSAGE(counter_add, { int64_t by; });      /* a request */
TR_MESSAGE(counter_value, { int64_t value; }); /* its reply */
TR_MESSAGE_EMPTY(counter_reset);               /* a cast: nobody waits for it */

typedef struct counter {
    int64_t value;
} counter;

static tr_next counter_handle_call(counter *self, tr_from from, const tr_msg *msg)
{
    const counter_add *add = TR_MATCH(msg, counter_add);
    if (add == NULL) {
        return tr_unexpected(msg); /* crashes this process; a supervisor would restart it */
    }
    self->value += add->by;
    return TR_REPLY(from, counter_value, .value = self->value);
}

static tr_next counter_handle_cast(counter *self, const tr_msg *msg)
{
    if (TR_MATCH(msg, counter_reset) == NULL) {
        return tr_unexpected(msg);
    }
    self->value = 0;
    return TR_NOREPLY;
}

TR_GEN_SERVER(counter, .handle_call = counter_handle_call, .handle_cast = counter_handle_cast);

static void add(tr_pid pid, int64_t by)
{
    counter_value now;
    tr_err err = TR_CALL(pid, TR_CALL_TIMEOUT_MS, counter_value, &now, counter_add, .by = by);
    TR_CHECK(err == TR_OK);
    printf("added %" PRId64 ", now it is %" PRId64 "\n", by, now.value);
}

static void count(const void *arg)
{
    (void)arg;
    tr_started started;
    TR_CHECK(tr_gen_server_start_link(counter_server, NULL, 0, NULL, &started) == TR_OK);
    add(started.pid, 40);
    add(started.pid, 2);
    TR_CHECK(TR_CAST(started.pid, counter_reset) == TR_OK);
    add(started.pid, 1); /* behind the cast: messages of one sender stay in order */
    TR_CHECK(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

int main(void)
{
    return tr_node_run(NULL, count, NULL);
}
