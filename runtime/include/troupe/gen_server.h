/* gen_server.h: a server process: state, callbacks, calls. Semantics are OTP 25's gen_server.
 *
 *     start_link --> init --ok--> [ wait ] --call--> handle_call --+
 *                     | ^ ^---cast---> handle_cast | each returns a tr_next: go on (with a time-out,
 *                     | | ^---other--> handle_info | hibernation or a continue), reply, or stop
 *                   stop/ignore     +----------- handle_continue <-+
 *                                      stop, crash, parent's EXIT (trapping) --> terminate(reason) --> end
 *
 * Invariants
 *  1. Callbacks of one server never overlap. Each runs on a borrowed stack and may block in direct style.
 *  2. A crash in a callback (tr_exit, tr_error, TR_CHECK, an unknown message) runs terminate and ends the
 *     server with
 *     that reason. terminate does not run after kill, after an untrapped exit signal, or after a failed init.
 *  3. The time-out of a tr_next is an idle timer: any message cancels it; it is not re-armed by itself; 0
 *     loses to a
 *     queued message; a sys request restarts the full period.
 *  4. continue runs before any queued message; init's continue runs after the starter was told.
 *  5. TR_STOP_REPLY: terminate first, then the reply, also when terminate crashes.
 */
#ifndef TROUPE_GEN_SERVER_H
#define TROUPE_GEN_SERVER_H

#include <troupe/process.h>

typedef enum tr_next_kind {
    TR_NEXT_NOREPLY = 1, /* go on (from init: started)                   */
    TR_NEXT_STOP,        /* terminate with .reason; .reply goes out after */
    TR_NEXT_IGNORE,      /* init only                                    */
    TR_NEXT_BAD,         /* {bad_return_value, .reason}                  */
} tr_next_kind;

/** What a callback wants to happen next. Build it with the macros and functions below. */
typedef struct tr_next {
    tr_next_kind kind;
    bool hibernate;
    bool has_timeout;
    bool replied; /* by TR_REPLY: counted by sys statistics */
    int64_t timeout_ms;
    tr_term reason;
    union {
        tr_msg *reply;             /* STOP: owed to .from */
        const tr_type *reply_type; /* replied: what went to .from */
    };
    tr_from from;
    tr_msg *cont; /* handle_continue's message */
} tr_next;

/** Callbacks, all optional but init's defaults: without init the zeroed state is used; without handle_call /
 *  handle_cast / handle_continue such a message crashes the server (undef); without handle_info it is
 *  reported and dropped. self points to state_bytes of zeroed memory that lives as long as the process. */
typedef struct tr_gen_server {
    const char *name;
    size_t state_bytes;
    tr_next (*init)(void *self, const void *arg);
    tr_next (*handle_call)(void *self, tr_from from, const tr_msg *msg);
    tr_next (*handle_cast)(void *self, const tr_msg *msg);
    tr_next (*handle_info)(void *self, const tr_msg *msg);
    tr_next (*handle_continue)(void *self, const tr_msg *msg);
    void (*terminate)(void *self, tr_term reason);
    /** The state as a term for sys_get_state, reports and process lists; NULL: {name, bytes}. Secrets do not
     *  belong in it. */
    tr_term (*format_state)(const void *self);
    bool trap_exit;             /* from the first moment */
    int64_t hibernate_after_ms; /* 0: never */
} tr_gen_server;

/** Declares `T_server` from typed callbacks: TR_GEN_SERVER(counter, .handle_call = counter_handle_call);
 *  T is the state's type; callbacks take T * where tr_gen_server has void *. */
#define TR_GEN_SERVER(T, ...)                                                           \
    static const union {                                                                \
        struct {                                                                        \
            const char *name;                                                           \
            size_t state_bytes;                                                         \
            tr_next (*init)(T * self, const void *arg);                                 \
            tr_next (*handle_call)(T * self, tr_from from, const tr_msg *msg);          \
            tr_next (*handle_cast)(T * self, const tr_msg *msg);                        \
            tr_next (*handle_info)(T * self, const tr_msg *msg);                        \
            tr_next (*handle_continue)(T * self, const tr_msg *msg);                    \
            void (*terminate)(T * self, tr_term reason);                                \
            tr_term (*format_state)(const T *self);                                     \
            bool trap_exit;                                                             \
            int64_t hibernate_after_ms;                                                 \
        } tr__typed;                                                                    \
        tr_gen_server server;                                                           \
    } T##__server = {.tr__typed = {.name = #T, .state_bytes = sizeof(T), __VA_ARGS__}}; \
    static const tr_gen_server *const T##_server __attribute__((unused)) = &T##__server.server

/* ---- what a callback returns
 * ------------------------------------------------------------------------------------ */
#define TR_NOREPLY      ((tr_next){.kind = TR_NEXT_NOREPLY})
#define TR_INIT_OK      TR_NOREPLY
#define TR_IGNORE_START ((tr_next){.kind = TR_NEXT_IGNORE})
/** Goes on; an answer of this type went out already. */
static inline tr_next tr_next_replied(tr_from from, const tr_type *type)
{
    return (tr_next){.kind = TR_NEXT_NOREPLY, .replied = true, .reply_type = type, .from = from};
}
/** Answers now and goes on. TR_REPLY(from, counter_value, .value = 3). */
#define TR_REPLY(from, T, ...)  tr__next_reply((from), TR_TYPE(T), &(T){__VA_ARGS__})
#define TR_ANSWER(from, T, ...) ((void)tr_reply((from), TR_TYPE(T), &(T){__VA_ARGS__}))
#define TR_STOP(why)            ((tr_next){.kind = TR_NEXT_STOP, .reason = (why)})
#define TR_STOP_REPLY(why, whom, T, ...) \
    ((tr_next){.kind = TR_NEXT_STOP, .reason = (why), .from = (whom), .reply = TR_MSG(T, __VA_ARGS__)})
/** Adds an idle time-out / a continue / hibernation to a next. */
static inline tr_next tr_next_timeout(tr_next next, int64_t timeout_ms)
{
    next.has_timeout = timeout_ms != TR_INFINITY;
    next.timeout_ms = timeout_ms;
    return next;
}
static inline tr_next tr_next_continue(tr_next next, tr_msg *cont)
{
    next.cont = cont;
    return next;
}
static inline tr_next tr_next_hibernate(tr_next next)
{
    next.hibernate = true;
    return next;
}
/** For a message that the server does not know: crashes it with {unexpected_message, type_name}. */
TR_NORETURN tr_next tr_unexpected(const tr_msg *msg);

/** Answers a call: any time, from any process or thread, also after TR_NOREPLY. A caller that is gone is no
 *  error. */
tr_err tr_reply(tr_from from, const tr_type *type, const void *payload);
static inline tr_next tr__next_reply(tr_from from, const tr_type *type, const void *payload)
{
    (void)tr_reply(from, type, payload);
    return tr_next_replied(from, type);
}
/** The same with a message that exists; takes it. */
tr_err tr_reply_msg(tr_from from, tr_msg *msg);

/* ---- starting
 * --------------------------------------------------------------------------------------------------- */
#define TR_DEBUG_STATISTICS 1u
#define TR_DEBUG_LOG        2u /* the last TR_SYS_LOG_DEFAULT events */
#define TR_DEBUG_TRACE      4u

typedef struct tr_start_opts {
    tr_term name; /* atom: registered name                                                        */
    struct tr_registry
        *registry; /* with key: registered there (via)                                             */
    tr_term key;
    tr_term value;       /* the registry entry's value                                                   */
    int64_t timeout_ms;  /* of init; 0 means TR_INFINITY                                                 */
    uint32_t debug;      /* TR_DEBUG_...: what watches it from its first message on (sys.h)              */
    tr_spawn_opts spawn; /* .link and .monitor are set by the start function                             */
} tr_start_opts;

/** What a start gave. On TR_OK pid is set. On any error reason is the exit reason OTP reports
 *  (`{already_started,Pid}`, init's stop reason, `timeout` ...), on the caller's scratch memory. */
typedef struct tr_started {
    tr_pid pid;
    tr_ref monitor;
    tr_term reason;
} tr_started;

/** Starts a server and waits for its init. arg_bytes of arg are copied. opts may be NULL.
 *  Errors: TR_E_ALREADY_STARTED, TR_E_IGNORE, TR_E_EXIT (init stopped or crashed), TR_E_TIMEOUT (init took
 *  too long; killed). A linked starter that does not trap dies with a failing init, as in OTP.
 *  Blocks: parks the calling process. Context: process. */
TR_MUST_CHECK tr_err tr_gen_server_start(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                                         const tr_start_opts *opts, tr_started *started);
TR_MUST_CHECK tr_err tr_gen_server_start_link(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                                              const tr_start_opts *opts, tr_started *started);
TR_MUST_CHECK tr_err tr_gen_server_start_monitor(const tr_gen_server *server, const void *arg,
                                                 size_t arg_bytes, const tr_start_opts *opts,
                                                 tr_started *started);

/** The calling plain process, usually one started by proc_lib, becomes a server without init being called. state
 *  (NULL: zeroed) is copied. next is what init would have returned: TR_INIT_OK, with a time-out or a continue.
 *  Its parent is who started it: when it traps exits, that one's EXIT ends it through terminate.
 *  Never returns: the frames that called it are dropped. Context: plain process. */
TR_NORETURN void tr_gen_server_enter_loop(const tr_gen_server *server, const void *state, tr_next next);

/* ---- calling
 * ---------------------------------------------------------------------------------------------------- */
#define TR_CALL_TIMEOUT_MS 5000

/** Sends a request and waits for its answer. Takes request.
 *  Returns TR_OK and *reply (owned by the process: freed after the running callback, or by tr_msg_drop).
 *  Errors: TR_E_NOPROC, TR_E_TIMEOUT (the request stays queued and will be executed), TR_E_EXIT,
 *  TR_E_CALLING_SELF, TR_E_FULL; *reason (NULL allowed) is then OTP's inner reason (noproc, timeout,
 *  calling_self, or the server's exit reason). A late answer is dropped. Blocks: parks the calling process.
 *  */
TR_MUST_CHECK tr_err tr_gen_server_call(tr_dest dest, tr_msg *request, int64_t timeout_ms, tr_msg **reply,
                                        tr_term *reason);
/** Typed: counter_value out; err = TR_CALL(pid, 5000, counter_value, &out, counter_add, .by = 1); Members of
 *  out that are terms or blobs live until the running callback returns. TR_E_TYPE when the answer is
 *  something else. */
#define TR_CALL(dest, timeout_ms, R, out, T, ...)                                         \
    tr__call_with(TR_DEST(dest), TR_TYPE(T), &(T){__VA_ARGS__}, (timeout_ms), TR_TYPE(R), \
                  (1 ? (out) : (R *)NULL))
tr_err tr__call_typed(tr_dest dest, tr_msg *request, int64_t timeout_ms, const tr_type *type, void *out);
tr_err tr__call_with(tr_dest dest, const tr_type *request, const void *payload, int64_t timeout_ms,
                     const tr_type *type, void *out);

/** Always TR_OK, also to nobody, as in OTP; TR_E_FULL when the mailbox limit says so. Takes msg. Context: any
 *  thread. */
tr_err tr_gen_server_cast(tr_dest dest, tr_msg *msg);
#define TR_CAST(dest, T, ...) tr__cast_with(TR_DEST(dest), TR_TYPE(T), &(T){__VA_ARGS__})
tr_err tr__cast_with(tr_dest dest, const tr_type *type, const void *payload);

/** Stops a server: the request waits behind queued messages. TR_OK when it ended with exactly this reason;
 *  else TR_E_NOPROC, TR_E_TIMEOUT or TR_E_EXIT with *actual (NULL allowed). Blocks: parks. */
TR_MUST_CHECK tr_err tr_gen_server_stop(tr_dest dest, tr_term reason, int64_t timeout_ms, tr_term *actual);

/* ---- asynchronous calls
 * ----------------------------------------------------------------------------------------- */
/** Sends a request without waiting. Takes request. The answer (or the server's end) is fetched by the two
 *  below. */
tr_ref tr_send_request(tr_dest dest, tr_msg *request);
/** Waits for the answer. TR_E_TIMEOUT keeps the request open (wait) or abandons it (receive).
 *  TR_E_EXIT/TR_E_NOPROC: *reason. */
TR_MUST_CHECK tr_err tr_wait_response(tr_ref request, int64_t timeout_ms, tr_msg **reply, tr_term *reason);
TR_MUST_CHECK tr_err tr_receive_response(tr_ref request, int64_t timeout_ms, tr_msg **reply, tr_term *reason);
/** Is this message the answer to (or the end of) that request? TR_OK + *reply, TR_E_EXIT + *reason,
 *  TR_E_NOT_FOUND: another message. */
tr_err tr_check_response(tr_msg *msg, tr_ref request, tr_msg **reply, tr_term *reason);

#endif
