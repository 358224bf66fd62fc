/* limiter_adopt: taking over a partition's memory. */
#ifndef API_RATE_LIMITS_LIMITER_ADOPT_H
#define API_RATE_LIMITS_LIMITER_ADOPT_H

#include "api/rate_limits/limiter.h"

/** Makes the table sound and the maps agree with it.  Returns: false when the table's frame was overwritten. */
bool rl__limiter_adopt(limiter *self);

#endif
