/* atom.h: the table of atoms: text to index and back.
 *
 * Invariants
 *  1. An index never changes its text; indices below TR__ATOM_KNOWN are those of TR_ATOM_MAP, and need no
 *     set-up.
 *  2. Reading takes no lock: an entry is complete before its index can be seen; a table that was outgrown
 *     stays readable.
 *  3. Nothing is ever freed.
 * Limits: TR__ATOM_MAX atoms; one more ends the OS process. TR__ATOM_BYTES_MAX bytes each, none of them NUL.
 */
#ifndef TROUPE_CORE_ATOM_H
#define TROUPE_CORE_ATOM_H

#include <troupe/term.h>

#define TR__ATOM_MAX       (1u << 20)
#define TR__ATOM_BYTES_MAX 255u

/** The text of an atom that exists; *length may be NULL. Context: any thread. */
const char *tr__atom_text(uint32_t index, size_t *length);
/** How many atoms there are. Context: any thread. */
uint32_t tr__atom_count(void);

#endif
