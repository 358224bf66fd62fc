/* webhook: what a webhook is, as a value, and which texts make a good one.
 *
 * Invariants
 *   1. A name is 1 to WEBHOOK_NAME_MAX of A-Z a-z 0-9 . _ -
 *   2. `events` is one or more patterns with one blank between them. A pattern is `*`, a type (`payment.captured`), or a
 *      type's beginning and `.*`; each part of a type is of A-Z a-z 0-9 _
 *   3. A message is known by what it tells of: `msg_SUBJECT_SEQUENCE`. So it has the same id at every attempt, to every
 *      webhook and after every restart. There is no '.' in it, as the signature's separator is one.
 *   4. Secrets are not in here: they leave the store for the one process that signs.
 * Plain data: no processes, no HTTP, no SQL.
 */
#ifndef TROUPE_API_WEBHOOKS_WEBHOOK_H
#define TROUPE_API_WEBHOOKS_WEBHOOK_H

#include "server/text.h"

#include <stdint.h>

#define WEBHOOK_NAME_MAX     64
#define WEBHOOK_URL_MAX      2048
#define WEBHOOK_PATTERNS_MAX 32
#define WEBHOOK_PATTERN_MAX  64
#define WEBHOOK_EVENTS_MAX   (WEBHOOK_PATTERNS_MAX * (WEBHOOK_PATTERN_MAX + 1))
#define WEBHOOK_SUBJECT_MAX  64
#define WEBHOOK_TYPE_MAX     64
#define WEBHOOK_MESSAGE_MAX  96

/* state, its name; the store has the numbers: append only */
#define WEBHOOK_STATES(X) \
    X(ENABLED, "enabled") \
    X(GONE, "gone")       \
    X(FAILING, "failing")

#define WEBHOOK_STATE_NAME(name, text) WEBHOOK_##name,
enum webhook_state { WEBHOOK_STATES(WEBHOOK_STATE_NAME) WEBHOOK_STATES_COUNT };
#undef WEBHOOK_STATE_NAME

struct webhook {
    int64_t id; /* never used again */
    char name[WEBHOOK_NAME_MAX + 1];
    char url[WEBHOOK_URL_MAX + 1];
    char events[WEBHOOK_EVENTS_MAX + 1];
    enum webhook_state state;
    uint64_t version; /* never used again, not by another webhook of that name either */
    int64_t created_at_ms, updated_at_ms;
    int64_t disabled_at_ms;   /* 0: it is not */
    int64_t failing_since_ms; /* 0: the last attempt went well, or there was none */
    int64_t waiting;          /* in the outbox */
    int64_t dropped;          /* left out because that was full */
};

const char *webhook_state_text(enum webhook_state state);

bool webhook_name_fits(struct text name);
/** Whether a text is a pattern (see 2). */
bool webhook_pattern_fits(struct text pattern);
/** Whether a type is meant by one of the patterns of `events`. */
bool webhook_wants(struct text events, struct text type);

/** Whether a subject can be in a message's id. */
bool webhook_subject_fits(struct text subject);
/** Writes the id of a message with its NUL (see 3). */
void webhook_message_id(const char *subject, int64_t sequence, char out[WEBHOOK_MESSAGE_MAX]);

/** Whether the host of an absolute URL says by itself, without asking anybody, that it is this machine's or a private one: an
 *  address in digits, or localhost. Names are judged by the address that is connected to, at each delivery. */
bool webhook_url_is_private(const char *url);

#endif
