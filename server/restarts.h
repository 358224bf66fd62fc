/* restarts: what the service's own supervisors allow before they give up, as the settings say. */
#ifndef TROUPE_SERVER_RESTARTS_H
#define TROUPE_SERVER_RESTARTS_H

#include "server/settings.h"

#include <troupe/troupe.h>

/** Intensity and period; one_for_one, which the caller may change.   Context: any. */
static inline tr_sup_flags restarts_allowed(const struct settings *settings)
{
    int64_t most = settings->server_max_restarts;
    return (tr_sup_flags){.strategy = TR_ONE_FOR_ONE,
                          .intensity = most == 0 ? TR_INTENSITY_NONE : (int32_t)most,
                          .period_s = (int32_t)settings->server_max_seconds};
}

#endif
