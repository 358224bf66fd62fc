/* sup.h: puppets that are supervisors, and child specs.
 *
 * Specs stay what the scenario wrote until a supervisor, or a command, needs them: sup_child_spec turns one into the
 * library's. What C cannot express (a restart type that does not exist) is refused there with OTP's words.
 */
#ifndef TESTS_CONFORMANCE_SUP_H
#define TESTS_CONFORMANCE_SUP_H

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/world.h"

/** Fills as->supervisor. */
void sup_prepare(actor *as);
/** Fills *spec from a scenario's map; lane is where the child logs unless it says otherwise (NULL: its own).
 *  Returns: a value, or an error with OTP's reason. */
outcome sup_child_spec(tr_term map, const char *lane, tr_child_spec *spec);
/** Name, registry and time-out of a start. */
outcome sup_start_opts(tr_term opts, tr_start_opts *start);
/** Is it a supervisor whose children come by command, by pid? */
bool sup_is_dynamic(tr_term kind);
/** An actor ready to be started, whatever its kind. */
actor *sup_actor(tr_term kind, tr_term name, tr_term opts, const char *lane);
/** The partition supervisor that opts describe. Lives as long as the world. */
const tr_partition_opts *sup_partition_opts(const actor *as);
/** The lane of a child whose spec or options name one, or the given one. */
const char *sup_lane(tr_term map, const char *otherwise);

#endif
