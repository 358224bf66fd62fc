/* process_walk: all processes one after the other, from within a process, without holding a core up.
 *
 * Invariants
 *   1. Others get the core after each WALK_SLICE processes.
 *   2. A summary's name lives until fn returns.
 */
#ifndef TROUPE_API_SYSTEM_PROCESS_WALK_H
#define TROUPE_API_SYSTEM_PROCESS_WALK_H

#include "server/text.h"

#include <troupe/troupe.h>

#define WALK_SLICE 256

/** Calls fn for every live process by ascending slots, until it returns false. fn must leave nothing on scratch memory
 *  that it wants to find later.
 *  Blocks: parks the calling process now and then.   Cost: O(slots). */
void process_walk(bool (*fn)(const tr_process_summary *summary, void *ctx), void *ctx);

/** The live process that a text means: its pid, or the name it has registered. TR_NO_PID when there is none.
 *  Makes no atom.   Blocks: as process_walk(), for names. */
tr_pid process_find(struct text text);

#endif
