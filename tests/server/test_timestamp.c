#include "server/timestamp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

Test(timestamp, writes_what_the_c_library_would)
{
    for (int64_t seconds = -62167219200; seconds < 253402300800; seconds += 8640000 - 12345) {
        char ours[TIMESTAMP_BYTES + 1] = "";
        char theirs[64];
        struct tm tm;
        time_t time = (time_t)seconds;
        cr_assert(timestamp_write(seconds * 1000 + 7, ours));
        gmtime_r(&time, &tm);
        (void)snprintf(theirs, sizeof(theirs), "%04d-%02d-%02dT%02d:%02d:%02d.007Z", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        cr_assert_str_eq(ours, theirs);
        int64_t back = 0;
        cr_assert(timestamp_parse(text_of(ours), &back));
        cr_assert_eq(back, seconds * 1000 + 7);
    }
}

Test(timestamp, refuses_years_that_do_not_fit)
{
    char out[TIMESTAMP_BYTES];
    cr_expect(timestamp_write(INT64_C(253402300799999), out));
    cr_expect_eq(memcmp(out, "9999-12-31T23:59:59.999Z", TIMESTAMP_BYTES), 0);
    cr_expect_not(timestamp_write(INT64_C(253402300800000), out));
    cr_expect(timestamp_write(INT64_C(-62167219200000), out));
    cr_expect_eq(memcmp(out, "0000-01-01T00:00:00.000Z", TIMESTAMP_BYTES), 0);
    cr_expect_not(timestamp_write(INT64_C(-62167219200001), out));
    cr_expect_not(timestamp_write(INT64_MAX, out));
    cr_expect_not(timestamp_write(INT64_MIN, out));
}

Test(timestamp, reads_every_form_of_rfc_3339)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"1970-01-01T00:00:00Z", 0},
                 {"1970-01-01t00:00:00.1z", 100},
                 {"1970-01-01T00:00:00.123456789Z", 123},
                 {"1970-01-01T01:00:00+01:00", 0},
                 {"1969-12-31T23:30:00-00:30", 0},
                 {"2024-02-29T12:00:00Z", 1709208000000},
                 {"2016-12-31T23:59:60Z", 1483228800000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        cr_expect(timestamp_parse(text_of(cases[i].text), &ms), "%s", cases[i].text);
        cr_expect_eq(ms, cases[i].ms, "%s: %ld", cases[i].text, (long)ms);
    }
}

Test(timestamp, refuses_what_is_no_time)
{
    static const char *const bad[] = {"",
                                      "1970-01-01",
                                      "1970-01-01 00:00:00Z",
                                      "1970-01-01T00:00:00",
                                      "1970-13-01T00:00:00Z",
                                      "1970-00-01T00:00:00Z",
                                      "2023-02-29T00:00:00Z",
                                      "1970-01-32T00:00:00Z",
                                      "1970-01-01T24:00:00Z",
                                      "1970-01-01T00:60:00Z",
                                      "1970-01-01T00:00:61Z",
                                      "1970-01-01T00:00:00.Z",
                                      "1970-01-01T00:00:00+1:00",
                                      "1970-01-01T00:00:00+24:00",
                                      "1970-01-01T00:00:00ZZ",
                                      "19700101T000000Z",
                                      "+970-01-01T00:00:00Z"};
    int64_t ms = 5;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(timestamp_parse(text_of(bad[i]), &ms), "%s", bad[i]);
    }
    cr_expect_eq(ms, 5);
}
