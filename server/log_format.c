#include "server/log_format.h"

#include "server/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAIL_BYTES = 40,     /* kept free for ,"fields_dropped":N}\n */
    CUT_MARK_BYTES = 40, /* kept free for ...(+N bytes)" */
};

static const char *const event_texts[] = {
#define LOG_EVENT_TEXT(name, text) text,
    LOG_EVENTS(LOG_EVENT_TEXT)
#undef LOG_EVENT_TEXT
};

struct line {
    char *bytes;
    size_t used;
    size_t max;
    size_t fields_dropped;
    bool full; /* something did not fit since the last mark */
};

const char *log_event_text(enum log_event_id event)
{
    return (unsigned)event < LOG_EVENT_COUNT ? event_texts[event] : "event.unknown";
}

static void put_bytes(struct line *line, const char *bytes, size_t count)
{
    if (line->full || count > line->max - line->used) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->used, bytes, count);
    line->used += count;
}

static void put_text(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

static void put_uint(struct line *line, uint64_t value, unsigned min_digits)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0 || sizeof digits - at < min_digits);
    put_bytes(line, digits + at, sizeof digits - at);
}

static void put_int(struct line *line, int64_t value)
{
    if (value < 0) {
        put_bytes(line, "-", 1);
    }
    put_uint(line, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

/* One character of a JSON string. Returns how many bytes of the source it took. */
static size_t put_character(struct line *line, const char *text, size_t bytes)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)text[0];
    if (c == '"' || c == '\\') {
        put_bytes(line, (const char[]){'\\', (char)c}, 2);
        return 1;
    }
    if (c == '\n') {
        put_bytes(line, "\\n", 2);
        return 1;
    }
    if (c < 0x20 || c == 0x7F) {
        put_bytes(line, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        return 1;
    }
    size_t length = utf8_sequence(text, bytes);
    if (length == 0) {
        put_bytes(line, "\xEF\xBF\xBD", 3); /* U+FFFD */
        return 1;
    }
    put_bytes(line, text, length);
    return length;
}

/* `cut` more bytes are already known to be missing after these. */
static void put_string(struct line *line, const char *text, size_t bytes, size_t cut)
{
    put_bytes(line, "\"", 1);
    size_t room = line->max - line->used;
    size_t budget = room > CUT_MARK_BYTES ? room - CUT_MARK_BYTES : 0;
    size_t end = line->used + (budget < LOG_STRING_MAX ? budget : (size_t)LOG_STRING_MAX);
    size_t at = 0;
    while (at < bytes && !line->full && line->used + 6 <= end) {
        at += put_character(line, text + at, bytes - at);
    }
    if (at < bytes || cut > 0) {
        put_text(line, "...(+");
        put_uint(line, bytes - at + cut, 1);
        put_text(line, " bytes)");
    }
    put_bytes(line, "\"", 1);
}

static void put_double(struct line *line, double value)
{
    char text[32];
    if (!isfinite(value)) {
        put_text(line, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    put_text(line, text);
}

/* RFC 3339 in UTC with milliseconds; the calendar is computed, since gmtime_r may take locks. */
static void put_time(struct line *line, int64_t wall_ns)
{
    int64_t ms = wall_ns / 1000000 - (wall_ns % 1000000 < 0);
    int64_t day = ms / 86400000 - (ms % 86400000 < 0);
    int64_t ms_of_day = ms - day * 86400000;
    int64_t z = day + 719468; /* days since 0000-03-01, so that the leap day ends a year */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; /* month, March = 0 */
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    put_bytes(line, "\"", 1);
    put_uint(line, (uint64_t)(year_of_era + era * 400 + (month <= 2)), 4);
    put_bytes(line, "-", 1);
    put_uint(line, (uint64_t)month, 2);
    put_bytes(line, "-", 1);
    put_uint(line, (uint64_t)(day_of_year - (153 * shifted + 2) / 5 + 1), 2);
    put_bytes(line, "T", 1);
    put_uint(line, (uint64_t)(ms_of_day / 3600000), 2);
    put_bytes(line, ":", 1);
    put_uint(line, (uint64_t)(ms_of_day / 60000 % 60), 2);
    put_bytes(line, ":", 1);
    put_uint(line, (uint64_t)(ms_of_day / 1000 % 60), 2);
    put_bytes(line, ".", 1);
    put_uint(line, (uint64_t)(ms_of_day % 1000), 3);
    put_bytes(line, "Z\"", 2);
}

static struct line begin_line(char *bytes, int64_t wall_ns, const char *level, enum log_event_id event)
{
    struct line line = {.bytes = bytes, .max = LOG_LINE_MAX - TAIL_BYTES};
    put_text(&line, "{\"ts\":");
    put_time(&line, wall_ns);
    put_text(&line, ",\"level\":\"");
    put_text(&line, level);
    put_text(&line, "\",\"event\":\"");
    put_text(&line, log_event_text(event));
    put_bytes(&line, "\"", 1);
    return line;
}

static size_t end_line(struct line *line)
{
    line->max = LOG_LINE_MAX;
    line->full = false;
    if (line->fields_dropped > 0) {
        put_text(line, ",\"fields_dropped\":");
        put_uint(line, line->fields_dropped, 1);
    }
    put_bytes(line, "}\n", 2);
    return line->used;
}

static void put_name(struct line *line, const char *name)
{
    put_text(line, ",\"");
    put_text(line, name);
    put_text(line, "\":");
}

/* Takes a member back that did not fit whole. */
static void settle(struct line *line, size_t mark)
{
    if (line->full) {
        line->used = mark;
        line->full = false;
        line->fields_dropped++;
    }
}

static void put_field(struct line *line, const struct log_field *field)
{
    size_t mark = line->used;
    put_name(line, field->name);
    switch (field->type) {
    case LOG_FIELD_STR:
        if (field->as.s.text == NULL) {
            put_text(line, "null");
        } else {
            size_t bytes = field->as.s.bytes == SIZE_MAX ? strlen(field->as.s.text) : field->as.s.bytes;
            put_string(line, field->as.s.text, bytes, 0);
        }
        break;
    case LOG_FIELD_INT:
        put_int(line, field->as.i);
        break;
    case LOG_FIELD_UINT:
        put_uint(line, field->as.u, 1);
        break;
    case LOG_FIELD_DOUBLE:
        put_double(line, field->as.d);
        break;
    case LOG_FIELD_BOOL:
        put_text(line, field->as.b ? "true" : "false");
        break;
    case LOG_FIELD_NONE:
        line->used = mark;
        break;
    }
    settle(line, mark);
}

size_t log_format_event(char *bytes, int64_t wall_ns, const char *level, enum log_event_id event,
                        const struct log_field *fields, size_t count)
{
    struct line line = begin_line(bytes, wall_ns, level, event);
    for (size_t i = 0; i < count; i++) {
        put_field(&line, &fields[i]);
    }
    return end_line(&line);
}

/* The strings of a request, in the order of the record. */
static void access_strings(const struct log_access *access, const char *strings[LOG_ACCESS_STRINGS])
{
    const char *in_order[LOG_ACCESS_STRINGS] = {access->request_id, access->method, access->path,
                                                access->route,      access->client, access->trace_id,
                                                access->code};
    memcpy(strings, in_order, sizeof in_order);
}

static const char *const access_names[LOG_ACCESS_STRINGS] = {"request_id", "method",   "path", "route",
                                                             "client",     "trace_id", "code"};

/* At most LOG_STRING_MAX bytes, and no character in two. */
static size_t kept_bytes(const char *text, size_t bytes)
{
    if (bytes <= LOG_STRING_MAX) {
        return bytes;
    }
    size_t kept = LOG_STRING_MAX;
    while (kept > LOG_STRING_MAX - 4 && ((unsigned char)text[kept] & 0xC0) == 0x80) {
        kept--;
    }
    return kept;
}

size_t log_access_record_bytes(const struct log_access *access)
{
    const char *strings[LOG_ACCESS_STRINGS];
    access_strings(access, strings);
    size_t bytes = sizeof(struct log_access_record);
    for (size_t i = 0; i < LOG_ACCESS_STRINGS; i++) {
        bytes += strings[i] != NULL ? kept_bytes(strings[i], strlen(strings[i])) : 0;
    }
    return bytes;
}

void log_access_record_fill(struct log_access_record *record, const struct log_access *access)
{
    const char *strings[LOG_ACCESS_STRINGS];
    access_strings(access, strings);
    record->duration_ns = access->duration_ns;
    record->request_bytes = access->request_bytes;
    record->response_bytes = access->response_bytes;
    record->status = access->status;
    char *text = record->text;
    for (size_t i = 0; i < LOG_ACCESS_STRINGS; i++) {
        size_t bytes = strings[i] != NULL ? strlen(strings[i]) : 0;
        size_t kept = bytes > 0 ? kept_bytes(strings[i], bytes) : 0;
        record->string[i].present = strings[i] != NULL;
        record->string[i].bytes = (uint32_t)(bytes < UINT32_MAX ? bytes : UINT32_MAX);
        record->string[i].kept = (uint16_t)kept;
        if (kept > 0) {
            memcpy(text, strings[i], kept);
            text += kept;
        }
    }
}

static const char *access_level(const struct log_access_record *record)
{
    if (record->status >= 500) {
        return "error";
    }
    return record->duration_ns >= atomic_load_explicit(&log_access_slow_ns, memory_order_relaxed) ? "warn"
                                                                                                  : "info";
}

size_t log_format_access(char *bytes, int64_t wall_ns, const struct log_access_record *record)
{
    struct line line = begin_line(bytes, wall_ns, access_level(record), EVENT_REQUEST_FINISHED);
    put_name(&line, "status");
    put_int(&line, record->status);
    put_name(&line, "duration_ms");
    uint64_t us = record->duration_ns > 0 ? (uint64_t)record->duration_ns / 1000 : 0;
    put_uint(&line, us / 1000, 1);
    put_bytes(&line, ".", 1);
    put_uint(&line, us % 1000, 3);
    put_name(&line, "request_bytes");
    put_uint(&line, record->request_bytes, 1);
    put_name(&line, "response_bytes");
    put_uint(&line, record->response_bytes, 1);
    const char *text = record->text;
    for (size_t i = 0; i < LOG_ACCESS_STRINGS; i++) {
        size_t mark = line.used;
        if (record->string[i].present) {
            put_name(&line, access_names[i]);
            put_string(&line, text, record->string[i].kept, record->string[i].bytes - record->string[i].kept);
            settle(&line, mark);
            text += record->string[i].kept;
        }
    }
    return end_line(&line);
}
