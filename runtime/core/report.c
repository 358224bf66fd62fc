/* report.c: reports as JSON lines. */
#include "runtime/core/report.h"

#include "runtime/core/text.h"
#include "runtime/sys/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TERM_BYTES_MAX 1024 /* of one term's text */
#define LINE_BYTES     2048 /* longer lines take memory for a moment */

static const struct {
    const char *event, *level, *value_name;
} kinds[] = {
    [TR_REPORT_PROCESS_CRASHED] = {"process.crashed", "error", "value"},
    [TR_REPORT_SERVER_TERMINATED] = {"gen_server.terminated", "error", "value"},
    [TR_REPORT_CHILD_TERMINATED] = {"supervisor.child_terminated", "error", "value"},
    [TR_REPORT_CHILD_START_FAILED] = {"supervisor.start_failed", "error", "value"},
    [TR_REPORT_CHILD_SHUTDOWN_ERROR] = {"supervisor.shutdown_failed", "error", "value"},
    [TR_REPORT_SUPERVISOR_GAVE_UP] = {"supervisor.gave_up", "error", "restarts"},
    [TR_REPORT_CHILD_STARTED] = {"supervisor.child_started", "info", "value"},
    [TR_REPORT_CHILD_RESTARTED] = {"supervisor.restarted", "warning", "restarts"},
    [TR_REPORT_MESSAGE_IGNORED] = {"message.ignored", "warning", "value"},
    [TR_REPORT_SYS_EVENT] = {"sys.event", "info", "value"},
    [TR_REPORT_CALLBACK_RAN_LONG] = {"callback.ran_long", "warning", "duration_ms"},
    [TR_REPORT_STAGE_WARNED] = {"stage.warned", "warning", "value"},
    [TR_REPORT_STATEM_TERMINATED] = {"gen_statem.terminated", "error", "value"},
};

static void put_field(tr__text *into, const char *name, const char *value)
{
    if (value == NULL) {
        return;
    }
    tr__text_put(into, into->wanted == 1 ? "\"" : ",\"", into->wanted == 1 ? 1 : 2);
    tr__text_put(into, name, strlen(name));
    tr__text_put(into, "\":", 2);
    tr__text_json(into, value);
}

static void put_term_field(tr__text *into, const char *name, tr_term value)
{
    char text[TERM_BYTES_MAX];
    if (!tr_is_none(value)) {
        tr_term_print(value, text, sizeof text);
        put_field(into, name, text);
    }
}

static void put_pid_field(tr__text *into, const char *name, tr_pid pid)
{
    char text[32];
    if (pid != TR_NO_PID) {
        snprintf(text, sizeof text, "<%" PRIu32 ".%" PRIu32 ">", TR_PID_SLOT(pid), TR_PID_GENERATION(pid));
        put_field(into, name, text);
    }
}

static bool is_known(tr_report_kind kind)
{
    return (size_t)kind < sizeof kinds / sizeof kinds[0];
}

const char *tr_report_event(tr_report_kind kind)
{
    return is_known(kind) ? kinds[kind].event : "unknown";
}

size_t tr_report_json(const tr_report *report, char *out, size_t size)
{
    tr__text into = {.out = out, .size = size};
    tr__text_put(&into, "{", 1);
    put_field(&into, "level", is_known(report->kind) ? kinds[report->kind].level : "error");
    put_field(&into, "event", tr_report_event(report->kind));
    put_pid_field(&into, "pid", report->pid);
    put_field(&into, "label", report->label);
    put_term_field(&into, "name", report->name);
    put_field(&into, "behaviour", report->behaviour);
    put_term_field(&into, "reason", report->reason);
    put_field(&into, "last_message", report->last_message);
    put_term_field(&into, "state", report->state);
    put_term_field(&into, "queue", report->queue);
    put_term_field(&into, "postponed", report->postponed);
    put_term_field(&into, "timeouts", report->timeouts);
    put_pid_field(&into, "child", report->child);
    put_term_field(&into, "child_id", report->child_id);
    if (report->value != 0 && is_known(report->kind)) {
        char number[64];
        int length = snprintf(number, sizeof number, ",\"%s\":%" PRId64, kinds[report->kind].value_name,
                              report->value);
        tr__text_put(&into, number, (size_t)length);
    }
    tr__text_put(&into, "}", 1);
    return tr__text_end(&into);
}

/* {"ts":"2026-01-31T12:00:00.123Z", without the rest. Returns: its length. */
static size_t put_time(char *out, size_t size)
{
    int64_t now_ms = tr__clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t length = strftime(out, size, "{\"ts\":\"%Y-%m-%dT%H:%M:%S", &utc);
    int rest = snprintf(out + length, size - length, ".%03dZ\",", (int)(now_ms % 1000));
    return length + (size_t)rest;
}

void tr__report_default(const tr_report *report)
{
    if (report->kind == TR_REPORT_CHILD_STARTED) {
        return;
    }
    char head[64];
    char local[LINE_BYTES];
    char *text = local;
    size_t head_length = put_time(head, sizeof head);
    size_t length = tr_report_json(report, NULL, 0);
    size_t bytes = head_length + length + 1;
    if (bytes > sizeof local) {
        text = malloc(bytes);
        if (text == NULL) {
            return;
        }
    }
    /* The object's own brace is overwritten by the end of the head. */
    tr_report_json(report, text + head_length - 1, length + 1);
    memcpy(text, head, head_length);
    text[head_length - 1 + length] = '\n';
    ssize_t written = write(STDERR_FILENO, text, head_length + length);
    (void)written;
    if (text != local) {
        free(text);
    }
}
