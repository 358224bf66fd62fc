#include "server/http/request_id.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct request_id_source source;

static void set_up(void)
{
    request_id_source_seed(&source, UINT64_C(0x0123456789ABCDEF), 7);
}

TestSuite(request_id, .init = set_up);

Test(request_id, takes_a_valid_one_over)
{
    struct request_id id;
    char longest[REQUEST_ID_BYTES_MAX];
    memset(longest, 'x', sizeof(longest));
    request_id_choose(&id, &source, TEXT("Az09._-"));
    cr_expect(text_equal(request_id_text(&id), TEXT("Az09._-")));
    request_id_choose(&id, &source, (struct text){longest, sizeof(longest)});
    cr_expect_eq(id.count, REQUEST_ID_BYTES_MAX);
}

Test(request_id, makes_one_instead_of_a_bad_one)
{
    char too_long[REQUEST_ID_BYTES_MAX + 1];
    memset(too_long, 'x', sizeof(too_long));
    const struct text bad[] = {{0},          TEXT(""),    TEXT("a b"),
                               TEXT("a\"b"), TEXT("a/b"), TEXT("\xC3\xA9"),
                               TEXT("a\nb"), TEXT("a "),  {too_long, sizeof(too_long)}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct request_id id;
        request_id_choose(&id, &source, bad[i]);
        cr_expect_eq(id.count, REQUEST_ID_MADE_BYTES, "%zu", i);
        cr_expect(request_id_valid(request_id_text(&id)));
        cr_expect_eq(memcmp(id.bytes, "0123456789abcdef", 16), 0);
    }
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, REQUEST_ID_MADE_BYTES);
}

Test(request_id, never_makes_one_twice)
{
    enum { COUNT = 200000 };
    char(*ids)[REQUEST_ID_MADE_BYTES] = malloc(COUNT * sizeof(*ids));
    for (size_t i = 0; i < COUNT; i++) {
        struct request_id id;
        request_id_choose(&id, &source, (struct text){0});
        memcpy(ids[i], id.bytes, REQUEST_ID_MADE_BYTES);
    }
    qsort(ids, COUNT, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < COUNT; i++) {
        cr_assert_neq(compare_ids(ids[i - 1], ids[i]), 0);
    }
    free(ids);
}

Test(request_id, sources_differ)
{
    struct request_id_source a;
    struct request_id_source b;
    cr_assert(request_id_source_init(&a) && request_id_source_init(&b));
    cr_expect_neq(a.prefix, b.prefix);
}

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Test(request_id, continues_a_trace)
{
    struct trace_context trace;
    char out[TRACEPARENT_BYTES];
    trace_context_choose(&trace, &source, TEXT(GOOD));
    cr_expect(trace.continued);
    cr_expect_eq(trace.parent, UINT64_C(0xB7AD6B7169203331));
    trace_context_write(&trace, out);
    cr_expect_eq(memcmp(out, GOOD, 36), 0, "the trace is kept");
    cr_expect_neq(memcmp(out + 36, &GOOD[36], 16), 0, "the span is its own");
    cr_expect_eq(memcmp(out + 52, "-01", 3), 0);
    trace_context_choose(&trace, &source,
                         TEXT("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more"));
    cr_expect(trace.continued, "a later version may be longer");
    cr_expect_eq(trace.flags, 1);
}

Test(request_id, starts_a_trace_instead_of_a_bad_one)
{
    static const char *const bad[] = {
        "",
        "00",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct trace_context trace;
        char out[TRACEPARENT_BYTES];
        struct trace_context again;
        trace_context_choose(&trace, &source, text_of(bad[i]));
        cr_expect_not(trace.continued, "%s", bad[i]);
        cr_expect_eq(trace.parent, 0);
        trace_context_write(&trace, out);
        trace_context_choose(&again, &source, (struct text){out, sizeof(out)});
        cr_expect(again.continued && again.trace_low == trace.trace_low && again.parent == trace.span);
    }
    struct trace_context absent;
    trace_context_choose(&absent, &source, (struct text){0});
    cr_expect_not(absent.continued);
}
