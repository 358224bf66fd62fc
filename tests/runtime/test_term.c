/* Terms: construction, order, hash, text, copies. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/term.h>

#include "runtime/core/scratch.h"

#define A(text)  tr_atom(text)
#define I(value) tr_int(value)

static void check_text(tr_term term, const char *expected)
{
    cr_assert_str_eq(tr_term_text(term), expected);
}

/* A term of depth nested tuples around inside. */
static tr_term nest(tr_term inside, int depth)
{
    for (int i = 0; i < depth; i++) {
        inside = tr_tuple(inside);
    }
    return inside;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static tr_term random_leaf(uint64_t *state)
{
    static const double floats[] = {0.0, -0.0, 1.0, 1.5, -2.5, 9007199254740993.0, 1e300, -1e300, 0.1};
    static const char *const texts[] = {"", "a", "b", "ab", "abcdefgh", "abcdefghi"};
    uint64_t r = next_random(state);
    switch (r % 7) {
    case 0:
        return I((int64_t)(r >> 8) % 4);
    case 1:
        return I((int64_t)next_random(state));
    case 2:
        return tr_float(floats[(r >> 8) % 9]);
    case 3:
        return A(texts[(r >> 8) % 6]);
    case 4:
        return tr_string(texts[(r >> 8) % 6]);
    case 5:
        return tr_pid_term((r >> 8) % 3);
    default:
        return tr_ref_term((tr_ref){(r >> 8) % 2, (r >> 16) % 2});
    }
}

static tr_term random_term(uint64_t *state)
{
    tr_term items[6];
    for (int i = 0; i < 6; i++) {
        items[i] = random_leaf(state);
    }
    for (int round = 0; round < 4; round++) {
        uint64_t r = next_random(state);
        size_t count = (r >> 8) % 4;
        size_t at = (r >> 16) % 6;
        items[at] = r % 4 == 0   ? tr_tuple_n(count, items)
                    : r % 4 == 1 ? tr_list_n(count, items)
                    : r % 4 == 2 ? tr_map_n(count > 3 ? 3 : count, items)
                                 : items[at];
    }
    return items[next_random(state) % 6];
}

Test(term, integers_of_all_sizes_keep_their_value)
{
    const int64_t values[] = {0,
                              1,
                              -1,
                              INT64_MAX,
                              INT64_MIN,
                              ((int64_t)1 << 60) - 1,
                              (int64_t)1 << 60,
                              -((int64_t)1 << 60),
                              -((int64_t)1 << 60) - 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        tr_term term = I(values[i]);
        cr_assert_eq(tr_term_kind_of(term), TR_TERM_INT);
        cr_assert_eq(tr_int_value(term), values[i]);
        cr_assert(tr_term_equal(term, I(values[i])));
    }
    cr_assert_eq(tr_term_flat_bytes(I(((int64_t)1 << 60) - 1)), 0);
    cr_assert_gt(tr_term_flat_bytes(I((int64_t)1 << 60)), 0);
}

Test(term, none_is_the_zero_word)
{
    cr_assert(tr_is_none(TR_TERM_NONE_VALUE));
    cr_assert_eq(tr_term_kind_of(TR_TERM_NONE_VALUE), TR_TERM_NONE);
    cr_assert_not(tr_is_none(I(0)));
    cr_assert_not(tr_is_none(TR_ATOM(NORMAL)));
}

Test(term, accessors_return_what_was_put_in)
{
    tr_ref ref = {77, 88};
    size_t length = 0;
    tr_term list = tr_list(I(1), A("two"), tr_float(3.5));
    cr_assert_eq(tr_pid_value(tr_pid_term(1234567890123u)), 1234567890123u);
    cr_assert(tr_ref_equal(tr_ref_value(tr_ref_term(ref)), ref));
    cr_assert_eq(tr_term_count(list), 3);
    cr_assert(tr_same(tr_term_items(list)[1], A("two")));
    cr_assert_float_eq(tr_float_value(tr_term_items(list)[2]), 3.5, 0);
    cr_assert_eq(memcmp(tr_string_bytes(tr_string_n("a\0b", 3), &length), "a\0b", 4), 0);
    cr_assert_eq(length, 3);
    for (size_t n = 0; n < 20; n++) {
        const char *bytes = tr_string_bytes(tr_string_n("abcdefghijklmnopqrst", n), &length);
        cr_assert_eq(length, n);
        cr_assert_eq(strlen(bytes), n);
    }
}

Test(term, tags_are_recognised_by_name_and_size)
{
    tr_term tagged = tr_tuple(A("shutdown"), I(1));
    cr_assert(tr_is_tagged(tagged, "shutdown", 2));
    cr_assert_not(tr_is_tagged(tagged, "shutdown", 3));
    cr_assert_not(tr_is_tagged(tagged, "normal", 2));
    cr_assert_not(tr_is_tagged(A("shutdown"), "shutdown", 1));
    cr_assert_not(tr_is_tagged(tr_tuple_n(0, NULL), "shutdown", 0));
    cr_assert_not(tr_is_tagged(tr_tuple(I(1), I(2)), "shutdown", 2));
}

Test(term, clean_reasons_are_normal_shutdown_and_shutdown_tuples)
{
    cr_assert(tr_reason_is_clean(TR_ATOM(NORMAL)));
    cr_assert(tr_reason_is_clean(TR_ATOM(SHUTDOWN)));
    cr_assert(tr_reason_is_clean(tr_tuple(TR_ATOM(SHUTDOWN), I(1))));
    cr_assert_not(tr_reason_is_clean(tr_tuple(TR_ATOM(SHUTDOWN), I(1), I(2))));
    cr_assert_not(tr_reason_is_clean(tr_tuple(TR_ATOM(NORMAL), I(1))));
    cr_assert_not(tr_reason_is_clean(TR_ATOM(KILLED)));
    cr_assert_not(tr_reason_is_clean(tr_list(TR_ATOM(SHUTDOWN), I(1))));
}

Test(term, maps_are_sorted_and_keep_the_last_of_a_repeated_key)
{
    tr_term pairs[] = {A("b"), I(1), A("a"), I(2), A("b"), I(3), I(9), I(4), A("a"), I(5), A("b"), I(6)};
    tr_term map = tr_map_n(6, pairs);
    cr_assert_eq(tr_term_count(map), 3);
    cr_assert_eq(tr_int_value(tr_map_get(map, A("b"))), 6);
    cr_assert_eq(tr_int_value(tr_map_get(map, A("a"))), 5);
    cr_assert_eq(tr_int_value(tr_map_get(map, I(9))), 4);
    cr_assert(tr_is_none(tr_map_get(map, tr_float(9.0))));
    cr_assert(tr_is_none(tr_map_get(tr_map_n(0, NULL), A("a"))));
    check_text(map, "#{9=>4,a=>5,b=>6}");
    cr_assert_eq(tr_term_flat_bytes(map), 8 + 6 * 8);
}

Test(term, large_maps_find_every_key)
{
    enum { COUNT = 5000 };
    tr_term *pairs = tr_scratch_alloc(2 * COUNT * sizeof(tr_term));
    for (int i = 0; i < COUNT; i++) {
        pairs[2 * i] = I((i * 7919) % COUNT);
        pairs[2 * i + 1] = I(i);
    }
    tr_term map = tr_map_n(COUNT, pairs);
    cr_assert_eq(tr_term_count(map), COUNT);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(tr_int_value(tr_map_get(map, I((i * 7919) % COUNT))), i);
    }
}

Test(term, equality_is_exact)
{
    cr_assert_not(tr_term_equal(I(1), tr_float(1.0)));
    cr_assert(tr_term_equal(tr_float(0.0), tr_float(-0.0)));
    cr_assert_eq(tr_term_hash(tr_float(0.0)), tr_term_hash(tr_float(-0.0)));
    cr_assert_not(tr_term_equal(A("a"), tr_string("a")));
    cr_assert_not(tr_term_equal(tr_tuple(I(1)), tr_list(I(1))));
    cr_assert(tr_term_equal(tr_float(NAN), tr_float(-NAN)));
    cr_assert_not(tr_term_equal(tr_string("ab"), tr_string("ac")));
    cr_assert(tr_term_equal(tr_tuple(A("x"), tr_list(I(1), tr_string("s"))),
                            tr_tuple(A("x"), tr_list(I(1), tr_string("s")))));
}

Test(term, order_of_kinds_and_values)
{
    tr_term ordered[] = {
        TR_TERM_NONE_VALUE,
        tr_float(-INFINITY),
        I(INT64_MIN),
        I(-1),
        tr_float(-0.5),
        I(0),
        tr_float(0.0),
        tr_float(0.5),
        I(1),
        tr_float(1.0),
        I(9007199254740992),
        tr_float(9007199254740992.0),
        I(9007199254740993),
        I(INT64_MAX),
        tr_float(9223372036854775808.0),
        tr_float(INFINITY),
        tr_float(NAN),
        A(""),
        A("A"),
        A("a"),
        A("aa"),
        A("b"),
        tr_ref_term((tr_ref){1, 2}),
        tr_ref_term((tr_ref){2, 1}),
        tr_pid_term(1),
        tr_pid_term(2),
        tr_tuple_n(0, NULL),
        tr_tuple(I(5)),
        tr_tuple(I(1), I(2)),
        tr_tuple(I(1), I(3)),
        tr_map_n(0, NULL),
        tr_map_n(1, (tr_term[]){I(1), I(9)}),
        tr_map_n(1, (tr_term[]){I(2), I(1)}),
        tr_map_n(1, (tr_term[]){I(2), I(2)}),
        tr_map_n(2, (tr_term[]){I(1), I(9), I(2), I(0)}),
        tr_map_n(2, (tr_term[]){I(1), I(0), I(3), I(0)}),
        tr_list_n(0, NULL),
        tr_list(I(1)),
        tr_list(I(1), I(1)),
        tr_list(I(2)),
        tr_string(""),
        tr_string("a"),
        tr_string_n("a\0", 2),
        tr_string("b"),
    };
    int count = (int)(sizeof ordered / sizeof ordered[0]);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = tr_term_compare(ordered[i], ordered[j]);
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j), "%s against %s: %d",
                         tr_term_text(ordered[i]), tr_term_text(ordered[j]), order);
            cr_assert_eq(tr_term_equal(ordered[i], ordered[j]), i == j);
        }
    }
}

Test(term, order_is_antisymmetric_and_transitive_and_hash_agrees)
{
    enum { COUNT = 120 };
    uint64_t state = 88172645463325252u;
    tr_term terms[COUNT];
    for (int i = 0; i < COUNT; i++) {
        terms[i] = random_term(&state);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            int ij = tr_term_compare(terms[i], terms[j]);
            int ji = tr_term_compare(terms[j], terms[i]);
            cr_assert_eq(ij > 0, ji < 0);
            cr_assert_eq(ij == 0, tr_term_equal(terms[i], terms[j]));
            cr_assert(ij != 0 || tr_term_hash(terms[i]) == tr_term_hash(terms[j]));
            for (int k = 0; ij <= 0 && k < COUNT; k++) {
                if (tr_term_compare(terms[j], terms[k]) <= 0) {
                    cr_assert_leq(tr_term_compare(terms[i], terms[k]), 0);
                }
            }
        }
    }
}

Test(term, hash_spreads_small_differences)
{
    uint64_t seen[1000];
    for (int i = 0; i < 1000; i++) {
        seen[i] = tr_term_hash(tr_tuple(A("key"), I(i)));
        for (int j = 0; j < i; j++) {
            cr_assert_neq(seen[i], seen[j]);
        }
    }
    cr_assert_neq(tr_term_hash(tr_list(I(1), tr_list(I(2)))), tr_term_hash(tr_list(tr_list(I(1)), I(2))));
    cr_assert_neq(tr_term_hash(tr_string("")), tr_term_hash(tr_string_n("\0", 1)));
}

Test(term, text_follows_erlang)
{
    check_text(tr_tuple(TR_ATOM(SHUTDOWN), tr_list(I(1), I(2))), "{shutdown,[1,2]}");
    check_text(tr_tuple_n(0, NULL), "{}");
    check_text(tr_list_n(0, NULL), "[]");
    check_text(tr_map_n(0, NULL), "#{}");
    check_text(A("EXIT"), "'EXIT'");
    check_text(A(""), "''");
    check_text(A("a_B1@x"), "a_B1@x");
    check_text(A("1a"), "'1a'");
    check_text(A("a-b"), "'a-b'");
    check_text(A("it's\\"), "'it\\'s\\\\'");
    check_text(tr_string("say \"hi\"\n\t\x01\x7f"), "\"say \\\"hi\\\"\\n\\t\\x{1}\\x{7f}\"");
    check_text(tr_string("\xc3\xa4\xff\xed\xa0\x80"), "\"\xc3\xa4\\x{ff}\\x{ed}\\x{a0}\\x{80}\"");
    check_text(tr_pid_term(((uint64_t)3 << 32) | 17), "<17.3>");
    check_text(tr_ref_term((tr_ref){((uint64_t)3 << 32) | 17, 5}), "#Ref<17.3.5>");
    check_text(I(INT64_MIN), "-9223372036854775808");
    check_text(tr_map_n(2, (tr_term[]){A("k"), tr_map_n(1, (tr_term[]){I(1), I(2)}), A("b"), tr_tuple(I(1))}),
               "#{b=>{1},k=>#{1=>2}}");
}

Test(term, floats_print_in_the_shortest_form_that_reads_back)
{
    const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {100.0, "100.0"},
        {1000.0, "1.0e3"},
        {1234.5, "1234.5"},
        {123456.0, "123456.0"},
        {0.001, "0.001"},
        {0.0001, "0.0001"},
        {0.00001, "1.0e-5"},
        {0.00123, "0.00123"},
        {1e22, "1.0e22"},
        {1.5e300, "1.5e300"},
        {9007199254740991.0, "9007199254740991.0"},
        {9007199254740992.0, "9.007199254740992e15"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5.0e-324"},
        {3.141592653589793, "3.141592653589793"},
        {2.0 / 3.0, "0.6666666666666666"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_text(tr_float(cases[i].value), cases[i].text);
    }
    uint64_t state = 42;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random(&state);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            tr_scratch_mark mark = tr_scratch();
            cr_assert_eq(strtod(tr_term_text(tr_float(value)), NULL), value);
            tr_scratch_release(mark);
        }
    }
}

Test(term, text_is_cut_with_dots_and_tells_the_full_length)
{
    tr_term term = tr_tuple(A("alpha"), A("beta"));
    char out[16];
    cr_assert_eq(tr_term_print(term, NULL, 0), 12);
    cr_assert_eq(tr_term_print(term, out, 13), 12);
    cr_assert_str_eq(out, "{alpha,beta}");
    cr_assert_eq(tr_term_print(term, out, 12), 12);
    cr_assert_str_eq(out, "{alpha,b...");
    for (size_t size = 1; size <= 4; size++) {
        cr_assert_eq(tr_term_print(term, out, size), 12);
        cr_assert_eq(strlen(out), size - 1);
    }
}

Test(term, depth_beyond_a_thousand_prints_dots)
{
    const char *fits = tr_term_text(nest(I(7), 1000));
    cr_assert_eq(strlen(fits), 2001);
    cr_assert_neq(strstr(fits, "{7}"), NULL);
    const char *deep = tr_term_text(nest(I(7), 1002));
    cr_assert_eq(strlen(deep), 2003);
    cr_assert_neq(strstr(deep, "{...}"), NULL);
}

Test(term, deep_terms_are_compared_hashed_and_copied)
{
    tr_term a = nest(I(1), 100000);
    tr_term b = nest(I(2), 100000);
    tr_term kept = tr_term_keep(a);
    cr_assert_lt(tr_term_compare(a, b), 0);
    cr_assert(tr_term_equal(a, kept));
    cr_assert_eq(tr_term_hash(a), tr_term_hash(kept));
    cr_assert_neq(tr_term_hash(a), tr_term_hash(b));
    tr_term_free(kept);
}

Test(term, comparing_leaves_scratch_memory_as_it_was)
{
    tr_term a = nest(I(1), 1000);
    tr_term b = nest(I(2), 1000);
    tr_scratch_mark before = tr_scratch();
    cr_assert_lt(tr_term_compare(a, b), 0);
    tr_term_hash(a);
    tr_scratch_mark after = tr_scratch();
    cr_assert_eq(before.chunk, after.chunk);
    cr_assert_eq(before.used, after.used);
}

Test(term, copies_live_without_the_original)
{
    tr_scratch_mark mark = tr_scratch();
    tr_term original = tr_tuple(A("a"), tr_string("text"), tr_list(I(1), tr_float(2.5), tr_pid_term(9)),
                                tr_map_n(1, (tr_term[]){A("k"), tr_ref_term((tr_ref){1, 2})}), I(INT64_MAX));
    const char *expected = "{a,\"text\",[1,2.5,<9.0>],#{k=>#Ref<1.0.2>},9223372036854775807}";
    tr_term kept = tr_term_keep(original);
    size_t bytes = tr_term_flat_bytes(original);
    uint64_t *memory = malloc(bytes);
    tr_term flat = tr_term_flatten(original, memory);
    cr_assert_eq(tr_term_flat_bytes(kept), bytes);
    tr_scratch_release(mark);
    memset(tr_scratch_alloc(512), 0x55, 512);
    check_text(kept, expected);
    check_text(flat, expected);
    cr_assert(tr_term_equal(kept, flat));
    tr_term_free(kept);
    free(memory);
}

Test(term, immediate_terms_are_kept_for_free)
{
    cr_assert_eq(tr_term_flat_bytes(A("x")), 0);
    cr_assert(tr_same(tr_term_keep(A("x")), A("x")));
    cr_assert(tr_same(tr_term_keep(I(5)), I(5)));
    tr_term_free(A("x"));
    tr_term_free(TR_TERM_NONE_VALUE);
}

Test(term, random_terms_survive_a_copy)
{
    uint64_t state = 7;
    for (int i = 0; i < 2000; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr_term term = random_term(&state);
        tr_term kept = tr_term_keep(term);
        cr_assert(tr_term_equal(term, kept));
        cr_assert_eq(tr_term_hash(term), tr_term_hash(kept));
        cr_assert_str_eq(tr_term_text(term), tr_term_text(kept));
        tr_term_free(kept);
        tr_scratch_release(mark);
    }
}

Test(term, shared_parts_count_once_each_time_they_appear)
{
    tr_term part = tr_tuple(I(1), I(2));
    tr_term whole = tr_tuple(part, part);
    cr_assert_eq(tr_term_flat_bytes(whole), 24 + 2 * 24);
    /* Doubled sixty times it has no copy, and asking for its size costs nothing. */
    for (int i = 0; i < 60; i++) {
        whole = tr_tuple(whole, whole);
    }
    cr_assert_eq(tr_term_flat_bytes(whole), UINT32_MAX);
}

Test(scratch, memory_is_aligned_and_release_gives_it_back)
{
    tr__scratch scratch = {NULL};
    cr_assert_eq(tr__scratch_bytes(&scratch), 0);
    tr_scratch_mark start = tr__scratch_mark(&scratch);
    char *first = tr__scratch_alloc(&scratch, 3);
    char *second = tr__scratch_alloc(&scratch, 1);
    cr_assert_eq((uintptr_t)first % 16, 0);
    cr_assert_eq(second - first, 16);
    size_t one_chunk = tr__scratch_bytes(&scratch);
    tr_scratch_mark middle = tr__scratch_mark(&scratch);
    for (int i = 0; i < 1000; i++) {
        memset(tr__scratch_alloc(&scratch, 100), 1, 100);
    }
    memset(tr__scratch_alloc(&scratch, 1 << 20), 1, 1 << 20);
    cr_assert_gt(tr__scratch_bytes(&scratch), (size_t)1 << 20);
    tr__scratch_release(&scratch, middle);
    cr_assert_eq(tr__scratch_bytes(&scratch), one_chunk);
    cr_assert_eq((char *)tr__scratch_alloc(&scratch, 8) - second, 16);
    tr__scratch_release(&scratch, start);
    cr_assert_eq(tr__scratch_bytes(&scratch), one_chunk);
    cr_assert_eq(tr__scratch_alloc(&scratch, 8), first);
    tr__scratch_fini(&scratch);
    cr_assert_eq(tr__scratch_bytes(&scratch), 0);
}

Test(scratch, empty_requests_and_odd_sizes_do_not_overlap)
{
    tr__scratch scratch = {NULL};
    char *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = tr__scratch_alloc(&scratch, i);
        memset(blocks[i], (int)(i & 0x7f), i);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t j = 0; j < i; j++) {
            cr_assert_eq(blocks[i][j], (char)(i & 0x7f));
        }
    }
    tr__scratch_fini(&scratch);
}

Test(scratch, releasing_everything_leaves_nothing_behind)
{
    tr_scratch_mark empty = tr_scratch();
    cr_assert_eq(empty.chunk, NULL);
    tr_tuple(tr_string("some"), tr_string("terms"));
    cr_assert_gt(tr__scratch_bytes(tr__scratch_current()), 0);
    tr_scratch_release(empty);
    cr_assert_eq(tr__scratch_bytes(tr__scratch_current()), 0);
}
