/* agent.h: a process that holds a state for others; its functions come with the requests. Semantics are Elixir
 * 1.14's Agent.
 *
 *     TR_AGENT(stock);
 *     static void stock_left(const stock *self, const item *of, amount *left) { left->n = self->n[of->id]; }
 *     static void stock_take(stock *self, const amount *by) { self->n[0] -= by->n; }
 *     ...
 *     err = tr_agent_start_link(TR_AGENT_OF(stock), NULL, 0, NULL, &started);
 *     err = TR_AGENT_UPDATE(started.pid, 5000, stock, stock_take, amount, .n = 2);
 *     err = TR_AGENT_GET(started.pid, 5000, stock, stock_left, amount, &left, item, .id = 0);
 *
 * Invariants
 *  1. Functions run inside the agent, one after the other in the order of arrival, and may block there.
 *  2. A function that crashes kills the agent with that reason, which is what its caller gets (TR_E_EXIT).
 *  3. A function meets only a state of the type it was written for: the compiler compares it with the request,
 *     and the agent compares the request with itself. A request for another type, or any other call or cast,
 *     ends the agent with function_clause; other messages are reported and dropped.
 *  4. An agent is a gen_server: sys, child specs (.server = &TR_AGENT_OF(T)->server) and names are the same.
 *  5. With a place for snapshots, what view makes of the state is published before whoever changed it is answered:
 *     who was told of an update reads it, or a later one, without a message (snapshot.h).
 * Limits: an argument is copied with its terms, 64 KiB at most, and has no blobs.
 */
#ifndef TROUPE_AGENT_H
#define TROUPE_AGENT_H

#include <troupe/gen_server.h>
#include <troupe/snapshot.h>

/** A kind of agent; made by TR_AGENT. */
typedef struct tr_agent {
    tr_gen_server server; /* first: an agent is a server */
    void (*init)(void *self, const void *arg);
    tr_term (*format_state)(const void *self);
    tr_snapshot *snapshot;
    const tr_type *view_type;
    void (*view)(const void *self, void *out);
} tr_agent;

tr_next tr__agent_init(void *self, const void *arg);
tr_next tr__agent_handle_call(void *self, tr_from from, const tr_msg *msg);
tr_next tr__agent_handle_cast(void *self, const tr_msg *msg);
tr_term tr__agent_format_state(const void *self);

/** Declares the agent of a state type, also in a header: TR_AGENT(stock, .init = stock_init). Both are optional:
 *  void (*init)(T *self, const void *arg): fills the zeroed state; a crash there fails the start.
 *  tr_term (*format_state)(const T *self): as a gen_server's.
 *  .snapshot = &place, .view_type = TR_TYPE(V), .view = fn, all three: void (*view)(const T *self, void *out) fills a
 *  zeroed V; it is published in place when the agent starts and after every function that may have changed it. */
#define TR_AGENT(T, ...)                                                                                   \
    typedef union T##__agent_union {                                                                       \
        struct {                                                                                           \
            tr_gen_server server;                                                                          \
            void (*init)(T * self, const void *arg);                                                       \
            tr_term (*format_state)(const T *self);                                                        \
            tr_snapshot *snapshot;                                                                         \
            const tr_type *view_type;                                                                      \
            void (*view)(const T *self, void *out);                                                        \
        } tr__typed;                                                                                       \
        tr_agent agent;                                                                                    \
    } T##__agent_union;                                                                                    \
    extern const T##__agent_union T##__agent;                                                              \
    __attribute__((weak))                                                                                  \
    const T##__agent_union T##__agent = {.tr__typed = {.server = {.name = #T,                              \
                                                                  .state_bytes = sizeof(T),                \
                                                                  .init = tr__agent_init,                  \
                                                                  .handle_call = tr__agent_handle_call,    \
                                                                  .handle_cast = tr__agent_handle_cast,    \
                                                                  .format_state = tr__agent_format_state}, \
                                                       __VA_ARGS__}}
#define TR_AGENT_OF(T) (&T##__agent.agent)

/** Starts an agent and waits for its init. As tr_gen_server_start and tr_gen_server_start_link. */
TR_MUST_CHECK static inline tr_err tr_agent_start(const tr_agent *agent, const void *arg, size_t arg_bytes,
                                                  const tr_start_opts *opts, tr_started *started)
{
    return tr_gen_server_start(&agent->server, arg, arg_bytes, opts, started);
}
TR_MUST_CHECK static inline tr_err tr_agent_start_link(const tr_agent *agent, const void *arg,
                                                       size_t arg_bytes, const tr_start_opts *opts,
                                                       tr_started *started)
{
    return tr_gen_server_start_link(&agent->server, arg, arg_bytes, opts, started);
}
/** Stops an agent behind what is queued. As tr_gen_server_stop. */
TR_MUST_CHECK static inline tr_err tr_agent_stop(tr_dest dest, tr_term reason, int64_t timeout_ms,
                                                 tr_term *actual)
{
    return tr_gen_server_stop(dest, reason, timeout_ms, actual);
}

/** A function on its way to an agent. The macros below make it and let the compiler check its types. */
typedef struct tr_agent_job {
    const tr_agent *agent;
    const tr_type *arg_type;
    const void *arg;         /* copied with its terms */
    const tr_type *out_type; /* NULL: no result, and tell is set instead of ask */
    bool reads;              /* ask changes nothing */
    void (*ask)(void *self, const void *arg, void *out);
    void (*tell)(void *self, const void *arg);
} tr_agent_job;

#define TR_AGENT_ARG_MAX (64u << 10)

/** Runs a job in the agent and waits for it. *out (NULL without a result) is out_type's struct, zeroed before
 *  the function fills it; its terms and blobs live until the running callback returns.
 *  Errors: as tr_gen_server_call (on a time-out the function still runs), with OTP's inner reason in *reason
 *  (NULL allowed). Blocks: parks the calling process. */
TR_MUST_CHECK tr_err tr_agent_call(tr_dest dest, const tr_agent_job *job, int64_t timeout_ms, void *out,
                                   tr_term *reason);
/** Sends a job without a result and does not wait. As tr_gen_server_cast. Context: any thread. */
tr_err tr_agent_cast(tr_dest dest, const tr_agent_job *job);

#define TR_AGENT_ASK_JOB(T, S, fn, R, A, ...) \
    (&(tr_agent_job){                                  \
        .agent = TR_AGENT_OF(T),                       \
        .reads = _Generic((S *)NULL, const T * : true, default : false), \
        .arg_type = TR_TYPE(A),                        \
        .arg = &(A){__VA_ARGS__},                      \
        .out_type = TR_TYPE(R),                        \
        .ask = (void (*)(void *, const void *, void *))(1 ? (fn) : (void (*)(S *, const A *, R *))NULL)})
#define TR_AGENT_TELL_JOB(T, fn, A, ...)       \
    (&(tr_agent_job){.agent = TR_AGENT_OF(T),  \
                     .arg_type = TR_TYPE(A),   \
                     .arg = &(A){__VA_ARGS__}, \
                     .tell = (void (*)(void *, const void *))(1 ? (fn) : (void (*)(T *, const A *))NULL)})

/** fn(const T *self, const A *arg, R *out) reads the state. */
#define TR_AGENT_GET(dest, timeout_ms, T, fn, R, out, A, ...)                                       \
    tr_agent_call(TR_DEST(dest), TR_AGENT_ASK_JOB(T, const T, fn, R, A, __VA_ARGS__), (timeout_ms), \
                  (1 ? (out) : (R *)NULL), NULL)
/** fn(T *self, const A *arg, R *out) reads and changes it. */
#define TR_AGENT_GET_AND_UPDATE(dest, timeout_ms, T, fn, R, out, A, ...)                      \
    tr_agent_call(TR_DEST(dest), TR_AGENT_ASK_JOB(T, T, fn, R, A, __VA_ARGS__), (timeout_ms), \
                  (1 ? (out) : (R *)NULL), NULL)
/** fn(T *self, const A *arg) changes it; waits until that is done. */
#define TR_AGENT_UPDATE(dest, timeout_ms, T, fn, A, ...) \
    tr_agent_call(TR_DEST(dest), TR_AGENT_TELL_JOB(T, fn, A, __VA_ARGS__), (timeout_ms), NULL, NULL)
/** The same without waiting. */
#define TR_AGENT_CAST(dest, T, fn, A, ...) \
    tr_agent_cast(TR_DEST(dest), TR_AGENT_TELL_JOB(T, fn, A, __VA_ARGS__))

#endif
