/* Atoms: one index a text, known ones at their fixed place. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/core/atom.h"

Test(atom, same_text_is_the_same_word)
{
    char copy[] = "some_atom";
    cr_assert(tr_same(tr_atom("some_atom"), tr_atom(copy)));
    cr_assert_not(tr_same(tr_atom("some_atom"), tr_atom("some_atoms")));
    cr_assert_str_eq(tr_atom_text(tr_atom("some_atom")), "some_atom");
}

Test(atom, known_atoms_read_without_any_look_up_before)
{
    cr_assert_str_eq(tr_atom_text(TR_ATOM(NORMAL)), "normal");
    cr_assert_str_eq(tr_atom_text(TR_ATOM(MAILBOX_FULL)), "mailbox_full");
}

Test(atom, known_atoms_are_found_at_their_index)
{
#define CHECK_KNOWN(name, text) cr_assert(tr_same(tr_atom(text), TR_ATOM(name)), "%s", text);
    TR_ATOM_MAP(CHECK_KNOWN)
#undef CHECK_KNOWN
    cr_assert_eq(tr__atom_count(), TR__ATOM_KNOWN);
}

Test(atom, a_part_of_a_text_can_be_the_name)
{
    cr_assert(tr_same(tr_atom_n("normality", 6), TR_ATOM(NORMAL)));
    cr_assert_str_eq(tr_atom_text(tr_atom_n("", 0)), "");
    cr_assert_not(tr_same(tr_atom_n("", 0), TR_ATOM(NORMAL)));
}

Test(atom, the_longest_name_is_kept_whole)
{
    char text[TR__ATOM_BYTES_MAX + 1];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    tr_term atom = tr_atom(text);
    cr_assert_str_eq(tr_atom_text(atom), text);
    size_t length;
    tr__atom_text((uint32_t)(atom.word >> TR__TAG_BITS), &length);
    cr_assert_eq(length, TR__ATOM_BYTES_MAX);
}

Test(atom, many_atoms_keep_their_text_while_the_table_grows)
{
    enum { COUNT = 200000 };
    char text[32];
    tr_term first = tr_atom("first_of_many");
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "atom_%d", i);
        tr_term atom = tr_atom(text);
        cr_assert_eq(atom.word >> TR__TAG_BITS, (first.word >> TR__TAG_BITS) + 1 + (uint64_t)i);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "atom_%d", i);
        tr_term atom = tr_atom(text);
        cr_assert_eq(atom.word >> TR__TAG_BITS, (first.word >> TR__TAG_BITS) + 1 + (uint64_t)i);
        cr_assert_str_eq(tr_atom_text(atom), text);
    }
    cr_assert_eq(tr__atom_count(), TR__ATOM_KNOWN + 1 + COUNT);
    cr_assert(tr_same(tr_atom("normal"), TR_ATOM(NORMAL)));
}

Test(atom, finding_makes_no_atom)
{
    tr_term atom = TR_TERM_NONE_VALUE;
    cr_assert(tr_atom_find("noproc", 6, &atom));
    cr_assert(tr_same(atom, TR_ATOM(NOPROC)));
    uint32_t before = tr__atom_count();
    cr_assert_not(tr_atom_find("never_seen", 10, &atom));
    cr_assert(tr_same(atom, TR_ATOM(NOPROC)));
    cr_assert_eq(tr__atom_count(), before);
    tr_term made = tr_atom("never_seen");
    cr_assert(tr_atom_find("never_seen", 10, &atom));
    cr_assert(tr_same(atom, made));
    char longer[300] = "";
    memset(longer, 'x', sizeof longer);
    cr_assert_not(tr_atom_find(longer, sizeof longer, &atom));
    cr_assert_not(tr_atom_find("noproc\0", 7, &atom));
}
