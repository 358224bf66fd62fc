/* base.h: the words every other header uses: process identifiers, references, errors, checks.
 *
 * Invariants
 *  1. A tr_pid names one process for ever: slot + generation are never given out twice. 0 is "no process".
 *  2. A tr_ref is unique in the life of the OS process. Its owner is the process that made it, so a reference
 *     is
 *     also an address (an alias) when its owner switched that on.
 *  3. tr_err is the *expected* kind of failure and must be looked at; a bug of one process is tr_exit /
 *     TR_CHECK,
 *     a bug of the runtime is TR_ASSERT and ends the OS process with a report.
 * Limits: 2^24 processes at once; 2^32 lives of one slot, after which the slot is retired.
 */
#ifndef TROUPE_BASE_H
#define TROUPE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
#error "libtroupe is C; wrap it in your own extern \"C\" layer"
#endif

#define TR_MUST_CHECK        __attribute__((warn_unused_result))
#define TR_NORETURN          __attribute__((noreturn))
#define TR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/** Process identifier: generation in the upper 32 bits, slot in the lower 32. Compare with ==. */
typedef uint64_t tr_pid;
#define TR_NO_PID              ((tr_pid)0)
#define TR_PID_SLOT(pid)       ((uint32_t)(pid))
#define TR_PID_GENERATION(pid) ((uint32_t)((pid) >> 32))

/** Reference: names a monitor, a request, a timer or an alias. id 0 is "no reference". */
typedef struct tr_ref {
    tr_pid owner;
    uint64_t id;
} tr_ref;
#define TR_NO_REF ((tr_ref){0, 0})

static inline bool tr_ref_equal(tr_ref a, tr_ref b)
{
    return a.id == b.id && a.owner == b.owner;
}

/** Time-outs are milliseconds; TR_INFINITY waits for ever. */
#define TR_INFINITY ((int64_t)-1)

/* The one table of expected errors: enumerator, text. */
#define TR_ERR_MAP(X)                                          \
    X(TR_OK, "ok")                                             \
    X(TR_E_NOPROC, "no such process")                          \
    X(TR_E_TIMEOUT, "time is up")                              \
    X(TR_E_EXIT, "the other process ended before it answered") \
    X(TR_E_FULL, "the mailbox is full")                        \
    X(TR_E_BADARG, "bad argument")                             \
    X(TR_E_ALREADY_STARTED, "the name is taken")               \
    X(TR_E_ALREADY_PRESENT, "a child with this id is present") \
    X(TR_E_NOT_FOUND, "not found")                             \
    X(TR_E_RUNNING, "the child is running")                    \
    X(TR_E_RESTARTING, "the child is being restarted")         \
    X(TR_E_IGNORE, "init returned ignore")                     \
    X(TR_E_TYPE, "the answer has another type")                \
    X(TR_E_CALLING_SELF, "a process called itself")            \
    X(TR_E_LIMIT, "a configured limit is reached")             \
    X(TR_E_NOMEM, "out of memory")                             \
    X(TR_E_STATE, "not possible in this state")

typedef enum tr_err {
#define TR_ERR_ENUM(name, text) name,
    TR_ERR_MAP(TR_ERR_ENUM)
#undef TR_ERR_ENUM
        TR_ERR_COUNT
} tr_err;

/** Text of an error, for people. Returns: static string, never NULL. Context: anywhere. */
const char *tr_err_text(tr_err err);
/** Name of an error as written in code ("TR_E_NOPROC"). */
const char *tr_err_name(tr_err err);

/** This process's own bug: ends it with reason {check_failed, "expr", "file", line}; its supervisor acts. */
#define TR_CHECK(cond) ((cond) ? (void)0 : tr__check_failed(#cond, __FILE__, __LINE__))
/** The runtime's bug: ends the OS process with a report. Stays on in release builds. */
#define TR_ASSERT(cond) \
    (__builtin_expect(!!(cond), 1) ? (void)0 : tr__assert_failed(#cond, __FILE__, __LINE__))

TR_NORETURN void tr__check_failed(const char *expr, const char *file, int line);
TR_NORETURN void tr__assert_failed(const char *expr, const char *file, int line);

#endif
