/* Threads outside the node: a store's commit thread that answers a caller, a program's main thread that sends.
 *
 * Invariants:
 *  1. What a foreign thread touches of the node (the process table, inboxes, names, cores' wake-up handles) it
 *     touches between enter and leave.
 *  2. tr_node_stop shuts the gate when its threads are gone and nobody is inside, and only then frees; it
 *     opens again with the next tr_node_start. A thread at a shut gate finds no process: what it sends is a
 *     dead letter, what it spawns is refused.
 *  3. Cores pay one look at their thread and no lock. A thread may enter again while inside. */
#ifndef TROUPE_RUNTIME_CORE_FOREIGN_H
#define TROUPE_RUNTIME_CORE_FOREIGN_H

#include <stdbool.h>

/** Returns: does the node run? If so tr__foreign_leave must follow. Blocks only while the node starts or frees
 *  itself. Context: a thread that runs no core, or a core's (harmless). */
bool tr__foreign_enter(void);
void tr__foreign_leave(void);

/** Shut: waits until nobody is inside; the caller may then change everything, until it opens. */
void tr__foreign_shut(void);
/** running: what those find who enter now. */
void tr__foreign_open(bool running);

#endif
