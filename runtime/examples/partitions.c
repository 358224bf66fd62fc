/* partitions.c: one server would be a bottleneck, so there are four, and each key has its own. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

enum { PARTITIONS = 4, VISITS = 1000 };

TR_MESSAGE(visit, { int64_t page; });
TR_MESSAGE_EMPTY(total);
TR_MESSAGE(visits, { int64_t count; });

typedef struct counter {
    int64_t visits;
} counter;

static tr_next handle_cast(counter *self, const tr_msg *msg)
{
    self->visits += TR_MATCH(msg, visit) != NULL;
    return TR_NOREPLY;
}

static tr_next handle_call(counter *self, tr_from from, const tr_msg *msg)
{
    return TR_MATCH(msg, total) != NULL ? TR_REPLY(from, visits, .count = self->visits) : tr_unexpected(msg);
}

TR_GEN_SERVER(counter, .handle_cast = handle_cast, .handle_call = handle_call);

static void run(const void *arg)
{
    (void)arg;
    tr_partition_opts opts = {.partitions = PARTITIONS, .child = {.server = counter_server}};
    tr_start_opts start = {.name = tr_atom("counters")};
    TR_CHECK(tr_partition_supervisor_start_link(&opts, &start, NULL) == TR_OK);
    for (int64_t i = 0; i < VISITS; i++) {
        TR_CAST(tr_partition_whereis(start.name, tr_int(i)), visit, .page = i); /* by its key */
    }
    int64_t sum = 0;
    for (uint32_t i = 0; i < tr_partition_count(start.name); i++) {
        visits out;
        TR_CHECK(TR_CALL(tr_partition_at(start.name, i), 5000, visits, &out, total) == TR_OK);
        sum += out.count;
    }
    printf("%" PRId64 " visits in %u partitions\n", sum, tr_partition_count(start.name));
    TR_CHECK(sum == VISITS);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
