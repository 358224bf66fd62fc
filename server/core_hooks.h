/* core_hooks: several rooms that share the turns of the node's cores, as one set of hooks.
 *
 * Invariants
 *  1. Rooms are started and called in the order they were added, and stopped in reverse.
 *  2. When a start fails the node does not start, and every room is stopped on every core: a room's stop copes with a
 *     start that failed or never came.
 * Life cycle: core_hooks_add() for each room before the node starts, core_hooks_all() into tr_node_opts,
 * core_hooks_clear() after the node stopped. Limits: CORE_HOOKS_MAX rooms.
 */
#ifndef TROUPE_SERVER_CORE_HOOKS_H
#define TROUPE_SERVER_CORE_HOOKS_H

#include <troupe/troupe.h>

#define CORE_HOOKS_MAX 8

/** Context: main thread, no node runs. */
void core_hooks_add(tr_core_hooks hooks);
/** All that was added. */
tr_core_hooks core_hooks_all(void);
void core_hooks_clear(void);

#endif
