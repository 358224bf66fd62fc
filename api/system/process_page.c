#include "api/system/process_page.h"

static uint64_t value_of(enum process_order order, const tr_process_summary *summary)
{
    switch (order) {
    case PROCESS_BY_PID:
        break;
    case PROCESS_BY_MAILBOX:
        return summary->mailbox;
    case PROCESS_BY_MEMORY:
        return summary->memory_bytes;
    case PROCESS_BY_MESSAGES:
        return summary->messages;
    }
    return 0;
}

static bool comes_before(struct process_key a, struct process_key b)
{
    if (a.value != b.value) {
        return a.value > b.value;
    }
    if (TR_PID_SLOT(a.pid) != TR_PID_SLOT(b.pid)) {
        return TR_PID_SLOT(a.pid) < TR_PID_SLOT(b.pid);
    }
    return TR_PID_GENERATION(a.pid) < TR_PID_GENERATION(b.pid);
}

/* A cursor: the order, then value and pid, most significant byte first. */
static void write_u64(char *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (char)(value & 0xff);
        value >>= 8;
    }
}

static uint64_t read_u64(const char *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | (unsigned char)bytes[i];
    }
    return value;
}

bool process_page_init(struct process_page *page, enum process_order order, struct text cursor,
                       struct process_row *rows, size_t limit)
{
    *page = (struct process_page){.order = order, .rows = rows, .limit = limit};
    if (cursor.bytes == NULL) {
        return true;
    }
    if (cursor.count != PROCESS_CURSOR_BYTES || (unsigned char)cursor.bytes[0] != (unsigned char)order) {
        return false;
    }
    page->after.value = read_u64(cursor.bytes + 1);
    page->after.pid = read_u64(cursor.bytes + 1 + 8);
    page->resumed = true;
    return true;
}

static void swap_rows(struct process_row *a, struct process_row *b)
{
    struct process_row kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_up(struct process_row *rows, size_t at)
{
    while (at > 0 && comes_before(rows[(at - 1) / 2].key, rows[at].key)) {
        swap_rows(&rows[(at - 1) / 2], &rows[at]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct process_row *rows, size_t count)
{
    for (size_t at = 0;;) {
        size_t last = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (comes_before(rows[last].key, rows[child].key)) {
                last = child;
            }
        }
        if (last == at) {
            return;
        }
        swap_rows(&rows[at], &rows[last]);
        at = last;
    }
}

bool process_page_offer(struct process_page *page, const tr_process_summary *summary,
                        tr_process_summary *dropped)
{
    struct process_row row = {.key = {.value = value_of(page->order, summary), .pid = summary->pid},
                              .summary = *summary};
    dropped->pid = TR_NO_PID;
    if (page->resumed && !comes_before(page->after, row.key)) {
        return false;
    }
    if (page->count < page->limit) {
        page->rows[page->count++] = row;
        sift_up(page->rows, page->count - 1);
        return true;
    }
    page->more = true;
    if (!comes_before(row.key, page->rows[0].key)) {
        return false;
    }
    *dropped = page->rows[0].summary;
    page->rows[0] = row;
    sift_down(page->rows, page->count);
    return true;
}

bool process_page_is_full(const struct process_page *page)
{
    return page->order == PROCESS_BY_PID && page->more;
}

void process_page_finish(struct process_page *page)
{
    for (size_t left = page->count; left > 1; left--) {
        swap_rows(&page->rows[0], &page->rows[left - 1]);
        sift_down(page->rows, left - 1);
    }
}

struct text process_page_cursor(const struct process_page *page, char out[PROCESS_CURSOR_BYTES])
{
    if (!page->more || page->count == 0) {
        return (struct text){0};
    }
    struct process_key last = page->rows[page->count - 1].key;
    out[0] = (char)page->order;
    write_u64(out + 1, last.value);
    write_u64(out + 1 + 8, last.pid);
    return (struct text){.bytes = out, .count = PROCESS_CURSOR_BYTES};
}
