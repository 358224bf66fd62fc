#include "api/system/process_text.h"
#include "api/system/reason.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static tr_pid pid_of(uint32_t slot, uint32_t generation)
{
    return (tr_pid)generation << 32 | slot;
}

/* ---- pids ---- */

Test(process_text, a_pid_is_slot_dot_generation_and_reads_back)
{
    static const tr_pid pids[] = {1, UINT64_C(1) << 32, UINT64_MAX, UINT64_C(3) << 32 | 12};
    char text[PID_TEXT_BYTES];
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        tr_pid read = TR_NO_PID;
        cr_assert(process_pid_read(process_pid_text(pids[i], text), &read), "%s", text);
        cr_assert_eq(read, pids[i]);
    }
    cr_assert(text_equal(process_pid_text(pid_of(12, 3), text), TEXT("12.3")));
    cr_assert_null(process_pid_text(TR_NO_PID, text).bytes);
}

Test(process_text, only_what_writing_gives_is_read_as_a_pid)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "1",
                                      "1.",
                                      ".1",
                                      "1.2.3",
                                      "01.2",
                                      "1.02",
                                      "+1.2",
                                      "-1.2",
                                      " 1.2",
                                      "1.2 ",
                                      "a.b",
                                      "0.0",
                                      "1,2",
                                      "1. 2",
                                      "4294967296.1",
                                      "1.4294967296",
                                      "rate_limits.partition.0",
                                      "99999999999999999999.1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tr_pid read = 77;
        cr_assert_not(process_pid_read(text_of(bad[i]), &read), "'%s'", bad[i]);
        cr_assert_eq(read, 77);
    }
}

/* ---- names and reasons ---- */

Test(process_text, names_are_atoms_strings_or_printed_terms)
{
    char buffer[NAME_BYTES_MAX];
    cr_assert(text_equal(process_name_text(tr_atom("rate_limits.partition.0"), buffer),
                         TEXT("rate_limits.partition.0")));
    cr_assert(text_equal(process_name_text(tr_string("alice"), buffer), TEXT("alice")));
    cr_assert(text_equal(process_name_text(tr_tuple(tr_atom("p"), tr_int(3)), buffer), TEXT("{p,3}")));
    cr_assert_null(process_name_text(TR_TERM_NONE_VALUE, buffer).bytes);
}

Test(process_text, a_long_name_is_cut)
{
    char buffer[NAME_BYTES_MAX];
    tr_term items[400];
    for (size_t i = 0; i < 400; i++) {
        items[i] = tr_int(1000000);
    }
    struct text text = process_name_text(tr_list_n(400, items), buffer);
    cr_assert_eq(text.count, strlen(buffer));
    cr_assert(text.count < NAME_BYTES_MAX);
}

Test(reason, known_words_are_otps_atoms)
{
    cr_assert(tr_same(reason_of_text(TEXT("kill")), TR_ATOM(KILL)));
    cr_assert(tr_same(reason_of_text(TEXT("shutdown")), TR_ATOM(SHUTDOWN)));
    cr_assert(tr_same(reason_of_text(TEXT("normal")), TR_ATOM(NORMAL)));
}

Test(reason, clients_cannot_fill_the_atom_table)
{
    size_t strings = 0;
    for (int i = 0; i < 1000; i++) {
        char text[32];
        int count = snprintf(text, sizeof(text), "made_up_%d", i);
        tr_term reason = reason_of_text((struct text){.bytes = text, .count = (size_t)count});
        tr_term atom;
        cr_assert_eq(tr_is_atom(reason), tr_atom_find(text, (size_t)count, &atom));
        strings += tr_term_kind_of(reason) == TR_TERM_STRING ? 1 : 0;
    }
    cr_assert_eq(strings, 1000 - REASON_ATOMS_MAX);
    cr_assert(tr_is_atom(reason_of_text(TEXT("made_up_0"))), "an atom that exists is used again");
}

/* ---- terms as JSON ---- */

static void expect_json(tr_term term, const char *expected)
{
    char buffer[4096];
    struct json_out out;
    json_out_init(&out, buffer, sizeof(buffer));
    json_out_term(&out, term);
    struct text text = json_out_text(&out);
    cr_assert_not_null(text.bytes, "for %s", expected);
    cr_assert(text_equal(text, text_of(expected)), "%.*s instead of %s", (int)text.count, text.bytes,
              expected);
}

Test(process_text, terms_become_json)
{
    expect_json(tr_atom("ready"), "\"ready\"");
    expect_json(TR_ATOM(TRUE), "true");
    expect_json(TR_ATOM(FALSE), "false");
    expect_json(TR_ATOM(NIL), "null");
    expect_json(TR_TERM_NONE_VALUE, "null");
    expect_json(tr_int(INT64_MIN), "-9223372036854775808");
    expect_json(tr_float(0.5), "0.5");
    expect_json(tr_float(INFINITY), "null");
    expect_json(tr_pid_term(pid_of(12, 3)), "\"12.3\"");
    expect_json(tr_string("a\"b"), "\"a\\\"b\"");
    expect_json(tr_list_n(0, NULL), "[]");
    expect_json(tr_tuple(tr_atom("x"), tr_list(tr_int(1), tr_int(2)), tr_tuple(tr_int(3))),
                "[\"x\",[1,2],[3]]");
    const tr_term pairs[] = {tr_atom("a"), tr_list(tr_int(1)), tr_atom("b"), tr_map_n(0, NULL)};
    expect_json(tr_map_n(2, pairs), "{\"a\":[1],\"b\":{}}");
}

Test(process_text, keys_of_any_kind_become_texts)
{
    const tr_term pairs[] = {tr_int(7), tr_int(1), tr_tuple(tr_atom("k"), tr_int(2)), tr_int(2)};
    expect_json(tr_map_n(2, pairs), "{\"7\":1,\"{k,2}\":2}");
}

Test(process_text, deep_terms_are_cut)
{
    tr_term term = tr_int(1);
    for (int i = 0; i < 100; i++) {
        term = tr_list(term);
    }
    expect_json(term, "[[[[[[[[[[[[[[[[\"...\"]]]]]]]]]]]]]]]]");
}

Test(process_text, long_terms_are_cut_and_stay_json)
{
    size_t count = (size_t)TERM_NODES_MAX * 2;
    tr_term *items = malloc(count * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        items[i] = tr_int(1);
    }
    struct json_out out;
    json_out_init_growing(&out, 64, 1 << 20);
    json_out_term(&out, tr_tuple(tr_list_n(count, items), tr_int(2)));
    struct text text = json_out_text(&out);
    cr_assert_not_null(text.bytes);
    cr_assert(text.count < (size_t)TERM_NODES_MAX * 2 + 100);
    cr_assert(memcmp(text.bytes + text.count - 7, "\"...\"]]", 7) == 0);
    json_out_fini(&out);
    free(items);
}

Test(process_text, an_entry_has_the_contracts_members)
{
    char buffer[1024];
    struct json_out out;
    tr_process_summary summary = {.pid = pid_of(5, 2),
                                  .name = tr_atom("store.writer"),
                                  .label = "writer",
                                  .behaviour = "gen_server",
                                  .status = TR_STATUS_WAITING,
                                  .mailbox = 3,
                                  .memory_bytes = UINT64_C(1) << 60,
                                  .messages = 9,
                                  .started_ms = 100,
                                  .restarts = 4};
    json_out_init(&out, buffer, sizeof(buffer));
    json_out_open_object(&out);
    process_write_members(&out, &summary, 350);
    json_out_close_object(&out);
    struct text text = json_out_text(&out);
    const char *expected =
        "{\"pid\":\"5.2\",\"name\":\"store.writer\",\"label\":\"writer\",\"behaviour\":\"gen_server\","
        "\"status\":\"waiting\",\"mailbox\":3,\"memory_bytes\":1152921504606846976,\"messages\":9,"
        "\"parent\":null,\"uptime_ms\":250,\"restarts\":4}";
    cr_assert(text_equal(text, text_of(expected)), "%.*s", (int)text.count, text.bytes);
}
