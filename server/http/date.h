/* date: the Date field of answers, written once a second and not once an answer.
 *
 * Invariant: after http_date_update(now), http_date_text() is the IMF-fixdate (RFC 9110 5.6.7) of `now`, UTC.
 */
#ifndef TROUPE_SERVER_HTTP_DATE_H
#define TROUPE_SERVER_HTTP_DATE_H

#include "server/text.h"

#include <time.h>

#define HTTP_DATE_BYTES 29

struct http_date {
    time_t second;
    char bytes[HTTP_DATE_BYTES + 1];
};

/** Zeroed is not valid yet. Cost: nothing while the second is the same. */
void http_date_update(struct http_date *date, time_t now);

static inline struct text http_date_text(const struct http_date *date)
{
    return (struct text){.bytes = date->bytes, .count = HTTP_DATE_BYTES};
}

#endif
