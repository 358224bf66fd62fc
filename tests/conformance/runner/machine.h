/* machine.h: puppets that are state machines (kind sm). */
#ifndef TESTS_CONFORMANCE_MACHINE_H
#define TESTS_CONFORMANCE_MACHINE_H

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/world.h"

/** Fills as->machine. */
void machine_prepare(actor *as);
/** Is this actor a machine? */
bool machine_is(const actor *as);
/** server_replace_state for machines: {State, Data}. */
outcome machine_replace_state(void *self, tr_term expression);

#endif
