/* config_routes: handlers of /v1/config; routes.c has paths, methods and access.
 *
 * Invariants
 *  1. Reads answer on the core, from a reference that is given back before the handler returns.
 *  2. Changes are judged for shape on the core and done in a process of the request, which waits for the agent.
 *  3. A key that no layer has is judged before its condition; a condition becomes the expected version of the change, so
 *     that what was judged here still holds when the agent does it.
 */
#ifndef API_CONFIG_CONFIG_ROUTES_H
#define API_CONFIG_CONFIG_ROUTES_H

struct http_request;

void config_route_map(struct http_request *request);
void config_route_get(struct http_request *request);
void config_route_put(struct http_request *request);
void config_route_delete(struct http_request *request);
void config_route_patch(struct http_request *request);
void config_route_reload(struct http_request *request);
void config_route_history(struct http_request *request);
void config_route_rollback(struct http_request *request);

#endif
