/* A SQLite VFS for tests: the default one with failures on order, and a memory of what was synced.
 *
 * 1. Registered under the name "fault"; with nothing armed it changes nothing.
 * 2. One plan at a time. It lets skip matching calls through, then fails the next `count` ones (0 = all
 *    after).
 * 3. A failed write with FAULT_SHORT leaves its first half in the file, as a kernel may; one with
 *    FAULT_EIO or FAULT_ENOSPC leaves nothing. A failed sync syncs nothing.
 * 4. Calls come from any thread; arming and reading counts too.
 * 5. With recording on, every write since the last sync of its file is kept apart from what was synced, so
 *    that
 *    fault_vfs_power_cut can write the files as a power cut may leave them.
 */
#ifndef TESTS_SERVER_FAULT_VFS_H
#define TESTS_SERVER_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_op { FAULT_READ, FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_SHM_GROW, FAULT_OPS };
enum fault_file { FAULT_DB, FAULT_WAL, FAULT_FILES };
enum fault_kind { FAULT_EIO, FAULT_ENOSPC, FAULT_SHORT };

struct fault_plan {
    enum fault_op op;
    enum fault_file file;
    enum fault_kind kind;
    uint32_t skip;
    uint32_t count;
};

void fault_vfs_register(void);
void fault_vfs_arm(struct fault_plan plan);
void fault_vfs_disarm(void);

/* Failures given since the last fault_vfs_arm. */
uint32_t fault_vfs_fired(void);
/* Calls since the program began. */
uint32_t fault_vfs_calls(enum fault_op op, enum fault_file file);
/* Tells whether the WAL has writes that were not synced. */
bool fault_vfs_wal_is_dirty(void);

/* Starts recording; to be called before the files are opened. */
void fault_vfs_record(void);
/* Writes the two files to `directory` as a power cut at this moment may leave them: all that was synced,
 * and of
 * each later write all, nothing, or some of its 512-byte sectors, chosen by `seed`. */
void fault_vfs_power_cut(const char *directory, uint64_t seed);

#endif
