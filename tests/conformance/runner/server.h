/* server.h: puppets that are gen_servers: gs, gs_bare, agent, and sm as far as it has no events.
 *
 * Each actor has its own tr_gen_server, filled by server_prepare; its callbacks log, find the script for the message,
 * and turn the value it gives (`{noreply,S}` ...) into a tr_next.
 */
#ifndef TESTS_CONFORMANCE_SERVER_H
#define TESTS_CONFORMANCE_SERVER_H

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/world.h"

/** Is this the kind of a server? */
bool server_is_kind(tr_term kind);
/** Fills as->server according to its kind and options. */
void server_prepare(actor *as);
/** For sys replace_state: the state of a puppet server becomes the value of an expression of the old one.
 *  Context: inside the server, with its memory. */
outcome server_replace_state(void *self, tr_term expression);

#endif
