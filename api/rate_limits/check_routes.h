/* check_routes: the handlers of the hot calls: check, peek, reset, gate. Tables of routes are in routes.c. */
#ifndef API_RATE_LIMITS_CHECK_ROUTES_H
#define API_RATE_LIMITS_CHECK_ROUTES_H

#include "server/http/request.h"

void rl_route_check_body(struct http_request *request);  /* POST /{policy}/check */
void rl_route_check_key(struct http_request *request);   /* POST, GET /{policy}/keys/{key}/check?cost= */
void rl_route_peek(struct http_request *request);        /* GET /{policy}/keys/{key} */
void rl_route_reset(struct http_request *request);       /* DELETE /{policy}/keys/{key} */
void rl_route_gate(struct http_request *request);        /* any /{policy}/gate?key=, ?key_header=, &deny= */
void rl_route_gate_header(struct http_request *request); /* any /{policy}/gate/by-header/{header}/... */
void rl_route_gate_envoy(struct http_request *request);  /* any /{policy}/gate/envoy/{header}/... */
void rl_route_batch(struct http_request *request);       /* POST /check */

#endif
