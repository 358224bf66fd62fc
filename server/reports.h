/* reports: the runtime's crash and supervisor reports as lines of the service's log.
 *
 * 1. One report is one line; its event is the report's own name (tr_report_event).
 * 2. Context: any thread of the runtime, also while a process is buried: nothing blocks, terms are printed
 *    into the stack.
 */
#ifndef TROUPE_SERVER_REPORTS_H
#define TROUPE_SERVER_REPORTS_H

#include <troupe/node.h>

/** For tr_node_opts.report. ctx is not used. */
void reports_log(const tr_report *report, void *ctx);

#endif
