/* fatal.h: last words. TR_ASSERT reports on stderr with one write, calls this hook and aborts.
 *
 * Invariants: 1. set before the workers start and cleared after they ended (tr_node_opts.fatal); 2. called at
 * most once for a failed assertion, on the thread that failed, which may hold any lock of the runtime.
 */
#ifndef TROUPE_CORE_FATAL_H
#define TROUPE_CORE_FATAL_H

#include <troupe/base.h>

extern void (*tr__fatal_hook)(const char *text);

#endif
