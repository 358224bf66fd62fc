/* answers: reads what a connection of the service sent, by the letter, and ends the program at the first thing that is
 * not as it should be.
 *
 * Invariants demanded of each answer
 *   1. A status line of HTTP/1.1 or 1.0 with a status of 200..599 (or "100 Continue" and nothing else before one), header
 *      fields of token names and values without control bytes, CR LF everywhere.
 *   2. Content-Length once and exact, no Transfer-Encoding; 204 and 304 have neither length (but 0) nor body.
 *   3. After an answer with "Connection: close" nothing comes.
 *   4. JSON bodies are JSON. application/problem+json has the members of RFC 9457 and the contract, from the one table of codes.
 *   5. With a status of 400 and above: a problem, a page of libmicrohttpd's own, or nothing (the gate).
 *
 * Life cycle: none; any thread.
 */
#ifndef TROUPE_TESTS_FUZZ_ANSWERS_H
#define TROUPE_TESTS_FUZZ_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

/** Judges everything a connection sent until it closed.
 *  Takes: head_asked: HEAD was perhaps asked for, so answers may lack the body they tell of.
 *  Returns: the number of final answers. */
size_t answers_check(const char *bytes, size_t count, bool head_asked);

/** Prints the sentence and the bytes, and aborts, unless it holds. */
void answers_demand(bool holds, const char *what, const char *bytes, size_t count);

#endif
