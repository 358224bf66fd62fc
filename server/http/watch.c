/* Processes that many requests ask: each is monitored once a core, not once a call.
 *
 * A process's place is given by its pid; one whose place is taken is not watched, and monitored for each call. All that
 * a process answered comes before its DOWN, and what is sent to it afterwards is refused at once: so the
 * requests that still wait under its index when the DOWN comes are those that nobody will answer. */
#include <string.h>

#include "server/http/core.h"

uint32_t watch_of(struct http_core *core, tr_pid pid)
{
    uint32_t index = (uint32_t)((pid * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % WATCHES_MAX + 1;
    if (core->watched[index] == pid && pid != TR_NO_PID) {
        return index;
    }
    if (core->watched[index] != TR_NO_PID || pid == TR_NO_PID || core->port == TR_NO_PID ||
        tr_port_monitor(core->port, index, pid) != TR_OK) {
        return 0;
    }
    core->watched[index] = pid;
    return index;
}

void watch_down(struct http_core *core, uint64_t number, tr_term reason)
{
    struct http_request *next = NULL;
    core->watched[number] = TR_NO_PID; /* the reply functions may ask a successor that has the same place */
    for (struct http_request *request = core->pending; request != NULL; request = next) {
        next = request->pending_next;
        if (request->watch == number && request->slot != 0) {
            request->watch = 0;
            request->reply(request, 0, NULL, reason);
        }
    }
}

void watches_forget(struct http_core *core)
{
    memset(core->watched, 0, sizeof(core->watched));
}
