/* report.h: what happens to a report when the program did not ask for it.
 *
 * Invariants: 1. one report is one line, written with one write(2), so lines of several threads do not mix;
 * 2. the line is valid JSON and UTF-8, whatever bytes labels, names and reasons hold; 3. starts of children
 *    are left out.
 */
#ifndef TROUPE_CORE_REPORT_H
#define TROUPE_CORE_REPORT_H

#include <troupe/node.h>

/** Writes the report to stderr. Context: any thread. */
void tr__report_default(const tr_report *report);

#endif
