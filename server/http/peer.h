/* peer: the other end of a connection: what the kernel knows of it, and how many connections it has.
 *
 * Invariants
 *   1. peer_limit counts over all cores (max_connections_per_ip is the service's, not a worker's).
 *   2. A peer without an IP address (unix sockets) is not counted; an IPv4 address mapped into IPv6 counts as
 *      the IPv4 one.
 * Limits: one lock, taken once for each connection accepted or ended, and only when there is a limit.
 */
#ifndef TROUPE_SERVER_HTTP_PEER_H
#define TROUPE_SERVER_HTTP_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct peer_limit;

struct peer_address {
    uint8_t bytes[16];
    bool counted;
};

/** Whether a TCP peer has not sent a single byte yet. False when the kernel does not tell. */
bool peer_said_nothing(int fd);

/** Returns: NULL without memory. */
struct peer_limit *peer_limit_create(int64_t most);
void peer_limit_destroy(struct peer_limit *limit);
/** Counts one more connection from that address. Returns: false when it has the most it may have, or without
 *  memory; *from is what peer_limit_leave wants. Context: any thread. */
bool peer_limit_enter(struct peer_limit *limit, const struct sockaddr *address, struct peer_address *from);
void peer_limit_leave(struct peer_limit *limit, struct peer_address *from);

#endif
