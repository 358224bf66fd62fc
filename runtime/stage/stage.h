/* stage.h: a stage's own data and what its files need of each other. Not public; <troupe/gen_stage.h> is.
 *
 * | file | what |
 * |---|---|
 * | gen_stage.c | the server: options, callbacks, requests, emitting |
 * | producer.c | subscriptions of others, demand, the buffer |
 * | consumer.c | its own subscriptions, events that arrive, asking for more |
 * | dispatch.c, partition.c | who gets which event |
 * | records.c | events in memory, lists of them, batches |
 *
 * Invariants
 *  1. Records, lists and subscriptions are the process's memory. Blobs exist only between the making of a batch and its
 *     sending, where no code of the user runs: so a stage can be killed anywhere and nothing is left.
 *  2. A callback's tr_next is either TR_NEXT_NOREPLY (go on) or ends the stage: then nothing else is called.
 *  3. `owed` is what the stage was asked for by its dispatcher and has not emitted. After each ask and each end of a
 *     subscription it is at least what the dispatcher wants; more only when somebody went.
 *  4. A producer_consumer owes something or has queued input, never both.
 *  5. The buffer holds events only while the dispatcher can take none.
 */
#ifndef TROUPE_STAGE_STAGE_H
#define TROUPE_STAGE_STAGE_H

#include <troupe/gen_stage.h>

/* An event, or an info that waits its turn among events. */
typedef struct tr__record {
    struct tr__record *next;
    const tr_type *type;
    bool is_info;
    uint32_t *shared; /* info in several queues: in how many it still is */
    _Alignas(16) unsigned char data[];
} tr__record;

typedef struct tr__records {
    tr__record *first, *last;
    uint64_t events; /* infos are not counted */
} tr__records;

/* ---- records.c ---- */
tr__record *tr__record_new(const tr_type *type, const void *payload);
void tr__records_append(tr__records *list, tr__record *record);
/** The oldest, or NULL; the caller's now. */
tr__record *tr__records_pop(tr__records *list);
/** Everything of `from` moves behind what is in `list`. */
void tr__records_join(tr__records *list, tr__records *from);
/** At most n events off the front, up to the first info. */
tr__records tr__records_take(tr__records *list, uint64_t n);
void tr__records_free(tr__records *list);
/** Pointers to the list's events, on scratch memory. */
tr_stage_event *tr__records_events(const tr__records *list);
/** One blob with count events, an array in front. NULL without events. */
tr_blob *tr__batch_new(const tr_stage_event *events, uint64_t count);
/** Payload and terms as one piece that can travel in a message: a batch of one. */
tr_blob *tr__payload_blob(const tr_type *type, const void *payload);

/* ---- subscriptions ---- */

/* One that is subscribed to this stage. */
typedef struct tr__subscriber {
    struct tr__subscriber *next;
    tr_stage_from from;
    tr_ref monitor;
    uint64_t demand;      /* open; not by partition */
    tr_subscription opts; /* selector_arg is kept */
} tr__subscriber;

/* One that this stage is subscribed to. */
typedef struct tr__supplier {
    struct tr__supplier *next;
    tr_stage_from from; /* ref is our monitor of it */
    tr_cancel cancel;
    bool manual;
    int64_t open, min, max; /* asked for and not handled; open falls by batches */
} tr__supplier;

typedef struct tr__partition {
    tr__subscriber *subscriber; /* NULL: nobody */
    uint64_t demand;            /* 0 while something is queued */
    tr__records queue;
} tr__partition;

/* What a producer_consumer cannot handle yet: events of one supplier, or the end of one. */
typedef struct tr__input {
    struct tr__input *next;
    tr__supplier *supplier; /* the end: owned by this record, off the list of suppliers */
    tr_ref ref;
    tr__records events;
    bool is_end, down;
    tr_term reason; /* kept */
} tr__input;

typedef struct tr__stage {
    const tr_gen_stage *module;
    void *self;      /* the user's state */
    tr_msg *msg;     /* being handled; NULL in init */
    tr__records out; /* emitted by the callback that runs */

    /* as a producer */
    tr_dispatcher dispatcher;
    const struct tr__dispatcher_ops *dispatch;
    tr__subscriber *subscribers; /* the dispatcher's order */
    uint64_t open;               /* sum of what subscribers asked for and did not get; not by broadcast */
    uint64_t queued;             /* events in all partitions' queues */
    uint64_t owed;
    tr__partition *partitions;
    tr__records buffer;
    uint64_t buffer_size; /* UINT64_MAX: no limit */
    tr_buffer_keep buffer_keep;
    bool accumulates;
    uint64_t *held; /* demands that accumulated, oldest first */
    size_t held_count, held_room;

    /* as a consumer */
    tr__supplier *suppliers;

    /* as both */
    tr__input *input, **input_end;
} tr__stage;

static inline bool tr__goes_on(const tr_next *next)
{
    return next->kind == TR_NEXT_NOREPLY;
}
static inline bool tr__is_producer(const tr__stage *stage)
{
    return stage->module->type != TR_CONSUMER;
}

/* ---- dispatchers ---- */
typedef struct tr__dispatcher_ops {
    /** The subscriber is not in the list yet; puts it there. False: refused, with *reason. */
    bool (*subscribe)(tr__stage *stage, tr__subscriber *s, tr_term *reason);
    /** Takes it off the list. */
    void (*cancel)(tr__stage *stage, tr__subscriber *s);
    void (*ask)(tr__stage *stage, tr__subscriber *s, uint64_t count);
    /** How many events it could take now. */
    uint64_t (*want)(const tr__stage *stage);
    /** Sends what there is demand for, up to an info; the rest stays in events. */
    void (*dispatch)(tr__stage *stage, tr__records *events);
    /** Delivers an info behind the events dispatched so far. Takes it. */
    void (*info)(tr__stage *stage, tr__record *info);
} tr__dispatcher_ops;
extern const tr__dispatcher_ops tr__dispatch_demand, tr__dispatch_broadcast, tr__dispatch_partition;

/** Adds at the end, for dispatchers. */
void tr__subscriber_append(tr__stage *stage, tr__subscriber *s);
void tr__subscriber_remove(tr__stage *stage, tr__subscriber *s);
/** Takes the events of list (their records are freed) and sends them. */
void tr__send_events(const tr__subscriber *s, tr__records *list);
/** To the stage's own handle_info. Takes info. */
void tr__info_deliver(tr__record *info);

/* ---- the wire; every message is of kind REPLY, which no mailbox limit refuses ---- */
TR_MESSAGE_TERMS(
    tr__stage_subscribe,
    {
        tr_stage_from consumer;
        tr_ref current; /* ended first; id 0: none */
        tr_term why;
        tr_term selector_arg;
        tr_subscription opts; /* to and selector_arg are not used */
    },
    offsetof(tr__stage_subscribe, why), offsetof(tr__stage_subscribe, selector_arg));
TR_MESSAGE(tr__stage_ask, {
    tr_stage_from consumer;
    uint64_t count;
});
TR_MESSAGE_EMPTY(tr__stage_look_again); /* to itself: events were dropped that somebody asked for */
TR_MESSAGE_TERMS(
    tr__stage_cancel, /* to the producer */
    {
        tr_ref ref;
        tr_term reason;
    },
    offsetof(tr__stage_cancel, reason));
TR_MESSAGE_TERMS(
    tr__stage_cancelled, /* to the consumer */
    {
        tr_ref ref;
        tr_term reason;
    },
    offsetof(tr__stage_cancelled, reason));
TR_MESSAGE_BLOBS(
    tr__stage_events,
    {
        tr_stage_from producer;
        uint64_t count;
        tr_blob *batch; /* begins with count tr_stage_event */
    },
    offsetof(tr__stage_events, batch));
/** Sends msg on a subscription. Takes it. */
void tr__stage_send(tr_pid to, tr_ref ref, tr_msg *msg);
#define TR__STAGE_SEND(to, ref, T, ...) tr__stage_send((to), (ref), TR_MSG(T, __VA_ARGS__))

/* ---- gen_stage.c ---- */
/** After a callback: what it emitted goes out when the stage goes on. */
tr_next tr__stage_after(tr__stage *stage, tr_next next);
/** A warning: what happened, and how much. */
void tr__stage_warn(const char *what, tr_term about);
/** A message that makes no sense to this stage. */
void tr__stage_ignore(const tr_msg *msg);

/* ---- producer.c ---- */
void tr__stage_out(tr__stage *stage);
tr_next tr__producer_subscribe(tr__stage *stage, const tr__stage_subscribe *request);
tr_next tr__producer_ask(tr__stage *stage, const tr__stage_ask *ask);
/** Sends what waits, and asks for what is missing. */
tr_next tr__producer_serve(tr__stage *stage);
/** Ends the subscription ref, if there is one. */
tr_next tr__producer_cancel(tr__stage *stage, tr_ref ref, tr_stage_end end);
/** Is this the monitor of a subscriber? Its subscription's reference, or id 0. */
tr_ref tr__producer_monitors(const tr__stage *stage, tr_ref monitor);
tr_next tr__producer_demand(tr__stage *stage, bool accumulate);
void tr__producer_info(tr__stage *stage, tr__record *info);

/* ---- consumer.c ---- */
/** What a subscription came to: err and ref for the one who wanted it. */
typedef struct tr__subscribed {
    tr_err err;
    tr_ref ref;
    const char *wrong; /* TR_E_BADARG: which option */
} tr__subscribed;
tr_next tr__consumer_subscribe(tr__stage *stage, const tr_subscription *to, tr_ref current, tr_term why,
                               tr__subscribed *result);
tr_next tr__consumer_events(tr__stage *stage, const tr__stage_events *events);
tr__supplier *tr__supplier_find(const tr__stage *stage, tr_ref ref);
tr_next tr__consumer_cancelled(tr__stage *stage, tr__supplier *supplier, tr_stage_end end);
/** Handles queued input while there is demand. */
tr_next tr__consumer_work(tr__stage *stage);

#endif
