#include "server/problem.h"

struct row {
    unsigned status;
    const char *code;
    const char *title;
};

#define PROBLEM_ROW(name, status, code, title) [PROBLEM_##name] = {status, code, title},
static const struct row rows[PROBLEM_CODES_COUNT] = {[PROBLEM_NONE] = {500, "", ""},
                                                     PROBLEM_CODES(PROBLEM_ROW)};
#undef PROBLEM_ROW

static const struct row *row_of(enum problem_code code)
{
    /* An unknown code is a bug of ours, and that is what the client is told. */
    return code > PROBLEM_NONE && code < PROBLEM_CODES_COUNT ? &rows[code] : &rows[PROBLEM_INTERNAL_ERROR];
}

unsigned problem_status(enum problem_code code)
{
    return row_of(code)->status;
}

const char *problem_code_text(enum problem_code code)
{
    return row_of(code)->code;
}

const char *problem_title(enum problem_code code)
{
    return row_of(code)->title;
}

enum problem_code problem_by_text(struct text code)
{
    for (int i = PROBLEM_NONE + 1; i < PROBLEM_CODES_COUNT; i++) {
        if (text_equal(code, text_of(rows[i].code))) {
            return (enum problem_code)i;
        }
    }
    return PROBLEM_NONE;
}

static void write_type(struct json_out *out, const char *code)
{
    char type[sizeof(PROBLEM_TYPE_PREFIX) + 64];
    size_t prefix = sizeof(PROBLEM_TYPE_PREFIX) - 1;
    size_t bytes = strlen(code);
    memcpy(type, PROBLEM_TYPE_PREFIX, prefix);
    memcpy(type + prefix, code, bytes);
    json_out_member_text(out, "type", (struct text){.bytes = type, .count = prefix + bytes});
}

static void write_errors(struct json_out *out, const struct json_errors *errors)
{
    json_out_key(out, "errors");
    json_out_open_array(out);
    for (size_t i = 0; i < errors->count; i++) {
        json_out_open_object(out);
        json_out_member_text(out, "pointer", errors->items[i].pointer);
        if (errors->items[i].in_query) {
            json_out_member_string(out, "in", "query");
        }
        json_out_member_text(out, "detail", errors->items[i].detail);
        json_out_close_object(out);
    }
    json_out_close_array(out);
    if (errors->dropped > 0) {
        json_out_key(out, "errors_omitted");
        json_out_uint(out, errors->dropped);
    }
}

void problem_begin(struct json_out *out, const struct problem *problem)
{
    const struct row *row = row_of(problem->code);
    json_out_open_object(out);
    write_type(out, row->code);
    json_out_member_string(out, "title", row->title);
    json_out_member_int(out, "status", row->status);
    json_out_member_text(out, "detail",
                         problem->detail.bytes == NULL ? text_of(row->title) : problem->detail);
    json_out_member_string(out, "code", row->code);
    json_out_member_text(out, "request_id", problem->request_id);
    if (problem->errors != NULL) {
        write_errors(out, problem->errors);
    }
}

void problem_end(struct json_out *out)
{
    json_out_close_object(out);
}

void problem_write(struct json_out *out, const struct problem *problem)
{
    problem_begin(out, problem);
    problem_end(out);
}
