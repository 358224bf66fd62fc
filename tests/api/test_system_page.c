#include "api/system/process_page.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY 300

static tr_pid pid_of(uint32_t slot, uint32_t generation)
{
    return (tr_pid)generation << 32 | slot;
}

static tr_process_summary process_of(uint32_t slot, uint32_t mailbox, uint64_t memory, uint64_t messages)
{
    return (tr_process_summary){
        .pid = pid_of(slot, slot % 7 + 1), .mailbox = mailbox, .memory_bytes = memory, .messages = messages};
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static uint64_t value_in(const tr_process_summary *process, enum process_order order)
{
    switch (order) {
    case PROCESS_BY_PID:
        return 0;
    case PROCESS_BY_MAILBOX:
        return process->mailbox;
    case PROCESS_BY_MEMORY:
        return process->memory_bytes;
    case PROCESS_BY_MESSAGES:
        return process->messages;
    }
    return 0;
}

/* Reads the whole list page by page; the slots in the order they came. Returns: how many. */
static size_t read_all(const tr_process_summary *all, size_t count, enum process_order order, size_t limit,
                       uint32_t *slots)
{
    struct process_row rows[MANY];
    char cursor[PROCESS_CURSOR_BYTES];
    struct text from = {0};
    size_t seen = 0;
    for (size_t pages = 0; pages <= count; pages++) {
        struct process_page page;
        cr_assert(process_page_init(&page, order, from, rows, limit));
        for (size_t i = 0; i < count && !process_page_is_full(&page); i++) {
            tr_process_summary dropped;
            (void)process_page_offer(&page, &all[i], &dropped);
        }
        process_page_finish(&page);
        cr_assert(page.count <= limit);
        for (size_t i = 0; i < page.count; i++) {
            slots[seen++] = TR_PID_SLOT(rows[i].key.pid);
        }
        from = process_page_cursor(&page, cursor);
        if (from.bytes == NULL) {
            return seen;
        }
    }
    cr_assert_fail("the pages do not end");
    return 0;
}

static void check_order(const tr_process_summary *all, size_t count, enum process_order order, size_t limit)
{
    uint32_t slots[2 * MANY];
    size_t seen = read_all(all, count, order, limit, slots);
    cr_assert_eq(seen, count, "%zu of %zu", seen, count);
    for (size_t i = 1; i < seen; i++) {
        uint64_t before = value_in(&all[slots[i - 1]], order);
        uint64_t after = value_in(&all[slots[i]], order);
        cr_assert(before > after || (before == after && slots[i - 1] < slots[i]), "order %d limit %zu at %zu",
                  order, limit, i);
    }
}

Test(process_page, pages_of_any_size_and_order_show_each_process_once_and_sorted)
{
    tr_process_summary all[MANY];
    uint64_t state = 20260101;
    for (uint32_t i = 0; i < MANY; i++) {
        all[i] =
            process_of(i, (uint32_t)(next_random(&state) % 5), next_random(&state), next_random(&state) % 50);
    }
    static const size_t limits[] = {1, 2, 7, 50, 299, 300};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        for (enum process_order order = PROCESS_BY_PID; order <= PROCESS_BY_MESSAGES; order++) {
            check_order(all, MANY, order, limits[i]);
        }
    }
}

Test(process_page, a_walk_by_pid_may_end_as_soon_as_the_page_is_full)
{
    struct process_row rows[2];
    struct process_page page;
    cr_assert(process_page_init(&page, PROCESS_BY_PID, (struct text){0}, rows, 2));
    tr_process_summary dropped;
    for (uint32_t i = 0; i < 2; i++) {
        tr_process_summary process = process_of(i, 0, 0, 0);
        cr_assert(process_page_offer(&page, &process, &dropped));
        cr_assert_not(process_page_is_full(&page));
    }
    tr_process_summary third = process_of(2, 0, 0, 0);
    cr_assert_not(process_page_offer(&page, &third, &dropped));
    cr_assert(process_page_is_full(&page));
}

Test(process_page, what_is_pushed_out_is_handed_back)
{
    struct process_row rows[1];
    struct process_page page;
    cr_assert(process_page_init(&page, PROCESS_BY_MAILBOX, (struct text){0}, rows, 1));
    tr_process_summary small = process_of(1, 1, 0, 0);
    tr_process_summary large = process_of(2, 9, 0, 0);
    tr_process_summary dropped;
    cr_assert(process_page_offer(&page, &small, &dropped));
    cr_assert_eq(dropped.pid, TR_NO_PID);
    cr_assert(process_page_offer(&page, &large, &dropped));
    cr_assert_eq(dropped.pid, small.pid);
    cr_assert_not(process_page_offer(&page, &small, &dropped));
    cr_assert_eq(dropped.pid, TR_NO_PID);
}

Test(process_page, a_process_that_came_into_a_passed_slot_is_not_shown_later)
{
    struct process_row rows[1];
    struct process_page page;
    char cursor[PROCESS_CURSOR_BYTES];
    tr_process_summary dropped;
    tr_process_summary old[2] = {{.pid = pid_of(4, 1)}, {.pid = pid_of(9, 1)}};
    cr_assert(process_page_init(&page, PROCESS_BY_PID, (struct text){0}, rows, 1));
    (void)process_page_offer(&page, &old[0], &dropped);
    (void)process_page_offer(&page, &old[1], &dropped);
    process_page_finish(&page);
    struct text from = process_page_cursor(&page, cursor);
    cr_assert(process_page_init(&page, PROCESS_BY_PID, from, rows, 1));
    tr_process_summary fresh = {.pid = pid_of(3, 5)};
    cr_assert_not(process_page_offer(&page, &fresh, &dropped));
    cr_assert(process_page_offer(&page, &old[1], &dropped));
}

Test(process_page, cursors_of_other_lists_and_of_nobody_are_refused)
{
    struct process_row rows[1];
    struct process_page page;
    char bytes[PROCESS_CURSOR_BYTES + 1] = {PROCESS_BY_MEMORY};
    for (size_t count = 0; count <= sizeof(bytes); count++) {
        struct text cursor = {.bytes = bytes, .count = count};
        bool fits = count == PROCESS_CURSOR_BYTES;
        cr_assert_eq(process_page_init(&page, PROCESS_BY_MEMORY, cursor, rows, 1), fits, "%zu bytes", count);
        cr_assert_not(process_page_init(&page, PROCESS_BY_PID, cursor, rows, 1));
        cr_assert_not(process_page_init(&page, PROCESS_BY_MESSAGES, cursor, rows, 1));
    }
}

Test(process_page, cursors_carry_the_largest_values)
{
    struct process_row rows[1];
    struct process_page page;
    char cursor[PROCESS_CURSOR_BYTES];
    tr_process_summary dropped;
    tr_process_summary first = {.pid = UINT64_MAX - 1, .memory_bytes = UINT64_MAX};
    tr_process_summary second = {.pid = UINT64_MAX, .memory_bytes = UINT64_MAX};
    cr_assert(process_page_init(&page, PROCESS_BY_MEMORY, (struct text){0}, rows, 1));
    (void)process_page_offer(&page, &first, &dropped);
    (void)process_page_offer(&page, &second, &dropped);
    process_page_finish(&page);
    cr_assert_eq(rows[0].key.pid, first.pid);
    cr_assert(process_page_init(&page, PROCESS_BY_MEMORY, process_page_cursor(&page, cursor), rows, 1));
    cr_assert_not(process_page_offer(&page, &first, &dropped));
    cr_assert(process_page_offer(&page, &second, &dropped));
}
