/* cache: the agent `config` (the guide's ConfigCache): it holds all keys, and publishes an image of them that is read
 * without a message.
 *
 *     reader  --> snapshot (a reference, no message)
 *     writer  --> agent: judge, number --> store.writer: durable --> agent: apply, publish --> answer
 *
 * Invariants
 *  C1  the agent is the only writer of config_*; what it holds is what the store has. It changes its rows only after the
 *      store said that the change is durable, and answers only after the new image is published.
 *  C2  a change whose fate is not known ends the agent; its successor reads the store, behind that change.
 *  C3  a change is one revision; revisions only grow, also over restarts. A key's version grows by one with each change of
 *      what is seen of it (value, source, secrecy), and with each put.
 *  C4  a reload takes all that the layers say or, when one of them is bad, nothing.
 *  C5  killed in the middle: rows and buffers are the agent's memory; the image is the snapshot's; readers go on with the last.
 *
 * Limits: one change takes at most CONFIG_CHANGE_BYTES_MAX (the agent's argument), all rows CONFIG_TOTAL_BYTES_MAX.
 */
#ifndef API_CONFIG_CACHE_H
#define API_CONFIG_CACHE_H

#include "api/config/layers.h"
#include "api/config/row.h"

#include <troupe/troupe.h>

#define CONFIG_ANY_VERSION      UINT64_MAX
#define CONFIG_OPS_MAX          1000
#define CONFIG_CHANGE_BYTES_MAX (60u << 10)
#define CONFIG_TOTAL_BYTES_MAX  (16u << 20)

/* What readers see. */
TR_MESSAGE_TERMS(
    config_view,
    {
        uint64_t revision;
        tr_term image; /* a string: a config_image */
    },
    offsetof(config_view, image));

extern tr_snapshot config_now;

/** The image of a view. Borrows: from the view. */
static inline const config_image *config_view_image(const config_view *view)
{
    return (const config_image *)(const void *)tr_string_bytes(view->image, NULL);
}

enum config_op_kind { CONFIG_PUT, CONFIG_DELETE, CONFIG_EXPECT };
enum config_secrecy { CONFIG_PLAIN, CONFIG_SECRET, CONFIG_AS_IT_WAS };

/* One step of a change; key and value stand behind it. Keys of puts and deletes are different ones. */
typedef struct config_op {
    uint32_t bytes; /* a multiple of 8 */
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint8_t kind;
    uint8_t secrecy;
    uint64_t expected; /* version; 0: must not be there; CONFIG_ANY_VERSION */
    char texts[];
} config_op;

static inline size_t config_op_bytes(struct text key, struct text value)
{
    return (sizeof(config_op) + key.count + value.count + 7u) & ~(size_t)7;
}
/** Writes a step into config_op_bytes() of memory, aligned to 8. */
void config_op_write(config_op *op, enum config_op_kind kind, struct text key, struct text value,
                     enum config_secrecy secrecy, uint64_t expected);

enum config_outcome {
    CONFIG_DONE,
    CONFIG_CONFLICT,        /* which: results[].failed */
    CONFIG_NO_SUCH_KEY,     /* no override to delete: results[].failed */
    CONFIG_NO_SUCH_VERSION, /* rollback */
    CONFIG_WAS_GONE,        /* rollback to a version at which the key was not there */
    CONFIG_UNFIT,           /* a setting of the service does not take this value */
    CONFIG_TOO_MANY_KEYS,
    CONFIG_TOO_LARGE, /* all of it together */
    CONFIG_STORAGE_FULL,
    CONFIG_STORAGE_FAILED,
    CONFIG_INVALID /* reload: a sentence tells */
};

/* What became of a step. */
typedef struct config_result {
    uint64_t version; /* 0: the key is gone */
    uint8_t failed;
    uint8_t created; /* no layer had it */
    uint8_t secret;
} config_result;

/** All steps or none, as one revision. */
TR_MESSAGE_TERMS(
    config_change, { tr_term ops; },
    offsetof(config_change, ops)); /* a string: config_op, one behind the other */
TR_MESSAGE_TERMS(
    config_changed,
    {
        uint32_t outcome;
        uint64_t revision;
        int64_t at_ms;
        tr_term results; /* a string: a config_result for each step */
    },
    offsetof(config_changed, results));

/** Puts an old version's value anew. The answer's value is that value. */
TR_MESSAGE_TERMS(
    config_rollback,
    {
        uint64_t version;
        uint64_t expected;
        tr_term key;
    },
    offsetof(config_rollback, key));
TR_MESSAGE_TERMS(
    config_rolled_back,
    {
        uint32_t outcome;
        uint64_t revision;
        int64_t at_ms;
        config_result result;
        tr_term value;
    },
    offsetof(config_rolled_back, value));

/** Reads the layers anew. */
TR_MESSAGE(config_reload, { bool keep_overrides; });
TR_MESSAGE_TERMS(
    config_reloaded,
    {
        uint32_t outcome;
        uint64_t revision;
        tr_term added; /* lists of strings, at most CONFIG_NAMED_MAX each, CONFIG_NAMED_BYTES_MAX together */
        tr_term changed;
        tr_term removed;
        tr_term dropped;
        uint32_t counts[4]; /* how many there were */
        tr_term why;        /* a string, with CONFIG_INVALID */
    },
    offsetof(config_reloaded, added), offsetof(config_reloaded, changed), offsetof(config_reloaded, removed),
    offsetof(config_reloaded, dropped), offsetof(config_reloaded, why));

#define CONFIG_NAMED_MAX       500
#define CONFIG_NAMED_BYTES_MAX (40u << 10)

/** Each parks the calling process up to timeout_ms and answers when the change is durable and published.
 *  Errors: as tr_agent_call.   Context: process. */
tr_err config_cache_change(const config_change *change, int64_t timeout_ms, config_changed *out);
tr_err config_cache_rollback(const config_rollback *rollback, int64_t timeout_ms, config_rolled_back *out);
tr_err config_cache_reload(bool keep_overrides, int64_t timeout_ms, config_reloaded *out);

/** What the agent works with; set before the node starts, unchanged until it stopped. */
struct config_service {
    const struct settings *settings;
    config_row *layers; /* as read at start; malloc */
    size_t layers_bytes;
    uint32_t synced; /* atomic: they were compared with what was recorded */
};
extern struct config_service config_service;

/** Counts a reload. Context: any thread. */
void config_reload_count(bool done);

tr_child_spec config_cache_child_spec(void);

#endif
