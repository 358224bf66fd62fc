/* process_page: one page of processes out of any number, in one walk and bounded memory.
 *
 * Invariants
 *   1. By pid: ascending slots. Otherwise: the largest value first, ties by ascending slot. A page holds the first
 *      `limit` that come after its cursor in that order.
 *   2. Pages of a list by pid never show a process twice and never leave one out that lives all the while. Sorted by
 *      a value that moves, a process may be seen twice or not at all.
 *   3. rows[0] is the one that comes last: a heap, until process_page_finish().
 *
 * Life cycle: init -> offer each process -> finish -> rows[0..count), cursor.
 */
#ifndef TROUPE_API_SYSTEM_PROCESS_PAGE_H
#define TROUPE_API_SYSTEM_PROCESS_PAGE_H

#include "server/text.h"

#include <troupe/troupe.h>

enum process_order { PROCESS_BY_PID, PROCESS_BY_MAILBOX, PROCESS_BY_MEMORY, PROCESS_BY_MESSAGES };

struct process_key {
    uint64_t value; /* 0 by pid */
    tr_pid pid;
};

struct process_row {
    struct process_key key;
    tr_process_summary summary;
};

struct process_page {
    enum process_order order;
    bool resumed; /* after `after` */
    struct process_key after;
    bool more; /* others come after this page */
    size_t limit;
    size_t count;
    struct process_row *rows;
};

#define PROCESS_CURSOR_BYTES 17

/** Starts a page. Borrows: rows, room for limit of them. cursor: absent, or what process_page_cursor() gave.
 *  Returns: false when the cursor is not one of a list in this order. */
bool process_page_init(struct process_page *page, enum process_order order, struct text cursor,
                       struct process_row *rows, size_t limit);

/** Shows it a process.
 *  Returns: whether it was taken. In *dropped then what had to go for it (its name may have to be freed); pid is
 *  TR_NO_PID when nothing had to. */
bool process_page_offer(struct process_page *page, const tr_process_summary *summary,
                        tr_process_summary *dropped);

/** Whether nothing that is still to come can be on the page, if processes are offered by ascending slots. */
bool process_page_is_full(const struct process_page *page);

/** Puts the rows in order. */
void process_page_finish(struct process_page *page);

/** Where the next page goes on; the absent text when there is none. Borrows: out.   After process_page_finish(). */
struct text process_page_cursor(const struct process_page *page, char out[PROCESS_CURSOR_BYTES]);

#endif
