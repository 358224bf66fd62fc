/* gen_stage.h: stages that pass events on under demand. Semantics are those of Elixir's GenStage.
 *
 *     producer  <--subscribe, ask(n), cancel--  consumer       a producer_consumer is both
 *               --events (never more than asked), cancel-->
 *
 *     TR_MESSAGE(number, { int64_t n; });
 *     static tr_next counter_handle_demand(counter *self, uint64_t demand)
 *     {
 *         for (; demand > 0; demand--) {
 *             TR_EMIT(self, number, .n = self->next++);
 *         }
 *         return TR_NOREPLY;
 *     }
 *     TR_GEN_STAGE(counter, .type = TR_PRODUCER, .handle_demand = counter_handle_demand);
 *
 * Invariants
 *  1. A consumer never gets more events than it asked for. It asks for max_demand at once, and again up to max_demand
 *     whenever what is open falls to min_demand; its events come in batches of max - min at most.
 *  2. What a producer emits beyond all demand waits in its buffer, in order, and goes out before handle_demand is asked for
 *     more. A full buffer discards, and reports it. Nothing else discards events, except a partition whose consumer goes.
 *  3. An event is a payload of a message type, copied with its terms at each hop: to the stage that emits it, then into one
 *     blob for each batch, which the consumer borrows while handle_events runs. A killed stage leaves nothing behind.
 *  4. Both sides of a subscription watch each other. What comes of a subscription that no longer exists is answered with a
 *     cancel; unknown_subscription says so.
 *  5. A subscription's messages pass mailbox limits: demand is their limit.
 *  6. A stage is a gen_server: names, sys, child specs (.server = &T_stage->server) and calls are the same.
 * Limits: events have no blobs; subscriptions are searched one after the other: hundreds, not thousands, a stage.
 */
#ifndef TROUPE_GEN_STAGE_H
#define TROUPE_GEN_STAGE_H

#include <troupe/gen_server.h>

typedef enum tr_stage_type { TR_PRODUCER = 1, TR_PRODUCER_CONSUMER, TR_CONSUMER } tr_stage_type;

/** One event. Borrowed: valid until the callback that got it returns. */
typedef struct tr_stage_event {
    const tr_type *type;
    const void *data;
} tr_stage_event;
/** The payload when the event has this type, else NULL. */
#define TR_EVENT_MATCH(event, T) ((const T *)((event)->type == TR_TYPE(T) ? (event)->data : NULL))

/** A subscription, and the process on its other side. */
typedef struct tr_stage_from {
    tr_pid pid;
    tr_ref ref;
} tr_stage_from;

/* ---- subscribing ---- */

/** What the end of a subscription means to its consumer: it ends with the same reason; the same unless the reason is
 *  clean; nothing. */
typedef enum tr_cancel { TR_CANCEL_PERMANENT, TR_CANCEL_TRANSIENT, TR_CANCEL_TEMPORARY } tr_cancel;

#define TR_DEMAND_NONE ((int64_t)-1)
typedef struct tr_subscription {
    tr_dest to;
    tr_cancel cancel;
    int64_t max_demand; /* 0: 1000 */
    int64_t min_demand; /* 0: half of max_demand; TR_DEMAND_NONE: 0 */
    uint32_t partition; /* of producers that dispatch to partitions */
    /** Of producers that broadcast: which events this consumer gets; NULL: all. Runs in the producer with its own copy of
     *  selector_arg, and must not block. */
    bool (*selector)(const tr_stage_event *event, tr_term selector_arg);
    tr_term selector_arg;
} tr_subscription;

/** Subscribes a stage to a producer and waits until it has asked for it. *ref (NULL allowed) names the subscription.
 *  Errors: TR_E_BADARG (demands that make no sense), TR_E_STATE (a producer cannot subscribe), those of a call. When the
 *  producer is not there the consumer ends with noproc unless the subscription is temporary. Blocks: parks. */
TR_MUST_CHECK tr_err tr_stage_subscribe(tr_dest stage, const tr_subscription *to, int64_t timeout_ms,
                                        tr_ref *ref);
/** The same, in one step with the end of a subscription, which is told why. Blocks: parks. */
TR_MUST_CHECK tr_err tr_stage_resubscribe(tr_dest stage, tr_ref current, tr_term why,
                                          const tr_subscription *to, int64_t timeout_ms, tr_ref *ref);
/** The same two without waiting. Context: any thread. */
tr_err tr_stage_async_subscribe(tr_dest stage, const tr_subscription *to);
tr_err tr_stage_async_resubscribe(tr_dest stage, tr_ref current, tr_term why, const tr_subscription *to);

/** Asks for more events of a manual subscription. Context: its consumer. */
void tr_stage_ask(tr_stage_from producer, uint64_t count);
/** Asks the producer to end a subscription; it answers with a cancel of this reason. Context: its consumer. */
void tr_stage_cancel(tr_stage_from producer, tr_term reason);

/* ---- dispatching ---- */

/** Whom a producer's events go to: those that asked for most first; everybody, as fast as the slowest; by partition. */
typedef enum tr_dispatch { TR_DISPATCH_DEMAND, TR_DISPATCH_BROADCAST, TR_DISPATCH_PARTITION } tr_dispatch;

#define TR_PARTITION_NONE (-1)
typedef struct tr_dispatcher {
    tr_dispatch kind;
    uint64_t
        max_demand; /* demand: what one ask is expected to be at most; 0: the first ask. More is reported */
    bool shuffle;   /* demand: in any order at first, not that of subscription */
    uint32_t partitions; /* partition: one consumer each */
    /** partition: where an event goes, or TR_PARTITION_NONE to drop it; NULL: by hash. Must not block. Anything else is the
     *  producer's bug: it ends with {unknown_partition, P}. */
    int64_t (*hash)(const tr_stage_event *event, uint32_t partitions);
} tr_dispatcher;

/* ---- stages ---- */

typedef enum tr_buffer_keep { TR_KEEP_LAST, TR_KEEP_FIRST } tr_buffer_keep;
/** What init may set. */
typedef struct tr_stage_opts {
    tr_dispatcher dispatcher;
    int64_t
        buffer_size; /* events; 0: 10000 for a producer, no limit for a producer_consumer; TR_INFINITY: no limit */
    tr_buffer_keep buffer_keep;
    bool accumulate; /* demand waits until tr_stage_demand(forward) */
    const tr_subscription
        *subscribe_to; /* borrowed until the first subscription is made: static, or on scratch memory */
    size_t subscribe_count;
} tr_stage_opts;

/** The other side of a subscription, in handle_subscribe. */
typedef enum tr_stage_role { TR_OF_CONSUMER, TR_OF_PRODUCER } tr_stage_role;
typedef struct tr_stage_end {
    bool down; /* the other side ended; else it cancelled */
    tr_term reason;
} tr_stage_end;

/** Callbacks as in a gen_server, and: handle_demand (producers), handle_events (the others); optional: handle_subscribe,
 *  whose *manual a consumer sets to ask by itself (a producer_consumer cannot); handle_cancel, once for each subscription
 *  that ended; format_discarded, which tells whether a discard is reported. What returns a tr_next may emit events first:
 *  they go out when it has returned; those of a callback that stops the stage do not. */
typedef struct tr_gen_stage {
    tr_gen_server server; /* first: a stage is a server */
    tr_stage_type type;
    tr_next (*init)(void *self, const void *arg, tr_stage_opts *opts);
    tr_next (*handle_demand)(void *self, uint64_t demand);
    tr_next (*handle_events)(void *self, tr_stage_from from, const tr_stage_event *events, size_t count);
    tr_next (*handle_subscribe)(void *self, tr_stage_role role, const tr_subscription *opts,
                                tr_stage_from from, bool *manual);
    tr_next (*handle_cancel)(void *self, tr_stage_end end, tr_stage_from from);
    tr_next (*handle_call)(void *self, tr_from from, const tr_msg *msg);
    tr_next (*handle_cast)(void *self, const tr_msg *msg);
    tr_next (*handle_info)(void *self, const tr_msg *msg);
    tr_next (*handle_continue)(void *self, const tr_msg *msg);
    void (*terminate)(void *self, tr_term reason);
    tr_term (*format_state)(const void *self);
    bool (*format_discarded)(void *self, uint64_t discarded);
} tr_gen_stage;

/* The state, and behind it where the runtime keeps its own. */
#define TR__STAGE_BYTES(T) (((sizeof(T) + 15u) & ~(size_t)15) + 16u)
tr_next tr__stage_init(void *state, const void *arg);
tr_next tr__stage_handle_call(void *state, tr_from from, const tr_msg *msg);
tr_next tr__stage_handle_cast(void *state, const tr_msg *msg);
tr_next tr__stage_handle_info(void *state, const tr_msg *msg);
tr_next tr__stage_handle_continue(void *state, const tr_msg *msg);
void tr__stage_terminate(void *state, tr_term reason);
tr_term tr__stage_format_state(const void *state);

/** Declares `T_stage` from typed callbacks, as TR_GEN_SERVER does; T is the state's type. */
#define TR_GEN_STAGE(T, ...)                                                                       \
    static const union {                                                                           \
        struct {                                                                                   \
            tr_gen_server server;                                                                  \
            tr_stage_type type;                                                                    \
            tr_next (*init)(T * self, const void *arg, tr_stage_opts *opts);                       \
            tr_next (*handle_demand)(T * self, uint64_t demand);                                   \
            tr_next (*handle_events)(T * self, tr_stage_from from, const tr_stage_event *events,   \
                                     size_t count);                                                \
            tr_next (*handle_subscribe)(T * self, tr_stage_role role, const tr_subscription *opts, \
                                        tr_stage_from from, bool *manual);                         \
            tr_next (*handle_cancel)(T * self, tr_stage_end end, tr_stage_from from);              \
            tr_next (*handle_call)(T * self, tr_from from, const tr_msg *msg);                     \
            tr_next (*handle_cast)(T * self, const tr_msg *msg);                                   \
            tr_next (*handle_info)(T * self, const tr_msg *msg);                                   \
            tr_next (*handle_continue)(T * self, const tr_msg *msg);                               \
            void (*terminate)(T * self, tr_term reason);                                           \
            tr_term (*format_state)(const T *self);                                                \
            bool (*format_discarded)(T * self, uint64_t discarded);                                \
        } tr__typed;                                                                               \
        tr_gen_stage stage;                                                                        \
    } T##__stage = {.tr__typed = {.server = {.name = #T,                                           \
                                             .state_bytes = TR__STAGE_BYTES(T),                    \
                                             .init = tr__stage_init,                               \
                                             .handle_call = tr__stage_handle_call,                 \
                                             .handle_cast = tr__stage_handle_cast,                 \
                                             .handle_info = tr__stage_handle_info,                 \
                                             .handle_continue = tr__stage_handle_continue,         \
                                             .terminate = tr__stage_terminate,                     \
                                             .format_state = tr__stage_format_state},              \
                                  __VA_ARGS__}};                                                   \
    static const tr_gen_stage *const T##_stage __attribute__((unused)) = &T##__stage.stage

/** Starts a stage. As tr_gen_server_start and tr_gen_server_start_link; {bad_opts, What} when init's options are wrong. */
TR_MUST_CHECK static inline tr_err tr_stage_start(const tr_gen_stage *stage, const void *arg,
                                                  size_t arg_bytes, const tr_start_opts *opts,
                                                  tr_started *started)
{
    return tr_gen_server_start(&stage->server, arg, arg_bytes, opts, started);
}
TR_MUST_CHECK static inline tr_err tr_stage_start_link(const tr_gen_stage *stage, const void *arg,
                                                       size_t arg_bytes, const tr_start_opts *opts,
                                                       tr_started *started)
{
    return tr_gen_server_start_link(&stage->server, arg, arg_bytes, opts, started);
}

/** Emits an event; copies payload and its terms. Context: a callback of this stage, a producer or producer_consumer; self
 *  is the callback's. */
void tr_stage_emit(void *self, const tr_type *type, const void *payload);
#define TR_EMIT(self, T, ...) tr_stage_emit((self), TR_TYPE(T), &(T){__VA_ARGS__})
/** Sends what was emitted so far now: before an answer that TR_REPLY is about to give, say. Context: as tr_stage_emit. */
void tr_stage_flush(void *self);

/** Demand of a producer is forwarded from now on (what had accumulated, too, ask by ask), or accumulates. */
tr_err tr_stage_demand(tr_dest producer, bool accumulate);
/** Sends msg to the stage's own handle_info behind the events that are buffered now. Takes no message: payload is copied.
 *  sync waits until it is queued or delivered. TR_E_STATE: a consumer has no buffer. */
TR_MUST_CHECK tr_err tr_stage_sync_info(tr_dest producer, const tr_type *type, const void *payload,
                                        int64_t timeout_ms);
tr_err tr_stage_async_info(tr_dest producer, const tr_type *type, const void *payload);
/** Events in a producer's buffer. Errors: TR_E_STATE for a consumer; those of a call. Blocks: parks. */
TR_MUST_CHECK tr_err tr_stage_buffered_count(tr_dest producer, int64_t timeout_ms, uint64_t *count);

#endif
