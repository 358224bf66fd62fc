/* term.h: small immutable values: exit reasons, child ids, names, registry keys, labels.
 *
 * A term is one machine word. Atoms and integers of 61 bits are the word itself; everything else is a pointer
 * to an immutable box.
 *
 * Invariants
 *  1. A term is never changed after it was built; sharing is safe.
 *  2. Constructors called in a process build on that process's *scratch* memory: the term is valid until the
 *     running
 *     callback returns (behaviours) or until tr_scratch_release (plain processes). Outside a process (main
 *     thread,
 *     foreign thread) they build on that thread's scratch memory, until tr_scratch_release there.
 *  3. Whatever takes a term for longer (a message, an exit reason, a name, a child spec) copies it; the
 *     caller keeps
 *     its own. So nothing here is ever freed by hand, and a killed process leaks nothing.
 *  4. Equality is exact (=:=): 1 and 1.0 differ. Order: integers and floats < atoms < refs < pids < tuples <
 *     maps <
 *     lists < strings, then by value.
 * Limits: atoms are never freed (1 048 576 at most, 255 bytes each); a term is at most 16 MiB when copied.
 */
#ifndef TROUPE_TERM_H
#define TROUPE_TERM_H

#include <stdarg.h>
#include <troupe/base.h>

typedef struct tr_term {
    uint64_t word; /* 0 is "no term" */
} tr_term;

typedef enum tr_term_kind {
    TR_TERM_NONE,
    TR_TERM_ATOM,
    TR_TERM_INT,
    TR_TERM_FLOAT,
    TR_TERM_PID,
    TR_TERM_REF,
    TR_TERM_STRING,
    TR_TERM_TUPLE,
    TR_TERM_LIST,
    TR_TERM_MAP,
} tr_term_kind;

#define TR_TERM_NONE_VALUE ((tr_term){0})

/* Atoms known at compile time. The order is the atom's index; tr_atom() finds the same ones. */
#define TR_ATOM_MAP(X)                                                \
    X(NORMAL, "normal")                                               \
    X(SHUTDOWN, "shutdown")                                           \
    X(KILL, "kill")                                                   \
    X(KILLED, "killed")                                               \
    X(NOPROC, "noproc")                                               \
    X(TIMEOUT, "timeout")                                             \
    X(TRUE, "true")                                                   \
    X(FALSE, "false")                                                 \
    X(NIL, "nil")                                                     \
    X(UNDEFINED, "undefined")                                         \
    X(OK, "ok")                                                       \
    X(ERROR, "error")                                                 \
    X(IGNORE, "ignore")                                               \
    X(INFINITY, "infinity")                                           \
    X(CALLING_SELF, "calling_self")                                   \
    X(BAD_RETURN_VALUE, "bad_return_value")                           \
    X(NOCATCH, "nocatch")                                             \
    X(UNDEF, "undef")                                                 \
    X(FUNCTION_CLAUSE, "function_clause")                             \
    X(BADARG, "badarg")                                               \
    X(ALREADY_STARTED, "already_started")                             \
    X(ALREADY_PRESENT, "already_present")                             \
    X(NOT_FOUND, "not_found")                                         \
    X(RUNNING, "running")                                             \
    X(RESTARTING, "restarting")                                       \
    X(SUSPENDED, "suspended")                                         \
    X(CHECK_FAILED, "check_failed")                                   \
    X(UNEXPECTED_MESSAGE, "unexpected_message")                       \
    X(FAULT, "fault")                                                 \
    X(STRANDED, "stranded")                                           \
    X(GEN_SERVER, "gen_server")                                       \
    X(SUPERVISOR, "supervisor")                                       \
    X(SYS, "sys")                                                     \
    X(PROC_LIB, "proc_lib")                                           \
    X(CALL, "call")                                                   \
    X(FAILED_TO_START_CHILD, "failed_to_start_child")                 \
    X(REACHED_MAX_RESTART_INTENSITY, "reached_max_restart_intensity") \
    X(DOWN, "DOWN")                                                   \
    X(EXIT, "EXIT")                                                   \
    X(PROCESS, "process")                                             \
    X(NOMEM, "nomem")                                                 \
    X(MAILBOX_FULL, "mailbox_full")

enum {
#define TR_ATOM_ENUM(name, text) TR__ATOM_##name,
    TR_ATOM_MAP(TR_ATOM_ENUM)
#undef TR_ATOM_ENUM
        TR__ATOM_KNOWN
};

#define TR__TAG_BITS 3u
#define TR__TAG_BOX  0u
#define TR__TAG_ATOM 1u
#define TR__TAG_INT  2u
/** A known atom as a constant expression: TR_ATOM(NORMAL). */
#define TR_ATOM(name) ((tr_term){((uint64_t)TR__ATOM_##name << TR__TAG_BITS) | TR__TAG_ATOM})

/** The atom with this text. Errors: exits the OS process when the atom table is full. Cost: a hash look-up;
 *  keep the result in a static when hot. Context: any thread. */
tr_term tr_atom(const char *text);
tr_term tr_atom_n(const char *text, size_t length);
/** The atom with this text if there is one; makes none. For texts from outside, which must not fill the
 *  table.
 *  Returns: is there one; *atom is untouched otherwise. Context: any thread. */
bool tr_atom_find(const char *text, size_t length, tr_term *atom);
/** An integer; beyond 61 bits it is boxed. */
tr_term tr_int(int64_t value);
tr_term tr_float(double value);
tr_term tr_pid_term(tr_pid pid);
tr_term tr_ref_term(tr_ref ref);
/** Copies the bytes. Not necessarily UTF-8. */
tr_term tr_string(const char *text);
tr_term tr_string_n(const void *bytes, size_t length);
tr_term tr_tuple_n(size_t count, const tr_term *items);
tr_term tr_list_n(size_t count, const tr_term *items);
/** A map of count pairs key, value, key, value ...; sorted by key inside; a repeated key keeps the last
 *  value. */
tr_term tr_map_n(size_t count, const tr_term *pairs);
/** tr_tuple(a, b, c): a tuple of the given terms. */
#define tr_tuple(...) \
    tr_tuple_n(sizeof((tr_term[]){__VA_ARGS__}) / sizeof(tr_term), (const tr_term[]){__VA_ARGS__})
#define tr_list(...) \
    tr_list_n(sizeof((tr_term[]){__VA_ARGS__}) / sizeof(tr_term), (const tr_term[]){__VA_ARGS__})

tr_term_kind tr_term_kind_of(tr_term term);
static inline bool tr_is_none(tr_term term)
{
    return term.word == 0;
}
static inline bool tr_is_atom(tr_term term)
{
    return (term.word & 7u) == TR__TAG_ATOM;
}
/** Same word: enough for atoms and small integers. */
static inline bool tr_same(tr_term a, tr_term b)
{
    return a.word == b.word;
}
/** Accessors: the term must be of that kind (TR_CHECK). Borrowed pointers live as long as the term. */
const char *tr_atom_text(tr_term atom);
int64_t tr_int_value(tr_term term);
double tr_float_value(tr_term term);
tr_pid tr_pid_value(tr_term term);
tr_ref tr_ref_value(tr_term term);
const char *tr_string_bytes(tr_term term, size_t *length);
/** Items of a tuple or a list; pairs of a map (2 x count terms). */
size_t tr_term_count(tr_term term);
const tr_term *tr_term_items(tr_term term);
/** Value of a key in a map, or none. */
tr_term tr_map_get(tr_term map, tr_term key);
/** Is this a tuple of count items whose first is the atom with this text? */
bool tr_is_tagged(tr_term term, const char *tag, size_t count);

/** Exact equality / total order (<0, 0, >0) / hash (stable in one run). Cost: O(size), no recursion. */
bool tr_term_equal(tr_term a, tr_term b);
int tr_term_compare(tr_term a, tr_term b);
uint64_t tr_term_hash(tr_term term);

/** Writes the term as Erlang would (`{shutdown,[1,2]}`), at most size bytes with the NUL; cuts with "...".
 *  Returns: the length it wanted. Context: anywhere. */
size_t tr_term_print(tr_term term, char *out, size_t size);
/** The term's text on scratch memory. */
const char *tr_term_text(tr_term term);

/** Copies a term into one block of malloc'd memory; give it back with tr_term_free. For terms that outlive a
 *  callback outside a process. Immediate terms cost nothing. */
tr_term tr_term_keep(tr_term term);
void tr_term_free(tr_term kept);
/** Bytes that a flat copy needs (0 for immediates), and the copy itself into caller's memory (8-byte aligned,
 *  that many bytes). Returns: the copied term, which lives as long as that memory. */
size_t tr_term_flat_bytes(tr_term term);
tr_term tr_term_flatten(tr_term term, void *memory);

/** Position in scratch memory; releasing frees everything built since, of the calling process or thread.
 *  Behaviours need neither: it is done after every callback. */
typedef struct tr_scratch_mark {
    void *chunk;
    size_t used;
} tr_scratch_mark;
tr_scratch_mark tr_scratch(void);
void tr_scratch_release(tr_scratch_mark mark);
/** Raw scratch memory, 16-byte aligned, with the life of a term. */
void *tr_scratch_alloc(size_t bytes);

/** Reasons that are no failure: normal, shutdown, {shutdown, _}. */
bool tr_reason_is_clean(tr_term reason);

#endif
