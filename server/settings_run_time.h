/* settings_run_time: settings that may change while the service runs: the rows with `.run_time`.
 *
 *     judge   any thread            the same code as at start, into settings that are thrown away
 *     set     one writer at a time  judged, then stored into the member; what has a copy of it elsewhere (the log) is told
 *     restore                       what file, environment and flags said at start
 *
 * Invariants
 *  1. Such a row is an INTEGER or a choice: its member is one word, written atomically here and read by SETTINGS_NOW().
 *     Or it is `source`: then the member stays, and who was named by settings_run_time_on_sources() is given the list.
 *  2. Who decides by such a setting reads it once a decision: two reads may differ.
 *  3. A value that is refused changes nothing.
 *
 * Life cycle: setup after settings_main(), before other threads; the settings outlive the last call.
 */
#ifndef TROUPE_SERVER_SETTINGS_RUN_TIME_H
#define TROUPE_SERVER_SETTINGS_RUN_TIME_H

#include "server/settings.h"
#include "server/text.h"

/** Reads a member that may change while the service runs. */
#define SETTINGS_NOW(member) __atomic_load_n(&(member), __ATOMIC_RELAXED)

/** Keeps what the layers said. Borrows: settings, for good. */
void settings_run_time_setup(struct settings *settings);

/** Takes a list of sources: those of the layers with what an entry says of them. Copies what it keeps.
 *  then_take false: only judges, on any thread.   Returns: false and a sentence in *error; nothing changed then. */
typedef bool settings_sources_fn(const struct settings_sources *sources, bool then_take,
                                 struct settings_error *error);
/** Before other threads. */
void settings_run_time_on_sources(settings_sources_fn *fn);

/** Whether the setting of this name (`log_level`) may have this value: JSON, as in a settings file.
 *  Returns: 0, or -1 and *error: no such setting, not while the service runs, or what a start would say.
 *  Context: any thread. */
int settings_run_time_judge(struct text name, struct text json, struct settings_error *error);

/** Judges, and from then on it holds.   Returns: as judge.   Context: any thread, one caller at a time. */
int settings_run_time_set(struct text name, struct text json, struct settings_error *error);

/** What the layers said holds again; an unknown name is no matter.   Context: as set. */
void settings_run_time_restore(struct text name);

#endif
