/* trace.h: the events of a scenario and the trace they become (README, section 1).
 *
 * 1. An event carries the number of the op during which it happened.
 * 2. Lines are sorted by op, lane and occurrence; `exit` lines by label; unordered lanes by label and text.
 */
#ifndef TESTS_CONFORMANCE_TRACE_H
#define TESTS_CONFORMANCE_TRACE_H

#include <troupe/base.h>

void trace_begin(void);
void trace_end(void);
void trace_set_op(int op);
/** An event of this lane and label. Copies. */
void trace_add(const char *lane, const char *label, const char *text);
/** An event of the calling puppet. */
void trace_log(const char *format, ...) TR_PRINTF(1, 2);
void trace_unordered(const char *lane);
void trace_mask(const char *name, const char *text);
/** The step has no meaning: ends up as the trace's last line. */
void trace_bad_step(const char *text);
/** Writes the whole trace to stdout. */
void trace_print(void);

#endif
