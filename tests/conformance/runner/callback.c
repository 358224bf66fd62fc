#include "tests/conformance/runner/callback.h"

#include "tests/conformance/runner/plain.h"
#include "tests/conformance/runner/trace.h"

void callback_set_state(callback_self *self, tr_term state)
{
    tr_term old = self->state;
    self->state = tr_keep(state);
    tr_free_term(old);
}

tr_term callback_returned(outcome result)
{
    if (result.kind == OUTCOME_EXIT || result.kind == OUTCOME_ERROR) {
        outcome_raise(result);
    }
    return result.value;
}

tr_term callback_failing_init(tr_term how)
{
    tr_term kind = value_item(how, 0);
    tr_term reason = value_item(how, 1);
    if (value_is(how, "hang")) {
        trace_log("init_fail hang");
        plain_hang();
    }
    trace_log("init_fail %s", value_text(tr_is_none(reason) ? how : reason));
    if (value_is(kind, "error") || value_is(kind, "exit")) {
        outcome_raise(value_is(kind, "error") ? outcome_error(reason) : outcome_exit(reason));
    }
    return how;
}

tr_term callback_begin(callback_self *self, const actor *as)
{
    self->as = as;
    world_enter_self(as);
    if (value_flag(as->opts, "trap")) {
        tr_trap_exit(true);
    }
    tr_term how = world_take_failure(as->name);
    return tr_is_none(how) ? how : callback_failing_init(how);
}

tr_term callback_script(const callback_self *self, const char *name, env *in, tr_term otherwise)
{
    in->state = self->state;
    return callback_returned(script_run(value_get(self->as->opts, name), in, otherwise));
}
