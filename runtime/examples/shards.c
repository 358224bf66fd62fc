/* shards.c: asking many servers at once. The requests are under way together; answers are taken as they come, and one deadline
 * is for all. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

enum { SHARDS = 5, DEADLINE_MS = 300 };
TR_MESSAGE_EMPTY(sum);
TR_MESSAGE(total, { int64_t value; });

typedef struct shard {
    int64_t number;
} shard;

static tr_next shard_init(shard *self, const void *arg)
{
    self->number = *(const int64_t *)arg;
    return TR_INIT_OK;
}

static tr_next shard_handle_call(shard *self, tr_from from, const tr_msg *msg)
{
    TR_CHECK(TR_MATCH(msg, sum) != NULL);
    tr_sleep(self->number == 3 ? 60000 : 1); /* one of them does not answer today */
    return TR_REPLY(from, total, .value = 10 * self->number);
}

TR_GEN_SERVER(shard, .init = shard_init, .handle_call = shard_handle_call);

static void run(const void *arg)
{
    (void)arg;
    tr_reqids *asked = tr_reqids_new();
    for (int64_t i = 0; i < SHARDS; i++) {
        tr_started started;
        TR_CHECK(tr_gen_server_start_link(shard_server, &i, sizeof i, NULL, &started) == TR_OK);
        (void)tr_reqids_send_request(asked, tr_to(started.pid), TR_MSG(sum), tr_int(i)); /* does not wait */
    }
    int64_t all = 0, deadline_ms = tr_now_ms() + DEADLINE_MS;
    tr_response response;
    tr_err err;
    do { /* what is late is abandoned: its answer will be dropped */
        int64_t left_ms = deadline_ms > tr_now_ms() ? deadline_ms - tr_now_ms() : 0;
        err = tr_reqids_receive_response(asked, left_ms, true, &response);
        const total *part = err == TR_OK && response.err == TR_OK ? TR_MATCH(response.reply, total) : NULL;
        all += part != NULL ? part->value : 0;
    } while (err == TR_OK);
    printf("%" PRId64 " without %zu of %d shards\n", all, tr_reqids_size(asked), SHARDS);
    TR_CHECK(err == TR_E_TIMEOUT && all == 70);
    tr_reqids_free(asked);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
