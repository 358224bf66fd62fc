/* reconciler: the process `payments.reconciler`: sees to it that no open operation is forgotten.
 *
 * Invariants
 *   1. At its start, and every RECONCILE_EVERY_MS, it walks over all payments with an open operation and starts the machines that
 *      do not live: a machine that finds its operation open queries the gateway by itself (machine.h, 4).
 *   2. It keeps nothing: killed anywhere, the next one walks again.
 * It also forgets idempotency keys that are over their time.
 */
#ifndef TROUPE_API_PAYMENTS_RECONCILER_H
#define TROUPE_API_PAYMENTS_RECONCILER_H

#include <troupe/troupe.h>

tr_child_spec reconciler_child_spec(void);

#endif
