/* controller.h: plays a scenario: op by op, each until the system is quiet, in virtual time. */
#ifndef TESTS_CONFORMANCE_CONTROLLER_H
#define TESTS_CONFORMANCE_CONTROLLER_H

/** Plays the file and writes its trace to stdout. Returns: an exit status. */
int controller_play(const char *path);

#endif
