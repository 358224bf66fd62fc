/* listener_fixture: the listener of the service in this process, with routes made for tests, and a small blocking client.
 *
 *     fixture_start((const char *[]){ "--header-timeout-ms=100", NULL });
 *     int fd = fixture_connect();
 *     struct reply reply = client_ask(fd, "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
 *
 * 1. One fixture at a time. It listens on 127.0.0.1, port 0, unless a flag says --listen.
 * 2. A supervisor restarts what a test kills: the port of each core, and the server that /call asks.
 * 3. Every wait of the client and of fixture_eventually() ends after FIXTURE_PATIENCE_MS: a failed test does not hang.
 *
 * Routes (GET unless said):
 *   /ping /who /open /any /client, POST /admin            answered at once: {"pong":true}, who asks
 *   POST /echo, POST /maybe (body optional), POST /sink   JSON back; {"bytes":n}
 *   /call /two /chain /gone /hang?ms=                     through a gen_server: one call, two, one after the other, a dead
 *                                                         pid, never answered
 *   /ask /ask/hang?ms=                                    the same server, watched once and not for each call
 *   /late                                                 spawns while a call is under way
 *   /job /job/crash /job/twice /job/wait?ms= /job/burn?ms=&q= /job/header
 *                                                         a process of its own; burn for q ms; wait and header wait for
 *                                                         fixture_release()
 *   /twice /big /big/job /empty /inject /inject/long /unavailable /silent /thing (GET, PUT) /list
 */
#ifndef TESTS_SERVER_LISTENER_FIXTURE_H
#define TESTS_SERVER_LISTENER_FIXTURE_H

#include "server/http/listener.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIXTURE_PATIENCE_MS = 20000, FIXTURE_BIG_BYTES = 8 << 20 };

/** Starts listener and node with these flags (NULL-terminated, or NULL). Aborts with a message when it cannot. */
void fixture_start(const char *const *flags);
/** Stops the node and closes the listening sockets; clients may go on: they are refused. */
void fixture_halt(void);
/** The same, if need be, and takes everything down. */
void fixture_stop(void);
/** What listener_setup() says to these flags: NULL when it takes them (and gives the addresses back). */
const char *fixture_refusal(const char *const *flags);

struct listener *fixture_listener(void);
uint16_t fixture_port(size_t index);
/** The port process of a core, and the server that /call asks; they change when restarted. */
tr_pid fixture_port_pid(int core);
tr_pid fixture_server_pid(void);
void fixture_kill(tr_pid pid);
/** Lets all jobs that wait, and the next ones, go on. */
void fixture_release(void);
/** Jobs of /job/wait, /job/header that have begun; that have ended. */
int fixture_jobs_begun(void);
int fixture_jobs_ended(void);
/** Processes of a label that are alive. */
int fixture_processes(const char *label);

/** Looks until it holds, or until patience is at its end. Returns: whether it holds. */
bool fixture_eventually(bool (*holds)(void *ctx), void *ctx);
/** Nothing is in flight and no connection is open. */
bool fixture_is_quiet(void *unused);
bool fixture_inflight_is(void *number);

/* ---- the client ---- */

struct reply {
    unsigned status; /* 0: the connection ended, or patience did */
    bool timed_out;
    char head[8192];
    char *body; /* malloc'd, NUL-terminated; NULL: none. reply_free() */
    size_t body_bytes;
};

/** A connection to the first listener; -1 when refused. */
int fixture_connect(void);
int fixture_connect_to(size_t index);
/** Returns: false when the other end does not take them. */
bool client_send(int fd, const char *bytes, size_t count);
bool client_say(int fd, const char *text);
/** Reads one answer. head_only: of a HEAD request. */
struct reply client_read(int fd, bool head_only);
/** client_say() and client_read(). */
struct reply client_ask(int fd, const char *request);
/** One request on a connection of its own: only the status. */
unsigned client_status(const char *request);
/** GET of a path on a connection that is kept. */
struct reply client_get(int fd, const char *path);
/** Whether the other end closed and sent nothing before it did. */
bool client_is_closed(int fd);
/** Value of a header field, or NULL; in a buffer that the next call overwrites. */
const char *reply_header(const struct reply *reply, const char *name);
bool reply_has(const struct reply *reply, const char *text);
void reply_free(struct reply *reply);

#endif
