/* policy_routes: the handlers of policies and overrides. Reads of policies come from the snapshot; everything else asks the
 * policies' process. Tables of routes are in routes.c. */
#ifndef API_RATE_LIMITS_POLICY_ROUTES_H
#define API_RATE_LIMITS_POLICY_ROUTES_H

#include "server/http/request.h"

void rl_route_policies(struct http_request *request);        /* GET / */
void rl_route_policy_get(struct http_request *request);      /* GET /{policy} */
void rl_route_policy_put(struct http_request *request);      /* PUT /{policy} */
void rl_route_policy_delete(struct http_request *request);   /* DELETE /{policy} */
void rl_route_override_get(struct http_request *request);    /* GET /{policy}/overrides/{key} */
void rl_route_override_put(struct http_request *request);    /* PUT /{policy}/overrides/{key} */
void rl_route_override_delete(struct http_request *request); /* DELETE /{policy}/overrides/{key} */

#endif
