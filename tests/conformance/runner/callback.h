/* callback.h: what the callbacks of puppet servers and puppet machines share: their memory, how they begin, what a script
 * gives them.
 */
#ifndef TESTS_CONFORMANCE_CALLBACK_H
#define TESTS_CONFORMANCE_CALLBACK_H

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/world.h"

/** The memory of every such puppet. */
typedef struct callback_self {
    const actor *as;
    tr_term state; /* kept: a server's state, a machine's data */
} callback_self;

void callback_set_state(callback_self *self, tr_term state);
/** A thrown value is what the callback returns; an exit or an error ends the puppet. */
tr_term callback_returned(outcome result);
/** Begins init: enters the world, traps if the options say so. Returns: what init returns when this start was told to fail,
 *  or none. */
tr_term callback_begin(callback_self *self, const actor *as);
/** A start that was told to fail: what init returns, if it does. */
tr_term callback_failing_init(tr_term how);
/** The script of option name, run with in->state set. */
tr_term callback_script(const callback_self *self, const char *name, env *in, tr_term otherwise);

#endif
