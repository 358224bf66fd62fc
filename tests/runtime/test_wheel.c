/* The timer wheel against a model: what is pending, sorted by deadline and by order of addition. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/wheel.h"

typedef struct timer {
    tr__wheel_node node; /* first: the callback casts */
    uint64_t added;      /* order of addition; 0: not in the wheel */
    int fired;
} timer;

static struct {
    tr__wheel *wheel;
    uint64_t additions;
    int64_t last_deadline_ms;
    uint64_t last_added;
    size_t fired;
    bool in_order;
} at;

static void on_fire(tr__wheel_node *node)
{
    timer *self = (timer *)node;
    bool later = node->deadline_ms > at.last_deadline_ms ||
                 (node->deadline_ms == at.last_deadline_ms && self->added > at.last_added);
    at.in_order = at.in_order && later && !tr__wheel_pending(node);
    at.last_deadline_ms = node->deadline_ms;
    at.last_added = self->added;
    at.fired++;
    self->added = 0;
    self->fired++;
}

static void begin(int64_t now_ms)
{
    memset(&at, 0, sizeof at);
    at.wheel = tr__wheel_create(now_ms);
    at.last_deadline_ms = INT64_MIN;
    at.in_order = true;
}

static void end(void)
{
    tr__wheel_destroy(at.wheel);
}

static void add(timer *self, int64_t deadline_ms)
{
    self->node.deadline_ms = deadline_ms;
    self->node.fire = on_fire;
    self->added = ++at.additions;
    tr__wheel_add(at.wheel, &self->node);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Mostly near, sometimes far, sometimes past, often equal to others. */
static int64_t random_delay(uint64_t *state)
{
    uint64_t r = next_random(state);
    switch (r % 8) {
    case 0:
        return 0;
    case 1:
        return -(int64_t)((r >> 8) % 5);
    case 2:
        return (int64_t)((r >> 8) % 8);
    case 3:
        return (int64_t)((r >> 8) % 300);
    case 4:
        return 256 * (int64_t)((r >> 8) % 4);
    case 5:
        return (int64_t)((r >> 8) % 70000);
    case 6:
        return (int64_t)((r >> 8) % (1 << 25));
    default:
        return (int64_t)((r >> 8) % ((uint64_t)1 << 40));
    }
}

/* ---- against the model ------------------------------------------------------------------------------------------- */
enum { TIMERS = 400 };

static timer timers[TIMERS];

static int64_t model_next(void)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        if (timers[i].added != 0 && timers[i].node.deadline_ms < least) {
            least = timers[i].node.deadline_ms;
        }
    }
    return least;
}

/* How many are due at now_ms, and how many pending at all. */
static size_t model_due(int64_t now_ms, size_t *pending)
{
    size_t due = 0;
    *pending = 0;
    for (int i = 0; i < TIMERS; i++) {
        *pending += timers[i].added != 0 ? 1 : 0;
        due += timers[i].added != 0 && timers[i].node.deadline_ms <= now_ms ? 1 : 0;
    }
    return due;
}

/* Advances with a limit or without, and compares what happened. Order: on_fire. */
static void advance_and_check(int64_t now_ms, uint64_t r)
{
    size_t pending;
    size_t due = model_due(now_ms, &pending);
    size_t limit = r % 3 == 0 ? 1 + (r >> 4) % 5 : 0;
    at.last_deadline_ms = INT64_MIN; /* order counts within one advance */
    size_t fired = tr__wheel_advance(at.wheel, now_ms, limit);
    cr_assert_eq(fired, limit != 0 && limit < due ? limit : due);
    cr_assert(at.in_order);
    size_t left;
    size_t still_due = model_due(now_ms, &left);
    cr_assert_eq(still_due, due - fired);
    cr_assert_eq(left, pending - fired);
    cr_assert_eq(tr__wheel_count(at.wheel), left);
}

Test(wheel, agrees_with_a_sorted_list_over_a_million_operations)
{
    uint64_t state = 2463534242u;
    int64_t now_ms = 12345;
    begin(now_ms);
    for (int step = 0; step < 1000000; step++) {
        uint64_t r = next_random(&state);
        timer *self = &timers[(r >> 8) % TIMERS];
        if (self->added == 0) {
            add(self, now_ms + random_delay(&state));
        } else if (r % 4 != 0) {
            tr__wheel_remove(at.wheel, &self->node);
            self->added = 0;
            cr_assert_not(tr__wheel_pending(&self->node));
        }
        if (r % 64 == 1) {
            int64_t next_ms = model_next();
            cr_assert_eq(tr__wheel_next(at.wheel), next_ms);
            int64_t delay = r % 3 == 0 ? random_delay(&state) : 0;
            int64_t target = r % 2 == 0 && next_ms != INT64_MAX ? next_ms : now_ms + delay;
            now_ms = target > now_ms ? target : now_ms;
            advance_and_check(now_ms, r >> 16);
            cr_assert_eq(tr__wheel_next(at.wheel), model_next());
        }
    }
    cr_assert_gt(at.fired, 1000);
    end();
}

/* ---- single rules ------------------------------------------------------------------------------------------------ */
Test(wheel, equal_deadlines_fire_in_order_of_addition_across_levels)
{
    timer group[6] = {0};
    begin(0);
    add(&group[0], 70000); /* level 2 */
    tr__wheel_advance(at.wheel, 65536, 0);
    add(&group[1], 70000); /* level 1, behind the one that was dealt out */
    tr__wheel_advance(at.wheel, 69900, 0);
    add(&group[2], 70000); /* level 0 */
    tr__wheel_advance(at.wheel, 69999, 0);
    cr_assert_eq(at.fired, 0);
    add(&group[3], 70000);
    add(&group[4], 69990); /* past already: before the others */
    cr_assert_eq(tr__wheel_advance(at.wheel, 70000, 0), 5);
    cr_assert(at.in_order);
    end();
}

Test(wheel, never_fires_early_and_always_at_its_millisecond)
{
    const int64_t deadlines[] = {1,
                                 255,
                                 256,
                                 257,
                                 511,
                                 512,
                                 65535,
                                 65536,
                                 65537,
                                 16777215,
                                 16777216,
                                 ((int64_t)1 << 32) - 1,
                                 (int64_t)1 << 32,
                                 ((int64_t)1 << 48) - 1,
                                 (int64_t)1 << 48,
                                 INT64_MAX - 1};
    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
        timer one = {0};
        begin(0);
        add(&one, deadlines[i]);
        cr_assert_eq(tr__wheel_next(at.wheel), deadlines[i]);
        cr_assert_eq(tr__wheel_advance(at.wheel, deadlines[i] - 1, 0), 0);
        cr_assert_eq(tr__wheel_next(at.wheel), deadlines[i]);
        cr_assert_eq(tr__wheel_advance(at.wheel, deadlines[i], 0), 1);
        cr_assert_eq(tr__wheel_next(at.wheel), INT64_MAX);
        end();
    }
}

Test(wheel, a_deadline_that_is_past_fires_at_the_next_advance)
{
    timer two[2] = {0};
    begin(1000);
    add(&two[0], 1000);
    add(&two[1], 3);
    cr_assert_eq(tr__wheel_next(at.wheel), 3);
    cr_assert_eq(tr__wheel_advance(at.wheel, 1000, 0), 2);
    cr_assert(at.in_order);
    end();
}

Test(wheel, advancing_by_hours_fires_everything_in_order)
{
    enum { COUNT = 20000 };
    static timer many[COUNT];
    uint64_t state = 99;
    begin(777);
    for (int i = 0; i < COUNT; i++) {
        add(&many[i], 777 + (int64_t)(next_random(&state) % (48u * 3600u * 1000u)));
    }
    cr_assert_eq(tr__wheel_advance(at.wheel, 777 + (int64_t)1000 * 3600 * 1000, 0), COUNT);
    cr_assert(at.in_order);
    cr_assert_eq(tr__wheel_count(at.wheel), 0);
    end();
}

static struct {
    timer first, second, third;
} chain;

static void fire_and_add_due(tr__wheel_node *node)
{
    on_fire(node);
    add(&chain.second, node->deadline_ms + 1);
    tr__wheel_remove(at.wheel, &chain.third.node);
    chain.third.added = 0;
}

Test(wheel, a_callback_may_add_and_remove_others)
{
    begin(0);
    add(&chain.first, 10);
    add(&chain.third, 500);
    chain.first.node.fire = fire_and_add_due;
    cr_assert_eq(tr__wheel_advance(at.wheel, 1000, 0), 2);
    cr_assert_eq(chain.second.fired, 1);
    cr_assert_eq(chain.third.fired, 0);
    cr_assert(at.in_order);
    end();
}

static void fire_and_free(tr__wheel_node *node)
{
    at.fired++;
    free(node);
}

Test(wheel, a_callback_may_free_its_node)
{
    begin(0);
    for (int i = 0; i < 100; i++) {
        timer *self = calloc(1, sizeof *self);
        add(self, i % 7);
        self->node.fire = fire_and_free;
    }
    cr_assert_eq(tr__wheel_advance(at.wheel, 10, 0), 100);
    cr_assert_eq(at.fired, 100);
    end();
}

static void fire_and_repeat(tr__wheel_node *node)
{
    on_fire(node);
    add((timer *)node, node->deadline_ms + 10);
}

Test(wheel, an_interval_catches_up_within_one_advance)
{
    timer one = {0};
    begin(0);
    add(&one, 10);
    one.node.fire = fire_and_repeat;
    timer *self = &one;
    for (int i = 0; i < 3; i++) {
        self->node.fire = fire_and_repeat;
        tr__wheel_advance(at.wheel, 10 * (i + 1), 0);
    }
    cr_assert_eq(one.fired, 3);
    cr_assert_eq(tr__wheel_next(at.wheel), 40);
    end();
}

Test(wheel, the_limit_leaves_the_rest_for_the_next_advance)
{
    timer group[10] = {0};
    begin(0);
    for (int i = 0; i < 10; i++) {
        add(&group[i], 5 + i / 2);
    }
    cr_assert_eq(tr__wheel_advance(at.wheel, 100, 3), 3);
    cr_assert_eq(tr__wheel_next(at.wheel), 6);
    timer late = {0};
    add(&late, 6); /* behind the one of 6 that waits */
    cr_assert_eq(tr__wheel_advance(at.wheel, 100, 0), 8);
    cr_assert(at.in_order);
    end();
}
