/* Plain processes that give their stack back until there is a message. */
#include "tests/runtime/stage.h"

TR_MESSAGE(num, { int64_t n; });

static void wakes(const void *arg)
{
    const int64_t *sum = arg;
    const num *got = TR_RECEIVE(num, 0);
    say("woke with %" PRId64 " and %" PRId64, *sum, got == NULL ? -1 : got->n);
    int64_t next = *sum + got->n;
    if (next < 100) {
        tr_hibernate(wakes, &next, sizeof next);
    }
}

static void begins(const void *arg)
{
    const int64_t start = 1;
    (void)arg;
    tr_put(tr_atom("key"), tr_string("value"));
    tr_hibernate(wakes, &start, sizeof start);
}

static uint64_t stacks_in_use(void)
{
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    return stats.stacks - stats.stacks_free;
}

/* hibernate_SUITE: basic; proc_lib_SUITE: hibernate */
SCENE(hibernate, a_message_wakes_and_the_rest_of_the_process_stays)
{
    tr_pid pid;
    tr_ref ended;
    tr_process_info info;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ended, .link = true}, begins, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_process_info_of(pid, false, 10, &info) == TR_OK); /* a signal does not wake it */
    EXPECT(info.summary.status == TR_STATUS_WAITING && info.link_count == 1);
    TERM_IS(info.dictionary, "#{key=>\"value\"}");
    SAID();
    TR_SEND(pid, num, 10);
    tr_sleep(1);
    SAID("woke with 1 and 10");
    TR_SEND(pid, num, 20);
    TR_SEND(pid, num, 90); /* queued: it does not sleep in between */
    tr_msg *msg = tr_receive_ref(ended, 100);
    TERM_IS(TR_MATCH(msg, tr_down_msg)->reason, "normal");
    SAID("woke with 11 and 20", "woke with 31 and 90");
}

SCENE(hibernate, many_hold_no_stacks_and_can_be_killed)
{
    enum { MANY = 100 };
    static tr_pid pids[MANY];
    for (int i = 0; i < MANY; i++) {
        EXPECT(tr_spawn(NULL, begins, NULL, 0, &pids[i]) == TR_OK);
    }
    tr_sleep(1);
    EXPECT(stacks_in_use() < 3);
    for (int i = 0; i < MANY; i++) {
        tr_exit_signal(tr_to(pids[i]), TR_ATOM(KILL));
    }
    tr_sleep(1);
    EXPECT(!tr_is_alive(pids[0]) && !tr_is_alive(pids[MANY - 1]));
    SAID();
}

static void wakes_by_exit(const void *arg)
{
    (void)arg;
    say("%s", TR_RECEIVE(tr_exit_msg, 0) != NULL ? "an exit" : "nothing");
}

static void traps_and_hibernates(const void *arg)
{
    const num kept = {.n = 5};
    (void)arg;
    tr_trap_exit(true);
    tr_send(tr_to(tr_self()), TR_TYPE(num), &kept);
    (void)TR_RECEIVE(num, 0); /* held, and freed with the frames */
    tr_hibernate(wakes_by_exit, NULL, 0);
}

SCENE(hibernate, a_trapped_exit_is_a_message_and_an_untrapped_one_ends_it)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, traps_and_hibernates, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    tr_exit_signal(tr_to(pid), tr_atom("trapped"));
    tr_sleep(1);
    SAID("an exit");
    EXPECT(tr_spawn(NULL, begins, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    tr_exit_signal(tr_to(pid), tr_atom("bang"));
    EXPECT(!tr_is_alive(pid));
    SAID();
}
