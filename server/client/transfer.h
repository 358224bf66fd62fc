/* transfer: one exchange on its way, with copies of all that was asked. Internal to server/client.
 *
 *     transfer_create (process) -> client_core_begin -> transfer_open (core) -> libcurl ... -> transfer_reply (core)
 *                                                                           \-> cancelled
 * Invariants
 *  1. `holders`: one of the process, one of the core. Who drops the last frees it.
 *  2. From transfer_open to transfer_close `easy` exists; only the core's thread touches it and what it fills.
 *  3. `sending` is set before the first byte of the request may go out, and never taken back.
 */
#ifndef TROUPE_SERVER_CLIENT_TRANSFER_H
#define TROUPE_SERVER_CLIENT_TRANSFER_H

#include "server/client/client_core.h"

#define TRANSFER_SOCKETS 8u

struct transfer {
    tr_resource resource; /* of the process */
    uint32_t holders;     /* atomic */
    struct client_core *core;
    struct transfer *arrival_next, *cancel_next;
    struct transfer *next, **link; /* in core->running; link NULL: not there */
    tr_from from;

    /* as asked; texts lie behind the struct */
    const char *method, *url, *body, *unix_path;
    struct curl_slist *fields; /* links to texts behind the struct */
    size_t body_bytes, response_max_bytes;
    int64_t timeout_ms, connect_timeout_ms;
    bool private_allowed, repeatable;

    /* under way */
    CURL *easy;
    bool sending, refused_private, too_large;
    curl_socket_t opened[TRANSFER_SOCKETS]; /* tried for a connection */
    unsigned opened_count;
    char *bytes; /* the answer's body so far */
    size_t count, room;
    size_t head_bytes;
    struct http_reply reply;
    char error[CURL_ERROR_SIZE];
};

/** Copies a call. Errors: TR_E_BADARG, TR_E_NOMEM. Returns: a transfer held by process and core. */
TR_MUST_CHECK tr_err transfer_create(const struct http_call *call, struct client_core *core,
                                     struct transfer **transfer);
void transfer_drop(struct transfer *transfer);

/** Makes its easy handle. Errors: false without memory. */
bool transfer_open(struct transfer *transfer);
/** Its easy handle must be out of the multi handle. */
void transfer_close(struct transfer *transfer);
/** Judges how it ended and fills transfer->reply; the handle is still open. */
void transfer_judge(struct transfer *transfer, CURLcode result);
/** Sends the reply to the process. */
void transfer_answer(struct transfer *transfer);

TR_MESSAGE_BLOBS(
    http_client_done, { struct http_reply reply; }, offsetof(http_client_done, reply.body));

#endif
