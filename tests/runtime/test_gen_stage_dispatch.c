/* gen_stage: the dispatchers; the cases of demand_dispatcher_test, broadcast_dispatcher_test and
 * partition_dispatcher_test, by their names. The producer emits what a message says; consumers ask by hand. */
#include "tests/runtime/actors.h"

#define BY(how, ...)                                              \
    {                                                             \
        .dispatcher = {.kind = TR_DISPATCH_##how, ##__VA_ARGS__ } \
    }
#define HAND(as, ...) \
    PLAYS(consumer, as, .manual = true, .to = {SUB(__VA_ARGS__, .cancel = TR_CANCEL_TEMPORARY)})

static uint64_t buffered(tr_pid p)
{
    uint64_t count = 999;
    EXPECT(tr_stage_buffered_count(tr_to(p), 5000, &count) == TR_OK);
    return count;
}

/* ---- demand_dispatcher_test ---- */

/* subscribes and cancels; subscribes, asks and cancels: open demand of who went counts against later asks */
SCENE(gen_stage_dispatch, demand_of_who_cancelled_is_not_asked_for_again)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true);
    tr_pid c = HAND("c", p);
    TELLS(c, ask_for, .count = 10);
    SAID("p demand 10");
    TELLS(c, cancel_it);
    SAID("p cancel bored", "c cancel bored");
    tr_pid d = HAND("d", p);
    TELLS(d, ask_for, .count = 4);
    SAID();
    TELLS(d, ask_for, .count = 8);
    SAID("p demand 2");
    TELLS(p, emit, .first = 1, .last = 12);
    SAID("d 1..12");
    EXPECT(buffered(p) == 0);
}

/* What came while nobody was there is served first, whatever is pending. */
SCENE(gen_stage_dispatch, events_for_who_cancelled_go_to_the_next)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true);
    tr_pid c = HAND("c", p);
    TELLS(c, ask_for, .count = 10);
    TELLS(c, cancel_it);
    TELLS(p, emit, .first = 1, .last = 10);
    EXPECT(buffered(p) == 10);
    forget_lines();
    tr_pid d = HAND("d", p);
    TELLS(d, ask_for, .count = 10);
    SAID("d 1..10");
    TELLS(d, ask_for, .count = 1);
    SAID("p demand 1");
}

/* subscribes, asks and dispatches */
SCENE(gen_stage_dispatch, what_nobody_asked_for_waits)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true);
    tr_pid c = HAND("c", p);
    TELLS(c, ask_for, .count = 3);
    TELLS(p, emit, .first = 1, .last = 1);
    TELLS(p, emit, .first = 2, .last = 5);
    SAID("p demand 3", "c 1", "c 2..3");
    TELLS(c, ask_for, .count = 3);
    SAID("p demand 1", "c 4..5");
    TELLS(p, emit, .first = 6, .last = 7);
    SAID("c 6");
}

/* subscribes, asks multiple consumers; subscribes, asks and dispatches to multiple consumers */
SCENE(gen_stage_dispatch, the_highest_demand_comes_first_and_then_the_oldest)
{
    tr_pid p = PLAYS(producer, "p", .opts = BY(DEMAND, .max_demand = 10));
    tr_pid c = HAND("c", p), d = HAND("d", p), e = HAND("e", p);
    TELLS(c, ask_for, .count = 4);
    TELLS(d, ask_for, .count = 2);
    TELLS(e, ask_for, .count = 3);
    TELLS(p, emit, .first = 1, .last = 9);
    SAID("c 1..4", "e 5..7", "d 8..9");
    TELLS(d, ask_for, .count = 3);
    TELLS(c, ask_for, .count = 3);
    TELLS(p, emit, .first = 1, .last = 1);
    SAID("d 1");
    TELLS(p, emit, .first = 2, .last = 7);
    SAID("c 2..4", "d 5..6");
    EXPECT(buffered(p) == 1);
}

/* delivers info to current process */
SCENE(gen_stage_dispatch, infos_by_demand_and_broadcast_come_at_once)
{
    tr_stage_opts both_kinds[] = {BY(DEMAND), BY(BROADCAST)};
    for (int i = 0; i < 2; i++) {
        tr_pid p = PLAYS(producer, "p", .opts = both_kinds[i]);
        HAND("c", p);
        EXPECT(tr_stage_sync_info(tr_to(p), TR_TYPE(hello), &(hello){{}}, 5000) == TR_OK);
        settle();
        SAID("p info hello");
    }
}

/* warns on demand mismatch */
SCENE(gen_stage_dispatch, asks_above_the_first_are_reported)
{
    tr_pid p = PLAYS(producer, "p");
    tr_pid c = HAND("c", p), d = HAND("d", p);
    TELLS(c, ask_for, .count = 5);
    TELLS(d, ask_for, .count = 5);
    REPORTED();
    TELLS(d, ask_for, .count = 6);
    char text[128];
    snprintf(text, sizeof text, "stage.warned {demand_above_maximum,{5,6,%s}}", tr_term_text(tr_pid_term(d)));
    REPORTED(text);
    tr_pid q = PLAYS(producer, "q", .opts = BY(DEMAND, .max_demand = 7));
    tr_pid e = HAND("e", q);
    TELLS(e, ask_for, .count = 5);
    TELLS(e, ask_for, .count = 7);
    REPORTED();
}

/* shuffle_demands_on_first_dispatch: whoever is first, all get theirs */
SCENE(gen_stage_dispatch, the_first_dispatch_may_be_in_any_order)
{
    tr_pid p = PLAYS(producer, "p", .opts = BY(DEMAND, .shuffle = true));
    tr_pid all[] = {HAND("c", p), HAND("d", p), HAND("e", p)};
    for (int i = 0; i < 3; i++) {
        TELLS(all[i], ask_for, .count = 1);
    }
    TELLS(p, emit, .first = 1, .last = 4);
    EXPECT(stage.said.used == strlen("c 1\nd 2\ne 3\n"));
    EXPECT(strstr(stage.said.text, "c ") && strstr(stage.said.text, "d ") && strstr(stage.said.text, "e "));
    forget_lines();
    EXPECT(buffered(p) == 1);
}

/* ---- broadcast_dispatcher_test ---- */

/* subscribes and cancels; multiple subscriptions with early demand; subscribes, asks and dispatches to multiple
 * consumers */
SCENE(gen_stage_dispatch, all_get_what_all_asked_for)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true, .opts = BY(BROADCAST));
    tr_pid c = HAND("c", p), d = HAND("d", p);
    TELLS(c, ask_for, .count = 10);
    SAID();
    TELLS(d, ask_for, .count = 4);
    SAID("p demand 4");
    TELLS(d, ask_for, .count = 16);
    SAID("p demand 6");
    TELLS(p, emit, .first = 1, .last = 12);
    SAID("c 1..10", "d 1..10");
    EXPECT(buffered(p) == 2);
    TELLS(c, ask_for, .count = 3);
    SAID("p demand 1", "c 11..12", "d 11..12");
}

/* multiple subscriptions with late demand: who comes later asks for what was handed on before, and gets nothing until
 * then */
SCENE(gen_stage_dispatch, who_comes_later_is_waited_for)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true, .opts = BY(BROADCAST));
    tr_pid c = HAND("c", p);
    TELLS(c, ask_for, .count = 10);
    SAID("p demand 10");
    tr_pid d = HAND("d", p);
    TELLS(p, emit, .first = 1, .last = 10);
    SAID();
    TELLS(d, ask_for, .count = 4);
    SAID("c 1..4", "d 1..4");
    TELLS(d, ask_for, .count = 8);
    SAID("c 5..10", "d 5..10");
    TELLS(c, ask_for, .count = 5);
    SAID("p demand 2");
}

/* subscribes, asks, cancels, and dispatcher reuses events for another subscriber */
SCENE(gen_stage_dispatch, demand_handed_on_serves_the_next_subscriber)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true, .opts = BY(BROADCAST));
    tr_pid c = HAND("c", p);
    TELLS(c, ask_for, .count = 10);
    TELLS(c, cancel_it);
    SAID("p demand 10", "p cancel bored", "c cancel bored");
    tr_pid d = HAND("d", p);
    TELLS(d, ask_for, .count = 10);
    SAID();
    TELLS(p, emit, .first = 1, .last = 10);
    SAID("d 1..10");
    TELLS(d, ask_for, .count = 2);
    SAID("p demand 2");
}

/* cancels blocking subscriber while there is already a requested demand */
SCENE(gen_stage_dispatch, the_end_of_the_slowest_frees_the_others)
{
    tr_pid p = PLAYS(producer, "p", .count = 100, .says_demand = true, .opts = BY(BROADCAST));
    tr_pid c = HAND("c", p), slow = HAND("s", p);
    TELLS(c, ask_for, .count = 5);
    SAID();
    tr_exit_signal(tr_to(slow), TR_ATOM(KILL));
    settle();
    SAID("p down killed", "p demand 5", "c 0..4");
}

static bool is_even(const tr_stage_event *event, tr_term unused)
{
    (void)unused;
    return TR_EVENT_MATCH(event, number)->n % 2 == 0;
}

static bool is_divisible(const tr_stage_event *event, tr_term by)
{
    return TR_EVENT_MATCH(event, number)->n % tr_int_value(tr_map_get(by, tr_atom("by"))) == 0;
}

/* subscribing with a selector function: what it does not want is asked for again in its name */
SCENE(gen_stage_dispatch, selectors_pick_their_events)
{
    tr_term five = tr_atom("by");
    tr_pid p = PLAYS(producer, "p", .count = 12, .opts = BY(BROADCAST));
    EXPECT(tr_stage_demand(tr_to(p), true) == TR_OK);
    PLAYS(consumer, "all", .to = {SUB(p, .max_demand = 4, .min_demand = TR_DEMAND_NONE)});
    PLAYS(consumer, "even",
          .to = {SUB(p, .max_demand = 4, .min_demand = TR_DEMAND_NONE, .selector = is_even)});
    tr_pid f = PLAYS(consumer, "five");
    tr_scratch_mark mark = tr_scratch();
    tr_term pair[] = {five, tr_int(5)};
    subscribed(f, SUB(p, .max_demand = 4, .min_demand = TR_DEMAND_NONE, .selector = is_divisible,
                      .selector_arg = tr_map_n(1, pair)));
    tr_scratch_release(mark);
    settle();
    EXPECT(tr_stage_demand(tr_to(p), false) == TR_OK);
    tr_sleep(10);
    SAID("all 0..3", "even 0..2", "five 0", "all 4..5", "all 6", "even 4", "even 6", "five 5", "all 7",
         "all 8..9", "all 10..11", "even 8", "even 10", "five 10");
}

/* ---- partition_dispatcher_test ---- */

static int64_t by_parity(const tr_stage_event *event, uint32_t partitions)
{
    EXPECT(partitions == 2);
    return TR_EVENT_MATCH(event, number)->n % 2;
}

static int64_t small_or_none(const tr_stage_event *event, uint32_t partitions)
{
    (void)partitions;
    return TR_EVENT_MATCH(event, number)->n < 3 ? 0 : TR_PARTITION_NONE;
}

static int64_t nowhere(const tr_stage_event *event, uint32_t partitions)
{
    (void)event;
    return partitions;
}

static void odd_and_even(tr_pid p, tr_pid *even, tr_pid *odd)
{
    *even = HAND("even", p, .partition = 0);
    *odd = HAND("odd", p, .partition = 1);
}

/* subscribes, asks and cancels; subscribes, asks and dispatches to custom partitions */
SCENE(gen_stage_dispatch, events_go_to_their_partition)
{
    tr_pid even, odd;
    tr_pid p =
        PLAYS(producer, "p", .says_demand = true, .opts = BY(PARTITION, .partitions = 2, .hash = by_parity));
    odd_and_even(p, &even, &odd);
    TELLS(even, ask_for, .count = 3);
    TELLS(odd, ask_for, .count = 2);
    SAID("p demand 3", "p demand 2");
    for (int64_t n = 1; n <= 5; n++) {
        TELLS(p, emit, .first = n, .last = n);
    }
    SAID("odd 1", "even 2", "odd 3", "even 4"); /* 5 waits for the odd one, in its queue */
    EXPECT(buffered(p) == 0);
    TELLS(odd, ask_for, .count = 2);
    SAID("p demand 2", "odd 5");
    TELLS(even, cancel_it);
    SAID("p cancel bored", "even cancel bored");
    even = HAND("even", p, .partition = 0);
    TELLS(even, ask_for, .count = 4);
    SAID("p demand 3"); /* one was still open */
}

/* subscribes, asks and dispatches to partitions or none */
SCENE(gen_stage_dispatch, a_partition_may_be_none)
{
    tr_pid p =
        PLAYS(producer, "p", .count = 9, .opts = BY(PARTITION, .partitions = 1, .hash = small_or_none));
    tr_pid c = HAND("c", p);
    TELLS(c, ask_for, .count = 6);
    SAID("c 0..2");
    EXPECT(buffered(p) == 0);
}

/* buffers events before subscription */
SCENE(gen_stage_dispatch, events_wait_for_their_partition)
{
    tr_pid even, odd;
    tr_pid p = PLAYS(producer, "p", .opts = BY(PARTITION, .partitions = 2, .hash = by_parity));
    TELLS(p, emit, .first = 1, .last = 1);
    odd_and_even(p, &even, &odd);
    EXPECT(buffered(p) == 1);
    TELLS(even, ask_for, .count = 5);
    EXPECT(buffered(p) == 0); /* it is where nobody asked yet */
    TELLS(odd, ask_for, .count = 5);
    SAID("odd 1");
}

/* subscribes, asks and cancels with buffer: what was queued for who goes is lost, and asked for anew */
SCENE(gen_stage_dispatch, what_is_queued_for_who_goes_is_asked_for_anew)
{
    tr_pid even, odd;
    tr_pid p =
        PLAYS(producer, "p", .says_demand = true, .opts = BY(PARTITION, .partitions = 2, .hash = by_parity));
    odd_and_even(p, &even, &odd);
    TELLS(even, ask_for, .count = 3);
    TELLS(p, emit, .first = 1, .last = 1);
    TELLS(p, emit, .first = 3, .last = 3);
    SAID("p demand 3");
    EXPECT(buffered(p) == 0);
    tr_exit_signal(tr_to(odd), TR_ATOM(KILL));
    settle();
    SAID("p down killed", "p demand 2");
    TELLS(p, emit, .first = 2, .last = 2);
    SAID("even 2");
}

/* delivers info to current process; queues info to backed up consumers */
SCENE(gen_stage_dispatch, infos_wait_for_all_partitions)
{
    tr_pid even, odd;
    tr_pid p = PLAYS(producer, "p", .opts = BY(PARTITION, .partitions = 2, .hash = by_parity));
    odd_and_even(p, &even, &odd);
    EXPECT(tr_stage_sync_info(tr_to(p), TR_TYPE(hello), &(hello){{}}, 5000) == TR_OK);
    settle();
    SAID("p info hello");
    TELLS(even, ask_for, .count = 3);
    TELLS(p, emit, .first = 1, .last = 1);
    TELLS(p, emit, .first = 3, .last = 3);
    EXPECT(tr_stage_sync_info(tr_to(p), TR_TYPE(hello), &(hello){{}}, 5000) == TR_OK);
    settle();
    SAID();
    TELLS(odd, ask_for, .count = 1);
    SAID("odd 1");
    TELLS(odd, ask_for, .count = 1);
    SAID("p info hello", "odd 3");
    TELLS(p, emit, .first = 5, .last = 5);
    EXPECT(tr_stage_sync_info(tr_to(p), TR_TYPE(hello), &(hello){{}}, 5000) == TR_OK);
    tr_exit_signal(tr_to(odd), TR_ATOM(KILL)); /* with its queue goes what the info waited for */
    settle();
    SAID("p down killed", "p info hello");
}

/* raises on unknown partition; errors if the :hash function returns a bad value */
SCENE(gen_stage_dispatch, a_partition_that_does_not_exist_ends_the_producer)
{
    tr_pid p = PLAYS(producer, "p", .count = 9, .opts = BY(PARTITION, .partitions = 2, .hash = nowhere));
    tr_ref end = tr_monitor(tr_to(p), NULL);
    tr_pid c = HAND("c", p);
    TR_CAST(c, ask_for, .count = 1);
    tr_msg *down = tr_receive_ref(end, 5000);
    TERM_IS(TR_MATCH(down, tr_down_msg)->reason, "{unknown_partition,2}");
    settle();
    SAID("p terminate {unknown_partition,2}", "c down {unknown_partition,2}");
    stage.reported.used = 0;
}

/* errors on subscribe: a cancel to who asked for it; the producer goes on */
SCENE(gen_stage_dispatch, a_partition_has_one_consumer)
{
    tr_pid p = PLAYS(producer, "p", .opts = BY(PARTITION, .partitions = 2));
    tr_pid c = HAND("c", p, .partition = 1);
    settle();
    HAND("d", p, .partition = 1);
    HAND("e", p, .partition = 2);
    settle();
    char taken[128];
    snprintf(taken, sizeof taken, "d cancel {partition_taken,1,%s}", tr_term_text(tr_pid_term(c)));
    SAID(taken, "e cancel {unknown_partition,2}");
    tr_exit_signal(tr_to(c), TR_ATOM(KILL));
    settle();
    HAND("f", p, .partition = 1);
    settle();
    SAID("p down killed");
}

/* The default: by hash, the same event always to the same partition. */
SCENE(gen_stage_dispatch, the_default_hash_is_stable_and_uses_all_partitions)
{
    tr_pid p = PLAYS(producer, "p", .opts = BY(PARTITION, .partitions = 2));
    tr_pid c = HAND("c", p, .partition = 0), d = HAND("d", p, .partition = 1);
    TELLS(c, ask_for, .count = 100);
    TELLS(d, ask_for, .count = 100);
    static char first[sizeof stage.said.text];
    for (int round = 0; round < 2; round++) {
        for (int64_t n = 0; n < 16; n++) {
            TELLS(p, emit, .first = n, .last = n);
        }
        EXPECT(strstr(stage.said.text, "c ") != NULL && strstr(stage.said.text, "d ") != NULL);
        EXPECT(round == 0 || strcmp(first, stage.said.text) == 0);
        memcpy(first, stage.said.text, sizeof first);
        forget_lines();
    }
}

/* ---- events with terms, through all hops ---- */

typedef struct poet {
    int lines;
} poet;

static tr_next poet_handle_demand(poet *self, uint64_t demand)
{
    for (; demand > 0 && self->lines < 3; demand--) {
        tr_term line = tr_tuple(tr_int(++self->lines), tr_string("a text that does not fit into a word"));
        TR_EMIT(self, tr_term_msg, .value = line);
    }
    return TR_NOREPLY;
}

static tr_next editor_handle_events(poet *self, tr_stage_from from, const tr_stage_event *events,
                                    size_t count)
{
    (void)from;
    for (size_t i = 0; i < count; i++) {
        const tr_term_msg *line = TR_EVENT_MATCH(&events[i], tr_term_msg);
        TR_EMIT(self, tr_term_msg, .value = tr_list(line->value, tr_atom("edited")));
    }
    return TR_NOREPLY;
}

static tr_next reader_handle_events(poet *self, tr_stage_from from, const tr_stage_event *events,
                                    size_t count)
{
    (void)from;
    self->lines += (int)count;
    for (size_t i = 0; i < count; i++) {
        say("%s", tr_term_text(TR_EVENT_MATCH(&events[i], tr_term_msg)->value));
    }
    return TR_NOREPLY;
}

typedef poet editor;
typedef poet reader;
TR_GEN_STAGE(poet, .type = TR_PRODUCER, .handle_demand = poet_handle_demand);
TR_GEN_STAGE(editor, .type = TR_PRODUCER_CONSUMER, .handle_events = editor_handle_events);
TR_GEN_STAGE(reader, .type = TR_CONSUMER, .handle_events = reader_handle_events);

SCENE(gen_stage_dispatch, events_carry_terms)
{
    tr_pid stages[3];
    const tr_gen_stage *kinds[] = {poet_stage, editor_stage, reader_stage};
    for (int i = 0; i < 3; i++) {
        EXPECT(tr_stage_start(kinds[i], NULL, 0, NULL, &started) == TR_OK);
        stages[i] = started.pid;
    }
    subscribed(stages[2], SUB(stages[1]));
    subscribed(stages[1], SUB(stages[0], .max_demand = 2, .min_demand = TR_DEMAND_NONE));
    settle();
    SAID("[{1,\"a text that does not fit into a word\"},edited]",
         "[{2,\"a text that does not fit into a word\"},edited]",
         "[{3,\"a text that does not fit into a word\"},edited]");
}
