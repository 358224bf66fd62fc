#include "server/log.h"

#include "server/log_format.h"
#include "server/log_ring.h"
#include "server/settings.h"
#include "server/utf8.h"

#include <cjson/cJSON.h>

#include <criterion/criterion.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static char file[96];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/test_log.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/log", folder);
}

static void remove_folder(void)
{
    char old[112];
    snprintf(old, sizeof old, "%s.1", file);
    unlink(file);
    unlink(old);
    rmdir(folder);
}

TestSuite(log, .init = make_folder, .fini = remove_folder);

static int64_t fixed_clock(void)
{
    return 1793359768123456789; /* 2026-10-30T11:29:28.123Z */
}

static char contents[1 << 18];

static const char *read_log(const char *path)
{
    FILE *in = fopen(path, "r");
    cr_assert_not_null(in, "%s", path);
    size_t bytes = fread(contents, 1, sizeof contents - 1, in);
    contents[bytes] = '\0';
    fclose(in);
    return contents;
}

static void start(enum log_level level, enum log_access_mode access)
{
    const struct log_options options = {
        .level = level, .access = access, .file = file, .slow_request_ms = 100, .wall_clock_ns = fixed_clock};
    cr_assert_eq(log_start(&options), 0);
}

/* The line that fields make, parsed. */
static cJSON *line_of(const struct log_field *fields, size_t count, char line[LOG_LINE_MAX])
{
    size_t bytes = log_format_event(line, fixed_clock(), "info", EVENT_SERVICE_READY, fields, count);
    cr_assert_leq(bytes, LOG_LINE_MAX);
    cr_assert_eq(line[bytes - 1], '\n');
    cr_assert_eq(memchr(line, '\n', bytes), line + bytes - 1, "one line");
    cr_assert(utf8_valid(line, bytes));
    line[bytes - 1] = '\0';
    cJSON *json = cJSON_Parse(line);
    cr_assert_not_null(json, "%s", line);
    return json;
}

static const char *text(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

Test(log, line_has_time_level_event_and_typed_fields)
{
    start(LOG_INFO, LOG_ACCESS_OFF);
    log_event(LOG_WARN, EVENT_SERVICE_READY, log_str("address", "127.0.0.1:8080"), log_int("i", INT64_MIN),
              log_uint("u", UINT64_MAX), log_double("d", 0.1), log_bool("b", true), log_str("none", NULL),
              log_strn("part", "abcdef", 3), log_double("nan", (double)NAN));
    log_stop();
    cr_assert_str_eq(
        read_log(file),
        "{\"ts\":\"2026-10-30T11:29:28.123Z\",\"level\":\"warn\",\"event\":\"service.ready\","
        "\"address\":\"127.0.0.1:8080\",\"i\":-9223372036854775808,\"u\":18446744073709551615,\"d\":0.1,"
        "\"b\":true,\"none\":null,\"part\":\"abc\",\"nan\":null}\n");
}

Test(log, event_without_fields_is_a_line)
{
    start(LOG_INFO, LOG_ACCESS_OFF);
    log_event(LOG_INFO, EVENT_SERVICE_STARTED);
    log_stop();
    cr_assert_str_eq(
        read_log(file),
        "{\"ts\":\"2026-10-30T11:29:28.123Z\",\"level\":\"info\",\"event\":\"service.started\"}\n");
}

Test(log, times_are_right_at_the_edges_of_the_calendar)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } times[] = {{0, "1970-01-01T00:00:00.000Z"},          {951782400, "2000-02-29T00:00:00.000Z"},
                 {4107542400, "2100-03-01T00:00:00.000Z"}, {1709251199, "2024-02-29T23:59:59.000Z"},
                 {1735689599, "2024-12-31T23:59:59.000Z"}, {-1, "1969-12-31T23:59:59.000Z"}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char line[LOG_LINE_MAX];
        size_t bytes =
            log_format_event(line, times[i].seconds * 1000000000, "info", EVENT_SERVICE_READY, NULL, 0);
        line[bytes - 1] = '\0';
        cr_assert_not_null(strstr(line, times[i].text), "%s in %s", times[i].text, line);
    }
}

Test(log, level_can_be_changed_while_running_and_fields_are_not_evaluated_below_it)
{
    int evaluated = 0;
    start(LOG_WARN, LOG_ACCESS_OFF);
    log_event(LOG_INFO, EVENT_SERVICE_READY, log_int("n", ++evaluated));
    cr_assert_eq(evaluated, 0);
    log_set_level(LOG_DEBUG);
    log_event(LOG_DEBUG, EVENT_SERVICE_READY, log_int("n", ++evaluated));
    log_set_level(LOG_ERROR);
    log_event(LOG_WARN, EVENT_SERVICE_READY, log_int("n", ++evaluated));
    log_stop();
    cr_assert_eq(evaluated, 1);
    cr_assert_not_null(strstr(read_log(file), "\"level\":\"debug\""));
    cr_assert_null(strstr(contents, "\"level\":\"warn\""));
}

Test(log, strings_are_escaped_and_bad_utf8_is_replaced)
{
    char line[LOG_LINE_MAX];
    const struct log_field fields[] = {
        log_str("a", "q\" b\\ n\n t\t z\x01 d\x7F"), log_str("b", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"),
        log_str("c", "\xFF|\xC3|\xED\xA0\x80|\xC0\x80"), log_strn("d", "x\0y", 3)};
    cJSON *json = line_of(fields, 4, line);
    cr_assert_str_eq(text(json, "a"), "q\" b\\ n\n t\t z\x01 d\x7F");
    cr_assert_str_eq(text(json, "b"), "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
    cr_assert_str_eq(text(json, "c"), "\xEF\xBF\xBD|\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
                                      "\xEF\xBF\xBD\xEF\xBF\xBD");
    cr_assert_not_null(strstr(line, "\"d\":\"x\\u0000y\""));
    cJSON_Delete(json);
}

Test(log, long_strings_are_cut_visibly_and_never_inside_a_character)
{
    static char longer[20000];
    char line[LOG_LINE_MAX];
    for (size_t i = 0; i + 3 < sizeof longer; i += 3) {
        memcpy(longer + i, "\xE2\x82\xAC", 3);
    }
    const struct log_field field = log_str("s", longer);
    cJSON *json = line_of(&field, 1, line);
    const char *cut = strstr(text(json, "s"), "...(+");
    cr_assert_not_null(cut);
    size_t kept = (size_t)(cut - text(json, "s"));
    cr_assert_eq(kept % 3, 0);
    cr_assert_eq(kept + strtoul(cut + 5, NULL, 10), strlen(longer), "the mark says how much is missing");
    cJSON_Delete(json);
}

Test(log, too_many_fields_are_dropped_whole_and_counted)
{
    char big[LOG_STRING_MAX];
    char line[LOG_LINE_MAX];
    struct log_field fields[60];
    memset(big, '"', sizeof big); /* twice as long when escaped */
    for (size_t i = 0; i < 60; i++) {
        fields[i] = i % 2 == 0 ? log_strn("s", big, 500) : log_int("n", INT64_MIN);
    }
    cJSON *json = line_of(fields, 60, line);
    double dropped = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "fields_dropped"));
    cr_assert_gt(dropped, 0);
    cr_assert_eq(cJSON_GetArraySize(json), 3 + 60 - (int)dropped + 1);
    cJSON_Delete(json);
}

/* Every size around the limit, so that no cut is off by one. */
Test(log, no_length_breaks_a_line)
{
    static char big[3 * LOG_LINE_MAX];
    char line[LOG_LINE_MAX];
    memset(big, 'x', sizeof big);
    for (size_t i = 0; i < 1500; i += 1) {
        const struct log_field fields[] = {log_strn("a", big, 1020), log_strn("b", big, 1020),
                                           log_strn("c", big, 1020), log_strn("d", big, i),
                                           log_int("e", 12345),      log_strn("f", "\x01", 1)};
        cJSON_Delete(line_of(fields, 6, line));
    }
}

static const struct log_access slow_request = {.request_id = "r-1",
                                               .method = "POST",
                                               .path = "/v1/rate-limits/default/check",
                                               .route = "/v1/rate-limits/{policy}/check",
                                               .client = "127.0.0.1",
                                               .status = 200,
                                               .duration_ns = 123456789,
                                               .request_bytes = 10,
                                               .response_bytes = 20};

Test(log, access_log_off_errors_and_all)
{
    const struct log_access quick = {
        .request_id = "quick", .method = "GET", .status = 404, .duration_ns = 99999999};
    const struct log_access broken = {
        .request_id = "broken", .method = "GET", .status = 500, .code = "internal"};
    static const struct {
        enum log_access_mode mode;
        bool slow, quick, broken;
    } modes[] = {{LOG_ACCESS_OFF, false, false, false},
                 {LOG_ACCESS_ERRORS, true, false, true},
                 {LOG_ACCESS_ALL, true, true, true}};
    for (size_t i = 0; i < 3; i++) {
        start(LOG_ERROR, modes[i].mode); /* the level is for events */
        log_access(&slow_request);
        log_access(&quick);
        log_access(&broken);
        log_stop();
        read_log(file);
        cr_assert_eq(strstr(contents, "\"r-1\"") != NULL, modes[i].slow);
        cr_assert_eq(strstr(contents, "\"quick\"") != NULL, modes[i].quick);
        cr_assert_eq(strstr(contents, "\"broken\"") != NULL, modes[i].broken);
        unlink(file);
    }
}

Test(log, access_line_has_what_is_known_and_leaves_out_the_rest)
{
    start(LOG_INFO, LOG_ACCESS_ALL);
    log_access(&slow_request);
    log_stop();
    cr_assert_str_eq(read_log(file),
                     "{\"ts\":\"2026-10-30T11:29:28.123Z\",\"level\":\"warn\",\"event\":\"request.finished\","
                     "\"status\":200,\"duration_ms\":123.456,\"request_bytes\":10,\"response_bytes\":20,"
                     "\"request_id\":\"r-1\",\"method\":\"POST\",\"path\":\"/v1/rate-limits/default/check\","
                     "\"route\":\"/v1/rate-limits/{policy}/check\",\"client\":\"127.0.0.1\"}\n");
}

Test(log, access_line_with_long_strings_is_cut_visibly)
{
    static char longer[5000];
    char line[LOG_LINE_MAX];
    memset(longer, 'p', sizeof longer - 1);
    memcpy(longer + LOG_STRING_MAX - 1, "\xC3\xA4", 2); /* the cut falls inside a character */
    const struct log_access access = {.request_id = longer,
                                      .method = longer,
                                      .path = longer,
                                      .route = longer,
                                      .client = longer,
                                      .trace_id = longer,
                                      .code = longer,
                                      .status = 200};
    struct log_access_record *record = malloc(log_access_record_bytes(&access));
    log_access_record_fill(record, &access);
    size_t bytes = log_format_access(line, fixed_clock(), record);
    cr_assert_leq(bytes, LOG_LINE_MAX);
    cr_assert(utf8_valid(line, bytes));
    line[bytes - 1] = '\0';
    cJSON *json = cJSON_Parse(line);
    cr_assert_not_null(json, "%s", line);
    cr_assert_not_null(strstr(text(json, "request_id"), "...(+"));
    cr_assert_null(strstr(line, "\xEF\xBF\xBD"), "no half character");
    cJSON_Delete(json);
    free(record);
}

Test(log, flush_returns_when_all_before_it_is_in_the_file)
{
    start(LOG_INFO, LOG_ACCESS_OFF);
    for (int i = 0; i < 50; i++) {
        char expected[32];
        log_event(LOG_INFO, EVENT_SERVICE_READY, log_int("turn", i));
        cr_assert(log_flush(10000));
        snprintf(expected, sizeof expected, "\"turn\":%d}", i);
        cr_assert_not_null(strstr(read_log(file), expected));
    }
    log_stop();
}

Test(log, works_before_start_and_after_stop)
{
    int pipe_ends[2];
    char bytes[512] = "";
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    cr_assert_eq(log_start(&(struct log_options){.level = LOG_INFO, .fd = pipe_ends[1], .no_thread = true}),
                 0);
    log_event(LOG_INFO, EVENT_SERVICE_STARTED);
    cr_assert_gt(read(pipe_ends[0], bytes, sizeof bytes - 1), 0);
    cr_assert_not_null(strstr(bytes, "service.started"));
    cr_assert_eq(log_start(&(struct log_options){.level = LOG_INFO, .fd = pipe_ends[1]}), 0);
    log_stop();
    log_event(LOG_INFO, EVENT_SERVICE_STOPPED);
    cr_assert_gt(read(pipe_ends[0], bytes, sizeof bytes - 1), 0);
    cr_assert_not_null(strstr(bytes, "service.stopped"));
}

Test(log, file_that_cannot_be_opened_is_an_error)
{
    cr_assert_eq(log_start(&(struct log_options){.file = "/nonexistent/log"}), -1);
}

Test(log, reopen_follows_a_rotation)
{
    char old[112];
    snprintf(old, sizeof old, "%s.1", file);
    start(LOG_INFO, LOG_ACCESS_OFF);
    log_event(LOG_INFO, EVENT_SERVICE_STARTED);
    cr_assert(log_flush(10000));
    cr_assert_eq(rename(file, old), 0);
    log_reopen();
    cr_assert(log_flush(10000));
    log_event(LOG_INFO, EVENT_SERVICE_STOPPED);
    log_stop();
    cr_assert_not_null(strstr(read_log(old), "service.started"));
    cr_assert_null(strstr(contents, "service.stopped"));
    cr_assert_not_null(strstr(read_log(file), "service.stopped"));
    cr_assert_not_null(strstr(contents, "log.reopened"));
}

/* A full device: the lines are counted as dropped, and nothing hangs. */
Test(log, failed_writes_count_as_dropped)
{
    struct log_stats stats;
    cr_assert_eq(log_start(&(struct log_options){.level = LOG_INFO, .file = "/dev/full"}), 0);
    for (int i = 0; i < 10; i++) {
        log_event(LOG_INFO, EVENT_SERVICE_READY);
    }
    cr_assert(log_flush(10000));
    log_stats(&stats);
    cr_assert_eq(stats.lines_written, 0);
    cr_assert_eq(stats.lines_dropped, 10);
    cr_assert_gt(stats.write_errors, 0);
    log_stop();
}

Test(log, stop_gives_up_on_a_descriptor_that_takes_nothing)
{
    int pipe_ends[2];
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    cr_assert_eq(log_start(&(struct log_options){.level = LOG_INFO, .fd = pipe_ends[1]}), 0);
    for (int i = 0; i < 5000; i++) {
        log_event(LOG_INFO, EVENT_SERVICE_READY, log_str("filler", "some text to fill the pipe with"));
    }
    log_stop();
    struct log_stats stats;
    log_stats(&stats);
    cr_assert_eq(stats.lines_written + stats.lines_dropped, 5000);
    cr_assert_gt(stats.lines_dropped, 0);
}

/* In a child: log, then die at once after the last words. Nothing may be missing. */
Test(log, last_words_come_after_everything_else_and_before_death)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        start(LOG_INFO, LOG_ACCESS_OFF);
        for (int i = 0; i < 100; i++) {
            log_event(LOG_INFO, EVENT_SERVICE_READY, log_int("n", i));
        }
        log_fatal_now(EVENT_SERVICE_FAILED, log_str("reason", "broken invariant"), log_int("signal", 6));
        _exit(70);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(WEXITSTATUS(status), 70);
    read_log(file);
    cr_assert_not_null(strstr(contents, "\"n\":99}"));
    const char *last =
        strstr(contents, "\"level\":\"fatal\",\"event\":\"service.failed\",\"reason\":\"broken invariant\","
                         "\"signal\":6}\n");
    cr_assert_not_null(last);
    cr_assert_eq(strchr(last, '\n')[1], '\0', "it is the last line");
}

Test(log, events_are_named_noun_dot_past_verb_and_once)
{
    for (int i = 0; i < LOG_EVENT_COUNT; i++) {
        const char *name = log_event_text((enum log_event_id)i);
        const char *dot = strchr(name, '.');
        cr_assert(dot != NULL && dot > name && dot[1] != '\0' && strchr(dot + 1, '.') == NULL, "%s", name);
        cr_assert_eq(name[strspn(name, "abcdefghijklmnopqrstuvwxyz_.")], '\0', "%s", name);
        for (int j = 0; j < i; j++) {
            cr_assert_str_neq(name, log_event_text((enum log_event_id)j));
        }
    }
}

Test(log, ring_gives_back_what_was_put_in_over_many_turns)
{
    struct log_ring *ring = log_ring_create();
    uint64_t position = 0;
    unsigned put = 0;
    unsigned got = 0;
    unsigned seed = 12345;
    while (got < 200000) {
        for (unsigned burst = seed % 300; burst > 0; burst--) {
            seed = seed * 1103515245 + 12345;
            size_t bytes = 8 + seed / 65536 % 3000;
            struct log_record *record = log_ring_reserve(ring, bytes);
            if (record == NULL) {
                break;
            }
            record->type = LOG_RECORD_LINE;
            if (put % 3 == 0) {
                record = log_ring_reserve(ring, bytes); /* the first one was never published */
                record->type = LOG_RECORD_LINE;
            }
            memset(record->payload, (int)(put & 0xFF), bytes);
            record->wall_ns = put++;
            log_ring_publish(ring, record, bytes);
        }
        seed = seed * 1103515245 + 12345;
        uint64_t end = atomic_load(&ring->head);
        for (const struct log_record *record; (record = log_ring_peek(ring, &position, end)) != NULL;) {
            cr_assert_eq(record->wall_ns, got);
            cr_assert_eq((unsigned char)record->payload[record->payload_bytes - 1], got & 0xFF);
            position = log_ring_after(position, record);
            got++;
        }
        log_ring_release(ring, position);
    }
    cr_assert_eq(put, got);
}

/* Wherever the last burst ended, the next one finds the whole ring free. */
Test(log, drained_ring_takes_a_full_burst_at_any_offset)
{
    struct log_ring *ring = log_ring_create();
    enum { RECORD = 1000 + sizeof(struct log_record) };
    for (size_t burst = 1; burst < LOG_RING_BYTES / RECORD; burst += 7) {
        for (size_t i = 0; i < burst; i++) {
            struct log_record *record = log_ring_reserve(ring, 1000);
            record->type = LOG_RECORD_LINE;
            log_ring_publish(ring, record, 1000);
        }
        log_ring_release(ring, atomic_load(&ring->head));
        size_t room = 0;
        for (struct log_record *record; (record = log_ring_reserve(ring, 1000)) != NULL; room++) {
            record->type = LOG_RECORD_LINE;
            log_ring_publish(ring, record, 1000);
        }
        cr_assert_geq(room, LOG_RING_BYTES / (RECORD + 16) - 2, "only %zu after a burst of %zu", room, burst);
        log_ring_release(ring, atomic_load(&ring->head));
    }
}

Test(log, full_ring_refuses_and_recovers)
{
    struct log_ring *ring = log_ring_create();
    struct log_record *record = NULL;
    uint64_t position = 0;
    size_t count = 0;
    while ((record = log_ring_reserve(ring, 1000)) != NULL) {
        record->type = LOG_RECORD_LINE;
        log_ring_publish(ring, record, 1000);
        count++;
    }
    cr_assert_gt(count, LOG_RING_BYTES / 1024 - 10);
    position = log_ring_after(0, log_ring_peek(ring, &position, atomic_load(&ring->head)));
    log_ring_release(ring, position);
    cr_assert_not_null(log_ring_reserve(ring, 1000));
}

Test(log, secrets_of_settings_are_nowhere_in_a_logged_error)
{
    struct settings *settings = NULL;
    struct settings_error error;
    const char *const argv[] = {"trouped", "--client-token=hush hush", NULL};
    const char *const environment[] = {NULL};
    cr_assert_eq(settings_load(argv, environment, &settings, &error), -1);
    start(LOG_INFO, LOG_ACCESS_OFF);
    log_event(LOG_ERROR, EVENT_SERVICE_FAILED, log_str("detail", error.text));
    log_stop();
    cr_assert_not_null(strstr(read_log(file), "--client-token"));
    cr_assert_null(strstr(contents, "hush"));
}
