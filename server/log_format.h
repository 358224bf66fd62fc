/* How a log line is made: a bounded text builder and the two kinds of line (events and finished requests).
 *
 * 1. Nothing is written past the builder's end; a member that does not fit is taken back whole and counted.
 * 2. A finished line is always one complete JSON object and ends in one newline.
 * 3. Async-signal-safe except for log_double() fields.
 *
 * Life cycle: on the caller's stack or in a ring; nothing to release. Inside of the log only: others use
 * log.h.
 */
#ifndef TROUPE_SERVER_LOG_FORMAT_H
#define TROUPE_SERVER_LOG_FORMAT_H

#include "server/log.h"

enum { LOG_ACCESS_STRINGS = 7 };

/* A finished request as it waits in a ring: numbers, then the kept bytes of the strings, one after another.
 * */
struct log_access_record {
    int64_t duration_ns;
    uint64_t request_bytes;
    uint64_t response_bytes;
    int status;
    struct {
        uint32_t bytes; /* as given; more than kept when it was cut */
        uint16_t kept;
        bool present;
    } string[LOG_ACCESS_STRINGS];
    char text[];
};

/** Makes the line of an event.
 *  Borrows: `line`, at least LOG_LINE_MAX bytes.   Returns: its length, newline included. */
size_t log_format_event(char *line, int64_t wall_ns, const char *level, enum log_event_id event,
                        const struct log_field *fields, size_t count);

/** How many bytes the record of a request needs: sizeof the struct and the kept strings. */
size_t log_access_record_bytes(const struct log_access *access);

/** Fills in a record of log_access_record_bytes() bytes. */
void log_access_record_fill(struct log_access_record *record, const struct log_access *access);

/** Makes the line of a finished request.
 *  Borrows: `line`, at least LOG_LINE_MAX bytes.   Returns: its length, newline included. */
size_t log_format_access(char *line, int64_t wall_ns, const struct log_access_record *record);

#endif
