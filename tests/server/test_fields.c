/* The header fields of an answer. */
#include "server/http/fields.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct text run_of(const struct fields *fields)
{
    return (struct text){.bytes = fields->bytes, .count = fields->count};
}

Test(fields, are_the_bytes_that_go_out)
{
    struct fields fields;
    fields_init(&fields);
    cr_expect(fields_add(&fields, TEXT("ETag"), TEXT("\"3\"")) &&
              fields_add(&fields, TEXT("X-Empty"), TEXT("")));
    char *at = fields_reserve(&fields, 100);
    fields_commit(&fields, text_put(at, TEXT("\r\nA: 1\r\nB: 2")));
    cr_expect(text_equal(run_of(&fields), TEXT("\r\nETag: \"3\"\r\nX-Empty: \r\nA: 1\r\nB: 2")));
    fields_fini(&fields);
    cr_expect(fields.count == 0);
}

Test(fields, with_control_bytes_are_not_added)
{
    static const char *const bad[] = {"a\r\nX: y", "a\nb", "\r", "a\001", "\177"};
    struct fields fields;
    fields_init(&fields);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(fields_add(&fields, TEXT("X"), text_of(bad[i])));
    }
    cr_expect_not(fields_add(&fields, TEXT("X"), (struct text){.bytes = "a\0b", .count = 3}));
    cr_expect(fields.count == 0);
    cr_expect(fields_add(&fields, TEXT("X"), TEXT("tab\tand \xC3\xA9")));
    fields_fini(&fields);
}

Test(fields, grow_to_their_limit_and_stay_whole_beyond_it)
{
    struct fields fields;
    char value[100];
    size_t added = 0;
    memset(value, 'v', sizeof(value));
    fields_init(&fields);
    while (fields_add(&fields, TEXT("Name"), (struct text){value, sizeof(value)})) {
        added++;
    }
    cr_expect(added == FIELDS_BYTES_MAX / 108 && fields.count == added * 108);
    cr_expect(fields_add(&fields, TEXT("N"), TEXT("fits")));
    cr_expect_null(fields_reserve(&fields, FIELDS_BYTES_MAX));
    for (size_t i = 0; i < added; i++) {
        cr_expect(memcmp(fields.bytes + i * 108, "\r\nName: vvv", 11) == 0);
    }
    fields_fini(&fields);
}

Test(fields, are_found_by_name_and_not_in_values)
{
    struct fields fields;
    fields_init(&fields);
    cr_expect_not(fields_have(&fields, TEXT("Retry-After")));
    cr_expect(fields_add(&fields, TEXT("X"), TEXT("Retry-After: 1")));
    cr_expect(fields_add(&fields, TEXT("Retry-Afterwards"), TEXT("1")));
    cr_expect_not(fields_have(&fields, TEXT("Retry-After")));
    cr_expect(fields_add(&fields, TEXT("Retry-After"), TEXT("1")));
    cr_expect(fields_have(&fields, TEXT("Retry-After")) && fields_have(&fields, TEXT("X")));
    cr_expect_not(fields_have(&fields, TEXT("Y")));
    fields_fini(&fields);
}
