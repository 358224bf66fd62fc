/* entries_list.h: the list of a process: all its entries, in whatever registry. Internal to entries.
 *
 * It begins in the process's control block. Lists share 64 locks by slot; the lock of a list comes after the lock of a
 * shard. Invariants 3, 4 and 5 of entries.h are kept here.
 */
#ifndef TROUPE_OTP_ENTRIES_LIST_H
#define TROUPE_OTP_ENTRIES_LIST_H

#include "runtime/otp/entries.h"

/** atomic: entries registered, or about to be, by another process than their own. */
extern uint32_t tr__entries_foreign;

static inline tr__entry *tr__list_next(const tr__entry *entry)
{
    return (tr__entry *)entry->head.next;
}

/** Errors: TR_E_NOPROC when another one's process is dead; TR_E_BADARG when it has a name already. */
tr_err tr__list_add(tr__entry *entry);
/** Returns: whether the caller is the one who took it out, and so has to retire it. */
bool tr__list_remove(tr__entry *entry);
/** Takes out all. list: as tr__proc_names. Returns: their chain. */
tr__entry *tr__list_take(tr_pid pid, void **list);

#endif
