/* mhd_pair: a real libmicrohttpd daemon in external epoll mode, fed over socket pairs; no port is opened.
 *
 * The handler does what the front end will do: URI callback -> guard_on_uri and http_target_parse; first call
 * -> guard_check; refused requests are answered at once (which closes), others with 200 on the last call.
 *
 * 1. Everything happens in the calling thread, inside mhd_pair_run(); nothing sleeps.
 * Life cycle: mhd_pair_start() -> connect, send, run, receive -> mhd_pair_stop().
 */
#ifndef TROUPE_TESTS_SERVER_MHD_PAIR_H
#define TROUPE_TESTS_SERVER_MHD_PAIR_H

#include "server/http/guard.h"
#include "server/http/path.h"

#include <stdbool.h>
#include <stddef.h>

#define MHD_PAIR_SEEN_MAX 32

struct mhd_pair_seen {
    enum guard_verdict verdict;
    char target[256];
    char first_param[64];
    size_t body_bytes;
    uint32_t header_count;
    bool answered;
};

struct mhd_pair {
    struct MHD_Daemon *daemon;
    size_t seen_count;
    struct mhd_pair_seen seen[MHD_PAIR_SEEN_MAX];
    /* When set: called after each guard_check(). */
    void (*on_guard)(void *cls, const struct guard *guard);
    void *on_guard_cls;
};

bool mhd_pair_start(struct mhd_pair *pair);
void mhd_pair_stop(struct mhd_pair *pair);

/** A new connection; returns the client's end, or -1. */
int mhd_pair_connect(struct mhd_pair *pair);

/** Lets the daemon do all it can do without more input. */
void mhd_pair_run(struct mhd_pair *pair);

/** Sends bytes in pieces, running the daemon after each one. */
void mhd_pair_send(struct mhd_pair *pair, int fd, const char *bytes, size_t count, size_t piece);

/** Reads what has been answered, as a string; *closed tells whether the server has closed. */
size_t mhd_pair_receive(int fd, char *buffer, size_t bytes, bool *closed);

#endif
