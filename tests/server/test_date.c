/* The Date of answers. */
#include "server/http/date.h"

#include <criterion/criterion.h>
#include <stdint.h>

static void expect_date(struct http_date *date, time_t now, const char *wanted)
{
    http_date_update(date, now);
    cr_expect(text_equal(http_date_text(date), text_of(wanted)), "%s, wanted %s", date->bytes, wanted);
}

Test(date, is_an_imf_fixdate)
{
    struct http_date date = {0};
    expect_date(&date, 784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* the RFC's example */
    expect_date(&date, 0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(&date, 951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    expect_date(&date, 951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(&date, 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

Test(date, follows_the_clock_both_ways_and_says_something_when_it_is_mad)
{
    struct http_date date = {0};
    expect_date(&date, 1, "Thu, 01 Jan 1970 00:00:01 GMT");
    expect_date(&date, 1, "Thu, 01 Jan 1970 00:00:01 GMT");
    expect_date(&date, 2, "Thu, 01 Jan 1970 00:00:02 GMT");
    expect_date(&date, 1, "Thu, 01 Jan 1970 00:00:01 GMT");
    expect_date(&date, 253402300800, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(&date, INT64_MAX, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(&date, 3, "Thu, 01 Jan 1970 00:00:03 GMT");
}
