#include "tests/runtime/stage.h"

static bool fits(tr_term pattern, tr_term term)
{
    return tr_pattern_matches(&(tr_pattern){.term = pattern}, term, NULL);
}

SCENE(pattern, what_is_no_number_stands_for_itself)
{
    EXPECT(fits(tr_int(1), tr_int(1)) && !fits(tr_int(1), tr_float(1.0)));
    EXPECT(fits(tr_atom("$"), tr_atom("$")) && !fits(tr_atom("$"), tr_int(1)));
    EXPECT(!fits(tr_atom("$10"), tr_int(1)) && !fits(tr_atom("$0"), tr_int(1)));
    EXPECT(!fits(tr_atom("$_"), tr_int(1))); /* the whole term: in bodies only */
    EXPECT(fits(tr_string("a"), tr_string("a")) && !fits(tr_string("a"), tr_string("b")));
    EXPECT(fits(tr_list_n(0, NULL), tr_list_n(0, NULL)) && !fits(tr_list_n(0, NULL), tr_tuple_n(0, NULL)));
}

SCENE(pattern, containers_match_item_by_item)
{
    tr_term pair = tr_tuple(tr_int(1), tr_int(2));
    EXPECT(fits(tr_tuple(TR_ANY, tr_int(2)), pair));
    EXPECT(!fits(tr_tuple(TR_ANY), pair) && !fits(tr_list(TR_ANY, TR_ANY), pair));
    tr_term with[] = {tr_atom("k"), tr_int(1), tr_atom("l"), tr_int(2)};
    tr_term any[] = {tr_atom("k"), TR_ANY, tr_atom("l"), TR_ANY};
    tr_term other[] = {tr_atom("k"), TR_ANY, tr_atom("m"), TR_ANY};
    EXPECT(fits(tr_map_n(2, any), tr_map_n(2, with)) && !fits(tr_map_n(2, other), tr_map_n(2, with)));
}

SCENE(pattern, a_number_that_stands_twice_stands_for_equal_terms)
{
    tr_bindings found;
    tr_pattern twice = {.term = tr_tuple(tr_var(1), tr_list(tr_var(1), tr_var(9)))};
    tr_term text = tr_tuple(tr_string("x"), tr_list(tr_string("x"), tr_int(3)));
    EXPECT(tr_pattern_matches(&twice, text, &found));
    TERM_IS(found.vars[1], "\"x\"");
    TERM_IS(found.vars[9], "3");
    EXPECT(tr_term_equal(found.vars[0], text) && tr_is_none(found.vars[2]));
    EXPECT(!tr_pattern_matches(&twice, tr_tuple(tr_int(1), tr_list(tr_int(2), tr_int(3))), NULL));
}

/* Deeper than what a walk holds without asking for memory; and no recursion that could overflow a stack. */
SCENE(pattern, any_depth_is_matched_and_built)
{
    tr_term pattern = tr_var(1);
    tr_term term = tr_int(7);
    for (int i = 0; i < 5000; i++) {
        pattern = tr_tuple(pattern, tr_int(i));
        term = tr_tuple(term, tr_int(i));
    }
    tr_bindings found;
    tr_pattern deep = {.term = pattern, .body = pattern};
    EXPECT(tr_pattern_matches(&deep, term, &found));
    TERM_IS(found.vars[1], "7");
    EXPECT(tr_term_equal(tr_pattern_body(&deep, &found), term));
}
