/* What is wrong with child specs and flags, told in OTP's terms, before anything is started. */
#include "tests/runtime/tree.h"

#define checked(...)                                \
    check_all((const tr_child_spec[]){__VA_ARGS__}, \
              sizeof((const tr_child_spec[]){__VA_ARGS__}) / sizeof(tr_child_spec))

static tr_term check_all(const tr_child_spec *specs, size_t count)
{
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_err err = tr_supervisor_check_childspecs(specs, count, &reason);
    cr_expect_eq(err, tr_is_none(reason) ? TR_OK : TR_E_BADARG);
    return reason;
}

TREE_TEST(supervisor_spec, valid_specs_are_valid)
{
    tree_term_is(checked(ACTOR("a"), ACTOR("b"), PLAIN("c", .restart = TR_TEMPORARY, .significant = true)),
                 "none");
    cr_expect_eq(tr_supervisor_check_childspecs(NULL, 0, NULL), TR_OK);
    tree_trace("");
}

TREE_TEST(supervisor_spec, id_is_wanted)
{
    tree_term_is(checked({.server = actor_server}), "missing_id");
}

TREE_TEST(supervisor_spec, exactly_one_way_to_start_is_wanted)
{
    tree_term_is(checked({.id = tr_atom("a")}), "missing_start");
    tree_term_is(checked(ACTOR("a", .main = plain_main)), "{invalid_mfa,[gen_server,process]}");
}

TREE_TEST(supervisor_spec, values_out_of_range_are_named)
{
    tree_term_is(checked(ACTOR("a", .restart = (tr_restart)9)), "{invalid_restart_type,9}");
    tree_term_is(checked(ACTOR("a", .type = (tr_child_type)5)), "{invalid_child_type,5}");
    tree_term_is(checked(ACTOR("a", .shutdown_ms = -7)), "{invalid_shutdown,-7}");
}

TREE_TEST(supervisor_spec, duplicate_ids_are_found_whatever_the_term)
{
    tree_term_is(checked(ACTOR("a"), ACTOR("b"), ACTOR("a")), "{duplicate_child_name,a}");
    tr_child_spec one = {.id = tr_tuple(tr_atom("w"), tr_int(1)), .main = plain_main};
    tr_child_spec two = {.id = tr_tuple(tr_atom("w"), tr_int(2)), .main = plain_main};
    tr_child_spec again = {.id = tr_tuple(tr_atom("w"), tr_int(1)), .main = plain_main};
    tree_term_is(checked(one, two), "none");
    tree_term_is(checked(one, two, again), "{duplicate_child_name,{w,1}}");
}

TREE_TEST(supervisor_spec, the_first_error_of_the_list_is_told)
{
    tree_term_is(checked(ACTOR("a"), ACTOR("a"), {.id = tr_atom("b")}), "{duplicate_child_name,a}");
    tree_term_is(checked(ACTOR("a"), {.id = tr_atom("b")}, ACTOR("a")), "missing_start");
}

TREE_TEST(supervisor_spec, a_permanent_child_cannot_be_significant)
{
    tree_term_is(checked(ACTOR("a", .significant = true)),
                 "{bad_combination,[{restart,permanent},{significant,true}]}");
    tree_term_is(checked(ACTOR("a", .significant = true, .restart = TR_TRANSIENT)), "none");
}

TREE_TEST(supervisor_spec, significant_children_need_auto_shutdown)
{
    tr_started started;
    tr_err err = tree_try(&started, TREE(), ACTOR("a", .significant = true, .restart = TR_TRANSIENT));
    cr_expect_eq(err, TR_E_EXIT);
    tree_term_is(started.reason, "{start_spec,{bad_combination,[{auto_shutdown,never},{significant,true}]}}");
}

TREE_TEST(supervisor_spec, an_invalid_spec_refuses_the_start_before_anything_runs)
{
    tr_started started;
    cr_expect_eq(tree_try(&started, TREE(), ACTOR("a"), ACTOR("b"), ACTOR("a")), TR_E_EXIT);
    tree_term_is(started.reason, "{start_spec,{duplicate_child_name,a}}");
    tree_trace("");
}

TREE_TEST(supervisor_spec, invalid_flags_refuse_the_start)
{
    tr_started started;
    cr_expect_eq(tree_try(&started, TREE(.strategy = (tr_strategy)8), ACTOR("a")), TR_E_EXIT);
    tree_term_is(started.reason, "{supervisor_data,{invalid_strategy,8}}");
    cr_expect_eq(tree_try(&started, TREE(.intensity = -2), ACTOR("a")), TR_E_EXIT);
    tree_term_is(started.reason, "{supervisor_data,{invalid_intensity,-2}}");
    cr_expect_eq(tree_try(&started, TREE(.period_s = -1), ACTOR("a")), TR_E_EXIT);
    tree_term_is(started.reason, "{supervisor_data,{invalid_period,-1}}");
    cr_expect_eq(tree_try(&started, TREE(.auto_shutdown = (tr_auto_shutdown)3), ACTOR("a")), TR_E_EXIT);
    tree_term_is(started.reason, "{supervisor_data,{invalid_auto_shutdown,3}}");
    tree_trace("");
}

TREE_TEST(supervisor_spec, simple_one_for_one_wants_exactly_one_spec)
{
    tr_started started;
    tr_sup_flags flags = {.strategy = TR_SIMPLE_ONE_FOR_ONE};
    cr_expect_eq(tree_try_n(&started, flags, NULL, 0), TR_E_EXIT);
    tree_term_is(started.reason, "{bad_start_spec,[]}");
    cr_expect_eq(tree_try(&started, flags, ACTOR("a"), ACTOR("b")), TR_E_EXIT);
    tree_term_is(started.reason, "{bad_start_spec,[{child,a},{child,b}]}");
    cr_expect_eq(tree_try(&started, flags, {.id = tr_atom("w")}), TR_E_EXIT);
    tree_term_is(started.reason, "{start_spec,missing_start}");
}

TREE_TEST(supervisor_spec, effective_values_of_the_defaults_are_told)
{
    tr_pid top = tree_start(TREE(), ACTOR("a", .shutdown_ms = TR_SHUTDOWN_NOW),
                            ACTOR("b", .shutdown_ms = TR_SHUTDOWN_BRUTAL_KILL), ACTOR("c", .shutdown_ms = 70),
                            ACTOR("d", .type = TR_SUPERVISOR));
    const tr_child_info *children;
    size_t count = 0;
    cr_expect_eq(tr_supervisor_which_children(tr_to(top), &children, &count), TR_OK);
    cr_assert_eq(count, 4);
    cr_expect_eq(children[3].shutdown_ms, 0);
    cr_expect_eq(children[2].shutdown_ms, TR_SHUTDOWN_BRUTAL_KILL);
    cr_expect_eq(children[1].shutdown_ms, 70);
    cr_expect_eq(children[0].shutdown_ms, TR_INFINITY);
}

Test(supervisor_spec, specs_can_be_checked_outside_of_a_process)
{
    static const char id[] = "a";
    tr_child_spec specs[] = {ACTOR("a"), {.id = tr_atom(id)}};
    tr_term reason = TR_TERM_NONE_VALUE;
    cr_expect_eq(tr_supervisor_check_childspecs(specs, 2, &reason), TR_E_BADARG);
    cr_expect_str_eq(tr_term_text(reason), "missing_start");
    tr_scratch_release((tr_scratch_mark){0});
}
