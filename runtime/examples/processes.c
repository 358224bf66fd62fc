/* processes.c: plain processes: messages both ways, receiving what is wanted first, and hearing of each other's ends. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

TR_MESSAGE(ping, {
    tr_pid from;
    int64_t number;
});
TR_MESSAGE(pong, { int64_t number; });
TR_MESSAGE(urgent, { char text[32]; });

/* Answers until it is told to stop, or is asked for a number that it does not have. */
static void answer_pings(const void *arg)
{
    int64_t limit = *(const int64_t *)arg;
    for (;;) {
        const ping *asked = TR_RECEIVE(ping, TR_INFINITY);
        TR_CHECK(asked->number < limit); /* let it crash: whoever watches is told */
        TR_SEND(asked->from, pong, .number = asked->number);
    }
}

static tr_pid start_answering(int64_t limit, tr_ref *end)
{
    tr_pid pid;
    tr_spawn_opts opts = {.label = "answering", .monitor = end}; /* watched from its first moment */
    TR_CHECK(tr_spawn(&opts, answer_pings, &limit, sizeof limit, &pid) == TR_OK);
    return pid;
}

/* A receive takes the oldest message that fits; the others stay where they are, in order. */
static void receive_what_is_wanted_first(tr_pid answering)
{
    TR_SEND(tr_self(), urgent, .text = "later");
    TR_SEND(answering, ping, .from = tr_self(), .number = 1);
    TR_SEND(tr_self(), urgent, .text = "last");
    const pong *answer = TR_RECEIVE(pong, 1000);
    TR_CHECK(answer != NULL && answer->number == 1);
    const urgent *first = TR_RECEIVE(urgent, 0), *second = TR_RECEIVE(urgent, 0);
    printf("pong %" PRId64 ", then %s and %s\n", answer->number, first->text, second->text);
    TR_CHECK(TR_RECEIVE(urgent, 0) == NULL); /* 0: looks once; NULL: time is up */
}

static void wait_for_ever(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

/* A monitor tells one side; a link takes the other side along, or tells it when it traps exits. */
static void hear_of_ends(tr_pid answering, tr_ref end)
{
    TR_SEND(answering, ping, .from = tr_self(), .number = 100);
    const tr_down_msg *down = TR_MATCH(tr_receive_ref(end, 1000), tr_down_msg);
    TR_CHECK(down != NULL && !tr_reason_is_clean(down->reason));
    printf("one crashed: %s\n", tr_atom_text(tr_term_items(down->reason)[0]));

    tr_pid linked;
    tr_trap_exit(true);
    TR_CHECK(tr_spawn(&(tr_spawn_opts){.link = true}, wait_for_ever, NULL, 0, &linked) == TR_OK);
    tr_exit_signal(tr_to(linked), TR_ATOM(KILL)); /* the one reason that cannot be trapped */
    const tr_exit_msg *gone = TR_RECEIVE(tr_exit_msg, 1000);
    TR_CHECK(gone != NULL && gone->from == linked);
    printf("one was %s\n", tr_atom_text(gone->reason));
}

static void run(const void *arg)
{
    (void)arg;
    tr_ref end;
    tr_pid answering = start_answering(10, &end);
    receive_what_is_wanted_first(answering);
    hear_of_ends(answering, end);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
