/* rate_limiter.c: a bucket of 100 tokens a user, in one server; a tick a second gives everyone 10 back. */
#include <stdio.h>
#include <troupe/troupe.h>

enum { USERS = 1000, BUCKET = 100, REFILL = 10, TICK_MS = 1000 };

TR_MESSAGE(check_rate, { uint32_t user; });
TR_MESSAGE(rate_verdict, { bool allowed; });
TR_MESSAGE_EMPTY(rate_tick);

typedef struct rate_limiter {
    int taken[USERS]; /* so that zeroed memory is a full bucket for everyone */
} rate_limiter;

static tr_next init(rate_limiter *self, const void *arg)
{
    (void)self, (void)arg;
    tr_send_interval(TICK_MS, tr_to(tr_self()), TR_MSG(rate_tick));
    return TR_INIT_OK;
}

static tr_next handle_call(rate_limiter *self, tr_from from, const tr_msg *msg)
{
    const check_rate *check = TR_MATCH(msg, check_rate);
    TR_CHECK(check != NULL && check->user < USERS); /* else this process crashes: let it */
    bool allowed = self->taken[check->user] < BUCKET;
    self->taken[check->user] += allowed;
    return TR_REPLY(from, rate_verdict, .allowed = allowed);
}

static tr_next handle_info(rate_limiter *self, const tr_msg *msg)
{
    TR_CHECK(TR_MATCH(msg, rate_tick) != NULL);
    for (size_t i = 0; i < USERS; i++) {
        self->taken[i] -= self->taken[i] < REFILL ? self->taken[i] : REFILL;
    }
    return TR_NOREPLY;
}

TR_GEN_SERVER(rate_limiter, .init = init, .handle_call = handle_call, .handle_info = handle_info);
static void ask(const void *arg)
{
    (void)arg;
    tr_start_opts opts = {.name = tr_atom("rate_limiter")};
    TR_CHECK(tr_gen_server_start_link(rate_limiter_server, NULL, 0, &opts, NULL) == TR_OK);
    int allowed = 0;
    for (int asked = 0; asked < 210; asked++) {
        rate_verdict verdict;
        TR_CHECK(TR_CALL(opts.name, 5000, rate_verdict, &verdict, check_rate, .user = 7) == TR_OK);
        allowed += verdict.allowed;
        tr_sleep(asked == 105 ? TICK_MS + 100 : 0);
    }
    printf("%d of 210 allowed: a full bucket, and what a tick gave back\n", allowed);
}

int main(void)
{
    return tr_node_run(NULL, ask, NULL);
}
