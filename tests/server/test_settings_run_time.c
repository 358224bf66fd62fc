#include "server/settings_run_time.h"
#include "server/settings_table.h"

#include <criterion/criterion.h>

#include <string.h>

static struct settings *settings;
static struct settings_error error;

static void setup(void)
{
    static const char *const argv[] = {"trouped", "--max-inflight", "7", "--log-level", "warn", NULL};
    static const char *const environment[] = {NULL};
    cr_assert_eq(settings_load(argv, environment, &settings, &error), 0, "%s", error.text);
    settings_run_time_setup(settings);
}

static void teardown(void)
{
    settings_destroy(settings);
}

TestSuite(settings_run_time, .init = setup, .fini = teardown);

static void refused(struct text name, struct text json, const char *words)
{
    error.text[0] = '\0';
    cr_assert_eq(settings_run_time_judge(name, json, &error), -1, "%s is taken", name.bytes);
    cr_assert_not_null(strstr(error.text, words), "%s", error.text);
    cr_assert_eq(settings_run_time_set(name, json, &error), -1);
}

Test(settings_run_time, a_value_holds_until_it_is_restored)
{
    cr_assert_eq(settings_run_time_set(TEXT("max_inflight"), TEXT("9"), &error), 0, "%s", error.text);
    cr_assert_eq(SETTINGS_NOW(settings->max_inflight), 9);
    settings_run_time_restore(TEXT("max_inflight"));
    cr_assert_eq(SETTINGS_NOW(settings->max_inflight), 7);
}

Test(settings_run_time, judging_changes_nothing)
{
    cr_assert_eq(settings_run_time_judge(TEXT("max_inflight"), TEXT("9"), &error), 0);
    cr_assert_eq(settings->max_inflight, 7);
}

Test(settings_run_time, the_log_is_told)
{
    cr_assert_eq(settings_run_time_set(TEXT("log_level"), TEXT("\"debug\""), &error), 0, "%s", error.text);
    cr_assert_eq(log_level(), LOG_DEBUG);
    cr_assert_eq(settings_run_time_set(TEXT("access_log"), TEXT("\"all\""), &error), 0, "%s", error.text);
    cr_assert(log_access_wanted(200, 0));
    settings_run_time_restore(TEXT("log_level"));
    settings_run_time_restore(TEXT("access_log"));
    cr_assert_eq(log_level(), LOG_WARN);
    cr_assert(!log_access_wanted(200, 0));
}

Test(settings_run_time, what_is_refused_changes_nothing)
{
    refused(TEXT("max_inflight"), TEXT("0"),
            "setting max_inflight: \"0\" is not possible; it must be an integer from 1");
    refused(TEXT("max_inflight"), TEXT("1.5"), "is not possible");
    refused(TEXT("max_inflight"), TEXT("\"9\""), "is a string");
    refused(TEXT("max_inflight"), TEXT("[9]"), "is an array");
    refused(TEXT("max_inflight"), TEXT("9 9"), "not JSON");
    refused(TEXT("log_level"), TEXT("\"loud\""), "debug, info, warn or error");
    cr_assert_eq(settings->max_inflight, 7);
    cr_assert_eq(settings->log_level, LOG_WARN);
}

Test(settings_run_time, names_that_may_not)
{
    char long_name[300];
    memset(long_name, 'x', sizeof(long_name));
    refused(TEXT("max_inflght"), TEXT("9"), "did you mean \"max_inflight\"");
    refused(TEXT("max-inflight"), TEXT("9"), "no such setting");
    refused(TEXT("workers"), TEXT("2"), "cannot change while the service runs");
    refused(TEXT("admin_token"), TEXT("[\"secret\"]"), "cannot change while the service runs");
    cr_assert_null(strstr(error.text, "secret"));
    refused((struct text){long_name, sizeof(long_name)}, TEXT("9"), "no such setting");
    refused((struct text){"", 0}, TEXT("9"), "no such setting");
    settings_run_time_restore(TEXT("nothing"));
}

/* Rows that may change are words that can be stored atomically, and never secrets. */
Test(settings_run_time, rows_are_integers_and_choices)
{
    size_t count = 0;
    for (size_t i = 0; i < settings_row_count; i++) {
        const struct settings_row *row = &settings_rows[i];
        bool is_word = row->kind == SETTINGS_INTEGER || row->kind == SETTINGS_LOG_LEVEL ||
                       row->kind == SETTINGS_ACCESS_MODE || row->kind == SETTINGS_SOURCES;
        cr_assert(!row->run_time || (is_word && !row->secret && !row->reserved), "%s", row->member);
        count += row->run_time;
    }
    cr_assert_gt(count, 10);
}
