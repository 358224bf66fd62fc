/* GET /v1/processes. */
#include "api/system/process_page.h"
#include "api/system/process_text.h"
#include "api/system/process_walk.h"
#include "api/system/system_impl.h"

const char *const system_process_list_query[] = {"sort", "limit", "cursor", NULL};

static bool read_order(struct text given, enum process_order *order)
{
    static const char *const words[] = {"pid", "mailbox", "memory", "messages"};
    *order = PROCESS_BY_PID;
    if (given.bytes == NULL) {
        return true;
    }
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (text_equal(given, text_of(words[i]))) {
            *order = (enum process_order)i;
            return true;
        }
    }
    return false;
}

static bool offer(const tr_process_summary *summary, void *ctx)
{
    struct process_page *page = ctx;
    tr_process_summary kept = *summary;
    kept.name = tr_keep(summary->name);
    tr_process_summary dropped;
    if (!process_page_offer(page, &kept, &dropped)) {
        tr_free_term(kept.name);
    } else if (dropped.pid != TR_NO_PID) {
        tr_free_term(dropped.name);
    }
    return !process_page_is_full(page);
}

static void answer_list(struct http_request *request)
{
    struct process_page *page = http_request_state(request);
    process_walk(offer, page);
    process_page_finish(page);
    struct json_out *out = http_answer_out(request);
    int64_t now_ms = tr_now_ms();
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (size_t i = 0; i < page->count; i++) {
        json_out_open_object(out);
        process_write_members(out, &page->rows[i].summary, now_ms);
        json_out_close_object(out);
    }
    json_out_close_array(out);
    char cursor[PROCESS_CURSOR_BYTES];
    http_answer_page(request, process_page_cursor(page, cursor));
    json_out_close_object(out);
    http_answer_json(request, 200);
}

void system_processes(struct http_request *request)
{
    int64_t limit = 0;
    struct text cursor;
    enum process_order order;
    if (!http_request_page(request, &limit, &cursor)) {
        return;
    }
    struct json_arena *arena = http_request_arena(request);
    struct process_page *page = json_arena_take(arena, sizeof(*page));
    struct process_row *rows = json_arena_take(arena, (size_t)limit * sizeof(*rows));
    if (page == NULL || rows == NULL) {
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_OVERLOADED, "out of memory");
        return;
    }
    struct json_errors errors;
    json_errors_init(&errors);
    if (!read_order(http_request_query(request, "sort"), &order)) {
        json_errors_add_query(&errors, TEXT("sort"), "must be pid, mailbox, memory or messages");
    } else if (!process_page_init(page, order, cursor, rows, (size_t)limit)) {
        json_errors_add_query(&errors, TEXT("cursor"), "is not a cursor that this list gave out");
    }
    if (errors.count != 0) {
        http_answer_errors(request, &errors);
        return;
    }
    http_request_set_state(request, page);
    http_request_spawn(request, answer_list);
}
