/* task.h: puppets that are tasks.
 *
 * A task becomes a puppet when it begins, under the name that the step gave it; its handle is kept by the world under
 * that name, so that any process may try to use it. */
#ifndef TESTS_CONFORMANCE_TASK_H
#define TESTS_CONFORMANCE_TASK_H

#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/world.h"

/** Main function of a task that is a child (kind task); its argument is an actor's self. */
void task_child_main(const void *actor_self);

#endif
