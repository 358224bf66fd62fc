/* Mailboxes: limits and what they do not apply to, the books, messages that are passed on. */
#include "tests/runtime/stage.h"

#include "runtime/core/core.h"

TR_MESSAGE(num, { int64_t n; });
TR_MESSAGE_BLOBS(
    with_blob, { tr_blob *blob; }, offsetof(with_blob, blob));
TR_MESSAGE_TERMS(
    with_term, { tr_term what; }, offsetof(with_term, what));

static void wait_for_ever(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

static void take_two(const void *arg)
{
    (void)arg;
    tr_sleep(5);
    for (int i = 0; i < 2; i++) {
        tr_msg_drop(tr_receive(NULL, NULL, TR_INFINITY));
    }
    tr_sleep(TR_INFINITY);
}

static tr_node_stats stats_now(void)
{
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    return stats;
}

SCENE(mailbox, refuses_what_is_over_its_limit_and_takes_again_when_there_is_room)
{
    tr_pid pid;
    EXPECT(tr_spawn(&(tr_spawn_opts){.mailbox_max = 3}, take_two, NULL, 0, &pid) == TR_OK);
    for (int i = 0; i < 3; i++) {
        EXPECT(TR_SEND(pid, num, i) == TR_OK);
    }
    EXPECT(TR_SEND(pid, num, 3) == TR_E_FULL);
    EXPECT(stats_now().messages_refused == 1);
    tr_sleep(10);
    EXPECT(TR_SEND(pid, num, 4) == TR_OK && TR_SEND(pid, num, 5) == TR_OK);
    EXPECT(TR_SEND(pid, num, 6) == TR_E_FULL);
}

SCENE(mailbox, signals_and_timers_get_in_when_it_is_full)
{
    tr_pid pid;
    tr_ref monitor;
    EXPECT(tr_spawn(&(tr_spawn_opts){.mailbox_max = 1}, wait_for_ever, NULL, 0, &pid) == TR_OK);
    EXPECT(TR_SEND(pid, num, 1) == TR_OK && TR_SEND(pid, num, 2) == TR_E_FULL);
    (void)tr_start_timer(1, tr_to(pid), TR_MSG(num, 3));
    tr_sleep(2);
    tr_process_info info;
    EXPECT(tr_process_info_of(pid, true, 10, &info) == TR_OK);
    EXPECT(info.message_count == 2);
    monitor = tr_monitor(tr_to(pid), NULL);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    EXPECT(tr_receive_ref(monitor, 10) != NULL);
}

static void alias_owner(const void *arg)
{
    (void)arg;
    tr_ref alias = tr_alias(TR_ALIAS_EXPLICIT);
    for (int round = 0; round < 10; round++) {
        EXPECT(TR_SEND(alias, num, 1) == TR_OK); /* room for one: the dead ones before it count no more */
        EXPECT(TR_SEND(alias, num, 2) == TR_E_FULL);
        EXPECT(tr_unalias(alias));
        EXPECT(tr_receive(NULL, NULL, 0) == NULL);
        alias = tr_alias(TR_ALIAS_EXPLICIT);
    }
    say("done");
}

SCENE(mailbox, what_a_dead_alias_drops_is_not_counted)
{
    EXPECT(tr_spawn(&(tr_spawn_opts){.mailbox_max = 1}, alias_owner, NULL, 0, NULL) == TR_OK);
    tr_sleep(1);
    SAID("done");
    EXPECT(stats_now().messages_dead_letter == 10);
}

SCENE(mailbox, a_slot_that_died_full_is_as_good_as_new)
{
    for (int round = 0; round < 1100; round++) { /* every slot of the first chunk, and on */
        tr_pid pid;
        EXPECT(tr_spawn(&(tr_spawn_opts){.mailbox_max = 2}, wait_for_ever, NULL, 0, &pid) == TR_OK);
        EXPECT(TR_SEND(pid, num, 1) == TR_OK && TR_SEND(pid, num, 2) == TR_OK);
        EXPECT(TR_SEND(pid, num, 3) == TR_E_FULL);
        if (round % 2 == 0) {
            tr_yield(); /* fetched, or still in the inbox */
        }
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        tr_yield();
    }
    tr_sleep(1);
    uint32_t counted = 0;
    for (uint32_t slot = 0; slot < tr__table_slots(); slot++) {
        counted += tr__table_slot(slot)->counted;
    }
    EXPECT(counted == 0);
}

SCENE(mailbox, every_message_sent_is_received_dead_or_refused)
{
    tr_pid dead;
    tr_pid full;
    EXPECT(tr_spawn(NULL, take_two, NULL, 0, &dead) == TR_OK);
    tr_exit_signal(tr_to(dead), TR_ATOM(KILL));
    EXPECT(TR_SEND(dead, num, 1) == TR_OK); /* in the inbox of one that is doomed */
    tr_sleep(1);
    EXPECT(TR_SEND(dead, num, 1) == TR_OK);
    EXPECT(tr_send(tr_to_name(tr_atom("nobody")), TR_TYPE(num), &(num){1}) == TR_E_NOPROC);
    EXPECT(tr_spawn(&(tr_spawn_opts){.mailbox_max = 1}, wait_for_ever, NULL, 0, &full) == TR_OK);
    EXPECT(TR_SEND(full, num, 1) == TR_OK && TR_SEND(full, num, 1) == TR_E_FULL);
    EXPECT(tr_gen_server_cast(tr_to(full), TR_MSG(num, 1)) == TR_E_FULL);
    tr_exit_signal(tr_to(full), TR_ATOM(KILL));
    tr_sleep(1);
    TR_SEND(tr_self(), num, 2);
    tr_msg_drop(tr_receive(NULL, NULL, 0));
    tr_node_stats stats = stats_now();
    EXPECT(stats.messages_sent == 7);
    EXPECT(stats.messages_refused == 2);
    EXPECT(stats.messages_dead_letter == 4);
}

static void relay(const void *arg)
{
    const tr_pid *to = arg;
    for (int i = 0; i < 4; i++) {
        EXPECT(tr_send_msg(tr_to(*to), tr_receive(NULL, NULL, TR_INFINITY)) == TR_OK);
    }
}

SCENE(mailbox, a_received_message_can_be_sent_on_whatever_it_was)
{
    tr_pid self = tr_self();
    tr_pid pid;
    EXPECT(tr_spawn(&(tr_spawn_opts){.mailbox_max = 10}, relay, &self, sizeof self, &pid) == TR_OK);
    tr_blob *blob = tr_blob_new("bytes", 5);
    TR_SEND(pid, with_blob, blob);
    tr_blob_drop(blob);
    TR_SEND(pid, with_term, tr_tuple(tr_string("a"), tr_int(1)));
    (void)tr_start_timer(1, tr_to(pid), TR_MSG(num, 1));
    tr_err err;
    (void)tr__request(tr_to(pid), TR_MSG_CALL, TR_MSG(num, 2), &err);
    tr_sleep(2);
    tr_msg *msg = tr_receive(NULL, NULL, 0);
    EXPECT(memcmp(TR_MATCH(msg, with_blob)->blob->bytes, "bytes", 5) == 0);
    TERM_IS(TR_MATCH(tr_receive(NULL, NULL, 0), with_term)->what, "{\"a\",1}");
    EXPECT(TR_MATCH(tr_receive(NULL, NULL, 0), num)->n == 2); /* the call came before the timer */
    EXPECT(tr_msg_kind_of(msg) == TR_MSG_INFO);
}

SCENE(mailbox, a_payload_without_blob_is_fine)
{
    TR_SEND(tr_self(), with_blob, NULL);
    tr_msg *msg = tr_receive(NULL, NULL, 0);
    EXPECT(TR_MATCH(msg, with_blob)->blob == NULL);
    tr_msg_drop(msg);
    tr_msg_drop(NULL);
}

static void order_of_signals(const void *arg)
{
    const tr_pid *to = arg;
    for (int64_t n = 1; n <= 3; n++) {
        TR_SEND(*to, num, n);
    }
    tr_exit_signal(tr_to(*to), tr_atom("after three"));
    TR_SEND(*to, num, 4);
}

SCENE(mailbox, signals_and_messages_of_one_sender_keep_their_order)
{
    tr_pid self = tr_self();
    tr_trap_exit(true);
    EXPECT(tr_spawn(NULL, order_of_signals, &self, sizeof self, NULL) == TR_OK);
    for (int n = 0; n < 5; n++) {
        tr_msg *msg = tr_receive(NULL, NULL, 10);
        const num *number = TR_MATCH(msg, num);
        say("%s %d", number == NULL ? "exit" : "number", number == NULL ? 0 : (int)number->n);
    }
    SAID("number 1", "number 2", "number 3", "exit 0", "number 4");
}
