/* payment_routes: the handlers of /v1/payments, and how they answer. See command_routes.c, read_routes.c, routes.c. */
#ifndef TROUPE_API_PAYMENTS_PAYMENT_ROUTES_H
#define TROUPE_API_PAYMENTS_PAYMENT_ROUTES_H

#include "api/payments/append.h"
#include "api/payments/machine.h"
#include "server/http/request.h"

void payment_route_create(struct http_request *request);
void payment_route_authorize(struct http_request *request);
void payment_route_capture(struct http_request *request);
void payment_route_refund(struct http_request *request);
void payment_route_cancel(struct http_request *request);
void payment_route_get(struct http_request *request);
void payment_route_list(struct http_request *request);
void payment_route_events(struct http_request *request);
void payment_route_reconciliation(struct http_request *request);
void payment_route_table(struct http_request *request);
void payment_route_diagram(struct http_request *request);

/** Sends a status and a body that are ready: a payment, or a problem. version 0: no ETag. */
void payment_answer_send(struct http_request *request, unsigned status, uint64_t version, struct text body);
/** Sends a payment_answer, with Retry-After when its outcome has one. Borrows the message. */
void payment_answer_forward(struct http_request *request, const tr_msg *answer);
/** 404 payment-not-found. */
void payment_answer_unknown(struct http_request *request);
/** What a read that failed is answered with. */
void payment_answer_unreadable(struct http_request *request, enum store_status status);

/** The request's id as text with its NUL. */
void payment_request_id(const struct http_request *request, char out[PAYMENT_REQUEST_ID_MAX + 1]);

#endif
