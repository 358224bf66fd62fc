/* evil_server: an HTTP server for tests of clients, which misbehaves as its path says. A thread a connection.
 *
 *   /ok              200, "hello", kept alive          /echo        200, the body of the request
 *   /status/N        that status, Retry-After: 7       /hang        never an answer
 *   /drop            ends before a byte of an answer   /cut         promises 1000 bytes, sends ten, ends
 *   /huge /endless   300 MB with a length; without end /garbage     what is no HTTP
 *   /drip            a byte each 20 ms for ever        /once        /ok; ends instead when a connection is used again
 */
#ifndef TESTS_SERVER_EVIL_SERVER_H
#define TESTS_SERVER_EVIL_SERVER_H

#include <stdint.h>

/** Listens on 127.0.0.1 and returns its port. One at a time. */
uint16_t evil_start(void);
/** Ends all connections and waits for their threads. */
void evil_stop(void);
/** Requests that came so far; connections that are open now. */
unsigned evil_requests(void);
int evil_connections(void);

#endif
