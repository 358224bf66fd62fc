/* changes: the latest revisions, each with the rows it changed, for those who watch.
 *
 *     config agent --> config_changes_add(), the image is published, config_watch_wake()
 *     watcher      --> config_changes_after(since, until) -> a revision, as a reference --> config_revision_drop()
 *
 * Invariants
 *  H1  revisions stand without gaps from `base` + 1 to `newest`; the oldest go when all together take more than
 *      CONFIG_CHANGES_BYTES_MAX. One that is larger than CONFIG_REVISION_BYTES_MAX (a reload of much) takes all before it along.
 *  H2  a revision is never changed, and lives while somebody holds a reference.
 *  H3  what is shown is bounded by `until`, the revision of the published image: nobody hears of what cannot be read yet.
 *  H4  only the agent adds. One lock guards the list; nothing is written or waited for under it.
 *  H5  killed in the middle: the store has the history, and the agent's successor takes the latest revisions from there.
 */
#ifndef API_CONFIG_CHANGES_H
#define API_CONFIG_CHANGES_H

#include "api/config/row.h"

#define CONFIG_CHANGES_BYTES_MAX  (4u << 20)
#define CONFIG_REVISION_BYTES_MAX (128u << 10)

typedef struct config_revision {
    struct config_revision *next; /* under the lock */
    uint64_t revision;
    uint32_t references; /* atomic */
    uint32_t count;
    size_t bytes;    /* of the rows */
    uint64_t rows[]; /* config_row, tombstones too */
} config_revision;

static inline const config_row *config_revision_rows(const config_revision *revision)
{
    return (const config_row *)(const void *)revision->rows;
}

enum config_after {
    CONFIG_AFTER_FOUND,
    CONFIG_AFTER_NONE,      /* nothing yet */
    CONFIG_AFTER_COMPACTED, /* what came after `since` is not kept any more */
    CONFIG_AFTER_UNKNOWN /* `since` was never given out: a client of another, or of a restored, data directory */
};

/** The first revision behind `since` and not behind `until`. *out is a reference for config_revision_drop().
 *  Context: any thread. */
enum config_after config_changes_after(uint64_t since, uint64_t until, config_revision **out);
/** NULL is fine. Context: any thread. */
void config_revision_drop(config_revision *revision);

/** Adds a revision: those of the rows that changed what is seen (is_new). Context: the agent. */
void config_changes_add(uint64_t revision, config_row *const *rows, size_t count);
/** Forgets all and goes on behind `base`. Context: the agent. */
void config_changes_reset(uint64_t base);
/** The revision that was added last. Context: any thread. */
uint64_t config_changes_newest(void);

#endif
