/* Strict UTF-8, one sequence at a time (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 *
 * 1. Never reads past the bytes it is given.
 *
 * Life cycle: pure functions; async-signal-safe.
 */
#ifndef TROUPE_SERVER_UTF8_H
#define TROUPE_SERVER_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/** How long the sequence at the start of `text` is.
 *  Returns: 1..4, or 0 when it is invalid, cut short or empty.   Context: any thread or signal handler.
 *  Source: RFC 3629 section 4. */
size_t utf8_sequence(const char *text, size_t bytes);

/** Whether all of `text` is valid UTF-8.   Context: any thread or signal handler.   Cost: O(bytes). */
bool utf8_valid(const char *text, size_t bytes);

#endif
