/* files: a change of the settings file or of --env-file reloads the layers by itself, and keeps the overrides.
 *
 *     inotify (uv_fs_event on folders) --> settles for SETTLE_MS --> the files' fingerprints --> differ: config_reload_later()
 *     every LOOK_MS                    --> the same
 *
 * Invariants
 *  F1  what counts is the file that the path leads to: device, inode, size, times, or that there is none. So renaming over it, a
 *      swap of a symbolic link on the way (..data), writing into it, removing it and its return are all seen; an event is only a
 *      reason to look.
 *  F2  folders are watched, not files: of the path, and of where its links lead; again whenever that changes. A folder that
 *      cannot be watched, or is gone, is made up for by the look every LOOK_MS.
 *  F3  a burst is one reload: SETTLE_MS after its last event, at the latest SETTLE_MOST_MS after its first.
 *  F4  a fingerprint is reloaded once, whether the file was good or bad; a bad one changes nothing (cache.h, C4) and is logged once.
 *  F5  a thread of its own with a loop of its own: a slow file system holds up no core.
 */
#ifndef API_CONFIG_FILES_H
#define API_CONFIG_FILES_H

#include "server/settings.h"

/** Starts the thread; nothing to do when neither file is configured. What changed since `settings` were read is seen at the
 *  next change only.   Borrows: settings until config_files_stop().   Returns: false when it cannot be had (then a reload has to be
 *  asked for).   Context: main thread, once. */
bool config_files_start(const struct settings *settings);
/** Ends the thread and waits for it. Fine when it was not started.   Context: main thread. */
void config_files_stop(void);

#endif
