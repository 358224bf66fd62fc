#include "api/webhooks/webhook.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(webhook, patterns_that_fit_and_that_do_not)
{
    static const char *const good[] = {"*", "payment", "payment.*", "payment.captured", "a.b.c.*", "A_9.z"};
    static const char *const bad[] = {"",           ".",        ".*",  "**",       "*.created",   "payment.",
                                      "payment..x", "pay ment", "p-q", "payment*", "payment.*.x", ".payment",
                                      "payment.**", "\xc3\xa4"};
    char longest[WEBHOOK_PATTERN_MAX + 2];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_expect(webhook_pattern_fits(text_of(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(webhook_pattern_fits(text_of(bad[i])), "%s", bad[i]);
    }
    memset(longest, 'a', sizeof(longest));
    cr_expect(webhook_pattern_fits((struct text){longest, WEBHOOK_PATTERN_MAX}));
    cr_expect_not(webhook_pattern_fits((struct text){longest, WEBHOOK_PATTERN_MAX + 1}));
}

Test(webhook, wants_what_its_patterns_say)
{
    cr_expect(webhook_wants(TEXT("*"), TEXT("payment.captured")));
    cr_expect(webhook_wants(TEXT("payment.*"), TEXT("payment.captured")));
    cr_expect(webhook_wants(TEXT("payment.*"), TEXT("payment.a.b")));
    cr_expect(webhook_wants(TEXT("order.made payment.captured"), TEXT("payment.captured")));
    cr_expect_not(webhook_wants(TEXT("payment.*"), TEXT("payment")));
    cr_expect_not(webhook_wants(TEXT("payment.*"), TEXT("payment.")));
    cr_expect_not(webhook_wants(TEXT("payment.*"), TEXT("payments.captured")));
    cr_expect_not(webhook_wants(TEXT("payment.captured"), TEXT("payment.captured.late")));
    cr_expect_not(webhook_wants(TEXT("order.made payment.created"), TEXT("payment.captured")));
    cr_expect_not(webhook_wants(TEXT(""), TEXT("payment.captured")));
}

Test(webhook, a_message_has_one_id)
{
    char id[WEBHOOK_MESSAGE_MAX];
    char subject[WEBHOOK_SUBJECT_MAX + 2];
    webhook_message_id("pay_abc", 7, id);
    cr_expect_str_eq(id, "msg_pay_abc_7");
    memset(subject, 's', sizeof(subject));
    subject[WEBHOOK_SUBJECT_MAX] = '\0';
    webhook_message_id(subject, INT64_MAX, id);
    cr_expect_eq(strlen(id), strlen("msg__") + WEBHOOK_SUBJECT_MAX + 19);
    cr_expect(webhook_subject_fits(text_of(subject)));
    cr_expect_not(webhook_subject_fits(TEXT("a.b")));
    cr_expect_not(webhook_subject_fits(TEXT("")));
    subject[WEBHOOK_SUBJECT_MAX] = 's';
    cr_expect_not(webhook_subject_fits((struct text){subject, WEBHOOK_SUBJECT_MAX + 1}));
}

Test(webhook, names_that_fit_and_that_do_not)
{
    cr_expect(webhook_name_fits(TEXT("shop-1.main_A")));
    cr_expect_not(webhook_name_fits(TEXT("")));
    cr_expect_not(webhook_name_fits(TEXT("a b")));
    cr_expect_not(webhook_name_fits(TEXT("a/b")));
    cr_expect_not(webhook_name_fits((struct text){"a\0b", 3}));
}

Test(webhook, urls_that_say_they_are_private)
{
    static const char *const private[] = {
        "http://127.0.0.1/",         "http://127.0.0.1:8080/x", "https://10.1.2.3",    "http://[::1]:80/",
        "http://[fe80::1%25eth0]/",  "http://localhost/",       "http://LOCALHOST:1/", "http://a.localhost./",
        "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/", "http://0.0.0.0/",     "http://",
        "http://[fd00::1]/",         "http://192.168.0.1?x",    "http://127.0.0.1#f"};
    static const char *const public[] = {"https://example.org/hook", "http://1.1.1.1/",
                                         "http://[2606:4700::1111]:8443/x", "https://localhost.example.org/",
                                         "http://example.org/?u=http://127.0.0.1/"};
    for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++) {
        cr_expect(webhook_url_is_private(private[i]), "%s", private[i]);
    }
    for (size_t i = 0; i < sizeof(public) / sizeof(public[0]); i++) {
        cr_expect_not(webhook_url_is_private(public[i]), "%s", public[i]);
    }
}
