/* private_address: which addresses a request that somebody else named may not reach.
 *
 * Refused is all that is not plainly somewhere on the public internet: this machine, private and shared networks,
 * link-local (where clouds keep metadata), multicast, documentation, reserved; IPv6 addresses that carry an IPv4
 * address are judged by that one. Invariant: what is not known is refused.
 */
#ifndef TROUPE_SERVER_CLIENT_PRIVATE_ADDRESS_H
#define TROUPE_SERVER_CLIENT_PRIVATE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/** Context: anywhere. Source: the special-purpose registries of RFC 6890 and its updates. */
bool address_is_private(const struct sockaddr *address);
/** The same for an address in digits, as inet_ntop writes it; anything else is private. */
bool address_text_is_private(const char *digits);

#endif
