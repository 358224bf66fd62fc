/* Threads outside the node: a store's commit thread that answers a caller, a program's main thread that sends.
 *
 * Invariants:
 *  1. What a foreign thread touches of the node (the process table, inboxes, names, cores' wake-up handles) it touches between enter and
 *     leave.
 *  2. tr_node_stop shuts the gate before it buries and frees anything: then nobody is inside, and who comes finds no process: what it
 *     sends is a dead letter, what it spawns is refused. The stopper itself stays inside until it is done. The gate opens when the next
 *     node is complete.
 *  3. Cores pay one look at their thread and no lock. A thread may enter again while inside. */
#ifndef TROUPE_RUNTIME_CORE_FOREIGN_H
#define TROUPE_RUNTIME_CORE_FOREIGN_H

#include <stdbool.h>

/** Returns: does the node run? If so tr__foreign_leave must follow. Context: a thread that runs no core. */
bool tr__foreign_enter(void);
void tr__foreign_leave(void);

void tr__foreign_open(void);
/** Waits until nobody is inside; the calling thread alone gets in from now on, until tr__foreign_done. */
void tr__foreign_shut(void);
void tr__foreign_done(void);

#endif
