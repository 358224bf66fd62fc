/* sys_log.h: the log of sys of a process, compared as text. */
#ifndef TESTS_RUNTIME_SYS_LOG_H
#define TESTS_RUNTIME_SYS_LOG_H

#include "tests/runtime/stage.h"

/* The terms of a log, without those whose text changes from run to run: pids and references are cut out. */
static inline const char *plain_text(tr_term event)
{
    const char *text = tr_term_text(event);
    char *out = tr_scratch_alloc(strlen(text) + 1);
    size_t used = 0;
    int depth = 0;
    for (; *text != '\0'; text++) {
        depth += *text == '<';
        if (depth == 0) {
            out[used++] = *text;
        }
        depth -= *text == '>' && depth > 0;
    }
    out[used] = '\0';
    return out;
}

static inline void log_is(tr_pid pid, const char *wanted, int line)
{
    size_t count = 0;
    const tr_term *events = NULL;
    stage_log text = {.used = 0};
    stage_expect(tr_sys_log_get(tr_to(pid), 5000, &events, &count) == TR_OK, "the log", line);
    for (size_t i = 0; i < count; i++) {
        stage_add(&text, i == 0 ? "%s" : " %s", plain_text(events[i]));
    }
    if (strcmp(text.text, wanted) != 0) {
        stage_add(&stage.failed, "line %d: expected the log\n%s\nbut it was\n%s\n", line, wanted, text.text);
    }
}
#define LOG_IS(pid, wanted) log_is((pid), (wanted), __LINE__)

#endif
