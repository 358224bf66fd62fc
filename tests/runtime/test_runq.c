/* The run queue, seen by one thread. */
#include <criterion/criterion.h>

#include "runtime/core/runq.h"

static struct tr__proc *item(uintptr_t number)
{
    return (struct tr__proc *)number;
}

static tr__runq queue;
static tr__runq other;

static void begin_at(uint32_t position)
{
    queue = (tr__runq){.head = position, .tail = position};
    other = (tr__runq){.head = 7, .tail = 7};
}

Test(runq, gives_back_in_order_and_then_nothing)
{
    begin_at(UINT32_MAX - 2); /* the counters wrap */
    for (uintptr_t i = 1; i <= 10; i++) {
        cr_assert(tr__runq_push(&queue, item(i)));
    }
    cr_assert(tr__runq_count(&queue) == 10);
    for (uintptr_t i = 1; i <= 10; i++) {
        cr_assert(tr__runq_pop(&queue) == item(i));
    }
    cr_assert(tr__runq_pop(&queue) == NULL);
}

Test(runq, refuses_one_more_than_its_room)
{
    begin_at(0);
    for (uintptr_t i = 1; i <= TR__RUNQ_ROOM; i++) {
        cr_assert(tr__runq_push(&queue, item(i)));
    }
    cr_assert(!tr__runq_push(&queue, item(1000)));
    cr_assert(tr__runq_pop(&queue) == item(1));
    cr_assert(tr__runq_push(&queue, item(1000)));
}

Test(runq, a_thief_takes_the_older_half)
{
    for (uint32_t count = 1; count <= TR__RUNQ_ROOM; count++) {
        begin_at(UINT32_MAX - 100);
        for (uintptr_t i = 1; i <= count; i++) {
            cr_assert(tr__runq_push(&queue, item(i)));
        }
        cr_assert(tr__runq_steal(&other, &queue) == item(1));
        uint32_t half = count - count / 2;
        cr_assert(tr__runq_count(&other) == half - 1);
        cr_assert(tr__runq_count(&queue) == count - half);
        for (uintptr_t i = 2; i <= half; i++) {
            cr_assert(tr__runq_pop(&other) == item(i));
        }
        for (uintptr_t i = half + 1; i <= count; i++) {
            cr_assert(tr__runq_pop(&queue) == item(i));
        }
    }
}

Test(runq, a_thief_takes_no_more_than_it_has_room_for)
{
    begin_at(0);
    for (uintptr_t i = 1; i <= TR__RUNQ_ROOM; i++) {
        cr_assert(tr__runq_push(&queue, item(i)));
    }
    for (uintptr_t i = 1; i <= TR__RUNQ_ROOM - 3; i++) {
        cr_assert(tr__runq_push(&other, item(5000 + i)));
    }
    cr_assert(tr__runq_steal(&other, &queue) == item(1));
    cr_assert(tr__runq_count(&other) == TR__RUNQ_ROOM);
    cr_assert(tr__runq_count(&queue) == TR__RUNQ_ROOM - 4);
}

Test(runq, nothing_can_be_stolen_from_an_empty_one)
{
    begin_at(5);
    cr_assert(tr__runq_steal(&other, &queue) == NULL);
}
