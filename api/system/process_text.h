/* process_text: pids, names and terms as clients see them.
 *
 * Invariants
 *   1. A pid is "<slot>.<generation>", both without leading zeros; reading takes exactly what writing gives.
 *   2. A name is the atom's text, a string's bytes, or any other term as Erlang would write it.
 *   3. A term becomes JSON: atoms and strings texts, maps objects, tuples and lists arrays, pids as above, none null;
 *      what is deeper than TERM_DEPTH_MAX, or comes after TERM_NODES_MAX values, becomes "...".
 */
#ifndef TROUPE_API_SYSTEM_PROCESS_TEXT_H
#define TROUPE_API_SYSTEM_PROCESS_TEXT_H

#include "server/json_out.h"

#include <troupe/troupe.h>

#define PID_TEXT_BYTES 24
#define NAME_BYTES_MAX 512
#define TERM_DEPTH_MAX 16
#define TERM_NODES_MAX 2000

/** Writes a pid with its NUL; the absent text for TR_NO_PID. Borrows: out. */
struct text process_pid_text(tr_pid pid, char out[PID_TEXT_BYTES]);

/** Whether the text is a pid; *pid then. */
bool process_pid_read(struct text text, tr_pid *pid);

/** A name or child id; the absent text for none. Borrows: the term, or out. */
struct text process_name_text(tr_term name, char out[NAME_BYTES_MAX]);

const char *process_status_text(tr_status status);

/** A pid as a JSON string, TR_NO_PID as null. */
void json_out_pid(struct json_out *out, tr_pid pid);

/** A term as JSON.   Blocks: no.   Cost: O(size), bounded. */
void json_out_term(struct json_out *out, tr_term term);

/** The members of a process list's entry, into an object that is open. now_ms as tr_now_ms(). */
void process_write_members(struct json_out *out, const tr_process_summary *summary, int64_t now_ms);

#endif
