/* reqids.h: a collection of requests that are under way, each with a label: who asks many at once waits for
 * whichever is answered next (OTP 25's request identifier collections).
 *
 *     tr_reqids *asked = tr_reqids_new();
 *     for (...) { tr_reqids_send_request(asked, TR_DEST(shard[i]), TR_MSG(sum), tr_int(i)); }
 *     while (tr_reqids_receive_response(asked, 5000, true, &response) == TR_OK) { ... response.label ... }
 *
 * Invariants
 *  1. A collection belongs to the process that made it: its memory, its requests.
 *  2. An answer is given once. A request that was answered and not deleted stays in the collection, and no
 *     further answer comes to it.
 *  3. The requests of gen_server and of any other behaviour that answers calls are alike.
 */
#ifndef TROUPE_REQIDS_H
#define TROUPE_REQIDS_H

#include <troupe/gen_server.h>

typedef struct tr_reqids tr_reqids;

/** One request of a collection. */
typedef struct tr_reqid {
    tr_ref request;
    tr_term label;
} tr_reqid;

/** How one request ended. label is on the caller's scratch. */
typedef struct tr_response {
    tr_ref request;
    tr_term label;
    tr_err err;    /* TR_OK: reply; TR_E_NOPROC, TR_E_EXIT: reason */
    tr_msg *reply; /* owned by the process, as the reply of a call */
    tr_term reason;
} tr_response;

/** An empty collection. Returns: memory of the calling process, never NULL. */
tr_reqids *tr_reqids_new(void);
/** Frees it; the requests go on. NULL is fine. */
void tr_reqids_free(tr_reqids *ids);
/** Adds a request that tr_send_request gave. label is copied. Errors: TR_E_BADARG when it is there already. */
TR_MUST_CHECK tr_err tr_reqids_add(tr_reqids *ids, tr_ref request, tr_term label);
size_t tr_reqids_size(const tr_reqids *ids);
/** All requests with their labels, in no particular order. Returns: an array on the caller's scratch; labels are
 *  borrowed from the collection. */
const tr_reqid *tr_reqids_to_list(const tr_reqids *ids, size_t *count);

/** Sends a request as tr_send_request and adds it. Takes request; label is copied. */
tr_ref tr_reqids_send_request(tr_reqids *ids, tr_dest dest, tr_msg *request, tr_term label);

/** Waits for the first answer to any of them. delete takes the answered request out of the collection.
 *  Returns TR_OK and *response. Errors: TR_E_NOT_FOUND when the collection is empty (no_request), TR_E_TIMEOUT:
 *  all stay open. Blocks: parks the calling process. Cost: one look at each message of another kind. */
TR_MUST_CHECK tr_err tr_reqids_wait_response(tr_reqids *ids, int64_t timeout_ms, bool delete_answered,
                                             tr_response *response);
/** The same, but a time-out abandons all requests of the collection: their answers are dropped. */
TR_MUST_CHECK tr_err tr_reqids_receive_response(tr_reqids *ids, int64_t timeout_ms, bool delete_answered,
                                                tr_response *response);
/** Is this message the answer to one of them? Errors: TR_E_NOT_FOUND: another message (no_reply); TR_E_STATE: the
 *  collection is empty (no_request). The reply of *response is msg itself. */
TR_MUST_CHECK tr_err tr_reqids_check_response(tr_reqids *ids, tr_msg *msg, bool delete_answered,
                                              tr_response *response);

#endif
