/* step.h: running commands, steps, scripts and expressions (README, sections 3 and 5).
 *
 * 1. Nothing here raises: what a step came to is an outcome. Only who runs a script turns it into the end of a process.
 * 2. Terms in outcomes live on the scratch memory of the process that runs the step.
 * 3. A step is found by its verb in one of the tables of the steps_*.c files.
 */
#ifndef TESTS_CONFORMANCE_STEP_H
#define TESTS_CONFORMANCE_STEP_H

#include <troupe/troupe.h>

#include "tests/conformance/runner/value.h"

typedef enum outcome_kind { OUTCOME_VALUE, OUTCOME_EXIT, OUTCOME_ERROR, OUTCOME_THROW } outcome_kind;

typedef struct outcome {
    outcome_kind kind;
    tr_term value; /* or the reason */
} outcome;

static inline outcome outcome_value(tr_term value)
{
    return (outcome){OUTCOME_VALUE, value};
}
static inline outcome outcome_exit(tr_term reason)
{
    return (outcome){OUTCOME_EXIT, reason};
}
static inline outcome outcome_error(tr_term reason)
{
    return (outcome){OUTCOME_ERROR, reason};
}
static inline bool outcome_failed(outcome result)
{
    return result.kind != OUTCOME_VALUE;
}
/** Ends the calling process the way an outcome that failed says. */
TR_NORETURN void outcome_raise(outcome failed);
/** exit, error or throw. */
const char *outcome_class(outcome failed);

/** What the variables of expressions mean; none where they mean nothing. */
typedef struct env {
    tr_term state, message, from, value;
    tr_term machine_state, type; /* of state machines */
    tr_term element;             /* of a stream */
} env;

outcome eval(tr_term expression, const env *in);
/** One step. */
outcome step_run(tr_term step, const env *in);
/** A script: a tuple of steps, or one step; without a ret it gives otherwise. */
outcome script_run(tr_term script, const env *in, tr_term otherwise);
/** The steps behind the word run. */
outcome script_run_message(tr_term message, const env *in, tr_term otherwise);
/** The script for a message found in an actor's options (on), or none. */
tr_term script_for(tr_term opts, const char *kind, tr_term message);

/** A destination. On OUTCOME_VALUE *dest is set. */
outcome step_dest(tr_term name, tr_dest *dest);
/** The same, for commands that need a process: value is a pid. */
outcome step_pid(tr_term name, tr_pid *pid);
/** What asking a partition supervisor that is not there comes to. */
outcome step_no_partitions(tr_term name);

/* ---- tables ------------------------------------------------------------------------------------------------------ */
typedef struct step_args {
    size_t count;        /* without the verb */
    const tr_term *item; /* [0] is the first argument */
    const env *in;
} step_args;

typedef struct step_verb {
    const char *verb;
    size_t least, most;
    outcome (*run)(const step_args *args);
} step_verb;

/** Argument i, or none. */
static inline tr_term step_arg(const step_args *args, size_t i)
{
    return i < args->count ? args->item[i] : TR_TERM_NONE_VALUE;
}
/** Evaluates argument i into *value. */
outcome step_eval(const step_args *args, size_t i, tr_term *value);

/* Ends with a line of NULL each. */
extern const step_verb steps_control[], steps_process[], steps_timer[], steps_gen[], steps_sys[],
    steps_start[], steps_supervisor[], steps_registry[], steps_task[];

/** Leaves the function with the outcome when it failed. */
#define TRY(expression)                      \
    do {                                     \
        outcome try_outcome_ = (expression); \
        if (outcome_failed(try_outcome_)) {  \
            return try_outcome_;             \
        }                                    \
    } while (0)

#endif
