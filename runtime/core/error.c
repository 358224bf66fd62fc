/* error.c: texts of errors, and the end of the OS process when the runtime itself is wrong. */
#include "runtime/core/fatal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void (*tr__fatal_hook)(const char *text);

static const struct {
    const char *name, *text;
} errors[TR_ERR_COUNT] = {
#define ERROR_ENTRY(error, words) [error] = {#error, words},
    TR_ERR_MAP(ERROR_ENTRY)
#undef ERROR_ENTRY
};

const char *tr_err_text(tr_err err)
{
    return (unsigned)err < TR_ERR_COUNT ? errors[err].text : "unknown error";
}

const char *tr_err_name(tr_err err)
{
    return (unsigned)err < TR_ERR_COUNT ? errors[err].name : "unknown";
}

void tr__assert_failed(const char *expr, const char *file, int line)
{
    char text[512];
    int wanted = snprintf(text, sizeof text, "troupe: assertion failed: %s (%s:%d)\n", expr, file, line);
    size_t length = wanted < 0 ? 0 : (size_t)wanted < sizeof text ? (size_t)wanted : sizeof text - 1;
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written;
    void (*hook)(const char *) = tr__fatal_hook;
    if (hook != NULL) {
        text[length > 0 ? length - 1 : 0] = '\0'; /* without the newline */
        hook(text);
    }
    abort();
}
