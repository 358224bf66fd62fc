/* The version of trouped.
 *
 * 1. The number is the build system's project version and written nowhere else.
 * 2. The commit is the source revision when the build passed -DTROUPE_COMMIT="...", else "unknown".
 *
 * Life cycle: constants; safe before anything is set up, from any thread.
 */
#ifndef TROUPE_SERVER_VERSION_H
#define TROUPE_SERVER_VERSION_H

/** The version number, for example "1.2.3".
 *  Returns: a constant string.   Context: any thread. */
const char *version_number(void);

/** The source revision this binary was built from, or "unknown".
 *  Returns: a constant string.   Context: any thread. */
const char *version_commit(void);

#endif
