/* gen_stage: demand, buffers, infos, subscriptions; the cases of GenStage's own suite (gen_stage_test), by their names. */
#include "tests/runtime/actors.h"

/* ---- producer-to-consumer demand ---- */

/* [producer-to-consumer demand] with default max and min demand */
SCENE(gen_stage, with_default_max_and_min_demand)
{
    tr_pid p = PLAYS(producer, "p", .count = 1500, .says_demand = true);
    PLAYS(consumer, "c", .to = {SUB(p)});
    settle();
    SAID("p demand 1000", "c 0..499", "c 500..999", "p demand 500", "p demand 500", "c 1000..1499",
         "p demand 500");
}

/* [producer-to-consumer demand] with 80% min demand */
SCENE(gen_stage, with_80_percent_min_demand)
{
    tr_pid p = PLAYS(producer, "p", .count = 140, .says_demand = true);
    PLAYS(consumer, "c", .to = {SUB(p, .min_demand = 80, .max_demand = 100)});
    settle();
    SAID("p demand 100", "c 0..19", "c 20..39", "c 40..59", "c 60..79", "c 80..99", "p demand 20",
         "p demand 20", "p demand 20", "p demand 20", "p demand 20", "c 100..119", "c 120..139",
         "p demand 20", "p demand 20");
}

/* [producer-to-consumer demand] with 1 max and 0 min demand */
SCENE(gen_stage, with_1_max_and_0_min_demand)
{
    tr_pid p = PLAYS(producer, "p", .count = 3, .says_demand = true);
    PLAYS(consumer, "c", .to = {SUB(p, .max_demand = 1)});
    settle();
    SAID("p demand 1", "c 0", "p demand 1", "c 1", "p demand 1", "c 2", "p demand 1");
}

/* [producer-to-consumer demand] with shared (broadcast) demand */
SCENE(gen_stage, with_shared_demand)
{
    tr_pid p = PLAYS(producer, "p", .count = 20, .says_demand = true,
                     .opts = {.dispatcher = {.kind = TR_DISPATCH_BROADCAST}});
    PLAYS(consumer, "c", .to = {SUB(p, .max_demand = 10, .min_demand = TR_DEMAND_NONE)});
    settle();
    SAID("p demand 10", "c 0..9", "p demand 10", "c 10..19", "p demand 10");
    PLAYS(consumer, "d", .to = {SUB(p, .max_demand = 10, .min_demand = TR_DEMAND_NONE)});
    settle();
    TELLS(p, emit, .first = 20, .last = 29);
    SAID("c 20..29", "d 20..29", "p demand 10");
}

/* [producer-to-consumer demand] with shared (broadcast) demand and synchronizer subscriber: one that does not ask holds
 * up all others. */
SCENE(gen_stage, with_shared_demand_and_a_synchronizer)
{
    tr_pid p = PLAYS(producer, "p", .count = 1000, .says_demand = true,
                     .opts = {.dispatcher = {.kind = TR_DISPATCH_BROADCAST}});
    tr_pid brake = PLAYS(consumer, "s", .manual = true, .to = {SUB(p)});
    PLAYS(consumer, "c", .to = {SUB(p, .max_demand = 10, .min_demand = TR_DEMAND_NONE)});
    settle();
    SAID();
    TELLS(brake, ask_for, .count = 1);
    SAID("p demand 1", "s 0", "c 0");
    TELLS(brake, ask_for, .count = 2);
    SAID("p demand 2", "s 1..2", "c 1..2");
}

/* ---- producer-producer_consumer-consumer demand ---- */

/* [producer-producer_consumer-consumer demand] with 80% min demand with init subscription */
SCENE(gen_stage, pipeline_with_80_percent_min_demand)
{
    tr_pid p = PLAYS(producer, "p", .count = 140, .says_demand = true);
    tr_pid b = PLAYS(both, "b", .to = {SUB(p, .min_demand = 80, .max_demand = 100)});
    PLAYS(consumer, "c", .to = {SUB(b, .min_demand = 50, .max_demand = 100)});
    settle();
    SAID("p demand 100", "b 0..19", "b 20..39", "b 40..59", "b 60..79", "b 80..99", "c 0..19", "c 20..39",
         "c 40..59", "c 60..79", "c 80..99", "p demand 20", "p demand 20", "p demand 20", "p demand 20",
         "p demand 20", "b 100..119", "b 120..139", "c 100..119", "c 120..139", "p demand 20", "p demand 20");
}

/* [producer-producer_consumer-consumer demand] with 20% min demand with init subscription */
SCENE(gen_stage, pipeline_with_20_percent_min_demand)
{
    tr_pid p = PLAYS(producer, "p", .count = 180, .says_demand = true);
    tr_pid b = PLAYS(both, "b", .to = {SUB(p, .min_demand = 20, .max_demand = 100)});
    PLAYS(consumer, "c", .to = {SUB(b, .min_demand = 50, .max_demand = 100)});
    settle();
    SAID("p demand 100", "b 0..79", "b 80..99", "c 0..49", "c 50..79", "c 80..99", "p demand 80",
         "b 100..179", "c 100..149", "c 150..179", "p demand 100");
}

/* [producer-producer_consumer-consumer demand] with 80% min demand with late subscription */
SCENE(gen_stage, pipeline_with_late_subscription)
{
    tr_pid p = PLAYS(producer, "p", .count = 100, .says_demand = true);
    tr_pid b = PLAYS(both, "b");
    tr_pid c = PLAYS(consumer, "c", .to = {SUB(b, .min_demand = 50, .max_demand = 100)});
    settle();
    SAID();
    subscribed(b, SUB(p, .min_demand = 80, .max_demand = 100));
    settle();
    SAID("p demand 100", "b 0..19", "b 20..39", "b 40..59", "b 60..79", "b 80..99", "c 0..19", "c 20..39",
         "c 40..59", "c 60..79", "c 80..99", "p demand 20", "p demand 20", "p demand 20", "p demand 20",
         "p demand 20");
    EXPECT(tr_is_alive(c));
}

/* [producer-producer_consumer-consumer demand] stops asking when consumer stops asking */
SCENE(gen_stage, stops_asking_when_the_consumer_stops_asking)
{
    tr_pid p = PLAYS(producer, "p", .count = 1000, .says_demand = true);
    tr_pid b = PLAYS(both, "b", .to = {SUB(p, .min_demand = 8, .max_demand = 10)});
    tr_pid c = PLAYS(consumer, "c", .manual = true, .to = {SUB(b)});
    settle();
    SAID("p demand 10"); /* nothing is handled before it is asked for */
    TELLS(c, ask_for, .count = 4);
    SAID("b 0..1", "b 2..3", "c 0..1", "c 2..3", "p demand 2", "p demand 2");
    settle();
    SAID();
}

/* [producer-producer_consumer-consumer demand] keeps emitting events even when discarded */
SCENE(gen_stage, goes_on_when_it_passes_nothing_on)
{
    tr_pid p = PLAYS(producer, "p", .count = 100);
    tr_pid b = PLAYS(both, "b", .times = -1, .to = {SUB(p, .max_demand = 50)});
    PLAYS(consumer, "c", .to = {SUB(b, .max_demand = 10)});
    settle();
    SAID("b 0..9", "b 10..19", "b 20..29", "b 30..39", "b 40..49", "b 50..59", "b 60..69", "b 70..79",
         "b 80..89", "b 90..99");
}

/* [producer-producer_consumer-consumer demand] with shared (broadcast) demand */
SCENE(gen_stage, pipeline_with_shared_demand)
{
    tr_pid p = PLAYS(producer, "p", .count = 20);
    tr_pid b = PLAYS(both, "b", .to = {SUB(p, .max_demand = 10, .min_demand = TR_DEMAND_NONE)},
                     .opts = {.dispatcher = {.kind = TR_DISPATCH_BROADCAST}});
    tr_pid c = PLAYS(consumer, "c", .manual = true, .to = {SUB(b)});
    PLAYS(consumer, "d", .to = {SUB(b, .max_demand = 30, .min_demand = TR_DEMAND_NONE)});
    settle();
    SAID();
    TELLS(c, ask_for, .count = 20);
    SAID("b 0..9", "c 0..9", "d 0..9", "b 10..19", "c 10..19", "d 10..19");
}

/* [producer-producer_consumer-consumer demand] queued events with lost producer: what waits is handled, then its end. */
SCENE(gen_stage, handles_what_waits_before_the_end_of_its_producer)
{
    tr_pid p = PLAYS(producer, "p", .count = 10);
    tr_pid b = PLAYS(both, "b", .to = {SUB(p, .max_demand = 10, .cancel = TR_CANCEL_TEMPORARY)});
    tr_pid c = PLAYS(consumer, "c", .manual = true, .to = {SUB(b)});
    settle();
    TELLS(c, ask_for, .count = 3);
    EXPECT(tr_gen_server_stop(tr_to(p), TR_ATOM(SHUTDOWN), 5000, NULL) == TR_OK);
    settle();
    SAID("b 0..2", "c 0..2", "p terminate shutdown");
    TELLS(c, ask_for, .count = 10);
    SAID("b 3..7", "b 8..9", "b down shutdown", "c 3..7", "c 8..9");
}

/* ---- demand ---- */

/* [demand] can be set to :accumulate on init; does not combine demands when accumulating */
SCENE(gen_stage, demand_accumulates_ask_by_ask)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true, .opts = {.accumulate = true});
    PLAYS(consumer, "c", .to = {SUB(p, .max_demand = 10)});
    PLAYS(consumer, "d", .to = {SUB(p, .max_demand = 20)});
    settle();
    SAID();
    EXPECT(tr_stage_demand(tr_to(p), false) == TR_OK);
    settle();
    SAID("p demand 10", "p demand 20");
    REPORTED("stage.warned {demand_above_maximum,{10,20,<3.1>}}");
}

/* [demand] can be set to :accumulate via API using broadcast */
SCENE(gen_stage, demand_accumulates_from_now_on)
{
    tr_pid p = PLAYS(producer, "p", .count = 100, .says_demand = true,
                     .opts = {.dispatcher = {.kind = TR_DISPATCH_BROADCAST}});
    EXPECT(tr_stage_demand(tr_to(p), true) == TR_OK);
    tr_pid c = PLAYS(consumer, "c", .manual = true, .to = {SUB(p)});
    TELLS(c, ask_for, .count = 5);
    SAID();
    EXPECT(tr_stage_demand(tr_to(p), false) == TR_OK);
    settle();
    SAID("p demand 5", "c 0..4");
    TELLS(c, ask_for, .count = 1);
    SAID("p demand 1", "c 5");
}

/* [demand] can be set to :forward via API before subscriptions */
SCENE(gen_stage, demand_can_be_forwarded_before_anybody_asks)
{
    tr_pid p = PLAYS(producer, "p", .count = 2, .says_demand = true, .opts = {.accumulate = true});
    EXPECT(tr_stage_demand(tr_to(p), false) == TR_OK);
    PLAYS(consumer, "c", .to = {SUB(p, .max_demand = 2, .min_demand = TR_DEMAND_NONE)});
    settle();
    SAID("p demand 2", "c 0..1", "p demand 2");
}

/* [demand] is not reset when set to :accumulate and is already accumulating */
SCENE(gen_stage, accumulated_demand_is_not_forgotten)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true, .opts = {.accumulate = true});
    PLAYS(consumer, "c", .to = {SUB(p, .max_demand = 7)});
    settle();
    EXPECT(tr_stage_demand(tr_to(p), true) == TR_OK);
    EXPECT(tr_stage_demand(tr_to(p), false) == TR_OK);
    settle();
    SAID("p demand 7");
}

/* ---- buffer ---- */

static uint64_t buffered(tr_pid p)
{
    uint64_t count = 999;
    EXPECT(tr_stage_buffered_count(tr_to(p), 5000, &count) == TR_OK);
    return count;
}

static void overflows(tr_buffer_keep keep, const char *kept, const char *later)
{
    tr_pid p = PLAYS(producer, "p", .opts = {.buffer_size = 5, .buffer_keep = keep});
    TELLS(p, emit, .first = 1, .last = 3);
    TELLS(p, emit, .first = 4, .last = 8);
    SAID("p discarded 3");
    REPORTED("stage.warned {events_discarded,3}");
    EXPECT(buffered(p) == 5);
    PLAYS(consumer, "c", .to = {SUB(p, .max_demand = 5, .min_demand = TR_DEMAND_NONE)});
    settle();
    SAID(kept);
    EXPECT(buffered(p) == 0);
    TELLS(p, emit, .first = 9, .last = 9);
    SAID(later);
}

/* [buffer] emits warning and keeps first when it exceeds configured size */
SCENE(gen_stage, a_full_buffer_keeps_the_first)
{
    overflows(TR_KEEP_FIRST, "c 1..5", "c 9");
}

/* [buffer] emits warning and keeps last when it exceeds configured size */
SCENE(gen_stage, a_full_buffer_keeps_the_last)
{
    overflows(TR_KEEP_LAST, "c 4..8", "c 9");
}

/* [buffer] may have limit set to infinity; returns the correct buffer count when polled */
SCENE(gen_stage, a_buffer_may_have_no_limit)
{
    tr_pid p = PLAYS(producer, "p", .opts = {.buffer_size = TR_INFINITY});
    EXPECT(buffered(p) == 0);
    TELLS(p, emit, .first = 1, .last = 20000);
    EXPECT(buffered(p) == 20000);
    tr_pid by_default = PLAYS(producer, "d");
    TELLS(by_default, emit, .first = 1, .last = 10001);
    EXPECT(buffered(by_default) == 10000);
    SAID("d discarded 1");
    REPORTED("stage.warned {events_discarded,1}");
    tr_pid c = PLAYS(consumer, "c");
    uint64_t count;
    EXPECT(tr_stage_buffered_count(tr_to(c), 5000, &count) == TR_E_STATE);
}

/* [buffer] format_discarded can prevent printing the default log when items are discarded (and allow it: above) */
SCENE(gen_stage, a_discard_need_not_be_reported)
{
    tr_pid p = PLAYS(producer, "p", .mute = true, .opts = {.buffer_size = 1});
    TELLS(p, emit, .first = 1, .last = 3);
    SAID("p discarded 2");
    REPORTED();
}

/* gen_stage buffer_test: discards across several stores keep order; a full buffer of one */
SCENE(gen_stage, a_small_buffer_keeps_order)
{
    tr_pid p = PLAYS(producer, "p", .opts = {.buffer_size = 3});
    for (int64_t n = 1; n <= 7; n += 2) {
        TELLS(p, emit, .first = n, .last = n + 1);
    }
    forget_lines();
    stage.reported.used = 0;
    EXPECT(buffered(p) == 3);
    tr_pid c = PLAYS(consumer, "c", .manual = true, .to = {SUB(p)});
    TELLS(c, ask_for, .count = 2);
    TELLS(p, emit, .first = 9, .last = 9); /* behind what waits */
    SAID("c 6..7");
    TELLS(c, ask_for, .count = 5);
    SAID("c 8..9");
}

/* ---- info ---- */

static void informed(tr_pid p)
{
    EXPECT(tr_stage_sync_info(tr_to(p), TR_TYPE(hello), &(hello){{}}, 5000) == TR_OK);
    settle();
}

/* [info] delivers info to producer immediately when there is no buffer */
SCENE(gen_stage, an_info_comes_at_once_without_buffer)
{
    tr_pid p = PLAYS(producer, "p");
    informed(p);
    SAID("p info hello");
    EXPECT(tr_stage_async_info(tr_to(p), TR_TYPE(done), &(done){{}}) == TR_OK);
    settle();
    SAID("p info done");
}

/* [info] delivers info to producer_consumer immediately when there is no incoming buffer, when there is incoming buffer */
SCENE(gen_stage, an_info_does_not_wait_for_input)
{
    tr_pid p = PLAYS(producer, "p", .count = 10);
    tr_pid b = PLAYS(both, "b");
    informed(b);
    SAID("b info hello");
    subscribed(b, SUB(p));
    settle();
    informed(b); /* with ten events that nobody asked for */
    SAID("b info hello");
}

/* [info] delivers info to producer eventually with one-item, mid filled, filled buffer; gen_stage buffer_test: does not
 * count permanent events in size estimate, interleaves temporary and permanent events correctly */
SCENE(gen_stage, an_info_waits_for_the_events_before_it)
{
    tr_pid p = PLAYS(producer, "p", .opts = {.buffer_size = 3});
    tr_pid c = PLAYS(consumer, "c", .manual = true, .to = {SUB(p)});
    TELLS(p, emit, .first = 1, .last = 1);
    informed(p);
    TELLS(p, emit, .first = 2, .last = 3);
    informed(p);
    EXPECT(buffered(p) == 3);
    SAID();
    TELLS(c, ask_for, .count = 1);
    SAID("p info hello", "c 1");
    TELLS(c, ask_for, .count = 1);
    SAID("c 2");
    TELLS(c, ask_for, .count = 1);
    SAID("p info hello", "c 3");
}

/* [info] delivers info to producer eventually when dropping buffer; gen_stage buffer_test: emits permanent events when they
 * are displaced by new temporaries */
SCENE(gen_stage, an_info_comes_when_the_events_before_it_are_discarded)
{
    tr_pid p = PLAYS(producer, "p", .mute = true, .opts = {.buffer_size = 2});
    TELLS(p, emit, .first = 1, .last = 2);
    informed(p);
    TELLS(p, emit, .first = 3, .last = 3);
    SAID("p discarded 1");
    TELLS(p, emit, .first = 4, .last = 4);
    SAID("p discarded 1", "p info hello");
}

/* [info] delivers multiple info to producer in FIFO order; gen_stage buffer_test: maintains FIFO order for permanent events
 * stored at same position */
SCENE(gen_stage, infos_keep_their_order)
{
    tr_pid p = PLAYS(producer, "p");
    TELLS(p, emit, .first = 1, .last = 1);
    informed(p);
    EXPECT(tr_stage_async_info(tr_to(p), TR_TYPE(done), &(done){{}}) == TR_OK);
    informed(p);
    SAID();
    PLAYS(consumer, "c", .to = {SUB(p)});
    settle();
    SAID("p info hello", "p info done", "p info hello", "c 1");
    tr_pid c = PLAYS(consumer, "c");
    EXPECT(tr_stage_sync_info(tr_to(c), TR_TYPE(hello), &(hello){{}}, 5000) == TR_E_STATE);
}
