/* reason: exit reasons that clients name.
 *
 * Invariants: a text that is an atom already gives that atom; of other texts the first REASON_ATOMS_MAX become atoms,
 * later ones strings. So clients cannot fill the table of atoms.
 */
#ifndef TROUPE_API_SYSTEM_REASON_H
#define TROUPE_API_SYSTEM_REASON_H

#include "server/text.h"

#include <troupe/troupe.h>

#define REASON_ATOMS_MAX 64
#define REASON_BYTES_MAX 64

/** The reason a text means: at most REASON_BYTES_MAX bytes, no NUL.   Blocks: no.   Context: any thread. */
tr_term reason_of_text(struct text text);

#endif
