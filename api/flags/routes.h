/* routes: handlers of /v1/flags (routes.c) and of OFREP (ofrep.c); setup.c has paths, methods and access.
 *
 * Invariants
 *  1. Reads and single evaluations answer on the core, from a reference that is given back before the handler returns.
 *  2. A put is judged and compiled on the core for its errors, and done in a process of the request, which waits for the
 *     agent. A condition becomes the expected version of the change, so that it still holds when the agent does it.
 *  3. Answers of OFREP, errors included, are that protocol's; problems are for what is judged before the handler.
 */
#ifndef API_FLAGS_ROUTES_H
#define API_FLAGS_ROUTES_H

struct http_request;

void flags_route_list(struct http_request *request);
void flags_route_get(struct http_request *request);
void flags_route_put(struct http_request *request);
void flags_route_delete(struct http_request *request);
void flags_route_evaluate(struct http_request *request);
void flags_route_evaluate_all(struct http_request *request);

#endif
