/* server.h: puppets that are gen_servers: gs, gs_bare, agent.
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
/** The module that an actor of such a kind is started with. */
const tr_gen_server *server_module(const actor *as);
/** Asks an agent: get, update or get_and_update with a function that is an expression of the state. On TR_OK *value is
 *  set, else *reason. */
tr_err server_agent_call(tr_dest dest, const char *what, tr_term function, int64_t timeout_ms, tr_term *value,
                         tr_term *reason);
/** An update that nobody waits for. */
void server_agent_cast(tr_dest dest, tr_term function);
/** For sys replace_state: the state of a puppet server becomes the value of an expression of the old one.
 *  Context: inside the server, with its memory. */
outcome server_replace_state(void *self, tr_term expression);

#endif
