/* demo: the process `profiles.demo`: answers each request for a demo source after that source's time, by timers.
 * Invariant: nobody parks for a demo answer; a request that goes away leaves a timer that answers nobody. */
#ifndef API_PROFILES_DEMO_H
#define API_PROFILES_DEMO_H

#include "server/http/request.h"

tr_child_spec demo_child_spec(void);
void demo_route_users(struct http_request *request);
void demo_route_preferences(struct http_request *request);
void demo_route_activity(struct http_request *request);

#endif
