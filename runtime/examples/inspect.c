/* inspect.c: looking into a server that runs, holding it still, and repairing its state, without a line in the server for it
 * but format_state. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

TR_MESSAGE(deposit, { int64_t cents; });
TR_MESSAGE_EMPTY(get_balance);
TR_MESSAGE(balance, { int64_t cents; });

typedef struct account {
    int64_t cents;
} account;

static tr_next account_handle_call(account *self, tr_from from, const tr_msg *msg)
{
    return TR_MATCH(msg, get_balance) != NULL ? TR_REPLY(from, balance, .cents = self->cents)
                                              : tr_unexpected(msg);
}

static tr_next account_handle_cast(account *self, const tr_msg *msg)
{
    const deposit *in = TR_MATCH(msg, deposit);
    TR_CHECK(in != NULL);
    self->cents += in->cents;
    return TR_NOREPLY;
}

static tr_term account_format_state(const account *self)
{
    return tr_tuple(tr_atom("cents"), tr_int(self->cents));
}

TR_GEN_SERVER(account, .handle_call = account_handle_call, .handle_cast = account_handle_cast,
              .format_state = account_format_state);

static void correct(void *self, void *ctx)
{
    ((account *)self)->cents = *(const int64_t *)ctx;
}

static void run(const void *arg)
{
    (void)arg;
    tr_started started;
    TR_CHECK(tr_gen_server_start_link(account_server, NULL, 0, NULL, &started) == TR_OK);
    tr_dest it = tr_to(started.pid);
    TR_CHECK(tr_sys_log(it, 10, 5000) == TR_OK && tr_sys_statistics_on(it, true, 5000) == TR_OK);
    TR_CAST(it, deposit, .cents = 250);

    tr_term state;
    TR_CHECK(tr_sys_get_state(it, 5000, &state) == TR_OK); /* in its turn, behind the deposit */
    printf("state %s\n", tr_term_text(state));

    TR_CHECK(tr_sys_suspend(it, 5000) == TR_OK); /* now it answers nobody but us */
    TR_CAST(it, deposit, .cents = 1);
    int64_t cents = 1000;
    TR_CHECK(tr_sys_replace_state(it, correct, &cents, 5000) == TR_OK);
    TR_CHECK(tr_sys_resume(it, 5000) == TR_OK); /* and serves what came meanwhile */
    balance now;
    TR_CHECK(TR_CALL(it, 5000, balance, &now, get_balance) == TR_OK && now.cents == 1001);

    const tr_term *events;
    size_t count;
    TR_CHECK(tr_sys_log_get(it, 5000, &events, &count) == TR_OK);
    for (size_t i = 0; i < count; i++) {
        printf("event %s\n", tr_term_kind_of(events[i]) == TR_TERM_TUPLE
                                 ? tr_atom_text(tr_term_items(events[i])[0])
                                 : tr_term_text(events[i]));
    }
    tr_sys_statistics stats;
    TR_CHECK(tr_sys_statistics_get(it, 5000, &stats) == TR_OK);
    printf("%" PRIu64 " messages in, %" PRIu64 " out\n", stats.messages_in, stats.messages_out);
    TR_CHECK(tr_sys_no_debug(it, 5000) == TR_OK); /* nothing watches any more: it pays one branch a message */
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
