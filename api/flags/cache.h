/* cache: the agent `flags`: it holds all flags, and publishes an image of them that is read without a message.
 *
 *     evaluation --> snapshot (a reference, no message) --> rule_run
 *     PUT        --> agent: judge, number --> store.writer: durable --> agent: apply, publish --> answer
 *
 * Invariants
 *  C1  the agent is the only writer of flags_*; it changes its rows only after the store said that the change is durable,
 *      and answers only after the new image is published.
 *  C2  a change whose fate is not known ends the agent; its successor reads the store, behind that change.
 *  C3  each change is one revision, and that is the flag's version: versions only grow, also when a flag comes back.
 *  C4  killed in the middle: rows are the agent's memory; the image is the snapshot's; readers go on with the last.
 *
 * Limits: max_flags flags; all rows take FLAGS_TOTAL_BYTES_MAX.
 */
#ifndef API_FLAGS_CACHE_H
#define API_FLAGS_CACHE_H

#include "api/flags/flag.h"
#include "server/settings.h"

#include <troupe/troupe.h>

#define FLAG_ANY_VERSION      UINT64_MAX
#define FLAGS_TOTAL_BYTES_MAX (32u << 20)
#define FLAG_ARENA_BYTES      (4u << 20) /* a document's tree and its row */

/* What readers see. */
TR_MESSAGE_TERMS(
    flags_view,
    {
        uint64_t revision;
        tr_term image; /* a string: a flag_image */
    },
    offsetof(flags_view, image));

extern tr_snapshot flags_now;

/** The image of a view. Borrows: from the view. */
static inline const flag_image *flags_view_image(const flags_view *view)
{
    return (const flag_image *)(const void *)tr_string_bytes(view->image, NULL);
}

enum flags_outcome {
    FLAGS_DONE,
    FLAGS_CONFLICT,
    FLAGS_NO_SUCH_FLAG,
    FLAGS_TOO_MANY,
    FLAGS_TOO_LARGE, /* all of it together */
    FLAGS_STORAGE_FULL,
    FLAGS_STORAGE_FAILED
};

/** Puts a document that flag_make() takes, or with an empty one deletes the flag. */
TR_MESSAGE_TERMS(
    flags_change,
    {
        uint64_t expected; /* version; 0: must not be there; FLAG_ANY_VERSION */
        tr_term key;
        tr_term document;
    },
    offsetof(flags_change, key), offsetof(flags_change, document));
TR_MESSAGE(flags_changed, {
    uint32_t outcome;
    bool created;
    uint64_t version;
});

/** Parks the calling process up to timeout_ms and answers when the change is durable and published.
 *  Errors: as tr_agent_call.   Context: process. */
tr_err flags_cache_change(const flags_change *change, int64_t timeout_ms, flags_changed *out);

/* Set before the node starts, unchanged until it stopped. */
extern const struct settings *flags_settings;

/** The process `flags`. */
tr_child_spec flags_cache_child_spec(void);

#endif
