/* plain.h: puppets that are plain processes (kind proc).
 *
 * A bare one is spawned by somebody who tells the world about it and then lets it go. One with a start protocol enters
 * the world itself and acknowledges its start. Both then take commands and messages for ever.
 */
#ifndef TESTS_CONFORMANCE_PLAIN_H
#define TESTS_CONFORMANCE_PLAIN_H

#include <troupe/troupe.h>

#include "tests/conformance/runner/world.h"

/** What the controller sends to a puppet: do this. */
TR_MESSAGE_TERMS(
    plain_do, { tr_term command; }, offsetof(plain_do, command));

/** The calling process (or the controller) spawns a bare puppet. opts: label excepted. Returns: it. Blocks: as world_enter. */
puppet *plain_spawn(tr_term name, tr_term opts, tr_spawn_opts *spawn);
/** Main functions; their argument is an actor's self. */
void plain_started_main(const void *actor_self);
/** Waits for ever for nothing. */
TR_NORETURN void plain_hang(void);
/** Does the process with this pid accept commands? */
bool plain_is_command(const tr_msg *msg);

#endif
