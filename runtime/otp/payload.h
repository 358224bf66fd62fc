/* payload.h: the payload of one message type inside a message of another: a blob with a copy, its terms behind it. */
#ifndef TROUPE_OTP_PAYLOAD_H
#define TROUPE_OTP_PAYLOAD_H

#include <troupe/message.h>

/** A copy; NULL when it has no bytes. The calling process ends when the type has blobs, or it takes more than bytes_max.
 *  Returns: one reference. */
tr_blob *tr__payload_copy(const tr_type *type, const void *payload, size_t bytes_max);

/** The only blob of a message that has none yet. Takes blob (NULL is fine). The message comes first and is held by the
 *  calling process: when there is no memory for the blob, the process ends and nothing of both is left. The other way
 *  round, a blob that had no message yet would be. */
void tr__payload_give(tr_msg *msg, tr_blob *blob);

#endif
