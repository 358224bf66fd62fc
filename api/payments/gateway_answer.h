/* gateway_answer: what an HTTP gateway's answer to an operation says, by GATEWAY.md. No process, no I/O. */
#ifndef TROUPE_API_PAYMENTS_GATEWAY_ANSWER_H
#define TROUPE_API_PAYMENTS_GATEWAY_ANSWER_H

#include "api/payments/gateway.h"
#include "server/text.h"

/** Reads the body of an answer about an operation. Fills *out: GATEWAY_UNKNOWN with detail `pending`, or `bad_answer` when the body
 *  is not one of the protocol, or is about another operation. */
void gateway_answer_read(struct text body, const struct gateway_operation *operation,
                         struct gateway_outcome *out);

#endif
