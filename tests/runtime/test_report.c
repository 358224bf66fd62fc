/* Reports: valid JSON whatever is in them. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/core/fatal.h"
#include "runtime/core/report.h"

/* ---- a strict reader of one flat JSON object --------------------------------------------------------------------- */
static bool read_string(const char **at)
{
    const char *p = *at;
    if (*p++ != '"') {
        return false;
    }
    while (*p != '"') {
        if ((unsigned char)*p < 0x20) {
            return false;
        }
        if (*p == '\\') {
            p++;
            if (*p == 'u') {
                for (int i = 1; i <= 4; i++) {
                    if (!isxdigit((unsigned char)p[i])) {
                        return false;
                    }
                }
                p += 4;
            } else if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL) {
                return false;
            }
        }
        p++;
    }
    *at = p + 1;
    return true;
}

static bool read_number(const char **at)
{
    char *end;
    strtoll(*at, &end, 10);
    bool any = end != *at;
    *at = end;
    return any;
}

static bool is_flat_object(const char *at)
{
    if (*at++ != '{') {
        return false;
    }
    for (;;) {
        if (!read_string(&at) || *at++ != ':') {
            return false;
        }
        if (*at == '"' ? !read_string(&at) : !read_number(&at)) {
            return false;
        }
        if (*at == '}') {
            return at[1] == '\0';
        }
        if (*at++ != ',') {
            return false;
        }
    }
}

Test(report, every_kind_has_its_event)
{
    cr_assert_str_eq(tr_report_event(TR_REPORT_PROCESS_CRASHED), "process.crashed");
    cr_assert_str_eq(tr_report_event(TR_REPORT_CALLBACK_RAN_LONG), "callback.ran_long");
    for (int kind = 0; kind <= TR_REPORT_STATEM_TERMINATED; kind++) {
        const char *event = tr_report_event((tr_report_kind)kind);
        cr_assert_neq(strchr(event, '.'), NULL, "kind %d", kind);
        for (int other = 0; other < kind; other++) {
            cr_assert_str_neq(event, tr_report_event((tr_report_kind)other));
        }
    }
}

Test(report, fields_that_do_not_apply_are_left_out)
{
    char out[512];
    tr_report report = {
        .kind = TR_REPORT_PROCESS_CRASHED, .pid = ((uint64_t)2 << 32) | 7, .reason = tr_atom("oops")};
    size_t length = tr_report_json(&report, out, sizeof out);
    cr_assert_str_eq(
        out, "{\"level\":\"error\",\"event\":\"process.crashed\",\"pid\":\"<7.2>\",\"reason\":\"oops\"}");
    cr_assert_eq(length, strlen(out));
}

Test(report, all_fields_in_their_order)
{
    char out[512];
    tr_report report = {.kind = TR_REPORT_CHILD_RESTARTED,
                        .pid = 1,
                        .label = "tree",
                        .name = tr_atom("Root"),
                        .behaviour = "supervisor",
                        .reason = tr_tuple(tr_atom("shutdown"), tr_string("x\ny")),
                        .last_message = "ping",
                        .state = tr_list(tr_int(1)),
                        .child = 2,
                        .child_id = tr_string("id"),
                        .value = 3};
    tr_report_json(&report, out, sizeof out);
    cr_assert_str_eq(out,
                     "{\"level\":\"warning\",\"event\":\"supervisor.restarted\",\"pid\":\"<1.0>\","
                     "\"label\":\"tree\",\"name\":\"'Root'\",\"behaviour\":\"supervisor\","
                     "\"reason\":\"{shutdown,\\\"x\\\\ny\\\"}\",\"last_message\":\"ping\",\"state\":\"[1]\","
                     "\"child\":\"<2.0>\",\"child_id\":\"\\\"id\\\"\",\"restarts\":3}");
    cr_assert(is_flat_object(out));
}

Test(report, a_machines_end_tells_what_it_was_doing)
{
    char out[512];
    tr_term event = tr_tuple(tr_atom("cast"), tr_atom("coin"));
    tr_report report = {.kind = TR_REPORT_STATEM_TERMINATED,
                        .pid = 1,
                        .reason = tr_atom("why"),
                        .state = tr_tuple(tr_atom("open"), tr_int(1)),
                        .queue = tr_list(event, event),
                        .postponed = tr_list(event),
                        .timeouts = tr_list(tr_tuple(tr_atom("state_timeout"), tr_atom("tick")))};
    tr_report_json(&report, out, sizeof out);
    cr_assert_str_eq(out, "{\"level\":\"error\",\"event\":\"gen_statem.terminated\",\"pid\":\"<1.0>\","
                          "\"reason\":\"why\",\"state\":\"{open,1}\",\"queue\":\"[{cast,coin},{cast,coin}]\","
                          "\"postponed\":\"[{cast,coin}]\",\"timeouts\":\"[{state_timeout,tick}]\"}");
    cr_assert(is_flat_object(out));
}

Test(report, hostile_texts_stay_valid_json)
{
    char all_bytes[256];
    for (int i = 0; i < 255; i++) {
        all_bytes[i] = (char)(i + 1);
    }
    all_bytes[255] = '\0';
    const char *hostile[] = {
        "",     "\"",       "\\",           "\"}{\"",           "a\nb\r\t\x01\x1f\x7f",      "\xff\xfe",
        "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3\xa4 \xf0\x9f\x8e\xad", all_bytes};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        char out[8192];
        tr_report report = {.kind = TR_REPORT_SERVER_TERMINATED,
                            .pid = 1,
                            .label = hostile[i],
                            .reason = tr_string(hostile[i]),
                            .name = tr_atom(hostile[i]),
                            .last_message = hostile[i],
                            .value = INT64_MIN};
        size_t length = tr_report_json(&report, out, sizeof out);
        cr_assert_lt(length, sizeof out);
        cr_assert_eq(length, strlen(out));
        cr_assert(is_flat_object(out), "%s", out);
    }
}

Test(report, a_cut_report_tells_what_it_needs)
{
    char out[32];
    tr_report report = {.kind = TR_REPORT_MESSAGE_IGNORED, .label = "somebody"};
    size_t wanted = tr_report_json(&report, NULL, 0);
    memset(out, 'x', sizeof out);
    cr_assert_eq(tr_report_json(&report, out, 16), wanted);
    cr_assert_eq(strlen(out), 15);
    cr_assert_eq(out[16], 'x');
}

Test(report, huge_terms_are_cut)
{
    tr_term items[500];
    for (int i = 0; i < 500; i++) {
        items[i] = tr_string("a rather long element of the state");
    }
    tr_report report = {.kind = TR_REPORT_SERVER_TERMINATED, .state = tr_list_n(500, items)};
    cr_assert_lt(tr_report_json(&report, NULL, 0), 8192);
}

/* What the default reporter writes to stderr for a report. */
static size_t caught(const tr_report *report, char *out, size_t size)
{
    int ends[2];
    int saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    tr__report_default(report);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length < size - 1 && (got = read(ends[0], out + length, size - 1 - length)) > 0) {
        length += (size_t)got;
    }
    out[length] = '\0';
    close(ends[0]);
    return length;
}

Test(report, the_default_reporter_writes_one_line_with_the_time)
{
    char out[32768];
    char label[4000];
    memset(label, '\x02', sizeof label - 1);
    label[sizeof label - 1] = '\0';
    const char *labels[] = {"worker", label};
    for (int i = 0; i < 2; i++) {
        tr_report report = {.kind = TR_REPORT_PROCESS_CRASHED, .label = labels[i], .reason = tr_atom("boom")};
        size_t length = caught(&report, out, sizeof out);
        cr_assert_gt(length, 0);
        cr_assert_eq(strchr(out, '\n'), out + length - 1);
        out[length - 1] = '\0';
        cr_assert(is_flat_object(out), "%s", out);
        cr_assert_eq(strncmp(out, "{\"ts\":\"20", 9), 0);
        cr_assert_neq(strstr(out, "Z\",\"level\":\"error\",\"event\":\"process.crashed\""), NULL);
    }
}

Test(report, the_default_reporter_leaves_out_starts_of_children)
{
    char out[64];
    tr_report report = {.kind = TR_REPORT_CHILD_STARTED, .label = "sup"};
    cr_assert_eq(caught(&report, out, sizeof out), 0);
}

Test(error, every_error_has_a_name_and_a_text)
{
    cr_assert_str_eq(tr_err_name(TR_E_NOPROC), "TR_E_NOPROC");
    cr_assert_str_eq(tr_err_text(TR_E_NOPROC), "no such process");
    for (int err = 0; err < TR_ERR_COUNT; err++) {
        cr_assert_gt(strlen(tr_err_text((tr_err)err)), 0);
        cr_assert_eq(strncmp(tr_err_name((tr_err)err), err == 0 ? "TR_OK" : "TR_E_", 5), 0);
    }
    cr_assert_str_eq(tr_err_text((tr_err)999), "unknown error");
}

/* Ends the test well only when the last words are right. */
static void check_last_words(const char *text)
{
    if (strstr(text, "1 == 2") == NULL || strstr(text, "some_file.c:7") == NULL ||
        strchr(text, '\n') != NULL) {
        _exit(1);
    }
}

Test(error, a_failed_assertion_calls_the_hook_and_aborts, .signal = SIGABRT)
{
    tr__fatal_hook = check_last_words;
    tr__assert_failed("1 == 2", "some_file.c", 7);
}
