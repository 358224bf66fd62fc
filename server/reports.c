#include "server/reports.h"

#include <stdio.h>

#include "server/log.h"

#define TERM_BYTES 512

static const struct {
    enum log_event_id event;
    enum log_level level;
} kinds[] = {
    [TR_REPORT_PROCESS_CRASHED] = {EVENT_PROCESS_CRASHED, LOG_ERROR},
    [TR_REPORT_SERVER_TERMINATED] = {EVENT_SERVER_TERMINATED, LOG_ERROR},
    [TR_REPORT_CHILD_TERMINATED] = {EVENT_CHILD_TERMINATED, LOG_ERROR},
    [TR_REPORT_CHILD_START_FAILED] = {EVENT_CHILD_START_FAILED, LOG_ERROR},
    [TR_REPORT_CHILD_SHUTDOWN_ERROR] = {EVENT_CHILD_SHUTDOWN_FAILED, LOG_ERROR},
    [TR_REPORT_SUPERVISOR_GAVE_UP] = {EVENT_SUPERVISOR_GAVE_UP, LOG_ERROR},
    [TR_REPORT_CHILD_STARTED] = {EVENT_CHILD_STARTED, LOG_DEBUG},
    [TR_REPORT_CHILD_RESTARTED] = {EVENT_SUPERVISOR_RESTARTED, LOG_WARN},
    [TR_REPORT_MESSAGE_IGNORED] = {EVENT_MESSAGE_IGNORED, LOG_WARN},
    [TR_REPORT_SYS_EVENT] = {EVENT_SYS_EVENT, LOG_INFO},
    [TR_REPORT_CALLBACK_RAN_LONG] = {EVENT_CALLBACK_RAN_LONG, LOG_WARN},
    [TR_REPORT_STAGE_WARNED] = {EVENT_STAGE_WARNED, LOG_WARN},
    [TR_REPORT_STATEM_TERMINATED] = {EVENT_STATEM_TERMINATED, LOG_ERROR},
};

static const char *pid_text(tr_pid pid, char out[32])
{
    if (pid == TR_NO_PID) {
        return NULL;
    }
    snprintf(out, 32, "%u.%u", TR_PID_SLOT(pid), TR_PID_GENERATION(pid));
    return out;
}

static const char *term_text(tr_term term, char *out, size_t bytes)
{
    if (tr_is_none(term)) {
        return NULL;
    }
    if (tr_is_atom(term)) {
        return tr_atom_text(term); /* names without the quotes that a term's text has */
    }
    tr_term_print(term, out, bytes);
    return out;
}

void reports_log(const tr_report *report, void *ctx)
{
    (void)ctx;
    enum log_level level = kinds[report->kind].level;
    if (level < log_level()) {
        return;
    }
    char pid[32];
    char child[32];
    char name[TERM_BYTES];
    char reason[TERM_BYTES];
    char state[TERM_BYTES];
    char id[TERM_BYTES];
    char queue[TERM_BYTES];
    char postponed[TERM_BYTES];
    char timeouts[TERM_BYTES];
    struct log_field fields[16];
    size_t count = 0;
    const struct {
        const char *member, *text;
    } texts[] = {
        {"pid", pid_text(report->pid, pid)},
        {"name", term_text(report->name, name, sizeof(name))},
        {"label", report->label},
        {"behaviour", report->behaviour},
        {"reason", term_text(report->reason, reason, sizeof(reason))},
        {"last_message", report->last_message},
        {"state", term_text(report->state, state, sizeof(state))},
        {"queue", term_text(report->queue, queue, sizeof(queue))},
        {"postponed", term_text(report->postponed, postponed, sizeof(postponed))},
        {"timeouts", term_text(report->timeouts, timeouts, sizeof(timeouts))},
        {"child", pid_text(report->child, child)},
        {"child_id", term_text(report->child_id, id, sizeof(id))},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text != NULL && texts[i].text[0] != '\0') {
            fields[count++] = log_str(texts[i].member, texts[i].text);
        }
    }
    if (report->value != 0) {
        fields[count++] = log_int("value", report->value);
    }
    log_write(level, kinds[report->kind].event, fields, count);
}
