/* gen_event.h: a manager process and any number of handlers, which all see each event. Semantics are OTP 25's
 * gen_event.
 *
 *     TR_EVENT_HANDLER(meter, .handle_event = meter_handle_event);
 *     ...
 *     err = tr_gen_event_start_link(&(tr_start_opts){.name = tr_atom("events")}, &started);
 *     err = tr_gen_event_add_handler(tr_to(started.pid), TR_EVENT(meter), TR_TERM_NONE_VALUE, NULL);
 *     TR_NOTIFY(tr_atom("events"), request_done, .status = 200);
 *
 * Invariants
 *  1. Handlers run in the manager, newest first, one after the other; one that blocks holds up the others.
 *  2. A handler that crashes, or returns garbage, is taken away and reported; the manager and the others go on.
 *  3. A supervised handler is tied to who added it: that one's end takes the handler away (terminate gets
 *     {stop, Reason}), and whatever else takes it away is told to that one as a tr_event_exit_msg.
 *  4. terminate gets: remove_handler, {error, Reason}, stop, {stop, Reason}, or what delete and swap give it.
 *  5. A manager is a gen_server: sys, names, stop and child specs (.server = &tr_gen_event) are the same.
 */
#ifndef TROUPE_GEN_EVENT_H
#define TROUPE_GEN_EVENT_H

#include <troupe/gen_server.h>

struct tr_event_handler;

/** One handler of a manager: its module, and an id where a module is there several times. */
typedef struct tr_event_id {
    const struct tr_event_handler *handler;
    tr_term id;
} tr_event_id;

typedef enum tr_event_next_kind {
    TR_EVENT_NEXT_OK = 1, /* stays                                                                   */
    TR_EVENT_NEXT_REMOVE, /* is taken away: terminate(remove_handler)                                */
    TR_EVENT_NEXT_SWAP,   /* terminate(args) gives Result; the other begins with {to_args, Result}   */
    TR_EVENT_NEXT_BAD,    /* garbage: terminate({error, args})                                       */
} tr_event_next_kind;

/** What a handler wants to happen next. */
typedef struct tr_event_next {
    tr_event_next_kind kind;
    tr_term args;
    tr_event_id to;
    tr_term to_args;
} tr_event_next;

#define TR_EVENT_OK     ((tr_event_next){.kind = TR_EVENT_NEXT_OK})
#define TR_EVENT_REMOVE ((tr_event_next){.kind = TR_EVENT_NEXT_REMOVE})
#define TR_EVENT_SWAP(why, whom, with) \
    ((tr_event_next){.kind = TR_EVENT_NEXT_SWAP, .args = (why), .to = (whom), .to_args = (with)})

/** A kind of handler. All callbacks are optional: without init the zeroed state is used; without handle_event or
 *  handle_call such a message crashes the handler (undef); without handle_info it is dropped. */
typedef struct tr_event_handler {
    const char *name;
    size_t state_bytes;
    /** Returns TR_OK, or an error with *reason: it is not added. */
    tr_err (*init)(void *self, tr_term args, tr_term *reason);
    tr_event_next (*handle_event)(void *self, const tr_msg *event);
    /** Answers with TR_ANSWER(from, ...), now or later. */
    tr_event_next (*handle_call)(void *self, tr_from from, const tr_msg *request);
    tr_event_next (*handle_info)(void *self, const tr_msg *msg);
    /** Its result goes to who deletes it, or to the one that takes its place. */
    tr_term (*terminate)(void *self, tr_term args);
    tr_term (*format_state)(const void *self);
} tr_event_handler;

/** Declares the handler of a state type: callbacks take T * where tr_event_handler has void *. */
#define TR_EVENT_HANDLER(T, ...)                                                         \
    static const union {                                                                 \
        struct {                                                                         \
            const char *name;                                                            \
            size_t state_bytes;                                                          \
            tr_err (*init)(T * self, tr_term args, tr_term *reason);                     \
            tr_event_next (*handle_event)(T * self, const tr_msg *event);                \
            tr_event_next (*handle_call)(T * self, tr_from from, const tr_msg *request); \
            tr_event_next (*handle_info)(T * self, const tr_msg *msg);                   \
            tr_term (*terminate)(T * self, tr_term args);                                \
            tr_term (*format_state)(const T *self);                                      \
        } tr__typed;                                                                     \
        tr_event_handler handler;                                                        \
    } T##__handler = {.tr__typed = {.name = #T, .state_bytes = sizeof(T), __VA_ARGS__}}
#define TR_EVENT(T)           ((tr_event_id){.handler = &T##__handler.handler})
#define TR_EVENT_WITH(T, key) ((tr_event_id){.handler = &T##__handler.handler, .id = (key)})

/** To who supervises a handler: it is gone. reason: normal, shutdown (the manager stopped), {swapped, Name, Pid} (for
 *  a handler of that name, supervised by Pid or false), or why it crashed. */
TR_MESSAGE_TERMS(
    tr_event_exit_msg,
    {
        tr_pid manager;
        const tr_event_handler *handler;
        tr_term id;
        tr_term reason;
    },
    offsetof(tr_event_exit_msg, id), offsetof(tr_event_exit_msg, reason));

/** The manager, as a server. */
extern const tr_gen_server tr_gen_event;

/** Starts a manager without handlers. As tr_gen_server_start and its kin. */
TR_MUST_CHECK static inline tr_err tr_gen_event_start(const tr_start_opts *opts, tr_started *started)
{
    return tr_gen_server_start(&tr_gen_event, NULL, 0, opts, started);
}
TR_MUST_CHECK static inline tr_err tr_gen_event_start_link(const tr_start_opts *opts, tr_started *started)
{
    return tr_gen_server_start_link(&tr_gen_event, NULL, 0, opts, started);
}
/** Stops it behind what is queued; each handler gets terminate(stop). As tr_gen_server_stop. */
TR_MUST_CHECK static inline tr_err tr_gen_event_stop(tr_dest dest, tr_term reason, int64_t timeout_ms,
                                                     tr_term *actual)
{
    return tr_gen_server_stop(dest, reason, timeout_ms, actual);
}

/** Gives an event to all handlers. Takes event. As tr_gen_server_cast. Context: any thread. */
static inline tr_err tr_gen_event_notify(tr_dest dest, tr_msg *event)
{
    return tr_gen_server_cast(dest, event);
}
#define TR_NOTIFY(dest, T, ...) tr_gen_event_notify(TR_DEST(dest), TR_MSG(T, __VA_ARGS__))
/** The same, and waits until all have seen it. Takes event. Errors: as a call. Blocks: parks without limit. */
TR_MUST_CHECK tr_err tr_gen_event_sync_notify(tr_dest dest, tr_msg *event);

/* All that follow park without limit; terms are copied. Errors: as a call, and what they say. *reason (NULL allowed)
 * is OTP's term, on the caller's scratch. */

/** Adds a handler; it becomes the first to see events. Errors: TR_E_EXIT (its init refused or crashed: *reason). */
TR_MUST_CHECK tr_err tr_gen_event_add_handler(tr_dest dest, tr_event_id who, tr_term args, tr_term *reason);
/** The same, supervised by the calling process, which is linked to the manager. */
TR_MUST_CHECK tr_err tr_gen_event_add_sup_handler(tr_dest dest, tr_event_id who, tr_term args,
                                                  tr_term *reason);
/** Takes a handler away. *result (NULL allowed): what its terminate(args) returned. Errors: TR_E_NOT_FOUND. */
TR_MUST_CHECK tr_err tr_gen_event_delete_handler(tr_dest dest, tr_event_id who, tr_term args,
                                                 tr_term *result);
/** Puts one in the place of another: init gets {to_args, Result of terminate(args)}, or {to_args, error} when `who`
 *  was not there. Who supervised the one supervises the other, unless swap_sup_handler makes it the calling process.
 *  Errors: TR_E_EXIT. */
TR_MUST_CHECK tr_err tr_gen_event_swap_handler(tr_dest dest, tr_event_id who, tr_term args, tr_event_id to,
                                               tr_term to_args, tr_term *reason);
TR_MUST_CHECK tr_err tr_gen_event_swap_sup_handler(tr_dest dest, tr_event_id who, tr_term args,
                                                   tr_event_id to, tr_term to_args, tr_term *reason);
/** The handlers, newest first; array and ids on the caller's scratch. */
TR_MUST_CHECK tr_err tr_gen_event_which_handlers(tr_dest dest, const tr_event_id **list, size_t *count);

/** What fn makes of a handler's state: who tells whose, self is its memory. */
typedef void (*tr_event_replace_fn)(tr_event_id who, void *self, void *ctx);
/** As tr_sys_replace_state, for each handler, newest first; dest must be a manager. A crash in fn leaves that handler's
 *  state as it was, and tells nobody, as in OTP. */
TR_MUST_CHECK tr_err tr_gen_event_replace_state(tr_dest dest, tr_event_replace_fn fn, void *ctx,
                                                int64_t timeout_ms);

/** Asks one handler. Takes request (which has no blobs). Returns as tr_gen_server_call. Errors: TR_E_NOT_FOUND (reason
 *  bad_module: no such handler), TR_E_EXIT (it crashed: {'EXIT', Reason}; or the manager ended). Blocks: parks. */
TR_MUST_CHECK tr_err tr_gen_event_call(tr_dest dest, tr_event_id who, tr_msg *request, int64_t timeout_ms,
                                       tr_msg **reply, tr_term *reason);
/** Asks without waiting: the answer is fetched as that of tr_send_request. Takes request. */
tr_ref tr_gen_event_send_request(tr_dest dest, tr_event_id who, tr_msg *request);
/** What an answer means: TR_OK, or the error of tr_gen_event_call that it tells instead (and is dropped). */
TR_MUST_CHECK tr_err tr_gen_event_response(tr_msg *reply, tr_term *reason);

#endif
