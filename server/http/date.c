#include "server/http/date.h"

#include <stdio.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void http_date_update(struct http_date *date, time_t now)
{
    struct tm utc;
    if (date->second == now && date->bytes[0] != '\0') {
        return;
    }
    if (gmtime_r(&now, &utc) == NULL || utc.tm_year > 9999 - 1900 || utc.tm_year < 0) {
        now = 0; /* a clock that knows no date: the beginning of time is better than garbage */
        (void)gmtime_r(&now, &utc);
    }
    (void)snprintf(date->bytes, sizeof(date->bytes), "%s, %02u %s %04u %02u:%02u:%02u GMT", days[utc.tm_wday],
                   (unsigned)utc.tm_mday % 100u, months[utc.tm_mon], (unsigned)(utc.tm_year + 1900) % 10000u,
                   (unsigned)utc.tm_hour % 100u, (unsigned)utc.tm_min % 100u, (unsigned)utc.tm_sec % 100u);
    date->second = now;
}
