/* openapi: the service's description of itself, as it stands in openapi.yaml and as the JSON made from it.
 *
 * Invariants
 *   1. Both say the same: the JSON is made from the YAML when the service is built (cmake/openapi_embed.c).
 *   2. Every route of the service is in it; tests/api/test_system_openapi.c compares the two.
 *
 * Life cycle: constants; no NUL at the end.
 */
#ifndef TROUPE_API_SYSTEM_OPENAPI_H
#define TROUPE_API_SYSTEM_OPENAPI_H

#include <stddef.h>

extern const unsigned char openapi_yaml[];
extern const size_t openapi_yaml_bytes;
extern const unsigned char openapi_json[];
extern const size_t openapi_json_bytes;

#endif
