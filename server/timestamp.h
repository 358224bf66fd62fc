/* timestamp: RFC 3339 UTC with milliseconds, written and read without the C library's time zone machinery.
 *
 * Invariants
 *   1. A written time is exactly TIMESTAMP_BYTES long: 2025-01-31T23:59:59.123Z.
 *   2. Only years 0000..9999 exist; other instants are refused, never wrapped.
 *   3. timestamp_parse() reads what timestamp_write() wrote, and any RFC 3339 date-time with offset; digits
 *      of a fraction behind the millisecond are cut off; a leap second (:60) is read as the second after it.
 */
#ifndef TROUPE_SERVER_TIMESTAMP_H
#define TROUPE_SERVER_TIMESTAMP_H

#include "server/text.h"

#include <stdbool.h>
#include <stdint.h>

#define TIMESTAMP_BYTES 24

/** Writes unix_ms (milliseconds since 1970-01-01T00:00:00Z); false, and nothing written, outside years
 *  0..9999. */
bool timestamp_write(int64_t unix_ms, char out[TIMESTAMP_BYTES]);

/** Reads an RFC 3339 date-time into milliseconds since the epoch; false, *unix_ms untouched, when it is
 *  none. */
bool timestamp_parse(struct text text, int64_t *unix_ms);

#endif
