#include "server/version.h"

#ifndef TROUPE_VERSION
#define TROUPE_VERSION "0.0.0"
#endif
#ifndef TROUPE_COMMIT
#define TROUPE_COMMIT "unknown"
#endif

const char *version_number(void)
{
    return TROUPE_VERSION;
}

const char *version_commit(void)
{
    return TROUPE_COMMIT;
}
