/* rule: the targeting of a flag: JsonLogic with flagd's own operators, compiled into nodes that are evaluated as they stand.
 *
 *     rule_compile()  --> nodes and texts, position-independent      at PUT, and when the flags are loaded
 *     rule_run()      --> a value, by the nodes over a context       at each evaluation
 *
 * Invariants
 *  R1  a node's children are nodes one behind the other, behind the node itself: a tree without pointers or cycles, copied
 *      as bytes. It is at most RULE_DEPTH_MAX deep and has at most RULE_NODES_MAX nodes.
 *  R2  what is compiled has known operators with a number of arguments they can take; what is not is refused with the
 *      pointer of the place. An object in a rule is one operator: literal objects are refused.
 *  R3  evaluation is pure: nodes, context, time and memory come in, a value goes out. It ends after at most `steps` steps
 *      and takes at most `bytes` of memory, all of it from the arena.
 *  R4  truth, equality, order, numbers and texts are JavaScript's, as json-logic-js has them, but for: texts are compared as
 *      bytes and cut by code points, and arrays are equal to nothing.
 *
 * Who owns: nodes and texts the caller (a row of the flags); values borrow from nodes, context and arena.
 * Source: jsonlogic.com; flagd.dev/reference/custom-operations.
 */
#ifndef API_FLAGS_RULE_H
#define API_FLAGS_RULE_H

#include "server/json_shape.h"

#include <stdint.h>

#define RULE_NODES_MAX 4096
#define RULE_DEPTH_MAX 32
#define RULE_STEPS_MAX 20000
#define RULE_BYTES_MAX (256u << 10)

/* name, text, fewest and most arguments (RULE_MANY: any number) */
#define RULE_MANY RULE_NODES_MAX
#define RULE_OPERATORS(X)                     \
    X(VAR, "var", 0, 2)                       \
    X(MISSING, "missing", 0, RULE_MANY)       \
    X(MISSING_SOME, "missing_some", 2, 2)     \
    X(IF, "if", 1, RULE_MANY)                 \
    X(TERNARY, "?:", 1, RULE_MANY)            \
    X(EQUAL, "==", 2, 2)                      \
    X(SAME, "===", 2, 2)                      \
    X(NOT_EQUAL, "!=", 2, 2)                  \
    X(NOT_SAME, "!==", 2, 2)                  \
    X(NOT, "!", 1, 1)                         \
    X(TRUTH, "!!", 1, 1)                      \
    X(OR, "or", 1, RULE_MANY)                 \
    X(AND, "and", 1, RULE_MANY)               \
    X(GREATER, ">", 2, 2)                     \
    X(GREATER_EQUAL, ">=", 2, 2)              \
    X(LESS, "<", 2, 3)                        \
    X(LESS_EQUAL, "<=", 2, 3)                 \
    X(MAX, "max", 1, RULE_MANY)               \
    X(MIN, "min", 1, RULE_MANY)               \
    X(PLUS, "+", 1, RULE_MANY)                \
    X(TIMES, "*", 1, RULE_MANY)               \
    X(MINUS, "-", 1, 2)                       \
    X(DIVIDE, "/", 2, 2)                      \
    X(REMAINDER, "%", 2, 2)                   \
    X(MAP, "map", 2, 2)                       \
    X(FILTER, "filter", 2, 2)                 \
    X(REDUCE, "reduce", 3, 3)                 \
    X(ALL, "all", 2, 2)                       \
    X(NONE, "none", 2, 2)                     \
    X(SOME, "some", 2, 2)                     \
    X(MERGE, "merge", 0, RULE_MANY)           \
    X(IN, "in", 2, 2)                         \
    X(CAT, "cat", 0, RULE_MANY)               \
    X(SUBSTR, "substr", 2, 3)                 \
    X(FRACTIONAL, "fractional", 2, RULE_MANY) \
    X(STARTS_WITH, "starts_with", 2, 2)       \
    X(ENDS_WITH, "ends_with", 2, 2)           \
    X(SEM_VER, "sem_ver", 3, 3)

/* What a node is: a literal, an array of nodes, or an operator over its children. */
#define RULE_OPERATOR_NAME(name, text, fewest, most) RULE_##name,
enum rule_kind {
    RULE_NULL,
    RULE_FALSE,
    RULE_TRUE,
    RULE_NUMBER,
    RULE_TEXT,
    RULE_ARRAY,
    RULE_OPERATORS(RULE_OPERATOR_NAME) RULE_KINDS_COUNT
};
#undef RULE_OPERATOR_NAME

typedef struct rule_node {
    uint32_t kind;
    uint32_t count; /* children, or bytes of a text */
    union {
        double number;
        uint64_t first; /* of the children: an index; of a text: an offset into texts */
    } is;
} rule_node;

typedef struct rule_build {
    rule_node *nodes; /* room for nodes_max */
    uint32_t count, nodes_max;
    char *texts; /* room for texts_max: the length of the rule's JSON is enough */
    size_t used, texts_max;
} rule_build;

/** Compiles a targeting into build, nodes[0] being its root.
 *  Errors: false, and errors has pointers below `where`.   Blocks: no.   Cost: O(nodes). */
bool rule_compile(rule_build *build, const cJSON *rule, const struct json_where *where,
                  struct json_errors *errors);

/* ---- values ---- */

enum rule_value_kind {
    RULE_IS_NULL,
    RULE_IS_BOOL,
    RULE_IS_NUMBER,
    RULE_IS_TEXT,
    RULE_IS_LIST,   /* `count` items */
    RULE_IS_OBJECT, /* of the context */
    RULE_IS_PAIR,   /* what reduce gives its function: items[0] current, items[1] accumulator */
    RULE_IS_FLAGD   /* $flagd */
};

typedef struct rule_value {
    uint8_t kind;
    bool truth;
    bool split; /* a fractional chose it */
    uint32_t count;
    union {
        double number;
        const char *bytes;
        const struct rule_value *items;
        const cJSON *object;
    } is;
} rule_value;

static inline struct text rule_value_text(const rule_value *value)
{
    return (struct text){.bytes = value->is.bytes, .count = value->count};
}

/* ---- running ---- */

enum rule_outcome {
    RULE_DONE,
    RULE_NO_TARGETING_KEY, /* a fractional without a value needs one */
    RULE_TOO_LONG          /* steps or memory */
};

typedef struct rule_run_args {
    const rule_node *nodes;
    const char *texts;
    const cJSON *context; /* an object, or NULL for an empty one */
    struct text flag_key;
    int64_t now_s;
    struct json_arena *arena;
    uint32_t steps; /* left */
    uint32_t bytes; /* left */
} rule_run_args;

/** Evaluates the rule whose root is nodes[0]; *out is written only with RULE_DONE. steps and bytes of args are used up.
 *  Borrows: args, for as long as *out is used.   Blocks: no.   Context: any thread, 16 KiB of stack. */
enum rule_outcome rule_run(rule_run_args *args, rule_value *out);

#endif
