/* statem_table.h: a state machine as a table of transitions, which a gen_statem runs and diagrams are made from.
 *
 *     TR_STATEM_TABLE(door, .initial = "locked",
 *         .states = TR_TABLE_STATES(door, {.name = "locked"}, {.name = "open", .timeout_ms = 5000}),
 *         .transitions = TR_TRANSITIONS(door,
 *             {.from = "locked", .on = TR_ON(door_code), .guard = TR_FN(is_right), .to = "open", .act = TR_FN(beep)},
 *             {.from = "open", .on = TR_ON_STATE_TIMEOUT, .to = "locked"}));
 *     TR_GEN_STATEM(door, .table = door_table);
 *
 * Invariants
 *  1. Rows are tried in the table's order: the first that fits the state and the event and whose guard holds is taken, its
 *     act runs, then the machine goes where the row says. When none is taken `otherwise` decides; without it the event is
 *     unexpected, and the machine ends.
 *  2. The table is all there is: an act can add actions or stop the machine, but not go elsewhere. So the diagram is true.
 *  3. Entering a state (also the first, also again by .repeat) sets its time-out, then calls its enter function.
 *  4. A machine whose table is wrong does not start; tr_statem_table_check says what is wrong.
 *  5. A table lives as long as the OS process (TR_STATEM_TABLE makes it static). It is made ready once, by the first start.
 * Limits: 256 states, 4096 rows.
 */
#ifndef TROUPE_STATEM_TABLE_H
#define TROUPE_STATEM_TABLE_H

#include <troupe/gen_statem.h>

#define TR_ANY_STATE "*"   /* .from: one such row for each state that is not final */
#define TR_END       "[*]" /* .to: the machine ends, normally */

typedef enum tr_on_kind {
    TR_ON_KIND_MESSAGE = 1, /* a message of this type, as call, cast, info or internal event */
    TR_ON_KIND_EVENT_TIMEOUT,
    TR_ON_KIND_STATE_TIMEOUT,
    TR_ON_KIND_GENERIC_TIMEOUT, /* .name */
} tr_on_kind;
typedef struct tr_on {
    tr_on_kind kind;
    const char *name; /* as diagrams show it */
    const tr_type *type;
} tr_on;
#define TR_ON(T)                           \
    {                                      \
        TR_ON_KIND_MESSAGE, #T, TR_TYPE(T) \
    }
#define TR_ON_EVENT_TIMEOUT                       \
    {                                             \
        TR_ON_KIND_EVENT_TIMEOUT, "timeout", NULL \
    }
#define TR_ON_STATE_TIMEOUT                             \
    {                                                   \
        TR_ON_KIND_STATE_TIMEOUT, "state_timeout", NULL \
    }
#define TR_ON_GENERIC_TIMEOUT(name)            \
    {                                          \
        TR_ON_KIND_GENERIC_TIMEOUT, name, NULL \
    }
/** A function with its name, for .guard, .act and .enter. */
#define TR_FN(function)     \
    {                       \
#function, function \
    }

/** A function that does something. Returns: TR_KEEP_STATE, with actions if need be (TR_WITH), or TR_STOP_STATEM. */
typedef struct tr_act_fn {
    const char *name;
    tr_step (*call)(void *data, const tr_event *event);
} tr_act_fn;
/** A question about the data and the event, without side effects. */
typedef struct tr_guard_fn {
    const char *name;
    bool (*call)(const void *data, const tr_event *event);
} tr_guard_fn;

typedef struct __attribute__((may_alias)) tr_state {
    const char *name;
    int64_t timeout_ms; /* a state time-out, set on each entry; its message is a tr_timeout_msg. 0: none */
    bool final;         /* nothing leads to another state (a machine may live on in it, and answer) */
    tr_act_fn enter;    /* optional: the state enter call; no next events, no postponing */
} tr_state;

typedef struct __attribute__((may_alias)) tr_transition {
    const char *from;
    tr_on on;
    tr_guard_fn guard; /* optional */
    const char *to;    /* NULL: stays */
    tr_act_fn act;     /* optional */
    bool postpone;     /* the event comes again after the next change of state */
    bool repeat;       /* without .to: enter the state again */
} tr_transition;

struct tr__statem_plan;
typedef struct tr_statem_table {
    const char *name;
    const char *initial;
    const tr_state *states;           /* ends with one without name */
    const tr_transition *transitions; /* ends with one without .from */
    /** Optional: an event that no row took; returns what an act returns. */
    tr_step (*otherwise)(void *data, tr_term state, const tr_event *event);
    const struct tr__statem_plan **tr__plan; /* NULL inside until the first start */
} tr_statem_table;

/** Declares `T_table`; T is the machine's data type, as in TR_GEN_STATEM. Functions take T * where tr_state and
 *  tr_transition have void *. */
#define TR_STATEM_TABLE(T, ...)                                                            \
    static const struct tr__statem_plan *T##__table_plan;                                  \
    static const union {                                                                   \
        struct {                                                                           \
            const char *name;                                                              \
            const char *initial;                                                           \
            const tr_state *states;                                                        \
            const tr_transition *transitions;                                              \
            tr_step (*otherwise)(T * data, tr_term state, const tr_event *event);          \
            const struct tr__statem_plan **tr__plan;                                       \
        } tr__typed;                                                                       \
        tr_statem_table table;                                                             \
    } T##__table = {.tr__typed = {.name = #T, .tr__plan = &T##__table_plan, __VA_ARGS__}}; \
    static const tr_statem_table *const T##_table __attribute__((unused)) = &T##__table.table
#define TR_TABLE_STATES(T, ...)                               \
    ((const tr_state *)(const void *)(const struct {          \
        const char *name;                                     \
        int64_t timeout_ms;                                   \
        bool final;                                           \
        struct {                                              \
            const char *name;                                 \
            tr_step (*call)(T * data, const tr_event *event); \
        } enter;                                              \
    }[]){__VA_ARGS__, {.name = NULL}})
#define TR_TRANSITIONS(T, ...)                                  \
    ((const tr_transition *)(const void *)(const struct {       \
        const char *from;                                       \
        tr_on on;                                               \
        struct {                                                \
            const char *name;                                   \
            bool (*call)(const T *data, const tr_event *event); \
        } guard;                                                \
        const char *to;                                         \
        struct {                                                \
            const char *name;                                   \
            tr_step (*call)(T * data, const tr_event *event);   \
        } act;                                                  \
        bool postpone;                                          \
        bool repeat;                                            \
    }[]){__VA_ARGS__, {.from = NULL}})

/** Is the table whole? Errors: TR_E_BADARG with *reason (NULL allowed; on the caller's scratch), the first of:
 *  missing_states, {too_many, _}, {duplicate_state, S}, {reserved_name, S}, missing_initial, {unknown_initial, S},
 *  {missing_event, From}, {unknown_source, S}, {unknown_target, {From, To}}, {repeat_with_target, {From, On}},
 *  {duplicate_transition, {From, On}} (no event ever reaches the second), {final_state_is_left, {From, To}},
 *  {dead_end, S} (not final, and nothing leads out), {unhandled_timeout, S} (negative, or no row waits for it),
 *  {unreachable_state, S}. Context: any thread. */
tr_err tr_statem_table_check(const tr_statem_table *table, tr_term *reason);

typedef enum tr_diagram {
    TR_DIAGRAM_MERMAID, /* stateDiagram-v2 */
    TR_DIAGRAM_DOT,     /* graphviz */
    TR_DIAGRAM_JSON,
} tr_diagram;
/** Writes a table that is whole as a diagram, at most size bytes with the NUL. current (NULL allowed): the state to mark. The text ends
 *  with a newline. Returns: the length it wanted, like snprintf. Context: any thread. */
size_t tr_statem_diagram(const tr_statem_table *table, tr_diagram format, const char *current, char *out,
                         size_t size);

#endif
