/* answering: what the handlers of /v1/config share: entries as JSON, ?reveal=, failures.
 *
 * Invariants
 *  1. A secret's value is written only where `reveal` is true, which config_reveal() says to admins only.
 */
#ifndef API_CONFIG_ANSWERING_H
#define API_CONFIG_ANSWERING_H

#include "api/config/cache.h"
#include "server/http/request.h"

/* An entry as it is answered. */
typedef struct config_entry {
    struct text key;
    struct text value; /* JSON; absent: the key is not there */
    uint64_t version;
    uint64_t revision;
    enum config_source source;
    bool secret;
    int64_t at_ms;
} config_entry;

config_entry config_entry_of(const config_row *row);

/** Writes the entry's object; one that is not there has null for value and source, and "deleted":true. */
void config_entry_write(struct json_out *out, const config_entry *entry, bool reveal);

/** ?reveal=true|false. Errors: false, and 422 or 403 was sent.  *reveal is true for admins only. */
bool config_reveal(struct http_request *request, bool *reveal);

/** A query parameter that is true or false; `absent` when it is not there. Errors: false, and 422 was sent. */
bool config_query_bool(struct http_request *request, const char *name, bool absent, bool *value);

/** Whether the path's key may be one. Errors: false, and 422 was sent. */
bool config_path_key(struct http_request *request, struct text *key);

/** The version of the path's key now, 0 for none.   Context: handler on the core, or process. */
uint64_t config_version_now(struct text key);

void config_answer_no_key(struct http_request *request, struct text key);
/** Everything but CONFIG_DONE, conflicts and missing keys. */
void config_answer_failure(struct http_request *request, enum config_outcome outcome);

#endif
