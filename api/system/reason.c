#include "api/system/reason.h"

#include <stdatomic.h>

static atomic_uint made; /* atoms that clients brought in */

tr_term reason_of_text(struct text text)
{
    tr_term reason = TR_TERM_NONE_VALUE;
    if (tr_atom_find(text.bytes, text.count, &reason)) {
        return reason;
    }
    if (atomic_fetch_add(&made, 1) < REASON_ATOMS_MAX) {
        return tr_atom_n(text.bytes, text.count);
    }
    atomic_fetch_sub(&made, 1);
    return tr_string_n(text.bytes, text.count);
}
