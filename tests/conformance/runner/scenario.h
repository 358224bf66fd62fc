/* scenario.h: reads a scenario: one JSON value a line, as terms.
 *
 * cJSON keeps no difference between 1 and 1.0; a line is therefore rewritten before it is parsed, so that numbers with a
 * point or an exponent become {"$float": N}.
 */
#ifndef TESTS_CONFORMANCE_SCENARIO_H
#define TESTS_CONFORMANCE_SCENARIO_H

#include <troupe/troupe.h>

typedef struct scenario {
    size_t count;
    tr_term *ops; /* by line; none where a line is empty */
} scenario;

/** Reads a file into memory of the world. Returns: false, with a message on stderr, when it cannot. */
bool scenario_read(const char *path, scenario *out);

#endif
