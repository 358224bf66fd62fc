#define _GNU_SOURCE
/* trace.c: collecting events, and sorting them into the trace. */
#include "tests/conformance/runner/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/runner/world.h"

typedef struct event {
    int op;
    size_t number;
    char *lane, *label, *text;
} event;

typedef struct strings {
    char **items;
    size_t count;
} strings;

static struct {
    int op;
    event *events;
    size_t count, capacity;
    strings unordered;
    strings mask_names, mask_texts;
    char *bad_step;
} trace;

static void *must(void *memory)
{
    if (memory == NULL) {
        perror("conformance_runner");
        _Exit(2);
    }
    return memory;
}

static void strings_add(strings *to, const char *text)
{
    to->items = must(realloc(to->items, (to->count + 1) * sizeof *to->items));
    to->items[to->count] = must(strdup(text));
    to->count++;
}

static void strings_free(strings *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->items[i]);
    }
    free(all->items);
}

void trace_begin(void)
{
    memset(&trace, 0, sizeof trace);
}

void trace_end(void)
{
    for (size_t i = 0; i < trace.count; i++) {
        free(trace.events[i].lane);
        free(trace.events[i].label);
        free(trace.events[i].text);
    }
    free(trace.events);
    strings_free(&trace.unordered);
    strings_free(&trace.mask_names);
    strings_free(&trace.mask_texts);
    free(trace.bad_step);
    memset(&trace, 0, sizeof trace);
}

void trace_set_op(int op)
{
    trace.op = op;
}

void trace_add(const char *lane, const char *label, const char *text)
{
    if (trace.count == trace.capacity) {
        trace.capacity = trace.capacity == 0 ? 256 : 2 * trace.capacity;
        trace.events = must(realloc(trace.events, trace.capacity * sizeof *trace.events));
    }
    trace.events[trace.count] = (event){.op = trace.op,
                                        .number = trace.count,
                                        .lane = must(strdup(lane)),
                                        .label = must(strdup(label)),
                                        .text = must(strdup(text))};
    trace.count++;
}

void trace_log(const char *format, ...)
{
    const puppet *self = world_self();
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    must(length < 0 ? NULL : text);
    trace_add(self == NULL ? "?" : self->lane, self == NULL ? "?" : self->label, text);
    free(text);
}

void trace_unordered(const char *lane)
{
    strings_add(&trace.unordered, lane);
}

void trace_mask(const char *name, const char *text)
{
    strings_add(&trace.mask_names, name);
    strings_add(&trace.mask_texts, text);
}

void trace_bad_step(const char *text)
{
    free(trace.bad_step);
    trace.bad_step = must(strdup(text));
}

/* ---- sorting ----------------------------------------------------------------------------------------------------- */
static bool is_unordered(const char *lane)
{
    for (size_t i = 0; i < trace.unordered.count; i++) {
        if (strcmp(trace.unordered.items[i], "*") == 0 || strcmp(trace.unordered.items[i], lane) == 0) {
            return true;
        }
    }
    return false;
}

static int compare_events(const void *left, const void *right)
{
    const event *a = left;
    const event *b = right;
    if (a->op != b->op) {
        return a->op < b->op ? -1 : 1;
    }
    int order = strcmp(a->lane, b->lane);
    if (order != 0) {
        return order;
    }
    bool unordered = is_unordered(a->lane);
    if (unordered || strcmp(a->lane, "~") == 0) {
        order = strcmp(a->label, b->label);
    }
    if (order == 0 && unordered) {
        order = strcmp(a->text, b->text);
    }
    if (order == 0) {
        order = a->number < b->number ? -1 : 1;
    }
    return order;
}

/* NAME masks NAME, NAME.2 and so on. */
static bool is_masked(const event *each)
{
    size_t base = strcspn(each->label, ".");
    for (size_t i = 0; i < trace.mask_names.count; i++) {
        const char *name = trace.mask_names.items[i];
        if (strlen(name) == base && strncmp(name, each->label, base) == 0 &&
            strstr(each->text, trace.mask_texts.items[i]) != NULL) {
            return true;
        }
    }
    return false;
}

void trace_print(void)
{
    if (trace.count > 0) {
        qsort(trace.events, trace.count, sizeof *trace.events, compare_events);
    }
    for (size_t i = 0; i < trace.count; i++) {
        const event *each = &trace.events[i];
        if (!is_masked(each)) {
            printf("%d %s %s\n", each->op, each->label, each->text);
        }
    }
    if (trace.bad_step != NULL) {
        printf("BAD STEP %s\n", trace.bad_step);
    }
}
