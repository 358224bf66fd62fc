/* watch: requests that wait for the next revision: long polls, and streams of events.
 *
 *     handler (core) --> news? answer : an entry in its core's list, the request is parked
 *     agent          --> published --> a post to each core, one at a time --> its list: answer polls, wake streams
 *
 * Invariants
 *  W1  a watcher is an entry in a list of its core, and only that core's thread touches it: no process, no lock. It goes with
 *      its request (http_request_on_end), whatever ends that.
 *  W2  a watcher sees the revisions behind `since` in their order, each once, or is told that they are gone: 410 for a poll,
 *      an event `resync` in a stream, which then goes on behind the newest.
 *  W3  a stream holds one revision's reference and the text of one entry, however slowly it is read.
 *  W4  secrets are null, also older versions of keys that are secrets now; ?reveal= is refused.
 *  W5  at most max_config_watchers over all cores; one more is 503.
 */
#ifndef API_CONFIG_WATCH_H
#define API_CONFIG_WATCH_H

#include <stdbool.h>

struct http_request;

/** Whether this GET of the map wants to watch: ?watch=true or Accept: text/event-stream. Errors: false and *bad, and 422 was
 *  sent.   Context: handler on the core. */
bool config_watch_wanted(struct http_request *request, bool *bad);
void config_watch_begin(struct http_request *request);

/** A revision was added; it is published by the end of the caller's turn. Context: the agent. */
void config_watch_wake(void);

/** Metrics. Context: main thread, once. */
void config_watch_register(void);

#endif
