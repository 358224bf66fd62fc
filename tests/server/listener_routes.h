/* listener_routes: what the fixture's listener serves, and what tests may see of it. Only listener_fixture.c needs it. */
#ifndef TESTS_SERVER_LISTENER_ROUTES_H
#define TESTS_SERVER_LISTENER_ROUTES_H

#include "tests/server/listener_fixture.h"

struct routes_state {
    tr_pid server;     /* atomic: kept by its supervisor */
    uint32_t released; /* atomic */
    int begun, ended;  /* atomic */
    char read[512];    /* by /job/header; read it when ended says so */
};
extern struct routes_state routes_state;

tr_child_spec routes_server(void);
struct route_table routes_table(void);

#endif
